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
from azero.executors.waves.layout import Layout
from azero.executors.waves.straight_line import StraightLine
from azero.executors.waves.tables import NUM_COPY_SETS, NUM_SECTIONS, VALIDATE, Call
from azero.language.ops import Kind
from azero.language.program import Programs

_NUM_KINDS = len(Kind)
# Columns of a class: shape of its tables, then where they start, as in `WaveTable`.
_LANES, _OUTPUT, _NUM_INPUTS, _NUM_CONSTANTS, _IS_RANDOM = range(5)
_BRANCH, _OUT, _ARGUMENTS, _CONSTANTS, _POSITION, _TASK_SET = range(5, 11)
# Entries of the other tables' starts, as in `Tables`.
(_PHASES_AT, _SECTIONS_AT, _COPY_SETS_AT, _TASK_SETS_AT, _NUM_SETS_AT, _FIRST_AT, _NUM_AT,
 _LABELS_AT, _TRAINED_AT, _VALIDATED_AT, _NUM_CHUNKS_AT) = range(11)
# Entries of what there is room for: programs, phases, copies of each kind, rows of each kind
# (which every chunk has for itself), waves of each class.
_PROGRAMS, _PHASES, _COPIES, _ROWS, _WAVES = 0, 1, 2, 2 + _NUM_KINDS, 2 + 2 * _NUM_KINDS
# Rows of what is known of a chunk: its instructions in the order of the waves, two rows to sort
# them, the first instruction of each wave; then by instruction its row and its program.
_ENTRIES, _SPARE, _KEYS, _FIRST_ENTRY, _ROW, _PLACE = range(6)
_NUM_VALUES = 5  # the task set of a program, then at minus a value its row: ZERO to NORMAL


class _Shapes(NamedTuple):
  """Numbers of a layout, beside its tables.

  Attributes:
    num_features: F.
    num_programs: P, programs of a chunk at most.
    chunk_numbers: numbers that the rows of a chunk should hold at most.
    num_branches: most ops of a class.
    first_features: row of the features of a chunk's first task set.
    first_label: row of its labels.
    first_prediction: row of the normalised prediction of a chunk's first program.
  """

  num_features: int
  num_programs: int
  chunk_numbers: int
  num_branches: int
  first_features: int
  first_label: int
  first_prediction: int


class Scheduler:
  """Schedules programs for the executor of one layout; threads may share it.

  The kernels below take plain arrays: tuples of arrays would be counted as they are passed
  on, for each wave, and compile for several times as long.
  """

  def __init__(self, layout: Layout, dtype: np.dtype):
    """Reads the layout; `dtype` is that of the memory."""
    classes, starts = layout.classes, tables.starts(layout)
    self._layout, self._machine = layout, ssa.make_machine(layout)
    self._shapes = _Shapes(
        layout.space.num_features, layout.num_programs, layout.chunk_numbers,
        max((len(own.ops) for own in classes), default=1), layout.first_features,
        layout.first_label, layout.first_prediction)
    shapes = [
        (own.lanes, own.output, own.num_inputs, own.num_constants, own.is_random)
        for own in classes]
    self._classes = np.concatenate(
        [np.array(shapes, np.int64).reshape(-1, _BRANCH), starts.waves], axis=1)
    self._starts, self._copy_starts = starts.others, starts.copies
    self._room = np.array([
        layout.num_listed - layout.num_programs, layout.num_phases,
        *(layout.num_copies,) * _NUM_KINDS,
        *np.subtract(layout.num_rows, layout.first_rows), *(own.capacity for own in classes)])
    self._first_rows = np.array(layout.first_rows)
    self._arrays = tables.new_arrays(layout, dtype)

  def plan(
      self, programs: Programs, analysis: canonical.Analysis, *, raw: bool = False
  ) -> StraightLine:
    """The code of N programs; see `straight_line.straighten`."""
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
    # What shares tasks stands together.
    order = np.argsort(task_sets, kind="stable")
    rows, sets = plan.rows[order], task_sets[order].astype(np.int32)
    ends = np.empty_like(order)
    num_chunks = _cut(rows, plan.programs, self._shapes, num_parts, ends)
    limit = min(self._layout.num_chunks, -(-num_chunks // num_parts))
    calls: list[Call] = []
    first = 0
    while first < len(order):
      integers, constants = map(np.empty_like, self._arrays)
      last = _fill(
          first, limit, rows, sets, ends, plan.programs, plan.instructions, plan.copies,
          plan.constants, self._machine.ops, self._classes, self._shapes, self._starts,
          self._copy_starts, self._first_rows, self._room, integers, constants)
      calls.append(Call(integers, constants, order[first:last]))
      first = last
    return calls


@njit(cache=True, nogil=True)
def _cut(rows, programs, shapes, num_parts, ends):
  """Cuts programs into chunks: where that of each ends; returns the number of chunks.

  A chunk takes programs until it is as large as it should be, or there are P of them.
  """
  budget, limit = shapes.chunk_numbers, shapes.num_programs
  total = 0
  for n in rows:
    total += max(programs[n, ssa.SIZE] * limit, budget)
  # Whole numbers, so that a chunk never holds more than so many programs.
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


@njit(cache=True, nogil=True)
def _fill(
    first, max_chunks, rows, sets, ends, programs, code, copies, data, ops, classes, shapes,
    starts, copy_starts, first_rows, room, integers, constants):
  """Fills the tables of one call with chunks from the program `first` on, as many as fit.

  Returns the first program of the next call.
  """
  chunk = np.empty((6, len(code) + 1), np.int32)
  values = np.empty((shapes.num_programs, _NUM_VALUES), np.int32)
  used, needed = np.zeros_like(room), np.empty_like(room)
  num_chunks = 0
  # All but the waves and copies, which are never read beyond those that there are.
  integers[starts[_PHASES_AT] :] = 0
  while first < len(rows) and num_chunks < max_chunks:
    last, fits = ends[first], False
    while not fits:
      count = _sort(rows[first:last], programs, code, ops, shapes.num_branches, len(classes), chunk)
      num_waves = _form_waves(count, code, ops, classes, first_rows, chunk, needed)
      _count_programs(rows[first:last], programs, copies, needed)
      fits = _has_room(needed, room)
      if not fits:  # waves are too sparse or copies too many; one program always fits
        last = first + (last - first) // 2
    used[_ROWS:_WAVES] = 0
    needed += used
    if not _has_room(needed, room):
      break
    _write_programs(
        num_chunks, rows[first:last], sets[first:last], programs, shapes, starts, used, chunk,
        values, integers)
    _write_copies(
        num_chunks, rows[first:last], programs, copies, starts, copy_starts, used, chunk, values,
        integers)
    _write_waves(
        num_chunks, num_waves, code, data, ops, classes, shapes.num_features, starts, used, chunk,
        values, integers, constants)
    used[:] = needed
    first = last
    num_chunks += 1
  integers[starts[_NUM_CHUNKS_AT]] = num_chunks
  return first


@njit(nogil=True)
def _has_room(needed, room):
  """Whether no list is longer than it may be."""
  for k in range(len(room)):
    if needed[k] > room[k]:
      return False
  return True


@njit(nogil=True)
def _sort(rows, programs, code, ops, num_branches, num_classes, chunk):
  """Sorts instructions by section, phase, class, level and op, then by program; counts them."""
  num_levels = num_phases = 1
  count = 0
  for place in range(len(rows)):
    for i in range(programs[rows[place], ssa.FIRST], programs[rows[place] + 1, ssa.FIRST]):
      if code[i, ssa.SECTION] != ssa.FUSED:
        chunk[_SPARE, count], chunk[_PLACE, i] = i, place
        num_levels = max(num_levels, code[i, ssa.LEVEL] + 1)
        num_phases = max(num_phases, code[i, ssa.PHASE] + 1)
        count += 1
  for e in range(count):
    i = chunk[_SPARE, e]
    chunk[_KEYS, e] = code[i, ssa.LEVEL] * num_branches + ops[code[i, ssa.OPCODE], ssa.BRANCH]
  _counting_sort(chunk, count, _SPARE, _ENTRIES, num_levels * num_branches)
  for e in range(count):
    i = chunk[_ENTRIES, e]
    phase = code[i, ssa.SECTION] * num_phases + code[i, ssa.PHASE]
    chunk[_KEYS, e] = phase * num_classes + ops[code[i, ssa.OPCODE], ssa.CLASS]
    chunk[_SPARE, e] = i
  _counting_sort(chunk, count, _SPARE, _ENTRIES, 3 * num_phases * num_classes)
  return count


@njit(nogil=True)
def _counting_sort(chunk, count, source, target, num_keys):
  """Sorts a row by the keys, 0 to `num_keys` - 1, into another; equal ones keep their order."""
  place = np.zeros(num_keys + 1, np.int64)
  for e in range(count):
    place[chunk[_KEYS, e] + 1] += 1
  for key in range(num_keys):
    place[key + 1] += place[key]
  for e in range(count):
    key = chunk[_KEYS, e]
    chunk[target, place[key]] = chunk[source, e]
    place[key] += 1


@njit(nogil=True)
def _form_waves(count, code, ops, classes, first_rows, chunk, needed):
  """Forms waves, gives each lane a row, and counts what they take; returns their number.

  Validation runs the waves of Predict once more.
  """
  needed[:] = 0
  num_waves = lane = before = row = 0
  for e in range(count):
    i = chunk[_ENTRIES, e]
    op, section = code[i, ssa.OPCODE], code[i, ssa.SECTION]
    own = ops[op, ssa.CLASS]
    lanes, kind = classes[own, _LANES], classes[own, _OUTPUT]
    passes = 2 if section == ssa.PREDICT else 1
    new_phase = (
        e == 0 or section != code[before, ssa.SECTION]
        or code[i, ssa.PHASE] != code[before, ssa.PHASE])
    if new_phase:
      needed[_PHASES] += passes
    if (new_phase or op != code[before, ssa.OPCODE] or lane == lanes
        or code[i, ssa.LEVEL] != code[before, ssa.LEVEL]):
      needed[_WAVES + own] += passes
      lane, row = 0, first_rows[kind] + needed[_ROWS + kind]
      needed[_ROWS + kind] += lanes
      chunk[_FIRST_ENTRY, num_waves] = e
      num_waves += 1
    chunk[_ROW, i] = row + lane
    lane += 1
    before = i
  chunk[_FIRST_ENTRY, num_waves] = count
  return num_waves


@njit(nogil=True)
def _count_programs(rows, programs, copies, needed):
  """Counts what a chunk takes beside waves and phases."""
  needed[_PROGRAMS] = len(rows)
  for n in rows:
    for c in range(programs[n, ssa.FIRST_COPY], programs[n + 1, ssa.FIRST_COPY]):
      moves = copies[c, ssa.IN_TRAINING] != copies[c, ssa.IN_VALIDATION]
      needed[_COPIES + copies[c, ssa.KIND]] += 3 if moves else 1


@njit(nogil=True)
def _row_of(value, place, chunk, values):
  """The row of a value of the chunk's program at this place."""
  return chunk[_ROW, value] if value >= 0 else values[place, -value]


@njit(nogil=True)
def _write_programs(g, rows, sets, programs, shapes, starts, used, chunk, values, integers):
  """Lists the programs and task sets of chunk `g`."""
  first, local = used[_PROGRAMS], -1
  for place in range(len(rows)):
    if place == 0 or sets[place] != sets[place - 1]:
      local += 1
      integers[starts[_TASK_SETS_AT] + first + local] = sets[place]
    values[place, 0], values[place, -ssa.ZERO] = sets[place], 0
    values[place, -ssa.FEATURES] = shapes.first_features + local
    values[place, -ssa.LABEL] = shapes.first_label + local
    values[place, -ssa.NORMAL] = shapes.first_prediction + place
    trained, validated = (
        programs[rows[place], ssa.PREDICTED], programs[rows[place], ssa.PREDICTED_IN_VALIDATION])
    listed = first + place
    integers[starts[_LABELS_AT] + listed] = shapes.first_label + local
    integers[starts[_TRAINED_AT] + listed] = _row_of(trained, place, chunk, values)
    integers[starts[_VALIDATED_AT] + listed] = _row_of(validated, place, chunk, values)
  integers[starts[_NUM_SETS_AT] + g] = local + 1
  integers[starts[_FIRST_AT] + g] = first
  integers[starts[_NUM_AT] + g] = len(rows)


@njit(nogil=True)
def _write_copies(
    g, rows, programs, copies, starts, copy_starts, used, chunk, values, integers):
  """Writes the copies of chunk `g`, those of each set and kind together."""
  for kind in range(_NUM_KINDS):
    count = used[_COPIES + kind]
    for copy_set in range(NUM_COPY_SETS):
      # From Setup into training, from training into validation, and back.
      source = (ssa.IN_SETUP, ssa.IN_TRAINING, ssa.IN_VALIDATION)[copy_set]
      target = ssa.IN_VALIDATION if copy_set == tables.TO_VALIDATION else ssa.IN_TRAINING
      at = starts[_COPY_SETS_AT] + 2 * ((g * NUM_COPY_SETS + copy_set) * _NUM_KINDS + kind)
      integers[at] = count
      for place in range(len(rows)):
        n = rows[place]
        for c in range(programs[n, ssa.FIRST_COPY], programs[n + 1, ssa.FIRST_COPY]):
          moves = copies[c, ssa.IN_TRAINING] != copies[c, ssa.IN_VALIDATION]
          if copies[c, ssa.KIND] == kind and (moves or copy_set == tables.TO_TRAINING):
            pair = copy_starts[kind] + 2 * count
            integers[pair] = _row_of(copies[c, source], place, chunk, values)
            integers[pair + 1] = _row_of(copies[c, target], place, chunk, values)
            count += 1
      integers[at + 1] = count


@njit(nogil=True)
def _write_waves(
    g, num_waves, code, data, ops, classes, num_features, starts, used, chunk, values, integers,
    constants):
  """Writes the sections, phases and waves of chunk `g`; advances what is used of a call."""
  num_classes = len(classes)
  for section in range(NUM_SECTIONS):
    own_section = ssa.PREDICT if section == VALIDATE else section
    operands = ssa.VALIDATED if section == VALIDATE else ssa.TRAINED
    section_at = starts[_SECTIONS_AT] + 2 * (g * NUM_SECTIONS + section)
    integers[section_at] = used[_PHASES]
    phase, phase_at = -1, 0
    for w in range(num_waves):
      i = chunk[_ENTRIES, chunk[_FIRST_ENTRY, w]]
      if code[i, ssa.SECTION] != own_section:
        continue
      if code[i, ssa.PHASE] != phase:
        phase = code[i, ssa.PHASE]
        phase_at = starts[_PHASES_AT] + 2 * num_classes * used[_PHASES]
        for k in range(num_classes):
          integers[phase_at + 2 * k] = integers[phase_at + 2 * k + 1] = used[_WAVES + k]
        used[_PHASES] += 1
      k = ops[code[i, ssa.OPCODE], ssa.CLASS]
      _write_wave(
          w, used[_WAVES + k], operands, code, ops, classes, chunk, values, integers)
      _write_data(
          w, used[_WAVES + k], code, data, ops, classes, num_features, chunk, values, integers,
          constants)
      used[_WAVES + k] += 1
      integers[phase_at + 2 * k + 1] += 1
    integers[section_at + 1] = used[_PHASES]


@njit(nogil=True)
def _write_wave(w, index, operands, code, ops, classes, chunk, values, integers):
  """Writes op, output and arguments of wave `w`; what no instruction fills computes of zeros."""
  first = chunk[_FIRST_ENTRY, w]
  size = chunk[_FIRST_ENTRY, w + 1] - first
  op = code[chunk[_ENTRIES, first], ssa.OPCODE]
  k = ops[op, ssa.CLASS]
  lanes, num_inputs = classes[k, _LANES], classes[k, _NUM_INPUTS]
  integers[classes[k, _BRANCH] + index] = ops[op, ssa.BRANCH]
  integers[classes[k, _OUT] + index] = chunk[_ROW, chunk[_ENTRIES, first]]
  at = classes[k, _ARGUMENTS] + index * num_inputs * lanes
  for argument in range(num_inputs):
    for lane in range(lanes):
      row = 0
      if lane < size:
        i = chunk[_ENTRIES, first + lane]
        row = _row_of(code[i, operands + argument], chunk[_PLACE, i], chunk, values)
      integers[at] = row
      at += 1


@njit(nogil=True)
def _write_data(
    w, index, code, data, ops, classes, num_features, chunk, values, integers, constants):
  """Writes constants of wave `w` and by what its lanes draw random numbers."""
  first = chunk[_FIRST_ENTRY, w]
  size = chunk[_FIRST_ENTRY, w + 1] - first
  op = code[chunk[_ENTRIES, first], ssa.OPCODE]
  k = ops[op, ssa.CLASS]
  lanes, num_constants = classes[k, _LANES], classes[k, _NUM_CONSTANTS]
  if num_constants == 0 and not classes[k, _IS_RANDOM]:
    return
  for lane in range(lanes):
    i, position, task_set = -1, 0, 0
    if lane < size and ops[op, ssa.HAS_DATA]:
      i = chunk[_ENTRIES, first + lane]
      position, task_set = code[i, ssa.POSITION], values[chunk[_PLACE, i], 0]
    at = index * lanes + lane
    for c in range(num_constants):
      number = data[code[i, ssa.SLOT], c] if i >= 0 else 0.0
      if ops[op, ssa.IS_INDEX + c]:
        number = np.floor(number * num_features)
      constants[classes[k, _CONSTANTS] + at * num_constants + c] = number
    if classes[k, _IS_RANDOM]:
      integers[classes[k, _POSITION] + at] = position
      integers[classes[k, _TASK_SET] + at] = task_set
