"""A lock on a run directory, so that one process at a time is at the run."""

from collections.abc import Iterator
import contextlib
import errno
import os
import pathlib
import sys
import time

if sys.platform != "win32":
  import fcntl

_ATTEMPTS, _PAUSE = 3, 0.05


@contextlib.contextmanager
def locked(path: pathlib.Path) -> Iterator[None]:
  """Keeps other processes from a directory, as long as they ask.

  Raises:
    BlockingIOError: another one has it.
  """
  if sys.platform == "win32":
    yield
    return
  handle = os.open(path, os.O_RDONLY)
  try:
    if not _lock(handle):
      raise BlockingIOError(
          f"The run in '{path}' is under way in another process: wait for its end or stop it "
          "with Ctrl-C.")
    yield
  finally:
    os.close(handle)


def _lock(handle: int) -> bool:
  """Whether nobody else has the lock."""
  for _ in range(_ATTEMPTS):
    try:
      fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
      if error.errno != errno.EWOULDBLOCK:
        return True  # some network file systems know no locks: then nobody is kept out
      # Who only looks whether the run is under way holds the lock for a moment.
      time.sleep(_PAUSE)
    else:
      return True
  return False


def is_locked(path: pathlib.Path) -> bool:
  """Whether a process has a directory."""
  if sys.platform == "win32":
    return False
  handle = os.open(path, os.O_RDONLY)
  try:
    fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
  except BlockingIOError:
    return True
  except OSError:  # a file system without locks
    return False
  finally:
    os.close(handle)  # gives the lock back
  return False
