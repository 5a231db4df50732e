"""What the search baselines say of their outcomes: tables, tests and the picture.

Where a run was continued with larger budgets, the same repeats are told at each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import itertools
from typing import Any

from azero.insight import statistics
from azero.insight import tables as insight_tables
from azero.insight.plots import comparison_plot
from experiments.frame import trials
from experiments.frame.trials import Outcome, Trials
from experiments.frame.workers import Arm

# Table S5: (method, processes): best accuracy, success fractions over logistic regression and
# over the neural network; each with its error.
PAPER = {
    ("basic", 1): ((0.671, 0.004), (0.01, 0.02), (0.00, 0.00)),
    ("basic", 10): ((0.681, 0.005), (0.07, 0.05), (0.00, 0.00)),
    ("basic", 100): ((0.691, 0.004), (0.26, 0.09), (0.00, 0.00)),
    ("full", 1): ((0.684, 0.003), (0.03, 0.03), (0.00, 0.00)),
    ("full", 10): ((0.693, 0.003), (0.23, 0.08), (0.03, 0.03)),
    ("full", 100): ((0.707, 0.003), (0.59, 0.10), (0.11, 0.06)),
}

_Stages = Mapping[str, Sequence[Outcome]]  # outcomes by budget in words, smaller budgets first


def tables(arms: Sequence[Arm], result: Trials, budget: str) -> list[str]:
  """What each arm came to at each budget, Full beside Basic, growth, and the references.

  Args:
    arms: of the experiment.
    result: what it has by now.
    budget: of its last outcomes, in words.
  """
  stages = _stages(result, budget)
  found = [_rows(arms, result, stages), _order(arms, result, stages), _growth(arms, stages)]
  return [*filter(None, found), trials.reference_table(result.references[arms[0].name])]


def settings(
    arms: Sequence[Arm], result: Trials, budget: str) -> list[comparison_plot.Setting]:
  """What the picture compares; the paper's values stand beside the largest budget."""
  stages, chosen = _stages(result, budget), []
  for arm in arms:
    method, count = arm.name.split("-")
    processes = "1 process" if count == "1" else f"{count} processes"
    for name, outcomes in stages.items():
      paper = PAPER.get((method, int(count))) if name == budget else None
      below = f"{method}\n{processes}" + (f"\n{_short(name)}" if len(stages) > 1 else "")
      chosen.append(comparison_plot.Setting(
          below, [each.accuracy for each in _of(arm, outcomes)], paper[0] if paper else None))
  return chosen


def _stages(result: Trials, budget: str) -> _Stages:
  return {**result.earlier, budget: result.outcomes}


def _of(arm: Arm, outcomes: Sequence[Outcome]) -> list[Outcome]:
  return sorted(
      (each for each in outcomes if each.arm == arm.name), key=lambda each: each.repeat)


def _short(budget: str) -> str:
  """A budget with numbers as 1e+09."""
  return " ".join(
      f"{int(digits):.3g}" if (digits := word.replace(",", "")).isdecimal() else word
      for word in budget.split())


def _rows(arms: Sequence[Arm], result: Trials, stages: _Stages) -> str:
  rows: list[tuple[Any, ...]] = []
  for budget, outcomes in stages.items():
    for arm in arms:
      method, count = arm.name.split("-")
      paper = PAPER.get((method, int(count)))
      own = _of(arm, outcomes)
      published = (
          [f"{value:.3f} ± {error:.3f}" for value, error in paper] if paper else ["-"] * 3)
      programs = f"{sum(each.programs for each in own) / len(own):,.0f}" if own else "-"
      rows.append((
          arm.title, budget, len(own), programs,
          *trials.summary_cells([each.accuracy for each in own], result.references[arm.name]),
          *published))
  return insight_tables.markdown((
      "method", "budget of a process", "repeats", "programs of a repeat", "best accuracy",
      "over logistic regression", "over the network", "paper: best accuracy",
      "paper: over logistic", "paper: over the network"), rows)


def _order(arms: Sequence[Arm], result: Trials, stages: _Stages) -> str:
  """Full beside Basic of as many processes, or nothing where there are not both."""
  by_name = {arm.name: arm for arm in arms}
  rows = []
  for budget, outcomes in stages.items():
    for name, full in by_name.items():
      basic = by_name.get(name.replace("full", "basic"))
      if basic is None or basic is full:
        continue
      ours, theirs = (
          [each.accuracy for each in _of(arm, outcomes)] for arm in (full, basic))
      if not ours or not theirs:
        continue
      fisher = [
          _p(statistics.fisher_exact(
              sum(value > bar for value in ours), len(ours),
              sum(value > bar for value in theirs), len(theirs)))
          for bar in result.references[name].values()]
      rows.append((
          full.workers, budget, _interval(statistics.mean_difference(ours, theirs)),
          _p(statistics.mann_whitney(ours, theirs)), *fisher))
  return insight_tables.markdown((
      "processes", "budget", "Full - Basic, 95 % (Welch)", "p (Mann-Whitney)",
      "over logistic regression, p (Fisher)", "over the network, p (Fisher)"), rows) if rows else ""


def _growth(arms: Sequence[Arm], stages: _Stages) -> str:
  """Repeats that went on with larger budgets, or nothing where there are none."""
  rows, names = [], list(stages)
  for arm in arms:
    for before, after in itertools.pairwise(names):
      old = {each.repeat: each.accuracy for each in _of(arm, stages[before])}
      new = {each.repeat: each.accuracy for each in _of(arm, stages[after])}
      both = sorted(old.keys() & new.keys())
      if both:
        grown = statistics.paired_difference(
            [new[repeat] for repeat in both], [old[repeat] for repeat in both])
        rows.append((
            arm.title, before, after, len(both), sum(new[k] > old[k] for k in both),
            sum(new[k] < old[k] for k in both), _interval(grown)))
  return insight_tables.markdown((
      "method", "from", "to", "repeats", "of them better", "worse", "gain, 95 % over repeats"),
      rows) if rows else ""


def _interval(interval: statistics.Interval) -> str:
  return f"{interval.estimate:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"


def _p(value: float) -> str:
  return f"{value:.2g}"
