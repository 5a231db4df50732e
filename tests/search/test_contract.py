"""What every search promises to those who run, record and judge it, whatever is inside.

One group of islands, groups that migrate, and groups in several processes; none computes on
a device.
"""

import json

import numpy as np
import pytest
from support import federation_cases
from support.inline_runtime import InlineRuntime
from support.search_cases import FIXED, assert_same_state, config, tasks
from support.toy_evaluator import ToyEvaluator

from azero.distributed.cluster import Cluster
from azero.runs import metrics, packing, runner
from azero.runs.directory import RunDirectory, settings_of
from azero.search.evolution import Evolution
from azero.search.random_search import RandomSearch

BUDGET = 60
_ISLANDS = 4


def _single(method):
  def make(seed=7, **settings):
    chosen = {"max_programs": BUDGET, "hurdle": 0.5, "cycles_per_step": 3} | settings
    return method(
        FIXED, tasks(_ISLANDS), config(seed=seed, **chosen), evaluator=ToyEvaluator)
  return make


def _federation(migration):
  def make(**settings):
    return federation_cases.make(migration=migration, **({"max_programs": BUDGET} | settings))
  return make


def _cluster(lockstep):
  runtimes = iter(range(1000))  # which process comes first is different every time

  def make(**settings):
    return Cluster(
        federation_cases.groups(**({"max_programs": BUDGET} | settings)),
        federation_cases.EVERY_TEN, InlineRuntime(next(runtimes)), num_processes=2,
        lockstep=lockstep, slice_seconds=0.0)
  return make


KINDS = {
    "evolution": _single(Evolution), "random search": _single(RandomSearch),
    "federation": _federation(federation_cases.EVERY_TEN),
    "federation without migration": _federation(None),
    "cluster": _cluster(False), "cluster in lockstep": _cluster(True)}
MIGRATING = {"federation", "cluster", "cluster in lockstep"}


@pytest.fixture(params=KINDS)
def kind(request):
  return request.param


@pytest.fixture
def make(kind):
  return KINDS[kind]


def finish(search):
  """Steps a search to its end; what it found on the way."""
  found = []
  for _ in range(10_000):
    if search.finished:
      return found
    search.step()
    found += search.take_improvements()
  raise AssertionError("The search does not end.")


def steps(search, count):
  for _ in range(count):
    search.step()
  return search


def outcome(search):
  """All that a search has come to, as far as it shows."""
  return {
      "programs": search.num_programs.tolist(), "steps": search.train_steps.tolist(),
      "best": search.best_fitness.tolist(), "counts": search.counts,
      "best_programs": repr([repr(program) for program in (
          search.best_programs[k] for k in range(search.num_islands))]),
      "hall": [
          (entry.fitness, entry.island, entry.train_steps, entry.num_programs,
           repr(entry.program)) for entry in search.hall_of_fame],
      "migrations": getattr(search, "migrations", None)}


def rows(improvements):
  """Improvements in an order that does not depend on who came first."""
  return sorted(
      (item.island, item.num_programs, item.train_steps, item.fitness, repr(item.program))
      for item in improvements)


def test_nothing_is_done_before_the_first_step(make):
  search = make()
  count = search.num_islands
  assert search.cycle == 0 and search.counts.programs == 0
  assert search.bounded and not search.finished and search.active.tolist() == [True] * count
  assert search.num_programs.tolist() == search.train_steps.tolist() == [0] * count
  assert search.best_fitness.tolist() == [-np.inf] * count
  assert search.budget_left() == {"programs": BUDGET * count, "train_steps": None}
  assert search.take_improvements() == [] and list(search.hall_of_fame) == []
  assert len(search.task_sets) == count and len(search.best_programs) == count
  for island, each in enumerate(search.task_sets):
    assert search.space_of(island).num_features == each.num_features


def test_a_budget_of_programs_ends_it(make, kind):
  search = make()
  cycles = [search.cycle]
  while not search.finished:
    before, active = search.num_programs.copy(), search.active.copy()
    search.step()
    cycles.append(search.cycle)
    assert (before[active] < BUDGET).all()
    assert (search.num_programs == before)[~active].all()
  assert cycles == sorted(cycles) and not search.active.any()
  # Only the immigrants of a migration, half a population, go beyond it.
  beyond = search.num_programs - BUDGET
  assert (beyond >= 0).all() and beyond.max() < (6 if kind in MIGRATING else 1)
  assert search.budget_left() == {"programs": 0, "train_steps": None} or (
      search.budget_left() == {"programs": 0, "train_steps": 0})
  assert search.counts.programs == search.num_programs.sum()
  assert search.counts.train_steps == search.train_steps.sum()
  before = outcome(search)
  search.step()  # nothing is left to do
  assert outcome(search) == before


def test_a_budget_of_training_steps_ends_it(make):
  search = make(max_programs=None, max_train_steps=1000)
  assert search.budget_left() == {
      "programs": None, "train_steps": 1000 * search.num_islands}
  finish(search)
  assert (search.train_steps >= 1000).all()
  assert search.counts.train_steps == search.train_steps.sum()


def test_without_a_budget_it_is_not_bounded(make):
  assert not make(max_programs=None).bounded


def test_improvements_are_the_records_of_every_island(make):
  search = make()
  found = finish(search)
  assert search.take_improvements() == []
  for island in range(search.num_islands):
    own = [item for item in found if item.island == island]
    fitness, programs = ([getattr(item, name) for item in own]
                         for name in ("fitness", "num_programs"))
    assert fitness == sorted(set(fitness)) and programs == sorted(programs)
    assert fitness[-1] == search.best_fitness[island]
    best = search.best_programs[island]
    assert best.with_features(own[-1].program.space.num_features) == own[-1].program
    assert own[-1].program.space == search.space_of(island)
    assert own[-1].train_steps <= search.train_steps[island]


def test_the_hall_of_fame_holds_the_best_in_order(make):
  search = make()
  finish(search)
  entries = list(search.hall_of_fame)
  fitness = [entry.fitness for entry in entries]
  assert fitness == sorted(fitness, reverse=True) and len(entries) >= 20
  assert search.hall_of_fame.best.fitness == fitness[0] == search.best_fitness.max()
  # What is good in groups of different F is there several times.
  assert len(entries) == len({
      (entry.program.space.num_features, repr(entry.program)) for entry in entries})
  for entry in entries:
    assert entry.fitness <= search.best_fitness[entry.island]
    assert 0 < entry.num_programs <= search.num_programs[entry.island]
    assert entry.program.space == search.space_of(entry.island)


def test_an_island_that_is_taken_out_works_no_more(make, kind):
  search = make()
  search.finish(1)
  finish(search)
  assert search.num_programs[1] == search.train_steps[1] == 0
  assert (np.delete(search.num_programs, 1) >= BUDGET).all()
  if kind == "cluster":  # at its own pace a process does what it was told when it comes to it
    return
  search = steps(make(), 2)
  before = search.num_programs.copy()
  search.finish(1)
  assert not search.active[1] and search.active.sum() == search.num_islands - 1
  finish(search)
  assert search.num_programs[1] == before[1] > 0


def test_the_seed_decides_everything(make):
  first, second, other = make(), make(), make(seed=8)
  found = [rows(finish(search)) for search in (first, second, other)]
  assert found[0] == found[1] != found[2]
  assert outcome(first) == outcome(second) != outcome(other)


_WHOLE: dict[str, tuple] = {}


@pytest.fixture
def whole(make, kind):
  """Improvements and outcome of a search that nothing stops, by its kind."""
  if kind not in _WHOLE:
    search = make()
    _WHOLE[kind] = rows(finish(search)), outcome(search)
  return _WHOLE[kind]


@pytest.mark.parametrize("stop", [1, 2, 5, 9])
def test_a_state_continues_alike(make, whole, stop):
  expected, end = whole
  first = steps(make(), stop)
  saved = packing.unpack(*packing.pack({"state": first.state()}))["state"]
  later = make()
  finish(steps(later, 3))  # what it came to before counts no more
  later.take_improvements()
  later.restore(saved)
  continued = finish(later)
  assert set(rows(continued)) <= set(expected)
  # Whose state was taken goes on as if nothing had been.
  finish(first)
  assert outcome(later) == outcome(first) == end


def test_a_state_comes_back_as_it_was(make):
  search = steps(make(), 3)
  saved = packing.unpack(*packing.pack({"state": search.state()}))["state"]
  other = make()
  other.restore(saved)
  assert_same_state(other.state(), saved)


def run(search, path, *, resume=False, **arguments):
  directory = (RunDirectory.open if resume else RunDirectory)(path, settings_of(search))
  return runner.run(search, directory=directory, progress="off", **arguments)


def lines(path):
  return sorted(
      json.dumps(json.loads(line), sort_keys=True)
      for line in (path / "improvements.jsonl").read_text().splitlines())


def test_a_stopped_run_is_continued(make, tmp_path):
  whole = run(make(), tmp_path / "whole")
  calls = iter(range(100))
  stopped = run(make(), tmp_path / "run", should_stop=lambda _: next(calls) == 4)
  assert (whole.status, stopped.status) == ("budget", "stopped")
  result = run(make(), tmp_path / "run", resume=True)
  assert result.status == "budget" and outcome(result.search) == outcome(whole.search)
  assert lines(tmp_path / "run") == lines(tmp_path / "whole")
  assert rows(result.improvements) == rows(whole.improvements)
  assert len(lines(tmp_path / "run")) == len(result.improvements)
  hall, expected = (
      (tmp_path / name / "hall_of_fame.json").read_text() for name in ("run", "whole"))
  assert hall == expected


def test_a_run_of_other_settings_is_not_continued(make, tmp_path):
  run(make(), tmp_path / "run", should_stop=lambda _: True)
  with pytest.raises(ValueError, match="seed is 7 there and 8 here"):
    run(make(seed=8), tmp_path / "run", resume=True)
  assert run(make(max_programs=90), tmp_path / "run", resume=True).status == "budget"


def test_settings_and_metrics_are_json(make, kind):
  search = make()
  finish(search)
  json.dumps(settings_of(search), allow_nan=False)
  row = metrics.totals_of(search)
  json.dumps(row, allow_nan=False)
  assert row["programs"] == search.num_programs.sum() and row["active_islands"] == 0
  assert row["best_fitness"] == search.best_fitness.max()
  assert (row.get("migrations", 0) > 1) == (kind in MIGRATING)
  assert metrics.workers_of(search)["programs"] == search.num_programs.tolist()
