"""Programs that cost more than the budget have fitness 0 without being run."""

import numpy as np
import pytest
from support.scoring import Scoring
from support.search_cases import config

import azero

_CHEAP = "def Predict():\n  s1 = dot(v0, v0)\n"
_DEAR = "def Predict():\n" + "  m0 = matmul(m0, m0)\n" * 40 + "  s1 = norm(m0)\n"
_DEAD = "def Predict():\n" + "  m0 = matmul(m0, m0)\n" * 40 + "  s1 = dot(v0, v0)\n"


def test_only_live_instructions_count():
  programs = azero.parse_many([_CHEAP, _DEAR, _DEAD], num_features=4)
  tasks = azero.linear_regression(2, seed=0, num_train=5, num_valid=5)
  free = Scoring(programs.space, [tasks])
  limited = Scoring(programs.space, [tasks], train_budget=4.0)
  islands = np.zeros(3, int)
  expected, _ = free.evaluate(programs, islands)
  fitness, steps = limited.evaluate(programs, islands)
  assert expected[1] > 0
  assert list(fitness) == [expected[0], 0.0, expected[2]]
  assert steps[1] == 0 and limited.counts.over_budget == 1
  assert limited.counts.canonical_hits == 1


def test_the_plain_network_is_its_own_unit():
  network = azero.zoo.load("plain_nn", 4)
  tasks = azero.linear_regression(2, seed=0, num_train=5, num_valid=5)
  for budget, refused in ((1.0, 0), (0.99, 1)):
    limited = Scoring(network.space, [tasks], train_budget=budget)
    limited.evaluate(network, np.zeros(1, int))
    assert limited.counts.over_budget == refused


@pytest.mark.parametrize("features, num_train", [(4, 5), (16, 40)])
def test_the_unit_is_the_network_with_the_features_of_the_tasks(features, num_train):
  program = azero.parse(_DEAR, num_features=features)
  network = azero.zoo.load("plain_nn", features)
  tasks = azero.linear_regression(
      1, seed=0, num_features=features, num_train=num_train, num_valid=5)
  cost, unit = (
      sum(azero.all_ops()[op].cost(features) for op in programs.opcode[0] if op >= 0)
      for programs in (program, network))
  for budget, refused in ((0.999 * cost / unit, 1), (1.001 * cost / unit, 0)):
    limited = Scoring(program.space, [tasks], train_budget=budget, fingerprint=False)
    limited.evaluate(program, np.zeros(1, int))
    assert (limited.counts.over_budget, limited.counts.evaluated) == (refused, 1 - refused)


def test_a_budget_must_be_positive():
  with pytest.raises(ValueError, match="train_budget must be positive or None, got 0"):
    config(train_budget=0.0)
