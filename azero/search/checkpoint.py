"""The file that a stopped run is continued from.

A state is a nested dictionary whose leaves are NumPy arrays and JSON values. Here it becomes
one file that `numpy.load` reads as well: a zip archive of the arrays and of `state.json`,
which holds the rest. Its comment ends with the SHA-256 of everything before, so that damage
anywhere is noticed. The file is replaced in one step: a stop at any moment leaves the old one
or the new one.

What a state means is none of this module's business: see `Search.state` and `runner`.
"""

from collections.abc import Mapping
import hashlib
import io
import json
import os
import pathlib
from typing import Any, BinaryIO
import zipfile

import numpy as np

VERSION = 1

_DIGITS = 64  # of a SHA-256
_COMMENT = "azero checkpoint {:04d} sha256 "
_ARRAY = "$array"  # stands in state.json for an array, with its name


class CheckpointError(ValueError):
  """A file that no run can be continued from: says what, where and what to do."""


def save(path: str | os.PathLike, state: Mapping[str, Any]) -> None:
  """Writes or replaces a checkpoint in one step.

  Args:
    path: where.
    state: nested dictionaries of arrays and JSON values; names without "/" or "$".

  Raises:
    OSError: it cannot be written; then the old one is still there.
    TypeError, ValueError: a leaf that is neither an array of numbers nor a JSON value.
  """
  path = pathlib.Path(path)
  temporary = path.with_name(path.name + ".tmp")
  try:
    with open(temporary, "w+b") as file:
      _write(file, state)
      os.fsync(file.fileno())
    temporary.replace(path)
  finally:
    temporary.unlink(missing_ok=True)
  if os.name == "posix":  # elsewhere a directory cannot be opened
    directory = os.open(path.parent, os.O_RDONLY)
    try:
      os.fsync(directory)
    finally:
      os.close(directory)


def load(path: str | os.PathLike) -> dict[str, Any]:
  """Reads a checkpoint.

  Args:
    path: where.

  Returns:
    The state as it was saved.

  Raises:
    FileNotFoundError: there is none.
    CheckpointError: a damaged or foreign file, or one of another version.
  """
  path = pathlib.Path(path)
  try:
    with open(path, "rb") as file:
      _check(path, file)
      file.seek(0)
      with zipfile.ZipFile(file) as archive:
        arrays = {
            name: _read_array(archive, name)
            for name in archive.namelist() if name.endswith(".npy")}
        return _join(json.loads(archive.read("state.json")), arrays)
  except FileNotFoundError:
    raise FileNotFoundError(
        f"There is no checkpoint '{path}', so that there is nothing to continue: start a new "
        "run.") from None


def _write(file: BinaryIO, state: Mapping[str, Any]) -> None:
  with zipfile.ZipFile(file, "w") as archive:
    arrays: dict[str, np.ndarray] = {}
    archive.writestr("state.json", json.dumps(_split(state, "", arrays), allow_nan=False))
    for name, array in arrays.items():
      with archive.open(name, "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)
    archive.comment = (_COMMENT.format(VERSION) + "0" * _DIGITS).encode()
  file.seek(0, io.SEEK_END)
  size = file.tell() - _DIGITS
  digest = _digest(file, size)
  file.seek(size)
  file.write(digest)
  file.flush()


def _check(path: pathlib.Path, file: BinaryIO) -> None:
  """Checks from the outside that the file is a whole checkpoint of this version."""
  archive = file.read(4) == b"PK\x03\x04"
  comment = _COMMENT.format(VERSION).encode()
  size = file.seek(0, io.SEEK_END) - _DIGITS
  file.seek(max(size - len(comment), 0))
  found, digest = file.read(len(comment)), file.read(_DIGITS)
  if not archive:
    raise CheckpointError(
        f"'{path}' is no checkpoint of azero, or its beginning is destroyed. {_MEND}")
  prefix = _COMMENT.encode().partition(b"{")[0]
  if not found.startswith(prefix):
    raise CheckpointError(
        f"The checkpoint '{path}' is damaged, or none of azero: its end is missing. {_MEND}")
  if digest != _digest(file, size):
    raise CheckpointError(
        f"The checkpoint '{path}' is damaged: its content does not match its checksum. {_MEND}")
  if found != comment:
    version = int(found.removeprefix(prefix).split()[0])
    raise CheckpointError(
        f"The checkpoint '{path}' is of version {version} of the format, this azero reads "
        f"version {VERSION}: continue the run with the azero that began it.")


_MEND = (
    "Put a copy of the file back if there is one. Else this run cannot be continued: what it "
    "found is in hall_of_fame.json and improvements.jsonl beside it, and its settings, to start "
    "anew, are in config.json.")


def _digest(file: BinaryIO, size: int) -> bytes:
  """SHA-256 of the first bytes of a file, as hexadecimal digits."""
  file.seek(0)
  result = hashlib.sha256()
  while size > 0:
    block = file.read(min(size, 1 << 20))
    result.update(block)
    size -= len(block)
  return result.hexdigest().encode()


def _split(node: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
  """A copy of a state in which names stand for the arrays, and the arrays by name."""
  if isinstance(node, np.ndarray):
    arrays[f"{name}.npy"] = node
    return {_ARRAY: f"{name}.npy"}
  if isinstance(node, Mapping):
    for key in node:
      if not isinstance(key, str) or set(key) & set("/$"):
        raise TypeError(f"A state has the key {key!r}; keys are strings without '/' and '$'.")
    return {key: _split(value, f"{name}/{key}" if name else key, arrays)
            for key, value in node.items()}
  return node


def _join(node: Any, arrays: Mapping[str, np.ndarray]) -> Any:
  if not isinstance(node, dict):
    return node
  if _ARRAY in node:
    return arrays[node[_ARRAY]]
  return {key: _join(value, arrays) for key, value in node.items()}


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
  with archive.open(name) as member:
    return np.lib.format.read_array(member, allow_pickle=False)
