"""Live instructions of many programs -> waves: one op, many lanes, in an order that holds.

Programs are cut into chunks whose rows fit a core's cache. In each chunk the instructions of
one section, time and op share waves. A wave writes consecutive rows, one for each lane.
"""

from typing import NamedTuple

import numpy as np

from azero.compiler import canonical
from azero.executors.waves import graph as graph_lib
from azero.executors.waves import tables
from azero.executors.waves.graph import Graph
from azero.executors.waves.layout import Layout
from azero.executors.waves.tables import NUM_SECTIONS, VALIDATE, Call, Places, Waves
from azero.language.ops import NO_OP, Kind
from azero.language.program import EMPTY, Function, Programs


class Plan(NamedTuple):
  """A batch of N programs, ready to be scheduled as a whole or in part.

  Attributes:
    programs: N programs.
    position: [N, L] int, index of each instruction among the live ones.
    graph: of the programs.
  """

  programs: Programs
  position: np.ndarray
  graph: Graph

  def take(self, rows: np.ndarray) -> "Plan":
    """The plan of these programs, distinct and in ascending order."""
    return Plan(self.programs[rows], self.position[rows], self.graph.take(rows))


def plan(
    programs: Programs, analysis: canonical.Analysis, layout: Layout, *, raw: bool = False
) -> Plan:
  """Plans a batch.

  Args:
    programs: N programs.
    analysis: their analysis.
    layout: of the executor.
    raw: whether to execute dead instructions too. That changes no result.

  Returns:
    The plan.
  """
  keep = (programs.opcode != EMPTY) & (programs.opcode != NO_OP) if raw else analysis.live
  return Plan(programs, analysis.position, graph_lib.build(programs, keep, layout))


def schedule(
    plan: Plan, task_sets: np.ndarray, layout: Layout, dtype: np.dtype, *, num_parts: int = 1
) -> list[Call]:
  """Schedules a batch.

  Args:
    plan: of N programs.
    task_sets: [N] int, on which tasks to run each.
    layout: of the executor.
    dtype: of the memory.
    num_parts: calls at least, if there are enough programs, so that as many devices are busy.

  Returns:
    Calls that run every program once.
  """
  if not len(plan.programs):
    return []
  order = np.argsort(task_sets, kind="stable")
  budget, limit = layout.chunk_numbers, layout.num_programs
  while True:
    chunk = _chunks(plan.graph, order, layout, budget, limit, num_parts)
    waves = _form_waves(plan.graph, chunk, layout)
    if _fits(plan.graph, chunk, waves, layout):
      break
    # Sparse waves or copies took too much room; a chunk of one program always fits.
    budget, limit = max(budget // 2, 1), max(limit // 2, 1)
  places = _place_programs(order, chunk, task_sets)
  return tables.make_calls(
      plan.programs, plan.position, plan.graph, waves, places, layout, dtype, num_parts)


def _chunks(
    graph: Graph, order: np.ndarray, layout: Layout, budget: int, limit: int, num_parts: int
) -> np.ndarray:
  """[N] int, the chunk of each program: consecutive in `order`, at most `limit` in a chunk."""
  ops, opcode = layout.op_tables, graph.opcode
  size = np.bincount(
      graph.program, ops.widths[ops.wave_class[opcode]] * graph.kept, len(order)).astype(np.int64)
  # Whole numbers, so that a chunk never holds more than so many programs.
  cost = np.maximum(size[order] * limit, budget)
  bound = min(budget * limit, max(-(-int(cost.sum()) // num_parts), budget))
  number = (np.cumsum(cost) - cost) // bound
  chunk = np.empty(len(order), np.int64)
  chunk[order] = np.cumsum(np.diff(number, prepend=number[0]) > 0)
  return chunk


def _form_waves(graph: Graph, chunk: np.ndarray, layout: Layout) -> Waves:
  ops = layout.op_tables
  kept = np.flatnonzero(graph.kept)
  again = kept[graph.section[kept] == Function.PREDICT]
  instruction = np.concatenate([kept, again])
  section = np.concatenate([graph.section[kept], np.full(len(again), VALIDATE)])
  group = chunk[graph.program[instruction]] * NUM_SECTIONS + section
  time, branch = graph.time[instruction], ops.branch[graph.opcode[instruction]]
  key = (group * (time.max(initial=0) + 1) + time) * (branch.max(initial=0) + 1) + branch
  order = np.argsort(key, kind="stable")
  instruction, group, key = instruction[order], group[order], key[order]
  new = np.empty(len(key), bool)
  new[:1], new[1:] = True, key[1:] != key[:-1]
  start = np.flatnonzero(new)
  rank = np.arange(len(key)) - np.repeat(start, np.diff(start, append=len(key)))
  wave_class = ops.wave_class[graph.opcode[instruction]]
  lane = rank % ops.lanes[wave_class]
  first = np.flatnonzero(lane == 0)
  wave = np.cumsum(lane == 0) - 1

  wave_class = wave_class[first]
  wave_chunk, wave_section = np.divmod(group[first], NUM_SECTIONS)
  out = np.empty(len(first), np.int64)
  writes = wave_section != VALIDATE
  num_rows = np.zeros((chunk.max() + 1, len(Kind)), np.int64)
  for kind in Kind:
    members = np.flatnonzero(writes & (ops.outputs[wave_class] == kind))
    size = ops.lanes[wave_class[members]]
    num_rows[:, kind] = np.bincount(wave_chunk[members], size, len(num_rows))
    of_chunk = np.cumsum(num_rows[:, kind]) - num_rows[:, kind]
    out[members] = (
        np.cumsum(size) - size + layout.first_rows[kind] - of_chunk[wave_chunk[members]])
  # The waves of validation are those of Predict and write the same rows.
  out[~writes] = out[wave_section == Function.PREDICT]
  row = np.zeros(len(graph.program), np.int64)
  row[instruction] = out[wave] + lane
  return Waves(
      instruction, wave, lane, wave_class, first, np.diff(first, append=len(wave)), wave_chunk,
      wave_section,
      graph_lib.phase_of(graph.time[instruction[first]], layout), out, row, num_rows)


def _fits(graph: Graph, chunk: np.ndarray, waves: Waves, layout: Layout) -> bool:
  """Whether every chunk fits the memory and the tables of one call."""
  rows = np.array(layout.num_rows) - layout.first_rows
  num_chunks, num_classes = len(waves.num_rows), len(layout.classes)
  used = np.bincount(
      waves.chunk * num_classes + waves.wave_class, minlength=num_chunks * num_classes)
  capacity = [own.capacity for own in layout.classes]
  copies = sum(
      np.bincount(chunk[own.program], minlength=num_chunks) for own in graph.copies)
  return bool(
      (waves.num_rows <= rows).all() and np.max(copies, initial=0) <= layout.num_copies
      and (used.reshape(num_chunks, num_classes) <= capacity).all())


def _place_programs(order: np.ndarray, chunk: np.ndarray, task_sets: np.ndarray) -> Places:
  chunks, sets = chunk[order], task_sets[order]
  sizes = np.bincount(chunks)
  first = np.repeat(np.cumsum(sizes) - sizes, sizes)
  new_set = np.cumsum(np.diff(sets, prepend=sets[0]) != 0)
  place, local = np.empty((2, len(order)), np.int64)
  place[order] = np.arange(len(order)) - first
  local[order] = new_set - new_set[first]
  return Places(order, chunk, place, task_sets, local, sizes)
