"""Functions of the user's own inside kernels, by their addresses.

A kernel that is kept on disk cannot know a mutation that is registered later. So such a
mutation is compiled when it is registered, and the kernel is given its address. It is called as
Numba's functions call each other, so that what it raises goes through the kernel to Python.
"""

from collections.abc import Callable
from typing import Any

import numba
from numba import types
from numba.core import cgutils
from numba.core.errors import NumbaError
from numba.extending import intrinsic
import numpy as np

from azero.compiler.arrays import ProgramArrays, Tables
from azero.compiler.kernels import DISABLE_JIT

_KEPT: list[Any] = []  # what was compiled, which must not go while its address is about


def _array(dtype: types.Type, dimensions: int) -> types.Array:
  return types.Array(dtype, dimensions, "C")


_PROGRAMS = types.NamedTuple(
    [_array(types.int16, 2)] * 4 + [_array(types.float64, 3)], ProgramArrays)
_TABLES = types.NamedTuple(
    [types.int64] * 4 + [_array(types.int64, 2)] * 2 + [_array(types.int64, 1)]
    + [_array(types.int64, 2), _array(types.uint64, 2), _array(types.float64, 1)], Tables)
_SIGNATURE = types.void(_PROGRAMS, types.int64, types.int64, _TABLES, _array(types.uint64, 1))


def address_of(name: str, function: Callable[..., None]) -> int:
  """The address of a mutation, compiled; without compilation its number for `call`.

  Raises:
    ValueError: Numba cannot compile it.
  """
  if DISABLE_JIT:
    _KEPT.append(function)
    return -len(_KEPT)
  try:
    compiled: Any = numba.njit(_SIGNATURE, nogil=True)(getattr(function, "py_func", function))
  except NumbaError as error:
    raise ValueError(f"Mutation '{name}': Numba cannot compile it: {error}") from error
  _KEPT.append(compiled)
  result = compiled.overloads[_SIGNATURE.args]
  return result.library.get_pointer_to_function(result.fndesc.llvm_func_name)


@intrinsic
def _call_compiled(typing_context, address, programs, i, function, space, stream):
  """Calls the compiled mutation at an address."""

  def generate(context, builder, signature, arguments):
    convention = context.call_conv
    function_type = convention.get_function_type(types.none, _SIGNATURE.args)
    pointer = builder.inttoptr(arguments[0], function_type.as_pointer())
    status, _ = convention.call_function(
        builder, pointer, types.none, _SIGNATURE.args, arguments[1:])
    with cgutils.if_unlikely(builder, status.is_error):
      convention.return_status_propagate(builder, status)
    return context.get_dummy_value()

  return types.void(types.int64, *_SIGNATURE.args), generate


def _call_python(
    number: int, programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray
) -> None:
  _KEPT[-number - 1](programs, i, function, space, stream)


call: Any = _call_python if DISABLE_JIT else _call_compiled
