"""Hurdles: programs that do badly after a first part of their training are not trained on.

Supplement S3 of the AutoML-Zero paper: the hurdle is the 75th percentile of the unique
fitnesses of the evolving population, on a rolling basis, so that whatever the fitnesses are
about three quarters of the different programs stop there. As in its source (So et al., 2019) only
fitnesses after equally much training are compared, and a program that stops at a hurdle
keeps the fitness that it has there.

In regularised evolution the population is the last P programs. So the hurdle of an island
follows from the fitnesses that the last P of its programs which came to it had there; what
the equivalence caches answer does not come to it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

PERCENTILE = 75.0


class Hurdles:
  """The rolling hurdle of every island, which depends on that island's programs alone.

  Attributes:
    heights: [I] float64, what a program must reach; -inf before the first fitness.
  """

  def __init__(self, num_islands: int, window: int):
    """Makes hurdles that everything passes.

    Args:
      num_islands: I.
      window: W, how many of the last fitnesses a hurdle follows from.
    """
    self.heights = np.full(num_islands, -np.inf)
    self._fitness = np.full((num_islands, window), np.inf)  # a ring; inf: no fitness yet
    self._next = np.zeros(num_islands, np.int64)

  def update(self, islands: np.ndarray, fitness: np.ndarray) -> None:
    """Takes in the fitnesses of N programs, in the order of each island, and moves hurdles.

    Args:
      islands: [N] int, whose.
      fitness: [N] float64, after the first part of the training.
    """
    window = self._fitness.shape[1]
    changed, count = np.unique(islands, return_counts=True)
    order = np.argsort(islands, kind="stable")
    place = np.arange(len(islands)) - np.repeat(np.cumsum(count) - count, count)
    last = place >= np.repeat(count, count) - window  # earlier ones would be overwritten
    owner = islands[order]
    slots = (self._next[owner] + place) % window
    self._fitness[owner[last], slots[last]] = fitness[order][last]
    self._next[changed] += count
    self.heights[changed] = unique_percentile(self._fitness[changed], PERCENTILE)

  def state(self) -> dict[str, Any]:
    """All that decides the hurdles to come, for `restore`."""
    return {"fitness": self._fitness, "next": self._next, "heights": self.heights}

  def restore(self, state: Mapping[str, Any]) -> None:
    """Takes over the state of other hurdles of the same shape."""
    self._fitness[:] = state["fitness"]
    self._next[:] = state["next"]
    self.heights[:] = state["heights"]


def unique_percentile(values: np.ndarray, percentile: float) -> np.ndarray:
  """Percentile of the distinct finite values of each row, linear between two of them.

  Args:
    values: [N, W] float64; inf where there is no value. Each row has at least one.
    percentile: from 0 to 100.

  Returns:
    [N] float64.
  """
  ordered = np.sort(values, axis=1)
  ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = np.inf
  ordered.sort(axis=1)
  count = np.isfinite(ordered).sum(1)
  rank = percentile / 100 * (count - 1)
  below = rank.astype(np.int64)
  row = np.arange(len(values))
  low, high = ordered[row, below], ordered[row, np.minimum(below + 1, count - 1)]
  return low + (high - low) * (rank - below)
