"""Statistics of experiments: rates of success, their ratios, and whether two of them differ.

The tables of the AutoML-Zero paper give means with two standard errors, fractions with two
sigma, and p-values that compare an experiment with its control (sections 4.3 and S9, S10).
Rare successes, as those of figure 4, need exact intervals: a rate may be known only by a
count of zero. The intervals here never divide by what may be zero.
"""

from collections.abc import Sequence
import dataclasses
import math

import numpy as np
import scipy  # its parts are loaded when they are first used

CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True)
class Interval:
  """An estimate with its confidence interval.

  Attributes:
    estimate: the most likely value; infinite or NaN where there is none.
    low: lower bound.
    high: upper bound, infinite if there is none.
  """

  estimate: float
  low: float
  high: float


def fisher_exact(
    successes: int, total: int, control_successes: int, control_total: int, *,
    alternative: str = "two-sided",
) -> float:
  """p-value of Fisher's exact test that two fractions are one.

  Args:
    successes: of the experiment.
    total: its repeats.
    control_successes: of the control.
    control_total: its repeats.
    alternative: "two-sided", or "greater" if only more successes than in the control count.

  Raises:
    ValueError: counts that no repeats can have.
  """
  _check_counts(successes, total)
  _check_counts(control_successes, control_total)
  table = [
      [successes, total - successes], [control_successes, control_total - control_successes]]
  return float(scipy.stats.fisher_exact(table, alternative=alternative).pvalue)


def wilson(successes: int, total: int, confidence: float = CONFIDENCE) -> Interval:
  """A fraction with Wilson's interval.

  Raises:
    ValueError: counts that no repeats can have.
  """
  _check_counts(successes, total)
  bounds = scipy.stats.binomtest(successes, total).proportion_ci(confidence, method="wilson")
  return Interval(successes / total, float(bounds.low), float(bounds.high))


def poisson_rate(count: int, exposure: float, confidence: float = CONFIDENCE) -> Interval:
  """A rate of rare events with the exact interval of a Poisson count.

  Args:
    count: events seen.
    exposure: what they were seen in, e.g. programs; the rate is one per unit of it.
    confidence: of the two-sided interval.

  Returns:
    The rate; of no events the lower bound is 0.

  Raises:
    ValueError: a negative count, or no exposure.
  """
  if count < 0 or not exposure > 0:
    raise ValueError(
        f"A rate needs a count of at least 0 and a positive exposure, got {count} in {exposure}.")
  tail = (1 - confidence) / 2
  low = scipy.stats.chi2.ppf(tail, 2 * count) / 2 if count else 0.0
  high = scipy.stats.chi2.isf(tail, 2 * (count + 1)) / 2
  return Interval(count / exposure, float(low) / exposure, float(high) / exposure)


def rate_ratio(
    count: int, exposure: float, base_count: int, base_exposure: float,
    confidence: float = CONFIDENCE,
) -> Interval:
  """How many times larger one rate is than another, with an exact interval.

  Given the sum of two Poisson counts, the first is binomial; its exact interval is turned
  into one of the ratio. A count that is binomial itself varies less than a Poisson count, for
  which the interval is then wider than it need be.

  Args:
    count: events of the first.
    exposure: what they were seen in.
    base_count: events of the second.
    base_exposure: what they were seen in.
    confidence: of the two-sided interval.

  Returns:
    The ratio: infinite, with a lower bound, if only the second had no events; NaN, from 0 to
    infinity, if neither had any.

  Raises:
    ValueError: a negative count, or no exposure.
  """
  for events, size in ((count, exposure), (base_count, base_exposure)):
    poisson_rate(events, size)  # refuses what is no rate
  scale = base_exposure / exposure
  if not count + base_count:
    return Interval(math.nan, 0.0, math.inf)
  test = scipy.stats.binomtest(count, count + base_count)
  bounds = test.proportion_ci(confidence, method="exact")
  estimate = count / base_count * scale if base_count else math.inf
  return Interval(estimate, _odds(float(bounds.low)) * scale, _odds(float(bounds.high)) * scale)


def mean_and_two_sem(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
  """The mean of some values, and two standard errors of it (NaN for a single value).

  Raises:
    ValueError: no value.
  """
  array = np.asarray(values, np.float64)
  if not array.size:
    raise ValueError("There is no mean of no values.")
  if array.size == 1:
    return float(array[0]), math.nan
  return float(array.mean()), float(2 * array.std(ddof=1) / math.sqrt(array.size))


def paired_difference(
    first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray,
    confidence: float = CONFIDENCE,
) -> Interval:
  """The mean of the differences of pairs, with Student's interval.

  Args:
    first: [N].
    second: [N], of the same tasks, rows or seeds.
    confidence: of the two-sided interval.

  Returns:
    The mean of first - second; without bounds for a single pair.

  Raises:
    ValueError: no pairs, or what cannot be paired.
  """
  one, two = np.asarray(first, np.float64), np.asarray(second, np.float64)
  if one.shape != two.shape or one.ndim != 1 or not one.size:
    raise ValueError(f"Pairs need two equally long lists, got shapes {one.shape} and {two.shape}.")
  differences = one - two
  mean = float(differences.mean())
  if one.size == 1:
    return Interval(mean, -math.inf, math.inf)
  quantile = float(scipy.special.stdtrit(one.size - 1, (1 + confidence) / 2))
  width = quantile * float(differences.std(ddof=1)) / math.sqrt(one.size)
  return Interval(mean, mean - width, mean + width)


def mean_difference(
    first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray,
    confidence: float = CONFIDENCE,
) -> Interval:
  """The difference of the means of two samples, with Welch's interval.

  Args:
    first: [N].
    second: [M], drawn apart from them.
    confidence: of the two-sided interval.

  Returns:
    The mean of first less that of second; without bounds where a sample has a single value.

  Raises:
    ValueError: no values.
  """
  one, two = np.asarray(first, np.float64), np.asarray(second, np.float64)
  if not one.size or not two.size:
    raise ValueError("There is no difference to the mean of no values.")
  difference = float(one.mean() - two.mean())
  if min(one.size, two.size) == 1:
    return Interval(difference, -math.inf, math.inf)
  parts = np.array([one.var(ddof=1) / one.size, two.var(ddof=1) / two.size])
  variance = float(parts.sum())
  if not variance:  # all values of a sample are one
    return Interval(difference, difference, difference)
  degrees = variance**2 / float((parts**2 / [one.size - 1, two.size - 1]).sum())
  width = float(scipy.special.stdtrit(degrees, (1 + confidence) / 2)) * math.sqrt(variance)
  return Interval(difference, difference - width, difference + width)


def mann_whitney(
    first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> float:
  """Two-sided p-value of the test by Mann and Whitney that neither sample tends to be larger.

  Raises:
    ValueError: no values.
  """
  if not len(first) or not len(second):
    raise ValueError("A test needs values of both samples.")
  return float(scipy.stats.mannwhitneyu(first, second, alternative="two-sided").pvalue)


def fraction_and_two_sigma(successes: int, total: int) -> tuple[float, float]:
  """A fraction, and two standard deviations of it as a binomial one.

  Raises:
    ValueError: counts that no repeats can have.
  """
  _check_counts(successes, total)
  fraction = successes / total
  return fraction, 2 * math.sqrt(fraction * (1 - fraction) / total)


def _odds(probability: float) -> float:
  return math.inf if probability == 1 else probability / (1 - probability)


def _check_counts(successes: int, total: int) -> None:
  if not 0 <= successes <= total or total < 1:
    raise ValueError(
        f"There cannot be {successes} successes in {total} repeats: give 0 to total, of at "
        "least one.")
