"""Makes tasks of the user's own data: arrays, data frames, and files of either."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import os
from typing import Any

import numpy as np

from azero import files
from azero.tasks.tables import custom_data, npz, splits
from azero.tasks.tables.custom_data import CustomData
from azero.tasks.tables.table import (
  MIN_ROWS,
  TableSettings,
  prepare,
  prepare_file,
  require_kind,
  require_rows,
)
from azero.tasks.tables.target_column import MAX_AUTO_CLASSES
from azero.tasks.task import as_floats


def from_arrays(
    x, y, *, target: str = "auto", num_tasks: int = 10, valid_fraction: float = 0.2,
    seed: int = 0, num_features: int | None = None, feature_names: Sequence[str] | None = None,
) -> CustomData:
  """Makes tasks of a feature matrix and a target.

  Args:
    x: [N, P] finite numbers, N at least 10 of each class; or a DataFrame, see `from_frame`.
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
  if hasattr(x, "columns"):
    if feature_names is not None:
      raise ValueError("feature_names are for arrays: the features of a frame have its columns'.")
    return from_frame(
        x, y, num_tasks=num_tasks, kind=target, valid_fraction=valid_fraction, seed=seed,
        num_features=num_features)
  x = as_floats("x", x)
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


def from_frame(
    frame: Any, target: Any = None, *, num_tasks: int = 10, test: Any = None, **settings: Any
) -> CustomData:
  """Makes tasks of a data frame.

  Numbers, truth values, dates, text and categories become features, missing ones are filled in;
  `CustomData.table.about` tells what was assumed.

  Args:
    frame: a pandas DataFrame, the target's column among its columns, or not.
    target: its name or index, default the last column; or a Series or array [N].
    num_tasks: D, tasks of each part.
    test: a frame of the same columns, whose rows are the final part.
    **settings: of `TableSettings`.

  Returns:
    The search, select and final tasks.

  Raises:
    ValueError: says what is wrong with the data, where, and how to mend it.
    MissingPackageError: pandas or scikit-learn is not installed.
  """
  table = prepare(frame, target, test=test, settings=TableSettings(**settings))
  return custom_data.of_table(table, num_tasks)


def from_csv(
    path: str | os.PathLike, *, target_column: str | int | None = None,
    header: bool | None = None, delimiter: str | None = None, target: str = "auto",
    test_data: str | os.PathLike | None = None, num_tasks: int = 10, **settings: Any,
) -> CustomData:
  """Makes tasks of a file that holds a table: CSV, TSV or Parquet, packed or not.

  Args:
    path: of the file.
    target_column: a name, or else an index; default the last column.
    header: whether the first line holds names; default recognised.
    delimiter: the character between cells; default recognised.
    target: "classification", "regression" or "auto", as `TableSettings.kind`.
    test_data: a file of the same columns, whose rows are the final part.
    num_tasks: D.
    **settings: of `TableSettings`.

  Returns:
    The search, select and final tasks.

  Raises:
    FileNotFoundError: no such file.
    ValueError: names the line and the column at fault, and how to mend it.
    MissingPackageError: pandas or scikit-learn is not installed.
  """
  chosen = TableSettings(kind=target, **settings)
  read = {"header": header, "delimiter": delimiter}
  table = prepare_file(path, target_column, settings=chosen, test_data=test_data, read=read)
  return custom_data.of_table(table, num_tasks)


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
  x, y = npz.read_arrays(path)
  try:
    return from_arrays(
        x, y, target=target, num_tasks=num_tasks,
        valid_fraction=valid_fraction, seed=seed, num_features=num_features)
  except ValueError as error:
    raise ValueError(f"{path}: {files.shortened(str(error))}") from error


def _make_data(
    x: np.ndarray, y: np.ndarray, feature_names: tuple[str, ...], *, target: str, num_tasks: int,
    valid_fraction: float, seed: int, num_features: int | None, where: Callable[[int], str],
) -> CustomData:
  require_kind(target)
  settings = splits.SplitSettings(seed=seed, valid_fraction=valid_fraction)
  labels, class_names = _encode_target(y, target, where)
  if (x == x[0]).all():
    raise ValueError(
        f"All {x.shape[1]} features are constant over the {len(x)} rows: there is nothing to "
        "learn from.")
  strata = labels if class_names else np.zeros(len(labels))
  _check_rows(labels, class_names)
  parts = custom_data.make_parts(
      x, labels, splits.split(strata, settings), num_classes=len(class_names),
      num_tasks=num_tasks, seed=seed, num_features=num_features)
  return CustomData(*parts, feature_names, class_names)


def _encode_target(
    y: np.ndarray, target: str, where: Callable[[int], str],
) -> tuple[np.ndarray, tuple[str, ...]]:
  """Target as [N] float64, and the names of its classes (none for regression)."""
  if y.dtype.kind not in "biufUO":
    raise ValueError(f"y must hold numbers or strings; got type {y.dtype}.")
  if y.dtype.kind == "O":
    missing = [row for row, value in enumerate(y) if value is None or value != value]
    if missing:
      raise ValueError(
          f"{where(missing[0])}: the target is missing. Fill it in or drop the row "
          f"({len(missing)} such rows).")
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
  require_rows(labels, class_names)
  if not class_names:
    return
  counts = np.bincount(labels.astype(int))
  if counts.min() < MIN_ROWS:
    raise ValueError(
        f"Class {class_names[counts.argmin()]!r} has {counts.min()} rows; every class needs at "
        f"least {MIN_ROWS} to be split. Add rows, drop or merge the class, or, if the target is "
        "a quantity, ask for target 'regression'.")
