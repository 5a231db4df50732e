"""A picture that puts measured values beside published ones, as bars with error bars."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from azero.analysis.plots import Picture

_OURS, _PAPER, _POINTS = "#1f5fa8", "#b9c7d8", "#0d2c50"
_LINES = ("#4c8c4a", "#8a5aa8", "#8a7a3a")


class Bar(NamedTuple):
  """One setting of an experiment.

  Attributes:
    name: below the bars.
    values: one measured value for each repeat; drawn as points with their mean as a bar.
    error: of the mean.
    paper: published value and its error, or None.
  """

  name: str
  values: Sequence[float]
  error: float
  paper: tuple[float, float] | None = None


def plot_comparison(
    bars: Sequence[Bar], *, label: str, title: str = "",
    references: Mapping[str, float] | None = None,
) -> Picture:
  """Means of several settings beside those of the paper.

  Args:
    bars: the settings, in order; one without values keeps its place.
    label: of the vertical axis.
    title: of the picture.
    references: horizontal lines by name.

  Returns:
    The figure.

  Raises:
    ValueError: no setting has a value.
  """
  everything = [value for bar in bars for value in bar.values]
  if not everything:
    raise ValueError("Nothing to plot: no repeat has ended yet.")
  figure = Picture(figsize=(1.5 + 1.5 * max(4, len(bars)), 5), layout="constrained")
  axes = figure.add_subplot()
  width = 0.38
  shift = width / 2 if any(bar.paper is not None for bar in bars) else 0.0
  for place, bar in enumerate(bars):
    if bar.values:
      axes.bar(
          place - shift, np.mean(bar.values), width, yerr=bar.error, color=_OURS, capsize=3,
          label="here")
      mean = float(np.mean(bar.values))
      everything += [mean - bar.error, mean + bar.error]
      spread = np.linspace(-0.3, 0.3, len(bar.values)) * width if len(bar.values) > 1 else [0.0]
      axes.plot(place - shift + np.asarray(spread), bar.values, ".", color=_POINTS, alpha=0.7)
    if bar.paper is not None:
      axes.bar(
          place + shift, bar.paper[0], width, yerr=bar.paper[1], color=_PAPER, capsize=3,
          label="paper (its own data and compute)")
      everything += [bar.paper[0] - bar.paper[1], bar.paper[0] + bar.paper[1]]
  for (name, value), color in zip((references or {}).items(), _LINES * len(references or ())):
    axes.axhline(value, color=color, linestyle="--", label=f"{name}, here: {value:.3f}")
    everything.append(value)
  low, high = min(everything), max(everything)
  margin = 0.15 * (high - low) + 1e-3
  axes.set_ylim(max(0.0, low - 2 * margin), high + 2 * margin)
  axes.set_xticks(range(len(bars)), [bar.name for bar in bars])
  axes.set_ylabel(label)
  axes.set_title(title)
  handles, names = axes.get_legend_handles_labels()
  legend = dict(zip(names, handles))  # each name once
  axes.legend(list(legend.values()), list(legend), loc="best", fontsize=9)
  return figure
