import dataclasses
import math

import jax
import numpy as np
import pytest

from azero.insight import baselines
from azero.tasks import (
  affine_regression,
  make_tasks,
  projected_digits,
  teacher_regression,
)


def test_constant_predicts_majority_or_mean_of_the_training_part():
  x = np.zeros((2, 4, 3))
  labels = np.array([[0, 1, 1, 1], [0, 0, 0, 1]])
  valid = np.array([[1, 1, 1, 0], [1, 1, 1, 0]])
  tasks = make_tasks(x, labels, x, valid, "accuracy")
  np.testing.assert_array_equal(baselines.constant(tasks), [0.75, 0.25])
  tasks = make_tasks(x, labels * 4.0, x, valid * 4.0, "rms")
  # Means 3 and 1 against 4, 4, 4, 0.
  rms = np.sqrt([(3 * 1 + 9) / 4, (3 * 9 + 1) / 4])
  np.testing.assert_allclose(
      baselines.constant(tasks), [1 - 2 / math.pi * math.atan(value) for value in rms])


def test_digit_pairs_are_nearly_separable():
  tasks = projected_digits("pairs", "search", 27, seed=0)
  linear, network = baselines.linear(tasks), baselines.neural_network(tasks)
  assert linear.shape == network.shape == (27,)
  assert 0.96 < linear.mean() < 0.99
  assert 0.97 < network.mean() < 0.995


def test_digit_groups_tell_linear_from_nonlinear():
  tasks = projected_digits("groups", "search", 27, seed=0)
  assert np.abs(baselines.constant(tasks) - 0.5).max() < 0.03
  assert 0.79 < baselines.linear(tasks).mean() < 0.84
  assert 0.93 < baselines.neural_network(tasks).mean() < 0.965


def test_ten_classes():
  tasks = projected_digits("ten_classes", "search", 4, seed=0, num_train=600)
  assert np.abs(baselines.constant(tasks) - 0.1).max() < 0.01
  assert 0.83 < baselines.linear(tasks).mean() < 0.92
  assert 0.88 < baselines.neural_network(tasks).mean() < 0.96


def test_affine_regression_is_solved_and_a_teacher_is_not_linear():
  assert baselines.linear(affine_regression(8, seed=0)).min() > 0.999
  tasks = teacher_regression(8, seed=0, num_features=8, num_train=1000)
  constant, linear = baselines.constant(tasks), baselines.linear(tasks)
  network = baselines.neural_network(tasks)
  assert np.all(constant < linear) and linear.max() < 0.5
  assert network.min() > 0.8


@pytest.mark.parametrize("baseline", [baselines.linear, baselines.neural_network])
def test_seed_decides_and_tasks_do_not_influence_each_other(baseline):
  tasks = teacher_regression(4, seed=1, num_train=50)
  first = baseline(tasks, num_epochs=3, seed=1)
  np.testing.assert_array_equal(first, baseline(tasks, num_epochs=3, seed=1))
  assert np.abs(first - baseline(tasks, num_epochs=3, seed=2)).min() > 1e-6
  others = teacher_regression(4, seed=2, num_train=50)
  mixed = dataclasses.replace(tasks, **{
      name: np.concatenate([getattr(others, name)[:2], getattr(tasks, name)[2:]])
      for name in ("train_x", "train_y", "valid_x", "valid_y", "seeds")})
  np.testing.assert_allclose(first[2:], baseline(mixed, num_epochs=3, seed=1)[2:], atol=1e-5)


def test_validation_labels_are_not_seen():
  tasks = projected_digits("pairs", "search", 2, seed=0)
  flipped = make_tasks(tasks.train_x, tasks.train_y, tasks.valid_x, 1 - tasks.valid_y, "accuracy")
  right = baselines.neural_network(tasks, num_epochs=5)
  np.testing.assert_allclose(right + baselines.neural_network(flipped, num_epochs=5), 1)


def test_results_are_those_of_float32_under_64_bit_types():
  tasks = teacher_regression(4, seed=1, num_train=50)
  expected = baselines.neural_network(tasks, num_epochs=3)
  with jax.enable_x64(True):
    np.testing.assert_allclose(
        baselines.neural_network(tasks, num_epochs=3), expected, atol=1e-5)


def test_divergence_is_fitness_zero():
  for tasks in (affine_regression(8, seed=0), projected_digits("pairs", "search", 27, seed=0)):
    fitness = baselines.linear(tasks, learning_rate=math.inf)
    np.testing.assert_array_equal(fitness, np.zeros(len(tasks)))


def test_bad_settings_are_one_clear_error():
  tasks = affine_regression(1, seed=0)
  with pytest.raises(ValueError, match="hidden must be at least 1; got 0"):
    baselines.neural_network(tasks, hidden=0)
  with pytest.raises(ValueError, match="must be at least 1; got 0 and 32"):
    baselines.linear(tasks, num_epochs=0)
  with pytest.raises(ValueError, match="must be at least 1; got None and 0"):
    baselines.linear(tasks, batch_size=0)
