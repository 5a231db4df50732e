"""Settings that are numbers, as people give them: NumPy's, and 1e5 for a hundred thousand."""

import dataclasses
import numbers
import operator
import types
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

_KINDS = (int, float, bool, str, tuple)


def normalise(settings: Any, owner: str = "") -> None:
  """Makes the fields of a frozen dataclass what their annotations say, from what is as good.

  A whole number may be one of NumPy or a float without a fraction, a number any real number, a
  truth value one of NumPy, a tuple a list. So records hold plain values, and equal settings are
  equal there.

  Args:
    settings: whose fields of int, float, bool, str, tuple or, with None, a union of one of them
      are looked at, and others left alone.
    owner: what follows the name of a field in messages, as " of a migration".

  Raises:
    ValueError: a value that is none of that; names the field.
  """
  hints = get_type_hints(type(settings))
  for field in dataclasses.fields(settings):
    hint, value = hints[field.name], getattr(settings, field.name)
    kinds = get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and types.NoneType in kinds:
      continue
    [kind, *others] = [kind for kind in kinds if kind is not types.NoneType]
    kind = get_origin(kind) or kind
    if kind not in _KINDS or others:
      continue
    try:
      taken = _as(kind, value)
    except TypeError as error:
      instead = " or None" if types.NoneType in kinds else ""
      raise ValueError(
          f"{field.name}{owner} must be {error}{instead}, got {value!r}.") from None
    object.__setattr__(settings, field.name, taken)


def _as(kind: type, value: Any) -> Any:
  """A value as one of a kind; a TypeError says what the kind is."""
  if kind is int:
    return whole(value)
  if kind is float and isinstance(value, numbers.Real):  # those of NumPy are, too
    return float(value)
  if kind is bool and isinstance(value, bool | np.bool_):
    return bool(value)
  if kind is tuple and isinstance(value, list | tuple):
    return tuple(value)
  if kind is str and isinstance(value, str):
    return str(value)
  raise TypeError({
      float: "a number", bool: "True or False", tuple: "a sequence", str: "a text"}[kind])


def count(name: str, value: Any) -> int:
  """A setting that is a whole number from 1 on.

  Raises:
    ValueError: it is none.
  """
  try:
    number = whole(value)
  except TypeError:
    number = 0
  if number < 1:
    raise ValueError(f"{name} must be a positive whole number, got {value!r}.")
  return number


def positive(name: str, value: Any) -> float:
  """A setting that is a number above 0.

  Raises:
    ValueError: it is none.
  """
  if isinstance(value, bool) or not isinstance(value, numbers.Real) or not float(value) > 0:
    raise ValueError(f"{name} must be a positive number, got {value!r}.")
  return float(value)


def whole(value: Any) -> int:
  """A whole number as people give them.

  Raises:
    TypeError: it is none.
  """
  if not isinstance(value, bool):
    if isinstance(value, float | np.floating) and float(value).is_integer():
      return int(value)
    try:
      return operator.index(value)
    except TypeError:
      pass
  raise TypeError("a whole number")
