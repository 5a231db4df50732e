"""Processes that share a run directory, a cache, a data set, or the work of a pool."""

import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from support import small_search, tiny_tfds

from azero.tasks.images import tfds_store
from azero.tasks.images.sources import SOURCES

pytestmark = pytest.mark.slow

_TESTS = pathlib.Path(__file__).parents[1]
_SPAWN = multiprocessing.get_context("spawn")


def _start(cache, *seeds):
  """Searches in a process whose compiled code is kept in this directory."""
  environment = {
      name: value for name, value in os.environ.items()
      if name not in ("XLA_FLAGS", "NUMBA_CACHE_DIR")}
  return subprocess.Popen(
      [sys.executable, str(_TESTS / "support" / "small_search.py"), *map(str, seeds)],
      env=environment | {"AZERO_CACHE_DIR": str(cache), "PYTHONPATH": str(_TESTS.parent)},
      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _found(process):
  out, error = process.communicate(timeout=600)
  assert process.returncode == 0, error
  return [json.loads(line) for line in out.splitlines()]


def test_two_processes_fill_one_empty_cache_and_find_the_same(tmp_path):
  together = [_start(tmp_path / "cache", 1, 2) for _ in range(2)]
  first, second = map(_found, together)
  assert first == second and first[0] != first[1]
  kept = sorted(path for path in (tmp_path / "cache").rglob("*") if path.is_file())
  assert {"kernels", "executables"} <= {
      path.relative_to(tmp_path / "cache").parts[0] for path in kept}
  assert not [path for path in kept if path.name.endswith(".tmp")]
  # A third one takes all from there.
  before = {path: path.stat().st_mtime_ns for path in kept if path.suffix != ".lock"}
  assert _found(_start(tmp_path / "cache", 1, 2)) == first
  assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_second_process_is_refused_while_a_run_is_under_way(tmp_path):
  path = tmp_path / "run"
  begun, end = _SPAWN.Event(), _SPAWN.Event()
  first = _SPAWN.Process(target=small_search.hold, args=(path, begun, end))
  first.start()
  try:
    assert begun.wait(300)
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=_SPAWN) as others:
      refused = others.submit(small_search.try_run, path, True).result(300)
      assert refused == (
          f"BlockingIOError: The run in '{path}' is under way in another process: wait for its "
          "end or stop it with Ctrl-C.")
      anew = others.submit(small_search.try_run, path, False).result(300)
      assert anew.startswith(f"FileExistsError: The run directory '{path}' already exists.")
      end.set()
      first.join(300)
      assert first.exitcode == 0
      assert others.submit(small_search.try_run, path, True).result(300) == "budget"
  finally:
    end.set()
    first.join(60)


def test_spawned_workers_search_as_one_process_does():
  seeds = [1, 2, 3, 1, 2, 3]
  with _SPAWN.Pool(2) as workers:
    found = workers.map(small_search.search, seeds, chunksize=1)
  assert found == [small_search.search(seed) for seed in seeds[:3]] * 2


def _prepare(data_dir, start):
  """Writes a tiny data set when all are ready; how that ended."""
  source = SOURCES["fashion_mnist"]
  splits = {
      name: (images.reshape(len(images), -1), labels)
      for name, (images, labels) in tiny_tfds.tiny_splits(source).items()}
  start.wait(300)
  try:
    tfds_store.write_images(source, splits, data_dir=data_dir)
  except Exception as error:
    return f"{type(error).__name__}: {error}"
  return "written"


def test_processes_that_prepare_one_data_set_leave_a_whole_one(tmp_path):
  with _SPAWN.Manager() as manager, concurrent.futures.ProcessPoolExecutor(
      2, mp_context=_SPAWN) as pool:
    for attempt in range(5):
      start = manager.Barrier(2)
      data_dir = tmp_path / str(attempt)
      ends = [pool.submit(_prepare, data_dir, start) for _ in range(2)]
      assert [end.result(300) for end in ends] == ["written"] * 2
      source = SOURCES["fashion_mnist"]
      for split, (images, labels) in tiny_tfds.tiny_splits(source).items():
        read = tfds_store.read_images(source, split, data_dir=data_dir)
        assert len(read.labels) == len(labels)
        np.testing.assert_array_equal(
            sorted(map(bytes, read.pixels)), sorted(map(bytes, images.reshape(len(images), -1))))
