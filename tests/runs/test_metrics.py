import contextlib
import json
import time
import types

import numpy as np
import pytest
from support import federation_cases
from support.search_cases import FIXED, config, tasks
from support.toy_evaluator import ToyEvaluator

from azero.executors.activity import Activity
from azero.executors.evaluator import Evaluator
from azero.memory import own_memory
from azero.runs import metrics
from azero.runs.metrics import Meter
from azero.search.evolution import Evolution
from azero.search.rounds.evaluating import Counts

# Metrics that depend on the clock and the machine; all others follow from the settings and
# `cycle`.
CLOCK = (
    "time", "seconds", "programs_per_second", "train_steps_per_second",
    "recent_programs_per_second", "recent_train_steps_per_second", "device_idle_share",
    "recent_device_idle_share", "memory_bytes", "process_memory_bytes", "losses",
    "missed_migrations", "checkpoint_wait_seconds", "seconds_left")


def evolution(islands=1, **settings):
  return Evolution(
      FIXED, tasks(islands), config(fingerprint=False, **settings), evaluator=ToyEvaluator)


def finish(search):
  while not search.finished:
    search.step()
  return search


class Clock:
  """Stands in for the module `time`."""

  def __init__(self, monkeypatch):
    self.now = 100.0
    monkeypatch.setattr(metrics, "time", self)

  def monotonic(self):
    return self.now

  def time(self):
    return 1e9 + self.now


def stub(**attributes):
  """A search of two islands as another process may show it."""
  defaults = {
      "counts": Counts(), "cycle": 0, "num_islands": 2, "active": np.ones(2, bool),
      "best_fitness": np.full(2, -np.inf), "num_programs": np.zeros(2, int),
      "train_steps": np.zeros(2, int), "device_seconds": np.zeros(2),
      "budget_left": lambda: {"train_steps": None, "programs": None}}
  return types.SimpleNamespace(**(defaults | attributes))


def test_metrics_add_up():
  search = evolution(3, max_programs=40)
  empty = metrics.metrics_of(search, 1.0)
  assert empty["best_fitness"] == empty["median_best_fitness"] == 0.0
  assert empty["programs"] == 0 and empty["canonical_hit_rate"] == empty["budget_spent"] == 0.0
  assert empty["hurdle_pass_rate"] is None
  finish(search)
  row = metrics.metrics_of(search, 2.0)
  assert row["programs"] == 120 and row["programs_per_second"] == 60.0
  assert row["train_steps_per_second"] == row["train_steps"] / 2
  hits = row["canonical_hits"]
  assert row["canonical_hit_rate"] == round(hits / 120, 4)
  assert row["evaluated"] == 120 - hits
  assert row["budget_spent"] == 1.0 and row["islands"] == 3
  json.dumps(row, allow_nan=False)


def test_hurdle_passes():
  row = metrics.totals_of(finish(evolution(2, max_programs=60, hurdle=0.5)))
  reached = row["hurdle_passed"] + row["hurdle_stopped"]
  assert row["hurdle_pass_rate"] == round(row["hurdle_passed"] / reached, 4)
  assert 0 < row["hurdle_passed"] < reached
  assert reached + row["canonical_hits"] == 120


def test_of_two_budgets_the_one_that_ends_first_counts():
  counts = Counts(programs=30, train_steps=600)
  row = metrics.totals_of(stub(
      counts=counts, budget_left=lambda: {"programs": 70, "train_steps": 200}))
  assert row["budget_spent"] == 0.75
  assert metrics.totals_of(stub(counts=counts))["budget_spent"] is None


def test_groups_are_those_of_their_searches():
  federation = finish(federation_cases.make())
  row = metrics.totals_of(federation)
  assert row["migrations"] == federation.migrations > 0
  for group, search in zip(federation.groups, federation.searches):
    assert row["groups"][group.name] == {
        "programs": search.counts.programs, "train_steps": search.counts.train_steps,
        "active_islands": 0, "best_fitness": search.best_fitness.max(),
        "median_best_fitness": np.median(search.best_fitness)}


def test_what_is_no_clock_metric_follows_from_the_settings():
  rows = []
  for _ in range(2):
    search = evolution(2, max_programs=40, hurdle=0.5)
    meter = Meter(search)
    rows.append(finish(search) and meter.measure())
  first, second = ({k: v for k, v in row.items() if k not in CLOCK} for row in rows)
  assert first == second and first == metrics.totals_of(search)
  # Of other processes and of a run's directory.
  elsewhere = {
      "process_memory_bytes", "losses", "missed_migrations", "checkpoint_wait_seconds"}
  assert rows[0].keys() == {*first, *CLOCK} - elsewhere and elsewhere < {*CLOCK}
  json.dumps(rows, allow_nan=False)


def test_recent_rates_and_idle_shares(monkeypatch):
  clock, search = Clock(monkeypatch), stub()
  meter = Meter(search)

  def go(seconds, programs, busy):
    clock.now += seconds
    search.counts = Counts(
        programs=search.counts.programs + programs,
        train_steps=search.counts.train_steps + 10 * programs)
    search.device_seconds = search.device_seconds + np.array(busy)

  go(8, 80, [4, 2])  # of two processes
  row = meter.report()
  assert (row["seconds"], row["time"]) == (8.0, 1e9 + 108)
  for name in ("programs_per_second", "recent_programs_per_second"):
    assert row[name] == 10.0
  assert row["device_idle_share"] == row["recent_device_idle_share"] == 1 - 3 / 8
  go(4, 200, [4, 4])
  row = meter.measure()  # ten seconds ago nothing was reported
  assert row["recent_programs_per_second"] == row["programs_per_second"] == 23.3
  go(6, 100, [3, 0])
  row = meter.measure()  # since the report
  assert row["recent_programs_per_second"] == 30.0
  assert row["recent_train_steps_per_second"] == 300.0
  assert row["recent_device_idle_share"] == round(1 - 5.5 / 10, 4)
  assert row["programs_per_second"] == round(380 / 18, 1)
  assert row["device_idle_share"] == round(1 - 8.5 / 18, 4)


def test_a_step_longer_than_ten_seconds_has_recent_rates_at_once(monkeypatch):
  clock, search = Clock(monkeypatch), stub()
  meter = Meter(search)
  for _ in range(3):
    clock.now += 30
    search.counts = Counts(programs=search.counts.programs + 60)
    assert meter.report()["recent_programs_per_second"] == 2.0
    assert meter.measure()["recent_programs_per_second"] == 2.0


def test_a_continued_meter_leaves_out_the_time_between(monkeypatch):
  clock, search = Clock(monkeypatch), stub()
  meter = Meter(search)
  clock.now += 10
  search.counts, search.device_seconds = Counts(programs=50), np.array([5.0, 5.0])
  state = json.loads(json.dumps(meter.state()))
  clock.now += 1000
  again = stub(counts=search.counts, device_seconds=np.array([70.0, 70.0]))
  meter = Meter(again)
  meter.restore(state)
  row = meter.measure()
  assert row["seconds"] == 10.0 and row["programs_per_second"] == 5.0
  assert row["device_idle_share"] == 0.5
  clock.now += 10
  again.counts, again.device_seconds = Counts(programs=250), np.array([80.0, 80.0])
  row = meter.measure()
  assert row["seconds"] == 20.0 and row["programs_per_second"] == 12.5
  assert row["recent_programs_per_second"] == 20.0
  assert row["device_idle_share"] == 0.25 and row["recent_device_idle_share"] == 0.0


def test_a_device_that_begins_later_makes_nobody_idle(monkeypatch):
  clock, activity = Clock(monkeypatch), Activity(lambda: clock.now)
  monkeypatch.setattr(metrics, "DEVICES", activity)

  def work(seconds, *devices):
    with contextlib.ExitStack() as stack:
      for device in devices:
        stack.enter_context(activity.busy(device))
      clock.now += seconds

  work(100, 0)
  search = stub()
  del search.device_seconds
  meter = Meter(search)
  work(30, 0, 1)
  clock.now += 10
  row = meter.measure()
  assert row["device_idle_share"] == row["recent_device_idle_share"] == 0.25
  state = meter.state()
  work(1000, 1)
  meter = Meter(search)
  meter.restore(state)
  work(40, 0, 1)
  assert meter.measure()["device_idle_share"] == 0.125


@pytest.mark.parametrize(("left", "seconds"), [
    ({"programs": 1000, "train_steps": None}, 100.0),
    ({"programs": None, "train_steps": None}, None),
    ({"programs": 1000, "train_steps": 40}, 4.0)])
def test_the_time_left_follows_from_the_recent_rate(monkeypatch, left, seconds):
  clock, search = Clock(monkeypatch), stub(budget_left=lambda: left)
  meter = Meter(search)
  assert meter.measure()["seconds_left"] is None  # there is no rate yet
  clock.now += 2
  search.counts = Counts(programs=20, train_steps=20)
  assert meter.measure()["seconds_left"] == seconds


def test_the_time_left_is_no_longer_than_the_run_may_take(monkeypatch):
  clock = Clock(monkeypatch)
  meter = Meter(stub(budget_left=lambda: {"programs": 1000, "train_steps": None}), 30.0)
  assert meter.measure()["seconds_left"] == 30.0
  meter._search.counts, clock.now = Counts(programs=20), clock.now + 2
  assert meter.measure()["seconds_left"] == 28.0  # and 100 by the programs
  meter._search.counts, clock.now = Counts(programs=1000), clock.now + 23
  assert meter.measure()["seconds_left"] == 5.0
  clock.now += 60
  assert meter.measure()["seconds_left"] == 0.0


def test_devices_are_idle_while_the_host_works():
  search, evaluator = evolution(max_programs=20), Evaluator(
      FIXED, tasks(), lanes=16, num_devices=1)
  evaluator.evaluate(search.population)  # compiles
  meter = Meter(search)
  busy, _ = meter.state()["busy"], time.sleep(0.05)
  assert meter.state()["busy"] == busy
  evaluator.evaluate(search.population)
  assert busy < meter.state()["busy"] < meter.seconds() - 0.05
  assert 0.0 < meter.measure()["device_idle_share"] <= 1.0  # rounded


def test_counts_that_go_back_give_no_negative_rate():
  search = finish(evolution(max_programs=60))
  meter = Meter(search)
  search.counts.programs -= 20  # as where a process was lost and begins again
  search.counts.train_steps -= 20
  row = meter.report()
  assert row["recent_programs_per_second"] == row["recent_train_steps_per_second"] == 0
  assert row["seconds_left"] is None


def test_memory_is_that_of_this_process():
  measured = Meter(evolution()).measure()["memory_bytes"]
  assert 0.5 < measured / own_memory() < 2


def test_workers():
  federation = finish(federation_cases.make(small={"max_programs": 40}))
  workers = metrics.workers_of(federation)
  assert workers["programs"] == federation.num_programs.tolist()
  assert workers["train_steps"] == federation.train_steps.tolist()
  assert workers["active"] == [0] * federation_cases.WORKERS
  np.testing.assert_allclose(workers["best_fitness"], federation.best_fitness, atol=1e-6)
  assert metrics.workers_of(evolution(2, max_programs=20)) == {
      "programs": [0, 0], "train_steps": [0, 0], "best_fitness": [0.0, 0.0], "active": [1, 1]}


def test_workers_of_a_large_search_are_small():
  count = 1024
  search = stub(
      num_islands=count, active=np.ones(count, bool), best_fitness=np.full(count, 0.123456789),
      num_programs=np.full(count, 10**7), train_steps=np.full(count, 10**10))
  assert len(json.dumps(metrics.workers_of(search))) < 50_000
