"""A search over processes does what it does in one, and survives what happens to them."""

import dataclasses
import functools
import json
import pickle

import numpy as np
import pytest
from support.federation_cases import EVERY_TEN, WORKERS, groups, make
from support.inline_runtime import InlineRuntime

from azero.distributed.cluster import Cluster
from azero.distributed.parts import split
from azero.runs.directory import settings_of
from azero.search import search as search_module
from azero.search.checked_state import StateError
from azero.search.groups.federation import Federation
from azero.search.protocol import WorkerLost


def cluster(runtime=None, *, migration=EVERY_TEN, processes=2, settings=None, **options):
  return Cluster(
      groups(**(settings or {})), migration, runtime or InlineRuntime(), num_processes=processes,
      slice_seconds=0.0, **options)  # so that no clock decides how much a process does at once


def history(search, *, state=None):
  """Steps a search to its end; every improvement of every worker, and how all ended."""
  if state is not None:
    search.restore(state)
  found = []
  for _ in range(10_000):
    if search.finished:
      break
    search.step()
    found += search.take_improvements()
  assert search.finished
  return outcome(search) | {"improvements": sorted(
      (item.island, item.num_programs, item.train_steps, item.fitness,
       item.program.constants.tobytes()) for item in found)}


def outcome(search):
  return {
      "best": search.best_fitness.tolist(), "programs": search.num_programs.tolist(),
      "steps": search.train_steps.tolist(), "counts": search.counts,
      "migrations": search.migrations,
      "best_programs": [text.tobytes() for text in (
          search.best_programs.opcode, search.best_programs.constants)],
      "hall": [
          (entry.fitness, entry.island, entry.num_programs, entry.program.constants.tobytes())
          for entry in search.hall_of_fame]}


def test_groups_are_checked_before_processes_start():
  runtime = InlineRuntime()
  with pytest.raises(ValueError, match="must have different names, got small, small"):
    cluster(runtime, settings={"group": {"wide": {"name": "small"}}})
  assert not runtime.actors


@pytest.fixture(scope="module")
def local():
  return history(make())


@pytest.mark.parametrize("processes, lockstep", [
    (1, False), (2, False), (3, False), (WORKERS, False), (2, True)])
def test_any_number_of_processes_does_what_one_does(local, processes, lockstep):
  search = cluster(InlineRuntime(processes), processes=processes, lockstep=lockstep)
  assert history(search) == local
  assert local["migrations"] > 2 and search.num_processes == processes


def test_parts_take_the_steps_of_the_whole(monkeypatch):
  monkeypatch.setattr(search_module, "_STEP_NUMBERS", 40_000)  # a few rounds
  monkeypatch.setattr(search_module, "_FEW_ISLANDS", 1)
  chosen = {"cycles_per_step": None, "hurdle": 0.5, "max_programs": 1000}
  whole = make(migration=None, **chosen)
  whole.step()
  parts = [Federation(part) for part in split(groups(**chosen), 2)]
  for part in parts:
    part.step()
  made = [
      np.concatenate([part.searches[k].num_programs for part in parts]).tolist()
      for k in range(len(whole.searches))]
  assert made == [search.num_programs.tolist() for search in whole.searches]
  assert max(map(max, made)) < 1000
  smaller = Federation([dataclasses.replace(group, workers_in_all=None) for group in part.groups])
  smaller.step()
  assert smaller.counts.programs > part.counts.programs


@pytest.mark.parametrize("sizes", [(5,) * 6, (3, 2), (1, 1, 1, 7), (9, 4, 2)])
def test_parts_differ_by_one_worker_at_most(sizes):
  [group, *_] = groups()
  every = [
      dataclasses.replace(group, name=str(k), task_sets=[group.task_sets[0]] * size)
      for k, size in enumerate(sizes)]
  for count in range(1, sum(sizes) + 1):
    parts = split(every, count)
    whole = [sum(len(each.task_sets) for each in part) for part in parts]
    assert max(whole) - min(whole) <= 1 and sum(whole) == sum(sizes)
    numbers = [
        each.first_worker + k for k_group in range(len(sizes)) for part in parts for each in part
        if each.name == str(k_group) for k in range(len(each.task_sets))]
    assert numbers == list(range(sum(sizes)))


@pytest.mark.parametrize("processes", [2, WORKERS])
def test_a_process_that_has_finished_counts_migrations_for_a_larger_budget(processes):
  """Its workers migrate with the others when they have work again."""
  small, large = ({"small": {"max_programs": most[0]}, "wide": {"max_programs": most[1]}}
                  for most in ((40, 90), (150, 150)))
  whole = make(**small)
  history(whole)
  parts = cluster(processes=processes, settings=small)
  history(parts)
  expected = history(make(**large), state=whole.state())
  assert history(
      cluster(processes=processes, settings=large), state=parts.state()) == expected


def test_without_migration_too():
  assert history(cluster(migration=None, processes=3)) == history(make(migration=None))


def test_attributes_are_those_of_a_federation(local):
  search, other = cluster(), make()
  assert search.num_islands == other.num_islands == WORKERS
  assert search.budget_left() == other.budget_left()
  assert search.experiments.tolist() == other.experiments.tolist()
  assert [search.space_of(k) for k in range(WORKERS)] == [
      other.space_of(k) for k in range(WORKERS)]
  assert [tasks.num_features for tasks in search.task_sets] == [4, 4, 4, 8, 8]
  assert search.bounded and not search.finished and search.active.all()
  mine, theirs = settings_of(search), settings_of(other)
  json.dumps(mine, allow_nan=False)
  assert {name: mine[name] for name in ("groups", "migration")} == {
      name: theirs[name] for name in ("groups", "migration")}
  assert mine["processes"] == 2


@pytest.mark.parametrize("victim, at", [(0, 1), (1, 4), (0, 6)])
def test_a_lost_process_is_told_and_the_last_state_leads_to_the_same(local, victim, at):
  runtime = InlineRuntime()
  search = cluster(runtime)
  search.step()
  state = search.state()

  def kill(runtime):
    if runtime.waits == at + 1:
      runtime.processes[victim].kill()

  runtime.before_wait = kill
  with pytest.raises(WorkerLost, match="was lost"):
    history(search)
  assert search.losses == 1
  rest = history(search, state=state)
  assert {name: rest[name] for name in rest if name != "improvements"} == {
      name: local[name] for name in local if name != "improvements"}


def test_a_lost_server_is_told_and_the_last_state_leads_to_the_same(local):
  runtime = InlineRuntime()
  search = cluster(runtime)
  search.step()
  state = search.state()
  runtime.server.kill()
  with pytest.raises(WorkerLost, match="in a migration"):
    history(search)
  runtime.server.restart()
  rest = history(search, state=state)
  assert rest["best"] == local["best"] and rest["hall"] == local["hall"]


def test_a_server_that_forgot_what_was_sent_is_noticed(local):
  runtime = InlineRuntime()
  search = cluster(runtime, processes=3)
  search.step()
  state = search.state()
  server = runtime.server
  submit = server.submit

  def forget_before_download(method, *arguments):
    if method == "download":
      server.restart()
    return submit(method, *arguments)

  server.submit = forget_before_download
  with pytest.raises(WorkerLost, match="started anew"):
    history(search)
  server.submit = submit
  assert history(search, state=state)["best"] == local["best"]


def _of_a_process(state):
  return state["processes"]["1"]["federation"]["searches"]["0"]


def _without_a_process(state):
  del state["processes"]["1"]


def _missed_less_than_none(state):
  state["processes"]["0"]["missed"] = -1


def _of_another_type(state):
  _of_a_process(state)["islands"]["fitness"] = np.zeros(3, np.float32)


def _beyond_the_ops(state):
  _of_a_process(state)["islands"]["population"]["opcode"][0, 0] = 999


def _without_a_hall(state):
  state["halls"].clear()


def _of_no_island(state):
  state["improvements"]["island"][0] = WORKERS


def _of_other_words(state):
  next(iter(state["fronts"].values()))["entries"]["complexity"][:] = 10**9


@pytest.mark.parametrize(("change", "what"), [
    (_without_a_process, "'1' is missing"), (_missed_less_than_none, "'missed' is missing"),
    (_of_another_type, "'fitness' is missing, or no array of float64"),
    (_beyond_the_ops, "'population' are no programs of this search"),
    (_without_a_hall, "is missing, or no state"),
    (_of_no_island, "'island' has numbers that cannot be"),
    (_of_other_words, "'complexity' has numbers that cannot be")])
def test_a_state_of_no_such_search_is_refused(change, what):
  search = cluster()
  for _ in range(6):
    search.step()
  state = pickle.loads(pickle.dumps(search.state()))
  assert len(state["improvements"]["island"])
  change(state)
  with pytest.raises(StateError, match=what):
    cluster().restore(state)


def asynchronous(runtime, **options):
  return cluster(runtime, asynchronous=True, **options)


@pytest.mark.parametrize("seed", range(2))
def test_nobody_waits_in_an_asynchronous_search(seed):
  runtime = InlineRuntime(seed)
  search = asynchronous(runtime, processes=3)
  slow, own, others = runtime.processes[0], [0, 3], [1, 2, 4]
  choice = runtime.rng.choice
  runtime.rng.choice = lambda calls: choice(
      [call for call in calls if call.actor is not slow] or calls)
  for _ in range(200):
    search.step()
    if not search.active[others].any():
      break
  # The others came to their ends, migrations included, before the slow one did anything.
  assert (search.num_programs[own] == 0).all() and (search.num_programs[others] >= 90).all()
  assert search.migrations > 2 and search.missed_migrations == 0
  history(search)
  assert (search.num_programs >= 90).all()


@pytest.mark.parametrize("with_state", [False, True])
def test_an_asynchronous_search_goes_on_without_a_lost_process(with_state):
  runtime = InlineRuntime(1)
  search = asynchronous(runtime)
  for _ in range(3):
    search.step()
  assert search.active[0]
  if with_state:
    search.state()
  before = outcome(search)
  search.take_improvements()
  runtime.processes[0].kill()
  found, steps = [], 0
  while not search.finished and steps < 1000:
    search.step()
    steps += 1
    found += search.take_improvements()
    # What was found is never lost.
    assert search.hall_of_fame.best.fitness >= before["hall"][0][0]
    assert (search.best_fitness >= before["best"]).all()
  assert search.finished and search.losses == 1
  assert (search.num_programs >= 90).all()
  best = dict(enumerate(before["best"]))
  for item in found:  # none is told twice
    assert item.fitness > best[item.island]
    best[item.island] = item.fitness


def test_a_process_that_is_lost_again_and_again_ends_even_an_asynchronous_search():
  runtime = InlineRuntime(1)
  search = asynchronous(runtime)

  def kill(runtime):
    runtime.processes[0].kill()

  runtime.before_wait = kill
  with pytest.raises(WorkerLost):
    history(search)


def test_a_process_that_dies_whenever_it_advances_ends_the_search_whatever_was_saved(capsys):
  runtime = InlineRuntime(1)
  search = asynchronous(runtime)
  search.step()
  search.state()
  start = runtime.start_process

  def start_fragile(*arguments):
    actor = start(*arguments)
    actor.submit = functools.partial(_killed_by, "advance", actor, actor.submit)
    return actor

  runtime.start_process = start_fragile
  runtime.processes[0].kill()
  with pytest.raises(WorkerLost, match="Process 1 of 2 was lost"):
    history(search)
  assert search.losses == 6
  assert capsys.readouterr().err.count("starts anew from its last state") == 5


def test_a_process_that_is_lost_twice_while_a_state_is_taken(monkeypatch):
  runtime = InlineRuntime(1)
  search = asynchronous(runtime)
  search.step()
  start, killed = runtime.start_process, []

  def start_and_kill(*arguments):
    actor = start(*arguments)
    if not killed:
      killed.append(actor)
      actor.submit = functools.partial(_killed_by, "state", actor, actor.submit)
    return actor

  monkeypatch.setattr(runtime, "start_process", start_and_kill)
  runtime.processes[0].kill()
  state = search.state()
  assert killed and search.losses == 2
  monkeypatch.undo()
  search.restore(state)
  history(search)
  assert (search.num_programs >= 90).all()


def _killed_by(deadly, actor, submit, method, *arguments):
  if method == deadly:
    while actor.queue:  # what was asked before is done
      actor.queue.popleft().run()
    actor.kill()
  return submit(method, *arguments)


def test_reports_between_losses_count_whoever_takes_them():
  runtime = InlineRuntime(1)
  search = asynchronous(runtime)
  for _ in range(8):
    search.step()
    search.state()  # takes the reports
    search.step()
    runtime.processes[-1].kill()
    search.state()
  assert search.losses == 8


def test_devices_of_a_lost_process_have_worked():
  seconds = iter([5.0, 7.0, 1.0, 2.0])
  runtime = InlineRuntime(1)
  search = asynchronous(runtime)
  process = runtime.processes[0].object
  for expected in (5.0, 7.0, 8.0, 9.0):
    report = dataclasses.replace(process._report(), device_seconds=next(seconds))
    search._take_in(search._members.of(0), report)
    assert search.device_seconds.tolist() == [expected, 0.0]


def test_exchanges_without_a_server_are_missed_and_counted():
  runtime = InlineRuntime(1)
  search = asynchronous(runtime)
  search.step()
  runtime.server.kill()
  while not search.missed_migrations:
    assert not search.finished
    search.step()
  missed = search.missed_migrations
  runtime.server.restart()
  history(search)
  assert (search.num_programs >= 90).all() and search.missed_migrations >= missed


def test_a_state_of_an_asynchronous_search_continues():
  search = asynchronous(InlineRuntime(3))
  for _ in range(7):
    search.step()
  state = search.state()
  other = asynchronous(InlineRuntime(4))
  other.restore(state)
  assert (other.best_fitness >= search.best_fitness).all()
  assert [e.fitness for e in other.hall_of_fame] == [e.fitness for e in search.hall_of_fame]
  history(other)
  assert (other.num_programs >= 90).all()


def test_bad_clusters_are_refused():
  with pytest.raises(ValueError, match="over 1 to 5 processes, not over 6"):
    cluster(processes=6)
  with pytest.raises(ValueError, match="needs a reproducible search"):
    cluster(asynchronous=True, lockstep=True)
  with pytest.raises(ValueError, match="50 migrants of a population of 12"):
    cluster(migration=type(EVERY_TEN)(every=10, migrants=50))


def test_closing_ends_the_processes():
  runtime = InlineRuntime()
  with cluster(runtime) as search:
    search.step()
  assert not any(actor.alive for actor in runtime.actors)
  assert np.isfinite(search.best_fitness).any()
