"""How one version of a checkpoint is written and read, by Orbax.

    manifest.json        what belongs to the version, with checksums, see `manifest`
    state.json           the state, without its arrays, see `packing`
    arrays/              the arrays, one for each type of number, in Zarr format
    (others)             Orbax's own notes, in which nothing of the state lies

Orbax writes a version beside its place and renames it when it is complete. Importing Orbax
takes about a second, and using it starts JAX's devices; so this module is imported when a
checkpoint is first saved or loaded.
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

from azero.search import manifest

UNFINISHED = ".orbax-checkpoint-tmp"  # ends the name of a version that is being written

_STATE = "state.json"
_ARRAYS = "arrays"
_NOTES = ("_CHECKPOINT_METADATA", "commit_success.txt")  # Orbax writes these at the very end
_SYSTEM_ERROR = re.compile(r"os_error_code='(\d+)'")


def write(
    path: pathlib.Path, arrays: Mapping[str, np.ndarray], text: str, info: Mapping[str, Any]
) -> None:
  """Writes a version, which appears when it is complete.

  Args:
    path: absolute; there is nothing yet.
    arrays: of `packing.pack`.
    text: likewise.
    info: goes into the manifest.

  Raises:
    OSError: it cannot be written; what is left of it ends in UNFINISHED.
  """
  with _plain_errors():
    ocp.Checkpointer(_Version()).save(path, args=_SaveArgs(arrays, text, info))
    _sync_directory(path.parent)


def read(path: pathlib.Path) -> tuple[dict[str, np.ndarray], str]:
  """The arrays and the text of a version that the manifest was found to fit.

  Raises:
    OSError: it cannot be read.
  """
  with _plain_errors():
    return ocp.Checkpointer(_Version()).restore(path, args=_RestoreArgs())


class _Version(ocp.CheckpointHandler):
  """Puts the files of a version into the directory that Orbax gives, and reads them."""

  def __init__(self) -> None:
    # Plain Zarr files: OCDBT, the default, writes everything twice.
    self._arrays = ocp.PyTreeCheckpointHandler(use_ocdbt=False)

  def save(self, directory: Any, args: "_SaveArgs") -> None:
    place = pathlib.Path(directory)
    with open(place / _STATE, "w", encoding="utf-8") as file:
      file.write(args.text)
      file.flush()
      os.fsync(file.fileno())
    if args.arrays:
      (directory / _ARRAYS).mkdir()
      self._arrays.save(directory / _ARRAYS, args=ocp.args.PyTreeSave(dict(args.arrays)))
    manifest.write(place, args.info, ignore=_NOTES)

  def restore(self, directory: Any, args: "_RestoreArgs") -> tuple[dict[str, np.ndarray], str]:
    text = (pathlib.Path(directory) / _STATE).read_text(encoding="utf-8")
    place = directory / _ARRAYS
    if not place.exists():
      return {}, text
    names = [file.name for file in place.iterdir() if file.is_dir()]
    as_they_were = {name: ocp.RestoreArgs(restore_type=np.ndarray) for name in names}
    return self._arrays.restore(
        place, args=ocp.args.PyTreeRestore(restore_args=as_they_were)), text


@ocp.args.register_with_handler(_Version, for_save=True)
@dataclasses.dataclass
class _SaveArgs(ocp.args.CheckpointArgs):
  arrays: Mapping[str, np.ndarray]
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


def _sync_directory(path: pathlib.Path) -> None:
  """Makes sure that the names in a directory are on the disk."""
  if os.name != "posix":  # elsewhere a directory cannot be opened
    return
  handle = os.open(path, os.O_RDONLY)
  try:
    os.fsync(handle)
  finally:
    os.close(handle)
