"""Reads idx files, the format in which MNIST and Fashion-MNIST are published.

A file is two zero bytes, a type (8 is unsigned bytes), the number of axes, the length of
each axis (4 bytes, big-endian), and the values. It may be compressed with gzip.
"""

import gzip
import math
import os
import pathlib
import zlib

import numpy as np

from azero import paths

_UNSIGNED_BYTES = 8
_FILES = {"train": "train", "test": "t10k"}  # start of the file names of each split


def read_idx(path: str | os.PathLike) -> np.ndarray:
  """Reads a file of unsigned bytes.

  Args:
    path: an idx file, compressed or not.

  Returns:
    The values as uint8, in the shape that the file states.

  Raises:
    FileNotFoundError: no such file.
    ValueError: no idx file of bytes, or a damaged one.
  """
  data = paths.expand(path).read_bytes()
  if data[:2] == b"\x1f\x8b":
    try:
      data = gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
      raise ValueError(
          f"{path} is damaged: it does not decompress ({error}). Fetch it again.") from error
  if len(data) < 4 or data[:2] != b"\0\0" or data[2] != _UNSIGNED_BYTES:
    raise ValueError(
        f"{path} is no idx file of bytes: it should start with the bytes 0, 0, 8; its first ones "
        f"are {', '.join(map(str, data[:3]))}.")
  num_axes = data[3]
  header = 4 + 4 * num_axes
  if len(data) < header:
    raise ValueError(
        f"{path} is damaged: it ends after {len(data)} bytes, within its header. Fetch it again.")
  shape = tuple(int(length) for length in np.frombuffer(data, ">u4", num_axes, 4))
  if len(data) != header + math.prod(shape):
    raise ValueError(
        f"{path} is damaged: it should hold {' x '.join(map(str, shape))} bytes after a header of "
        f"{header}, and has {len(data)} bytes in all. Fetch it again.")
  return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def read_idx_splits(
    directory: str | os.PathLike, image_shape: tuple[int, int, int], num_classes: int,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
  """Reads the four files of MNIST or a data set that follows it.

  Args:
    directory: with train-images-idx3-ubyte, train-labels-idx1-ubyte, and the same with t10k
      for train; each may end in .gz.
    image_shape: height, width, 1.
    num_classes: labels are below it.

  Returns:
    Pixels [N, P] uint8 and labels [N] uint8 of "train" and "test".

  Raises:
    FileNotFoundError: there is no such directory, or a file is missing.
    ValueError: a file is damaged, or the files do not fit together.
  """
  splits = {}
  for split, start in _FILES.items():
    image_path = _find(paths.expand(directory), f"{start}-images-idx3-ubyte")
    label_path = _find(paths.expand(directory), f"{start}-labels-idx1-ubyte")
    images, labels = read_idx(image_path), read_idx(label_path)
    if images.ndim != 3 or images.shape[1:] != image_shape[:2]:
      raise ValueError(
          f"{image_path} holds an array of shape {images.shape}; images of "
          f"{image_shape[0]} x {image_shape[1]} pixels are expected.")
    if labels.shape != images.shape[:1]:
      raise ValueError(
          f"{label_path} holds an array of shape {labels.shape}, but {image_path} has "
          f"{len(images)} images. Fetch both again.")
    if labels.size and labels.max() >= num_classes:
      raise ValueError(
          f"{label_path} has label {labels.max()}; labels must be below {num_classes}.")
    splits[split] = (images.reshape(len(images), -1), labels)
  return splits


def _find(directory: pathlib.Path, name: str) -> pathlib.Path:
  for path in (directory / name, directory / f"{name}.gz"):
    if path.is_file():
      return path
  raise FileNotFoundError(f"There is no file {name} or {name}.gz in the directory {directory}.")
