"""Data flow of programs: where every operand of every live instruction comes from.

Inside a component function an operand comes from the last instruction above that writes its
address. Otherwise it was there when the component function started, and then only the last
writes in Setup, Predict and Learn matter, because the order of execution (Setup, then Predict
and Learn in turn, then Predict alone) decides which of them was latest. The canonical key is
made of these sources, and the schedule of the fast executor gives every live instruction a
place of its own by them (static single assignment).
"""

import math
from typing import NamedTuple

import numpy as np

from azero.compiler import liveness
from azero.compiler.arrays import (
  BASE_IN1,
  BASE_IN2,
  BASE_OLD,
  BASE_OUT,
  IN1,
  IN2,
  OLD,
  START,
  STOP,
  ProgramArrays,
  Scratch,
  Tables,
  arrays,
  scratch,
  tables,
)
from azero.compiler.kernels import inner_kernel, kernel
from azero.language.program import Function, Programs

# A source is one word: its kind in the top bits, then 1 + position of the last write in
# Setup, Learn and Predict in 16 bits each, 0 for none. Of an instruction above in the same
# component function, or of Predict if seen from Learn, the lowest 16 bits are 1 + position.
ABOVE, ENTRY, PREDICTION, FEATURES, LABEL = (np.uint64(k << 48) for k in range(1, 6))
ZERO = np.uint64(0)  # never written: the zero that memory starts with

_SETUP, _PREDICT, _LEARN = (int(function) for function in Function)
_SETUP_BITS, _LEARN_BITS = np.uint64(32), np.uint64(16)


class DataFlow(NamedTuple):
  """The K live instructions of one program, in the order of their slots.

  Attributes:
    slot: [K] int64.
    source: [K, 3] uint64, where in1, in2 and the old value of the output come from, as
      described at the top of this module; ZERO for an operand that the op does not have.
    predicted: the source of the prediction at the end of Predict.
  """

  slot: np.ndarray
  source: np.ndarray
  predicted: int


def data_flow(program: Programs, live: np.ndarray, *, multiclass: bool = False) -> DataFlow:
  """Where the operands of one program come from.

  Args:
    program: a batch of one.
    live: [L] bool, which instructions to look at.
    multiclass: whether the prediction is v2 and the label v1.
  """
  room = scratch(program.space)
  predicted = _trace_one(
      arrays(program), tables(program.space, multiclass), live[None], room)
  count = int(room.start[3])
  return DataFlow(room.slot[:count], room.words[:count], int(predicted))


@kernel
def _trace_one(
    programs: ProgramArrays, tables: Tables, live: np.ndarray, scratch: Scratch) -> np.uint64:
  return trace(programs, 0, tables, live, scratch)


@inner_kernel
def trace(
    programs: ProgramArrays, i: int, tables: Tables, live: np.ndarray, scratch: Scratch
) -> np.uint64:
  """Finds the sources of the instructions of program i that are marked in `live`, [N, L] bool.

  They are listed in `scratch.slot`, by component function as `scratch.start` says, and so
  are their sources in `scratch.words`.

  Returns:
    The source of the prediction at the end of Predict.
  """
  _list_live(programs, i, tables, live, scratch)
  ops, slots, words, origin = tables.ops, scratch.slot, scratch.words, scratch.origin
  predicted = ZERO
  for function in range(3):
    _enter(function, tables, scratch.last, origin)
    for k in range(scratch.start[function], scratch.start[function + 1]):
      slot = slots[k]
      opcode, out = programs.opcode[i, slot], programs.out[i, slot]
      words[k, IN1] = _source(ops[opcode, BASE_IN1] + programs.in1[i, slot], origin)
      words[k, IN2] = _source(ops[opcode, BASE_IN2] + programs.in2[i, slot], origin)
      words[k, OLD] = _source(ops[opcode, BASE_OLD] + out, origin)
      written = ops[opcode, BASE_OUT] + out
      if written >= 0:
        origin[written] = ABOVE | np.uint64(k + 1)
    if function == _PREDICT:
      predicted = origin[tables.prediction]
  return predicted


@inner_kernel
def _list_live(
    programs: ProgramArrays, i: int, tables: Tables, live: np.ndarray, scratch: Scratch) -> None:
  """Lists the slots of the live instructions, and the last write of every address."""
  ops, slots, last = tables.ops, scratch.slot, scratch.last
  last[:] = ZERO
  count = 0
  for function in range(3):
    scratch.start[function] = count
    for slot in range(tables.functions[function, START], tables.functions[function, STOP]):
      if live[i, slot]:
        slots[count] = slot
        count += 1
        written = ops[programs.opcode[i, slot], BASE_OUT] + programs.out[i, slot]
        if written >= 0:
          last[function, written] = np.uint64(count)
  scratch.start[3] = count


@inner_kernel
def _source(address: int, origin: np.ndarray) -> np.uint64:
  """The source of an operand; its address is negative if the op does not have it."""
  return origin[address] if address >= 0 else ZERO


@inner_kernel
def _enter(function: int, tables: Tables, last: np.ndarray, origin: np.ndarray) -> None:
  """Where the value at every address comes from when a component function starts.

  Args:
    function: the component function.
    tables: of the space.
    last: [3, A] uint64, 1 + position of the last write.
    origin: [A] uint64, filled.
  """
  if function == _SETUP:
    origin[:] = ZERO
    return
  prediction = tables.prediction
  for address in range(len(origin)):
    writes = (
        last[_SETUP, address] << _SETUP_BITS | last[_LEARN, address] << _LEARN_BITS
        | last[_PREDICT, address])
    origin[address] = ENTRY | writes if writes != ZERO else ZERO
  # The evaluation normalises the prediction between Predict and Learn.
  origin[prediction] = PREDICTION | (origin[prediction] & ~ENTRY)
  if function == _LEARN:
    for address in range(len(origin)):
      by_predict = last[_PREDICT, address]
      if by_predict != ZERO:  # what Predict writes is what Learn finds
        origin[address] = by_predict | (PREDICTION if address == prediction else ABOVE)
  origin[tables.features] = FEATURES
  origin[tables.label] = LABEL if function == _LEARN else ZERO


# Whole batches at once, for the waves' graph.

# The integers that a float64 holds exactly have a bit for each of so many instructions; its
# exponent then names the last of a set of them.
_BITS = 52
# Index 0 stands for instructions before these, the last index for those behind.
_BIT = np.array([0.0, *(2.0**k for k in range(_BITS)), 0.0])  # the set of one instruction
_EARLIER = np.array([0, *(2**k - 1 for k in range(_BITS + 1))])  # of those above it
_EXPONENT_SHIFT, _EXPONENT_BIAS = 52, 1022  # such that 1.0, the set of the first, gives 1


class Code(NamedTuple):
  """The M live instructions of a batch, in the order of programs and slots.

  Attributes:
    row: [M] int, the program.
    column: [M] int, the slot.
    function: [M] int.
    position: [M] int, index among the live instructions of the program.
    place: [M] int, index among those of the component function.
    opcode: [M] int.
    operands: [4, M] int, addresses counted over all kinds: in1, in2, old value of the
      output, output; negative where there is none.
  """

  row: np.ndarray
  column: np.ndarray
  function: np.ndarray
  position: np.ndarray
  place: np.ndarray
  opcode: np.ndarray
  operands: np.ndarray


def live_code(programs: Programs, live: np.ndarray) -> Code:
  """The instructions of a batch marked in `live`, [N, L] bool."""
  num_slots = programs.space.num_slots
  flat = np.flatnonzero(live)
  row = flat // num_slots
  column = flat - row * num_slots
  function = programs.space.function_of_slot.take(column)
  section = row * len(Function) + function
  counts = np.bincount(section, minlength=len(programs) * len(Function))
  starts = counts.cumsum()
  starts -= counts
  rank = np.arange(len(flat))
  position = rank - starts[:: len(Function)].take(row)
  place = rank - starts.take(section)
  opcode, in1, in2, out = (
      array.take(flat).astype(np.int64)
      for array in (programs.opcode, programs.in1, programs.in2, programs.out))
  operands = np.empty((4, len(flat)), np.int64)
  bases = liveness.address_bases(programs.space)
  for operand, base, addresses in zip(operands, bases, (in1, in2, out, out)):
    np.add(base.take(opcode), addresses, operand)
  return Code(row, column, function, position, place, opcode, operands)


def sources(
    code: Code, num_programs: int, num_addresses: int, role: liveness.Roles
) -> tuple[np.ndarray, np.ndarray]:
  """Where every operand of every live instruction comes from.

  Returns:
    [3, M] uint64 words for in1, in2 and old, as described at the top of this module; and
    [N] uint64, the source of the prediction at the end of Predict.
  """
  # One cell for every address in each component function of each program, and one more
  # for operands that do not exist: negative, hence the largest as unsigned numbers.
  shape = len(Function), num_programs, num_addresses + 1
  cells = np.minimum(code.operands.view(np.uint64), np.uint64(num_addresses)).view(np.int64)
  cells += (code.function * num_programs + code.row) * shape[2]
  last = np.zeros(shape, np.uint64)  # 1 + position of the last write
  last.reshape(-1)[cells[3]] = code.position + 1  # of equal indices the last one stays
  entry = _entry_sources(last, role)
  above = _writes_above(code, cells, shape)
  words = np.where(above > 0, above | ABOVE, entry.take(cells[:3]))
  written = last[Function.PREDICT, :, role.prediction]
  predicted = np.where(
      written > 0, ABOVE | written, entry[Function.PREDICT, :, role.prediction])
  return words, predicted


def _writes_above(code: Code, cells: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
  """1 + position of the last write above each operand in its own component function.

  Args:
    code: the live instructions.
    cells: [4, M] a number for the address of each operand in its function and program.
    shape: of the cells; the last of each row is that of operands that do not exist.

  Returns:
    [3, M] uint64 for in1, in2 and old; 0 where there is no such write.
  """
  above = np.zeros((3, len(code.row)), np.int64)
  before = code.position - code.place
  for first in range(0, int(code.place.max(initial=-1)) + 1, _BITS):
    bit = code.place - (first - 1)
    # Which of these instructions write a cell. Each has a bit of its own: a sum is a union.
    written = np.bincount(cells[3], _BIT.take(bit, mode="clip"), math.prod(shape))
    written.reshape(shape)[..., -1] = 0.0
    earlier = written.take(cells[:3]).astype(np.int64)
    earlier &= _EARLIER.take(bit, mode="clip")
    latest = earlier.astype(np.float64).view(np.int64)
    latest >>= _EXPONENT_SHIFT
    latest += before + (first - _EXPONENT_BIAS)
    above = np.where(earlier > 0, latest, above)
  return above.view(np.uint64)


def _entry_sources(last: np.ndarray, role: liveness.Roles) -> np.ndarray:
  """What every address can hold when Setup, Predict and Learn start: [3, N, A + 1] uint64."""
  setup, predict, learn = last
  writes = setup << np.uint64(32)
  writes |= learn << np.uint64(16)
  writes |= predict
  entry = np.zeros(last.shape, np.uint64)
  _, at_predict, at_learn = entry
  at_predict[:] = np.where(writes > 0, writes | ENTRY, ZERO)
  # What Predict writes is what Learn finds.
  above = predict > 0
  at_learn[:] = np.where(above, predict | ABOVE, at_predict)
  # The evaluation normalises the prediction between Predict and Learn.
  of_prediction = writes[:, role.prediction]
  at_predict[:, role.prediction] = of_prediction | PREDICTION
  at_learn[:, role.prediction] = PREDICTION | np.where(
      above[:, role.prediction], predict[:, role.prediction], of_prediction)
  entry[1:, :, role.features] = FEATURES
  at_predict[:, role.label] = ZERO
  at_learn[:, role.label] = LABEL
  return entry
