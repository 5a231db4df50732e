"""Straight-line code of many programs -> waves: one op, many lanes, in an order that holds.

Programs are cut into chunks whose rows fit a core's cache. In each chunk the instructions of
one section, phase, level and op share waves. A wave writes consecutive rows, one for each
lane. Chunk by chunk the tables of a call of the executor are filled, until it is full.
"""

from typing import NamedTuple

from numba import njit
import numpy as np

from azero.compiler import canonical
from azero.executors.waves import straight_line as ssa
from azero.executors.waves import tables
from azero.executors.waves.layout import PROGRAM_TILE, Layout
from azero.executors.waves.straight_line import StraightLine
from azero.executors.waves.tables import NUM_COPY_SETS, NUM_SECTIONS, VALIDATE, Call, Starts
from azero.language import ops as op_table
from azero.language.ops import Kind
from azero.language.program import Programs

_NUM_KINDS = len(Kind)
# What a call has room for, counted in this order: programs, phases, copies of each kind,
# waves of each class.
_PROGRAMS, _PHASES, _COPIES, _WAVES = 0, 1, 2, 2 + _NUM_KINDS
# From where to where the copies of each set go: into training, into validation, and back.
_MOVES = (
    (ssa.IN_SETUP, ssa.IN_TRAINING), (ssa.IN_TRAINING, ssa.IN_VALIDATION),
    (ssa.IN_VALIDATION, ssa.IN_TRAINING))


class _Shapes(NamedTuple):
  """What kernels read of a layout, beside its ops.

  Attributes:
    num_features: F.
    num_programs: P, programs of a chunk at most.
    chunk_numbers: numbers that the rows of a chunk should hold at most.
    num_branches: most ops of a class.
    first_features: row of the features of a chunk's first task set.
    first_label: row of its labels.
    first_prediction: row of the normalised prediction of a chunk's first program.
    first_rows: [3] int, first row of each kind that waves write.
    num_rows: [3] int, rows of each kind.
    room: [5 + classes] int, what a call has room for.
    num_inputs: [classes] int, most operands of an op.
    num_constants: [classes] int, most constants of an op.
    is_random: [classes] bool, whether an op draws random numbers.
    is_index: [ops, 3] bool, whether a constant of an op is an index.
  """

  num_features: int
  num_programs: int
  chunk_numbers: int
  num_branches: int
  first_features: int
  first_label: int
  first_prediction: int
  first_rows: np.ndarray
  num_rows: np.ndarray
  room: np.ndarray
  num_inputs: np.ndarray
  num_constants: np.ndarray
  is_random: np.ndarray
  is_index: np.ndarray


class _Batch(NamedTuple):
  """The n programs of a schedule, sorted by task set.

  Attributes:
    order: [n] int64, indices into the rows of the code.
    task_sets: [n] int32, by that index.
    ends: [n] int64, where the chunk ends in which a program stands.
  """

  order: np.ndarray
  task_sets: np.ndarray
  ends: np.ndarray


class _Chunk(NamedTuple):
  """The chunk that is being scheduled; arrays are as long as the longest may be.

  Attributes:
    entries: [M] int32, its instructions in the order of the waves.
    spare: [2, M] int32, for sorting.
    waves: [M + 1] int32, the first entry of each wave, and the number of entries.
    row: [M] int32, the row that an instruction writes.
    place: [M] int32, index of its program in the chunk.
    special: [P, 5] int32, of each program: task set, then rows of ZERO, FEATURES, LABEL and
      NORMAL, at minus the value.
    needed: [5 + classes] int64, room that it takes in a call.
    next_row: [3] int64, first row of each kind that is free.
  """

  entries: np.ndarray
  spare: np.ndarray
  waves: np.ndarray
  row: np.ndarray
  place: np.ndarray
  special: np.ndarray
  needed: np.ndarray
  next_row: np.ndarray


class Scheduler:
  """Schedules programs for the executor of one layout; any number of threads may share it."""

  def __init__(self, layout: Layout, dtype: np.dtype):
    """Reads the layout; `dtype` is that of the memory."""
    self._layout, self._ops, self._shapes = layout, layout.op_tables, _shapes(layout)
    self._memory, self._starts = ssa.make_memory(layout), tables.starts(layout)
    self._arrays = tables.new_arrays(layout, dtype)

  def plan(
      self, programs: Programs, analysis: canonical.Analysis, *, raw: bool = False
  ) -> StraightLine:
    """The code of N programs; see `straight_line.straighten`."""
    return ssa.straighten(programs, analysis, self._memory, self._ops, raw=raw)

  def schedule(
      self, code: StraightLine, task_sets: np.ndarray, *, num_parts: int = 1
  ) -> list[Call]:
    """Schedules n programs.

    Args:
      code: of the programs.
      task_sets: [n] int, on which tasks to run each.
      num_parts: calls at least, if there are enough chunks, so that as many devices are busy.

    Returns:
      Calls that run every program once.
    """
    if not len(code.rows):
      return []
    order = np.argsort(task_sets, kind="stable")
    batch = _Batch(order, task_sets.astype(np.int32), np.empty_like(order))
    num_chunks = _cut(code, batch, self._shapes, num_parts)
    num_chunks = min(self._layout.num_chunks, -(-num_chunks // num_parts))
    calls, first = [], 0
    while first < len(order):
      integers, constants = map(np.empty_like, self._arrays)
      last = _fill(
          (first, num_chunks), code, batch, (self._shapes, self._ops, self._starts), integers,
          constants)
      calls.append(Call(integers, constants, order[first:last]))
      first = last
    return calls


def _shapes(layout: Layout) -> _Shapes:
  classes = layout.classes
  return _Shapes(
      layout.space.num_features, layout.num_programs, layout.chunk_numbers,
      max((len(own.ops) for own in classes), default=1), layout.first_features,
      layout.first_label, layout.first_prediction, np.array(layout.first_rows),
      np.array(layout.num_rows),
      np.array([
          layout.num_listed - layout.num_programs, layout.num_phases,
          *(layout.num_copies,) * _NUM_KINDS, *(own.capacity for own in classes)]),
      np.array([own.num_inputs for own in classes], np.int64),
      np.array([own.num_constants for own in classes], np.int64),
      np.array([own.is_random for own in classes], bool), op_table.columns().is_index)


@njit(cache=True, nogil=True)
def _cut(code, batch, shapes, num_parts):
  """Cuts programs into chunks, `batch.ends`; returns their number.

  A chunk takes programs until it is as large as it should be, or there are P of them.
  """
  budget, limit = shapes.chunk_numbers, shapes.num_programs
  # Whole numbers, so that a chunk never holds more than so many programs.
  total = 0
  for n in code.rows:
    total += max(code.programs[n, ssa.SIZE] * limit, budget)
  bound = min(budget * limit, max(-(-total // num_parts), budget))
  num_chunks, before, first, number = 0, 0, 0, -1
  for place in range(len(batch.order)):
    n = code.rows[batch.order[place]]
    if before // bound > number:
      number = before // bound
      batch.ends[first:place] = place
      first = place
      num_chunks += 1
    before += max(code.programs[n, ssa.SIZE] * limit, budget)
  batch.ends[first:] = len(batch.order)
  return num_chunks


@njit(cache=True, nogil=True)
def _fill(todo, code, batch, layout, integers, constants):
  """Fills the tables of one call with chunks from program `first` on, as many as fit.

  Returns the first program of the next call.
  """
  first, max_chunks = todo
  shapes, ops, starts = layout
  num = len(code.instructions)
  chunk = _Chunk(
      np.empty(num, np.int32), np.empty((2, num), np.int32), np.empty(num + 1, np.int32),
      np.empty(num, np.int32), np.empty(num, np.int32),
      np.empty((shapes.num_programs, 5), np.int32), np.empty_like(shapes.room),
      np.empty_like(shapes.first_rows))
  used, num_chunks = np.zeros_like(shapes.room), 0
  while first < len(batch.order) and num_chunks < max_chunks:
    last = batch.ends[first]
    num_waves = _form_waves(first, last, code, batch, shapes, ops, chunk)
    # Sparse waves or copies took too much room; a chunk of one program always fits.
    while np.any(chunk.needed > shapes.room) or np.any(chunk.next_row > shapes.num_rows):
      last = first + (last - first) // 2
      num_waves = _form_waves(first, last, code, batch, shapes, ops, chunk)
    if np.any(used + chunk.needed > shapes.room):
      break
    _write_programs(num_chunks, first, last, code, batch, layout, chunk, used, integers)
    _write_waves(num_chunks, num_waves, code, layout, chunk, used, integers, constants)
    _write_copies(num_chunks, first, last, code, batch, starts, chunk, used, integers)
    first = last
    num_chunks += 1
  integers[starts.num_chunks] = num_chunks
  _end_lists(used[_PROGRAMS], starts, integers)
  return first


@njit(cache=True, nogil=True)
def _form_waves(first, last, code, batch, shapes, ops, chunk):
  """Forms the waves of a chunk, gives each lane a row, and counts what all takes.

  Returns the number of waves; validation runs those of Predict once more.
  """
  count = _sort_entries(first, last, code, batch, shapes, ops, chunk)
  _count_programs(first, last, code, batch, chunk)
  chunk.next_row[:] = shapes.first_rows
  num_waves = lane = row = 0
  for entry in range(count):
    i = chunk.entries[entry]
    own, before = code.instructions[i], code.instructions[chunk.entries[max(entry - 1, 0)]]
    wave_class = ops.wave_class[own[ssa.OPCODE]]
    passes = 2 if own[ssa.SECTION] == ssa.PREDICT else 1
    new_phase = (
        entry == 0 or own[ssa.SECTION] != before[ssa.SECTION]
        or own[ssa.PHASE] != before[ssa.PHASE])
    if new_phase:
      chunk.needed[_PHASES] += passes
    if (new_phase or own[ssa.LEVEL] != before[ssa.LEVEL] or lane == ops.lanes[wave_class]
        or own[ssa.OPCODE] != before[ssa.OPCODE]):
      chunk.needed[_WAVES + wave_class] += passes
      chunk.waves[num_waves] = entry
      num_waves += 1
      lane, row = 0, chunk.next_row[ops.outputs[wave_class]]
      chunk.next_row[ops.outputs[wave_class]] += ops.lanes[wave_class]
    chunk.row[i] = row + lane
    lane += 1
  chunk.waves[num_waves] = count
  return num_waves


@njit(cache=True, nogil=True)
def _sort_entries(first, last, code, batch, shapes, ops, chunk):
  """Lists the instructions of a chunk by section, phase, class, level and op, then program."""
  num_levels = num_phases = 1
  count, (other, key) = 0, chunk.spare
  for place in range(first, last):
    n = code.rows[batch.order[place]]
    for i in range(code.programs[n, ssa.FIRST], code.programs[n + 1, ssa.FIRST]):
      own = code.instructions[i]
      if own[ssa.SECTION] == ssa.FUSED:
        continue
      other[count], chunk.place[i] = i, place - first
      key[count] = own[ssa.LEVEL] * shapes.num_branches + ops.branch[own[ssa.OPCODE]]
      num_levels = max(num_levels, own[ssa.LEVEL] + 1)
      num_phases = max(num_phases, own[ssa.PHASE] + 1)
      count += 1
  _counting_sort(other[:count], key, num_levels * shapes.num_branches, chunk.entries)
  for entry in range(count):
    own = code.instructions[chunk.entries[entry]]
    phase = own[ssa.SECTION] * num_phases + own[ssa.PHASE]
    key[entry] = phase * len(ops.lanes) + ops.wave_class[own[ssa.OPCODE]]
  other[:count] = chunk.entries[:count]
  _counting_sort(other[:count], key, 3 * num_phases * len(ops.lanes), chunk.entries)
  return count


@njit(cache=True, nogil=True)
def _counting_sort(items, key, num_keys, result):
  """Sorts items by their keys, 0 to `num_keys` - 1; equal ones stay in their order."""
  place = np.zeros(num_keys + 1, np.int32)
  for k in key[: len(items)]:
    place[k + 1] += 1
  for k in range(num_keys):
    place[k + 1] += place[k]
  for item, k in zip(items, key):
    result[place[k]] = item
    place[k] += 1


@njit(cache=True, nogil=True)
def _count_programs(first, last, code, batch, chunk):
  """Counts what a chunk takes beside waves and phases."""
  chunk.needed[:] = 0
  chunk.needed[_PROGRAMS] = last - first
  for place in range(first, last):
    n = code.rows[batch.order[place]]
    for c in range(code.programs[n, ssa.FIRST_COPY], code.programs[n + 1, ssa.FIRST_COPY]):
      own = code.copies[c]
      moves = own[ssa.IN_TRAINING] != own[ssa.IN_VALIDATION]
      chunk.needed[_COPIES + own[ssa.KIND]] += 3 if moves else 1


@njit(cache=True, nogil=True)
def _row(value, place, chunk):
  """The row of a value of the chunk's program `place`."""
  return chunk.row[value] if value >= 0 else chunk.special[place, -value]


@njit(cache=True, nogil=True)
def _write_pair(integers, start, index, values):
  """Writes entry `index` of a table of pairs."""
  integers[start + 2 * index], integers[start + 2 * index + 1] = values


@njit(cache=True, nogil=True)
def _write_programs(g, first, last, code, batch, layout, chunk, used, integers):
  """Lists the programs and task sets of chunk `g`."""
  shapes, _, starts = layout
  listed, local = used[_PROGRAMS], -1
  integers[starts.first_program + g] = listed
  integers[starts.num_programs + g] = last - first
  for place in range(last - first):
    p = batch.order[first + place]
    own = chunk.special[place]
    if place == 0 or batch.task_sets[p] != chunk.special[place - 1, 0]:
      local += 1
      integers[starts.task_sets + listed + local] = batch.task_sets[p]
    own[0], own[-ssa.ZERO] = batch.task_sets[p], 0
    own[-ssa.FEATURES] = shapes.first_features + local
    own[-ssa.LABEL] = shapes.first_label + local
    own[-ssa.NORMAL] = shapes.first_prediction + place
    program = code.programs[code.rows[p]]
    integers[starts.labels + listed + place] = own[-ssa.LABEL]
    integers[starts.trained + listed + place] = _row(program[ssa.PREDICTED], place, chunk)
    integers[starts.validated + listed + place] = _row(
        program[ssa.PREDICTED_IN_VALIDATION], place, chunk)
  integers[starts.num_task_sets + g] = local + 1
  used[_PROGRAMS] += last - first


@njit(cache=True, nogil=True)
def _end_lists(num_programs, starts, integers):
  """Fills what is read beyond the last program, since programs are scored by the tile."""
  for start in (starts.labels, starts.trained, starts.validated):
    integers[start + num_programs : start + num_programs + PROGRAM_TILE] = 0


@njit(cache=True, nogil=True)
def _write_waves(g, num_waves, code, layout, chunk, used, integers, constants):
  """Writes the sections, phases and waves of chunk `g`."""
  _, ops, starts = layout
  num_classes = len(ops.lanes)
  for section in range(NUM_SECTIONS):
    first, phase = used[_PHASES], -1
    for wave in range(num_waves):
      own = code.instructions[chunk.entries[chunk.waves[wave]]]
      if own[ssa.SECTION] != (ssa.PREDICT if section == VALIDATE else section):
        continue
      if own[ssa.PHASE] != phase:
        phase = own[ssa.PHASE]
        for k in range(num_classes):
          _write_pair(
              integers, starts.phases, used[_PHASES] * num_classes + k,
              (used[_WAVES + k], used[_WAVES + k]))
        used[_PHASES] += 1
      k = ops.wave_class[own[ssa.OPCODE]]
      part = ssa.VALIDATED if section == VALIDATE else ssa.TRAINED
      _write_wave(wave, used[_WAVES + k], part, code, layout, chunk, integers, constants)
      used[_WAVES + k] += 1
      integers[starts.phases + 2 * ((used[_PHASES] - 1) * num_classes + k) + 1] += 1
    _write_pair(integers, starts.sections, g * NUM_SECTIONS + section, (first, used[_PHASES]))


@njit(cache=True, nogil=True)
def _write_wave(wave, index, part, code, layout, chunk, integers, constants):
  """Writes a wave as that of this index in its class; lanes beyond its end compute of zeros."""
  shapes, ops, starts = layout
  entries = chunk.entries[chunk.waves[wave] : chunk.waves[wave + 1]]
  opcode = code.instructions[entries[0], ssa.OPCODE]
  k = ops.wave_class[opcode]
  lanes, num_inputs, num_constants = ops.lanes[k], shapes.num_inputs[k], shapes.num_constants[k]
  integers[starts.branch[k] + index] = ops.branch[opcode]
  integers[starts.out[k] + index] = chunk.row[entries[0]]
  for lane in range(lanes):
    i = entries[lane] if lane < len(entries) else -1
    place = chunk.place[i] if i >= 0 else 0
    own = code.instructions[i]
    for a in range(num_inputs):
      at = starts.arguments[k] + (index * num_inputs + a) * lanes + lane
      integers[at] = _row(own[part + a], place, chunk) if i >= 0 else 0
    for c in range(num_constants):
      value = 0.0
      if i >= 0 and ops.has_data[opcode]:
        value = code.constants[own[ssa.SLOT], c]
        if shapes.is_index[opcode, c]:
          value = np.floor(value * shapes.num_features)
      constants[starts.constants[k] + (index * lanes + lane) * num_constants + c] = value
    if shapes.is_random[k]:
      at = index * lanes + lane
      integers[starts.position[k] + at] = own[ssa.POSITION] if i >= 0 else 0
      integers[starts.task_set[k] + at] = chunk.special[place, 0]


@njit(cache=True, nogil=True)
def _write_copies(g, first, last, code, batch, starts, chunk, used, integers):
  """Writes the copies of chunk `g`, for each set those of each kind."""
  for copy_set in range(NUM_COPY_SETS):
    source, target = _MOVES[copy_set]
    for kind in range(_NUM_KINDS):
      begin = used[_COPIES + kind]
      for place in range(last - first):
        n = code.rows[batch.order[first + place]]
        for c in range(code.programs[n, ssa.FIRST_COPY], code.programs[n + 1, ssa.FIRST_COPY]):
          own = code.copies[c]
          moves = copy_set == 0 or own[ssa.IN_TRAINING] != own[ssa.IN_VALIDATION]
          if own[ssa.KIND] == kind and moves:
            _write_pair(
                integers, starts.copies[kind], used[_COPIES + kind],
                (_row(own[source], place, chunk), _row(own[target], place, chunk)))
            used[_COPIES + kind] += 1
      _write_pair(
          integers, starts.copy_sets, (g * NUM_COPY_SETS + copy_set) * _NUM_KINDS + kind,
          (begin, used[_COPIES + kind]))
