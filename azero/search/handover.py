"""Threads of a search that are done take islands from those that are not.

How long an island's part of a step takes is known when it is over: a program that has just become
costly, or a run of cache hits, cannot be foreseen. So a thread that has brought its islands to the
end of the step helps: it waits for others, and one that finds somebody waiting between two rounds
gives about half of what it has left. What an island does depends on no thread, so that this decides
how long a step takes and nothing else.
"""

from collections.abc import Iterator
import contextlib
import threading

import numpy as np


class Handover:
  """Where the threads of a search meet."""

  def __init__(self) -> None:
    """Nobody works yet."""
    self._changed = threading.Condition()
    self.begin()

  def begin(self) -> None:
    """Begins a step, whatever an error has left of the last one."""
    self._working = 0  # threads that have islands to bring to the end of the step
    self._waiting = 0  # threads that have none left
    self._given: list[np.ndarray] = []

  @contextlib.contextmanager
  def working(self) -> Iterator[None]:
    """For a thread that has a part of a step to do: others may wait for what it gives."""
    with self._changed:
      self._working += 1
    try:
      yield
    finally:
      with self._changed:
        self._working -= 1
        self._changed.notify_all()

  def take(self) -> np.ndarray | None:
    """Waits, within `working`, for islands of another thread; None if no other one works."""
    with self._changed:
      self._working -= 1
      self._waiting += 1
      self._changed.notify_all()
      try:
        self._changed.wait_for(lambda: self._given or not self._working)
      finally:
        self._waiting -= 1
        self._working += 1
      return self._given.pop() if self._given else None

  def wanted(self) -> bool:
    """Whether somebody waits for whom nothing has been given."""
    return self._waiting > len(self._given)

  def give(self, islands: np.ndarray) -> bool:
    """Gives [n] islands to somebody who waits; False if nobody does any more."""
    with self._changed:
      if not self.wanted():
        return False
      self._given.append(islands)
      self._changed.notify_all()
      return True
