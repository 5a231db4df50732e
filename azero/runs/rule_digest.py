"""What tells an op or a mutation of the user's own from another one: a digest of its code.

Names of local variables, comments, documentation and place in the file do not count; the code of
the functions that it calls by name does, as do the values that it closes over, of objects their
fields. Of what comes from a library (NumPy, JAX, Numba, azero itself) the name counts. Code differs
between versions of Python.
"""

from collections.abc import Callable, Mapping
import dis
import functools
import hashlib
import inspect
import re
import types
from typing import Any

import numpy as np

from azero.language.ops import Op

_LIBRARIES = ("azero", "builtins", "functools", "jax", "jaxlib", "numba", "numpy")
_ADDRESS = re.compile(r"\b0x[0-9a-f]+", re.IGNORECASE)
# These, and whether an attribute is loaded as a method, depend on where a module was imported.
_HOW_TO_CALL = ("PUSH_NULL", "PRECALL")


def of_op(op: Op) -> str:
  """16 hexadecimal digits that are the same for ops that compute the same in the same way."""
  sum_of = _Sum()
  sum_of.add((
      op.inputs, op.output, op.constants, op.noise, op.updates_output, op.elementwise,
      op.commutative, op.work))
  sum_of.add(op.rule)
  return sum_of.digits()


def of_mutation(function: Callable[..., None]) -> str:
  """Likewise for mutations, as they are or compiled by Numba."""
  sum_of = _Sum()
  sum_of.add(getattr(function, "py_func", function))
  return sum_of.digits()


class _Sum:
  """A digest of Python values."""

  def __init__(self) -> None:
    self._hash = hashlib.sha256()
    # Functions and objects under way or done, which may refer to each other.
    self._seen: dict[int, int] = {}

  def digits(self) -> str:
    return self._hash.hexdigest()[:16]

  def add(self, value: Any) -> None:
    """Adds a value of any kind."""
    if isinstance(value, types.FunctionType):
      self._add_function(value)
    elif isinstance(value, types.CodeType):
      self._add_code(value)
    elif isinstance(value, functools.partial):
      self._add_all("partial", value.func, value.args, value.keywords)
    elif isinstance(value, types.MethodType):
      self._add_all("method", value.__func__, value.__self__)
    elif isinstance(value, Mapping):
      self._add_all("mapping", *(part for item in value.items() for part in item))
    elif isinstance(value, frozenset | set):
      self._add_all("set", *sorted(value, key=repr))
    elif isinstance(value, list | tuple):
      self._add_all("sequence", *value)
    elif isinstance(value, type | types.ModuleType | types.BuiltinFunctionType | np.ufunc):
      self._write(_name(value))
    elif value is None or isinstance(value, bool | int | float | complex | str | bytes):
      self._write(f"{type(value).__name__} {value!r}")
    elif hasattr(value, "__array__"):
      array = np.asarray(value)
      self._write(f"{array.dtype} {array.shape} {array.tobytes().hex()}")
    elif not _is_library(wrapped := getattr(value, "__wrapped__", None)) and callable(wrapped):
      self._add_all("wrapped", wrapped)  # as by jax.jit
    else:
      self._add_object(value)

  def _add_object(self, value: Any) -> None:
    """By what it shows of itself but where it lies, and of a user's own by its fields."""
    if id(value) in self._seen:
      self._write(f"seen {self._seen[id(value)]}")
      return
    self._seen[id(value)] = len(self._seen)
    shown = repr(value)
    self._write(f"{_name(value)} {'' if _ADDRESS.search(shown) else shown}")
    if not _is_library(type(value)):
      self._add_all("fields", getattr(value, "__dict__", {}))
      if inspect.isfunction(vars(type(value)).get("__call__")):
        self.add(type(value).__call__)

  def _add_function(self, function: types.FunctionType) -> None:
    if id(function) in self._seen:
      self._write(f"seen {self._seen[id(function)]}")
      return
    self._seen[id(function)] = len(self._seen)
    if _is_library(function):
      self._write(_name(function))
      return
    self._add_code(function.__code__)
    for name in _names(function.__code__):
      if name in function.__globals__:
        self._add_all(name, function.__globals__[name])
    self._add_all("defaults", function.__defaults__, function.__kwdefaults__ or {})
    cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    self._add_all("closure", *cells)

  def _add_code(self, code: types.CodeType) -> None:
    stars = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    self._write(f"code {code.co_argcount} {code.co_kwonlyargcount} {stars}")
    for step in dis.get_instructions(code):
      # Constants and names by value, since their numbers depend on the documentation; local
      # variables by number.
      by_value = step.opcode in dis.hasconst or step.opcode in dis.hasname
      if step.opname not in _HOW_TO_CALL:
        name = "LOAD_ATTR" if step.opname == "LOAD_METHOD" else step.opname
        self._add_all(name, step.argval if by_value else step.arg)

  def _add_all(self, kind: str, *values: Any) -> None:
    self._write(f"{kind} {len(values)}")
    for value in values:
      self.add(value)

  def _write(self, text: str) -> None:
    self._hash.update(text.encode() + b"\0")


def _names(code: types.CodeType) -> list[str]:
  """Global names that a function may look up, those of functions inside it too."""
  inner = [value for value in code.co_consts if isinstance(value, types.CodeType)]
  return sorted({*code.co_names, *(name for each in inner for name in _names(each))})


def _is_library(value: Any) -> bool:
  """Whether a function or class is one of a library, whose version says what it does."""
  return (getattr(value, "__module__", None) or "").split(".")[0] in _LIBRARIES


def _name(value: Any) -> str:
  name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
  return f"{getattr(value, '__module__', '')}.{name or type(value).__qualname__}"


def _is_filled(cell: types.CellType) -> bool:
  try:
    _ = cell.cell_contents
  except ValueError:
    return False
  return True
