"""Live instructions of many programs -> waves: one op, many lanes, in an order that holds.

Programs are cut into chunks whose rows fit a core's cache. In each chunk the instructions of
one section, time and op share waves. A wave writes consecutive rows, one for each lane.
"""

import numpy as np

from azero.compiler import canonical
from azero.compiler import graph as graph_lib
from azero.compiler import tables as tables_lib
from azero.compiler.graph import Graph
from azero.compiler.layout import Layout
from azero.compiler.tables import NUM_SECTIONS, VALIDATE, Call, Places, Waves
from azero.language.ops import Kind
from azero.language.program import EMPTY, Function, Programs


def schedule(
    programs: Programs, analysis: canonical.Analysis, task_sets: np.ndarray, layout: Layout, *,
    raw: bool = False, num_parts: int = 1,
) -> list[Call]:
  """Schedules a batch.

  Args:
    programs: N programs.
    analysis: their analysis.
    task_sets: [N] int, on which tasks to run each.
    layout: of the executor.
    raw: whether to execute dead instructions too. That changes no result.
    num_parts: calls at least, if there are enough programs, so that as many devices are busy.

  Returns:
    Calls that run every program once.
  """
  if not len(programs):
    return []
  graph = graph_lib.build(programs, programs.opcode != EMPTY if raw else analysis.live, layout)
  order = np.argsort(task_sets, kind="stable")
  budget = layout.chunk_numbers
  while True:
    chunk = _chunks(graph, order, layout, budget, num_parts)
    waves = _form_waves(graph, chunk, layout)
    if (waves.num_rows <= np.array(layout.num_rows) - layout.first_rows).all():
      break
    budget //= 2  # sparse waves took too many rows; a chunk of one program always fits
  places = _place_programs(order, chunk, task_sets)
  tables = tables_lib.fill(programs, analysis.position, graph, waves, places, layout)
  return tables_lib.split(tables, waves, order, places, layout, num_parts)


def _chunks(
    graph: Graph, order: np.ndarray, layout: Layout, budget: int, num_parts: int
) -> np.ndarray:
  """[N] int, the chunk of each program: consecutive in `order`, of bounded size and number."""
  class_of, _ = graph_lib.dispatch(layout)
  widths = np.array([layout.widths[c.output] for c in layout.classes])
  size = np.bincount(
      graph.program[graph.kept], widths[class_of[graph.opcode[graph.kept]]],
      len(order)).astype(np.int64)
  limit = layout.num_programs
  # Whole numbers, so that a chunk never holds more than `limit` programs.
  cost = np.maximum(size[order] * limit, budget)
  bound = min(budget * limit, max(-(-int(cost.sum()) // num_parts), budget))
  number = (np.cumsum(cost) - cost) // bound
  chunk = np.empty(len(order), np.int64)
  chunk[order] = np.cumsum(np.diff(number, prepend=number[0]) > 0)
  return chunk


def _form_waves(graph: Graph, chunk: np.ndarray, layout: Layout) -> Waves:
  kept = np.flatnonzero(graph.kept)
  again = kept[graph.section[kept] == Function.PREDICT]
  instruction = np.concatenate([kept, again])
  section = np.concatenate([graph.section[kept], np.full(len(again), VALIDATE)])
  opcode, time = graph.opcode[instruction], graph.time[instruction]
  class_of, branch_of = graph_lib.dispatch(layout)
  key = (chunk[graph.program[instruction]] * NUM_SECTIONS + section) * (time.max(initial=0) + 1)
  key = (key + time) * (branch_of.max(initial=0) + 1) + branch_of[opcode]
  order = np.argsort(key, kind="stable")
  instruction, section, key = instruction[order], section[order], key[order]
  new = np.diff(key, prepend=-1) != 0
  start = np.maximum.accumulate(np.where(new, np.arange(len(key)), 0))
  rank = np.arange(len(key)) - start
  wave_class = class_of[graph.opcode[instruction]]
  lanes = np.array([c.lanes for c in layout.classes])
  lane = rank % lanes[wave_class]
  first = np.flatnonzero(lane == 0)
  wave = np.cumsum(lane == 0) - 1

  wave_class, wave_section = wave_class[first], section[first]
  wave_chunk = chunk[graph.program[instruction[first]]]
  out = np.empty(len(first), np.int64)
  writes = wave_section != VALIDATE
  outputs = np.array([c.output for c in layout.classes])
  num_rows = np.zeros((chunk.max() + 1, len(Kind)), np.int64)
  for kind in Kind:
    members = np.flatnonzero(writes & (outputs[wave_class] == kind))
    size = lanes[wave_class[members]]
    before = np.cumsum(size) - size
    num_rows[:, kind] = np.bincount(wave_chunk[members], size, len(num_rows))
    of_chunk = np.cumsum(num_rows[:, kind]) - num_rows[:, kind]
    out[members] = layout.first_rows[kind] + before - of_chunk[wave_chunk[members]]
  # The waves of validation are those of Predict and write the same rows.
  out[~writes] = out[wave_section == Function.PREDICT]
  row = np.zeros(len(graph.program), np.int64)
  row[instruction] = out[wave] + lane
  return Waves(
      instruction, section, wave, lane, wave_class, first, wave_chunk, wave_section,
      graph_lib.phase_of(graph.time[instruction[first]], layout), out, row, num_rows)


def _place_programs(order: np.ndarray, chunk: np.ndarray, task_sets: np.ndarray) -> Places:
  chunks, sets = chunk[order], task_sets[order]
  new_chunk = np.diff(chunks, prepend=-1) != 0
  first = np.maximum.accumulate(np.where(new_chunk, np.arange(len(order)), 0))
  new_set = np.cumsum((np.diff(sets, prepend=-1) != 0) & ~new_chunk)
  index, local = np.empty((2, len(order)), np.int64)
  index[order] = np.arange(len(order)) - first
  local[order] = new_set - new_set[first]
  return Places(chunk, index, task_sets, local)


