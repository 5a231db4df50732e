"""What the driver of a distributed search knows of the workers of a group."""

from collections.abc import Sequence

import numpy as np

from azero.distributed.process import GroupReport
from azero.language.program import Programs
from azero.search import budgets
from azero.search.groups.federation import Group
from azero.search.history.hall_of_fame import Front, HallOfFame
from azero.search.rounds.evaluating import Counts


class GroupView(budgets.Budgeted):
  """The workers of one group, wherever they are, as they were when last heard of.

  Attributes:
    name: of the group.
    space: its search space.
    config: settings of its workers.
    first_island: number of the first of them.
    num_islands: I, how many.
    experiments: [I] number of the experiment of each.
    active: [I] bool, who has budget left.
    train_steps: [I] int.
    num_programs: [I] int.
    best_fitness: [I] float.
    best_programs: [I] those.
    hall_of_fame: the best of the group.
    front: the best of the group by complexity.
  """

  def __init__(self, group: Group, first_island: int):
    self.name = group.name
    self.space = group.space
    self.config = group.config
    self.first_island = first_island
    self.num_islands = len(group.task_sets)
    self.experiments = (
        np.zeros(self.num_islands, np.int64) if group.experiments is None
        else np.asarray(group.experiments, np.int64))
    self.hall_of_fame, self.front = HallOfFame(group.config.hall_of_fame_size), Front()
    self.reset()

  @classmethod
  def of(cls, groups: Sequence[Group]) -> list["GroupView"]:
    """One for each group, with the workers numbered over all of them."""
    first = np.cumsum([0, *(len(group.task_sets) for group in groups)])
    return [cls(group, int(island)) for group, island in zip(groups, first)]

  def reset(self) -> None:
    """Knows nothing any more, but for the hall of fame and the front."""
    count = self.num_islands
    self.active = np.ones(count, bool)
    self.train_steps = np.zeros(count, np.int64)
    self.num_programs = np.zeros(count, np.int64)
    self.best_fitness = np.full(count, -np.inf)
    self.best_programs = Programs.empty(self.space, count)
    self._counts: dict[int, Counts] = {}  # by process
    self._cycles: dict[int, int] = {}

  @property
  def counts(self) -> Counts:
    """How programs were answered so far."""
    return Counts.sum(self._counts.values())

  @property
  def cycle(self) -> int:
    """Children that every worker of a process has made at least, of the process that did most."""
    return max(self._cycles.values(), default=0)

  def active_in(self, part: Group) -> np.ndarray:
    """[n] bool, which of the workers of a part of the group have budget left."""
    start = (part.first_worker or 0) - self.first_island
    return self.active[start : start + len(part.task_sets)]

  def fitness_of(self, island: int) -> float:
    """The best fitness of a worker by its number."""
    return float(self.best_fitness[island - self.first_island])

  def take_in(self, process: int, report: GroupReport) -> None:
    """Learns how the workers in one process are by now."""
    start = report.first_island - self.first_island
    own = slice(start, start + len(report.active))
    self.active[own] = report.active
    self.train_steps[own] = report.train_steps
    self.num_programs[own] = report.num_programs
    self._counts[process] = report.counts
    self._cycles[process] = report.cycle
    # A process that was started anew may know of worse ones than it had.
    better = report.best_fitness[report.improved] > self.best_fitness[own][report.improved]
    islands = start + report.improved[better]
    self.best_fitness[islands] = report.best_fitness[report.improved[better]]
    for name in Programs.ARRAYS:
      getattr(self.best_programs, name)[islands] = getattr(report.best_programs, name)[better]
    for key, entry in report.hall:
      self.hall_of_fame.take_in(key, entry)
    for key, entry in report.front:
      self.front.take_in(key, entry)
