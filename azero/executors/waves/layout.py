"""Shapes of the wave executor: its classes of ops, lanes of a wave, rows of memory.

The executor runs waves: one op, several lanes (live instructions of programs), all D tasks
at once. Every instruction has a row of memory of its own, so that what it writes is found
by row, not by address. The shapes follow from the search space, the number of tasks and
the cache of a core; schedule and executor both read them here.
"""

import dataclasses
import functools
import itertools
import math
from typing import NamedTuple

import numpy as np

from azero.language import ops as op_table
from azero.language.ops import Kind, Op
from azero.language.program import SearchSpace

# Eight lanes hide what it costs to start a wave, and are filled by programs of many
# different ops; a wave of this many numbers needs no further lane.
_LANES = 8
_WAVE_NUMBERS = 640
# Programs run in chunks whose rows stay in a core's cache of the second level.
_CHUNK_BYTES = 192 * 1024
_MAX_PROGRAMS = 256
_REGISTER = 8  # numbers of a vector register: scalar rows are a multiple of it
# Of one call of the executor: chunks whose rows its waves may write, lanes of each class,
# programs, and copies of each kind. What is not used of a call's tables and results costs time
# as well, and calls of few programs are many.
_CALL_CHUNKS = 4
_TABLE_LANES = 2048
_CALL_PROGRAMS = 256
_CALL_COPIES = 1024

PROGRAM_TILE = 8  # programs whose predictions are compared with the labels at once


@dataclasses.dataclass(frozen=True)
class Fusion:
  """A pair of instructions that runs as one, without a row for what lies between.

  Attributes:
    producer: name of the op whose value only the consumer reads.
    consumer: name of the op that reads it.
    operand: which operand of the consumer it is.
    op: the fused op; its inputs are the consumer's other operand, then the producer's.
  """

  producer: str
  consumer: str
  operand: int
  op: Op


def _fuse(producer: str, consumer: str, operand: int) -> Fusion:
  first, second = op_table.op_by_name(producer), op_table.op_by_name(consumer)
  assert first.rule is not None and second.rule is not None
  inner, outer = first.rule, second.rule

  def rule(other, a, b):
    return outer(inner(a, b), other) if operand == 0 else outer(other, inner(a, b))

  return Fusion(producer, consumer, operand, Op(
      -1, f"{consumer}_of_{producer}_{operand}", (second.inputs[1 - operand], *first.inputs),
      second.output, rule, ""))


@functools.cache
def fusions() -> tuple[Fusion, ...]:
  """Scaled vectors and outer products that are added or subtracted: steps of a gradient."""
  products = (("scalar_vector_product", "vector"), ("vector_outer_product", "matrix"))
  return tuple(
      _fuse(producer, f"{kind}_{consumer}", operand) for producer, kind in products
      for consumer in ("sum", "diff") for operand in (0, 1))


@dataclasses.dataclass(frozen=True)
class WaveClass:
  """Ops that share a table of waves: of one output and one widest operand.

  Attributes:
    output: kind of what is written.
    widest: the largest kind among inputs and output.
    ops: the ops; a wave's branch is an index into them.
    lanes: C, instructions of a wave.
    num_inputs: most operands of an op, the old value of the destination included.
    num_constants: most constants of an op.
    is_random: whether an op draws random numbers.
    capacity: waves of one call of the executor.
    is_update: whether the ops are the fused ones of matrices, which differ in signs only.
  """

  output: Kind
  widest: Kind
  ops: tuple[Op, ...]
  lanes: int
  num_inputs: int
  num_constants: int
  is_random: bool
  capacity: int
  is_update: bool


class OpTables(NamedTuple):
  """The ops of a layout as arrays over the op id; fused ops have ids beyond the table.

  Attributes:
    wave_class: [ops] int, class of each op.
    branch: [ops] int, index in its class.
    fusions: [table, table, 2] int, id of the op fused of producer and consumer that reads it
      as this operand; 0 for none.
    updates_output: [ops] bool.
    is_random: [ops] bool.
    has_data: [ops] bool, whether an op has constants or draws random numbers.
    outputs: [classes] int, kind of what a class writes.
    lanes: [classes] int.
    widths: [classes] int, numbers of a row that a class writes.
  """

  wave_class: np.ndarray
  branch: np.ndarray
  fusions: np.ndarray
  updates_output: np.ndarray
  is_random: np.ndarray
  has_data: np.ndarray
  outputs: np.ndarray
  lanes: np.ndarray
  widths: np.ndarray


@dataclasses.dataclass(frozen=True)
class Layout:
  """The shapes of one executor. Rows are counted for each kind of memory on its own.

  Row 0 of each kind is zero. Then come, for each of the chunk's task sets, a row of labels
  and one of features; then a row for each program's normalised prediction; then the rows
  that waves write.

  Attributes:
    space: the search space.
    ops: the op table, so that a replaced op makes another layout.
    num_tasks: D.
    num_classes: of the tasks, 0 for regression.
    classes: the classes that have ops.
    num_programs: P, programs of a chunk at most.
    num_chunks: chunks of one call at most.
    num_listed: Q, programs of one call at most, and room for one chunk more.
    chunk_numbers: numbers that the rows of a chunk should hold at most.
    widths: numbers of a row of each kind.
    first_rows: first row that waves write, of each kind.
    num_rows: rows of each kind.
    num_phases: phases of one call at most.
    num_copies: copies of one call at most, of each kind.
  """

  space: SearchSpace
  ops: tuple[Op, ...]
  num_tasks: int
  num_classes: int
  classes: tuple[WaveClass, ...]
  num_programs: int
  num_chunks: int
  num_listed: int
  chunk_numbers: int
  widths: tuple[int, int, int]
  first_rows: tuple[int, int, int]
  num_rows: tuple[int, int, int]
  num_phases: int
  num_copies: int

  @property
  def multiclass(self) -> bool:
    """Whether labels and predictions are vectors."""
    return self.num_classes > 2

  @property
  def label_kind(self) -> Kind:
    """Kind of labels and predictions."""
    return Kind.VECTOR if self.multiclass else Kind.SCALAR

  @property
  def first_label(self) -> int:
    """Row of the labels of the chunk's first task set."""
    return 1 + (self.num_programs if self.multiclass else 0)

  @property
  def first_prediction(self) -> int:
    """Row of the normalised prediction of the chunk's first program."""
    return self.first_label + self.num_programs

  first_features = 1

  @property
  def row_shapes(self) -> tuple[tuple[int, ...], ...]:
    """Shape of a row of each kind.

    Scalars and vectors of all tasks side by side. Matrices have axes, so that an outer product
    needs no arithmetic of indices, and are transposed: a product with a vector is then a sum of
    rows, and no register has to be summed up.
    """
    size = self.space.num_features
    return (self.widths[Kind.SCALAR],), (self.widths[Kind.VECTOR],), (self.num_tasks, size, size)

  @functools.cached_property
  def op_tables(self) -> "OpTables":
    """The ops as arrays."""
    return _op_tables(self)


def make_layout(
    space: SearchSpace, num_tasks: int, num_classes: int, item_bytes: int, *,
    num_programs: int | None = None, max_chunks: int = 32,
) -> Layout:
  """Chooses the shapes.

  Args:
    space: the search space.
    num_tasks: D.
    num_classes: of the tasks, 0 for regression.
    item_bytes: of a number.
    num_programs: programs of a chunk at most; default by the cache.
    max_chunks: chunks of one call at most.

  Returns:
    The layout.
  """
  # A task more or less changes a scalar row only where a register is full.
  widths = (
      -(-num_tasks // _REGISTER) * _REGISTER,
      num_tasks * space.num_features, num_tasks * space.num_features**2)
  programs = num_programs or _MAX_PROGRAMS
  programs = -(-programs // PROGRAM_TILE) * PROGRAM_TILE
  classes = tuple(_make_classes(space, widths, _CHUNK_BYTES // item_bytes))
  multiclass = num_classes > 2
  first_rows = (
      1 + (0 if multiclass else 2 * programs), 1 + programs * (3 if multiclass else 1), 1)
  num_rows = []
  for kind in Kind:
    lanes = max((c.lanes for c in classes if c.output == kind), default=1)
    # Any one program fits, whatever it is, and a chunk's budget fits twice over.
    rows = space.num_slots * lanes + 2 * _CHUNK_BYTES // (widths[kind] * item_bytes)
    num_rows.append(first_rows[kind] + -(-rows // _LANES) * _LANES)
  return Layout(
      space, op_table.all_ops(), num_tasks, num_classes, classes, programs, max_chunks,
      max(_CALL_PROGRAMS, programs) + programs if max_chunks > 1 else 2 * programs,
      _CHUNK_BYTES // item_bytes, widths, first_rows, tuple(num_rows),  # type: ignore[arg-type]
      # A chunk has a few phases a section, and at most as many as one program has slots.
      max_chunks * 16 + 4 * space.num_slots,
      # Each operand and the prediction in each of three copy sets, if it comes to that.
      max(_CALL_COPIES, 3 * (3 * space.num_slots + 1)))


def _make_classes(space: SearchSpace, widths: tuple[int, int, int], chunk_numbers: int):
  ids = sorted({op for component in space.components for op in component.ops})
  ops = [op for op in map(op_table.op_by_id, ids) if op.output is not None]
  names = {op.name for op in ops}
  ops += [f.op for f in fusions() if f.producer in names and f.consumer in names]
  # A phase runs the classes in this order: Learn tends to go from a scalar to matrices,
  # Predict from matrices over vectors to a scalar.
  same = [(kind, kind) for kind in Kind]
  smaller = [(Kind.VECTOR, Kind.MATRIX), (Kind.SCALAR, Kind.VECTOR), (Kind.SCALAR, Kind.MATRIX)]
  updates = {fusion.op.name for fusion in fusions() if fusion.op.output is Kind.MATRIX}
  for (output, widest), is_update in itertools.product(same + smaller, (False, True)):
    members = tuple(
        op for op in ops
        if op.output == output and max(*op.inputs, output, output) == widest
        and (op.name in updates) == is_update)
    if members:
      lanes = max(1, min(_LANES, _WAVE_NUMBERS // widths[widest]))
      lanes = 1 << lanes.bit_length() - 1
      all_lanes = min(_TABLE_LANES, _CALL_CHUNKS * chunk_numbers // widths[widest])
      rows = space.num_slots * 2
      yield WaveClass(
          output, widest, members, lanes,
          max(len(op.inputs) + op.updates_output for op in members),
          max(len(op.constants) for op in members),
          any(op.noise is not None for op in members),
          max(math.ceil(all_lanes / lanes), rows), is_update)


def _op_tables(layout: Layout) -> OpTables:
  num_ops, num_fused = len(layout.ops), len(fusions())
  ids = {op.name: op.id for op in layout.ops}
  ids |= {fusion.op.name: num_ops + k for k, fusion in enumerate(fusions())}
  wave_class, branch = np.zeros((2, num_ops + num_fused), np.int64)
  updates, random, data = np.zeros((3, num_ops + num_fused), bool)
  for k, own in enumerate(layout.classes):
    for place, op in enumerate(own.ops):
      op_id = ids[op.name]
      wave_class[op_id], branch[op_id] = k, place
      data[op_id] = bool(op.constants) or op.noise is not None
      updates[op_id], random[op_id] = op.updates_output, op.noise is not None
  present = {op.name for own in layout.classes for op in own.ops}
  fused = np.zeros((num_ops, num_ops, op_table.MAX_INPUTS), np.int64)
  for fusion in fusions():
    if fusion.op.name in present:
      fused[ids[fusion.producer], ids[fusion.consumer], fusion.operand] = ids[fusion.op.name]
  outputs = np.array([own.output for own in layout.classes], np.int64)
  return OpTables(
      wave_class, branch, fused, updates, random, data, outputs,
      np.array([own.lanes for own in layout.classes], np.int64),
      np.array(layout.widths)[outputs])
