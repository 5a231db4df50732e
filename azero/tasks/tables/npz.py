"""Reads arrays and ready tasks from .npz files, none of which is believed or unpickled."""

from __future__ import annotations

from collections.abc import Sequence
import math
import os
import tokenize
import warnings
import zipfile

import numpy as np
import psutil

from azero import files, paths
from azero.tasks.tables import frames
from azero.tasks.task import Tasks, make_tasks

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_TASK_ARRAYS = ("train_x", "train_y", "valid_x", "valid_y")


def read_arrays(path: str | os.PathLike) -> tuple[np.ndarray, np.ndarray]:
  """The arrays x [N, P] and y [N] of an .npz file.

  Raises:
    FileNotFoundError: no such file.
    ValueError: arrays are missing.
  """
  arrays = _read_npz(path)
  if "x" not in arrays and "train_x" in arrays:
    raise ValueError(
        f"{path} holds ready tasks (train_x, ...), not a data set (x, y) that could be split; "
        "read it with load_tasks_npz.")
  _require(path, arrays, ("x", "y"))
  return arrays["x"], arrays["y"]


def read_features(path: str | os.PathLike) -> np.ndarray:
  """The array x [N, P] of an .npz file; errors as for `read_arrays`."""
  arrays = _read_npz(path)
  _require(path, arrays, ("x",))
  return arrays["x"]


def load_tasks_npz(path: str | os.PathLike) -> Tasks:
  """Reads ready tasks from an .npz file; nothing is split, shuffled or standardised.

  Args:
    path: holds train_x [D, T, F], train_y [D, T], valid_x [D, V, F], valid_y [D, V] and
      metric, the string "rms" or "accuracy". Labels above 1 mean multi-class.

  Returns:
    The tasks.

  Raises:
    FileNotFoundError: no such file.
    ValueError: arrays are missing or malformed.
  """
  arrays = _read_npz(path)
  _require(path, arrays, (*_TASK_ARRAYS, "metric"))
  metric = arrays["metric"]
  if metric.size != 1 or metric.dtype.kind not in "SU":
    raise ValueError(
        f'{path}: metric must be one string, "rms" or "accuracy"; got an array of type '
        f"{metric.dtype} and shape {metric.shape}.")
  train_x, train_y, valid_x, valid_y = (arrays[name] for name in _TASK_ARRAYS)
  try:
    return make_tasks(train_x, train_y, valid_x, valid_y, str(metric.astype(str).item()))
  except ValueError as error:
    raise ValueError(f"{path}: {files.shortened(str(error))}") from error


def _read_npz(path: str | os.PathLike) -> dict[str, np.ndarray]:
  """The arrays of an .npz file by name, none of which is unpickled.

  Raises:
    FileNotFoundError: no such file.
    ValueError: it is damaged or of another kind, or has more than the memory holds.
  """
  try:
    with open(paths.expand(path), "rb") as file, zipfile.ZipFile(file) as archive:
      members = archive.infolist()
      _require_room(members)
      return {member.filename.removesuffix(".npy"): _read_member(archive, member)
              for member in members}
  except FileNotFoundError as error:
    raise FileNotFoundError(f"There is no file {path}.") from error
  except (*frames.DAMAGE, SyntaxError, TypeError, tokenize.TokenError) as error:
    reason = " ".join(str(error).split()) or type(error).__name__
    raise ValueError(
        f"{path} is not an .npz file of plain arrays, as numpy.savez writes: "
        f"{files.shortened(reason.removesuffix('.'))}.") from error


def _require_room(members: Sequence[zipfile.ZipInfo]) -> None:
  """Refuses an archive that unpacks to more than the free memory: a small one may."""
  total, free = sum(member.file_size for member in members), psutil.virtual_memory().available
  if total > free:
    raise ValueError(f"it unpacks to {total / 1e9:,.3f} GB, but {free / 1e9:,.3f} GB are free")


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
  """One array, for which no memory is taken before its header is seen to be true."""
  with archive.open(member) as file:
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
      raise ValueError(f"{member.filename} is in version {version} of the format")
    with warnings.catch_warnings():  # of headers as Python 2 wrote them
      warnings.simplefilter("ignore", UserWarning)
      shape, _, dtype = _HEADERS[version](file)
    if dtype.hasobject or not dtype.itemsize:
      raise ValueError(f"{member.filename} is an array of type {dtype}; numbers or text are read")
    claimed, held = math.prod(shape) * dtype.itemsize, member.file_size - file.tell()
    if min(shape, default=0) < 0 or claimed != held:
      raise ValueError(
          f"{member.filename} has {held} bytes for an array of shape {shape} and type {dtype}")
  with archive.open(member) as file, warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)
    return np.lib.format.read_array(file)


def _require(
    path: str | os.PathLike, arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> None:
  missing = [name for name in names if name not in arrays]
  if missing:
    raise ValueError(
        f"{path} has no array {', '.join(missing)}; it needs {', '.join(names)} and holds "
        f"{', '.join(arrays) or 'nothing'}.")
