"""What a process does to the files of a directory, as `strace` tells it, call by call."""

from collections.abc import Iterator
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from support.disk_model import Directory, Disk, File

_CALLS = (
    "open", "openat", "creat", "close", "dup", "dup2", "dup3", "lseek", "write", "pwrite64",
    "writev", "pwritev", "pwritev2", "sendfile", "copy_file_range", "fsync", "fdatasync",
    "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink",
    "unlinkat", "rmdir", "mkdir", "mkdirat", "truncate", "ftruncate", "fallocate")
_LINE = re.compile(r"(\d+) +(.*)")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)")
_STARTED = re.compile(r"(\w+\(.*) <unfinished \.\.\.>")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


def record(command: list[str], log: pathlib.Path, env: dict[str, str]) -> None:
  """Runs a command and logs its calls; skips the test where that is not possible."""
  if shutil.which("strace") is None:
    pytest.skip("strace is not installed, which records what a process writes")
  probe = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, text=True)
  if probe.returncode:
    pytest.skip(f"strace may not trace a process here: {probe.stderr.strip()}")
  options = ["-f", "-xx", "-s", str(1 << 24), "-o", str(log), "-e", f"trace={','.join(_CALLS)}"]
  done = subprocess.run(["strace", *options, *command], env=env, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr


class Replay:
  """Does to a model of a disk what a process did.

  The process has threads, and none of its children touches the disk.

  Attributes:
    disk: the model.
  """

  def __init__(self, disk: Disk):
    self.disk = disk
    self._opened: dict[int, _Opened] = {}

  def run(self, log: pathlib.Path) -> Iterator[tuple[str, str]]:
    """After each call that changed something: its name and the path, or "" for an open file.

    Raises:
      NotImplementedError: a call that the model does not know, on a file of the disk.
    """
    for name, arguments, result in _calls(log):
      if result < 0:
        continue
      if (path := self._do(name, arguments, result)) is not None:
        yield name, path

  def _do(self, name: str, text: str, result: int) -> str | None:
    if name in ("open", "openat", "creat"):
      return self._open(name, text, result)
    if name == "close":
      self._opened.pop(int(text.split(",")[0]), None)
      return None
    if name in ("dup", "dup2", "dup3"):
      assert int(text.split(",")[0]) not in self._opened
      return None
    if name in ("mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat",
                "renameat2", "truncate", "link", "linkat", "symlink", "symlinkat"):
      return self._do_names(name, text)
    opened = self._opened.get(int(text.split(",")[0]))
    return None if opened is None else self._do_file(name, opened, text, result)

  def _open(self, name: str, text: str, number: int) -> str | None:
    path, = self._paths(text)
    self._opened.pop(number, None)
    if not self.disk.has(path):
      return None
    changed = False
    found = self.disk.find(path)
    if found is None:
      parent, own = self.disk.parent(path)
      found = File()
      parent.change({own: found})
      changed = True
    if isinstance(found, File) and ("O_TRUNC" in text or name == "creat"):
      changed |= bool(found.live)
      found.truncate(0)
    self._opened[number] = _Opened(found, path, "O_APPEND" in text)
    return path if changed else None

  def _do_names(self, name: str, text: str) -> str | None:
    paths = self._paths(text)
    if not any(self.disk.has(path) for path in paths):
      return None
    path = paths[0]
    if name in ("rename", "renameat", "renameat2"):
      self.disk.rename(*paths)
    elif name == "truncate":
      self.disk.find(path).truncate(int(text.rsplit(",", 1)[1]))
    else:
      made = {"mkdir": Directory, "mkdirat": Directory}.get(name)
      if made is None and name not in ("rmdir", "unlink", "unlinkat"):
        raise NotImplementedError(f"{name}({text})")
      parent, own = self.disk.parent(path)
      parent.change({own: made() if made else None})
    return path

  def _do_file(self, name: str, opened: "_Opened", text: str, result: int) -> str | None:
    found = opened.found
    if name in ("fsync", "fdatasync"):
      found.sync()
    elif name == "lseek":
      opened.offset = result
      return None
    elif name == "ftruncate":
      found.truncate(int(text.split(",")[1]))
    elif name in ("write", "writev", "pwrite64"):
      data = b"".join(_bytes(part) for part in _STRING.findall(text))[:result]
      assert len(data) == result, text[:200]
      at = int(text.rsplit(",", 1)[1]) if name == "pwrite64" else (
          len(found.live) if opened.append else opened.offset)
      found.write(at, data)
      if name != "pwrite64":
        opened.offset = at + result
    else:
      raise NotImplementedError(f"{name}({text[:200]})")
    return ""

  def _paths(self, text: str) -> list[str]:
    """The absolute paths of a call; each may be relative to an open directory."""
    paths = []
    for match in re.finditer(r'(?:(AT_FDCWD|\d+), )?"((?:\\x[0-9a-f]{2})*)"', text):
      path = os.fsdecode(_bytes(match[2]))
      opened = self._opened.get(int(match[1])) if (match[1] or "A").isdecimal() else None
      paths.append(os.path.join(opened.path, path) if opened is not None else path)
    return paths


class _Opened:
  """An open file or directory."""

  def __init__(self, found: File | Directory, path: str, append: bool):
    self.found, self.path, self.append, self.offset = found, path, append, 0


def _calls(log: pathlib.Path) -> Iterator[tuple[str, str, int]]:
  """Name, arguments and result of every call, in the order of their ends.

  A `close` counts from its beginning: another thread may get its number before it ends.
  """
  started: dict[str, str] = {}
  with open(log, encoding="ascii") as lines:
    for line in lines:
      process, rest = _LINE.match(line.rstrip("\n")).groups()
      if match := _STARTED.match(rest):
        started[process] = match[1]
        if rest.startswith("close("):
          yield "close", match[1].removeprefix("close("), 0
        continue
      if match := _RESUMED.match(rest):
        rest = started.pop(process) + match[1]
        if rest.startswith("close("):
          continue
      if match := _CALL.match(rest):
        yield match[1], match[2], int(match[3])


def _bytes(text: str) -> bytes:
  return bytes.fromhex(text.replace("\\x", ""))
