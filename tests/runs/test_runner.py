import contextlib
import io
import itertools
import json
import signal
import sys
import threading
import types

import pytest
from support.search_cases import FIXED, config, interrupt_at, tasks
from support.toy_evaluator import ToyEvaluator

from azero.language.text import parse
from azero.runs import metrics, recorder, runner
from azero.runs.directory import RunDirectory, settings_of
from azero.runs.metrics import Meter
from azero.runs.reader import read_run
from azero.runs.stopping import StopSettings
from azero.search.evolution import Evolution


def evolution(islands=1, **settings):
  return Evolution(
      FIXED, tasks(islands), config(fingerprint=False, **settings), evaluator=ToyEvaluator)


def run(search, **arguments):
  return runner.run(search, **({"progress": "off"} | arguments))


def json_lines(path):
  return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def after(cycles):
  return lambda search: search.cycle >= cycles


def test_a_budget_ends_a_run():
  result = run(evolution(max_programs=30))
  assert result.status == "budget"
  assert result.search.num_programs.tolist() == [30] and result.search.cycle == 30
  assert result.seconds > 0


def test_a_notebook_shows_how_it_ended_and_the_best_program():
  result = run(evolution(max_programs=30))
  shown = result._repr_html_()
  assert "budget" in shown and f"{result.search.hall_of_fame.best.fitness:.6f}" in shown
  assert result.search.hall_of_fame.best.program._repr_html_() in shown


def test_a_budget_of_training_steps_ends_a_run():
  result = run(evolution(max_train_steps=2000))
  assert result.status == "budget"
  assert 2000 <= result.search.train_steps[0] < 2040


def test_a_condition_ends_a_run():
  result = run(evolution(max_programs=1000), should_stop=after(5))
  assert result.status == "stopped" and result.search.cycle == 5
  assert run(evolution(), should_stop=after(3)).search.cycle == 3  # no budget is needed


def test_a_fitness_that_is_good_enough_ends_a_run():
  whole = run(evolution(max_programs=3000))
  second = whole.improvements[1]
  result = run(evolution(max_programs=3000), stop=StopSettings(target_fitness=second.fitness))
  assert (result.status, result.reason) == ("stopped", f"target_fitness={second.fitness:g}")
  assert result.improvements[-1].fitness >= second.fitness
  assert result.search.num_programs[0] < whole.search.num_programs[0]


def test_patience_counts_programs_since_the_last_new_best():
  result = run(evolution(islands=2), stop=StopSettings(patience=200))
  assert (result.status, result.reason) == ("stopped", "patience=200")
  last = {found.island: found.num_programs for found in result.improvements}
  since = [result.search.num_programs[island] - count for island, count in last.items()]
  assert min(since) >= 200 and len(since) == 2
  assert min(since) < 200 + result.search.num_programs.max() / result.search.cycle * 100


def test_time_ends_a_run_that_goes_on_with_more(tmp_path):
  def timed(seconds, resume=False):
    search = evolution(max_programs=400, cycles_per_step=20)
    make = RunDirectory.open if resume else RunDirectory
    return run(search, directory=make(tmp_path / "run", settings_of(search)),
               stop=StopSettings(max_seconds=seconds))

  stopped = timed(1e-6)
  assert (stopped.status, stopped.reason) == ("stopped", "max_seconds=1e-06")
  again = timed(1e-6, resume=True)  # its time was up: it does no step
  assert again.reason == "max_seconds=1e-06"
  assert again.search.cycle == stopped.search.cycle <= 20
  whole, rest = run(evolution(max_programs=400, cycles_per_step=20)), timed(1e6, resume=True)
  assert (rest.status, rest.reason) == ("budget", "")
  assert rest.search.best_programs == whole.search.best_programs
  assert [tuple(found[:4]) for found in rest.improvements] == [
      tuple(found[:4]) for found in whole.improvements]


def test_time_that_is_over_when_a_run_is_continued_that_has_not_reported(tmp_path, monkeypatch):
  """It was stopped between its first checkpoint and its first step."""
  def broken(self):
    raise RuntimeError("mine")

  def timed(make, seconds):
    search = evolution(max_programs=400)
    return run(search, directory=make(tmp_path / "run", settings_of(search)),
               stop=StopSettings(max_seconds=seconds))

  with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="mine"):
    patch.setattr(Evolution, "step", broken)
    timed(RunDirectory, None)
  again = timed(RunDirectory.open, 1e-9)
  assert (again.status, again.reason) == ("stopped", "max_seconds=1e-09")
  assert [row["programs"] for row in again.metrics] == [0]


@pytest.mark.parametrize(("name", "value"), [
    ("max_seconds", 0), ("max_seconds", float("nan")), ("patience", -1),
    ("target_fitness", float("nan"))])
def test_impossible_conditions_are_refused(name, value):
  with pytest.raises(ValueError, match=f"{name} must be"):
    StopSettings(**{name: value})


def test_a_limit_that_is_infinite_is_none():
  stop = StopSettings(max_seconds=float("inf"))
  assert stop == StopSettings() and not stop.bounded
  result = run(evolution(max_programs=60), stop=stop)
  assert result.status == "budget" and result.metrics[-1]["seconds_left"] != float("inf")


def test_without_budget_and_condition_there_is_no_end():
  with pytest.raises(ValueError, match="never end: set max_train_steps, max_programs, max_sec"):
    run(evolution())


def test_everything_is_recorded(tmp_path):
  records = RunDirectory(tmp_path / "run", {"seed": 7})
  result = run(evolution(3, max_programs=60), directory=records)
  assert {path.name for path in records.path.iterdir()} == {
      "config.json", "metrics.jsonl", "improvements.jsonl", "hall_of_fame.json", "front.json",
      "lineage.json", "workers.json", "checkpoints"}
  metrics = json_lines(records.path / "metrics.jsonl")
  assert metrics == result.metrics and len(metrics) >= 2
  assert metrics[-1]["programs"] == 180 and metrics[-1]["active_islands"] == 0
  assert metrics[-1]["best_fitness"] == result.search.best_fitness.max()
  improvements = json_lines(records.path / "improvements.jsonl")
  assert [row["fitness"] for row in improvements] == [
      item.fitness for item in result.improvements]
  for island in range(3):
    last = [row for row in improvements if row["island"] == island][-1]
    assert last["fitness"] == result.search.best_fitness[island]
    assert repr(result.search.best_programs[island]) == last["program"]
  hall = json.loads((records.path / "hall_of_fame.json").read_text())
  assert [entry["fitness"] for entry in hall] == [
      entry.fitness for entry in result.search.hall_of_fame]
  assert len(hall) == 20
  workers = json.loads((records.path / "workers.json").read_text())
  assert workers == {
      "seconds": workers["seconds"], "programs": [60] * 3, "active": [0] * 3,
      "train_steps": result.search.train_steps.tolist(),
      "best_fitness": [round(fitness, 6) for fitness in result.search.best_fitness.tolist()]}
  for entry in hall:
    parse(entry["program"], FIXED).validate()
  assert_best_read_back(read_run(records.path), result.search)


def assert_best_read_back(kept, search):
  """What a reader finds of hall of fame, front and lineages is what the search has."""
  halls = (kept.hall_of_fame(), search.hall_of_fame), (kept.front(), search.front)
  lineages = kept.lineages()
  numbers = set()
  for rows, entries in halls:
    for row, entry in zip(rows, entries, strict=True):
      assert row == {
          "fitness": entry.fitness, "island": entry.island, "train_steps": entry.train_steps,
          "num_programs": entry.num_programs, "complexity": entry.complexity,
          "cost": entry.cost, "num_features": 4, "program": repr(entry.program)}
      numbers.add((entry.island, entry.num_programs))
      steps = lineages[entry.island, entry.num_programs]
      assert steps == [{
          "island": step.island, "num_programs": step.num_programs, "fitness": step.fitness,
          "mutation": step.mutation, "skipped": 0, "gain": step.gain,
          "changes": list(step.changes), "num_features": 4, "program": repr(step.program)}
                       for step in entry.lineage]
      assert steps[0]["mutation"] == "start" and steps[-1]["program"] == row["program"]
  assert numbers == set(lineages)
  sizes = [entry.complexity for entry in search.front]
  assert sizes == sorted(set(sizes)) and len(sizes) > 2
  fitness = [entry.fitness for entry in search.front]
  assert fitness == sorted(set(fitness)) and fitness[-1] == search.hall_of_fame.best.fitness


def test_ctrl_c_stops_cleanly(tmp_path):
  path = tmp_path / "run"
  before = signal.getsignal(signal.SIGINT)
  records = RunDirectory(path, {})
  result = run(evolution(max_programs=500), directory=records, should_stop=interrupt_at(6))
  assert result.status == "interrupted" and result.search.cycle == 6
  assert signal.getsignal(signal.SIGINT) is before
  assert json_lines(path / "metrics.jsonl")[-1]["cycle"] == 6
  assert len(json_lines(path / "improvements.jsonl")) == len(result.improvements) > 0
  hall = json.loads((path / "hall_of_fame.json").read_text())
  assert hall[0]["fitness"] == result.search.best_fitness[0]


def test_an_interrupted_search_can_go_on():
  interrupted = run(evolution(max_programs=60), should_stop=interrupt_at(20))
  result = run(interrupted.search)
  whole = run(evolution(max_programs=60))
  assert interrupted.status == "interrupted" and result.status == "budget"
  assert result.search.population == whole.search.population
  assert result.search.counts == whole.search.counts
  assert interrupted.improvements + result.improvements == whole.improvements


def test_a_second_ctrl_c_interrupts_at_once_and_loses_nothing(tmp_path):
  path = tmp_path / "run"
  def should_stop(search):
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)

  before = signal.getsignal(signal.SIGINT)
  with pytest.raises(KeyboardInterrupt):
    run(evolution(), directory=RunDirectory(path, {}), should_stop=should_stop)
  assert signal.getsignal(signal.SIGINT) is before
  assert json_lines(path / "metrics.jsonl")[-1]["cycle"] == 1
  assert json.loads((path / "hall_of_fame.json").read_text())


def test_an_error_loses_nothing(tmp_path):
  path = tmp_path / "run"
  def should_stop(search):
    if search.cycle == 4:
      raise RuntimeError("mine")

  with pytest.raises(RuntimeError, match="mine"):
    run(evolution(), directory=RunDirectory(path, {}), should_stop=should_stop)
  assert json_lines(path / "metrics.jsonl")[-1]["cycle"] == 4
  assert json.loads((path / "hall_of_fame.json").read_text())


def test_runs_outside_the_main_thread():
  results = []
  thread = threading.Thread(target=lambda: results.append(run(evolution(max_programs=15))))
  thread.start()
  thread.join()
  assert [result.status for result in results] == ["budget"]


def test_rates_are_those_of_the_run_itself(monkeypatch):
  clock = itertools.count()
  monkeypatch.setattr(
      metrics, "time", types.SimpleNamespace(monotonic=lambda: next(clock), time=lambda: 0.0))
  search = evolution(max_programs=1000)
  run(search, should_stop=after(100))
  row = run(search, should_stop=after(110)).metrics[-1]
  assert row["programs"] == 110 and row["seconds"] >= 1
  assert row["programs_per_second"] == round(10 / row["seconds"], 1)


def test_progress_lines(capsys):
  search = evolution(3, max_programs=20)
  run(search, progress="auto", should_stop=after(15))
  *_, last = capsys.readouterr().err.splitlines()
  assert last.startswith("45 programs, ") and last.endswith(" left [stopped]")
  assert ", islands 3/3, devices idle " in last and "%, about 0:" in last
  assert f"best {search.best_fitness.max():.4f}, cache " in last
  run(evolution(max_programs=13))
  assert capsys.readouterr().err == ""


def test_lines_of_metrics_become_rarer(tmp_path, monkeypatch):
  monkeypatch.setattr(recorder, "_REPORT_SECONDS", 0.0)
  monkeypatch.setattr(recorder, "_METRICS_SHARE", 0.5)
  monkeypatch.setattr(recorder, "_METRICS_SECONDS", 10.0)
  search = evolution(max_programs=47, cycles_per_step=1)
  monkeypatch.setattr(Meter, "seconds", lambda self: float(search.cycle))
  directory = RunDirectory(tmp_path / "run", settings_of(search))
  result = runner.run(search, directory=directory, progress="off", checkpoint_seconds=0)
  seconds = [row["seconds"] for row in result.metrics]
  # As far apart as half of the time, or ten seconds; the last is the end.
  assert seconds == [1, 2, 4, 8, 16, 26, 36, 46, 47]
  assert [row["seconds"] for row in directory.read_metrics()] == seconds
  # An error leaves behind what was found until then.
  search = evolution(max_programs=47, cycles_per_step=1)

  def fail(search):
    if search.cycle == 23:
      raise OSError("gone")
    return False

  with pytest.raises(OSError, match="gone"):
    runner.run(search, progress="off", should_stop=fail, directory=RunDirectory(
        tmp_path / "broken", settings_of(search)), checkpoint_seconds=0)
  rows = json_lines(tmp_path / "broken" / "metrics.jsonl")
  assert [row["seconds"] for row in rows] == [1, 2, 4, 8, 16, 23]


def test_a_terminal_is_left_as_it_was_after_ctrl_c(monkeypatch):
  class Terminal(io.StringIO):
    def isatty(self):
      return True

  stream = Terminal()
  monkeypatch.setenv("TERM", "xterm")
  monkeypatch.setattr(sys, "stderr", stream)
  run(evolution(3, max_programs=500), progress="auto", should_stop=interrupt_at(6))
  text = stream.getvalue()
  assert "median of the islands" in text and "budget" in text
  assert text.count("\x1b[?25l") == text.count("\x1b[?25h") > 0  # the cursor
  *_, stopping, last = text[text.rindex("\x1b[?25h") :].splitlines()
  assert stopping.endswith("stopping: saving everything; Ctrl-C again to abort")
  assert last.endswith(" left [interrupted]") and sys.stderr is stream


@pytest.mark.parametrize(("condition", "error", "status"), [
    (after(3), None, "stopped"), (interrupt_at(3), None, "interrupted"), (None, None, "budget"),
    (lambda search: 1 / (search.cycle - 3), ZeroDivisionError, "running")])
def test_the_last_metrics_say_how_it_ended(tmp_path, condition, error, status):
  expected = pytest.raises(error) if error else contextlib.nullcontext()
  with expected:
    run(evolution(max_programs=20), directory=RunDirectory(tmp_path / "run", {}),
        should_stop=condition and (lambda search: condition(search) is True))
  *before, last = json_lines(tmp_path / "run" / "metrics.jsonl")
  assert last["status"] == status
  assert {row["status"] for row in before} == {"running"}


def test_unknown_progress():
  with pytest.raises(ValueError, match="progress must be one of auto, plain, off"):
    run(evolution(max_programs=20), progress="bar")
