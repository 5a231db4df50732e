"""The states that a stopped run is continued from: numbered versions in a directory.

A version appears when it is complete, and the newest few are kept. Damage anywhere in one is
noticed when it is loaded, and the version before it is taken instead. What a version consists
of is said in `checkpoint_files`.

What a state means is none of this module's business: see `Search.state` and `runner`.
"""

from collections.abc import Mapping
import concurrent.futures
import os
import pathlib
import shutil
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from azero import files, memory, paths
from azero.runs import manifest, packing
from azero.runs.manifest import CheckpointError, NoRoomError

__all__ = ["CheckpointError", "Checkpoints", "Loaded"]

_DIGITS = 8  # of the name of a version, so that names sort


class Loaded(NamedTuple):
  """A state, and how it was come by.

  Attributes:
    version: its number.
    state: as it was saved.
    info: what was noted of it.
    damaged: newer versions that cannot be used, and why: "version 12: ...".
  """

  version: int
  state: dict[str, Any]
  info: dict[str, Any]
  damaged: list[str]


class Checkpoints:
  """Saves and loads the versions of one directory. One process at a time may save.

  A context manager: it waits for what is being written.

  Attributes:
    path: of the directory.
    schema: of the states, kept with each; those of another are not loaded.
    keep: how many versions are kept.
    newest: the number and the note of the newest version that was saved or loaded here, or
      None.
  """

  def __init__(self, path: str | os.PathLike, *, schema: int, keep: int = 3):
    """Touches nothing yet.

    Args:
      path: of the directory; made by the first `save`.
      schema: of the states.
      keep: how many versions are kept; at least 1.
    """
    self.path = pathlib.Path(os.path.abspath(paths.expand(path)))
    self.schema = schema
    self.keep = keep
    self.newest: tuple[int, dict[str, Any]] | None = None
    self._writer: concurrent.futures.ThreadPoolExecutor | None = None
    self._writing: concurrent.futures.Future[None] | None = None
    self._last = 0  # number of the last version that was begun here

  def __enter__(self) -> "Checkpoints":
    return self

  def __exit__(
      self, kind: type[BaseException] | None, error: BaseException | None,
      trace: TracebackType | None,
  ) -> None:
    if self._writer is not None:
      self._writer.shutdown()
      self._writer = None
    if kind is None:
      self.wait()

  def versions(self) -> list[int]:
    """The numbers of the complete versions, whole or damaged, in order; starts no device."""
    if not self.path.is_dir():
      return []
    return sorted(int(path.name) for path in self.path.iterdir() if path.name.isdecimal())

  def info(self, version: int) -> dict[str, Any]:
    """What was noted of a version; starts no device.

    Raises:
      CheckpointError: there is no such version, or the note is damaged.
    """
    return manifest.read(self.directory(version))

  def save(
      self, state: Mapping[str, Any], info: Mapping[str, Any] | None = None, *,
      wait: bool = True,
  ) -> int:
    """Adds a version, and removes the oldest if there are more than `keep`.

    Args:
      state: nested dictionaries of arrays and JSON values, names without "$". It is copied,
        and may change as soon as this returns.
      info: JSON values to be noted beside it.
      wait: False to write while the caller goes on; then an error comes up at the next call
        of `save`, `poll` or `wait`.

    Returns:
      The number of the version.

    Raises:
      OSError: this version or the last cannot be written; nothing is left of it, and those
        before it are as they were.
      TypeError, ValueError: a leaf that is neither an array of numbers nor a JSON value.
    """
    data, text = packing.pack(state)
    self.wait()
    self._last = max([self._last, *self.versions()]) + 1
    note = {"schema": self.schema, **(info or {})}
    if self._writer is None:
      self._writer = concurrent.futures.ThreadPoolExecutor(1, "checkpoints")
    self._writing = self._writer.submit(self._write, self._last, data, text, note)
    if wait:
      self.wait()
    return self._last

  def poll(self) -> None:
    """Raises the error of a version that could not be written; does not wait for one."""
    if self._writing is not None and self._writing.done():
      self.wait()

  def wait(self) -> None:
    """Waits until everything is written.

    Raises:
      OSError: see `save`.
    """
    writing, self._writing = self._writing, None
    if writing is not None:
      writing.result()

  def load(self) -> Loaded:
    """Reads the newest version that is whole.

    Raises:
      FileNotFoundError: there is no version.
      NoRoomError: there is too little memory at present.
      OSError: files cannot be read at present, such as without permission.
      CheckpointError: none is whole, or none of this schema.
    """
    self.wait()
    from azero.runs import checkpoint_files

    damaged: list[str] = []
    for version in reversed(self.versions()):
      path = self.directory(version)
      try:
        info = self._checked(path)
        state = packing.unpack(*checkpoint_files.read(path))
      except (MemoryError, NoRoomError) as error:
        # An older version would be as large, and this one would be dropped for it.
        reason = f": {error}" if isinstance(error, NoRoomError) else ""
        raise NoRoomError(
            f"There is too little memory to read the checkpoint '{path}'{reason}. End what else "
            "takes memory, or continue on a larger machine. Nothing was changed.") from error
      except (CheckpointError, OSError) as error:
        if getattr(error, "errno", None) in manifest.PASSING:
          raise
        damaged.append(f"version {version}: {error}")
      except ValueError as error:
        damaged.append(f"version {version}: its state is damaged: {error}")
      else:
        self.newest = version, info
        return Loaded(version, state, info, damaged)
    if not damaged:
      raise FileNotFoundError(
          f"There is no checkpoint in '{self.path}', so that there is nothing to continue: "
          "start a new run.")
    raise CheckpointError(
        f"No checkpoint in '{self.path}' can be used ({'; '.join(damaged)}). Put a copy of that "
        "directory back if there is one. Else this run cannot be continued: what it found is in "
        "hall_of_fame.json and improvements.jsonl beside it, and its settings, to start anew, "
        "are in config.json.")

  def drop_after(self, version: int) -> None:
    """Removes newer versions than this one, from which a run goes on."""
    for other in self.versions():
      if other > version:
        shutil.rmtree(self.directory(other))
        self._last = max(self._last, other)

  def _checked(self, path: pathlib.Path) -> dict[str, Any]:
    info = manifest.read(path)
    if info.get("schema") != self.schema:
      raise CheckpointError(
          f"saved by another version of azero, in schema {info.get('schema')}, while this one "
          f"reads schema {self.schema}")
    manifest.check(path)
    return info

  def _write(
      self, version: int, data: np.ndarray, text: str, info: Mapping[str, Any]
  ) -> None:
    from azero.runs import checkpoint_files

    if not self.path.is_dir():
      files.make_directory(self.path)
    self._remove_unfinished(checkpoint_files.UNFINISHED)
    try:
      checkpoint_files.write(self.directory(version), data, text, info)
    except BaseException:
      self._remove_unfinished(checkpoint_files.UNFINISHED)
      raise
    self.newest = version, dict(info)
    for old in self.versions()[: -self.keep]:
      shutil.rmtree(self.directory(old))
    memory.give_back()

  def _remove_unfinished(self, suffix: str) -> None:
    """Removes what a save that failed or was killed has left."""
    for path in self.path.glob(f"*{suffix}*"):
      shutil.rmtree(path)

  def directory(self, version: int) -> pathlib.Path:
    """Where a version is, or would be."""
    return self.path / f"{version:0{_DIGITS}}"
