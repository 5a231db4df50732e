"""Groups of workers whose tasks differ in shape, with migration between them.

The paper's larger experiments divide W workers over combinations of data set, training
examples, epochs, tasks and features (section 4.2, supplement S5). Islands whose tasks have one
shape are a group, an `Evolution`; a federation advances several groups together and lets the
workers of an experiment exchange programs, see `migration`. Repeats of an experiment run side
by side and exchange nothing.

Migrations happen at fixed numbers of children, when all workers have come to them. So the
history depends on the settings alone, and groups of costly tasks may migrate after fewer
programs than those of cheap ones. Workers whose budget is spent take no part any more.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import itertools
from typing import Any, NamedTuple

import numpy as np

from azero.executors.evaluator import Evaluator
from azero.language.program import Programs, SearchSpace
from azero.search import checked_state, plain
from azero.search import state as state_lib
from azero.search.config import SearchConfig
from azero.search.evolution import Evolution
from azero.search.groups.grouped import Grouped
from azero.search.groups.migration import Arrival, Emigrants, Migration, Pools
from azero.search.history.hall_of_fame import JointFront, JointHall
from azero.search.scoring.evaluators import MakeEvaluator
from azero.search.threads import Improvement, together
from azero.tasks.task import Tasks


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Group:
  """Workers whose tasks have one shape and who share their settings.

  Attributes:
    name: of the group, for records; not that of another.
    space: the search space; those of all groups differ in F only.
    task_sets: one task batch for each worker.
    config: settings of each worker. Budgets, population size, epochs, hurdle, train budget
      and caches may differ from group to group. A train budget counts in plain networks of
      the group's own F.
    experiments: [W] number of the experiment that each worker belongs to; None for 0.
    migration_every: in place of `Migration.every` for this group.
    template: programs to start from, of a space that differs in F at most.
    first_worker: number of its first worker among those of all groups; None to follow on the
      group before. Given where a federation is a part of a larger one.
    workers_in_all: those of the whole group, if these are a part of it; they share the work of a
      step.
    evaluator: makes what evaluates its programs, see `evaluators`.
  """

  name: str
  space: SearchSpace
  task_sets: Sequence[Tasks]
  config: SearchConfig
  experiments: Sequence[int] | None = None
  migration_every: int | None = None
  template: Programs | None = None
  first_worker: int | None = None
  workers_in_all: int | None = None
  evaluator: MakeEvaluator = Evaluator

  def __post_init__(self) -> None:
    plain.normalise(self, f" of group {self.name!r}")


class Federation(Grouped[Group, Evolution]):
  """Several groups of workers; for `runner.run` it is a search like others.

  Workers, which are islands, are numbered over all groups in their order.

  Attributes:
    groups: as they were given.
    searches: one for each group.
    migration: its settings, or None.
    migrations: how many there were.
    experiments: [W] number of the experiment of each worker.
    hall_of_fame: the best programs of each group.
    front: those of each group.
  """

  def __init__(self, groups: Sequence[Group], migration: Migration | None = None):
    """Prepares the evaluators; evaluates nothing yet.

    Args:
      groups: one or more.
      migration: how workers of an experiment exchange programs; None for not at all.

    Raises:
      ValueError: settings, tasks or programs that do not fit each other.
    """
    check_groups(groups, migration)
    self.groups = list(groups)
    self.migration = migration
    self.migrations = 0
    self.searches: list[Evolution] = []
    first = 0
    for group in self.groups:
      first = first if group.first_worker is None else group.first_worker
      template = group.template
      if template is not None:
        template = template.with_features(group.space.num_features)
      self.searches.append(Evolution(
          group.space, group.task_sets, group.config, template=template, first_island=first,
          islands_in_all=group.workers_in_all, share_rounds=False, evaluator=group.evaluator))
      first += len(group.task_sets)
    self.experiments = np.concatenate([
        np.zeros(len(group.task_sets), np.int64) if group.experiments is None
        else np.asarray(group.experiments, np.int64) for group in self.groups])
    self.hall_of_fame = JointHall([search.hall_of_fame for search in self.searches])
    self.front = JointFront([search.front for search in self.searches])
    self._leaving: list[_Leaving] = []  # between `emigrants` and `immigrate`

  def __reduce__(self) -> tuple[Any, ...]:
    """Pickled between two steps, as a `Search` is."""
    return state_lib.rebuilt, (type(self), (self.groups, self.migration), {}, self.state())

  def finish(self, island: int) -> None:
    """Takes a worker out of the search, as if its budget were spent."""
    search = self._search_of(island)
    search.finish(island - search.first_island)

  def take_improvements(self) -> list[Improvement]:
    """New bests since the last call, group by group."""
    return [item for search in self.searches for item in search.take_improvements()]

  def step(self) -> None:
    """Some children in every group, at most to its next migration; then that, if all are there."""
    self.advance()
    if self.migration_due:
      self._migrate()

  def advance(self) -> None:
    """Some children in every group, at most to its next migration.

    Each group works as it would alone. A thread for each device works on its islands of one
    group after the other, and then helps others in the same order.
    """
    targets = [self._target(k) for k in range(len(self.searches))]
    busy = np.zeros(max(search.num_threads for search in self.searches))  # over all groups
    work = [search.work(target, busy) for search, target in zip(self.searches, targets)]
    together(work + [search.help(target) for search, target in zip(self.searches, targets)])
    for search in self.searches:
      search.conclude()

  @property
  def migration_due(self) -> bool:
    """Whether all groups have come to the next migration."""
    return self.migration is not None and not self.finished and all(
        (search.islands.made[search.active] >= self._next_migration(k)).all()
        for k, search in enumerate(self.searches))

  def emigrants(self) -> Emigrants:
    """Who leaves, of each worker that has budget left.

    To be followed by `immigrate`.
    """
    assert self.migration is not None
    self._leaving = []
    leaving = []
    for search in self.searches:
      islands = np.flatnonzero(search.active)
      count = self.migration.migrants or search.config.population_size // 2
      places = search.leaving(islands, count, self.migrations)
      self._leaving.append(_Leaving(search, islands, places))
      for island, chosen in zip(islands.tolist(), places):
        worker = search.first_island + island
        leaving.append((
            self._experiment_of(worker), worker, search.members(island, chosen),
            search.lineages(island, chosen)))
    return leaving

  def immigrate(self, arrivals: Sequence[Arrival]) -> None:
    """Takes in programs for each of `emigrants`, in that order and number, and evaluates them."""
    received = iter(arrivals)
    work = []
    for search, islands, places in self._leaving:
      if not len(islands):
        continue
      programs, lineages = zip(*(next(received) for _ in islands))
      work.append(search.immigrate(
          islands, places, Programs.concatenate(programs), list(itertools.chain(*lineages))))
    together(work)
    for search in self.searches:
      search.conclude()
    self.skip_migration()

  def skip_migration(self) -> None:
    """Ends a migration; without `immigrate`, those who were to leave have stayed."""
    self._leaving = []
    self.migrations += 1

  def state(self) -> dict[str, Any]:
    """All that decides what comes next, between two steps; see `state`."""
    return {
        "migrations": self.migrations,
        "searches": {str(k): search.state() for k, search in enumerate(self.searches)}}

  def restore(self, state: Mapping[str, Any]) -> None:
    """Restores the state of another federation of the same settings; see `Search.restore`.

    Raises:
      StateError: it is none; the federation is as it was then.
    """
    migrations = checked_state.whole(state, "migrations")
    searches = checked_state.part(state, "searches")
    for k, search in enumerate(self.searches):
      search.check(checked_state.part(searches, str(k)))
      if self.migration is not None:
        most = self._next_migration(k, migrations)
        checked_state.within("cycle", np.array(searches[str(k)]["cycle"]), 0, most)
        checked_state.within("made", searches[str(k)]["islands"]["made"], 0, most)
    self.migrations = migrations
    for k, search in enumerate(self.searches):
      search.take_over(searches[str(k)])

  def _next_migration(self, k: int, migrations: int | None = None) -> int:
    """Children of a worker of group k after which the next migration happens.

    Args:
      k: which.
      migrations: how many there were; None for ours.
    """
    assert self.migration is not None
    every = self.groups[k].migration_every or self.migration.every
    done = self.migrations if migrations is None else migrations
    return self.groups[k].config.population_size + (done + 1) * every

  def _target(self, k: int) -> int:
    """Children of a worker of group k with which the next step ends at the latest."""
    target = self.searches[k].step_target
    return target if self.migration is None else min(target, self._next_migration(k))

  def _migrate(self) -> None:
    """Lets the workers that have budget left exchange programs."""
    assert self.migration is not None
    self.immigrate(Pools(self.migration.seed).exchange(self.emigrants(), self.migrations))

  def _experiment_of(self, worker: int) -> int:
    search = self._search_of(worker)
    place = sum(part.num_islands for part in self.searches[: self.searches.index(search)])
    return int(self.experiments[place + worker - search.first_island])


class _Leaving(NamedTuple):
  """Who leaves a group.

  Attributes:
    search: the group's.
    islands: [n] of it.
    places: [n, count] in their populations.
  """

  search: Evolution
  islands: np.ndarray
  places: np.ndarray


def check_groups(groups: Sequence[Group], migration: Migration | None) -> None:
  """Refuses groups that do not fit each other.

  Raises:
    ValueError: says which and why.
  """
  if not groups:
    raise ValueError("A federation needs at least one group.")
  names = [group.name for group in groups]
  if len(set(names)) < len(names):
    raise ValueError(f"Groups must have different names, got {', '.join(names)}.")
  first = groups[0].space
  for group in groups:
    if group.space.with_features(first.num_features) != first:
      raise ValueError(
          f"The spaces of the groups '{names[0]}' and '{group.name}' must differ in F only; "
          "make both with space.with_features(F).")
    if isinstance(group.task_sets, Tasks) or not group.task_sets:
      raise ValueError(f"Group '{group.name}' needs a sequence of tasks, one for each worker.")
    if group.experiments is not None and len(group.experiments) != len(group.task_sets):
      raise ValueError(
          f"Group '{group.name}' has {len(group.task_sets)} workers but {len(group.experiments)} "
          "numbers of experiments; give one for each worker.")
    if group.experiments is not None and min(group.experiments) < 0:
      raise ValueError(f"Group '{group.name}': numbers of experiments must not be negative.")
    if group.migration_every is not None and group.migration_every < 1:
      raise ValueError(
          f"Group '{group.name}': migration_every must be at least 1, got "
          f"{group.migration_every}.")
    size = group.config.population_size
    if migration is not None and not 1 <= (migration.migrants or size // 2) <= size:
      raise ValueError(
          f"Group '{group.name}': {migration.migrants or size // 2} migrants of a population of "
          f"{size}; there must be at least 1 and at most all of them.")
