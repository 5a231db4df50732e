"""What the islands of a search may still spend."""

from typing import Any

import numpy as np

from azero.search.config import SearchConfig


class Budgeted:
  """Islands of the same settings: what follows from what each of them has spent.

  Attributes:
    config: with the budgets of each.
    active: [I] bool, who has budget left and was not taken out.
    train_steps: [I] int, of each so far.
    num_programs: [I] int, evaluated on each so far.
  """

  config: SearchConfig
  active: Any  # arrays, or properties that are
  train_steps: Any
  num_programs: Any

  @property
  def bounded(self) -> bool:
    """Whether there is a budget that ends the search."""
    return self.config.bounded

  @property
  def finished(self) -> bool:
    """Whether no island has budget left."""
    return not self.active.any()

  def within_budget(self) -> np.ndarray:
    """[I] bool, which islands have some left."""
    within = np.ones(len(self.active), bool)
    for _, spent, most in self._budgets():
      if most is not None:
        within &= spent < most
    return within

  def budget_left(self) -> dict[str, int | None]:
    """What the islands may still spend in all, by the names of `Counts`; None for no limit."""
    return {
        name: None if most is None else int(np.maximum(most - spent, 0)[self.active].sum())
        for name, spent, most in self._budgets()}

  def _budgets(self) -> list[tuple[str, np.ndarray, int | None]]:
    return [
        ("train_steps", self.train_steps, self.config.max_train_steps),
        ("programs", self.num_programs, self.config.max_programs)]


def total_left(parts: list[dict[str, int | None]]) -> dict[str, int | None]:
  """What several groups of islands may still spend together."""
  return {
      name: None if any(part[name] is None for part in parts)
      else sum(part[name] or 0 for part in parts)
      for name in ("train_steps", "programs")}
