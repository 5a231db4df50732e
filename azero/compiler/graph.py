"""Live instructions as a graph: what each reads, which section it runs in, and when.

Every instruction has a row of memory of its own. An operand is then the row of another
instruction of this pass through the loop, or, where it was written before the component
function started, the row of whichever instruction wrote that address last. Two things are
mended on the way: an instruction that computes the same for every example runs once,
before the loop, and a product that only one sum reads is fused with it.
"""

from typing import NamedTuple

import numpy as np

from azero.compiler import dataflow, liveness
from azero.compiler.layout import Layout, fusions
from azero.language import ops as op_table
from azero.language.ops import MAX_INPUTS
from azero.language.program import Function, Programs

NUM_ARGUMENTS = MAX_INPUTS + 1
NONE = -1  # no such instruction
_LEVELS = 256  # more than the slots of any component function can chain


class Operands(NamedTuple):
  """Where values come from, arrays of one shape; instructions by index, NONE for none.

  Attributes:
    tag: int, kind of source of `dataflow`, without its shift; ABOVE, ENTRY, PREDICTION (the
      normalised one of a classification task), FEATURES, LABEL or 0 for a zero.
    above: the instruction of this pass, for ABOVE.
    setup: last write in Setup, for ENTRY and PREDICTION.
    predict: last write in Predict.
    learn: last write in Learn.
  """

  tag: np.ndarray
  above: np.ndarray
  setup: np.ndarray
  predict: np.ndarray
  learn: np.ndarray

  @property
  def trained(self) -> np.ndarray:
    """Of an ENTRY or PREDICTION: the instruction whose row holds the value in training."""
    after_learn = np.where(self.tag == PREDICTION, NONE, self.predict)
    return np.where(self.learn >= 0, self.learn, after_learn)

  @property
  def validated(self) -> np.ndarray:
    """As `trained`, in validation, where Predict alone writes."""
    return np.where(self.predict >= 0, self.predict, self.learn)


ABOVE, ENTRY, PREDICTION, FEATURES, LABEL = (
    int(tag >> np.uint64(48)) for tag in (
        dataflow.ABOVE, dataflow.ENTRY, dataflow.PREDICTION, dataflow.FEATURES, dataflow.LABEL))


class Graph(NamedTuple):
  """The M instructions that N programs execute.

  Attributes:
    program: [M] int.
    column: [M] int, the slot.
    opcode: [M] int, the op's id; fused ops have ids beyond the table.
    section: [M] int, the component function, or Setup for what runs once before the loop.
    time: [M] int, within the section; nothing depends on what runs at the same time.
    kept: [M] bool, False for what was fused into another.
    arguments: [3, M], in the order of the op's rule.
    predicted: [N], the prediction at the end of Predict.
  """

  program: np.ndarray
  column: np.ndarray
  opcode: np.ndarray
  section: np.ndarray
  time: np.ndarray
  kept: np.ndarray
  arguments: Operands
  predicted: Operands


def build(programs: Programs, keep: np.ndarray, layout: Layout) -> Graph:
  """The graph of a batch.

  Args:
    programs: N programs.
    keep: [N, L] bool, which instructions to execute.
    layout: of the executor.

  Returns:
    The graph.
  """
  role = liveness.roles(programs.space, layout.multiclass)
  code = dataflow.live_code(programs, keep)
  words, predicted = dataflow.sources(
      code, len(programs), sum(programs.space.num_addresses), role)
  starts = np.searchsorted(code.row, np.arange(len(programs)))
  classification = layout.num_classes > 0
  arguments = _decode(words, starts[code.row], code.function == Function.LEARN, classification)
  arguments = _in_rule_order(arguments, code.opcode)
  prediction = _decode(predicted, starts, np.zeros(len(programs), bool), classification)
  section = np.where(_once(code, arguments, prediction), Function.SETUP, code.function)
  opcode, kept, arguments = _fuse(code, arguments, prediction, section, layout)
  before, after = _edges(arguments, section, kept)
  time = _times(opcode, before, after, layout)
  return Graph(code.row, code.column, opcode, section, time, kept, arguments, prediction)


def _decode(
    words: np.ndarray, first: np.ndarray, in_learn: np.ndarray, classification: bool
) -> Operands:
  """Sources as instructions; `first` is the index of the program's first one."""
  tag = (words >> np.uint64(48)).astype(np.int64)
  setup, learn, predict = (
      (words >> np.uint64(shift) & np.uint64(0xFFFF)).astype(np.int64) for shift in (32, 16, 0))
  above = np.where(tag == ABOVE, predict, 0)
  # Learn finds the normalised prediction in a row of its own.
  entered = (tag == ENTRY) | (tag == PREDICTION) & ~(in_learn & classification)
  setup, learn, predict = (np.where(entered, field, 0) for field in (setup, learn, predict))
  if not classification:
    # A regression task leaves the prediction as Predict wrote it.
    raw = (tag == PREDICTION) & in_learn & (predict > 0)
    above = np.where(raw, predict, above)
    tag = np.where(raw, ABOVE, np.where(tag == PREDICTION, ENTRY, tag))
  return Operands(tag, *(
      np.where(field > 0, first + field - 1, NONE) for field in (above, setup, predict, learn)))


def _in_rule_order(operands: Operands, opcode: np.ndarray) -> Operands:
  """From in1, in2, old to the order of the rule, where the old value comes first."""
  updates = op_table.columns().updates_output[opcode]
  if not updates.any():
    return operands
  order = np.where(updates, [[2], [0], [1]], [[0], [1], [2]])
  return Operands(*(np.take_along_axis(field, order, 0) for field in operands))


def _once(code: dataflow.Code, arguments: Operands, predicted: Operands) -> np.ndarray:
  """Which instructions compute the same value for every example, read by none before it.

  The first example finds at the start of Predict what Setup wrote, the others what the loop
  wrote: an instruction of the loop whose value is read across examples stays in the loop.
  """
  random = np.array([op.noise is not None for op in op_table.all_ops()])
  once = ~random[code.opcode]
  for operands in (arguments, predicted):
    for writer in (operands.learn, operands.predict):
      once[writer[writer >= 0]] = False
  in_loop = (arguments.learn >= 0) | (arguments.predict >= 0)
  varies = np.isin(arguments.tag, (FEATURES, LABEL, PREDICTION)) | in_loop
  once &= ~varies.any(0) | (code.function == Function.SETUP)
  once |= code.function == Function.SETUP
  instruction, operand = _pairs(arguments.above)
  while True:
    blocked = instruction[once[instruction] & ~once[operand]]
    if not len(blocked):
      return once
    once[blocked] = False


def _pairs(sources: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """(reader, instruction) for every entry of [3, M] that is not NONE."""
  _, reader = np.nonzero(sources >= 0)
  return reader, sources[sources >= 0]


def _fuse(
    code: dataflow.Code, arguments: Operands, predicted: Operands, section: np.ndarray,
    layout: Layout,
) -> tuple[np.ndarray, np.ndarray, Operands]:
  """Fuses pairs: opcodes, what is kept, and the arguments after."""
  table = _fusion_table(layout)
  kept = np.ones(len(code.row), bool)
  if not table.any():
    return code.opcode, kept, arguments
  uses = np.zeros(len(code.row), np.int64)
  for operands in (arguments, predicted):
    for field in operands[1:]:
      uses += np.bincount(field[field >= 0], minlength=len(uses))
  opcode, fields = code.opcode.copy(), None
  for operand in range(MAX_INPUTS):
    source = arguments.above[operand]
    reader = np.flatnonzero(source >= 0)
    producer = source[reader]
    fused = table[code.opcode[producer], code.opcode[reader], operand]
    good = (fused > 0) & (uses[producer] == 1) & (section[producer] == section[reader])
    good &= opcode[reader] == code.opcode[reader]  # not fused already
    # What the producer reads from the example before must still be there for the consumer.
    for argument in range(MAX_INPUTS):
      for writers in (arguments.trained, arguments.validated):
        writer = writers[argument, producer]
        good &= (writer < 0) | (section[writer] != section[reader]) | (writer == reader)
    reader, producer, fused = reader[good], producer[good], fused[good]
    if not len(reader):
      continue
    if fields is None:
      fields = [field.copy() for field in arguments]
    opcode[reader] = fused
    kept[producer] = False
    for field in fields:
      field[0, reader] = field[1 - operand, reader]
      field[1:, reader] = field[:MAX_INPUTS, producer]
  return opcode, kept, arguments if fields is None else Operands(*fields)


@op_table.cached_for_table
def _fusion_table(layout: Layout) -> np.ndarray:
  """[producer, consumer, operand] -> id of the fused op, 0 for none."""
  num_ops = len(layout.ops)
  table = np.zeros((num_ops, num_ops, MAX_INPUTS), np.int64)
  present = {op.name for wave_class in layout.classes for op in wave_class.ops}
  for k, fusion in enumerate(fusions()):
    if fusion.op.name in present:
      producer, consumer = (
          op_table.op_by_name(name).id for name in (fusion.producer, fusion.consumer))
      table[producer, consumer, fusion.operand] = num_ops + k
  return table


def _edges(
    arguments: Operands, section: np.ndarray, kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Pairs of instructions of one section of which the first must run first."""
  before, after = [], []
  # A value is written before it is read.
  in_setup = np.where(
      (arguments.learn < 0) & (arguments.predict < 0), arguments.setup, NONE)
  for sources in (arguments.above, in_setup):
    reader, writer = _pairs(sources)
    before.append(writer)
    after.append(reader)
  # The value of the example before is read before it is overwritten.
  for sources in (arguments.trained, arguments.validated):
    reader, writer = _pairs(sources)
    before.append(reader)
    after.append(writer)
  first, second = np.concatenate(before), np.concatenate(after)
  real = (section[first] == section[second]) & (first != second) & kept[first] & kept[second]
  return first[real], second[real]


def _times(
    opcode: np.ndarray, before: np.ndarray, after: np.ndarray,
    layout: Layout,
) -> np.ndarray:
  """When each instruction runs: phase, place of its class in the phase, level.

  A phase runs one class after the other, each of them level by level; whatever can run in
  an earlier phase does.
  """
  rank = dispatch(layout)[0][opcode]
  time = rank * _LEVELS
  phase = len(layout.classes) * _LEVELS
  first, second = rank[before], rank[after]
  same, backward = first == second, (first > second) * phase
  offset = second * _LEVELS
  while True:
    now = time[before]
    earliest = np.where(same, now + 1, now // phase * phase + backward + offset)
    late = earliest > time[after]
    if not late.any():
      return time
    np.maximum.at(time, after[late], earliest[late])


def phase_of(time: np.ndarray, layout: Layout) -> np.ndarray:
  """The phase of a time."""
  return time // (len(layout.classes) * _LEVELS)


def op_ids(layout: Layout, wave_class: int) -> list[int]:
  """Ids of the ops of a class, fused ones beyond the table."""
  fused = {fusion.op.name: len(layout.ops) + k for k, fusion in enumerate(fusions())}
  return [fused.get(op.name, op.id) for op in layout.classes[wave_class].ops]


@op_table.cached_for_table
def dispatch(layout: Layout) -> tuple[np.ndarray, np.ndarray]:
  """Class, and branch in the class, of every op by its id, fused ones included."""
  ids = [op_ids(layout, k) for k in range(len(layout.classes))]
  wave_class, branch = np.zeros((2, 1 + max((max(own) for own in ids), default=0)), np.int64)
  for k, own in enumerate(ids):
    wave_class[own], branch[own] = k, range(len(own))
  return wave_class, branch
