"""A least-recently-used cache of fitnesses in NumPy arrays, one for each island.

The functional equivalence cache of the AutoML-Zero paper holds 100k pairs for each worker
(S3). Here the islands of a process look up and store whole batches at once, so the cache
is a set-associative table: a key selects one set of eight places, and within the set the
least recently used place is the one that is given up.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

BYTES_PER_ENTRY = 32  # both halves of a key, a value and a stamp
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
    # The halves of a key apart: the first alone rules out nearly all that do not match.
    self._first, self._second = np.zeros((2, rows, _WAYS), np.uint64)
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
    found, values = np.zeros(len(keys), bool), np.zeros(len(keys))
    rows = self._rows(islands, keys)
    same = np.flatnonzero(self._first.take(rows, axis=0) == keys[:, :1])
    which = same // _WAYS
    place = rows.take(which) * _WAYS + same % _WAYS
    match = self._second.take(place) == keys[:, 1].take(which)
    match &= self._stamps.take(place) > 0
    which, place = which[match], place[match]
    found[which] = True
    values[which] = self._values.take(place)
    self._clock += 1
    self._stamps.reshape(-1)[place] = self._clock
    return found, values

  def put(self, islands: np.ndarray, keys: np.ndarray, values: np.ndarray) -> None:
    """Stores values of N distinct keys that are not in the cache."""
    if not len(keys):
      return
    rows = self._rows(islands, keys)
    # Keys of this call that share a set take its places one after the other, oldest first.
    order = np.argsort(rows, kind="stable")
    sets = rows.take(order)
    stamps = self._stamps.take(sets, axis=0)
    way = stamps.argmin(1)
    shared = np.flatnonzero(sets[1:] == sets[:-1]) + 1  # with the key before, which is rare
    if len(shared):
      new = np.ones(len(sets), bool)
      new[shared] = False
      order_in_set = np.arange(len(sets))
      order_in_set -= np.maximum.accumulate(np.where(new, order_in_set, 0))
      oldest = np.argsort(stamps.take(shared, axis=0), axis=1, kind="stable")
      way[shared] = oldest[np.arange(len(shared)), order_in_set.take(shared) % _WAYS]
    place = sets * _WAYS + way
    self._clock += 1
    first, second = keys.T
    self._first.reshape(-1)[place] = first.take(order)
    self._second.reshape(-1)[place] = second.take(order)
    self._values.reshape(-1)[place] = values.take(order)
    self._stamps.reshape(-1)[place] = self._clock

  def state(self) -> dict[str, Any]:
    """The entries, where they are and when they were used."""
    places = np.flatnonzero(self._stamps)
    return {
        "clock": self._clock, "places": places,
        "keys": np.stack([self._first.take(places), self._second.take(places)], axis=1),
        "values": self._values.take(places), "stamps": self._stamps.take(places)}

  def restore(self, state: Mapping[str, Any]) -> None:
    """Takes over the entries of another cache of the same size."""
    places = state["places"]
    self._clock = state["clock"]
    self._first.reshape(-1)[places] = state["keys"][:, 0]
    self._second.reshape(-1)[places] = state["keys"][:, 1]
    self._values.reshape(-1)[places] = state["values"]
    self._stamps[:] = 0
    self._stamps.reshape(-1)[places] = state["stamps"]

  def _rows(self, islands: np.ndarray, keys: np.ndarray) -> np.ndarray:
    sets = (keys[:, 0] % np.uint64(self._num_sets)).astype(np.int64)
    return np.asarray(islands, np.int64) * self._num_sets + sets
