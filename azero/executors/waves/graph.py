"""Live instructions as a graph: what each reads, which section it runs in, and when.

Every instruction has a row of memory of its own. An operand is then the row of another
instruction of this pass through the loop, or, where it was written before the component
function started, the row of whichever instruction wrote that address last. Two things are
mended on the way: an instruction that computes the same for every example runs once,
before the loop, and a product that only one sum reads is fused with it.

A value is named by one number: below M the instruction that computes it, beyond that the
features, labels or normalised prediction of a program, or zero.
"""

from typing import NamedTuple

import numpy as np

from azero.compiler import liveness, sources
from azero.executors.waves.layout import Layout
from azero.language import ops as op_table
from azero.language.ops import MAX_INPUTS
from azero.language.program import Function, Programs

NUM_SPECIAL = 3  # values that each program has beside those of its instructions
_FEATURES, _LABEL, _NORMAL = range(NUM_SPECIAL)
_LEVELS = 256  # more than the slots of any component function can chain
_ABOVE_TAG, _ENTRY_TAG, _PREDICTION_TAG, _FEATURES_TAG, _LABEL_TAG = (
    int(tag >> np.uint64(48)) for tag in (
        sources.ABOVE, sources.ENTRY, sources.PREDICTION, sources.FEATURES, sources.LABEL))


class Copies(NamedTuple):
  """Values that move from one row to another when one loop ends and the next begins.

  Attributes:
    program: [K] int.
    kind: [K] int, of the value.
    source: [K] int, the value in whose row it is.
    target: [K] int, the value in whose row it will be read.
  """

  program: np.ndarray
  kind: np.ndarray
  source: np.ndarray
  target: np.ndarray


class Graph(NamedTuple):
  """The M instructions that N programs execute.

  Attributes:
    program: [M] int.
    column: [M] int, the slot.
    opcode: [M] int, the op's id; fused ops have ids beyond the table.
    section: [M] int, the component function, or Setup for what runs once before the loop.
    time: [M] int, within the section; nothing depends on what runs at the same time.
    kept: [M] bool, False for what was fused into another.
    trained: [3, M] int, values of the arguments in training, in the order of the op's rule.
    validated: [3, M] int, the same in validation.
    predicted: [2, N] int, the value of the prediction in training and in validation.
    copies: three sets: into training, into validation, back into training.
  """

  program: np.ndarray
  column: np.ndarray
  opcode: np.ndarray
  section: np.ndarray
  time: np.ndarray
  kept: np.ndarray
  trained: np.ndarray
  validated: np.ndarray
  predicted: np.ndarray
  copies: tuple[Copies, ...]

  def take(self, rows: np.ndarray) -> "Graph":
    """The graph of these programs, distinct and in ascending order."""
    num, size = self.trained.shape[1], self.predicted.shape[1]
    number = np.full(size, -1)
    number[rows] = np.arange(len(rows))
    instruction = np.flatnonzero(number.take(self.program) >= 0)
    new_num, new_size = len(instruction), len(rows)
    value = np.empty(num + NUM_SPECIAL * size + 1, np.int64)
    value[instruction] = np.arange(new_num)
    for k in range(NUM_SPECIAL):
      value[num + k * size : num + (k + 1) * size] = new_num + k * new_size + number
    value[-1] = new_num + NUM_SPECIAL * new_size
    copies = []
    for own in self.copies:
      some = np.flatnonzero(number.take(own.program) >= 0)
      copies.append(Copies(
          number.take(own.program[some]), own.kind[some], value.take(own.source[some]),
          value.take(own.target[some])))
    return Graph(
        number.take(self.program[instruction]), self.column[instruction],
        self.opcode[instruction], self.section[instruction], self.time[instruction],
        self.kept[instruction], value.take(self.trained[:, instruction]),
        value.take(self.validated[:, instruction]), value.take(self.predicted[:, rows]),
        tuple(copies))


class _Entries(NamedTuple):
  """The operands that were written before their component function started.

  Attributes:
    operand: [K] int, which of the 3 M + N operands.
    setup: [K] int, the last write in Setup; the zero if there is none.
    learn: [K] int, the last write in Learn, or -1.
    predict: [K] int, the last write in Predict, or -1.
    trained: [K] int, the value whose row holds it in training.
    validated: [K] int, the same in validation.
    in_loop: [K] bool, whether the loop writes it.
  """

  operand: np.ndarray
  setup: np.ndarray
  learn: np.ndarray
  predict: np.ndarray
  trained: np.ndarray
  validated: np.ndarray
  in_loop: np.ndarray


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
  code = sources.live_code(programs, keep)
  words, predicted = sources.sources(
      code, len(programs), sum(programs.space.num_addresses), role)
  num, size = len(code.row), len(programs)
  zero = num + NUM_SPECIAL * size
  # The prediction is one more operand of each program, read at the end of Predict.
  words = np.concatenate([words.reshape(-1), predicted])
  program = np.concatenate([code.row, code.row, code.row, np.arange(size)])
  in_learn = np.tile(code.function == Function.LEARN, 3)
  starts = np.searchsorted(code.row, np.arange(size))
  values, entries = _name(words, program, in_learn, starts, num, layout)
  values[entries.operand] = entries.trained
  validated = values.copy()
  validated[entries.operand] = entries.validated
  carried = np.zeros(len(values), bool)
  carried[entries.operand[entries.in_loop]] = True

  operands = [part[: 3 * num].reshape(3, num) for part in (values, validated, carried)]
  section = np.where(_once(code, operands[0], entries, zero, layout), Function.SETUP, code.function)
  uses = np.bincount(
      np.concatenate([values, entries.validated, entries.setup]), minlength=zero + 1)[:num]
  copies = _copies(code, entries, program, layout)
  predictions = np.stack([values[3 * num :], validated[3 * num :]])
  opcode, kept = _fuse(code, uses, section, operands, layout)
  time = _times(opcode, *_edges(section, kept, operands), layout)
  updates = np.flatnonzero(layout.op_tables.updates_output[code.opcode])
  for part in operands[:2]:  # from in1, in2, old to the order of the rule: old comes first
    part[:, updates] = np.roll(part[:, updates], 1, axis=0)
  return Graph(
      code.row, code.column, opcode, section, time, kept, operands[0], operands[1], predictions,
      copies)


def _name(
    words: np.ndarray, program: np.ndarray, in_learn: np.ndarray, starts: np.ndarray,
    num: int, layout: Layout,
) -> tuple[np.ndarray, _Entries]:
  """Values of the operands in training, but for those of `_Entries`; and those.

  Args:
    words: [K] uint64, sources as `dataflow` gives them.
    program: [K] int.
    in_learn: [at most K] bool, whether Learn reads it; False beyond.
    starts: [N] int, the first instruction of each program.
    num: M.
    layout: of the executor.
  """
  size = len(starts)
  low, middle, high, tag = words.view(np.uint16).reshape(-1, 4).T
  special = np.full(6, num + NUM_SPECIAL * size)
  special[_FEATURES_TAG] = num + _FEATURES * size
  special[_LABEL_TAG] = num + _LABEL * size
  values = special.take(tag)
  values += program * (tag >= _FEATURES_TAG)
  above = np.flatnonzero(tag == _ABOVE_TAG)
  values[above] = starts.take(program[above]) + low[above] - 1

  entered = np.flatnonzero((tag == _ENTRY_TAG) | (tag == _PREDICTION_TAG))
  first = starts.take(program[entered]) - 1
  setup, learn, predict = (field[entered].astype(np.int64) for field in (high, middle, low))
  zero = num + NUM_SPECIAL * size
  setup = np.where(setup > 0, first + setup, zero)
  learn = np.where(learn > 0, first + learn, -1)
  predict = np.where(predict > 0, first + predict, -1)
  is_prediction = tag[entered] == _PREDICTION_TAG
  at_learn = np.zeros(len(words), bool)
  at_learn[: len(in_learn)] = in_learn
  found = is_prediction & at_learn[entered]  # what Predict left of the prediction
  written = np.where(learn >= 0, learn, predict)
  if layout.num_classes:
    normal = num + _NORMAL * size + program[entered]
    written = np.where(is_prediction & (learn < 0) | found, normal, written)
    now = found
  else:
    now = found & (predict >= 0)
    written = np.where(now, predict, written)
  values[entered[now]] = written[now]
  trained = np.where(written >= 0, written, setup)
  validated = np.where(predict >= 0, predict, trained)
  rest = ~now
  return values, _Entries(*(field[rest] for field in (
      entered, setup, learn, predict, trained, validated, written >= 0)))


def _once(
    code: sources.Code, values: np.ndarray, entries: _Entries, zero: int, layout: Layout
) -> np.ndarray:
  """Which instructions compute the same value for every example, read by none before it.

  The first example finds at the start of Predict what Setup wrote, the others what the loop
  wrote: an instruction of the loop whose value is read across examples stays in the loop.
  """
  num, in_setup = len(code.row), code.function == Function.SETUP
  once = np.zeros(zero + 1, bool)
  once[zero] = True
  once[:num] = ~layout.op_tables.is_random[code.opcode]
  for writer in (entries.learn, entries.predict):
    once[writer[writer >= 0]] = False
  once[:num] |= in_setup
  while True:
    known = once.take(values).all(0)
    known |= in_setup
    known &= once[:num]
    if np.array_equal(known, once[:num]):
      return known
    once[:num] = known


def _fuse(
    code: sources.Code, uses: np.ndarray, section: np.ndarray, operands: list[np.ndarray],
    layout: Layout,
) -> tuple[np.ndarray, np.ndarray]:
  """Fuses pairs: opcodes and what is kept; changes the operands in place."""
  table = layout.op_tables.fusions
  kept = np.ones(len(code.row), bool)
  opcode = code.opcode
  if not table.any():
    return opcode, kept
  opcode = opcode.copy()
  is_consumer = np.any(table, axis=(0, 2))
  candidates = np.flatnonzero(is_consumer.take(opcode))
  values, validated, carried = operands
  for operand in range(MAX_INPUTS):
    reader = candidates[opcode[candidates] == code.opcode[candidates]]  # not fused already
    reader = reader[(values[operand, reader] < len(kept)) & ~carried[operand, reader]]
    producer = values[operand, reader]
    fused = table[code.opcode[producer], code.opcode[reader], operand]
    good = (fused > 0) & (uses[producer] == 1) & (section[producer] == section[reader])
    # What the producer reads from the example before must still be there for the consumer.
    reads = carried[:MAX_INPUTS, producer]
    for part in (values, validated):
      writer = part[:MAX_INPUTS, producer]
      overwritten = reads & (writer != reader) & (writer < len(kept))
      overwritten &= section.take(writer, mode="clip") == section[reader]
      good &= ~overwritten.any(0)
    reader, producer = reader[good], producer[good]
    opcode[reader] = fused[good]
    kept[producer] = False
    for part in operands:
      part[0, reader] = part[1 - operand, reader]
      part[1:, reader] = part[:MAX_INPUTS, producer]
  return opcode, kept


def _edges(
    section: np.ndarray, kept: np.ndarray, operands: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
  """Pairs of instructions of one section of which the first must run first."""
  values, validated, carried = operands
  num = len(section)

  def pairs(chosen: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    place = np.flatnonzero(chosen)
    return place % num, part.reshape(-1)[place]

  # A value is written before it is read ...
  reader, writer = pairs(kept & ~carried & (values < num), values)
  # ... and that of the example before is read before it is overwritten.
  early, late = pairs(kept & carried & (values < num), values)
  moved, after = pairs(kept & carried & (validated < num) & (validated != values), validated)
  before, behind = np.concatenate([writer, early, moved]), np.concatenate([reader, late, after])
  real = (section[before] == section[behind]) & (before != behind)
  return before[real], behind[real]


def _times(
    opcode: np.ndarray, before: np.ndarray, after: np.ndarray, layout: Layout
) -> np.ndarray:
  """When each instruction runs: phase, place of its class in the phase, level.

  A phase runs one class after the other, each of them level by level; whatever can run in
  an earlier phase does.
  """
  rank = layout.op_tables.wave_class[opcode]
  time = rank * _LEVELS
  phase = len(layout.classes) * _LEVELS
  while len(before):
    first, second, now = rank[before], rank[after], time[before]
    earliest = np.where(
        first == second, now + 1,
        now // phase * phase + (first > second) * phase + second * _LEVELS)
    late = earliest > time[after]
    if not late.any():
      break
    np.maximum.at(time, after[late], earliest[late])
  return time


def phase_of(time: np.ndarray, layout: Layout) -> np.ndarray:
  """The phase of a time."""
  return time // (len(layout.classes) * _LEVELS)


def _copies(
    code: sources.Code, entries: _Entries, program: np.ndarray, layout: Layout
) -> tuple[Copies, ...]:
  """What moves: from Setup into the loop, into validation, and back."""
  num = len(code.row)
  columns = op_table.columns()
  argument, instruction = np.divmod(entries.operand, max(num, 1))
  of_prediction = entries.operand >= 3 * num
  opcode = code.opcode[np.where(of_prediction, 0, instruction)] if num else np.zeros_like(argument)
  kinds = np.stack([*columns.input_kind.T, columns.output_kind])
  kind = kinds[np.where(of_prediction, 0, argument), opcode]
  kind = np.where(of_prediction, layout.label_kind, kind)
  own = program[entries.operand]
  start, moved = entries.in_loop, entries.validated != entries.trained
  return (
      Copies(own[start], kind[start], entries.setup[start], entries.trained[start]),
      Copies(own[moved], kind[moved], entries.trained[moved], entries.validated[moved]),
      Copies(own[moved], kind[moved], entries.validated[moved], entries.trained[moved]))
