"""When variants count as the same, and what a bench hands on."""

import numpy as np
import pytest

import azero
from azero.insight.bench import Bench
from azero.insight.decoupling import decouple
from azero.insight.simplification import simplify
from azero.insight.tuning import tune
from azero.language import zoo

# Logits of 1e-8: normalised they are all one third, by the bits of a fingerprint.
_SMALL_LOGITS = """
def Setup():
  s2 = 1e-8
def Predict():
  v2 = dot(m0, v0)
def Learn():
  v3 = v1 - v2
  v3 = s2 * v3
  m1 = outer(v3, v0)
  m0 = m0 + m1
"""
_TWO_RATES = """
def Setup():
  s2 = 1e-9
  s7 = 0.1
def Predict():
  v2 = dot(m0, v0)
  v2 = v2 + v4
def Learn():
  v3 = v1 - v2
  v3 = s2 * v3
  m1 = outer(v3, v0)
  m0 = m0 + m1
  v3 = s7 * v3
  v4 = v4 + v3
"""


@pytest.fixture(scope="module")
def three_classes():
  rng = np.random.default_rng(0)
  weights, x = rng.standard_normal((4, 3)), rng.standard_normal((4, 80, 4))
  y = (x @ weights).argmax(-1)
  return Bench(azero.make_tasks(
      x[:, :60], y[:, :60], x[:, 60:], y[:, 60:], "accuracy", num_classes=3))


def test_small_logits_decide_as_large_ones_do(three_classes):
  simpler = simplify(_SMALL_LOGITS, three_classes)
  assert simpler.fitness == simpler.original_fitness > 0.7
  # Beside labels of 1 the prediction is nothing; but what is learnt is needed.
  assert simpler.program.lengths.sum() == 5


def test_a_constant_that_moves_small_logits_has_an_effect(three_classes):
  assert "makes no difference" not in str(decouple(_TWO_RATES, three_classes))


def test_trials_of_a_bench_are_trained_as_its_variants_are():
  tasks = azero.linear_regression(num_tasks=2, seed=0, num_train=20, num_valid=10)
  program = zoo.source("linear_regressor")
  bench = Bench(tasks, num_epochs=8)
  own = tune(program, bench, num_trials=1)
  assert own.tuning.fitness == tune(program, tasks, num_trials=1, num_epochs=8).tuning.fitness
  assert own.tuning.fitness == tune(program, bench, num_trials=1, num_epochs=8).tuning.fitness
  assert own.tuning.fitness > tune(program, bench, num_trials=1, num_epochs=1).tuning.fitness
