"""What checkpoints cost on this machine: time and size, by how full the caches are.

Saves the state of the demo search, with caches as a long search fills them, and continues from
it. Two times count: that for which the search waits, and that of the processor for the rest of
the work, which the search has to do without if all cores are busy. Both together, as a part of
the time between two checkpoints, are the most that checkpoints cost.

    python -m experiments.checkpoint_cost
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import pathlib
import statistics
import tempfile
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from azero.search.config import SearchConfig
from experiments import linear_regression
from experiments.frame import command_line, lazy, settings
from experiments.frame.settings import nested, setting

with lazy.imports():
  from azero.executors import devices
  from azero.runs import checkpoints as checkpoints_lib
  from azero.runs import recorder
  from azero.search import evolution
  from experiments.benchmarks import measuring

if TYPE_CHECKING:
  from azero.search.evolution import Evolution
  from azero.search.search import Search



@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """Settings of this experiment."""

  search: SearchConfig = nested(linear_regression.Config().search)
  islands: int = setting(32, "Islands of the demo search.")
  entries: tuple[int, ...] = setting(
      (10, 1000, 10_000, 100_000),
      "Entries of each of the two caches of an island; up to --cache_size.")
  saves: int = setting(5, "Saves of each state, of which the median counts.")
  checkpoint_seconds: float = setting(60.0, "Time between checkpoints.")
  output_dir: str | None = setting(
      None, "Where to save; default a temporary directory.", path=True)


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


def run(config: Config) -> list[Cost]:
  """Measures and prints; returns the cost of each state.

  Raises:
    ValueError: a bad setting.
  """
  counts = config.entries
  settings.require_positive(config, "islands", "saves")
  search = make_search(linear_regression.Config(islands=config.islands, search=config.search))
  if max(counts) > search.config.cache_size:
    raise ValueError(
        f"--entries must be at most {search.config.cache_size}, the size of a cache; got "
        f"{max(counts)}.")
  search.step()
  print(f"{config.islands} islands; {measuring.machine()}\n")
  print("| entries | arrays, MB | on disk, MB | waiting, s | processor, s | saved after, s "
        "| loaded after, s | next after, s | cost at most |")
  print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
  costs = []
  for entries in counts:
    with tempfile.TemporaryDirectory(dir=config.output_dir) as path:
      costs.append(measure(search, entries, pathlib.Path(path), config))
    print(_row(costs[-1]), flush=True)
  return costs


def make_search(config: linear_regression.Config) -> Evolution:
  """The demo search."""
  group = linear_regression.make_group(config)
  return evolution.Evolution(group.space, group.task_sets, group.config)


def measure(search: Search, entries: int, path: pathlib.Path, config: Config) -> Cost:
  """The cost of saving and loading a search whose caches have so many entries, in a directory."""
  search.restore(filled(search, entries))
  waits, totals, processor = [], [], []
  with checkpoints_lib.Checkpoints(path / "checkpoints", schema=0, keep=1) as checkpoints:
    checkpoints.save({})  # the first one also imports
    for _ in range(config.saves):
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
  pause = max(config.checkpoint_seconds, waiting / recorder.WAITING_SHARE)
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


def _row(cost: Cost) -> str:
  return (
      f"| {cost.entries:,} | {cost.array_bytes / 1e6:.1f} | {cost.disk_bytes / 1e6:.1f} "
      f"| {cost.waiting_seconds:.3f} | {cost.processor_seconds:.2f} | {cost.save_seconds:.2f} "
      f"| {cost.load_seconds:.2f} | {cost.pause:.0f} | {cost.share:.2%} |")


if __name__ == "__main__":
  command_line.main(Config, run)
