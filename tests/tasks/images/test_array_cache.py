import concurrent.futures
import logging
import os
import threading

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from azero.paths import cache_directory
from azero.tasks.images.array_cache import load_or_make

_ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([7, 8], np.uint8)}
_ARGUMENTS = {"source": "mnist/3.0.1", "classes": (0, 5), "projection": 3}


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
  monkeypatch.setenv("AZERO_CACHE_DIR", str(tmp_path))


class _Maker:
  """Makes the arrays and counts how often."""

  def __init__(self):
    self.calls = 0

  def __call__(self):
    self.calls += 1
    return dict(_ARRAYS)


def _check(arrays):
  assert list(arrays) == list(_ARRAYS)
  for name, array in _ARRAYS.items():
    assert arrays[name].dtype == array.dtype
    np.testing.assert_array_equal(arrays[name], array)


def test_arrays_are_made_once_and_each_argument_counts(tmp_path):
  make = _Maker()
  for _ in range(3):
    _check(load_or_make("mnist", _ARGUMENTS, make))
  assert make.calls == 1
  for change in ({"source": "mnist/3.0.2"}, {"classes": (5, 0)}, {"projection": 4}):
    load_or_make("mnist", _ARGUMENTS | change, make)
  assert make.calls == 4
  files = os.listdir(tmp_path / "tasks")
  assert len(files) == 4 and all(name.startswith("mnist-") for name in files)


def test_the_directory_follows_the_environment(tmp_path, monkeypatch):
  assert cache_directory() == tmp_path
  monkeypatch.delenv("AZERO_CACHE_DIR")
  monkeypatch.setenv("HOME", "/home/somebody")
  assert str(cache_directory()) == "/home/somebody/.cache/azero"


@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255), cut=st.booleans())
def test_any_damage_is_said_once_and_mended(tmp_path_factory, place, flip, cut):
  directory = tmp_path_factory.mktemp("cache")
  messages = []
  handler = logging.Handler()
  handler.emit = lambda record: messages.append(record.getMessage())
  logger = logging.getLogger("azero.tasks.images.array_cache")
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv("AZERO_CACHE_DIR", str(directory))
    make = _Maker()
    load_or_make("mnist", _ARGUMENTS, make)
    (path,) = (directory / "tasks").iterdir()
    whole = path.read_bytes()
    at = int(place * len(whole))
    path.write_bytes(
        whole[:at] if cut else whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1:])
    logger.addHandler(handler)
    try:
      for _ in range(2):
        _check(load_or_make("mnist", _ARGUMENTS, make))
    finally:
      logger.removeHandler(handler)
  assert make.calls == 2 and path.read_bytes() == whole
  (message,) = messages
  assert f"The cached file {path} is damaged" in message and "made again" in message


def test_many_that_make_the_same_file_at_once_leave_a_good_one(tmp_path):
  together = threading.Barrier(8)

  def make():
    together.wait(timeout=60)  # all found that there is no file
    return dict(_ARRAYS)

  with concurrent.futures.ThreadPoolExecutor(8) as pool:
    for arrays in pool.map(lambda _: load_or_make("mnist", _ARGUMENTS, make), range(8)):
      _check(arrays)
  assert len(os.listdir(tmp_path / "tasks")) == 1
  maker = _Maker()
  _check(load_or_make("mnist", _ARGUMENTS, maker))
  assert maker.calls == 0


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
  def fail(source, target):
    raise OSError("disk full")

  monkeypatch.setattr(os, "replace", fail)
  with pytest.raises(OSError, match="disk full"):
    load_or_make("mnist", _ARGUMENTS, _Maker())
  assert os.listdir(tmp_path / "tasks") == []


def test_a_directory_that_cannot_be_made_costs_no_more_than_the_cache(
    tmp_path, monkeypatch, capsys):
  (tmp_path / "file").write_text("")
  monkeypatch.setenv("AZERO_CACHE_DIR", str(tmp_path / "file"))
  make = _Maker()
  first, second = (load_or_make("mnist", _ARGUMENTS, make) for _ in range(2))
  assert make.calls == 1 and all((first[name] == second[name]).all() for name in first)
  assert capsys.readouterr().err.startswith(f"warning: '{tmp_path}/file' cannot be made (")
