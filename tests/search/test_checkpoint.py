import json
import os

import numpy as np
import pytest
from search_cases import assert_same_state

from azero.search import checkpoint
from azero.search.checkpoint import CheckpointError

STATE = {
    "cycle": 12, "name": "sécond", "nothing": None, "big": 2**127 + 1, "third": 1 / 3,
    "list": [1, {"a": True}], "empty": {},
    "search": {
        "fitness": np.array([[-np.inf, np.nan, 0.1]]), "keys": np.array([2**64 - 1], np.uint64),
        "none": np.zeros((0, 3), np.int16), "flags": np.array([True, False]),
        "deeper": {"fitness": np.arange(5.0)[::2]}},
}


@pytest.fixture
def path(tmp_path):
  path = tmp_path / "checkpoint.npz"
  checkpoint.save(path, STATE)
  return path


def test_a_state_comes_back_bit_for_bit(path):
  assert_same_state(checkpoint.load(path), STATE)
  checkpoint.save(path, {"only": np.ones(2)})
  assert_same_state(checkpoint.load(str(path)), {"only": np.ones(2)})
  assert os.listdir(path.parent) == ["checkpoint.npz"]


def test_numpy_reads_the_file_too(path):
  with np.load(path, allow_pickle=False) as arrays:
    assert arrays["search/deeper/fitness"].tolist() == [0.0, 2.0, 4.0]
    assert json.loads(arrays["state.json"])["cycle"] == 12


def test_flipped_bits_are_noticed(path):
  content = path.read_bytes()
  for place in range(0, len(content), 5):
    path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
    with pytest.raises(CheckpointError) as raised:
      checkpoint.load(path)
    assert str(path) in str(raised.value) and "Put a copy of the file back" in str(raised.value)
  path.write_bytes(content)
  assert_same_state(checkpoint.load(path), STATE)


def test_shorter_files_are_noticed(path):
  content = path.read_bytes()
  for size in range(0, len(content), 7):
    path.write_bytes(content[:size])
    with pytest.raises(CheckpointError):
      checkpoint.load(path)
  path.write_bytes(content[:-5])
  with pytest.raises(CheckpointError, match="is damaged, or none of azero: its end is missing"):
    checkpoint.load(path)


def test_foreign_files_are_refused(path):
  path.write_text("hello")
  with pytest.raises(CheckpointError, match="is no checkpoint of azero"):
    checkpoint.load(path)
  np.savez(path, x=np.ones(100))
  with pytest.raises(CheckpointError, match="or none of azero"):
    checkpoint.load(path)


def test_another_version_is_named(path, monkeypatch):
  monkeypatch.setattr(checkpoint, "VERSION", 2)
  checkpoint.save(path, STATE)
  assert_same_state(checkpoint.load(path), STATE)
  monkeypatch.setattr(checkpoint, "VERSION", 1)
  with pytest.raises(CheckpointError, match="is of version 2 of the format, this azero reads ver"):
    checkpoint.load(path)


def test_a_missing_file_is_nothing_to_continue(tmp_path):
  with pytest.raises(FileNotFoundError, match="nothing to continue: start a new run"):
    checkpoint.load(tmp_path / "checkpoint.npz")


@pytest.mark.parametrize("bad", [
    {"x": np.float32(1)}, {"x": {1: 2}}, {"a/b": 1}, {"$array": 1}, {"x": {"y": object()}},
    {"x": np.array([object()])}, {"x": float("nan")}])
def test_what_cannot_be_saved_leaves_the_old_file(path, bad):
  before = path.read_bytes()
  with pytest.raises((TypeError, ValueError)):
    checkpoint.save(path, bad)
  assert path.read_bytes() == before and os.listdir(path.parent) == ["checkpoint.npz"]


def test_an_error_of_the_disk_leaves_the_old_file(path, monkeypatch):
  def full(descriptor):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(os, "fsync", full)
  with pytest.raises(OSError, match="No space left"):
    checkpoint.save(path, {"other": 1})
  assert os.listdir(path.parent) == ["checkpoint.npz"]
  assert_same_state(checkpoint.load(path), STATE)
