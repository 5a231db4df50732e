"""The mutation that puts an operation between a value and an instruction that reads it.

`y = op(x, z)` comes before one that is needed and reads x, which then reads y. What is z is known
there, or one more instruction computes it. So a gate comes about in one step that needs two
instructions, `z = heaviside(h)` and `y = x * z`, the first of which alone does nothing. What cannot
be done leaves the program as it is.
"""

import numpy as np

from azero.compiler.arrays import SETUP, WRITABLE, ProgramArrays, Tables
from azero.compiler.kernels import kernel
from azero.search.draws import pick
from azero.search.proposals import splices
from azero.search.proposals.addresses import bit, draw, only, readable
from azero.search.proposals.edits import (
  NO_OPCODE,
  WITH_INPUTS,
  draw_operand,
  redirect_input,
  writable,
)
from azero.search.proposals.needs import draw_reader, live_after
from azero.search.proposals.splices import read_by

_MOST = 2  # new instructions


@kernel
def extend_path(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> None:
  """Puts an operation before a needed instruction of Predict or Learn, if that can be done."""
  if function == SETUP:
    return
  count = 1 + pick(stream, _MOST)
  live = live_after(programs, i, function, space)
  reader = draw_reader(programs, i, function, live, space, stream)
  if reader < 0 or splices.room(programs, i, function, space) < count:
    return
  operand = draw_operand(programs, i, reader, space, stream)
  old = read_by(programs, i, reader, operand, space)
  known = splices.known_before(programs, i, function, reader, space)
  idle = writable(function, WITH_INPUTS, space) & ~splices.needed_from(
      programs, i, function, reader, space)
  sources = known if count == 1 else idle
  opcode, second = splices.draw_op(function, (old, sources, idle), space, stream)
  if opcode == NO_OPCODE:
    return
  new = draw(space.units[opcode, WRITABLE] & readable(opcode, second, space) & idle, stream)
  other = draw(readable(opcode, 1 - second, space) & sources, stream)
  gap = splices.open_slots(programs, i, function, (reader, count), space, stream)
  last = gap + count - 1
  splices.grow_value(programs, i, (function, gap, last), (bit(other), known, idle), space, stream)
  value = only(old)
  splices.write(programs, (i, last), (opcode, second), (value, other, new), space, stream)
  redirect_input(programs, i, last + 1, operand, new, space)
