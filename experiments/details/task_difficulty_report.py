"""The report of the experiment on task difficulty: a table, its picture, examples."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.details import task_difficulty_types as task_types
from experiments.frame import lazy

with lazy.imports():
  from azero.insight import statistics
  from azero.insight import tables as insight_tables
  from azero.insight.plots import difficulty_plot
  from azero.runs import json_lines, reader
  from experiments.frame import reporting, study

if TYPE_CHECKING:
  from azero.insight.plots.difficulty_plot import Point
  from azero.runs.directory import RunDirectory

RANDOM, EVOLUTION = "random search", "evolution"
METHODS = (RANDOM, EVOLUTION)
_RESULTS = "results.jsonl"
_COUNTS = ("programs", "acceptable", "experiments", "seconds")
_FIELDS = (*_COUNTS, "task_type", "method", "found")


class Rows(list[dict[str, Any]]):
  """Finished rounds, as they are saved: one line of JSON each."""

  @classmethod
  def read(cls, directory: RunDirectory) -> Rows:
    """Those of a run."""
    path = directory.path / _RESULTS
    rows = cls(json_lines.read(path) if path.exists() else [])
    with reader.reading(path):
      missing = next((name for row in rows for name in _FIELDS if name not in row), None)
      if missing is not None:
        raise KeyError(missing)
    return rows

  def save(self, directory: RunDirectory) -> None:
    """Replaces their file in one step, so that a round is there in full or not at all."""
    directory.write(_RESULTS, "".join(json.dumps(row) + "\n" for row in self))

  def of(self, kind: str, method: str) -> list[dict[str, Any]]:
    """The rounds of a method on a task type."""
    return [row for row in self if (row["task_type"], row["method"]) == (kind, method)]

  def total(self, kind: str, method: str, name: str) -> Any:
    """The sum of a number over the rounds of a method on a task type."""
    return sum(row[name] for row in self.of(kind, method))


def write_report(
    config: Any, rows: Rows, signum: int | None, directory: RunDirectory) -> list[Point]:
  """Writes report and picture of the rounds that there are.

  Args:
    config: of the experiment.
    rows: finished rounds.
    signum: of the signal that interrupted the run; None if it is done.
    directory: of the run.

  Returns:
    A point for each task type of which both methods have a finished round.
  """
  points, lines, sections = [], [], []
  for kind in config.task_types:
    paper = task_types.TASK_TYPES[kind]
    totals = {
        (method, name): rows.total(kind, method, name)
        for method in METHODS for name in _COUNTS}
    if not all(totals[method, "programs"] for method in METHODS):
      continue
    counts = [totals[method, name] for method in (EVOLUTION, RANDOM)
              for name in ("acceptable", "programs")]
    point = difficulty_plot.Point(
        kind.replace("_", " "), statistics.poisson_rate(*counts[2:]),
        statistics.rate_ratio(counts[0], counts[1], counts[2], counts[3]))
    points.append(point)
    evolution = statistics.poisson_rate(*counts[:2])
    lines.append((
        point.name, f"{counts[2]:,} of {counts[3]:,}", _show(point.density),
        _show(_inverse(point.density)), paper.paper_difficulty,
        f"{counts[0]:,} of {totals[EVOLUTION, 'experiments']:,} experiments, {counts[1]:,} "
        "programs", _show(evolution), _show(point.ratio), paper.paper_ratio))
    sections += _examples(kind, rows)
  tables = []
  if points:
    tables = [insight_tables.markdown((
        "task type", "acceptable random programs", "random search success rate",
        "difficulty (1 / rate)", "difficulty, paper", "evolution successes",
        "evolution success rate", "ratio", "ratio, paper"), lines), _time_table(rows)]
  study.conclude(config, directory, study.Findings(
      title="Task difficulty and the success of evolution over random search (figure 4)",
      summary=_summary(config, signum), tables=[*tables, *sections],
      figure=difficulty_plot.plot_success_ratios(
          points, [("linear regressor, the paper's text", 1e7, 5.0)]) if points else None,
      picture="success_ratio.png",
      lines=[f"{line[0]:18s} difficulty {line[3]}, ratio {line[7]}" for line in lines]),
      signum=signum)
  return points


def _summary(config: Any, signum: int | None) -> list[str]:
  ended = (
      "Both methods have had their programs, or enough successes, on every task type."
      if signum is None else
      "The run was interrupted: these are its finished rounds.")
  return [
      f"{ended} Intervals are of {statistics.CONFIDENCE:.0%} confidence: exact ones of Poisson "
      "counts, and for ratios exact ones given the sum of both counts. Where random search had no "
      "success, its rate has an upper bound and the ratio a lower one.",
      f"A program is acceptable if its mean RMS error on {config.num_tasks} tasks is at most "
      f"{config.tolerance} times that of gradient descent with rate {config.reference_rate}. The "
      "paper does not print its reference, on which densities depend. A successful experiment "
      "counts once, and with all the programs of its budget."]


def _examples(kind: str, rows: Rows) -> list[str]:
  parts = []
  for method in METHODS:
    found = [text for row in rows.of(kind, method) for text in row["found"]]
    if found:
      parts += [
          f"The first acceptable program of {method}, {kind.replace('_', ' ')}:",
          reporting.code_block(found[0])]
  return parts


def _time_table(rows: Rows) -> str:
  lines = []
  for kind, method in dict.fromkeys((row["task_type"], row["method"]) for row in rows):
    programs, seconds, run, steps = (
        rows.total(kind, method, name)
        for name in ("programs", "seconds", "evaluated", "train_steps"))
    lines.append((
        kind.replace("_", " "), method, f"{seconds:,.0f} s", f"{programs / seconds:,.0f}",
        f"{run:,}", f"{steps:,}"))
  return insight_tables.markdown((
      "task type", "method", "time", "programs per second", "programs run", "training steps"),
      lines)


def _inverse(interval: statistics.Interval) -> statistics.Interval:
  estimate, low, high = (
      1.0 / value if value else np.inf
      for value in (interval.estimate, interval.high, interval.low))
  return statistics.Interval(estimate, low, high)


def _show(interval: statistics.Interval) -> str:
  if np.isinf(interval.high):
    return f"at least {interval.low:.3g}" if interval.low else "unknown"
  if not interval.low:
    return f"at most {interval.high:.3g}"
  return f"{interval.estimate:.3g} ({interval.low:.3g} to {interval.high:.3g})"
