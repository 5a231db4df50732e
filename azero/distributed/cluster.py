"""A search spread over processes, as one search for those who run and record it.

The driver holds no programs but the best ones. It keeps every process busy with slices of
work, takes in their reports, and decides when those of a reproducible search migrate.

Reproducible: all processes exchange programs after the same number of programs of a worker,
and who receives what follows from the seed. So each worker's history is the one that it has
in a `Federation` in a single process. If a process is lost, `WorkerLost` says so, and the
search can go on from its last state.

Asynchronous: nobody waits. A process that is lost is started anew from the state that was
taken last, or from the beginning, while the others go on; what it had found stays in the
hall of fame.
"""

from collections.abc import Mapping, Sequence
import sys
from typing import Any

import numpy as np

from azero.distributed.members import Member, Members
from azero.distributed.process import Report
from azero.distributed.runtime import ActorLost, Call, Runtime
from azero.distributed.server import PoolLost
from azero.distributed.view import GroupView
from azero.runs.directory import settings_of, settings_of_groups
from azero.search import checked_state
from azero.search.groups.federation import Group, check_groups
from azero.search.groups.grouped import Grouped
from azero.search.groups.migration import Migration
from azero.search.history.hall_of_fame import JointFront, JointHall
from azero.search.protocol import WorkerLost
from azero.search.state import check_found, found_in, found_state
from azero.search.threads import Improvement

_MAX_LOSSES = 5  # of one process, one after the other


class Cluster(Grouped[Group, GroupView]):
  """Groups of workers in several processes; offers what a `Federation` does.

  Attributes:
    groups: as they were given.
    searches: what is known of the workers of each group.
    migration: its settings, or None.
    experiments: [W] number of the experiment of each worker.
    hall_of_fame: the best programs of each group.
    front: those of each group by complexity.
    missed_migrations: exchanges that found no server.
    losses: processes that were lost.
    works_while_saved: that taking its state holds nobody up.
  """

  works_while_saved = True

  def __init__(
      self, groups: Sequence[Group], migration: Migration | None, runtime: Runtime, *,
      num_processes: int, asynchronous: bool = False, lockstep: bool = False,
      slice_seconds: float = 1.0,
  ):
    """Starts the processes; evaluates nothing yet.

    Args:
      groups: of the whole search.
      migration: how workers of an experiment exchange programs; None for not at all.
      runtime: makes the processes.
      num_processes: that share the workers.
      asynchronous: whether nobody waits for others.
      lockstep: whether a step is the same number of rounds in every process, which a
        condition needs that ends workers or the search. Else each works at its own pace
        from one migration to the next.
      slice_seconds: time after which a process reports, if not in lockstep.

    Raises:
      ValueError: settings that do not fit each other.
    """
    if lockstep and asynchronous:
      raise ValueError(
          "A condition that ends workers needs a reproducible search: an asynchronous one has "
          "no common step to look at.")
    check_groups(groups, migration)
    self.groups = list(groups)
    self.migration = migration
    self.asynchronous = asynchronous
    self.losses = 0
    self.searches = GroupView.of(self.groups)
    self.hall_of_fame = JointHall([view.hall_of_fame for view in self.searches])
    self.front = JointFront([view.front for view in self.searches])
    self.experiments = np.concatenate([view.experiments for view in self.searches])
    self._lockstep = lockstep
    self._improvements: list[Improvement] = []
    self._device_seconds = np.zeros(num_processes)  # as they were reported
    self._ended_seconds = np.zeros(num_processes)  # of processes that are gone
    self._process_memory = np.zeros(num_processes, np.int64)
    self._members = Members(
        self.groups, migration, runtime, num_processes=num_processes, asynchronous=asynchronous,
        slice_seconds=None if lockstep else slice_seconds)

  def __enter__(self) -> "Cluster":
    return self

  def __exit__(self, *exception: object) -> None:
    self.close()

  def close(self) -> None:
    """Ends the processes; what is known of the search stays."""
    self._members.stop()

  @property
  def num_processes(self) -> int:
    """Processes that share the workers."""
    return len(self._members)

  @property
  def device_seconds(self) -> np.ndarray:
    """[K] seconds in which the devices of each process, and of those before it, had work."""
    return self._ended_seconds + self._device_seconds

  @property
  def process_memory(self) -> np.ndarray:
    """[K] bytes that each process has in memory for itself alone."""
    return self._process_memory.copy()

  @property
  def migrations(self) -> int:
    """How many there were; of an asynchronous search in the process that had most."""
    return max(member.migrations for member in self._members)

  @property
  def missed_migrations(self) -> int:
    """Exchanges that found no server, over all processes."""
    return sum(member.missed for member in self._members)

  def finish(self, island: int) -> None:
    """Takes a worker out of the search, as if its budget were spent."""
    view = self._search_of(island)
    view.active[island - view.first_island] = False
    self._members.of(island).submit_quietly("finish", island)

  def take_improvements(self) -> list[Improvement]:
    """New bests since the last call, as they were reported."""
    taken, self._improvements = self._improvements, []
    return taken

  def step(self) -> None:
    """Waits for the next report of a process, in lockstep for one of each; takes it in.

    Raises:
      WorkerLost: a process or the server is gone, in a reproducible search; or again and
        again.
    """
    for member in self._members:
      if not member.calls and self._has_work(member):
        member.submit("advance")
    self._take_reports()
    while self._lockstep and any(member.calls for member in self._members):
      self._take_reports()
    if not self.asynchronous and not any(member.calls for member in self._members):
      unfinished = [member for member in self._members if not self._is_finished(member)]
      if unfinished and all(member.due for member in unfinished):
        self._migrate(unfinished, [each for each in self._members if each not in unfinished])

  def state(self) -> dict[str, Any]:
    """All that decides what comes next; see `state`. Processes go on meanwhile."""
    requests = []
    for member in self._members:
      requests.append((member, len(member.calls), member.actor.submit("state")))
      if not self._lockstep and self._has_work(member):
        member.submit("advance")
    states = [self._take_state(*request) for request in requests]
    return {
        "processes": {str(k): state for k, state in enumerate(states)},
        "halls": {
            view.name: view.hall_of_fame.state(view.space) for view in self.searches},
        "fronts": {view.name: view.front.state(view.space) for view in self.searches},
        "improvements": found_state(self.space_of(0), self._improvements)}

  def restore(self, state: Mapping[str, Any]) -> None:
    """Takes over a state, starting anew the processes that are gone.

    Raises:
      StateError: it is none of such a search.
      WorkerLost: a process is lost again and again.
    """
    processes, halls, fronts, improvements = (
        checked_state.part(state, name) for name in (
            "processes", "halls", "fronts", "improvements"))
    saved = [checked_state.part(processes, str(k)) for k in range(len(self._members))]
    for view in self.searches:
      view.hall_of_fame.check(view.space, checked_state.part(halls, view.name))
      view.front.check(view.space, checked_state.part(fronts, view.name))
    check_found(self.space_of(0), improvements, len(self.experiments))
    self._improvements = [
        Improvement(**fields) for fields in found_in(self.space_of, improvements)]
    for view in self.searches:
      view.reset()
      view.hall_of_fame.restore(view.space, halls[view.name])
      view.front.restore(view.space, fronts[view.name])
    for member, report in zip(self._members, self._members.restore(saved)):
      self._take_in(member, report)

  def _has_work(self, member: Member) -> bool:
    return not self._is_finished(member) and (self.asynchronous or not member.due)

  def _is_finished(self, member: Member) -> bool:
    return not any(
        self._view(group.name).active_in(group).any() for group in member.groups)

  def _view(self, name: str) -> GroupView:
    return next(view for view in self.searches if view.name == name)

  def _take_reports(self) -> None:
    """Waits for the oldest call of some processes."""
    for member in self._members.wait():
      try:
        report = member.calls.popleft().result()
      except ActorLost as error:
        self._lose(member, error)
      else:
        self._take_in(member, report)

  def _take_state(self, member: Member, reports: int, call: Call) -> Mapping[str, Any]:
    """The state of a process, after so many reports that it owes from before."""
    try:
      for _ in range(reports):
        self._take_in(member, member.calls.popleft().result())
      state = call.result()
    except ActorLost as error:
      self._lose(member, error)
      state = member.saved
    while state is None:  # without a state it has begun anew
      try:
        state = member.actor.submit("state").result()
      except ActorLost as error:
        self._lose(member, error)
    if self.asynchronous:
      member.saved = state
    return state

  def _lose(self, member: Member, error: ActorLost) -> None:
    """A process is gone: starts it anew if nobody waits for it."""
    self.losses += 1
    member.losses += 1
    if not self.asynchronous or member.losses > _MAX_LOSSES:
      raise WorkerLost(f"Process {member.number + 1} of {len(self._members)} was lost: {error}."
                       ) from error
    since = "the beginning" if member.saved is None else "its last state"
    print(f"warning: Process {member.number + 1} of {len(self._members)} was lost: {error}. It "
          f"starts anew from {since}.", file=sys.stderr)
    self._members.start_anew(member)

  def _take_in(self, member: Member, report: Report) -> None:
    if not member.restoring:
      member.losses = 0
    member.restoring = False
    member.due, member.migrations, member.missed = report.due, report.migrations, report.missed
    if report.device_seconds < self._device_seconds[member.number]:  # it was started anew
      self._ended_seconds[member.number] += self._device_seconds[member.number]
    self._device_seconds[member.number] = report.device_seconds
    self._process_memory[member.number] = report.memory_bytes
    # A process that was started anew may find again what is known already.
    self._improvements += [
        item for item in report.improvements
        if item.fitness > self._search_of(item.island).fitness_of(item.island)]
    for group in report.groups:
      self._view(group.name).take_in(member.number, group)

  def _migrate(self, unfinished: Sequence[Member], finished: Sequence[Member]) -> None:
    """An exchange of all processes that have work left; the others count it, too.

    A larger budget may give them work again, and their next migration is that of all.
    """
    assert self._members.server is not None
    try:
      for call in [member.actor.submit("send") for member in unfinished]:
        call.result()
      reports = [(member, member.actor.submit("receive")) for member in unfinished]
      reports += [(member, member.actor.submit("skip")) for member in finished]
      for member, report in reports:
        self._take_in(member, report.result())
      self._members.server.submit("clear").result()
    except (ActorLost, PoolLost) as error:
      self.losses += 1
      raise WorkerLost(f"A process or the server was lost in a migration: {error}.") from error


@settings_of.register
def _(search: Cluster) -> dict[str, Any]:
  return settings_of_groups(search.groups, search.migration) | {
      "method": Cluster.__name__, "processes": search.num_processes,
      "asynchronous": search.asynchronous}
