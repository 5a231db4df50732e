"""`~` is the home directory wherever a path is given."""

import json

import numpy as np
import pytest

import azero
from azero.runs import reader
from azero.runs.checkpoints import Checkpoints
from azero.runs.directory import RunDirectory, read_config
from azero.tasks.images import idx, sources

_ROWS = "".join(f"{(7 * k) % 20 / 4},{k % 3},{k}.5\n" for k in range(20))  # none numbers rows


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
  (tmp_path / "home").mkdir()
  monkeypatch.setenv("HOME", str(tmp_path / "home"))
  monkeypatch.chdir(tmp_path)  # where a directory named ~ would be made
  yield tmp_path / "home"
  assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_run_directories(home):
  assert RunDirectory("~/run", {"seed": 0}).path == home / "run"
  assert RunDirectory.open("~/run", {"seed": 0}).path == home / "run"
  assert read_config("~/run") == {"seed": 0}
  assert reader.read_run("~/run").path == home / "run"
  assert Checkpoints("~/run/checkpoints", schema=1).path == home / "run" / "checkpoints"


def test_programs(home):
  space = azero.spaces.demo()
  (home / "program.txt").write_text("def Learn():\n  s3 = s1 - s0\n")
  assert len(azero.read_programs("~/program.txt", space)) == 1
  (home / "run").mkdir()
  entry = {"program": "def Predict():\n  s1 = dot(v0, v1)\n", "num_features": 4}
  (home / "run" / "hall_of_fame.json").write_text(json.dumps([entry]))
  with pytest.raises(FileNotFoundError, match="/home/nowhere"):
    azero.read_programs("~/nowhere", space)


def test_data(home):
  (home / "data.csv").write_text(_ROWS)
  np.savez(home / "data.npz", x=np.arange(40.0).reshape(20, 2), y=np.arange(20) * 0.5)
  assert azero.from_csv("~/data.csv").search.num_features == 2
  assert azero.from_npz("~/data.npz").search.num_features == 2
  with pytest.raises(ValueError, match="has no array train_x"):
    azero.load_tasks_npz("~/data.npz")
  assert sources.data_directory("~/images") == home / "images"
  with pytest.raises(FileNotFoundError, match="/home/nothing"):
    idx.read_idx("~/nothing")
