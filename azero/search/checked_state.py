"""Whether a state fits the search that is to take it over.

A checkpoint of another version, or one that somebody has changed, may have checksums that are
right. Compiled loops trust what they are given, so each part of a search looks at its part of a
state before it takes that over, and refuses arrays of another shape, indices that lead nowhere and
programs that are none.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from azero.language.program import MAX_ADDRESSES, Programs, SearchSpace


class StateError(ValueError):
  """A state that is none of this search: says what is wrong with it."""


def part(state: Any, name: str) -> Mapping[str, Any]:
  """A state inside of a state.

  Raises:
    StateError: there is none of this name.
  """
  found = state.get(name) if isinstance(state, Mapping) else None
  if not isinstance(found, Mapping):
    raise StateError(f"'{name}' is missing, or no state")
  return found


def whole(state: Mapping[str, Any], name: str, low: int = 0) -> int:
  """A whole number of 63 bits.

  Raises:
    StateError: it is missing, none, or below `low`.
  """
  found = state.get(name)
  if not isinstance(found, int) or isinstance(found, bool) or not low <= found < 1 << 63:
    raise StateError(f"'{name}' is missing, or no whole number from {low} on")
  return found


def array(
    state: Mapping[str, Any], name: str, dtype: DTypeLike, shape: tuple[int | None, ...]
) -> np.ndarray:
  """An array of this type and shape, None for any length.

  Raises:
    StateError: it is missing, or has another type or shape.
  """
  found = state.get(name)
  if not isinstance(found, np.ndarray) or found.dtype != dtype or found.ndim != len(shape) or any(
      size is not None and size != own for size, own in zip(shape, found.shape)):
    raise StateError(f"'{name}' is missing, or no array of {np.dtype(dtype)} and shape {shape}")
  return found


def like(state: Mapping[str, Any], name: str, own: np.ndarray) -> np.ndarray:
  """An array of the type and shape of one's own.

  Raises:
    StateError: as `array`.
  """
  return array(state, name, own.dtype, own.shape)


def within(name: str, values: np.ndarray, low: Any, high: Any = None) -> None:
  """Refuses numbers below `low` or above `high`, and NaN.

  Raises:
    StateError: there are some.
  """
  if not np.all(values >= low) or (high is not None and not np.all(values <= high)):
    raise StateError(f"'{name}' has numbers that cannot be")


def programs(
    space: SearchSpace, state: Mapping[str, Any], name: str, count: int | None = None) -> Programs:
  """Programs of a space; their arrays are those of the state.

  Args:
    space: of the programs.
    state: that has them.
    name: under which.
    count: how many there have to be; None for any number.

  Raises:
    StateError: they are missing, another number, or no programs of the space.
  """
  arrays = part(state, name)
  own = Programs.empty(space, 0)
  found = [
      array(arrays, each, getattr(own, each).dtype, (count, *getattr(own, each).shape[1:]))
      for each in Programs.ARRAYS]
  if len({len(each) for each in found}) > 1:
    raise StateError(f"the arrays of '{name}' have several lengths")
  batch = Programs(space, *found)
  for each in ("in1", "in2", "out"):  # of operands that an op does not have, too
    within(each, getattr(batch, each), 0, MAX_ADDRESSES - 1)
  try:
    return batch.validate()
  except (LookupError, ValueError) as error:
    raise StateError(f"'{name}' are no programs of this search: {error}") from None
