"""What is reported of a search while it runs: totals, rates, best fitnesses, time left."""

from collections.abc import Mapping
import dataclasses
from typing import Any

import numpy as np

from azero.search.equivalence import Counts
from azero.search.federation import Federation
from azero.search.searching import Searching


def metrics_of(
    search: Searching, seconds: float, before: Counts | None = None
) -> dict[str, Any]:
  """What is reported of a search.

  Args:
    search: the search.
    seconds: over which rates are taken.
    before: the search's counts when those seconds began; default none.

  Returns:
    Totals over all islands since the search was made, and rates; fitnesses are 0 before
    the first program. Of a federation also the migrations, and the work and the best
    fitnesses of each group.
  """
  counts = dataclasses.asdict(search.counts)
  seen = max(counts["programs"], 1)
  hits = counts["canonical_hits"] + counts["duplicates"]
  best = np.maximum(search.best_fitness, 0.0)

  def rate(name: str) -> float:
    earlier = 0 if before is None else getattr(before, name)
    return round((counts[name] - earlier) / max(seconds, 1e-9), 1)

  row = counts | {
      "seconds": round(seconds, 3),
      "cycle": search.cycle,
      "active_islands": int(search.active.sum()),
      "programs_per_second": rate("programs"),
      "train_steps_per_second": rate("train_steps"),
      "canonical_hit_rate": round(hits / seen, 4),
      "fingerprint_hit_rate": round(counts["fingerprint_hits"] / seen, 4),
      "best_fitness": float(best.max()),
      "median_best_fitness": float(np.median(best)),
  }
  return row | _details(search) if isinstance(search, Federation) else row


def _details(federation: Federation) -> dict[str, Any]:
  """What is reported of a federation in addition."""
  groups = {}
  for group, search in zip(federation.groups, federation.searches):
    best = np.maximum(search.best_fitness, 0.0)
    groups[group.name] = {
        "programs": search.counts.programs, "train_steps": search.counts.train_steps,
        "active_islands": int(search.active.sum()), "best_fitness": float(best.max()),
        "median_best_fitness": float(np.median(best))}
  return {"migrations": federation.migrations, "groups": groups}


def progress_line(search: Searching, row: Mapping[str, Any]) -> str:
  """The metrics of a search in one line: work, rate, best, cache hits, time left."""
  line = (
      f"{_short(row['programs'])} programs, {_short(row['programs_per_second'])}/s, "
      f"{_short(row['train_steps'])} steps, best {row['best_fitness']:.4f}, "
      f"cache {row['canonical_hit_rate']:.0%} + {row['fingerprint_hit_rate']:.0%}")
  if search.num_islands > 1:
    line += f", islands {row['active_islands']}/{search.num_islands}"
  left = _seconds_left(search, row)
  return line if left is None else f"{line}, at most {_clock(left)} left"


def _seconds_left(search: Searching, row: Mapping[str, Any]) -> float | None:
  """Time until every island's budget is spent, at the mean rate so far."""
  estimates = []
  for name, left in search.budget_left().items():
    rate = row[f"{name}_per_second"]
    if left is not None and rate:
      estimates.append(left / rate)
  return min(estimates, default=None)


def _short(number: float) -> str:
  for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
    if number >= size:
      return f"{number / size:.1f}{unit}"
  return f"{number:.0f}"


def _clock(seconds: float) -> str:
  minutes, rest = divmod(int(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
