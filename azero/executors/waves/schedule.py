"""Straight-line code of many programs -> waves: one op, many lanes, in an order that holds.

Programs are cut into chunks whose rows fit a core's cache. In each chunk the instructions of
one section, phase, level and op share waves. A wave writes consecutive rows, one for each
lane. Chunk by chunk the tables of a call of the executor are filled, until it is full.
"""

import collections
import threading
from typing import Any, NamedTuple

import numpy as np

from azero.compiler import canonical
from azero.compiler.kernels import inlined_kernel, inner_kernel, kernel
from azero.executors.waves import ssa, tables
from azero.executors.waves.layout import PROGRAM_TILE, Layout
from azero.executors.waves.ssa import StraightLine
from azero.executors.waves.tables import (
  NUM_COPY_SETS,
  NUM_SECTIONS,
  TO_TRAINING,
  TO_VALIDATION,
  VALIDATE,
  Call,
)
from azero.language.ops import Kind
from azero.language.program import Programs

_NUM_KINDS = len(Kind)
# Columns of a class: shape of its tables, the first row it may write, then where its tables
# start, as in `WaveTable`.
_LANES, _OUTPUT, _NUM_INPUTS, _NUM_CONSTANTS, _IS_RANDOM, _FIRST_ROW = range(6)
_BRANCH, _OUT, _ARGUMENTS, _CONSTANTS, _POSITION, _TASK_SET = range(6, 12)
# Entries of the other tables' starts: as in `Tables`, then the copies of each kind.
(_PHASES_AT, _SECTIONS_AT, _COPY_SETS_AT, _TASK_SETS_AT, _NUM_SETS_AT, _FIRST_AT, _NUM_AT,
 _LABELS_AT, _TRAINED_AT, _VALIDATED_AT, _NUM_CHUNKS_AT, _COPIES_AT) = range(12)
# What a call has room for: chunks, programs, phases, copies of each kind, rows of each kind
# (which every chunk has for itself) and waves of each class. Of a chunk there are counted, too,
# its waves without those of validation, and of its copies those that are made thrice; and its
# first program is known.
_CHUNKS, _PROGRAMS, _PHASES, _FORMED, _FIRST, _COPIES = range(6)
_TURNS, _ROWS, _WAVES = (_COPIES + k * _NUM_KINDS for k in (1, 2, 3))
# Columns of what is known of a chunk: its instructions in the order of the waves, two columns
# to sort them, the first instruction of each wave; then by instruction its row and its program.
_ENTRIES, _SPARE, _KEYS, _FIRST_ENTRY, _ROW, _PLACE = range(6)
_NO_LIMIT = 1 << 40
_SETS = 0  # column of the task set of a program; at minus a value is its row: ZERO to NORMAL


class _Shapes(NamedTuple):
  """What kernels read of a layout, beside `ssa.Machine`.

  Attributes:
    classes: [classes, 12] int64.
    starts: [14] int64.
    room: [14 + classes] int64, what a call has room for.
    ops: [ops + fused, 13] int64, as in `ssa.Machine`.
    num_features: F.
    num_branches: most ops of a class.
    first_features: row of the features of a chunk's first task set.
    first_label: row of its labels.
    first_prediction: row of the normalised prediction of a chunk's first program.
  """

  classes: np.ndarray
  starts: np.ndarray
  room: np.ndarray
  ops: np.ndarray
  num_features: int
  num_branches: int
  first_features: int
  first_label: int
  first_prediction: int


class _Batch(NamedTuple):
  """Programs in the order in which they are scheduled.

  Attributes:
    rows: [n] int64, which programs of the code.
    sets: [n] int64, their task sets.
    ends: [n] int64, where the chunk of each ends.
    programs: as in `StraightLine`, and so is what follows.
    code: its instructions.
    copies: its copies.
    constants: its constants.
  """

  rows: np.ndarray
  sets: np.ndarray
  ends: np.ndarray
  programs: np.ndarray
  code: np.ndarray
  copies: np.ndarray
  constants: np.ndarray


class _Chunk(NamedTuple):
  """What is known of a chunk, and of the call that it is a part of.

  Attributes:
    lanes: [M + 1, 6] int64, of M instructions.
    values: [P, 5] int64, of its programs.
    counts: [K] int64, room to sort by K - 1 keys.
    needed: [14 + classes] int64, what of `_Shapes.room` it needs.
    used: [14 + classes] int64, what the chunks of the call before it have used.
  """

  lanes: np.ndarray
  values: np.ndarray
  counts: np.ndarray
  needed: np.ndarray
  used: np.ndarray


class _Output(NamedTuple):
  """The tables of a call, of constants of either type: one of their two arrays is empty.

  So kernels are compiled once for both.

  Attributes:
    integers: [...] int32.
    single: [...] float32.
    double: [...] float64.
  """

  integers: np.ndarray
  single: np.ndarray
  double: np.ndarray


class Scheduler:
  """Schedules programs for the executor of one layout; threads may share it."""

  def __init__(self, layout: Layout, dtype: np.dtype):
    """Reads the layout; `dtype` is that of the memory."""
    classes, starts = layout.classes, tables.starts(layout)
    self._layout, self._machine = layout, ssa.make_machine(layout)
    shapes = [
        (own.lanes, own.output, own.num_inputs, own.num_constants, own.is_random,
         layout.first_rows[own.output])
        for own in classes]
    room = [
        layout.num_chunks, layout.num_listed - layout.num_programs, layout.num_phases,
        _NO_LIMIT, _NO_LIMIT, *(layout.num_copies,) * _NUM_KINDS, *(_NO_LIMIT,) * _NUM_KINDS,
        *np.subtract(layout.num_rows, layout.first_rows), *(own.capacity for own in classes)]
    self._shapes = _Shapes(
        np.concatenate([np.array(shapes, np.int64).reshape(-1, _BRANCH), starts.waves], axis=1),
        np.concatenate([starts.others, starts.copies]), np.array(room, np.int64),
        self._machine.ops, layout.space.num_features,
        max((len(own.ops) for own in classes), default=1), layout.first_features,
        layout.first_label, layout.first_prediction)
    # A program has no more phases and levels than it has instructions.
    most = layout.space.num_slots + 1
    self._num_keys = most * max(VALIDATE * len(classes), self._shapes.num_branches)
    self._dtype = dtype
    self._unused: collections.deque[_Output] = collections.deque()
    self._of_thread = threading.local()

  def plan(
      self, programs: Programs, analysis: canonical.Analysis, *, raw: bool = False
  ) -> StraightLine:
    """The code of N programs; see `ssa.straighten`."""
    return ssa.straighten(programs, analysis, self._machine, raw=raw)

  def schedule(
      self, plan: StraightLine, task_sets: np.ndarray, *, num_parts: int = 1
  ) -> list[Call]:
    """Schedules n programs.

    Args:
      plan: of the programs.
      task_sets: [n] int, on which tasks to run each.
      num_parts: calls at least, if there are enough chunks, so that as many devices are busy.

    Returns:
      Calls that run every program once.
    """
    if not len(plan.rows):
      return []
    layout = self._layout
    # What shares tasks stands together.
    order = task_sets.argsort(kind="stable")
    rows, code = plan.rows[order], plan[1:]
    batch = _Batch(rows, task_sets[order].astype(np.int64), np.empty_like(rows), *code)
    num_chunks = _cut(
        num_parts, layout.chunk_numbers, layout.num_programs, rows, plan.programs, batch.ends)
    limit = min(layout.num_chunks, -(-num_chunks // num_parts))
    chunk = self._room(len(plan.instructions))
    calls: list[Call] = []
    first = 0
    while first < len(order):
      output = self._unused_output()
      last = _fill(first, limit, *batch, *self._shapes, *chunk, *output)
      constants = output.single if self._dtype == np.float32 else output.double
      calls.append(Call(output.integers, constants, order[first:last]))
      first = last
    return calls

  def recycle(self, call: Call) -> None:
    """Takes back the tables of a call that has run; touching new memory takes longer."""
    self._unused.append(_output(call.integers, call.constants))

  def _unused_output(self) -> _Output:
    try:
      return self._unused.pop()
    except IndexError:
      return _output(*tables.new_arrays(self._layout, self._dtype))

  def _room(self, num_instructions: int) -> _Chunk:
    """Room of this thread for chunks of so many instructions or more."""
    chunk: _Chunk | None = getattr(self._of_thread, "chunk", None)
    if chunk is None or len(chunk.lanes) <= num_instructions:
      counters = np.empty((2, len(self._shapes.room)), np.int64)
      chunk = self._of_thread.chunk = _Chunk(
          np.empty((2 * num_instructions + 1, _PLACE + 1), np.int64),
          np.empty((self._layout.num_programs, 1 - ssa.NORMAL), np.int64),
          np.empty(self._num_keys + 1, np.int64), *counters)
    chunk.needed[_PROGRAMS] = 0
    return chunk


def _output(integers: np.ndarray, constants: np.ndarray) -> _Output:
  if constants.dtype == np.float32:
    return _Output(integers, constants, np.empty(0))
  return _Output(integers, np.empty(0, np.float32), constants)


@kernel
def _cut(
    num_parts: int, budget: int, limit: int, rows: np.ndarray, programs: np.ndarray,
    ends: np.ndarray) -> int:
  """Cuts programs into chunks: where that of each ends; returns the number of chunks.

  A chunk takes programs until their rows hold as many numbers as the budget allows, or there
  are as many as the limit. In whole numbers, so that it never takes more.
  """
  total = 0
  for n in rows:
    total += max(programs[n, ssa.SIZE] * limit, budget)
  bound = min(budget * limit, max(-(-total // num_parts), budget))
  num_chunks, total, first, number = 0, 0, 0, -1
  for place in range(len(rows)):
    if total // bound > number:
      number = total // bound
      ends[first:place] = place
      first = place
      num_chunks += 1
    total += max(programs[rows[place], ssa.SIZE] * limit, budget)
  ends[first:] = len(rows)
  return num_chunks


@kernel
def _fill(first: int, max_chunks: int, *arrays: Any) -> int:
  """Fills the tables of one call with chunks from the program `first` on, as many as fit.

  Args:
    first: the place of the first program.
    max_chunks: chunks at most.
    *arrays: of _Batch, _Shapes, _Chunk and _Output, see `ssa._straighten_all`.

  Returns:
    The place of the first program of the next call.
  """
  batch, shapes = _Batch(*arrays[:7]), _Shapes(*arrays[7:16])
  chunk, output = _Chunk(*arrays[16:21]), _Output(*arrays[21:])
  used, integers = chunk.used, output.integers
  used[:] = 0
  while first < len(batch.rows) and used[_CHUNKS] < max_chunks:
    last = batch.ends[first]
    fits = _form_chunk(first, last, batch, shapes, chunk)
    # Waves may be too sparse or copies too many for a call of its own; one program always fits.
    while not fits and used[_CHUNKS] == 0:
      last = first + (last - first) // 2
      fits = _form_chunk(first, last, batch, shapes, chunk)
    if not fits:
      break
    _write_programs(first, last, batch, shapes, chunk, output)
    _write_copies(first, last, batch, shapes, chunk, output)
    _write_waves(batch, shapes, chunk, output)
    used[_CHUNKS] += 1
    used[_PROGRAMS] += last - first
    first = last
  integers[shapes.starts[_NUM_CHUNKS_AT]] = used[_CHUNKS]
  # The executor reads the lists a tile at a time.
  for at in (_LABELS_AT, _TRAINED_AT, _VALIDATED_AT):
    end = shapes.starts[at] + used[_PROGRAMS]
    integers[end : end + PROGRAM_TILE - 1] = 0
  return first


@inner_kernel
def _form_chunk(first: int, last: int, batch: _Batch, shapes: _Shapes, chunk: _Chunk) -> bool:
  """Forms the waves of programs; returns whether there is room for them in the call."""
  needed = chunk.needed
  # What the call before had no room for is there.
  if needed[_FIRST] != first or needed[_PROGRAMS] != last - first:
    num_entries = _sort(first, last, batch, shapes, chunk)
    _form_waves(num_entries, batch, shapes, chunk)
    needed[_CHUNKS], needed[_PROGRAMS], needed[_FIRST] = 1, last - first, first
    for place in range(first, last):
      n = batch.rows[place]
      for c in range(batch.programs[n, ssa.FIRST_COPY], batch.programs[n + 1, ssa.FIRST_COPY]):
        kind, turns = batch.copies[c, ssa.KIND], _moves(c, batch)
        needed[_COPIES + kind] += 3 if turns else 1
        needed[_TURNS + kind] += turns
  for k in range(len(needed)):
    if chunk.used[k] + needed[k] > shapes.room[k]:
      return False
  return True


@inlined_kernel
def _sort(first: int, last: int, batch: _Batch, shapes: _Shapes, chunk: _Chunk) -> int:
  """Sorts instructions by section, phase, class, level and op, then by program; counts them."""
  code, ops, lanes, num_classes = batch.code, shapes.ops, chunk.lanes, len(shapes.classes)
  count, num_phases, num_levels = _list_entries(first, last, batch, chunk)
  for e in range(count):
    i = lanes[e, _SPARE]
    op = code[i, ssa.OPCODE]
    lanes[e, _KEYS] = code[i, ssa.LEVEL] * shapes.num_branches + ops[op, ssa.BRANCH]
  _counting_sort(count, num_levels * shapes.num_branches, chunk)
  for e in range(count):
    i = lanes[e, _ENTRIES]
    phase = code[i, ssa.SECTION] * num_phases + code[i, ssa.PHASE]
    lanes[e, _KEYS] = phase * num_classes + ops[code[i, ssa.OPCODE], ssa.CLASS]
    lanes[e, _SPARE] = i
  _counting_sort(count, VALIDATE * num_phases * num_classes, chunk)
  return count


@inlined_kernel
def _list_entries(first: int, last: int, batch: _Batch, chunk: _Chunk) -> tuple[int, int, int]:
  """Lists the instructions of programs; returns how many they are, and phases, and levels."""
  programs, code, lanes = batch.programs, batch.code, chunk.lanes
  count, num_phases, num_levels = 0, 1, 1
  for place in range(first, last):
    n = batch.rows[place]
    for i in range(programs[n, ssa.FIRST], programs[n + 1, ssa.FIRST]):
      if code[i, ssa.SECTION] != ssa.FUSED:
        lanes[count, _SPARE], lanes[i, _PLACE] = i, place - first
        num_phases = max(num_phases, code[i, ssa.PHASE] + 1)
        num_levels = max(num_levels, code[i, ssa.LEVEL] + 1)
        count += 1
  return count, num_phases, num_levels


@inlined_kernel
def _counting_sort(count: int, num_keys: int, chunk: _Chunk) -> None:
  """Puts into _ENTRIES what is in _SPARE, sorted by _KEYS; equal ones keep their order."""
  lanes, place = chunk.lanes, chunk.counts
  place[: num_keys + 1] = 0
  for e in range(count):
    place[lanes[e, _KEYS] + 1] += 1
  for key in range(num_keys):
    place[key + 1] += place[key]
  for e in range(count):
    key = lanes[e, _KEYS]
    lanes[place[key], _ENTRIES] = lanes[e, _SPARE]
    place[key] += 1


@inlined_kernel
def _form_waves(num_entries: int, batch: _Batch, shapes: _Shapes, chunk: _Chunk) -> None:
  """Forms waves, gives each lane a row, and counts what they take.

  Validation runs the waves of Predict once more.
  """
  code, lanes, needed = batch.code, chunk.lanes, chunk.needed
  needed[:] = 0
  num_waves = lane = before = row = 0
  for e in range(num_entries):
    i = lanes[e, _ENTRIES]
    op, section = code[i, ssa.OPCODE], code[i, ssa.SECTION]
    k = shapes.ops[op, ssa.CLASS]
    own = shapes.classes[k]
    passes = 2 if section == ssa.PREDICT else 1
    new_phase = (
        e == 0 or section != code[before, ssa.SECTION]
        or code[i, ssa.PHASE] != code[before, ssa.PHASE])
    if new_phase:
      needed[_PHASES] += passes
    if (new_phase or op != code[before, ssa.OPCODE] or lane == own[_LANES]
        or code[i, ssa.LEVEL] != code[before, ssa.LEVEL]):
      needed[_WAVES + k] += passes
      lane, row = 0, own[_FIRST_ROW] + needed[_ROWS + own[_OUTPUT]]
      needed[_ROWS + own[_OUTPUT]] += own[_LANES]
      lanes[num_waves, _FIRST_ENTRY] = e
      num_waves += 1
    lanes[i, _ROW] = row + lane
    lane += 1
    before = i
  lanes[num_waves, _FIRST_ENTRY] = num_entries
  needed[_FORMED] = num_waves


@inlined_kernel
def _moves(c: int, batch: _Batch) -> bool:
  """Whether a copy is made whenever training and validation take turns, too."""
  return batch.copies[c, ssa.IN_TRAINING] != batch.copies[c, ssa.IN_VALIDATION]


@inlined_kernel
def _row_of(value: int, place: int, chunk: _Chunk) -> int:
  """The row of a value of the chunk's program at this place."""
  return chunk.lanes[value, _ROW] if value >= 0 else chunk.values[place, -value]


@inlined_kernel
def _write_programs(
    first: int, last: int, batch: _Batch, shapes: _Shapes, chunk: _Chunk, output: _Output
) -> None:
  """Lists the programs and task sets of the chunk."""
  starts, integers, values, sets = shapes.starts, output.integers, chunk.values, batch.sets
  g, listed, local = chunk.used[_CHUNKS], chunk.used[_PROGRAMS], -1
  integers[starts[_FIRST_AT] + g] = listed
  for place in range(last - first):
    n, own_set = batch.rows[first + place], sets[first + place]
    if place == 0 or own_set != sets[first + place - 1]:
      local += 1
      integers[starts[_TASK_SETS_AT] + listed + local] = own_set
    label = shapes.first_label + local
    values[place, _SETS], values[place, -ssa.ZERO], values[place, -ssa.LABEL] = own_set, 0, label
    values[place, -ssa.FEATURES] = shapes.first_features + local
    values[place, -ssa.NORMAL] = shapes.first_prediction + place
    own = listed + place
    integers[starts[_LABELS_AT] + own] = label
    integers[starts[_TRAINED_AT] + own] = _row_of(batch.programs[n, ssa.PREDICTED], place, chunk)
    integers[starts[_VALIDATED_AT] + own] = _row_of(
        batch.programs[n, ssa.PREDICTED_IN_VALIDATION], place, chunk)
  integers[starts[_NUM_SETS_AT] + g] = local + 1
  integers[starts[_NUM_AT] + g] = last - first


@inlined_kernel
def _write_copies(
    first: int, last: int, batch: _Batch, shapes: _Shapes, chunk: _Chunk, output: _Output
) -> None:
  """Writes the copies of the chunk, those of each set and kind together."""
  copies, integers, used = batch.copies, output.integers, chunk.used
  sets_at = shapes.starts[_COPY_SETS_AT] + used[_CHUNKS] * 2 * NUM_COPY_SETS * _NUM_KINDS
  for kind in range(_NUM_KINDS):
    for copy_set in range(NUM_COPY_SETS):
      at = sets_at + 2 * (copy_set * _NUM_KINDS + kind)
      integers[at] = integers[at + 1] = used[_COPIES + kind]
      used[_COPIES + kind] += chunk.needed[_TURNS + kind]
      if copy_set == TO_TRAINING:  # the others are made only then
        used[_COPIES + kind] += chunk.needed[_COPIES + kind] - 3 * chunk.needed[_TURNS + kind]
  for place in range(last - first):
    n = batch.rows[first + place]
    for c in range(batch.programs[n, ssa.FIRST_COPY], batch.programs[n + 1, ssa.FIRST_COPY]):
      kind = copies[c, ssa.KIND]
      for copy_set in range(NUM_COPY_SETS if _moves(c, batch) else 1):
        # From Setup into training, from training into validation, and back.
        target = ssa.IN_VALIDATION if copy_set == TO_VALIDATION else ssa.IN_TRAINING
        end = sets_at + 2 * (copy_set * _NUM_KINDS + kind) + 1
        pair = shapes.starts[_COPIES_AT + kind] + 2 * integers[end]
        integers[pair] = _row_of(copies[c, ssa.IN_SETUP + copy_set], place, chunk)
        integers[pair + 1] = _row_of(copies[c, target], place, chunk)
        integers[end] += 1


@inlined_kernel
def _write_waves(batch: _Batch, shapes: _Shapes, chunk: _Chunk, output: _Output) -> None:
  """Writes the sections, phases and waves of the chunk."""
  code, lanes, integers, used = batch.code, chunk.lanes, output.integers, chunk.used
  num_classes = len(shapes.classes)
  for section in range(NUM_SECTIONS):
    section_at = shapes.starts[_SECTIONS_AT] + 2 * (used[_CHUNKS] * NUM_SECTIONS + section)
    integers[section_at] = used[_PHASES]
    phase, phase_at = -1, 0
    for w in range(chunk.needed[_FORMED]):
      i = lanes[lanes[w, _FIRST_ENTRY], _ENTRIES]
      if code[i, ssa.SECTION] != (ssa.PREDICT if section == VALIDATE else section):
        continue
      if code[i, ssa.PHASE] != phase:
        phase = code[i, ssa.PHASE]
        phase_at = shapes.starts[_PHASES_AT] + 2 * num_classes * used[_PHASES]
        for k in range(num_classes):
          integers[phase_at + 2 * k] = integers[phase_at + 2 * k + 1] = used[_WAVES + k]
        used[_PHASES] += 1
      op = code[i, ssa.OPCODE]
      k = shapes.ops[op, ssa.CLASS]
      _write_wave(w, section, batch, shapes, chunk, output)
      if shapes.ops[op, ssa.HAS_DATA]:
        _write_data(w, batch, shapes, chunk, output)
      used[_WAVES + k] += 1
      integers[phase_at + 2 * k + 1] += 1
    integers[section_at + 1] = used[_PHASES]


@inlined_kernel
def _write_wave(
    w: int, section: int, batch: _Batch, shapes: _Shapes, chunk: _Chunk, output: _Output
) -> None:
  """Writes op, output and arguments of wave `w`; what no instruction fills computes of zeros."""
  code, lanes, integers = batch.code, chunk.lanes, output.integers
  first, last = lanes[w, _FIRST_ENTRY], lanes[w + 1, _FIRST_ENTRY]
  op = code[lanes[first, _ENTRIES], ssa.OPCODE]
  k = shapes.ops[op, ssa.CLASS]
  own, index = shapes.classes[k], chunk.used[_WAVES + k]
  integers[own[_BRANCH] + index] = shapes.ops[op, ssa.BRANCH]
  integers[own[_OUT] + index] = lanes[lanes[first, _ENTRIES], _ROW]
  operands = ssa.VALIDATED if section == VALIDATE else ssa.TRAINED
  at = own[_ARGUMENTS] + index * own[_NUM_INPUTS] * own[_LANES]
  for argument in range(operands, operands + own[_NUM_INPUTS]):
    for e in range(first, last):
      i = lanes[e, _ENTRIES]
      integers[at] = _row_of(code[i, argument], lanes[i, _PLACE], chunk)
      at += 1
    for _ in range(last - first, own[_LANES]):
      integers[at] = 0
      at += 1


@inlined_kernel
def _write_data(
    w: int, batch: _Batch, shapes: _Shapes, chunk: _Chunk, output: _Output) -> None:
  """Writes constants of wave `w`, and by what its lanes draw random numbers."""
  lanes, first, last = chunk.lanes, chunk.lanes[w, _FIRST_ENTRY], chunk.lanes[w + 1, _FIRST_ENTRY]
  op = batch.code[lanes[first, _ENTRIES], ssa.OPCODE]
  k = shapes.ops[op, ssa.CLASS]
  own = shapes.classes[k]
  for lane in range(own[_LANES]):
    at = chunk.used[_WAVES + k] * own[_LANES] + lane
    filled = lane < last - first
    i = lanes[first + lane if filled else first, _ENTRIES]
    for c in range(own[_NUM_CONSTANTS]):
      number = batch.constants[batch.code[i, ssa.SLOT], c] if filled else 0.0
      if shapes.ops[op, ssa.IS_INDEX + c]:
        number = np.floor(number * shapes.num_features)
      place = own[_CONSTANTS] + at * own[_NUM_CONSTANTS] + c
      if len(output.double):
        output.double[place] = number
      else:
        output.single[place] = np.float32(number)
    if own[_IS_RANDOM]:
      output.integers[own[_POSITION] + at] = batch.code[i, ssa.POSITION] if filled else 0
      output.integers[own[_TASK_SET] + at] = (
          chunk.values[lanes[i, _PLACE], _SETS] if filled else 0)
