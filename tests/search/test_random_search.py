import dataclasses

import numpy as np
import pytest
from reference.draws import Stream
from reference.scoring import Scorer
from reference.textbook import from_programs
from support.search_cases import FIXED, config, easy_tasks, tasks
from support.toy_evaluator import ToyEvaluator

from azero.executors.evaluator import Evaluator
from azero.language.program import Component
from azero.search import search as search_module
from azero.search.config import SearchConfig
from azero.search.proposals import mutation
from azero.search.random_search import RandomSearch
from azero.tasks.sampling import task_generators


def test_finds_an_easy_target():
  search = RandomSearch(FIXED, easy_tasks(), config(
      cycles_per_step=256, max_programs=4000, fingerprint=False))
  while not search.finished and search.best_fitness[0] < 0.9999:
    search.step()
  assert search.best_fitness[0] > 0.9999
  assert 256 <= search.num_programs[0] <= 4000
  assert "s1 = dot(v0, v0)" in repr(search.best_programs[0])
  assert search.hall_of_fame.best.fitness == search.best_fitness[0]


def test_programs_are_those_of_the_islands_stream():
  settings = config(cycles_per_step=20, fingerprint=False)
  search = RandomSearch(FIXED, tasks(), settings)
  for _ in range(3):
    search.step()
  programs = mutation.random_programs(FIXED, 60, seed=settings.seed)
  evaluator = Evaluator(FIXED, tasks(), seed=settings.seed, lanes=16, num_devices=1)
  fitness = evaluator.evaluate(programs).fitness
  assert search.best_fitness[0] == fitness.max()
  assert search.best_programs == programs[int(fitness.argmax())]


@pytest.mark.parametrize("size", [12, 100, 300])  # a round has up to 8192 programs of all islands
@pytest.mark.parametrize(("islands", "cycles"), [(1, None), (1, 31), (2, None), (40, None)])
def test_a_hurdle_does_not_depend_on_the_number_of_islands(monkeypatch, size, islands, cycles):
  monkeypatch.setattr(search_module, "_STEP_NUMBERS", 5_000_000)
  settings = config(
      hurdle=0.5, population_size=size, max_programs=700, cycles_per_step=cycles)
  sets = tasks(1) * islands
  search = RandomSearch(FIXED, sets, settings, evaluator=ToyEvaluator)
  while not search.finished:
    search.step()
  scorer = Scorer(FIXED, ToyEvaluator(
      FIXED, sets, lanes=settings.lanes, **settings.evaluator_settings()), sets[0], settings)
  programs = mutation.random_programs(FIXED, 700, seed=settings.seed)
  scored = []
  for n in range(700):
    scorer.begin(n)
    scored.append(scorer(from_programs(programs, n)))
  assert scorer.answers.count("hurdle") > 50 < scorer.answers.count("trained")
  assert search.best_fitness[0] == max(fitness for fitness, _ in scored)
  assert search.train_steps[0] == sum(steps for _, steps in scored)
  if islands == 1:
    assert search.counts.hurdle_stopped == scorer.answers.count("hurdle")


def test_search_and_tasks_of_one_seed_share_no_generator():
  for island, generator in enumerate(task_generators(0, 2)):
    assert Stream(0, island, 0).uniform() != generator.random()


def test_improvements_are_the_records_in_order():
  search = RandomSearch(
      FIXED, tasks(), config(cycles_per_step=5, fingerprint=False), evaluator=ToyEvaluator)
  for _ in range(30):
    search.step()
  improvements = search.take_improvements()
  fitness = [item.fitness for item in improvements]
  assert fitness == sorted(set(fitness)) and fitness[-1] == search.best_fitness[0]
  numbers = [item.num_programs for item in improvements]
  assert numbers[0] == 1 and numbers == sorted(set(numbers)) and numbers[-1] <= 150
  # A program joins with its own number, whose child it is.
  for item in improvements:
    assert item.program == mutation.random_programs(
        FIXED, 1, seed=search.config.seed, first=item.num_programs - 1)
  assert improvements[-1].program == search.best_programs
  assert search.take_improvements() == []


def test_budgets_end_islands():
  search = RandomSearch(FIXED, tasks(3), config(
      cycles_per_step=4, max_programs=10, fingerprint=False), evaluator=ToyEvaluator)
  cycles = 0
  while not search.finished:
    search.step()
    cycles += 1
  assert cycles == 3 and search.num_programs.tolist() == [10, 10, 10]
  search.step()  # nothing is left to do
  assert search.cycle == 10 and search.counts.programs == 30


def test_the_budget_of_training_steps_is_each_islands_own():
  search = RandomSearch(FIXED, tasks(3), config(
      cycles_per_step=4, max_train_steps=1000, fingerprint=False), evaluator=ToyEvaluator)
  before = search.train_steps
  while not search.finished:
    before = search.train_steps.copy()
    active = search.active.copy()
    search.step()
    assert (before[active] < 1000).all()
    assert (search.train_steps == before)[~active].all()
  assert (search.train_steps >= 1000).all()
  # No more than the steps of the last program go beyond it.
  assert (search.train_steps < 1000 + 40).all()
  assert search.counts.train_steps == search.train_steps.sum()


def test_random_search_needs_no_population():
  search = RandomSearch(
      FIXED, tasks(), config(cycles_per_step=500, fingerprint=False), evaluator=ToyEvaluator)
  search.step()
  assert search.num_programs.tolist() == [500]


@pytest.mark.parametrize("settings, message", [
    ({"initial": "zeros"}, "initial must be one of empty, random, grown, got 'zeros'"),
    ({"population_size": 0}, "population_size must be at least 1, got 0"),
    ({"tournament_size": 0}, "tournament_size must be at least 1, got 0"),
    ({"cycles_per_step": 0}, "cycles_per_step must be at least 1 or None, got 0"),
    ({"hall_of_fame_size": -1}, "hall_of_fame_size must be at least 1, got -1"),
    ({"cache_size": 0}, "cache_size must be at least 1, got 0"),
    ({"seed": -1}, "seed must not be negative, got -1"),
    ({"max_train_steps": 0}, "max_train_steps must be at least 1 or None, got 0"),
    ({"max_programs": -5}, "max_programs must be at least 1 or None, got -5"),
    ({"lanes": 0}, "lanes must be at least 1 or None, got 0"),
])
def test_config_errors(settings, message):
  with pytest.raises(ValueError, match=message):
    SearchConfig(**settings)


def test_nothing_to_search():
  nothing = dataclasses.replace(
      FIXED, setup=Component((), 3), predict=Component((), 2), learn=Component((), 3))
  with pytest.raises(ValueError, match="Nothing to search: no component function"):
    RandomSearch(nothing, tasks(), config())
  with pytest.raises(ValueError, match="No tasks to evaluate on"):
    RandomSearch(FIXED, [], config())


def test_steps_are_short_in_programs():
  for sets, most in (tasks(1), 50_000), (tasks(1) * 200, 1_000_000):
    long = [dataclasses.replace(each, train_x=np.repeat(each.train_x, 40, 1),
                                train_y=np.repeat(each.train_y, 40, 1)) for each in sets]
    rules = RandomSearch(FIXED, long, config(cycles_per_step=None))._make_rules()
    assert 0 < rules.step_rounds * rules.round_size * len(sets) <= most
