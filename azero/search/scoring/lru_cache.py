"""A least-recently-used cache of fitnesses, one for each island.

The functional equivalence cache of the AutoML-Zero paper holds 100k pairs for each worker
(S3). Here it is a set-associative table: a key selects one set of eight places, and within
the set the least recently used place is the one that is given up.

An entry is reserved when a child asks for its key in vain, and filled when the child's score
comes. Until then it names the child by a ticket, so that a later child of the same key learns
whom to wait for. So the order of use, and with it what is given up, is that of children which
are scored one after another, whenever their scores come.

What a child did to a cache can be taken back, in case it turns out not to be one: everything is
logged until that is known.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from azero.compiler.kernels import inlined_kernel, kernel
from azero.search import checked_state

BYTES_PER_ENTRY = 40  # both halves of a key, a value, a stamp and a ticket
_WAYS = 8

ABSENT = -1  # a place: the key is not in the cache
FILLED = -1  # a ticket: the entry has its value


class CacheArrays(NamedTuple):
  """The caches of I islands, of Q sets each, as kernels take them.

  Attributes:
    keys: [I, 8 * Q, 2] uint64.
    values: [I, 8 * Q] float64.
    stamps: [I, 8 * Q] int64, when a place was last used; 0 for an empty one.
    tickets: [I, 8 * Q] int64, which child fills it; FILLED once that has happened.
    clocks: [I] int64, how often a cache was used.
  """

  keys: np.ndarray
  values: np.ndarray
  stamps: np.ndarray
  tickets: np.ndarray
  clocks: np.ndarray


class Log(NamedTuple):
  """What places of caches held before they were used or given up.

  Attributes:
    used: [1] int64, entries.
    facts: [M, 5] int64, see the names of the columns.
    keys: [M, 2] uint64.
    values: [M] float64.
  """

  used: np.ndarray
  facts: np.ndarray
  keys: np.ndarray
  values: np.ndarray


# Columns of `Log.facts`: for whom it was done, of which island, where, and what was there.
_WHO, _ISLAND, _PLACE, _STAMP, _TICKET = range(5)


def new_log(size: int) -> Log:
  """An empty log with room for so many entries."""
  return Log(
      np.zeros(1, np.int64), np.zeros((size, 5), np.int64), np.zeros((size, 2), np.uint64),
      np.zeros(size))


class LruCache:
  """128-bit keys -> fitness, for I islands.

  Attributes:
    arrays: what kernels take.
  """

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
    shape = num_islands, -(-capacity // _WAYS) * _WAYS
    self.arrays = CacheArrays(
        np.zeros((*shape, 2), np.uint64), np.zeros(shape), np.zeros(shape, np.int64),
        np.full(shape, FILLED), np.zeros(num_islands, np.int64))
    self._log = new_log(1)

  def __len__(self) -> int:
    return int(np.count_nonzero(self.arrays.stamps))

  def get(self, island: int, key: np.ndarray) -> float | None:
    """The value of a key, [2] uint64, which is marked as used; None where there is none yet."""
    place = _look_up_one(self.arrays, island, key, self._log)
    if place == ABSENT or self.arrays.tickets[island, place] != FILLED:
      return None
    return float(self.arrays.values[island, place])

  def put(self, island: int, key: np.ndarray, value: float) -> None:
    """Stores the value of a key that is not in the cache."""
    _put_one(self.arrays, island, key, value, self._log)

  def state(self) -> dict[str, Any]:
    """The entries, where they are and when they were used; none may wait for its value."""
    arrays = self.arrays
    places = np.flatnonzero(arrays.stamps)
    return {
        "clocks": arrays.clocks, "places": places, "keys": arrays.keys.reshape(-1, 2)[places],
        "values": arrays.values.reshape(-1)[places],
        "stamps": arrays.stamps.reshape(-1)[places]}

  def check(self, state: Mapping[str, Any]) -> None:
    """Refuses what `restore` cannot take over.

    Raises:
      StateError: entries of a cache of another size, or numbers that cannot be.
    """
    clocks = checked_state.like(state, "clocks", self.arrays.clocks)
    places = checked_state.array(state, "places", np.int64, (None,))
    count = len(places)
    checked_state.array(state, "keys", np.uint64, (count, 2))
    values = checked_state.array(state, "values", np.float64, (count,))
    stamps = checked_state.array(state, "stamps", np.int64, (count,))
    checked_state.within("clocks", clocks, 0)
    checked_state.within("places", places, 0, self.arrays.stamps.size - 1)
    checked_state.within("places", np.diff(places), 1)
    checked_state.within("values", values, -np.inf)
    checked_state.within("stamps", stamps, 1, clocks[places // self.arrays.stamps.shape[1]])

  def restore(self, state: Mapping[str, Any]) -> None:
    """Takes over the entries of another cache of the same size."""
    arrays, places = self.arrays, state["places"]
    arrays.clocks[:] = state["clocks"]
    arrays.keys.reshape(-1, 2)[places] = state["keys"]
    arrays.values.reshape(-1)[places] = state["values"]
    arrays.stamps[:] = 0
    arrays.stamps.reshape(-1)[places] = state["stamps"]
    arrays.tickets[:] = FILLED


@inlined_kernel
def look_up(cache: CacheArrays, island: int, key: np.ndarray, who: int, log: Log) -> int:
  """Looks a key up, [2] uint64, and marks it as used, for the child `who`.

  Returns:
    Its place, for `cache.values[island, place]` or, where `cache.tickets[island, place]` is
    not FILLED, the child that it waits for; ABSENT if it is not there.
  """
  start = _first_place(cache, key)
  for place in range(start, start + _WAYS):
    if (cache.keys[island, place, 0] == key[0] and cache.keys[island, place, 1] == key[1]
        and cache.stamps[island, place] > 0):
      _use(cache, island, place, who, log)
      return place
  return ABSENT


@inlined_kernel
def reserve(
    cache: CacheArrays, island: int, key: np.ndarray, ticket: int, who: int, log: Log) -> int:
  """Gives a key that is not in the cache a place there, to be filled by the child `ticket`.

  Returns:
    The place, whose entry until now, the least recently used of its set, is given up, for `who`.
  """
  start = _first_place(cache, key)
  oldest = start
  for place in range(start + 1, start + _WAYS):
    if cache.stamps[island, place] < cache.stamps[island, oldest]:
      oldest = place
  _use(cache, island, oldest, who, log)
  cache.keys[island, oldest, 0], cache.keys[island, oldest, 1] = key[0], key[1]
  cache.tickets[island, oldest] = ticket
  return oldest


@inlined_kernel
def fill(cache: CacheArrays, island: int, place: int, ticket: int, value: float) -> None:
  """Stores the value that a place was reserved for, unless another key has it by now."""
  if cache.tickets[island, place] == ticket:
    cache.values[island, place] = value
    cache.tickets[island, place] = FILLED


@inlined_kernel
def take_back(cache: CacheArrays, kept: np.ndarray, log: Log) -> None:
  """Undoes what was done for all but those who are `kept`, [N] bool, and empties the log.

  Of an island those who are kept come before the others.
  """
  for k in range(log.used[0] - 1, -1, -1):
    facts = log.facts[k]
    if not kept[facts[_WHO]]:
      island, place = facts[_ISLAND], facts[_PLACE]
      for half in range(2):
        cache.keys[island, place, half] = log.keys[k, half]
      cache.values[island, place] = log.values[k]
      cache.stamps[island, place], cache.tickets[island, place] = facts[_STAMP], facts[_TICKET]
      cache.clocks[island] -= 1
  log.used[0] = 0


@inlined_kernel
def _first_place(cache: CacheArrays, key: np.ndarray) -> int:
  """The first place of the set that a key belongs to."""
  sets = np.uint64(cache.stamps.shape[1] // _WAYS)
  return int(key[0] % sets) * _WAYS


@inlined_kernel
def _use(cache: CacheArrays, island: int, place: int, who: int, log: Log) -> None:
  """Marks a place as used, and logs what it holds."""
  facts = log.facts[log.used[0]]
  facts[_WHO], facts[_ISLAND], facts[_PLACE] = who, island, place
  facts[_STAMP], facts[_TICKET] = cache.stamps[island, place], cache.tickets[island, place]
  for half in range(2):
    log.keys[log.used[0], half] = cache.keys[island, place, half]
  log.values[log.used[0]] = cache.values[island, place]
  log.used[0] += 1
  cache.clocks[island] += 1
  cache.stamps[island, place] = cache.clocks[island]


@kernel
def _look_up_one(cache: CacheArrays, island: int, key: np.ndarray, log: Log) -> int:
  log.used[0] = 0
  return look_up(cache, island, key, 0, log)


@kernel
def _put_one(cache: CacheArrays, island: int, key: np.ndarray, value: float, log: Log) -> None:
  log.used[0] = 0
  fill(cache, island, reserve(cache, island, key, 0, 0, log), 0, value)
