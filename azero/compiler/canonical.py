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

from azero.compiler import liveness, sources
from azero.language import ops as op_table
from azero.language.program import Programs

# Random odd multipliers: [8, 2, 1], one for each half of the key.
_MULTIPLIERS = np.ascontiguousarray(
    np.random.default_rng(0x5EED).integers(0, 2**64, (2, 8), np.uint64).T | np.uint64(1)
)[..., None]


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
  code = sources.live_code(programs, live)
  position = np.zeros(live.shape, np.int32)
  position.reshape(-1)[code.row * programs.space.num_slots + code.column] = code.position
  return Analysis(live, position, _keys(programs, code, liveness.roles(programs.space, multiclass)))


def _keys(programs: Programs, code: sources.Code, role: liveness.Roles) -> np.ndarray:
  """Canonical keys: [N, 2] uint64."""
  (in1, in2, old), predicted = sources.sources(
      code, len(programs), sum(programs.space.num_addresses), role)
  swapped = np.flatnonzero(op_table.columns().commutative.take(code.opcode) & (in1 > in2))
  in1[swapped], in2[swapped] = in2[swapped], in1[swapped]
  head = (code.opcode << 32 | code.position << 8 | code.function).view(np.uint64)
  word = _hash((head, in1, in2, old), _MULTIPLIERS[:4])
  with_constants, constants = _constants(programs, code)
  for half, more in zip(word, _mix(_hash(constants, _MULTIPLIERS[4:7]))):
    half[with_constants] += more
  key = _mix(predicted * _MULTIPLIERS[7])
  starts = np.flatnonzero(code.position == 0)
  if len(starts):
    rows = code.row.take(starts)
    for half, more in zip(key, np.add.reduceat(_mix(word), starts, axis=1)):
      half[rows] += more
  return np.ascontiguousarray(key.T)


def _constants(programs: Programs, code: sources.Code) -> tuple[np.ndarray, np.ndarray]:
  """Constants as they act: an index as its position, a deviation without its sign.

  Returns:
    The K live instructions that have constants, and the bits of each: [3, K] uint64.
  """
  table = op_table.columns()
  which = np.flatnonzero(table.num_constants.take(code.opcode))
  opcode = code.opcode.take(which)
  slot = code.row.take(which) * programs.space.num_slots + code.column.take(which)
  values = programs.constants.reshape(-1, op_table.MAX_CONSTANTS).take(slot, axis=0)
  is_index, is_std = (array.take(opcode, axis=0) for array in (table.is_index, table.is_std))
  if is_index.any():
    np.floor(values * programs.space.num_features, values, where=is_index)
  if is_std.any():
    np.abs(values, values, where=is_std)
  return which, np.ascontiguousarray(values.T).view(np.uint64)


def _hash(fields: Sequence[np.ndarray] | np.ndarray, multipliers: np.ndarray) -> np.ndarray:
  """One word of each half from several fields.

  Rotated between products, so that no field cancels another.

  Args:
    fields: [M] uint64 each.
    multipliers: [number of fields, 2, 1].

  Returns:
    [2, M] uint64.
  """
  word = fields[0] * multipliers[0]
  for field, multiplier in zip(fields[1:], multipliers[1:]):
    high = word << np.uint64(23)
    word >>= np.uint64(41)
    word |= high
    word += field * multiplier
  return word


def _mix(word: np.ndarray) -> np.ndarray:
  """Finaliser of splitmix64, in place: every bit of the input reaches every bit of it."""
  word ^= word >> np.uint64(30)
  word *= np.uint64(0xBF58476D1CE4E5B9)
  word ^= word >> np.uint64(27)
  word *= np.uint64(0x94D049BB133111EB)
  word ^= word >> np.uint64(31)
  return word
