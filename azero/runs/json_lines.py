"""Files of JSON lines, to which a run adds while it goes on."""

from collections.abc import Iterable, Mapping
import json
import os
import pathlib
from typing import Any

from azero import files

_TAIL = 1 << 16  # bytes


def text(rows: Iterable[Mapping[str, Any]]) -> str:
  """A line for each row.

  Raises:
    ValueError: a value that JSON does not know.
  """
  return "".join(json.dumps(dict(row), allow_nan=False) + "\n" for row in rows)


def append(path: pathlib.Path, rows: Iterable[Mapping[str, Any]]) -> None:
  """Adds a line for each row; makes the file if there are rows and none is there.

  Raises:
    OSError: it cannot be written; then it is as it was, without a half of a line.
    ValueError: a value that JSON does not know.
  """
  lines = text(rows)
  if not lines:
    return
  before = size(path)
  try:
    with open(path, "a", encoding="utf-8") as file:
      file.write(lines)
  except OSError:
    if path.exists():
      os.truncate(path, before)
    raise


def read(path: pathlib.Path, *, growing: bool = False) -> list[dict[str, Any]]:
  """The rows of a file.

  Args:
    path: of the file.
    growing: whether a process may be at it: a last line that has no end yet is left out, and
      without a file there are no rows.

  Raises:
    ValueError: names a line that is damaged.
  """
  if growing and not path.exists():
    return []
  *lines, rest = path.read_bytes().split(b"\n")
  if rest and not growing:
    lines.append(rest)
  return [_row(path, line, f"line {number}") for number, line in enumerate(lines, start=1)]


def last(path: pathlib.Path) -> dict[str, Any] | None:
  """The last row of a file that may be growing, if there is one; reads no more than its end.

  Raises:
    ValueError: it is damaged.
  """
  total, taken = size(path), 0
  lines: list[bytes] = []
  while len(lines) < 3 and taken < total:  # a part of a line, the last one, what follows it
    taken = min(total, 2 * taken or _TAIL)
    with open(path, "rb") as file:
      file.seek(total - taken)
      lines = file.read(taken).split(b"\n")
  return _row(path, lines[-2], "its last line") if len(lines) > 1 else None


def _row(path: pathlib.Path, line: bytes, where: str) -> dict[str, Any]:
  try:
    row = files.parse_json(line.decode("utf-8"))
    if not isinstance(row, dict):
      raise ValueError("a JSON dict was expected")
    return row
  except ValueError as error:
    reason = "it is no text" if isinstance(error, UnicodeDecodeError) else str(error)
    raise ValueError(
        f"'{path}' is damaged in {where} ({reason}). Put a copy of the file back, or "
        "start a new run.") from None


def size(path: pathlib.Path) -> int:
  """Bytes of a file; 0 if there is none."""
  return path.stat().st_size if path.exists() else 0
