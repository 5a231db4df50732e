"""Looks at run directories: python -m experiments.runs list|show|compare|report.

Reads what searches have written by now, of runs under way too, and needs neither a device nor
JAX; only a report analyses a program. `--help` of each command says more.
"""

import argparse
from collections.abc import Sequence
import os
import pathlib
import sys
import time

from rich.console import Console

from azero.runs import reader
from experiments.details import runs_compare, runs_show
from experiments.details import runs_tables as tables
from experiments.frame import lazy

with lazy.imports():
  from azero.report import page

_MOST_OTHERS = 5  # directories that are no runs


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs a command; returns the exit status: 2, with one clear message, for bad input."""
  options = _parser().parse_args(arguments)
  terminal = sys.stdout.isatty()
  # In a pipe no line is cut.
  console = Console(highlight=False, markup=False, width=None if terminal else 1000)
  try:
    options.command(options, console)
  except BrokenPipeError:  # whoever reads has read enough, as `head`
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
  except (ValueError, OSError) as error:
    print(f"error: {error}", file=sys.stderr)
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
      "--programs", type=_count, default=1, help="how many of the best; default %(default)s")
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
  one = commands.add_parser(
      "report", help="a page on one run, with figures",
      description="Writes report.html into the directory of a run, finished or under way: its "
      "progress, program, scores and settings as they are now, in one file that needs nothing "
      "else.")
  one.add_argument("directory", help="of the run")
  one.add_argument("--output", metavar="FILE", help="write the page there")
  one.set_defaults(command=_report)
  return parser


def _count(text: str) -> int:
  """Of a flag: how many."""
  if not text.isdecimal():
    raise argparse.ArgumentTypeError(f"it must be a whole number from 0 on, got '{text}'")
  return int(text)


def _list(options: argparse.Namespace, console: Console) -> None:
  root = pathlib.Path(options.directory)
  if not root.is_dir():
    raise ValueError(f"there is no directory '{root}'; give the one that runs are in")
  table, now = tables.run_table(), time.time()
  others, problems = [], []
  for path in sorted(path for path in root.iterdir() if path.is_dir()):
    if not reader.is_run(path):
      others.append(path.name)
      continue
    try:
      with reader.reading(path):
        tables.add_run(table, reader.read_run(path), now)
    except ValueError as error:
      problems.append(f"{path.name}: {error}")
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


def _show(options: argparse.Namespace, console: Console) -> None:
  with reader.reading(options.directory):
    run = runs_show.show(options.directory, console, programs=options.programs)
  if options.plot:
    runs_compare.plot(list(run.searches()), options.plot, console)


def _compare(options: argparse.Namespace, console: Console) -> None:
  with reader.reading(*options.directories):
    searches = runs_compare.compare(options.directories, console)
  if options.plot:
    runs_compare.plot(searches, options.plot, console)


def _report(options: argparse.Namespace, console: Console) -> None:
  output = options.output and pathlib.Path(options.output)
  if output and output.is_file() and output.suffix.lower() not in (".html", ".htm"):
    raise ValueError(f"--output: '{output}' is there already, and no page; name another file.")
  report = page.read(options.directory)
  console.print(f"page: {report.write(options.output)}", soft_wrap=True)


if __name__ == "__main__":
  sys.exit(main())
