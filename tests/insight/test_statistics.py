"""Statistics against sums of probabilities that are written out here."""

import math

from hypothesis import example, given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy import stats

from azero.insight import statistics


def _hypergeometric(successes, total, control_successes, control_total):
  """Probability of a table with these margins."""
  return math.comb(total, successes) * math.comb(control_total, control_successes) / math.comb(
      total + control_total, successes + control_successes)


@pytest.mark.parametrize("table", [(8, 30, 0, 30), (30, 30, 3, 30), (24, 30, 0, 30), (3, 7, 2, 9)])
def test_fisher_sums_the_tables_that_are_as_unlikely(table):
  successes, total, control, control_total = table
  both = successes + control
  probabilities = {
      k: _hypergeometric(k, total, both - k, control_total)
      for k in range(max(0, both - control_total), min(total, both) + 1)}
  greater = sum(p for k, p in probabilities.items() if k >= successes)
  two_sided = sum(
      p for p in probabilities.values() if p <= probabilities[successes] * (1 + 1e-9))
  assert statistics.fisher_exact(*table, alternative="greater") == pytest.approx(greater, rel=1e-9)
  assert statistics.fisher_exact(*table) == pytest.approx(two_sided, rel=1e-9)


def test_wilson_solves_its_quadratic():
  interval = statistics.wilson(24, 30)
  z = stats.norm.isf(0.025)
  for bound in (interval.low, interval.high):
    assert (0.8 - bound) ** 2 == pytest.approx(z**2 * bound * (1 - bound) / 30, rel=1e-9)
  assert interval.estimate == 0.8 and interval.low < 0.8 < interval.high
  assert statistics.wilson(0, 30).low == pytest.approx(0, abs=1e-12)


@given(st.integers(1, 50), st.floats(1e-3, 1e12))
def test_poisson_bounds_are_where_the_tails_are_small(count, exposure):
  rate = statistics.poisson_rate(count, exposure)
  assert rate.estimate == count / exposure
  assert stats.poisson.sf(count - 1, rate.low * exposure) == pytest.approx(0.025, rel=1e-6)
  assert stats.poisson.cdf(count, rate.high * exposure) == pytest.approx(0.025, rel=1e-6)


def test_no_event_bounds_a_rate_from_above():
  rate = statistics.poisson_rate(0, 1e6)
  assert (rate.estimate, rate.low) == (0.0, 0.0)
  assert rate.high == pytest.approx(-math.log(0.025) / 1e6)  # exp(-rate n) = 0.025


def test_a_ratio_is_that_of_the_rates():
  ratio = statistics.rate_ratio(20, 1e6, 4, 2e6)
  assert ratio.estimate == pytest.approx(10)
  # Of 24 events 20 were in a third of the exposure.
  share_low = ratio.low / (ratio.low + 2)
  share_high = ratio.high / (ratio.high + 2)
  assert stats.binom.sf(19, 24, share_low) == pytest.approx(0.025, rel=1e-6)
  assert stats.binom.cdf(20, 24, share_high) == pytest.approx(0.025, rel=1e-6)


def test_without_events_of_the_base_a_ratio_has_a_lower_bound():
  ratio = statistics.rate_ratio(10, 1e5, 0, 1e6)
  assert ratio.estimate == ratio.high == math.inf
  share = ratio.low / (ratio.low + 10)
  assert share**10 == pytest.approx(0.025, rel=1e-6)  # all of ten events in the first
  none = statistics.rate_ratio(0, 1e5, 0, 1e6)
  assert math.isnan(none.estimate) and (none.low, none.high) == (0, math.inf)
  assert statistics.rate_ratio(0, 1e5, 10, 1e6).low == 0


@settings(max_examples=30)
@given(st.integers(0, 30), st.integers(0, 30), st.floats(0.1, 10))
def test_the_inverse_ratio_has_the_inverse_interval(first, second, exposure):
  ratio = statistics.rate_ratio(first, exposure, second, 1.0)
  inverse = statistics.rate_ratio(second, 1.0, first, exposure)
  for one, other in ((ratio.low, inverse.high), (ratio.high, inverse.low)):
    assert one == pytest.approx(math.inf if other == 0 else 1 / other, rel=1e-6)


def test_a_ratio_of_rates_covers_the_truth():
  generator = np.random.default_rng(0)
  counts = generator.poisson([12.0, 3.0], (150, 2))
  intervals = [statistics.rate_ratio(int(a), 1.0, int(b), 1.0) for a, b in counts]
  covered = np.mean([interval.low <= 4 <= interval.high for interval in intervals])
  assert 0.92 <= covered <= 1


def test_means_and_fractions_with_their_errors():
  assert statistics.mean_and_two_sem([1.0, 2.0, 3.0]) == pytest.approx((2.0, 2 / math.sqrt(3)))
  mean, error = statistics.mean_and_two_sem([5.0])
  assert mean == 5.0 and math.isnan(error)
  assert statistics.fraction_and_two_sigma(25, 100) == pytest.approx((0.25, 2 * 0.0433012701))
  assert statistics.fraction_and_two_sigma(0, 10) == (0.0, 0.0)


@pytest.mark.parametrize("call", [
    lambda: statistics.wilson(3, 2), lambda: statistics.wilson(0, 0),
    lambda: statistics.fisher_exact(-1, 3, 0, 3), lambda: statistics.fisher_exact(1, 3, 4, 3),
    lambda: statistics.fraction_and_two_sigma(0, 0), lambda: statistics.poisson_rate(-1, 1.0),
    lambda: statistics.poisson_rate(1, 0.0), lambda: statistics.rate_ratio(1, 0.0, 1, 1.0),
    lambda: statistics.rate_ratio(1, 1.0, -1, 1.0), lambda: statistics.mean_and_two_sem([])])
def test_impossible_counts_are_refused(call):
  with pytest.raises(ValueError, match=r"cannot be|needs a|no values"):
    call()


def test_a_paired_difference_is_students():
  rng = np.random.default_rng(4)
  first, second = rng.standard_normal((2, 9)) + [[0.5], [0.0]]
  wanted = stats.ttest_rel(first, second).confidence_interval(0.9)
  got = statistics.paired_difference(first, second, 0.9)
  np.testing.assert_allclose(
      (got.estimate, got.low, got.high), ((first - second).mean(), wanted.low, wanted.high))
  same = statistics.paired_difference(first, first)
  assert same.estimate == same.low == same.high == 0
  alone = statistics.paired_difference([1.0], [0.25])
  assert (alone.estimate, alone.low, alone.high) == (0.75, -np.inf, np.inf)
  for bad in (([], []), ([1.0], [1.0, 2.0])):
    with pytest.raises(ValueError, match="Pairs need two equally long lists"):
      statistics.paired_difference(*bad)


# SciPy warns of values that are all the same, though their variance is exact.
@pytest.mark.filterwarnings("ignore:Precision loss")
@example([0.0, 1.0], [1.0, 1.0])
@given(
    st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=9),
    st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=9))
def test_a_difference_of_means_has_the_interval_of_welchs_test(first, second):
  if np.var(first) + np.var(second) < 1e-6:
    return
  found = statistics.mean_difference(first, second)
  expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
  assert found.estimate == pytest.approx(np.mean(first) - np.mean(second), abs=1e-9)
  assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-6)


def test_a_difference_of_single_values_has_no_bounds():
  assert statistics.mean_difference([3.0], [1.0, 2.0]) == statistics.Interval(
      1.5, -math.inf, math.inf)
  assert statistics.mean_difference([2.0, 2.0], [1.0, 1.0]) == statistics.Interval(1.0, 1.0, 1.0)
  with pytest.raises(ValueError, match="no values"):
    statistics.mean_difference([], [1.0])


def test_mann_whitney_counts_orders_of_few_values():
  # 3 and 3 values, all of one above all of the other: 2 of 20 orders.
  assert statistics.mann_whitney([4, 5, 6], [1, 2, 3]) == pytest.approx(2 / 20)
  assert statistics.mann_whitney([1, 2], [1, 2]) == 1.0
  with pytest.raises(ValueError, match="both samples"):
    statistics.mann_whitney([], [1.0])
