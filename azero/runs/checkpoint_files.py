"""How one version of a checkpoint is written and read, by Orbax.

    manifest.json        what belongs to the version, with checksums, see `manifest`
    state.json           the state, without its arrays, see `packing`
    arrays/              its arrays, as one of bytes in Zarr format
    (others)             Orbax's own notes, in which nothing of the state lies

Orbax writes a version beside its place and renames it when it is complete; all but Orbax's
notes is on the disk by then. Importing Orbax takes about a second, and using it starts JAX's
devices; so this module is imported when a checkpoint is first saved or loaded.
"""

from collections.abc import Iterator, Mapping
import contextlib
import dataclasses
import logging
import os
import pathlib
import re
from typing import Any

import numpy as np
import orbax.checkpoint as ocp
import psutil

from azero import files
from azero.runs import manifest, packing
from azero.runs.manifest import CheckpointError, NoRoomError

UNFINISHED = ".orbax-checkpoint-tmp"  # ends the name of a version that is being written

_CHUNK_BYTES = 1 << 26  # compressed at once; small enough for several cores to share the work
_STATE = "state.json"
_ARRAYS = "arrays"
_CHECKPOINT = "checkpoint"  # in it, as Orbax names an array
# What stands in `.zarray` of the array, beside its shape, its chunks and its compressor.
_ZARR = {
    "dimension_separator": ".", "dtype": "|u1", "fill_value": None, "filters": None, "order": "C",
    "zarr_format": 2}
_NOTES = ("_CHECKPOINT_METADATA", "commit_success.txt")  # Orbax writes these at the very end
_SYSTEM_ERROR = re.compile(r"os_error_code='(\d+)'")


def write(path: pathlib.Path, data: np.ndarray, text: str, info: Mapping[str, Any]) -> None:
  """Writes a version, which appears when it is complete.

  Args:
    path: absolute; there is nothing yet.
    data: [n] uint8, of `packing.pack`.
    text: likewise.
    info: goes into the manifest.

  Raises:
    OSError: it cannot be written; what is left of it ends in UNFINISHED.
  """
  with _plain_errors():
    ocp.Checkpointer(_Version()).save(path, args=_SaveArgs(data, text, info))
    files.sync_directory(path.parent)


def read(path: pathlib.Path) -> tuple[np.ndarray, str]:
  """The data and the text of a version that the manifest was found to fit.

  Raises:
    OSError: it cannot be read.
    MemoryError, NoRoomError: there is too little memory for it.
    CheckpointError: it is not of the form that `write` gives it, whatever its checksums.
  """
  try:
    with _plain_errors():
      return ocp.Checkpointer(_Version()).restore(path, args=_RestoreArgs())
  except (CheckpointError, MemoryError, OSError):
    raise
  except Exception as error:  # the storage lets through those of several parsers
    raise CheckpointError(
        f"{_ARRAYS} cannot be read ({files.shortened(str(error))})") from error


class _Version(ocp.CheckpointHandler):
  """Puts the files of a version into the directory that Orbax gives, and reads them."""

  def __init__(self) -> None:
    self._array = ocp.ArrayCheckpointHandler()

  def save(self, directory: Any, args: "_SaveArgs") -> None:
    place = pathlib.Path(directory)
    (place / _STATE).write_text(args.text, encoding="utf-8")
    if args.data.size:  # the storage refuses an array without elements
      (place / _ARRAYS).mkdir()
      self._array.save(directory / _ARRAYS, args=ocp.args.ArraySave(
          args.data, save_args=ocp.SaveArgs(chunk_byte_size=_CHUNK_BYTES)))
    manifest.write(place, args.info, ignore=_NOTES)
    files.sync_tree(place)  # the storage syncs the arrays, and not what it notes of them

  def restore(self, directory: Any, args: "_RestoreArgs") -> tuple[np.ndarray, str]:
    place = pathlib.Path(directory)
    try:
      text = files.read_text(place / _STATE)
      num_bytes = packing.size_of(text)
    except (RecursionError, ValueError) as error:
      raise CheckpointError(f"{_STATE} is damaged: {files.shortened(str(error))}") from None
    if not num_bytes:
      return np.zeros(0, np.uint8), text
    _check_arrays(place / _ARRAYS, num_bytes)
    return self._array.restore(directory / _ARRAYS, args=ocp.args.ArrayRestore(
        restore_args=ocp.RestoreArgs(restore_type=np.ndarray))), text


def _check_arrays(place: pathlib.Path, num_bytes: int) -> None:
  """Refuses arrays that are not stored as `write` stores so many bytes, or do not fit the memory.

  The storage believes what its files claim: a few bytes of them could claim terabytes.

  Raises:
    CheckpointError: they are not.
    NoRoomError: there is too little memory for them.
    OSError: a file cannot be read.
  """
  wrong = CheckpointError(f"{_ARRAYS} does not hold the arrays of {_STATE}")
  try:
    told = files.parse_json((place / _CHECKPOINT / ".zarray").read_bytes())
    chunk = told.pop("chunks")[0]
    compressor = told.pop("compressor")
  except (ValueError, LookupError, AttributeError, TypeError):
    raise wrong from None
  if told != _ZARR | {"shape": [num_bytes]} or type(chunk) is not int or not (
      0 < chunk <= _CHUNK_BYTES) or not isinstance(compressor, dict) or (
      compressor.get("id") != "zstd"):
    raise wrong
  if num_bytes > psutil.virtual_memory().available:
    raise NoRoomError(f"the arrays in '{place}' take {num_bytes / 1e9:.3g} GB")
  for number in range(-(-num_bytes // chunk)):
    if not (place / _CHECKPOINT / str(number)).is_file():
      raise wrong


@ocp.args.register_with_handler(_Version, for_save=True)
@dataclasses.dataclass
class _SaveArgs(ocp.args.CheckpointArgs):
  data: np.ndarray
  text: str
  info: Mapping[str, Any]


@ocp.args.register_with_handler(_Version, for_restore=True)
@dataclasses.dataclass
class _RestoreArgs(ocp.args.CheckpointArgs):
  pass


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
  """Turns errors of the storage into those of the system.

  They come as ValueErrors, and are logged with their tracebacks at several places.
  """
  log = logging.getLogger("absl")
  log.addFilter(_is_foreign)
  try:
    yield
  except ValueError as error:
    code = _SYSTEM_ERROR.search(str(error))
    if code is None:
      raise
    number = int(code.group(1))
    raise OSError(number, os.strerror(number)) from error
  finally:
    log.removeFilter(_is_foreign)


def _is_foreign(record: logging.LogRecord) -> bool:
  """Whether a line of the log is not of Orbax."""
  return f"{os.sep}orbax{os.sep}" not in record.pathname
