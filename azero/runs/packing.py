"""A state as one array of bytes and a text, and back.

A state has hundreds of small arrays, and some that are empty; storage likes neither. Here they
are laid end to end, whatever the number of islands. The text, in JSON, is the state with a note
in place of each array that says where it lies.
"""

from collections.abc import Mapping
import json
import math
from typing import Any

import numpy as np

_ARRAY = "$array"  # stands for an array: its type, shape and first byte
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
  """The state that `pack` took; its arrays are views of the data."""
  return _join(json.loads(text), data)


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
    name, shape, first = node[_ARRAY]
    dtype = np.dtype(name)
    size = math.prod(shape) * dtype.itemsize
    return data[first : first + size].view(dtype).reshape(shape)
  return {key: _join(value, data) for key, value in node.items()}
