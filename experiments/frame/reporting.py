"""The final report of an experiment, in Markdown."""

from collections.abc import Mapping, Sequence
import shlex
import sys
from typing import Any

import numpy as np

from azero.compiler import liveness
from azero.distributed.view import GroupView
from azero.insight import tables as insight_tables
from azero.language.program import Programs
from azero.language.text import format_program
from azero.runs import metrics, runner
from azero.search.evolution import Evolution
from experiments.frame import settings
from experiments.frame.runtimes import GroupedSearch


def report(
    title: str, *, summary: Sequence[str], program: Programs | None, multiclass: bool = False,
    tables: Sequence[str] = (), result: runner.RunResult | None = None, config: Any = None,
    picture: str | None = None,
) -> str:
  """Puts a report together.

  Args:
    title: of the report.
    summary: paragraphs that say what came out.
    program: the best program, a batch of one; shown raw with dead instructions marked, and
      without them.
    multiclass: whether its task is multi-class.
    tables: Markdown tables.
    result: the search, for what it cost.
    config: the settings, listed with their values.
    picture: file name of a picture.

  Returns:
    The text.
  """
  parts = [f"# {title}", *summary, *tables]
  if picture:
    parts.append(f"![{title}]({picture})")
  if program is not None:
    parts += [
        "## The program, without dead instructions",
        code_block(live_text(program, multiclass=multiclass)),
        "## The program as evolved",
        code_block(marked_text(program, multiclass=multiclass))]
  if result is not None:
    parts += ["## What it took", _cost_table(result)]
  if config is not None:
    parts += ["## Settings", code_block(command(config))]
    parts.append(insight_tables.markdown(("setting", "value"), list(_shown(config).items())))
  return "\n\n".join(parts) + "\n"


def command(config: Any) -> str:
  """The command that runs an experiment with these settings."""
  values, usual = settings.flat(config), settings.defaults_of(config)
  changed = [name for name in values if values[name] != usual[name] and name != "resume"]
  return " ".join(
      [f"python -m {module_name(type(config))}", *map(shlex.quote, flags(config, changed))])


def flags(config: Any, names: Sequence[str] | None = None) -> list[str]:
  """Settings, by default all of them, as arguments of the command line."""
  shown = _shown(config)
  return [f"--{name}={shown[name]}" for name in (shown if names is None else names)]


def _shown(config: Any) -> dict[str, str]:
  """The settings as they are written on the command line, by name."""
  leaves = settings.leaves(type(config))
  return {name: leaves[name].show(value) for name, value in settings.flat(config).items()}


def module_name(config_class: type[Any]) -> str:
  """The module of an experiment, also if it runs as the main one."""
  module = sys.modules[config_class.__module__]
  return module.__spec__.name if module.__spec__ is not None else module.__name__


def marked_text(program: Programs, *, multiclass: bool = False) -> str:
  """The program with dead instructions marked by a comment."""
  live = liveness.live_instructions(program, multiclass=multiclass)[0]
  return format_program(program, dead=~live)


def live_text(program: Programs, *, multiclass: bool = False) -> str:
  """The program without its dead instructions."""
  lines = marked_text(program, multiclass=multiclass).splitlines()
  return "\n".join(line.rstrip() for line in lines if not line.endswith("# dead"))


def code_block(text: str) -> str:
  """Text as a block of code."""
  return f"```\n{text}\n```"


def fitness_table(rows: Mapping[str, np.ndarray]) -> str:
  """Mean, deviation and range over tasks for each named row of fitnesses, [D] each."""
  return insight_tables.markdown(("on unseen tasks", "mean", "std", "min", "max"), [
      (name, *(f"{value:.4f}" for value in (x.mean(), x.std(), x.min(), x.max())))
      for name, x in rows.items()])


def group_table(search: GroupedSearch) -> str:
  """What the workers of each group of a search came to."""
  parts: Sequence[Evolution | GroupView] = search.searches
  return insight_tables.markdown(
      ("group", "workers", "programs", "training steps", "best search fitness",
       "median of workers"),
      [(group.name, part.num_islands, f"{part.num_programs.sum():,}",
        f"{part.train_steps.sum():,}", f"{part.best_fitness.max():.4f}",
        f"{np.median(part.best_fitness):.4f}") for group, part in zip(search.groups, parts)])


def _cost_table(result: runner.RunResult) -> str:
  row = metrics.metrics_of(result.search, result.seconds)
  return insight_tables.markdown(("what", "value"), [
      ("ended by", result.ended),
      ("wall time", f"{result.seconds:.1f} s"),
      ("islands", result.search.num_islands),
      ("programs", f"{row['programs']:,} ({row['programs_per_second']:,.0f} per second)"),
      ("training steps",
       f"{row['train_steps']:,} ({row['train_steps_per_second']:,.0f} per second)"),
      ("answered by canonical key", f"{row['canonical_hit_rate']:.1%}"),
      ("answered by fingerprint", f"{row['fingerprint_hit_rate']:.1%}"),
      ("stopped at the hurdle", f"{row['hurdle_stopped'] / max(row['programs'], 1):.1%}"),
      ("evaluated in full", f"{row['evaluated'] / max(row['programs'], 1):.1%}"),
      *([("devices idle", f"{result.metrics[-1]['device_idle_share']:.1%}")]
        if result.metrics else []),
  ])
