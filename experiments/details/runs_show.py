"""One run on the terminal: settings, metrics, islands, the best programs."""

import functools
import pathlib
import time

from rich.console import Console
from rich.text import Text

from azero.runs import reader
from azero.runs.reader import Run
from experiments.details import runs_tables as tables

_MOST_WORKERS = 5


def show(path: str | pathlib.Path, console: Console, *, programs: int) -> Run:
  """Prints what a run is and came to.

  Args:
    path: of its directory.
    console: to print to.
    programs: how many of the best are shown.

  Returns:
    The run.

  Raises:
    ValueError: it cannot be read.
  """
  run = reader.read_run(path)
  table = tables.run_table()
  tables.add_run(table, run, time.time())
  console.print(table)
  changed = run.changed()
  console.print(
      "\nsettings" if changed is None else "\nsettings that are no defaults"
      if changed else "\nall settings are defaults")
  if changed is None:
    flat = reader.flat(run.config).items()
    console.print(tables.pairs({
        name: tables.setting(value) for name, value in flat if value is not None}))
  else:
    console.print(tables.pairs({
        name: f"{tables.setting(value)}  (default {tables.setting(default)})"
        for name, (value, default) in changed.items()}))
  for search in run.searches():
    if search.last is not None:
      console.print(f"\n{search.path.name}: after {tables.clock(search.last.get('seconds'))}")
      _show_metrics(search, console)
      for part in (_show_workers, functools.partial(_show_programs, count=programs)):
        try:
          with reader.reading(search.path):
            part(search, console)
        except ValueError as error:  # the rest can still be shown
          console.print(str(error), soft_wrap=True)
  return run


def _show_metrics(run: Run, console: Console) -> None:
  last = dict(run.last or {})
  groups = last.pop("groups", {})
  console.print(tables.pairs({name: tables.shown(name, value) for name, value in last.items()}))
  if len(groups) > 1:
    console.print()
    table = tables.plain_table("group", *next(iter(groups.values())))
    for name, group in groups.items():
      table.add_row(name, *(tables.shown(key, value) for key, value in group.items()))
    console.print(table)


def _show_workers(run: Run, console: Console) -> None:
  workers = run.workers()
  if not workers or len(workers["programs"]) < 2:
    return
  names = [name for name in workers if name != "seconds"]
  best = workers["best_fitness"]
  order = sorted(range(len(best)), key=lambda island: -best[island])
  console.print()
  table = tables.plain_table("island", *names, "steps per second")
  for island in order[:_MOST_WORKERS]:
    values = [tables.shown(name, workers[name][island]) for name in names]
    rate = workers["train_steps"][island] / max(workers["seconds"], 1e-9)
    table.add_row(str(island), *values, tables.number(rate))
  console.print(table)
  if len(order) > _MOST_WORKERS:
    console.print(f"and {len(order) - _MOST_WORKERS} more islands in workers.json")


def _show_programs(run: Run, console: Console, count: int) -> None:
  for entry in run.hall_of_fame()[:count]:
    console.print(
        f"\nfitness {tables.fitness(entry['fitness'])}, island {entry['island']}, after "
        f"{entry['num_programs']:,} programs of it")
    console.print(Text(entry["program"]))
