"""A model of a disk that loses its power: what may be left of files at any moment.

It is fed with the calls of a process in their order, see `system_calls`. The contents of a file
are on the disk when the file was synced, the names in a directory when that was; what was not
synced may be there or not, as the variants say.
"""

import os
import pathlib

# What is left of what was not synced.
VARIANTS = {
    "synced": "nothing",
    "names": "all names, and no contents",
    "zeros": "all names and sizes, with zeros for contents",
    "mixed": "of each directory the first changes, of each file nothing, a part, zeros or all",
    "all": "everything: the process alone was killed",
}


class File:
  """A file: what a process sees of it, and what is on the disk."""

  def __init__(self) -> None:
    self.live = bytearray()
    self.synced = b""

  def write(self, offset: int, data: bytes) -> None:
    self.live.extend(bytes(max(0, offset - len(self.live))))
    self.live[offset : offset + len(data)] = data

  def truncate(self, size: int) -> None:
    del self.live[size:]
    self.live.extend(bytes(size - len(self.live)))

  def sync(self) -> None:
    self.synced = bytes(self.live)

  def left(self, variant: str, rng) -> bytes:
    """The contents after a loss of power."""
    live = bytes(self.live)
    if live == self.synced or variant == "all":
      return live
    kept = self.synced if live.startswith(self.synced) else b""
    lost = len(live) - len(kept)
    part = 0 if rng is None else int(rng.integers(lost + 1))
    choices = {
        "synced": self.synced, "names": kept, "zeros": kept + bytes(lost),
        "part": live[: len(kept) + part], "all": live}
    if variant == "mixed":
      variant = str(rng.choice(list(choices)))
    return choices[variant]


class Directory:
  """A directory: its names, those on the disk, and the changes between them."""

  def __init__(self) -> None:
    self.live: dict[str, File | Directory] = {}
    self.synced: dict[str, File | Directory] = {}
    self.pending: list[dict[str, File | Directory | None]] = []  # by name; None: removed

  def change(self, names) -> None:
    """A change that happens as a whole or not at all."""
    self.pending.append(names)
    _apply(self.live, names)

  def sync(self) -> None:
    self.synced = dict(self.live)
    self.pending = []

  def left(self, variant: str, rng) -> dict:
    """The names after a loss of power, and what they name: bytes, or such a dictionary."""
    names = dict(self.synced)
    count = {"synced": 0, "mixed": None}.get(variant, len(self.pending))
    if count is None:
      count = int(rng.integers(len(self.pending) + 1))
    for change in self.pending[:count]:
      _apply(names, change)
    return {name: each.left(variant, rng) for name, each in sorted(names.items())}


class Disk:
  """The directory of a test and all below it, which is empty at first.

  Attributes:
    root: of the model.
  """

  def __init__(self, path: pathlib.Path):
    """Args: where it is for the process; what happens elsewhere is ignored."""
    self._path = str(path)
    self.root = Directory()

  def find(self, path: str) -> File | Directory | None:
    """What a path names."""
    found: File | Directory | None = self.root
    for name in self._names(path) or ():
      if not isinstance(found, Directory):
        return None
      found = found.live.get(name)
    return found

  def has(self, path: str) -> bool:
    """Whether a path is of this disk, whether there is something or not."""
    return self._names(path) is not None

  def parent(self, path: str) -> tuple[Directory, str]:
    """The directory of a path of this disk, and the name in it."""
    parent = self.find(os.path.dirname(path))
    assert isinstance(parent, Directory), path
    return parent, os.path.basename(path)

  def rename(self, old: str, new: str) -> None:
    """Within a directory: between two of them a disk might lose one half."""
    (parent, name), (other, new_name) = self.parent(old), self.parent(new)
    assert parent is other, (old, new)
    parent.change({name: None, new_name: parent.live[name]})

  def _names(self, path: str) -> list[str] | None:
    if path == self._path:
      return []
    if not path.startswith(self._path + os.sep):
      return None
    return path[len(self._path) + 1 :].split(os.sep)


def materialise(left: dict, path: pathlib.Path) -> None:
  """Writes what is left into a directory, which is made."""
  path.mkdir()
  for name, each in left.items():
    if isinstance(each, dict):
      materialise(each, path / name)
    else:
      (path / name).write_bytes(each)


def _apply(names: dict, change) -> None:
  for name, each in change.items():
    if each is None:
      names.pop(name, None)
    else:
      names[name] = each
