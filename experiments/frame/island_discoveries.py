"""Looks at islands on T_select while they search: who has made a discovery, and is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from azero.insight import tables
from azero.search import checked_state

if TYPE_CHECKING:
  from azero.executors.evaluator import Evaluator
  from azero.search.protocol import Searching


class Looks:
  """Judges the best programs of islands on tasks that no search sees, and ends who is done.

  Attributes:
    fitness: of the best program of each island at the last look.
    discoveries: training steps at which each successful island made its discovery.
  """

  def __init__(self, evaluator: Evaluator, *, enough: float):
    """Stores how to look; looks at nothing yet.

    Args:
      evaluator: on those tasks, its first set.
      enough: fitness that makes a discovery, with which the island ends.
    """
    self._evaluator, self._enough = evaluator, enough
    self._checked: dict[int, float] = {}  # island: search fitness of its program at the last look
    self.fitness: dict[int, float] = {}
    self.discoveries: dict[int, int] = {}

  def check(self, search: Searching) -> None:
    """Evaluates the best programs that are new; notes discoveries and ends those islands."""
    changed = [
        island for island in range(search.num_islands)
        if island not in self.discoveries and np.isfinite(search.best_fitness[island])
        and search.best_fitness[island] != self._checked.get(island)]
    select = self._evaluator.evaluate(search.best_programs[changed])
    for island, value in zip(changed, select.fitness):
      self._checked[island] = float(search.best_fitness[island])
      self.fitness[island] = float(value)
      if value >= self._enough and self._confirmed(search, island):
        self.discoveries[island] = int(search.train_steps[island])
        search.finish(island)

  def _confirmed(self, search: Searching, island: int) -> bool:
    """Whether the program that is good enough counts as a discovery."""
    return True


class Selection(Looks):
  """A condition for `runner.run` that evaluates the best programs of islands on T_select."""

  def __init__(
      self, evaluator: Evaluator, *, enough: float, every: int, stop_at_first: bool):
    """Stores how and when to look; looks at nothing yet.

    Args:
      evaluator: on T_select.
      enough: fitness that makes a discovery, with which the island ends.
      every: programs of an island between two looks.
      stop_at_first: whether the first discovery ends the search.
    """
    super().__init__(evaluator, enough=enough)
    self._every, self._stop_at_first = every, stop_at_first
    self._next = every

  def __call__(self, search: Searching) -> bool:
    """Looks if it is time; whether the search is to stop."""
    if search.num_programs.max() >= self._next:
      self._next = int(search.num_programs.max()) + self._every
      self.check(search)
    return bool(self.discoveries) and self._stop_at_first

  @property
  def best(self) -> int:
    """The island of the best select fitness."""
    return max(self.fitness, key=lambda island: self.fitness[island])

  def summary(self, search: Searching) -> dict[str, Any]:
    """Where every island is, to be saved."""
    return {
        "discoveries": self.discoveries, "select_fitness": self.fitness,
        "search_fitness": search.best_fitness.tolist(),
        "train_steps": search.train_steps.tolist(), "num_programs": search.num_programs.tolist()}

  def table(self, search: Searching) -> str:
    """A line for each island."""
    return tables.markdown(
        ("island", "training steps", "programs", "search fitness", "select fitness", "discovery"),
        [(island, f"{search.train_steps[island]:,}", f"{search.num_programs[island]:,}",
          f"{search.best_fitness[island]:.5f}", f"{self.fitness.get(island, 0):.6f}",
          "yes" if island in self.discoveries else "no") for island in range(search.num_islands)])

  def state(self) -> dict[str, Any]:
    """What was looked at and found, by islands as text."""
    return {
        "next": self._next, **{
            name: {str(island): value for island, value in values.items()}
            for name, values in self._by_island().items()}}

  def restore(self, state: Mapping[str, Any]) -> None:
    """Goes on where another selection of the same settings was.

    Raises:
      StateError: says what is wrong with the state; nothing was taken over then.
    """
    following = checked_state.whole(state, "next")
    saved = {name: checked_state.part(state, name) for name in self._by_island()}
    for name, values in saved.items():
      if not all(island.isdecimal() for island in values):
        raise checked_state.StateError(f"'{name}' has an island that is none")
    self._next = following
    for name, by_island in self._by_island().items():
      by_island.clear()
      by_island.update({int(island): value for island, value in saved[name].items()})

  def _by_island(self) -> dict[str, dict[int, Any]]:
    return {
        "checked": self._checked, "fitness": self.fitness, "discoveries": self.discoveries}
