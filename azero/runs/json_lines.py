"""Files of JSON lines, to which a run adds while it goes on."""

from collections.abc import Iterable, Mapping
import json
import os
import pathlib
from typing import Any


def append(path: pathlib.Path, rows: Iterable[Mapping[str, Any]]) -> None:
  """Adds a line for each row; makes the file if there are rows and none is there.

  Raises:
    OSError: it cannot be written; then it is as it was, without a half of a line.
    ValueError: a value that JSON does not know.
  """
  lines = [json.dumps(dict(row), allow_nan=False) + "\n" for row in rows]
  if not lines:
    return
  before = size(path)
  try:
    with open(path, "a", encoding="utf-8") as file:
      file.writelines(lines)
  except OSError:
    if path.exists():
      os.truncate(path, before)
    raise


def read(path: pathlib.Path) -> list[dict[str, Any]]:
  """The rows of a file.

  Raises:
    ValueError: names a line that is damaged.
  """
  rows = []
  for number, line in enumerate(path.read_bytes().splitlines(), start=1):
    try:
      rows.append(json.loads(line))
    except ValueError as error:
      raise ValueError(
          f"'{path}' is damaged in line {number} ({error}). Put a copy of the file back, or "
          "start a new run.") from None
  return rows


def size(path: pathlib.Path) -> int:
  """Bytes of a file; 0 if there is none."""
  return path.stat().st_size if path.exists() else 0
