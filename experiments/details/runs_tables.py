"""How runs, metrics and numbers are written by `experiments.runs`."""

from collections.abc import Mapping
import datetime
from typing import Any

from rich.table import Table

from azero.runs import json_lines
from azero.runs.display.durations import format_clock
from azero.runs.reader import Run


def run_table() -> Table:
  """A table of runs, which `add_run` fills."""
  table = plain_table("run", "experiment", "status")
  for name in ("begun", "wall time", "programs", "steps", "best", "checkpoint"):
    table.add_column(name, justify="right", no_wrap=True)
  return table


def add_run(table: Table, run: Run, now: float, depth: int = 0) -> None:
  """Adds a run, and its parts below it.

  Args:
    table: of `run_table`.
    run: to add.
    now: the time, in seconds since 1970.
    depth: of parts, which are set in.
  """
  status = run.status
  outcomes = json_lines.read(run.path / "outcomes.jsonl", growing=True)
  if outcomes:
    status += f", {len(outcomes)} repeats ended"
  rounds = json_lines.read(run.path / "results.jsonl", growing=True)  # of task_difficulty
  if rounds:
    acceptable = sum(row["acceptable"] for row in rounds)
    status += f", {len(rounds)} rounds ended with {number(acceptable)} acceptable programs"
  seeds = json_lines.read(run.path / "seeds.jsonl", growing=True)  # of discovery_rates
  if seeds:
    status += f", {len(seeds)} seeds ended, {sum(row['success'] for row in seeds)} with success"
  lines = rounds or seeds
  seconds, programs, steps = (
      sum(row[name] for row in lines) if lines else run.total(name)
      for name in ("seconds", "programs", "train_steps"))
  table.add_row(
      "  " * depth + run.path.name, "" if depth else run.experiment, status,
      f"{clock(now - run.started)} ago", clock(seconds), number(programs), number(steps),
      fitness(run.best_fitness),
      f"{clock(now - run.checkpoint)} ago" if run.checkpoint else "-")
  for part in run.parts:
    add_run(table, part, now, depth + 1)


def plain_table(*names: str) -> Table:
  """An empty table without lines."""
  table = Table(box=None, pad_edge=False, header_style="bold")
  for name in names:
    table.add_column(name, overflow="fold")
  return table


def pairs(values: Mapping[str, Any]) -> Table:
  """Names and values in two columns."""
  table = Table.grid(padding=(0, 2))
  for name, value in values.items():
    table.add_row(f"  {name}", str(value))
  return table


def setting(value: Any) -> str:
  """A setting as it is written on the command line."""
  if value is None:
    return "none"
  return ",".join(map(setting, value)) if isinstance(value, list) else str(value)


def shown(name: str, value: Any) -> str:
  """A metric as a reader likes it."""
  if value is None or isinstance(value, str):
    return value or "-"
  if name == "time":
    return datetime.datetime.fromtimestamp(value).isoformat(" ", "seconds")
  if name in ("seconds", "seconds_left"):
    return clock(value)
  if name.endswith(("_rate", "_share", "_spent")):
    return f"{value:.1%}"
  return fitness(value) if name.endswith("fitness") else number(value)


def number(value: float | None) -> str:
  """A count."""
  return "-" if value is None else f"{value:,.0f}"


def fitness(value: float | None) -> str:
  """A fitness."""
  return "-" if value is None else f"{value:.4f}"


def clock(seconds: float | None) -> str:
  """A duration."""
  return "-" if seconds is None else format_clock(max(seconds, 0.0), hours=True)
