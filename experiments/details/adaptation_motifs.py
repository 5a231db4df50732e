"""Whether the programs of an experiment have the motif that the paper saw, more than controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import json

from azero.insight import motifs, statistics, tables
from azero.language import text
from experiments.frame.trials import Outcome, Trials
from experiments.frame.workers import Arm

MOTIFS: Mapping[str, str] = {
    "few_examples": motifs.NOISY_RELU, "fast_training": motifs.RATE_DECAY,
    "multiple_classes": motifs.MEAN_RATE}
_MAX_WATCHED = 8000  # training examples over which a learning rate is watched


@dataclasses.dataclass(frozen=True)
class Sightings:
  """How often a motif was found.

  Attributes:
    motif: which.
    counts: programs that have it and programs in all, of each arm.
    lines: the file of findings, a line of JSON for each program.
  """

  motif: str
  counts: list[tuple[int, int]]
  lines: str

  def table(self, paper: Sequence[tuple[int, int]]) -> str:
    """Markdown, beside the paper's counts, with Fisher's exact test for both."""
    return tables.markdown(
        ("", f"{self.motif} in the experiment", "in the control", "p (Fisher, two-sided)"),
        [(name, *(f"{count} of {total}" for count, total in pairs), _p_value(pairs))
         for name, pairs in (("here", self.counts), ("paper's counts, p recomputed", paper))])


def look(task_type: str, arms: Sequence[Arm], result: Trials) -> Sightings:
  """Looks for the motif of a type of tasks in the program of each repeat.

  Args:
    task_type: one of `MOTIFS`.
    arms: experiment and control.
    result: their outcomes.
  """
  motif = MOTIFS[task_type]
  # As many in both, since the longer one looks the more often a rate has fallen.
  watched = min(_MAX_WATCHED, *(arm.select.num_train * arm.select.num_epochs for arm in arms))
  counts, lines = [], []
  for arm in arms:
    outcomes = result.of(arm)
    reasons = [_why(outcome, arm, motif, watched) for outcome in outcomes]
    counts.append((sum(why is not None for why in reasons), len(outcomes)))
    lines += [
        {"arm": arm.name, "repeat": outcome.repeat, "motif": motif, "why": why}
        for outcome, why in zip(outcomes, reasons)]
  return Sightings(motif, counts, "".join(json.dumps(line) + "\n" for line in lines))


def _why(outcome: Outcome, arm: Arm, motif: str, watched: int) -> str | None:
  """Why the program of a repeat has the motif, or None; rates are watched over some examples."""
  program = text.parse(outcome.program, arm.space)
  found = motifs.find_motifs(
      program, multiclass=arm.select.ten_classes, num_examples=watched)
  return next((item.why for item in found if item.name == motif), None)


def _p_value(pairs: Sequence[tuple[int, int]]) -> str:
  if not all(total for _, total in pairs):
    return "-"
  return f"{statistics.fisher_exact(*pairs[0], *pairs[1]):.2g}"
