import dataclasses
import functools
import json

import numpy as np
import pytest
from support import federation_cases as cases
from support.federation_cases import (
  SMALL_SIZE,
  SMALL_WORKERS,
  WIDE_SIZE,
  WIDE_WORKERS,
  WORKERS,
  make,
)
from support.search_cases import (
  FIXED,
  VARIABLE,
  assert_same_state,
  assert_uniform,
  interrupt_at,
  tasks,
)

from azero.executors.evaluator import Evaluator
from azero.language.text import parse
from azero.runs import runner
from azero.runs.directory import RunDirectory, settings_of
from azero.search.evolution import Evolution
from azero.search.groups.federation import Federation
from azero.search.groups.migration import Migration

PROGRAMS = 90
LEARNER = """
def Setup():
  s3 = 0.1
def Predict():
  s1 = dot(v0, v1)
  s1 = s1 * s3
def Learn():
  s2 = s0 - s1
  v2 = s2 * v0
  v1 = v1 + v2
"""


def run(federation, path=None, *, resume=False, **arguments):
  directory = None
  if path is not None:
    directory = (RunDirectory.open if resume else RunDirectory)(path, settings_of(federation))
  return runner.run(federation, directory=directory, progress="off", **arguments)


def step(federation, count):
  for _ in range(count):
    federation.step()
  return federation


def json_lines(path):
  return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_one_group_without_migration_is_a_plain_search():
  group = cases.groups()[0]
  plain = runner.run(
      Evolution(group.space, group.task_sets, group.config, evaluator=group.evaluator),
      progress="off")
  one = run(Federation([group]))
  assert_same_state(one.search.searches[0].state(), plain.search.state())
  assert one.improvements == plain.improvements
  assert list(one.search.hall_of_fame) == list(plain.search.hall_of_fame)
  assert one.search.counts == plain.search.counts and one.search.cycle == plain.search.cycle
  assert one.search.migrations == 0


def test_without_migration_groups_do_what_they_do_alone():
  federation = run(make(migration=None)).search
  second = cases.groups()[1]
  alone = runner.run(
      Evolution(
          second.space, second.task_sets, second.config, first_island=SMALL_WORKERS,
          evaluator=second.evaluator),
      progress="off").search
  assert_same_state(federation.searches[1].state(), alone.state())
  other = Evolution(
      second.space, second.task_sets, second.config, evaluator=second.evaluator)
  other.step()
  assert other.population != step(make(migration=None), 1).searches[1].population


def test_programs_are_counted():
  federation = make(migration=Migration(every=10, migrants=3), max_programs=None)
  step(federation, 1)
  assert federation.num_programs.tolist() == [2] * 3 + [3] * 2
  step(federation, 9)
  # Ten children after the initial population the wide group waits.
  assert [search.cycle for search in federation.searches] == [20, WIDE_SIZE + 10]
  assert federation.num_programs.tolist() == [20] * 3 + [WIDE_SIZE + 10] * 2
  step(federation, 1)
  assert [search.cycle for search in federation.searches] == [SMALL_SIZE + 10, WIDE_SIZE + 10]
  assert federation.cycle == 40 and federation.migrations == 1
  assert federation.num_programs.tolist() == [SMALL_SIZE + 10 + 3] * 3 + [WIDE_SIZE + 10 + 3] * 2
  step(federation, 10)
  assert federation.migrations == 3
  assert federation.num_programs.tolist() == [
      SMALL_SIZE + 3 * (10 + 3)] * 3 + [WIDE_SIZE + 3 * (10 + 3)] * 2
  assert federation.counts.programs == federation.num_programs.sum()
  assert federation.counts.train_steps == federation.train_steps.sum()


@pytest.mark.parametrize("migrants", [None, 1, 8])
def test_an_exchange_loses_and_adds_nothing_but_by_the_rule(monkeypatch, migrants):
  federation = make(migration=Migration(every=10, migrants=migrants), max_programs=None)
  exchanges = cases.record_exchanges(federation, monkeypatch)
  step(federation, 11 + 5 + 5)
  assert len(exchanges) == federation.migrations == 3
  for exchange in exchanges:
    sent, received = [], []
    for k, size in enumerate((SMALL_SIZE, WIDE_SIZE)):
      count = migrants or size // 2
      for island, places in exchange.places[k].items():
        before, after = exchange.before[k][island], exchange.after[k][island]
        assert len(places) == len(set(places.tolist())) == count
        staying = np.setdiff1d(np.arange(size), places)
        np.testing.assert_array_equal(after[staying], before[staying])
        np.testing.assert_array_equal(
            exchange.fitness_after[k][island][staying],
            exchange.fitness_before[k][island][staying])
        assert len(set(after[places].tolist())) == count
        sent += before[places].tolist()
        received.append(set(after[places].tolist()))
    assert len(sent) == len(set(sent))
    assert all(programs <= set(sent) for programs in received)
    counts = [migrants or SMALL_SIZE // 2] * 3 + [migrants or WIDE_SIZE // 2] * 2
    assert (exchange.programs_after - exchange.programs_before).tolist() == counts
  # Ages go on as if nothing had happened: the ring turns by the children alone.
  for search in federation.searches:
    turned = search.cycle % search.config.population_size
    assert search.oldest.tolist() == [turned] * search.num_islands


def test_immigrants_have_the_fitness_of_their_new_tasks(monkeypatch):
  federation = make(max_programs=None, evaluator=Evaluator)
  cases.record_exchanges(federation, monkeypatch)
  while federation.migrations < 3:
    federation.step()
  crossed = 0
  owner = cases.owners(federation)
  for group, search, numbers in zip(
      federation.groups, federation.searches, cases.marks(federation)):
    evaluator = Evaluator(
        group.space, group.task_sets, num_epochs=group.config.num_epochs, seed=group.config.seed,
        lanes=16, num_devices=1)
    islands = np.repeat(np.arange(search.num_islands), group.config.population_size)
    search.population.validate()
    expected = evaluator.evaluate(search.population, islands).fitness
    np.testing.assert_array_equal(search.fitness.ravel(), expected)
    came_from = owner[numbers.ravel()]
    small, here = came_from < SMALL_WORKERS, search.first_island < SMALL_WORKERS
    crossed += int((small != here).sum())
    assert search.population.space == group.space
  assert crossed > 5  # between spaces of different F


def test_where_immigrants_come_from(monkeypatch):
  federation = make(
      migration=Migration(every=3, migrants=4), max_programs=None, mutation_probability=0.1)
  exchanges = cases.record_exchanges(federation, monkeypatch)
  while federation.migrations < 60:
    federation.step()
  owner, origins = cases.owners(federation), np.zeros((WORKERS, WORKERS), int)
  for exchange in exchanges:
    for k, search in enumerate(federation.searches):
      for island, places in exchange.places[k].items():
        for number in exchange.after[k][island][places]:
          origins[search.first_island + island, owner[number]] += 1
  assert origins.sum(1).tolist() == [240] * WORKERS
  assert_uniform(origins.sum(0))
  for row in origins:
    assert_uniform(row)


def test_who_leaves_is_a_random_half(monkeypatch):
  federation = make(migration=Migration(every=1), max_programs=None, mutation_probability=0.1)
  exchanges = cases.record_exchanges(federation, monkeypatch)
  while federation.migrations < 50:
    federation.step()
  left = np.zeros(SMALL_SIZE, int)
  for exchange in exchanges:
    for places in exchange.places[0].values():
      left[places] += 1
  assert left.sum() == 50 * 3 * SMALL_SIZE // 2
  assert_uniform(left)


def test_immigrants_have_children_that_differ_from_them(monkeypatch):
  federation = make(max_programs=None, mutation_probability=1.0)
  cases.record_exchanges(federation, monkeypatch)
  while not federation.migrations:
    federation.step()
  owner, wide = cases.owners(federation), federation.searches[1]
  before = wide.population[np.arange(len(wide.population))]
  foreign = {
      int(number): row for row, number in enumerate(cases.marks(federation)[1].ravel())
      if owner[number] < SMALL_WORKERS}
  children = 0
  for _ in range(2):
    rows = (wide.oldest[:, None] + np.arange(3)) % WIDE_SIZE
    federation.step()
    for row in (rows + WIDE_SIZE * np.arange(WIDE_WORKERS)[:, None]).ravel():
      parent = foreign.get(int(wide.population.constants[row, 0, 2]))
      if parent is not None and wide.population[int(row)] != before[parent]:
        children += 1
  wide.population.validate()
  assert children > 0


EXPERIMENTS = {"small": {"experiments": [0, 1, 0]}, "wide": {"experiments": [1, 0]}}


def test_experiments_do_not_mix(monkeypatch):
  federation = make(group=EXPERIMENTS, migration=Migration(every=5), max_programs=None)
  assert federation.experiments.tolist() == [0, 1, 0, 1, 0]
  exchanges = cases.record_exchanges(federation, monkeypatch)
  step(federation, 15)
  owner, met = cases.owners(federation), set()
  assert len(exchanges) >= 3
  for exchange in exchanges:
    for search, numbers in zip(federation.searches, exchange.after):
      for island, row in enumerate(numbers):
        worker = search.first_island + island
        sources = set(owner[row].tolist())
        assert set(federation.experiments[list(sources)]) == {federation.experiments[worker]}
        met |= {(source, worker) for source in sources}
  # Within an experiment all meet all.
  assert len(met) == 3 * 3 + 2 * 2


def states_of(federation, workers):
  """All that these workers came to."""
  found = []
  for worker in workers:
    search = federation.searches[worker >= SMALL_WORKERS]
    island, size = worker - search.first_island, search.config.population_size
    rows = np.arange(island * size, (island + 1) * size)
    found.append((
        repr([repr(search.population[int(row)]) for row in rows]), search.fitness[island].tolist(),
        int(search.train_steps[island]), int(search.num_programs[island]),
        search.best_fitness[island]))
  return found


def test_an_experiment_does_the_same_whatever_others_do():
  together = make(group=EXPERIMENTS)
  run(together)
  apart = make(group=EXPERIMENTS)
  for worker in (1, 3):
    apart.finish(worker)
  run(apart)
  assert states_of(apart, (0, 2, 4)) == states_of(together, (0, 2, 4))
  assert apart.num_programs[[1, 3]].tolist() == [0, 0]
  mixed = run(make()).search
  assert states_of(mixed, (0, 2, 4)) != states_of(together, (0, 2, 4))


def test_history_does_not_depend_on_the_number_of_devices():
  # The small group with all upgrades of S3, the wide one with none, not even a cache.
  settings = {
      "small": {"hurdle": 0.5, "fingerprint": True, "train_budget": 4.0},
      "wide": {"canonical_cache": False}, "evaluator": Evaluator}
  one, two = run(make(**settings)), run(make(**settings, num_devices=2))
  small, wide = (search.counts for search in one.search.searches)
  assert small.hurdle_stopped > 0 and small.fingerprint_hits > 0 and small.canonical_hits > 0
  assert wide.evaluated == wide.programs and one.search.migrations == 6
  assert_same_state(one.search.state(), two.search.state())
  assert one.improvements == two.improvements


def test_same_seed_same_history_other_seed_another():
  first, second = run(make()).search, run(make()).search
  assert_same_state(first.state(), second.state())
  other = run(make(migration=Migration(every=10, seed=1))).search
  assert states_of(other, range(WORKERS)) != states_of(first, range(WORKERS))


def test_stopped_and_continued_is_the_same_run(tmp_path):
  make = functools.partial(cases.make, evaluator=Evaluator)
  expected, path = run(make(), tmp_path / "whole"), tmp_path / "run"
  # Steps end at these sums of cycles; the migrations are in the steps to 40 and 60.
  stops = (5, 38, 40, 45, 58, 60)
  result = run(make(), path, should_stop=interrupt_at(stops[0]))
  assert (result.status, result.search.cycle) == ("interrupted", stops[0])
  migrations = [result.search.migrations]
  for k, stop in enumerate(stops[1:]):
    result = run(
        make(num_devices=1 + k % 2), path, resume=True, should_stop=interrupt_at(stop))
    assert (result.status, result.search.cycle) == ("interrupted", stop)
    migrations.append(result.search.migrations)
  assert migrations == [0, 0, 1, 1, 1, 2]
  result = run(make(), path, resume=True)
  assert result.status == expected.status == "budget"
  assert_same_state(result.search.state(), expected.search.state())
  assert result.improvements == expected.improvements
  for name in ("improvements.jsonl", "hall_of_fame.json"):
    assert (path / name).read_text() == (tmp_path / "whole" / name).read_text()
  assert result.metrics == json_lines(path / "metrics.jsonl")


def test_other_settings_are_refused(tmp_path):
  run(make(), tmp_path / "run", should_stop=interrupt_at(5))
  for other, message in (
      (make(migration=Migration(every=11)), "migration.every is 10 there and 11 here"),
      (make(wide={"num_epochs": 1}), "groups.wide.search.num_epochs is 2 there and 1 here"),
      (make(group=EXPERIMENTS), r"groups.small.experiments is None there and \[0, 1, 0\] here"),
      (make(group={"wide": {"migration_every": 7}}), "wide.migration_every is None there and 7"),
  ):
    with pytest.raises(ValueError, match=message):
      run(other, tmp_path / "run", resume=True)
  assert run(make(max_programs=200), tmp_path / "run", resume=True).search.migrations > 5


def test_groups_may_migrate_at_their_own_pace():
  federation = make(group={"wide": {"migration_every": 3}}, max_programs=None)
  while federation.migrations < 4:
    federation.step()
  assert [search.cycle for search in federation.searches] == [
      SMALL_SIZE + 4 * 10, WIDE_SIZE + 4 * 3]


def test_who_has_no_budget_left_takes_no_part():
  result = run(make(wide={"max_programs": 22}))
  small, wide = result.search.searches
  # With the immigrants of the first migration.
  assert wide.num_programs.tolist() == [8 + 10 + 4] * 2
  assert small.num_programs.min() >= PROGRAMS and result.search.migrations > 2
  assert result.search.active.tolist() == [False] * WORKERS


def test_budgets_of_training_steps():
  federation = make(max_programs=None, small={"max_train_steps": 3000}, wide={"max_programs": 50})
  assert federation.bounded
  assert federation.budget_left() == {"train_steps": None, "programs": None}
  run(federation)
  assert (federation.train_steps[:SMALL_WORKERS] >= 3000).all()
  assert (federation.num_programs[SMALL_WORKERS:] >= 50).all()
  assert not make(small={"max_programs": None}).bounded
  assert make().budget_left() == {"train_steps": None, "programs": WORKERS * PROGRAMS}


def test_everything_is_recorded(tmp_path, capsys):
  federation = make()
  directory = RunDirectory(tmp_path / "run", settings_of(federation))
  result = runner.run(federation, directory=directory)
  last = capsys.readouterr().err.splitlines()[-1]
  assert f"islands 0/{WORKERS}" in last and last.endswith("[budget]")
  row = json_lines(tmp_path / "run" / "metrics.jsonl")[-1]
  assert row["migrations"] == 6 and row["cycle"] == federation.cycle
  assert row["programs"] == sum(group["programs"] for group in row["groups"].values())
  assert row["groups"].keys() == {"small", "wide"}
  assert row["best_fitness"] == max(group["best_fitness"] for group in row["groups"].values())
  improvements = json_lines(tmp_path / "run" / "improvements.jsonl")
  assert {item["island"] for item in improvements} == set(range(WORKERS))
  for item in improvements:
    assert item["num_features"] == (4 if item["island"] < SMALL_WORKERS else 8)
  hall = json.loads((tmp_path / "run" / "hall_of_fame.json").read_text())
  assert len(hall) == len(federation.hall_of_fame) == 40
  assert [entry["fitness"] for entry in hall] == sorted(
      (entry["fitness"] for entry in hall), reverse=True)
  assert hall[0]["fitness"] == federation.hall_of_fame.best.fitness == row["best_fitness"]
  for worker in range(WORKERS):
    last = [item for item in result.improvements if item.island == worker][-1]
    assert last.fitness == federation.best_fitness[worker]
    best = federation.best_programs[worker]
    assert best == last.program.with_features(FIXED.num_features)


def test_an_immigrant_can_be_the_new_best_of_a_worker():
  # Nothing but migration brings anything new, and the wide group has the better program.
  federation = make(
      max_programs=None, mutation_probability=0.0, wide={"initial": "empty"}, evaluator=Evaluator,
      group={"wide": {"template": parse(LEARNER, FIXED)}})
  step(federation, 6)
  assert [search.cycle for search in federation.searches] == [SMALL_SIZE, WIDE_SIZE + 10]
  federation.take_improvements()
  before = federation.best_fitness
  while federation.migrations < 3:
    federation.step()
  better = federation.best_fitness > before
  assert better.tolist() == [True] * SMALL_WORKERS + [False] * WIDE_WORKERS
  improvements = federation.take_improvements()
  assert {item.island for item in improvements} == {0, 1, 2}
  assert all("v1 = v1 + v2" in repr(item.program) for item in improvements)
  # They came with a migration: of sixteen programs the last six.
  assert all(10 <= (item.num_programs - 1 - SMALL_SIZE) % 16 for item in improvements)


def test_templates_of_another_number_of_features_are_taken_over():
  text = "def Setup():\n  v2[1] = 0.5\ndef Predict():\n  s1 = dot(v0, v2)\n"
  space = dataclasses.replace(FIXED, setup=dataclasses.replace(FIXED.setup, min_length=0))
  template = parse(text, space)
  groups = [
      dataclasses.replace(group, space=space.with_features(features), template=template,
                          config=dataclasses.replace(group.config, initial="empty"))
      for group, features in zip(cases.groups(), (4, 8))]
  small, wide = Federation(groups).searches
  assert repr(small.template) == repr(template)
  assert "v2[3] = 0.5" in repr(wide.template)  # 1.5 / 4 of eight


@pytest.mark.parametrize("change, message", [
    ({"space": VARIABLE.with_features(8)}, "'small' and 'wide' must differ in F only"),
    ({"name": "small"}, "must have different names, got small, small"),
    ({"experiments": [0]}, "Group 'wide' has 2 workers but 1 numbers of experiments"),
    ({"experiments": [0, -1]}, "numbers of experiments must not be negative"),
    ({"task_sets": tasks()[0]}, "Group 'wide' needs a sequence of tasks, one for each worker"),
    ({"task_sets": []}, "Group 'wide' needs a sequence of tasks"),
    ({"migration_every": 0}, "Group 'wide': migration_every must be at least 1, got 0"),
    ({"task_sets": tasks(2), "evaluator": Evaluator},
     "The space has F = 8, the tasks have 4 features"),
])
def test_groups_are_checked(change, message):
  with pytest.raises(ValueError, match=message):
    make(group={"wide": change})


def test_settings_of_the_migration_are_checked():
  with pytest.raises(ValueError, match="Group 'wide': 9 migrants of a population of 8"):
    make(migration=Migration(migrants=9))
  with pytest.raises(ValueError, match="at least one group"):
    Federation([])
  with pytest.raises(ValueError, match="never end"):
    run(make(wide={"max_programs": None}))
