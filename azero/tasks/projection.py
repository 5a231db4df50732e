"""Random projection and standardisation of features (S4 of the AutoML-Zero paper)."""

import numpy as np


def standardise(train: np.ndarray, *others: np.ndarray) -> tuple[np.ndarray, ...]:
  """Shifts and scales every column with the mean and deviation of the training part.

  A column that does not vary in the training part tells nothing, and becomes 0 in all
  parts. What is beyond all numbers then is infinite, which no task may be.

  Args:
    train: [T, ...], first axis examples.
    *others: [V, ...], further parts to treat alike.

  Returns:
    The training part and the others, standardised.
  """
  # A power of two changes no digit, and keeps the squares of any number within range.
  unit = np.ldexp(1.0, np.frexp(np.abs(train).max(0))[1] - 1)
  train, others = train / unit, tuple(part / unit for part in others)
  mean, deviation = train.mean(0), train.std(0)
  # The mean is rounded, so a constant column may show a deviation of a few ulps.
  varies = deviation > 1e-12 * np.abs(train).max(0)
  scale = np.where(varies, 1.0, 0.0) / np.where(varies, deviation, 1.0)
  with np.errstate(over="ignore", invalid="ignore"):
    return tuple((part - mean) * scale for part in (train, *others))


def project(
    train: np.ndarray, valid: np.ndarray, num_features: int, rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
  """Projects both parts of a task with one Gaussian(0, 1) matrix, then standardises them.

  Args:
    train: [T, P] raw features.
    valid: [V, P] raw features.
    num_features: F, the dimension to project to.
    rng: source of the matrix.

  Returns:
    [T, F] and [V, F]; the training part has mean 0 and deviation 1.

  Raises:
    ValueError: F is below 1.
  """
  if num_features < 1:
    raise ValueError(f"num_features must be at least 1; got {num_features}.")
  matrix = rng.standard_normal((train.shape[1], num_features))
  with np.errstate(over="ignore", invalid="ignore"):
    projected_train, projected_valid = train @ matrix, valid @ matrix
  projected_train, projected_valid = standardise(projected_train, projected_valid)
  return projected_train, projected_valid
