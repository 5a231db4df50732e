"""A picture that puts measured values beside published ones, as means with error bars."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from azero.insight import statistics
from azero.insight.plots.picture import Picture

_OURS, _PAPER, _POINTS = "#1f5fa8", "#d08a2e", "#7f9fc4"
_LINES = ("#4c8c4a", "#8a5aa8", "#8a7a3a")


class Setting(NamedTuple):
  """One setting of an experiment.

  Attributes:
    name: below it.
    values: one accuracy for each repeat; drawn as points beside their mean.
    paper: published value and its error, or None.
  """

  name: str
  values: Sequence[float]
  paper: tuple[float, float] | None = None


def plot_comparison(
    settings: Sequence[Setting], *, label: str, title: str = "",
    references: Mapping[str, float] | None = None,
) -> Picture:
  """Means of several settings beside those of the paper.

  Args:
    settings: in order; one without values keeps its place.
    label: of the vertical axis.
    title: of the picture.
    references: horizontal lines by name.

  Returns:
    The figure.

  Raises:
    ValueError: no setting has a value.
  """
  everything = [value for setting in settings for value in setting.values]
  if not everything:
    raise ValueError("Nothing to plot: no repeat has ended yet.")
  figure = Picture(figsize=(1.5 + 1.5 * max(4, len(settings)), 5), layout="constrained")
  axes = figure.add_subplot()
  points = mean = paper = None
  for place, setting in enumerate(settings):
    if setting.values:
      spread = np.linspace(-0.06, 0.06, len(setting.values)) if len(setting.values) > 1 else [0.0]
      (points,) = axes.plot(
          place - 0.25 + np.asarray(spread), setting.values, ".", color=_POINTS, alpha=0.5,
          markersize=9)
    if len(setting.values) > 1:  # a single value has no error
      center, error = statistics.mean_and_two_sem(setting.values)
      mean = axes.errorbar(place - 0.1, center, error, fmt="o", color=_OURS, capsize=4)
      everything += [center - error, center + error]
    if setting.paper is not None:
      paper = axes.errorbar(place + 0.15, *setting.paper, fmt="s", color=_PAPER, capsize=4)
      value, error = setting.paper
      everything += [value - error, value + error]
  for (name, value), color in zip((references or {}).items(), _LINES * len(references or ())):
    axes.axhline(value, color=color, linestyle="--", label=f"{name}, here: {value:.3f}")
    everything.append(value)
  for artist, text in (
      (points, "here, each repeat"), (mean, "here, mean and two standard errors"),
      (paper, "paper, on its own data and compute")):
    if artist is not None:
      artist.set_label(text)
  low, high = min(everything), max(everything)
  margin = 0.15 * (high - low) + 1e-3
  axes.set_ylim(max(0.0, low - margin), high + 3 * margin)
  # Above 1 there is room for the legend only.
  axes.set_yticks([tick for tick in axes.get_yticks() if low - margin <= tick <= 1.0])
  axes.set_xlim(-0.6, len(settings) - 0.4)
  axes.set_xticks(range(len(settings)), [setting.name for setting in settings])
  axes.set_ylabel(label)
  axes.set_title(title, wrap=True)
  axes.legend(loc="best", fontsize=9)
  return figure
