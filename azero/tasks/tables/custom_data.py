"""The tasks made of one data set: to search on, to choose candidates by, and to judge.

Select and final tasks train on search rows too, as many as a search task does, but validate on
rows of their own, so their fitness says how a program found on the search rows does on rows it
never met. The tasks of a part differ in the draw and order of their rows and, where the features
are projected, in the projection.

Features are standardised with the training part of the task; with a projection, before and after
it, so that no feature outweighs another by its unit. Regression targets are standardised likewise:
an RMS error of 1 is that of always predicting the mean. More classes than features are no obstacle:
features of 0 are added, since label and prediction are vectors of that length.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from azero.tasks.projection import project, standardise
from azero.tasks.sampling import draw_task_seed, task_generators
from azero.tasks.tables import splits
from azero.tasks.tables.table import Table
from azero.tasks.task import Tasks, stacked


@dataclasses.dataclass(frozen=True, eq=False)
class CustomData:
  """The tasks made of one data set.

  Attributes:
    search: D tasks to search on.
    select: D tasks to choose between candidates.
    final: D tasks for the figures to report.
    feature_names: names of the columns of x, before any projection.
    class_names: what label 0, 1, ... stands for; empty for regression.
    table: where the tasks come from, if that is a table, with what was assumed of it.
  """

  search: Tasks
  select: Tasks
  final: Tasks
  feature_names: tuple[str, ...]
  class_names: tuple[str, ...]
  table: Table | None = None


def of_table(table: Table, num_tasks: int = 10) -> CustomData:
  """The tasks of a table, D of each part."""
  parts = make_parts(
      table.x, table.labels, table.split, num_classes=len(table.class_names),
      num_tasks=num_tasks, seed=table.settings.seed, num_features=table.projected_to)
  return CustomData(*parts, table.preparation.feature_names, table.class_names, table)


def make_parts(
    x: np.ndarray, labels: np.ndarray, split: splits.Split, *, num_classes: int, num_tasks: int,
    seed: int, num_features: int | None,
) -> tuple[Tasks, Tasks, Tasks]:
  """The search, select and final tasks of features [N, P] and labels [N]."""

  def make_part(part: int, held_out: np.ndarray | None) -> Tasks:
    parts: list[tuple[np.ndarray, ...]] = []
    seeds = []
    for rng in task_generators(seed, num_tasks, part):
      seeds.append(draw_task_seed(rng))
      train, valid = split.draw(rng, held_out)
      train_x, valid_x = standardise(x[train], x[valid])
      if num_features is not None:
        train_x, valid_x = project(train_x, valid_x, num_features, rng)
      train_y, valid_y = labels[train], labels[valid]
      if not num_classes:
        train_y, valid_y = standardise(train_y, valid_y)
      _require_finite(train_x, train_y, valid_x, valid_y)
      parts.append((_padded(train_x, num_classes), train_y, _padded(valid_x, num_classes), valid_y))
    return stacked(
        parts, "accuracy" if num_classes else "rms", num_classes=num_classes or None, seeds=seeds)

  return make_part(1, None), make_part(2, split.select), make_part(3, split.final)


def _require_finite(*arrays: np.ndarray) -> None:
  if not all(np.isfinite(array).all() for array in arrays):
    raise ValueError(
        "Some numbers are so far beyond the others, as 1e308 is, that they overflow where columns "
        "are standardised. Mend them, or drop their rows or columns.")


def _padded(x: np.ndarray, num_classes: int) -> np.ndarray:
  """Features with as many zeros behind them as vectors of more than two classes need."""
  missing = num_classes - x.shape[1] if num_classes > 2 else 0
  return np.pad(x, ((0, 0), (0, missing))) if missing > 0 else x
