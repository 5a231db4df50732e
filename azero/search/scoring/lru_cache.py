"""A least-recently-used cache of fitnesses, one for each island.

The functional equivalence cache of the AutoML-Zero paper holds 100k pairs for each worker
(S3). Here it is a set-associative table: a key selects one set of eight places, and within
the set the least recently used place is the one that is given up.

An entry is reserved when a child asks for its key in vain, and filled when the score comes. Until
then its ticket is the number of the request in the round, so that a later child of the same key
learns what to wait for. So the order of use, and with it what is given up, is that of children
which are scored one after another, whenever their scores come.

What a child did to a cache can be taken back, in case it turns out not to be one: everything is
logged until that is known.

A search waits longer for memory than for anything else that it does on the host. So all of a set
is in one place, four rows of eight words, and what a kernel will look up it can prefetch.
"""

from collections.abc import Mapping
import math
from typing import Any, NamedTuple

import numpy as np

from azero.compiler.kernels import inlined_kernel
from azero.compiler.prefetch import LINE, prefetch
from azero.search import checked_state

BYTES_PER_ENTRY = 32
_WAYS = 8
# Rows of a set: both halves of the keys; when each was last used, 0 for an empty place; and the
# bits of the values or, of places that wait for them, tickets.
_FIRST, _SECOND, _STAMP, _VALUE = range(4)
_WAITS = np.uint64(1 << 63)  # in a stamp
_NEVER = np.uint64(0)

ABSENT = -1  # a place: the key is not in the cache
FILLED = -1  # a ticket: the entry has its value


class CacheArrays(NamedTuple):
  """The caches of I islands, of Q sets each, as kernels take them.

  Attributes:
    sets: [I, Q, 4, 8] uint64, see the names of the rows.
    clocks: [I] int64, how often a cache was used.
  """

  sets: np.ndarray
  clocks: np.ndarray


class Log(NamedTuple):
  """What places of caches held before they were used or given up.

  Attributes:
    used: [1] int64, entries.
    facts: [M, 3] int64, see the names of the columns.
    words: [M, 4] uint64, what was there.
  """

  used: np.ndarray
  facts: np.ndarray
  words: np.ndarray


_WHO, _ISLAND, _PLACE = range(3)  # columns of `Log.facts`: for whom it was done, and where


def new_log(size: int) -> Log:
  """An empty log with room for so many entries."""
  return Log(np.zeros(1, np.int64), np.zeros((size, 3), np.int64), np.zeros((size, 4), np.uint64))


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
      ValueError: no capacity, or more than there is memory.
    """
    if capacity < 1:
      raise ValueError(f"A cache needs a capacity of at least 1, got {capacity}.")
    shape = num_islands, -(-capacity // _WAYS), 4, _WAYS
    try:
      sets = _aligned_zeros(shape)
    except (MemoryError, ValueError, OverflowError) as error:  # the latter beyond all addresses
      raise ValueError(
          f"A cache of {capacity:,} entries on each island takes {8 * math.prod(shape) / 1e9:,.0f} "
          "GB in all, more than there is: set cache_size lower.") from error
    self.arrays = CacheArrays(sets, np.zeros(num_islands, np.int64))

  def __len__(self) -> int:
    return int(np.count_nonzero(self._row(_STAMP)))

  def state(self) -> dict[str, Any]:
    """The entries, where they are and when they were used; none may wait for its value."""
    used = self._row(_STAMP)
    places = np.flatnonzero(used)
    i, group, way = np.unravel_index(places, used.shape)  # few of them, in a large cache
    first, second, stamps, values = (self.arrays.sets[i, group, row, way] for row in range(4))
    return {
        "clocks": self.arrays.clocks, "places": places, "keys": np.stack([first, second], 1),
        "values": values.view(np.float64), "stamps": stamps.view(np.int64)}

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
    size = self._row(_STAMP).size
    checked_state.within("places", places, 0, size - 1)
    checked_state.within("places", np.diff(places), 1)
    checked_state.within("values", values, -np.inf)
    checked_state.within("stamps", stamps, 1, clocks[places * len(clocks) // size])

  def restore(self, state: Mapping[str, Any]) -> None:
    """Restores the entries of another cache of the same size."""
    self.arrays.clocks[:] = state["clocks"]
    self._row(_STAMP)[:] = _NEVER
    island, group, way = np.unravel_index(state["places"], self._row(_STAMP).shape)
    words = state["keys"][:, 0], state["keys"][:, 1], state["stamps"], state["values"]
    for row, word in enumerate(words):
      self.arrays.sets[island, group, row, way] = word.view(np.uint64)

  def _row(self, row: int) -> np.ndarray:
    """[I, Q, 8], one row of all sets."""
    return self.arrays.sets[:, :, row]


def _aligned_zeros(shape: tuple[int, ...]) -> np.ndarray:
  """Zeros of words of 64 bits; a row of eight is what the processor reads at once."""
  size, spare = math.prod(shape), LINE // 8
  words = np.zeros(size + spare, np.uint64)
  first = -words.ctypes.data % LINE // 8
  return words[first : first + size].reshape(shape)


@inlined_kernel
def look_up(cache: CacheArrays, island: int, key: np.ndarray, who: int, log: Log) -> int:
  """Looks a key up, [2] uint64, and marks it as used, for the child `who`.

  Returns:
    Its place, for `ticket_at` and `value_at`; ABSENT if it is not there.
  """
  group = _group(cache, key)
  prefetch_set(cache, island, key)
  for way in range(_WAYS):
    if (cache.sets[island, group, _FIRST, way] == key[0]
        and cache.sets[island, group, _SECOND, way] == key[1]
        and cache.sets[island, group, _STAMP, way] != _NEVER):
      _use(cache, island, group, way, who, log)
      waits = cache.sets[island, group, _STAMP, way] & _WAITS
      cache.sets[island, group, _STAMP, way] = np.uint64(cache.clocks[island]) | waits
      return group * _WAYS + way
  return ABSENT


@inlined_kernel
def prefetch_set(cache: CacheArrays, island: int, key: np.ndarray) -> None:
  """Prefetches what a look-up of a key will read."""
  group = _group(cache, key)
  for row in range(4):
    prefetch(cache.sets, (island, group, row, 0))


@inlined_kernel
def ticket_at(cache: CacheArrays, island: int, place: int) -> int:
  """Which request fills a place; FILLED once that has happened."""
  group, way = place // _WAYS, place % _WAYS
  if cache.sets[island, group, _STAMP, way] < _WAITS:
    return FILLED
  return int(np.int64(cache.sets[island, group, _VALUE, way]))


@inlined_kernel
def value_at(cache: CacheArrays, island: int, place: int) -> float:
  """The value at a place that is filled."""
  word = cache.sets[island, place // _WAYS, _VALUE, place % _WAYS]
  return np.uint64(word).view(np.float64)


@inlined_kernel
def reserve(
    cache: CacheArrays, island: int, key: np.ndarray, ticket: int, who: int, log: Log) -> int:
  """Gives a key that is not in the cache a place there, to be filled by the request `ticket`.

  Returns:
    The place, whose entry until now, the least recently used of its set, is given up, for `who`.
  """
  group, oldest = _group(cache, key), 0
  least = cache.sets[island, group, _STAMP, 0] & ~_WAITS
  for way in range(1, _WAYS):
    stamp = cache.sets[island, group, _STAMP, way] & ~_WAITS
    if stamp < least:
      oldest, least = way, stamp
  _use(cache, island, group, oldest, who, log)
  cache.sets[island, group, _FIRST, oldest] = key[0]
  cache.sets[island, group, _SECOND, oldest] = key[1]
  cache.sets[island, group, _STAMP, oldest] = np.uint64(cache.clocks[island]) | _WAITS
  cache.sets[island, group, _VALUE, oldest] = np.uint64(ticket)
  return group * _WAYS + oldest


@inlined_kernel
def fill(cache: CacheArrays, island: int, place: int, ticket: int, value: float) -> None:
  """Stores the value that a place was reserved for, unless another key has it by now."""
  if ticket_at(cache, island, place) == ticket:
    group, way = place // _WAYS, place % _WAYS
    cache.sets[island, group, _VALUE, way] = np.float64(value).view(np.uint64)
    cache.sets[island, group, _STAMP, way] &= ~_WAITS


@inlined_kernel
def take_back(cache: CacheArrays, kept: np.ndarray, log: Log) -> None:
  """Undoes what was done for all but those who are `kept`, [N] bool, and empties the log.

  Of an island those who are kept come before the others.
  """
  for k in range(log.used[0] - 1, -1, -1):
    facts = log.facts[k]
    if not kept[facts[_WHO]]:
      island, place = facts[_ISLAND], facts[_PLACE]
      for row in range(4):
        cache.sets[island, place // _WAYS, row, place % _WAYS] = log.words[k, row]
      cache.clocks[island] -= 1
  log.used[0] = 0


@inlined_kernel
def _group(cache: CacheArrays, key: np.ndarray) -> int:
  """The set that a key belongs to."""
  return int(key[0] % np.uint64(cache.sets.shape[1]))


@inlined_kernel
def _use(cache: CacheArrays, island: int, group: int, way: int, who: int, log: Log) -> None:
  """Notes that a place is used, and logs what it holds."""
  facts = log.facts[log.used[0]]
  facts[_WHO], facts[_ISLAND], facts[_PLACE] = who, island, group * _WAYS + way
  for row in range(4):
    log.words[log.used[0], row] = cache.sets[island, group, row, way]
  log.used[0] += 1
  cache.clocks[island] += 1
