"""Reads tables into data frames: CSV, TSV and Parquet, compressed or not, as they come.

How a file is written is recognised, see `text_table`, and what was assumed is told. The index of
a frame that was read from text is the line of each row, so that later messages can name it.
"""

from __future__ import annotations

import bz2
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
import difflib
import functools
import gzip
import io
import lzma
import operator
import os
import struct
from typing import TYPE_CHECKING, Any, NamedTuple
import zipfile
import zlib

import numpy as np

from azero import files, lazy, paths
from azero.tasks.tables import text_table
from azero.tasks.tables.text_table import Written

if TYPE_CHECKING:
  import pandas as pd

DAMAGE = (  # what unpacking damaged data raises
    EOFError, LookupError, MemoryError, OSError, OverflowError, RuntimeError, ValueError,
    lzma.LZMAError, struct.error, zipfile.BadZipFile, zlib.error)
LINE = "line"  # name of the index of a frame that was read from text
_UNPACK: Mapping[bytes, tuple[str, Callable[[io.BytesIO], AbstractContextManager[Any]]]] = {
    b"\x1f\x8b": ("gzip", lambda data: gzip.GzipFile(fileobj=data)),
    b"BZh": ("bzip2", bz2.BZ2File), b"\xfd7zXZ": ("xz", lzma.LZMAFile)}
_MOST_UNPACKED = 1 << 30  # bytes: a small file may unpack to more than the memory
_MOST_GROWN = 20  # times its own size, that Parquet may take above that
# Missing in a column whose other cells are numbers, where they do not stand for text.
MARKS = {"?", "-", "--", ".", "*", "missing", "Missing", "unknown", "Unknown"}
SHOWN = 8  # columns, values or classes of a line
_CLOSE = 0.7  # from 0 to 1, what a name must be to be meant
_MOST_NAMES = 20  # of columns, where one that is meant is looked for


class ReadTable(NamedTuple):
  """What a file holds.

  Attributes:
    frame: the table.
    notes: what was assumed, a sentence each.
    written: how it was written, if it is text.
  """

  frame: pd.DataFrame
  notes: tuple[str, ...]
  written: Written | None


def require_pandas() -> None:
  """Refuses tables where the packages for them are missing.

  Raises:
    MissingPackageError: pandas or scikit-learn is not installed; says how to install it.
  """
  for package in ("pandas", "sklearn"):
    lazy.require(
        package, extra="tables", purpose="Tables",
        otherwise="Arrays and .npz files of numbers work without it.")


def read_table(
    path: str | os.PathLike, *, delimiter: str | None = None, header: bool | None = None,
    decimal: str | None = None, encoding: str | None = None, wanted: str | None = None,
    target_needed: bool = True, like: Written | None = None, texts: Collection[str] = (),
) -> ReadTable:
  """Reads a table from a file.

  Args:
    path: delimited text or Parquet; either may be packed by gzip, bzip2, xz or zip.
    delimiter: of text, between cells, " " for any number of spaces; default recognised.
    header: of text, whether the first line holds names; default recognised.
    decimal: of text, "." or ","; default recognised.
    encoding: of text; default recognised.
    wanted: a name that is asked for, which tells a first line that holds it to be a header.
    target_needed: whether a single column is too few.
    like: how another table of the same columns was written: it decides what is unclear here.
    texts: names of columns that stay text, whatever their cells look like.

  Returns:
    The table. Columns of numbers are float64 or int64, of true and false bool, others text;
    missing cells are missing. Of text the index is the line, from 1, of each row.

  Raises:
    FileNotFoundError: no such file.
    ValueError: it is no table; says where and why.
    MissingPackageError: pandas is not installed.
  """
  require_pandas()
  path = paths.expand(path)
  try:
    data = path.read_bytes()
  except FileNotFoundError as error:
    raise FileNotFoundError(f"There is no file {path}.") from error
  except OSError as error:  # a directory, or not ours to read
    raise ValueError(f"{path} cannot be read as a file: {error.strerror}.") from error
  data, name, notes = _unpacked(path, data)
  if data.startswith(b"PAR1"):
    return ReadTable(_read_parquet(path, data), tuple(notes), None)
  if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
    raise ValueError(f"{path} is a spreadsheet or archive: save the table as CSV or Parquet.")
  try:
    text, note = text_table.decode(data, encoding)
  except ValueError as error:
    raise ValueError(
        f"{path} is not a text file of a table, nor Parquet: {error}. Save it as CSV in "
        "UTF-8.") from error
  if note:
    notes.append(f"encoding: {note}")
  try:
    table = text_table.parse(
        text, delimiter=delimiter, header=header, decimal=decimal, wanted=wanted,
        min_columns=2 if target_needed else 1, like=like,
        tabs_first=name.lower().endswith((".tsv", ".tab")))
  except ValueError as error:
    join = ", " if str(error).startswith("line ") else " "
    raise ValueError(f"{path}{join}{files.shortened(str(error))}") from error
  frame, more = _frame(path, table, texts)
  return ReadTable(frame, (*notes, *table.notes, *more), table.written)


def find_column(frame: pd.DataFrame, column: str | int | None, *, what: str = "target") -> int:
  """The place of a column, from 0.

  Args:
    frame: with P columns.
    column: its name, or else its index, negative ones from the end; default the last one.
    what: the column is for, in messages.

  Raises:
    ValueError: there is no such column, or there are two of this name.
  """
  names = [str(name) for name in frame.columns]
  if not names:
    raise ValueError("The table has no columns: it needs features and a target.")
  if column is None:
    column = names[-1]
    if names.count(column) == 1:
      return len(names) - 1
  places = [place for place, name in enumerate(names) if name == str(column)]
  if len(places) > 1:
    raise ValueError(
        f"{len(places)} columns are called {str(column)!r}, so that the {what} cannot be told from "
        "the others, which may be copies of it. Rename or remove all but one.")
  if places:
    return places[0]
  try:
    index = int(column) if isinstance(column, str) else operator.index(column)
  except (TypeError, ValueError):
    index = len(names)  # out of range, as any unknown name
  if not -len(names) <= index < len(names):
    lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(str(column).lower(), lower, 1, _CLOSE)
    hint = f"Did you mean {lower[close[0]]!r}? " if close else ""
    shown = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
    raise ValueError(
        f"There is no {what} column {column!r}. {hint}The columns are: {shown}; give a name or an "
        f"index from 0 to {len(names) - 1}.")
  return index % len(names)


def text_columns(frame: pd.DataFrame) -> list[str]:
  """Columns that were read as text, by the names that `unlike` gives them."""
  import pandas as pd

  return [name for name, kind in zip(_distinct(frame.columns), frame.dtypes)
          if not pd.api.types.is_numeric_dtype(kind)]


def where(frame: Any, row: int) -> str:
  """How a message names a row of a frame or series, "line 7" or "row 6"."""
  label = frame.index[row]
  return f"{LINE if frame.index.name == LINE else 'row'} {label}"


def _unpacked(path: os.PathLike, data: bytes) -> tuple[bytes, str, list[str]]:
  """The contents of a file that may be packed, the name that tells its kind, and a note."""
  name = os.fspath(path)
  for start, (method, unpack) in _UNPACK.items():
    if data.startswith(start):
      unpacked, _ = _unpack(path, functools.partial(unpack, io.BytesIO(data)))
      return unpacked, name.rpartition(".")[0], [f"unpacked: {method}"]
  if data.startswith(b"PK\x03\x04") and not name.lower().endswith((".xlsx", ".ods", ".npz")):
    unpacked, member = _unpack(path, functools.partial(_single_member, path, data))
    return unpacked, member, [f"unpacked: zip, {member}"]
  return data, name, []


class _NotOneTable(Exception):
  """An archive holds another number of files."""


def _single_member(path: os.PathLike, data: bytes) -> AbstractContextManager[Any]:
  """The only file of a zip archive.

  Raises:
    _NotOneTable: it has none, or several.
  """
  archive = zipfile.ZipFile(io.BytesIO(data))
  members = [
      member for member in archive.namelist()
      if not member.endswith("/") and not member.startswith("__MACOSX/")]
  if len(members) != 1:
    raise _NotOneTable(
        f"{path} holds {len(members)} files ({', '.join(members[:5])}): pack one table.")
  return archive.open(members[0])


def _unpack(
    path: os.PathLike, opened: Callable[[], AbstractContextManager[Any]]
) -> tuple[bytes, str]:
  """What a packed file holds, and its name if that is known.

  Raises:
    ValueError: it is damaged, holds another number of files, or too much.
  """
  try:
    with opened() as file:
      unpacked, name = file.read(_MOST_UNPACKED + 1), str(getattr(file, "name", ""))
  except _NotOneTable as error:
    raise ValueError(str(error)) from None
  except DAMAGE as error:
    raise ValueError(
        f"{path} is damaged and cannot be unpacked: {str(error) or type(error).__name__}."
    ) from error
  if len(unpacked) > _MOST_UNPACKED:
    raise ValueError(
        f"{path} unpacks to more than {_MOST_UNPACKED / 2**30:g} GB: unpack it first, or save the "
        "table as Parquet.")
  return unpacked, name


def _read_parquet(path: os.PathLike, data: bytes) -> pd.DataFrame:
  import pandas as pd

  lazy.require("pyarrow", extra="tables", purpose="Parquet files")
  try:
    num_bytes = _size_of_parquet(data)
    most = max(_MOST_UNPACKED, _MOST_GROWN * len(data))
    if num_bytes <= most:
      frame = pd.read_parquet(io.BytesIO(data))
  except (*DAMAGE, AttributeError, TypeError) as error:
    reason = " ".join(files.shortened(str(error)).split())
    raise ValueError(
        f"{path} is not a Parquet file that can be read: {reason or type(error).__name__}."
    ) from error
  if num_bytes > most:
    raise ValueError(
        f"{path} would take {num_bytes / 2**30:.3g} GB of memory, with {len(data):,} bytes of its "
        f"own; a Parquet file may take {_MOST_UNPACKED / 2**30:g} GB, or {_MOST_GROWN} times its "
        "own size. Save the rows and columns that are needed as CSV.")
  if 0 in frame.shape:
    raise ValueError(f"{path} is empty: it needs rows of features and a target.")
  return frame


def _size_of_parquet(data: bytes) -> int:
  """About how many bytes a Parquet file takes as a frame, without reading it as one.

  What a column repeats may be stored once, so that its size says little; and what a file says of
  itself need not be so.

  Raises:
    ValueError: it contradicts itself, or has lists in its cells.
    Exception: whatever is raised for a damaged file.
  """
  import pyarrow as pa
  import pyarrow.parquet as pq

  file = pq.ParquetFile(io.BytesIO(data))
  told = file.metadata
  groups = range(told.num_row_groups)
  for k in range(told.num_columns):
    column = told.schema.column(k)
    if column.max_repetition_level:
      raise ValueError(f"column {column.path!r} has lists in its cells, where one value belongs")
  # What is told of a chunk of a column is not asked for: if it is odd, Arrow ends the process.
  rows = [told.row_group(k).num_rows for k in groups]
  if told.num_rows != sum(rows) or min(rows, default=0) < 0:
    raise ValueError("it says of itself that it has another number of rows than its parts")
  num_bytes = 8 * told.num_rows * told.num_columns
  texts = [
      field.name for field in file.schema_arrow
      if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
      or pa.types.is_binary(field.type)]
  if num_bytes > max(_MOST_UNPACKED, _MOST_GROWN * len(data)) or not texts:
    return num_bytes
  file = pq.ParquetFile(io.BytesIO(data), read_dictionary=texts)
  for name in texts:
    for k in groups:
      for part in file.read_row_group(k, columns=[name]).column(0).chunks:
        num_bytes += _size_of_texts(part)
  return num_bytes


def _size_of_texts(texts: Any) -> int:
  """Bytes of texts of Arrow, of which each that is different is there once."""
  import pyarrow as pa
  import pyarrow.compute as pc

  if not pa.types.is_dictionary(texts.type):
    return texts.nbytes
  lengths = pc.binary_length(texts.dictionary).to_numpy(zero_copy_only=False)
  places = texts.indices.drop_null().to_numpy()
  return int(np.bincount(places, minlength=len(lengths)) @ lengths.astype(np.int64))


def _frame(
    path: os.PathLike, table: text_table.TextTable, texts: Collection[str]
) -> tuple[pd.DataFrame, list[str]]:
  """A text's cells as a frame of typed columns, and notes."""
  import pandas as pd

  notes = []
  names: list[str] = []
  columns = []
  index = pd.Index(table.lines, name=LINE)
  distinct = _distinct(table.names)
  for place, name in enumerate(table.names):
    cells = [row[place] for row in table.cells]
    if name == f"column {place}" and not any(cells):  # lines end in a separator
      notes.append(f"column {place} has neither name nor content: left out")
      continue
    names.append(name)
    values, mark = (
        (_untyped(cells), "") if distinct[place] in texts else typed(cells, table.written.decimal))
    columns.append(pd.Series(values, index=index))
    if mark:
      notes.append(f"column {name!r}: {mark!r} is taken as missing")
  if not columns:
    raise ValueError(f"{path} has separators, but no cell with content.")
  frame = pd.concat(columns, axis=1)
  frame.columns = pd.Index(names)
  return frame, notes


def typed(cells: Sequence[str], decimal: str = ".") -> tuple[np.ndarray, str]:
  """The cells of a column by their content.

  Args:
    cells: N texts.
    decimal: "." or ",".

  Returns:
    [N] numbers (int64, or float64 with NaN for missing cells), truth values, or texts, codes such
    as 007 among them, with None for missing ones; and the sign that was taken as missing beside
    the usual, or "".
  """
  if text_table.are_codes(cells):
    return _untyped(cells), ""
  rare = {cell for cell in set(cells) - text_table.MISSING
          if not text_table.is_number(cell, decimal)}
  mark = ""
  if len(rare) == 1 and rare < set(cells) - text_table.MISSING and rare <= MARKS:
    [mark] = rare
    cells = ["" if cell == mark else cell for cell in cells]
    rare = set()
  missing = any(cell in text_table.MISSING for cell in cells)
  if not rare:
    values = text_table.numbers(cells, decimal)
    whole = not missing and not any(set(cell.lower()) & set(".,einf") for cell in cells)
    if not whole or not (np.abs(values) < 2**62).all():
      return values, mark
    return np.array([int(cell) for cell in cells], np.int64), mark  # each digit counts
  if not missing and {cell.lower() for cell in cells} <= {"true", "false"}:
    return np.array([cell.lower() == "true" for cell in cells]), mark
  return _untyped(cells), mark


def _untyped(cells: Sequence[str]) -> np.ndarray:
  """Texts as they are, with None for missing ones."""
  return np.array([None if cell in text_table.MISSING else cell for cell in cells], object)


def as_frame(table: Any, names: Any = None) -> pd.DataFrame:
  """A table as a frame whose columns have different texts as names; arrays get "column 0", ...

  Durations become numbers of days, as dates do, and periods the dates of their starts.

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
        f"Several columns have the same name: {names_of(twice)}. Rename or remove all but one.")
  durations = frame.columns[[dtype.kind == "m" for dtype in frame.dtypes]]
  if len(durations):
    frame = frame.assign(**{name: frame[name] / pd.Timedelta(days=1) for name in durations})
  periods = [name for name, dtype in frame.dtypes.items() if isinstance(dtype, pd.PeriodDtype)]
  if periods:
    frame = frame.assign(**{name: frame[name].dt.to_timestamp() for name in periods})
  return frame


def unlike(features: pd.DataFrame) -> pd.DataFrame:
  """The frame, its later columns of one name with a number behind it."""
  return as_frame(features.set_axis(_distinct(features.columns), axis=1))


def _distinct(names: Iterable[Any]) -> list[str]:
  """Names that differ: a later one of the same name has a number behind it."""
  known: dict[str, None] = {}
  for name in map(str, names):
    fresh, count = name, 0
    while fresh in known:
      count += 1
      fresh = f"{name}.{count}"
    known[fresh] = None
  return list(known)


def names_of(names: Iterable[Any]) -> str:
  """The first of some names, as text."""
  shown = [str(name) for name in names]
  return ", ".join(shown[:SHOWN]) + (f", ... ({len(shown)})" if len(shown) > SHOWN else "")


def listed(pairs: Iterable[tuple[str, str]]) -> str:
  """The first of some pairs of a name and what is said of it, as text."""
  shown = [f"{name}: {text}" for name, text in pairs]
  return "; ".join(shown[:SHOWN]) + (
      f"; and {len(shown) - SHOWN} more" if len(shown) > SHOWN else "")
