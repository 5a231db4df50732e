"""A state as a few long arrays and a text, and back.

A state has hundreds of small arrays, and some that are empty; storage likes neither. Here
those of one type are laid end to end, whatever the number of islands. The text, in JSON, is
the state with a note in place of each array that says where it lies.
"""

from collections.abc import Mapping
import json
import math
from typing import Any

import numpy as np

_ARRAY = "$array"  # stands for an array: its type, shape and first place


def pack(state: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], str]:
  """Copies a state.

  Args:
    state: nested dictionaries of arrays and JSON values; names without "$".

  Returns:
    Arrays by the name of their type, [n] each with n > 0; JSON.

  Raises:
    TypeError, ValueError: a leaf that is neither an array of numbers nor a JSON value.
  """
  parts: dict[str, list[np.ndarray]] = {}
  text = json.dumps(_split(state, parts, {}), allow_nan=False)
  joined = {name: np.concatenate(arrays) for name, arrays in parts.items()}
  return {name: array for name, array in joined.items() if array.size}, text


def unpack(arrays: Mapping[str, np.ndarray], text: str) -> dict[str, Any]:
  """The state that `pack` took; its arrays are views of those here."""
  return _join(json.loads(text), arrays)


def _split(node: Any, parts: dict[str, list[np.ndarray]], ends: dict[str, int]) -> Any:
  if isinstance(node, np.ndarray):
    if node.dtype.kind not in "biuf":
      raise TypeError(f"A state has an array of {node.dtype}; arrays are of numbers.")
    name = node.dtype.name
    first = ends.get(name, 0)
    ends[name] = first + node.size
    parts.setdefault(name, []).append(node.reshape(-1))
    return {_ARRAY: [name, list(node.shape), first]}
  if isinstance(node, Mapping):
    for key in node:
      if not isinstance(key, str) or "$" in key:
        raise TypeError(f"A state has the key {key!r}; keys are strings without '$'.")
    return {key: _split(value, parts, ends) for key, value in node.items()}
  return node


def _join(node: Any, arrays: Mapping[str, np.ndarray]) -> Any:
  if not isinstance(node, dict):
    return node
  if _ARRAY in node:
    name, shape, first = node[_ARRAY]
    array = arrays.get(name, np.zeros(0, name))
    return array[first : first + math.prod(shape)].reshape(shape)
  return {key: _join(value, arrays) for key, value in node.items()}
