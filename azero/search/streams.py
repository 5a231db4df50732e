"""Random numbers of many islands, each from its own generator, drawn by all at once.

An island must draw the same numbers whether it runs alone or in lockstep with others. So
every island owns a NumPy generator; its uniform numbers are drawn ahead into one row of a
buffer, and NumPy operations over all islands take what each of them needs next.
"""

from collections.abc import Mapping, Sequence
import copy
from typing import Any

import numpy as np

_BLOCK = 8192  # numbers drawn ahead of an island at a time


class Streams:
  """Streams of U(0, 1) numbers, one for each island.

  Whatever the sizes in which it is taken, the sequence of island i is that of successive
  calls of `generators[i].random()`.
  """

  def __init__(self, generators: Sequence[np.random.Generator]):
    self._generators = list(generators)
    self._buffer = np.empty((len(self._generators), 0))
    self._cursor = np.zeros(len(self._generators), np.int64)
    self._filled = np.zeros(len(self._generators), np.int64)

  def state(self) -> list[dict[str, Any]]:
    """Of each island the state of a generator whose next number is the stream's, as JSON."""
    states = []
    for generator, left in zip(self._generators, self._filled - self._cursor):
      rewound = copy.deepcopy(generator.bit_generator)
      assert isinstance(rewound, np.random.PCG64)
      rewound.advance(-int(left))  # what was drawn ahead is drawn again
      states.append(dict(rewound.state))
    return states

  def restore(self, states: Sequence[Mapping[str, Any]]) -> None:
    """Goes on where streams of as many islands were."""
    for generator, state in zip(self._generators, states, strict=True):
      generator.bit_generator.state = state
    self._cursor[:] = self._filled[:] = 0

  def take(self, islands: np.ndarray, count: int) -> np.ndarray:
    """The next `count` numbers of each of these islands, named once each: [n, count]."""
    if not len(islands) or not count:
      return np.empty((len(islands), 0))
    if count > _BLOCK:
      return self._take_many(islands, count)
    self._ensure(islands, np.full(len(islands), count), 0)
    start = self._cursor[islands]
    self._cursor[islands] = start + count
    return self._windows(islands, start, count)

  def take_ragged(self, islands: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The next counts[k] numbers of islands[k], for each k in turn.

    Args:
      islands: [n], an island may occur several times.
      counts: [n], how many numbers.

    Returns:
      [n, max(counts)]; entries beyond counts[k] mean nothing.
    """
    if not len(islands) or not counts.max():
      return np.empty((len(islands), 0))
    longest = int(counts.max())
    order = np.argsort(islands, kind="stable")
    groups, counted = islands.take(order), counts.take(order)
    new = np.ones(len(islands), bool)
    np.not_equal(groups[1:], groups[:-1], out=new[1:])
    first = np.flatnonzero(new)
    before = counted.cumsum() - counted
    names = groups.take(first)
    totals = np.add.reduceat(counted, first)
    self._ensure(names, totals, longest)
    # The first number of an island here is the next of its stream.
    base = np.zeros(len(self._cursor), np.int64)
    base[names] = self._cursor[names] - before.take(first)
    start = np.empty(len(islands), np.int64)
    start[order] = before + base.take(groups)
    self._cursor[names] += totals
    return self._windows(islands, start, longest)

  def _windows(self, islands: np.ndarray, start: np.ndarray, length: int) -> np.ndarray:
    """Copies `length` numbers from `start` on, of each of these islands: [n, length]."""
    size, item = self._buffer.size, self._buffer.itemsize
    windows = np.ndarray(
        (size - length + 1, length), self._buffer.dtype, self._buffer, strides=(item, item))
    return windows[islands * self._buffer.shape[1] + start]

  def _take_many(self, islands: np.ndarray, count: int) -> np.ndarray:
    """As `take`, past the buffer: a few large takes must not make it large for good."""
    taken = np.empty((len(islands), count))
    for row, island in zip(taken, islands):
      start, filled = self._cursor[island], self._filled[island]
      left = min(int(filled - start), count)
      row[:left] = self._buffer[island, start : start + left]
      self._generators[island].random(out=row[left:])
      self._cursor[island] += left
    return taken

  def _ensure(self, islands: np.ndarray, totals: np.ndarray, margin: int) -> None:
    """Draws ahead where fewer than `totals` numbers are left, with room to read beyond."""
    needed = int(totals.max()) + margin
    if self._buffer.shape[1] < needed:
      larger = np.zeros((len(self._generators), needed + _BLOCK))
      larger[:, : self._buffer.shape[1]] = self._buffer
      self._buffer = larger
    size = self._buffer.shape[1]
    short = self._cursor[islands] + totals + margin > self._filled[islands]
    for island in islands[short]:
      left = self._buffer[island, self._cursor[island] : self._filled[island]].copy()
      self._buffer[island, : len(left)] = left
      self._buffer[island, len(left) :] = self._generators[island].random(size - len(left))
      self._cursor[island], self._filled[island] = 0, size
