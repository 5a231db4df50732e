"""What a long run came to: whether memory and rate stay as they were, and what checkpoints cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
  from matplotlib.figure import Figure

FIRST_PART = 0.2  # of the run: caches fill, populations get their shape


def summarise(metrics: Sequence[dict[str, Any]]) -> dict[str, float]:
  """Rates, changes and costs of a run by its metrics."""
  seconds = np.array([row["seconds"] for row in metrics])
  programs = np.array([row["programs"] for row in metrics])
  memory = _memory(metrics)
  last = len(metrics) - 1
  start, middle = (
      int(np.searchsorted(seconds, part * seconds[-1])) for part in (
          FIRST_PART, (1 + FIRST_PART) / 2))
  start = min(start, max(last - 2, 0))  # a short run has few reports
  middle = min(max(middle, start + 1), last)
  early, late = (
      (programs[stop] - programs[first]) / max(seconds[stop] - seconds[first], 1e-9)
      for first, stop in ((start, middle), (middle, last)))
  weights = np.diff(seconds, prepend=0.0)  # lines become rarer
  first, second = (
      np.average(memory[part].sum(1), weights=weights[part])
      for part in (slice(start, middle), slice(middle, None)))
  end = metrics[-1]
  return {
      "seconds": float(seconds[-1]), "programs": float(programs[-1]),
      "programs a second, first half": early, "programs a second, second half": late,
      "change of the rate": late / max(early, 1e-9) - 1,
      "memory, MB, first half": first / 1e6, "memory, MB, second half": second / 1e6,
      "change of the memory": second / first - 1, "memory at most, MB": memory.sum(1).max() / 1e6,
      "part of the time that waited for checkpoints":
          end["checkpoint_wait_seconds"] / end["seconds"],
      "device idle share": end["device_idle_share"],
      "migrations": float(end.get("migrations", 0)), "losses": float(end.get("losses", 0))}


def plot(metrics: Sequence[dict[str, Any]]) -> Figure:
  """Memory of each process and the rate over the time."""
  from matplotlib import figure as figure_lib  # here, since it takes a while

  minutes = np.array([row["seconds"] for row in metrics]) / 60
  memory = _memory(metrics)
  figure = figure_lib.Figure(figsize=(9, 5.5), layout="constrained")
  above, below = figure.subplots(2, sharex=True)
  for k, values in enumerate(memory.T):
    other = f"process {k}" if k else "driver"
    above.plot(minutes, values / 1e6, label=other if memory.shape[1] > 1 else "process")
  above.set(ylabel="memory of its own, MB", ylim=(0, None))
  above.legend(loc="lower right", ncols=3)
  rate = np.array([row["recent_programs_per_second"] for row in metrics])
  below.plot(minutes, rate, color="tab:green", linewidth=0.8)
  below.set(xlabel="minutes", ylabel="programs a second", ylim=(0, None))
  for axes in (above, below):
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
  return figure


def _memory(metrics: Sequence[dict[str, Any]]) -> np.ndarray:
  """[n, 1 + K] bytes of this process and of the others."""
  return np.array([
      [row["memory_bytes"], *row.get("process_memory_bytes", [])] for row in metrics], float)
