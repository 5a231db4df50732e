"""Times to success against the textbook's leukaemia trial, and against sums that are done by hand.

The trial of 6-mercaptopurine, Freireich et al. (Blood 21, 1963): weeks to relapse of 42 patients,
as in the textbooks that print its Kaplan-Meier table and log-rank test.
"""

import math

import numpy as np
import pytest
from scipy import stats

from azero.insight import survival
from azero.insight.survival import Times

_TREATED = Times(
    [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35],
    [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0])
_PLACEBO = Times(
    [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], [True] * 21)
# Two successes and one broken off between them, by hand: 1 up to 2, then 2/3, from 8 on 0.
_THREE = Times([2, 5, 8], [True, False, True])


def test_kaplan_meier_of_the_textbook():
  curve = survival.kaplan_meier(_TREATED)
  assert curve.times.tolist() == [6, 7, 10, 13, 16, 22, 23]
  assert curve.at_risk.tolist() == [21, 17, 15, 12, 11, 7, 6]
  assert curve.events.tolist() == [3, 1, 1, 1, 1, 1, 1]
  assert curve.survival.round(4).tolist() == [
      0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482]
  assert curve.at(5.9) == 1 and curve.at(6) == pytest.approx(18 / 21)
  assert curve.at(1000) == curve.survival[-1]


def test_without_censoring_the_curve_is_the_share_that_is_left():
  curve = survival.kaplan_meier(_PLACEBO)
  np.testing.assert_allclose(
      curve.survival, [(_PLACEBO.spent > time).mean() for time in curve.times], atol=1e-12)
  assert _PLACEBO.follow_up == math.inf and _TREATED.follow_up == 35


def test_log_rank_of_the_textbook():
  test = survival.log_rank(_TREATED, _PLACEBO)
  assert test.statistic == pytest.approx(16.793, abs=5e-4)
  assert (test.observed, round(test.expected, 2)) == (9, 19.25)
  assert test.pvalue == pytest.approx(stats.chi2.sf(test.statistic, 1), rel=1e-9)
  other = survival.log_rank(_PLACEBO, _TREATED)
  assert other.statistic == pytest.approx(test.statistic)
  assert (other.observed, round(other.expected, 2)) == (21, 10.75)


def test_log_rank_is_the_one_of_scipy():
  rng = np.random.default_rng(5)
  for _ in range(5):
    groups = [Times(rng.integers(1, 9, size=n), rng.random(n) < 0.6) for n in (7, 11)]
    samples = [stats.CensoredData.right_censored(one.spent, ~one.success) for one in groups]
    expected = stats.logrank(*samples)
    test = survival.log_rank(*groups)
    assert test.pvalue == pytest.approx(expected.pvalue, rel=1e-9)
    assert test.statistic == pytest.approx(expected.statistic**2, rel=1e-9)


@pytest.mark.parametrize("groups", [
    (Times([3, 4], [False, False]), Times([5], [False])),  # no success at all
    (Times([3], [False]), Times([4, 5], [True, True]))])  # at no success were both at risk
def test_where_no_test_is_possible_there_is_no_difference(groups):
  assert survival.log_rank(*groups).pvalue == 1


def test_restricted_means_by_hand():
  assert survival.restricted_mean(_THREE, 8) == pytest.approx(2 + 6 * 2 / 3)
  assert survival.restricted_mean(_THREE, 5) == pytest.approx(2 + 3 * 2 / 3)
  assert survival.restricted_mean(_THREE, 1) == 1
  assert survival.restricted_mean(_THREE, 20) == pytest.approx(6)
  assert survival.restricted_mean(_PLACEBO, 23) == pytest.approx(_PLACEBO.spent.mean())
  with pytest.raises(ValueError, match="horizon must be positive and finite, got 0"):
    survival.restricted_mean(_THREE, 0)


def test_the_common_horizon_is_where_the_first_curve_is_not_known_any_more():
  assert survival.common_horizon([_TREATED, _PLACEBO]) == 35
  assert survival.common_horizon([Times([4, 9], [True, False]), _TREATED]) == 9
  assert survival.common_horizon([_PLACEBO, _THREE]) == 23
  # One that is broken off at the time of the last success is not known beyond.
  assert Times([4, 4], [True, False]).follow_up == 4
  with pytest.raises(ValueError, match="one or more groups"):
    survival.common_horizon([])


def test_holm_by_hand():
  assert survival.holm([0.01, 0.04, 0.03, 0.005]).tolist() == [0.03, 0.06, 0.06, 0.02]
  assert survival.holm([0.5, 0.9]).tolist() == [1.0, 1.0]
  assert survival.holm([]).size == 0
  with pytest.raises(ValueError, match="from 0 to 1"):
    survival.holm([0.2, math.nan])


def test_a_bootstrap_is_seeded_and_covers():
  values = np.random.default_rng(0).exponential(3.0, 40)
  first, again, other = (
      survival.bootstrap(lambda counts: counts @ values / 40, 40, seed=seed) for seed in (1, 1, 2))
  assert first == again != other
  assert first.estimate == pytest.approx(values.mean())
  # About two standard errors to each side.
  width = 1.96 * values.std() / math.sqrt(40)
  assert first.low == pytest.approx(values.mean() - width, abs=0.35 * width)
  assert first.high == pytest.approx(values.mean() + width, abs=0.35 * width)
  with pytest.raises(ValueError, match="one or more searches, got 0"):
    survival.bootstrap(lambda counts: counts.sum(1), 0)


def test_the_cost_of_a_success_is_all_that_was_spent():
  cost = survival.cost_of_success(_THREE)
  assert cost.estimate == 7.5 and cost.low == pytest.approx(2)
  assert cost.high == math.inf  # one resample in 27 has no success
  many = survival.cost_of_success(Times([10.0] * 30, [True] * 15 + [False] * 15))
  assert many.estimate == 20 and 12 < many.low < 20 < many.high < 45


def test_without_success_the_cost_has_a_lower_bound():
  cost = survival.cost_of_success(Times([100, 200], [False, False]))
  # The rate of successes whose count is zero with a probability of 0.025.
  assert cost.estimate == cost.high == math.inf
  assert cost.low == pytest.approx(300 / -math.log(0.025))


def test_an_interval_of_the_restricted_mean_holds_it():
  interval = survival.restricted_mean_interval(_TREATED, 35, seed=3)
  assert interval.estimate == survival.restricted_mean(_TREATED, 35)
  assert 15 < interval.low < interval.estimate < interval.high < 31


def test_resampled_means_are_the_areas_under_their_curves():
  counts = np.random.default_rng(1).multinomial(3, [1 / 3] * 3, size=20)
  found = survival._restricted_means(_THREE, 7.0, counts.astype(float))
  for row, mean in zip(counts, found):
    curve = survival.kaplan_meier(
        Times(np.repeat(_THREE.spent, row), np.repeat(_THREE.success, row)))
    assert mean == pytest.approx(sum(curve.at(time) for time in range(7)))  # times are whole


@pytest.mark.parametrize(("spent", "success", "message"), [
    ([], [], "one or more searches"), ([1, 2], [True], "one or more searches"),
    ([0], [True], "must be positive and finite"), ([math.inf], [True], "positive and finite")])
def test_times_that_are_none(spent, success, message):
  with pytest.raises(ValueError, match=message):
    Times(spent, success)
