"""Pictures of a search: its progress, after figure 6 of the AutoML-Zero paper."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from azero.insight import discoveries
from azero.insight.discoveries import height
from azero.insight.plots.picture import Picture
from azero.search.threads import Improvement

_LINE, _OTHERS, _CALLOUT = "#1f5fa8", "#b9c7d8", "#b5442b"
_CALLOUT_LINES = 6  # of each callout at most
_REFERENCES = ("#4c8c4a", "#8a5aa8", "#8a7a3a")


def plot_progress(
    improvements: Sequence[Improvement], *, metric: str, title: str = "",
    references: Mapping[str, float] | None = None, multiclass: bool = False,
    num_callouts: int = 5, num_programs: int | None = None,
) -> Picture:
  """Best fitness of every island over the programs it evaluated.

  The island that reached most is drawn strongly; its largest jumps carry the live
  instructions that are new in them. For regression the axis shows 1 - fitness, on a
  logarithmic scale, so that the last nines can be told apart.

  Args:
    improvements: every new best of every island, in order.
    metric: of the tasks, "rms" or "accuracy".
    title: of the picture.
    references: horizontal lines by name, e.g. the fitness of baselines.
    multiclass: whether the tasks are multi-class, for the liveness of instructions.
    num_callouts: how many jumps to explain.
    num_programs: how far the curves go; default to the last improvement.

  Returns:
    The figure; `figure.savefig(path)` writes it.

  Raises:
    ValueError: no improvement.
  """
  if not improvements:
    raise ValueError("Nothing to plot: the search has not evaluated a program yet.")
  figure = Picture(figsize=(10, 5.5), layout="constrained")
  axes = figure.add_subplot()
  end = num_programs or max(item.num_programs for item in improvements)
  islands: dict[int, list[Improvement]] = {}
  for item in improvements:
    islands.setdefault(item.island, []).append(item)
  best = max(islands.values(), key=lambda items: items[-1].fitness)
  for items in islands.values():
    strong = items is best
    x = [max(item.num_programs, 1) for item in items] + [max(end, 1)]
    y = [height(item.fitness, metric) for item in items]
    label = "best island" if strong else "other islands" if items is _first_other(
        islands, best) else None
    axes.step(x, [*y, y[-1]], where="post", color=_LINE if strong else _OTHERS,
              linewidth=2.2 if strong else 0.8, zorder=3 if strong else 1, label=label)
  for colour, (name, value) in zip(_REFERENCES * 9, (references or {}).items()):
    axes.axhline(height(value, metric), color=colour, linestyle="--", linewidth=1, label=name)
  _label(axes, metric, title)
  _call_out(axes, best, metric, multiclass, num_callouts)
  # Beside the axes, where it covers neither curves nor what is told of them.
  figure.legend(loc="outside lower center", ncols=5, frameon=False, fontsize=9)
  return figure


def _first_other(islands, best):
  return next((items for items in islands.values() if items is not best), None)


def _label(axes: Axes, metric: str, title: str) -> None:
  axes.set_xscale("log")
  axes.set_xlabel("programs evaluated on an island")
  if metric == "accuracy":
    axes.set_ylabel("best fitness (accuracy) on the search tasks")
  else:
    axes.set_yscale("log")
    axes.invert_yaxis()
    axes.set_ylabel("1 - best fitness on the search tasks (up is better)")
  axes.set_title(title, loc="left", fontsize=11)
  axes.grid(True, which="major", linewidth=0.4, alpha=0.5)
  axes.spines[["top", "right"]].set_visible(False)


def _call_out(
    axes: Axes, items: Sequence[Improvement], metric: str, multiclass: bool, count: int
) -> None:
  """Numbers the largest jumps, and lists beside the axes what is new in them."""
  chosen = discoveries.largest_steps([item.fitness for item in items], metric, count)
  legend = []
  for number, k in enumerate(chosen, start=1):
    place = max(items[k].num_programs, 1), height(items[k].fitness, metric)
    axes.annotate(
        str(number), place, xytext=(-9, 0),
        textcoords="offset points", ha="center", va="center", fontsize=8, color="white",
        zorder=5, bbox={"boxstyle": "circle,pad=0.2", "color": _CALLOUT})
    lines = discoveries.new_instructions(
        items[k - 1].program, items[k].program, multiclass=multiclass)
    shown = lines[:_CALLOUT_LINES] + (["..."] if len(lines) > _CALLOUT_LINES else [])
    heading = f"{number}  after {items[k].num_programs:,} programs"
    legend.append("\n".join([heading, *(f"   {line}" for line in shown or ["(constants)"])]))
  if legend:
    axes.annotate(
        "\n\n".join(["new live instructions", *legend]), (1.02, 1.0), xycoords="axes fraction",
        ha="left", va="top", fontsize=7.5, family="monospace", color=_CALLOUT)
