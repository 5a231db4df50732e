"""The mutation that adds a parameter: what it makes of learners, and where it does nothing."""

import dataclasses

import numpy as np
import pytest
from reference import breeding, textbook
from reference.validity import learned_parameters
from support.search_cases import bodies, repeat

from azero.compiler import validity
from azero.language import spaces
from azero.language.program import Component
from azero.language.text import parse
from azero.search.proposals import mutation

LINEAR = """
def Setup():
  s2 = 0.1
  s3 = 0.1
  s4 = 0.1
  s2 = 0.1
  s2 = 0.1
  s2 = 0.1
def Predict():
  s3 = dot(v0, v1)
  s1 = dot(v0, v1)
def Learn():
  s4 = s0 - s1
  s4 = s4 * s2
  v2 = s4 * v0
  v1 = v1 + v2
  s3 = s3 - s3
  v2 = s3 * v0
"""
AFFINE = spaces.affine(4)
ONE_LAYER = """
def Predict():
  s1 = dot(v0, v1)
def Learn():
  s2 = s0 - s1
  v2 = s2 * v0
  v1 = v1 + v2
"""


def children(text, space, count=2000):
  """Those that differ from the program, and the part of all that they are."""
  parents = repeat(parse(text, space), count)
  made = mutation.mutated(parents, mutation.mutator(("add_parameter",), 1.0), seed=5).validate()
  changed = np.array([child != parent for child, parent in zip(bodies(made), bodies(parents))])
  return made[np.flatnonzero(changed)], changed.mean()


def test_a_linear_learner_becomes_an_affine_one_at_once():
  made, part = children(LINEAR, AFFINE)
  assert part > 0.2
  # Of the children that are valid and learn more, one in twelve is this one or its mirror image.
  found = learning = 0
  for k in np.flatnonzero(validity.is_valid(made)):
    _, predict, learn = textbook.from_programs(made, k)
    found += _has(predict, 1, {1, 3}, 1) and any(
        _has(learn[:end], 1, {3, 4}, 3) for end in range(len(learn)))
    learning += len(learned_parameters(textbook.from_programs(made, k))) == 2
  assert learning > 50 and found > learning / 12


def _has(body, op, inputs, output):
  """Whether the last line is of an op with these addresses."""
  return bool(body) and (
      body[-1][0] == op and {body[-1][1], body[-1][2]} == inputs and body[-1][3] == output)


@pytest.mark.parametrize("space", [
    AFFINE, spaces.backprop(4), spaces.baseline(4), spaces.minimal_input(4), spaces.demo(4)])
def test_predict_reads_one_more_parameter_that_learn_updates(space):
  text = LINEAR if space is AFFINE else ONE_LAYER
  # Lengths are fixed in some: dead instructions, which can make way, fill them up.
  parents = repeat(parse(text, _loose(space)), 1)
  breeder = breeding.Breeder(_loose(space), (), 1.0)
  before = breeder.live_after(textbook.from_programs(parents, 0), breeding.PREDICT)
  made, part = children(text, _loose(space), 500)
  assert part > 0.1
  for k in range(len(made)):
    program = textbook.from_programs(made, k)
    read = breeding.read_before(program[breeding.PREDICT], {breeding.PREDICTION})
    new = read - before - {breeding.FEATURES}
    assert len(new) == 1
    [updated] = [line for line in program[breeding.LEARN] if breeding.writes(line) == new][-1:]
    assert new <= breeding.reads(updated)


def _loose(space):
  """The space with lengths from 0 on."""
  return dataclasses.replace(space, **{
      name: dataclasses.replace(getattr(space, name), min_length=0)
      for name in ("setup", "predict", "learn")})


def test_without_room_or_leave_nothing_happens():
  fixed = dataclasses.replace(AFFINE, learn=Component(AFFINE.learn.ops, 6, 6, searched=False))
  assert children(LINEAR, fixed, 200)[1] == 0
  # All of Learn is needed.
  full = dataclasses.replace(AFFINE, learn=Component(AFFINE.learn.ops, 4))
  assert children(LINEAR.replace("  s3 = s3 - s3\n  v2 = s3 * v0\n", ""), full, 200)[1] == 0
