"""Curves are read back as TensorBoard reads them."""

import collections
import importlib.util
import types

import numpy as np
import pytest
from support.search_cases import FIXED, config, interrupt_at, tasks
from support.toy_evaluator import ToyEvaluator

import azero
from azero.runs import recorder, runner
from azero.runs.directory import RunDirectory, settings_of
from azero.runs.display import tensorboard
from azero.search.evolution import Evolution

pytest.importorskip("tensorboardX")
from tensorboardX import event_file_writer as record_writers
from tensorboardX.proto.event_pb2 import Event, SessionLog


def records(path):
  """Frames of a TFRecord file: length, its checksum, data, their checksum."""
  data = path.read_bytes()
  while data:
    size = int(np.frombuffer(data[:8], "<u8")[0])
    yield data[12 : 12 + size]
    data = data[16 + size :]


def curves(directory):
  """Points of each curve, [(step, value, time)], after what later files purge of earlier ones."""
  points = collections.defaultdict(list)
  for path in sorted(directory.iterdir(), key=lambda path: path.name):
    for record in records(path):
      event = Event.FromString(record)
      if event.session_log.status == SessionLog.START:
        for name in points:
          points[name] = [point for point in points[name] if point[0] < event.step]
      for value in event.summary.value:
        points[value.tag].append((event.step, value.simple_value, event.wall_time))
  return points


def make(**settings):
  return Evolution(
      FIXED, tasks(2), config(max_programs=40, hurdle=0.5, **settings), evaluator=ToyEvaluator)


def run(search, path, *, resume=False, **arguments):
  directory = (RunDirectory.open if resume else RunDirectory)(path, settings_of(search))
  return runner.run(
      search, directory=directory, progress="off", **({"tensorboard": True} | arguments))


@pytest.fixture(autouse=True)
def report_always(monkeypatch):
  monkeypatch.setattr(recorder, "_REPORT_SECONDS", 0.0)


def assert_curves_are(rows, path):
  found = curves(path / "tensorboard")
  distinct = {row["programs"]: row for row in reversed(rows)}  # the first of so many programs
  for name in (
      "best_fitness", "train_steps", "canonical_hit_rate", "hurdle_pass_rate", "seconds",
      "device_idle_share", "active_islands"):
    expected = [
        (step, np.float32(row[name]), row["time"]) for step, row in sorted(distinct.items())
        if row[name] is not None]
    assert found[f"search/{name}"] == expected and len(expected) > 5
  assert not {"search/time", "search/programs", "search/status"} & found.keys()


def test_every_report_is_a_point_of_every_curve(tmp_path):
  result = run(make(), tmp_path / "run")
  assert_curves_are(result.metrics, tmp_path / "run")


def test_a_continued_run_continues_its_curves_without_duplicates(tmp_path):
  path = tmp_path / "run"

  def fail(search):
    if search.cycle == 20:
      raise RuntimeError("mine")
    return False

  run(make(), path, should_stop=interrupt_at(10))
  with pytest.raises(RuntimeError):
    run(make(), path, resume=True, should_stop=fail)
  written = curves(path / "tensorboard")["search/best_fitness"]
  assert written[-1][0] > 2 * 10  # beyond the checkpoint, which is that of the 10th cycle
  result = run(make(), path, resume=True)
  assert result.status == "budget"
  assert_curves_are(result.metrics, path)


def test_curves_can_be_begun_later(tmp_path):
  path = tmp_path / "run"
  run(make(), path, should_stop=interrupt_at(10), tensorboard=False)
  assert not (path / "tensorboard").exists()
  result = run(make(), path, resume=True)
  assert_curves_are(result.metrics, path)


def test_files_of_one_second_do_not_replace_each_other(tmp_path, monkeypatch):
  monkeypatch.setattr(record_writers, "time", types.SimpleNamespace(time=lambda: 1e9))
  row = {"best_fitness": 0.5, "time": 5.0}
  rows = []
  for programs in (10, 20, 30):
    writer = tensorboard.Curves(tmp_path, rows)
    rows.append(row | {"programs": programs})
    writer.add(rows[-1])
    writer.close()
  assert len(list(tmp_path.iterdir())) == 3
  found = curves(tmp_path)["search/best_fitness"]
  assert [step for step, _, _ in found] == [10, 20, 30]


def test_groups_have_curves(tmp_path):
  writer = tensorboard.Curves(tmp_path)
  row = {"programs": 10, "time": 5.0, "status": "running", "hurdle_pass_rate": None}
  writer.add(row | {"groups": {"wide": {"best_fitness": 0.5}, "small": {"best_fitness": 0.25}}})
  writer.close()
  assert curves(tmp_path) == {
      "wide/best_fitness": [(10, 0.5, 5.0)], "small/best_fitness": [(10, 0.25, 5.0)]}


def test_a_missing_package_is_named_before_anything_happens(tmp_path, monkeypatch):
  find = importlib.util.find_spec
  monkeypatch.setattr(
      importlib.util, "find_spec",
      lambda name, *rest: None if name == "tensorboardX" else find(name, *rest))
  with pytest.raises(ValueError, match=r"pip install 'azero\[tensorboard\]'"):
    azero.evolve(
        FIXED, tasks(), max_programs=20, initial="random", directory=tmp_path / "run",
        tensorboard=True)
  assert not (tmp_path / "run").exists()


def test_curves_need_a_directory():
  with pytest.raises(ValueError, match="need a run directory"):
    azero.evolve(FIXED, tasks(), max_programs=20, initial="random", tensorboard=True)
