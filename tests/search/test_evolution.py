import dataclasses
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from reference.textbook import Member, Textbook, from_programs, to_programs
from support.search_cases import FIXED, VARIABLE, config, easy_tasks, tasks
from support.toy_evaluator import ToyEvaluator

from azero.executors.evaluator import Evaluator
from azero.language.program import Programs
from azero.language.text import parse
from azero.search import search as search_module
from azero.search.evolution import Evolution
from azero.search.streams import Streams

ISLANDS, CYCLES = 3, 250

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


def advance(search, cycles):
  """Steps a search; returns every child of every island: [I] lists of members."""
  children = [[] for _ in range(search.num_islands)]
  size = search.config.population_size
  search.step()
  for island in range(search.num_islands):
    children[island] += population(search, island)
  for _ in range(cycles):
    search.step()
    for island in range(search.num_islands):
      newest = island * size + (search.oldest[island] - 1) % size
      fitness = search.fitness.ravel()[newest]
      children[island].append(Member(from_programs(search.population, newest), fitness))
  return children


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
    islands=ISLANDS, cycles=30, space=FIXED, template=None, evaluator=ToyEvaluator, **settings):
  search = Evolution(
      space, tasks(ISLANDS)[:islands], config(**settings), template=template,
      evaluator=evaluator)
  for _ in range(cycles + 1):
    search.step()
  return search


CASES = {
    "fixed length, random": (FIXED, None, {}),
    "variable length, empty": (VARIABLE, None, {
        "initial": "empty", "mutations": ("insert_or_remove", "randomize_function", "alter")}),
    "variable length, separate actions": (VARIABLE, None, {
        "initial": "empty", "mutations": ("alter", "randomize_function", "insert", "remove"),
        "mutation_probability": 0.6}),
    "variable length, from a program": (VARIABLE, REGRESSOR, {
        "initial": "empty", "mutations": ("alter", "remove", "randomize_instruction")}),
    "only Learn, the rest given": (LEARN_ONLY, REGRESSOR, {"tournament_size": 1}),
}


@pytest.mark.parametrize("case", [
    pytest.param(case, marks=[pytest.mark.slow] if case.endswith(
        ("separate actions", "from a program")) else [])
    for case in CASES])
def test_one_child_per_cycle_is_the_textbook_algorithm(case):
  space, text, settings = CASES[case]
  template = None if text is None else parse(text, space)
  chosen = config(fingerprint=False, **settings)
  search = Evolution(space, tasks(ISLANDS), chosen, template=template)
  children = advance(search, CYCLES)
  assert search.counts.canonical_hits > 50  # the caches had their part in it

  evaluator = Evaluator(space, tasks(ISLANDS), seed=chosen.seed, lanes=16, num_devices=1)
  for island in range(ISLANDS):
    seeds = np.random.SeedSequence(chosen.seed, spawn_key=(island,))
    frozen = [[], [], []] if template is None else from_programs(template)

    def evaluate(program, island=island):
      return evaluator.evaluate(to_programs(space, program), island).fitness[0]

    book = Textbook(
        space, evaluate, np.random.default_rng(seeds), chosen.mutations,
        chosen.mutation_probability, frozen)
    expected = book.run(
        chosen.population_size, chosen.tournament_size, CYCLES,
        None if chosen.initial == "random" else frozen)
    assert children[island] == expected.children
    assert population(search, island) == expected.population
    assert from_programs(search.best_programs, island) == expected.best.program
    assert search.best_fitness[island] == expected.best.fitness
    assert len({fitness for _, fitness in children[island]}) >= 4  # selection had work


def run_alone(island, cycles=30, evaluator=ToyEvaluator, **settings):
  """What `run` does, with one of its islands only."""
  search = Evolution(
      FIXED, [tasks(ISLANDS)[island]], config(**settings), evaluator=evaluator)
  # A generator belongs to the number of its island, which is 0 for one alone.
  seeds = np.random.SeedSequence(search.config.seed, spawn_key=(island,))
  search.streams = Streams([np.random.default_rng(seeds)])
  for _ in range(cycles + 1):
    search.step()
  return search


@pytest.mark.parametrize("settings", [
    {"evaluator": Evaluator}, {"children_per_cycle": 5}, {"fingerprint": False, "cache_size": 8},
    {"hurdle": 0.5, "children_per_cycle": 5, "evaluator": Evaluator}])
def test_an_island_does_the_same_alone_and_in_lockstep(settings):
  together = run(**settings)
  for island in range(ISLANDS):
    assert state(run_alone(island, **settings), 0) == state(together, island)


@pytest.mark.parametrize("batch", [7, 20, 100])
def test_how_batches_are_cut_does_not_tell_islands_apart(monkeypatch, batch):
  monkeypatch.setattr(search_module, "_BATCH", batch)
  # Many copies and small caches: what is forgotten first is decided by the batches.
  settings = {
      "population_size": 40, "children_per_cycle": 30, "cache_size": 8,
      "mutation_probability": 0.5}
  together = run(cycles=10, **settings)
  for island in range(ISLANDS):
    assert state(run_alone(island, cycles=10, **settings), 0) == state(together, island)
  assert together.num_programs.tolist() == [40 + 10 * 30] * ISLANDS


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
from azero.executors.waves import executor
executor._PART_WORK = 1  # every batch is split over all devices
from support import search_cases
from azero.search.evolution import Evolution

calls = [0] * 3
run = executor.WaveExecutor._run

def counted(self, call, device):
  calls[device] += 1
  return run(self, call, device)

executor.WaveExecutor._run = counted
histories = []
for num_devices in (1, 2, 3):
  search = Evolution(
      search_cases.FIXED, search_cases.tasks(4),
      search_cases.config(num_devices=num_devices, hurdle=0.5, lanes=8))
  for _ in range(12):
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
  few, many = (
      run(fingerprint=False, lanes=lanes, evaluator=Evaluator) for lanes in (16, 32))
  assert few.population == many.population
  np.testing.assert_array_equal(few.fitness, many.fitness)


def test_same_seed_same_history_other_seed_another():
  first, second, other = run(), run(), run(seed=8)
  assert first.population == second.population
  assert first.counts == second.counts
  for island in range(ISLANDS):
    assert state(first, island) == state(second, island)
  assert first.population != other.population


def test_islands_differ_even_on_equal_tasks():
  search = Evolution(FIXED, [tasks()[0]] * ISLANDS, config(), evaluator=ToyEvaluator)
  search.step()
  first, second, third = (population(search, island) for island in range(ISLANDS))
  assert first != second and first != third and second != third


def test_a_finished_island_rests_and_the_others_go_on_alike():
  whole = run(cycles=20)
  search = run(cycles=10)
  rested = state(search, 1)
  search.finish(1)
  for _ in range(10):
    search.step()
  assert state(search, 1) == rested
  assert state(search, 0) == state(whole, 0)
  assert state(search, 2) == state(whole, 2)
  assert search.active.tolist() == [True, False, True]


def test_the_oldest_programs_leave_first():
  search = run(islands=1, cycles=0, children_per_cycle=5)
  before = population(search, 0)
  search.step()
  after = population(search, 0)
  assert after[:7] == before[5:]
  assert search.oldest.tolist() == [5]


def test_no_mutation_only_copies_survivors():
  search = run(islands=1, cycles=40, mutation_probability=0.0, tournament_size=12)
  members = population(search, 0)
  assert {member.fitness for member in members} <= {search.fitness.max()}
  assert search.counts.evaluated <= 12


def test_a_program_to_start_from_fills_the_population():
  template = parse(REGRESSOR, VARIABLE)
  search = run(
      cycles=0, space=VARIABLE, template=template, initial="empty", fingerprint=False,
      mutations=("insert_or_remove",))
  assert search.population == template[np.zeros(ISLANDS * 12, int)]
  assert search.counts.evaluated == ISLANDS and search.counts.duplicates == ISLANDS * 11


def test_evolution_finds_an_easy_target():
  search = Evolution(FIXED, easy_tasks(), config(population_size=50, tournament_size=10))
  search.step()
  assert search.best_fitness[0] < 0.5
  while search.best_fitness[0] < 0.9999 and search.num_programs[0] < 3000:
    search.step()
  assert search.best_fitness[0] > 0.9999
  assert "s1 = dot(v0, v0)" in repr(search.hall_of_fame.best.program)


@pytest.mark.parametrize("settings, message", [
    ({"children_per_cycle": 12}, "children_per_cycle .12. must be smaller than"),
    ({"mutations": ("alter", "swap")}, "Unknown mutations .'swap'.; choose from alter"),
    ({"mutations": ()}, "No mutations are given; choose from alter"),
    ({"mutation_probability": 1.5}, "mutation probability must be in .0, 1., got 1.5"),
    ({"initial": "empty"}, "leave empty programs empty: start from random ones"),
    ({"combine": "max"}, "combine must be one of median, mean, got 'max'"),
    ({"dtype": "int8"}, "dtype must be one of float32, float64, got 'int8'"),
    ({"num_devices": 99}, "num_devices must be from 1 to 2"),
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
  assert isinstance(Evolution(FIXED, tasks(), config(), template=template).template, Programs)
