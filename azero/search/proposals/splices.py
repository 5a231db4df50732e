"""Instructions put between those of a program, so that what it computes stays, but for them.

New instructions take the places of dead ones, or room that a component function has left. What they
read is known there; what they write nobody else needs. Sets of addresses are words of bits, as in
`needs`, and all choices are uniform.
"""

import numpy as np

from azero.compiler.arrays import (
  IN1,
  IN2,
  LEARN,
  MAX_LENGTH,
  NUM_ALLOWED,
  PREDICT,
  START,
  WRITABLE,
  ProgramArrays,
  Tables,
)
from azero.compiler.kernels import inlined_kernel, inner_kernel
from azero.search.draws import pick
from azero.search.proposals.addresses import NO_ADDRESS, bit, draw, given, readable, size
from azero.search.proposals.edits import (
  NO_OPCODE,
  WITH_INPUTS,
  close_gap,
  draw_writer,
  end_of,
  open_gap,
  redirect_input,
  redirect_output,
  write_op,
)
from azero.search.proposals.needs import (
  live_after,
  needed_above,
  needed_between,
  outputs_of,
  written,
)


@inner_kernel
def known_before(
    programs: ProgramArrays, i: int, function: int, slot: int, space: Tables) -> np.uint64:
  """The addresses that hold something above a slot of Predict or Learn."""
  known = bit(space.features) | live_after(programs, i, LEARN, space)
  if function == LEARN:
    known |= given(space) | outputs_of(programs, i, PREDICT, space)
  for above in range(space.functions[function, START], slot):
    known |= written(programs, i, above, space)
  return known


@inner_kernel
def needed_from(
    programs: ProgramArrays, i: int, function: int, slot: int, space: Tables) -> np.uint64:
  """The addresses that are read from a slot of Predict or Learn on, in this pass or a later one."""
  after = live_after(programs, i, function, space)
  return needed_between(programs, i, slot, end_of(programs, i, function, space), after, space)


@inner_kernel
def in_use(programs: ProgramArrays, i: int, space: Tables) -> np.uint64:
  """The addresses that live instructions of Predict and Learn read or write, or that are given."""
  used = given(space)
  for function in (PREDICT, LEARN):
    needed = live_after(programs, i, function, space)
    used |= needed
    for slot in range(
        end_of(programs, i, function, space) - 1, space.functions[function, START] - 1, -1):
      needed = needed_above(programs, i, slot, needed, space)
      used |= needed
  return used


@inner_kernel
def room(programs: ProgramArrays, i: int, function: int, space: Tables) -> int:
  """Instructions that a component function can take in: in place of dead ones, or in free room."""
  first, end = space.functions[function, START], end_of(programs, i, function, space)
  count, needed = first + space.functions[function, MAX_LENGTH] - end, live_after(
      programs, i, function, space)
  for slot in range(end - 1, first - 1, -1):
    count += written(programs, i, slot, space) & needed == NO_ADDRESS
    needed = needed_above(programs, i, slot, needed, space)
  return count


@inner_kernel
def open_slots(
    programs: ProgramArrays, i: int, function: int, where: tuple[int, int], space: Tables,
    stream: np.ndarray) -> int:
  """Opens slots, which have to be written next; dead instructions make way as far as there are.

  Args:
    programs: of which one is changed.
    i: which.
    function: its component function, which has room for them.
    where: the slot before which they open, and how many.
    space: the search space.
    stream: what is drawn from.

  Returns:
    The first of them.
  """
  gap, count = where
  for _ in range(count):
    first, end = space.functions[function, START], end_of(programs, i, function, space)
    dead, seen, needed = end, 0, live_after(programs, i, function, space)
    for slot in range(end - 1, first - 1, -1):
      if written(programs, i, slot, space) & needed == NO_ADDRESS:
        seen += 1
        if pick(stream, seen) == 0:
          dead = slot
      needed = needed_above(programs, i, slot, needed, space)
    if dead < end:
      close_gap(programs, i, dead, end)
      gap -= dead < gap
  for _ in range(count):
    open_gap(programs, i, gap, end_of(programs, i, function, space))
  return gap


@inner_kernel
def write(
    programs: ProgramArrays, where: tuple[int, int], op: tuple[int, int],
    addresses: tuple[int, int, int], space: Tables, stream: np.ndarray) -> None:
  """Writes an instruction that changes a value by another one.

  Args:
    programs: of which one is changed.
    where: which, and its slot.
    op: as `draw_op` says.
    addresses: of the value, of the other one, and to write; counted over all kinds.
    space: the search space.
    stream: what is drawn from.
  """
  (i, slot), (opcode, second), (value, other, target) = where, op, addresses
  write_op(programs, i, slot, opcode, space, stream)
  redirect_input(programs, i, slot, second, value, space)
  redirect_input(programs, i, slot, 1 - second, other, space)
  redirect_output(programs, i, slot, target, space)


@inner_kernel
def redirect(
    programs: ProgramArrays, i: int, function: int, first: int, addresses: tuple[int, int],
    space: Tables) -> None:
  """Lets what reads the first address, from a slot to where it is written, read the second."""
  old, new = addresses
  for slot in range(first, end_of(programs, i, function, space)):
    for operand in range(2):
      if read_by(programs, i, slot, operand, space) == bit(old):
        redirect_input(programs, i, slot, operand, new, space)
    if written(programs, i, slot, space) == bit(old):
      return


@inlined_kernel
def read_by(
    programs: ProgramArrays, i: int, slot: int, operand: int, space: Tables) -> np.uint64:
  """The set of the address that an instruction reads as its in1 or in2; none without such one."""
  units = space.units[programs.opcode[i, slot]]
  if operand:
    return units[IN2] << np.uint64(programs.in2[i, slot])
  return units[IN1] << np.uint64(programs.in1[i, slot])


@inner_kernel
def write_elsewhere(
    programs: ProgramArrays, i: int, addresses: np.uint64, changes: bool, space: Tables,
    stream: np.ndarray) -> bool:
  """Lets dead instructions that write these addresses write others that nobody needs, if any.

  Returns:
    Whether all have others; without `changes` that is all it does.
  """
  have = True
  for function in (PREDICT, LEARN):
    needed = live_after(programs, i, function, space)
    for slot in range(
        end_of(programs, i, function, space) - 1, space.functions[function, START] - 1, -1):
      if written(programs, i, slot, space) & addresses & ~needed != NO_ADDRESS:
        others = space.units[programs.opcode[i, slot], WRITABLE] & ~(needed | addresses)
        have = have and others != NO_ADDRESS
        if changes and others != NO_ADDRESS:
          redirect_output(programs, i, slot, draw(others, stream), space)
      needed = needed_above(programs, i, slot, needed, space)
  return have


@inner_kernel
def grow_value(
    programs: ProgramArrays, i: int, where: tuple[int, int, int],
    sets: tuple[np.uint64, np.uint64, np.uint64], space: Tables, stream: np.ndarray) -> None:
  """Fills slots with instructions that compute a value together, the last of them the value itself.

  From the last to the first each writes what one below it reads. Of its inputs as many are still to
  be computed as is drawn from what the slots above can and have to do; the others are known, or
  any, where nothing of their kind is. Where no address is left to be computed nobody reads it.

  Args:
    programs: of which one is changed.
    i: which.
    where: the component function, the first slot and the one behind the last.
    sets: the address of the value, those that are known, and those that may be written; ops with
      inputs have to be able to write them all.
    space: the search space.
    stream: what is drawn from.
  """
  function, first, end = where
  wanted, known, idle = sets
  for slot in range(end - 1, first - 1, -1):
    left = slot - first
    outputs = wanted if wanted != NO_ADDRESS else idle
    opcode = draw_writer(function, outputs, WITH_INPUTS, space, stream)
    target = draw(space.units[opcode, WRITABLE] & outputs, stream)
    write_op(programs, i, slot, opcode, space, stream)
    redirect_output(programs, i, slot, target, space)
    wanted &= ~bit(target)
    wanted |= _draw_inputs(
        programs, (i, slot), (wanted, known, idle & ~bit(target)), left, space, stream)


@inlined_kernel
def _draw_inputs(
    programs: ProgramArrays, where: tuple[int, int], sets: tuple[np.uint64, np.uint64, np.uint64],
    left: int, space: Tables, stream: np.ndarray) -> np.uint64:
  """Draws what an instruction reads.

  Args:
    programs: of which one is changed.
    where: which, and the slot of the instruction.
    sets: which addresses are to be computed already, which are known, and which may be written.
    left: slots above it, each of which has to compute something that is read.
    space: the search space.
    stream: what is drawn from.

  Returns:
    Which of its inputs are to be computed, too.
  """
  i, slot = where
  waiting, known, idle = sets
  opcode, count = programs.opcode[i, slot], size(waiting)
  inputs = 2 if readable(opcode, 1, space) != NO_ADDRESS else 1
  least = 1 if left > 0 and count == 0 else 0
  computed = least + pick(stream, min(inputs, left - count) - least + 1)
  other = pick(stream, inputs)  # is known if one of two is computed
  fresh = NO_ADDRESS
  for operand in range(inputs):
    kind = readable(opcode, operand, space)
    choices = kind & known
    if computed == inputs or (computed == 1 and operand != other):
      unused = kind & idle & ~(waiting | fresh)
      if unused != NO_ADDRESS:
        choices = bit(draw(unused, stream))
        fresh |= choices
    if choices != NO_ADDRESS:
      redirect_input(programs, i, slot, operand, draw(choices, stream), space)
  return fresh


@inner_kernel
def draw_op(
    function: int, sets: tuple[np.uint64, np.uint64, np.uint64], space: Tables,
    stream: np.ndarray) -> tuple[int, int]:
  """Draws an op of a component function that changes a value by another one.

  Args:
    function: the component function.
    sets: the addresses of which one is changed, those of which it reads another one, and those
      of which it writes one, of the kind of the first.
    space: the search space.
    stream: what is drawn from.

  Returns:
    The op, or NO_OPCODE, and whether the value that is changed is its second input.
  """
  fitting = 0
  for k in range(2 * space.functions[function, NUM_ALLOWED]):
    fitting += _fits(space.allowed[function, k // 2], k % 2, sets, space)
  if fitting == 0:
    return NO_OPCODE, 0
  left, k = pick(stream, fitting), 0
  while True:
    opcode = space.allowed[function, k // 2]
    if _fits(opcode, k % 2, sets, space):
      if left == 0:
        return opcode, k % 2
      left -= 1
    k += 1


@inner_kernel
def _fits(
    opcode: int, second: int, sets: tuple[np.uint64, np.uint64, np.uint64], space: Tables) -> bool:
  changed, other, outputs = sets
  kind = readable(opcode, second, space)
  return (
      kind & changed != NO_ADDRESS and readable(opcode, 1 - second, space) & other != NO_ADDRESS
      and kind & outputs & space.units[opcode, WRITABLE] != NO_ADDRESS)
