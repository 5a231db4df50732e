"""From a table's columns to the numbers that programs take, by scikit-learn's transformers.

Numbers keep their columns, a missing one becomes the median. True and false are 1 and 0. A date
becomes a number of days. Text becomes one column for each of its commonest values (one, if it has
two), an ordered category its place in the order. What says nothing, such as a column with one
value or a text of its own in nearly every row, is left out. Then every column has mean 0 and
deviation 1. All that was decided is kept, for new rows and to be told.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import re
from typing import TYPE_CHECKING, Any
import warnings

import numpy as np

from azero.tasks import frames, text_table

if TYPE_CHECKING:
  import pandas as pd

KINDS = ("classification", "regression")
MAX_AUTO_CLASSES = 20  # more distinct whole numbers than this are taken as a quantity
MAX_CATEGORIES = 20  # columns for one text column: the commonest values, and one for all others
_MISSING = "(missing)"
_OTHER = "(other)"
_MIXED = 0.8  # a column with more numbers than this, but not all, has a mistake in it
_FEW = 12  # unless its values are so few that they are categories such as 1, 2, 3, 4, 5+
_SHOWN = 8  # columns or classes of a line of the description
_HUGE = 1e100  # squares of larger numbers overflow
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?$")
_DATE_FORMATS = (
    "ISO8601", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%y")
_TIMES = ("", " %H:%M", " %H:%M:%S")


@dataclasses.dataclass(frozen=True)
class _Column:
  """How a column becomes numbers.

  Attributes:
    role: "number", "truth", "date", "text" or "ordered".
    unit: of numbers, a power of two that they are divided by.
    date_format: of dates in text, as pandas has it.
    order: of an ordered category, its values.
    num_missing: cells that were missing.
  """

  role: str
  unit: float = 1.0
  date_format: str = ""
  order: tuple[str, ...] = ()
  num_missing: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Target:
  """How targets become numbers.

  Attributes:
    name: of the column.
    kind: of the task.
    reason: why it is of this kind, if that was assumed.
    classes: [C] original labels in sorted order, or None.
    counts: [C] rows of each class.
    unit: this and the following of a quantity: encoded is (value / unit - mean) / deviation.
    mean: of value / unit.
    deviation: of value / unit.
    low: the smallest value.
    high: the largest one.
  """

  name: str
  kind: str
  reason: str
  classes: np.ndarray | None = None
  counts: tuple[int, ...] = ()
  unit: float = 1.0
  mean: float = 0.0
  deviation: float = 1.0
  low: float = 0.0
  high: float = 0.0


class Preparation:
  """What was learnt of a table: how its columns, and those of new rows, become features.

  Attributes:
    transformer: the fitted scikit-learn ColumnTransformer.
    feature_names_in_: [P] names of the columns that `fit` saw, as text.
    feature_names: [F] names of the features, such as "colour=red".
    dropped: why a column is left out, by name.
    num_rows: N that `fit` saw.
  """

  def __init__(self, frame: pd.DataFrame, target: Target | None, dropped: Mapping[str, str],
               scale: bool):
    """Learns from a frame; see `fit`, which checks it first."""
    self.feature_names_in_ = np.array(frame.columns, object)
    self.num_rows = len(frame)
    self.dropped = dict(dropped)
    self._target = target
    self._columns: dict[str, _Column] = {}
    for name in frame.columns:
      if name in self.dropped:
        continue
      column, reason = _examine(frame[name])
      if column is None:
        self.dropped[name] = reason
      else:
        self._columns[name] = column
    if not self._columns:
      raise ValueError(
          f"None of the {frame.shape[1]} columns is of use: {_listed(self.dropped.items())}. There "
          "is nothing to learn from.")
    self.transformer = _transformer(self._columns, scale)
    self.transformer.fit(self._plain(frame))
    self.feature_names = tuple(
        name.partition("__")[2] for name in self.transformer.get_feature_names_out())

  @classmethod
  def fit(
      cls, frame: Any, target: Any = None, *, kind: str | None = None, scale: bool = True,
      dropped: Mapping[str, str] | None = None,
  ) -> Preparation:
    """Learns from the rows of a table.

    Args:
      frame: a pandas DataFrame [N, P], or an array of that shape.
      target: [N] a Series or an array; None without a target.
      kind: "classification" or "regression"; None or "auto" to tell by the target: text, truth
        values and whole numbers of at most 20 distinct values are classes, all else is a
        quantity.
      scale: whether every feature is given mean 0 and deviation 1.
      dropped: columns to leave out, by name, and why.

    Returns:
      The preparation.

    Raises:
      ValueError: says which column or row is wrong, and how to mend it.
      MissingPackageError: pandas or scikit-learn is not installed.
    """
    frames.require_pandas()
    frame = as_frame(frame)
    if 0 in frame.shape:
      raise ValueError(
          f"The table must have rows and columns; got {frame.shape[0]} rows and "
          f"{frame.shape[1]} columns of features.")
    series = None if target is None else as_series(target, len(frame))
    unknown = set(dropped or ()) - set(frame.columns)
    if unknown:
      raise ValueError(f"There is no column {', '.join(map(repr, sorted(unknown)))} to drop.")
    learnt = None if series is None else learn_target(series, kind)
    return cls(frame, learnt, dropped or {}, scale)

  @property
  def kind(self) -> str | None:
    """"classification" or "regression"; None without a target."""
    return None if self._target is None else self._target.kind

  @property
  def classes(self) -> np.ndarray | None:
    """[C] original labels, of which codes 0, 1, ... stand; None for regression."""
    return None if self._target is None else self._target.classes

  @property
  def target_name(self) -> str:
    """Of the target column, "target" if it has no name."""
    return "target" if self._target is None else self._target.name

  def features(self, frame: Any) -> np.ndarray:
    """The features of rows.

    Args:
      frame: a DataFrame with the columns that were learnt from, by name and in any order,
        which may have others; or an array [N, P] of as many columns.

    Returns:
      [N, F] float64, finite.

    Raises:
      ValueError: a column is missing or holds what it did not hold before; says which.
    """
    frame = self._aligned(frame)
    plain = self._plain(frame)
    with warnings.catch_warnings():  # of texts that were not seen before: they are "(other)"
      warnings.filterwarnings("ignore", message="Found unknown categories")
      values = self.transformer.transform(plain)
    return np.asarray(values, np.float64)

  def surprises(self, frame: Any) -> tuple[str, ...]:
    """What new rows have that `fit` did not see, a sentence each: it is passed over.

    Raises:
      ValueError: as for `features`.
    """
    notes = []
    given = as_frame(frame, self.feature_names_in_)
    surplus = [name for name in given.columns if name not in self.feature_names_in_]
    surplus = [name for name in surplus if name != self.target_name]
    if surplus:
      notes.append(f"columns that the model does not know are passed over: {_names(surplus)}")
    plain = self._plain(self._aligned(given))
    texts = [name for name, column in self._columns.items() if column.role == "text"]
    for name, known in zip(texts, self._known_texts()):
      unseen = sorted(set(plain[name]) - set(known) - {_MISSING})
      if unseen:
        notes.append(f"column {name!r}: values that were not there before: {_names(unseen)}")
    return tuple(notes)

  def encode_target(self, target: Any) -> np.ndarray:
    """Targets as numbers.

    Args:
      target: [N] as `fit` saw them.

    Returns:
      [N] float64: codes of classes, or quantities of mean 0 and deviation 1.

    Raises:
      ValueError: a class that was not there, a missing value, or no number; says where.
    """
    learnt = self._require_target()
    series = as_series(target, None)
    _require_known(series, learnt.name)
    if learnt.classes is None:
      return (quantities(series) / learnt.unit - learnt.mean) / learnt.deviation
    values = labels_of(series)
    codes = np.searchsorted(learnt.classes, values).clip(0, len(learnt.classes) - 1)
    wrong = np.flatnonzero(learnt.classes[codes] != values)
    if len(wrong):
      raise ValueError(
          f"{frames.where(series, wrong[0])}: {values[wrong[0]]!r} is none of the classes "
          f"{_names(learnt.classes)} of {learnt.name!r}.")
    return codes.astype(np.float64)

  def decode_target(self, values: Any) -> np.ndarray:
    """Targets of their numbers: labels for codes [N], quantities in their own unit [N]."""
    learnt = self._require_target()
    values = np.asarray(values)
    if learnt.classes is not None:
      return learnt.classes[values.astype(int)]
    return (values * learnt.deviation + learnt.mean) * learnt.unit

  @property
  def target_deviation(self) -> float:
    """Of a quantity, in its own unit: what an error of 1 of the encoded target is."""
    learnt = self._require_target()
    return learnt.deviation * learnt.unit

  def describe(self) -> str:
    """What was assumed, in one short block."""
    lines = []
    if self._target is not None:
      lines += _describe_target(self._target)
    num_used = len(self._columns)
    given = len(self.feature_names_in_)
    of = f" of {given} columns" if num_used != given else ""
    encoded = "" if len(self.feature_names) == num_used else (
        f", encoded as {len(self.feature_names)} numbers")
    lines.append(("features", f"{num_used}{of}{encoded}: {_names(self._columns)}"))
    lines.append(("rows", f"{self.num_rows:,}"))
    for role, words in (("truth", "true and false as 1 and 0"), ("date", "dates as days"),
                        ("text", "text, a column for each value"),
                        ("ordered", "ordered categories as their places")):
      named = [
          name + (f" ({column.date_format})" if "%" in column.date_format else "")
          for name, column in self._columns.items() if column.role == role]
      if named:
        lines.append(("encoded", f"{_names(named)}: {words}"))
    filled = {name: column.num_missing for name, column in self._columns.items()
              if column.num_missing}
    if filled:
      lines.append(("missing", _listed(
          (repr(name), f"{count} cells " + (
              "are a value of their own" if self._columns[name].role == "text"
              else "filled with the median")) for name, count in filled.items())))
    if self.dropped:
      lines.append(("left out", _listed((repr(name), why) for name, why in self.dropped.items())))
    return "\n".join(f"  {label:10s}{text}" for label, text in lines)

  def _require_target(self) -> Target:
    if self._target is None:
      raise ValueError("The preparation was fitted without a target.")
    return self._target

  def _known_texts(self) -> list[np.ndarray]:
    texts = self.transformer.named_transformers_.get("texts")
    return [] if texts is None else list(texts[0].categories_)

  def _aligned(self, frame: Any) -> pd.DataFrame:
    """The frame with the columns that are used."""
    frame = as_frame(frame, self.feature_names_in_)
    missing = [name for name in self._columns if name not in frame.columns]
    if missing:
      raise ValueError(
          f"{len(missing)} of the columns that the model needs are not there: {_names(missing)}. "
          f"The table has: {_names(frame.columns)}.")
    return frame[list(self._columns)]

  def _plain(self, frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that are used: numbers as float64, texts as objects."""
    import pandas as pd

    return pd.DataFrame({
        name: _convert(frame[name], column) for name, column in self._columns.items()})


def as_frame(table: Any, names: Any = None) -> pd.DataFrame:
  """A table as a frame whose columns have different texts as names; arrays get "column 0", ...

  Raises:
    ValueError: it has another shape, or two columns of one name.
  """
  import pandas as pd

  if isinstance(table, pd.DataFrame):
    frame = table.set_axis([str(name) for name in table.columns], axis=1)
  else:
    array = np.asarray(table)
    if array.ndim != 2 or (names is not None and array.shape[1] != len(names)):
      columns = "columns" if names is None else f"{len(names)} columns"
      raise ValueError(f"A table must have shape [rows, {columns}]; got {array.shape}.")
    frame = pd.DataFrame(array, columns=[
        f"column {place}" for place in range(array.shape[1])] if names is None else names)
  if not frame.columns.is_unique:
    twice = frame.columns[frame.columns.duplicated()].unique()
    raise ValueError(
        f"Several columns have the same name: {_names(twice)}. Rename or remove all but one.")
  return frame


def as_series(target: Any, num_rows: int | None) -> pd.Series:
  """Targets as a series.

  Raises:
    ValueError: they have another shape.
  """
  import pandas as pd

  if isinstance(target, pd.DataFrame) and target.shape[1] == 1:
    target = target.iloc[:, 0]
  series = target if isinstance(target, pd.Series) else None
  if series is None:
    array = np.asarray(target)
    if array.ndim != 1:
      raise ValueError(f"A target must have shape [rows]; got {array.shape}.")
    series = pd.Series(array)
  if num_rows is not None and len(series) != num_rows:
    raise ValueError(f"The table has {num_rows} rows, but {len(series)} targets.")
  return series


def missing_targets(target: pd.Series) -> np.ndarray:
  """[N] bool, whether a target is missing: no value, NaN or an empty text."""
  empty = target.map(lambda value: isinstance(value, str) and not value.strip())
  return (target.isna() | empty).to_numpy(bool)


def kind_of(target: pd.Series) -> tuple[str, str]:
  """The kind of task that a target without missing values asks for, and why."""
  import pandas as pd

  if pd.api.types.is_bool_dtype(target):
    return "classification", "true and false"
  values: Any = target.to_numpy()
  if not pd.api.types.is_numeric_dtype(target) or isinstance(target.dtype, pd.CategoricalDtype):
    numeric = [_is_number(value) for value in values]
    if not all(numeric):
      if any(numeric):
        row = numeric.index(False)
        raise ValueError(
            f"{frames.where(target, row)}: the target {values[row]!r} is not a number, but other "
            "targets are. Mend it, or ask for classification to take every distinct text as a "
            "class.")
      if _date_format([str(value).strip() for value in values]):
        raise ValueError(
            f"The target {values[0]!r} is a date: make it a number of days, or ask for "
            "classification to take every date as a class.")
      return "classification", "text"
    values = np.array([float(value) for value in values])
  distinct = np.unique(values.astype(np.float64))
  whole = np.isfinite(distinct).all() and (distinct % 1 == 0).all()
  if len(distinct) <= MAX_AUTO_CLASSES and whole:
    return "classification", "two values" if len(distinct) < 3 else (
        "few whole numbers; ask for regression if they are a quantity")
  return "regression", f"numbers of {len(distinct):,} different values"


def _require_known(series: pd.Series, name: str) -> None:
  missing = np.flatnonzero(missing_targets(series))
  if len(missing):
    raise ValueError(
        f"{frames.where(series, missing[0])}: the target {name!r} is missing, as in "
        f"{len(missing)} of {len(series)} rows. Fill it in, or drop these rows "
        "(--drop_missing_targets).")


def numbers_of(series: pd.Series) -> np.ndarray:
  """A column of numbers, truth values or dates as [N] float64, NaN where it is missing.

  Raises:
    ValueError: it is none; names the row.
  """
  column, _ = _examine(series)
  if column is not None and column.role in ("number", "truth", "date"):
    return _convert(series, column)
  if column is None and _is_number(series.iloc[0]):
    return _numbers(series)
  raise ValueError(f"Column {series.name!r} holds neither numbers nor dates.")


def learn_target(series: pd.Series, kind: str | None) -> Target:
  """What a target without missing values is, and how it becomes numbers.

  Raises:
    ValueError: a missing or impossible value; names the row.
  """
  name = "target" if series.name is None else str(series.name)
  if kind not in (None, "auto", *KINDS):
    raise ValueError(f"Unknown kind {kind!r}; use one of auto, {', '.join(KINDS)}.")
  _require_known(series, name)
  reason = ""
  if kind in (None, "auto"):
    kind, reason = kind_of(series)
  assert kind is not None
  if kind == "classification":
    classes, counts = np.unique(labels_of(series), return_counts=True)
    return Target(name, kind, reason, classes, tuple(int(count) for count in counts))
  values = quantities(series)
  unit = _unit(values)
  scaled = values / unit
  deviation = float(scaled.std())
  return Target(
      name, kind, reason, unit=unit, mean=float(scaled.mean()), deviation=deviation or 1.0,
      low=float(values.min()), high=float(values.max()))


def labels_of(series: pd.Series) -> np.ndarray:
  """Labels without missing ones, of a type that can be sorted."""
  import pandas as pd

  if pd.api.types.is_bool_dtype(series):
    return series.to_numpy(bool)
  if isinstance(series.dtype, pd.CategoricalDtype):
    return np.array([str(value) for value in series], object)
  if pd.api.types.is_numeric_dtype(series):
    values = series.to_numpy()
    values = values.astype(np.float64) if values.dtype == object else values
    if values.dtype.kind == "c":
      raise ValueError(f"The target must hold numbers or text; got type {values.dtype}.")
    if values.dtype.kind == "f":
      if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"{frames.where(series, row)}: the target is {values[row]}.")
      if (values % 1 == 0).all() and (np.abs(values) < 2**53).all():
        return values.astype(np.int64)
    return values
  if pd.api.types.is_datetime64_any_dtype(series):
    raise ValueError("The target is a date: make it a number of days, or a class.")
  return np.array([str(value) for value in series], object)


def quantities(series: pd.Series) -> np.ndarray:
  """Targets as [N] finite float64.

  Raises:
    ValueError: one is none; names the row.
  """
  import pandas as pd

  if pd.api.types.is_datetime64_any_dtype(series):
    raise ValueError("The target is a date: make it a number of days.")
  try:
    values = series.to_numpy(np.float64)
  except (TypeError, ValueError):
    row = next(row for row, value in enumerate(series) if not _is_number(value))
    raise ValueError(
        f"{frames.where(series, row)}: the target {series.iloc[row]!r} is not a number, as "
        "regression needs.") from None
  bad = np.flatnonzero(~np.isfinite(values))
  if len(bad):
    raise ValueError(f"{frames.where(series, bad[0])}: the target is {values[bad[0]]}.")
  return values


def _is_number(value: Any) -> bool:
  try:
    float(value)
  except (TypeError, ValueError):
    return False
  return True


def _unit(values: np.ndarray) -> float:
  """A power of two that brings numbers whose squares leave the range of floats to about 1."""
  largest = np.nanmax(np.abs(values), initial=0.0)
  if largest == 0 or 1 / _HUGE < largest < _HUGE:
    return 1.0
  return float(2.0 ** (np.frexp(largest)[1] - 1))


def _examine(series: pd.Series) -> tuple[_Column | None, str]:
  """How a column becomes numbers, or None and why it is left out."""
  import pandas as pd

  num_missing = int(series.isna().sum())
  if num_missing == len(series):
    return None, "empty"
  if isinstance(series.dtype, pd.CategoricalDtype) and series.cat.ordered:
    order = tuple(as_text(value) for value in series.cat.categories)
    return _Column("ordered", order=order, num_missing=num_missing), ""
  if pd.api.types.is_datetime64_any_dtype(series):
    return _varying(series, _Column("date", num_missing=num_missing))
  if pd.api.types.is_bool_dtype(series):
    return _varying(series, _Column("truth", num_missing=num_missing))
  if pd.api.types.is_complex_dtype(series):
    raise ValueError(f"Column {series.name!r} holds complex numbers.")
  if pd.api.types.is_numeric_dtype(series):
    return _varying(series, _Column("number", _unit(_numbers(series)), num_missing=num_missing))
  return _examine_texts(series)


def _examine_texts(series: pd.Series) -> tuple[_Column | None, str]:
  """As `_examine`, of a column whose cells may be anything."""
  for row, value in enumerate(series):
    if isinstance(value, (list, dict, set, np.ndarray, complex)):
      raise ValueError(
          f"{frames.where(series, row)}, column {series.name!r}: the cell holds a "
          f"{type(value).__name__}. Make columns of it, or drop the column.")
  cells = _cells(series)
  values, _ = frames.typed(cells)
  num_missing = sum(cell == "" for cell in cells)
  if values.dtype.kind in "if":
    role = _Column("number", _unit(values), num_missing=int(np.isnan(values.astype(float)).sum()))
    return _varying(series, role)
  if values.dtype.kind == "b":
    return _varying(series, _Column("truth", num_missing=num_missing))
  known = [cell for cell in values if cell is not None]
  if date_format := _date_format(known):
    return _Column("date", date_format=date_format, num_missing=num_missing), ""
  distinct = set(known)
  numeric = [text_table.is_number(cell, ".") for cell in known]
  if sum(numeric) > _MIXED * len(known) and len(distinct) > _FEW:
    row = next(row for row, cell in enumerate(values)
               if cell is not None and not text_table.is_number(cell, "."))
    raise ValueError(
        f"{frames.where(series, row)}, column {series.name!r}: the cell {values[row]!r} is not a "
        f"number, but {sum(numeric)} of {len(known)} cells are. Mend it, or drop the row or the "
        "column.")
  if len(distinct) == 1 and not num_missing:
    return None, f"always {known[0]!r}"
  if len(distinct) > MAX_CATEGORIES and len(distinct) > len(known) / 2:
    return None, f"text of its own in nearly every row ({len(distinct)} different)"
  return _Column("text", num_missing=num_missing), ""


def _varying(series: pd.Series, column: _Column) -> tuple[_Column | None, str]:
  """The column if it has two values."""
  values = _convert(series, column)
  known = values[~np.isnan(values)]
  if not len(known):
    return None, "empty"
  if (known == known[0]).all():
    return None, f"always {known[0] * column.unit:g}"
  return column, ""


def _convert(series: pd.Series, column: _Column) -> np.ndarray:
  """A column as [N] float64 with NaN for missing cells, or texts as objects.

  Raises:
    ValueError: it holds what such a column cannot; names the row.
  """
  import pandas as pd

  if column.role == "text":
    return np.array([cell or _MISSING for cell in _cells(series)], object)
  if column.role == "ordered":
    return np.array([None if pd.isna(value) else as_text(value) for value in series], object)
  if column.role == "date":
    if not pd.api.types.is_datetime64_any_dtype(series):
      return _parsed_dates(series, column.date_format)
    if series.dt.tz is not None:
      series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    return ((series - pd.Timestamp(0)) / pd.Timedelta(days=1)).to_numpy(np.float64)
  return _numbers(series) / column.unit


def _parsed_dates(series: pd.Series, date_format: str) -> np.ndarray:
  import pandas as pd

  cells = pd.Series([cell or None for cell in _cells(series)], index=series.index, dtype=object)
  dates = pd.to_datetime(cells, format=date_format or "ISO8601", errors="coerce", utc=True)
  bad = np.flatnonzero((dates.isna() & cells.notna()).to_numpy())
  if len(bad):
    raise ValueError(
        f"{frames.where(series, bad[0])}, column {series.name!r}: the cell {cells.iloc[bad[0]]!r} "
        "is not a date, as the others are.")
  return ((dates - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)).to_numpy(np.float64)


def _numbers(series: pd.Series) -> np.ndarray:
  """[N] float64, NaN where missing; finite otherwise."""
  import pandas as pd

  if pd.api.types.is_numeric_dtype(series) or pd.api.types.is_bool_dtype(series):
    values = series.to_numpy(np.float64, na_value=np.nan)
  else:
    cells = _cells(series)
    typed, _ = frames.typed(cells)
    if typed.dtype.kind not in "ifb":
      row = next(row for row, cell in enumerate(typed)
                 if cell is not None and not text_table.is_number(cell, "."))
      raise ValueError(
          f"{frames.where(series, row)}, column {series.name!r}: the cell {typed[row]!r} is not a "
          "number, as it was in the rows that were learnt from.")
    values = typed.astype(np.float64)
  infinite = np.flatnonzero(np.isinf(values))
  if len(infinite):
    raise ValueError(
        f"{frames.where(series, infinite[0])}, column {series.name!r}: the cell "
        f"'{values[infinite[0]]}' is not finite. Mend it, or drop the row or the column.")
  return values


def _cells(series: pd.Series) -> list[str]:
  """The cells as texts, "" for missing ones."""
  missing = series.isna().to_numpy(bool)
  return ["" if gone else as_text(value) for value, gone in zip(series, missing)]


def as_text(value: Any) -> str:
  """A value as a category has it: 1 for 1.0, since missing cells make floats of whole numbers."""
  if isinstance(value, (float, np.floating)) and value % 1 == 0:
    return f"{value:.0f}"
  return str(value).strip()


def _date_format(cells: list[str]) -> str:
  """The format of texts that are dates, or ""."""
  import pandas as pd

  if not cells or not all(_DATE.match(cell) for cell in cells):
    return ""
  for form in _DATE_FORMATS:
    for time in _TIMES if form != "ISO8601" else ("",):
      dates = pd.to_datetime(
          pd.Series(cells, dtype=object), format=form + time, errors="coerce", utc=True)
      if dates.notna().all():
        return form + time
  return ""


def _transformer(columns: Mapping[str, _Column], scale: bool) -> Any:
  """The ColumnTransformer of these columns, to be fitted."""
  from sklearn import compose, impute, pipeline, preprocessing

  def scaled(*steps: Any) -> Any:
    last = preprocessing.StandardScaler() if scale else "passthrough"
    return pipeline.make_pipeline(*steps, last)

  def of(*roles: str) -> list[str]:
    return [name for name, column in columns.items() if column.role in roles]

  fill = impute.SimpleImputer(strategy="median")
  parts = [
      ("numbers", scaled(fill), of("number", "truth", "date")),
      ("ordered", scaled(
          preprocessing.OrdinalEncoder(
              categories=[list(columns[name].order) for name in of("ordered")],
              handle_unknown="use_encoded_value", unknown_value=np.nan,
              encoded_missing_value=np.nan), fill), of("ordered")),
      ("texts", scaled(preprocessing.OneHotEncoder(
          drop="if_binary", handle_unknown="infrequent_if_exist", max_categories=MAX_CATEGORIES,
          sparse_output=False, feature_name_combiner=_feature_name)), of("text"))]
  return compose.ColumnTransformer([part for part in parts if part[2]])


def _feature_name(column: str, value: Any) -> str:
  return f"{column}={_OTHER if value == 'infrequent_sklearn' else value}"


def _describe_target(target: Target) -> list[tuple[str, str]]:
  because = f" ({target.reason})" if target.reason else ""
  lines = [("target", target.name), ("kind", target.kind + because)]
  if target.classes is None:
    lines.append(("range", f"{target.low:g} to {target.high:g}, deviation "
                           f"{target.deviation * target.unit:g}"))
  else:
    pairs = [f"{label} ({count:,})" for label, count in zip(target.classes, target.counts)]
    lines.append(("classes", f"{len(pairs)}: {', '.join(pairs[:_SHOWN])}"
                             + (", ..." if len(pairs) > _SHOWN else "")))
  return lines


def _names(names: Any) -> str:
  shown = [str(name) for name in names]
  return ", ".join(shown[:_SHOWN]) + (f", ... ({len(shown)})" if len(shown) > _SHOWN else "")


def _listed(pairs: Any) -> str:
  shown = [f"{name}: {text}" for name, text in pairs]
  return "; ".join(shown[:_SHOWN]) + (
      f"; and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else "")
