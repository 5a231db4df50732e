"""The hall of fame: the best distinct programs that a search has met."""

import abc
from collections.abc import Iterator, Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np

from azero.language.program import Programs, SearchSpace
from azero.search import state as state_lib


@dataclasses.dataclass(frozen=True)
class Entry:
  """One program of the hall of fame.

  Attributes:
    program: a batch of one.
    fitness: on the search tasks of its island.
    island: where it was found.
    train_steps: of that island when it was found.
    num_programs: evaluated on that island when it was found.
  """

  program: Programs
  fitness: float
  island: int
  train_steps: int
  num_programs: int


class Hall(abc.ABC):
  """Entries, the best first; islands may have different tasks, and a fitness counts on those
  of its own island.
  """

  @property
  @abc.abstractmethod
  def changes(self) -> int:
    """Grows with every change, so that a writer knows when to save."""

  @abc.abstractmethod
  def __iter__(self) -> Iterator[Entry]:
    """The entries, the best first."""

  def __len__(self) -> int:
    return sum(1 for _ in self)

  @property
  def best(self) -> Entry:
    """The best entry.

    Raises:
      LookupError: nothing was offered yet.
    """
    for entry in self:
      return entry
    raise LookupError("The hall of fame is empty: no program was evaluated yet.")


class HallOfFame(Hall):
  """The `capacity` best programs with distinct canonical keys.

  Of two programs with one key the first of the better fitness stays.
  """

  def __init__(self, capacity: int = 20, *, first_island: int = 0):
    """Makes an empty hall.

    Args:
      capacity: how many entries it holds.
      first_island: number in the entries of the island that is 0 in `offer`.
    """
    self.capacity = capacity
    self._first_island = first_island
    self._changes = 0
    self._entries: dict[tuple[int, int], Entry] = {}
    self._bar = -np.inf

  def __iter__(self) -> Iterator[Entry]:
    return iter(sorted(self._entries.values(), key=lambda entry: -entry.fitness))

  @property
  def changes(self) -> int:
    """See `Hall`."""
    return self._changes

  def offer(
      self, programs: Programs, fitness: np.ndarray, keys: np.ndarray, islands: np.ndarray,
      train_steps: np.ndarray, num_programs: np.ndarray,
  ) -> None:
    """Takes in what is good enough of N evaluated programs.

    Args:
      programs: N programs.
      fitness: [N].
      keys: [N, 2] uint64, canonical keys.
      islands: [N] int.
      train_steps: [I] int, of every island so far.
      num_programs: [I] int, evaluated on every island so far.
    """
    candidates = np.flatnonzero(fitness > self._bar)
    if not len(candidates):
      return
    candidates = candidates[np.argsort(-fitness[candidates], kind="stable")]
    for k, value, first, second in zip(  # best first
        candidates.tolist(), fitness[candidates].tolist(), *keys[candidates].T.tolist()):
      if value <= self._bar:
        break
      key = (first, second)
      if key in self._entries and self._entries[key].fitness >= value:
        continue
      island = int(islands[k])
      self._entries[key] = Entry(
          programs[k], value, self._first_island + island, int(train_steps[island]),
          int(num_programs[island]))
      self._changes += 1
      if len(self._entries) > self.capacity:
        del self._entries[min(self._entries, key=lambda key: self._entries[key].fitness)]
      if len(self._entries) == self.capacity:
        self._bar = min(entry.fitness for entry in self._entries.values())

  def state(self, space: SearchSpace) -> dict[str, Any]:
    """The entries in the order that decides between equals, all of this space."""
    return {
        "entries": state_lib.found_state(space, list(self._entries.values())),
        "keys": np.array(list(self._entries), np.uint64).reshape(-1, 2),
        "changes": self._changes}

  def restore(self, space: SearchSpace, state: Mapping[str, Any]) -> None:
    """Takes over the entries of another hall of the same capacity."""
    keys = [(int(first), int(second)) for first, second in state["keys"]]
    entries = (
        Entry(**fields) for fields in state_lib.found_in(lambda island: space, state["entries"]))
    self._entries = dict(zip(keys, entries, strict=True))
    self._changes = state["changes"]
    self._bar = -np.inf
    if len(self._entries) == self.capacity:
      self._bar = min(entry.fitness for entry in self._entries.values())


class JointHall(Hall):
  """The halls of several groups of islands as one.

  Groups differ in their tasks. So each keeps its own best, and a program that is good in
  several is here several times.
  """

  def __init__(self, halls: Sequence[Hall]):
    self._halls = list(halls)

  @property
  def changes(self) -> int:
    """See `Hall`."""
    return sum(hall.changes for hall in self._halls)

  def __iter__(self) -> Iterator[Entry]:
    entries = [entry for hall in self._halls for entry in hall]
    return iter(sorted(entries, key=lambda entry: -entry.fitness))
