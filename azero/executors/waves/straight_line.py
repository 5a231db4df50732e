"""Live instructions of a program -> straight-line code in which every value has a name.

Every instruction has a row of memory of its own (static single assignment). An operand is
then the row of another instruction of this pass through the loop, or, where it was written
before the component function started, the row of whichever instruction wrote that address
last. Two things are mended on the way: an instruction that computes the same for every
example runs once, before the loop, and a product that only one sum reads is fused with it.

The kernels work on one program at a time. An instruction is a row of numbers, named by the
constants below; those of all programs of a batch follow one another in one array.
"""

from typing import NamedTuple

from numba import njit
import numpy as np

from azero.compiler import canonical, liveness
from azero.executors.waves.layout import Layout, OpTables
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
_NUM_COLUMNS = 15

SETUP, PREDICT, LEARN = range(3)  # `Function`, as numbers that kernels take
FUSED = -1  # section of what runs as part of another instruction

# Columns of a program; its instructions and copies end where those of the next begin.
FIRST, FIRST_COPY = 0, 1
PREDICTED, PREDICTED_IN_VALIDATION = 2, 3  # values
SIZE = 4  # numbers in the rows that it writes

# Columns of a copy, of what moves when one loop ends and the next begins: kind, and values.
KIND, IN_SETUP, IN_TRAINING, IN_VALIDATION = range(4)

_OLD, _OUT = 2, 3  # rows of `Memory.bases` and operands: in1, in2, old value, output


class StraightLine(NamedTuple):
  """The code of n of the N programs of a batch.

  Attributes:
    rows: [n] int64, which programs of the batch; distinct.
    programs: [N + 1, 5] int32, of the batch.
    instructions: [M, 15] int32.
    copies: [K, 4] int32; more than there are.
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


class Memory(NamedTuple):
  """Slots and addresses of a space; addresses are counted over all kinds.

  Attributes:
    functions: [L] int, component function of each slot.
    bases: [4, ops + 1] int, as `liveness.address_bases` has them.
    kinds: [A] int, kind of each address.
    prediction: its address.
    label: its address.
    features: their address.
    normalises: whether Learn finds the normalised prediction in place of the prediction.
  """

  functions: np.ndarray
  bases: np.ndarray
  kinds: np.ndarray
  prediction: int
  label: int
  features: int
  normalises: bool


class _Source(NamedTuple):
  """N programs, [N, L] each, and which of their instructions to execute."""

  opcode: np.ndarray
  in1: np.ndarray
  in2: np.ndarray
  out: np.ndarray
  position: np.ndarray
  keep: np.ndarray


class _Writes(NamedTuple):
  """What is known of the addresses of one program.

  Attributes:
    above: [A] int32, the last write in the component function above an instruction.
    last: [3, A] int32, the last write in each component function, or ZERO.
    entered: [A] bool, whether Predict or Learn reads what was there when it started.
  """

  above: np.ndarray
  last: np.ndarray
  entered: np.ndarray


def make_memory(layout: Layout) -> Memory:
  """The memory of a layout's space."""
  space, role = layout.space, liveness.roles(layout.space, layout.multiclass)
  return Memory(
      space.function_of_slot, liveness.address_bases(space),
      np.repeat(np.arange(len(space.num_addresses)), space.num_addresses),
      role.prediction, role.label, role.features, layout.num_classes > 0)


def straighten(
    programs: Programs, analysis: canonical.Analysis, memory: Memory, ops: OpTables, *,
    raw: bool = False,
) -> StraightLine:
  """The code of a batch.

  Args:
    programs: N programs.
    analysis: their analysis.
    memory: of their space.
    ops: of the executor's layout.
    raw: whether to execute dead instructions too. That changes no result.

  Returns:
    The code of all N.
  """
  opcode = programs.opcode
  keep = (opcode != EMPTY) & (opcode != NO_OP) if raw else analysis.live
  source = _Source(
      opcode, programs.in1, programs.in2, programs.out, analysis.position, keep)
  table = np.empty((len(opcode) + 1, SIZE + 1), np.int32)
  instructions = np.empty((np.count_nonzero(keep), _NUM_COLUMNS), np.int32)
  copies = np.empty((len(opcode) * len(memory.kinds), IN_VALIDATION + 1), np.int32)
  _straighten(source, memory, ops, table, instructions, copies)
  return StraightLine(
      np.arange(len(opcode)), table, instructions, copies,
      programs.constants.reshape(-1, MAX_CONSTANTS))


@njit(cache=True, nogil=True)
def _straighten(source, memory, ops, programs, code, copies):
  """Fills table, instructions and copies of N programs."""
  num_addresses, first, first_copy = len(memory.kinds), 0, 0
  writes = _Writes(
      np.empty(num_addresses, np.int32), np.empty((3, num_addresses), np.int32),
      np.empty(num_addresses, np.bool_))
  uses = np.zeros(len(code), np.int32)
  varies = np.zeros(len(code), np.bool_)
  for n in range(len(source.opcode)):
    own = programs[n]
    own[FIRST], own[FIRST_COPY] = first, first_copy
    end = _collect(source, n, memory, first, writes, code)
    _name_operands(source, n, memory, first, end, writes, uses, code)
    own[PREDICTED], own[PREDICTED_IN_VALIDATION], _ = _name(
        PREDICT, memory.prediction, memory, writes, writes.last[PREDICT], uses)
    first_copy = _copy(memory, writes, varies, first_copy, copies)
    _hoist(first, end, ops, varies, code)
    _fuse(first, end, ops, uses, code)
    _time(first, end, ops, code)
    own[SIZE] = _finish(first, end, ops, code)
    first = end
  programs[len(source.opcode), FIRST] = first
  programs[len(source.opcode), FIRST_COPY] = first_copy


@njit(cache=True, nogil=True)
def _collect(source, n, memory, first, writes, code):
  """Lists the instructions of program `n` and the last write to each address."""
  writes.last[:] = ZERO
  writes.entered[:] = False
  num_slots, end = len(memory.functions), first
  for slot in range(num_slots):
    if not source.keep[n, slot]:
      continue
    opcode, function = source.opcode[n, slot], memory.functions[slot]
    own = code[end]
    own[OPCODE], own[SECTION] = opcode, function
    own[PHASE] = own[LEVEL] = 0
    own[POSITION], own[SLOT] = source.position[n, slot], n * num_slots + slot
    writes.last[function, memory.bases[_OUT, opcode] + source.out[n, slot]] = end
    end += 1
  return end


@njit(cache=True, nogil=True)
def _name_operands(source, n, memory, first, end, writes, uses, code):
  """Names the operands of every instruction, still in the order in1, in2, old value."""
  function = -1
  for i in range(first, end):
    own = code[i]
    if own[SECTION] != function:
      function = own[SECTION]
      writes.above[:] = ZERO
    slot, opcode = own[SLOT] - n * len(memory.functions), own[OPCODE]
    addresses = source.in1[n, slot], source.in2[n, slot], source.out[n, slot]
    for k in range(3):
      address = memory.bases[k, opcode] + addresses[k]
      own[TRAINED + k] = own[VALIDATED + k] = ZERO
      own[CARRIED + k] = 0
      if address >= 0:
        own[TRAINED + k], own[VALIDATED + k], own[CARRIED + k] = _name(
            function, address, memory, writes, writes.above, uses)
    writes.above[memory.bases[_OUT, opcode] + addresses[_OLD]] = i


@njit(cache=True, nogil=True)
def _name(function, address, memory, writes, above, uses):
  """What an address holds in training and in validation, and whether the loop carries it."""
  value = above[address]
  if value == ZERO and function != SETUP:
    if address == memory.features:
      value = FEATURES
    elif address == memory.label:
      value = LABEL if function == LEARN else ZERO
    elif function == LEARN and address == memory.prediction and memory.normalises:
      value = NORMAL
    elif function == LEARN and writes.last[PREDICT, address] != ZERO:
      value = writes.last[PREDICT, address]
    else:
      writes.entered[address] = True
      trained, validated = _at_entry(address, memory, writes)
      for used in (trained, validated, writes.last[SETUP, address]):
        if used >= 0:
          uses[used] += 1
      return trained, validated, _in_loop(address, memory, writes) != ZERO
  if value >= 0:
    uses[value] += 1
  return value, value, False


@njit(cache=True, nogil=True)
def _in_loop(address, memory, writes):
  """What the loop of Predict and Learn wrote to an address last, or ZERO for nothing."""
  if writes.last[LEARN, address] != ZERO:
    return writes.last[LEARN, address]
  if address == memory.prediction and memory.normalises:
    return np.int32(NORMAL)
  return writes.last[PREDICT, address]


@njit(cache=True, nogil=True)
def _at_entry(address, memory, writes):
  """What an address holds when a component function starts: in training, in validation."""
  trained = _in_loop(address, memory, writes)
  if trained == ZERO:
    trained = writes.last[SETUP, address]
  validated = writes.last[PREDICT, address]
  return trained, trained if validated == ZERO else validated


@njit(cache=True, nogil=True)
def _copy(memory, writes, varies, end, copies):
  """Lists what moves between Setup, training and validation; marks who writes it."""
  for address in range(len(memory.kinds)):
    if not writes.entered[address]:
      continue
    for function in (PREDICT, LEARN):
      if writes.last[function, address] != ZERO:
        varies[writes.last[function, address]] = True
    if _in_loop(address, memory, writes) != ZERO:
      own = copies[end]
      own[KIND], own[IN_SETUP] = memory.kinds[address], writes.last[SETUP, address]
      own[IN_TRAINING], own[IN_VALIDATION] = _at_entry(address, memory, writes)
      end += 1
  return end


@njit(cache=True, nogil=True)
def _hoist(first, end, ops, varies, code):
  """Moves to Setup what computes the same for every example and is read by none before it.

  The first example finds at the start of Predict what Setup wrote, the others what the loop
  wrote: what is read across examples stays in the loop.
  """
  for i in range(first, end):
    own = code[i]
    once = not (varies[i] or ops.is_random[own[OPCODE]])
    for k in range(3):
      value = own[TRAINED + k]
      once &= value == ZERO or (value >= 0 and code[value, SECTION] == SETUP)
    if once:
      own[SECTION] = SETUP


@njit(cache=True, nogil=True)
def _fuse(first, end, ops, uses, code):
  """Fuses pairs of a producer and the only instruction that reads it."""
  for i in range(first, end):
    own = code[i]
    if own[OPCODE] >= len(ops.fusions):
      continue
    for k in range(2):
      producer = own[TRAINED + k]
      if producer < 0 or own[CARRIED + k]:
        continue
      fused = ops.fusions[code[producer, OPCODE], own[OPCODE], k]
      if fused and uses[producer] == 1 and _can_move(producer, i, code):
        own[OPCODE] = fused
        code[producer, SECTION] = FUSED
        for part in (TRAINED, VALIDATED, CARRIED):
          own[part] = own[part + 1 - k]
          own[part + 1] = code[producer, part]
          own[part + 2] = code[producer, part + 1]
        break


@njit(cache=True, nogil=True)
def _can_move(producer, i, code):
  """Whether what a producer reads of the example before is still there when `i` runs."""
  section = code[i, SECTION]
  if code[producer, SECTION] != section:
    return False
  for part in (TRAINED, VALIDATED):
    for k in range(2):
      writer = code[producer, part + k]
      if (code[producer, CARRIED + k] and writer >= 0 and writer != i
          and code[writer, SECTION] == section):
        return False
  return True


@njit(cache=True, nogil=True)
def _time(first, end, ops, code):
  """When each instruction runs: whatever can run in an earlier phase does.

  What is read or overwritten later stands later in the code, so one walk is enough.
  """
  for i in range(first, end):
    section = code[i, SECTION]
    if section == FUSED:
      continue
    for k in range(3):  # a value is written before it is read ...
      value = code[i, TRAINED + k]
      if value >= 0 and not code[i, CARRIED + k] and code[value, SECTION] == section:
        _run_after(value, i, ops, code)
    for part in (TRAINED, VALIDATED):  # ... and read before the loop overwrites it
      for k in range(3):
        value = code[i, part + k]
        if (value >= 0 and value != i and code[i, CARRIED + k]
            and code[value, SECTION] == section):
          _run_after(i, value, ops, code)


@njit(cache=True, nogil=True)
def _run_after(before, after, ops, code):
  """Makes one instruction run after another of the same section."""
  first, second = ops.wave_class[code[before, OPCODE]], ops.wave_class[code[after, OPCODE]]
  phase, level = code[before, PHASE], 0
  if first == second:
    level = code[before, LEVEL] + 1
  elif first > second:
    phase += 1
  if phase > code[after, PHASE]:
    code[after, PHASE], code[after, LEVEL] = phase, level
  elif phase == code[after, PHASE]:
    code[after, LEVEL] = max(code[after, LEVEL], level)


@njit(cache=True, nogil=True)
def _finish(first, end, ops, code):
  """Puts operands in the order of the rule, old value first; returns the numbers written."""
  size = 0
  for i in range(first, end):
    own = code[i]
    if own[SECTION] != FUSED:
      size += ops.widths[ops.wave_class[own[OPCODE]]]
    if ops.updates_output[own[OPCODE]]:
      for part in (TRAINED, VALIDATED, CARRIED):
        own[part], own[part + 1], own[part + 2] = own[part + 2], own[part], own[part + 1]
  return size
