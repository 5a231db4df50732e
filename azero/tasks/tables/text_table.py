"""Reads delimited text: what a file's encoding, separator, header and numbers are written like.

Files of the same table come with commas, semicolons or tabs, a byte order mark or Latin-1, with
names in the first line or none, with decimal commas. Each is recognised by the text itself, may be
given instead, and is told in a note wherever it is not the usual.
"""

from collections.abc import Iterable, Iterator, Sequence
import csv
import dataclasses
import io
import itertools
import re

import numpy as np

SPACES = " "  # between cells, as many as there are
_SEPARATORS = (",", ";", "\t", "|", SPACES)
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", SPACES: "spaces"}
_SAMPLE = 200  # lines that decide
_SHOWN = 40  # characters of a cell in a message
_PLAIN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$|[+-]?(nan|inf|infinity)$", re.I)
_CODE = re.compile(r"0\d+$")
_MANY_CODES = 10  # one in so many begins with 0
_DECIMAL_COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d*),\d+([eE][+-]?\d+)?$")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?$")
_POINT_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+$")  # beside decimal commas
# As pandas has it.
MISSING = frozenset((
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"))


@dataclasses.dataclass(frozen=True)
class Written:
  """How a text was written, for another one of the same columns: what is unclear there is as here.

  Attributes:
    delimiter: between cells.
    header: whether the first line holds names.
    decimal: the mark in front of the fraction.
  """

  delimiter: str
  header: bool
  decimal: str


@dataclasses.dataclass(frozen=True, eq=False)
class TextTable:
  """The cells of a delimited text.

  Attributes:
    cells: N rows of P texts, stripped.
    names: P names of columns; "column 0", ... where the text has none.
    lines: [N] line of the text, from 1, where each row ends.
    written: how they were written.
    notes: what was assumed, a sentence each.
  """

  cells: list[list[str]]
  names: list[str]
  lines: list[int]
  written: Written
  notes: list[str]


def decode(data: bytes, encoding: str | None = None) -> tuple[str, str | None]:
  """The text of bytes, and a note on its encoding if that is not UTF-8.

  Args:
    data: a text with or without a byte order mark.
    encoding: its name; default recognised.

  Raises:
    ValueError: it is no text, or not in this encoding.
  """
  if encoding is not None:
    try:
      return data.decode(encoding).removeprefix("\ufeff"), None
    except (LookupError, UnicodeError) as error:
      raise ValueError(f"it cannot be read as {encoding}: {error}") from error
  for mark, name in ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"),
                     (b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"),
                     (b"\xfe\xff", "utf-16")):
    if data.startswith(mark):
      return _text(data, name), (
          "UTF-8 with a byte order mark" if name == "utf-8-sig" else name.upper())
  head = data[:10_000]
  for start, name in ((1, "utf-16-le"), (0, "utf-16-be")):  # Latin letters: every other byte is 0
    if len(head) > 3 and head[start::2].count(0) > 0.4 * len(head[start::2]):
      return _text(data, name), name.upper()
  try:
    return _text(data, "utf-8"), None
  except UnicodeDecodeError:
    pass
  try:
    return _text(data, "cp1252"), "Latin-1 (Windows-1252)"
  except UnicodeDecodeError:
    return _text(data, "latin-1"), "Latin-1"


def _text(data: bytes, encoding: str) -> str:
  text = data.decode(encoding)
  # Signs that no text has, but most files of another kind.
  if wrong := re.search("[\0-\x08\x0e-\x1a\x1c-\x1f\ufeff\ufffe\uffff]", text[1:]):
    raise ValueError(f"it holds the character {wrong[0]!r}")
  return text


def parse(
    text: str, *, delimiter: str | None = None, header: bool | None = None,
    decimal: str | None = None, wanted: str | None = None, tabs_first: bool = False,
    min_columns: int = 2, like: Written | None = None,
) -> TextTable:
  """Splits a text into cells.

  Args:
    text: with one row of cells a line, quoted where they hold a separator or a line's end.
    delimiter: between cells, or " " for any number of spaces; default recognised.
    header: whether the first line holds names; default recognised.
    decimal: "." or ","; default recognised.
    wanted: a name that somebody asks for: a first line that holds it is a header.
    tabs_first: whether tabs are expected.
    min_columns: 1 where no target is needed.
    like: how another table of the same columns was written.

  Returns:
    The cells and what was assumed.

  Raises:
    ValueError: rows of different length, only one column, or no rows; names the line.
  """
  _require_one_character(delimiter)
  notes = []
  first, _, rest = text.partition("\n")
  skipped = 0
  if said := re.fullmatch(r"sep=(.)\r?", first):  # as spreadsheets write
    text, skipped, delimiter = rest, 1, delimiter or said[1]
  if delimiter is None:
    usual = like.delimiter if like else "\t" if tabs_first else ","
    delimiter = _recognise(text, usual)
    if delimiter != ",":
      notes.append(f"separator: {_NAMES.get(delimiter, delimiter)}")
  rows, lines = [], []
  for row, line in _rows(text, delimiter):
    rows.append(row)
    lines.append(line + skipped)
  if not rows:
    raise ValueError("is empty: it needs rows of features and a target.")
  if text.lstrip()[0] in "[{<":
    raise ValueError("looks like JSON or a web page, not like a table: save it as CSV.")
  _require_width(rows, lines, delimiter, min_columns)
  if decimal is None:
    decimal, note = _decimal(rows, delimiter, like)
    notes += note
  if header is None and like is not None:
    header = like.header
  elif header is None:
    header, note = _has_header(rows, decimal, wanted)
    notes += note
  names = [f"column {place}" for place in range(len(rows[0]))]
  if header:
    names = [" ".join(given.split()) or name for given, name in zip(rows[0], names)]  # of one line
    rows, lines = rows[1:], lines[1:]
    if not rows:
      raise ValueError("has a header, but no rows of data.")
  return TextTable(rows, names, lines, Written(delimiter, header, decimal), notes)


def _require_one_character(delimiter: str | None) -> None:
  if delimiter is not None and (len(delimiter) != 1 or delimiter in "\r\n\""):
    raise ValueError(
        f"cannot be split by the delimiter {delimiter!r}: it must be one character, or 'tab' or "
        "'spaces'.")


def _require_width(
    rows: Sequence[Sequence[str]], lines: Sequence[int], delimiter: str, least: int) -> None:
  """Refuses too few columns, and rows of another length than the first."""
  width = len(rows[0])
  if width < least:
    raise ValueError(_one_column(rows[0][0], lines[0], delimiter))
  for row, line in zip(rows, lines):
    if len(row) != width:
      raise ValueError(f"line {line}: {len(row)} cells, but the first line has {width}.")


def _one_column(first: str, line: int, delimiter: str) -> str:
  """Why a text whose first line is one cell is no table, and how to mend it."""
  if first.startswith("#"):
    return f"line {line} is a comment, {_shortened(first)!r}: remove the lines above the table."
  return (
      f"has one column, {_shortened(first)!r}, but needs at least one feature and the target. Is "
      f"the delimiter {delimiter!r} right? Are there lines above the table?")


def _shortened(cell: str) -> str:
  return cell if len(cell) <= _SHOWN else cell[:_SHOWN] + "..."


def _rows(text: str, delimiter: str) -> Iterator[tuple[list[str], int]]:
  """Rows of stripped cells without blank ones, and the line that each ends in."""
  if delimiter == SPACES:
    for number, line in enumerate(text.splitlines(), 1):
      if line.strip():
        yield line.split(), number
    return
  reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
  try:
    for row in reader:
      if len(row) > 1 or (row and row[0].strip()):
        yield [cell.strip() for cell in row], reader.line_num
  except csv.Error as error:
    raise ValueError(f"line {reader.line_num}: {error}.") from error


def _recognise(text: str, usual: str) -> str:
  """The separator that splits the first lines into equally many cells, most of them numbers."""
  def merit(separator: str) -> tuple[bool, bool, float, float, int]:
    try:
      rows = [row for row, _ in itertools.islice(_rows(text, separator), _SAMPLE)]
    except ValueError:
      return False, False, 0.0, 0.0, 0
    widths = [len(row) for row in rows]
    width = max(set(widths), key=widths.count) if widths else 0
    if width < 2:
      return False, False, 0.0, 0.0, 0
    alike = widths.count(width) / len(widths)
    cells = [cell for row in rows for cell in row]
    numbers = sum(is_number(cell, ",") or is_number(cell, ".") for cell in cells) / len(cells)
    # Spaces may stand in any text: they separate if nothing else does.
    return (
        alike > 0.8 and widths[0] == width, separator != SPACES, round(numbers, 2), alike, width)

  order = (usual, *(separator for separator in _SEPARATORS if separator != usual))
  best = max(order, key=merit)
  return best if merit(best)[-1] else usual


def _decimal(
    rows: Sequence[Sequence[str]], delimiter: str, like: Written | None) -> tuple[str, list[str]]:
  """The decimal mark of rows, and a note on it."""
  if like is not None:
    return _decimal_like(rows, like.decimal), []
  rows = rows[:_SAMPLE]
  with_comma = [cell for row in rows for cell in row if "," in cell and _comma_number(cell)]
  if not with_comma:
    return ".", []
  # Quoted between commas 1,200 is a number of thousands rather than one of three decimals.
  if all(_THOUSANDS.match(cell) for cell in with_comma) and (delimiter == "," or any(
      cell.count(",") > 1 or "." in cell for cell in with_comma)):
    return ".", [f"thousands are marked by commas, as in {with_comma[0]}"]
  return ",", [f"decimal commas, as in {with_comma[0]}"]


def _decimal_like(rows: Sequence[Sequence[str]], usual: str) -> str:
  """The decimal mark of rows: the usual one, unless a number says otherwise."""
  cells = [cell for row in rows for cell in row]
  commas = [cell for cell in cells if "," in cell and _comma_number(cell)]
  if not all(_THOUSANDS.match(cell) for cell in commas):
    return ","
  points = [cell for cell in cells if "." in cell and "," not in cell and _PLAIN.match(cell)]
  if usual == "," and not all(_POINT_THOUSANDS.match(cell) for cell in points):
    return "."
  return usual


def _comma_number(cell: str) -> bool:
  return bool(_DECIMAL_COMMA.match(cell) or _THOUSANDS.match(cell))


def is_number(cell: str, decimal: str) -> bool:
  """Whether a cell is a number, "nan" and "inf" among them."""
  if decimal == ",":
    return bool(
        _PLAIN.match(cell) or _DECIMAL_COMMA.match(cell) or _POINT_THOUSANDS.match(cell))
  return bool(_PLAIN.match(cell) or _THOUSANDS.match(cell))


def are_codes(cells: Iterable[str]) -> bool:
  """Whether the cells of a column are digits that stand for something, as zip codes do.

  Some begin with 0, as numbers do not, and all are of one length or many begin so: a single 05 may
  be a number that was written carelessly.
  """
  numeric = [cell for cell in cells if _PLAIN.match(cell) and cell.lower() not in MISSING]
  num_codes = sum(bool(_CODE.match(cell)) for cell in numeric)
  return num_codes > 0 and all(map(str.isdigit, numeric)) and (
      len(set(map(len, numeric))) == 1 or _MANY_CODES * num_codes > len(numeric))


def numbers(cells: Sequence[str], decimal: str) -> np.ndarray:
  """Cells that `is_number` of this mark, as [N] float64; missing ones are NaN."""
  # Beside decimal commas 1.200 is a number of thousands, if no 0.5 in the column says otherwise.
  thousands = decimal == "," and all(
      _POINT_THOUSANDS.match(cell) for cell in cells if "." in cell and "," not in cell)

  def plain(cell: str) -> str:
    if cell in MISSING:
      return "nan"
    if decimal == "," and ("," in cell or thousands):
      return cell.replace(".", "").replace(",", ".")
    return cell.replace(",", "")

  return np.array([float(plain(cell)) for cell in cells], np.float64)


def _has_header(
    rows: Sequence[Sequence[str]], decimal: str, wanted: str | None) -> tuple[bool, list[str]]:
  """Whether the first row holds names, by how it differs from those below it."""
  first, below = rows[0], rows[1:_SAMPLE]
  if wanted is not None and wanted in first and not (
      wanted.isdigit() and int(wanted) < len(first)):
    return True, []  # it can be no index
  votes = [_vote(name, [row[place] for row in below], decimal) for place, name in enumerate(first)]
  yes, no = any(vote > 0 for vote in votes), any(vote < 0 for vote in votes)
  whole = [name for name in first if name.isdigit()]
  distinct = len(set(first)) == len(first)
  if yes and no:  # some are numbers, which names may be if all differ
    header = distinct and all(name in whole or re.match(r"[^\W\d]", name) for name in first)
  elif yes:
    header = True
  elif no or len(whole) == len(first):
    header = len(whole) == len(first) and distinct and bool(below) and (
        _counts(whole) or not no)
  else:
    header = not all(is_number(name, decimal) for name in first)
  if header and whole:
    return True, [
        f"the first line was taken for names although {', '.join(whole[:4])} are numbers; "
        "--header=no says otherwise"]
  if not header:
    return False, ["no names in the first line: columns are called 'column 0', 'column 1', ..."
                   " (--header=yes says otherwise)"]
  return True, []


def _counts(whole: Sequence[str]) -> bool:
  """Whether numbers follow each other, as years and indices do."""
  values = [int(name) for name in whole]
  return len(values) > 2 and values == list(range(values[0], values[0] + len(values)))


def _vote(name: str, below: Sequence[str], decimal: str) -> int:
  """Whether a cell looks like a name beside those below it: 1 yes, -1 no, 0 it cannot be told."""
  known = [cell for cell in below if cell not in MISSING]
  if not known or name in MISSING:
    return 0
  numeric = sum(is_number(cell, decimal) for cell in known) / len(known)
  if numeric > 0.8:
    if not is_number(name, decimal):
      return 1
    mark = "[.,eE]"
    fractions = sum(bool(re.search(mark, cell)) for cell in known) / len(known)
    return 0 if fractions > 0.9 and name.isdigit() else -1
  if is_number(name, decimal):
    return 0
  return -1 if name in known else 0
