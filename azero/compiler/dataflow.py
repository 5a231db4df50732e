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

from azero.compiler import liveness
from azero.language.program import Function, Programs

# A source is one word: its kind in the top bits, then 1 + position of the last write in
# Setup, Learn and Predict in 16 bits each, 0 for none. Of an instruction above in the same
# component function, or of Predict if seen from Learn, the lowest 16 bits are 1 + position.
ABOVE, ENTRY, PREDICTION, FEATURES, LABEL = (np.uint64(k << 48) for k in range(1, 6))
ZERO = np.uint64(0)  # never written: the zero that memory starts with


class Code(NamedTuple):
  """The M live instructions of a batch, in the order of programs and slots.

  Attributes:
    row: [M] int, the program.
    column: [M] int, the slot.
    function: [M] int.
    position: [M] int, index among the live instructions of the program.
    opcode: [M] int.
    operands: [4, M] int, addresses counted over all kinds: in1, in2, old value of the
      output, output; negative where there is none.
  """

  row: np.ndarray
  column: np.ndarray
  function: np.ndarray
  position: np.ndarray
  opcode: np.ndarray
  operands: np.ndarray


def live_code(programs: Programs, live: np.ndarray) -> Code:
  """The instructions of a batch marked in `live`, [N, L] bool."""
  flat = np.flatnonzero(live)
  counts = live.sum(1)
  row = np.repeat(np.arange(len(programs)), counts)
  column = flat - row * programs.space.num_slots
  position = np.arange(len(flat)) - np.repeat(np.cumsum(counts) - counts, counts)
  opcode, in1, in2, out = (
      array.reshape(-1)[flat].astype(np.int64)
      for array in (programs.opcode, programs.in1, programs.in2, programs.out))
  operands = liveness.address_bases(programs.space)[:, opcode] + np.stack([in1, in2, out, out])
  return Code(row, column, programs.space.function_of_slot[column], position, opcode, operands)


def sources(
    code: Code, num_programs: int, num_addresses: int, role: liveness.Roles
) -> tuple[np.ndarray, np.ndarray]:
  """Where every operand of every live instruction comes from.

  Returns:
    [3, M] uint64 words for in1, in2 and old, as described at the top of this module; and
    [N] uint64, the source of the prediction at the end of Predict.
  """
  # One cell for every address in each component function of each program, and one more
  # for operands that do not exist.
  shape = len(Function), num_programs, num_addresses + 1
  first = (code.function * num_programs + code.row) * shape[2]
  cells = first + np.where(code.operands < 0, num_addresses, code.operands)
  last = np.zeros(shape, np.uint64)  # 1 + position of the last write
  last.reshape(-1)[cells[3]] = code.position + 1  # of equal indices the last one stays
  entry = _entry_sources(last, role)
  above = _writes_above(code, cells)
  words = np.where(above > 0, ABOVE | above, entry.reshape(-1)[cells[:3]])
  written = last[Function.PREDICT, :, role.prediction]
  predicted = np.where(
      written > 0, ABOVE | written, entry[Function.PREDICT, :, role.prediction])
  return words, predicted


def _writes_above(code: Code, cells: np.ndarray) -> np.ndarray:
  """1 + position of the last write above each operand in its own component function.

  Args:
    code: the live instructions.
    cells: [4, M] a number for the address of each operand in its function and program.

  Returns:
    [3, M] uint64 for in1, in2 and old; 0 where there is no such write.
  """
  # Sorted by cell and time, a read stands right behind the write that it sees. Within one
  # instruction the reads, 0 to 2, come before the write, 3.
  num_live = len(code.row)
  shift = 2 + num_live.bit_length()
  access = cells << shift | np.arange(num_live) << 2 | np.arange(4)[:, None]
  access = np.sort(access[code.operands >= 0])
  is_write = (access & 3) == 3
  latest = np.maximum.accumulate(np.where(is_write, np.arange(len(access)), 0))
  reads = np.flatnonzero(~is_write)
  read, write = access[reads], access[latest[reads]]
  seen = (write & 3 == 3) & (write >> shift == read >> shift)
  instruction = (1 << shift - 2) - 1
  above = np.zeros((3, num_live), np.uint64)
  stamp = code.position[write >> 2 & instruction] + 1
  above[read & 3, read >> 2 & instruction] = np.where(seen, stamp, 0)
  return above


def _entry_sources(last: np.ndarray, role: liveness.Roles) -> np.ndarray:
  """What every address can hold when Setup, Predict and Learn start: [3, N, A + 1] uint64."""
  setup, predict, learn = last
  writes = setup << np.uint64(32) | learn << np.uint64(16) | predict
  written = np.where(writes > 0, ENTRY | writes, ZERO)
  at_predict = written
  # What Predict writes is what Learn finds.
  at_learn = np.where(predict > 0, ABOVE | predict, written)
  for table, possible in ((at_predict, writes), (at_learn, np.where(predict > 0, predict, writes))):
    # The evaluation normalises the prediction between Predict and Learn.
    table[:, role.prediction] = PREDICTION | possible[:, role.prediction]
    table[:, role.features] = FEATURES
  at_predict[:, role.label] = ZERO
  at_learn[:, role.label] = LABEL
  return np.stack([np.zeros_like(written), at_predict, at_learn])
