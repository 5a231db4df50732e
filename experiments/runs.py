"""Looks at run directories: python -m experiments.runs list|show|compare.

Reads what searches have written by now, of runs under way too, and needs neither a device nor
JAX. `--help` of each command says more.
"""

import argparse
from collections.abc import Mapping, Sequence
import datetime
import functools
import json
import pathlib
import sys
import time
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from azero.runs import json_lines, reader
from azero.runs.display.durations import format_clock
from azero.runs.reader import Run

_MOST_WORKERS = 5
_MOST_OTHERS = 5  # directories that are no runs
# Settings that say where and how a run is shown, not what it does.
_UNINTERESTING = ("output_dir", "run_name", "progress", "tensorboard")


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs a command; returns the exit status: 2, with one clear message, for bad input."""
  options = _parser().parse_args(arguments)
  terminal = sys.stdout.isatty()
  # In a pipe no line is cut.
  console = Console(highlight=False, markup=False, width=None if terminal else 1000)
  try:
    options.command(options, console)
  except (ValueError, OSError) as error:
    print(f"error: {error}", file=sys.stderr)
    return 2
  except KeyError as error:
    print(f"error: a file of the run is of another version of azero: it lacks {error}",
          file=sys.stderr)
    return 2
  return 0


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
      prog="python -m experiments.runs", description="Looks at run directories.")
  commands = parser.add_subparsers(required=True, metavar="COMMAND")
  one = commands.add_parser(
      "list", help="a line for every run in a directory",
      description="A line for every run in a directory, the searches of an experiment below it.")
  one.add_argument(
      "directory", nargs="?", default="runs", help="where runs are; default %(default)s")
  one.set_defaults(command=_list)
  one = commands.add_parser(
      "show", help="one run: settings, metrics, best programs",
      description="One run: settings that are no defaults, what its searches came to, and the "
      "best programs.")
  one.add_argument("directory", help="of the run")
  one.add_argument(
      "--programs", type=int, default=1, help="how many of the best; default %(default)s")
  one.add_argument("--plot", metavar="FILE", help="write a picture of the best fitness")
  one.set_defaults(command=_show)
  one = commands.add_parser(
      "compare", help="several runs side by side",
      description="Several runs side by side: settings that differ, what they came to, and what "
      "they had after as many programs and training steps as the one that did least. Fitnesses "
      "can be compared where the search tasks are the same.")
  one.add_argument("directories", nargs="+", metavar="directory", help="of a run or an experiment")
  one.add_argument("--plot", metavar="FILE", help="write a picture of the best fitnesses")
  one.set_defaults(command=_compare)
  return parser


def _list(options: argparse.Namespace, console: Console) -> None:
  root = pathlib.Path(options.directory)
  if not root.is_dir():
    raise ValueError(f"there is no directory '{root}'; give the one that runs are in")
  table, now = _run_table(), time.time()
  others, problems = [], []
  for path in sorted(path for path in root.iterdir() if path.is_dir()):
    if not reader.is_run(path):
      others.append(path.name)
      continue
    try:
      _add_run(table, reader.read_run(path), now)
    except ValueError as error:
      problems.append(f"{path.name}: {error}")
    except (KeyError, TypeError, AttributeError) as error:  # values of another kind
      problems.append(f"{path.name}: a file of it is damaged, or of another version ({error})")
  if table.row_count:
    console.print(table)
  else:
    console.print(f"no runs in '{root}'")
  if others:
    rest = f" and {len(others) - _MOST_OTHERS} more" if len(others) > _MOST_OTHERS else ""
    problems.append(
        f"no run directories, without config.json: {', '.join(others[:_MOST_OTHERS])}{rest}")
  for problem in problems:
    console.print(problem, soft_wrap=True)


def _run_table() -> Table:
  table = _table("run", "experiment", "status")
  for name in ("begun", "wall time", "programs", "steps", "best", "checkpoint"):
    table.add_column(name, justify="right", no_wrap=True)
  return table


def _add_run(table: Table, run: Run, now: float, depth: int = 0) -> None:
  status = run.status
  outcomes = json_lines.read(run.path / "outcomes.jsonl", growing=True)
  if outcomes:
    status += f", {len(outcomes)} repeats ended"
  table.add_row(
      "  " * depth + run.path.name, "" if depth else run.experiment, status,
      f"{_time(now - run.started)} ago", _time(run.total("seconds")),
      _number(run.total("programs")), _number(run.total("train_steps")),
      _fitness(run.best_fitness),
      f"{_time(now - run.checkpoint)} ago" if run.checkpoint else "-")
  for part in run.parts:
    _add_run(table, part, now, depth + 1)


def _show(options: argparse.Namespace, console: Console) -> None:
  run = reader.read_run(options.directory)
  table = _run_table()
  _add_run(table, run, time.time())
  console.print(table)
  changed = run.changed()
  console.print(
      "\nsettings" if changed is None else "\nsettings that are no defaults"
      if changed else "\nall settings are defaults")
  if changed is None:
    flat = reader.flat(run.config).items()
    console.print(_pairs({name: value for name, value in flat if value is not None}))
  else:
    console.print(_pairs({
        name: f"{value}  (default {default})" for name, (value, default) in changed.items()}))
  for search in run.searches():
    if search.last is not None:
      console.print(f"\n{search.path.name}: after {_time(search.last.get('seconds'))}")
      _show_metrics(search, console)
      for show in (_show_workers, functools.partial(_show_programs, count=options.programs)):
        try:
          show(search, console)
        except ValueError as error:  # the rest can still be shown
          console.print(str(error), soft_wrap=True)
  if options.plot:
    _plot(list(run.searches()), options.plot, console)


def _show_metrics(run: Run, console: Console) -> None:
  last = dict(run.last or {})
  groups = last.pop("groups", {})
  console.print(_pairs({name: _value(name, value) for name, value in last.items()}))
  if len(groups) > 1:
    console.print()
    table = _table("group", *next(iter(groups.values())))
    for name, group in groups.items():
      table.add_row(name, *(_value(key, value) for key, value in group.items()))
    console.print(table)


def _show_workers(run: Run, console: Console) -> None:
  workers = run.workers()
  if not workers or len(workers["programs"]) < 2:
    return
  names = [name for name in workers if name != "seconds"]
  best = workers["best_fitness"]
  order = sorted(range(len(best)), key=lambda island: -best[island])
  console.print()
  table = _table("island", *names, "steps per second")
  for island in order[:_MOST_WORKERS]:
    values = [_value(name, workers[name][island]) for name in names]
    rate = workers["train_steps"][island] / max(workers["seconds"], 1e-9)
    table.add_row(str(island), *values, _number(rate))
  console.print(table)
  if len(order) > _MOST_WORKERS:
    console.print(f"and {len(order) - _MOST_WORKERS} more islands in workers.json")


def _show_programs(run: Run, console: Console, count: int) -> None:
  for entry in run.hall_of_fame()[:count]:
    console.print(
        f"\nfitness {_fitness(entry['fitness'])}, island {entry['island']}, after "
        f"{entry['num_programs']:,} programs of it")
    console.print(Text(entry["program"]))


def _compare(options: argparse.Namespace, console: Console) -> None:
  searches = [
      search for path in options.directories
      for search in reader.read_run(path).searches()]
  labels = _labels(searches)
  settings = [reader.flat(search.config) for search in searches]
  names = dict.fromkeys(name for each in settings for name in each)
  differing = [
      name for name in names if name.split(".")[-1] not in _UNINTERESTING
      and len({json.dumps(each.get(name)) for each in settings}) > 1]
  if differing:
    table = _table("setting", *labels)
    for name in differing:
      table.add_row(name, *(str(each.get(name, "-")) for each in settings))
    console.print(table)
  else:
    console.print("the settings are the same, up to what the names of searches say")
  rows = [search.rows() for search in searches]
  common = {
      name: min((each[-1].get(name, 0) for each in rows if each), default=0)
      for name in ("programs", "train_steps")}
  table = _table("run", "status")
  for name in (
      "wall time", "programs", "steps", "best", "median",
      f"best at {common['programs']:,} programs", f"best at {common['train_steps']:,} steps"):
    table.add_column(name, justify="right")
  for label, search, each in zip(labels, searches, rows):
    table.add_row(
        label, search.status, _time(search.total("seconds")), _number(search.total("programs")),
        _number(search.total("train_steps")), _fitness(search.best_fitness),
        _fitness((search.last or {}).get("median_best_fitness")),
        *(_fitness(best_at(each, name, most)) for name, most in common.items()))
  console.print()
  console.print(table)
  if options.plot:
    _plot(searches, options.plot, console)


def best_at(rows: Sequence[Mapping[str, Any]], name: str, most: int) -> float | None:
  """The best fitness in the last line of metrics in which a count is at most `most`."""
  reached = [row["best_fitness"] for row in rows if row[name] <= most]
  return reached[-1] if reached else None


def _labels(searches: Sequence[Run]) -> list[str]:
  """Names that tell runs apart: of directories of one name the whole paths."""
  names = [search.path.resolve().name for search in searches]
  return [
      name if names.count(name) == 1 else str(search.path)
      for name, search in zip(names, searches)]


def _plot(searches: Sequence[Run], path: str, console: Console) -> None:
  """Best fitness over programs of several searches; of one the median of the islands, too."""
  # Not pyplot, which would look for a screen; and only here, since it takes a while.
  from matplotlib.figure import Figure

  figure = Figure(figsize=(8, 4.5), layout="constrained")
  axes = figure.add_subplot()
  for label, search in zip(_labels(searches), searches):
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


def _table(*names: str) -> Table:
  table = Table(box=None, pad_edge=False, header_style="bold")
  for name in names:
    table.add_column(name, overflow="fold")
  return table


def _pairs(values: Mapping[str, Any]) -> Table:
  table = Table.grid(padding=(0, 2))
  for name, value in values.items():
    table.add_row(f"  {name}", str(value))
  return table


def _value(name: str, value: Any) -> str:
  """A metric as a reader likes it."""
  if value is None or isinstance(value, str):
    return value or "-"
  if name == "time":
    return datetime.datetime.fromtimestamp(value).isoformat(" ", "seconds")
  if name in ("seconds", "seconds_left"):
    return _time(value)
  if name.endswith(("_rate", "_share", "_spent")):
    return f"{value:.1%}"
  return _fitness(value) if name.endswith("fitness") else _number(value)


def _number(value: float | None) -> str:
  return "-" if value is None else f"{value:,.0f}"


def _fitness(value: float | None) -> str:
  return "-" if value is None else f"{value:.4f}"


def _time(seconds: float | None) -> str:
  return "-" if seconds is None else format_clock(max(seconds, 0.0), hours=True)


if __name__ == "__main__":
  sys.exit(main())
