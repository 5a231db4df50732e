"""Groups of islands as one search: totals and arrays over the workers of all groups.

A `Federation` has an `Evolution` for each group, a search over processes what is known of it.
"""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np

from azero.language.program import Programs, SearchSpace
from azero.search import budgets
from azero.search.protocol import Totals
from azero.search.rounds.evaluating import Counts
from azero.tasks.task import Tasks


class Part(Totals, Protocol):
  """The workers of one group."""

  space: SearchSpace
  first_island: int
  num_islands: int


class TaskGroup(Protocol):
  """What a group is made from."""

  @property
  def task_sets(self) -> Sequence[Tasks]:
    """The tasks of each worker."""


AnyPart = TypeVar("AnyPart", bound=Part)
AnyGroup = TypeVar("AnyGroup", bound=TaskGroup)


class Grouped(Generic[AnyGroup, AnyPart]):
  """Workers, numbered over all groups in their order.

  Attributes:
    groups: as they were given.
    searches: one for each group.
    experiments: [W] number of the experiment of each worker.
  """

  groups: list[AnyGroup]
  searches: list[AnyPart]
  experiments: np.ndarray

  @property
  def num_islands(self) -> int:
    """Workers of all groups."""
    return len(self.experiments)

  @property
  def task_sets(self) -> list[Tasks]:
    """The tasks of each worker; those of different groups differ in shape."""
    return [tasks for group in self.groups for tasks in group.task_sets]

  @property
  def cycle(self) -> int:
    """The sum of those of the groups."""
    return sum(search.cycle for search in self.searches)

  @property
  def counts(self) -> Counts:
    """How programs were answered so far, over all workers."""
    return Counts.sum(search.counts for search in self.searches)

  @property
  def bounded(self) -> bool:
    """Whether budgets end all groups."""
    return all(search.bounded for search in self.searches)

  @property
  def finished(self) -> bool:
    """Whether no worker has budget left."""
    return all(search.finished for search in self.searches)

  @property
  def active(self) -> np.ndarray:
    """[W] bool, who has budget left."""
    return np.concatenate([search.active for search in self.searches])

  @property
  def train_steps(self) -> np.ndarray:
    """[W] int, of each worker so far."""
    return np.concatenate([search.train_steps for search in self.searches])

  @property
  def num_programs(self) -> np.ndarray:
    """[W] int, evaluated on each worker so far, immigrants included."""
    return np.concatenate([search.num_programs for search in self.searches])

  @property
  def best_fitness(self) -> np.ndarray:
    """[W] float, on the tasks of each worker; those of different groups cannot be compared."""
    return np.concatenate([search.best_fitness for search in self.searches])

  @property
  def best_programs(self) -> Programs:
    """The best program of each worker, in the space of the first group."""
    features = self.searches[0].space.num_features
    return Programs.concatenate(
        [search.best_programs.with_features(features) for search in self.searches])

  def budget_left(self) -> dict[str, int | None]:
    """What the workers may still spend in all; None for no limit."""
    return budgets.total_left(
        [search.budget_left() for search in self.searches if not search.finished])

  def space_of(self, island: int) -> SearchSpace:
    """The search space of a worker."""
    return self._search_of(island).space

  def _search_of(self, island: int) -> AnyPart:
    return next(
        search for search in reversed(self.searches) if search.first_island <= island)
