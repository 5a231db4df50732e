"""Tables that the wave executor reads: waves, phases, copies and places of programs.

The schedule decides which instructions share a wave and which rows they write; here that
becomes arrays of fixed shapes, one set of them for each call of the executor.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from azero.executors.waves.graph import NUM_SPECIAL, Graph
from azero.executors.waves.layout import Layout
from azero.language import ops as op_table
from azero.language.ops import Kind
from azero.language.program import Function, Programs

# Sections of a chunk: the component functions, then Predict in validation, which finds what
# it wrote an example before where training finds what Learn wrote.
VALIDATE = len(Function)
NUM_SECTIONS = len(Function) + 1

# Rows that are copied when the evaluation goes from one loop to the other.
TO_TRAINING, TO_VALIDATION, BACK_TO_TRAINING = range(3)
NUM_COPY_SETS = 3


class WaveTable(NamedTuple):
  """Waves of one class: [W] waves of C lanes.

  Attributes:
    branch: [W] int32, index of the op in its class.
    out: [W] int32, row of the first lane; the others follow.
    arguments: [W, A, C] int32, rows of the arguments.
    constants: [W, C, K] floats; an index constant is its position.
    position: [W, C] int32, index among the program's live instructions; random ops draw by it.
    task_set: [W, C] int32; random ops draw by its tasks.
  """

  branch: np.ndarray
  out: np.ndarray
  arguments: np.ndarray
  constants: np.ndarray
  position: np.ndarray
  task_set: np.ndarray


class Tables(NamedTuple):
  """What one call of the executor runs: G chunks of P programs at most, Q in all.

  Programs, and task sets, stand in one list, chunk by chunk.

  Attributes:
    waves: a table for each class.
    phases: [F, classes, 2] int32, first and last + 1 wave of each class in each phase.
    sections: [G, sections, 2] int32, first and last + 1 phase.
    copies: for each kind, [K, 2] int32: from and to.
    copy_sets: [G, copy sets, kinds, 2] int32, first and last + 1 copy.
    task_sets: [Q] int32, the task sets of each chunk from its first program on.
    num_task_sets: [G] int32.
    first_program: [G] int32, the first program of each chunk.
    num_programs: [G] int32.
    labels: [Q] int32, row of each program's labels.
    trained: [Q] int32, row of each program's prediction in training.
    validated: [Q] int32, the same in validation.
    num_chunks: [] int32.
  """

  waves: tuple[WaveTable, ...]
  phases: np.ndarray
  sections: np.ndarray
  copies: tuple[np.ndarray, ...]
  copy_sets: np.ndarray
  task_sets: np.ndarray
  num_task_sets: np.ndarray
  first_program: np.ndarray
  num_programs: np.ndarray
  labels: np.ndarray
  trained: np.ndarray
  validated: np.ndarray
  num_chunks: np.ndarray


class Call(NamedTuple):
  """One call of the executor.

  Attributes:
    integers: [...] int32, the tables in one array; see `unpack`.
    constants: [...] floats, those of the tables.
    programs: [n] int, which programs it runs, in the order of its lists.
  """

  integers: np.ndarray
  constants: np.ndarray
  programs: np.ndarray


Shapes = dict[str, tuple[int, ...]]


def _shapes(layout: Layout) -> tuple[list[Shapes], Shapes, list[tuple[int, ...]]]:
  """Shapes of the integers of each class's waves and of the other tables, and of constants."""
  waves: list[Shapes] = []
  for own in layout.classes:
    random = (own.capacity, own.lanes) if own.is_random else (0, 0)
    waves.append({
        "branch": (own.capacity,), "out": (own.capacity,),
        "arguments": (own.capacity, own.num_inputs, own.lanes), "position": random,
        "task_set": random})
  chunks = layout.num_chunks
  others: Shapes = {
      "phases": (layout.num_phases, len(layout.classes), 2),
      "sections": (chunks, NUM_SECTIONS, 2),
      "copy_sets": (chunks, NUM_COPY_SETS, len(Kind), 2),
      "num_task_sets": (chunks,), "first_program": (chunks,), "num_programs": (chunks,),
      "num_chunks": ()}
  others |= {
      name: (layout.num_listed,) for name in ("task_sets", "labels", "trained", "validated")}
  return waves, others, [(own.capacity, own.lanes, own.num_constants) for own in layout.classes]


def new_arrays(layout: Layout, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
  """Empty tables as two arrays, which reach a device faster than many."""
  waves, others, constants = _shapes(layout)
  sizes = [math.prod(shape) for shapes in (*waves, others) for shape in shapes.values()]
  sizes.append(len(Kind) * layout.num_copies * 2)
  return (np.zeros(sum(sizes), np.int32),
          np.zeros(sum(math.prod(shape) for shape in constants), dtype))


def unpack(layout: Layout, integers: Any, constants: Any) -> Tables:
  """Tables as views of the two arrays; of NumPy arrays or of those of a traced function."""
  waves, others, constant_shapes = _shapes(layout)
  ends = {"integers": 0, "constants": 0}

  def cut(array: Any, name: str, shape: tuple[int, ...]) -> Any:
    start, ends[name] = ends[name], ends[name] + math.prod(shape)
    return array[start : ends[name]].reshape(shape)

  tables = tuple(
      WaveTable(constants=cut(constants, "constants", constant_shape), **{
          name: cut(integers, "integers", shape) for name, shape in shapes.items()})
      for shapes, constant_shape in zip(waves, constant_shapes))
  # Apart from each other: a slice of one array would be taken anew in every pass of the loop.
  copies = tuple(cut(integers, "integers", (layout.num_copies, 2)) for _ in Kind)
  return Tables(
      waves=tables, copies=copies,
      **{name: cut(integers, "integers", shape) for name, shape in others.items()})


class Waves(NamedTuple):
  """The waves of all chunks, ordered by chunk, section and time.

  Attributes:
    instruction: [E] int, instructions in the order of the waves; those of Predict occur
      twice, once for validation.
    wave: [E] int.
    lane: [E] int.
    wave_class: [W] int.
    first: [W] int, index of the wave's first entry among the E.
    sizes: [W] int, entries of the wave.
    chunk: [W] int.
    section: [W] int.
    phase: [W] int, within the section.
    out: [W] int, the row of the first lane.
    row: [M] int, the row of each instruction.
    num_rows: [chunks, 3] int, rows that the waves of a chunk write.
  """

  instruction: np.ndarray
  wave: np.ndarray
  lane: np.ndarray
  wave_class: np.ndarray
  first: np.ndarray
  sizes: np.ndarray
  chunk: np.ndarray
  section: np.ndarray
  phase: np.ndarray
  out: np.ndarray
  row: np.ndarray
  num_rows: np.ndarray


class Places(NamedTuple):
  """Where programs and task sets stand in their chunks.

  Attributes:
    order: [N] int, programs chunk by chunk.
    chunk: [N] int.
    place: [N] int, index of the program in its chunk.
    task_set: [N] int, of the program.
    local_set: [N] int, index of its task set among those of the chunk.
    sizes: [chunks] int, programs of each.
  """

  order: np.ndarray
  chunk: np.ndarray
  place: np.ndarray
  task_set: np.ndarray
  local_set: np.ndarray
  sizes: np.ndarray


class _Copies(NamedTuple):
  """Copies ordered by kind, chunk and copy set: [K] rows each."""

  source: np.ndarray
  target: np.ndarray
  ranges: np.ndarray  # [kinds, chunks, copy sets, 2] first and last + 1


def make_calls(
    programs: Programs, position: np.ndarray, graph: Graph, waves: Waves, places: Places,
    layout: Layout, dtype: np.dtype, num_parts: int,
) -> list[Call]:
  """Cuts a schedule into calls and fills their tables.

  Args:
    programs: N programs.
    position: [N, L] int, index of each instruction among the live ones.
    graph: of the programs.
    waves: of the graph.
    places: of the programs.
    layout: of the executor.
    dtype: of the constants.
    num_parts: calls at least, if there are enough chunks.

  Returns:
    The calls.
  """
  num_chunks = len(places.sizes)
  rows = np.concatenate([
      waves.row, layout.first_features + places.local_set, layout.first_label + places.local_set,
      layout.first_prediction + places.place, np.zeros(1, np.int64)])
  assert len(rows) == len(waves.row) + NUM_SPECIAL * len(places.chunk) + 1
  copies = _sort_copies(graph, rows, places)
  values = np.where(
      waves.section[waves.wave] == VALIDATE, graph.validated.take(waves.instruction, 1),
      graph.trained.take(waves.instruction, 1))
  arguments = rows.take(values)
  group = waves.chunk * NUM_SECTIONS + waves.section
  new = np.ones(len(group), bool)
  new[1:] = (group[1:] != group[:-1]) | (waves.phase[1:] != waves.phase[:-1])
  phase = np.cumsum(new) - 1  # of each wave
  sections = np.searchsorted(group[new], np.arange(num_chunks * NUM_SECTIONS + 1))
  chunk_waves = np.searchsorted(waves.chunk, np.arange(num_chunks + 1))
  starts = np.cumsum(places.sizes) - places.sizes

  calls = []
  for first, last in _ranges(
      waves, chunk_waves, places.sizes, sections, copies, layout, num_parts):
    integers, constants = new_arrays(layout, dtype)
    tables = unpack(layout, integers, constants)
    begin, end = chunk_waves[first], chunk_waves[last]
    bounds = sections[first * NUM_SECTIONS : last * NUM_SECTIONS + 1]
    for k in range(len(layout.classes)):
      _fill_class(
          programs, position, graph, waves, places, arguments, begin, end, k, layout,
          phase[begin:end] - bounds[0], tables.waves[k], tables.phases[:, k])
    num = last - first
    tables.sections[:num, :, 0] = (bounds[:-1] - bounds[0]).reshape(num, -1)
    tables.sections[:num, :, 1] = (bounds[1:] - bounds[0]).reshape(num, -1)
    for kind, ranges in enumerate(copies.ranges):
      some = slice(ranges[first, 0, 0], ranges[last - 1, -1, 1])
      tables.copies[kind][: some.stop - some.start, 0] = copies.source[some]
      tables.copies[kind][: some.stop - some.start, 1] = copies.target[some]
      tables.copy_sets[:num, :, kind] = ranges[first:last] - some.start
    chosen = places.order[starts[first] : starts[last - 1] + places.sizes[last - 1]]
    chunk, local = places.chunk[chosen], places.local_set[chosen]
    tables.task_sets[starts[chunk] - starts[first] + local] = places.task_set[chosen]
    np.maximum.at(tables.num_task_sets, chunk - first, local + 1)
    tables.first_program[:num] = starts[first:last] - starts[first]
    tables.num_programs[:num] = places.sizes[first:last]
    tables.labels[: len(chosen)] = layout.first_label + local
    tables.trained[: len(chosen)] = rows[graph.predicted[0, chosen]]
    tables.validated[: len(chosen)] = rows[graph.predicted[1, chosen]]
    tables.num_chunks[...] = num
    calls.append(Call(integers, constants, chosen))
  return calls


def _ranges(
    waves: Waves, chunk_waves: np.ndarray, sizes: np.ndarray, sections: np.ndarray,
    copies: _Copies, layout: Layout, num_parts: int,
) -> list[tuple[int, int]]:
  """First and last + 1 chunk of each call, as many as the fixed shapes hold."""
  num_chunks = len(chunk_waves) - 1
  limit = min(layout.num_chunks, -(-num_chunks // num_parts))
  used = [np.arange(1, num_chunks + 1), np.cumsum(sizes), sections[NUM_SECTIONS::NUM_SECTIONS]]
  bounds = [limit, layout.num_listed - layout.num_programs, layout.num_phases]
  for k, own in enumerate(layout.classes):
    used.append(np.cumsum(waves.wave_class == k)[chunk_waves[1:] - 1] if len(waves.chunk)
                else np.zeros(num_chunks, np.int64))
    bounds.append(own.capacity)
  for ranges in copies.ranges:
    used.append(ranges[:, -1, 1] - ranges[0, 0, 0])
    bounds.append(layout.num_copies)
  totals = np.stack(used, 1)
  calls, first, before = [], 0, np.zeros_like(totals[0])
  while first < num_chunks:
    fits = (totals[first:] - before <= bounds).all(1)
    last = first + (len(fits) if fits.all() else int(np.argmin(fits)))
    calls.append((first, last))
    before, first = totals[last - 1], last
  return calls


def _fill_class(
    programs: Programs, position: np.ndarray, graph: Graph, waves: Waves, places: Places,
    arguments: np.ndarray, begin: int, end: int, k: int, layout: Layout, phase: np.ndarray,
    table: WaveTable, phases: np.ndarray,
) -> None:
  """Fills the table of class `k` with the waves begin to end - 1, and its ranges of phases.

  `arguments` are the rows of all entries of waves, [3, E]; `phase` those of these waves.
  """
  own, ops = layout.classes[k], layout.op_tables
  members = np.flatnonzero(waves.wave_class[begin:end] == k) + begin
  if not len(members):
    return
  num_phases = int(phase[-1]) + 1
  edges = phase[members - begin].searchsorted(np.arange(num_phases + 1))
  phases[:num_phases, 0], phases[:num_phases, 1] = edges[:-1], edges[1:]
  count = len(members)
  table.out[:count] = waves.out[members]
  first = waves.first[members]
  table.branch[:count] = ops.branch[graph.opcode[waves.instruction[first]]]

  sizes = waves.sizes[members]
  ends = sizes.cumsum()
  entry = np.repeat(first - ends + sizes, sizes)
  entry += np.arange(len(entry))
  wave, lane = np.repeat(np.arange(count), sizes), waves.lane[entry]
  for argument in range(own.num_inputs):
    table.arguments[wave, argument, lane] = arguments[argument, entry]
  instruction = waves.instruction[entry]
  some = np.flatnonzero(ops.has_data[graph.opcode[instruction]])
  wave, lane, instruction = wave[some], lane[some], instruction[some]
  program, column = graph.program[instruction], graph.column[instruction]
  numbers = programs.constants[program, column]
  is_index = op_table.columns().is_index[graph.opcode[instruction]]
  numbers = np.where(is_index, np.floor(numbers * programs.space.num_features), numbers)
  with np.errstate(over="ignore"):  # a constant beyond float32 is infinite there
    table.constants[wave, lane] = numbers[:, : own.num_constants]
  if own.is_random:
    table.position[wave, lane] = position[program, column]
    table.task_set[wave, lane] = places.task_set[program]


def _sort_copies(graph: Graph, rows: np.ndarray, places: Places) -> _Copies:
  """The copies, an address that several instructions read only once."""
  num_chunks = len(places.sizes)
  groups = [
      (copies.kind * num_chunks + places.chunk[copies.program]) * NUM_COPY_SETS + copy_set
      for copy_set, copies in enumerate(graph.copies)]
  group = np.concatenate(groups)
  source = rows[np.concatenate([copies.source for copies in graph.copies])]
  target = rows[np.concatenate([copies.target for copies in graph.copies])]
  word = group << 32 | target
  order = word.argsort(kind="stable")
  word = word[order]
  new = np.ones(len(word), bool)
  new[1:] = word[1:] != word[:-1]
  order = order[new]
  edges = group[order].searchsorted(np.arange(len(Kind) * num_chunks * NUM_COPY_SETS + 1))
  ranges = np.stack([edges[:-1], edges[1:]], -1)
  return _Copies(
      source[order], target[order], ranges.reshape(len(Kind), num_chunks, NUM_COPY_SETS, 2))
