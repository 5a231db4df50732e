"""The hall of fame: the best different algorithms that a search has met; and the front."""

import abc
from collections.abc import Iterable, Iterator, Mapping, Sequence
import dataclasses
from typing import Any, NamedTuple

import numpy as np

from azero import html_text
from azero.language.program import Programs, SearchSpace
from azero.search import checked_state
from azero.search import state as state_lib
from azero.search.history.lineage import Lineage, check_lineages, lineages_in, lineages_state

Key = tuple[int, int]  # canonical, see `compiler.canonical`
_NO_PRINT = (0, 0)  # in arrays


@dataclasses.dataclass(frozen=True)
class Entry:
  """One program of the hall of fame.

  Attributes:
    program: a batch of one.
    fitness: on the search tasks of its island.
    island: where it was found.
    train_steps: of that island when it was found.
    num_programs: evaluated on that island when it was found.
    complexity: live instructions.
    cost: of running them once, Setup, Predict and Learn, in scalar additions.
    fingerprint: by which it is told from other algorithms, or None if there is none.
    lineage: what it came from; the last step is the program itself.
  """

  program: Programs
  fitness: float
  island: int
  train_steps: int
  num_programs: int
  complexity: int
  cost: float
  fingerprint: Key | None
  lineage: Lineage


class Rank(NamedTuple):
  """What entries are ordered by, the best first."""

  loss: float  # minus the fitness
  num_programs: int
  island: int
  key: Key


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
        (f"{entry.fitness:.6f}", str(entry.complexity), str(entry.island),
         f"{entry.num_programs:,}") for entry in self]
    header = ("fitness", "live instructions", "island", "found after programs")
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
  """The `capacity` best programs with distinct canonical keys, of each fingerprint the best.

  Of equal fitness, those that an island met after fewer programs come first, then those of
  islands of lower number, then those of lower key. So what the hall holds does not depend on
  the order in which islands offer. Of two programs with one key the first of the better
  fitness stays. An island does not offer programs of a fingerprint that it has met before; where
  islands share tasks, others of the same fingerprint are held, but not shown.
  """

  def __init__(self, capacity: int = 20):
    """Makes an empty hall.

    Args:
      capacity: how many entries it holds.
    """
    self.capacity = capacity
    self._changes = 0
    self._entries: dict[Key, Entry] = {}
    self._bar: Rank | None = None  # of the last entry, if there is no more room

  def __iter__(self) -> Iterator[Entry]:
    shown: dict[Key, Entry] = {}
    for key, entry in self.items():
      shown.setdefault(entry.fingerprint or key, entry)
    return iter(list(shown.values()))

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

  def merge(self, halls: Iterable["HallOfFame"]) -> None:
    """Takes in what is good enough of other halls, the best first.

    So neither what it holds nor `changes` depend on which of them has an entry.
    """
    found = [item for hall in halls for item in hall.items()]
    for key, entry in sorted(found, key=lambda item: _rank(*item)):
      self.take_in(key, entry)

  def admits(self, rank: Rank) -> bool:
    """Whether a program is good enough."""
    if self._bar is not None and rank >= self._bar:
      return False
    known = self._entries.get(rank.key)
    return known is None or rank < _rank(rank.key, known)

  def take_in(self, key: Key, entry: Entry) -> None:
    """Takes in one program, if it is good enough."""
    if not self.admits(_rank(key, entry)):
      return
    self._entries[key] = entry
    self._changes += 1
    if len(self._entries) > self.capacity:
      del self._entries[max(self._entries.items(), key=lambda item: _rank(*item))[0]]
    self._set_bar()

  def state(self, space: SearchSpace) -> dict[str, Any]:
    """The entries, all of this space."""
    return {"entries": _entries_state(space, self.items()), "changes": self._changes}

  def check(self, space: SearchSpace, state: Mapping[str, Any]) -> None:
    """Refuses what `restore` cannot take over.

    Raises:
      StateError: more entries than there is room for, or no entries of this space.
    """
    _check_entries(space, state, self.capacity)

  def restore(self, space: SearchSpace, state: Mapping[str, Any]) -> None:
    """Restores the entries of another hall of the same capacity."""
    self._entries = dict(_entries_in(space, state["entries"]))
    self._changes = state["changes"]
    self._bar = None
    self._set_bar()

  def _set_bar(self) -> None:
    if len(self._entries) == self.capacity:
      self._bar = max(_rank(key, entry) for key, entry in self._entries.items())


def _rank(key: Key, entry: Entry) -> Rank:
  return Rank(-entry.fitness, entry.num_programs, entry.island, key)


class Front:
  """The best programs by complexity: each is fitter than all that have fewer live instructions.

  Of one complexity, the best by the order of the hall of fame; so the front does not depend on
  the order in which islands offer either.
  """

  def __init__(self) -> None:
    """Makes an empty front."""
    self._changes = 0
    self._entries: dict[int, tuple[Key, Entry]] = {}  # by complexity

  def __iter__(self) -> Iterator[Entry]:
    """The entries, the simplest first."""
    return iter([entry for _, entry in self.items()])

  def __len__(self) -> int:
    return len(self._entries)

  @property
  def changes(self) -> int:
    """Grows with every change."""
    return self._changes

  def items(self) -> list[tuple[Key, Entry]]:
    """The entries with their canonical keys, the simplest first."""
    return [self._entries[complexity] for complexity in sorted(self._entries)]

  def at(self, complexity: int) -> Entry:
    """The best program of at most so many live instructions.

    Raises:
      LookupError: there is none.
    """
    simple = [entry for entry in self if entry.complexity <= complexity]
    if not simple:
      raise LookupError(f"No program of at most {complexity} live instructions was evaluated.")
    return simple[-1]

  def merge(self, fronts: Iterable["Front"]) -> None:
    """Takes in what is good enough of other fronts, the simplest and best first."""
    found = [item for front in fronts for item in front.items()]
    for key, entry in sorted(
        found, key=lambda item: (item[1].complexity, _rank(*item))):
      self.take_in(key, entry)

  def admits(self, rank: Rank, complexity: int) -> bool:
    """Whether a program is good enough."""
    for size, (key, entry) in self._entries.items():
      if size < complexity and -entry.fitness <= rank.loss:
        return False
      if size == complexity and _rank(key, entry) <= rank:
        return False
    return True

  def take_in(self, key: Key, entry: Entry) -> None:
    """Takes in one program, if it is good enough."""
    if not self.admits(_rank(key, entry), entry.complexity):
      return
    self._entries = {
        complexity: item for complexity, item in self._entries.items()
        if complexity < entry.complexity or item[1].fitness > entry.fitness}
    self._entries[entry.complexity] = key, entry
    self._changes += 1

  def set_bars(self, bars: np.ndarray) -> None:
    """Tells fitness and number of programs with which a program just may enter.

    Args:
      bars: [L + 1, 2] float64, is set for each complexity.
    """
    bars[:] = -np.inf, 0
    for entry in self:  # the later, the fitter
      bars[entry.complexity :] = entry.fitness, 0
      bars[entry.complexity, 1] = entry.num_programs

  def state(self, space: SearchSpace) -> dict[str, Any]:
    """The entries, all of this space."""
    return {"entries": _entries_state(space, self.items()), "changes": self._changes}

  def check(self, space: SearchSpace, state: Mapping[str, Any]) -> None:
    """Refuses what `restore` cannot take over.

    Raises:
      StateError: two entries of one complexity, or no entries of this space.
    """
    _check_entries(space, state, space.num_slots + 1)
    complexity = state["entries"]["complexity"]
    if len(np.unique(complexity)) < len(complexity):
      raise checked_state.StateError("'complexity' has a number twice")

  def restore(self, space: SearchSpace, state: Mapping[str, Any]) -> None:
    """Restores the entries of another front."""
    self._entries = {
        entry.complexity: (key, entry) for key, entry in _entries_in(space, state["entries"])}
    self._changes = state["changes"]


class JointFront:
  """The fronts of several groups of islands, one after the other."""

  def __init__(self, fronts: Sequence[Front]):
    self._fronts = list(fronts)

  def __iter__(self) -> Iterator[Entry]:
    """The entries, group by group, the simplest of each first."""
    return (entry for front in self._fronts for entry in front)

  def __len__(self) -> int:
    return sum(map(len, self._fronts))

  @property
  def changes(self) -> int:
    """Grows with every change."""
    return sum(front.changes for front in self._fronts)


def _entries_state(space: SearchSpace, items: Sequence[tuple[Key, Entry]]) -> dict[str, Any]:
  keys, entries = [key for key, _ in items], [entry for _, entry in items]
  prints = [entry.fingerprint or _NO_PRINT for entry in entries]
  return state_lib.found_state(space, entries) | {
      "keys": np.array(keys, np.uint64).reshape(-1, 2),
      "fingerprints": np.array(prints, np.uint64).reshape(-1, 2),
      "complexity": np.array([entry.complexity for entry in entries], np.int64),
      "cost": np.array([entry.cost for entry in entries], np.float64),
      "lineages": lineages_state([entry.lineage for entry in entries])}


def _check_entries(space: SearchSpace, state: Mapping[str, Any], capacity: int) -> None:
  """Refuses a state of a hall or a front whose entries are not of this space, or too many."""
  checked_state.whole(state, "changes")
  entries = checked_state.part(state, "entries")
  count = state_lib.check_found(space, entries)
  for name in ("keys", "fingerprints"):
    checked_state.array(entries, name, np.uint64, (count, 2))
  complexity = checked_state.array(entries, "complexity", np.int64, (count,))
  checked_state.within("complexity", complexity, 0, space.num_slots)
  checked_state.within("cost", checked_state.array(entries, "cost", np.float64, (count,)), 0)
  if count > capacity:
    raise checked_state.StateError(f"there are {count} entries, and room for {capacity}")
  check_lineages(space, entries, count)


def _entries_in(space: SearchSpace, state: Mapping[str, Any]) -> list[tuple[Key, Entry]]:
  keys, prints = ([tuple(pair) for pair in state[name].tolist()]
                  for name in ("keys", "fingerprints"))
  rows = zip(
      keys, prints, state_lib.found_in(lambda island: space, state), state["complexity"].tolist(),
      state["cost"].tolist(), lineages_in(space, state["lineages"]), strict=True)
  return [
      (key, Entry(
          **found, complexity=complexity, cost=cost, lineage=lineage,
          fingerprint=None if fingerprint == _NO_PRINT else fingerprint))
      for key, fingerprint, found, complexity, cost, lineage in rows]


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
