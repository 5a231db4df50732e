"""Children of the native kernels are those of the plain reference, field by field."""

import dataclasses

import numpy as np
import pytest
from reference import breeding, textbook
from reference.draws import Stream
from support import kernel_calls
from support.search_cases import EVERYTHING, FIXED, VARIABLE, config, tasks
from support.toy_evaluator import ToyEvaluator

from azero.compiler.arrays import arrays, tables
from azero.compiler.kernels import DISABLE_JIT
from azero.language import spaces
from azero.language import text as text_lib
from azero.language.program import Component, Programs
from azero.search import draws
from azero.search.evolution import Evolution
from azero.search.origins import MUTATIONS
from azero.search.proposals import edits, mutation

LEARN_ONLY = dataclasses.replace(
    EVERYTHING, setup=dataclasses.replace(EVERYTHING.setup, searched=False),
    predict=Component((), 0))
SPACES = {
    "fixed": FIXED, "variable": VARIABLE, "everything": EVERYTHING, "learn_only": LEARN_ONLY,
    "s10": spaces.baseline(), "s9": spaces.ablation()}


@pytest.mark.parametrize("name", SPACES)
def test_random_programs_are_those_of_the_reference(name):
  space = SPACES[name]
  breeder = breeding.Breeder(space, (), 0.0)
  programs = mutation.random_programs(space, 40, seed=11, island=2, first=5).validate()
  for n in range(40):
    expected = breeder.random_program([[], [], []], Stream(11, 2, 5 + n))
    assert textbook.from_programs(programs, n) == expected


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("actions", [mutation.PAPER_ACTIONS, MUTATIONS])
def test_an_island_evolves_as_in_the_reference(name, actions):
  space, size, contestants, children = SPACES[name], 12, 4, 400
  programs = mutation.random_programs(space, size, seed=3, island=1)
  population = [textbook.from_programs(programs, n) for n in range(size)]
  rng = np.random.default_rng(0)
  fitness = rng.integers(0, 6, size) / 6
  members = list(zip(population, fitness.tolist()))
  scores = rng.integers(0, 6, children) / 6
  breeder = breeding.Breeder(space, actions, 0.9)
  for n, score in enumerate(scores.tolist()):
    del members[0]
    stream = Stream(3, 1, size + n)
    winner = breeding.tournament([value for _, value in members], contestants, stream)
    members.append((breeder.mutate(members[winner][0], stream), score))
  kernel_calls.evolve(
      arrays(programs), fitness, tables(space), mutation.mutator(actions, 0.9),
      draws.new_stream(), draws.seed_word(3), 1, contestants, scores)
  programs.validate()
  oldest = children % size
  for age, (program, value) in enumerate(members):
    place = (oldest + age) % size
    assert fitness[place] == value
    assert textbook.from_programs(programs, place) == program


def _reverse(programs, i, function, space, stream):
  """Swaps the ops' inputs of one instruction, a mutation of the user's own."""
  length = edits.function_length(programs, i, function, space)
  if length > 0:
    slot = space.functions[function, 0] + draws.pick(stream, length)
    programs.in1[i, slot], programs.in2[i, slot] = programs.in2[i, slot], programs.in1[i, slot]


@pytest.mark.parametrize("name", ["start", "copy", "migration", "alter"])
def test_names_that_lineages_know_are_taken(name):
  with pytest.raises(ValueError, match=f"'{name}'.*; choose another name"):
    mutation.register_mutation(name, lambda *_: None)


def test_a_mutation_of_the_users_own():
  space = dataclasses.replace(VARIABLE, predict=Component((1, 3), 4, 1), setup=Component((), 0),
                              learn=Component((), 0))
  mutation.register_mutation("reverse", _reverse)
  parents = mutation.random_programs(space, 300, seed=1)
  children = mutation.mutated(parents, mutation.mutator(("reverse",), 1.0), seed=2)
  for n in range(300):
    stream = Stream(2, 0, n)
    stream.uniform(), stream.pick(1), stream.pick(1)
    expected = textbook.from_programs(parents, n)
    line = expected[1][stream.pick(4)]
    line[1], line[2] = line[2], line[1]
    assert textbook.from_programs(children, n) == expected
  # Registered again, and beside others.
  mutation.register_mutation("reverse", lambda programs, i, function, space, stream: None)
  assert mutation.mutated(parents, mutation.mutator(("reverse",), 1.0), seed=2) == parents
  both = mutation.mutated(parents, mutation.mutator(("reverse", "alter"), 1.0), seed=2)
  changed = sum(both[n] != parents[n] for n in range(300))
  assert 60 < changed < 200


@pytest.fixture
def _forgotten(monkeypatch):
  """What a test registers is gone after it: later tests may send it to other processes."""
  monkeypatch.setattr(mutation, "_OWN", dict(mutation._OWN))
  monkeypatch.setattr(mutation, "_own_functions", dict(mutation._own_functions))


def _faulty(programs, i, function, space, stream):
  if i == 3:
    raise ValueError("not this one")


@pytest.mark.parametrize("actions", [("faulty",), ("faulty", "alter"), ("faulty", "faulty")])
@pytest.mark.usefixtures("_forgotten")
def test_an_error_of_a_mutation_of_the_users_own(actions):
  mutation.register_mutation("faulty", _faulty)
  parents = mutation.random_programs(FIXED, 4, seed=1)
  with pytest.raises(RuntimeError) as caught:
    for seed in range(20):  # at most every second child has another mutation
      mutation.mutated(parents, mutation.mutator(actions, 1.0), seed=seed)
  line = _faulty.__code__.co_firstlineno + 2
  assert str(caught.value) == (
      f"Mutation 'faulty', of your own, raised ValueError: not this one ({__file__}, line {line}).")
  assert str(caught.value.__cause__) == "not this one"
  mutation.mutated(parents[:3], mutation.mutator(actions, 1.0), seed=0)


@pytest.mark.usefixtures("_forgotten")
def test_an_error_of_a_mutation_ends_the_search():
  mutation.register_mutation("faulty", _faulty)
  search = Evolution(
      FIXED, tasks(2), config(mutations=("faulty",), max_programs=100),
      evaluator=ToyEvaluator)
  with pytest.raises(RuntimeError, match="Mutation 'faulty', of your own, raised ValueError: not"):
    for _ in range(100):
      search.step()


def _malformed(fault):
  """A mutation that leaves one fault in the first instruction of Predict."""

  def spoil(programs, i, function, space, stream):
    slot = space.functions[1, 0]
    if fault == 0:
      programs.out[i, slot] = 30_000
    elif fault == 1:
      programs.in1[i, slot] = -30_000
    elif fault == 2:
      programs.opcode[i, slot] = 20_000
    elif fault == 3:
      programs.opcode[i, slot] = -1
    elif fault == 4:
      programs.constants[i, slot, 0] = np.nan
    elif fault == 5:
      programs.in2[i, slot + 1] = 4
    elif fault == 6:
      programs.opcode[i, slot] = 3  # of the table, but not of this space

  return spoil


@pytest.mark.parametrize("fault", range(7))
@pytest.mark.usefixtures("_forgotten")
def test_a_mutation_may_not_leave_a_malformed_program(fault):
  mutation.register_mutation("spoil", _malformed(fault))
  text = "def Setup():\n  s3 = 0.5\ndef Predict():\n  s2 = 0.1\n  s1 = dot(v0, v1)\ndef Learn():"
  if fault == 1:
    text = text.replace("s2 = 0.1", "s2 = s3 + s3")
  parents = text_lib.parse(text, num_features=4)
  spoiling = mutation.mutator(("spoil",), 1.0)
  with pytest.raises(RuntimeError, match=r"'spoil', of your own, .* it leaves a malf"):
    mutation.mutated(parents, spoiling, seed=0)


@pytest.mark.parametrize(("name", "function"), [
    (5, _reverse), ("two words", _reverse), ("five", 5), ("few", lambda programs, i: None)])
def test_what_is_no_mutation_is_refused(name, function):
  with pytest.raises(ValueError, match=r"must be a (plain )?Python|must take five arguments"):
    mutation.register_mutation(name, function)


@pytest.mark.parametrize("function", [
    lambda *arguments: None, lambda programs, i, function, space, stream, *more: None,
    lambda programs, i, function, space, stream, **more: None,
    lambda programs, i, function, space, stream, part=0: None,
    lambda programs, i, function, space, *, stream: None])
def test_arguments_beside_the_five_are_refused_with_their_place(function):
  with pytest.raises(ValueError, match=r"must take five arguments: .*it is def .*_breeding.py, l"):
    mutation.register_mutation("other", function)


@pytest.mark.skipif(DISABLE_JIT, reason="nothing is compiled")
def test_what_numba_does_not_know_is_named_with_its_place():
  def importing(programs, i, function, space, stream):
    import math
    programs.constants[i, 0, 0] = math.pi

  with pytest.raises(ValueError, match=(
      r"'importing': Numba cannot compile it \(.*_breeding.py, line \d+\): .*IMPORT_NAME.* "
      "Import what it needs outside")):
    mutation.register_mutation("importing", importing)


def test_names_of_own_mutations():
  with pytest.raises(ValueError, match="Mutation 'alter' is built in"):
    mutation.register_mutation("alter", _reverse)


@pytest.mark.skipif(DISABLE_JIT, reason="nothing is compiled")
def test_a_mutation_that_cannot_be_compiled():
  def impossible(programs, i, function, space, stream):
    programs.opcode[i] = "first"

  with pytest.raises(ValueError, match="Mutation 'impossible': Numba cannot compile it"):
    mutation.register_mutation("impossible", impossible)
  with pytest.raises(ValueError, match="Unknown mutations"):
    mutation.mutator(("impossible",))


def test_parents_stay_as_they_are():
  parents = mutation.random_programs(EVERYTHING, 50, seed=1)
  before = Programs(EVERYTHING, *(getattr(parents, name).copy() for name in Programs.ARRAYS))
  children = mutation.mutated(parents, mutation.mutator(MUTATIONS, 1.0), seed=2)
  assert parents == before != children
  again = mutation.mutated(parents[10:], mutation.mutator(MUTATIONS, 1.0), seed=2, first=10)
  assert again == children[10:]
