"""Reads TFRecord files, the default format of TensorFlow Datasets, without TensorFlow.

A record is its length (8 bytes, little-endian), a checksum of the length, the data, and a
checksum of the data. Checksums are masked CRC-32C, 4 bytes each.
"""

from collections.abc import Iterator
import os
import struct
from typing import BinaryIO

_HEADER = struct.Struct("<QI")  # length, its checksum
_FOOTER = struct.Struct("<I")  # checksum of the data


def masked_checksum(data: bytes) -> int:
  """The checksum of a record: CRC-32C, rotated and shifted by a constant."""
  import google_crc32c  # of the extra `images`, as TFDS is

  checksum = google_crc32c.value(data)
  return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def read_records(path: str | os.PathLike) -> Iterator[bytes]:
  """The records of a file in order, each checked.

  Args:
    path: an uncompressed TFRecord file.

  Yields:
    The data of a record.

  Raises:
    FileNotFoundError: no such file.
    ValueError: the file is damaged; says at which record.
  """
  with open(path, "rb") as file:
    number = 0
    while (record := _read_record(file, path, number)) is not None:
      yield record
      number += 1


def _read_record(file: BinaryIO, path: str | os.PathLike, number: int) -> bytes | None:
  """The next record, None at the end of the file."""
  header = file.read(_HEADER.size)
  if not header:
    return None
  where = f"{path}, record {number}"
  if len(header) < _HEADER.size:
    raise ValueError(f"{where}: the file ends within the record")
  length, checksum = _HEADER.unpack(header)
  if masked_checksum(header[:8]) != checksum:
    raise ValueError(
        f"{where}: the length has a wrong checksum: the file is damaged, or no TFRecord file")
  data, footer = file.read(length), file.read(_FOOTER.size)
  if len(data) < length or len(footer) < _FOOTER.size:
    raise ValueError(f"{where}: the file ends within the record")
  if masked_checksum(data) != _FOOTER.unpack(footer)[0]:
    raise ValueError(f"{where}: the data have a wrong checksum: the file is damaged")
  return data
