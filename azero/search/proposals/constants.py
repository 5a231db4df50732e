"""The mutation that gives a program one more constant, such as a learning rate.

A needed instruction of Predict or Learn that reads x reads `y = op(x, constant)` in its place, and
Setup ends with a number for the constant. Each of the two instructions alone does nothing, or reads
a zero, so that mutations which change one component function seldom come to both. What cannot be
done leaves the program as it is.
"""

import numpy as np

from azero.compiler.arrays import SETUP, WRITABLE, ProgramArrays, Tables
from azero.compiler.kernels import inner_kernel, kernel
from azero.search.proposals import splices
from azero.search.proposals.addresses import NO_ADDRESS, bit, draw, only, readable, scalars
from azero.search.proposals.edits import (
  NO_OPCODE,
  OF_CONSTANTS,
  WITH_INPUTS,
  draw_operand,
  draw_writer,
  end_of,
  redirect_input,
  redirect_output,
  redraw_constants_of,
  writable,
  write_op,
)
from azero.search.proposals.needs import draw_reader, is_searched, live_after
from azero.search.proposals.splices import read_by


@kernel
def add_constant(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> None:
  """Lets a needed instruction of Predict or Learn read an op of a new constant, if it can."""
  if function == SETUP or not is_searched(SETUP, space):
    return
  live = live_after(programs, i, function, space)
  reader = draw_reader(programs, i, function, live, space, stream)
  if reader < 0 or not splices.room(programs, i, function, space):
    return
  if not splices.room(programs, i, SETUP, space):
    return
  operand = draw_operand(programs, i, reader, space, stream)
  old = read_by(programs, i, reader, operand, space)
  free = scalars(space) & writable(SETUP, OF_CONSTANTS, space)
  free &= ~splices.in_use(programs, i, space)
  idle = writable(function, WITH_INPUTS, space) & ~splices.needed_from(
      programs, i, function, reader, space)
  opcode, second = splices.draw_op(function, (old, free, idle), space, stream)
  if opcode == NO_OPCODE:
    return
  constant = draw(readable(opcode, 1 - second, space) & free, stream)
  idle &= space.units[opcode, WRITABLE] & readable(opcode, second, space) & ~bit(constant)
  if idle == NO_ADDRESS or not splices.write_elsewhere(
      programs, i, bit(constant), False, space, stream):
    return
  new, value = draw(idle, stream), only(old)
  splices.write_elsewhere(programs, i, bit(constant), True, space, stream)
  _end_setup(programs, i, constant, space, stream)
  gap = splices.open_slots(programs, i, function, (reader, 1), space, stream)
  splices.write(programs, (i, gap), (opcode, second), (value, constant, new), space, stream)
  redirect_input(programs, i, gap + 1, operand, new, space)


@inner_kernel
def _end_setup(
    programs: ProgramArrays, i: int, constant: int, space: Tables, stream: np.ndarray) -> None:
  """Lets Setup, which has room for it, end with a number for the constant."""
  end = end_of(programs, i, SETUP, space)
  slot = splices.open_slots(programs, i, SETUP, (end, 1), space, stream)
  opcode = draw_writer(SETUP, bit(constant), OF_CONSTANTS, space, stream)
  write_op(programs, i, slot, opcode, space, stream)
  redirect_output(programs, i, slot, constant, space)
  redraw_constants_of(programs, i, slot, space, stream)
