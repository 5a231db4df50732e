"""Mutations that add a parameter: what they make of learners, and where they do nothing."""

import dataclasses

import numpy as np
import pytest
from reference import breeding, textbook
from reference.validity import learned_parameters
from support.search_cases import ONE_LAYER, bodies, loose, repeat

from azero.compiler import validity
from azero.language import spaces
from azero.language.ops import Kind
from azero.language.program import Component, SearchSpace
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


def children(text, space, count=2000, action="add_parameter"):
  """Those that differ from the program, and the part of all that they are."""
  parents = repeat(parse(text, space), count)
  made = mutation.mutated(parents, mutation.mutator((action,), 1.0), seed=5).validate()
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
  parents = repeat(parse(text, loose(space)), 1)
  breeder = breeding.Breeder(loose(space), (), 1.0)
  before = breeder.live_after(textbook.from_programs(parents, 0), breeding.PREDICT)
  made, part = children(text, loose(space), 500)
  assert part > 0.1
  for k in range(len(made)):
    program = textbook.from_programs(made, k)
    read = breeding.read_before(program[breeding.PREDICT], {breeding.PREDICTION})
    new = read - before - {breeding.FEATURES}
    assert len(new) == 1
    [updated] = [line for line in program[breeding.LEARN] if breeding.writes(line) == new][-1:]
    assert new <= breeding.reads(updated)


def test_dead_instructions_leave_the_new_parameter_alone():
  # Two of three vectors that may be written are, by instructions that do nothing, and the third is
  # what is learned: there is no room for another one unless these make way.
  space = SearchSpace(3, 4, 0, 4, Component((56, 63), 3), Component((23, 27), 6),
                      Component((2, 18, 23), 6))
  text = """
    def Predict():
      v2 = v1 + v1
      v3 = v1 + v1
      v3 = v2 + v1
      s1 = dot(v0, v1)
    def Learn():
      s2 = s0 - s1
      v2 = s2 * v0
      v1 = v1 + v2
  """
  before = {breeding.FEATURES, (Kind.VECTOR, 1)}
  made, _ = children(text, space, 3000)
  for k in range(len(made)):
    _, predict, _ = textbook.from_programs(made, k)
    assert breeding.read_before(predict, {breeding.PREDICTION}) > before


def test_without_room_or_leave_nothing_happens():
  fixed = dataclasses.replace(AFFINE, learn=Component(AFFINE.learn.ops, 6, 6, searched=False))
  assert children(LINEAR, fixed, 200)[1] == 0
  # All of Learn is needed.
  full = dataclasses.replace(AFFINE, learn=Component(AFFINE.learn.ops, 4))
  assert children(LINEAR.replace("  s3 = s3 - s3\n  v2 = s3 * v0\n", ""), full, 200)[1] == 0


NETWORK = """
def Setup():
  m0 = gaussian(0, 0.5)
  v1 = gaussian(0, 0.5)
  s3 = 0.03
def Predict():
  v2 = dot(m0, v0)
  v3 = maximum(v2, v4)
  s1 = dot(v1, v3)
def Learn():
  s2 = s0 - s1
  s2 = s2 * s3
  v7 = s2 * v3
  v1 = v1 + v7
"""


def test_a_constant_of_predict_becomes_a_parameter():
  space = loose(spaces.backprop(4))
  parent = textbook.from_programs(parse(NETWORK, space), 0)
  made, part = children(NETWORK, space, 3000, "add_update")
  assert part > 0.5
  learned = [learned_parameters(textbook.from_programs(made, k)) for k in range(len(made))]
  m0, v1, v4 = (Kind.MATRIX, 0), (Kind.VECTOR, 1), (Kind.VECTOR, 4)
  # Whatever else it does, the update of v1 stays, and one of the constants is written.
  for k in range(len(made)):
    setup, predict, learn = textbook.from_programs(made, k)
    assert setup == parent[0] and predict == parent[1]
    count = len(learn) - len(parent[2])
    gaps = [gap for gap in range(5) if learn[:gap] + learn[gap + count :] == parent[2]]
    assert 1 <= count <= 4 and gaps
    assert any(
        breeding.writes(learn[gap + count - 1])
        <= {m0, v4} & breeding.reads(learn[gap + count - 1]) for gap in gaps)
  both = [each for each in learned if set(each) == {v1, m0}]
  assert len(both) > 100 and sum(set(each) == {v1, v4} for each in learned) > 100
  # As its gradient does, an update may follow from error, features and the layer behind it at once.
  assert sum(each[m0] >= {breeding.LABEL, breeding.FEATURES, v1, m0} for each in both) > 20


def test_what_learns_all_it_reads_gets_no_update():
  space = loose(spaces.backprop(4))
  assert children(ONE_LAYER, space, 200, "add_update")[1] == 0
  fixed = dataclasses.replace(
      space, learn=dataclasses.replace(space.learn, searched=False))
  assert children(NETWORK, fixed, 200, "add_update")[1] == 0
