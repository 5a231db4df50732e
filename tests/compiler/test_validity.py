"""Validity: the rules hold for programs written for them, and as a plain reference has them."""

import dataclasses

import numpy as np
import pytest
from reference.textbook import from_programs
from reference.validity import (
  learned_parameters,
  learns_by_its_data_flow,
  predicts_from_more_than_features,
)
from support import kernel_calls
from support.search_cases import EVERYTHING, FIXED

from azero.compiler import validity
from azero.compiler.arrays import arrays, scratch, tables
from azero.language import spaces, text, zoo
from azero.language.ops import Kind
from azero.search.proposals import mutation

LINEAR = ("def Setup():\n s2 = 0.1\ndef Predict():\n s1 = dot(v0, v1)\ndef Learn():\n"
          " s3 = s0 - s1\n s3 = s2 * s3\n v2 = s3 * v0\n v1 = v1 + v2\n")


@pytest.mark.parametrize("name", ["linear_regressor", "plain_nn"])
def test_the_learners_of_the_paper_are_valid(name):
  assert validity.is_valid(zoo.load(name, 4)).tolist() == [True]


@pytest.mark.parametrize("old, new, valid", [
    ("", "", True),
    (" v1 = v1 + v2", " v1 = v2 + v2", False),  # replaced, not updated
    (" v1 = v1 + v2", " v3 = v1 + v2", False),  # nothing is learned
    ("s0 - s1", "s0 - s2", False),  # ignores its prediction: a sum of examples
    ("s0 - s1", "s2 - s1", False),  # ignores the label
    ("dot(v0, v1)", "dot(v1, v1)", False),  # ignores the features
    # A second parameter that the prediction reads by way of the first one only: a momentum need
    # not see label and prediction itself, but must be updated.
    (" v1 = v1 + v2", " v3 = v3 + v2\n v1 = v1 + v3", True),
    (" v1 = v1 + v2", " s4 = s4 * s2\n v2 = s4 * v2\n v1 = v1 + v2", True),
    (" v1 = v1 + v2", " v2 = s4 * v2\n s4 = s2 * s2\n v1 = v1 + v2", False),
    # A bias that is never updated is a constant; updated by its own value alone it is not valid.
    ("dot(v0, v1)", "dot(v0, v1)\n s1 = s1 + s5", True),
    ("dot(v0, v1)", "dot(v0, v1)\n s1 = s1 + s5\n s5 = s5 * s2", False),
])
def test_each_rule(old, new, valid):
  source = LINEAR.replace(old, new) if old else LINEAR
  assert validity.is_valid(text.parse(source, num_features=4)).tolist() == [valid]


@pytest.mark.parametrize("space, multiclass", [
    (FIXED, False), (spaces.linear(4), False), (spaces.demo(4), False), (EVERYTHING, False),
    (EVERYTHING, True)])
def test_random_and_grown_programs_are_judged_as_by_the_reference(space, multiclass):
  parents = mutation.random_programs(space, 3000, seed=7)
  grown = mutation.mutated(parents, mutation.mutator(("regrow_function",), 1.0), seed=8)
  for seed in range(700, 706):  # anew each time, so that more become learners
    grown = mutation.mutated(grown, mutation.mutator(("regrow_function",), 1.0), seed=seed)
  found = 0
  for programs in (parents, grown):
    expected = [
        learns_by_its_data_flow(from_programs(programs, k), multiclass)
        for k in range(len(programs))]
    assert validity.is_valid(programs, multiclass=multiclass).tolist() == expected
    found += sum(expected)
    assert_parameters(programs, multiclass)
    assert_hopeful(programs, multiclass, expected)
  assert found >= (not multiclass)


def assert_hopeful(programs, multiclass, valid):
  """Checks which programs may be valid by their Predict, by the reference; all valid ones are."""
  hopeful = np.zeros(len(programs), bool)
  kernel_calls.hopeful(
      arrays(programs), tables(programs.space, multiclass), hopeful)
  assert hopeful.tolist() == [
      predicts_from_more_than_features(from_programs(programs, k), multiclass)
      for k in range(len(programs))]
  assert hopeful[valid].all()


def assert_parameters(programs, multiclass):
  """Checks what programs learn, and whether any of it follows from features, by the reference."""
  counts, seen = np.zeros((2, len(programs)), np.int64)
  kernel_calls.parameters(
      arrays(programs), tables(programs.space, multiclass), scratch(programs.space), counts, seen)
  expected = [
      learned_parameters(from_programs(programs, k), multiclass) for k in range(len(programs))]
  assert counts.tolist() == [len(learned) for learned in expected]
  assert seen.tolist() == [
      any((Kind.VECTOR, 0) in follows for follows in learned.values()) for learned in expected]


@pytest.mark.parametrize("old, new, count, seen", [
    ("", "", 1, True),
    ("dot(v0, v1)", "dot(v0, v1)\n s1 = s1 + s5", 1, True),  # a constant is not learned
    ("v1 = v1 + v2", "v1 = v1 + v2\n s4 = s4 + s3", 1, True),  # what no prediction reads
    ("dot(v0, v1)\n", "dot(v0, v1)\n s1 = s1 + s3\n", 2, True),
    ("s3 * v0", "s3 * v1", 1, False),  # sees the features in its prediction only
])
def test_what_a_program_learns(old, new, count, seen):
  program = text.parse(LINEAR.replace(old, new) if old else LINEAR, num_features=4)
  counts, follows = np.zeros((2, 1), np.int64)
  kernel_calls.parameters(
      arrays(program), tables(program.space), scratch(program.space), counts, follows)
  assert (counts[0], follows[0]) == (count, seen)


def test_a_space_of_too_many_addresses_is_refused():
  space = dataclasses.replace(FIXED, num_scalars=60)
  with pytest.raises(ValueError, match="at most 63 addresses; this one has 64"):
    validity.is_valid(mutation.random_programs(space, 1, seed=0))
  assert len(validity.is_valid(mutation.random_programs(FIXED, np.int64(0), seed=0))) == 0
