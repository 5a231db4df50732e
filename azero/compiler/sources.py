"""Data flow of programs: where every operand of every live instruction comes from.

Inside a component function an operand comes from the last instruction above that writes its
address. Otherwise it was there when the component function started, and then only the last
writes in Setup, Predict and Learn matter, because the order of execution (Setup, then Predict
and Learn in turn, then Predict alone) decides which of them was latest. The canonical key is
made of these sources, and the schedule of the fast executor gives every live instruction a
place of its own by them (static single assignment).
"""

from typing import NamedTuple

import numpy as np

from azero.compiler.arrays import (
  BASE_IN1,
  BASE_IN2,
  BASE_OLD,
  BASE_OUT,
  IN1,
  IN2,
  LEARN,
  OLD,
  PREDICT,
  SETUP,
  START,
  STOP,
  ProgramArrays,
  Scratch,
  Tables,
  arrays,
  scratch,
  tables,
)
from azero.compiler.kernels import inlined_kernel, kernel
from azero.language.program import Programs

# A source is one word: its kind in the top bits, then 1 + position of the last write in
# Setup, Learn and Predict in 16 bits each, 0 for none. Of an instruction above in the same
# component function, or of Predict if seen from Learn, the lowest 16 bits are 1 + position.
ABOVE, ENTRY, PREDICTION, FEATURES, LABEL = (np.uint64(k << 48) for k in range(1, 6))
ZERO = np.uint64(0)  # never written: the zero that memory starts with

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
      arrays(program), tables(program.space, multiclass), live, room)
  count = int(room.start[3])
  return DataFlow(room.slot[:count], room.words[:count], int(predicted))


@kernel
def _trace_one(
    programs: ProgramArrays, tables: Tables, live: np.ndarray, scratch: Scratch) -> np.uint64:
  return trace(programs, 0, tables, live, scratch)


@inlined_kernel
def trace(
    programs: ProgramArrays, i: int, tables: Tables, live: np.ndarray, scratch: Scratch
) -> np.uint64:
  """Finds the sources of the instructions of program i that are marked in `live`, [L] bool.

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
    if function == PREDICT:
      predicted = origin[tables.prediction]
  return predicted


@inlined_kernel
def _list_live(
    programs: ProgramArrays, i: int, tables: Tables, live: np.ndarray, scratch: Scratch) -> None:
  """Lists the slots of the live instructions, and the last write of every address."""
  ops, slots, last = tables.ops, scratch.slot, scratch.last
  last[:] = ZERO
  count = 0
  for function in range(3):
    scratch.start[function] = count
    for slot in range(tables.functions[function, START], tables.functions[function, STOP]):
      if live[slot]:
        slots[count] = slot
        count += 1
        written = ops[programs.opcode[i, slot], BASE_OUT] + programs.out[i, slot]
        if written >= 0:
          last[function, written] = np.uint64(count)
  scratch.start[3] = count


@inlined_kernel
def _source(address: int, origin: np.ndarray) -> np.uint64:
  """The source of an operand; its address is negative if the op does not have it."""
  return origin[address] if address >= 0 else ZERO


@inlined_kernel
def _enter(function: int, tables: Tables, last: np.ndarray, origin: np.ndarray) -> None:
  """Where the value at every address comes from when a component function starts.

  Args:
    function: the component function.
    tables: of the space.
    last: [3, A] uint64, 1 + position of the last write.
    origin: [A] uint64, filled.
  """
  if function == SETUP:
    origin[:] = ZERO
    return
  prediction = tables.prediction
  for address in range(len(origin)):
    writes = (
        last[SETUP, address] << _SETUP_BITS | last[LEARN, address] << _LEARN_BITS
        | last[PREDICT, address])
    origin[address] = ENTRY | writes if writes != ZERO else ZERO
  # The evaluation normalises the prediction between Predict and Learn.
  origin[prediction] = PREDICTION | (origin[prediction] & ~ENTRY)
  if function == LEARN:
    for address in range(len(origin)):
      by_predict = last[PREDICT, address]
      if by_predict != ZERO:  # what Predict writes is what Learn finds
        origin[address] = by_predict | (PREDICTION if address == prediction else ABOVE)
  origin[tables.features] = FEATURES
  origin[tables.label] = LABEL if function == LEARN else ZERO
