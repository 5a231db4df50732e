"""Dependence: nothing that learns is ruled out, and a good deal of the rest is."""

import dataclasses

import numpy as np
import pytest
from support import random_programs

from azero.compiler import dependence
from azero.executors.evaluator import Evaluator
from azero.language import spaces, text, zoo
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
    ("def Setup():\ndef Predict():\n s2 = s3 * s4\n s1 = dot(v0, v1)\n s1 = s1 * s2\ndef Learn():\n"
     " s3 = s5 * s6\n s5 = s0 * s7\n", True),
    ("def Setup():\ndef Predict():\n s2 = dot(v0, v1)\n s1 = s1 * s2\ndef Learn():\n"
     " s1 = s0 - s1\n", True),
])
def test_paths_are_followed_as_memory_is_written(source, expected):
  assert dependence.can_learn(text.parse(source, num_features=4)).tolist() == [expected]


def _predictions(space, tasks, programs):
  _, valid = Evaluator(space, tasks, lanes=64, trace=True).evaluate(programs).trace
  return valid[:, 0, 0, :, 1]


def test_who_predicts_by_features_what_it_learned_is_not_ruled_out():
  space = spaces.demo()
  programs = random_programs.random_programs(space, 3000, 5)
  tasks = linear_regression(1, seed=3, num_train=6, num_valid=2)
  other_labels = dataclasses.replace(tasks, train_y=tasks.train_y[:, ::-1] + 0.3)
  other_example = dataclasses.replace(tasks, valid_x=tasks.valid_x[:, ::-1].copy())
  plain, labels, example = (
      _predictions(space, each, programs) for each in (tasks, other_labels, other_example))
  with np.errstate(invalid="ignore"):
    by_labels = np.abs(plain - labels) > 0
    by_features = np.abs(plain - example) > 0
  learns = by_labels[:, 0] & by_features[:, 0]
  possible = dependence.can_learn(programs)
  assert learns.sum() >= 10
  assert not (learns & ~possible).any()
  assert (~possible).sum() > 300
