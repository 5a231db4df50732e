"""The list of what a checkpoint consists of, by which damage is noticed.

A manifest names every file of a directory with its size and SHA-256, and ends with the
SHA-256 of itself. It also holds what one wants to know of a checkpoint without reading its
arrays, so that a run can be inspected quickly and without JAX.
"""

from collections.abc import Iterable, Mapping
import errno
import hashlib
import json
import os
import pathlib
from typing import Any

from azero import files

NAME = "manifest.json"


# Errors of reading that say nothing about what is read.
PASSING = frozenset({
    errno.EACCES, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT})


class CheckpointError(ValueError):
  """Something that no run can be continued from: says what, where and what to do."""


class NoRoomError(CheckpointError):
  """Something whole, for which there is too little memory at present."""


def write(directory: pathlib.Path, info: Mapping[str, Any], *, ignore: Iterable[str]) -> None:
  """Writes the manifest of a directory that is complete but for it; does not sync it.

  Args:
    directory: where.
    info: JSON-compatible.
    ignore: files in it that may change afterwards.

  Raises:
    OSError: it cannot be written.
  """
  described = {name: _describe(directory / name) for name in _files(directory, ignore)}
  body = json.dumps({"info": dict(info), "files": described}, allow_nan=False) + "\n"
  with open(directory / NAME, "w", encoding="utf-8") as file:
    file.write(body + _digest_of(body) + "\n")


def read(directory: pathlib.Path) -> dict[str, Any]:
  """What was noted of a checkpoint; looks at no other file.

  Raises:
    CheckpointError: the manifest is missing or damaged.
    OSError: one of `PASSING`.
  """
  return _read(directory)["info"]


def check(directory: pathlib.Path) -> None:
  """Compares every file with the manifest.

  Raises:
    CheckpointError: names a file that is missing or changed, or the manifest itself.
    OSError: one of `PASSING`.
  """
  for name, described in _read(directory)["files"].items():
    try:
      found = _describe(directory / name)
    except OSError as error:
      if error.errno in PASSING:
        raise
      raise CheckpointError(f"{name} cannot be read ({error.strerror})") from None
    if found["bytes"] != described.get("bytes"):
      raise CheckpointError(
          f"{name} has {found['bytes']} bytes instead of "
          f"{files.shortened(str(described.get('bytes')))}")
    if found != described:
      raise CheckpointError(f"{name} does not match its checksum")


def _read(directory: pathlib.Path) -> dict[str, Any]:
  try:
    content = (directory / NAME).read_bytes()
  except OSError as error:
    if error.errno in PASSING:
      raise
    raise CheckpointError(f"{NAME} cannot be read ({error.strerror})") from None
  body, _, digest = content.removesuffix(b"\n").rpartition(b"\n")
  body += b"\n"
  if not content.endswith(b"\n") or hashlib.sha256(body).hexdigest().encode() != digest:
    raise CheckpointError(f"{NAME} does not match its checksum")
  return _parsed(body)


def _parsed(body: bytes) -> dict[str, Any]:
  """What a manifest holds, of which a checksum does not say that `write` has written it.

  Raises:
    CheckpointError: it has another form, or names what is not inside of its directory.
  """
  try:
    content = files.parse_json(body)
  except ValueError as error:
    raise CheckpointError(f"{NAME} is damaged: {error}") from None
  if not isinstance(content, dict) or not all(
      isinstance(content.get(name), dict) for name in ("info", "files")):
    raise CheckpointError(f"{NAME} is damaged: it has no info, or no list of files")
  for name, described in content["files"].items():
    path = pathlib.PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not isinstance(described, dict):
      raise CheckpointError(f"{NAME} is damaged: its list of files is none")
  return content


def _files(directory: pathlib.Path, ignore: Iterable[str]) -> list[str]:
  ignored = {NAME, *ignore}
  names = (
      path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())
  return sorted(name for name in names if name not in ignored)


def _describe(file: pathlib.Path) -> dict[str, Any]:
  if not file.is_file():  # one of devices might never end
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file))
  with open(file, "rb") as opened:
    digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {"bytes": opened.tell(), "sha256": digest}


def _digest_of(text: str) -> str:
  return hashlib.sha256(text.encode()).hexdigest()
