"""What the lines of the bench of discovery say of its arms: costs, curves, tests, a ranking.

All of one problem in one space is compared with the paper's method there. Two families of tests
are made, on evaluated programs and on seconds, and all p-values of a report together are corrected
by Holm's method, so that the more arms are tried the more a verdict needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import operator
from typing import Any

import numpy as np

from azero.insight import statistics, survival
from azero.insight.statistics import Interval
from azero.insight.survival import Times
from azero.search.methods import PAPER
from experiments.details.discovery_rates_lines import Lines
from experiments.details.discovery_rates_problems import PROBLEMS
from experiments.details.discovery_rates_spaces import SPACES

# What is spent, by its name in a line; of a point of a curve in this order, then the fitness.
MEASURES = ("programs", "evaluated", "train_steps", "seconds")
TESTED = ("evaluated", "seconds")
COMPARED = ("train_steps", "seconds")  # at equal ones of which fitness is compared
LEVEL = 0.05
BETTER, WORSE, OPEN = "better", "worse", "not decided"
_LEAST = {"programs": 1.0, "evaluated": 1.0, "train_steps": 1.0, "seconds": 1e-3}

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Test:
  """A comparison with the paper's method.

  Attributes:
    pvalue: of the log-rank test.
    faster: whether successes came sooner than if both had one curve.
    ratio: how many times cheaper a success is, with the exact interval of two Poisson counts,
      which is wider than need be; NaN where neither has any.
    corrected: the p-value among all of the report.
  """

  pvalue: float
  faster: bool
  ratio: Interval
  corrected: float = 1.0

  @property
  def verdict(self) -> str:
    """In words."""
    if self.corrected > LEVEL:
      return OPEN
    return BETTER if self.faster else WORSE


@dataclasses.dataclass(frozen=True)
class Level:
  """Fitness on unseen tasks when all arms have spent the same.

  Attributes:
    spent: by each seed.
    mean: over seeds.
    gain: over the paper's method, by pairs of seeds; None of that itself or without pairs.
    wins: pairs in which it is above the paper's method, and all pairs.
  """

  spent: float
  mean: float
  gain: Interval | None
  wins: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class ArmResult:
  """What came of an arm on a problem in a space.

  Attributes:
    arm: name.
    rows: its lines.
    times: what its seeds spent, by measure.
    rate: of success.
    costs: of a success, by measure.
    means: restricted mean of what is spent up to a success, by measure.
    levels: by measure of `COMPARED`.
    tests: by measure of `TESTED`; without those that cannot be made.
  """

  arm: str
  rows: Sequence[Row]
  times: Mapping[str, Times]
  rate: Interval
  costs: Mapping[str, Interval]
  means: Mapping[str, Interval]
  levels: Mapping[str, Level]
  tests: Mapping[str, Test]


@dataclasses.dataclass(frozen=True)
class Place:
  """A problem in a space.

  Attributes:
    problem: name.
    space: name.
    exam: that all arms had.
    horizons: up to where means are taken, by measure.
    arms: the cheapest success first.
  """

  problem: str
  space: str
  exam: Mapping[str, Any]
  horizons: Mapping[str, float]
  arms: Sequence[ArmResult]


def places_of(lines: Lines) -> list[Place]:
  """What all lines say, in the order of problems and spaces."""
  known = {(row["problem"], row["space"]) for row in lines}
  order = [(problem, space) for problem in PROBLEMS for space in SPACES]
  places = [
      _place(lines, *place) for place in sorted(
          known, key=lambda place: order.index(place) if place in order else len(order))]
  return _corrected(places)


def fitness_at(row: Row, measure: str, spent: float) -> float:
  """Fitness on unseen tasks of the best program by then; before the first look, that one's."""
  place, curve = MEASURES.index(measure), row["curve"]
  reached = [point for point in curve if point[place] <= spent]
  return float((reached or curve[:1])[-1][-1])


def known_until(rows: Sequence[Row], measure: str) -> float:
  """Up to where the fitness of every seed is known: one that has succeeded keeps what it has."""
  broken_off = [row[measure] for row in rows if not row["success"]]
  return float(min(broken_off) if broken_off else max(row[measure] for row in rows))


def _place(lines: Lines, problem: str, space: str) -> Place:
  every = lines.of(problem, space)
  arms = list(dict.fromkeys(row["arm"] for row in every))
  rows = {arm: lines.of(problem, space, arm) for arm in arms}
  times = {arm: {measure: _times(rows[arm], measure) for measure in MEASURES} for arm in arms}
  horizons = {
      measure: survival.common_horizon([times[arm][measure] for arm in arms])
      for measure in MEASURES}
  spent = {measure: known_until(every, measure) for measure in COMPARED}
  results = [
      ArmResult(
          arm, rows[arm], times[arm],
          statistics.wilson(sum(row["success"] for row in rows[arm]), len(rows[arm])),
          {measure: survival.cost_of_success(times[arm][measure]) for measure in MEASURES},
          {measure: survival.restricted_mean_interval(times[arm][measure], horizons[measure])
           for measure in MEASURES},
          {measure: _level(
              rows[arm], () if arm == PAPER else rows.get(PAPER, ()), measure, spent[measure])
           for measure in COMPARED},
          {} if arm == PAPER or PAPER not in rows
          else _tests(rows[arm], rows[PAPER], times[arm], times[PAPER]))
      for arm in arms]
  return Place(problem, space, every[0]["exam"], horizons, sorted(results, key=_rank))


def _rank(result: ArmResult) -> tuple[float, float, str]:
  """By the cost of a success; without one by fitness."""
  return result.costs["evaluated"].estimate, -result.levels["train_steps"].mean, result.arm


def _times(rows: Sequence[Row], measure: str) -> Times:
  return Times(
      np.maximum([row[measure] for row in rows], _LEAST[measure]),
      np.array([row["success"] for row in rows]))


def _level(rows: Sequence[Row], paper: Sequence[Row], measure: str, spent: float) -> Level:
  own = {row["seed"]: fitness_at(row, measure, spent) for row in rows}
  others = {row["seed"]: fitness_at(row, measure, spent) for row in paper}
  pairs = sorted(own.keys() & others.keys())
  first, second = ([each[seed] for seed in pairs] for each in (own, others))
  return Level(
      spent, float(np.mean(list(own.values()))),
      statistics.paired_difference(first, second) if pairs else None,
      (sum(map(operator.gt, first, second)), len(pairs)))


def _tests(
    rows: Sequence[Row], paper: Sequence[Row], times: Mapping[str, Times],
    paper_times: Mapping[str, Times],
) -> dict[str, Test]:
  """Those that can be made: seconds of other machines, or beside other seeds, say nothing."""
  machines = {row["machine"] for row in (*rows, *paper)}
  found = {}
  for measure in TESTED:
    if measure == "seconds" and len(machines) > 1:
      continue
    own, other = times[measure], paper_times[measure]
    test = survival.log_rank(own, other)
    found[measure] = Test(
        test.pvalue, test.observed > test.expected, statistics.rate_ratio(
            own.successes, float(own.spent.sum()), other.successes, float(other.spent.sum())))
  return found


def _corrected(places: Sequence[Place]) -> list[Place]:
  """The same with p-values corrected for all that were made."""
  pvalues = [
      test.pvalue for place in places for result in place.arms for test in result.tests.values()]
  corrected = iter(survival.holm(pvalues).tolist())
  return [
      dataclasses.replace(place, arms=[
          dataclasses.replace(result, tests={
              measure: dataclasses.replace(test, corrected=next(corrected))
              for measure, test in result.tests.items()}) for result in place.arms])
      for place in places]
