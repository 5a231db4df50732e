"""Files that are there as a whole or not at all, whoever looks; and texts that people wrote.

What is written is on the disk only when it was synced: the contents of a file by syncing the
file, its name by syncing the directory that has it. A file that was renamed into its place
before its contents were synced may be there, empty, after a loss of power.
"""

import errno
import json
import os
import pathlib
import re
import secrets
from typing import Any

_ENDLESS = re.compile(r"(\S{40})\S{20,}")
_MOST_DIGITS = 40  # of a whole number, as on the command line: longer ones fit no float
_MOST_SHOWN = 1000  # characters of a message


def write_whole(
    path: pathlib.Path, content: bytes, *, sync: bool = False, only_writer: bool = False
) -> None:
  """Writes or replaces a file in one step: it is written beside its place and then renamed.

  Args:
    path: of the file; its directory exists.
    content: all of it.
    sync: whether it must be on the disk before it takes its place, and its name before this
      returns, so that a crash of the machine leaves neither half of it nor an older one.
    only_writer: whether nobody else writes this file. What a killed process leaves then is
      replaced by the next one; else each writes under a name of its own.

  Raises:
    OSError: it cannot be written; then nothing is left of it, and an old file is as it was.
  """
  name = f"{path.name}.tmp" if only_writer else f".{path.name}-{secrets.token_hex(4)}.tmp"
  temporary = path.with_name(name)
  try:
    with open(temporary, "wb") as file:
      file.write(content)
      if sync:
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
  except BaseException:
    temporary.unlink(missing_ok=True)
    raise
  if sync:
    sync_directory(path.parent)


def require_directory(path: pathlib.Path, setting: str = "") -> None:
  """Refuses what cannot become a directory to write to, and makes nothing yet.

  Args:
    path: of the directory, which need not be there.
    setting: by which it was named, such as "--output_dir: ", for messages.

  Raises:
    ValueError: it or something above it is a file, or may not be written to.
  """
  try:
    there = _first_there(path)
  except OSError as error:
    raise ValueError(f"{setting}'{path}' cannot be reached: {error.strerror}.") from error
  if not there.is_dir():
    raise ValueError(f"{setting}'{there}' is a file, where a directory is needed.")
  if not os.access(there, os.W_OK | os.X_OK):
    raise ValueError(f"{setting}'{there}' may not be written to; name another directory.")


def _first_there(path: pathlib.Path) -> pathlib.Path:
  """The path itself, or the nearest one above it that exists."""
  return next(each for each in (path, *path.absolute().parents) if each.exists())


def make_place(path: pathlib.Path, setting: str = "") -> None:
  """Makes the directory of a file that is to be written.

  Raises:
    ValueError: it cannot be made.
  """
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise ValueError(f"{setting}'{path.parent}' cannot be made: {error.strerror}.") from error


def sync_directory(path: pathlib.Path) -> None:
  """Makes sure that the names in a directory are on the disk, where a directory can be synced.

  Raises:
    OSError: they cannot be written.
  """
  if os.name != "posix":  # elsewhere a directory cannot be opened
    return
  handle = os.open(path, os.O_RDONLY)
  try:
    os.fsync(handle)
  except OSError as error:
    if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # as some network file systems say
      raise
  finally:
    os.close(handle)


def sync_tree(path: pathlib.Path) -> None:
  """Makes sure that all that is in a directory, and below it, is on the disk.

  Raises:
    OSError: something cannot be written.
  """
  for directory, _, names in os.walk(path, topdown=False):
    for name in names:
      with open(os.path.join(directory, name), "rb+") as file:
        os.fsync(file.fileno())
    sync_directory(pathlib.Path(directory))


def make_directory(path: pathlib.Path) -> None:
  """Makes a directory, and those above it that are missing; their names are on the disk.

  Raises:
    FileExistsError: there is something of that name already.
    NotADirectoryError: something above it is a file.
    OSError: it cannot be made.
  """
  above = _first_there(path.parent)
  if not above.is_dir():
    raise NotADirectoryError(f"'{above}' is a file, so that '{path}' cannot be made in it.")
  missing = [each for each in path.parents if not each.exists()]
  path.parent.mkdir(parents=True, exist_ok=True)
  path.mkdir()  # of two processes that want it, one gets it
  for made in (path, *missing):
    sync_directory(made.parent)


def read_text(path: pathlib.Path, *, setting: str = "") -> str:
  """The text of a file in UTF-8.

  Args:
    path: of the file.
    setting: by which it was named, such as "--program: ", for messages.

  Raises:
    ValueError: it is no such text.
    OSError: it cannot be read.
  """
  try:
    return path.read_text(encoding="utf-8")
  except UnicodeDecodeError as error:
    raise ValueError(f"{setting}'{path}' is not a text file in UTF-8 ({error}).") from None


def parse_json(text: str | bytes) -> Any:
  """The value of a JSON text that may be damaged.

  Raises:
    ValueError: it is none, no text in UTF-8, nested too deeply, or has a number without an end.
  """
  try:
    return json.loads(text, parse_int=_whole)
  except RecursionError:
    raise ValueError("it is nested too deeply") from None
  except UnicodeDecodeError as error:
    raise ValueError(f"it is no text: {error.reason}") from None


def _whole(digits: str) -> int:
  if len(digits) > _MOST_DIGITS:
    raise ValueError(f"it has a whole number of {len(digits)} digits")
  return int(digits)


def shortened(message: str) -> str:
  """A message that quotes what people wrote, without the most of endless words and texts."""
  message = _ENDLESS.sub(r"\1...", message)
  if len(message) > _MOST_SHOWN:
    half = _MOST_SHOWN // 2
    message = f"{message[:half]} ... {message[-half:]}"
  return message
