"""Keeps computed arrays on disk: made once, checked whenever they are read.

A file is one line of JSON, the manifest (the arguments that the arrays were made from,
their shapes, a checksum), and then the arrays in NumPy's .npz format. Files come into
being by a rename, so processes that make the same one at once do not disturb each other.
"""

from collections.abc import Callable, Mapping
import hashlib
import io
import json
import logging
import pathlib
from typing import Any

import numpy as np

from azero import files
from azero.paths import cache_directory

Arrays = dict[str, np.ndarray]

_log = logging.getLogger(__name__)


def load_or_make(
    name: str, arguments: Mapping[str, Any], make: Callable[[], Arrays]) -> Arrays:
  """The arrays of these arguments, from disk if they are there.

  A damaged file is reported once, to the log, and made again.

  Args:
    name: start of the file's name, for people; the arguments decide.
    arguments: all that the arrays depend on, as JSON can hold it.
    make: makes the arrays.

  Returns:
    The arrays by name.

  Raises:
    OSError: the cache directory cannot be written.
  """
  directory = cache_directory() / "tasks"
  # Before the work, so that a directory that cannot be made is no late surprise.
  directory.mkdir(parents=True, exist_ok=True)
  key = hashlib.sha256(json.dumps(arguments, sort_keys=True).encode()).hexdigest()[:16]
  path = directory / f"{name}-{key}.arrays"
  try:
    return _read(path, arguments)
  except FileNotFoundError:
    pass
  except ValueError as error:
    _log.warning("The cached file %s is damaged: %s. It is made again.", path, error)
  arrays = make()
  _write(path, arguments, arrays)
  return arrays


def _manifest(arguments: Mapping[str, Any], arrays: Arrays, payload: bytes) -> bytes:
  manifest = {
      "arguments": arguments,
      "shapes": {name: array.shape for name, array in arrays.items()},
      "sha256": hashlib.sha256(payload).hexdigest()}
  return json.dumps(manifest, sort_keys=True).encode()


def _read(path: pathlib.Path, arguments: Mapping[str, Any]) -> Arrays:
  line, _, payload = path.read_bytes().partition(b"\n")
  if hashlib.sha256(payload).hexdigest().encode() not in line:
    raise ValueError("its checksum is wrong")
  with np.load(io.BytesIO(payload)) as contents:
    arrays = {name: contents[name] for name in contents.files}
  if line != _manifest(arguments, arrays, payload):
    raise ValueError("its manifest is of something else")
  return arrays


def _write(path: pathlib.Path, arguments: Mapping[str, Any], arrays: Arrays) -> None:
  buffer = io.BytesIO()
  contents: dict[str, Any] = {**arrays}
  np.savez(buffer, **contents)
  payload = buffer.getvalue()
  files.write_whole(path, _manifest(arguments, arrays, payload) + b"\n" + payload)
