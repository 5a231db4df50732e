"""Results of the final evaluation, as they are saved and reported: accuracies and constants."""

from __future__ import annotations

from collections.abc import Sequence
import json
from typing import TYPE_CHECKING, Any

from experiments.frame import lazy

with lazy.imports():
  from azero.insight import statistics, tables
  from azero.insight.plots import final_plot
  from azero.language import text
  from azero.runs import reader
  from experiments.frame import reporting

if TYPE_CHECKING:
  from azero.runs.directory import RunDirectory
  from experiments.frame.candidates import Candidate

_RESULTS = "results.json"


def save(
    rows: Sequence[dict[str, Any]], candidates: Sequence[Candidate], config: Any,
    directory: RunDirectory,
) -> None:
  """Writes the results that there are, with their picture and report."""
  directory.write(_RESULTS, json.dumps(rows, indent=2) + "\n")
  picture = final_plot.plot_final(rows, title=f"{config.dataset}: final evaluation")
  picture.savefig(directory.path / "final.png", dpi=130)
  directory.write("report.md", _report(rows, candidates, config))


def read(
    directory: RunDirectory, candidates: Sequence[Candidate]
) -> dict[tuple[str, str], dict[str, Any]]:
  """Rows of a run that need not be made again, by task and program.

  Raises:
    ValueError: a program is not that of the run any more.
  """
  path = directory.path / _RESULTS
  code = {candidate.name: text.format_program(candidate.program) for candidate in candidates}
  with reader.reading(path):
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    for row in rows:
      if row["code"] != code.get(row["program"]):
        raise ValueError(
            f"--program: '{row['program']}' is not the program any more whose results are in "
            f"'{path}'. Put that one back, or start a new run.")
    return {(row["task"], row["program"]): row for row in rows if not row["interrupted"]}


def _report(
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
  results = tables.markdown(
      ("classes", "program", "test accuracy", "deviation over seeds", "validation, untuned",
       "validation, tuned", "trials", "examples trained on", "seconds"),
      [(row["task"], row["program"], f"{row['mean']:.4f}", f"{row['std']:.4f}",
        f"{row['valid_original']:.4f}", f"{row['valid_tuned']:.4f}", row["trials"],
        f"{row['train_steps']:,}", f"{row['seconds']:.0f}") for row in rows])
  overall = _over_pairs(rows)
  constants = tables.markdown(
      ("classes", "program", "instruction", "constant", "tuned"),
      [(row["task"], row["program"], f"`{line}`", f"{old:.4g}", f"{new:.4g}")
       for row in rows for line, old, new in zip(
           row["constants_of"], row["original_constants"], row["constants"])])
  programs = [
      f"### {candidate.name}\n\n{reporting.code_block(reporting.live_text(candidate.program))}"
      for candidate in candidates]
  return reporting.report(
      f"Final evaluation on {config.dataset}", summary=summary,
      tables=[
          *overall, results, "![Test accuracies and tuning](final.png)", "## Constants",
          constants, "## Programs", *programs],
      program=None, config=config)


def _over_pairs(rows: Sequence[dict[str, Any]]) -> list[str]:
  """Means over the pairs on which all programs were measured, and how far the first is ahead."""
  accuracies: dict[str, dict[str, float]] = {}
  for row in rows:
    accuracies.setdefault(row["program"], {})[row["task"]] = row["mean"]
  tasks = [task for task in dict.fromkeys(row["task"] for row in rows)
           if all(task in own for own in accuracies.values())]
  if len(tasks) < 2 or len(accuracies) < 2:
    return []
  means = {name: [own[task] for task in tasks] for name, own in accuracies.items()}
  first, *others = means
  lines: list[tuple[str, ...]] = [(first, f"{sum(means[first]) / len(tasks):.4f}", "-", "-")]
  for name in others:
    ahead = statistics.paired_difference(means[first], means[name])
    above = sum(one > other for one, other in zip(means[first], means[name]))
    lines.append((
        name, f"{sum(means[name]) / len(tasks):.4f}",
        f"{ahead.estimate:+.4f} ({ahead.low:+.4f} to {ahead.high:+.4f})",
        f"{above} of {len(tasks)}"))
  return [tables.markdown(
      (f"program, mean of {len(tasks)} pairs", "test accuracy",
       f"{first} is ahead by (95 %, paired)", f"pairs on which {first} is above"), lines)]
