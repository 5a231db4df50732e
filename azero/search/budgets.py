"""What the islands of a search may still spend."""

from typing import Protocol

import numpy as np


class Budget(Protocol):
  """The budgets of each island; None for no limit."""

  @property
  def max_train_steps(self) -> int | None:
    """Training steps."""

  @property
  def max_programs(self) -> int | None:
    """Programs."""


def bounded(budget: Budget) -> bool:
  """Whether it ends a search."""
  return budget.max_train_steps is not None or budget.max_programs is not None


def within(budget: Budget, train_steps: np.ndarray, num_programs: np.ndarray) -> np.ndarray:
  """[I] bool, which islands have some left after what each has spent, [I]."""
  active = np.ones(len(train_steps), bool)
  if budget.max_train_steps is not None:
    active &= train_steps < budget.max_train_steps
  if budget.max_programs is not None:
    active &= num_programs < budget.max_programs
  return active


def left(
    budget: Budget, active: np.ndarray, train_steps: np.ndarray, num_programs: np.ndarray
) -> dict[str, int | None]:
  """What those islands that are active, [I] bool, may still spend in all; None for no limit.

  Its names are those of `equivalence.Counts`.
  """
  remaining: dict[str, int | None] = {}
  for name, spent, most in (
      ("train_steps", train_steps, budget.max_train_steps),
      ("programs", num_programs, budget.max_programs)):
    remaining[name] = None if most is None else int(np.maximum(most - spent, 0)[active].sum())
  return remaining


def total_left(parts: list[dict[str, int | None]]) -> dict[str, int | None]:
  """What several groups of islands may still spend together."""
  return {
      name: None if any(part[name] is None for part in parts)
      else sum(part[name] or 0 for part in parts)
      for name in ("train_steps", "programs")}
