"""Search tasks of the rows of a table.

A task is a draw of rows to train on and of others to validate on. There are few sizes, so that
tables of similar sizes share what is compiled: where there are fewer rows they come again, in
another order, which to a program is a further epoch. Rows come in proportion to their weights.
"""

import numpy as np

from azero.estimators import training
from azero.estimators.layout import Layout
from azero.estimators.model import Target, epoch_orders
from azero.estimators.training import Rows
from azero.tasks.sampling import draw_task_seed
from azero.tasks.task import Tasks, stacked

SIZES = ((256, 64), (1024, 256))  # training and validation rows
_VALID_FRACTION = 0.2


def draw_tasks(
    rows: Rows, layout: Layout, target: Target, num_tasks: int, rng: np.random.Generator
) -> Tasks:
  """Tasks of one size.

  Args:
    rows: to draw from.
    layout: of the features.
    target: of the labels.
    num_tasks: D.
    rng: draws the rows, and the seeds of the tasks.
  """
  num_train, num_valid = SIZES[len(rows.y) > sum(SIZES[0])]
  codes = target.encode(rows.y)
  labelled = Rows(layout.features(rows.x), codes, rows.weights)
  strata = target.strata(rows.y)
  parts = []
  for _ in range(num_tasks):
    train, valid = training.split(labelled, strata, _VALID_FRACTION, rng)
    first = _one_of_each(train.y) if target.num_classes else np.zeros(0, int)
    chosen = np.concatenate([first, _orders(train, num_train - len(first), rng)])
    train, valid = train.take(rng.permutation(chosen)), valid.take(_orders(valid, num_valid, rng))
    parts.append((train.x, train.y, valid.x, valid.y))
  return stacked(
      parts, "accuracy" if target.num_classes else "rms", num_classes=target.num_classes or None,
      seeds=[draw_task_seed(rng) for _ in parts])


def _one_of_each(codes: np.ndarray) -> np.ndarray:
  """A row of each class, so that none is missing in a task."""
  return np.unique(codes, return_index=True)[1]


def _orders(rows: Rows, count: int, rng: np.random.Generator) -> np.ndarray:
  """So many rows, epoch after epoch."""
  order = epoch_orders(rows.weights, rng)
  drawn = order()
  while len(drawn) < count:
    drawn = np.concatenate([drawn, order()])
  return drawn[:count]
