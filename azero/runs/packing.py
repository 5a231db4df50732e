"""A state as one array of bytes and a text, and back.

A state has hundreds of small arrays, and some that are empty; storage likes neither. Here they
are laid end to end, whatever the number of islands. The text, in JSON, is the state with a note
in place of each array that says where it lies.
"""

from collections.abc import Iterator, Mapping
import json
import math
import re
from typing import Any

import numpy as np

from azero import files

_ARRAY = "$array"  # stands for an array: its type, shape and first byte
_TYPE = re.compile(r"[<>|=]?[biuf][0-9]{1,2}")  # of an array
_AXES = 32  # of an array, at most
_ALIGNMENT = 16  # bytes; numbers that lie across it would be slow to read


def pack(state: Mapping[str, Any]) -> tuple[np.ndarray, str]:
  """Copies a state.

  Args:
    state: nested dictionaries of arrays and JSON values; names without "$".

  Returns:
    [n] uint8, the arrays; JSON.

  Raises:
    TypeError, ValueError: a leaf that is neither an array of numbers nor a JSON value.
  """
  arrays: list[tuple[int, np.ndarray]] = []
  text = json.dumps(_split(state, arrays), allow_nan=False)
  data = np.zeros(_end(arrays), np.uint8)
  for first, array in arrays:
    data[first : first + array.nbytes].view(array.dtype).reshape(array.shape)[...] = array
  return data, text


def unpack(data: np.ndarray, text: str) -> dict[str, Any]:
  """The state that `pack` took; its arrays are views of the data.

  Raises:
    ValueError: the text is of no state, or of one with other data.
  """
  state = files.parse_json(text)
  if not isinstance(state, dict):
    raise ValueError("it is no state")
  return _join(state, data)


def size_of(text: str) -> int:
  """How many bytes the arrays of a state take, by its text.

  Raises:
    ValueError: it is of no state.
  """
  ends = [_place_of(note)[3] for note in _notes(files.parse_json(text))]
  return -(-max(ends, default=0) // _ALIGNMENT) * _ALIGNMENT


def _end(arrays: list[tuple[int, np.ndarray]]) -> int:
  if not arrays:
    return 0
  first, array = arrays[-1]
  return -(-(first + array.nbytes) // _ALIGNMENT) * _ALIGNMENT


def _split(node: Any, arrays: list[tuple[int, np.ndarray]]) -> Any:
  """A copy of a state with notes in place of the arrays; these and their first bytes."""
  if isinstance(node, np.ndarray):
    if node.dtype.kind not in "biuf":
      raise TypeError(f"A state has an array of {node.dtype}; arrays are of numbers.")
    first = _end(arrays)
    arrays.append((first, node))
    return {_ARRAY: [node.dtype.str, list(node.shape), first]}
  if isinstance(node, Mapping):
    for key in node:
      if not isinstance(key, str) or "$" in key:
        raise TypeError(f"A state has the key {key!r}; keys are strings without '$'.")
    return {key: _split(value, arrays) for key, value in node.items()}
  return node


def _join(node: Any, data: np.ndarray) -> Any:
  if not isinstance(node, dict):
    return node
  if _ARRAY in node:
    dtype, shape, first, last = _place_of(node[_ARRAY])
    if last > len(data):
      raise ValueError("it has arrays that are not there")
    return data[first:last].view(dtype).reshape(shape)
  return {key: _join(value, data) for key, value in node.items()}


def _notes(node: Any) -> Iterator[Any]:
  """The notes that stand for the arrays of a state."""
  if isinstance(node, dict):
    if _ARRAY in node:
      yield node[_ARRAY]
    else:
      for value in node.values():
        yield from _notes(value)


def _place_of(note: Any) -> tuple[np.dtype, tuple[int, ...], int, int]:
  """The type and shape of an array by its note, where it begins and where it ends.

  Raises:
    ValueError: it is no note.
  """
  match note:
    case [str(name), list(shape), int(first)] if _TYPE.fullmatch(name) and all(
        type(size) is int and size >= 0 for size in [first, *shape]) and len(shape) <= _AXES:
      try:
        dtype = np.dtype(name)
      except TypeError:  # such as a number of three bytes
        raise ValueError(f"it has an array of {name}") from None
      return dtype, tuple(shape), first, first + math.prod(shape) * dtype.itemsize
  raise ValueError("it has a note that stands for no array")
