"""Task batches: the data that programs are trained and validated on.

A task is one supervised problem with training and validation examples (section 3.1 of
the AutoML-Zero paper). `Tasks` holds D of them, of one shape and one metric, in arrays.
"""

from collections.abc import Sequence
import dataclasses

import numpy as np

METRICS = ("rms", "accuracy")

_MOST_SEED = (1 << 32) - 1


@dataclasses.dataclass(frozen=True, eq=False)
class Tasks:
  """D tasks with T training and V validation examples of F features each.

  Attributes:
    train_x: [D, T, F] float64.
    train_y: [D, T] float64; for accuracy the class, 0 to C - 1.
    valid_x: [D, V, F] float64.
    valid_y: [D, V] float64.
    metric: "rms" (regression) or "accuracy" (classification).
    num_classes: C for accuracy (2 is binary, more is multi-class); 0 for rms.
    seeds: [D] uint32, the task's own seed: shuffling of later epochs and random ops.
  """

  train_x: np.ndarray
  train_y: np.ndarray
  valid_x: np.ndarray
  valid_y: np.ndarray
  metric: str
  num_classes: int
  seeds: np.ndarray

  def __len__(self) -> int:
    """D, the number of tasks."""
    return len(self.train_x)

  def __repr__(self) -> str:
    what = f"{self.num_classes} classes" if self.num_classes else "regression"
    return (
        f"Tasks(D = {len(self):,}, {what}, F = {self.num_features}, {self.num_train:,} training "
        f"and {self.num_valid:,} validation examples each)")

  def __getitem__(self, index) -> "Tasks":
    """Tasks at an integer, slice or list; always a batch."""
    if isinstance(index, (int, np.integer)):
      index = [index]
    return dataclasses.replace(
        self, train_x=self.train_x[index], train_y=self.train_y[index],
        valid_x=self.valid_x[index], valid_y=self.valid_y[index], seeds=self.seeds[index])

  @property
  def num_features(self) -> int:
    """F."""
    return self.train_x.shape[2]

  @property
  def num_train(self) -> int:
    """T, training examples of each task."""
    return self.train_x.shape[1]

  @property
  def num_valid(self) -> int:
    """V, validation examples of each task."""
    return self.valid_x.shape[1]

  @property
  def multiclass(self) -> bool:
    """Whether labels and predictions are vectors."""
    return self.num_classes > 2


def make_tasks(
    train_x, train_y, valid_x, valid_y, metric: str, *,
    num_classes: int | None = None, seeds: Sequence[int] | np.ndarray | None = None,
) -> Tasks:
  """Checks arrays and makes a task batch of them.

  Args:
    train_x: [D, T, F], finite.
    train_y: [D, T], finite; for accuracy whole numbers from 0.
    valid_x: [D, V, F], finite.
    valid_y: [D, V], as train_y.
    metric: "rms" or "accuracy".
    num_classes: for accuracy; default the largest label + 1, at least 2.
    seeds: [D] seeds of the tasks; default 0, 1, ..., D - 1.

  Returns:
    The tasks, arrays as float64.

  Raises:
    ValueError: says which array is wrong, where, and what is needed.
  """
  if metric not in METRICS:
    raise ValueError(f"Unknown metric {metric!r}; use one of {', '.join(METRICS)}.")
  names = ("train_x", "train_y", "valid_x", "valid_y")
  arrays = {}
  for name, array in zip(names, (train_x, train_y, valid_x, valid_y)):
    arrays[name] = _finite(name, as_floats(name, array))
  for part in ("train", "valid"):
    x, y = arrays[f"{part}_x"], arrays[f"{part}_y"]
    if x.ndim != 3 or 0 in x.shape:
      raise ValueError(
          f"{part}_x must have shape [tasks, examples, features], none of them 0; got {x.shape}.")
    if y.shape != x.shape[:2]:
      raise ValueError(
          f"{part}_y must have shape {x.shape[:2]}, one label for every example of {part}_x; "
          f"got {y.shape}.")
  train, valid = arrays["train_x"], arrays["valid_x"]
  if train.shape[0] != valid.shape[0] or train.shape[2] != valid.shape[2]:
    raise ValueError(
        f"train_x {train.shape} and valid_x {valid.shape} must agree in the number of tasks "
        "(first axis) and of features (last axis).")
  if metric == "accuracy":
    num_classes = _check_classes(arrays["train_y"], arrays["valid_y"], num_classes)
    if num_classes > 2 and num_classes > train.shape[2]:
      raise ValueError(
          f"{num_classes} classes need at least {num_classes} features, since label and "
          f"prediction are vectors of that length; got {train.shape[2]}. Add features or "
          "project the data to a larger dimension.")
  elif num_classes:
    raise ValueError("num_classes belongs to metric 'accuracy', not to 'rms'.")
  else:
    num_classes = 0
  return Tasks(
      **arrays, metric=metric, num_classes=num_classes, seeds=_checked_seeds(seeds, len(train)))


def stacked(
    parts: Sequence[Sequence[np.ndarray]], metric: str, *, num_classes: int | None = None,
    seeds: Sequence[int] | np.ndarray | None = None,
) -> Tasks:
  """Tasks of one size; `parts` are train_x, train_y, valid_x, valid_y of each, see `make_tasks`."""
  train_x, train_y, valid_x, valid_y = (np.stack(part) for part in zip(*parts))
  return make_tasks(
      train_x, train_y, valid_x, valid_y, metric, num_classes=num_classes, seeds=seeds)


def as_floats(name: str, array) -> np.ndarray:
  """An array, or what can be one, as float64.

  Raises:
    ValueError: it holds something else than real numbers; begins with the name.
  """
  try:
    result = np.asarray(array)
    if result.dtype.kind in "cmMV":
      raise TypeError(f"its type is {result.dtype}")
    return result.astype(np.float64, copy=False)
  except (TypeError, ValueError, OverflowError) as error:
    raise ValueError(f"{name} must be an array of numbers: {error}.") from error


def _finite(name: str, result: np.ndarray) -> np.ndarray:
  bad = ~np.isfinite(result)
  if bad.any():
    where = tuple(int(i) for i in np.argwhere(bad)[0])
    raise ValueError(
        f"{name} has {int(bad.sum())} values that are NaN or infinite, the first at index "
        f"{where}. Remove those examples or fill the values in.")
  return result


def _checked_seeds(seeds: Sequence[int] | np.ndarray | None, num_tasks: int) -> np.ndarray:
  """Seeds of so many tasks, [D] uint32."""
  array = np.arange(num_tasks) if seeds is None else np.asarray(seeds)
  if array.shape != (num_tasks,):
    raise ValueError(
        f"seeds must have shape ({num_tasks},), one for each task; got {array.shape}.")
  whole = array.dtype.kind in "iu" or (
      array.dtype.kind == "f" and (array == np.floor(array)).all())
  if not whole or ((array < 0) | (array > _MOST_SEED)).any():
    raise ValueError(
        f"seeds must be whole numbers from 0 to {_MOST_SEED}; got {array.tolist()!s:.80}.")
  return array.astype(np.uint32)


def _check_classes(train_y: np.ndarray, valid_y: np.ndarray, num_classes: int | None) -> int:
  for name, labels in (("train_y", train_y), ("valid_y", valid_y)):
    bad = (labels != np.round(labels)) | (labels < 0)
    if bad.any():
      raise ValueError(
          f"{name} has label {labels[bad][0]:g}; metric 'accuracy' needs whole numbers from 0: "
          "write two classes as 0 and 1. For a real-valued target use metric 'rms'.")
  for task, labels in enumerate(train_y):
    if len(np.unique(labels)) < 2:
      raise ValueError(
          f"train_y of task {task} has only class {labels[0]:g}; a classification task needs "
          "examples of at least two classes.")
  largest = int(max(train_y.max(), valid_y.max()))
  if num_classes is None:
    return max(2, largest + 1)
  if not isinstance(num_classes, (int, np.integer)):
    raise ValueError(f"num_classes must be a whole number, got {num_classes}.")
  if num_classes < 2 or largest >= num_classes:
    raise ValueError(f"Label {largest} is out of range for num_classes={num_classes}.")
  return num_classes
