"""A picture like figure 4 of the AutoML-Zero paper: success ratio against task difficulty."""

from collections.abc import Sequence
import dataclasses
import math

from matplotlib.axes import Axes

from azero.insight.plots.picture import Picture
from azero.insight.statistics import Interval

_COLOURS = ("#1f5fa8", "#b5442b", "#4c8c4a", "#8a5aa8")
_PAPER = "#555555"
_ARROW = 3.0  # length of the arrow of a bound, as a factor


@dataclasses.dataclass(frozen=True)
class Point:
  """One task type.

  Attributes:
    name: of it.
    density: acceptable programs per random program.
    ratio: how many times larger the rate of evolution is.
  """

  name: str
  density: Interval
  ratio: Interval


def plot_success_ratios(
    points: Sequence[Point], paper: Sequence[tuple[str, float, float]] = ()
) -> Picture:
  """Success ratio of evolution and random search over the difficulty of each task type.

  Where random search found nothing there is no point, but the corner from which on it can be.

  Args:
    points: of the task types.
    paper: names, difficulties and ratios that the paper states, for comparison.

  Returns:
    The figure; `figure.savefig(path)` writes it.
  """
  figure = Picture(figsize=(7.5, 5), layout="constrained")
  axes = figure.add_subplot()
  axes.set_xscale("log")
  axes.set_yscale("log")
  for colour, point in zip(_COLOURS * len(points), points):
    _draw(axes, point, colour)
  for name, difficulty, ratio in paper:
    axes.plot(difficulty, ratio, "D", color=_PAPER, fillstyle="none", label=name)
  axes.axhline(1.0, color=_PAPER, linewidth=0.8, linestyle=":")
  axes.set_xlabel("difficulty: random programs per acceptable one")
  axes.set_ylabel("success rate of evolution / of random search")
  axes.set_title(
      "Success ratio by task type; in the paper it grows with difficulty", loc="left", fontsize=10)
  axes.grid(True, which="major", linewidth=0.4, alpha=0.5)
  axes.spines[["top", "right"]].set_visible(False)
  figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
  return figure


def _draw(axes: Axes, point: Point, colour: str) -> None:
  easiest = 1.0 / point.density.high
  if point.density.estimate > 0 and point.ratio.estimate > 0:
    x, y = 1.0 / point.density.estimate, point.ratio.estimate
    axes.errorbar(
        x, y, xerr=[[x - easiest], [1.0 / point.density.low - x]],
        yerr=[[y - point.ratio.low], [point.ratio.high - y]], fmt="o", color=colour, capsize=3,
        linewidth=1.2, label=point.name)
    return
  if point.density.estimate > 0:  # evolution found nothing: an upper bound
    x = 1.0 / point.density.estimate
    axes.plot(x, point.ratio.high, "v", color=colour, label=f"{point.name} (at most)")
    _arrow(axes, x, point.ratio.high, 1.0, 1.0 / _ARROW, colour)
  elif point.ratio.low > 0:  # random search found nothing: lower bounds
    axes.plot(
        easiest, point.ratio.low, "^", color=colour, label=f"{point.name} (at least)")
    _arrow(axes, easiest, point.ratio.low, 1.0, _ARROW, colour)
    _arrow(axes, easiest, point.ratio.low, _ARROW, 1.0, colour)
  else:
    axes.axvline(
        easiest, color=colour, linestyle="--", linewidth=1,
        label=f"{point.name} (no success; difficulty at least {easiest:.1e})")


def _arrow(
    axes: Axes, x: float, y: float, right: float, up: float, colour: str
) -> None:
  """An arrow from a point to one that is so many times further."""
  if math.isfinite(x * y):
    axes.annotate(
        "", (x * right, y * up), (x, y), arrowprops={"arrowstyle": "->", "color": colour})
    axes.plot(x * right, y * up, alpha=0)  # keeps it inside the axes
