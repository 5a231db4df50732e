"""Evolution is the sequential algorithm, child by child, whatever works side by side."""

import dataclasses
import itertools
import math
import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
from reference.breeding import Breeder
from reference.draws import Stream
from reference.scoring import Scorer
from reference.textbook import UNLIMITED, Budget, Member, Method, Textbook, from_programs
from support.search_cases import (
  FIXED,
  ONE_LAYER,
  VARIABLE,
  assert_same_state,
  config,
  easy_tasks,
  tasks,
)
from support.toy_evaluator import ToyEvaluator

from azero.executors.evaluator import Evaluator
from azero.language.program import Programs
from azero.language.text import parse
from azero.search import methods
from azero.search import search as search_module
from azero.search.ancestry import NUMBER, USES
from azero.search.evolution import Evolution
from azero.search.rounds import committing, evaluating, proposing
from azero.search.rounds import round as rounds

ISLANDS, CHILDREN = 3, 400

LEARN_ONLY = dataclasses.replace(
    FIXED, setup=dataclasses.replace(FIXED.setup, searched=False),
    predict=dataclasses.replace(FIXED.predict, searched=False))
REGRESSOR = """
def Setup():
  s3 = 0.1
def Predict():
  s1 = dot(v0, v1)
def Learn():
  s2 = s0 - s1
  s2 = s2 * s3
  v2 = s2 * v0
"""
OTHER = "def Predict():\n  s1 = dot(v0, v0)\n"


class Recording:
  """What the islands of a search do: children in order, and where rounds begin."""

  def __init__(self, monkeypatch, num_islands):
    self.children = [[] for _ in range(num_islands)]
    self.steps = [[] for _ in range(num_islands)]
    self.numbers = [[] for _ in range(num_islands)]
    self.begins = [{0} for _ in range(num_islands)]
    self.guesses = [{} for _ in range(num_islands)]  # of the rounds at most, by their beginnings
    propose, commit = proposing.propose, committing.commit

    def proposed(islands, own, *others):
      for island in own.tolist():
        self.begins[island].add(int(islands.made[island]))
        self.guesses[island][int(islands.made[island])] = int(islands.guesses[island])
      return propose(islands, own, *others)

    def committed(islands, means, rnd, *others):
      found = commit(islands, means, rnd, *others)
      space = self.space
      for c in np.flatnonzero(rnd.kept[: rnd.counts[rounds.CHILDREN]]):
        island = int(rnd.island[c])
        row = island * means.rules.population_size + int(rnd.place[c])
        program = Programs(space, *(array[row : row + 1] for array in islands.population))
        self.children[island].append(Member(from_programs(program), float(rnd.fitness[c])))
        self.steps[island].append(int(rnd.steps[c]))
        self.numbers[island].append(int(rnd.number[c]))
      return found

    monkeypatch.setattr(proposing, "propose", proposed)
    monkeypatch.setattr(committing, "commit", committed)

  def run(self, search, num_children):
    """Steps a search until every island has so many children, or no budget."""
    self.space = search.space
    while not search.finished and search.cycle < num_children:
      search.step()
    return search


def population(search, island):
  """The population of an island, oldest first."""
  size = search.config.population_size
  slots = (search.oldest[island] + np.arange(size)) % size
  return [
      Member(from_programs(search.population, island * size + slot), search.fitness[island, slot])
      for slot in slots]


def state(search, island):
  """All that an island has come to."""
  return (
      population(search, island), search.best_fitness[island],
      from_programs(search.best_programs, island), search.train_steps[island],
      search.num_programs[island])


def run(
    islands=ISLANDS, children=60, space=FIXED, template=None, evaluator=ToyEvaluator,
    first_island=0, **settings):
  chosen = config(**({"cycles_per_step": 20} | settings))
  search = Evolution(
      space, tasks(ISLANDS)[first_island : first_island + islands], chosen, template=template,
      first_island=first_island, evaluator=evaluator)
  while search.cycle < children:
    search.step()
  return search


def method_of(chosen):
  """The method of the textbook by settings of a search."""
  return Method(
      {"empty": "given"}.get(chosen.initial, chosen.initial), chosen.filters,
      chosen.structure_limit or math.inf, chosen.attempts, chosen.constant_trials,
      chosen.restart_patience or math.inf, chosen.leaps)


def sequential(search, island, *, children=CHILDREN, budget=UNLIMITED):
  """What the textbook does on an island; and how it was scored."""
  space, chosen, template = search.space, search.config, search.template
  size = chosen.task_sample or len(search.task_sets[0])
  samples = [
      each[first : first + size] for each in search.task_sets
      for first in range(0, len(each), size)]
  evaluator = search._make_evaluator(
      space, samples, lanes=chosen.lanes,
      **(chosen.evaluator_settings() | {"num_devices": 1}))
  scorer = Scorer(space, evaluator, search.task_sets[island], chosen, island=island)
  given = [[[], [], []]] if template is None else [
      from_programs(template, k) for k in range(len(template))]
  book = Textbook(
      Breeder(space, chosen.mutations, chosen.mutation_probability), scorer, seed=chosen.seed,
      island=search.first_island + island)
  history = book.run(
      chosen.population_size, chosen.tournament_size, children, given=given,
      method=method_of(chosen), budget=budget)
  return history, scorer


def assert_sequential(search, recording, **bounds):
  """Checks all islands against the textbook, child by child; returns how children were answered.
  """
  answers = []
  for island in range(search.num_islands):
    expected, scorer = sequential(search, island, **bounds)
    assert recording.children[island] == expected.children
    assert recording.steps[island] == expected.train_steps
    assert recording.numbers[island] == expected.numbers
    if len(expected.children) >= search.config.population_size:
      assert population(search, island) == expected.population
    assert_lineages(search, island, expected)
    assert from_programs(search.best_programs, island) == expected.best.program
    assert search.best_fitness[island] == expected.best.fitness
    assert search.train_steps[island] == expected.train_steps[-1]
    assert search.num_programs[island] == expected.numbers[-1]
    assert search.num_evaluated[island] == len(scorer.answers) - scorer.answers.count("key")
    answers += scorer.answers
  counts = search.counts
  assert counts.programs == len(answers) and counts.train_steps == search.train_steps.sum()
  assert [counts.canonical_hits, counts.fingerprint_hits, counts.stopped_early,
          counts.hurdle_stopped, counts.evaluated] == [
              answers.count(each) for each in ("key", "print", "stopped", "hurdle", "trained")]
  return answers


def assert_lineages(search, island, expected):
  """Checks what is kept of an island's ancestors, and the lineages of all that is kept."""
  number, alive = search.first_island + island, len(expected.children)
  living = range(max(0, alive - search.config.population_size), alive)
  lineages = {
      n: search._genealogy.lineage(island, n % search.config.population_size) for n in living}
  lineages |= {
      expected.numbers.index(entry.num_programs): entry.lineage
      for entry in itertools.chain(search.hall_of_fame, search.front) if entry.island == number}
  told = {}  # steps by their keys: lineages share most of theirs, and decoding takes long
  for n, lineage in lineages.items():
    line = expected.lineage(n)
    assert len(lineage) == len(line)
    for place, (key, child) in enumerate(zip(lineage.keys(), line, strict=True)):
      if key not in told:
        step = told[key] = lineage[place]
        assert step.num_programs == expected.numbers[child]
        assert step.mutation == expected.mutations[child]
        assert Member(from_programs(step.program), step.fitness) == expected.children[child]
        assert (step.island, step.skipped) == (number, 0)
      assert told[key].num_programs == expected.numbers[child]
  ancestry = search.islands.ancestry
  nodes = ancestry.nodes[island]
  kept = nodes[nodes[:, USES] > 0, NUMBER]
  assert sorted(kept) == sorted(
      expected.numbers[k] for k in set().union(*map(expected.lineage, living)))


SPACES = {
    "fixed length, random": (FIXED, None, {}),
    "variable length, empty": (VARIABLE, None, {
        "initial": "empty", "mutations": ("insert_or_remove", "randomize_function", "alter")}),
    "variable length, separate actions": (VARIABLE, None, {
        "initial": "empty", "mutations": ("alter", "randomize_function", "insert", "remove"),
        "mutation_probability": 0.6}),
    "variable length, from programs": (VARIABLE, REGRESSOR + OTHER, {
        "initial": "empty", "mutations": ("alter", "remove", "randomize_instruction")}),
    "only Learn, the rest given": (LEARN_ONLY, REGRESSOR, {"tournament_size": 1}),
}
NO_CACHE = {"canonical_cache": False, "fingerprint": False}
KEYS = {"fingerprint": False}
PRINTS = {"canonical_cache": False}
CACHES = {"none": NO_CACHE, "keys": KEYS, "prints": PRINTS, "both": {}}


def read(text, space):
  """Programs of a text in which each begins with its Setup or, without one, its Predict."""
  if text is None:
    return None
  parts = [REGRESSOR, OTHER] if OTHER in text else [text]
  return Programs.concatenate([parse(part, space) for part in parts])


def evolve(monkeypatch, space=FIXED, text=None, *, islands=ISLANDS, children=CHILDREN,
           evaluator=ToyEvaluator, **settings):
  """A search and what was seen of it."""
  recording = Recording(monkeypatch, islands)
  search = Evolution(
      space, tasks(islands), config(**({"cycles_per_step": 200} | settings)),
      template=read(text, space), evaluator=evaluator)
  return recording.run(search, children), recording


@pytest.mark.parametrize("case", SPACES)
def test_children_are_those_of_the_textbook(monkeypatch, case):
  space, text, settings = SPACES[case]
  search, recording = evolve(monkeypatch, space, text, num_devices=2, **settings)
  answers = assert_sequential(search, recording)
  assert answers.count("key") > 50 and answers.count("print") > 5
  # Rounds had several children, and selection had work.
  for island in range(ISLANDS):
    assert len(recording.begins[island]) < CHILDREN / 2
    assert len({member.fitness for member in recording.children[island]}) >= 4


VALID = "def Setup():\n  s3 = 0.1" + ONE_LAYER
_GROWN = {
    "initial": "grown", "mutations": (
        "alter", "rewire", "regrow_instructions", "regrow_function", "add_parameter",
        "add_update", "extend_path", "insert_or_remove")}
_FILTERS = {"filters": ("changed", "valid"), "attempts": 20}
METHODS = {
    "filters": (VALID, 200, _FILTERS | _GROWN | {"initial": "empty"}),
    "grown": (None, 200, _GROWN),
    "azero's mutations": (None, 200, _GROWN | {
        "mutations": methods.METHODS[methods.AZERO]["mutations"]}),
    "filters and restarts": (VALID, 200, _FILTERS | {"initial": "empty", "restart_patience": 20}),
    "structures": (None, 200, {"structure_limit": 2, "attempts": 5}),
    "constants": (None, 200, {"constant_trials": 3}),
    "leaps": (VALID, 150, _GROWN | {
        "initial": "empty", "filters": ("features", "valid"), "leaps": 0.7, "attempts": 10}),
    "all": (None, 250, _GROWN | _FILTERS | {
        "structure_limit": 1, "constant_trials": 4, "restart_patience": 25, "leaps": 0.3}),
}


@pytest.mark.parametrize("case", METHODS)
def test_other_methods_are_sequential_too(monkeypatch, case):
  text, children, settings = METHODS[case]
  islands = 1 if case == "all" else 2
  search, recording = evolve(
      monkeypatch, VARIABLE, text, islands=islands, children=children,
      **({"cycles_per_step": children} | settings))
  assert_sequential(search, recording, children=children)
  assert (search.islands.restarts > 0).all() == ("restart_patience" in settings)


@pytest.mark.parametrize("hurdle", [None, 0.5])
@pytest.mark.parametrize("caches", CACHES)
@pytest.mark.parametrize(("islands", "devices"), [(1, 1), (1, 2), (2, 2), (3, 1), (3, 2)])
def test_nothing_depends_on_islands_devices_and_caches(
    monkeypatch, islands, devices, caches, hurdle):
  monkeypatch.setattr(evaluating, "WORTH_SHARING", 1)
  search, recording = evolve(
      monkeypatch, islands=islands, num_devices=devices, population_size=40, tournament_size=5,
      children=200, hurdle=hurdle, **CACHES[caches])
  answers = assert_sequential(search, recording, children=200)
  assert (answers.count("hurdle") > 5) == (hurdle is not None)
  assert (answers.count("key") > 0) == (caches in ("keys", "both"))
  assert (answers.count("print") > 0) == (caches in ("prints", "both"))
  assert all(search._stages._full.evaluator.calls)


@pytest.mark.parametrize("caches", CACHES)
def test_children_are_scored_on_the_sample_of_their_turn(monkeypatch, caches):
  monkeypatch.setattr(evaluating, "WORTH_SHARING", 1)
  search, recording = evolve(
      monkeypatch, islands=2, num_devices=2, task_sample=1, population_size=40, tournament_size=5,
      mutation_probability=0.5, children=400, cache_size=64, constant_trials=2, **CACHES[caches])
  answers = assert_sequential(search, recording)
  monkeypatch.undo()
  # A copy on another sample is a new program: each of two has to know it.
  whole = run(
      islands=2, population_size=40, tournament_size=5, mutation_probability=0.5, children=400,
      cycles_per_step=200, constant_trials=2, **CACHES[caches])
  assert answers.count("trained") > whole.counts.evaluated or caches == "none"
  assert search.train_steps.sum() < 0.75 * whole.train_steps.sum()


def test_only_azeros_own_evaluator_compiles_beside_the_rounds(monkeypatch):
  prepared = []
  monkeypatch.setattr(evaluating.Stages, "prepare", lambda stages: prepared.append(stages))
  for evaluator in (ToyEvaluator, Evaluator):
    for _ in range(2):
      search = Evolution(FIXED, tasks(2), config(), evaluator=evaluator)
      search.step()
      search.step()
  assert len(prepared) == 2


def test_samples_of_shared_tasks_are_shared():
  shared = tasks(1)
  samples = evaluating.sampled(shared * 3, 1)
  assert [id(each) for each in samples] == [id(each) for each in samples[:2]] * 3
  np.testing.assert_array_equal(samples[1].train_x, shared[0].train_x[1:])


def test_tasks_that_cannot_be_divided_into_samples():
  with pytest.raises(ValueError, match="task_sample=3 does not divide the 2 tasks of an island"):
    Evolution(FIXED, tasks(1), config(task_sample=3), evaluator=ToyEvaluator)


@pytest.mark.parametrize("caches", ["keys", "prints", "both"])
def test_small_caches_forget_in_the_order_of_children(monkeypatch, caches):
  # Half of all children are copies, and eight entries far too few.
  search, recording = evolve(
      monkeypatch, cache_size=8, population_size=40, tournament_size=5, num_devices=2,
      mutation_probability=0.5, children=1000, **CACHES[caches])
  answers = assert_sequential(search, recording, children=1000)
  monkeypatch.undo()
  large = run(
      population_size=40, tournament_size=5, mutation_probability=0.5, children=1000,
      cycles_per_step=200, **CACHES[caches])
  assert answers.count("trained") > 1.3 * large.counts.evaluated


@pytest.mark.parametrize(("settings", "budget"), [
    ({"max_programs": 1}, Budget(programs=1)),
    ({"max_programs": 7}, Budget(programs=7)),
    ({"max_programs": 150}, Budget(programs=150)),
    ({"max_train_steps": 1}, Budget(train_steps=1)),
    ({"max_train_steps": 500}, Budget(train_steps=500)),
    ({"max_train_steps": 3000}, Budget(train_steps=3000)),
    ({"max_train_steps": 3001}, Budget(train_steps=3001)),
    ({"max_programs": 90, "max_train_steps": 2000}, Budget(90, 2000)),
    # A child is tried with all constants, so that a budget given anew continues the same search.
    ({"max_programs": 151, "constant_trials": 4}, Budget(programs=151)),
    ({"max_programs": 152, "constant_trials": 4}, Budget(programs=152)),
])
@pytest.mark.parametrize("caches", ["none", "both"])
def test_an_island_stops_before_the_child_for_which_its_budget_is_spent(
    monkeypatch, settings, budget, caches):
  search, recording = evolve(monkeypatch, **settings, **CACHES[caches])
  assert search.finished
  assert_sequential(search, recording, budget=budget)
  if budget.train_steps < budget.programs * 2:
    most = search._stages.most_train_steps
    assert (search.train_steps < budget.train_steps + most).all()


@pytest.mark.parametrize("case", ["fixed length, random", "variable length, empty"])
@pytest.mark.parametrize("caches", ["none", "both"])
def test_a_hurdle_moves_with_every_generation(monkeypatch, case, caches):
  space, text, settings = SPACES[case]
  search, recording = evolve(
      monkeypatch, space, text, hurdle=0.5, num_devices=2, **settings, **CACHES[caches])
  answers = assert_sequential(search, recording)
  assert answers.count("hurdle") > 20 and answers.count("trained") > 20
  for island in range(ISLANDS):  # rounds end there, and elsewhere
    assert set(range(0, CHILDREN, 12)) < recording.begins[island]
    assert len(recording.begins[island]) < CHILDREN / 2
  alone, _ = evolve(
      monkeypatch, space, text, hurdle=0.5, num_devices=1, **settings, **CACHES[caches])
  assert_same_state(alone.state(), search.state())


@pytest.mark.parametrize("cycles", [1, 7, 12, 200, None])
@pytest.mark.parametrize("settings", [
    {}, {"population_size": 50, "constant_trials": 3}, {"task_sample": 1, "cache_size": 16}])
def test_a_hurdle_does_not_depend_on_where_steps_end(monkeypatch, cycles, settings):
  monkeypatch.setattr(search_module, "_STEP_NUMBERS", 500_000)
  search, recording = evolve(
      monkeypatch, islands=2, children=1000, hurdle=0.5, cycles_per_step=cycles, max_programs=240,
      **settings)
  assert search.finished
  answers = assert_sequential(search, recording, budget=Budget(programs=240))
  assert answers.count("hurdle") > 20


@pytest.mark.parametrize(("smaller", "budget"), [
    ({"max_programs": 150}, Budget(programs=350)),  # in the middle of a generation
    ({"max_programs": 156}, Budget(programs=350)),  # at its end
    ({"max_programs": 1}, Budget(programs=350)),
    ({"max_train_steps": 1500}, Budget(train_steps=5000)),
    ({"max_train_steps": 1501}, Budget(train_steps=5001)),
])
@pytest.mark.parametrize("caches", ["none", "both"])
def test_with_a_larger_budget_a_search_goes_on_as_if_it_had_had_it(
    monkeypatch, smaller, budget, caches):
  ended, recording = evolve(monkeypatch, hurdle=0.5, **smaller, **CACHES[caches])
  assert ended.finished and max(map(len, recording.children)) < CHILDREN
  larger = budget.programs if "max_programs" in smaller else budget.train_steps
  search = Evolution(
      FIXED, tasks(ISLANDS), dataclasses.replace(ended.config, **{next(iter(smaller)): larger}),
      evaluator=ToyEvaluator)
  search.restore(pickle.loads(pickle.dumps(ended.state())))
  while not search.finished:
    search.step()
  assert_sequential(search, recording, budget=budget, children=10_000)


@pytest.mark.parametrize(("size", "contestants"), [(12, 4), (100, 10), (400, 2)])
def test_a_round_ends_with_a_wrong_guess_or_too_many(monkeypatch, size, contestants):
  step = 1000
  search, recording = evolve(
      monkeypatch, islands=1, population_size=size, tournament_size=contestants,
      cycles_per_step=step, children=2 * step, fingerprint=False, mutation_probability=0.5)
  history, scorer = sequential(search, 0, children=2 * step)
  reasons = []
  begins = [*sorted(recording.begins[0] - {2 * step}), 2 * step]
  for first, end in itertools.pairwise(begins):
    # Pending are those whose score was asked for in this round.
    pending = {n for n in range(first, end) if scorer.asked_first[n] >= first}
    assert not pending & set(history.parents[first:end])
    waits = [pending & drawn(n, size, contestants, search.config.seed)
             for n in range(max(first, size), end + 1)]
    guesses, most = sum(map(bool, waits[:-1])), recording.guesses[0][first]
    assert guesses <= most
    if end % step == 0:
      reasons.append("step")
    elif end - first == min(size, 256):
      reasons.append("full")
    elif history.parents[end] in pending:
      reasons.append("wrong")
    else:
      assert guesses == most and waits[-1]
      reasons.append("many")
  assert reasons.count("step") == 2 and reasons.count("wrong") > 4
  assert {"full", "many"} < set(reasons)


@pytest.mark.parametrize("hurdle", [None, 0.5])
def test_a_step_is_some_rounds_of_every_island(monkeypatch, hurdle):
  monkeypatch.setattr(search_module, "_STEP_NUMBERS", 500_000)
  searches = []
  for num_devices in 1, 2:
    search, recording = evolve(
        monkeypatch, islands=3, children=1, cycles_per_step=None, num_devices=num_devices,
        hurdle=hurdle)
    begun = recording.begins
    while search.cycle < 300:
      search.step()
    searches.append((search, begun))
  (one, first), (two, second) = searches
  assert_same_state(one.state(), two.state())
  assert first == second
  # Who does cheaper things is ahead.
  assert one.cycle == one.islands.made.min() < one.islands.made.max()


def drawn(child, size, contestants, seed):
  """The children that the tournament of a child draws."""
  stream = Stream(seed, 0, child)
  return {child - size + 1 + stream.pick(size - 1) for _ in range(contestants)}


@pytest.mark.parametrize("settings", [
    {}, {"hurdle": 0.5, "cycles_per_step": 7},
    {"space": VARIABLE, "initial": "empty", "num_devices": 2, "mutations": (
        "insert_or_remove", "randomize_function", "alter")}])
def test_the_wave_executor_is_the_textbook_algorithm(monkeypatch, settings):
  search, recording = evolve(monkeypatch, evaluator=Evaluator, children=252, **settings)
  answers = assert_sequential(search, recording, children=search.cycle)
  assert answers.count("key") > 50


@pytest.mark.parametrize("settings", [
    {}, {"cycles_per_step": 3}, {"fingerprint": False, "cache_size": 8},
    {"hurdle": 0.5, "task_sample": 1}, {"hurdle": 0.5, "evaluator": Evaluator}])
def test_an_island_does_the_same_alone_and_among_others(settings):
  together = run(num_devices=2, **settings)
  for island in range(ISLANDS):
    alone = run(islands=1, first_island=island, **settings)
    assert state(alone, 0) == state(together, island)


def test_many_islands_take_turns_in_rounds_without_room_for_all():
  # More islands than a round has room for, some of which are taken out.
  search = Evolution(
      FIXED, tasks(1) * 45, config(population_size=256, cycles_per_step=300),
      evaluator=ToyEvaluator)
  for island in range(33, 45):
    search.finish(island)
  search.step()
  assert search.num_programs.tolist() == [300] * 33 + [0] * 12
  few = Evolution(
      FIXED, tasks(1) * 3, config(population_size=256, cycles_per_step=300),
      evaluator=ToyEvaluator)
  few.step()
  for island in range(3):
    assert state(few, island) == state(search, island)


@pytest.mark.parametrize("hurdle", [None, 0.5])
@pytest.mark.parametrize("cycles", [1, 5, 60])
def test_where_steps_end_changes_nothing(cycles, hurdle):
  search, other = (
      run(children=180, cycles_per_step=each, hurdle=hurdle) for each in (180, cycles))
  for island in range(ISLANDS):
    assert state(search, island) == state(other, island)
  assert search.counts == other.counts
  assert list(search.hall_of_fame) == list(other.hall_of_fame)
  found, expected = (
      sorted(each.take_improvements(), key=lambda item: item[:4]) for each in (search, other))
  assert found == expected


def test_a_round_that_an_error_broke_off_leaves_nothing_behind(monkeypatch):
  expected, search = run(children=100), run(children=40)
  before = pickle.loads(pickle.dumps(search.state()))
  with monkeypatch.context() as patch:
    patch.setattr(ToyEvaluator, "evaluate_plan", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
      search.step()
  search.restore(before)
  while search.cycle < 100:
    search.step()
  assert_same_state(search.state(), expected.state())


def test_one_island_on_two_devices_shares_its_rounds(monkeypatch):
  monkeypatch.setattr(evaluating, "WORTH_SHARING", 1)
  one, two = (run(islands=1, num_devices=count, hurdle=0.5, children=300) for count in (1, 2))
  assert len(two._threads) == 1 and min(two._stages._full.evaluator.calls) > 20
  assert_same_state(one.state(), two.state())


@pytest.mark.parametrize("settings", [{}, {"hurdle": 0.5}])
def test_history_does_not_depend_on_the_number_of_devices(settings):
  one, two = (
      run(num_devices=devices, evaluator=Evaluator, **settings) for devices in (1, 2))
  assert (one.counts.hurdle_stopped > 0) == ("hurdle" in settings)
  assert one.population == two.population
  for island in range(ISLANDS):
    assert state(one, island) == state(two, island)
  assert one.counts == two.counts


_ON_THREE_DEVICES = """
import jax
from azero.executors.devices import set_xla_flags
set_xla_flags()
jax.config.update("jax_num_cpu_devices", 3)
from support import search_cases
from azero.executors.evaluator import Evaluator
from azero.search.evolution import Evolution

calls = [0] * 3
evaluate_plan = Evaluator.evaluate_plan

def counted(self, plan, task_sets, device=0):
  calls[device] += 1
  return evaluate_plan(self, plan, task_sets, device)

Evaluator.evaluate_plan = counted
histories = []
for num_devices in (1, 2, 3):
  search = Evolution(
      search_cases.FIXED, search_cases.tasks(4),
      search_cases.config(num_devices=num_devices, hurdle=0.5, lanes=8, cycles_per_step=20))
  while search.cycle < 60:
    search.step()
  histories.append(search.state())
  assert all(calls[:num_devices]) and not any(calls[num_devices:]), calls
  calls[:] = [0] * 3
for history in histories[1:]:
  search_cases.assert_same_state(histories[0], history)
"""


@pytest.mark.slow  # compiles for long
def test_history_is_the_same_on_one_two_and_three_devices():
  done = subprocess.run(
      [sys.executable, "-c", _ON_THREE_DEVICES], cwd=pathlib.Path(__file__).parents[1],
      capture_output=True, text=True, timeout=300)
  assert done.returncode == 0, done.stderr


def test_history_does_not_depend_on_how_many_programs_run_at_once():
  seen = []

  def noted(*tasks, lanes, **settings):
    seen.append(lanes)
    return Evaluator(*tasks, lanes=lanes, **settings)

  few, many = (run(lanes=lanes, evaluator=noted) for lanes in (16, 32))
  assert seen == [16, 32]
  assert few.population == many.population
  np.testing.assert_array_equal(few.fitness, many.fitness)


def test_islands_differ_even_on_equal_tasks():
  search = Evolution(FIXED, [tasks()[0]] * ISLANDS, config(), evaluator=ToyEvaluator)
  search.step()
  first, second, third = (population(search, island) for island in range(ISLANDS))
  assert first != second and first != third and second != third


def test_a_finished_island_rests_and_the_others_go_on_alike():
  whole = run(children=120)
  search = run(children=60)
  rested = state(search, 1)
  search.finish(1)
  while search.cycle < 120:
    search.step()
  assert state(search, 1) == rested
  assert state(search, 0) == state(whole, 0)
  assert state(search, 2) == state(whole, 2)
  assert search.active.tolist() == [True, False, True]


def test_the_oldest_programs_leave_first():
  search = run(islands=1, children=60, cycles_per_step=5)
  before = population(search, 0)
  search.step()
  after = population(search, 0)
  assert after[:7] == before[5:]
  assert search.oldest.tolist() == [65 % 12]


def test_no_mutation_only_copies_survivors():
  search = run(islands=1, mutation_probability=0.0, tournament_size=12)
  members = population(search, 0)
  assert {member.fitness for member in members} <= {search.fitness.max()}
  assert search.counts.evaluated <= 12


def test_a_program_to_start_from_fills_the_population():
  template = parse(REGRESSOR, VARIABLE)
  search = run(
      children=12, cycles_per_step=12, space=VARIABLE, template=template, initial="empty",
      fingerprint=False, mutations=("insert_or_remove",))
  assert search.population == template[np.zeros(ISLANDS * 12, int)]
  assert search.counts.evaluated == ISLANDS and search.counts.canonical_hits == ISLANDS * 11


def test_evolution_finds_an_easy_target():
  search = Evolution(
      FIXED, easy_tasks(),
      config(population_size=50, tournament_size=10, cycles_per_step=50, seed=8))
  search.step()
  assert search.best_fitness[0] < 0.5
  while search.best_fitness[0] < 0.9999 and search.num_programs[0] < 3000:
    search.step()
  assert search.best_fitness[0] > 0.9999
  assert "s1 = dot(v0, v0)" in repr(search.hall_of_fame.best.program)


@pytest.mark.parametrize("settings, message", [
    ({"mutations": ("alter", "swap")}, "Unknown mutations .'swap'.; choose from alter"),
    ({"mutations": ()}, "No mutations are given; choose from alter"),
    ({"mutation_probability": 1.5}, "mutation probability must be in .0, 1., got 1.5"),
    ({"initial": "empty"}, "leave empty programs empty: start from random ones"),
    ({"combine": "max"}, "combine must be one of median, mean, got 'max'"),
    ({"dtype": "int8"}, "dtype must be one of float32, float64, got 'int8'"),
    ({"num_devices": 99}, "num_devices must be from 1 to 2"),
    ({"max_programs": 10**19}, "max_programs must be at most 1,000,000,000,000,000,000 or None"),
])
def test_errors(settings, message):
  with pytest.raises(ValueError, match=message):
    Evolution(FIXED, tasks(), config(**settings))


def test_a_template_must_be_valid_programs_of_the_space():
  template = parse(REGRESSOR, FIXED)
  for bad in (template[:0], parse(REGRESSOR, VARIABLE)):
    with pytest.raises(ValueError, match="must be programs of the search's own space, one or more"):
      Evolution(FIXED, tasks(), config(), template=bad)
  broken = template[0]
  broken.out[0, 0] = 0
  with pytest.raises(ValueError, match="Setup, instruction 1: the output of scalar_constant"):
    Evolution(FIXED, tasks(), config(), template=broken)
  search = Evolution(FIXED, tasks(), config(max_programs=12, initial="empty"), template=template)
  while not search.finished:
    search.step()
  assert search.population == template[np.zeros(len(search.population), int)]
