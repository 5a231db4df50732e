"""Pictures of migration at scale: how busy servers are, and how lineages spread."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
import numpy as np

from azero.insight.plots.picture import Picture
from experiments.simulations import lineages
from experiments.simulations.lineages import Stubs

_COLOURS = ("#1f5fa8", "#b5442b", "#4c8c4a", "#8a5aa8", "#8a7a3a")
_GREY = "#555555"

Row = Mapping[str, Any]


def plot_load(rows: Sequence[Row]) -> Picture:
  """Server load, waiting and work over the number of workers.

  Args:
    rows: of one pool; each with its mode, births between exchanges, workers W, and what
      `server_load.Load` has.

  Returns:
    The figure; `figure.savefig(path)` writes it.
  """
  figure = Picture(figsize=(13, 4.2), layout="constrained")
  busy, waiting, working = figure.subplots(1, 3)
  several = [row for row in rows if row["mode"] == "asynchronous"]
  for colour, births in zip(_COLOURS * 9, _values(several, "births")):
    some = [row for row in several if row["births"] == births]
    label = f"every {births:,} evaluations"
    for axes, name in ((busy, "utilisation"), (waiting, "waiting"), (working, "working")):
      axes.plot(_column(some, "workers"), _column(some, name), "o-", color=colour, label=label,
                markersize=4)
  common = _values(rows, "births")[len(_values(rows, "births")) // 2]
  for style, mode in zip(("--", ":"), [m for m in _values(rows, "mode") if m != "asynchronous"]):
    some = [row for row in rows if row["mode"] == mode and row["births"] == common]
    working.plot(_column(some, "workers"), _column(some, "working"), style, color=_GREY,
                 marker="s", markersize=4, label=f"{mode}, every {common:,}")
  busy.axhline(1.0, color=_GREY, linewidth=0.8, linestyle=":")
  busy.set_yscale("log")
  waiting.set_yscale("symlog", linthresh=1e-4)
  waiting.yaxis.set_minor_formatter(NullFormatter())
  working.set_ylim(0, 1.03)
  for axes in (busy, working):
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
  busy.set_title("How busy one server is", loc="left")
  waiting.set_title("Mean waiting for the server, s (asynchronous)", loc="left")
  working.set_title("Part of the time in which workers work", loc="left")
  for axes in (busy, waiting, working):
    axes.set_xscale("log")
    axes.set_xlabel("workers W")
    _finish(axes)
  busy.legend(frameon=False, fontsize=8, loc="lower right")
  working.legend(frameon=False, fontsize=8, loc="lower left")
  return figure


def plot_mixing(curves: Sequence[Row], stubs: Mapping[int, Stubs]) -> Picture:
  """How a better program spreads over workers, and how lineages are lost.

  Args:
    curves: each with its scenario, mode, births between exchanges, workers W, and the arrays
      of `lineages.History`.
    stubs: settings of neutral stub workers by their births between exchanges, for the theory.

  Returns:
    The figure; `figure.savefig(path)` writes it.
  """
  figure = Picture(figsize=(13, 4.2), layout="constrained")
  spread, neutral, ranked = figure.subplots(1, 3)
  births = _values(curves, "births")
  middle = births[len(births) // 2]
  most = max(_values(curves, "workers"))
  migrants = stubs[middle].migrants
  _draw_spread(spread, [
      row for row in curves if row["scenario"] == "beneficial" and row["births"] == middle],
      migrants)
  spread.set_title(f"A better program, exchanges every {middle:,}", loc="left")
  for colour, count in zip(_COLOURS * 9, births):
    some = _chosen(curves, "neutral", "barriers", births=count, workers=most)
    for row in some:
      exchanges = np.arange(int(row["exchanges"][-1]) + 1)
      neutral.plot(exchanges, lineages.identity(most, stubs[count], len(exchanges) - 1) / most,
                   color=colour, linewidth=1)
      neutral.plot(row["exchanges"], row["effective"] / most, "o", color=colour, markersize=4,
                   label=f"every {count:,} evaluations")
  neutral.set_title(f"Lineages of equal fitness, W = {most:,}", loc="left")
  neutral.set_ylim(0, 1.03)
  for colour, workers in zip(_COLOURS * 9, _values(curves, "workers")):
    for row in _chosen(curves, "ranked", "barriers", births=middle, workers=workers):
      ranked.plot(row["exchanges"], row["effective"], "o-", color=colour, markersize=4,
                  label=f"W = {workers:,}")
  ranked.set_yscale("log")
  ranked.set_title(f"Lineages of different fitness, every {middle:,}", loc="left")
  spread.set_ylabel("part of the workers that hold it")
  neutral.set_ylabel("effective number of lineages / W")
  ranked.set_ylabel("effective number of lineages")
  for axes in (spread, neutral, ranked):
    axes.set_xlabel("exchanges of each worker")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _finish(axes)
    axes.legend(frameon=False, fontsize=8)
  return figure


def _draw_spread(axes: Axes, curves: Sequence[Row], migrants: int) -> None:
  for colour, workers in zip(_COLOURS * 9, _values(curves, "workers")):
    end = max(float(row["exchanges"][-1]) for row in _chosen(
        curves, "beneficial", "barriers", workers=workers))
    exchanges = np.linspace(0, end, 200)
    axes.plot(exchanges, lineages.spread(workers, migrants, exchanges), color=colour, linewidth=1)
    for marker, mode in (("o", "barriers"), ("x", "asynchronous")):
      for row in _chosen(curves, "beneficial", mode, workers=workers):
        axes.plot(row["exchanges"], row["holders"], marker, color=colour, markersize=4,
                  label=f"W = {workers:,}" if mode == "barriers" else None)
  axes.plot([], [], "x", color=_GREY, markersize=4, label="asynchronous")
  axes.plot([], [], color=_GREY, linewidth=1, label="theory")
  axes.set_ylim(-0.03, 1.03)


def _chosen(curves: Iterable[Row], scenario: str, mode: str, **values: int) -> list[Row]:
  """Those with one pool and without dead workers."""
  return [
      row for row in curves if row["scenario"] == scenario and row["mode"] == mode
      and row["pools"] == 1 and not row["dead"]
      and all(row[name] == value for name, value in values.items())]


def _values(rows: Iterable[Row], name: str) -> list[Any]:
  return list(dict.fromkeys(row[name] for row in rows))


def _column(rows: Iterable[Row], name: str) -> list[Any]:
  return [row[name] for row in rows]


def _finish(axes: Axes) -> None:
  axes.grid(True, which="major", linewidth=0.4, alpha=0.5)
  axes.spines[["top", "right"]].set_visible(False)
  axes.title.set_fontsize(10)
  axes.tick_params(labelsize=8)
