"""What checkpoints cost on this machine: time and size, by how full the caches are.

Saves the state of the demo search, with caches as a long search fills them, and continues from
it. Two times count: that for which the search waits, and that of the processor for the rest of
the work, which the search has to do without if all cores are busy. Both together, as a part of
the time between two checkpoints, are the most that checkpoints cost.

    python -m experiments.checkpoint_cost
"""

from __future__ import annotations

import dataclasses
import pathlib
import tempfile
from typing import TYPE_CHECKING

from azero.search.config import SearchConfig
from experiments.frame import command_line, lazy, linear_demo, settings
from experiments.frame.settings import nested, setting

with lazy.imports():
  from experiments.benchmarks import checkpoint_saves, measuring

if TYPE_CHECKING:
  from experiments.benchmarks.checkpoint_saves import Cost


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """Settings of this experiment."""

  search: SearchConfig = nested(linear_demo.SEARCH, fixed=("canonical_cache", "fingerprint"))
  islands: int = setting(linear_demo.ISLANDS, "Islands of the demo search.")
  entries: tuple[int, ...] = setting(
      (10, 1000, 10_000, 100_000),
      "Entries of each of the two caches of an island; up to --cache_size.")
  saves: int = setting(5, "Saves of each state, of which the median counts.")
  checkpoint_seconds: float = setting(60.0, "Time between checkpoints.")
  output_dir: str | None = setting(
      None, "Where to save; default a temporary directory.", path=True)


def run(config: Config) -> list[Cost]:
  """Measures and prints; returns the cost of each state.

  Raises:
    ValueError: a bad setting.
  """
  counts = config.entries
  settings.require_positive(config, "islands", "saves")
  if config.output_dir is not None and not pathlib.Path(config.output_dir).is_dir():
    raise FileNotFoundError(f"--output_dir: there is no directory '{config.output_dir}'.")
  search = linear_demo.make_search(config.search, config.islands)
  if max(counts) > search.config.cache_size:
    raise ValueError(
        f"--entries must be at most {search.config.cache_size}, the size of a cache; got "
        f"{max(counts)}.")
  search.step()
  machine = "; ".join(f"{name}: {value}" for name, value in measuring.machine().items())
  print(f"{config.islands} islands; {machine}\n")
  print("| entries | arrays, MB | on disk, MB | waiting, s | processor, s | saved after, s "
        "| loaded after, s | next after, s | cost at most |")
  print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
  costs = []
  for entries in counts:
    with tempfile.TemporaryDirectory(dir=config.output_dir) as path:
      costs.append(checkpoint_saves.measure(
          search, entries, pathlib.Path(path), saves=config.saves,
          checkpoint_seconds=config.checkpoint_seconds))
    print(_row(costs[-1]), flush=True)
  return costs


def _row(cost: Cost) -> str:
  return (
      f"| {cost.entries:,} | {cost.array_bytes / 1e6:.1f} | {cost.disk_bytes / 1e6:.1f} "
      f"| {cost.waiting_seconds:.3f} | {cost.processor_seconds:.2f} | {cost.save_seconds:.2f} "
      f"| {cost.load_seconds:.2f} | {cost.pause:.0f} | {cost.share:.2%} |")


if __name__ == "__main__":
  command_line.main(Config, run)
