"""Tasks made of the user's own data: data frames, files of tables, arrays.

The rows are split once into three disjoint parts: 60% search, 20% select, 20% final, at random,
by groups or by times (see `splits`), or with final rows of their own. Search tasks train and
validate within the search rows. Select and final tasks train on search rows too, as many as a
search task does, but validate on rows of their own, so their fitness says how a program found on
the search rows does on rows it never met. The tasks of a part differ in the draw and order of
their rows and, where the features are projected, in the projection.

Columns of a table become numbers by a `Preparation` that sees the search rows alone. Features
are standardised with the training part of the task; with a projection, before and after it, so
that no feature outweighs another by its unit. Regression targets are standardised likewise: an
RMS error of 1 is that of always predicting the mean. More classes than features are no obstacle:
features of 0 are added, since label and prediction are vectors of that length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import math
import os
import tokenize
from typing import TYPE_CHECKING, Any
import warnings
import zipfile

import numpy as np
import psutil

from azero import files, paths
from azero.tasks import frames, preparation, splits, suspicion
from azero.tasks.preparation import MAX_AUTO_CLASSES, Preparation
from azero.tasks.projection import project, standardise
from azero.tasks.sampling import draw_task_seed, task_generators
from azero.tasks.task import Tasks, as_floats, make_tasks

if TYPE_CHECKING:
  import pandas as pd

TARGETS = ("auto", *preparation.KINDS)
MIN_ROWS = 10  # of each class of arrays, or in all
MIN_CLASS_ROWS = 3  # of each class of a table: one for each part
_MOST_RARE = 0.5  # of the rows may have a class of fewer, and be left out
MAX_FEATURES = 64  # more features of a table are projected to so many
MAX_TASK_ROWS = 10_000  # that a task of a table trains on

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_TASK_ARRAYS = ("train_x", "train_y", "valid_x", "valid_y")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableSettings:
  """What may be said of a table.

  Attributes:
    kind: "classification" or "regression", or "auto" to tell by the target.
    drop_columns: names of columns that are no features.
    keep_columns: names of columns that are, though they seem to number the rows or to be
      another target.
    drop_missing_targets: whether rows without a target are left out, and not refused.
    group_column: name of a column; rows of one value stay in one part.
    time_column: name of a column of times or numbers; what is judged comes later than what is
      learnt from.
    max_features: more features than this are projected to so many; None for never.
    num_features: F to project to in any case; None to decide by max_features.
    max_task_rows: most rows that a task trains on, drawn for each task; None for all.
    valid_fraction: part of the search rows that a search task validates on.
    seed: 0 or more; of the split, the draws and the projections.
  """

  kind: str = "auto"
  drop_columns: tuple[str, ...] = ()
  keep_columns: tuple[str, ...] = ()
  drop_missing_targets: bool = False
  group_column: str | None = None
  time_column: str | None = None
  max_features: int | None = MAX_FEATURES
  num_features: int | None = None
  max_task_rows: int | None = MAX_TASK_ROWS
  valid_fraction: float = 0.2
  seed: int = 0

  def __post_init__(self) -> None:
    _require_kind(self.kind)
    for name, least in (("max_features", 1), ("num_features", 1), ("max_task_rows", 2)):
      value = getattr(self, name)
      if value is not None and value < least:
        raise ValueError(f"{name} must be at least {least}; got {value}.")


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
  """A table that tasks can be made of.

  Attributes:
    frame: [N] rows of features as they were given, those that are not used among them.
    target: [N] targets as they were given, none of them missing.
    preparation: learnt from all rows but those of an own test part.
    split: which rows are for what.
    about: what was assumed, in one short block.
    warnings: what may be wrong with the data, a sentence each.
    x: [N, P] features before any projection, as learnt from the search rows.
    labels: [N] codes of classes, or quantities in their own unit.
    num_features: F of the tasks.
    settings: of the table.
    dropped: columns that are left out before any rows are looked at, by name, and why.
    num_test: rows of a test part of its own.
  """

  frame: pd.DataFrame
  target: pd.Series
  preparation: Preparation
  split: splits.Split
  about: str
  warnings: tuple[str, ...]
  x: np.ndarray
  labels: np.ndarray
  num_features: int
  settings: TableSettings
  dropped: dict[str, str]
  num_test: int

  @property
  def class_names(self) -> tuple[str, ...]:
    """What label 0, 1, ... stands for; empty for regression."""
    classes = self.preparation.classes
    return () if classes is None else tuple(str(label) for label in classes)

  @property
  def is_projected(self) -> bool:
    """Whether a task has a random projection of the features."""
    return self.settings.num_features is not None or self._too_wide

  @property
  def _too_wide(self) -> bool:
    most = self.settings.max_features
    return most is not None and self.x.shape[1] > most

  def tasks(self, num_tasks: int = 10) -> CustomData:
    """The tasks of the three parts.

    Args:
      num_tasks: D, tasks of each part.
    """
    settings = self.settings
    projected = settings.num_features or (settings.max_features if self._too_wide else None)
    search, select, final = _parts(
        self.x, self.labels, self.split, num_classes=len(self.class_names),
        num_tasks=num_tasks, seed=settings.seed, num_features=projected)
    return CustomData(
        search, select, final, self.preparation.feature_names, self.class_names, self)

  def task_bytes(self) -> int:
    """Bytes of the arrays of a search, a select and a final task together."""
    [rng] = task_generators(self.settings.seed, 1, 1)
    train, valid = self.split.draw(rng, None)
    num_rows = 3 * len(train) + len(valid) + len(self.split.select) + len(self.split.final)
    return num_rows * (self.num_features + 1) * 8


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
  return prepare(frame, target, test=test, settings=TableSettings(**settings)).tasks(num_tasks)


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
  return prepare_file(
      path, target_column, settings=chosen, test_data=test_data, read=read).tasks(num_tasks)


def prepare_file(
    path: str | os.PathLike, target_column: str | int | None = None, *, settings: TableSettings,
    test_data: str | os.PathLike | None = None, read: Any = None,
) -> Table:
  """As `prepare`, of a file.

  Args:
    path: of the file.
    target_column: a name, or else an index; default the last column.
    settings: of the table.
    test_data: a file of the same columns, whose rows are the final part.
    read: how it is written, by names of arguments of `frames.read_table`.

  Raises:
    FileNotFoundError: no such file.
    ValueError: names the file, the line and the column at fault, and how to mend it.
  """
  wanted = None if target_column is None else str(target_column)
  frame, notes = frames.read_table(path, wanted=wanted, **(read or {}))
  test = None
  if test_data is not None:
    test, more = frames.read_table(test_data, wanted=wanted, **(read or {}))
    told = {note.partition(",")[0] for note in notes}  # but for their examples
    notes += tuple(
        f"{note} (test data)" for note in more if note.partition(",")[0] not in told)
  try:
    return prepare(frame, target_column, test=test, settings=settings, notes=notes)
  except ValueError as error:
    raise ValueError(f"{path}: {files.shortened(str(error))}") from error


def prepare(
    frame: Any, target: Any = None, *, test: Any = None, settings: TableSettings | None = None,
    notes: Sequence[str] = (),
) -> Table:
  """Divides and prepares a table, of which tasks can be made.

  Args:
    frame: see `from_frame`.
    target: see `from_frame`.
    test: see `from_frame`.
    settings: of the table.
    notes: how it was read, to be told with what else was assumed.

  Raises:
    ValueError: says what is wrong with the data, where, and how to mend it.
  """
  frames.require_pandas()
  settings = settings or TableSettings()
  said = list(notes)
  features, series = _target_of(frame, target)
  given = set(map(str, getattr(frame, "columns", features.columns)))
  said += [f"a column of a name that is there before is called {name!r}"
           for name in features.columns if name not in given]
  features, series = _known_rows(features, series, settings, said)
  num_test = 0
  if test is not None:
    features, series, num_test = _with_test(features, series, test, settings, said)
  kind, features, series = _learnable(features, series, settings, num_test, said)
  dropped, warned = _left_out(features, series, settings, is_quantity=kind == "regression")
  num_learn = len(series) - num_test
  whole = Preparation.fit(
      features.iloc[:num_learn], series.iloc[:num_learn], kind=settings.kind, dropped=dropped)
  labels = _labels(whole, series)
  _require_rows(labels[:num_learn], whole)
  groups, times = _order(features, settings)
  if num_test:
    warned += _seen(features.drop(columns=list(dropped)), series, num_learn)
    _require_apart(num_learn, settings, groups, times)
  split = splits.split(
      np.zeros(len(labels)) if whole.classes is None else labels,
      splits.SplitSettings(
          seed=settings.seed, valid_fraction=settings.valid_fraction, num_test=num_test,
          max_rows=settings.max_task_rows), groups=groups, times=times)
  inner = Preparation.fit(features.iloc[split.search], kind=kind, scale=False, dropped=dropped)
  table = Table(
      features, series, whole, split, "", tuple(warned), inner.features(features), labels, 0,
      settings, dropped, num_test)
  num_features = settings.num_features or min(
      table.x.shape[1], settings.max_features or table.x.shape[1])
  if len(table.class_names) > 2:
    num_features = max(num_features, len(table.class_names))
  table = dataclasses.replace(table, num_features=num_features)
  return dataclasses.replace(table, about=_about(table, said))


def _target_of(frame: Any, target: Any) -> tuple[pd.DataFrame, pd.Series]:
  """The columns of features and the target."""
  if target is None or isinstance(target, str) or np.ndim(target) == 0:
    if getattr(frame, "ndim", 0) != 2 or not hasattr(frame, "columns"):
      raise ValueError("The table must be a DataFrame, or be given with its target [N].")
    place = frames.find_column(frame, target)
    series = frame.iloc[:, place].rename(str(frame.columns[place]))
    features = frame.iloc[:, [other for other in range(frame.shape[1]) if other != place]]
    return unlike(features), series
  features = preparation.as_frame(frame)
  series = preparation.as_series(target, len(features))
  if series.name is None:
    series = series.rename("target")
  return features, series.set_axis(features.index)


def unlike(features: pd.DataFrame) -> pd.DataFrame:
  """The frame, its later columns of one name with a number behind it."""
  names: list[str] = []
  for name in map(str, features.columns):
    fresh, count = name, 0
    while fresh in names:
      count += 1
      fresh = f"{name}.{count}"
    names.append(fresh)
  return preparation.as_frame(features.set_axis(names, axis=1))


def _known_rows(
    features: pd.DataFrame, series: pd.Series, settings: TableSettings, said: list[str]
) -> tuple[pd.DataFrame, pd.Series]:
  """The rows that have a target."""
  missing = preparation.missing_targets(series)
  if not missing.any() or not settings.drop_missing_targets:
    return features, series
  said.append(f"{missing.sum()} of {len(series)} rows have no target: left out")
  return features[~missing], series[~missing]


def _with_test(
    features: pd.DataFrame, series: pd.Series, test: Any, settings: TableSettings, said: list[str],
) -> tuple[pd.DataFrame, pd.Series, int]:
  """The rows with those of the test part behind them, and how many these are."""
  import pandas as pd

  name = str(series.name)
  if not hasattr(test, "columns") or name not in map(str, test.columns):
    raise ValueError(f"The test data have no column {name!r}, which is the target.")
  more, more_series = _target_of(test, name)
  more, more_series = _known_rows(more, more_series, settings, said)
  missing = [column for column in features.columns if column not in more.columns]
  if missing:
    raise ValueError(f"The test data have no column {', '.join(map(repr, missing[:8]))}.")
  said.append(f"the {len(more)} rows of the test data are the final part")
  return (pd.concat([features, more[features.columns]]),
          pd.concat([series, more_series]), len(more))


def _learnable(
    features: pd.DataFrame, series: pd.Series, settings: TableSettings, num_test: int,
    said: list[str],
) -> tuple[str, pd.DataFrame, pd.Series]:
  """The kind of task, and the rows without those of classes that cannot be in every part."""
  learnt = preparation.learn_target(series.iloc[:len(series) - num_test], settings.kind)
  if learnt.classes is None:
    return learnt.kind, features, series
  if len(learnt.classes) < 2:
    return learnt.kind, features, series  # said later
  rare = [label for label, count in zip(learnt.classes, learnt.counts) if count < MIN_CLASS_ROWS]
  if not rare:
    return learnt.kind, features, series
  if len(learnt.classes) - len(rare) < 2:
    raise ValueError(
        f"Class {str(rare[0])!r} of {learnt.name!r} has fewer than {MIN_CLASS_ROWS} rows, and but "
        f"for such classes there are not two; every class needs at least {MIN_CLASS_ROWS} to be "
        "split. Add rows, or, if the target is a quantity, ask for regression.")
  of_rare = series.isin(rare).to_numpy(bool)
  if of_rare.mean() > _MOST_RARE:
    raise ValueError(
        f"{of_rare.sum()} of {len(series)} rows have a class of fewer than {MIN_CLASS_ROWS} rows, "
        f"such as {str(rare[0])!r}: is {learnt.name!r} the target? Name it, merge its classes, "
        "or, if it is a quantity, ask for regression.")
  shown = ", ".join(map(str, rare[:8])) + (", ..." if len(rare) > 8 else "")
  said.append(
      f"classes of fewer than {MIN_CLASS_ROWS} rows cannot be learnt and judged: {shown}, "
      f"{of_rare.sum()} rows, left out")
  return learnt.kind, features[~of_rare], series[~of_rare]


def _left_out(
    features: pd.DataFrame, series: pd.Series, settings: TableSettings, *, is_quantity: bool
) -> tuple[dict[str, str], list[str]]:
  """Why columns are left out, by name, and warnings about others."""
  known = set(features.columns)
  for flag in ("drop_columns", "keep_columns"):
    for name in getattr(settings, flag):
      if name not in known:
        frames.find_column(features, name, what=flag.split("_")[0])
        raise ValueError(f"{flag}: give columns by their names, not {name!r}.")
  out = {name: "as asked for" for name in settings.drop_columns}
  for flag, reason in (("group_column", "tells the groups"), ("time_column", "tells the times")):
    name = getattr(settings, flag)
    if name is not None:
      if name not in known:
        raise ValueError(f"{flag}: there is no column {name!r} beside the target.")
      out[name] = reason
  nameless = {f"column {place}" for place in range(len(features.columns) + 1)}
  suspected, warnings = suspicion.suspects(
      features.drop(columns=list(out)), series, is_quantity=is_quantity, nameless=nameless)
  for name, reason in suspected.items():
    if name not in settings.keep_columns:
      out[name] = f"{reason}; --keep_columns={name} keeps it"
      warnings.append(f"column {name!r} is left out: {reason}")
  return out, warnings


def _labels(whole: Preparation, series: pd.Series) -> np.ndarray:
  """[N] codes of classes, or quantities in their own unit."""
  if whole.classes is None:
    return preparation.quantities(series)
  return whole.encode_target(series)


def _require_rows(labels: np.ndarray, whole: Preparation) -> None:
  if len(labels) < MIN_ROWS:
    raise ValueError(
        f"{len(labels)} rows are too few to split; {whole.kind} needs at least {MIN_ROWS}.")
  if whole.classes is not None and len(whole.classes) < 2:
    raise ValueError(
        f"Every row has class {str(whole.classes[0])!r}; classification needs at least two "
        "classes.")
  if (labels == labels[0]).all():
    raise ValueError(f"The target is {labels[0]:g} in every row; there is nothing to learn.")


def _order(
    features: pd.DataFrame, settings: TableSettings) -> tuple[np.ndarray | None, np.ndarray | None]:
  """Group and time of each row, where they are asked for.

  Raises:
    ValueError: one is missing, or a time is none.
  """
  import pandas as pd

  groups = times = None
  for name in (settings.group_column, settings.time_column):
    if name is not None and features[name].isna().any():
      row = int(features[name].isna().to_numpy(bool).argmax())
      raise ValueError(f"{frames.where(features, row)}, column {name!r}: the cell is empty.")
  if settings.group_column is not None:
    column = features[settings.group_column]
    if column.dtype == object:  # text in one file and numbers in another
      column = column.map(_group)
    groups = pd.factorize(column)[0]
  if settings.time_column is not None:
    times = preparation.numbers_of(features[settings.time_column])
  return groups, times


def _group(value: Any) -> str:
  """The same for a number and for what is written of it."""
  try:
    return preparation.as_text(float(value))
  except (TypeError, ValueError):
    return preparation.as_text(value)


def _seen(features: pd.DataFrame, series: pd.Series, num_learn: int) -> list[str]:
  """A warning about rows of the test data that are also among those to learn from."""
  import pandas as pd

  rows = pd.util.hash_pandas_object(pd.concat([features, series], axis=1), index=False).to_numpy()
  known = np.isin(rows[num_learn:], rows[:num_learn])
  if not known.any():
    return []
  return [f"{known.sum()} of {len(known)} rows of the test data are equal, target included, to "
          "rows that are learnt from: scores on them say little about new rows"]


def _require_apart(
    num_learn: int, settings: TableSettings, groups: np.ndarray | None, times: np.ndarray | None
) -> None:
  """Refuses test data that share a group with the rows before them, or do not come later."""
  if groups is not None:
    shared = np.intersect1d(groups[:num_learn], groups[num_learn:])
    if len(shared):
      raise ValueError(
          f"{len(shared)} groups of {settings.group_column!r} are in the test data and among the "
          "rows to learn from, but rows of one group belong into one part: leave them out of "
          "either, or name no group column.")
  if times is not None and times[num_learn:].min() < times[:num_learn].max():
    raise ValueError(
        f"The test data have rows with an earlier {settings.time_column!r} than some to learn "
        "from, but what is judged has to come later: divide them otherwise, or name no time "
        "column.")


def _about(table: Table, said: Sequence[str]) -> str:
  """What was assumed of a table, in one block."""
  lines = [table.preparation.describe()]
  given = table.x.shape[1]
  extra = []
  if table.is_projected:
    extra.append(("projected", f"{given} features to {table.num_features} at random, anew for "
                               "each task (--num_features, --max_features)"))
  elif table.num_features > given:
    extra.append(("padded", f"{given} features with zeros to {table.num_features}, one for each "
                            "class"))
  split = table.split
  how = {splits.RandomSplit: "at random", splits.GroupSplit: "by groups",
         splits.TimeSplit: "by time"}[type(split)]
  extra.append(("divided", f"{how}: {len(split.search):,} rows to search on, "
                           f"{len(split.select):,} to select by, {len(split.final):,} to judge by"))
  if said:
    extra.append(("assumed", "; ".join(said)))
  lines += [f"  {label:10s}{text}" for label, text in extra]
  lines += [f"  warning   {text}" for text in table.warnings]
  return "\n".join(lines)


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
  x, y = read_arrays(path)
  try:
    return from_arrays(
        x, y, target=target, num_tasks=num_tasks,
        valid_fraction=valid_fraction, seed=seed, num_features=num_features)
  except ValueError as error:
    raise ValueError(f"{path}: {files.shortened(str(error))}") from error


def read_arrays(path: str | os.PathLike) -> tuple[np.ndarray, np.ndarray]:
  """The arrays x [N, P] and y [N] of an .npz file.

  Raises:
    FileNotFoundError: no such file.
    ValueError: arrays are missing.
  """
  arrays = _read_npz(path)
  if "x" not in arrays and "train_x" in arrays:
    raise ValueError(
        f"{path} holds ready tasks (train_x, ...), not a data set (x, y) that could be split; "
        "read it with load_tasks_npz.")
  _require(path, arrays, ("x", "y"))
  return arrays["x"], arrays["y"]


def read_features(path: str | os.PathLike) -> np.ndarray:
  """The array x [N, P] of an .npz file; errors as for `read_arrays`."""
  arrays = _read_npz(path)
  _require(path, arrays, ("x",))
  return arrays["x"]


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
    raise ValueError(f"{path}: {files.shortened(str(error))}") from error


def _read_npz(path: str | os.PathLike) -> dict[str, np.ndarray]:
  """The arrays of an .npz file by name, none of which is unpickled.

  Raises:
    FileNotFoundError: no such file.
    ValueError: it is damaged or of another kind, or has more than the memory holds.
  """
  try:
    with open(paths.expand(path), "rb") as file, zipfile.ZipFile(file) as archive:
      members = archive.infolist()
      _require_room(members)
      return {member.filename.removesuffix(".npy"): _read_member(archive, member)
              for member in members}
  except FileNotFoundError as error:
    raise FileNotFoundError(f"There is no file {path}.") from error
  except (*frames.DAMAGE, SyntaxError, TypeError, tokenize.TokenError) as error:
    reason = " ".join(str(error).split()) or type(error).__name__
    raise ValueError(
        f"{path} is not an .npz file of plain arrays, as numpy.savez writes: "
        f"{files.shortened(reason.removesuffix('.'))}.") from error


def _require_room(members: Sequence[zipfile.ZipInfo]) -> None:
  """Refuses an archive that unpacks to more than the free memory: a small one may."""
  total, free = sum(member.file_size for member in members), psutil.virtual_memory().available
  if total > free:
    raise ValueError(f"it unpacks to {total / 1e9:,.3f} GB, but {free / 1e9:,.3f} GB are free")


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
  """One array, for which no memory is taken before its header is seen to be true."""
  with archive.open(member) as file:
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
      raise ValueError(f"{member.filename} is in version {version} of the format")
    with warnings.catch_warnings():  # of headers as Python 2 wrote them
      warnings.simplefilter("ignore", UserWarning)
      shape, _, dtype = _HEADERS[version](file)
    if dtype.hasobject or not dtype.itemsize:
      raise ValueError(f"{member.filename} is an array of type {dtype}; numbers or text are read")
    claimed, held = math.prod(shape) * dtype.itemsize, member.file_size - file.tell()
    if min(shape, default=0) < 0 or claimed != held:
      raise ValueError(
          f"{member.filename} has {held} bytes for an array of shape {shape} and type {dtype}")
  with archive.open(member) as file, warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)
    return np.lib.format.read_array(file)


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
  _require_kind(target)
  settings = splits.SplitSettings(seed=seed, valid_fraction=valid_fraction)
  labels, class_names = _encode_target(y, target, where)
  if (x == x[0]).all():
    raise ValueError(
        f"All {x.shape[1]} features are constant over the {len(x)} rows: there is nothing to "
        "learn from.")
  strata = labels if class_names else np.zeros(len(labels))
  _check_rows(labels, class_names)
  parts = _parts(
      x, labels, splits.split(strata, settings), num_classes=len(class_names),
      num_tasks=num_tasks, seed=seed, num_features=num_features)
  return CustomData(*parts, feature_names, class_names)


def _require_kind(kind: str) -> None:
  if kind not in TARGETS:
    raise ValueError(f"Unknown target {kind!r}; use one of {', '.join(TARGETS)}.")


def _parts(
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
    train_x, train_y, valid_x, valid_y = (np.stack(part) for part in zip(*parts))
    return make_tasks(
        train_x, train_y, valid_x, valid_y, "accuracy" if num_classes else "rms",
        num_classes=num_classes or None, seeds=seeds)

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
    if (labels == labels[0]).all():
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
