"""Dependence: nothing that learns is ruled out, and a good deal of the rest is."""

import dataclasses
import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from support import random_programs

from azero.compiler import dependence
from azero.executors.evaluator import Evaluator
from azero.language import ops, spaces, text, zoo
from azero.search.proposals import mutation
from azero.tasks import linear_regression


@pytest.mark.parametrize("name", zoo.names())
def test_the_programs_of_the_paper_can_learn(name):
  program = zoo.load(name, 4)
  assert dependence.can_learn(program, multiclass=zoo.is_multiclass(name)).tolist() == [True]


@pytest.mark.parametrize("source, expected", [
    ("def Setup():\ndef Predict():\n s1 = dot(v0, v1)\ndef Learn():\n v1 = s0 * v0\n", True),
    # The label goes nowhere; it is overwritten; the features go nowhere.
    ("def Setup():\ndef Predict():\n s1 = dot(v0, v1)\ndef Learn():\n v1 = s1 * v0\n", False),
    ("def Setup():\ndef Predict():\n s1 = dot(v0, v1)\ndef Learn():\n v1 = s0 * v0\n"
     " v1 = s2 * v2\n", False),
    ("def Setup():\ndef Predict():\n s1 = dot(v2, v1)\ndef Learn():\n v1 = s0 * v0\n", False),
    # What Predict finds in the label's place is zero.
    ("def Setup():\ndef Predict():\n v1 = s0 * v0\n s1 = dot(v0, v1)\ndef Learn():\n", False),
    # By way of two more examples, and a prediction that Learn changes.
    ("def Setup():\n s4 = 1\n s6 = 1\n s7 = 1\n v1[0] = 1\ndef Predict():\n s2 = s3 * s4\n"
     " s1 = dot(v0, v1)\n s1 = s1 * s2\ndef Learn():\n s3 = s5 * s6\n s5 = s0 * s7\n", True),
    ("def Setup():\n v1[0] = 1\ndef Predict():\n s2 = dot(v0, v1)\n s1 = s1 * s2\ndef Learn():\n"
     " s1 = s0 - s1\n", True),
    # From one validation example to the next, while Learn overwrites it in training.
    ("def Setup():\n s4 = 1\n v1[0] = 1\ndef Predict():\n s5 = dot(v0, v1)\n s1 = s5 * s2\n"
     " s2 = s3 * s4\ndef Learn():\n s3 = s0 - s4\n s2 = s4 - s4\n", True),
    # What is multiplied by it is zero: nobody ever sets s4, v1, or the rate s2.
    ("def Setup():\n s6 = 1\n v1[0] = 1\ndef Predict():\n s2 = s3 * s4\n s1 = dot(v0, v1)\n"
     " s1 = s1 * s2\ndef Learn():\n s3 = s0 * s6\n", False),
    ("def Setup():\ndef Predict():\n s2 = dot(v0, v1)\n s1 = s1 * s2\ndef Learn():\n"
     " s1 = s0 - s1\n", False),
    ("def Setup():\ndef Predict():\n s1 = dot(v0, v1)\ndef Learn():\n s3 = s0 - s1\n"
     " s3 = s3 * s2\n v2 = s3 * v0\n v1 = v1 + v2\n", False),
    # A quotient, a norm and a maximum of zeros are zero, one more cosine is not.
    ("def Setup():\ndef Predict():\n s1 = dot(v0, v1)\ndef Learn():\n s3 = s4 / s5\n"
     " s4 = norm(v2)\n v3 = maximum(v2, v2)\n v2 = s3 * v3\n s3 = s0 * s4\n v1 = s3 * v0\n", False),
    ("def Setup():\ndef Predict():\n s1 = dot(v0, v1)\ndef Learn():\n s3 = cos(s5)\n s3 = s3 * s0\n"
     " v1 = s3 * v0\n", True),
])
def test_paths_are_followed_as_memory_is_written(source, expected):
  assert dependence.can_learn(text.parse(source, num_features=4)).tolist() == [expected]


def _predictions(space, tasks, programs):
  _, valid = Evaluator(space, tasks, lanes=64, trace=True).evaluate(programs).trace
  return valid[:, 0, 0, :, 1]


def test_a_probability_of_nothing_is_not_zero():
  # The prediction itself is the rate, and zero unless it is made a probability.
  program = text.parse(
      "def Setup():\ndef Predict():\n s1 = dot(v0, v1)\ndef Learn():\n s3 = s0 * s1\n"
      " v1 = s3 * v0\n", num_features=4)
  assert dependence.can_learn(program).tolist() == [True]
  assert dependence.can_learn(program, normalised=False).tolist() == [False]


@pytest.mark.parametrize("source, fewest", [
    # After an example what Setup has made is gone, or two later.
    ("def Setup():\n v2[0] = 1\ndef Predict():\n s1 = dot(v0, v1)\ndef Learn():\n v1 = s0 * v2\n"
     " v2 = v2 - v2\n", 0),
    ("def Setup():\n s2 = 1\ndef Predict():\n s1 = dot(v0, v1)\ndef Learn():\n v1 = s0 * v0\n"
     " v1 = s4 * v1\n s4 = s3 + s3\n s3 = s2 + s2\n s2 = s2 - s2\n", 2),
    # The first label alone stays in memory.
    ("def Setup():\n s2 = 1\ndef Predict():\n s1 = dot(v0, v1)\ndef Learn():\n s3 = s2 * s0\n"
     " v2 = s3 * v0\n v1 = v1 + v2\n s2 = s2 - s2\n", 0),
    ("def Setup():\n s2 = 1\ndef Predict():\n s1 = dot(v0, v1)\ndef Learn():\n s3 = s2 * s0\n"
     " v2 = s3 * v0\n v1 = v1 + v2\n", 9),
])
def test_the_first_labels_may_be_left_out(source, fewest):
  program = text.parse(source, num_features=4)
  for passed in range(5):
    possible = dependence.can_learn(program, passed=passed)
    assert possible.tolist() == [passed <= fewest]


_FILLED = -1.5, 0.5, np.inf, -np.inf, np.nan


@pytest.mark.parametrize("op", ops.all_ops(), ids=lambda op: op.name)
def test_ops_give_zeros_for_those_that_they_say(op):
  if not op.inputs:
    assert op.zero is ops.Zero.UNKNOWN
    return
  seen = set()  # of numbers only: which inputs were zero where the result always was
  for zeros in itertools.product((True, False), repeat=len(op.inputs)):
    numbers, others = (
        [np.asarray(op.rule(*(
            jnp.full(kind.shape(3), 0.0 if zero else value)
            for kind, zero, value in zip(op.inputs, zeros, values))))
         for values in itertools.product(filled, repeat=len(op.inputs))]
        for filled in (_FILLED[:2], _FILLED))
    if not any(np.nan_to_num(result).any() for result in numbers):
      seen.add(zeros)
    if _certain(op.zero, zeros):  # no number at worst
      assert all((np.isnan(result) | (result == 0)).all() for result in others)
  if op.zero is ops.Zero.SAME:
    for value in _FILLED:
      same = jnp.full(op.inputs[0].shape(3), value)
      assert not np.nan_to_num(op.rule(same, same)).any()
  every = set(itertools.product((True, False), repeat=len(op.inputs)))
  assert {zeros for zeros in every if _certain(op.zero, zeros)} == seen - _MORE.get(op.name, set())


def _certain(zero, zeros):
  return {
      ops.Zero.ANY: any(zeros), ops.Zero.FIRST: zeros[0], ops.Zero.ALL: all(zeros),
      ops.Zero.SAME: all(zeros), ops.Zero.UNKNOWN: False}[zero]


# Deviations of what is the same everywhere are zero, too.
_MORE = {name: {(False,)} for name in ("matrix_row_std", "vector_std", "matrix_std")}


def _random(space):
  return random_programs.random_programs(space, 3000, 5)


def _near_a_learner(space):
  learner = text.parse(
      "def Setup():\n s2 = 0.3\ndef Predict():\n s1 = dot(v0, v1)\ndef Learn():\n s3 = s0 - s1\n"
      " s3 = s3 * s2\n v2 = s3 * v0\n v1 = v1 + v2\n", space)
  programs = learner[np.zeros(1000, int)]
  for seed in range(3):
    programs = mutation.mutated(programs, mutation.mutator(), seed=seed)
  return programs


@pytest.mark.parametrize("make, space", [
    (_random, spaces.demo()), (_near_a_learner, random_programs.full_space(4))],
    ids=["demo", "all ops"])
def test_who_predicts_by_features_what_it_learned_is_not_ruled_out(make, space):
  programs = make(space)
  tasks = linear_regression(1, seed=3, num_train=6, num_valid=2)
  other_labels = dataclasses.replace(tasks, train_y=tasks.train_y[:, ::-1] + 0.3)
  other_example = dataclasses.replace(tasks, valid_x=tasks.valid_x[:, ::-1].copy())
  plain, labels, example = (
      _predictions(space, each, programs) for each in (tasks, other_labels, other_example))
  with np.errstate(invalid="ignore"):
    by_labels = np.abs(plain - labels) > 0
    by_features = np.abs(plain - example) > 0
  learns = by_labels[:, 0] & by_features[:, 0]
  possible = dependence.can_learn(programs, normalised=False)
  assert learns.sum() >= 10
  assert not (learns & ~possible).any()
  assert (~possible).sum() > 300
