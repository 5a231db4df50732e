"""A picture of ablations: what each knock-out costs, with its interval."""

import math

from azero.insight.ablation import MECHANISM, Ablations
from azero.insight.plots.picture import Picture

_MECHANISM, _INSTRUCTION, _ZERO = "#1f5fa8", "#8fa9c9", "#888888"


def plot_ablations(ablations: Ablations, *, title: str = "") -> Picture:
  """The loss by each knock-out as a bar, in the order of the ablations.

  Args:
    ablations: what was measured.
    title: of the picture.

  Returns:
    The figure.

  Raises:
    ValueError: nothing was knocked out.
  """
  rows = ablations.rows
  if not rows:
    raise ValueError("Nothing to plot: the program has nothing that could be knocked out.")
  figure = Picture(figsize=(9, 1.4 + 0.3 * len(rows)), layout="constrained")
  axes = figure.add_subplot()
  for place, row in enumerate(rows):
    color = _MECHANISM if row.kind == MECHANISM else _INSTRUCTION
    axes.barh(place, row.loss.estimate, height=0.7, color=color)
    if math.isfinite(row.loss.high):
      reach = [[row.loss.estimate - row.loss.low], [row.loss.high - row.loss.estimate]]
      axes.errorbar(
          row.loss.estimate, place, xerr=reach, fmt="none", ecolor="black", capsize=2, lw=1)
  labels = [row.name if row.kind == MECHANISM else str(row.places[0]) for row in rows]
  axes.set_yticks(range(len(rows)), labels, fontsize=8)
  for label, row in zip(axes.get_yticklabels(), rows):
    label.set_fontweight("bold" if row.kind == MECHANISM else "normal")
  axes.set_ylim(len(rows) - 0.4, -0.6)  # the first one on top
  axes.axvline(0.0, color=_ZERO, lw=1)
  axes.set_xlabel(f"loss of fitness, of {ablations.fitness:.4f}; intervals of 95 %")
  axes.set_title(title, wrap=True)
  axes.grid(axis="x", alpha=0.3)
  axes.set_axisbelow(True)
  return figure
