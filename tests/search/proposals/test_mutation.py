"""What mutations can do to a program, and what they never do."""

import dataclasses
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from support import kernel_calls
from support.search_cases import ALL_OPS, EVERYTHING, FIXED, bodies, repeat

from azero.language import ops as op_table
from azero.language.program import EMPTY, FIRST_WRITABLE, Component, Programs, SearchSpace
from azero.language.text import format_program, parse, parse_many
from azero.search.origins import MUTATIONS
from azero.search.proposals import mutation

# s1 and s2 can be written, s0 to s2 read: 18 sums and 6 absolute values in Predict.
SUM, ABS = 1, 5
TINY = SearchSpace(3, 1, 0, 2, Component((), 0), Component((SUM, ABS), 3, 1), Component((), 0))
SUMS = {(SUM, a, b, out) for a in range(3) for b in range(3) for out in (1, 2)}
INSTRUCTIONS = SUMS | {(ABS, a, 0, out) for a in range(3) for out in (1, 2)}

ADD, COPY = (SUM, 0, 1, 1), (ABS, 1, 0, 2)
TWO = "def Predict():\n  s1 = s0 + s1\n  s2 = abs(s1)"
ONE = "def Predict():\n  s1 = s0 + s1"


def mutate(parents, seed, actions, probability=1.0):
  return mutation.mutated(parents, mutation.mutator(actions, probability), seed=seed)


def random_batch(space, count, seed=0):
  """Random programs whose component functions are cut to random allowed lengths."""
  programs = mutation.random_programs(space, count, seed=seed)
  for step in range(sum(component.max_length for component in space.components)):
    programs = mutate(programs, seed + 1 + step, ("remove", "alter", "alter"))
  return programs


def outcomes(text, action, count=20_000):
  """Every Predict that becomes of a program."""
  parents = repeat(parse(text, TINY), count)
  children = mutate(parents, 1, (action,))
  return {predict for _, predict, _ in bodies(children.validate())}


def test_alter_is_eventually_every_other_argument():
  sums = {(SUM, a, 1, 1) for a in range(3)} | {(SUM, 0, b, 1) for b in range(3)}
  sums |= {(SUM, 0, 1, out) for out in (1, 2)}
  copies = {(ABS, a, 0, 2) for a in range(3)} | {(ABS, 1, 0, out) for out in (1, 2)}
  expected = {(line, COPY) for line in sums} | {(ADD, line) for line in copies}
  assert outcomes(TWO, "alter") == expected


def test_randomize_instruction_is_eventually_every_instruction_in_either_place():
  expected = {(line, COPY) for line in INSTRUCTIONS} | {(ADD, line) for line in INSTRUCTIONS}
  assert outcomes(TWO, "randomize_instruction") == expected


def test_randomize_function_is_eventually_every_function_of_its_length():
  assert outcomes(TWO, "randomize_function") == set(itertools.product(INSTRUCTIONS, repeat=2))
  assert outcomes(ONE, "randomize_function") == {(line,) for line in INSTRUCTIONS}


def test_insert_is_eventually_every_instruction_at_every_place():
  expected = {body for line in INSTRUCTIONS
              for body in ((line, ADD, COPY), (ADD, line, COPY), (ADD, COPY, line))}
  assert outcomes(TWO, "insert") == expected
  assert outcomes("def Predict():", "insert") == {(line,) for line in INSTRUCTIONS}


def test_remove_is_eventually_every_instruction():
  assert outcomes(TWO, "remove") == {(ADD,), (COPY,)}
  three = TWO + "\n  s2 = s0 + s0"
  last = (SUM, 0, 0, 2)
  assert outcomes(three, "remove") == {(ADD, COPY), (ADD, last), (COPY, last)}


def test_insert_or_remove_is_both():
  assert outcomes(TWO, "insert_or_remove") == outcomes(TWO, "insert") | outcomes(TWO, "remove")


def test_lengths_are_respected():
  assert outcomes(ONE, "remove") == {(ADD,)}
  full = TWO + "\n  s1 = abs(s2)"
  assert outcomes(full, "insert") == {(ADD, COPY, (ABS, 2, 0, 1))}


@pytest.mark.parametrize("action", ["alter", "randomize_instruction", "randomize_function",
                                    "remove", "insert_or_remove"])
def test_nothing_happens_to_an_empty_component_function(action):
  changed = outcomes("def Predict():", action, 300) - {()}
  assert bool(changed) == (action == "insert_or_remove")


def test_altering_no_op_changes_nothing():
  space = dataclasses.replace(TINY, predict=Component((0,), 3))
  parents = repeat(parse("def Predict():\n  no_op\n  no_op", space), 200)
  assert mutate(parents, 0, ("alter",)) == parents


@pytest.mark.parametrize("frozen", [Component((), 0), Component(ALL_OPS, 6, 1, searched=False)])
def test_what_is_not_searched_never_changes(frozen):
  space = dataclasses.replace(EVERYTHING, setup=frozen)
  template = random_batch(EVERYTHING, 1)
  if frozen.max_length:
    template = Programs(space, *(getattr(template, name) for name in Programs.ARRAYS))
  else:
    template = Programs.empty(space)
  programs = mutation.random_programs(space, 100, seed=0, template=template)
  for step in range(50):
    programs = mutate(programs, step, MUTATIONS)
  slots = space.slots(0)
  for name in Programs.ARRAYS:
    expected = np.repeat(getattr(template, name)[:, slots], 100, axis=0)
    np.testing.assert_array_equal(getattr(programs, name)[:, slots], expected)
  assert len(set(bodies(programs.validate()))) == 100


def assert_unused_fields_are_zero(programs):
  table, opcode = op_table.columns(), programs.opcode
  empty = opcode == EMPTY
  assert not programs.in1[empty | (table.num_inputs[opcode] < 1)].any()
  assert not programs.in2[empty | (table.num_inputs[opcode] < 2)].any()
  assert not programs.out[empty | (table.output_kind[opcode] < 0)].any()
  unused = np.arange(3) >= table.num_constants[opcode][..., None]
  assert not programs.constants[empty[..., None] | unused].any()


@settings(max_examples=8)
@given(st.integers(0, 2**32), st.sampled_from([FIXED, EVERYTHING]))
def test_programs_stay_valid_through_thousands_of_mutations(seed, space):
  programs = random_batch(space, 40, seed)
  low, high = (np.array([getattr(component, name) for component in space.components])
               for name in ("min_length", "max_length"))
  for step in range(80):
    parents = programs[:]
    before = Programs(space, *(getattr(parents, name).copy() for name in Programs.ARRAYS))
    programs = mutate(parents, seed + step, MUTATIONS, 0.9)
    assert parents == before
    assert (low <= programs.lengths).all() and (programs.lengths <= high).all()
    if step % 10 == 9:
      assert_unused_fields_are_zero(programs.validate())


def test_the_label_and_the_features_are_never_written():
  programs = random_batch(EVERYTHING, 2000)
  for op in op_table.all_ops()[1:65]:
    written = programs.out[programs.opcode == op.id]
    assert set(written.tolist()) == set(
        range(FIRST_WRITABLE[op.output], EVERYTHING.num_addresses[op.output]))


def test_a_printed_program_is_the_program():
  programs = random_batch(EVERYTHING, 300)
  texts = [format_program(programs, k) for k in range(len(programs))]
  again = parse_many(texts, EVERYTHING)
  for name in ("opcode", "in1", "in2", "out"):
    np.testing.assert_array_equal(getattr(again, name), getattr(programs, name))
  is_index = op_table.columns().is_index[programs.opcode] & (programs.opcode != EMPTY)[..., None]
  features = EVERYTHING.num_features
  expected = np.where(
      is_index, (np.floor(programs.constants * features) + 0.5) / features, programs.constants)
  np.testing.assert_array_equal(again.constants, expected)
  assert is_index.sum() > 100
  # Six digits, and at most sign, point and exponent beside them.
  numbers = programs.constants[~is_index]
  assert max(len(repr(number).lstrip("-0.").replace(".", "")) for number in numbers.tolist()) <= 10


def test_constants_are_rounded_to_six_digits():
  values = [0.0, 1.23456789, -0.000123456789, 9.9999999, 123456789.0, 1e38, 0.1, -3e-5, 1e-12]
  rng = np.random.default_rng(0)
  many = rng.standard_normal(5000) * 10.0 ** rng.integers(-9, 9, 5000)
  for some in (np.array(values), many):
    rounded = some.copy()
    kernel_calls.round_constants(rounded)
    assert rounded.tolist() == [float(f"{value:.5e}") for value in some]


def test_constants_stay_finite_however_often_they_are_altered():
  space = dataclasses.replace(TINY, predict=Component((56,), 1))
  programs = repeat(parse("def Predict():\n  s1 = 1e37", space), 20)
  for step in range(300):
    programs = mutate(programs, step, ("alter",))
  assert np.abs(programs.constants).max() == 1e38
  again = parse_many([format_program(programs, k) for k in range(20)], space)
  assert again == programs.validate()


def test_numbers_of_mutations_are_those_of_lineages():
  assert tuple(mutation._BUILT_IN) == MUTATIONS


def test_random_programs_fill_what_is_searched_each_from_its_own_stream():
  programs = mutation.random_programs(FIXED, 50, seed=0).validate()
  assert programs.lengths.tolist() == [[3, 2, 3]] * 50
  assert mutation.random_programs(FIXED, 1, seed=0, first=7) == programs[7]
  for other in ({"seed": 1}, {"seed": 0, "island": 1}, {"seed": 0, "first": 50}):
    others = mutation.random_programs(FIXED, 50, **other)
    assert not set(bodies(others)) & set(bodies(programs))


@pytest.mark.parametrize("arguments, message", [
    ({"actions": ()}, "No mutations are given; choose from alter, randomize_instruction"),
    ({"actions": ("alter", "cross")}, "Unknown mutations .'cross'.; choose from alter"),
    ({"probability": -0.1}, "must be in .0, 1., got -0.1"),
    ({"probability": float("nan")}, "must be in .0, 1., got nan"),
])
def test_errors(arguments, message):
  with pytest.raises(ValueError, match=message):
    mutation.mutator(**arguments)


@pytest.mark.parametrize("component", [
    Component((), 3), Component((1,), 0), Component((1,), 3, searched=False)])
def test_a_space_in_which_nothing_is_searched(component):
  space = SearchSpace(3, 1, 0, 2, component, component, component)
  with pytest.raises(ValueError, match="Nothing to search"):
    mutation.random_programs(space, 1, seed=0)
  with pytest.raises(ValueError, match="Nothing to search"):
    mutation.mutated(Programs.empty(space), mutation.mutator(), seed=0)
