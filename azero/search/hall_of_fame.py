"""The hall of fame: the best distinct programs that a search has met."""

import abc
from collections.abc import Iterable, Iterator, Mapping, Sequence
import dataclasses
from typing import Any, NamedTuple

import numpy as np

from azero import html_text
from azero.language.program import Programs, SearchSpace
from azero.search import state as state_lib

Key = tuple[int, int]  # canonical, see `compiler.canonical`


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

  def _repr_html_(self) -> str:
    """What a notebook shows: a row for each entry, and the best program."""
    rows = [
        (f"{entry.fitness:.6f}", str(entry.island), f"{entry.num_programs:,}",
         f"{entry.train_steps:,}") for entry in self]
    header = ("fitness", "island", "found after programs", "training steps")
    return html_text.table(header, rows) + (self.best.program._repr_html_() if rows else "")

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

  Of equal fitness, those that an island met after fewer programs come first, then those of
  islands of lower number, then those of lower key. So what the hall holds does not depend on
  the order in which islands offer. Of two programs with one key the first of the better
  fitness stays.
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
    self._entries: dict[Key, Entry] = {}
    self._bar: _Rank | None = None  # of the last entry, if there is no more room

  def __iter__(self) -> Iterator[Entry]:
    return iter([entry for _, entry in self.items()])

  @property
  def changes(self) -> int:
    """See `Hall`."""
    return self._changes

  @property
  def bar(self) -> tuple[float, int]:
    """Fitness and number of programs with which a program just may enter."""
    return (-np.inf, 0) if self._bar is None else (-self._bar.loss, self._bar.num_programs)

  def items(self) -> list[tuple[Key, Entry]]:
    """The entries with their canonical keys, the best first."""
    return sorted(self._entries.items(), key=lambda item: _rank(*item))

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
    candidates = self._candidates(fitness, islands, num_programs)
    candidates = candidates[np.argsort(-fitness[candidates], kind="stable")]
    for k, value in zip(candidates.tolist(), fitness[candidates].tolist()):  # best first
      if self._bar is not None and -value > self._bar.loss:
        break
      island = int(islands[k])
      self.take_in((int(keys[k, 0]), int(keys[k, 1])), Entry(
          programs[k], value, self._first_island + island, int(train_steps[island]),
          int(num_programs[island])))

  def merge(self, halls: Iterable["HallOfFame"]) -> None:
    """Takes in what is good enough of other halls, the best first.

    So neither what it holds nor `changes` depend on which of them has an entry.
    """
    found = [item for hall in halls for item in hall.items()]
    for key, entry in sorted(found, key=lambda item: _rank(*item)):
      self.take_in(key, entry)

  def take_in(self, key: Key, entry: Entry) -> None:
    """Takes in one program, if it is good enough."""
    rank = _rank(key, entry)
    if self._bar is not None and rank >= self._bar:
      return
    if key in self._entries and rank >= _rank(key, self._entries[key]):
      return
    self._entries[key] = entry
    self._changes += 1
    if len(self._entries) > self.capacity:
      del self._entries[max(self._entries.items(), key=lambda item: _rank(*item))[0]]
    self._set_bar()

  def state(self, space: SearchSpace) -> dict[str, Any]:
    """The entries, all of this space."""
    items = self.items()
    keys, entries = [key for key, _ in items], [entry for _, entry in items]
    return {
        "entries": state_lib.found_state(space, entries),
        "keys": np.array(keys, np.uint64).reshape(-1, 2), "changes": self._changes}

  def restore(self, space: SearchSpace, state: Mapping[str, Any]) -> None:
    """Takes over the entries of another hall of the same capacity."""
    keys = [(int(first), int(second)) for first, second in state["keys"]]
    entries = (
        Entry(**fields) for fields in state_lib.found_in(lambda island: space, state["entries"]))
    self._entries = dict(zip(keys, entries, strict=True))
    self._changes = state["changes"]
    self._bar = None
    self._set_bar()

  def _candidates(
      self, fitness: np.ndarray, islands: np.ndarray, num_programs: np.ndarray) -> np.ndarray:
    """Who may be good enough."""
    if self._bar is None:
      return np.arange(len(fitness))
    bar = -self._bar.loss
    good = fitness > bar
    level = fitness == bar
    if level.any():
      level &= num_programs[islands] <= self._bar.num_programs
      good |= level
    return np.flatnonzero(good)

  def _set_bar(self) -> None:
    if len(self._entries) == self.capacity:
      self._bar = max(_rank(key, entry) for key, entry in self._entries.items())


class _Rank(NamedTuple):
  """What entries are ordered by, the best first."""

  loss: float  # minus the fitness
  num_programs: int
  island: int
  key: Key


def _rank(key: Key, entry: Entry) -> _Rank:
  return _Rank(-entry.fitness, entry.num_programs, entry.island, key)


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
