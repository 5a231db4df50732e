"""What a column of targets is, by its rows: classes, or a quantity of some mean and deviation."""

from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from azero.estimators.model import Target
from azero.insight import metrics


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
    raise ValueError(
        f"The target {str(y[0])!r} is not a number, as a regressor needs; for classes there are "
        "classifiers.")


def class_weights(class_weight: Any, y: np.ndarray, target: Target) -> np.ndarray:
  """Weight [N] of each row by its class."""
  assert target.classes is not None
  present = np.unique(y)
  by_class = compute_class_weight(class_weight, classes=present, y=y)
  if not np.all(by_class >= 0) or not np.isfinite(by_class).all():  # NaN, too
    raise ValueError(f"class_weight must not be negative or infinite, got {class_weight!r}.")
  return by_class[np.searchsorted(present, y)]
