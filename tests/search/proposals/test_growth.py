"""Programs that are grown: those of the plain reference, learners, and as likely as is said."""

from collections import Counter

import numpy as np
import pytest
from reference import breeding, textbook
from reference.draws import Stream
from reference.validity import (
  learned_parameters,
  learns_by_its_data_flow,
  predicts_from_more_than_features,
)
from support import kernel_calls
from support.search_cases import EVERYTHING, FIXED, VARIABLE

from azero.compiler import validity
from azero.compiler.arrays import arrays, scratch, tables
from azero.language import spaces
from azero.language.ops import Kind
from azero.language.program import Component, Programs, SearchSpace
from azero.language.text import parse
from azero.search import draws

_OPS = 1, 2, 3, 18, 23, 27
GIVEN_PREDICT = SearchSpace(
    4, 3, 1, 4, Component(_OPS, 3), Component(_OPS, 3, searched=False), Component(_OPS, 4))
SPACES = {
    "fixed": FIXED, "variable": VARIABLE, "everything": EVERYTHING,
    "58 ops": spaces.minimal_input(), "given Predict": GIVEN_PREDICT}
PREDICT = "def Predict():\n s1 = dot(v0, v1)\n"


def learners(space, count, template, *, features=False, attempts=1):
  """Programs, how many instructions each has drawn, and whether they learn."""
  programs = Programs.concatenate([template] * count)
  drawn, learns = np.zeros(count, np.int64), np.zeros(count, bool)
  kernel_calls.grow_learners(
      arrays(programs), tables(space), features, scratch(space), draws.new_stream(),
      draws.seed_word(5), attempts, drawn, learns)
  return programs, drawn, learns


@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("name", SPACES)
def test_learners_are_those_of_the_reference(name, features):
  space, count = SPACES[name], 300
  template = parse(PREDICT, space) if name == "given Predict" else Programs.empty(space)
  programs, drawn, learns = learners(space, count, template, features=features)
  breeder, given = breeding.Breeder(space, (), 0.0), textbook.from_programs(template)

  def wanted(program):
    return learns_by_its_data_flow(program) and (not features or any(
        (Kind.VECTOR, 0) in follows for follows in learned_parameters(program).values()))

  for n in range(count):
    expected, number = breeder.grown_learner(
        given, Stream(5, 0, n), predicts_from_more_than_features, wanted)
    assert (learns[n], drawn[n]) == (expected is not None, number)
    if learns[n]:
      assert textbook.from_programs(programs, n) == expected
  assert learns.any() or name not in ("fixed", "given Predict")


@pytest.mark.parametrize("name", SPACES)
def test_drawn_again_until_they_learn_they_do(name):
  space = SPACES[name]
  template = parse(PREDICT, space) if name == "given Predict" else Programs.empty(space)
  programs, drawn, learns = learners(space, 20, template, attempts=100_000)
  assert learns.all() and (drawn >= programs.lengths[:, 2]).all()
  programs.validate()
  assert validity.is_valid(programs).all()
  for n in range(20):
    assert learns_by_its_data_flow(textbook.from_programs(programs, n))


def test_a_predict_is_as_likely_as_is_said():
  # So small that all Predicts can be counted.
  space = SearchSpace(3, 2, 0, 4, Component((), 0), Component((1, 27), 2, 1), Component(_OPS, 3, 2))
  grown = Programs.concatenate([Programs.empty(space)] * 400_000)
  kernel_calls.grow_all(
      arrays(grown), tables(space), draws.new_stream(), draws.seed_word(9), len(grown))
  valid = validity.is_valid(grown)
  found, _, learns = learners(space, 20_000, Programs.empty(space), attempts=1_000_000)
  assert learns.all()
  drawn, valid_ones, learning = (
      Counter(_predicts(programs)) for programs in (grown, grown[valid], found))
  # Of which a part q is valid comes up in proportion to 1 - (1 - q)^16.
  expected = {
      key: drawn[key] * (1 - (1 - count / drawn[key]) ** 16) for key, count in valid_ones.items()}
  learning, expected, valid_ones = map(_by_ops, (learning, expected, valid_ones))
  assert _distance(learning, expected) < 0.02
  # Which is nearly how valid programs of those that are grown whole are distributed.
  assert 0.01 < _distance(learning, valid_ones) < 0.15


def test_learn_and_setup_are_as_likely_as_in_valid_grown_programs():
  space = SearchSpace(
      3, 2, 0, 4, Component((1, 56), 1), Component((27,), 1, 1, searched=False),
      Component((2, 18, 23), 3, 3))
  template = parse(PREDICT, space)
  grown = Programs.concatenate([template] * 400_000)
  kernel_calls.grow_all(
      arrays(grown), tables(space), draws.new_stream(), draws.seed_word(9), len(grown))
  found, _, learns = learners(space, 10_000, template, attempts=1_000_000)
  assert learns.all()
  ops = [Counter(map(bytes, programs.opcode)) for programs in (
      found, grown[validity.is_valid(grown)])]
  assert _distance(*ops) < 0.05


def _predicts(programs):
  """Of each program its Predict, as bytes: the ops and the addresses."""
  slots = slice(*programs.space.offsets[1:3])
  parts = [getattr(programs, name)[:, slots] for name in ("opcode", "in1", "in2", "out")]
  return map(bytes, np.concatenate(parts, axis=1))


def _by_ops(weights):
  """The weights of Predicts that have the same ops together."""
  sums = Counter()
  for lines, weight in weights.items():
    sums[lines[: len(lines) // 4]] += weight
  return sums


def _distance(first, second):
  """In total variation, of two distributions that are given by weights."""
  totals = sum(first.values()), sum(second.values())
  return 0.5 * sum(
      abs(first.get(key, 0) / totals[0] - second.get(key, 0) / totals[1])
      for key in first.keys() | second.keys())
