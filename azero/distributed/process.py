"""What runs in each process of a distributed search: some of its workers.

A process advances its workers in slices of time and reports after each. In a reproducible
search it stops at every migration until all have come to theirs; in an asynchronous one it
exchanges programs with the server as soon as it gets there.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import os
import time
from typing import Any

import numpy as np

from azero.distributed.runtime import Actor, ActorLost
from azero.distributed.server import PoolLost
from azero.executors.activity import DEVICES
from azero.language.program import Programs
from azero.memory import own_memory
from azero.search import checked_state
from azero.search.evolution import Evolution
from azero.search.groups.federation import Federation, Group
from azero.search.groups.migration import Emigrants, Migration
from azero.search.history.hall_of_fame import Entry, Key
from azero.search.rounds.evaluating import Counts
from azero.search.threads import Improvement


@dataclasses.dataclass(frozen=True, eq=False)
class GroupReport:
  """How the workers of one group in one process are by now.

  Attributes:
    name: of the group.
    first_island: number of the first of them; n in all.
    cycle: children that each of them has made at least.
    counts: how programs were answered so far.
    active: [n] bool, who has budget left.
    train_steps: [n] int.
    num_programs: [n] int.
    best_fitness: [n] float.
    improved: [m] int, which of them have another best program than in the last report.
    best_programs: [m] those.
    hall: entries of the hall of fame, if it changed since the last report.
    front: those of the front, likewise.
  """

  name: str
  first_island: int
  cycle: int
  counts: Counts
  active: np.ndarray
  train_steps: np.ndarray
  num_programs: np.ndarray
  best_fitness: np.ndarray
  improved: np.ndarray
  best_programs: Programs
  hall: list[tuple[Key, Entry]]
  front: list[tuple[Key, Entry]]


@dataclasses.dataclass(frozen=True, eq=False)
class Report:
  """What a process tells after each slice of work.

  Attributes:
    groups: one for each group that has workers in the process.
    improvements: new bests since the last report.
    migrations: how many there were.
    missed: how many of them happened without the server, which could not be reached.
    due: whether it waits for the others at a migration.
    device_seconds: in which its devices had work, since it was started.
    memory_bytes: in memory, that it alone holds.
  """

  groups: list[GroupReport]
  improvements: list[Improvement]
  migrations: int
  missed: int
  due: bool
  device_seconds: float
  memory_bytes: int


class Process:
  """Some workers of a search; its methods are called from another process."""

  def __init__(
      self, groups: Sequence[Group], migration: Migration | None, server: Actor | None,
      asynchronous: bool, slice_seconds: float | None,
  ):
    """Prepares the evaluators; evaluates nothing yet.

    Args:
      groups: with the numbers of their workers, see `parts`.
      migration: of the whole search.
      server: a `MigrationServer`, if there is migration.
      asynchronous: whether it exchanges programs without waiting for others.
      slice_seconds: time between two reports, rounded up to a step; None for one step.

    Raises:
      ValueError: as `Federation`.
    """
    self._federation = Federation(groups, migration)
    self._server = server
    self._asynchronous = asynchronous
    self._slice_seconds = slice_seconds
    self._missed = 0
    self._emigrants: Emigrants = []
    self._reported_best = [np.full(s.num_islands, -np.inf) for s in self._federation.searches]
    self._reported_changes = [(-1, -1)] * len(groups)

  def pid(self) -> int:
    """The operating system's number of this process."""
    return os.getpid()

  def advance(self) -> Report:
    """Works for a slice of time, at most to the next migration that has to wait."""
    start = time.monotonic()
    while not self._federation.finished:
      self._federation.advance()
      if self._federation.migration_due:
        if not self._asynchronous:
          break
        self._exchange()
      if self._slice_seconds is None or time.monotonic() - start >= self._slice_seconds:
        break
    return self._report()

  def send(self) -> None:
    """First half of a migration in which all processes take part.

    Raises:
      ActorLost: there is no server.
    """
    self._emigrants = self._federation.emigrants()
    assert self._server is not None
    self._server.submit("upload", self._emigrants).result()

  def receive(self) -> Report:
    """Second half, when all have sent.

    Raises:
      ActorLost, PoolLost: there is no server, or another one.
    """
    assert self._server is not None
    workers = [
        (experiment, worker, len(programs))
        for experiment, worker, programs, _ in self._emigrants]
    self._federation.immigrate(
        self._server.submit("download", workers, self._federation.migrations).result())
    return self._report()

  def skip(self) -> Report:
    """Counts a migration in which none of its workers takes part."""
    self._federation.skip_migration()
    return self._report()

  def finish(self, island: int) -> None:
    """Takes a worker out of the search, by its number."""
    self._federation.finish(island)

  def state(self) -> dict[str, Any]:
    """All that decides what comes next; see `Federation.state`."""
    return {"federation": self._federation.state(), "missed": self._missed}

  def restore(self, state: Mapping[str, Any]) -> Report:
    """Restores a state; reports all that there is.

    Raises:
      StateError: it is none of such a process.
    """
    missed = checked_state.whole(state, "missed")
    self._federation.restore(checked_state.part(state, "federation"))
    self._missed = missed
    for best in self._reported_best:
      best[:] = -np.inf
    self._reported_changes = [(-1, -1)] * len(self._reported_changes)
    return self._report()

  def _exchange(self) -> None:
    """A migration on its own; without a server, programs stay where they are."""
    emigrants = self._federation.emigrants()
    assert self._server is not None
    try:
      arrivals = self._server.submit("exchange", emigrants, self._federation.migrations).result()
    except (ActorLost, PoolLost):
      self._federation.skip_migration()
      self._missed += 1
    else:
      self._federation.immigrate(arrivals)

  def _report(self) -> Report:
    federation = self._federation
    return Report(
        [self._report_group(k, group, search)
         for k, (group, search) in enumerate(zip(federation.groups, federation.searches))],
        federation.take_improvements(), federation.migrations, self._missed,
        federation.migration_due, DEVICES.seconds(), own_memory())

  def _report_group(self, k: int, group: Group, search: Evolution) -> GroupReport:
    improved = np.flatnonzero(search.best_fitness > self._reported_best[k])
    self._reported_best[k] = search.best_fitness.copy()
    hall, front = search.hall_of_fame, search.front
    before = self._reported_changes[k]
    self._reported_changes[k] = hall.changes, front.changes
    return GroupReport(
        group.name, search.first_island, search.cycle, dataclasses.replace(search.counts),
        search.active.copy(), search.train_steps.copy(), search.num_programs.copy(),
        search.best_fitness.copy(), improved, search.best_programs[improved],
        hall.items() if hall.changes != before[0] else [],
        front.items() if front.changes != before[1] else [])
