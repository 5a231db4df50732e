"""Runs of a search over processes: records, resume, and going back when something is lost."""

import contextlib
import json
import shutil
import time
import types

import pytest
from support.federation_cases import make
from support.inline_runtime import InlineRuntime
from support.search_cases import small_disk
from test_cluster import cluster, outcome

from azero.runs import metrics, recorder, runner
from azero.runs.directory import RunDirectory, settings_of
from azero.search.protocol import WorkerLost


def run(search, path=None, *, resume=False, **options):
  directory = None
  if path is not None:
    directory = (RunDirectory.open if resume else RunDirectory)(path, settings_of(search))
  options = {"checkpoint_seconds": 0} | options
  return runner.run(search, directory=directory, progress="off", **options)


def improvements(path):
  lines = (path / "improvements.jsonl").read_text().splitlines()
  return sorted(
      json.dumps(json.loads(line), sort_keys=True) for line in lines)


@pytest.fixture(scope="module")
def local(tmp_path_factory):
  path = tmp_path_factory.mktemp("local") / "run"
  return outcome(run(make(), path).search), improvements(path)


def killer(*moments):
  """Kills a process, in turns, whenever the driver has waited so many times."""
  def kill(runtime):
    if runtime.waits in moments:
      runtime.processes[runtime.waits % 2].kill()
  return kill


@pytest.mark.parametrize("moments", [(2,), (5, 9, 14)])
def test_a_run_goes_back_and_finds_the_same_again(local, tmp_path, capsys, moments):
  runtime = InlineRuntime(2)
  runtime.before_wait = killer(*moments)
  search = cluster(runtime)
  result = run(search, tmp_path / "run")
  assert result.status == "budget" and search.losses == len(moments)
  assert (outcome(search), improvements(tmp_path / "run")) == local
  assert capsys.readouterr().err.count("Going back to the last checkpoint.") == len(moments)
  assert [item.island for item in result.improvements]


def test_a_run_of_other_processes_is_refused(tmp_path):
  run(cluster(), tmp_path / "run", should_stop=lambda _: True)
  with pytest.raises(ValueError, match="processes is 2 there and 3 here"):
    run(cluster(processes=3), tmp_path / "run", resume=True)


def test_without_a_directory_a_loss_ends_the_run():
  runtime = InlineRuntime()
  runtime.before_wait = killer(3)
  with pytest.raises(WorkerLost, match="without a run directory has nothing to go back to"):
    run(cluster(runtime))


def test_losses_without_end_end_the_run_and_nothing_is_lost(local, tmp_path):
  runtime = InlineRuntime()
  runtime.before_wait = killer(*range(4, 1000))
  with pytest.raises(WorkerLost, match="loss 6 since the last checkpoint; --resume="):
    run(cluster(runtime), tmp_path / "run")
  shutil.copytree(tmp_path / "run", tmp_path / "copy")
  search = cluster()
  run(search, tmp_path / "copy", resume=True)
  assert (outcome(search), improvements(tmp_path / "copy")) == local


def test_going_back_that_fails_leaves_what_was_found(tmp_path, monkeypatch):
  monkeypatch.setattr(recorder, "_REPORT_SECONDS", 0.0)
  runtime = InlineRuntime()
  runtime.before_wait = killer(9)
  search, start = cluster(runtime), runtime.start_process

  def start_dead(*arguments):
    actor = start(*arguments)
    actor.kill()
    return actor

  runtime.start_process = start_dead
  with pytest.raises(WorkerLost, match=r"as soon as they are started\. --resume="):
    run(search, tmp_path / "run", checkpoint_seconds=60)
  assert not len(search.hall_of_fame)
  found = json.loads((tmp_path / "run" / "hall_of_fame.json").read_text())
  assert found[0]["fitness"] == max(
      json.loads(line)["fitness"] for line in improvements(tmp_path / "run"))


def test_the_clock_goes_on_when_a_run_goes_back(tmp_path, monkeypatch):
  seconds = []
  runtime = InlineRuntime()
  runtime.before_wait = killer(9)
  search = cluster(runtime)

  def should_stop(search):
    seconds.append(search.losses)
    clock[0] += 10.0
    return False

  clock = [0.0]
  monkeypatch.setattr(metrics, "time", types.SimpleNamespace(
      monotonic=lambda: clock[0], time=time.time))
  result = run(search, tmp_path / "run", should_stop=should_stop, checkpoint_seconds=60)
  assert search.losses == 1
  assert result.seconds == result.metrics[-1]["seconds"] == clock[0] == 10 * len(seconds)


def test_an_asynchronous_run_goes_back_for_no_process_that_is_lost_again_and_again(
    tmp_path, capsys):
  runtime = InlineRuntime()
  runtime.before_wait = lambda runtime: [actor.kill() for actor in runtime.processes]
  search = cluster(runtime, asynchronous=True)
  with pytest.raises(WorkerLost, match=r"--resume=.* continues from the last checkpoint"):
    run(search, tmp_path / "run")
  assert search.losses >= 6 and "Going back" not in capsys.readouterr().err


def test_an_asynchronous_run_goes_on_while_the_disk_is_full(tmp_path, capsys):
  with small_disk(tmp_path / "disk", "2m") as disk:
    search = cluster(InlineRuntime(3), asynchronous=True)
    ballast, steps = disk / "ballast", []

    def fill_and_empty(_):
      steps.append(None)
      if len(steps) == 3:
        with contextlib.suppress(OSError), open(ballast, "wb") as file:
          while True:
            file.write(bytes(1 << 12))
            file.flush()
      if len(steps) == 12:
        ballast.unlink()
      return False

    result = run(search, disk / "run", should_stop=fill_and_empty)
    assert result.status == "budget" and len(steps) > 15
    err = capsys.readouterr().err
    assert "cannot be written (No space left on device): the search goes on" in err
    # Nothing is missing when there is room again.
    lines = (disk / "run" / "improvements.jsonl").read_text().splitlines()
    assert len(lines) == len(result.improvements)
    assert [json.loads(line)["fitness"] for line in lines] == [
        item.fitness for item in result.improvements]
    other = cluster(InlineRuntime(4), asynchronous=True)
    assert run(other, disk / "run", resume=True).status == "budget"
    assert outcome(other)["hall"] == outcome(search)["hall"]


def test_a_disk_that_stays_full_is_an_error_at_the_end(tmp_path, monkeypatch):
  monkeypatch.setattr(recorder, "_REPORT_SECONDS", 0.0)
  search = cluster(InlineRuntime(3), asynchronous=True)
  directory = RunDirectory(tmp_path / "run", settings_of(search))

  def full(_):
    raise OSError(28, "No space left on device")

  steps = []

  def should_stop(_):
    steps.append(None)
    if len(steps) == 3:
      monkeypatch.setattr(directory, "add_metrics", full)
    return False

  with pytest.raises(recorder.RunWriteError, match="could not be written: No space left"):
    runner.run(
        search, directory=directory, progress="off", checkpoint_seconds=0,
        should_stop=should_stop)
  assert search.finished
