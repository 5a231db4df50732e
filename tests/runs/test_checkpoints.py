import errno
import logging
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import types

import hypothesis
from hypothesis import strategies
from hypothesis.extra import numpy as arrays_of
import numpy as np
import pytest
from support.search_cases import assert_same_state, small_disk

from azero.runs import checkpoint_files, manifest, packing
from azero.runs.checkpoints import CheckpointError, Checkpoints

STATE = {
    "cycle": 12, "name": "sécond", "nothing": None, "big": 2**127 + 1, "third": 1 / 3,
    "list": [1, {"a": True}], "empty": {},
    "search": {
        "fitness": np.array([[-np.inf, np.nan, 0.1]]), "keys": np.array([2**64 - 1], np.uint64),
        "none": np.zeros((0, 3), np.int16), "flags": np.array([True, False]),
        "scalar": np.array(2**63 - 1), "zeros": -np.zeros((2, 2)),
        "deeper": {"fitness": np.arange(5.0)[::2], "steps": np.array([-(2**63)])}},
}
OTHER = {"only": np.ones(2)}


def make(path, **settings):
  return Checkpoints(path, **({"schema": 1} | settings))


@pytest.fixture
def path(tmp_path):
  """Of a directory with two versions: OTHER, and STATE in version 2."""
  checkpoints = make(tmp_path / "checkpoints")
  checkpoints.save(OTHER)
  checkpoints.save(STATE)
  return checkpoints.path


@pytest.fixture(scope="module")
def good(tmp_path_factory):
  """Likewise, made once, to be copied."""
  checkpoints = make(tmp_path_factory.mktemp("good") / "checkpoints")
  checkpoints.save(OTHER)
  checkpoints.save(STATE)
  return checkpoints.path


def files_of(version):
  return sorted(file for file in version.rglob("*") if file.is_file())


def assert_passed_over(path, reason):
  """Checks that version 2 is found damaged, and that version 1 is loaded instead."""
  loaded = make(path).load()
  assert loaded.version == 1 and len(loaded.damaged) == 1
  assert loaded.damaged[0].startswith("version 2: ") and reason in loaded.damaged[0]
  assert_same_state(loaded.state, OTHER)


def test_a_state_comes_back_bit_for_bit(path):
  loaded = make(str(path)).load()
  assert loaded.version == 2 and loaded.damaged == [] and loaded.info == {"schema": 1}
  assert_same_state(loaded.state, STATE)


ARRAYS = strategies.sampled_from(
    ["bool", "int8", "int16", "int32", "int64", "uint8", "uint64", "float32", "float64"]
).flatmap(lambda dtype: arrays_of.arrays(
    dtype, arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)))
STATES = strategies.recursive(
    ARRAYS | strategies.integers() | strategies.text(max_size=3) | strategies.none(),
    lambda inner: strategies.dictionaries(strategies.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12)


@hypothesis.settings(max_examples=30)
@hypothesis.given(STATES)
def test_packing_loses_nothing(state):
  data, text = packing.pack({"state": state})
  assert data.dtype == np.uint8 and data.ndim == 1
  assert_same_state(packing.unpack(data, text), {"state": state})


@hypothesis.settings(max_examples=15)
@hypothesis.given(strategies.dictionaries(strategies.sampled_from("abcd"), ARRAYS))
def test_storage_keeps_every_bit(tmp_path_factory, state):
  checkpoints = make(tmp_path_factory.mktemp("storage") / "checkpoints")
  checkpoints.save(state)
  assert_same_state(checkpoints.load().state, state)
  shutil.rmtree(checkpoints.path)


def test_nothing_but_zeros(tmp_path):
  state = {"x": -np.zeros(5), "y": np.zeros(4, np.int64), "z": np.zeros(3, bool)}
  make(tmp_path / "checkpoints").save(state)
  assert_same_state(make(tmp_path / "checkpoints").load().state, state)


def test_a_state_may_change_as_soon_as_it_is_handed_over(tmp_path):
  state = {"x": np.arange(1000.0), "y": np.zeros(3)}
  with make(tmp_path / "checkpoints") as checkpoints:
    checkpoints.save(state, wait=False)
    state["x"][:] = -1
  assert make(checkpoints.path).load().state["x"].tolist() == list(range(1000))


def test_the_newest_versions_are_kept(tmp_path):
  checkpoints = make(tmp_path / "checkpoints", keep=2)
  assert checkpoints.versions() == []
  assert [checkpoints.save({"k": k}, {"k": k}) for k in range(4)] == [1, 2, 3, 4]
  assert checkpoints.versions() == [3, 4]
  assert [checkpoints.info(k)["k"] for k in (3, 4)] == [2, 3]
  assert checkpoints.newest == (4, {"schema": 1, "k": 3})
  assert make(checkpoints.path, keep=1).save({}) == 5
  assert os.listdir(checkpoints.path) == ["00000005"]


def test_numbers_of_dropped_versions_are_not_used_again(path):
  checkpoints = make(path)
  checkpoints.drop_after(1)
  assert checkpoints.versions() == [1] and checkpoints.save({}) == 3


def test_every_flipped_bit_is_noticed(good, tmp_path):
  path = tmp_path / "checkpoints"
  shutil.copytree(good, path)
  rng, unnoticed = np.random.default_rng(0), set()
  for file in files_of(path / "00000002"):
    content = file.read_bytes()
    places = {0, len(content) // 2, len(content) - 1, int(rng.integers(len(content)))}
    for place in places:
      changed = bytearray(content)
      changed[place] ^= 1 << rng.integers(8)
      file.write_bytes(changed)
      loaded = make(path).load()
      if loaded.version == 2:  # what is not covered must not matter
        assert_same_state(loaded.state, STATE)
        unnoticed.add(file.name)
      else:
        assert f"{file.name} does not match its checksum" in loaded.damaged[0]
    file.write_bytes(content)
  assert unnoticed <= {"_CHECKPOINT_METADATA", "commit_success.txt"}
  assert make(path).load().version == 2


def test_shorter_and_missing_files_are_noticed(good, tmp_path):
  path = tmp_path / "checkpoints"
  shutil.copytree(good, path)
  covered = [
      file for file in files_of(path / "00000002")
      if file.name not in ("_CHECKPOINT_METADATA", "commit_success.txt")]
  assert len(covered) == 5
  for file in covered:
    content = file.read_bytes()
    for size in (0, 1, len(content) - 1):
      file.write_bytes(content[:size])
      assert_passed_over(path, file.name)
    file.unlink()
    assert_passed_over(path, f"{file.name} cannot be read (No such file or directory)")
    file.write_bytes(content)
  assert make(path).load().version == 2


def test_foreign_directories_are_passed_over(path):
  (path / "notes").mkdir()  # no version at all
  shutil.rmtree(path / "00000002")
  (path / "00000002").mkdir()
  assert_passed_over(path, "manifest.json cannot be read")
  (path / "00000002" / "manifest.json").write_text('{"info": {"schema": 1}, "files": {}}\n')
  assert_passed_over(path, "manifest.json does not match its checksum")
  shutil.rmtree(path / "00000002")
  (path / "00000002").write_text("a file")
  assert_passed_over(path, "manifest.json cannot be read (Not a directory)")


def test_another_schema_is_passed_over(path):
  make(path, schema=2).save(STATE)
  loaded = make(path).load()
  assert loaded.version == 2
  assert loaded.damaged == [
      "version 3: saved by another version of azero, in schema 2, while this one reads schema 1"]


def test_without_a_whole_version_the_error_says_all(path):
  (path / "00000001" / "state.json").unlink()
  (path / "00000002" / "state.json").write_text("{}")
  with pytest.raises(CheckpointError) as raised:
    make(path).load()
  message = str(raised.value)
  assert f"No checkpoint in '{path}' can be used (version 2: state.json has 2 bytes" in message
  assert "version 1: state.json cannot be read (No such file" in message
  assert "Put a copy of that directory back" in message and "config.json" in message


def test_what_passes_is_no_damage(path, monkeypatch):
  # For an older version the newest would be dropped.
  with monkeypatch.context() as little:
    little.setattr(
        checkpoint_files.psutil, "virtual_memory", lambda: types.SimpleNamespace(available=3))
    with pytest.raises(CheckpointError, match=r"00000002/arrays' take .* GB. End what else"):
      make(path).load()
  with monkeypatch.context() as spent:
    spent.setattr(checkpoint_files._Version, "restore", _run_out)
    with pytest.raises(CheckpointError, match=r"too little memory to read .*00000002'. End what"):
      make(path).load()
  with monkeypatch.context() as busy:
    for module, name in ((manifest, "_describe"), (checkpoint_files, "read")):
      busy.setattr(module, name, _refuse)
      with pytest.raises(OSError, match="Too many open files"):
        make(path).load()
      busy.undo()
  assert make(path).load().version == 2


def _run_out(*_, **__):
  raise MemoryError


def _refuse(path):
  raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def test_no_version_is_nothing_to_continue(tmp_path):
  with pytest.raises(FileNotFoundError, match="nothing to continue: start a new run"):
    make(tmp_path / "checkpoints").load()


@pytest.mark.parametrize("bad", [
    {"x": np.float32(1)}, {"x": {1: 2}}, {"$array": 1}, {"x": {"y": object()}},
    {"x": np.array([object()])}, {"x": np.array(["text"])}, {"x": float("nan")}])
def test_what_cannot_be_saved_changes_nothing(good, bad):
  with pytest.raises((TypeError, ValueError)):
    make(good).save(bad)
  assert sorted(os.listdir(good)) == ["00000001", "00000002"]


def test_what_a_killed_save_has_left_is_removed(path):
  left = path / f"00000003{checkpoint_files.UNFINISHED}" / "arrays"
  left.mkdir(parents=True)
  (left / "0").write_text("half")
  checkpoints = make(path)
  assert checkpoints.versions() == [1, 2] and checkpoints.load().version == 2
  assert checkpoints.save(OTHER) == 3
  assert sorted(os.listdir(path)) == ["00000001", "00000002", "00000003"]


LARGE = {"x": np.random.default_rng(0).integers(0, 2**63, 300_000)}  # 2.4 MB


def assert_full(checkpoints, code, caplog):
  """Checks that LARGE cannot be saved, and that nothing else comes of it."""
  with pytest.raises(OSError) as raised:
    checkpoints.save(LARGE)
  assert raised.value.errno == code
  assert caplog.records == []
  assert sorted(os.listdir(checkpoints.path)) == ["00000001", "00000002"]
  assert_same_state(make(checkpoints.path).load().state, STATE)


def test_a_full_disk_leaves_the_last_version_and_no_rubbish(tmp_path, caplog):
  with small_disk(tmp_path / "disk", "2m") as disk:
    checkpoints = make(disk / "checkpoints")
    checkpoints.save(OTHER)
    checkpoints.save(STATE)
    before = shutil.disk_usage(disk).free
    assert_full(checkpoints, errno.ENOSPC, caplog)
    assert shutil.disk_usage(disk).free == before
    assert checkpoints.save(OTHER) == 4


def test_a_limit_of_the_file_size_leaves_the_last_version_and_no_rubbish(path, caplog):
  limits = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
  try:
    assert_full(make(path), errno.EFBIG, caplog)
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_an_error_in_the_background_comes_up_at_the_next_call(path, monkeypatch):
  def full(descriptor):
    raise OSError(errno.ENOSPC, "No space left on device")

  checkpoints = make(path)
  with monkeypatch.context() as patch:
    patch.setattr(os, "fsync", full)
    for ask in (checkpoints.wait, lambda: checkpoints.save(OTHER), checkpoints.load):
      checkpoints.save(STATE, wait=False)
      with pytest.raises(OSError, match="No space left"):
        ask()
    with pytest.raises(OSError, match="No space left"), checkpoints:
      checkpoints.save(STATE, wait=False)
  checkpoints.poll()
  assert sorted(os.listdir(path)) == ["00000001", "00000002"]


def test_the_log_of_others_is_left_alone(path, caplog):
  make(path).save(OTHER)
  logging.getLogger("absl").warning("mine")
  assert [record.message for record in caplog.records] == ["mine"]


def test_inspecting_starts_no_device(path):
  script = (
      "import sys\n"
      "from azero.runs.checkpoints import Checkpoints\n"
      "checkpoints = Checkpoints(sys.argv[1], schema=1)\n"
      "print(checkpoints.versions(), checkpoints.info(2), 'orbax' in sys.modules)\n"
      "import jax\n"
      "jax.config.update('jax_num_cpu_devices', 2)  # refused once devices were started\n")
  result = subprocess.run(
      [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True,
      cwd=pathlib.Path(__file__).parents[2])
  assert result.stdout == "[1, 2] {'schema': 1} False\n"
