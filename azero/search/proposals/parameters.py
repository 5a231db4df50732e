"""A mutation that gives a learner one more parameter, whole.

To learn more a program needs an address, an instruction of Predict that reads it and one of Learn
that updates it. What has one or two of these three is not better, and mostly worse, so that
mutations which make them one by one seldom come to all. Here all come at once, from what the
program has already:

1. Predict *joins* the parameter with a value that is needed there, `x = op(x, parameter)`;
2. Learn *updates* it, `parameter = op(parameter, u)`, by a value u that is known there or that one
   more instruction computes from such values.

Places, values, ops and the address are drawn uniformly from those that fit. A new instruction
takes the place of a dead one, or room that a component function has left. What cannot be done
leaves the program as it is.
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
  """Adds a parameter to program i, if that can be done, whichever component function was drawn."""
  if not (is_searched(_PREDICT, space) and is_searched(_LEARN, space)):
    return
  idle, end = ~_in_use(programs, i, space), _end(programs, i, _PREDICT, space)
  first = space.functions[_PREDICT, START]
  gap = first + pick(stream, end - first + 1)
  needed = needed_between(
      programs, i, gap, end, needed_after(programs, i, _PREDICT, space), space)
  if needed == _NONE or _room(programs, i, _PREDICT, space) < 1:
    return
  old = _draw(needed, stream)
  opcode, second = _draw_op(_PREDICT, (_bit(old), idle, _bit(old) | idle), space, stream)
  if opcode == _NOBODY:
    return
  parameter = _draw(_readable(opcode, 1 - second, space) & idle, stream)
  writable, target = space.units[opcode, WRITABLE], old
  if writable & _bit(old) == _NONE:
    idle &= writable & _readable(opcode, second, space) & ~_bit(parameter)
    if idle == _NONE:
      return
    target = _draw(idle, stream)
  if not _add_update(programs, i, parameter, target, space, stream):
    return
  gap = _open(programs, i, _PREDICT, (gap, 1), space, stream)
  inputs = (parameter, old) if second else (old, parameter)
  _write(programs, (i, gap), opcode, (*inputs, target), space, stream)
  if target != old:
    _redirect(programs, i, _PREDICT, gap + 1, (old, target), space)
    if pick(stream, 2) == 1:
      _redirect(programs, i, _LEARN, space.functions[_LEARN, START], (old, target), space)


@inner_kernel
def _add_update(
    programs: ProgramArrays, i: int, parameter: int, joined: int, space: Tables,
    stream: np.ndarray) -> bool:
  """Adds the update of a parameter to Learn; `joined` is what it is joined with in Predict.

  Returns:
    Whether it could be done.
  """
  count = 1 + pick(stream, 2)
  if _room(programs, i, _LEARN, space) < count:
    return False
  first, end = space.functions[_LEARN, START], _end(programs, i, _LEARN, space)
  gap = first + pick(stream, end - first + 1)
  own = _bit(parameter)
  known = (_known(programs, i, gap, space) | _bit(joined)) & ~own
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
    wanted &= ~(below | own | _bit(joined))
    inner = _draw_value(wanted, known, space, stream)
    if inner == _NOBODY:
      return False
    value = _draw(space.units[inner, WRITABLE] & wanted, stream)
    inputs = _draw_inputs(inner, known, space, stream)
  _write_elsewhere(programs, i, parameter, space, stream)
  _write_elsewhere(programs, i, joined, space, stream)
  gap = _open(programs, i, _LEARN, (gap, count), space, stream)
  if count == 2:
    _write(programs, (i, gap), inner, (*inputs, value), space, stream)
  inputs = (value, parameter) if second else (parameter, value)
  _write(programs, (i, gap + count - 1), opcode, (*inputs, parameter), space, stream)
  return True


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
    first, end = space.functions[function, START], _end(programs, i, function, space)
    dead, seen, needed = end, 0, live_after(programs, i, function, space)
    for slot in range(end - 1, first - 1, -1):
      if written(programs, i, slot, space) & needed == _NONE:
        seen += 1
        if pick(stream, seen) == 0:
          dead = slot
      needed = needed_above(programs, i, slot, needed, space)
    if dead < end:
      close_gap(programs, i, dead, end)
      gap -= dead < gap
  for _ in range(count):
    open_gap(programs, i, gap, _end(programs, i, function, space))
  return gap


@inlined_kernel
def _write(
    programs: ProgramArrays, where: tuple[int, int], opcode: int, addresses: tuple[int, int, int],
    space: Tables, stream: np.ndarray) -> None:
  """Writes an instruction into a program's slot, its in1, in2 and out counted over all kinds."""
  i, slot = where
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
