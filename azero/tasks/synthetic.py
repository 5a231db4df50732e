"""Synthetic tasks: regression of section 4.1 of the AutoML-Zero paper, and classes by its sign.

Features and all random parts of the labelling function L are Gaussian(0, 1); L is fixed
within a task and differs between tasks. Task k of a seed does not depend on how many
tasks are made, nor its training part on the number of validation examples. A classification
task has the features and the L of the regression task of its name, seed and number; its class
is 1 where L is positive and else 0.
"""

from collections.abc import Callable
import dataclasses

import numpy as np

from azero.tasks.sampling import draw_task_seed, task_generators
from azero.tasks.task import Tasks, stacked

Labels = Callable[[np.ndarray], np.ndarray]  # [N, F] -> [N]


def linear_regression(
    num_tasks: int, *, seed: int, num_features: int = 4, num_train: int = 100,
    num_valid: int = 100,
) -> Tasks:
  """Tasks with labels L(x) = u . x.

  Args:
    num_tasks: D.
    seed: 0 or more; different seeds give different tasks.
    num_features: F.
    num_train: T.
    num_valid: V.

  Returns:
    D tasks of metric rms.

  Raises:
    ValueError: a negative seed, or a size below 1.
  """

  def make_labels(rng: np.random.Generator) -> Labels:
    weights = rng.standard_normal(num_features)
    return lambda x: x @ weights

  return _regression(make_labels, num_tasks, seed, num_features, num_train, num_valid)


def affine_regression(
    num_tasks: int, *, seed: int, num_features: int = 4, num_train: int = 100,
    num_valid: int = 100,
) -> Tasks:
  """Tasks with labels L(x) = u . x + a; arguments as for `linear_regression`."""

  def make_labels(rng: np.random.Generator) -> Labels:
    weights, offset = rng.standard_normal(num_features), rng.standard_normal()
    return lambda x: x @ weights + offset

  return _regression(make_labels, num_tasks, seed, num_features, num_train, num_valid)


def teacher_regression(
    num_tasks: int, *, seed: int, num_features: int = 4, num_train: int = 100,
    num_valid: int = 100,
) -> Tasks:
  """Tasks labelled by a two-layer teacher network, L(x) = u . relu(M x).

  M is F x F. Arguments as for `linear_regression`.
  """

  def make_labels(rng: np.random.Generator) -> Labels:
    weights = rng.standard_normal(num_features)
    matrix = rng.standard_normal((num_features, num_features))
    return lambda x: np.maximum(x @ matrix.T, 0.0) @ weights

  return _regression(make_labels, num_tasks, seed, num_features, num_train, num_valid)


def linear_classification(
    num_tasks: int, *, seed: int, num_features: int = 4, num_train: int = 100,
    num_valid: int = 100,
) -> Tasks:
  """Tasks of two classes, the sign of u . x; half of all examples are of either class.

  Arguments and errors as for `linear_regression`; the tasks are of metric accuracy.
  """
  return _by_sign(linear_regression(
      num_tasks, seed=seed, num_features=num_features, num_train=num_train, num_valid=num_valid))


def affine_classification(
    num_tasks: int, *, seed: int, num_features: int = 4, num_train: int = 100,
    num_valid: int = 100,
) -> Tasks:
  """Tasks of two classes, the sign of u . x + a; arguments as for `linear_regression`.

  Classes are not balanced: of a task with a large offset a nearly all examples are of one class.
  """
  return _by_sign(affine_regression(
      num_tasks, seed=seed, num_features=num_features, num_train=num_train, num_valid=num_valid))


def teacher_classification(
    num_tasks: int, *, seed: int, num_features: int = 4, num_train: int = 100,
    num_valid: int = 100,
) -> Tasks:
  """Tasks of two classes, the sign of u . relu(M x); arguments as for `linear_regression`.

  Classes are not balanced: where all of u have one sign so have all outputs, and there is one
  class (but where the whole hidden layer is 0, which is class 0).
  """
  return _by_sign(teacher_regression(
      num_tasks, seed=seed, num_features=num_features, num_train=num_train, num_valid=num_valid))


def _by_sign(tasks: Tasks) -> Tasks:
  """Two classes in place of real-valued labels."""
  return dataclasses.replace(
      tasks, train_y=(tasks.train_y > 0).astype(float), valid_y=(tasks.valid_y > 0).astype(float),
      metric="accuracy", num_classes=2)


def _regression(
    make_labels: Callable[[np.random.Generator], Labels], num_tasks: int, seed: int,
    num_features: int, num_train: int, num_valid: int,
) -> Tasks:
  sizes = {"num_features": num_features, "num_train": num_train, "num_valid": num_valid}
  for name, size in sizes.items():
    if size < 1:
      raise ValueError(f"{name} must be at least 1; got {size}.")
  parts: list[tuple[np.ndarray, ...]] = []
  seeds = []
  for rng in task_generators(seed, num_tasks):
    seeds.append(draw_task_seed(rng))
    labels = make_labels(rng)
    train_x = rng.standard_normal((num_train, num_features))
    valid_x = rng.standard_normal((num_valid, num_features))
    parts.append((train_x, labels(train_x), valid_x, labels(valid_x)))
  return stacked(parts, "rms", seeds=seeds)
