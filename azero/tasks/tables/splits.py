"""Which rows a table's tasks train and validate on: at random, by groups or in order of time.

The rows are divided once into three parts, search, select and final. Rows that belong together,
such as those of one patient, or that follow each other in time would give away each other's
targets: with groups no group is in two parts, nor in training and validation of a task; with
times a part, and the validation of a search task, comes later than what is trained on.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import numpy as np

from azero.tasks.sampling import stratified_order, task_generators

HELD_OUT_FRACTION = 0.2  # of the rows, for select and again for final
MIN_GROUPS = 4  # one for select and for final, two to train and to validate on


class Split(Protocol):
  """A division of the rows into parts, and how tasks are drawn from them."""

  @property
  def search(self) -> np.ndarray:
    """Rows to search on."""
    ...

  @property
  def select(self) -> np.ndarray:
    """Rows to validate select tasks on."""
    ...

  @property
  def final(self) -> np.ndarray:
    """Rows to validate final tasks on."""
    ...

  def draw(
      self, rng: np.random.Generator, held_out: np.ndarray | None
  ) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation rows of a task, as many for each task of a part.

    Args:
      rng: of the task.
      held_out: rows to validate on; None for some of the search rows.
    """
    ...


@dataclasses.dataclass(frozen=True, eq=False)
class RandomSplit:
  """Rows that are independent; every part and task has the classes in proportion.

  Attributes:
    search: see `Split`.
    select: see `Split`.
    final: see `Split`.
    strata: [N] class of each row, or zeros.
    num_valid: validation rows of a search task.
    max_rows: most rows that a task trains on; None for all.
  """

  search: np.ndarray
  select: np.ndarray
  final: np.ndarray
  strata: np.ndarray
  num_valid: int
  max_rows: int | None = None

  def draw(self, rng: np.random.Generator, held_out: np.ndarray | None) -> tuple[
      np.ndarray, np.ndarray]:
    """See `Split`."""
    rows = self.search[stratified_order(self.strata[self.search], rng)]
    train = rng.permutation(rows[self.num_valid:][:self.max_rows])
    return train, rng.permutation(rows[:self.num_valid] if held_out is None else held_out)


@dataclasses.dataclass(frozen=True, eq=False)
class GroupSplit:
  """Rows of groups, none of which is on both sides of a division.

  Attributes:
    search: see `Split`.
    select: see `Split`.
    final: see `Split`.
    groups: [N] number of the group of each row.
    num_train: training rows of a task.
    num_valid: validation rows of a search task.
  """

  search: np.ndarray
  select: np.ndarray
  final: np.ndarray
  groups: np.ndarray
  num_train: int
  num_valid: int

  def draw(self, rng: np.random.Generator, held_out: np.ndarray | None) -> tuple[
      np.ndarray, np.ndarray]:
    """See `Split`."""
    if held_out is not None:
      return _held_out_task(self.search, held_out, self.num_train, rng)
    groups = self.groups[self.search]
    valid = np.zeros(len(groups), bool)
    for group in rng.permutation(np.unique(groups)):
      if valid.sum() >= self.num_valid:
        break
      valid |= groups == group
    train, valid = self.search[~valid], self.search[valid]
    return rng.permutation(train)[:self.num_train], rng.permutation(valid)[:self.num_valid]


@dataclasses.dataclass(frozen=True, eq=False)
class TimeSplit:
  """Rows in order of time.

  Attributes:
    search: the earliest rows, in order.
    select: see `Split`.
    final: see `Split`.
    num_train: training rows of a task.
    num_valid: validation rows of a search task, which follow those.
  """

  search: np.ndarray
  select: np.ndarray
  final: np.ndarray
  num_train: int
  num_valid: int

  def draw(self, rng: np.random.Generator, held_out: np.ndarray | None) -> tuple[
      np.ndarray, np.ndarray]:
    """See `Split`."""
    if held_out is not None:
      return _held_out_task(self.search, held_out, self.num_train, rng)
    start = rng.integers(len(self.search) - self.num_train - self.num_valid + 1)
    middle = start + self.num_train
    train, valid = self.search[start:middle], self.search[middle:middle + self.num_valid]
    return rng.permutation(train), rng.permutation(valid)


def _held_out_task(
    search: np.ndarray, held_out: np.ndarray, num_train: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
  """Some of the search rows to train on, and all that are held out."""
  return rng.permutation(search)[:num_train], rng.permutation(held_out)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitSettings:
  """How rows are divided.

  Attributes:
    seed: 0 or more; of the random divisions.
    valid_fraction: part of the search rows that a search task validates on.
    num_test: the last so many rows are the final part; 0 for some of the rows.
    max_rows: most rows that a task trains on; None for all.
  """

  seed: int = 0
  valid_fraction: float = 0.2
  num_test: int = 0
  max_rows: int | None = None

  def __post_init__(self) -> None:
    if not 0 < self.valid_fraction < 1:
      raise ValueError(f"valid_fraction must lie between 0 and 1; got {self.valid_fraction}.")


def split(
    strata: np.ndarray, settings: SplitSettings, *, groups: np.ndarray | None = None,
    times: np.ndarray | None = None,
) -> Split:
  """Divides rows.

  Args:
    strata: [N] class of each row, zeros for a quantity.
    settings: how.
    groups: [N] int, the group of each row; None for rows that are independent.
    times: [N] numbers that order the rows; None likewise.

  Raises:
    ValueError: too few groups, or groups and times.
  """
  if groups is not None and times is not None:
    raise ValueError("Rows are divided by groups or by times, not both.")
  [rng] = task_generators(settings.seed, 1, 0)
  num_rows = len(strata) - settings.num_test
  if groups is not None:
    return _by_groups(strata[:num_rows], groups, settings, len(strata))
  order = (stratified_order(strata[:num_rows], rng) if times is None
           else np.argsort(times[:num_rows], kind="stable")[::-1])
  search, select, final = _held_out(order, settings, len(strata))
  num_valid = min(max(1, round(settings.valid_fraction * len(search))), len(search) - 1)
  if settings.max_rows is not None:
    num_valid = min(num_valid, settings.max_rows)
  if times is None:
    return RandomSplit(search, select, final, strata, num_valid, settings.max_rows)
  search = search[::-1]
  # Search tasks differ in where their window lies.
  num_train = len(search) - (2 if len(search) > 3 * num_valid else 1) * num_valid
  num_train = min(num_train, settings.max_rows or num_train)
  return TimeSplit(search, select, final, num_train, num_valid)


def _held_out(
    order: np.ndarray, settings: SplitSettings, num_all: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Search, select and final rows: the first of the order are held out."""
  num_held_out = round(HELD_OUT_FRACTION * len(order))
  if settings.num_test:
    select, search = np.split(order, [num_held_out])
    return search, select, np.arange(len(order), num_all)
  final, select, search = np.split(order, [num_held_out, 2 * num_held_out])
  return search, select, final


def _by_groups(
    strata: np.ndarray, groups: np.ndarray, settings: SplitSettings, num_all: int) -> GroupSplit:
  from sklearn import model_selection

  held = groups[:len(strata)]
  num_groups = len(np.unique(held))
  needed = MIN_GROUPS - bool(settings.num_test)
  if num_groups < needed:
    raise ValueError(
        f"{num_groups} groups are too few: no group may be in two parts, so there must be at "
        f"least {needed}.")
  num_folds = min(round(1 / HELD_OUT_FRACTION), num_groups)
  labels = strata.astype(int)
  if np.bincount(labels)[np.unique(labels)].min() < num_folds:
    labels = np.zeros_like(labels)  # a class is too rare to be spread over the parts
  folds: Any = model_selection.StratifiedGroupKFold(
      num_folds, shuffle=True, random_state=settings.seed)
  parts = [rows for _, rows in folds.split(np.zeros((len(labels), 1)), labels, held)]
  final = np.arange(len(strata), num_all) if settings.num_test else parts.pop()
  select, search = parts.pop(), np.sort(np.concatenate(parts))
  sizes = np.unique(held[search], return_counts=True)[1]
  num_valid = max(1, round(settings.valid_fraction * len(search)))
  num_train = len(search) - num_valid - int(sizes.max()) + 1  # whole groups are taken out
  if num_train < num_valid:  # large groups: one of them
    num_valid, num_train = int(sizes.min()), len(search) - int(sizes.max())
  if settings.max_rows is not None:
    num_train, num_valid = min(num_train, settings.max_rows), min(num_valid, settings.max_rows)
  return GroupSplit(search, select, final, groups, num_train, num_valid)
