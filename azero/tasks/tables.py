"""Tasks made of the user's own data: arrays, .npz files and CSV files.

The rows are split once into three disjoint parts: 60% search, 20% select, 20% final.
Search tasks train and validate within the search rows. Select and final tasks train on
search rows too, as many as a search task does, but validate on rows of their own, so
their fitness says how a program found on the search rows does on rows it never met. The
tasks of a part differ in the draw and order of their rows and, where the features are
projected, in the projection.

Features are standardised with the training part of the task; with a projection, before
and after it, so that no feature outweighs another by its unit. Regression targets are
standardised likewise: an RMS error of 1 is that of always predicting the mean.
"""

from collections.abc import Callable, Sequence
import dataclasses
import os
import zipfile

import numpy as np

from azero import paths
from azero.tasks.csv_file import read_table
from azero.tasks.projection import project, standardise
from azero.tasks.sampling import draw_task_seed, stratified_order, task_generators
from azero.tasks.task import Tasks, make_tasks

TARGETS = ("auto", "classification", "regression")
HELD_OUT_FRACTION = 0.2  # of the rows, for select and again for final
MAX_AUTO_CLASSES = 20  # more distinct whole numbers than this are taken as a quantity
MIN_ROWS = 10  # of each class, or in all for regression: at least one in every part

_TASK_ARRAYS = ("train_x", "train_y", "valid_x", "valid_y")


@dataclasses.dataclass(frozen=True, eq=False)
class CustomData:
  """The tasks made of one data set.

  Attributes:
    search: D tasks to search on.
    select: D tasks to choose between candidates.
    final: D tasks for the figures to report.
    feature_names: names of the columns of x, before any projection.
    class_names: what label 0, 1, ... stands for; empty for regression.
  """

  search: Tasks
  select: Tasks
  final: Tasks
  feature_names: tuple[str, ...]
  class_names: tuple[str, ...]


def from_arrays(
    x, y, *, target: str = "auto", num_tasks: int = 10, valid_fraction: float = 0.2,
    seed: int = 0, num_features: int | None = None, feature_names: Sequence[str] | None = None,
) -> CustomData:
  """Makes tasks of a feature matrix and a target.

  Args:
    x: [N, P] finite numbers, N at least 10 of each class.
    y: [N] numbers or strings.
    target: "classification" (each distinct value is a class, numbered in sorted order),
      "regression", or "auto": text, and whole numbers (or booleans) of at most 20 distinct
      values, are classes; all else is regression.
    num_tasks: D, tasks of each part.
    valid_fraction: part of the search rows that a search task validates on.
    seed: 0 or more; of the split, the draws and the projections.
    num_features: F to project to; None keeps the P features.
    feature_names: P names, used in messages; default "column 0", "column 1", ...

  Returns:
    The search, select and final tasks.

  Raises:
    ValueError: says what is wrong with the data, where, and how to mend it.
  """
  try:
    x = np.asarray(x, np.float64)
  except (TypeError, ValueError) as error:
    raise ValueError(f"x must be an array of numbers: {error}.") from error
  if x.ndim != 2 or 0 in x.shape:
    raise ValueError(
        f"x must have shape [rows, features], neither of them 0; got {x.shape}. "
        "Flatten images to one row each.")
  y = np.asarray(y)
  if y.shape != (len(x),):
    raise ValueError(
        f"x has {len(x)} rows, so y must have shape ({len(x)},), one target each; got {y.shape}.")
  names = tuple(feature_names or (f"column {column}" for column in range(x.shape[1])))
  if len(names) != x.shape[1]:
    raise ValueError(f"{len(names)} feature names for the {x.shape[1]} columns of x.")
  bad = np.argwhere(~np.isfinite(x))
  if len(bad):
    row, column = bad[0]
    raise ValueError(
        f"x has {len(bad)} values that are NaN or infinite, the first in row {row}, feature "
        f"{names[column]!r}. Fill them in, or drop those rows or features.")
  return _make_data(
      x, y, names, target=target, num_tasks=num_tasks, valid_fraction=valid_fraction, seed=seed,
      num_features=num_features, where=lambda row: f"row {row} of y")


def from_csv(
    path: str | os.PathLike, *, target_column: str | int | None = None,
    header: bool | None = None, delimiter: str = ",", target: str = "auto",
    num_tasks: int = 10, valid_fraction: float = 0.2, seed: int = 0,
    num_features: int | None = None,
) -> CustomData:
  """Makes tasks of a CSV file with numeric features and one target column.

  Args:
    path: a text file in UTF-8.
    target_column: a name of the header or an index; default the last column.
    header: whether the first line holds names; default: it does if no feature of it is a
      number.
    delimiter: the character between cells.
    target: this and the following as for `from_arrays`.
    num_tasks: D.
    valid_fraction: of the search rows.
    seed: 0 or more.
    num_features: F to project to, or None.

  Returns:
    The search, select and final tasks.

  Raises:
    FileNotFoundError: no such file.
    ValueError: names the line and the column at fault, and how to mend it.
  """
  table = read_table(path, target_column=target_column, header=header, delimiter=delimiter)
  return _make_data(
      table.x, np.array(table.target), table.feature_names, target=target, num_tasks=num_tasks,
      valid_fraction=valid_fraction, seed=seed, num_features=num_features,
      where=lambda row: f"{path}, line {table.lines[row]}, target column")


def from_npz(
    path: str | os.PathLike, *, target: str = "auto", num_tasks: int = 10,
    valid_fraction: float = 0.2, seed: int = 0, num_features: int | None = None,
) -> CustomData:
  """Makes tasks of the arrays x [N, P] and y [N] of an .npz file; see `from_arrays`.

  A file that holds ready tasks (train_x and so on) is for `load_tasks_npz`.

  Raises:
    FileNotFoundError: no such file.
    ValueError: arrays are missing or, as for `from_arrays`, at fault.
  """
  arrays = _read_npz(path)
  if "x" not in arrays and "train_x" in arrays:
    raise ValueError(
        f"{path} holds ready tasks (train_x, ...), not a data set (x, y) that could be split; "
        "read it with load_tasks_npz.")
  _require(path, arrays, ("x", "y"))
  return from_arrays(
      arrays["x"], arrays["y"], target=target, num_tasks=num_tasks,
      valid_fraction=valid_fraction, seed=seed, num_features=num_features)


def load_tasks_npz(path: str | os.PathLike) -> Tasks:
  """Reads ready tasks from an .npz file; nothing is split, shuffled or standardised.

  Args:
    path: holds train_x [D, T, F], train_y [D, T], valid_x [D, V, F], valid_y [D, V] and
      metric, the string "rms" or "accuracy". Labels above 1 mean multi-class.

  Returns:
    The tasks.

  Raises:
    FileNotFoundError: no such file.
    ValueError: arrays are missing or malformed.
  """
  arrays = _read_npz(path)
  _require(path, arrays, (*_TASK_ARRAYS, "metric"))
  metric = arrays["metric"]
  if metric.size != 1 or metric.dtype.kind not in "SU":
    raise ValueError(
        f'{path}: metric must be one string, "rms" or "accuracy"; got an array of type '
        f"{metric.dtype} and shape {metric.shape}.")
  train_x, train_y, valid_x, valid_y = (arrays[name] for name in _TASK_ARRAYS)
  try:
    return make_tasks(train_x, train_y, valid_x, valid_y, str(metric.astype(str).item()))
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from error


def _read_npz(path: str | os.PathLike) -> dict[str, np.ndarray]:
  try:
    with open(paths.expand(path), "rb") as file, np.load(file) as contents:
      return {name: contents[name] for name in contents.files}
  except FileNotFoundError as error:
    raise FileNotFoundError(f"There is no file {path}.") from error
  except (AttributeError, EOFError, TypeError, ValueError, zipfile.BadZipFile) as error:
    raise ValueError(
        f"{path} is not an .npz file of plain arrays, as numpy.savez writes: {error}.") from error


def _require(
    path: str | os.PathLike, arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> None:
  missing = [name for name in names if name not in arrays]
  if missing:
    raise ValueError(
        f"{path} has no array {', '.join(missing)}; it needs {', '.join(names)} and holds "
        f"{', '.join(arrays) or 'nothing'}.")


def _make_data(
    x: np.ndarray, y: np.ndarray, feature_names: tuple[str, ...], *, target: str, num_tasks: int,
    valid_fraction: float, seed: int, num_features: int | None, where: Callable[[int], str],
) -> CustomData:
  if target not in TARGETS:
    raise ValueError(f"Unknown target {target!r}; use one of {', '.join(TARGETS)}.")
  if not 0 < valid_fraction < 1:
    raise ValueError(f"valid_fraction must lie between 0 and 1; got {valid_fraction}.")
  labels, class_names = _encode_target(y, target, where)
  if (x == x[0]).all():
    raise ValueError(
        f"All {x.shape[1]} features are constant over the {len(x)} rows: there is nothing to "
        "learn from.")
  strata = labels if class_names else np.zeros(len(labels))
  _check_rows(labels, class_names)
  [rng] = task_generators(seed, 1, 0)
  order = stratified_order(strata, rng)
  num_held_out = round(HELD_OUT_FRACTION * len(order))
  final, select, search = np.split(order, [num_held_out, 2 * num_held_out])
  num_valid = min(max(1, round(valid_fraction * len(search))), len(search) - 1)

  def make_part(part: int, held_out: np.ndarray | None) -> Tasks:
    parts: list[tuple[np.ndarray, ...]] = []
    seeds = []
    for rng in task_generators(seed, num_tasks, part):
      seeds.append(draw_task_seed(rng))
      rows = search[stratified_order(strata[search], rng)]
      train = rng.permutation(rows[num_valid:])
      valid = rng.permutation(rows[:num_valid] if held_out is None else held_out)
      train_x, valid_x = standardise(x[train], x[valid])
      if num_features is not None:
        train_x, valid_x = project(train_x, valid_x, num_features, rng)
      train_y, valid_y = labels[train], labels[valid]
      if not class_names:
        train_y, valid_y = standardise(train_y, valid_y)
      parts.append((train_x, train_y, valid_x, valid_y))
    train_x, train_y, valid_x, valid_y = (np.stack(part) for part in zip(*parts))
    return make_tasks(
        train_x, train_y, valid_x, valid_y, "accuracy" if class_names else "rms",
        num_classes=len(class_names) or None, seeds=seeds)

  return CustomData(
      make_part(1, None), make_part(2, select), make_part(3, final), feature_names, class_names)


def _encode_target(
    y: np.ndarray, target: str, where: Callable[[int], str],
) -> tuple[np.ndarray, tuple[str, ...]]:
  """Target as [N] float64, and the names of its classes (none for regression)."""
  if y.dtype.kind not in "biufUO":
    raise ValueError(f"y must hold numbers or strings; got type {y.dtype}.")
  if y.dtype.kind in "UO":
    y = _numbers_if_all_are(y.astype(str), target, where)
  is_text = y.dtype.kind == "U"
  if not is_text:
    y = y.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(y))
    if len(bad):
      raise ValueError(
          f"{where(bad[0])}: the target is {y[bad[0]]}. Fill it in or drop the row "
          f"({len(bad)} such rows).")
  values, codes = np.unique(y, return_inverse=True)
  if target == "auto":
    few_integers = not is_text and len(values) <= MAX_AUTO_CLASSES and (values % 1 == 0).all()
    target = "classification" if is_text or few_integers else "regression"
  if target == "regression":
    return y.astype(np.float64), ()
  if is_text:
    return codes.astype(np.float64), tuple(str(value) for value in values)
  return codes.astype(np.float64), tuple(f"{value:.15g}" for value in values)


def _numbers_if_all_are(
    y: np.ndarray, target: str, where: Callable[[int], str]) -> np.ndarray:
  """The strings y as numbers if every one is; else as they are, if classes may be text."""
  is_text = np.zeros(len(y), bool)
  for row, value in enumerate(y):
    if not value.strip():
      raise ValueError(f"{where(row)}: the target is empty. Fill it in or drop the row.")
    try:
      float(value)
    except ValueError:
      is_text[row] = True
  if not is_text.any():
    return y.astype(np.float64)
  first = int(np.argmax(is_text))
  if target == "regression":
    raise ValueError(
        f"{where(first)}: {str(y[first])!r} is not a number, as target 'regression' needs.")
  if target == "auto" and not is_text.all():
    raise ValueError(
        f"{where(first)}: {str(y[first])!r} is not a number, but other targets are. Mend it, or "
        "ask for target 'classification' to take every distinct text as a class.")
  return y


def _check_rows(labels: np.ndarray, class_names: tuple[str, ...]) -> None:
  if not class_names:
    if len(labels) < MIN_ROWS:
      raise ValueError(
          f"{len(labels)} rows are too few to split; regression needs at least {MIN_ROWS}.")
    if np.ptp(labels) == 0:
      raise ValueError(f"The target is {labels[0]:g} in every row; there is nothing to learn.")
    return
  if len(class_names) < 2:
    raise ValueError(
        f"Every row has class {class_names[0]!r}; classification needs at least two classes.")
  counts = np.bincount(labels.astype(int))
  if counts.min() < MIN_ROWS:
    raise ValueError(
        f"Class {class_names[counts.argmin()]!r} has {counts.min()} rows; every class needs at "
        f"least {MIN_ROWS} to be split. Add rows, drop or merge the class, or, if the target is "
        "a quantity, ask for target 'regression'.")
