import concurrent.futures
import fcntl
import json
import os

import pytest
from support.hall_entries import entry
from support.search_cases import FIXED, config, tasks
from support.toy_evaluator import ToyEvaluator

from azero.language.text import parse
from azero.runs import lock
from azero.runs.directory import RunDirectory, settings_of
from azero.search.evolution import Evolution
from azero.search.history.hall_of_fame import Front, HallOfFame
from azero.search.threads import Improvement

TEXT = "def Setup():\n  s2 = 0.125\ndef Predict():\n  s1 = dot(v0, v1)\ndef Learn():"


def lines(path):
  return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_makes_the_directory_with_its_settings(tmp_path):
  records = RunDirectory(tmp_path / "runs" / "first", {"seed": 3, "name": "x"})
  assert records.path == tmp_path / "runs" / "first"
  assert json.loads((records.path / "config.json").read_text()) == {"seed": 3, "name": "x"}


def test_of_runs_that_start_at_once_one_gets_the_directory(tmp_path):
  def start(seed):
    try:
      return RunDirectory(str(tmp_path / "run"), {"seed": seed})
    except FileExistsError:
      return None

  with concurrent.futures.ThreadPoolExecutor(8) as pool:
    made = [records for records in pool.map(start, range(32)) if records is not None]
  assert len(made) == 1
  assert [path.name for path in made[0].path.iterdir()] == ["config.json"]


def test_never_overwrites(tmp_path):
  RunDirectory(tmp_path / "run", {"seed": 1})
  (tmp_path / "file").write_text("mine")
  for name in ("run", "file"):
    with pytest.raises(FileExistsError) as raised:
      RunDirectory(tmp_path / name, {"seed": 2})
    message = str(raised.value)
    assert str(tmp_path / name) in message and "choose a new name" in message
  assert json.loads((tmp_path / "run" / "config.json").read_text()) == {"seed": 1}
  assert (tmp_path / "file").read_text() == "mine"


def test_metrics_are_json_lines(tmp_path):
  path = tmp_path / "run"
  records = RunDirectory(path, {})
  records.add_metrics({"cycle": 1, "best": 0.5})
  records.add_metrics({"cycle": 2, "best": 0.75})
  assert lines(path / "metrics.jsonl") == [
      {"cycle": 1, "best": 0.5}, {"cycle": 2, "best": 0.75}]
  with pytest.raises(ValueError, match="Out of range float"):
    records.add_metrics({"best": float("-inf")})
  assert len(lines(path / "metrics.jsonl")) == 2


def test_improvements_come_with_their_programs(tmp_path):
  path = tmp_path / "run"
  records, program = RunDirectory(path, {}), parse(TEXT, FIXED)
  records.add_improvements([])
  assert not (path / "improvements.jsonl").exists()
  records.add_improvements([Improvement(2, 0.5, 400, 30, program)])
  records.add_improvements([Improvement(0, 0.25, 500, 40, program)] * 2)
  rows = lines(path / "improvements.jsonl")
  assert [row["island"] for row in rows] == [2, 0, 0]
  assert rows[0] == {
      "island": 2, "fitness": 0.5, "train_steps": 400, "num_programs": 30, "num_features": 4,
      "program": TEXT}
  assert parse(rows[0]["program"], FIXED) == program


@pytest.mark.parametrize(("found", "ahead"), [
    ((0, 0.4), {0: 0.5, 1: 0.9}),
    ((0, 0.5), {1: 0.9}),  # found again
    ((0, 0.9), {1: 0.9}),  # no better than what is saved of another island
    ((0, 0.91), {})])
def test_what_only_the_file_has_is_waited_for_until_something_is_better(tmp_path, found, ahead):
  records = RunDirectory(tmp_path / "run", {})
  records._ahead = [{0: 0.5, 1: 0.9}]
  records._note_found(*found)
  assert records._ahead == [ahead]


def test_groups_wait_for_their_own(tmp_path):
  records, best = RunDirectory(tmp_path / "run", {}), {0: 0.5, 1: 0.9, 2: 0.1}
  sizes = records.sizes()
  records.write("hall_of_fame.json", json.dumps(
      [{"island": island, "fitness": fitness} for island, fitness in best.items()]))
  records.cut(sizes, [2, 1])
  assert records._ahead == [{0: 0.5, 1: 0.9}, {2: 0.1}]
  records._note_found(1, 0.95)  # says nothing of tasks of another kind
  assert records._ahead == [{}, {2: 0.1}]
  records.write("hall_of_fame.json", json.dumps([{"island": 3, "fitness": 0.5}]))
  records.cut(sizes, [2, 1])
  assert records._ahead == [{}, {}]  # a file that this run did not write


def test_the_hall_of_fame_is_replaced_when_it_changed(tmp_path):
  path = tmp_path / "run"
  records, hall, front = RunDirectory(path, {}), HallOfFame(2), Front()

  def offer(fitness, key):
    found = entry(
        parse(TEXT, FIXED), fitness, island=1, train_steps=700, num_programs=50, complexity=key,
        cost=12.5)
    hall.take_in((key, key), found)
    front.take_in((key, key), found)

  offer(0.25, 1)
  records.save_best(hall, front)
  assert json.loads((path / "hall_of_fame.json").read_text()) == [{
      "fitness": 0.25, "island": 1, "train_steps": 700, "num_programs": 50, "complexity": 1,
      "cost": 12.5, "num_features": 4, "program": TEXT}]
  assert (path / "front.json").read_text() == (path / "hall_of_fame.json").read_text()
  assert not (path / "lineage.json").exists()
  for name in ("hall_of_fame.json", "front.json"):
    (path / name).unlink()
  records.save_best(hall, front)
  assert not (path / "hall_of_fame.json").exists() and not (path / "front.json").exists()
  offer(0.5, 2)
  records.save_best(hall, front, lineages=True)
  assert [each["fitness"] for each in json.loads((path / "hall_of_fame.json").read_text())] == [
      0.5, 0.25]
  assert [each["fitness"] for each in json.loads((path / "front.json").read_text())] == [0.25, 0.5]
  assert json.loads((path / "lineage.json").read_text())["lineages"] == [
      {"island": 1, "num_programs": 50, "steps": [0]}]


@pytest.mark.parametrize(("kind", "released"), [
    (fcntl.LOCK_SH, True), (fcntl.LOCK_SH, False), (fcntl.LOCK_EX, False)])
def test_who_only_looks_keeps_nobody_out(tmp_path, monkeypatch, kind, released):
  records = RunDirectory(tmp_path / "run", {})
  look = os.open(records.path, os.O_RDONLY)
  fcntl.flock(look, kind)
  pauses = []

  def sleep(seconds):
    pauses.append(seconds)
    if released:
      fcntl.flock(look, fcntl.LOCK_UN)

  monkeypatch.setattr(lock.time, "sleep", sleep)
  if released:
    with records.locked():
      assert len(pauses) == 1
  else:
    with pytest.raises(BlockingIOError, match="under way in another process"):
      with records.locked():
        pass
    assert 0 < sum(pauses) < 1
  os.close(look)


def test_files_are_replaced_in_one_step(tmp_path):
  path = tmp_path / "run"
  records = RunDirectory(path, {})
  assert records.write("report.md", "first") == path / "report.md"
  records.write("report.md", "sécond")
  assert (path / "report.md").read_text(encoding="utf-8") == "sécond"
  assert sorted(path.name for path in path.iterdir()) == ["config.json", "report.md"]


def test_settings_of_a_search_are_json():
  search = Evolution(FIXED, tasks(), config(seed=5), evaluator=ToyEvaluator)
  settings = json.loads(json.dumps(settings_of(search)))
  assert settings["method"] == "Evolution" and settings["islands"] == 1
  assert settings["search"]["seed"] == 5
  assert settings["search"]["mutations"] == [
      "alter", "randomize_instruction", "randomize_function"]
  assert settings["space"]["predict"]["max_length"] == 2
  assert settings["tasks"] == {
      "metric": "rms", "num_tasks": 2, "num_features": 4, "num_train": 20, "num_valid": 12,
      "num_classes": 0}
