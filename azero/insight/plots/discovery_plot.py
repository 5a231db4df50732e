"""A picture of methods beside each other: when searches succeed, how good they are by then."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib import ticker
from matplotlib.axes import Axes
import numpy as np

from azero.insight import survival
from azero.insight.plots.picture import Picture
from azero.insight.survival import Times

_COLOURS = ("#333333", "#1f5fa8", "#b5442b", "#4c8c4a", "#8a5aa8", "#d08a2e", "#2a9d9d", "#8a7a3a")
_STYLES = ("-", "--", ":")
_PANELS_IN_ROW = 2


class Method(NamedTuple):
  """What came of a method.

  Attributes:
    name: of it; has one colour in all panels.
    times: training steps of its searches.
    steps: [K] training steps at which fitness is known, in order.
    fitness: [K] mean over its searches.
  """

  name: str
  times: Times
  steps: np.ndarray
  fitness: np.ndarray


class Panel(NamedTuple):
  """What is solved.

  Attributes:
    title: of it.
    methods: that were tried.
    goal: fitness that is a success.
  """

  title: str
  methods: Sequence[Method]
  goal: float


_Looks = dict[str, dict[str, Any]]  # colour and style of each method


def plot_discovery(panels: Sequence[Panel]) -> Picture:
  """The share of searches that have succeeded (Kaplan-Meier) and the mean fitness over time.

  Args:
    panels: two pictures for each. A tick on a curve is a search that was broken off there.

  Returns:
    The figure; `figure.savefig(path)` writes it.

  Raises:
    ValueError: no panel.
  """
  if not panels:
    raise ValueError("Nothing to plot: no search has ended yet.")
  names = list(dict.fromkeys(method.name for panel in panels for method in panel.methods))
  looks: _Looks = {
      name: {"color": _COLOURS[k % len(_COLOURS)],
             "linestyle": _STYLES[k // len(_COLOURS) % len(_STYLES)]}
      for k, name in enumerate(names)}
  num_rows = -(-len(panels) // _PANELS_IN_ROW)
  columns = 2 * min(len(panels), _PANELS_IN_ROW)
  figure = Picture(figsize=(3.3 * columns, 2.5 * num_rows + 0.4), layout="constrained")
  grid = figure.subplots(num_rows, columns, squeeze=False).ravel()
  for panel, left, right in zip(panels, grid[::2], grid[1::2]):
    _successes(left, panel, looks)
    _fitness(right, panel, looks)
    for axes in (left, right):
      axes.set_xscale("log")
      low, high = axes.get_xlim()
      wider = max(1.0, (10 * low / high) ** 0.5)  # a decade, in which there is room for two numbers
      axes.set_xlim(low / wider, high * wider)
      axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 3)))
      axes.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
      axes.xaxis.set_minor_locator(ticker.NullLocator())
      axes.set_xlabel("training steps of a search", fontsize=8)
      axes.tick_params(labelsize=7)
      axes.grid(True, which="major", linewidth=0.4, alpha=0.5)
      axes.spines[["top", "right"]].set_visible(False)
  for axes in grid[2 * len(panels):]:
    axes.set_axis_off()
  handles = {
      line.get_label(): line for axes in grid[:2 * len(panels):2] for line in axes.get_lines()
      if line.get_label() in names}
  figure.legend(
      [handles[name] for name in names], names, loc="outside lower center",
      ncols=min(len(names), 5), frameon=False, fontsize=9)
  return figure


def _successes(axes: Axes, panel: Panel, looks: _Looks) -> None:
  """The share that has succeeded, with ticks for those that were broken off."""
  first = min(float(method.times.spent.min()) for method in panel.methods)
  for method in panel.methods:
    curve, times = survival.kaplan_meier(method.times), method.times
    x = [first / 1.5, *curve.times, max(float(times.spent.max()), first)]
    y = [1.0, *curve.survival, curve.survival[-1] if len(curve.survival) else 1.0]
    axes.step(x, 1 - np.array(y), where="post", label=method.name, linewidth=1.6,
              **looks[method.name])
    broken_off = np.unique(times.spent[~times.success])
    axes.plot(broken_off, [1 - curve.at(time) for time in broken_off], "|", markersize=9,
              markeredgewidth=1.3, color=looks[method.name]["color"])
  axes.set_ylim(-0.05, 1.05)
  axes.set_ylabel("share of searches that succeeded", fontsize=8)
  axes.set_title(panel.title, loc="left", fontsize=10)


def _fitness(axes: Axes, panel: Panel, looks: _Looks) -> None:
  """Mean fitness, and the goal."""
  for method in panel.methods:
    axes.step(method.steps, method.fitness, where="post", linewidth=1.6, **looks[method.name])
  axes.axhline(panel.goal, color="#888888", linewidth=1, linestyle=":")
  axes.annotate(
      f"goal {panel.goal:g}", (0.01, panel.goal), xycoords=("axes fraction", "data"),
      xytext=(0, -2), textcoords="offset points", va="top", fontsize=7.5, color="#555555")
  axes.set_ylabel("mean fitness on unseen tasks", fontsize=8)
