"""How one column of a table becomes numbers, by what its cells are.

Numbers keep what they are, true and false are 1 and 0, a date is a number of days, an ordered
category its place in the order, and text stays text, for which `preparation` makes columns, as do
other categories and codes, which are digits that begin with 0. A column that says nothing, such as
one with one value or with a text of its own in nearly every row, is left out, with a word why.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
import dataclasses
import decimal
import numbers
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from azero.tasks.tables import frames, text_table

if TYPE_CHECKING:
  import pandas as pd

MAX_CATEGORIES = 20  # columns for one text column: the commonest values, and one for all others
MISSING = "(missing)"
CODES = "leading zeros"  # what is told of columns that are text for them
DIGITS = "text of digits"  # what is told of columns that are numbers all the same
_MIXED = 0.8  # a column with more numbers than this, but not all, has a mistake in it
_FEW = 12  # unless its values are so few that they are categories such as 1, 2, 3, 4, 5+
_HUGE = 1e100  # squares of larger numbers overflow
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?$")
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?$")  # which no other format can be taken for
_ZONE = re.compile(r"[T ]\d.*(Z|[+-]\d{2}:?\d{2})$")  # at the end of a time
_DATE_FORMATS = (
    "ISO8601", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%y")
_TIMES = ("", " %H:%M", " %H:%M:%S")
_TRUTH = {"true": 1.0, "false": 0.0}
_MICROSECONDS_OF_A_DAY = 24 * 60 * 60 * 10**6


@dataclasses.dataclass(frozen=True)
class Column:
  """How a column becomes numbers.

  Attributes:
    role: "number", "truth", "date", "text" or "ordered".
    unit: of numbers, a power of two that they are divided by.
    date_format: of dates in text, as pandas has it.
    order: of an ordered category, its values.
    num_missing: cells that were missing.
    told: what is said of it, where its cells could be taken otherwise: "" if they could not.
    aware: of dates, whether they have a time zone; None if some have, or none is known.
  """

  role: str
  unit: float = 1.0
  date_format: str = ""
  order: tuple[str, ...] = ()
  num_missing: int = 0
  told: str = ""
  aware: bool | None = None


class Cells(NamedTuple):
  """The cells of a column as texts, each of which is there once.

  Attributes:
    texts: [K] that are different, "" for missing cells, also what a file would have as missing.
    place: [N] where among them each cell is.
  """

  texts: list[str]
  place: np.ndarray

  def each(self) -> np.ndarray:
    """[N] the text of each cell, as objects."""
    return np.array(self.texts, object)[self.place]

  def count(self, chosen: Sequence[bool]) -> int:
    """How many cells have one of some texts, [K] bool."""
    return int(np.asarray(chosen, bool)[self.place].sum())

  def first(self, chosen: Sequence[bool]) -> int:
    """The first cell that has one of some texts, [K] bool, of which there is one."""
    return int(np.asarray(chosen, bool)[self.place].argmax())


def cells_of(series: pd.Series) -> Cells:
  """The cells of a column of anything."""
  import pandas as pd

  if pd.api.types.infer_dtype(series, skipna=True) in ("string", "categorical"):
    place, values = pd.factorize(series)  # -1, so that it is the last, where one is missing
    texts = [*map(as_text, values), ""]
  else:
    missing_cells = series.isna().to_numpy(bool)
    texts = ["" if gone else as_text(value) for value, gone in zip(series, missing_cells)]
    place = np.arange(len(texts))
  places: dict[str, int] = {}  # of different values some have one text
  same = [places.setdefault("" if text in text_table.MISSING else text, len(places))
          for text in texts]
  return Cells(list(places), np.array(same, np.int64)[place])


def examine(series: pd.Series) -> tuple[Column | None, str]:
  """How a column becomes numbers, or None and why it is left out."""
  import pandas as pd

  column = recognise(series)
  if column is None:
    return None, "empty"
  if column.role in ("text", "ordered"):
    known = pd.unique(convert(series.dropna(), column)) if column.role == "ordered" else [
        text for text in cells_of(series).texts if text]
    if len(known) == 1 and not column.num_missing:
      return None, f"always {known[0]!r}"
    most = max(MAX_CATEGORIES, (len(series) - column.num_missing) / 2)
    if column.role == "text" and len(known) > most:
      return None, f"text of its own in nearly every row ({len(known)} different)"
    return column, ""
  values = convert(series, column)
  there = np.flatnonzero(~np.isnan(values))
  if (values[there] == values[there[0]]).all():
    first = series.iloc[there[0]]
    return None, f"always {first:g}" if isinstance(first, numbers.Real) else f"always {first}"
  return column, ""


def recognise(series: pd.Series) -> Column | None:
  """What a column holds, None if nothing.

  Raises:
    ValueError: cells of several kinds, or of one that cannot become numbers; names the row.
  """
  import pandas as pd

  require_cells(series)
  num_missing = int(series.isna().sum())
  if num_missing == len(series):
    return None
  if isinstance(series.dtype, pd.CategoricalDtype):
    if not series.cat.ordered:
      return Column("text", num_missing=num_missing)
    order = tuple(dict.fromkeys(as_text(value) for value in series.cat.categories))
    return Column("ordered", order=order, num_missing=num_missing)
  if pd.api.types.is_datetime64_any_dtype(series):
    return Column("date", num_missing=num_missing, aware=_has_zone(series.dtype))
  if pd.api.types.is_bool_dtype(series):
    return Column("truth", num_missing=num_missing)
  if pd.api.types.is_numeric_dtype(series):
    return Column(
        "number", unit_of(series.to_numpy(np.float64, na_value=np.nan)), num_missing=num_missing)
  return _recognise_texts(series)


def require_cells(series: pd.Series) -> None:
  """Refuses a column of what is no single value.

  Raises:
    ValueError: names the row.
  """
  import pandas as pd

  if pd.api.types.is_complex_dtype(series):
    raise ValueError(f"Column {series.name!r} holds complex numbers.")
  if series.dtype != object:
    return
  for row, value in enumerate(series):
    if isinstance(value, (list, tuple, dict, set, np.ndarray, complex)):
      raise ValueError(
          f"{frames.where(series, row)}, column {series.name!r}: the cell holds a "
          f"{type(value).__name__}. Make columns of it, or leave it out.")


def missing(series: pd.Series) -> np.ndarray:
  """[N] bool, whether a cell is missing."""
  cells = cells_of(series)
  return np.array([not text for text in cells.texts], bool)[cells.place]


def numbers_of(series: pd.Series) -> np.ndarray:
  """A column of numbers, truth values or dates as [N] float64, NaN where it is missing.

  Of a category, and of digits that begin with 0, what counts is what the cells say.

  Raises:
    ValueError: it is none; names the row.
  """
  import pandas as pd

  if isinstance(series.dtype, pd.CategoricalDtype) and not series.cat.ordered:
    series = series.astype(object)
  column = recognise(series)
  if column is None:
    return np.full(len(series), np.nan)
  if column.told == CODES and all(is_number(text) for text in cells_of(series).texts if text):
    column = Column("number")
  if column.role not in ("number", "truth", "date"):
    raise ValueError(f"Column {series.name!r} holds neither numbers nor dates.")
  return convert(series, column) * column.unit


def convert(series: pd.Series, column: Column) -> np.ndarray:
  """A column as [N] float64 with NaN for missing cells, or texts as objects.

  Raises:
    ValueError: it holds what such a column cannot; names the row.
  """
  import pandas as pd

  if column.role == "text":
    cells = cells_of(series)
    return np.array([text or MISSING for text in cells.texts], object)[cells.place]
  if column.role == "ordered":  # "None" may be one of the categories
    place, values = pd.factorize(series)
    return np.array([*map(as_text, values), None], object)[place]
  if column.role == "date":
    if not pd.api.types.is_datetime64_any_dtype(series):
      return _parsed_dates(series, column)
    there = series.notna().to_numpy(bool)
    if there.any() and column.aware not in (None, _has_zone(series.dtype)):
      raise _wrong_zone(series, int(there.argmax()), column)
    return _days(series)
  return _numbers(series, column.role) / column.unit


def as_text(value: Any) -> str:
  """A value as a category has it: 1 for 1.0, since missing cells make floats of whole numbers."""
  if isinstance(value, (float, np.floating)) and value % 1 == 0:
    return f"{value:.0f}"
  if isinstance(value, decimal.Decimal) and value.is_finite() and (
      value == value.to_integral_value()):
    return f"{value:.0f}"
  return str(value).strip()


def date_format_of(cells: Sequence[str]) -> str:
  """The format of texts that are dates, or ""."""
  date_format, dated = _dates_among(cells)
  return date_format if all(dated) else ""


def _dates_among(texts: Sequence[str]) -> tuple[str, Sequence[bool]]:
  """The format in which most texts are dates, or "" if few are; and which are."""
  import pandas as pd

  best, best_dated = "", [False] * len(texts)
  like_dates = [bool(_DATE.match(text)) for text in texts]
  if sum(like_dates) <= _MIXED * len(texts):
    return best, best_dated
  cells = pd.Series([text if like else None for text, like in zip(texts, like_dates)], dtype=object)
  for form in _DATE_FORMATS:
    for time in _TIMES if form != "ISO8601" else ("",):
      dated = pd.to_datetime(
          cells, format=form + time, errors="coerce", utc=True).notna().tolist()
      if sum(dated) > sum(best_dated):
        best, best_dated = form + time, dated
      if all(dated):
        return best, best_dated
  return best, best_dated


def is_number(value: Any) -> bool:
  """Whether Python takes a value, a text too, as a number."""
  try:
    float(value)
  except (TypeError, ValueError):
    return False
  return True


def unit_of(values: np.ndarray) -> float:
  """A power of two that brings numbers whose squares leave the range of floats to about 1."""
  largest = np.nanmax(np.abs(values), initial=0.0)
  if largest == 0 or 1 / _HUGE < largest < _HUGE:
    return 1.0
  return float(2.0 ** (np.frexp(largest)[1] - 1))


def _recognise_texts(series: pd.Series) -> Column | None:
  """As `recognise`, of a column whose cells may be anything."""
  cells = cells_of(series)
  known = [text for text in cells.texts if text]
  missing_cells = [not text for text in cells.texts]
  if not known:
    return None
  if all(text.lower() in _TRUTH for text in known):
    return Column("truth", num_missing=cells.count(missing_cells))
  marked = [_stands_for_nothing(text) for text in cells.texts]
  unmarked = [text for text, mark in zip(cells.texts, marked) if not mark]
  if text_table.are_codes(unmarked):
    return Column("text", num_missing=cells.count(missing_cells), told=CODES)
  if unmarked and all(text_table.is_number(text, ".") for text in unmarked):
    digits = all(text.isdigit() for text in unmarked) and any(
        isinstance(value, str) for value in series)
    return Column(
        "number", unit_of(text_table.numbers(unmarked, ".")), num_missing=cells.count(marked),
        told=DIGITS if digits else "")
  date_format, dated = _dates_among(unmarked)
  if date_format and all(dated):
    zones = {bool(_ZONE.search(text)) for text in unmarked}
    return Column(
        "date", date_format=date_format, num_missing=cells.count(marked),
        aware=zones.pop() if len(zones) == 1 else None)
  if len(known) > _FEW:
    numeric = {text for text in unmarked if text_table.is_number(text, ".")}
    _require_alike(series, cells, set(unmarked), numeric, "number")
    dates = {text for text, is_date in zip(unmarked, dated) if is_date}
    _require_alike(series, cells, set(unmarked), dates, "date")
  return Column("text", num_missing=cells.count(missing_cells))


def _stands_for_nothing(text: str) -> bool:
  """Whether a cell among numbers or dates is a missing one."""
  return not text or text in frames.MARKS


def _require_alike(
    series: pd.Series, cells: Cells, known: Collection[str], alike: Collection[str], kind: str
) -> None:
  """Refuses a column most of whose known texts are of a kind, but not all: that is a mistake."""
  num_known = cells.count([text in known for text in cells.texts])
  num_alike = cells.count([text in alike for text in cells.texts])
  if num_alike <= _MIXED * num_known:
    return
  row = cells.first([text in known and text not in alike for text in cells.texts])
  raise ValueError(
      f"{frames.where(series, row)}, column {series.name!r}: the cell {cells.each()[row]!r} is not "
      f"a {kind}, but {num_alike} of {num_known} cells are. Mend it, or drop the row or the "
      "column.")


def _parsed_dates(series: pd.Series, column: Column) -> np.ndarray:
  """[N] float64 days of texts in the format of the column, or in that of ISO 8601."""
  import pandas as pd

  cells = cells_of(series)
  there = [not _stands_for_nothing(text) for text in cells.texts]

  def parsed(date_format: str, chosen: Sequence[bool]) -> pd.Series:
    texts = [text if is_chosen else None for text, is_chosen in zip(cells.texts, chosen)]
    return pd.to_datetime(
        pd.Series(texts, dtype=object), format=date_format, errors="coerce", utc=True)

  dates = parsed(column.date_format or "ISO8601", there)
  dates = dates.fillna(parsed("ISO8601", [bool(_ISO.match(text)) for text in cells.texts]))
  bad = [is_there and gone for is_there, gone in zip(there, dates.isna())]
  if any(bad):
    row = cells.first(bad)
    raise ValueError(
        f"{frames.where(series, row)}, column {series.name!r}: the cell {cells.each()[row]!r} is "
        f"not a date, as the others are ({column.date_format or 'ISO8601'}).")
  other = [is_there and column.aware not in (None, bool(_ZONE.search(text)))
           for is_there, text in zip(there, cells.texts)]
  if any(other):
    raise _wrong_zone(series, cells.first(other), column)
  return _days(dates)[cells.place]


def _has_zone(dtype: Any) -> bool:
  """Whether dates of this type have a time zone."""
  return getattr(getattr(dtype, "pyarrow_dtype", dtype), "tz", None) is not None


def _wrong_zone(series: pd.Series, row: int, column: Column) -> ValueError:
  """Says that a date has a time zone where those that were learnt from had none, or none."""
  has, had, mend = (
      ("no", "one", ".dt.tz_localize(ZONE)") if column.aware else
      ("a", "none", ".dt.tz_localize(None)"))
  return ValueError(
      f"{frames.where(series, row)}, column {series.name!r}: the date "
      f"{as_text(series.iloc[row])!r} has {has} time zone, but those that were learnt from had "
      f"{had}: convert the column, in pandas by {mend}.")


def _days(dates: pd.Series) -> np.ndarray:
  """[N] float64 days since 1970, of any year; NaN where there is no date."""
  import pandas as pd

  if isinstance(dates.dtype, pd.ArrowDtype):
    dates = pd.to_datetime(dates.astype(object))
  if dates.dt.tz is not None:
    dates = dates.dt.tz_convert("UTC").dt.tz_localize(None)
  stamps = dates.to_numpy("datetime64[us]")
  return np.where(np.isnat(stamps), np.nan, stamps.astype(np.int64) / _MICROSECONDS_OF_A_DAY)


def _numbers(series: pd.Series, role: str) -> np.ndarray:
  """[N] float64, NaN where missing; finite otherwise. The role is for what a message says."""
  import pandas as pd

  if pd.api.types.is_numeric_dtype(series) or pd.api.types.is_bool_dtype(series):
    values = series.to_numpy(np.float64, na_value=np.nan)
  else:
    cells = cells_of(series)
    parsed = [_number_of(text) for text in cells.texts]
    if None in parsed:
      row = cells.first([number is None for number in parsed])
      raise ValueError(
          f"{frames.where(series, row)}, column {series.name!r}: the cell {cells.each()[row]!r} is "
          f"not {'true or false' if role == 'truth' else 'a number'}, as it was in the rows that "
          "were learnt from.")
    values = np.array(parsed, np.float64)[cells.place]
  infinite = np.flatnonzero(np.isinf(values))
  if len(infinite):
    raise ValueError(
        f"{frames.where(series, infinite[0])}, column {series.name!r}: the cell "
        f"'{values[infinite[0]]}' is not finite. Mend it, or drop the row or the column.")
  return values


def _number_of(text: str) -> float | None:
  """What a cell of numbers or truth values says, NaN if it is missing, None if it is neither."""
  if _stands_for_nothing(text):
    return np.nan
  if text.lower() in _TRUTH:
    return _TRUTH[text.lower()]
  return text_table.numbers([text], ".")[0] if text_table.is_number(text, ".") else None
