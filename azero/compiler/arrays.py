"""What kernels are given: programs as arrays, a space as tables, and room to work in.

See `azero.compiler.kernels` for what a kernel is.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from azero.language import ops as op_table
from azero.language import program as program_lib
from azero.language.ops import Kind
from azero.language.program import Function, Programs, SearchSpace

SETUP, PREDICT, LEARN = (int(function) for function in Function)  # as kernels take them
UNUSED = -program_lib.MAX_ADDRESSES  # plus any address it is negative: no operand


class ProgramArrays(NamedTuple):
  """The arrays of N programs of L slots, as in `Programs`.

  Attributes:
    opcode: [N, L] int16, EMPTY where there is no instruction.
    in1: [N, L] int16.
    in2: [N, L] int16.
    out: [N, L] int16.
    constants: [N, L, 3] float64.
  """

  opcode: np.ndarray
  in1: np.ndarray
  in2: np.ndarray
  out: np.ndarray
  constants: np.ndarray


def arrays(programs: Programs) -> ProgramArrays:
  """The arrays of programs; themselves, not copies, where they are contiguous."""
  opcode, in1, in2, out = (
      np.ascontiguousarray(getattr(programs, name), np.int16)
      for name in ("opcode", "in1", "in2", "out"))
  return ProgramArrays(
      opcode, in1, in2, out, np.ascontiguousarray(programs.constants, np.float64))


class Roles(NamedTuple):
  """Addresses that the evaluation itself reads and writes, counted over all kinds."""

  prediction: int
  label: int
  features: int


def roles(space: SearchSpace, multiclass: bool) -> Roles:
  """Where label, prediction and features live: s0, s1, v0, or v1, v2, v0 for multi-class.

  Raises:
    ValueError: a multi-class task needs three vectors.
  """
  vectors = space.num_scalars
  if not multiclass:
    return Roles(program_lib.PREDICTION_SCALAR, program_lib.LABEL_SCALAR, vectors)
  if space.num_vectors < 3:
    raise ValueError(
        "A multi-class task needs v0 (features), v1 (label) and v2 (prediction), but the "
        f"space has only {space.num_vectors} vectors.")
  return Roles(
      vectors + program_lib.PREDICTION_VECTOR, vectors + program_lib.LABEL_VECTOR, vectors)


class Tables(NamedTuple):
  """A search space and the op table as kernels read them.

  They are few arrays of many columns, since a kernel is handed each array as seven words.

  Attributes:
    num_features: F.
    prediction: address of the prediction, counted over all kinds.
    label: that of the label.
    features: that of the features.
    functions: [3, 5] int64, of each component function START, STOP (its slots), MIN_LENGTH,
      MAX_LENGTH and NUM_ALLOWED, how many ops it may use.
    allowed: [3, most ops] int64, these ops.
    searched: [0 to 3] int64, the component functions that search may change.
    ops: [ops, 18] int64, see the names of its columns.
    units: [ops, 5] uint64, the set of address 0 of in1, in2, the old value of the output (for
      ops that read it) and the output, and of all that it can write; empty where an op has no
      such operand.
    cost: [ops] float64, of one execution, in scalar additions.
  """

  num_features: int
  prediction: int
  label: int
  features: int
  functions: np.ndarray
  allowed: np.ndarray
  searched: np.ndarray
  ops: np.ndarray
  units: np.ndarray
  cost: np.ndarray


START, STOP, MIN_LENGTH, MAX_LENGTH, NUM_ALLOWED = range(5)  # columns of `functions`
IN1, IN2, OLD, OUT, WRITABLE = range(5)  # columns of `units`
# Columns of `ops`. What to add to an address to count it over all kinds, so low that any sum is
# negative where an op has no such operand:
BASE_IN1, BASE_IN2, BASE_OLD, BASE_OUT = range(4)
# How many addresses there are to choose from for in1, in2 and out; the first for out.
CHOICES_IN1, CHOICES_IN2, CHOICES_OUT, FIRST_OUT = range(4, 8)
# Whether the inputs commute; how many inputs, outputs and constants there are; how often a random
# instruction draws for them; what it gives for zeros, as in `op_table.Zero`; whether it is made of
# its constants alone; and what each constant means: NO_CONSTANT, NUMBER, INDEX or STD.
(
    COMMUTATIVE, NUM_INPUTS, NUM_OUTPUTS, NUM_CONSTANTS, NUM_DRAWS, ZERO, CONSTANT,
    MEANING) = range(8, 16)
ZERO_OF_ANY, ZERO_OF_FIRST, ZERO_OF_ALL, ZERO_OF_SAME, _ = range(len(op_table.Zero))
NO_CONSTANT, NUMBER, INDEX, STD = range(4)


@op_table.cached_for_table
def tables(space: SearchSpace, multiclass: bool = False) -> Tables:
  """The tables of a space; they are made once.

  Raises:
    ValueError: a multi-class task needs three vectors.
  """
  columns = op_table.columns()
  components = space.components
  counts = [len(component.ops) for component in components]
  allowed = np.zeros((len(counts), max(1, *counts)), np.int64)
  for row, component in zip(allowed, components):
    row[: len(component.ops)] = component.ops
  functions = np.column_stack([
      space.offsets[:-1], space.offsets[1:], [component.min_length for component in components],
      [component.max_length for component in components], counts])
  # A missing operand has kind -1, the last entry: no address to choose from.
  readable, writable, first = (np.array(sizes + (0,)) for sizes in (
      space.num_addresses, tuple(space.writable(kind) for kind in Kind),
      tuple(program_lib.FIRST_WRITABLE[kind] for kind in Kind)))
  base = address_bases(space)[:, :-1].T
  meaning = np.select(
      [columns.is_index, columns.is_std, columns.is_signed], [INDEX, STD, NUMBER], NO_CONSTANT)
  choices = np.column_stack([readable[columns.input_kind], writable[columns.output_kind]])
  ops = np.column_stack([
      base, choices, first[columns.output_kind], columns.commutative, columns.num_inputs,
      columns.output_kind >= 0, columns.num_constants,
      (choices > 0).sum(1) + columns.num_constants, columns.zero,
      columns.is_constant, meaning])
  one, zero = np.uint64(1), np.uint64(0)
  units = np.where(base < 0, zero, one << np.maximum(base, 0).astype(np.uint64))
  writes, lowest = (
      ops[:, column].astype(np.uint64) for column in (CHOICES_OUT, FIRST_OUT))
  able = (units[:, OUT] << lowest) * ((one << writes) - one)
  units = np.column_stack([units, able])
  return Tables(
      space.num_features, *roles(space, multiclass), _integers(functions), allowed,
      _integers(searched_functions(space)), _integers(ops), np.ascontiguousarray(units),
      np.array([op.cost(space.num_features) for op in op_table.all_ops()]))


def _integers(values: ArrayLike) -> np.ndarray:
  return np.ascontiguousarray(values, np.int64)


def searched_functions(space: SearchSpace) -> list[int]:
  """The component functions that search may change, by their numbers."""
  return [f for f, component in enumerate(space.components)
          if component.searched and component.ops and component.max_length]


@op_table.cached_for_table
def address_bases(space: SearchSpace) -> np.ndarray:
  """What to add to an operand's address to count it over all kinds, scalars first.

  Returns:
    [4, number of ops + 1] int: rows for in1, in2, the old value of the output (for ops that
    update it) and the output; UNUSED where an op has no such operand. The last column,
    index EMPTY, is that of an empty slot.
  """
  table = op_table.columns()
  kinds = np.stack([
      table.input_kind[:, 0], table.input_kind[:, 1],
      np.where(table.updates_output, table.output_kind, -1), table.output_kind])
  first = np.array([0, *np.cumsum(space.num_addresses[:2]), UNUSED])  # kind -1: none
  return np.pad(first[kinds], [(0, 0), (0, 1)], constant_values=UNUSED)


class Scratch(NamedTuple):
  """Room for the analysis of one program; what is in there belongs to the last one analysed.

  Attributes:
    start: [4] int64, the first instruction of Setup, Predict and Learn in a list of
      instructions, and their number.
    slot: [L] int64, their slots.
    words: [L, 3] uint64. Of a list of all instructions READS, WRITES and LIVE_WRITES, sets of
      addresses; of one of the live ones the sources of IN1, IN2 and OLD.
    last: [3, A] uint64, 1 + position of the last live write of each address in each component
      function.
    origin: [A] uint64, the source of what is at each address.
    colors: [2, L] uint64, of live instructions.
  """

  start: np.ndarray
  slot: np.ndarray
  words: np.ndarray
  last: np.ndarray
  origin: np.ndarray
  colors: np.ndarray


READS, WRITES, LIVE_WRITES = range(3)  # columns of `words`


def scratch(space: SearchSpace) -> Scratch:
  """New room for programs of this space; each thread needs its own."""
  slots, addresses = space.num_slots, sum(space.num_addresses)
  return Scratch(
      np.zeros(4, np.int64), np.zeros(slots, np.int64), np.zeros((slots, 3), np.uint64),
      np.zeros((3, addresses), np.uint64), np.zeros(addresses, np.uint64),
      np.zeros((2, slots), np.uint64))
