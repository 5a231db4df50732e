"""Reads a CSV file of numeric features and one target column, with errors that name lines."""

import csv
import dataclasses
import math
import os

import numpy as np

from azero import paths


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
  """The contents of a CSV file.

  Attributes:
    x: [N, P] float64, finite: every column but the target.
    target: N cells of the target column, as text.
    feature_names: P names, from the header or "column 0", "column 1", ...
    lines: line of the file, from 1, of each row.
  """

  x: np.ndarray
  target: list[str]
  feature_names: tuple[str, ...]
  lines: list[int]


def read_table(
    path: str | os.PathLike, *, target_column: str | int | None = None,
    header: bool | None = None, delimiter: str = ",",
) -> Table:
  """Reads a CSV file.

  Args:
    path: a text file in UTF-8; blank lines are skipped.
    target_column: a name of the header or an index, from 0, negative ones from the end;
      default the last column.
    header: whether the first line holds names; default: it does if no feature of it is a
      number.
    delimiter: the character between cells.

  Returns:
    The table.

  Raises:
    FileNotFoundError: no such file.
    ValueError: names the line and the column, and what is wrong there.
  """
  rows, lines = _read_rows(path, delimiter)
  if not rows:
    raise ValueError(f"{path} is empty: it needs rows of numeric features and a target.")
  width = len(rows[0])
  if width < 2:
    raise ValueError(
        f"{path} has one column, but needs at least one feature and the target. Is the delimiter "
        f"{delimiter!r} right?")
  for row, line in zip(rows, lines):
    if len(row) != width:
      raise ValueError(
          f"{path}, line {line}: {len(row)} cells, but the first line has {width}.")
  names = rows[0]
  target = _find_column(path, target_column, names if header is not False else [], width)
  features = [column for column in range(width) if column != target]
  if header is None:
    named = isinstance(target_column, str) and target_column in names
    header = named or not any(_is_number(rows[0][column]) for column in features)
  if header:
    rows, lines = rows[1:], lines[1:]
    if not rows:
      raise ValueError(f"{path} has a header, but no rows of data.")
  else:
    names = [f"column {column}" for column in range(width)]
  x = np.empty((len(rows), len(features)))
  for i, (row, line) in enumerate(zip(rows, lines)):
    for j, column in enumerate(features):
      x[i, j] = _number(path, line, names[column], row[column])
  return Table(x, [row[target] for row in rows], tuple(names[c] for c in features), lines)


def _read_rows(
    path: str | os.PathLike, delimiter: str) -> tuple[list[list[str]], list[int]]:
  rows, lines = [], []
  try:
    with open(paths.expand(path), newline="", encoding="utf-8-sig") as file:
      reader = csv.reader(file, delimiter=delimiter)
      for row in reader:
        if len(row) > 1 or (row and row[0].strip()):  # else a blank line
          rows.append([cell.strip() for cell in row])
          lines.append(reader.line_num)
  except FileNotFoundError as error:
    raise FileNotFoundError(f"There is no file {path}.") from error
  except (UnicodeDecodeError, csv.Error) as error:
    raise ValueError(f"{path} is not a CSV text file in UTF-8: {error}.") from error
  return rows, lines


def _find_column(
    path: str | os.PathLike, target_column: str | int | None, names: list[str], width: int,
) -> int:
  """Index of the target column, from 0."""
  if target_column is None:
    return width - 1
  if target_column in names:
    return names.index(str(target_column))
  try:
    index = int(target_column)
  except ValueError:
    index = width  # out of range, as any unknown name
  if not -width <= index < width:
    raise ValueError(
        f"{path} has no target column {target_column!r}. Its first line is: {', '.join(names)}; "
        f"give a name of the header or an index from 0 to {width - 1}.")
  return index % width


def _is_number(cell: str) -> bool:
  try:
    float(cell)
  except ValueError:
    return False
  return True


def _number(path: str | os.PathLike, line: int, name: str, cell: str) -> float:
  problem = "is not a number" if cell else "is empty"
  if _is_number(cell):
    if math.isfinite(float(cell)):
      return float(cell)
    problem = "is not finite"
  raise ValueError(
      f"{path}, line {line}, column {name!r}: the cell {cell!r} {problem}; features must be "
      "finite numbers. Fill the value in, or drop the row or the column.")
