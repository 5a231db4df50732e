"""What a run leaves behind when it is killed, asked to stop, or cannot write any more."""

from collections.abc import Iterator
import contextlib
import errno
import functools
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest
from support.search_cases import FIXED, assert_same_state, config, interrupt_at, small_disk, tasks
from support.toy_evaluator import ToyEvaluator

from azero.executors.evaluator import Evaluator
from azero.runs import recorder, runner
from azero.runs.checkpoints import Checkpoints
from azero.runs.directory import RunDirectory, settings_of
from azero.search.evolution import Evolution


def checkpoints(path):
  return Checkpoints(path / "checkpoints", schema=recorder.SCHEMA)


def hall_of_fame(path):
  return json.loads((path / "hall_of_fame.json").read_text(encoding="utf-8"))


class Children:
  """Runs in other processes, see `killed_runs`; one at a time."""

  def __init__(self, settings: dict):
    tests = pathlib.Path(__file__).parents[1]
    path = os.pathsep.join(map(str, (tests, tests.parent)))
    self._process = subprocess.Popen(
        [sys.executable, str(tests / "support" / "killed_runs.py"), json.dumps(settings)],
        env=os.environ | {"PYTHONPATH": path}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True)

  def start(self, path) -> int:
    self._process.stdin.write(f"{path}\n")
    self._process.stdin.flush()
    return int(self._process.stdout.readline())

  def status(self) -> int:
    return int(self._process.stdout.readline())

  def close(self) -> None:
    self._process.communicate()


@contextlib.contextmanager
def children(**settings) -> Iterator[Children]:
  process = Children(settings)
  try:
    yield process
  finally:
    process.close()


def wait_for_version(path, version):
  while not (newest := checkpoints(path).versions()[-1:]) or newest[0] < version:
    time.sleep(0.001)


def newest_version(path):
  return max([0, *checkpoints(path).versions()])


def kill_and_continue(tmp_path, kills, **settings):
  """Kills a run so many times at random moments; checks all that it leaves, then and at the end."""
  rng = np.random.default_rng(0)
  path, whole = tmp_path / "run", tmp_path / "whole"
  best = -np.inf
  with children(**settings) as processes:
    processes.start(whole)
    assert processes.status() == 0
    for kill in range(kills):
      child = processes.start(path)
      more = int(rng.integers(4))
      if more:
        wait_for_version(path, newest_version(path) + more)
      time.sleep(rng.uniform(0, 0.1 if more else 1.0))
      os.kill(child, signal.SIGKILL)
      assert processes.status() == -signal.SIGKILL, f"the run ended before kill {kill}"
      if newest := newest_version(path):
        loaded = checkpoints(path).load()
        assert loaded.version == newest and loaded.damaged == []
      if (path / "hall_of_fame.json").exists():
        assert hall_of_fame(path)[0]["fitness"] >= best
        best = hall_of_fame(path)[0]["fitness"]
    processes.start(path)
    assert processes.status() == 0
  assert best > -np.inf
  for name in ("improvements.jsonl", "hall_of_fame.json", "front.json", "lineage.json"):
    assert (path / name).read_text() == (whole / name).read_text()
  first, second = (checkpoints(each).load().state for each in (path, whole))
  assert first["status"] == second["status"] == "budget"
  for name in ("search", "improvements", "settings"):
    assert_same_state(first[name], second[name])
  assert sorted(file.name for file in path.iterdir()) == [
      "checkpoints", "config.json", "front.json", "hall_of_fame.json", "improvements.jsonl",
      "lineage.json", "metrics.jsonl", "workers.json"]
  assert len(list((path / "checkpoints").iterdir())) == 3


def test_a_run_survives_being_killed(tmp_path):
  # One kind of evaluation, so that little is to be compiled.
  kill_and_continue(tmp_path, 3, max_programs=120, fingerprint=False)


@pytest.mark.slow
def test_a_run_survives_being_killed_twenty_times(tmp_path):
  kill_and_continue(tmp_path, 20, max_programs=400, hurdle=0.5)


def make(evaluator=ToyEvaluator, **settings):
  chosen = {"fingerprint": False, "cycles_per_step": 2, "max_programs": 60} | settings
  return Evolution(FIXED, tasks(3), config(**chosen), evaluator=evaluator)


def run(search, path, *, resume=False, **arguments):
  directory = RunDirectory.open if resume else RunDirectory
  return runner.run(
      search, directory=directory(path, settings_of(search)), progress="off", **arguments)


def assert_same_end(result, path, expected, whole):
  assert result.status == expected.status == "budget"
  assert_same_state(result.search.state(), expected.search.state())
  assert result.improvements == expected.improvements
  for name in ("improvements.jsonl", "hall_of_fame.json", "front.json", "lineage.json"):
    assert (path / name).read_text() == (whole / name).read_text()


def test_a_run_that_is_stopped_after_every_cycle(tmp_path):
  expected, path = run(make(), tmp_path / "whole"), tmp_path / "run"
  result = run(make(), path, should_stop=interrupt_at(2))
  for cycle in range(4, 50, 2):
    assert result.status == "interrupted" and result.search.cycle == cycle - 2
    result = run(make(), path, resume=True, should_stop=interrupt_at(cycle))
  assert_same_end(run(make(), path, resume=True), path, expected, tmp_path / "whole")


def test_a_signal_while_devices_work_stops_cleanly(tmp_path, monkeypatch):
  settings = {"cycles_per_step": 3, "hurdle": 0.5, "evaluator": Evaluator}
  expected, whole = run(make(**settings), tmp_path / "whole"), tmp_path / "whole"
  evaluate = Evaluator.evaluate_plan
  before = [signal.getsignal(number) for number in runner._SIGNALS]

  for at in range(1, 40, 8):
    number, search, path = runner._SIGNALS[at // 8 % 2], make(**settings), tmp_path / f"run {at}"
    calls: list[int] = []  # the cycle before the step of each

    def interrupted(evaluator, *args, calls=calls, at=at, number=number, search=search):
      evaluation = evaluate(evaluator, *args)
      calls.append(search.cycle)
      if len(calls) == at:
        signal.raise_signal(number)
      return evaluation

    with monkeypatch.context() as patch:
      patch.setattr(Evaluator, "evaluate_plan", interrupted)
      first = run(search, path)
    assert first.status == checkpoints(path).load().info["status"] == "interrupted"
    assert search.cycle == calls[at - 1] + 3  # the step was finished
    assert [signal.getsignal(number) for number in runner._SIGNALS] == before
    assert_same_end(run(make(**settings), path, resume=True), path, expected, whole)


@pytest.mark.parametrize("numbers", [
    (signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)])
def test_a_second_signal_interrupts_at_once(tmp_path, numbers):
  def should_stop(search):
    for number in numbers:
      signal.raise_signal(number)

  with pytest.raises(KeyboardInterrupt):
    run(make(), tmp_path / "run", should_stop=should_stop)
  expected = run(make(), tmp_path / "whole")
  assert_same_end(
      run(make(), tmp_path / "run", resume=True), tmp_path / "run", expected, tmp_path / "whole")


def test_going_back_to_the_last_checkpoint_during_a_run(tmp_path, monkeypatch):
  monkeypatch.setattr(recorder, "_REPORT_SECONDS", 0.0)
  expected, whole, path = run(make(), tmp_path / "whole"), tmp_path / "whole", tmp_path / "run"
  search = make()

  def step():
    search.step()
    records.after_step()

  directory = RunDirectory(path, settings_of(search))
  with recorder.Recorder(search, directory, None, 0, False) as records:
    assert records.begin() == "running"
    for saved, lost in ((2, 3), (0, 4), (3, 1), (1, 5)):
      cycle = search.cycle + 2 * saved
      for _ in range(saved):
        step()
        records.save_if_due()
      for _ in range(lost):
        step()
      assert records.restore() == "running"
      assert search.cycle == cycle
      assert [row["cycle"] for row in records.metrics] == list(range(2, cycle + 1, 2))
      lines = (path / "improvements.jsonl").read_text().splitlines()
      assert len(lines) == len(records.improvements)
    while not search.finished:
      step()
    records.save("budget")
  assert_same_state(search.state(), expected.search.state())
  assert records.improvements == expected.improvements
  for name in ("improvements.jsonl", "hall_of_fame.json", "front.json", "lineage.json"):
    assert (path / name).read_text() == (whole / name).read_text()


def test_the_best_program_stays_on_the_disk_until_it_is_found_again(tmp_path, monkeypatch):
  monkeypatch.setattr(recorder, "_REPORT_SECONDS", 0.0)
  path = tmp_path / "run"
  late = functools.partial(make, seed=1)  # finds its best after more than two cycles
  run(late(), path)
  text, best = (path / "hall_of_fame.json").read_text(), hall_of_fame(path)[0]["fitness"]
  behind = []

  def forget():
    shutil.rmtree(path / "checkpoints" / f"{checkpoints(path).versions()[-1]:08}")
    assert checkpoints(path).load().info["cycle"] == 0

  def should_stop(search):
    behind.append(bool(search.best_fitness.max() < best))
    assert hall_of_fame(path)[0]["fitness"] == best
    if search.cycle == 4 and len(behind) == 2:
      raise RuntimeError("mine")

  forget()
  with pytest.raises(RuntimeError, match="mine"):
    run(late(), path, resume=True, should_stop=should_stop)
  assert behind == [True, True] and (path / "hall_of_fame.json").read_text() == text
  run(late(), path, resume=True, should_stop=should_stop)
  assert True in behind[2:] and behind[-1] is False
  assert (path / "hall_of_fame.json").read_text() == text
  forget()  # a condition that ends it earlier than the first time does not throw away the best
  assert run(late(), path, resume=True, should_stop=lambda _: True).status == "stopped"
  assert (path / "hall_of_fame.json").read_text() == text
  forget()  # a smaller budget ends a run with what it found, as if it had been the first one
  run(late(max_programs=20), path, resume=True)
  run(late(max_programs=20), tmp_path / "short")
  assert (path / "hall_of_fame.json").read_text() == (
      tmp_path / "short" / "hall_of_fame.json").read_text() != text


@pytest.mark.parametrize("interval, waiting, expected", [
    (60.0, 0.1, [0, 12, 24, 36, 48, 50]), (60.0, 1.0, [0, 12, 42, 50]),
    (0.0, 1.0, [*range(0, 51, 2)])])
def test_costly_checkpoints_are_rarer(tmp_path, monkeypatch, interval, waiting, expected):
  clock, saved = [0.0], []
  monkeypatch.setattr(recorder, "time", types.SimpleNamespace(monotonic=lambda: clock[0]))
  search = make(max_programs=50)
  state = search.state

  def slow_state():
    clock[0] += waiting
    saved.append(search.cycle)
    return state()

  def should_stop(search):
    clock[0] += 10.0

  monkeypatch.setattr(search, "state", slow_state)
  run(search, tmp_path / "run", should_stop=should_stop, checkpoint_seconds=interval)
  assert saved == expected


def assert_stopped_by_a_full_disk(raised, path, code):
  """Checks the one error, and that what is on the disk is as it was."""
  version, info = newest_version(path), checkpoints(path).load().info
  assert raised.value.errno == code
  assert str(raised.value) == (
      f"The run stopped because its directory '{path}' could not be written: "
      f"{os.strerror(code)}. The last checkpoint, version {version} of {info['saved']}, is "
      "whole: mend this, and continue the run from there with --resume="
      f"{path}.")
  assert checkpoints(path).load().damaged == []
  assert len(hall_of_fame(path)) == 20
  for name in ("metrics.jsonl", "improvements.jsonl"):
    lines = (path / name).read_text(encoding="utf-8").splitlines(keepends=True)
    assert lines and all(line.endswith("\n") and json.loads(line) for line in lines)
  assert not list(path.rglob("*tmp*"))


def fill(file):
  """Writes a file until the disk is full."""
  with open(file, "wb", buffering=0) as filler, contextlib.suppress(OSError):
    while filler.write(bytes(4096)):
      pass


def test_a_full_disk_stops_a_run_with_one_error_and_loses_nothing(
    tmp_path, caplog, monkeypatch):
  monkeypatch.setattr(recorder, "_REPORT_SECONDS", 0.0)  # the hall is saved after every step
  expected = run(make(), tmp_path / "whole")
  with small_disk(tmp_path / "disk", "4m") as disk:
    path = disk / "run"

    def should_stop(search):
      if search.cycle == 12:
        fill(disk / "filler")

    with pytest.raises(recorder.RunWriteError) as raised:
      run(make(), path, should_stop=should_stop, checkpoint_seconds=0)
    assert caplog.records == []
    assert_stopped_by_a_full_disk(raised, path, errno.ENOSPC)
    with pytest.raises(recorder.RunWriteError, match=r"No space left on device. The last check"):
      run(make(), path, resume=True)
    (disk / "filler").unlink()
    assert_same_end(run(make(), path, resume=True), path, expected, tmp_path / "whole")


def test_a_disk_without_room_for_a_first_checkpoint(tmp_path):
  with small_disk(tmp_path / "disk", "1m") as disk:
    directory = RunDirectory(disk / "run", settings_of(make()))
    fill(disk / "filler")
    with pytest.raises(recorder.RunWriteError) as raised:
      runner.run(make(), directory=directory, progress="off")
    assert str(raised.value).endswith(
        "No space left on device. No checkpoint was saved yet: mend this, and start a new run.")


@pytest.mark.parametrize("room", [10, 3000])
def test_files_that_may_not_grow_stop_a_run_likewise(tmp_path, room, monkeypatch):
  monkeypatch.setattr(recorder, "_REPORT_SECONDS", 0.0)  # the hall is saved after every step
  expected, path = run(make(), tmp_path / "whole"), tmp_path / "run"
  limits = resource.getrlimit(resource.RLIMIT_FSIZE)

  def should_stop(search):
    if search.cycle == 12:
      size = (path / "improvements.jsonl").stat().st_size
      resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, limits[1]))

  try:
    with pytest.raises(recorder.RunWriteError) as raised:
      run(make(), path, should_stop=should_stop, checkpoint_seconds=0)
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
  assert_stopped_by_a_full_disk(raised, path, errno.EFBIG)
  assert_same_end(run(make(), path, resume=True), path, expected, tmp_path / "whole")
