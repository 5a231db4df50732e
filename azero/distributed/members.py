"""The processes of a distributed search: started, waited for, and started anew."""

import collections
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from azero.distributed import parts
from azero.distributed.process import Process, Report
from azero.distributed.runtime import Actor, ActorLost, Call, Runtime
from azero.distributed.server import MigrationServer
from azero.search.groups.federation import Group
from azero.search.groups.migration import Migration
from azero.search.protocol import WorkerLost

_MAX_ATTEMPTS = 5  # to bring all processes to a state


class Member:
  """One process.

  Attributes:
    number: which.
    groups: with the workers that it has.
    actor: the process itself.
    calls: under way, each to end with a report; the oldest first.
    due: whether it waits at a migration.
    migrations: how many it had.
    missed: how many of them found no server.
    losses: how often it was lost since it last advanced.
    restoring: whether its oldest call only brings it to a state.
    saved: its state when one was taken last; of an asynchronous search, which needs it.
  """

  def __init__(self, number: int, groups: list[Group], actor: Actor):
    self.number = number
    self.groups = groups
    self.actor = actor
    self.calls: collections.deque[Call] = collections.deque()
    self.due = False
    self.migrations = self.missed = self.losses = 0
    self.restoring = False
    self.saved: Mapping[str, Any] | None = None

  def submit(self, method: str, *arguments: Any) -> None:
    """Starts a call that ends with a report."""
    self.calls.append(self.actor.submit(method, *arguments))

  def submit_quietly(self, method: str, *arguments: Any) -> None:
    """Starts a call whose end nobody waits for."""
    self.actor.submit(method, *arguments)


class Members:
  """All processes, and the migration server.

  Attributes:
    server: holds the pools; None without migration.
  """

  def __init__(
      self, groups: Sequence[Group], migration: Migration | None, runtime: Runtime, *,
      num_processes: int, asynchronous: bool, slice_seconds: float | None,
  ):
    """Starts them.

    Raises:
      ValueError: settings that do not fit each other.
    """
    self._runtime = runtime
    self._migration = migration
    self._asynchronous = asynchronous
    self._slice_seconds = slice_seconds
    divided = parts.split(groups, num_processes)
    self.server: Actor | None = None
    if migration is not None:
      self.server = runtime.start_server(MigrationServer, migration.seed)
    self._members = [
        Member(k, part, self._start(part)) for k, part in enumerate(divided)]
    # Settings that a process refuses are refused now.
    for call in [member.actor.submit("pid") for member in self._members]:
      call.result()

  def __len__(self) -> int:
    return len(self._members)

  def __iter__(self) -> Iterator[Member]:
    return iter(self._members)

  def of(self, island: int) -> Member:
    """Who has a worker."""
    for member in self._members:
      for group in member.groups:
        first = group.first_worker or 0
        if first <= island < first + len(group.task_sets):
          return member
    raise ValueError(f"There is no worker {island}.")

  def wait(self) -> list[Member]:
    """Waits until the oldest call of some process is done; whose."""
    waiting = {member.calls[0]: member for member in self._members if member.calls}
    return [waiting[call] for call in self._runtime.wait(list(waiting))] if waiting else []

  def start_anew(self, member: Member) -> None:
    """In place of a process that is gone, one that goes on from its last state."""
    self._replace(member)
    member.restoring = member.saved is not None
    if member.saved is not None:
      member.submit("restore", member.saved)
    else:
      member.submit("advance")

  def restore(self, states: Sequence[Mapping[str, Any]]) -> list[Report]:
    """Brings every process to a state, those that are gone as new ones.

    Returns:
      Their reports.

    Raises:
      WorkerLost: one is lost again and again.
    """
    for member, state in zip(self._members, states):
      member.saved = state if self._asynchronous else None
      member.restoring = False
      while member.calls:  # what was under way counts no more
        try:
          member.calls.popleft().result()
        except ActorLost:
          member.calls.clear()
    for _ in range(_MAX_ATTEMPTS):
      calls = [
          member.actor.submit("restore", state)
          for member, state in zip(self._members, states)]
      reports: list[Report] = []
      for member, call in zip(self._members, calls):
        try:
          reports.append(call.result())
        except ActorLost:
          self._replace(member)
      if len(reports) == len(calls):
        return reports
    raise WorkerLost("Processes are lost as soon as they are started.")

  def stop(self) -> None:
    """Ends them all."""
    for member in self._members:
      self._runtime.stop(member.actor)
      member.calls.clear()
    if self.server is not None:
      self._runtime.stop(self.server)
      self.server = None

  def _start(self, groups: list[Group]) -> Actor:
    return self._runtime.start_process(
        Process, groups, self._migration, self.server, self._asynchronous, self._slice_seconds)

  def _replace(self, member: Member) -> None:
    self._runtime.stop(member.actor)
    member.calls.clear()
    member.actor = self._start(member.groups)
