"""Several runs side by side: settings that differ, what they came to, a picture of progress."""

from collections.abc import Mapping, Sequence
import json
import pathlib
from typing import Any

from rich.console import Console

from azero import lazy
from azero.runs import reader
from azero.runs.reader import Run
from experiments.details import runs_tables as tables

# Settings that say where and how a run is shown, not what it does.
_UNINTERESTING = ("output_dir", "run_name", "progress", "tensorboard")


def compare(paths: Sequence[str], console: Console) -> list[Run]:
  """Prints a comparison of the searches of runs or experiments, which it returns.

  Raises:
    ValueError: one cannot be read.
  """
  searches = [
      search for path in paths
      for search in reader.read_run(path).searches()]
  labels = _labels(searches)
  settings = [reader.flat(search.config) for search in searches]
  names = dict.fromkeys(name for each in settings for name in each)
  differing = [
      name for name in names if name.split(".")[-1] not in _UNINTERESTING
      and len({json.dumps(each.get(name)) for each in settings}) > 1]
  if differing:
    table = tables.plain_table("setting", *labels)
    for name in differing:
      table.add_row(
          name, *(tables.setting(each[name]) if name in each else "-" for each in settings))
    console.print(table)
  else:
    console.print("the settings are the same, up to what the names of searches say")
  rows = [search.rows() for search in searches]
  common = {
      name: min((each[-1].get(name, 0) for each in rows if each), default=0)
      for name in ("programs", "train_steps")}
  table = tables.plain_table("run", "status")
  for name in (
      "wall time", "programs", "steps", "best", "median",
      f"best at {common['programs']:,} programs", f"best at {common['train_steps']:,} steps"):
    table.add_column(name, justify="right")
  for label, search, each in zip(labels, searches, rows):
    table.add_row(
        label, search.status, tables.clock(search.total("seconds")),
        tables.number(search.total("programs")), tables.number(search.total("train_steps")),
        tables.fitness(search.best_fitness),
        tables.fitness((search.last or {}).get("median_best_fitness")),
        *(tables.fitness(_best_at(each, name, most)) for name, most in common.items()))
  console.print()
  console.print(table)
  return searches


def plot(searches: Sequence[Run], path: str, console: Console) -> None:
  """Best fitness over programs of several searches; of one the median of the islands, too.

  Raises:
    ValueError: matplotlib is not installed, or there is no directory for the file.
    OSError: the file cannot be written.
  """
  lazy.require("matplotlib", extra="plots", purpose="Pictures")
  if not (parent := pathlib.Path(path).parent).is_dir():
    raise ValueError(f"--plot={path}: there is no directory '{parent}'.")
  # Not pyplot, which would look for a screen; and only here, since it takes a while.
  from matplotlib.figure import Figure

  figure = Figure(figsize=(8, 4.5), layout="constrained")
  axes = figure.add_subplot()
  for label, search in zip(_labels(searches), searches):
    with reader.reading(search.path):
      rows = search.rows()
      programs = [row["programs"] for row in rows]
      axes.step(programs, [row["best_fitness"] for row in rows], where="post", label=label)
      if len(searches) == 1:
        axes.step(programs, [row["median_best_fitness"] for row in rows], where="post",
                  label="median of the islands")
  axes.set_xscale("log")
  axes.set_xlabel("programs, all islands")
  axes.set_ylabel("best fitness on the search tasks")
  axes.grid(True, linewidth=0.4, alpha=0.5)
  axes.spines[["top", "right"]].set_visible(False)
  axes.legend(loc="lower right", frameon=False, fontsize=9)
  figure.savefig(path, dpi=130)
  console.print(f"\npicture: {path}", soft_wrap=True)


def _best_at(rows: Sequence[Mapping[str, Any]], name: str, most: int) -> float | None:
  """The best fitness in the last line of metrics in which a count is at most `most`."""
  reached = [row["best_fitness"] for row in rows if row[name] <= most]
  return reached[-1] if reached else None


def _labels(searches: Sequence[Run]) -> list[str]:
  """Names that tell runs apart: of directories of one name the whole paths."""
  names = [search.path.resolve().name for search in searches]
  return [
      name if names.count(name) == 1 else str(search.path)
      for name, search in zip(names, searches)]
