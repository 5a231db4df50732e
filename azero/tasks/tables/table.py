"""A table of the user's own: checked, prepared and divided, with what was assumed of it.

The rows are split once into three disjoint parts: 60% search, 20% select, 20% final, at random,
by groups or by times (see `splits`), or with final rows of their own. What a column is, all rows to
learn from say, those that are held out among them; medians and categories are of the search rows
alone. What a table's tasks are, `custom_data` says.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import decimal
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from azero import files
from azero.tasks.sampling import task_generators
from azero.tasks.tables import columns, frames, splits, suspicion, target_column
from azero.tasks.tables.preparation import Preparation
from azero.tasks.tables.text_table import Written

if TYPE_CHECKING:
  import pandas as pd

TARGETS = ("auto", *target_column.KINDS)
MIN_ROWS = 10  # of each class of arrays, or in all
MIN_CLASS_ROWS = 3  # of each class of a table: one for each part
_MOST_RARE = 0.5  # of the rows may have a class of fewer, and be left out
MAX_FEATURES = 64  # more features of a table are projected to so many
MAX_TASK_ROWS = 10_000  # that a task of a table trains on


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
    require_kind(self.kind)
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
    num_test: rows of a test part of its own.
    written: how its file was, if that is text.
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
  num_test: int
  written: Written | None = None

  @property
  def class_names(self) -> tuple[str, ...]:
    """What label 0, 1, ... stands for; empty for regression."""
    return self.preparation.class_names

  @property
  def projected_to(self) -> int | None:
    """To how many features a task projects those of the table, at random; None for not at all."""
    most = self.settings.max_features
    too_wide = most is not None and self.x.shape[1] > most
    return self.settings.num_features or (most if too_wide else None)

  def task_bytes(self) -> int:
    """Bytes of the arrays of a search, a select and a final task together."""
    [rng] = task_generators(self.settings.seed, 1, 1)
    train, valid = self.split.draw(rng, None)
    num_rows = 3 * len(train) + len(valid) + len(self.split.select) + len(self.split.final)
    return num_rows * (self.num_features + 1) * 8


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
  frame, notes, written = frames.read_table(path, wanted=wanted, **(read or {}))
  test = None
  if test_data is not None:
    texts = frames.text_columns(frame)  # as they are there, so here
    test, more, _ = frames.read_table(
        test_data, wanted=wanted, like=written, texts=texts, **(read or {}))
    told = {note.partition(",")[0] for note in notes}  # but for their examples
    notes += tuple(
        f"{note} (test data)" for note in more if note.partition(",")[0] not in told)
  try:
    table = prepare(frame, target_column, test=test, settings=settings, notes=notes)
  except ValueError as error:
    raise ValueError(f"{path}: {files.shortened(str(error))}") from error
  return dataclasses.replace(table, written=written)


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
  # With test data of other categories they would be no categories any more.
  categories = {name: kind for name, kind in features.dtypes.items() if hasattr(kind, "categories")}
  num_test = 0
  if test is not None:
    features, series, num_test = _with_test(features, series, test, settings, said)
  kind, rare = _rare_classes(series.iloc[:len(series) - num_test], settings, said)
  if rare.size:
    features, series, num_test = _without(rare, features, series, num_test)
  dropped, warned = _left_out(features, series, settings, is_quantity=kind == "regression")
  num_learn = len(series) - num_test
  learn, learn_series = features.iloc[:num_learn].astype(categories), series.iloc[:num_learn]
  whole = Preparation.fit(learn, learn_series, kind=settings.kind, dropped=dropped)
  labels = _labels(whole, series)
  require_rows(labels[:num_learn], whole.class_names)
  groups, times = _order(features, settings)
  if num_test:
    said += [f"{note} (test data)" for note in whole.surprises(features.iloc[num_learn:])]
    warned += _seen(features.drop(columns=list(dropped)), series, num_learn)
    _require_apart(num_learn, settings, groups, times)
  split = splits.split(
      np.zeros(len(labels)) if whole.classes is None else labels,
      splits.SplitSettings(
          seed=settings.seed, valid_fraction=settings.valid_fraction, num_test=num_test,
          max_rows=settings.max_task_rows), groups=groups, times=times)
  inner = Preparation.fit(features.iloc[split.search], scale=False, whole=whole)
  table = Table(
      features, series, whole, split, "", tuple(warned), inner.features(features), labels, 0,
      settings, num_test)
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
    return frames.unlike(features), series
  features = frames.as_frame(frame)
  series = target_column.as_series(target, len(features))
  if series.name is None:
    series = series.rename("target")
  return features, series.set_axis(features.index)


def _known_rows(
    features: pd.DataFrame, series: pd.Series, settings: TableSettings, said: list[str]
) -> tuple[pd.DataFrame, pd.Series]:
  """The rows that have a target."""
  missing = target_column.missing_targets(series)
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
  if not len(more):
    raise ValueError("The test data have no rows.")
  missing = [column for column in features.columns if column not in more.columns]
  if missing:
    raise ValueError(f"The test data have no column {', '.join(map(repr, missing[:8]))}.")
  said.append(f"the {len(more)} rows of the test data are the final part")
  # Of which file a row is, a message tells by its label.
  labels = pd.Index([f"{label} of the test data" for label in more.index], name=features.index.name)
  more, more_series = more.set_axis(labels), more_series.set_axis(labels)
  return (pd.concat([features, more[features.columns]]),
          pd.concat([series, more_series]), len(more))


def _rare_classes(
    series: pd.Series, settings: TableSettings, said: list[str]) -> tuple[str, np.ndarray]:
  """The kind of task of rows to learn from, and classes that cannot be in every part of them."""
  learnt = target_column.learn_target(series, settings.kind)
  if learnt.classes is None or len(learnt.classes) < 2:  # a single class is refused later
    return learnt.kind, np.array([])
  rare = learnt.classes[np.array(learnt.counts) < MIN_CLASS_ROWS]
  if not rare.size:
    return learnt.kind, rare
  if len(learnt.classes) - len(rare) < 2:
    raise ValueError(
        f"Class {str(rare[0])!r} of {learnt.name!r} has fewer than {MIN_CLASS_ROWS} rows, and but "
        f"for such classes there are not two; every class needs at least {MIN_CLASS_ROWS} to be "
        "split. Add rows, or, if the target is a quantity, ask for regression.")
  of_rare = np.isin(target_column.labels_of(series), rare)
  if of_rare.mean() > _MOST_RARE:
    raise ValueError(
        f"{of_rare.sum()} of {len(series)} rows have a class of fewer than {MIN_CLASS_ROWS} rows, "
        f"such as {str(rare[0])!r}: is {learnt.name!r} the target? Name it, merge its classes, "
        "or, if it is a quantity, ask for regression.")
  shown = ", ".join(map(str, rare[:8])) + (", ..." if len(rare) > 8 else "")
  said.append(
      f"classes of fewer than {MIN_CLASS_ROWS} rows cannot be learnt and judged: {shown}, "
      f"{of_rare.sum()} rows, left out")
  return learnt.kind, rare


def _without(
    rare: np.ndarray, features: pd.DataFrame, series: pd.Series, num_test: int
) -> tuple[pd.DataFrame, pd.Series, int]:
  """The rows that are of other classes, and how many of them are of the test part."""
  kept = ~np.isin(target_column.labels_of(series), rare)
  left = int(kept[len(series) - num_test:].sum())
  if num_test and not left:
    raise ValueError(
        "Every row of the test data has a class of which there are too few rows to learn from: "
        f"{frames.names_of(rare)}. Nothing is left to judge by.")
  return features[kept], series[kept], left


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
  for name in features.columns:
    if name not in out:
      columns.require_cells(features[name])
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
    return target_column.quantities(series)
  return whole.encode_target(series)


def require_rows(labels: np.ndarray, class_names: Sequence[str]) -> None:
  """Refuses targets that nothing can be learnt from.

  Args:
    labels: [N] codes of classes, or quantities.
    class_names: empty for quantities.

  Raises:
    ValueError: too few rows, a single class, or the same everywhere.
  """
  if len(labels) < MIN_ROWS:
    kind = "classification" if class_names else "regression"
    raise ValueError(f"{len(labels)} rows are too few to split; {kind} needs at least {MIN_ROWS}.")
  if len(class_names) == 1:
    raise ValueError(
        f"Every row has class {class_names[0]!r}; classification needs at least two classes.")
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
  if settings.group_column is not None:
    column = features[settings.group_column]
    _require_filled(column, columns.missing(column))
    if column.dtype == object or pd.api.types.is_string_dtype(column):
      # Text in one file and numbers in another.
      column = column.map(_group)
    groups = pd.factorize(column)[0]
  if settings.time_column is not None:
    times = columns.numbers_of(features[settings.time_column])
    _require_filled(features[settings.time_column], np.isnan(times))
  return groups, times


def _require_filled(series: pd.Series, missing: np.ndarray) -> None:
  """Refuses a column in which a cell is missing."""
  if missing.any():
    row = int(missing.argmax())
    raise ValueError(f"{frames.where(series, row)}, column {series.name!r}: the cell is empty.")


def _group(value: Any) -> str:
  """The same for a number and for what is written of it."""
  text = columns.as_text(value)
  try:
    number = decimal.Decimal(text)
  except decimal.InvalidOperation:
    return text
  short = number.is_finite() and abs(number.adjusted()) < 100
  return f"{number:.0f}" if short and number == number.to_integral_value() else text


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
  if table.projected_to is not None:
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


def require_kind(kind: str) -> None:
  """Refuses what is no kind of target.

  Raises:
    ValueError: names those that there are.
  """
  if kind not in TARGETS:
    raise ValueError(f"Unknown target {kind!r}; use one of {', '.join(TARGETS)}.")
