"""The schedule: waves, rows, copies and chunks; run on symbols, it is the program itself."""

import numpy as np
import pytest
from reference import symbolic
from support import random_programs
from support.random_programs import full_space, fusing_space

from azero.compiler import canonical
from azero.executors.waves import schedule, tables
from azero.executors.waves.layout import Layout, make_layout
from azero.language import ops as op_table
from azero.language import spaces
from azero.language.ops import NO_OP, Kind
from azero.language.program import EMPTY, Function, Programs, SearchSpace

FLOAT64 = np.dtype(np.float64)


def _layout(space: SearchSpace, num_classes: int = 0, **kwargs) -> Layout:
  return make_layout(space, 2, num_classes, FLOAT64.itemsize, **kwargs)


def _plan(programs: Programs, layout: Layout, raw: bool = False) -> schedule.Plan:
  analysis = canonical.analyse(programs, multiclass=layout.multiclass)
  return schedule.plan(programs, analysis, layout, raw=raw)


def _assert_equal_to_the_programs(
    programs: Programs, layout: Layout, *, raw: bool = False, num_parts: int = 1
) -> list[tables.Call]:
  task_sets = np.random.default_rng(0).integers(3, size=len(programs))
  plan = _plan(programs, layout, raw)
  calls = schedule.schedule(plan, task_sets, layout, FLOAT64, num_parts=num_parts)
  got: dict[int, list[int]] = {}
  for call in calls:
    _assert_within_bounds(call, layout)
    got |= symbolic.run_call(call, layout)
  np.testing.assert_array_equal(
      np.sort(np.concatenate([np.zeros(0, int), *(call.programs for call in calls)])),
      np.arange(len(programs)))
  for i in range(len(programs)):
    wanted = symbolic.run_program(
        programs, i, plan.position, int(task_sets[i]), layout.num_classes)
    assert got[i] == wanted, programs[i]
  return calls


def _assert_within_bounds(call: tables.Call, layout: Layout) -> None:
  """Every chunk and list fits, and no two instructions of a chunk write one row."""
  own = tables.unpack(layout, call.integers, call.constants)
  assert 1 <= own.num_chunks <= layout.num_chunks
  assert own.num_programs.max() <= layout.num_programs
  assert own.num_programs.sum() == len(call.programs)
  assert own.first_program[own.num_chunks - 1] + layout.num_programs <= layout.num_listed
  assert own.sections.max() <= layout.num_phases
  assert own.copy_sets.max() <= layout.num_copies
  for k, wave_class in enumerate(layout.classes):
    assert own.phases[:, k].max(initial=0) <= wave_class.capacity
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
  assert schedule.schedule(
      _plan(programs[:0], layout), np.zeros(0, int), layout, FLOAT64) == []
  assert len(_assert_equal_to_the_programs(programs[0], layout)) == 1
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
def test_every_instruction_is_in_one_wave_of_its_section(make_space, num_fused, raw):
  space = make_space(5)
  layout = _layout(space)
  programs = random_programs.random_programs(space, 500, seed=6)
  plan = _plan(programs, layout, raw)
  graph = plan.graph
  ops = layout.op_tables
  waves = schedule._form_waves(graph, np.arange(500) // 100, layout)
  live = canonical.analyse(programs).live
  keep = (programs.opcode != EMPTY) & (programs.opcode != NO_OP) if raw else live
  np.testing.assert_array_equal(graph.program * space.num_slots + graph.column,
                                np.flatnonzero(keep))
  # Each wave is of one op, chunk and section, its lanes in order.
  for name in ("instruction", "lane"):
    assert len(getattr(waves, name)) == len(waves.wave)
  opcode = graph.opcode[waves.instruction]
  first = waves.first[waves.wave]
  np.testing.assert_array_equal(opcode, opcode[first])
  np.testing.assert_array_equal(np.arange(len(first)) - first, waves.lane)
  assert (waves.lane < ops.lanes[ops.wave_class[opcode]]).all()
  np.testing.assert_array_equal(
      waves.chunk[waves.wave], graph.program[waves.instruction] // 100)
  in_validation = waves.section[waves.wave] == tables.VALIDATE
  sections = graph.section[waves.instruction]
  np.testing.assert_array_equal(
      sections[~in_validation], waves.section[waves.wave[~in_validation]])
  assert (sections[in_validation] == Function.PREDICT).all()
  once = np.bincount(waves.instruction[~in_validation], minlength=len(graph.program))
  np.testing.assert_array_equal(once, graph.kept)
  again = np.bincount(waves.instruction[in_validation], minlength=len(graph.program))
  np.testing.assert_array_equal(again, graph.kept & (graph.section == Function.PREDICT))
  # What is not kept is part of a fused instruction, one for each.
  assert (graph.opcode >= len(layout.ops)).sum() == (~graph.kept).sum() >= num_fused


def test_what_is_the_same_for_every_example_moves_to_setup():
  space = full_space(5)
  programs = random_programs.random_programs(space, 500, seed=7)
  graph = _plan(programs, _layout(space)).graph
  own = space.function_of_slot[graph.column]
  moved = graph.section != own
  assert moved.sum() > 20
  assert (graph.section[moved] == Function.SETUP).all()
  random = np.array([op.noise is not None for op in op_table.all_ops()])
  assert not random[graph.opcode[moved]].any()


@pytest.mark.parametrize("num_classes", [0, 2, 3])
def test_part_of_a_plan(num_classes):
  space = full_space(5)
  layout = _layout(space, num_classes)
  programs = random_programs.random_programs(space, 200, seed=8, multiclass=num_classes > 2)
  plan = _plan(programs, layout)
  for rows in (np.flatnonzero(np.random.default_rng(9).random(200) < 0.4), np.arange(200),
               np.array([17]), np.zeros(0, int)):
    part, wanted = plan.take(rows), _plan(programs[rows], layout)
    np.testing.assert_array_equal(part.position, wanted.position)
    for name in schedule.Graph._fields:
      if name != "copies":
        np.testing.assert_array_equal(
            getattr(part.graph, name), getattr(wanted.graph, name), err_msg=name)
    for own, other in zip(part.graph.copies, wanted.graph.copies):
      for got, field in zip(own, other):
        np.testing.assert_array_equal(got, field)
