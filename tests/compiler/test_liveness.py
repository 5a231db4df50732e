"""Liveness agrees with a slow walk over definitions and uses, and with the paper's examples."""

import numpy as np
import pytest
from reference import dataflow
from support import golden, random_programs

from azero.compiler import arrays, liveness
from azero.language import text, zoo
from azero.language.program import EMPTY, Component, Programs, SearchSpace

SPACES = (
    random_programs.full_space(4),
    # Few addresses and long functions: many overwrites and long chains.
    SearchSpace(3, 3, 1, 4, *(Component((0, *range(1, 65)), 9) for _ in range(3))),
    SearchSpace(4, 3, 0, 4, Component((56, 57), 3), Component((1, 2, 27, 57), 5),
                Component((1, 3, 18, 23), 8)),
    SearchSpace(12, 40, 12, 4, *(Component(tuple(range(1, 65)), 12) for _ in range(3))),
)


@pytest.mark.parametrize("multiclass", [False, True])
@pytest.mark.parametrize("case", range(len(SPACES)))
def test_random_programs(case, multiclass):
  space = SPACES[case]
  programs = random_programs.random_programs(space, 500, seed=case, multiclass=multiclass)
  live = liveness.live_instructions(programs, multiclass=multiclass)
  for i in range(len(programs)):
    wanted = np.zeros(space.num_slots, bool)
    for function, index in dataflow.live_instructions(
        dataflow.listing_of(programs, i), multiclass):
      wanted[space.offsets[function] + index] = True
    np.testing.assert_array_equal(live[i], wanted, err_msg=repr(programs[i]))
  assert 0.02 < live.mean() < 0.9


def test_does_not_depend_on_the_batch():
  programs = random_programs.random_programs(SPACES[1], 300, seed=9)
  live = liveness.live_instructions(programs)
  for i in range(0, 300, 10):
    np.testing.assert_array_equal(liveness.live_instructions(programs[i])[0], live[i])
  order = np.random.default_rng(0).permutation(300)
  np.testing.assert_array_equal(liveness.live_instructions(programs[order]), live[order])


def _live_lines(code: str, *, multiclass: bool = False, num_features: int = 4) -> list[str]:
  """The live instructions of a text."""
  programs = text.parse(code, num_features=num_features, multiclass=multiclass)
  return _lines(programs, liveness.live_instructions(programs, multiclass=multiclass)[0])


def _lines(programs: Programs, live: np.ndarray) -> list[str]:
  shown = text.format_program(programs, dead=~live).split("\n")
  return [line.strip() for line in shown if "# dead" not in line]


def test_s1a_reduces_to_s1b():
  s1a = zoo.load("s1a")
  live = liveness.live_instructions(s1a)[0]
  assert _lines(s1a, live) == text.format_program(zoo.load("s1b")).replace("  ", "").split("\n")
  # The paper's Figure S1b has no dead instruction left.
  s1b = zoo.load("s1b")
  np.testing.assert_array_equal(liveness.live_instructions(s1b), s1b.opcode != EMPTY)


def test_s1a_keeps_what_only_validation_can_read():
  # Predict writes m1 after using it; in validation the next Predict finds it there. In
  # training Learn writes m1 anew.
  programs = zoo.load("figure_6")
  live = liveness.live_instructions(programs)[0]
  assert "m1 = s2 * m2" in _lines(programs, live)
  assert "m1 = s4 * m0" in _lines(programs, live)


ACCUMULATE = """
def Setup():
  s3 = 1.0
def Predict():
  s1 = s2 * s4
  s2 = s2 + s3
def Learn():
  s2 = s0 * s0
  s4 = s0 * s3
"""


def test_predict_to_predict():
  assert len(_live_lines(ACCUMULATE)) == 3 + 5  # the headers and everything


@pytest.mark.parametrize(("code", "dead"), [
    # Learn overwrites the prediction after nobody can see it any more.
    ("def Setup():\ndef Predict():\n  s1 = s2 * s2\ndef Learn():\n  s1 = s0 * s0", "s1 = s0 * s0"),
    # Overwritten before use.
    ("def Setup():\n  s2 = 1.0\ndef Predict():\n  s2 = mean(v0)\n  s1 = s2 * s2\ndef Learn():",
     "s2 = 1.0"),
    # What Learn leaves in s2 reaches nothing but itself.
    ("def Setup():\ndef Predict():\n  s1 = mean(v0)\ndef Learn():\n  s2 = s2 + s0", "s2 = s2 + s0"),
    # Setup cannot tell the label or the features anything.
    ("def Setup():\n  s2 = 1.0\n  s3 = s2 + s2\ndef Predict():\n  s1 = s2 + s0\ndef Learn():",
     "s3 = s2 + s2"),
])
def test_dead(code, dead):
  lines = [line.strip() for line in code.split("\n")]
  lines.remove(dead)
  assert _live_lines(code) == lines


@pytest.mark.parametrize("code", [
    # A prediction that only Setup or only Learn writes.
    "def Setup():\n  s1 = 1.0\ndef Predict():\ndef Learn():",
    "def Setup():\ndef Predict():\ndef Learn():\n  s1 = s1 + s0",
    # A constant at an index keeps the other entries.
    "def Setup():\n  v1[0] = 1.0\n  v1[1] = 2.0\ndef Predict():\n  s1 = dot(v0, v1)\ndef Learn():",
    # Around the loop as often as there are addresses.
    "def Setup():\ndef Predict():\n  s1 = s2 + s9\n  s2 = s3 + s9\n  s3 = s4 + s9\ndef Learn():\n"
    "  s4 = s5 + s9\n  s5 = s6 + s9\n  s6 = s7 + s9\n  s7 = s0 + s9",
])
def test_all_live(code):
  assert _live_lines(code) == [line.strip() for line in code.split("\n")]


def test_multiclass_roles():
  code = "def Setup():\n  s1 = 1.0\n  v1[0] = 1.0\ndef Predict():\n  v2 = v1 + v0\ndef Learn():\n"
  learn = "  v2 = v1 + v2\n  v1 = v2 + v2"
  # The evaluation overwrites the label before Predict and before Learn.
  assert _live_lines(code + learn, multiclass=True) == [
      "def Setup():", "def Predict():", "v2 = v1 + v0", "def Learn():"]
  reading = code.replace("v2 = v1 + v0", "v2 = v2 + v1")
  assert _live_lines(reading + learn, multiclass=True) == [
      "def Setup():", "def Predict():", "v2 = v2 + v1", "def Learn():", "v2 = v1 + v2"]


def test_roles():
  space = SearchSpace(4, 5, 1, 4, *(Component((1,), 1) for _ in range(3)))
  assert arrays.roles(space, False) == (1, 0, 4)  # s1, s0, v0
  assert arrays.roles(space, True) == (6, 5, 4)  # v2, v1, v0
  small = SearchSpace(4, 2, 1, 4, *(Component((1,), 1) for _ in range(3)))
  with pytest.raises(ValueError, match="has only 2 vectors"):
    arrays.roles(small, True)


def test_sixty_four_addresses():
  # The last matrix is the highest bit of a word.
  space = SPACES[3]
  assert sum(space.num_addresses) == 64
  programs = golden.pack(space, [[
      [[56, 0, 0, 11, 1.0]], [[31, 11, 39, 39], [27, 39, 39, 1]], [[39, 11, 11, 11]]]])
  live = liveness.live_instructions(programs)
  np.testing.assert_array_equal(live.sum(), 3)
  assert not live[0, 0]


def test_empty_batches_and_programs():
  space = SPACES[0]
  assert liveness.live_instructions(Programs.empty(space, 0)).shape == (0, space.num_slots)
  assert not liveness.live_instructions(Programs.empty(space, 3)).any()
  no_op = golden.pack(space, [[[], [[0]], []]])
  assert not liveness.live_instructions(no_op).any()
