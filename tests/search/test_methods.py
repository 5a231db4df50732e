"""Methods by name, what they promise of every program, and what is refused."""

import dataclasses

import numpy as np
import pytest
from support import kernel_calls
from support.search_cases import FIXED, VARIABLE, assert_same_state, config, tasks
from support.toy_evaluator import ToyEvaluator

import azero
from azero.compiler import canonical, validity
from azero.compiler.arrays import arrays, scratch, tables
from azero.language import spaces
from azero.language.text import parse
from azero.search import methods
from azero.search.config import SearchConfig
from azero.search.evolution import Evolution
from azero.search.groups.federation import Federation, Group
from azero.search.groups.migration import Migration

ALL = {
    "initial": "grown", "filters": ("valid", "changed"), "structure_limit": 2,
    "constant_trials": 3, "restart_patience": 60, "cycles_per_step": 50,
    "mutations": ("alter", "rewire", "regrow_instructions", "regrow_function", "add_constant")}


def evolve(space=FIXED, children=300, num_islands=2, **settings):
  search = Evolution(
      space, tasks(num_islands), config(**(ALL | settings)), evaluator=ToyEvaluator)
  while search.cycle < children and not search.finished:
    search.step()
  return search


@pytest.mark.parametrize("space", [FIXED, VARIABLE])
def test_every_program_is_valid_and_no_structure_crowds_the_population(space):
  search = evolve(space)
  search.population.validate()
  assert validity.is_valid(search.population).all()
  assert validity.is_valid(search.best_programs).all()
  for island in range(2):
    size = search.config.population_size
    structures = canonical.structures(search.population[island * size + np.arange(size)])
    counts = np.unique(structures, return_counts=True)[1]
    assert counts.max() <= 2 < len(counts)
  assert (search.islands.epoch > 0).all()


@pytest.mark.parametrize("most", [20, 31])
def test_a_last_child_tries_all_of_its_constants(most):
  # So a search that is continued with a larger budget is the one that was begun with it.
  search = evolve(constant_trials=7, max_programs=most)
  assert (search.num_programs >= most).all() and (search.num_programs < most + 7).all()


def test_leaps_learn_more_parameters_than_their_parents():
  space = spaces.demo(4)

  def learned(**settings):
    programs = evolve(
        space, children=200, num_islands=8, restart_patience=None, structure_limit=None,
        tournament_size=1, constant_trials=1, **settings).population
    counts, seen = np.zeros((2, len(programs)), np.int64)
    kernel_calls.parameters(
        arrays(programs), tables(space), scratch(space), counts, seen)
    return counts.mean(), seen.mean()

  filters = "valid", "features"
  assert learned(leaps=1.0)[0] > learned()[0] + 0.5
  assert learned(filters=filters)[1] == 1.0 > learned()[1]


def test_without_filters_few_programs_are_valid():
  search = evolve(filters=(), structure_limit=None, initial="random")
  assert validity.is_valid(search.population).mean() < 0.9


def test_programs_that_were_tried_count_and_the_best_constants_stay():
  one, four = (evolve(constant_trials=trials, restart_patience=None) for trials in (1, 4))
  assert (one.num_programs == one.cycle).all()
  assert (four.num_programs > 1.5 * four.cycle).all()
  assert four.counts.programs == four.num_programs.sum()
  assert (four.num_evaluated <= four.num_programs).all()
  entry = four.hall_of_fame.best
  evaluator = ToyEvaluator(FIXED, tasks(2), lanes=16, **four.config.evaluator_settings())
  plan = evaluator.plan(entry.program, canonical.analyse(entry.program))
  again = evaluator.evaluate_plan(plan, np.array([entry.island]), 0)
  assert again.fitness[0] == entry.fitness
  assert entry.lineage[-1].program == entry.program


def test_a_budget_of_programs_is_exceeded_by_trials_of_one_child_at_most():
  search = evolve(max_programs=200, children=400)
  assert search.finished
  assert ((search.num_programs >= 200) & (search.num_programs < 203)).all()


@pytest.mark.parametrize("stop", [50, 150])
@pytest.mark.parametrize("leaps", [0.0, 0.5])
def test_a_search_that_was_stopped_goes_on_the_same(stop, leaps):
  whole, first = evolve(leaps=leaps), evolve(children=stop, leaps=leaps)
  assert (whole.islands.restarts > 0).all() and (whole.islands.drawn > 0).all()
  second = Evolution(FIXED, tasks(2), config(**(ALL | {"leaps": leaps})), evaluator=ToyEvaluator)
  second.restore(first.state())
  while second.cycle < 300:
    second.step()
  assert_same_state(second.state(), whole.state())


def test_structures_of_immigrants_are_known():
  group = Group(
      name="all", space=FIXED, task_sets=tasks(2), evaluator=ToyEvaluator,
      config=config(**(ALL | {"structure_limit": None})))
  search = Federation([group], Migration(every=20))
  while search.migrations < 3:
    search.step()
  [part] = search.searches
  structures = canonical.structures(part.population)
  assert part.islands.structure.ravel().tolist() == structures.tolist()


def test_nothing_depends_on_devices_and_neighbours():
  both, alone = evolve(num_devices=2), evolve(num_islands=1)
  size = both.config.population_size
  assert both.population[np.arange(size)] == alone.population
  assert both.num_evaluated[0] == alone.num_evaluated[0]


def test_a_method_is_settings_that_others_go_before():
  assert methods.method("paper") == {}
  names = {field.name for field in dataclasses.fields(SearchConfig)}
  assert methods.method("azero").keys() <= names
  result = azero.evolve(
      FIXED, tasks(1), method="azero", population_size=20, max_programs=300, progress="off")
  chosen = result.search.config
  assert chosen.population_size == 20 and chosen.filters == methods.method("azero")["filters"]
  assert validity.is_valid(result.search.best_programs).all()
  with pytest.raises(ValueError, match="Unknown method 'best'; use one of paper, azero"):
    azero.evolve(FIXED, tasks(1), method="best")


@pytest.mark.parametrize("settings, message", [
    ({"filters": ("valid", "fit")}, r"Unknown filters \['fit'\]; choose from changed, valid"),
    ({"structure_limit": 0}, "structure_limit must be at least 1 or None, got 0"),
    ({"attempts": 0}, "attempts must be at least 1, got 0"),
    ({"filters": ("features",)}, 'Leaps and the filter "features" need the filter "valid"'),
    ({"leaps": 0.5}, 'Leaps and the filter "features" need the filter "valid"'),
    ({"leaps": 1.5, "filters": ("valid",)}, r"leaps must be a probability, in \[0, 1\], got 1.5"),
    ({"constant_trials": 0}, "constant_trials must be at least 1, got 0"),
    ({"constant_trials": 1000}, "constant_trials must be at most 256, got 1000"),
    ({"attempts": 10**13}, "attempts must be at most 1,000,000,000,000, got"),
    ({"restart_patience": -1}, "restart_patience must be at least 1 or None, got -1"),
])
def test_settings_that_make_no_sense_are_refused(settings, message):
  with pytest.raises(ValueError, match=message):
    SearchConfig(**settings)


@pytest.mark.parametrize("settings", [{"filters": ("changed",)}, {"structure_limit": 1}])
def test_a_population_of_one_cannot_draw_again(settings):
  with pytest.raises(ValueError, match="set population_size to 2 or more"):
    Evolution(
        FIXED, tasks(1), config(population_size=1, **settings), evaluator=ToyEvaluator)


def test_a_search_for_valid_programs_needs_somewhere_to_start():
  with pytest.raises(ValueError, match="start from grown or random"):
    Evolution(VARIABLE, tasks(1), SearchConfig(filters=("valid",)), evaluator=ToyEvaluator)
  learner = parse(
      "def Setup():\n s3 = 0.1\ndef Predict():\n s1 = dot(v0, v1)\ndef Learn():\n"
      " s2 = s0 - s1\n v2 = s2 * v0\n v1 = v1 + v2\n", VARIABLE)
  search = Evolution(
      VARIABLE, tasks(1), SearchConfig(filters=("valid",), max_programs=200), template=learner,
      evaluator=ToyEvaluator)
  search.step()
  assert validity.is_valid(search.population).all()
