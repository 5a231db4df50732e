"""Mutations that kernels call by their addresses.

A kernel that is kept on disk cannot know a mutation that is registered later, and need not be
compiled with mutations that a search does not use. So a mutation of the user's own is compiled
when it is registered, one of azero's when a search first asks for it, and the kernel is given the
address. They are called as Numba's functions call each other, so that what they raise goes
through the kernel to Python.
"""

from collections.abc import Callable
import functools
import inspect
from typing import Any

import numba
from numba import types
from numba.core import cgutils
from numba.core.errors import NumbaError, UnsupportedBytecodeError
from numba.extending import intrinsic
import numpy as np

from azero.compiler.arrays import (
  CHOICES_IN1,
  CHOICES_OUT,
  FIRST_OUT,
  INDEX,
  MEANING,
  NUM_ALLOWED,
  NUM_CONSTANTS,
  NUM_INPUTS,
  NUM_OUTPUTS,
  START,
  STOP,
  ProgramArrays,
  Tables,
)
from azero.compiler.kernels import DISABLE_JIT, inlined_kernel, inner_kernel
from azero.language.program import EMPTY

_KEPT: list[Any] = []  # what was compiled, which must not go while its address is about


def _array(dtype: types.Type, dimensions: int) -> types.Array:
  return types.Array(dtype, dimensions, "C")


_PROGRAMS = types.NamedTuple(
    [_array(types.int16, 2)] * 4 + [_array(types.float64, 3)], ProgramArrays)
_TABLES = types.NamedTuple(
    [types.int64] * 4 + [_array(types.int64, 2)] * 2 + [_array(types.int64, 1)]
    + [_array(types.int64, 2), _array(types.uint64, 2), _array(types.float64, 1)], Tables)
_SIGNATURE = types.void(_PROGRAMS, types.int64, types.int64, _TABLES, _array(types.uint64, 1))


@functools.cache
def address_of(mutation: Any) -> int:
  """The address of a mutation that is a kernel; without compilation its number for `call`."""
  if not DISABLE_JIT:
    mutation.compile(_SIGNATURE)
  return _keep(mutation)


def address_of_own(name: str, function: Callable[..., None]) -> int:
  """The same of a mutation of the user's own.

  Raises:
    ValueError: it is no function, takes other arguments, or Numba cannot compile it.
  """
  python = getattr(function, "py_func", function)
  if not inspect.isfunction(python):
    raise ValueError(f"Mutation '{name}' must be a plain Python function, got {function!r}.")
  place = f"({python.__code__.co_filename}, line {python.__code__.co_firstlineno})"
  arguments = inspect.signature(python).parameters.values()
  if len(arguments) != len(_SIGNATURE.args) or any(
      each.kind is not each.POSITIONAL_OR_KEYWORD for each in arguments):
    raise ValueError(
        f"Mutation '{name}' must take five arguments: programs, i, function, space, stream; it "
        f"is def {python.__name__}{inspect.signature(python)} {place}.")
  if DISABLE_JIT:
    return _keep(function)
  try:
    return _keep(numba.njit(_SIGNATURE, nogil=True)(python))
  except UnsupportedBytecodeError as error:
    raise ValueError(
        f"Mutation '{name}': Numba cannot compile it {place}: {error}. Import what it needs "
        "outside of it, and use what Numba knows of Python: numbers, arrays, conditions, "
        "loops.") from error
  except NumbaError as error:
    raise ValueError(f"Mutation '{name}': Numba cannot compile it: {error}") from error


def _keep(mutation: Any) -> int:
  _KEPT.append(mutation)
  if DISABLE_JIT:
    return -len(_KEPT)
  result = mutation.overloads[_SIGNATURE.args]
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


_call: Any = _call_python if DISABLE_JIT else _call_compiled


@inner_kernel
def call(
    number: int, programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray
) -> None:
  """Lets a mutation change program i; what it raises is raised."""
  _call(number, programs, i, function, space, stream)


@inner_kernel
def require_well_formed(programs: ProgramArrays, i: int, space: Tables) -> None:
  """Refuses what a mutation of the user's own may have left.

  Raises:
    ValueError: program i is no program of the space.
  """
  for each in range(len(space.functions)):
    ended = False
    for slot in range(space.functions[each, START], space.functions[each, STOP]):
      empty = programs.opcode[i, slot] == EMPTY
      if not empty and (ended or not _is_allowed(programs, i, slot, each, space)):
        raise ValueError("it leaves a malformed program, which Programs.validate() would refuse")
      ended = empty


@inlined_kernel
def _is_allowed(
    programs: ProgramArrays, i: int, slot: int, function: int, space: Tables) -> bool:
  """Whether an instruction is one of the space: its op, its addresses and its constants."""
  opcode, allowed = programs.opcode[i, slot], False
  for k in range(space.functions[function, NUM_ALLOWED]):
    allowed |= opcode == space.allowed[function, k]
  if not allowed:
    return False
  for k in range(space.ops[opcode, NUM_INPUTS]):
    address = programs.in1[i, slot] if k == 0 else programs.in2[i, slot]
    if not 0 <= address < space.ops[opcode, CHOICES_IN1 + k]:
      return False
  if space.ops[opcode, NUM_OUTPUTS]:
    place = programs.out[i, slot] - space.ops[opcode, FIRST_OUT]
    if not 0 <= place < space.ops[opcode, CHOICES_OUT]:
      return False
  for k in range(space.ops[opcode, NUM_CONSTANTS]):
    value = programs.constants[i, slot, k]
    if not np.isfinite(value):
      return False
    if space.ops[opcode, MEANING + k] == INDEX and not 0 <= value < 1:
      return False
  return True
