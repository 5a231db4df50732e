"""What every search offers to those who run, record and judge it, wherever it works.

`Search` is one group of islands, `Federation` several that migrate, and a search may also be
spread over processes; `runner`, `metrics` and `recorder` know this face of them only.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from azero.language.program import Programs, SearchSpace
from azero.search.history.hall_of_fame import Front, Hall, JointFront
from azero.search.rounds.evaluating import Counts
from azero.search.threads import Improvement
from azero.tasks.task import Tasks


class WorkerLost(RuntimeError):
  """A part of a search is gone; it can go on from a state that was taken before."""


class Totals(Protocol):
  """What islands have done so far and may still do; see `Search` for what each of these means."""

  @property
  def counts(self) -> Counts:
    """How programs were answered so far, over all islands."""

  @property
  def cycle(self) -> int:
    """Children that every island has made at least; over several groups their sum."""

  @property
  def bounded(self) -> bool:
    """Whether budgets end the search."""

  @property
  def finished(self) -> bool:
    """Whether no island has budget left."""

  @property
  def active(self) -> np.ndarray:
    """[I] bool, who has budget left."""

  @property
  def train_steps(self) -> np.ndarray:
    """[I] int, of each island so far."""

  @property
  def num_programs(self) -> np.ndarray:
    """[I] int, evaluated on each island so far."""

  @property
  def best_fitness(self) -> np.ndarray:
    """[I] float, on the tasks of each island."""

  @property
  def best_programs(self) -> Programs:
    """The best program of each island."""

  def budget_left(self) -> dict[str, int | None]:
    """What the islands may still spend in all; None for no limit."""


class Searching(Totals, Protocol):
  """A search over I islands; see `Search` for what each of these means.

  One that goes on in other processes while its state is taken says so by an attribute
  `works_while_saved`; `metrics` tells of others that count.
  """

  @property
  def num_islands(self) -> int:
    """I."""

  @property
  def task_sets(self) -> Sequence[Tasks]:
    """The tasks of each island."""

  @property
  def hall_of_fame(self) -> Hall:
    """The best programs."""

  @property
  def front(self) -> Front | JointFront:
    """The best programs by complexity."""

  def space_of(self, island: int) -> SearchSpace:
    """The search space of an island."""

  def finish(self, island: int) -> None:
    """Takes an island out of the search."""

  def take_improvements(self) -> list[Improvement]:
    """New bests since the last call."""

  def step(self) -> None:
    """Some children on every island that has budget left."""

  def state(self) -> dict[str, Any]:
    """All that decides what comes next, between two steps."""

  def restore(self, state: Mapping[str, Any]) -> None:
    """Restores the state of another search of the same settings."""
