"""A least-recently-used cache of fitnesses in NumPy arrays, one for each island.

The functional equivalence cache of the AutoML-Zero paper holds 100k pairs for each worker
(S3). Here the islands of a process look up and store whole batches at once, so the cache
is a set-associative table: a key selects one set of eight places, and within the set the
least recently used place is the one that is given up.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

_WAYS = 8


class LruCache:
  """128-bit keys -> fitness, for I islands."""

  def __init__(self, num_islands: int, capacity: int):
    """Makes an empty cache.

    Args:
      num_islands: I.
      capacity: entries of each island, rounded up to a multiple of eight.

    Raises:
      ValueError: no capacity.
    """
    if capacity < 1:
      raise ValueError(f"A cache needs a capacity of at least 1, got {capacity}.")
    self._num_sets = -(-capacity // _WAYS)
    rows = num_islands * self._num_sets
    self._keys = np.zeros((rows, _WAYS, 2), np.uint64)
    self._values = np.zeros((rows, _WAYS))
    self._stamps = np.zeros((rows, _WAYS), np.int64)  # 0: an empty place
    self._clock = 0

  def __len__(self) -> int:
    return int(np.count_nonzero(self._stamps))

  def get(self, islands: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Looks keys up and marks those found as used.

    Args:
      islands: [N] int.
      keys: [N, 2] uint64.

    Returns:
      [N] bool, found; [N] float64, the values (0 where not found).
    """
    rows = self._rows(islands, keys)
    match = (self._keys[rows] == keys[:, None]).all(-1) & (self._stamps[rows] > 0)
    found = match.any(1)
    way = match.argmax(1)
    values = np.where(found, self._values[rows, way], 0.0)
    self._clock += 1
    self._stamps[rows[found], way[found]] = self._clock
    return found, values

  def put(self, islands: np.ndarray, keys: np.ndarray, values: np.ndarray) -> None:
    """Stores values of N distinct keys that are not in the cache."""
    if not len(keys):
      return
    rows = self._rows(islands, keys)
    # Keys of this call that share a set take its places one after the other, oldest first.
    order = np.argsort(rows, kind="stable")
    starts = np.flatnonzero(np.diff(rows[order], prepend=-1))
    sizes = np.diff(np.append(starts, len(rows)))
    rank = np.empty(len(rows), np.int64)
    rank[order] = np.arange(len(rows)) - np.repeat(starts, sizes)
    oldest = np.argsort(self._stamps[rows], axis=1, kind="stable")
    way = oldest[np.arange(len(rows)), rank % _WAYS]
    self._clock += 1
    self._keys[rows, way] = keys
    self._values[rows, way] = values
    self._stamps[rows, way] = self._clock

  def state(self) -> dict[str, Any]:
    """The entries, where they are and when they were used."""
    places = np.flatnonzero(self._stamps)
    return {
        "clock": self._clock, "places": places,
        "keys": self._keys.reshape(-1, 2)[places], "values": self._values.ravel()[places],
        "stamps": self._stamps.ravel()[places]}

  def restore(self, state: Mapping[str, Any]) -> None:
    """Takes over the entries of another cache of the same size."""
    places = state["places"]
    self._clock = state["clock"]
    self._keys.reshape(-1, 2)[places] = state["keys"]
    self._values.reshape(-1)[places] = state["values"]
    self._stamps[:] = 0
    self._stamps.reshape(-1)[places] = state["stamps"]

  def _rows(self, islands: np.ndarray, keys: np.ndarray) -> np.ndarray:
    sets = (keys[:, 0] % np.uint64(self._num_sets)).astype(np.int64)
    return np.asarray(islands, np.int64) * self._num_sets + sets
