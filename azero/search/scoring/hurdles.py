"""Hurdles: programs that do badly after a first part of their training are not trained on.

Supplement S3 of the AutoML-Zero paper: the hurdle is the 75th percentile of the unique
fitnesses of the evolving population, on a rolling basis, so that whatever the fitnesses are
about three quarters of the different programs stop there. As in its source (So et al., 2019) only
fitnesses after equally much training are compared, and a program that stops at a hurdle
keeps the fitness that it has there.

In regularised evolution the population is the last P programs. So the hurdle of an island
follows from the fitnesses that the last P of its programs which came to it had there; what
the equivalence caches answer does not come to it. It moves with every generation, after each P
children of the island: these all meet one hurdle, whatever they were made and evaluated with.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from azero.compiler.kernels import inner_kernel, kernel
from azero.search import checked_state

PERCENTILE = 75.0


class HurdleArrays(NamedTuple):
  """The hurdles of I islands as kernels take them.

  Attributes:
    heights: [I] float64, what a program must reach; -inf before the first move.
    recent: [I, W] float64, a ring of the last fitnesses; inf where there is none yet.
    ordered: [I, W] float64, the same in ascending order.
    total: [I] int64, how many fitnesses there have been.
  """

  heights: np.ndarray
  recent: np.ndarray
  ordered: np.ndarray
  total: np.ndarray


class Hurdles:
  """The rolling hurdle of every island, which depends on that island's programs alone.

  Attributes:
    arrays: what kernels take.
  """

  def __init__(self, num_islands: int, window: int):
    """Makes hurdles that everything passes.

    Args:
      num_islands: I.
      window: W, how many of the last fitnesses a hurdle follows from.
    """
    recent = np.full((num_islands, window), np.inf)
    self.arrays = HurdleArrays(
        np.full(num_islands, -np.inf), recent, recent.copy(), np.zeros(num_islands, np.int64))

  @property
  def heights(self) -> np.ndarray:
    """[I] float64, what a program must reach; -inf before the first move."""
    return self.arrays.heights

  def record(self, islands: np.ndarray, fitness: np.ndarray) -> None:
    """Takes in the fitnesses of N programs; the hurdles stay where they are until `move`.

    Args:
      islands: [N] int64, whose, in the order of each island.
      fitness: [N] float64, after the first part of the training.
    """
    _record_all(self.arrays, np.asarray(islands, np.int64), np.asarray(fitness, np.float64))

  def move(self, islands: np.ndarray) -> None:
    """Puts the hurdles of N islands, [N] int64, where they belong after what was recorded."""
    _move_all(self.arrays, np.asarray(islands, np.int64))

  def state(self) -> dict[str, Any]:
    """All that decides the hurdles to come, for `restore`."""
    arrays = self.arrays
    return {"fitness": arrays.recent, "total": arrays.total, "heights": arrays.heights}

  def check(self, state: Mapping[str, Any]) -> None:
    """Refuses what `restore` cannot take over.

    Raises:
      StateError: hurdles of another shape, or numbers that cannot be.
    """
    for name, own in (
        ("fitness", self.arrays.recent), ("total", self.arrays.total),
        ("heights", self.arrays.heights)):
      found = checked_state.like(state, name, own)
      checked_state.within(name, found, -np.inf if found.dtype.kind == "f" else 0)

  def restore(self, state: Mapping[str, Any]) -> None:
    """Takes over the state of other hurdles of the same shape."""
    arrays = self.arrays
    arrays.recent[:] = state["fitness"]
    arrays.ordered[:] = np.sort(arrays.recent, axis=1)
    arrays.total[:] = state["total"]
    arrays.heights[:] = state["heights"]


@kernel
def _record_all(hurdles: HurdleArrays, islands: np.ndarray, fitness: np.ndarray) -> None:
  for k in range(len(islands)):
    _record(hurdles, islands[k], fitness[k])


@kernel
def _move_all(hurdles: HurdleArrays, islands: np.ndarray) -> None:
  for k in range(len(islands)):
    i = islands[k]
    if hurdles.total[i]:
      hurdles.heights[i] = unique_percentile(hurdles.ordered[i], PERCENTILE)


@inner_kernel
def _record(hurdles: HurdleArrays, island: int, fitness: float) -> None:
  recent, ordered = hurdles.recent[island], hurdles.ordered[island]
  place = hurdles.total[island] % len(recent)
  # The oldest goes and the new one comes: what lies between them moves by one.
  at = 0
  while ordered[at] != recent[place]:
    at += 1
  while at > 0 and ordered[at - 1] > fitness:
    ordered[at] = ordered[at - 1]
    at -= 1
  while at < len(ordered) - 1 and ordered[at + 1] < fitness:
    ordered[at] = ordered[at + 1]
    at += 1
  ordered[at] = fitness
  recent[place] = fitness
  hurdles.total[island] += 1


@inner_kernel
def unique_percentile(ordered: np.ndarray, percentile: float) -> float:
  """Percentile of the distinct finite values, linear between two of them.

  Args:
    ordered: [W] float64 in ascending order, inf at the end where there is no value; at least
      one is finite.
    percentile: from 0 to 100.
  """
  distinct = 0
  for k in range(len(ordered)):
    if ordered[k] < np.inf and (k == 0 or ordered[k] != ordered[k - 1]):
      distinct += 1
  rank = percentile / 100 * (distinct - 1)
  below = int(rank)
  low = high = ordered[0]
  seen = 0
  for k in range(1, len(ordered)):
    if ordered[k] < np.inf and ordered[k] != ordered[k - 1]:
      seen += 1
      if seen <= below:
        low = high = ordered[k]
      elif seen == below + 1:
        high = ordered[k]
  return low + (high - low) * (rank - below)
