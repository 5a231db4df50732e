"""Programs -> the arrays that an executor reads: instructions without gaps or dead code."""

from typing import NamedTuple

import chex
import numpy as np

from azero.compiler import canonical
from azero.language import ops as op_table
from azero.language.program import EMPTY, Function, Programs, SearchSpace

NO_OUTPUT = len(op_table.Kind)  # `kind` of a slot that writes nothing


class Code(NamedTuple):
  """Packed instructions: of one program as written below, of a batch with N in front.

  Attributes:
    kind: [L] int32, kind of the output; NO_OUTPUT for an empty slot.
    branch: [L] int32, index of the op among `branches(space, function, kind)`.
    in1: [L] int32, address of the first input.
    in2: [L] int32, address of the second input.
    out: [L] int32, address of the output.
    position: [L] int32, index among the program's live instructions; random ops draw by it.
    constants: [L, 3] floats; an index constant is its position.
  """

  kind: chex.Array
  branch: chex.Array
  in1: chex.Array
  in2: chex.Array
  out: chex.Array
  position: chex.Array
  constants: chex.Array


class Packed(NamedTuple):
  """Instructions of N programs in two arrays, as they travel to a device.

  Attributes:
    integers: [N, 6, L] int32, all fields of `Code` but the constants.
    constants: [N, L, 3] float64.
    counts: [N, 3] int32, instructions in Setup, Predict and Learn.
  """

  integers: np.ndarray
  constants: np.ndarray
  counts: np.ndarray

  def take(self, rows: np.ndarray) -> "Packed":
    """The code of these programs."""
    return Packed(*(array[rows] for array in self))


def branches(
    space: SearchSpace, function: Function, kind: op_table.Kind
) -> tuple[op_table.Op, ...]:
  """The allowed ops of one component function that write this kind, in order of their ids."""
  ops = (op_table.op_by_id(op) for op in space.components[function].ops)
  return tuple(op for op in ops if op.output == kind)


def pack(programs: Programs, analysis: canonical.Analysis, *, raw: bool = False) -> Packed:
  """Packs programs, without dead instructions.

  Args:
    programs: N programs.
    analysis: their analysis.
    raw: whether to keep dead instructions. That changes no result.

  Returns:
    The code, in the order of the programs.
  """
  space = programs.space
  keep = programs.opcode != EMPTY if raw else analysis.live
  rows, columns = np.nonzero(keep)
  ends = np.concatenate(
      [np.zeros((len(programs), 1), np.int32), np.cumsum(keep, axis=1, dtype=np.int32)], axis=1)
  offsets = np.array(space.offsets)
  starts = ends[:, offsets]  # kept instructions before each component function
  function = space.function_of_slot[columns]
  target = ends[rows, columns] - starts[rows, function] + offsets[function]

  opcode = programs.opcode[rows, columns]
  kind, branch = _dispatch(space)
  integers = np.zeros((len(programs), len(Code._fields) - 1, space.num_slots), np.int32)
  integers[:, 0] = NO_OUTPUT
  for field, values in enumerate((
      kind[function, opcode], branch[function, opcode], programs.in1[rows, columns],
      programs.in2[rows, columns], programs.out[rows, columns],
      analysis.position[rows, columns])):
    integers[rows, field, target] = values
  constants = np.zeros(programs.constants.shape)
  values = programs.constants[rows, columns]
  is_index = op_table.columns().is_index[opcode]
  constants[rows, target] = np.where(is_index, np.floor(values * space.num_features), values)
  return Packed(integers, constants, np.diff(starts, axis=1).astype(np.int32))


def unpack(integers: chex.Array, constants: chex.Array) -> Code:
  """The fields of one program, or of a batch: from [..., 6, L] and [..., L, 3]."""
  kind, branch, in1, in2, out, position = (integers[..., k, :] for k in range(6))
  return Code(kind, branch, in1, in2, out, position, constants)


@op_table.cached_for_table
def _dispatch(space: SearchSpace) -> tuple[np.ndarray, np.ndarray]:
  """Kind and branch of every op in every component function: [3, number of ops] each."""
  shape = (len(Function), len(op_table.all_ops()))
  kinds, branch = np.full(shape, NO_OUTPUT), np.zeros(shape, int)
  for function in Function:
    for kind in op_table.Kind:
      ids = [op.id for op in branches(space, function, kind)]
      kinds[function, ids], branch[function, ids] = kind, range(len(ids))
  return kinds, branch
