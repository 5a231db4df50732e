"""The report of the final evaluation: what programs reach at full size, and their constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments.frame import lazy

with lazy.imports():
  from experiments.frame import reporting

if TYPE_CHECKING:
  from experiments.frame.candidates import Candidate


def report(
    rows: Sequence[dict[str, Any]], candidates: Sequence[Candidate], config: Any) -> str:
  """The report in Markdown.

  Args:
    rows: of each pair and program, as in results.json.
    candidates: the programs.
    config: the settings of the final evaluation.
  """
  summary = [
      f"Pairs of classes of {config.dataset} with all pixels. Each program's constants were "
      f"tuned with {config.num_trials} trials ({config.tuner} search) on {config.num_train} "
      f"training and {config.num_valid} validation images of the train split; then it trained "
      f"with {config.num_seeds} seeds and was measured on {config.num_test} images of the test "
      "split, which tuning does not see, after its last epoch."]
  if any(row["interrupted"] for row in rows):
    summary.append("**Tuning was interrupted**: budgets are not equal, see the table.")
  results = reporting.table(
      ("classes", "program", "test accuracy", "deviation over seeds", "validation, untuned",
       "validation, tuned", "trials", "examples trained on", "seconds"),
      [(row["task"], row["program"], f"{row['mean']:.4f}", f"{row['std']:.4f}",
        f"{row['valid_original']:.4f}", f"{row['valid_tuned']:.4f}", row["trials"],
        f"{row['train_steps']:,}", f"{row['seconds']:.0f}") for row in rows])
  constants = reporting.table(
      ("classes", "program", "instruction", "constant", "tuned"),
      [(row["task"], row["program"], f"`{line}`", f"{old:.4g}", f"{new:.4g}")
       for row in rows for line, old, new in zip(
           row["constants_of"], row["original_constants"], row["constants"])])
  programs = [
      f"### {candidate.name}\n\n{reporting.code_block(reporting.live_text(candidate.program))}"
      for candidate in candidates]
  return reporting.report(
      f"Final evaluation on {config.dataset}", summary=summary,
      tables=[results, "![Test accuracies and tuning](final.png)", "## Constants", constants,
              "## Programs", *programs],
      program=None, config=config)
