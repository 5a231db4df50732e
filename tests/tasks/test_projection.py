from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from azero.tasks.projection import project, standardise
from azero.tasks.sampling import stratified_order, task_generators


def test_standardise_uses_the_training_part_alone():
  rng = np.random.default_rng(0)
  train, valid = rng.normal(5, 3, (50, 4)), rng.normal(-1, 2, (20, 4))
  new_train, new_valid = standardise(train, valid)
  np.testing.assert_allclose(new_train.mean(0), 0, atol=1e-12)
  np.testing.assert_allclose(new_train.std(0), 1, atol=1e-12)
  np.testing.assert_allclose(new_valid * train.std(0) + train.mean(0), valid, atol=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e9, 1e-9])
def test_a_column_constant_in_training_becomes_zero_everywhere(value):
  train = np.column_stack([np.full(30, value), np.arange(30.0)])
  new_train, new_valid = standardise(train, train[:5] + 1e6)
  assert np.all(new_train[:, 0] == 0) and np.all(new_valid[:, 0] == 0)
  assert abs(new_train[:, 1].std() - 1) < 1e-12


def test_small_variation_around_a_large_mean_is_kept():
  train = 1.6e9 + np.arange(10.0)[:, None]
  assert abs(standardise(train)[0].std() - 1) < 1e-6


def test_projection_is_gaussian_linear_and_standardised():
  rng = np.random.default_rng(0)
  train, valid = rng.uniform(0, 16, (60, 10)), rng.uniform(0, 16, (20, 10))
  new_train, new_valid = project(train, valid, 5, np.random.default_rng(7))
  assert new_train.shape == (60, 5) and new_valid.shape == (20, 5)
  np.testing.assert_allclose(new_train.mean(0), 0, atol=1e-12)
  np.testing.assert_allclose(new_train.std(0), 1, atol=1e-12)
  matrix = np.random.default_rng(7).standard_normal((10, 5))
  expected = (valid @ matrix - (train @ matrix).mean(0)) / (train @ matrix).std(0)
  np.testing.assert_allclose(new_valid, expected, atol=1e-12)


def test_projection_to_nothing_is_an_error():
  with pytest.raises(ValueError, match="num_features must be at least 1; got 0"):
    project(np.ones((3, 2)), np.ones((3, 2)), 0, np.random.default_rng(0))


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=5), seed=st.integers(0, 999),
    cut=st.floats(0, 1))
def test_every_stretch_of_a_stratified_order_is_proportional(counts, seed, cut):
  strata = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
  order = stratified_order(strata, np.random.default_rng(seed))
  np.testing.assert_array_equal(np.sort(order), np.arange(len(strata)))
  size = int(cut * len(strata))
  taken = np.bincount(strata[order[:size]], minlength=len(counts))
  # A cut at quantile t holds floor(n t) to ceil(n t) of a stratum of n, and t differs from
  # the cut fraction by at most the number of strata over the number of examples.
  slack = len(counts) * np.array(counts) / len(strata) + 1
  assert np.all(np.abs(taken - np.array(counts) * size / len(strata)) <= slack)


def test_generators_differ_by_seed_key_and_task_only():
  def draws(*arguments):
    return [rng.random() for rng in task_generators(*arguments)]

  assert draws(1, 3) == draws(1, 5)[:3]
  everything = draws(1, 3) + draws(2, 3) + draws(1, 3, 1) + draws(1, 3, 2)
  assert len(set(everything)) == 12
