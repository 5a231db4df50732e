"""How one column of a table becomes numbers, by what its cells are.

Numbers keep what they are, true and false are 1 and 0, a date is a number of days, an ordered
category its place in the order, and text stays text, for which `preparation` makes columns. A
column that says nothing, such as one with one value or with a text of its own in nearly every row,
is left out, with a word why.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import decimal
import numbers
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from azero.tasks.tables import frames, text_table

if TYPE_CHECKING:
  import pandas as pd

MAX_CATEGORIES = 20  # columns for one text column: the commonest values, and one for all others
MISSING = "(missing)"
_MIXED = 0.8  # a column with more numbers than this, but not all, has a mistake in it
_FEW = 12  # unless its values are so few that they are categories such as 1, 2, 3, 4, 5+
_HUGE = 1e100  # squares of larger numbers overflow
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?$")
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
  """

  role: str
  unit: float = 1.0
  date_format: str = ""
  order: tuple[str, ...] = ()
  num_missing: int = 0


def examine(series: pd.Series) -> tuple[Column | None, str]:
  """How a column becomes numbers, or None and why it is left out."""
  column = recognise(series)
  if column is None:
    return None, "empty"
  if column.role in ("text", "ordered"):
    cells = [cell for cell in _cells(series) if cell]
    distinct = set(cells)
    if len(distinct) == 1 and not column.num_missing:
      return None, f"always {cells[0]!r}"
    if column.role == "text" and MAX_CATEGORIES < len(distinct) and len(distinct) > len(cells) / 2:
      return None, f"text of its own in nearly every row ({len(distinct)} different)"
    return column, ""
  values = convert(series, column)
  known = np.flatnonzero(~np.isnan(values))
  if (values[known] == values[known[0]]).all():
    first = series.iloc[known[0]]
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
  if isinstance(series.dtype, pd.CategoricalDtype) and series.cat.ordered:
    order = tuple(dict.fromkeys(as_text(value) for value in series.cat.categories))
    return Column("ordered", order=order, num_missing=num_missing)
  if pd.api.types.is_datetime64_any_dtype(series):
    return Column("date", num_missing=num_missing)
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
    if isinstance(value, (list, dict, set, np.ndarray, complex)):
      raise ValueError(
          f"{frames.where(series, row)}, column {series.name!r}: the cell holds a "
          f"{type(value).__name__}. Make columns of it, or drop the column.")


def missing(series: pd.Series) -> np.ndarray:
  """[N] bool, whether a cell is missing."""
  return np.array([not cell for cell in _cells(series)], bool)


def as_category(series: pd.Series, kind: pd.CategoricalDtype) -> pd.Series:
  """A column as categories that were there before, by their texts; others are missing."""
  import pandas as pd

  places = {as_text(value): place for place, value in enumerate(kind.categories)}
  codes = [places.get(cell, -1) for cell in _cells(series)]
  return pd.Series(pd.Categorical.from_codes(codes, dtype=kind), series.index, name=series.name)


def numbers_of(series: pd.Series) -> np.ndarray:
  """A column of numbers, truth values or dates as [N] float64, NaN where it is missing.

  Raises:
    ValueError: it is none; names the row.
  """
  column = recognise(series)
  if column is None or column.role not in ("number", "truth", "date"):
    raise ValueError(f"Column {series.name!r} holds neither numbers nor dates.")
  return convert(series, column) * column.unit


def convert(series: pd.Series, column: Column) -> np.ndarray:
  """A column as [N] float64 with NaN for missing cells, or texts as objects.

  Raises:
    ValueError: it holds what such a column cannot; names the row.
  """
  import pandas as pd

  if column.role == "text":
    return np.array([cell or MISSING for cell in _cells(series)], object)
  if column.role == "ordered":
    return np.array([None if pd.isna(value) else as_text(value) for value in series], object)
  if column.role == "date":
    if pd.api.types.is_datetime64_any_dtype(series):
      return _days(series)
    return _parsed_dates(series, column.date_format)
  return _numbers(series, column.role) / column.unit


def as_text(value: Any) -> str:
  """A value as a category has it: 1 for 1.0, since missing cells make floats of whole numbers."""
  if isinstance(value, (float, np.floating, decimal.Decimal)) and value % 1 == 0:
    return f"{value:.0f}"
  return str(value).strip()


def date_format_of(cells: Sequence[str]) -> str:
  """The format of texts that are dates, or ""."""
  date_format, dated = _dates_among(cells)
  return date_format if all(dated) else ""


def _dates_among(cells: Sequence[str]) -> tuple[str, Sequence[bool]]:
  """The format in which most texts are dates, or ""; and which are."""
  import pandas as pd

  best, best_dated = "", [False] * len(cells)
  like_dates = [bool(_DATE.match(cell)) for cell in cells]
  if sum(like_dates) <= _MIXED * len(cells):
    return best, best_dated
  texts = pd.Series([cell if like else None for cell, like in zip(cells, like_dates)], dtype=object)
  for form in _DATE_FORMATS:
    for time in _TIMES if form != "ISO8601" else ("",):
      dated = pd.to_datetime(
          texts, format=form + time, errors="coerce", utc=True).notna().tolist()
      if sum(dated) > sum(best_dated):
        best, best_dated = form + time, dated
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
  cells = _cells(series)
  known = [cell for cell in cells if cell]
  num_missing = len(cells) - len(known)
  if not known:
    return None
  if all(cell.lower() in _TRUTH for cell in known):
    return Column("truth", num_missing=num_missing)
  values, _ = frames.typed(cells)
  if values.dtype.kind in "if":
    num_missing = int(np.isnan(values.astype(np.float64)).sum())
    return None if num_missing == len(cells) else Column(
        "number", unit_of(values), num_missing=num_missing)
  unmarked = [cell for cell in known if cell not in frames.MARKS]
  if date_format := date_format_of(unmarked):
    return Column("date", date_format=date_format, num_missing=len(cells) - len(unmarked))
  if len(set(known)) > _FEW:
    _require_alike(series, cells, [text_table.is_number(cell, ".") for cell in cells], "number")
    _require_alike(series, cells, _dates_among(cells)[1], "date")
  return Column("text", num_missing=num_missing)


def _require_alike(
    series: pd.Series, cells: Sequence[str], alike: Sequence[bool], kind: str) -> None:
  """Refuses a column most of whose cells are of a kind, but not all: there is a mistake in it."""
  known = sum(map(bool, cells))
  if sum(alike) <= _MIXED * known:
    return
  row = next(row for row, cell in enumerate(cells) if cell and not alike[row])
  raise ValueError(
      f"{frames.where(series, row)}, column {series.name!r}: the cell {cells[row]!r} is not a "
      f"{kind}, but {sum(alike)} of {known} cells are. Mend it, or drop the row or the column.")


def _parsed_dates(series: pd.Series, date_format: str) -> np.ndarray:
  import pandas as pd

  cells = pd.Series(
      [None if cell in frames.MARKS else cell or None for cell in _cells(series)],
      index=series.index, dtype=object)
  dates = pd.to_datetime(cells, format=date_format or "ISO8601", errors="coerce", utc=True)
  bad = np.flatnonzero((dates.isna() & cells.notna()).to_numpy())
  if len(bad):
    raise ValueError(
        f"{frames.where(series, bad[0])}, column {series.name!r}: the cell {cells.iloc[bad[0]]!r} "
        "is not a date, as the others are.")
  return _days(dates)


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
  """[N] float64, NaN where missing; finite otherwise. A cell is what it is alone, by the role."""
  import pandas as pd

  if pd.api.types.is_numeric_dtype(series) or pd.api.types.is_bool_dtype(series):
    values = series.to_numpy(np.float64, na_value=np.nan)
  else:
    values = np.full(len(series), np.nan)
    for row, cell in enumerate(_cells(series)):
      if cell.lower() in _TRUTH:
        values[row] = _TRUTH[cell.lower()]
      elif text_table.is_number(cell, "."):
        [values[row]] = text_table.numbers([cell], ".")
      elif cell and cell not in frames.MARKS:
        raise ValueError(
            f"{frames.where(series, row)}, column {series.name!r}: the cell {cell!r} is not "
            f"{'true or false' if role == 'truth' else 'a number'}, as it was in the rows that "
            "were learnt from.")
  infinite = np.flatnonzero(np.isinf(values))
  if len(infinite):
    raise ValueError(
        f"{frames.where(series, infinite[0])}, column {series.name!r}: the cell "
        f"'{values[infinite[0]]}' is not finite. Mend it, or drop the row or the column.")
  return values


def _cells(series: pd.Series) -> list[str]:
  """The cells as texts, "" for missing ones, also those that a file would have as missing."""
  texts = ("" if gone else as_text(value)
           for value, gone in zip(series, series.isna().to_numpy(bool)))
  return ["" if text in text_table.MISSING else text for text in texts]
