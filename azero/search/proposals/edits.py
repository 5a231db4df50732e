"""What mutations are made of: instructions drawn, moved and altered.

The constants' distributions are those of the published code: fresh ones from U(-1, 1), deviations
from U(0, 1), an index anywhere.
"""

import numpy as np

from azero.compiler.arrays import (
  BASE_IN1,
  BASE_IN2,
  BASE_OUT,
  CHOICES_IN1,
  CHOICES_IN2,
  CONSTANT,
  FIRST_OUT,
  INDEX,
  MEANING,
  NO_CONSTANT,
  NUM_ALLOWED,
  NUM_CONSTANTS,
  NUM_DRAWS,
  START,
  STD,
  STOP,
  WRITABLE,
  ProgramArrays,
  Tables,
)
from azero.compiler.kernels import inlined_kernel, inner_kernel
from azero.language import ops as op_table
from azero.language.program import EMPTY
from azero.search.draws import pick, skip, uniform
from azero.search.proposals.addresses import NO_ADDRESS

SIGN_FLIP_PROBABILITY = 0.1
OUTPUT = 2  # the third of an instruction's operands in1, in2, out
NO_OPCODE = -1  # in place of an op
ANY_OP, WITH_INPUTS, OF_CONSTANTS = range(3)  # which ops, see `draw_writer`
# Alterations multiply a constant by 1.17 in the geometric mean; nothing else would keep
# one that evolution does not select for inside the range of float32.
_MAX_CONSTANT = 1e38
_SIGNIFICANT_DIGITS = 6
_DECADES = 3.0  # of constants that are tried
_POWERS = 10.0 ** np.arange(301)
_MAX_CONSTANTS = op_table.MAX_CONSTANTS


@inlined_kernel
def function_length(programs: ProgramArrays, i: int, function: int, space: Tables) -> int:
  """Instructions in a component function of program i."""
  first, stop = space.functions[function, START], space.functions[function, STOP]
  slot = first
  while slot < stop and programs.opcode[i, slot] != EMPTY:
    slot += 1
  return slot - first


@inlined_kernel
def end_of(programs: ProgramArrays, i: int, function: int, space: Tables) -> int:
  """The slot behind the last instruction of a component function."""
  return space.functions[function, START] + function_length(programs, i, function, space)


@inlined_kernel
def write_random(
    programs: ProgramArrays, i: int, slot: int, function: int, space: Tables, stream: np.ndarray
) -> None:
  """Writes a random instruction into a slot: draws its op, addresses and constants, in turn."""
  opcode = space.allowed[function, pick(stream, space.functions[function, NUM_ALLOWED])]
  write_op(programs, i, slot, opcode, space, stream)


@inlined_kernel
def write_random_function(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> None:
  """Fills a component function with random instructions."""
  for slot in range(space.functions[function, START], space.functions[function, STOP]):
    write_random(programs, i, slot, function, space, stream)


@inlined_kernel
def skip_random_function(function: int, space: Tables, stream: np.ndarray) -> None:
  """Draws as much as `write_random_function`, and writes nothing."""
  for _ in range(space.functions[function, START], space.functions[function, STOP]):
    opcode = space.allowed[function, pick(stream, space.functions[function, NUM_ALLOWED])]
    skip(stream, space.ops[opcode, NUM_DRAWS])


@inlined_kernel
def write_op(
    programs: ProgramArrays, i: int, slot: int, opcode: int, space: Tables, stream: np.ndarray
) -> None:
  """Writes an instruction of an op into a slot: draws its addresses and constants, in turn."""
  programs.opcode[i, slot] = opcode
  programs.in1[i, slot] = draw_address(opcode, 0, space, stream)
  programs.in2[i, slot] = draw_address(opcode, 1, space, stream)
  programs.out[i, slot] = draw_address(opcode, OUTPUT, space, stream)
  for k in range(_MAX_CONSTANTS):
    meaning = space.ops[opcode, MEANING + k]
    programs.constants[i, slot, k] = 0.0 if meaning == NO_CONSTANT else _fresh(meaning, stream)


@inner_kernel
def draw_writer(
    function: int, outputs: np.uint64, which: int, space: Tables, stream: np.ndarray) -> int:
  """Draws an op of a component function that can write one of some addresses; or NO_OPCODE.

  Args:
    function: the component function.
    outputs: the set of these addresses.
    which: ANY_OP, WITH_INPUTS, or OF_CONSTANTS: those made of their constants alone.
    space: the search space.
    stream: what is drawn from.
  """
  fitting = 0
  for k in range(space.functions[function, NUM_ALLOWED]):
    fitting += _writes(space.allowed[function, k], outputs, which, space)
  if fitting == 0:
    return NO_OPCODE
  left, k = pick(stream, fitting), 0
  while True:
    opcode = space.allowed[function, k]
    if _writes(opcode, outputs, which, space):
      if left == 0:
        return opcode
      left -= 1
    k += 1


@inlined_kernel
def _writes(opcode: int, outputs: np.uint64, which: int, space: Tables) -> bool:
  if which == WITH_INPUTS and space.ops[opcode, CHOICES_IN1] == 0:
    return False
  if which == OF_CONSTANTS and not space.ops[opcode, CONSTANT]:
    return False
  return space.units[opcode, WRITABLE] & outputs != NO_ADDRESS


@inner_kernel
def writable(function: int, which: int, space: Tables) -> np.uint64:
  """The addresses that some ops of a component function can write, see `draw_writer`."""
  addresses = NO_ADDRESS
  for k in range(space.functions[function, NUM_ALLOWED]):
    opcode = space.allowed[function, k]
    if _writes(opcode, space.units[opcode, WRITABLE], which, space):
      addresses |= space.units[opcode, WRITABLE]
  return addresses


@inlined_kernel
def redirect_input(
    programs: ProgramArrays, i: int, slot: int, operand: int, address: int, space: Tables) -> None:
  """Lets an instruction read another address, of the same kind, as its in1 or in2."""
  operands = space.ops[programs.opcode[i, slot]]
  if operand:
    programs.in2[i, slot] = address - operands[BASE_IN2]
  else:
    programs.in1[i, slot] = address - operands[BASE_IN1]


@inlined_kernel
def redirect_output(
    programs: ProgramArrays, i: int, slot: int, address: int, space: Tables) -> None:
  """Lets an instruction write another address, of the same kind."""
  programs.out[i, slot] = address - space.ops[programs.opcode[i, slot], BASE_OUT]


@inner_kernel
def draw_operand(
    programs: ProgramArrays, i: int, slot: int, space: Tables, stream: np.ndarray) -> int:
  """Draws one of the inputs of an instruction that has any: 0 for its in1, 1 for its in2."""
  return pick(stream, 2) if space.ops[programs.opcode[i, slot], CHOICES_IN2] > 0 else 0


@inner_kernel
def open_gap(programs: ProgramArrays, i: int, slot: int, end: int) -> None:
  """Moves instructions from a slot to the end of a component function one down."""
  for k in range(end, slot, -1):
    _move(programs, i, k - 1, k)


@inner_kernel
def close_gap(programs: ProgramArrays, i: int, slot: int, end: int) -> None:
  """Moves instructions behind a slot one up, and empties the last; `end` is behind it."""
  for k in range(slot + 1, end):
    _move(programs, i, k, k - 1)
  empty_slot(programs, i, end - 1)


@inner_kernel
def empty_slot(programs: ProgramArrays, i: int, slot: int) -> None:
  """Takes the instruction out of a slot."""
  programs.opcode[i, slot] = EMPTY
  programs.in1[i, slot] = programs.in2[i, slot] = programs.out[i, slot] = 0
  for k in range(_MAX_CONSTANTS):
    programs.constants[i, slot, k] = 0.0


@inner_kernel
def _move(programs: ProgramArrays, i: int, source: int, target: int) -> None:
  programs.opcode[i, target] = programs.opcode[i, source]
  programs.in1[i, target] = programs.in1[i, source]
  programs.in2[i, target] = programs.in2[i, source]
  programs.out[i, target] = programs.out[i, source]
  for k in range(_MAX_CONSTANTS):
    programs.constants[i, target, k] = programs.constants[i, source, k]


@inlined_kernel
def draw_address(opcode: int, operand: int, space: Tables, stream: np.ndarray) -> int:
  """Draws the address of in1, in2 or out; 0, and nothing drawn, if the op has no such one."""
  choices = space.ops[opcode, CHOICES_IN1 + operand]
  if choices == 0:
    return 0
  first = space.ops[opcode, FIRST_OUT] if operand == OUTPUT else 0
  return first + pick(stream, choices)


@inner_kernel
def _fresh(meaning: int, stream: np.ndarray) -> float:
  """Draws a constant."""
  number = uniform(stream)
  if meaning == INDEX:
    return number
  return round_constant(number if meaning == STD else 2 * number - 1)


@inlined_kernel
def altered(value: float, meaning: int, stream: np.ndarray) -> float:
  """An index drawn anew; any other constant times U[0.5, 2], its sign flipped now and then."""
  number = uniform(stream)
  if meaning == INDEX:
    return number
  value *= 0.5 + 1.5 * number
  if meaning != STD and uniform(stream) < SIGN_FLIP_PROBABILITY:
    value = -value
  return min(max(round_constant(value), -_MAX_CONSTANT), _MAX_CONSTANT)


@inner_kernel
def redraw_constants(
    programs: ProgramArrays, i: int, live: np.ndarray, space: Tables, stream: np.ndarray) -> None:
  """Draws the constants of live instructions, [L] bool, anew: their sizes over three decades.

  Unlike fresh ones, of which nine in ten are above 0.1: a learning rate seldom is. What is not
  searched stays as it is.
  """
  for function in space.searched:
    for slot in range(space.functions[function, START], space.functions[function, STOP]):
      if live[slot]:
        redraw_constants_of(programs, i, slot, space, stream)


@inner_kernel
def redraw_constants_of(
    programs: ProgramArrays, i: int, slot: int, space: Tables, stream: np.ndarray) -> None:
  """As `redraw_constants`, of the instruction in a slot."""
  opcode = programs.opcode[i, slot]
  for k in range(space.ops[opcode, NUM_CONSTANTS]):
    programs.constants[i, slot, k] = _of_any_size(space.ops[opcode, MEANING + k], stream)


@inner_kernel
def _of_any_size(meaning: int, stream: np.ndarray) -> float:
  number = uniform(stream)
  if meaning == INDEX:
    return number
  value = 10.0 ** (-_DECADES * number)
  if meaning != STD and uniform(stream) < 0.5:
    value = -value
  return round_constant(value)


@inner_kernel
def round_constant(value: float) -> float:
  """Rounds to six significant digits, so that a printed program is the program itself."""
  if value == 0.0:
    return value
  digits = _SIGNIFICANT_DIGITS - 1 - int(np.floor(np.log10(abs(value))))
  # Scaling by an integer power of ten, never by its rounded inverse, gives the decimal's
  # nearest double.
  up, down = _POWERS[min(max(digits, 0), 300)], _POWERS[min(max(-digits, 0), 300)]
  return np.round(value * up / down) / up * down
