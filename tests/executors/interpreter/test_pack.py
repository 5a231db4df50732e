"""Packed code: no gaps, no dead instructions, the branch of every op, index constants."""

import numpy as np
import pytest
from support import golden, random_programs

from azero.compiler import canonical
from azero.executors.interpreter import pack
from azero.language import ops as op_table
from azero.language.ops import Kind
from azero.language.program import EMPTY, Component, Function, Programs, SearchSpace

SPACE = SearchSpace(
    5, 5, 3, 4, Component((56, 57, 58), 3), Component((0, 1, 27, 31, 50), 4),
    Component((2, 18, 23, 58), 3))
# The third instruction of Setup and the second of Predict are dead, as is a no_op.
LISTING = [
    [[58, 0, 0, 1, 0.3, 0.9, 2.0], [57, 0, 0, 3, 0.5, -1.0], [56, 0, 0, 4, 7.0]],
    [[31, 1, 0, 2], [1, 2, 3, 3], [0], [27, 2, 3, 1]],
    [[2, 0, 1, 2], [18, 2, 0, 4], [23, 3, 4, 3]],
]


def _code(raw: bool) -> tuple[pack.Code, np.ndarray]:
  programs = golden.pack(SPACE, [LISTING])
  packed = pack.pack(programs, canonical.analyse(programs), raw=raw)
  return pack.unpack(packed.integers[0], packed.constants[0]), packed.counts[0]


def _columns(code: pack.Code, slots) -> list[list[int]]:
  return [[int(field[slot]) for field in code[:6]] for slot in slots]


def test_live_instructions_move_up():
  code, counts = _code(raw=False)
  assert counts.tolist() == [2, 2, 3]
  matrix, vector, scalar = Kind.MATRIX, Kind.VECTOR, Kind.SCALAR
  # kind, branch among the allowed ops of that kind, in1, in2, out, position
  assert _columns(code, range(2)) == [[matrix, 0, 0, 0, 1, 0], [vector, 0, 0, 0, 3, 1]]
  assert _columns(code, range(3, 5)) == [[vector, 0, 1, 0, 2, 2], [scalar, 1, 2, 3, 1, 3]]
  assert _columns(code, range(7, 10)) == [
      [scalar, 0, 0, 1, 2, 4], [vector, 0, 2, 0, 4, 5], [vector, 1, 3, 4, 3, 6]]
  assert _columns(code, (2, 5, 6)) == [[pack.NO_OUTPUT, 0, 0, 0, 0, 0]] * 3


def test_raw_keeps_dead_instructions():
  code, counts = _code(raw=True)
  assert counts.tolist() == [3, 4, 3]
  assert code.kind[[2, 4, 5]].tolist() == [Kind.SCALAR, Kind.SCALAR, pack.NO_OUTPUT]
  assert code.out.tolist() == [1, 3, 4, 2, 3, 0, 1, 2, 4, 3]
  # Dead ones do not count in the position of the others.
  assert code.position.tolist() == [0, 1, 0, 2, 0, 0, 3, 4, 5, 6]


def test_index_constants_are_positions():
  code, _ = _code(raw=False)
  assert code.constants[0].tolist() == [1.0, 3.0, 2.0]  # 0.3 * 4 and 0.9 * 4, rounded down
  assert code.constants[1].tolist() == [2.0, -1.0, 0.0]
  assert not code.constants[2:].any()


@pytest.mark.parametrize("num_features", [3, 7, 10, 16, 100])
def test_index_constants_stay_below_the_size(num_features):
  space = SPACE.with_features(num_features)
  last = np.nextafter(1.0, 0.0)
  programs = golden.pack(space, [
      [[[57, 0, 0, 3, fraction, 1.0]], [[27, 0, 3, 1]], []]
      for fraction in (0.0, last, *(np.arange(num_features) + 0.5) / num_features)])
  packed = pack.pack(programs, canonical.analyse(programs))
  assert packed.constants[:, 0, 0].tolist() == [0, num_features - 1, *range(num_features)]


@pytest.mark.parametrize("raw", [False, True])
def test_random_programs_keep_their_order(raw):
  space = random_programs.full_space(4)
  programs = random_programs.random_programs(space, 300, seed=1)
  analysis = canonical.analyse(programs)
  packed = pack.pack(programs, analysis, raw=raw)
  code = pack.unpack(packed.integers, packed.constants)
  keep = programs.opcode != EMPTY if raw else analysis.live
  for i in range(len(programs)):
    for function in Function:
      slots = np.arange(space.num_slots)[space.slots(function)]
      kept = slots[keep[i, slots]]
      assert packed.counts[i, function] == len(kept)
      target = slots[: len(kept)]
      for name in ("in1", "in2", "out"):
        np.testing.assert_array_equal(
            getattr(code, name)[i, target], getattr(programs, name)[i, kept])
      np.testing.assert_array_equal(code.position[i, target], analysis.position[i, kept])
      for slot, old in zip(target, kept):
        op = op_table.op_by_id(int(programs.opcode[i, old]))
        if op.output is None:
          assert code.kind[i, slot] == pack.NO_OUTPUT
        else:
          assert code.kind[i, slot] == op.output
          assert pack.branches(space, function, op.output)[code.branch[i, slot]] is op
      rest = slots[len(kept):]
      assert np.all(code.kind[i, rest] == pack.NO_OUTPUT)
      assert not code.constants[i, rest].any()


def test_shapes_and_types():
  programs = Programs.empty(SPACE, 0)
  packed = pack.pack(programs, canonical.analyse(programs))
  assert packed.integers.shape == (0, 6, 10)
  assert packed.constants.shape == (0, 10, 3)
  assert packed.counts.shape == (0, 3)
  assert packed.integers.dtype == packed.counts.dtype == np.int32
  assert packed.constants.dtype == np.float64


def test_branches_are_the_ops_of_one_kind():
  names = {
      kind: [op.id for op in pack.branches(SPACE, Function.PREDICT, kind)] for kind in Kind}
  assert names == {Kind.SCALAR: [1, 27, 50], Kind.VECTOR: [31], Kind.MATRIX: []}

