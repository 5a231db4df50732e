"""What a column of targets is, by its rows: classes, or a quantity of some mean and deviation."""

from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from azero.estimators.model import Target
from azero.insight import metrics
from azero.tasks.tables import columns


def classes_of(y: np.ndarray, weights: np.ndarray) -> Target:
  """The classes of labels [N].

  Raises:
    ValueError: fewer than two classes in the rows with a weight.
  """
  classes = np.unique(y)
  if len(np.unique(y[weights > 0])) < 2:
    raise ValueError(
        f"Every row is of one class, {str(y[weights > 0][0])!r}; a classifier needs at least two "
        "classes.")
  return Target(classes)


def quantity(y: np.ndarray, weights: np.ndarray) -> Target:
  """Mean and deviation of regression targets [N].

  Raises:
    ValueError: they are no numbers.
  """
  require_numbers(y)
  unit = float(metrics.unit(y))
  scaled = y / unit
  mean = float(np.average(scaled, weights=weights))
  deviation = float(np.sqrt(np.average((scaled - mean) ** 2, weights=weights)))
  varies = deviation > 1e-12 * float(np.abs(scaled).max())
  return Target(None, mean * unit, deviation * unit if varies else 1.0)


def require_numbers(y: np.ndarray) -> None:
  """Refuses targets that are no numbers.

  Raises:
    ValueError: says which.
  """
  if y.dtype.kind not in "biuf":
    wrong = next((value for value in y if not columns.is_number(value)), y[0])
    raise ValueError(
        f"The target {str(wrong)!r} is not a number, as a regressor needs; for classes there are "
        "classifiers.")


def as_numbers(y: np.ndarray) -> np.ndarray:
  """Targets [N] of anything as float64.

  Raises:
    ValueError: one is no number.
  """
  try:
    return y.astype(np.float64)
  except (TypeError, ValueError):
    require_numbers(y)
    raise


def require_known(y: np.ndarray) -> None:
  """Refuses missing ones among targets [N] of anything.

  Raises:
    ValueError: says where.
  """
  import pandas as pd

  missing = np.flatnonzero(pd.isna(y))
  if y.dtype == object and len(missing):
    raise ValueError(
        f"The target of row {missing[0]} is missing: {y[missing[0]]}, as in {len(missing)} of "
        f"{len(y)} rows. Fill it in, or leave these rows out.")


def class_weights(class_weight: Any, y: np.ndarray, target: Target) -> np.ndarray:
  """Weight [N] of each row by its class."""
  assert target.classes is not None
  present = np.unique(y)
  by_class = compute_class_weight(class_weight, classes=present, y=y)
  if not np.all(by_class >= 0) or not np.isfinite(by_class).all():  # NaN, too
    raise ValueError(f"class_weight must not be negative or infinite, got {class_weight!r}.")
  return by_class[np.searchsorted(present, y)]
