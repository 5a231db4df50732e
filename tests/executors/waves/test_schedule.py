"""The schedule: waves, rows, copies and chunks; run on symbols, it is the program itself."""

from concurrent import futures
import itertools

import numba
import numpy as np
import pytest
from reference import symbolic
from support import random_programs
from support.random_programs import full_space, fusing_space

from azero.compiler import canonical
from azero.executors.waves import schedule, ssa, tables
from azero.executors.waves.layout import PROGRAM_TILE, Layout, make_layout
from azero.executors.waves.schedule import Scheduler
from azero.executors.waves.ssa import StraightLine
from azero.language import ops as op_table
from azero.language import spaces
from azero.language.ops import NO_OP, Kind
from azero.language.program import EMPTY, Component, Function, Programs, SearchSpace

FLOAT64 = np.dtype(np.float64)


def _layout(space: SearchSpace, num_classes: int = 0, **kwargs) -> Layout:
  return make_layout(space, 2, num_classes, FLOAT64.itemsize, **kwargs)


def _plan(programs: Programs, layout: Layout, raw: bool = False) -> StraightLine:
  analysis = canonical.analyse(programs, multiclass=layout.multiclass)
  return Scheduler(layout, FLOAT64).plan(programs, analysis, raw=raw)


def _schedule(plan: StraightLine, layout: Layout, num_parts: int = 1) -> list[tables.Call]:
  """On task sets in an order that is not sorted."""
  return Scheduler(layout, FLOAT64).schedule(plan, _task_sets(len(plan.rows)), num_parts=num_parts)


def _task_sets(num: int) -> np.ndarray:
  return np.random.default_rng(0).integers(3, size=num)


def _assert_equal_to_the_programs(
    programs: Programs, layout: Layout, *, raw: bool = False, num_parts: int = 1
) -> list[tables.Call]:
  calls = _schedule(_plan(programs, layout, raw), layout, num_parts)
  _assert_computes(calls, programs, layout)
  return calls


def _assert_computes(calls: list[tables.Call], programs: Programs, layout: Layout) -> None:
  """The calls run every program once, and do what it says."""
  task_sets = _task_sets(len(programs))
  position = canonical.analyse(programs, multiclass=layout.multiclass).position
  got: dict[int, list[int]] = {}
  for call in calls:
    _assert_within_bounds(call, layout)
    got |= symbolic.run_call(call, layout)
  np.testing.assert_array_equal(
      np.sort(np.concatenate([np.zeros(0, int), *(call.programs for call in calls)])),
      np.arange(len(programs)))
  for i in range(len(programs)):
    wanted = symbolic.run_program(
        programs, i, position, int(task_sets[i]), layout.num_classes)
    assert got[i] == wanted, programs[i]


def _assert_within_bounds(call: tables.Call, layout: Layout) -> None:
  """Every chunk and list fits, and no two instructions of a chunk write one row."""
  own = tables.unpack(layout, call.integers, call.constants)
  count = own.num_chunks
  assert 1 <= count <= layout.num_chunks
  assert own.num_programs[:count].max() <= layout.num_programs
  assert own.num_programs[:count].sum() == len(call.programs)
  assert own.first_program[count - 1] + layout.num_programs <= layout.num_listed
  assert own.sections[:count].max() <= layout.num_phases
  assert own.copy_sets[:count].max() <= layout.num_copies
  for k, wave_class in enumerate(layout.classes):
    assert own.phases[: own.sections[:count].max(), k].max(initial=0) <= wave_class.capacity
  # Programs are scored a tile at a time: what stands behind the last of them is a row, too.
  end = -(-len(call.programs) // PROGRAM_TILE) * PROGRAM_TILE
  for places in (own.labels[:end], own.trained[:end], own.validated[:end]):
    assert 0 <= places.min() <= places.max() < layout.num_rows[layout.label_kind]
  for g in range(own.num_chunks):
    written: list[list[int]] = [[], [], []]
    for phase in range(own.sections[g, 0, 0], own.sections[g, Function.LEARN, 1]):
      for k, wave_class in enumerate(layout.classes):
        for w in range(*own.phases[phase, k]):
          first = int(own.waves[k].out[w])
          written[wave_class.output] += range(first, first + wave_class.lanes)
    for kind in Kind:
      assert len(set(written[kind])) == len(written[kind])
      assert min(written[kind], default=layout.first_rows[kind]) >= layout.first_rows[kind]
      assert max(written[kind], default=0) < layout.num_rows[kind]


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("num_classes", [0, 2, 3])
def test_symbols_of_random_programs(num_classes, raw):
  space = full_space(5)
  layout = _layout(space, num_classes)
  programs = Programs.concatenate([
      random_programs.random_programs(
          space, 300, seed=seed, multiclass=num_classes > 2, full=bool(seed))
      for seed in (0, 1)])
  _assert_equal_to_the_programs(programs, layout, raw=raw)


@pytest.mark.parametrize(("space", "num_classes"), [
    (fusing_space(4), 0), (fusing_space(4), 2), (spaces.demo(), 0), (spaces.backprop(), 2),
    (spaces.baseline(), 2), (spaces.minimal_input(), 3)],
    ids=["fusing", "fusing_binary", "demo", "backprop", "baseline", "minimal_input"])
def test_symbols_of_programs_in_other_spaces(space, num_classes):
  layout = _layout(space, num_classes)
  programs = random_programs.random_programs(
      space, 60 if space.num_slots > 30 else 600, seed=2, multiclass=num_classes > 2, full=True)
  _assert_equal_to_the_programs(programs, layout)


def test_symbols_in_many_small_chunks_and_calls():
  space = full_space(5)
  layout = _layout(space, 2, num_programs=8, max_chunks=4)
  programs = random_programs.random_programs(space, 300, seed=3)
  calls = _assert_equal_to_the_programs(programs, layout, num_parts=3)
  assert len(calls) >= 10  # 38 chunks or more of 8 programs, 4 in a call


def test_symbols_of_odd_batches():
  space = full_space(5)
  layout = _layout(space, 2)
  programs = random_programs.random_programs(space, 4, seed=4, full=True)
  assert _schedule(_plan(programs[:0], layout), layout) == []
  assert len(_assert_equal_to_the_programs(programs[0], layout)) == 1
  nothing = SearchSpace(2, 1, 0, 4, *[Component((), 0)] * 3)
  assert len(_assert_equal_to_the_programs(Programs.empty(nothing, 3), _layout(nothing))) == 1
  for count, calls in ((layout.num_programs, 1), (2 * layout.num_programs + 1, 3)):
    assert len(_assert_equal_to_the_programs(Programs.empty(space, count), layout)) == calls


def test_chunks_that_do_not_fit_are_cut():
  # A matrix of 64 x 64 numbers takes so much room that few programs share a chunk.
  layout = _layout(full_space(64))
  programs = random_programs.random_programs(full_space(64), 40, seed=5, full=True)
  calls = _assert_equal_to_the_programs(programs, layout)
  num_chunks = sum(
      int(tables.unpack(layout, call.integers, call.constants).num_chunks) for call in calls)
  assert num_chunks >= 5


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize(("make_space", "num_fused"), [(full_space, 0), (fusing_space, 20)])
def test_every_instruction_is_in_one_lane_of_its_section(make_space, num_fused, raw):
  space = make_space(5)
  layout = _layout(space)
  programs = random_programs.random_programs(space, 500, seed=6)
  plan = _plan(programs, layout, raw)
  code = plan.instructions
  live = canonical.analyse(programs).live
  keep = (programs.opcode != EMPTY) & (programs.opcode != NO_OP) if raw else live
  np.testing.assert_array_equal(code[:, ssa.SLOT], np.flatnonzero(keep))
  # What is fused is part of another instruction, one for each.
  fused = code[:, ssa.SECTION] == ssa.FUSED
  assert (code[:, ssa.OPCODE] >= len(layout.ops)).sum() == fused.sum() >= num_fused

  found = np.zeros(len(code), int)
  for rows in np.split(np.arange(500), 5):
    for instructions, lanes, written in _waves(plan, rows, layout):
      found[instructions] += 1
      # Each wave is of one op, section, phase and level, its lanes in order.
      same = code[instructions][:, [ssa.OPCODE, ssa.SECTION, ssa.PHASE, ssa.LEVEL]]
      assert (same == same[0]).all()
      assert 1 <= len(instructions) <= lanes
      np.testing.assert_array_equal(written, written[0] + np.arange(len(written)))
      assert (np.diff(code[instructions, ssa.SLOT] // space.num_slots) >= 0).all()
  np.testing.assert_array_equal(found, ~fused)


@numba.njit
def _form_chunk(chunk, batch, shapes):
  chunk.used[:] = 0
  return schedule._form_chunk(0, len(batch.rows), batch, shapes, chunk)


def _waves(plan: StraightLine, rows: np.ndarray, layout: Layout):
  """Instructions, lanes and rows of every wave of a chunk of these programs."""
  own, code = Scheduler(layout, FLOAT64), plan.instructions
  chunk, shapes = own._room(len(code)), own._shapes
  batch = schedule._Batch(rows, np.zeros_like(rows), np.full(len(rows), len(rows)), *plan[1:])
  _form_chunk(chunk, batch, shapes)
  num_waves = chunk.needed[schedule._FORMED]
  edges = chunk.lanes[: num_waves + 1, schedule._FIRST_ENTRY]
  for first, last in itertools.pairwise(edges):
    instructions = chunk.lanes[first:last, schedule._ENTRIES]
    wave_class = layout.op_tables.wave_class[code[instructions[0], ssa.OPCODE]]
    yield instructions, layout.classes[wave_class].lanes, chunk.lanes[instructions, schedule._ROW]


def test_what_is_the_same_for_every_example_moves_to_setup():
  space = full_space(5)
  programs = random_programs.random_programs(space, 500, seed=7)
  code = _plan(programs, _layout(space)).instructions
  own = space.function_of_slot[code[:, ssa.SLOT] % space.num_slots]
  moved = (code[:, ssa.SECTION] != own) & (code[:, ssa.SECTION] != ssa.FUSED)
  assert moved.sum() > 20
  assert (code[moved, ssa.SECTION] == Function.SETUP).all()
  random = np.array([op.noise is not None for op in op_table.all_ops()])
  assert not random[code[moved, ssa.OPCODE]].any()


@pytest.mark.parametrize("num_classes", [0, 2, 3])
def test_part_of_a_plan(num_classes):
  space = full_space(5)
  layout = _layout(space, num_classes)
  programs = random_programs.random_programs(space, 200, seed=8, multiclass=num_classes > 2)
  plan = _plan(programs, layout)
  some = np.flatnonzero(np.random.default_rng(9).random(200) < 0.4)
  for rows in (some, some[::-1], np.arange(200), np.array([17]), np.zeros(0, int)):
    part = plan.take(rows)
    _assert_computes(_schedule(part, layout), programs[rows], layout)
    assert part.num_instructions == _plan(programs[rows], layout).num_instructions
  np.testing.assert_array_equal(plan.take(some).take(np.arange(3)).rows, some[:3])


def test_tables_are_used_again():
  space = full_space(5)
  layout = _layout(space, 2)
  scheduler = Scheduler(layout, FLOAT64)
  used: list[np.ndarray] = []
  for count in (300, 1, 300, 40):
    programs = random_programs.random_programs(space, count, seed=count)
    plan = scheduler.plan(programs, canonical.analyse(programs))
    calls = scheduler.schedule(plan, _task_sets(count))
    _assert_computes(calls, programs, layout)
    assert all(any(call.integers is other for other in used) for call in calls) == bool(used)
    used += [call.integers for call in calls]
    for call in calls:
      scheduler.recycle(call)


def test_threads_share_a_scheduler():
  space = full_space(5)
  layout = _layout(space, 2)
  scheduler = Scheduler(layout, FLOAT64)
  batches = [random_programs.random_programs(space, 300, seed=seed) for seed in range(8)]

  def run(programs: Programs) -> list[tables.Call]:
    plan = scheduler.plan(programs, canonical.analyse(programs))
    return scheduler.schedule(plan, _task_sets(len(programs)))

  with futures.ThreadPoolExecutor(4) as pool:
    together = list(pool.map(run, batches))
  for programs, calls in zip(batches, together):
    for call, alone in zip(calls, run(programs), strict=True):
      np.testing.assert_array_equal(call.programs, alone.programs)
      assert symbolic.run_call(call, layout) == symbolic.run_call(alone, layout)
