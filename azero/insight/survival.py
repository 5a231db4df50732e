"""Statistics of times to a success, of which some end without one (survival analysis).

A search that had no success within its budget is censored: it is known only that its success would
have come later. Leaving such searches out, or taking the budget for their time, would make a
method look better than it is. Sources: E. L. Kaplan and P. Meier (JASA 53, 1958) for the curve,
N. Mantel (Cancer Chemotherapy Reports 50, 1966) for the log-rank test, S. Holm (Scandinavian
Journal of Statistics 6, 1979) for many comparisons.

"Time" is whatever is spent: programs, training steps, seconds.
"""

from collections.abc import Callable, Sequence
import dataclasses
import math

import numpy as np
import scipy  # its parts are loaded when they are first used

from azero.insight import statistics
from azero.insight.statistics import CONFIDENCE, Interval

RESAMPLES = 2000  # of a bootstrap


@dataclasses.dataclass(frozen=True, eq=False)
class Times:
  """How long each of N searches took.

  Attributes:
    spent: [N] float64, above 0: up to its success, or to where it was broken off without one.
    success: [N] bool.
  """

  spent: np.ndarray
  success: np.ndarray

  def __post_init__(self) -> None:
    object.__setattr__(self, "spent", np.asarray(self.spent, np.float64))
    object.__setattr__(self, "success", np.asarray(self.success, bool))
    if self.spent.ndim != 1 or self.spent.shape != self.success.shape or not self.spent.size:
      raise ValueError(
          "Times need one or more searches, each with what it spent and whether it succeeded; got "
          f"shapes {self.spent.shape} and {self.success.shape}.")
    if not (np.isfinite(self.spent) & (self.spent > 0)).all():
      raise ValueError(f"What a search spent must be positive and finite, got {self.spent}.")

  def __len__(self) -> int:
    """N."""
    return len(self.spent)

  @property
  def successes(self) -> int:
    """How many there are."""
    return int(self.success.sum())

  @property
  def follow_up(self) -> float:
    """Up to where the curve is known: the longest time, or infinite if that ended with success."""
    last = self.spent == self.spent.max()
    return math.inf if self.success[last].all() else float(self.spent.max())


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
  """Kaplan-Meier: the share of searches that have no success yet.

  Attributes:
    times: [E] the different times of successes, in order.
    survival: [E] the share from each of them on; before the first it is 1.
    at_risk: [E] int, searches that were still going on just before.
    events: [E] int, successes at that time.
  """

  times: np.ndarray
  survival: np.ndarray
  at_risk: np.ndarray
  events: np.ndarray

  def at(self, time: float) -> float:
    """The share at a time; beyond all that was seen it stays where it is."""
    place = int(np.searchsorted(self.times, time, side="right"))
    return float(self.survival[place - 1]) if place else 1.0


def kaplan_meier(times: Times) -> Curve:
  """The share of searches without a success over time.

  A search that was broken off at the very time of a success counts as at risk there.
  """
  distinct, events = np.unique(times.spent[times.success], return_counts=True)
  at_risk = (times.spent >= distinct[:, None]).sum(1)
  return Curve(distinct, np.cumprod(1.0 - events / at_risk), at_risk, events)


def restricted_mean(times: Times, horizon: float) -> float:
  """The mean time to a success or to the horizon, whichever comes first: the area under the curve.

  Args:
    times: of the searches.
    horizon: at most `follow_up`; beyond that the curve is taken to stay where it is.

  Raises:
    ValueError: a horizon that is not positive.
  """
  if not 0 < horizon < math.inf:
    raise ValueError(f"horizon must be positive and finite, got {horizon}.")
  return float(_restricted_means(times, horizon, np.ones((1, len(times))))[0])


def _restricted_means(times: Times, horizon: float, counts: np.ndarray) -> np.ndarray:
  """`restricted_mean` of R groups in which search n is so often, [R, N]: [R]."""
  distinct = np.unique(times.spent[times.success & (times.spent < horizon)])
  events = counts @ (times.success[:, None] & (times.spent[:, None] == distinct))
  at_risk = counts @ (times.spent[:, None] >= distinct)
  left = np.cumprod(1.0 - events / np.maximum(at_risk, 1.0), axis=1)
  widths = np.diff(np.concatenate([[0.0], distinct, [horizon]]))
  return widths[0] + left @ widths[1:]


def common_horizon(groups: Sequence[Times]) -> float:
  """The latest time up to which the curves of all groups are known.

  Raises:
    ValueError: no groups.
  """
  if not groups:
    raise ValueError("A common horizon needs one or more groups.")
  known = min(group.follow_up for group in groups)
  return known if math.isfinite(known) else max(float(group.spent.max()) for group in groups)


@dataclasses.dataclass(frozen=True)
class LogRank:
  """A log-rank test of two groups.

  Attributes:
    statistic: chi-squared with one degree of freedom; 0 where nothing can be said.
    pvalue: two-sided; 1 where nothing can be said.
    observed: successes of the first group.
    expected: those it would have had if both groups had one curve. With more observed, the first
      is the faster one.
  """

  statistic: float
  pvalue: float
  observed: float
  expected: float


def log_rank(first: Times, second: Times) -> LogRank:
  """Whether two groups have one curve of successes over time (Mantel's log-rank test).

  The distribution is the one of large groups; with few successes its p-values are approximate.
  """
  spent = np.concatenate([first.spent, second.spent])
  success = np.concatenate([first.success, second.success])
  distinct, events = np.unique(spent[success], return_counts=True)
  at_risk = (spent >= distinct[:, None]).sum(1)
  own = (first.spent >= distinct[:, None]).sum(1)
  share = own / at_risk
  expected = float((events * share).sum())
  # Of a hypergeometric number; it is zero where one search alone is left.
  spread = events * share * (1 - share) * (at_risk - events) / np.maximum(at_risk - 1, 1)
  variance = float(spread.sum())
  observed = float(first.successes)
  if not variance > 0:
    return LogRank(0.0, 1.0, observed, expected)
  statistic = (observed - expected) ** 2 / variance
  return LogRank(
      statistic, float(scipy.special.chdtrc(1, statistic)), observed, expected)


def holm(pvalues: Sequence[float] | np.ndarray) -> np.ndarray:
  """p-values of M tests, corrected so that any false one is as rare as one of a single test.

  Args:
    pvalues: [M], from 0 to 1.

  Returns:
    [M] float64, to be compared with the level as they are.

  Raises:
    ValueError: numbers that are no p-values.
  """
  values = np.asarray(pvalues, np.float64)
  if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
    raise ValueError(f"p-values must be a list of numbers from 0 to 1, got {pvalues}.")
  order = np.argsort(values, kind="stable")
  scaled = values[order] * np.arange(len(values), 0, -1)
  corrected = np.empty_like(values)
  corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
  return corrected


def bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray], count: int, *, seed: int = 0,
    resamples: int = RESAMPLES, confidence: float = CONFIDENCE,
) -> Interval:
  """A statistic of N searches with the percentile interval over resampled searches.

  Args:
    statistic: of R groups at once, in each of which search n is counts[r, n] times, [R, N] float:
      [R] float, which may be infinite.
    count: N.
    seed: decides the draws.
    resamples: how many.
    confidence: of the two-sided interval.

  Returns:
    The statistic of all of them once, and bounds that are values of resamples.

  Raises:
    ValueError: no searches.
  """
  if count < 1:
    raise ValueError(f"A bootstrap needs one or more searches, got {count}.")
  rng = np.random.default_rng(seed)
  drawn = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
  values = statistic(drawn.astype(np.float64))
  tail = (1 - confidence) / 2
  # Values that occurred: between a number and infinity there is nothing.
  low, high = (
      float(np.quantile(values, part, method="inverted_cdf")) for part in (tail, 1 - tail))
  return Interval(float(statistic(np.ones((1, count)))[0]), low, high)


def restricted_mean_interval(times: Times, horizon: float, *, seed: int = 0) -> Interval:
  """`restricted_mean` with its bootstrap interval over searches."""
  return bootstrap(
      lambda counts: _restricted_means(times, horizon, counts), len(times), seed=seed)


def cost_of_success(times: Times, *, seed: int = 0) -> Interval:
  """What a success costs: all that was spent by the number of successes.

  Of searches that are begun anew until one succeeds this is the expected cost.

  Returns:
    The cost with its bootstrap interval over searches, whose upper bound is infinite where
    resamples without a success are not rare. Without any success it is infinite, and the lower
    bound is the exact one of a Poisson count of zero.
  """
  if not times.successes:
    rate = statistics.poisson_rate(0, float(times.spent.sum()))
    return Interval(math.inf, 1.0 / rate.high, math.inf)

  def cost(counts: np.ndarray) -> np.ndarray:
    spent, successes = counts @ times.spent, counts @ times.success
    return np.divide(spent, successes, out=np.full(len(counts), np.inf), where=successes > 0)

  return bootstrap(cost, len(times), seed=seed)
