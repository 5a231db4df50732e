"""Tables that the wave executor reads: waves, phases, copies and places of programs.

The schedule decides which instructions share a wave and which rows they write; here that
becomes arrays of fixed shapes, one set of them for each call of the executor.
"""

from typing import NamedTuple

import numpy as np

from azero.compiler import graph as graph_lib
from azero.compiler.graph import NONE, NUM_ARGUMENTS, Graph, Operands
from azero.compiler.layout import Layout
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
  """What one call of the executor runs: G chunks of P programs at most.

  Attributes:
    waves: a table for each class.
    phases: [F, classes, 2] int32, first and last + 1 wave of each class in each phase.
    sections: [G, sections, 2] int32, first and last + 1 phase.
    copies: for each kind, [K, 2] int32: from and to.
    copy_sets: [G, copy sets, kinds, 2] int32, first and last + 1 copy.
    task_sets: [G, P] int32, the task sets of the chunk.
    num_task_sets: [G] int32.
    num_programs: [G] int32.
    labels: [G, P] int32, row of each program's labels.
    trained: [G, P] int32, row of each program's prediction in training.
    validated: [G, P] int32, the same in validation.
    num_chunks: [] int32.
  """

  waves: tuple[WaveTable, ...]
  phases: np.ndarray
  sections: np.ndarray
  copies: tuple[np.ndarray, ...]
  copy_sets: np.ndarray
  task_sets: np.ndarray
  num_task_sets: np.ndarray
  num_programs: np.ndarray
  labels: np.ndarray
  trained: np.ndarray
  validated: np.ndarray
  num_chunks: np.ndarray


class Call(NamedTuple):
  """One call of the executor.

  Attributes:
    tables: its input.
    programs: [n] int, which programs it runs.
    place: [n] int, chunk * P + index in the chunk: where their results are.
  """

  tables: Tables
  programs: np.ndarray
  place: np.ndarray


class Waves(NamedTuple):
  """The waves of all chunks, ordered by chunk, section and time.

  Attributes:
    instruction: [E] int, instructions in the order of the waves; those of Predict occur
      twice, once for validation.
    section: [E] int.
    wave: [E] int.
    lane: [E] int.
    wave_class: [W] int.
    first: [W] int, index of the wave's first entry among the E.
    chunk: [W] int.
    wave_section: [W] int.
    phase: [W] int, within the section.
    out: [W] int, the row of the first lane.
    row: [M] int, the row of each instruction.
    num_rows: [chunks, 3] int, rows that the waves of a chunk write.
  """

  instruction: np.ndarray
  section: np.ndarray
  wave: np.ndarray
  lane: np.ndarray
  wave_class: np.ndarray
  first: np.ndarray
  chunk: np.ndarray
  wave_section: np.ndarray
  phase: np.ndarray
  out: np.ndarray
  row: np.ndarray
  num_rows: np.ndarray


class Places(NamedTuple):
  """Where programs and task sets stand in their chunks.

  Attributes:
    chunk: [N] int.
    place: [N] int, index of the program in its chunk.
    task_set: [N] int, of the program.
    local_set: [N] int, index of its task set among those of the chunk.
  """

  chunk: np.ndarray
  place: np.ndarray
  task_set: np.ndarray
  local_set: np.ndarray



def fill(
    programs: Programs, position: np.ndarray, graph: Graph, waves: Waves, places: Places,
    layout: Layout,
) -> Tables:
  """Tables of all chunks at once, longer than one call of the executor may hold.

  Args:
    programs: N programs.
    position: [N, L] int, index of each instruction among the live ones.
    graph: of the programs.
    waves: of the graph.
    places: of the programs.
    layout: of the executor.

  Returns:
    The tables.
  """
  resolver = _Resolver(graph, waves.row, places, layout)
  num_chunks = int(places.chunk.max()) + 1
  phases, sections, index_in_class = _phases(waves, num_chunks, layout)
  copies, copy_sets = _copies(graph, resolver, places, num_chunks, layout)
  everyone = np.arange(len(programs))
  num_sets = np.zeros(num_chunks, np.int64)
  np.maximum.at(num_sets, places.chunk, places.local_set + 1)

  def by_program(values: np.ndarray, place: np.ndarray = places.place) -> np.ndarray:
    table = np.zeros((num_chunks, layout.num_programs), np.int64)
    table[places.chunk, place] = values
    return table

  return Tables(
      waves=_wave_tables(
          programs, position, graph, waves, places, resolver, index_in_class, layout),
      phases=phases, sections=sections, copies=copies, copy_sets=copy_sets,
      task_sets=by_program(places.task_set, places.local_set), num_task_sets=num_sets,
      num_programs=np.bincount(places.chunk, minlength=num_chunks),
      labels=by_program(layout.first_label + places.local_set),
      trained=by_program(resolver(graph.predicted, everyone, False)),
      validated=by_program(resolver(graph.predicted, everyone, True)),
      num_chunks=np.array(num_chunks))


class _Resolver:
  """Turns sources into rows."""

  def __init__(self, graph: Graph, row: np.ndarray, places: Places, layout: Layout):
    self._row = np.append(row, 0)  # NONE, the last entry: the zero
    self._graph, self._places, self._layout = graph, places, layout

  def __call__(
      self, operands: Operands, program: np.ndarray, validating: np.ndarray | bool
  ) -> np.ndarray:
    """Rows of operands of these programs (all broadcast against each other)."""
    local = self._places.local_set[program]
    rows = self.trained(operands, program)
    rows = np.where(validating & (operands.predict >= 0), self._row[operands.predict], rows)
    rows = np.where(operands.tag == graph_lib.ABOVE, self._row[operands.above], rows)
    rows = np.where(operands.tag == graph_lib.FEATURES, self._layout.first_features + local, rows)
    return np.where(operands.tag == graph_lib.LABEL, self._layout.first_label + local, rows)

  def trained(self, operands: Operands, program: np.ndarray) -> np.ndarray:
    """The row that holds a value from one training example to the next."""
    writer = operands.trained
    before = np.where(
        operands.tag == graph_lib.PREDICTION,
        self._layout.first_prediction + self._places.place[program], self._row[operands.setup])
    return np.where(writer >= 0, self._row[writer], before)

  def copies(
      self, operands: Operands, program: np.ndarray
  ) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]:
    """For each copy set: (which of these operands, from, to), one row to another."""
    rows, trained = self._row, self.trained(operands, program)
    entered = np.isin(operands.tag, (graph_lib.ENTRY, graph_lib.PREDICTION))
    in_loop = entered & ((operands.trained >= 0) | (operands.tag == graph_lib.PREDICTION))
    moved = entered & (operands.predict >= 0) & (rows[operands.predict] != trained)
    start, there = np.flatnonzero(in_loop), np.flatnonzero(moved)
    return (
        (start, rows[operands.setup[start]], trained[start]),
        (there, trained[there], rows[operands.predict[there]]),
        (there, rows[operands.predict[there]], trained[there]))


def _phases(
    waves: Waves, num_chunks: int, layout: Layout
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Phases, sections, and the index of every wave in the table of its class."""
  group = waves.chunk * NUM_SECTIONS + waves.wave_section
  new = (np.diff(group, prepend=-1) != 0) | (np.diff(waves.phase, prepend=-1) != 0)
  phase = np.cumsum(new) - 1  # of each wave
  bounds = np.arange(new.sum() + 1)
  ranges = np.empty((len(bounds) - 1, len(layout.classes), 2), np.int64)
  index = np.empty(len(phase), np.int64)
  for k in range(len(layout.classes)):
    members = np.flatnonzero(waves.wave_class == k)
    index[members] = np.arange(len(members))
    first = np.searchsorted(phase[members], bounds)
    ranges[:, k, 0], ranges[:, k, 1] = first[:-1], first[1:]
  first = np.searchsorted(group[new], np.arange(num_chunks * NUM_SECTIONS + 1))
  sections = np.stack([first[:-1], first[1:]], -1).reshape(num_chunks, NUM_SECTIONS, 2)
  return ranges, sections, index


def _wave_tables(
    programs: Programs, position: np.ndarray, graph: Graph, waves: Waves, places: Places,
    resolver: _Resolver, index_in_class: np.ndarray, layout: Layout,
) -> tuple[WaveTable, ...]:
  instruction = waves.instruction
  program = graph.program[instruction]
  operands = Operands(*(field[:, instruction] for field in graph.arguments))
  rows = resolver(operands, program, waves.section == VALIDATE)
  wave, lane = index_in_class[waves.wave], waves.lane
  entry_class = waves.wave_class[waves.wave]
  _, branch = graph_lib.dispatch(layout)
  is_index = op_table.columns().is_index
  tables = []
  for k, own in enumerate(layout.classes):
    members = np.flatnonzero(waves.wave_class == k)
    shape = len(members), own.lanes
    table = WaveTable(
        branch[graph.opcode[instruction[waves.first[members]]]], waves.out[members],
        np.zeros((shape[0], own.num_inputs, own.lanes), np.int32),
        np.zeros((*shape, own.num_constants)), *np.zeros((2, *shape), np.int32))
    entry = np.flatnonzero(entry_class == k)
    for argument in range(own.num_inputs):
      table.arguments[wave[entry], argument, lane[entry]] = rows[argument, entry]
    if own.num_constants:
      opcode, column = graph.opcode[instruction[entry]], graph.column[instruction[entry]]
      some = opcode < len(layout.ops)  # fused ops have no constants
      entry, opcode, column = entry[some], opcode[some], column[some]
      values = programs.constants[program[entry], column]
      values = np.where(is_index[opcode], np.floor(values * programs.space.num_features), values)
      table.constants[wave[entry], lane[entry]] = values[:, : own.num_constants]
      if own.is_random:
        table.position[wave[entry], lane[entry]] = position[program[entry], column]
        table.task_set[wave[entry], lane[entry]] = places.task_set[program[entry]]
    tables.append(table)
  return tuple(tables)


def _copies(
    graph: Graph, resolver: _Resolver, places: Places, num_chunks: int, layout: Layout
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
  """Copies of each kind, [K, 2], ordered by chunk and set; and the range of each set."""
  inputs = _argument_kinds(layout)
  bounds = np.arange(num_chunks * NUM_COPY_SETS + 1)
  ranges = np.zeros((num_chunks, NUM_COPY_SETS, len(Kind), 2), np.int64)
  columns = []
  for argument in range(NUM_ARGUMENTS):
    operands = Operands(*(field[argument] for field in graph.arguments))
    columns.append((operands, graph.program, inputs[graph.opcode, argument]))
  everyone = np.arange(len(places.chunk))
  columns.append((graph.predicted, everyone, np.full(len(everyone), layout.label_kind)))
  found = [
      (program[which], np.full(len(which), copy_set), kind[which], source, target)
      for operands, program, kind in columns
      for copy_set, (which, source, target) in enumerate(resolver.copies(operands, program))]
  program, copy_set, kind, source, target = (np.concatenate(part) for part in zip(*found))
  group = places.chunk[program] * NUM_COPY_SETS + copy_set
  copies = []
  for k in Kind:
    own = np.flatnonzero(kind == k)
    # An address that several instructions read is copied once.
    word = (group[own] << 32 | target[own] << 1) if len(own) else np.zeros(0, np.int64)
    _, once = np.unique(word, return_index=True)
    own = own[once]
    first = np.searchsorted(group[own], bounds)
    ranges[:, :, k, 0] = first[:-1].reshape(num_chunks, NUM_COPY_SETS)
    ranges[:, :, k, 1] = first[1:].reshape(num_chunks, NUM_COPY_SETS)
    copies.append(np.stack([source[own], target[own]], -1).astype(np.int32))
  return tuple(copies), ranges


@op_table.cached_for_table
def _argument_kinds(layout: Layout) -> np.ndarray:
  """[ops, 3] kinds of the arguments in the order of the rule; NONE for none."""
  wave_class, _ = graph_lib.dispatch(layout)
  kinds = np.full((len(wave_class), NUM_ARGUMENTS), NONE)
  for k, own in enumerate(layout.classes):
    for op_id, op in zip(graph_lib.op_ids(layout, k), own.ops):
      arguments = ((op.output,) if op.updates_output else ()) + op.inputs
      kinds[op_id, : len(arguments)] = arguments
  return kinds


def split(
    tables: Tables, waves: Waves, order: np.ndarray, places: Places, layout: Layout,
    num_parts: int,
) -> list[Call]:
  """Cuts tables into calls of the fixed shapes of the layout.

  Args:
    tables: of all chunks.
    waves: of all chunks.
    order: [N] int, programs in the order of the chunks.
    places: of the programs.
    layout: of the executor.
    num_parts: calls at least, if there are enough chunks.

  Returns:
    The calls.
  """
  num_chunks = int(tables.num_chunks)
  # What each chunk takes of the tables whose sizes are bounded.
  used = [np.ones(num_chunks, np.int64), np.diff(tables.sections, axis=2).sum((1, 2))]
  bounds = [min(layout.num_chunks, -(-num_chunks // num_parts)), layout.num_phases]
  for k, own in enumerate(layout.classes):
    used.append(np.bincount(waves.chunk[waves.wave_class == k], minlength=num_chunks))
    bounds.append(own.capacity)
  for kind in Kind:
    used.append(np.diff(tables.copy_sets[:, :, kind], axis=2).sum((1, 2)))
    bounds.append(layout.num_copies)
  totals = np.cumsum(np.stack(used, 1), axis=0)
  calls, first = [], 0
  while first < num_chunks:
    before = totals[first - 1] if first else np.zeros_like(totals[0])
    fits = (totals - before <= bounds).all(1)
    last = int(np.flatnonzero(fits[first:])[-1]) + first + 1
    begin, end = np.searchsorted(places.chunk[order], [first, last])
    chosen = order[begin:end]
    calls.append(Call(
        _cut(tables, first, last, layout), chosen,
        (places.chunk[chosen] - first) * layout.num_programs + places.place[chosen]))
    first = last
  return calls


def _cut(tables: Tables, first: int, last: int, layout: Layout) -> Tables:
  """The tables of chunks first to last - 1, counted from their own start and padded."""
  sections = tables.sections[first:last]
  phase_range = slice(sections.min(), sections.max())
  phases = tables.phases[phase_range]
  waves, starts = [], np.zeros(len(layout.classes), np.int64)
  for k, (table, own) in enumerate(zip(tables.waves, layout.classes)):
    begin, end = (phases[0, k, 0], phases[-1, k, 1]) if len(phases) else (0, 0)
    starts[k] = begin
    waves.append(WaveTable(*(_pad(field[begin:end], own.capacity) for field in table)))
  copy_sets = tables.copy_sets[first:last]
  copy_starts = copy_sets[0, 0, :, 0]
  copies = tuple(
      _pad(rows[copy_sets[0, 0, k, 0] : copy_sets[-1, -1, k, 1]], layout.num_copies)
      for k, rows in enumerate(tables.copies))
  by_chunk = {
      name: _pad(getattr(tables, name)[first:last], layout.num_chunks)
      for name in ("task_sets", "num_task_sets", "num_programs", "labels", "trained", "validated")}
  return Tables(
      waves=tuple(waves), phases=_pad(phases - starts[:, None], layout.num_phases),
      sections=_pad(sections - phase_range.start, layout.num_chunks), copies=copies,
      copy_sets=_pad(copy_sets - copy_starts[:, None], layout.num_chunks),
      num_chunks=np.array(last - first, np.int32), **by_chunk)


def _pad(array: np.ndarray, length: int) -> np.ndarray:
  """Zeros behind, to a fixed length; whole numbers as int32."""
  kind = np.float64 if array.dtype.kind == "f" else np.int32
  padded = np.zeros((length, *array.shape[1:]), kind)
  padded[: len(array)] = array
  return padded
