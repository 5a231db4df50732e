"""The canonical key of a program: same key, same behaviour.

Two programs get one key if they differ only in dead instructions, in the names of
addresses or in the order of the operands of a commutative op. The key therefore never
looks at an address. It describes every live instruction by its op, its constants and
*which instructions its operands can come from*:

- inside a component function an operand comes from the last instruction above that
  writes its address;
- otherwise it was there when the component function started, and then only the last
  writes in Setup, Predict and Learn matter, because the order of execution (Setup,
  then Predict and Learn in turn, then Predict alone) decides which of them was latest.

Instructions are named by their position among the live ones, which is also what random
ops draw by, so that programs of one key draw the same numbers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from azero.compiler import liveness
from azero.language import ops as op_table
from azero.language.program import Function, Programs

# Where an operand comes from, if not from an instruction above in its own component
# function: the kind of source in the top bits, then 1 + position of the last write in
# Setup, Learn and Predict in 16 bits each, 0 for none.
_ABOVE, _ENTRY, _PREDICTION, _FEATURES, _LABEL = (np.uint64(k << 48) for k in range(1, 6))
_ZERO = np.uint64(0)  # never written: the zero that memory starts with

# Random odd multipliers, one row for each half of the key.
_MULTIPLIERS = np.random.default_rng(0x5EED).integers(0, 2**64, (2, 8), np.uint64) | np.uint64(1)


class Analysis(NamedTuple):
  """What static analysis says of a batch of N programs.

  Attributes:
    live: [N, L] bool, instructions that can reach a prediction.
    position: [N, L] int32, index among the live instructions; 0 where not live.
    key: [N, 2] uint64, the canonical key.
  """

  live: np.ndarray
  position: np.ndarray
  key: np.ndarray

  def take(self, rows: np.ndarray | slice) -> "Analysis":
    """The analysis of these programs of the batch."""
    return Analysis(*(array[rows] for array in self))


def analyse(programs: Programs, *, multiclass: bool = False) -> Analysis:
  """Liveness and canonical keys of a batch.

  Args:
    programs: N programs.
    multiclass: whether the prediction is v2 and the label v1.

  Returns:
    The analysis of all N programs.
  """
  live = liveness.live_instructions(programs, multiclass=multiclass)
  code = _live_code(programs, live)
  position = np.zeros(live.shape, np.int32)
  position[live] = code.position
  return Analysis(live, position, _keys(programs, code, liveness.roles(programs.space, multiclass)))


class _Code(NamedTuple):
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


def _live_code(programs: Programs, live: np.ndarray) -> _Code:
  flat = np.flatnonzero(live)
  counts = live.sum(1)
  row = np.repeat(np.arange(len(programs)), counts)
  column = flat - row * programs.space.num_slots
  position = np.arange(len(flat)) - np.repeat(np.cumsum(counts) - counts, counts)
  opcode, in1, in2, out = (
      array.reshape(-1)[flat].astype(np.int64)
      for array in (programs.opcode, programs.in1, programs.in2, programs.out))
  operands = liveness.address_bases(programs.space)[:, opcode] + np.stack([in1, in2, out, out])
  return _Code(row, column, programs.space.function_of_slot[column], position, opcode, operands)


def _keys(programs: Programs, code: _Code, role: liveness.Roles) -> np.ndarray:
  """Canonical keys: [N, 2] uint64."""
  (in1, in2, old), predicted = _sources(
      code, len(programs), sum(programs.space.num_addresses), role)
  swapped = op_table.columns().commutative[code.opcode] & (in1 > in2)
  first, second = np.where(swapped, in2, in1), np.where(swapped, in1, in2)
  head = (code.opcode << 32 | code.position << 8 | code.function).astype(np.uint64)
  with_constants, constants = _constants(programs, code)
  key = np.zeros((len(programs), 2), np.uint64)
  starts = np.flatnonzero(code.position == 0)
  for half, multipliers in enumerate(_MULTIPLIERS):
    word = _hash((head, first, second, old), multipliers[:4])
    word[with_constants] += _mix(_hash(constants, multipliers[4:7]))
    key[:, half] = _mix(predicted * multipliers[7])
    if len(starts):
      key[code.row[starts], half] += np.add.reduceat(_mix(word), starts)
  return key


def _constants(programs: Programs, code: _Code) -> tuple[np.ndarray, list[np.ndarray]]:
  """Constants as they act: an index as its position, a deviation without its sign.

  Returns:
    The K live instructions that have constants, and the bits of each: three [K] uint64.
  """
  table = op_table.columns()
  which = np.flatnonzero(table.num_constants[code.opcode])
  opcode = code.opcode[which]
  values = programs.constants[code.row[which], code.column[which]]
  positions = np.floor(values * programs.space.num_features)
  values = np.where(table.is_index[opcode], positions, values)
  values = np.where(table.is_std[opcode], np.abs(values), values)
  return which, list(np.ascontiguousarray(values.T).view(np.uint64))


def _hash(fields: Sequence[np.ndarray], multipliers: np.ndarray) -> np.ndarray:
  """One word from several: rotated between products, so that no field cancels another."""
  word = fields[0] * multipliers[0]
  for field, multiplier in zip(fields[1:], multipliers[1:]):
    word = (word << np.uint64(23) | word >> np.uint64(41)) + field * multiplier
  return word


def _sources(
    code: _Code, num_programs: int, num_addresses: int, role: liveness.Roles
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
  sources = np.where(above > 0, _ABOVE | above, entry.reshape(-1)[cells[:3]])
  written = last[Function.PREDICT, :, role.prediction]
  predicted = np.where(
      written > 0, _ABOVE | written, entry[Function.PREDICT, :, role.prediction])
  return sources, predicted


def _writes_above(code: _Code, cells: np.ndarray) -> np.ndarray:
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
  written = np.where(writes > 0, _ENTRY | writes, _ZERO)
  at_predict = written
  # What Predict writes is what Learn finds.
  at_learn = np.where(predict > 0, _ABOVE | predict, written)
  for table, possible in ((at_predict, writes), (at_learn, np.where(predict > 0, predict, writes))):
    # The evaluation normalises the prediction between Predict and Learn.
    table[:, role.prediction] = _PREDICTION | possible[:, role.prediction]
    table[:, role.features] = _FEATURES
  at_predict[:, role.label] = _ZERO
  at_learn[:, role.label] = _LABEL
  return np.stack([np.zeros_like(written), at_predict, at_learn])


def _mix(word: np.ndarray) -> np.ndarray:
  """Finaliser of splitmix64: every bit of the input reaches every bit of the output."""
  word = (word ^ word >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
  word = (word ^ word >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
  return word ^ word >> np.uint64(31)
