"""A run that was stopped and continued has the history of one that was not."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from support import kernel_calls, run_cases
from support.search_cases import FIXED, assert_same_state, config, interrupt_at, tasks
from support.toy_evaluator import ToyEvaluator

import azero
from azero.executors.evaluator import Evaluator
from azero.language.text import parse
from azero.runs import packing, recorder, runner
from azero.runs.checkpoints import CheckpointError, Checkpoints
from azero.runs.directory import RunDirectory, read_config, settings_of
from azero.search.evolution import Evolution
from azero.search.random_search import RandomSearch
from azero.search.scoring.lru_cache import LruCache

ISLANDS = 3
PROGRAMS = 80
SETTINGS = {
    "hurdle": 0.5, "cycles_per_step": 2, "max_programs": PROGRAMS, "cache_size": 16}


def make(method=Evolution, evaluator=ToyEvaluator, **settings):
  return method(
      FIXED, tasks(ISLANDS), config(**(SETTINGS | settings)), evaluator=evaluator)


def run(search, path, *, resume=False, **arguments):
  directory = RunDirectory.open if resume else RunDirectory
  return runner.run(
      search, directory=directory(path, settings_of(search)), progress="off", **arguments)


def checkpoints(path):
  return Checkpoints(path / "checkpoints", schema=recorder.SCHEMA)


def fail_at(cycle):
  def should_stop(search):
    if search.cycle == cycle:
      raise RuntimeError("mine")
    return False

  return should_stop


def json_lines(path):
  return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def assert_same_run(result, path, expected, expected_path):
  """Checks that two runs came to the same in every way that does not depend on the clock."""
  assert result.status == expected.status == "budget"
  assert_same_state(result.search.state(), expected.search.state())
  assert result.improvements == expected.improvements
  for name in ("improvements.jsonl", "hall_of_fame.json"):
    assert (path / name).read_text() == (expected_path / name).read_text()
  metrics = json_lines(path / "metrics.jsonl")
  assert metrics == result.metrics
  cycles, seconds = ([row[name] for row in metrics] for name in ("cycle", "seconds"))
  assert cycles == sorted(cycles) and seconds == sorted(seconds)
  for name in ("programs", "evaluated", "hurdle_stopped", "train_steps", "best_fitness"):
    assert metrics[-1][name] == expected.metrics[-1][name]


CASES = {
    "evolution": (Evolution, {}),
    "evolution, one child": (Evolution, {"cycles_per_step": 1}),
    "evolution, whole rounds": (Evolution, {"cycles_per_step": 9}),
    "random search": (RandomSearch, {"cycles_per_step": 3}),
}


@pytest.mark.parametrize("case", CASES)
def test_stopped_and_continued_is_the_same_run(tmp_path, case):
  method, settings = CASES[case][0], CASES[case][1] | {"evaluator": Evaluator}
  expected = run(make(method, **settings), tmp_path / "whole")
  path = tmp_path / "run"
  step = (SETTINGS | settings)["cycles_per_step"]
  first = run(make(method, **settings), path, should_stop=interrupt_at(step))
  assert first.status == "interrupted" and first.search.cycle == step
  for steps, devices in ((2, 2), (6, 1), (8, 2)):
    cycle = steps * step
    search = make(method, **settings, num_devices=devices)
    result = run(search, path, resume=True, should_stop=interrupt_at(cycle))
    assert result.status == "interrupted" and result.search.cycle == cycle
    assert json.loads((path / "config.json").read_text())["search"]["num_devices"] == devices
  result = run(make(method, **settings, num_devices=2), path, resume=True)
  assert_same_run(result, path, expected, tmp_path / "whole")
  assert result.search.counts.fingerprint_hits > 0
  assert (result.search.counts.hurdle_stopped > 0) == (settings.get("hurdle", 0.5) is not None)


@pytest.mark.parametrize("seconds", [0, 1e9])
def test_what_came_after_the_checkpoint_is_done_again(tmp_path, seconds):
  expected, path = run(make(), tmp_path / "whole"), tmp_path / "run"
  with pytest.raises(RuntimeError, match="mine"):
    run(make(), path, should_stop=fail_at(18), checkpoint_seconds=seconds)
  loaded = checkpoints(path).load()
  assert loaded.info["status"] == loaded.state["status"] == "running"
  assert loaded.info["cycle"] == loaded.state["search"]["cycle"] == (16 if seconds == 0 else 0)
  for name in ("metrics.jsonl", "improvements.jsonl"):
    with open(path / name, "a", encoding="utf-8") as file:
      file.write('{"torn": "li')
  result = run(make(), path, resume=True)
  assert_same_run(result, path, expected, tmp_path / "whole")


def test_an_ended_run_has_nothing_to_continue(tmp_path):
  first = run(make(), tmp_path / "run")
  before = {
      file.name: file.read_bytes() for file in (tmp_path / "run").iterdir() if file.is_file()}
  again = run(make(), tmp_path / "run", resume=True)
  assert again.status == "budget" and again.improvements == first.improvements
  assert again.metrics == first.metrics
  assert_same_state(again.search.state(), first.search.state())
  for name, content in before.items():
    assert (tmp_path / "run" / name).read_bytes() == content


def test_a_larger_budget_goes_on_where_a_smaller_one_ended(tmp_path):
  expected, path = run(make(), tmp_path / "whole"), tmp_path / "run"
  run(make(max_programs=30), path)
  assert_same_run(run(make(), path, resume=True), path, expected, tmp_path / "whole")


def test_islands_behind_the_others_go_on_in_steps_with_a_larger_budget():
  budgets = {"max_programs": None, "cache_size": 64}
  small, large = (make(max_train_steps=steps, **budgets) for steps in (1500, 6000))
  while not small.finished:
    small.step()
  made = small.islands.made.copy()
  assert made.max() - made.min() > 10  # who is answered by its caches makes more of a budget
  large.restore(small.state())
  large.step()
  np.testing.assert_array_equal(large.islands.made, np.maximum(made, (made.min() // 2 + 1) * 2))
  assert large.cycle >= small.cycle
  while not large.finished:
    large.step()
  expected = make(max_train_steps=6000, **budgets)
  while not expected.finished:
    expected.step()
  assert_same_state(large.state()["islands"], expected.state()["islands"])


def test_islands_that_were_taken_out_stay_out(tmp_path):
  search = make(max_programs=30)
  search.finish(1)
  run(search, tmp_path / "run")
  result = run(make(), tmp_path / "run", resume=True)
  assert result.search.num_programs.tolist() == [PROGRAMS, 0, PROGRAMS]


class Count:
  """Stops at its n-th call; remembers how often it was called."""

  def __init__(self, last):
    self.calls, self.last = 0, last

  def __call__(self, search):
    self.calls += search.cycle > self.calls
    return self.calls >= self.last

  def state(self):
    return {"calls": self.calls}

  def restore(self, state):
    self.calls = state["calls"]


def test_a_condition_goes_on_with_its_memory(tmp_path):
  one = {"cycles_per_step": 1}
  run(make(**one), tmp_path / "run", should_stop=Count(4))
  same = run(make(**one), tmp_path / "run", resume=True, should_stop=Count(4))
  assert same.status == "stopped" and same.search.cycle == 4
  later = Count(7)
  result = run(make(**one), tmp_path / "run", resume=True, should_stop=later)
  assert result.status == "stopped" and result.search.cycle == later.calls == 7


def test_from_python_in_one_call(tmp_path):
  fields = dataclasses.asdict(config(**SETTINGS))

  def evolve(path, **changes):
    return azero.evolve(
        FIXED, tasks(ISLANDS), directory=path, progress="off", **(fields | changes))

  expected = evolve(tmp_path / "whole")
  evolve(tmp_path / "run", max_programs=20)
  result = evolve(tmp_path / "run", resume=True)
  assert_same_run(result, tmp_path / "run", expected, tmp_path / "whole")
  shown, read = azero.plot(result), azero.plot(azero.read_run(tmp_path / "run"))
  for line, again in zip(shown.axes[0].lines, read.axes[0].lines, strict=True):
    np.testing.assert_array_equal(line.get_xydata(), again.get_xydata())
  assert [each.get_text() for each in shown.axes[0].texts] == [
      each.get_text() for each in read.axes[0].texts]
  with pytest.raises(ValueError, match="resume=True needs the directory"):
    evolve(None, resume=True)
  with pytest.raises(FileNotFoundError, match=r"no run directory '.*nowhere'"):
    evolve(tmp_path / "nowhere", resume=True)
  with pytest.raises(ValueError, match="checkpoint_seconds must not be negative, got -1"):
    evolve(tmp_path / "new", checkpoint_seconds=-1)
  assert not (tmp_path / "new").exists()


def test_what_cannot_be_plotted_of_a_directory_says_why(tmp_path):
  path = run_cases.under_way(tmp_path / "several" / "one")
  (tmp_path / "several" / "config.json").write_text("{}")
  with pytest.raises(ValueError, match=r"several' has several searches: plot one of them, such as"):
    azero.plot(azero.read_run(tmp_path / "several"))
  for name in ("config.json", "run.json"):
    (path / name).write_text("{}")
  with pytest.raises(ValueError, match="one' does not say what its tasks are"):
    azero.plot(azero.read_run(path))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
  path = tmp_path_factory.mktemp("stopped") / "run"
  run(make(), path, should_stop=interrupt_at(1))
  return path


def other_tasks():
  first, *rest = tasks(ISLANDS)
  return [dataclasses.replace(first, train_y=first.train_y + 1e-9), *rest]


def made(task_sets, **others):
  return Evolution(FIXED, task_sets, config(**SETTINGS), evaluator=ToyEvaluator, **others)


REGRESSOR = "def Predict():\n  s1 = dot(v0, v1)\n"


@pytest.mark.parametrize("search, message", [
    (lambda: make(seed=8), "search.seed is 7 there and 8 here"),
    (lambda: make(hurdle=None, combine="mean"),
     "search.hurdle is 0.5 there and None here; search.combine is 'median' there and 'mean'"),
    (lambda: make(RandomSearch), "method is 'Evolution' there and 'RandomSearch' here"),
    (lambda: made(other_tasks()), "data_digest is '"),
    (lambda: made(tasks(2)), "islands is 3 there and 2 here"),
    (lambda: made(tasks(ISLANDS), template=parse(REGRESSOR, FIXED)),
     "template_digest is None there and '"),
])
def test_other_settings_are_refused(stopped, search, message):
  before = (stopped / "config.json").read_text()
  with pytest.raises(ValueError, match=message) as raised:
    run(search(), stopped, resume=True)
  assert "only max_train_steps, max_programs, num_devices, lanes" in str(raised.value)
  # The settings in the directory may have been meddled with; the checkpoint has its own.
  directory = RunDirectory.open(stopped, json.loads(before))
  with pytest.raises(ValueError, match=message):
    runner.run(search(), directory=directory, progress="off")
  assert (stopped / "config.json").read_text() == before


def test_a_run_that_is_continued_only_to_end_says_how_it_ended(tmp_path):
  path = tmp_path / "run"
  run(make(max_programs=500), path, should_stop=interrupt_at(2))
  assert json_lines(path / "metrics.jsonl")[-1]["status"] == "interrupted"
  result = run(make(max_programs=500), path, resume=True, should_stop=lambda search: True)
  assert result.status == "stopped"
  assert json_lines(path / "metrics.jsonl")[-1]["status"] == "stopped"
  count = len(json_lines(path / "metrics.jsonl"))
  run(make(max_programs=500), path, resume=True, should_stop=lambda search: True)
  assert len(json_lines(path / "metrics.jsonl")) == count


def test_another_evaluator_is_refused(stopped):
  search = Evolution(FIXED, tasks(ISLANDS), config(**SETTINGS))
  assert search.own_evaluator is None
  with pytest.raises(ValueError, match="only it has the settings own_evaluator"):
    run(search, stopped, resume=True)
  with pytest.raises(ValueError, match=r"evaluator must be what makes one, .* got 3"):
    Evolution(FIXED, tasks(ISLANDS), config(**SETTINGS), evaluator=3)


@pytest.fixture
def copied(stopped, tmp_path):
  """A copy of that run, which has two versions: of cycle 0 and of cycle 1."""
  return shutil.copytree(stopped, tmp_path / "run")


def damage(version):
  file = version / "state.json"
  file.write_bytes(file.read_bytes()[:-10])


def test_a_damaged_checkpoint_gives_way_to_the_one_before(copied, tmp_path, capsys):
  expected = run(make(), tmp_path / "whole")
  damage(copied / "checkpoints" / "00000002")
  result = run(make(), copied, resume=True)
  assert_same_run(result, copied, expected, tmp_path / "whole")
  (warning,) = capsys.readouterr().err.splitlines()
  assert warning.startswith(f"warning: passing over what is damaged in '{copied}/checkpoints'")
  assert "version 2: state.json has " in warning and "going on from version 1 of 20" in warning
  assert checkpoints(copied).versions() == [1, 3]


def test_nothing_is_changed_if_no_checkpoint_is_whole(copied):
  for version in (copied / "checkpoints").iterdir():
    damage(version)
  with open(copied / "metrics.jsonl", "a", encoding="utf-8") as file:
    file.write("{}\n")
  before = (copied / "metrics.jsonl").read_text()
  with pytest.raises(CheckpointError, match=r"No checkpoint in '.*/checkpoints' can be used"):
    run(make(), copied, resume=True)
  assert (copied / "metrics.jsonl").read_text() == before
  assert checkpoints(copied).versions() == [1, 2]


def test_missing_lines_are_noticed(copied):
  before = (copied / "metrics.jsonl").read_text()
  (copied / "improvements.jsonl").write_text("")
  with pytest.raises(ValueError, match=r"improvements.jsonl' has 0 bytes, but \d+ when"):
    run(make(), copied, resume=True)
  assert (copied / "metrics.jsonl").read_text() == before
  assert checkpoints(copied).versions() == [1, 2]


def test_damaged_lines_are_named(copied):
  content = (copied / "improvements.jsonl").read_bytes()
  (copied / "improvements.jsonl").write_bytes(b"?" + content[1:])
  with pytest.raises(ValueError, match=r"improvements.jsonl' is damaged in line 1 \("):
    run(make(), copied, resume=True)


@pytest.mark.parametrize("line", ['{"island": 0}', '{"island": [], "fitness": 1}'])
def test_lines_without_what_a_run_needs_are_named(copied, line):
  path = copied / "improvements.jsonl"
  first, *rest = path.read_text().splitlines()
  path.write_text("\n".join([line.ljust(len(first)), *rest]) + "\n")
  with pytest.raises(ValueError, match=r"improvements\.jsonl' is damaged: a line has no proper"):
    run(make(), copied, resume=True)


@pytest.mark.parametrize("content", ["[7]", "{", '{"a": 1}', '[{"island": 0}]', "[" * 100_000])
def test_a_run_goes_on_without_a_proper_hall_of_fame(copied, content):
  (copied / "hall_of_fame.json").write_text(content)
  result = run(make(), copied, resume=True)
  assert result.status == "budget"
  assert len(json.loads((copied / "hall_of_fame.json").read_text())) > 1


def test_a_run_without_its_checkpoints_is_not_begun_again(copied):
  shutil.rmtree(copied / "checkpoints")
  with pytest.raises(FileNotFoundError, match="nothing to continue"):
    run(make(), copied, resume=True)


def test_a_run_that_was_stopped_before_its_first_checkpoint_begins(tmp_path):
  expected, path = run(make(), tmp_path / "whole"), tmp_path / "run"
  RunDirectory(path, settings_of(make(max_programs=1)))
  result = run(make(), path, resume=True)
  assert_same_run(result, path, expected, tmp_path / "whole")
  assert read_config(path) == read_config(tmp_path / "whole")


def test_another_schema_is_refused(stopped, monkeypatch):
  written = recorder.SCHEMA
  monkeypatch.setattr(recorder, "SCHEMA", written + 1)
  with pytest.raises(
      CheckpointError, match=f"another version of azero, in schema {written}, while"):
    run(make(), stopped, resume=True)


def test_directories_without_settings_are_refused(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"is no run directory: it has no config.json"):
    RunDirectory.open(tmp_path, {})
  (tmp_path / "config.json").write_text("{")
  with pytest.raises(ValueError, match=r"config.json' cannot be read"):
    RunDirectory.open(tmp_path, {})
  (tmp_path / "config.json").write_text('{"data": "mine.csv"}')
  with pytest.raises(ValueError, match="only it has the settings data; only here are kind"):
    RunDirectory.open(tmp_path, {"kind": "pairs"})


def test_of_two_that_continue_a_run_one_does(stopped):
  with RunDirectory.open(stopped, settings_of(make())).locked():
    with pytest.raises(BlockingIOError, match="is under way in another process"):
      run(make(), stopped, resume=True)


def test_a_state_does_not_change_with_the_search_that_took_it_over():
  search = make()
  for _ in range(10):
    search.step()
  saved = packing.unpack(*packing.pack({"state": search.state()}))["state"]
  state = search.state()
  other = make()
  other.restore(state)
  for _ in range(5):
    other.step()
  assert_same_state(packing.unpack(*packing.pack({"state": state}))["state"], saved)
  assert other.num_programs.tolist() == [30] * ISLANDS != search.num_programs.tolist()


def test_caches_forget_alike_after_they_were_restored():
  rng = np.random.default_rng(0)
  keys = rng.integers(1, 60, (400, 1)).astype(np.uint64).repeat(2, axis=1)
  cache, other = LruCache(2, 16), LruCache(2, 16)

  def answers(cache, keys):
    found = []
    for key in keys:
      found.append(kernel_calls.get(cache, 1, key))
      if found[-1] is None:
        kernel_calls.put(cache, 1, key, key[0] / 100)
    return found

  answers(other, keys[300:])  # what it held before is gone
  answers(cache, keys[:200])
  other.restore(cache.state())
  assert len(other) == len(cache) == 16
  assert answers(other, keys[200:]) == answers(cache, keys[200:])
  assert_same_state(other.state(), cache.state())
