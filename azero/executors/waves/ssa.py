"""Live instructions of a program -> straight-line code in which every value has a name.

Every instruction has a row of memory of its own (static single assignment). An operand is
then the row of another instruction of this pass through the loop, or, where it was written
before the component function started, the row of whichever instruction wrote that address
last. Two things are mended on the way: an instruction that computes the same for every
example runs once, before the loop, and a product that only one sum reads is fused with it.

The kernels work on one program at a time. An instruction is a row of numbers, named by the
constants below; those of all programs of a batch follow one another in one array, `code`.
"""

from typing import Any, NamedTuple

import numpy as np

from azero.compiler import arrays as program_arrays
from azero.compiler.arrays import (
  LEARN,
  PREDICT,
  SETUP,
  ProgramArrays,
  address_bases,
  roles,
)
from azero.compiler.canonical import Analysis
from azero.compiler.kernels import inlined_kernel, kernel
from azero.executors.waves.layout import Layout
from azero.language import ops as op_table
from azero.language.ops import MAX_CONSTANTS, NO_OP
from azero.language.program import EMPTY, Programs

# A value is the index of the instruction that computes it, or one of these.
ZERO, FEATURES, LABEL, NORMAL = -1, -2, -3, -4  # NORMAL: the normalised prediction

# Columns of an instruction.
OPCODE = 0  # the op's id; fused ops have ids beyond the table
SECTION = 1  # the component function, Setup for what runs once, or FUSED
PHASE = 2  # when it runs in its section: a phase runs one class of ops after the other,
LEVEL = 3  # each of them level by level; nothing depends on what runs at the same time
POSITION = 4  # index among the live instructions of the program; random ops draw by it
SLOT = 5  # program * L + slot: where its constants are
TRAINED = 6  # values of three operands in training, in the order of the op's rule
VALIDATED = 9  # the same in validation
CARRIED = 12  # of three operands, whether it is what the loop wrote an example before
USES = 15  # how often its value is read
VARIES = 16  # whether its value is read across examples
NUM_COLUMNS = 17

FUSED = -1  # section of what runs as part of another instruction

# Columns of a program; its instructions and copies end where those of the next begin.
FIRST, FIRST_COPY = 0, 1
PREDICTED, PREDICTED_IN_VALIDATION = 2, 3  # values
SIZE = 4  # numbers in the rows that it writes

# Columns of a copy, of what moves when one loop ends and the next begins: kind, and values.
KIND, IN_SETUP, IN_TRAINING, IN_VALIDATION = range(4)

# Columns of an op, fused ones included.
BASE = 0  # of in1, in2, old value and output, as `address_bases` has them
CLASS, BRANCH, WIDTH = 4, 5, 6  # its class, index in it, and numbers of a row that it writes
IS_RANDOM, UPDATES_OUTPUT, HAS_DATA = 7, 8, 9
IS_INDEX = 10  # of three constants

# Rows of what is known of the addresses of a program, beside the last write in each function.
_ABOVE = 3  # the last write in the component function above an instruction
_ENTERED = 4  # whether Predict or Learn reads what was there when it started


class StraightLine(NamedTuple):
  """The code of n of the N programs of a batch.

  Attributes:
    rows: [n] int64, which programs of the batch; distinct.
    programs: [N + 1, 5] int64, of the batch.
    instructions: [M, 17] int64.
    copies: [K, 4] int64; more than there are.
    constants: [N * L, 3] float64.
  """

  rows: np.ndarray
  programs: np.ndarray
  instructions: np.ndarray
  copies: np.ndarray
  constants: np.ndarray

  def take(self, rows: np.ndarray) -> "StraightLine":
    """The code of these of its programs, [k] distinct indices below n."""
    return self._replace(rows=self.rows[rows])

  @property
  def num_instructions(self) -> int:
    """Instructions of its programs, with those that run as part of another."""
    first = self.programs[:, FIRST]
    return int((first[self.rows + 1] - first[self.rows]).sum())


class Machine(NamedTuple):
  """What kernels read of a layout's space and ops.

  Attributes:
    ops: [ops + fused, 13] int64.
    fusions: [ops, ops, 2] int64, see `OpTables`.
    functions: [L] int64, component function of each slot.
    kinds: [A] int64, kind of each address, counted over all kinds.
    prediction: address of the prediction.
    label: that of the label.
    features: that of the features.
    normalises: whether Learn finds the normalised prediction in place of the prediction.
  """

  ops: np.ndarray
  fusions: np.ndarray
  functions: np.ndarray
  kinds: np.ndarray
  prediction: int
  label: int
  features: int
  normalises: bool


def make_machine(layout: Layout) -> Machine:
  """The machine of a layout."""
  space, own = layout.space, layout.op_tables
  ops = np.zeros((len(own.wave_class), IS_INDEX + MAX_CONSTANTS), np.int64)
  num_ops = len(layout.ops)
  ops[:num_ops, BASE : BASE + 4] = address_bases(space).T[:num_ops]
  ops[:num_ops, IS_INDEX:] = op_table.columns().is_index
  widths = own.widths[own.wave_class] if len(own.widths) else np.zeros(1, np.int64)
  for column, values in (
      (CLASS, own.wave_class), (BRANCH, own.branch), (WIDTH, widths),
      (IS_RANDOM, own.is_random), (UPDATES_OUTPUT, own.updates_output),
      (HAS_DATA, own.has_data)):
    ops[:, column] = values
  return Machine(
      ops, own.fusions, np.asarray(space.function_of_slot, np.int64),
      np.repeat(np.arange(len(space.num_addresses)), space.num_addresses),
      *roles(space, layout.multiclass), layout.num_classes > 0)


def straighten(
    programs: Programs, analysis: Analysis, machine: Machine, *, raw: bool = False
) -> StraightLine:
  """The code of a batch.

  Args:
    programs: N programs.
    analysis: their analysis.
    machine: of the executor's layout.
    raw: whether to execute dead instructions too. That changes no result.

  Returns:
    The code of all N.
  """
  own = program_arrays.arrays(programs)
  if raw:
    analysis = analysis._replace(live=(own.opcode != EMPTY) & (own.opcode != NO_OP))
  num_programs, num_addresses = len(own.opcode), len(machine.kinds)
  code = StraightLine(
      np.arange(num_programs), np.empty((num_programs + 1, SIZE + 1), np.int64),
      np.empty((np.count_nonzero(analysis.live), NUM_COLUMNS), np.int64),
      np.empty((num_programs * num_addresses, IN_VALIDATION + 1), np.int64),
      own.constants.reshape(-1, MAX_CONSTANTS))
  _straighten_all(
      np.empty((5, num_addresses), np.int64), *own, *analysis, *machine, *code)
  return code


@kernel
def _straighten_all(writes: np.ndarray, *arrays: Any) -> None:
  """Fills table, instructions and copies of N programs.

  Args:
    writes: [5, A] int64, room to work in.
    *arrays: of ProgramArrays, Analysis, Machine and StraightLine. Numba looks at an array
      several times as fast as at one in a tuple, which small batches would feel.
  """
  programs, analysis = ProgramArrays(*arrays[:5]), Analysis(*arrays[5:8])
  machine, result = Machine(*arrays[8:16]), StraightLine(*arrays[16:])
  table, code, copies = result.programs, result.instructions, result.copies
  table[0, FIRST] = table[0, FIRST_COPY] = 0
  for n in range(len(programs.opcode)):
    first = table[n, FIRST]
    end = _list_instructions(programs, n, analysis, machine, code, first)
    _name_operands(first, end, machine, writes, code)
    table[n, PREDICTED], table[n, PREDICTED_IN_VALIDATION], _ = _name(
        np.int64(PREDICT), machine.prediction, writes[PREDICT, machine.prediction], machine,
        writes, code)
    table[n + 1, FIRST] = end
    table[n + 1, FIRST_COPY] = _list_copies(machine, writes, code, table[n, FIRST_COPY], copies)
    _hoist(first, end, machine, code)
    _fuse(first, end, machine, code)
    _time(first, end, machine, code)
    table[n, SIZE] = _finish(first, end, machine, code)


@inlined_kernel
def _list_instructions(
    programs: ProgramArrays, n: int, analysis: Analysis, machine: Machine, code: np.ndarray,
    end: int) -> int:
  """Lists instructions, with addresses for operands: in1, in2 and old value, then the output."""
  ops, num_slots = machine.ops, len(machine.functions)
  for slot in range(num_slots):
    if analysis.live[n, slot]:
      op, out = programs.opcode[n, slot], programs.out[n, slot]
      code[end, OPCODE], code[end, SECTION] = op, machine.functions[slot]
      code[end, PHASE] = code[end, LEVEL] = code[end, USES] = code[end, VARIES] = 0
      code[end, POSITION], code[end, SLOT] = analysis.position[n, slot], n * num_slots + slot
      code[end, TRAINED] = ops[op, BASE] + programs.in1[n, slot]
      code[end, TRAINED + 1] = ops[op, BASE + 1] + programs.in2[n, slot]
      code[end, TRAINED + 2] = ops[op, BASE + 2] + out
      code[end, VALIDATED] = ops[op, BASE + 3] + out
      end += 1
  return end


@inlined_kernel
def _name_operands(
    first: int, end: int, machine: Machine, writes: np.ndarray, code: np.ndarray) -> None:
  """Replaces the addresses of operands by values."""
  for address in range(writes.shape[1]):
    for function in (SETUP, PREDICT, LEARN):
      writes[function, address] = ZERO
    writes[_ENTERED, address] = 0
  for i in range(first, end):
    writes[code[i, SECTION], code[i, VALIDATED]] = i
  for i in range(first, end):
    function, output = code[i, SECTION], code[i, VALIDATED]
    if i == first or function != code[i - 1, SECTION]:
      for address in range(writes.shape[1]):
        writes[_ABOVE, address] = ZERO
    for k in range(3):
      address = code[i, TRAINED + k]
      trained, validated, carried = ZERO, ZERO, False
      if address >= 0:
        trained, validated, carried = _name(
            function, address, writes[_ABOVE, address], machine, writes, code)
      code[i, TRAINED + k], code[i, VALIDATED + k] = trained, validated
      code[i, CARRIED + k] = carried
    writes[_ABOVE, output] = i


@inlined_kernel
def _name(
    function: int | np.int64, address: int, value: int, machine: Machine, writes: np.ndarray,
    code: np.ndarray) -> tuple[int, int, bool]:
  """What an address holds in training and in validation, and whether the loop carries it.

  `value` is what the component function wrote to it so far, or ZERO.
  """
  if value == ZERO and function != SETUP:
    if address == machine.features:
      value = FEATURES
    elif address == machine.label:
      value = LABEL if function == LEARN else ZERO
    elif function == LEARN and address == machine.prediction and machine.normalises:
      value = NORMAL
    elif function == LEARN and writes[PREDICT, address] != ZERO:
      value = writes[PREDICT, address]
    else:
      writes[_ENTERED, address] = 1
      in_setup, trained, validated, carried = _at_entry(address, machine, writes)
      for used in (in_setup, trained, validated):
        if used >= 0:
          code[used, USES] += 1
      return trained, validated, carried
  if value >= 0:
    code[value, USES] += 1
  return value, value, False


@inlined_kernel
def _at_entry(
    address: int, machine: Machine, writes: np.ndarray) -> tuple[int, int, int, bool]:
  """What an address holds when Predict or Learn starts, if neither wrote it before.

  Returns the values of the first example, of the others in training and of those in
  validation, and whether the loop of Predict and Learn writes it.
  """
  in_setup, in_predict, trained = writes[SETUP, address], writes[PREDICT, address], ZERO
  if writes[LEARN, address] != ZERO:
    trained = writes[LEARN, address]
  elif address == machine.prediction and machine.normalises:
    trained = NORMAL
  else:
    trained = in_predict
  carried = trained != ZERO
  if not carried:
    trained = in_setup
  return in_setup, trained, trained if in_predict == ZERO else in_predict, carried


@inlined_kernel
def _list_copies(
    machine: Machine, writes: np.ndarray, code: np.ndarray, end: int, copies: np.ndarray) -> int:
  """Lists what moves between Setup, training and validation, and marks who writes it."""
  for address in range(len(machine.kinds)):
    if not writes[_ENTERED, address]:
      continue
    for function in (PREDICT, LEARN):
      if writes[function, address] != ZERO:
        code[writes[function, address], VARIES] = 1
    in_setup, trained, validated, carried = _at_entry(address, machine, writes)
    if carried:
      copies[end, KIND], copies[end, IN_SETUP] = machine.kinds[address], in_setup
      copies[end, IN_TRAINING], copies[end, IN_VALIDATION] = trained, validated
      end += 1
  return end


@inlined_kernel
def _hoist(first: int, end: int, machine: Machine, code: np.ndarray) -> None:
  """Moves to Setup what computes the same for every example and is read by none before it.

  The first example finds at the start of Predict what Setup wrote, the others what the loop
  wrote: what is read across examples stays in the loop.
  """
  for i in range(first, end):
    once = code[i, VARIES] == 0 and machine.ops[code[i, OPCODE], IS_RANDOM] == 0
    for k in range(3):
      value = code[i, TRAINED + k]
      if value != ZERO and (value < 0 or code[value, SECTION] != SETUP):
        once = False
    if once:
      code[i, SECTION] = SETUP


@inlined_kernel
def _fuse(first: int, end: int, machine: Machine, code: np.ndarray) -> None:
  """Fuses pairs of a producer and the only instruction that reads it."""
  fusions = machine.fusions
  for i in range(first, end):
    for k in range(2):
      producer = code[i, TRAINED + k]
      if producer < 0 or code[i, CARRIED + k]:
        continue
      first_op, op = code[producer, OPCODE], code[i, OPCODE]
      fused = fusions[first_op, op, k] if max(first_op, op) < len(fusions) else 0
      if fused and code[producer, USES] == 1 and _can_move(producer, i, code):
        code[i, OPCODE], code[producer, SECTION] = fused, FUSED
        for part in (TRAINED, VALIDATED, CARRIED):
          code[i, part] = code[i, part + 1 - k]
          code[i, part + 1] = code[producer, part]
          code[i, part + 2] = code[producer, part + 1]


@inlined_kernel
def _can_move(producer: int, i: int, code: np.ndarray) -> bool:
  """Whether what a producer reads of the example before is still there when `i` runs."""
  section = code[i, SECTION]
  can = code[producer, SECTION] == section
  for k in range(2):
    for writer in (code[producer, TRAINED + k], code[producer, VALIDATED + k]):
      if (code[producer, CARRIED + k] and writer >= 0 and writer != i
          and code[writer, SECTION] == section):
        can = False
  return can


@inlined_kernel
def _time(first: int, end: int, machine: Machine, code: np.ndarray) -> None:
  """When each instruction runs: whatever can run in an earlier phase does.

  What must run later stands later in the code, so one walk is enough.
  """
  for i in range(first, end):
    section = code[i, SECTION]
    if section == FUSED:
      continue
    for k in range(3):  # a value is written before it is read ...
      value = code[i, TRAINED + k]
      if value >= 0 and not code[i, CARRIED + k] and code[value, SECTION] == section:
        _run_after(value, i, machine, code)
    for k in range(3):  # ... and read before the loop overwrites it
      for value in (code[i, TRAINED + k], code[i, VALIDATED + k]):
        if (value >= 0 and value != i and code[i, CARRIED + k]
            and code[value, SECTION] == section):
          _run_after(i, value, machine, code)


@inlined_kernel
def _run_after(before: int, after: int, machine: Machine, code: np.ndarray) -> None:
  """Makes one instruction run after another of the same section."""
  first = machine.ops[code[before, OPCODE], CLASS]
  second = machine.ops[code[after, OPCODE], CLASS]
  phase = code[before, PHASE] + (1 if first > second else 0)
  level = code[before, LEVEL] + 1 if first == second else 0
  if phase > code[after, PHASE]:
    code[after, PHASE], code[after, LEVEL] = phase, level
  elif phase == code[after, PHASE]:
    code[after, LEVEL] = max(code[after, LEVEL], level)


@inlined_kernel
def _finish(first: int, end: int, machine: Machine, code: np.ndarray) -> int:
  """Puts operands in the order of the rule, old value first; returns the numbers written."""
  size = 0
  for i in range(first, end):
    op = code[i, OPCODE]
    if code[i, SECTION] != FUSED:
      size += machine.ops[op, WIDTH]
    if machine.ops[op, UPDATES_OUTPUT]:
      for part in (TRAINED, VALIDATED, CARRIED):
        in1, in2, old = code[i, part], code[i, part + 1], code[i, part + 2]
        code[i, part], code[i, part + 1], code[i, part + 2] = old, in1, in2
  return size
