"""What is left of a run when the machine loses its power, by a model of its disk."""

import collections
import functools
import hashlib
import json
import os
import pathlib
import shutil
import sys

import numpy as np
import pytest
from support import recorded_run, system_calls
from support.disk_model import VARIANTS, Disk, materialise
from support.search_cases import assert_same_state

from azero import files
from azero.runs import recorder
from azero.runs.checkpoints import Checkpoints
from azero.runs.directory import RunDirectory, entries_text

_RESUMED = 60  # states of the disk from which a run is continued to its end
_HISTORY = ("improvements.jsonl", "hall_of_fame.json", "front.json", "lineage.json")


def checkpoints(path):
  return Checkpoints(path / "checkpoints", schema=recorder.SCHEMA)


@pytest.fixture
def synced(monkeypatch):
  """What was synced until now: inode, size and time of change, for directories too."""
  found, fsync = set(), os.fsync

  def note(handle):
    fsync(handle)
    found.add(state_of(os.fstat(handle)))

  monkeypatch.setattr(os, "fsync", note)
  return found


def state_of(status):
  return status.st_ino, status.st_size, status.st_mtime_ns


def unsynced(path, synced):
  """The names of what changed since it was synced, in a directory and below; "." is itself."""
  return {
      str(each.relative_to(path)) for each in (path, *path.rglob("*"))
      if state_of(each.stat()) not in synced}


def test_what_is_written_whole_is_on_the_disk_before_and_its_name_after(
    tmp_path, synced, monkeypatch):
  replace, replaced = os.replace, []

  def note(old, new):
    assert state_of(os.stat(old)) in synced
    replaced.append(new)
    replace(old, new)

  monkeypatch.setattr(os, "replace", note)
  files.write_whole(tmp_path / "file", b"first", sync=True)
  assert unsynced(tmp_path, synced) == set()
  files.write_whole(tmp_path / "file", b"second", sync=True, only_writer=True)
  assert unsynced(tmp_path, synced) == set() and replaced == [tmp_path / "file"] * 2


def test_a_new_run_directory_is_on_the_disk_with_all_above_it(tmp_path, synced):
  directory = RunDirectory(tmp_path / "a" / "b" / "run", {"seed": 1})
  assert unsynced(tmp_path, synced) == set()
  directory.add_metrics({"cycle": 1})
  assert unsynced(directory.path, synced) == {".", "metrics.jsonl"}
  assert directory.sizes() == {"metrics.jsonl": 13, "improvements.jsonl": 0}
  assert unsynced(tmp_path, synced) == set()


def test_a_checkpoint_is_on_the_disk_before_it_has_its_name(tmp_path, synced, monkeypatch):
  rename, at_rename = os.rename, []

  def note(old, new, **arguments):
    at_rename.append(unsynced(pathlib.Path(old), synced))
    rename(old, new, **arguments)

  monkeypatch.setattr(os, "rename", note)
  versions = checkpoints(tmp_path)
  for state in ({"only": np.ones(2)}, {"empty": {}}):
    versions.save(state)
  # Notes of Orbax, which are not needed, and with them the directory that they change.
  assert at_rename == [{".", "_CHECKPOINT_METADATA", "commit_success.txt"}] * 2
  assert {state_of(path.stat()) for path in (tmp_path, tmp_path / "checkpoints")} <= synced


def test_a_checkpoint_needs_no_notes_of_orbax(tmp_path):
  versions = checkpoints(tmp_path)
  states = [{"only": np.ones(2)}, {"only": np.zeros(2)}, {"only": np.full(2, 3.0)}]
  for number, state in enumerate(states, start=1):
    versions.save(state)
    for name in ("_CHECKPOINT_METADATA", "commit_success.txt"):
      path = versions.path / f"{number:08}" / name
      (path.unlink, functools.partial(path.write_text, ""),
       functools.partial(path.write_bytes, bytes(9)))[number - 1]()
  for number in (3, 2, 1):
    loaded = versions.load()
    assert (loaded.version, loaded.damaged) == (number, [])
    assert_same_state(loaded.state, states[number - 1])
    versions.drop_after(number - 1)


class Promises:
  """What a run promises of its directory, at any time of a recorded run."""

  def __init__(self, halls):
    """Args: the contents that hall_of_fame.json had, in their order."""
    self._halls = halls
    self._of_cycle = {}  # those of checkpoints
    self.begun = False  # whether the run directory has been made
    self.version = 0  # the newest that has been saved

  def check(self, path):
    """Returns: the newest version, 0 without one; None before the run has begun."""
    if not (path / "config.json").exists():
      assert not self.begun
      return None
    assert json.loads((path / "config.json").read_text())["islands"] == 3
    numbers = checkpoints(path).versions()
    if not numbers:
      assert self.version == 0
      for name in ("improvements.jsonl", "metrics.jsonl"):
        assert not (path / name).exists() or not (path / name).read_bytes()
      return 0
    loaded = checkpoints(path).load()
    assert (loaded.version, loaded.damaged) == (numbers[-1], [])
    assert loaded.version >= self.version
    for name, size in loaded.state["sizes"].items():
      lines = (path / name).read_bytes()[:size]
      assert len(lines) == size and all(map(json.loads, lines.splitlines()))
    self._check_hall(path, loaded)
    return loaded.version

  def _check_hall(self, path, loaded):
    """hall_of_fame.json is no older than the checkpoint, which may be of before the first."""
    cycle = loaded.info["cycle"]
    if cycle not in self._of_cycle:
      search = recorded_run.make()
      search.restore(loaded.state["search"])
      self._of_cycle[cycle] = entries_text(search.hall_of_fame).encode()
    if cycle:
      content = (path / "hall_of_fame.json").read_bytes()
      assert self._halls.index(content) >= self._halls.index(self._of_cycle[cycle])


def replayed(log, root):
  """The states that the disk may be left in, each once, with what was promised until then.

  Yields:
    The variant, the tree, whether the run had begun, and the newest version saved.
  """
  disk = Disk(root)
  replay, seen = system_calls.Replay(disk), collections.defaultdict(set)
  rng = np.random.default_rng(0)
  begun, version = False, 0
  for _, path in replay.run(log):
    begun |= path.endswith("metrics.jsonl")
    kept = disk.find(str(root / "run" / "checkpoints"))
    if kept is not None:
      version = max([version, *(int(each) for each in kept.synced if each.isdecimal())])
    for variant in VARIANTS:
      left = disk.root.left(variant, rng)
      digest = hashlib.sha256(repr((left, begun, version)).encode()).digest()
      if digest not in seen[variant]:
        seen[variant].add(digest)
        yield variant, left, begun, version


@pytest.mark.slow  # looks at every state that the disk may be left in
def test_whatever_is_left_after_a_loss_of_power_is_a_run_that_can_go_on(tmp_path):
  root, log, tests = tmp_path / "recorded", tmp_path / "log", pathlib.Path(__file__).parents[1]
  root.mkdir()
  system_calls.record(
      [sys.executable, str(tests / "support" / "recorded_run.py"), str(root / "run")], log,
      os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (tests, tests.parent)))})
  whole = tmp_path / "whole"
  expected = recorded_run.run(whole)
  assert (root / "run" / "improvements.jsonl").read_text() == (
      whole / "improvements.jsonl").read_text()

  halls, disk = [], Disk(root)
  for _ in system_calls.Replay(disk).run(log):
    hall = disk.find(str(root / "run" / "hall_of_fame.json"))
    if hall is not None and bytes(hall.live) not in halls:
      halls.append(bytes(hall.live))
  promises, counts, kept = Promises(halls), collections.Counter(), []
  for number, (variant, left, begun, version) in enumerate(replayed(log, root)):
    path = tmp_path / "left"
    materialise(left, path)
    promises.begun, promises.version = begun, version
    try:
      found = promises.check(path / "run")
    except Exception as error:
      error.add_note(f"state {number}, {variant}, version {version}")
      raise
    counts[variant] += 1
    counts["before the first checkpoint"] += found == 0
    counts["before the run"] += found is None
    if found is not None:
      kept.append(left)
    shutil.rmtree(path)
  for k in np.linspace(0, len(kept) - 1, _RESUMED).astype(int):
    path = tmp_path / f"resumed {k}"
    materialise(kept[k], path)
    result = recorded_run.run(path / "run")
    assert_same_state(result.search.state(), expected.search.state())
    assert result.improvements == expected.improvements
    for name in _HISTORY:
      assert (path / "run" / name).read_text() == (whole / name).read_text()
    shutil.rmtree(path)
  print(dict(counts), f"{min(_RESUMED, len(kept))} of {len(kept)} continued")
  assert counts["synced"] > 50 and counts["names"] > 100 and counts["mixed"] > 100
