"""Mutations that give a learner one more parameter, whole.

To learn more a program needs an address, an instruction of Predict that reads it and some of Learn
that update it. What has a part of these is not better, and mostly worse, so that mutations which
make them one by one seldom come to all. Here all come at once, from what the program has already:

- *`add_parameter`*: Predict joins a new parameter with a value that is needed there,
  `x = op(x, parameter)`, and Learn updates it. Where x cannot be written, as the features, a new
  `y = op(x, parameter)` is read in its place from there on, in Learn half of the time.
- *`add_update`*: Learn updates a value that Predict reads and that nothing has written since Setup.

An update is `parameter = op(parameter, u)`, by a value u that is known in Learn or that new
instructions compute from such values. Places, values, ops and addresses are drawn uniformly from
those that fit. What cannot be done leaves the program as it is.
"""

import numpy as np

from azero.compiler.arrays import LEARN, PREDICT, START, WRITABLE, ProgramArrays, Tables
from azero.compiler.kernels import inner_kernel, kernel
from azero.search.draws import pick
from azero.search.proposals import splices
from azero.search.proposals.addresses import NO_ADDRESS, bit, draw, given, readable
from azero.search.proposals.edits import NO_OPCODE, WITH_INPUTS, end_of, writable
from azero.search.proposals.needs import (
  is_searched,
  needed_after,
  needed_before,
  needed_between,
  outputs_of,
)

# Instructions of an update at most: the gradient of a hidden layer takes three or four.
_OF_NEW, _OF_OLD = 2, 4


@kernel
def add_parameter(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> None:
  """Adds a parameter to program i, if that can be done, whichever component function was drawn."""
  if not (is_searched(PREDICT, space) and is_searched(LEARN, space)):
    return
  idle, end = ~splices.in_use(programs, i, space), end_of(programs, i, PREDICT, space)
  first = space.functions[PREDICT, START]
  gap = first + pick(stream, end - first + 1)
  needed = needed_between(
      programs, i, gap, end, needed_after(programs, i, PREDICT, space), space)
  if needed == NO_ADDRESS or splices.room(programs, i, PREDICT, space) < 1:
    return
  old = draw(needed, stream)
  opcode, second = splices.draw_op(PREDICT, (bit(old), idle, bit(old) | idle), space, stream)
  if opcode == NO_OPCODE:
    return
  parameter = draw(readable(opcode, 1 - second, space) & idle, stream)
  writable, target = space.units[opcode, WRITABLE], old
  if writable & bit(old) == NO_ADDRESS:
    idle &= writable & readable(opcode, second, space) & ~bit(parameter)
    if idle == NO_ADDRESS:
      return
    target = draw(idle, stream)
  if not _add_update(programs, i, (parameter, bit(target), _OF_NEW), space, stream):
    return
  gap = splices.open_slots(programs, i, PREDICT, (gap, 1), space, stream)
  splices.write(programs, (i, gap), (opcode, second), (old, parameter, target), space, stream)
  if target != old:
    splices.redirect(programs, i, PREDICT, gap + 1, (old, target), space)
    if pick(stream, 2) == 1:
      splices.redirect(
          programs, i, LEARN, space.functions[LEARN, START], (old, target), space)


@kernel
def add_update(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> None:
  """Makes a parameter of a constant of program i, whichever component function was drawn."""
  if not is_searched(LEARN, space):
    return
  constant = needed_before(programs, i, PREDICT, bit(space.prediction), space)
  constant &= ~(
      given(space) | outputs_of(programs, i, PREDICT, space)
      | outputs_of(programs, i, LEARN, space))
  if constant != NO_ADDRESS:
    _add_update(programs, i, (draw(constant, stream), NO_ADDRESS, _OF_OLD), space, stream)


@inner_kernel
def _add_update(
    programs: ProgramArrays, i: int, what: tuple[int, np.uint64, int], space: Tables,
    stream: np.ndarray) -> bool:
  """Adds the update of a parameter to Learn.

  Args:
    programs: of which one is changed.
    i: which.
    what: the parameter; the address that it will be joined with in Predict, if it is new there;
      and how many instructions the update has at most.
    space: the search space.
    stream: what is drawn from.

  Returns:
    Whether it could be done.
  """
  parameter, joined, most = what
  count = 1 + pick(stream, most)
  if splices.room(programs, i, LEARN, space) < count:
    return False
  first, end = space.functions[LEARN, START], end_of(programs, i, LEARN, space)
  gap = first + pick(stream, end - first + 1)
  own = bit(parameter)
  known = (splices.known_before(programs, i, LEARN, gap, space) | joined) & ~own
  idle = writable(LEARN, WITH_INPUTS, space) & ~(
      splices.needed_from(programs, i, LEARN, gap, space) | own | joined)
  sources = known if count == 1 else idle
  opcode, second = splices.draw_op(LEARN, (own, sources, own), space, stream)
  if opcode == NO_OPCODE:
    return False
  new = (own | joined) & ~splices.in_use(programs, i, space)
  if not splices.write_elsewhere(programs, i, new, False, space, stream):
    return False
  value = draw(readable(opcode, 1 - second, space) & sources, stream)
  splices.write_elsewhere(programs, i, own | joined, True, space, stream)
  gap = splices.open_slots(programs, i, LEARN, (gap, count), space, stream)
  last = gap + count - 1
  splices.grow_value(programs, i, (LEARN, gap, last), (bit(value), known, idle), space, stream)
  splices.write(
      programs, (i, last), (opcode, second), (parameter, value, parameter), space, stream)
  return True
