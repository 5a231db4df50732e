"""A picture of a benchmark: rates, growth, stages, scaling and the cost of every op."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
import numpy as np

from azero.insight.plots.picture import Picture
from experiments.benchmarks import device_rates
from experiments.benchmarks.device_rates import Row

_COLOURS = ("#1f5fa8", "#b5442b", "#4c8c4a", "#8a5aa8", "#8a7a3a", "#555555")
_KIND_COLOURS = {"scalar": "#8a7a3a", "vector": "#1f5fa8", "matrix": "#b5442b"}
_MARKERS = ("o", "s", "^", "D", "v", "P")
_REFERENCE_TASKS = 10
_OP_FEATURES = 16
_ROW_HEIGHT = 3.2  # inches


def plot_benchmark(results: Mapping[str, Any]) -> Picture:
  """The parts of a benchmark that were measured, side by side.

  Args:
    results: rows by the name of their part, as the experiment on speed saves them.

  Returns:
    The figure; `figure.savefig(path)` writes it.
  """
  panels: list[tuple[str, Callable[[Axes, Any], None]]] = [
      ("programs", _rates), ("programs", _growth_with_tasks),
      ("growth", _growth_with("length", "live instructions of Learn")),
      ("growth", _growth_with("examples", "training examples")),
      ("populations", _populations), ("demo", _stages), ("searches", _searches),
      ("scaling", _scaling),
      ("ops", _noise_ratios)]
  shown = [(part, draw) for part, draw in panels if part in results]
  columns = 2 + ("ops" in results)
  height = max(1, -(-len(shown) // 2))
  figure = Picture(
      figsize=(5.0 * columns, max(_ROW_HEIGHT * height, 8.5 if "ops" in results else 0)),
      layout="constrained")
  grid = figure.add_gridspec(height, columns)
  for k, (part, draw) in enumerate(shown):
    axes = figure.add_subplot(grid[k // 2, k % 2])
    draw(axes, results[part])
    _finish(axes)
  if "ops" in results:
    axes = figure.add_subplot(grid[:, 2])
    _ops(axes, results["ops"])
    _finish(axes)
  return figure


def _finish(axes: Axes) -> None:
  axes.grid(True, which="major", linewidth=0.4, alpha=0.5)
  axes.set_axisbelow(True)
  axes.spines[["top", "right"]].set_visible(False)
  axes.title.set_fontsize(10)
  axes.tick_params(labelsize=8)


def _sizes(axes: Axes, values: Sequence[int]) -> None:
  """A logarithmic axis with a tick for each of a few sizes."""
  axes.set_xscale("log")
  axes.set_xticks(sorted(set(values)), [f"{value:,}" for value in sorted(set(values))])
  axes.xaxis.set_minor_locator(NullLocator())


def _rate_axis(axes: Axes) -> None:
  """A logarithmic axis that is readable within a decade, too."""
  axes.set_yscale("log")
  axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
  axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
  axes.yaxis.set_minor_formatter(NullFormatter())


def _rates(axes: Axes, rows: Sequence[Row]) -> None:
  tasks = _nearest({row["tasks"] for row in rows}, _REFERENCE_TASKS)
  for colour, name in zip(_COLOURS, device_rates.PROGRAMS):
    for dtype, style in (("float32", "-"), ("float64", "--")):
      some = [row for row in rows if (row["program"], row["dtype"], row["tasks"]) == (
          name, dtype, tasks)]
      axes.plot([row["features"] for row in some],
                [row["steps_per_second"] / 1e6 for row in some], style, marker="o",
                color=colour, markersize=4, label=f"{_words(name)}, {dtype}")
  _sizes(axes, [row["features"] for row in rows])
  _rate_axis(axes)
  axes.set_xlabel("F")
  axes.set_ylabel("million training steps / s")
  axes.set_title(f"Hand-written programs, D = {tasks}, one device", loc="left")
  axes.legend(frameon=False, fontsize=8)


def _growth_with_tasks(axes: Axes, rows: Sequence[Row]) -> None:
  features = sorted({row["features"] for row in rows})
  for colour, name in zip(_COLOURS, device_rates.PROGRAMS):
    for marker, size in zip(_MARKERS, features):
      some = [row for row in rows if (row["program"], row["dtype"], row["features"]) == (
          name, "float32", size)]
      axes.plot([row["tasks"] for row in some], [row["ns_per_step"] for row in some],
                marker=marker, color=colour, markersize=4, linewidth=1,
                label=f"{_words(name)}, F = {size}")
  _sizes(axes, [row["tasks"] for row in rows])
  _rate_axis(axes)
  axes.set_xlabel("D")
  axes.set_ylabel("ns / training step and task")
  axes.set_title("Cost over the number of tasks, float32", loc="left")
  axes.legend(frameon=False, fontsize=7, ncols=2)


def _growth_with(varied: str, label: str) -> Callable[[Axes, Any], None]:
  """Draws cost over one size."""
  key = {"length": "length", "examples": "train"}[varied]

  def draw(axes: Axes, rows: Sequence[Row]) -> None:
    some = [row for row in rows if row["varied"] == varied]
    for colour, name in zip(_COLOURS, dict.fromkeys(row["program"] for row in some)):
      own = [row for row in some if row["program"] == name]
      axes.plot([row[key] for row in own], [row["ns_per_step"] for row in own], marker="o",
                color=colour, markersize=4, label=_words(name))
    _sizes(axes, [row[key] for row in some])
    _rate_axis(axes)
    axes.set_xlabel(label)
    axes.set_ylabel("ns / training step and task")
    shape = f"F = {some[0]['features']}, D = {some[0]['tasks']}"
    axes.set_title(f"Cost over {label}, {shape}", loc="left")
    axes.legend(frameon=False, fontsize=8)

  return draw


def _populations(axes: Axes, rows: Sequence[Row]) -> None:
  names = [f"{row['space']}\n{row['population']}" for row in rows]
  rates = [row["programs_per_second"] for row in rows]
  bars = axes.bar(names, rates, width=0.6, color=[
      _COLOURS[0] if row["population"] == "evolved" else "#b9c7d8" for row in rows])
  axes.bar_label(bars, [f"{rate:,.0f}" for rate in rates], fontsize=8)
  axes.set_ylabel("programs / s")
  axes.set_title("Populations on digits, F = 16, D = 10, one device", loc="left")


def _stages(axes: Axes, demo: Mapping[str, Any]) -> None:
  names = list(demo["stages"])[::-1]
  shares = [100 * demo["stages"][name] for name in names]
  bars = axes.barh(names, shares, color=_COLOURS[0], height=0.6)
  axes.bar_label(bars, [f"{share:.1f}%" for share in shares], fontsize=8, padding=2)
  axes.set_xlabel("% of the wall time")
  axes.set_xlim(0, 1.15 * max(shares))
  axes.set_title(
      f"Demo search: {demo['programs_per_second']:,.0f} programs / s, "
      f"{demo['num_devices']} devices", loc="left")


def _searches(axes: Axes, rows: Mapping[str, Row]) -> None:
  names, left = list(rows)[::-1], np.zeros(len(rows))
  for k, stage in enumerate(rows[names[0]]["stages"]):
    shares = np.array([100 * rows[name]["stages"][stage] for name in names])
    axes.barh(names, shares, left=left, height=0.6, label=stage,
              color=(*_COLOURS, "#b9c7d8", "#dddddd")[k])
    left += shares
  axes.set_xlabel("% of the wall time of a thread")
  axes.set_title("Searches from their start", loc="left")
  axes.legend(frameon=False, fontsize=7, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.08))


def _scaling(axes: Axes, rows: Sequence[Row]) -> None:
  counts = [row["num_devices"] for row in rows]
  lines = {name: [row["steps_per_second"][name] for row in rows]
           for name in rows[0]["steps_per_second"]}
  lines["demo search"] = [row["programs_per_second"] for row in rows]
  axes.plot(counts, counts, ":", color="#555555", label="linear")
  for colour, (name, rates) in zip(_COLOURS, lines.items()):
    axes.plot(counts, np.array(rates) / rates[0], marker="o", color=colour, label=_words(name))
  axes.set_xticks(counts)
  axes.set_xlabel("devices")
  axes.set_ylabel("times the speed of one")
  axes.set_title("Scaling over devices", loc="left")
  axes.legend(frameon=False, fontsize=8)


def _noise_ratios(axes: Axes, rows: Sequence[Row]) -> None:
  names = [row for row in rows if row["op"].split("_")[-1] in device_rates.NOISE_RATIOS]
  sizes = sorted({row["features"] for row in rows})
  ops = list(dict.fromkeys(row["op"] for row in names))
  for k, size in enumerate(sizes):
    ratios = {row["op"]: row["ratio"] or np.nan for row in names if row["features"] == size}
    places = np.arange(len(ops)) + (k - (len(sizes) - 1) / 2) * 0.25
    axes.bar(places, [ratios[op] for op in ops], width=0.22, color=_COLOURS[k],
             label=f"F = {size}")
  for k, op in enumerate(ops):
    bound = device_rates.NOISE_RATIOS[op.split("_")[-1]]
    axes.plot([k - 0.45, k + 0.45], [bound, bound], color="#555555", linewidth=1.2,
              label="bound" if not k else None)
  axes.set_xticks(range(len(ops)), [op.replace("_", "\n") for op in ops])
  axes.set_ylabel("times an addition")
  axes.set_title("Random ops against additions of their size", loc="left")
  axes.legend(frameon=False, fontsize=8)


def _ops(axes: Axes, rows: Sequence[Row]) -> None:
  features = _nearest({row["features"] for row in rows}, _OP_FEATURES)
  some = sorted(
      (row for row in rows if row["features"] == features), key=lambda row: row["ns_per_element"])
  least = min((row["ns_per_element"] for row in some if row["ns_per_element"] > 0), default=1.0)
  for place, row in enumerate(some):
    measured = row["ns_per_element"] > 0
    axes.plot(row["ns_per_element"] if measured else least, place, "o" if measured else "<",
              markersize=4, color=_KIND_COLOURS[row["kind"]],
              markerfacecolor=None if measured else "none")
  for kind, colour in _KIND_COLOURS.items():
    axes.plot([], [], "o", color=colour, markersize=4, label=f"widest operand: {kind}")
  axes.plot([], [], "<", color="#555555", markerfacecolor="none", markersize=4,
            label="too little to be measured")
  axes.set_xscale("log")
  axes.set_ylim(-1, len(some))
  axes.set_yticks(range(len(some)), [row["op"] for row in some])
  axes.set_xlabel("ns / element of the widest operand")
  axes.set_title(f"Every op on its own, F = {features}, one device", loc="left")
  axes.legend(frameon=False, fontsize=8, loc="lower right")


def _nearest(values: set[int], wanted: int) -> int:
  return min(values, key=lambda value: abs(value - wanted))


def _words(name: str) -> str:
  return name.replace("_", " ")
