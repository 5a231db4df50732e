"""Whether a program is better than a baseline: by draws that both were judged on.

Draws must be independent of each other: rows that nobody has seen, or tasks that share none. Both
are judged on the same ones, so that a verdict is over the differences. If neither were better, each
difference could as well have the other sign: the exact test counts how often signs drawn at random
give as large a sum. Of errors that are 0 or 1 that is the sign test of McNemar.
"""

import dataclasses

import numpy as np
import scipy  # its parts are loaded when they are first used

LEVEL = 0.02  # of the two-sided test: with no difference one in a hundred is called better
CONFIDENCE = 0.95  # of intervals of single scores; those of verdicts are at their own level
ROUNDING = 1e-6  # of a mean error in float32: a gain below it is none
_RESAMPLES = 2000
_AT_ONCE = 10_000_000  # values that are drawn at once
_SWAPS = 9999  # of the signs of the differences, or all that there are, of 13 differences or fewer
_MANY = 2000  # differences from which on the normal distribution serves as well
_WORDS = {"better": "is better than", "same": "cannot be told from", "worse": "is worse than"}


@dataclasses.dataclass(frozen=True)
class Verdict:
  """How a program stands to a baseline.

  Attributes:
    word: "better", "same" or "worse".
    gain: by how much the mean error of the program is smaller.
    low: lower end of its interval at the level of the test, by a paired bootstrap.
    high: upper end.
  """

  word: str
  gain: float
  low: float
  high: float

  def sentence(self, name: str, what: str) -> str:
    """The verdict in words.

    Args:
      name: of the baseline.
      what: the gain is of, such as "mean error of 50 rows".
    """
    return (
        f"It {_WORDS[self.word]} {name} by a paired test at {100 * LEVEL:g} %: "
        f"{self.gain:+.4f} in the {what} (bootstrap, {100 * (1 - LEVEL):g} % from "
        f"{self.low:+.4f} to {self.high:+.4f}).")


def compare(program: np.ndarray, baseline: np.ndarray) -> Verdict:
  """The verdict over N independent draws.

  Args:
    program: [N] errors of the program, in any unit; of fitnesses one minus them.
    baseline: [N] errors of the baseline on the same draws.

  Raises:
    ValueError: no draw, or another number of them.
  """
  program, baseline = np.asarray(program, np.float64), np.asarray(baseline, np.float64)
  if program.ndim != 1 or program.shape != baseline.shape or not program.size:
    raise ValueError(
        f"A verdict needs errors [N] of both on the same draws, got {program.shape} and "
        f"{baseline.shape}.")
  gains = baseline - program
  gain = float(gains.mean())
  low, high = mean_interval(gains, 1 - LEVEL)
  word = "same"
  if abs(gain) > ROUNDING and _p_value(gains[gains != 0]) < LEVEL:
    word = "better" if gain > 0 else "worse"
  return Verdict(word, gain, low, high)


def mean_interval(values: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float]:
  """The interval of the mean of values [N] at a confidence, by a bootstrap."""
  if len(values) == 1:
    return float(values[0]), float(values[0])
  low, high = scipy.stats.bootstrap(
      (values,), np.mean, n_resamples=_RESAMPLES, batch=max(1, _AT_ONCE // len(values)),
      confidence_level=confidence, method="percentile", rng=0).confidence_interval
  return float(low), float(high)


def _p_value(gains: np.ndarray) -> float:
  """Of the hypothesis that either sign of each difference, none of which is 0, is as likely."""
  sizes = np.abs(gains)
  if (sizes == sizes[0]).all():
    return float(scipy.stats.binomtest(int((gains > 0).sum()), len(gains)).pvalue)
  if len(gains) > _MANY:
    return float(scipy.stats.ttest_1samp(gains, 0.0).pvalue)
  return float(scipy.stats.permutation_test(
      (gains,), np.sum, permutation_type="samples", n_resamples=_SWAPS,
      batch=_AT_ONCE // len(gains), rng=0).pvalue)
