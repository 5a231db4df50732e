"""Saving and loading the state of a search whose caches are as full as asked."""

from collections.abc import Mapping
import dataclasses
import pathlib
import statistics
import time
from typing import Any

import numpy as np

from azero.executors import devices
from azero.runs import checkpoints as checkpoints_lib
from azero.runs import recorder
from azero.search.search import Search


@dataclasses.dataclass(frozen=True)
class Cost:
  """Of one state.

  Attributes:
    entries: of each cache of an island.
    array_bytes: of the state's arrays.
    disk_bytes: of one version.
    waiting_seconds: for which the search waits at a save in the background.
    processor_seconds: of the whole save.
    save_seconds: until the version is there.
    load_seconds: until the search has taken over the state.
    pause: seconds until the next save.
    share: the most that checkpoints cost, as a part of the time.
  """

  entries: int
  array_bytes: int
  disk_bytes: int
  waiting_seconds: float
  processor_seconds: float
  save_seconds: float
  load_seconds: float
  pause: float
  share: float


def measure(
    search: Search, entries: int, path: pathlib.Path, *, saves: int, checkpoint_seconds: float
) -> Cost:
  """What it costs.

  Args:
    search: whose state is replaced.
    entries: of each of the two caches of an island.
    path: of a directory to save in.
    saves: of which the median counts.
    checkpoint_seconds: between two checkpoints at least.
  """
  search.restore(filled(search, entries))
  waits, totals, processor = [], [], []
  with checkpoints_lib.Checkpoints(path / "checkpoints", schema=0, keep=1) as checkpoints:
    checkpoints.save({})  # the first one also imports
    for _ in range(saves):
      start, start_processor = time.perf_counter(), time.process_time()
      checkpoints.save({"search": search.state()}, wait=False)
      waits.append(time.perf_counter() - start)
      checkpoints.wait()
      totals.append(time.perf_counter() - start)
      processor.append(time.process_time() - start_processor)
    start = time.perf_counter()
    search.restore(checkpoints.load().state["search"])
    loading = time.perf_counter() - start
    files = [file for file in checkpoints.path.rglob("*") if file.is_file()]
  waiting, processing = statistics.median(waits), statistics.median(processor)
  pause = max(checkpoint_seconds, waiting / recorder.WAITING_SHARE)
  beside = max(processing - waiting, 0.0) / devices.num_cores()
  return Cost(
      entries, _array_bytes(search.state()), sum(file.stat().st_size for file in files), waiting,
      processing, statistics.median(totals), loading, pause, (waiting + beside) / pause)


def filled(search: Search, entries: int) -> dict[str, Any]:
  """The state of a search, with so many random entries in each cache of each island."""
  state = search.state()
  rng = np.random.default_rng(entries)
  places = search.config.cache_size + -search.config.cache_size % 8  # of an island
  chosen = np.concatenate([
      island * places + np.sort(rng.choice(places, entries, replace=False))
      for island in range(search.num_islands)])
  for part, name in ((state, "canonical"), (state["stages"], "fingerprints")):
    part[name] = {
        "clocks": np.full(search.num_islands, len(chosen)), "places": chosen,
        "keys": rng.integers(0, 2**64, (len(chosen), 2), np.uint64),
        "values": rng.random(len(chosen)), "stamps": rng.permutation(len(chosen)) + 1}
  return state


def _array_bytes(state: Mapping[str, Any]) -> int:
  return sum(
      part.nbytes if isinstance(part, np.ndarray) else
      _array_bytes(part) if isinstance(part, Mapping) else 0 for part in state.values())
