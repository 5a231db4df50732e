"""The report of the bench of discovery: tables of arms, verdicts, the picture."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from azero.insight import statistics as statistics_lib
from azero.insight import tables as insight_tables
from azero.insight.plots import discovery_plot
from azero.insight.plots.discovery_plot import Method, Panel
from azero.insight.statistics import Interval
from azero.runs.display.durations import format_duration
from azero.search.methods import PAPER
from experiments.details import discovery_rates_statistics as statistics
from experiments.details.discovery_rates_statistics import ArmResult, Place
from experiments.frame import study

if TYPE_CHECKING:
  from azero.runs.directory import RunDirectory
  from experiments.details.discovery_rates_lines import Lines

_PICTURE = "discovery_rates.png"
_POINTS = 200  # of a drawn curve
_NAMES = {
    "programs": "programs", "evaluated": "evaluated programs", "train_steps": "training steps",
    "seconds": "seconds"}
_SHOWN = ("evaluated", "programs", "train_steps", "seconds")  # that by which arms are ranked first


def write_report(
    config: Any, lines: Lines, signum: int | None, directory: RunDirectory) -> list[Place]:
  """Writes report and picture of all lines.

  Args:
    config: of the experiment.
    lines: of finished cells, of all runs that they were added from.
    signum: of the signal that interrupted the run; None if it is done.
    directory: of the run.

  Returns:
    What the lines say, by problem and space.
  """
  places = statistics.places_of(lines)
  tables = [_summary_table(places)] if len(places) > 1 else []
  for place in places:
    tables += _section(place)
  study.conclude(config, directory, study.Findings(
      title="Discovery rates: what a success costs each method",
      summary=_summary(lines, signum), tables=tables,
      figure=discovery_plot.plot_discovery([_panel(place) for place in places])
      if places else None,
      picture=_PICTURE,
      lines=[line for place in places for line in _printed(place)]), signum=signum)
  return places


def _summary(lines: Lines, signum: int | None) -> list[str]:
  ended = (
      "All seeds of all arms that were asked for have ended." if signum is None else
      "**The run was interrupted**: these are its finished cells.")
  machines = sorted({row["machine"] for row in lines})
  seconds = sum(row["seconds"] for row in lines)
  return [
      f"{ended} {len(lines)} lines, {format_duration(seconds)} of wall time without compilation "
      f"and looks; measured on: {'; '.join(machines) or 'nothing yet'}.",
      f"An arm is a method; '{PAPER}' is the paper's. A seed has the same tasks and the same "
      "source of random numbers in every arm, and all have the same unseen tasks. A success is a "
      "best program whose mean fitness reaches the goal on unseen tasks, looked at after fixed "
      "numbers of children, and again on as many others. Evaluated programs are those that were "
      "sent to a device, whether they were trained in full or stopped before; the others were "
      "answered by a cache.",
      "The cost of a success is all that was spent, that of seeds without one included, by the "
      f"number of successes; intervals of {statistics_lib.CONFIDENCE:.0%} are bootstraps over "
      "seeds. Where no seed succeeded it has only a lower bound. The restricted mean is what a "
      "seed spends up to its success or to the horizon, whichever is first, by Kaplan-Meier's "
      "curve, so that seeds which were broken off count for what is known of them.",
      f"Verdicts compare with '{PAPER}' by log-rank tests, on evaluated programs and on seconds; "
      f"the p-values of the whole report are corrected together by Holm's method, and those above "
      f"{statistics.LEVEL} are '{statistics.OPEN}'. With few successes these tests are "
      "approximate. That an arm is not decided does not say that it is as good. 'Times cheaper' "
      "compares costs of a success, with the exact interval of two Poisson counts."]


def _summary_table(places: Sequence[Place]) -> str:
  """How each arm compares with the paper's method, over all problems and spaces."""
  names = sorted(
      {result.arm for place in places for result in place.arms},
      key=lambda name: (name != PAPER, name))
  rows = []
  for name in names:
    results = [result for place in places for result in place.arms if result.arm == name]
    solved = sum(result.times["evaluated"].successes for result in results)
    total = sum(len(result.rows) for result in results)
    cells = []
    for measure in statistics.TESTED:
      verdicts = [result.tests[measure].verdict for result in results if measure in result.tests]
      cells.append("-" if name == PAPER else ", ".join(
          f"{verdicts.count(verdict)} {verdict}"
          for verdict in (statistics.BETTER, statistics.WORSE, statistics.OPEN)))
    rows.append((name, len(results), f"{solved} of {total}", *cells))
  return insight_tables.markdown((
      "arm", "problems x spaces", "seeds solved",
      *(f"by {_NAMES[measure]}" for measure in statistics.TESTED)), rows)


def _section(place: Place) -> list[str]:
  """What there is of a problem in a space."""
  exam = place.exam
  limit = f"{exam['max_programs']:,} programs" + (
      "" if exam["max_seconds"] is None else f" or {exam['max_seconds']:g} s")
  text = (
      f"Goal {exam['goal']:g} on {exam['num_unseen']} unseen tasks and on as many others. A seed "
      f"has {exam['num_tasks']} search tasks of {exam['num_train']:,} + {exam['num_valid']} "
      f"examples, at most {limit}, and is looked at every {exam['look_every']:,} children.")
  return [
      f"## {place.problem}, {place.space}", text, _cost_table(place), _mean_table(place),
      _level_table(place)]


def _cost_table(place: Place) -> str:
  rows = []
  for rank, result in enumerate(place.arms, start=1):
    verdicts = [_verdict(result, measure) for measure in statistics.TESTED]
    rows.append((
        rank if result.times["evaluated"].successes else "-", result.arm,
        f"{result.times['evaluated'].successes} of {len(result.rows)} "
        f"({result.rate.low:.0%} to {result.rate.high:.0%})",
        *(_cost(result, measure) for measure in _SHOWN), *verdicts))
  return insight_tables.markdown((
      "rank", "arm", "solved", *(f"{_NAMES[measure]} per success" for measure in _SHOWN),
      *(f"by {_NAMES[measure]}" for measure in statistics.TESTED)), rows)


def _cost(result: ArmResult, measure: str) -> str:
  cost = result.costs[measure]
  if math.isinf(cost.estimate):
    return f"no success in {len(result.rows)}: at least {_number(cost.low)}"
  return _interval(cost)


def _verdict(result: ArmResult, measure: str) -> str:
  if result.arm == PAPER:
    return "-"
  if measure not in result.tests:
    return f"no '{PAPER}' on the same machine" if measure == "seconds" else f"no '{PAPER}'"
  test = result.tests[measure]
  return f"{test.verdict}: {_ratio(test.ratio)}p = {test.corrected:.2g}"


def _ratio(ratio: Interval) -> str:
  """How many times cheaper, as far as it is known."""
  if math.isnan(ratio.estimate):
    return ""
  if math.isinf(ratio.estimate):
    return f"at least {_number(ratio.low)} times cheaper, "
  if not ratio.estimate:
    return f"at most {_number(ratio.high)} times as cheap, "
  return f"{_interval(ratio)} times cheaper, "


def _mean_table(place: Place) -> str:
  """Restricted means, and the horizons up to which they are taken."""
  header = [
      f"{_NAMES[measure]}, up to {_number(place.horizons[measure])}"
      for measure in statistics.MEASURES]
  return insight_tables.markdown(("restricted mean to a success", *header), [
      (result.arm, *(_interval(result.means[measure]) for measure in statistics.MEASURES))
      for result in place.arms])


def _level_table(place: Place) -> str:
  """Fitness on unseen tasks at equal costs."""
  header, rows = [], []
  for measure in statistics.COMPARED:
    spent = place.arms[0].levels[measure].spent
    header += [f"at {_number(spent)} {_NAMES[measure]}", f"gain over '{PAPER}'"]
  for result in place.arms:
    cells = []
    for measure in statistics.COMPARED:
      level = result.levels[measure]
      gain = level.gain
      cells += [f"{level.mean:.4f}", "-" if gain is None else (
          f"{gain.estimate:+.4f} ({gain.low:+.4f} to {gain.high:+.4f}), above it in "
          f"{level.wins[0]} of {level.wins[1]} seeds")]
    rows.append((result.arm, *cells))
  return insight_tables.markdown(("mean fitness on unseen tasks", *header), rows)


def _panel(place: Place) -> Panel:
  methods = []
  for result in sorted(place.arms, key=lambda result: (result.arm != PAPER, result.arm)):
    first = max(row["curve"][0][statistics.MEASURES.index("train_steps")] for row in result.rows)
    last = statistics.known_until(result.rows, "train_steps")
    steps = np.geomspace(max(first, 1), max(last, first, 1), _POINTS)
    fitness = np.mean([
        [statistics.fitness_at(row, "train_steps", spent) for spent in steps]
        for row in result.rows], 0)
    methods.append(Method(result.arm, result.times["train_steps"], steps, fitness))
  return Panel(f"{place.problem}, {place.space}", methods, place.exam["goal"])


def _printed(place: Place) -> list[str]:
  return [f"{place.problem} / {place.space}:"] + [
      f"  {result.arm:24s} {result.times['evaluated'].successes:3d} of {len(result.rows)} solved, "
      f"evaluated programs per success: {_cost(result, 'evaluated')}"
      + ("" if result.arm == PAPER else f"; {_verdict(result, 'evaluated')}")
      for result in place.arms]


def _interval(interval: Interval) -> str:
  return f"{_number(interval.estimate)} ({_number(interval.low)} to {_number(interval.high)})"


def _number(value: float) -> str:
  """Three digits are enough of what varies that much."""
  if math.isinf(value):
    return "no bound"
  if value >= 1e6:
    return f"{value / 1e6:,.3g}M" if value < 1e9 else f"{value / 1e9:,.3g}G"
  return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
