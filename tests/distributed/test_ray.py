"""The same with real processes: Ray, and what can happen to processes."""

import importlib
import os
import pathlib
import pickle
import signal
import socket
import sys
import threading
import time

import pytest
from support.federation_cases import EVERY_TEN, groups, make
from test_cluster import history

from azero.distributed import ray_runtime
from azero.distributed.cluster import Cluster
from azero.distributed.ray_runtime import RayRuntime
from azero.executors.evaluator import Evaluator
from azero.search.proposals import mutation
from azero.search.protocol import WorkerLost


@pytest.fixture(scope="module")
def runtime():
  return RayRuntime(num_processes=2, num_devices=1)


def cluster(runtime, **options):
  return Cluster(
      groups(evaluator=Evaluator), EVERY_TEN, runtime, num_processes=2, **options)


def pids(search):
  return [member.actor.submit("pid").result() for member in search._members]


def test_processes_of_ray_do_what_one_process_does(runtime):
  expected = history(make(evaluator=Evaluator))
  with cluster(runtime) as search:
    assert len({*pids(search), os.getpid()}) == 3
    assert history(search) == expected


def test_an_error_of_a_process_is_not_taken_for_a_lost_ray(runtime):
  actor = runtime.start_server(pathlib.Path, "/nowhere/at/all")
  with pytest.raises(FileNotFoundError, match="/nowhere/at/all"):
    actor.submit("read_text").result()
  runtime.stop(actor)


def test_more_processes_than_cores_are_refused(runtime):
  with pytest.raises(ValueError, match=r"1000 process\(es\) with 1 device.* and Ray has"):
    RayRuntime(num_processes=1000, num_devices=1)


def test_missing_machines_are_told_once_a_minute(runtime, monkeypatch, capsys):
  monkeypatch.setattr(runtime, "_cores", 1000)
  for _ in range(2):
    monkeypatch.setattr(runtime._head, "_looked", -float("inf"))
    runtime.look()
  present = int(runtime._ray.cluster_resources()["CPU"])
  assert capsys.readouterr().err == (
      f"warning: the search needs 1000 cores, and Ray has {present} left: what has no room waits "
      f"until a machine joins (`ray start --address={runtime._head.address}`).\n")


def test_who_waits_for_one_call_looks_after_ray_too(runtime, monkeypatch):
  class Sleeper:  # here, so that it is sent as a whole
    def sleep(self, seconds):
      time.sleep(seconds)
      return seconds

  actor, looks = runtime.start_server(Sleeper), []
  assert actor.submit("sleep", 0).result() == 0
  monkeypatch.setattr(ray_runtime, "_LOOK_SECONDS", 0.1)
  call = ray_runtime._RayActor(actor.handle, lambda: looks.append(None)).submit("sleep", 0.5)
  assert call.result() == 0.5 and 2 <= len(looks) <= 5
  call = ray_runtime._RayActor(actor.handle, lambda: 1 / 0).submit("sleep", 0.5)
  with pytest.raises(ZeroDivisionError):  # what is wrong with Ray ends the waiting
    call.result()
  sent = pickle.loads(pickle.dumps(ray_runtime._RayActor(None, runtime.look)))
  assert sent._look is None
  runtime.stop(actor)


def test_what_needs_the_head_of_ray_does_not_wait_for_one_that_is_gone(runtime, monkeypatch):
  with socket.create_server(("127.0.0.1", 0)) as closed:
    address = f"127.0.0.1:{closed.getsockname()[1]}"
  head = ray_runtime._Head(address)
  monkeypatch.setattr(runtime, "_head", head)
  monkeypatch.setattr(ray_runtime, "_REQUIRED_SECONDS", 0.01)
  message = rf"Ray itself is gone: nothing answers at {address} any more .* --resume\.$"
  with pytest.raises(ConnectionError, match=message):
    runtime.start_server(list)
  assert head.gone and head._failures == 3
  runtime.stop(ray_runtime._RayActor(None))  # it ends by itself


@pytest.fixture
def own_mutation(tmp_path, monkeypatch):
  """A mutation in a module of its own, which is gone afterwards, as it is for other processes."""
  (tmp_path / "only_here.py").write_text(
      "def swap(programs, i, function, space, stream):\n  pass\n")
  monkeypatch.syspath_prepend(tmp_path)
  monkeypatch.setattr(mutation, "_OWN", {})
  monkeypatch.setattr(mutation, "_own_functions", {})
  mutation.register_mutation("swap", importlib.import_module("only_here").swap)
  yield "swap"
  sys.modules.pop("only_here", None)


def test_a_mutation_that_other_processes_cannot_import_is_one_sentence(own_mutation, tmp_path):
  setup = ray_runtime._Setup.here(1)
  setup.adopt_own()  # here it can be
  sys.modules.pop("only_here")
  sys.path.remove(str(tmp_path))
  with pytest.raises(
      ValueError, match=r"cannot be imported in another process \(No module named 'only_here'\)"):
    setup.adopt_own()


def test_a_mutation_that_cannot_be_sent_is_one_sentence(own_mutation, monkeypatch):
  lock = threading.Lock()
  monkeypatch.setitem(mutation._own_functions, "swap", lambda *_: lock)
  with pytest.raises(ValueError, match=r"cannot be sent to other processes \(TypeError: .*lock"):
    ray_runtime._Setup.here(1)


@pytest.mark.slow  # starts processes, again and again
def test_a_killed_worker_is_told_and_the_last_state_leads_to_the_same(runtime):
  expected = history(make(evaluator=Evaluator))
  with cluster(runtime, slice_seconds=0.0) as search:
    for _ in range(5):
      search.step()
    state = search.state()
    os.kill(pids(search)[0], signal.SIGKILL)
    with pytest.raises(WorkerLost, match="was lost"):
      history(search)
    rest = history(search, state=state)
    assert {name: rest[name] for name in rest if name != "improvements"} == {
        name: expected[name] for name in expected if name != "improvements"}


@pytest.mark.slow
def test_an_asynchronous_search_survives_worker_and_server(runtime):
  settings = {"max_programs": 3000, "evaluator": Evaluator}
  with Cluster(
      groups(**settings), EVERY_TEN, runtime, num_processes=2, asynchronous=True,
      slice_seconds=0.05) as search:
    while search.counts.programs < 500:
      search.step()
    search.state()
    best = search.hall_of_fame.best.fitness
    os.kill(pids(search)[1], signal.SIGKILL)
    os.kill(search._members.server.submit("pid").result(), signal.SIGKILL)
    while not search.finished:
      search.step()
      assert search.hall_of_fame.best.fitness >= best
    assert search.losses >= 1 and (search.num_programs >= 3000).all()
    # The server came back, and most exchanges found it.
    assert search.missed_migrations < search.migrations / 2


@pytest.mark.slow
def test_a_slow_worker_holds_nobody_up(runtime):
  settings = {"max_programs": 20_000, "evaluator": Evaluator}
  with Cluster(
      groups(**settings), EVERY_TEN, runtime, num_processes=2, asynchronous=True,
      slice_seconds=0.05) as search:
    while search.counts.programs < 500:
      search.step()
    slow = pids(search)[0]
    stop = threading.Event()

    def slow_down():  # it works a tenth of the time
      while not stop.is_set():
        os.kill(slow, signal.SIGSTOP)
        time.sleep(0.45)
        os.kill(slow, signal.SIGCONT)
        time.sleep(0.05)

    before = search.num_programs.copy()
    thread = threading.Thread(target=slow_down)
    thread.start()
    try:
      end = time.monotonic() + 20
      while time.monotonic() < end and search.active[2:].any():
        search.step()
    finally:
      stop.set()
      thread.join()
      os.kill(slow, signal.SIGCONT)
    done = search.num_programs - before
    first = [island for group in search._members._members[0].groups
             for island in range(group.first_worker, group.first_worker + len(group.task_sets))]
    others = [island for island in range(5) if island not in first]
    assert done[others].mean() > 3 * done[first].mean()
