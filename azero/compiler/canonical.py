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
  position = np.where(live, np.cumsum(live, axis=1, dtype=np.int32) - 1, np.int32(0))
  return Analysis(live, position, _keys(programs, live, position, multiclass))


def _keys(
    programs: Programs, live: np.ndarray, position: np.ndarray, multiclass: bool
) -> np.ndarray:
  """Canonical keys: [N, 2] uint64."""
  used = liveness.operands(programs)
  source, predicted = _sources(programs, used, live, position, multiclass)
  rows, columns = np.nonzero(live)
  opcode = programs.opcode[rows, columns]
  in1, in2, old = (array[columns, rows] for array in source)
  swappable = op_table.columns().commutative[opcode]
  first = np.where(swappable, np.minimum(in1, in2), in1)
  second = np.where(swappable, np.maximum(in1, in2), in2)
  head = (
      opcode.astype(np.uint64) << np.uint64(32)
      | position[rows, columns].astype(np.uint64) << np.uint64(8)
      | programs.space.function_of_slot[columns].astype(np.uint64))
  fields = [head, first, second, old, *_constants(programs, rows, columns, opcode)]
  key = np.zeros((len(programs), 2), np.uint64)
  counts = live.sum(1)
  some = counts > 0
  starts = (np.cumsum(counts) - counts)[some]
  for half, multipliers in enumerate(_MULTIPLIERS):
    word = fields[0] * multipliers[0]
    for field, multiplier in zip(fields[1:], multipliers[1:]):
      # Rotating between products keeps a field from cancelling against another.
      word = (word << np.uint64(23) | word >> np.uint64(41)) + field * multiplier
    key[:, half] = _mix(predicted * multipliers[-1])
    if len(starts):
      key[some, half] += np.add.reduceat(_mix(word), starts)
  return key


def _constants(
    programs: Programs, rows: np.ndarray, columns: np.ndarray, opcode: np.ndarray
) -> list[np.ndarray]:
  """Bits of the constants, as they act: an index as its position, a deviation without sign."""
  table = op_table.columns()
  values = programs.constants[rows, columns]
  positions = np.floor(values * programs.space.num_features)
  values = np.where(table.is_index[opcode], positions, values)
  values = np.where(table.is_std[opcode], np.abs(values), values)
  return list(np.ascontiguousarray(values.T).view(np.uint64))


def _sources(
    programs: Programs, used: liveness.Operands, live: np.ndarray, position: np.ndarray,
    multiclass: bool,
) -> tuple[list[np.ndarray], np.ndarray]:
  """Where every operand of every live instruction comes from.

  Returns:
    For in1, in2 and old: [L, N] uint64 words as described at the top of this module; and
    [N] uint64, the source of the prediction at the end of Predict.
  """
  space, n = programs.space, len(programs)
  role = liveness.roles(space, multiclass)
  num_addresses = sum(space.num_addresses)
  # Two more columns: one that is read by operands that do not exist, one that takes the
  # writes of dead instructions.
  width = num_addresses + 2
  base = np.arange(n, dtype=np.int64) * width
  nothing, discard = num_addresses, num_addresses + 1
  reads = [base + np.where(array < 0, nothing, array).T for array in (used.in1, used.in2, used.old)]
  writes = base + np.where(live, used.out, discard).T
  stamp = (position + 1).T.astype(np.uint64)

  last = np.zeros((3, n * width), np.uint64)  # last write of every address in each function
  above = [np.zeros((space.num_slots, n), np.uint64) for _ in reads]
  for function in Function:
    slots = space.slots(function)
    for slot in np.flatnonzero(live[:, slots].any(0)) + slots.start:
      for source, read in zip(above, reads):
        source[slot] = last[function][read[slot]]
      last[function][writes[slot]] = stamp[slot]
  final = last.reshape(3, n, width)
  final[:, :, nothing:] = 0

  entry = _entry_sources(final, role)
  sources = []
  for source, read in zip(above, reads):
    outside = source == 0
    result = np.where(outside, _ZERO, _ABOVE | source)
    for function in (Function.PREDICT, Function.LEARN):
      part = space.slots(function)
      held = entry[function].ravel()[read[part]]
      result[part] = np.where(outside[part], held, result[part])
    sources.append(result)
  written = final[Function.PREDICT, :, role.prediction]
  predicted = np.where(
      written > 0, _ABOVE | written, entry[Function.PREDICT][:, role.prediction])
  return sources, predicted


def _entry_sources(last: np.ndarray, role: liveness.Roles) -> dict[Function, np.ndarray]:
  """What every address can hold when Predict and when Learn start: [N, A + 2] uint64 each."""
  setup, predict, learn = last
  writes = setup << np.uint64(32) | learn << np.uint64(16) | predict
  written = np.where(writes > 0, _ENTRY | writes, _ZERO)
  at_predict = written
  # What Predict writes is what Learn finds.
  at_learn = np.where(predict > 0, _ABOVE | predict, written)
  for table in (at_predict, at_learn):
    # The evaluation normalises the prediction between Predict and Learn.
    table[:, role.prediction] = _PREDICTION | writes[:, role.prediction]
    table[:, role.features] = _FEATURES
  at_predict[:, role.label] = _ZERO
  at_learn[:, role.label] = _LABEL
  return {Function.PREDICT: at_predict, Function.LEARN: at_learn}


def _mix(word: np.ndarray) -> np.ndarray:
  """Finaliser of splitmix64: every bit of the input reaches every bit of the output."""
  word = (word ^ word >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
  word = (word ^ word >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
  return word ^ word >> np.uint64(31)
