"""Paths as people give them, and where azero keeps what it can make again."""

import atexit
import functools
import os
import pathlib
import shutil
import sys
import tempfile

_MOST_BYTES_OF_A_NAME, _MOST_BYTES = 255, 4095  # of a path that systems take


def expand(path: str | os.PathLike) -> pathlib.Path:
  """A path with `~` in front as the home directory.

  Raises:
    ValueError: there is no such home directory, or no system takes so long a path.
  """
  path = pathlib.Path(path)
  try:
    path = path.expanduser()
  except RuntimeError:
    raise ValueError(
        f"'{path}' cannot be found: there is no home directory. Set HOME, or write the path "
        "without '~'.") from None
  longest = max((len(os.fsencode(part)) for part in path.parts), default=0)
  if longest > _MOST_BYTES_OF_A_NAME or len(os.fsencode(path)) > _MOST_BYTES:
    raise ValueError(
        f"The path '{str(path)[:40]}...' is too long, {len(str(path)):,} letters: shorten it.")
  return path


def cache_directory() -> pathlib.Path:
  """Where azero keeps what it can make again: $AZERO_CACHE_DIR or ~/.cache/azero.

  Where that cannot be written, or without a home directory, it is one that goes when the process
  ends; that is said once.
  """
  return _usable(os.environ.get("AZERO_CACHE_DIR") or "~/.cache/azero")


@functools.cache
def _usable(chosen: str) -> pathlib.Path:
  try:
    directory = expand(chosen)
  except ValueError:
    return _passing("there is no home directory")
  try:
    directory.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    return _passing(f"'{directory}' cannot be made ({error.strerror})")
  if not os.access(directory, os.W_OK | os.X_OK):
    return _passing(f"'{directory}' cannot be written")
  return directory


def _passing(reason: str) -> pathlib.Path:
  # A name that others cannot guess: executables are loaded from here.
  directory = tempfile.mkdtemp(prefix="azero-")
  atexit.register(shutil.rmtree, directory, ignore_errors=True)
  print(f"warning: {reason} to keep compiled code and tasks in between runs; set HOME or "
        "AZERO_CACHE_DIR.", file=sys.stderr)
  return pathlib.Path(directory)
