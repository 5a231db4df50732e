"""From the columns of a table to the features vector of a program.

Columns are standardised (S4 of the AutoML-Zero paper); those that do not vary are left out, for
they tell nothing. A feature of 1 stands behind them: the paper's linear programs have no
offset, and with it they learn one as a weight. Zeros fill the vector up to one of a few sizes,
at least as many as there are classes, since labels of several classes are vectors of the same
length. Where there are more columns than wanted they are projected by a Gaussian matrix, as the
paper's images are, and standardised again.
"""

import dataclasses

import numpy as np

from azero.insight import metrics
from azero.search import plain

SIZES = (4, 8, 16, 32, 64, 128)  # F; each is compiled on its own
MAX_FEATURES = SIZES[-1]
_LEAST = 4 * np.finfo(np.float64).tiny


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
  """How a row of P columns becomes a features vector of F entries.

  Attributes:
    mean: [P] of the columns that it was made for.
    matrix: [P, K] from centred columns to K features: their scales, or those and a projection.
    projected: whether it projects.
    num_features: F.
  """

  mean: np.ndarray
  matrix: np.ndarray
  projected: bool
  num_features: int

  def features(self, x: np.ndarray) -> np.ndarray:
    """Features [N, F] float32 of rows [N, P]; infinite or NaN where they overflow."""
    features = np.zeros((len(x), self.num_features), np.float32)
    size = self.matrix.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):
      features[:, :size] = (x - self.mean) @ self.matrix
    features[:, size] = 1.0
    return features


def make_layout(
    x: np.ndarray, num_classes: int, *, num_features: int | None, rng: np.random.Generator,
    weights: np.ndarray,
) -> Layout:
  """The layout for the rows [N, P] of a table.

  Args:
    x: finite.
    num_classes: 0 for regression.
    num_features: at most so many features, the one that is 1 included; None for 128.
    rng: of the projection.
    weights: [N] of the rows in mean and deviation.

  Raises:
    ValueError: num_features below 2 or above 128, or more classes than that.
  """
  most = MAX_FEATURES if num_features is None else plain.count("num_features", num_features)
  if not 2 <= most <= MAX_FEATURES:
    raise ValueError(f"num_features must be from 2 to {MAX_FEATURES} or None, got {num_features}.")
  if num_classes > MAX_FEATURES:
    raise ValueError(
        f"{num_classes} classes are more than the {MAX_FEATURES} that are supported. If the "
        "target is a quantity, use a regressor.")
  mean, deviation = _moments(x, weights)
  # The mean is rounded; and the inverse of what is next to nothing would be infinite.
  least = np.maximum(1e-12 * np.abs(x[weights > 0]).max(0), _LEAST)
  kept = np.flatnonzero(deviation > least)
  projected = len(kept) > most - 1
  size = most - 1 if projected else len(kept)
  matrix = np.zeros((x.shape[1], size))
  if projected:
    matrix[kept] = rng.standard_normal((len(kept), size)) / deviation[kept, None]
    matrix /= _moments((x - mean) @ matrix, weights)[1]
  else:
    matrix[kept, np.arange(size)] = 1 / deviation[kept]
  needed = max(size + 1, num_classes)
  return Layout(mean, matrix, projected, next(size for size in SIZES if size >= needed))


def _moments(x: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Mean and deviation of columns."""
  unit = metrics.unit(x)
  scaled = x / unit
  mean = np.average(scaled, axis=0, weights=weights)
  return mean * unit, np.sqrt(np.average((scaled - mean) ** 2, axis=0, weights=weights)) * unit
