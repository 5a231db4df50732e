"""The compact protocol of Thrift, in which Parquet writes what it knows of a file.

A struct is a list of fields [number, type, value], where the value of a struct or list is such a
list again: enough to change a number anywhere and to write all back.
"""

from typing import Any

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
INTEGERS = (4, 5, 6)  # of 16, 32 and 64 bits


def read_struct(data: bytes, at: int = 0) -> tuple[list[Any], int]:
  """The struct that begins there, and where it ends."""
  fields, number = [], 0
  while head := data[at]:
    at += 1
    kind = head & 15
    if head >> 4:
      number += head >> 4
    else:
      number, at = _read_integer(data, at)
    value, at = _read(data, at, kind)
    fields.append([number, kind, value])
  return fields, at + 1


def write_struct(fields: list[Any]) -> bytes:
  """What `read_struct` reads."""
  parts, last = [], 0
  for number, kind, value in fields:
    step, last = number - last, number
    parts.append(
        bytes([step << 4 | kind]) if 0 < step < 16 else bytes([kind]) + _integer(number))
    parts.append(_write(value, kind))
  return b"".join(parts) + b"\0"


def _read(data: bytes, at: int, kind: int) -> tuple[Any, int]:
  if kind in (_TRUE, _FALSE):
    return None, at
  if kind == _BYTE:
    return data[at : at + 1], at + 1
  if kind in INTEGERS:
    return _read_integer(data, at)
  if kind == _DOUBLE:
    return data[at : at + 8], at + 8
  if kind == _BINARY:
    size, at = _read_varint(data, at)
    return data[at : at + size], at + size
  if kind == _STRUCT:
    return read_struct(data, at)
  assert kind in (_LIST, _SET), kind  # Parquet has no maps
  head, at = data[at], at + 1
  size, item = head >> 4, head & 15
  if size == 15:
    size, at = _read_varint(data, at)
  items = []
  for _ in range(size):
    if item in (_TRUE, _FALSE):
      value, at = data[at : at + 1], at + 1
    else:
      value, at = _read(data, at, item)
    items.append([None, item, value])
  return [item, items], at


def _write(value: Any, kind: int) -> bytes:
  if kind in (_TRUE, _FALSE) and value is None:
    return b""
  if kind in INTEGERS:
    return _integer(value)
  if kind == _BINARY:
    return _varint(len(value)) + value
  if kind == _STRUCT:
    return write_struct(value)
  if kind in (_LIST, _SET):
    item, items = value
    size = len(items)
    head = bytes([size << 4 | item]) if size < 15 else bytes([15 << 4 | item]) + _varint(size)
    return head + b"".join(_write(each, item) for _, _, each in items)
  return value


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
  value = shift = 0
  while True:
    value |= (data[at] & 127) << shift
    shift, at = shift + 7, at + 1
    if data[at - 1] < 128:
      return value, at


def _varint(value: int) -> bytes:
  found = bytearray()
  while value > 127:
    found.append(value & 127 | 128)
    value >>= 7
  return bytes([*found, value])


def _read_integer(data: bytes, at: int) -> tuple[int, int]:
  value, at = _read_varint(data, at)
  return value >> 1 ^ -(value & 1), at


def _integer(value: int) -> bytes:
  return _varint((value << 1 ^ value >> 63) & (1 << 64) - 1)
