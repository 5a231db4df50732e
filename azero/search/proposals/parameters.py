"""A mutation that gives a learner one more parameter, whole.

To learn more a program needs an address, an instruction of Predict that reads it and one of Learn
that updates it. What has one or two of these three is not better, and mostly worse, so that
mutations which make them one by one seldom come to all. Here all come at once, from what the
program has already:

1. Predict *joins* the parameter with a value that is needed there, `x = op(x, parameter)`;
2. Learn *updates* it, `parameter = op(parameter, u)`, by a value u that is known there or that one
   more instruction computes from such values.

Places, values, ops and the address are drawn uniformly from those that fit. A new instruction
takes the place of a dead one, or room that a component function has left. Where there is neither,
or no address, a live instruction of Learn makes way, and what read its output reads an input of it.
"""

import numpy as np

from azero.compiler.arrays import (
  BASE_IN1,
  BASE_IN2,
  BASE_OUT,
  CHOICES_IN1,
  IN1,
  IN2,
  MAX_LENGTH,
  NUM_ALLOWED,
  START,
  WRITABLE,
  ProgramArrays,
  Tables,
)
from azero.compiler.kernels import inlined_kernel, inner_kernel
from azero.language.ops import NO_OP
from azero.language.program import Function
from azero.search.draws import pick
from azero.search.proposals.edits import close_gap, function_length, open_gap, write_op
from azero.search.proposals.needs import (
  is_searched,
  live_after,
  needed_above,
  needed_after,
  needed_between,
  outputs_of,
  written,
)

_PREDICT, _LEARN = int(Function.PREDICT), int(Function.LEARN)
_NONE, _ONE = np.uint64(0), np.uint64(1)
_ANY = ~_NONE
_NOBODY = -1  # in place of an op


@inner_kernel
def add_parameter(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> None:
  """Adds a parameter to program i, if that can be done, whichever component function was drawn.

  If not, the program is as before, but that what read an instruction of Learn may read its input.
  """
  if not (is_searched(_PREDICT, space) and is_searched(_LEARN, space)):
    return
  count = 1 + pick(stream, 2)
  left_out = _leave_out(programs, i, count, space, stream)
  if not _add(programs, i, count, space, stream):
    for slot, opcode in left_out:
      if slot != _NOBODY:
        programs.opcode[i, slot] = opcode


@inner_kernel
def _leave_out(
    programs: ProgramArrays, i: int, count: int, space: Tables, stream: np.ndarray
) -> tuple[tuple[int, int], tuple[int, int]]:
  """Makes instructions of Learn no-ops, which are dead, where a parameter has no place.

  At most as many as are to be written, so that none of them stays.

  Returns:
    Their slots, or _NOBODY, and their ops.
  """
  first = second = _leave_one_out(programs, i, count, space, stream)
  if count == 2:
    second = _leave_one_out(programs, i, count, space, stream)
  return first, second


@inner_kernel
def _leave_one_out(
    programs: ProgramArrays, i: int, count: int, space: Tables, stream: np.ndarray
) -> tuple[int, int]:
  """Leaves one out, unless Learn has room for so many and an address is left for a parameter.

  What read its output reads one of its inputs in its place, if that is of the same kind.
  """
  if _room(programs, i, _LEARN, space) >= count and (
      ~_in_use(programs, i, space) & _joinable(space) != _NONE):
    return _NOBODY, NO_OP
  slot = _draw_live(programs, i, space, stream)
  if slot == _NOBODY:
    return _NOBODY, NO_OP
  opcode, output = programs.opcode[i, slot], written(programs, i, slot, space)
  inputs, kind = _reads(programs, i, slot, space) & ~output, _NONE
  for operand in range(2):
    if _readable(opcode, operand, space) & output != _NONE:
      kind = _readable(opcode, operand, space)
  inputs &= kind
  programs.opcode[i, slot] = NO_OP
  if inputs != _NONE:
    old = programs.out[i, slot] + space.ops[opcode, BASE_OUT]
    _redirect(programs, i, _LEARN, slot + 1, (old, _draw(inputs, stream)), space)
  return slot, opcode


@inner_kernel
def _draw_live(programs: ProgramArrays, i: int, space: Tables, stream: np.ndarray) -> int:
  """Draws a live instruction of Learn, or returns _NOBODY."""
  chosen, seen, needed = _NOBODY, 0, live_after(programs, i, _LEARN, space)
  for slot in range(_end(programs, i, _LEARN, space) - 1, space.functions[_LEARN, START] - 1, -1):
    if written(programs, i, slot, space) & needed != _NONE:
      seen += 1
      if pick(stream, seen) == 0:
        chosen = slot
    needed = needed_above(programs, i, slot, needed, space)
  return chosen


@inner_kernel
def _joinable(space: Tables) -> np.uint64:
  """The addresses that an op of Predict can join with a value, writing one of the same kind."""
  result = _NONE
  for k in range(2 * space.functions[_PREDICT, NUM_ALLOWED]):
    opcode = space.allowed[_PREDICT, k // 2]
    if _readable(opcode, k % 2, space) & space.units[opcode, WRITABLE] != _NONE:
      result |= _readable(opcode, 1 - k % 2, space)
  return result


@inner_kernel
def _add(
    programs: ProgramArrays, i: int, count: int, space: Tables, stream: np.ndarray) -> bool:
  """Adds a parameter, by so many instructions of Learn; returns whether it could be done."""
  if _room(programs, i, _LEARN, space) < count:
    return False
  idle, end = ~_in_use(programs, i, space), _end(programs, i, _PREDICT, space)
  first, full = space.functions[_PREDICT, START], _room(programs, i, _PREDICT, space) == 0
  gap = first + pick(stream, end - first + (not full))
  if full:
    needed, outputs = _reads(programs, i, gap, space), written(programs, i, gap, space)
  else:
    needed, outputs = needed_between(
        programs, i, gap, end, needed_after(programs, i, _PREDICT, space), space), _ANY
  if needed == _NONE:
    return False
  old = _draw(needed, stream)
  outputs &= _bit(old) | (outputs if full else idle)
  opcode, second = _draw_op(_PREDICT, (_bit(old), idle, outputs), space, stream)
  if opcode == _NOBODY:
    return False
  parameter = _draw(_readable(opcode, 1 - second, space) & idle, stream)
  outputs &= space.units[opcode, WRITABLE] & _readable(opcode, second, space) & ~_bit(parameter)
  if outputs & _bit(old) != _NONE:
    outputs = _bit(old)
  if outputs == _NONE:
    return False
  target = _draw(outputs, stream)
  if not _add_update(programs, i, count, (parameter, target), space, stream):
    return False
  inputs = (parameter, old) if second else (old, parameter)
  if not full:
    gap = _open(programs, i, _PREDICT, (gap, 1), space, stream)
  _write(programs, i, gap, opcode, (*inputs, target), space, stream)
  if target != old and not full:
    _redirect(programs, i, _PREDICT, gap + 1, (old, target), space)
    if pick(stream, 2) == 1:
      _redirect(programs, i, _LEARN, space.functions[_LEARN, START], (old, target), space)
  return True


@inner_kernel
def _add_update(
    programs: ProgramArrays, i: int, count: int, joined: tuple[int, int], space: Tables,
    stream: np.ndarray) -> bool:
  """Adds the update of a parameter to Learn.

  Args:
    programs: of which one is changed.
    i: which.
    count: 1 for an update by what is known, 2 for one by what one more instruction computes.
    joined: the parameter, and where Predict writes what it is joined with.
    space: the search space.
    stream: what is drawn from.

  Returns:
    Whether it could be done.
  """
  parameter, target = joined
  own = _bit(parameter)
  first, end = space.functions[_LEARN, START], _end(programs, i, _LEARN, space)
  gap = first + pick(stream, end - first + 1)
  known = (_known(programs, i, gap, space) | _bit(target)) & ~own
  opcode, second = _draw_op(
      _LEARN, (own, known if count == 1 else _ANY, own), space, stream)
  if opcode == _NOBODY:
    return False
  wanted = _readable(opcode, 1 - second, space)
  inner, inputs = _NOBODY, (0, 0)
  if count == 1:
    value = _draw(wanted & known, stream)
  else:
    below = needed_between(
        programs, i, gap, end, live_after(programs, i, _LEARN, space), space)
    wanted &= ~(below | own | _bit(target))
    inner = _draw_value(wanted, known, space, stream)
    if inner == _NOBODY:
      return False
    value = _draw(space.units[inner, WRITABLE] & wanted, stream)
    inputs = _draw_inputs(inner, known, space, stream)
  _write_elsewhere(programs, i, parameter, space, stream)
  _write_elsewhere(programs, i, target, space, stream)
  gap = _open(programs, i, _LEARN, (gap, count), space, stream)
  if count == 2:
    _write(programs, i, gap, inner, (*inputs, value), space, stream)
  inputs = (value, parameter) if second else (parameter, value)
  _write(programs, i, gap + count - 1, opcode, (*inputs, parameter), space, stream)
  return True


@inlined_kernel
def _reads(programs: ProgramArrays, i: int, slot: int, space: Tables) -> np.uint64:
  """The addresses that an instruction reads."""
  return needed_above(programs, i, slot, written(programs, i, slot, space), space)


@inner_kernel
def _in_use(programs: ProgramArrays, i: int, space: Tables) -> np.uint64:
  """The addresses that live instructions of Predict and Learn read or write, or that are given."""
  used = _given(space)
  for function in (_PREDICT, _LEARN):
    needed = live_after(programs, i, function, space)
    used |= needed
    for slot in range(
        _end(programs, i, function, space) - 1, space.functions[function, START] - 1, -1):
      needed = needed_above(programs, i, slot, needed, space)
      used |= needed
  return used


@inner_kernel
def _known(programs: ProgramArrays, i: int, gap: int, space: Tables) -> np.uint64:
  """The addresses that hold something in Learn, above a slot."""
  known = _given(space) | outputs_of(programs, i, _PREDICT, space)
  known |= live_after(programs, i, _LEARN, space)
  for slot in range(space.functions[_LEARN, START], gap):
    known |= written(programs, i, slot, space)
  return known


@inlined_kernel
def _given(space: Tables) -> np.uint64:
  return _bit(space.label) | _bit(space.features) | _bit(space.prediction)


@inner_kernel
def _draw_op(
    function: int, sets: tuple[np.uint64, np.uint64, np.uint64], space: Tables,
    stream: np.ndarray) -> tuple[int, int]:
  """Draws an op of a component function that changes a value by another one.

  Args:
    function: the component function.
    sets: of which addresses it reads one that is to be changed and one other, and writes one, of
      the kind of the first.
    space: the search space.
    stream: what is drawn from.

  Returns:
    The op, or _NOBODY, and whether the value that is changed is its second input.
  """
  fitting = 0
  for k in range(2 * space.functions[function, NUM_ALLOWED]):
    fitting += _fits(space.allowed[function, k // 2], k % 2, sets, space)
  if fitting == 0:
    return _NOBODY, 0
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
  kind = _readable(opcode, second, space)
  return (
      kind & changed != _NONE and _readable(opcode, 1 - second, space) & other != _NONE
      and kind & outputs & space.units[opcode, WRITABLE] != _NONE)


@inner_kernel
def _draw_value(
    wanted: np.uint64, known: np.uint64, space: Tables, stream: np.ndarray) -> int:
  """Draws an op of Learn that writes a wanted address and has inputs, all of known kinds."""
  fitting = 0
  for k in range(space.functions[_LEARN, NUM_ALLOWED]):
    fitting += _computes(space.allowed[_LEARN, k], wanted, known, space)
  if fitting == 0:
    return _NOBODY
  left, k = pick(stream, fitting), 0
  while True:
    opcode = space.allowed[_LEARN, k]
    if _computes(opcode, wanted, known, space):
      if left == 0:
        return opcode
      left -= 1
    k += 1


@inner_kernel
def _computes(opcode: int, wanted: np.uint64, known: np.uint64, space: Tables) -> bool:
  first, second = _readable(opcode, 0, space), _readable(opcode, 1, space)
  return (
      space.units[opcode, WRITABLE] & wanted != _NONE and first & known != _NONE
      and (second == _NONE or second & known != _NONE))


@inlined_kernel
def _draw_inputs(
    opcode: int, known: np.uint64, space: Tables, stream: np.ndarray) -> tuple[int, int]:
  """Draws what an op reads from what is known; 0 for a second input that it does not have."""
  first, second = _draw(_readable(opcode, 0, space) & known, stream), 0
  if _readable(opcode, 1, space) != _NONE:
    second = _draw(_readable(opcode, 1, space) & known, stream)
  return first, second


@inlined_kernel
def _readable(opcode: int, operand: int, space: Tables) -> np.uint64:
  """The addresses of the kind of in1 or in2; none if the op has no such input."""
  choices = np.uint64(space.ops[opcode, CHOICES_IN1 + operand])
  return space.units[opcode, IN2 if operand else IN1] * ((_ONE << choices) - _ONE)


@inner_kernel
def _write_elsewhere(
    programs: ProgramArrays, i: int, address: int, space: Tables, stream: np.ndarray) -> None:
  """Lets dead instructions that write an address write others that nobody needs, if there are."""
  for function in (_PREDICT, _LEARN):
    needed = live_after(programs, i, function, space)
    for slot in range(
        _end(programs, i, function, space) - 1, space.functions[function, START] - 1, -1):
      opcode = programs.opcode[i, slot]
      if written(programs, i, slot, space) == _bit(address) and needed & _bit(address) == _NONE:
        others = space.units[opcode, WRITABLE] & ~(needed | _bit(address))
        if others != _NONE:
          programs.out[i, slot] = _draw(others, stream) - space.ops[opcode, BASE_OUT]
      needed = needed_above(programs, i, slot, needed, space)


@inner_kernel
def _room(programs: ProgramArrays, i: int, function: int, space: Tables) -> int:
  """Instructions that a component function can take in: in place of dead ones, or in free room."""
  first, end = space.functions[function, START], _end(programs, i, function, space)
  room, needed = first + space.functions[function, MAX_LENGTH] - end, live_after(
      programs, i, function, space)
  for slot in range(end - 1, first - 1, -1):
    room += written(programs, i, slot, space) & needed == _NONE
    needed = needed_above(programs, i, slot, needed, space)
  return room


@inner_kernel
def _open(
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
    end = _end(programs, i, function, space)
    dead = _draw_dead(programs, i, function, space, stream)
    if dead < end:
      close_gap(programs, i, dead, end)
      gap -= dead < gap
  for _ in range(count):
    open_gap(programs, i, gap, _end(programs, i, function, space))
  return gap


@inner_kernel
def _draw_dead(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> int:
  """Draws a dead instruction, one that was left out before all others; the end if there is none."""
  first, end = space.functions[function, START], _end(programs, i, function, space)
  for slot in range(first, end):
    if programs.opcode[i, slot] == NO_OP:
      return slot
  dead, seen, needed = end, 0, live_after(programs, i, function, space)
  for slot in range(end - 1, first - 1, -1):
    if written(programs, i, slot, space) & needed == _NONE:
      seen += 1
      if pick(stream, seen) == 0:
        dead = slot
    needed = needed_above(programs, i, slot, needed, space)
  return dead


@inlined_kernel
def _write(
    programs: ProgramArrays, i: int, slot: int, opcode: int, addresses: tuple[int, int, int],
    space: Tables, stream: np.ndarray) -> None:
  """Writes an instruction, of its addresses in1, in2 and out counted over all kinds."""
  write_op(programs, i, slot, opcode, space, stream)
  operands = space.ops[opcode]
  programs.in1[i, slot] = addresses[0] - operands[BASE_IN1]
  if _readable(opcode, 1, space) != _NONE:
    programs.in2[i, slot] = addresses[1] - operands[BASE_IN2]
  programs.out[i, slot] = addresses[2] - operands[BASE_OUT]


@inner_kernel
def _redirect(
    programs: ProgramArrays, i: int, function: int, first: int, addresses: tuple[int, int],
    space: Tables) -> None:
  """Lets what reads the first address, from a slot to where it is written, read the second."""
  old, new = addresses
  for slot in range(first, _end(programs, i, function, space)):
    opcode = programs.opcode[i, slot]
    units, operands = space.units[opcode], space.ops[opcode]
    if units[IN1] << np.uint64(programs.in1[i, slot]) == _bit(old):
      programs.in1[i, slot] = new - operands[BASE_IN1]
    if units[IN2] << np.uint64(programs.in2[i, slot]) == _bit(old):
      programs.in2[i, slot] = new - operands[BASE_IN2]
    if written(programs, i, slot, space) == _bit(old):
      return


@inlined_kernel
def _end(programs: ProgramArrays, i: int, function: int, space: Tables) -> int:
  """The slot behind the last instruction of a component function."""
  return space.functions[function, START] + function_length(programs, i, function, space)


@inlined_kernel
def _bit(address: int) -> np.uint64:
  return _ONE << np.uint64(address)


@inner_kernel
def _draw(addresses: np.uint64, stream: np.ndarray) -> int:
  """Draws one of a set of addresses, which is not empty."""
  count, rest = 0, addresses
  while rest != _NONE:
    rest &= rest - _ONE
    count += 1
  left, address = pick(stream, count), 0
  while True:
    if addresses & _bit(address) != _NONE:
      if left == 0:
        return address
      left -= 1
    address += 1
