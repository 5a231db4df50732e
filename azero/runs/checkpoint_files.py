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

from azero import files
from azero.runs import manifest

UNFINISHED = ".orbax-checkpoint-tmp"  # ends the name of a version that is being written

_CHUNK_BYTES = 1 << 26  # compressed at once; small enough for several cores to share the work
_STATE = "state.json"
_ARRAYS = "arrays"
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
  """
  with _plain_errors():
    return ocp.Checkpointer(_Version()).restore(path, args=_RestoreArgs())


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
    text = (place / _STATE).read_text(encoding="utf-8")
    if not (place / _ARRAYS).exists():
      return np.zeros(0, np.uint8), text
    return self._array.restore(directory / _ARRAYS, args=ocp.args.ArrayRestore(
        restore_args=ocp.RestoreArgs(restore_type=np.ndarray))), text


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
