"""The picture of a final evaluation: accuracy on test images, and how tuning got there."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
import numpy as np

from azero.insight.plots.picture import Picture

_COLOURS = ("#1f5fa8", "#b5442b", "#4c8c4a", "#8a5aa8", "#8a7a3a")

Row = Mapping[str, Any]


def plot_final(rows: Sequence[Row], *, title: str = "") -> Picture:
  """Test accuracies of several programs on several tasks, and their tuning.

  Args:
    rows: one for each task and program, with "task" and "program" (names), "test" (accuracies,
      one for each seed) and "history" (new bests of tuning, each with "train_steps" and
      "fitness").
    title: of the picture.

  Returns:
    The figure; `figure.savefig(path)` writes it.

  Raises:
    ValueError: no row.
  """
  if not rows:
    raise ValueError("Nothing to plot: no program has been evaluated.")
  tasks = list(dict.fromkeys(row["task"] for row in rows))
  width = max(5.5, 0.9 * len(tasks))
  figure = Picture(figsize=(5.5 + width, 4.6), layout="constrained")
  left, right = figure.subplots(1, 2, width_ratios=(width, 5.5))
  programs = list(dict.fromkeys(row["program"] for row in rows))
  colours = {name: _COLOURS[k % len(_COLOURS)] for k, name in enumerate(programs)}
  _accuracies(left, rows, tasks, colours)
  _tuning(right, rows, tasks, colours)
  left.set_title(title, loc="left", fontsize=11)
  for axes in (left, right):
    axes.grid(True, which="major", linewidth=0.4, alpha=0.5)
    axes.spines[["top", "right"]].set_visible(False)
  return figure


def _accuracies(
    axes: Axes, rows: Sequence[Row], tasks: list[str], colours: Mapping[str, str]) -> None:
  """A point for each seed, and mean with deviation beside them."""
  names = list(colours)
  for row in rows:
    centre = tasks.index(row["task"]) + (names.index(row["program"]) - (len(names) - 1) / 2) * 0.22
    accuracies = np.array(row["test"])
    colour = colours[row["program"]]
    axes.scatter(np.full(len(accuracies), centre - 0.04), accuracies, s=14, color=colour, alpha=0.5)
    label = row["program"] if row["task"] == tasks[0] else None
    axes.errorbar(centre + 0.04, accuracies.mean(), yerr=accuracies.std(ddof=len(accuracies) > 1),
                  fmt="D", color=colour, markersize=5, capsize=3, label=label)
  axes.set_xticks(range(len(tasks)), tasks)
  axes.set_xlim(-0.6, len(tasks) - 0.4)
  axes.set_ylabel("accuracy on held-out test images, one point a seed")
  low, high = axes.get_ylim()
  axes.set_ylim(low, min(high, 1.005))  # no accuracy is above 1
  axes.legend(frameon=False, fontsize=9)


def _tuning(
    axes: Axes, rows: Sequence[Row], tasks: list[str], colours: Mapping[str, str]) -> None:
  """Best validation accuracy over the examples trained on: thin lines, and their mean."""
  for name, colour in colours.items():
    own = [row for row in rows if row["program"] == name]
    curves = [_curve(row) for row in own]
    for steps, fitness in curves:
      axes.step(steps, fitness, where="post", color=colour,
                linewidth=1.4 if len(tasks) == 1 else 0.6, alpha=1.0 if len(tasks) == 1 else 0.45)
    if len(curves) > 1:
      grid = np.unique(np.concatenate([steps for steps, _ in curves]))
      # No mean of fewer: it would jump where the first line begins or ends.
      grid = grid[(grid >= max(steps[0] for steps, _ in curves))
                  & (grid <= min(steps[-1] for steps, _ in curves))]
      known = [fitness[np.searchsorted(steps, grid, "right") - 1] for steps, fitness in curves]
      axes.step(grid, np.mean(known, axis=0), where="post", color=colour, linewidth=2.2,
                label=f"{name}, mean")
  axes.set_xscale("log")
  axes.set_xlabel("examples trained on while tuning")
  axes.set_ylabel("best accuracy on validation images")
  axes.set_title("tuning of the constants", loc="left", fontsize=11)
  if len(tasks) > 1 and axes.get_legend_handles_labels()[0]:
    axes.legend(frameon=False, fontsize=9, loc="lower right")


def _curve(row: Row) -> tuple[np.ndarray, np.ndarray]:
  """Examples trained on and the best validation accuracy by then, at each new best and the end."""
  steps = [step["train_steps"] for step in row["history"]] + [row["train_steps"]]
  fitness = [step["fitness"] for step in row["history"]] + [row["history"][-1]["fitness"]]
  return np.array(steps), np.array(fitness)
