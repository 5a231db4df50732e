import numpy as np
import pytest

from azero.tasks import (
  affine_classification,
  affine_regression,
  linear_classification,
  linear_regression,
  teacher_classification,
  teacher_regression,
)

REGRESSION = [linear_regression, affine_regression, teacher_regression]
CLASSIFICATION = [linear_classification, affine_classification, teacher_classification]
SOURCES = [*REGRESSION, *CLASSIFICATION]


def residuals(tasks, with_offset):
  """Largest least-squares residual of each task over training and validation examples."""
  result = []
  for k in range(len(tasks)):
    x = np.concatenate([tasks.train_x[k], tasks.valid_x[k]])
    y = np.concatenate([tasks.train_y[k], tasks.valid_y[k]])
    if with_offset:
      x = np.column_stack([x, np.ones(len(x))])
    result.append(np.abs(x @ np.linalg.lstsq(x, y)[0] - y).max())
  return np.array(result)


def test_linear_labels_are_one_linear_function_per_task():
  tasks = linear_regression(5, seed=3, num_features=6, num_train=40, num_valid=20)
  assert residuals(tasks, with_offset=False).max() < 1e-9
  one = linear_regression(1, seed=3, num_features=6)
  other = linear_regression(1, seed=4, num_features=6)
  weights = [np.linalg.lstsq(t.train_x[0], t.train_y[0])[0] for t in (one, other)]
  assert np.abs(weights[0] - weights[1]).min() > 1e-6


def test_affine_labels_need_the_offset():
  tasks = affine_regression(5, seed=3)
  assert residuals(tasks, with_offset=True).max() < 1e-9
  assert residuals(tasks, with_offset=False).min() > 1e-3


def test_teacher_with_one_feature_is_linear_on_each_half_line_and_flat_on_one():
  # u . relu(M x) with F = 1 is u * max(M x, 0): zero on one side, linear on the other.
  tasks = teacher_regression(8, seed=0, num_features=1, num_train=200)
  for x, y in zip(tasks.train_x[..., 0], tasks.train_y):
    flat = [np.all(y[side] == 0) for side in (x > 0, x < 0)]
    assert sorted(flat) == [False, True]
    active = (x < 0) if flat[0] else (x > 0)
    assert np.ptp(y[active] / x[active]) < 1e-12


def test_teacher_is_not_affine_and_has_the_variance_of_relu_networks():
  tasks = teacher_regression(300, seed=1, num_features=8, num_train=50)
  assert residuals(tasks[:20], with_offset=True).min() > 1e-2
  # E[L^2] = F * E[relu(N(0, F))^2] = F * F / 2 = 32 for independent Gaussian u and M.
  assert 24 < np.mean(tasks.train_y**2) < 40


def test_distribution_of_features_and_weights():
  tasks = linear_regression(400, seed=0)
  for moment, expected, tolerance in ((1, 0, 0.02), (2, 1, 0.03), (4, 3, 0.15)):
    assert abs(np.mean(tasks.train_x**moment) - expected) < tolerance
  weights = np.stack([np.linalg.lstsq(x, y)[0] for x, y in zip(tasks.train_x, tasks.train_y)])
  assert abs(weights.mean()) < 0.08 and abs(weights.std() - 1) < 0.06
  assert tasks.metric == "rms" and tasks.num_classes == 0


@pytest.mark.parametrize(("make", "regression"), [*zip(CLASSIFICATION, REGRESSION)])
def test_classes_are_the_sign_of_the_regression_of_their_name(make, regression):
  sizes = {"seed": 2, "num_features": 3, "num_train": 60, "num_valid": 30}
  tasks, real = make(40, **sizes), regression(40, **sizes)
  assert (tasks.metric, tasks.num_classes, tasks.multiclass) == ("accuracy", 2, False)
  np.testing.assert_array_equal(tasks.train_x, real.train_x)
  np.testing.assert_array_equal(tasks.seeds, real.seeds)
  for labels, values in ((tasks.train_y, real.train_y), (tasks.valid_y, real.valid_y)):
    np.testing.assert_array_equal(labels, np.where(values > 0, 1.0, 0.0))
  # Half of all examples are positive, but of single tasks only where L is odd.
  shares = tasks.train_y.mean(1)
  assert abs(shares.mean() - 0.5) < 0.15
  assert (np.abs(shares - 0.5).max() < 0.25) == (make is linear_classification)


@pytest.mark.parametrize("make", SOURCES)
def test_shapes_determinism_and_prefix_stability(make):
  tasks = make(6, seed=5, num_features=3, num_train=7, num_valid=4)
  again = make(6, seed=5, num_features=3, num_train=7, num_valid=4)
  prefix = make(2, seed=5, num_features=3, num_train=7, num_valid=4)
  more_valid = make(6, seed=5, num_features=3, num_train=7, num_valid=9)
  assert tasks.train_x.shape == (6, 7, 3) and tasks.valid_x.shape == (6, 4, 3)
  for name in ("train_x", "train_y", "valid_x", "valid_y", "seeds"):
    np.testing.assert_array_equal(getattr(tasks, name), getattr(again, name))
    np.testing.assert_array_equal(getattr(tasks, name)[:2], getattr(prefix, name))
  np.testing.assert_array_equal(tasks.train_x, more_valid.train_x)
  assert len(set(tasks.seeds.tolist())) == 6
  assert len(np.unique(tasks.train_x)) == tasks.train_x.size
  assert not set(tasks.seeds.tolist()) & set(make(6, seed=6).seeds.tolist())


@pytest.mark.parametrize("arguments, message", [
    ({"num_tasks": 0}, "num_tasks must be at least 1; got 0"),
    ({"seed": -1}, "seed must be 0 or more; got -1"),
    ({"num_features": 0}, "num_features must be at least 1; got 0"),
    ({"num_train": 0}, "num_train must be at least 1; got 0"),
    ({"num_valid": -2}, "num_valid must be at least 1; got -2"),
])
def test_bad_sizes_are_one_clear_error(arguments, message):
  with pytest.raises(ValueError, match=message):
    linear_regression(**({"num_tasks": 1, "seed": 0} | arguments))
