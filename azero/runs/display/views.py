"""What a reader sees of a search under way: a line for logs, a picture for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group as Stack
from rich.console import RenderableType
from rich.constrain import Constrain
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from azero.runs.display.durations import format_clock

_MOST_ROWS = 6  # of groups or islands
_WIDTH = 90


def line(row: Mapping[str, Any]) -> str:
  """A line of progress.

  Args:
    row: of `Meter.measure`.
  """
  parts = [
      f"{short(row['programs'])} programs", f"{short(row['programs_per_second'])}/s",
      f"{short(row['train_steps'])} steps", f"best {row['best_fitness']:.4f}",
      f"cache {row['canonical_hit_rate']:.0%} + {row['fingerprint_hit_rate']:.0%}"]
  if row["hurdle_pass_rate"] is not None:
    parts.append(f"hurdle {row['hurdle_pass_rate']:.0%} passed")
  if row["islands"] > 1:
    parts.append(f"islands {row['active_islands']}/{row['islands']}")
  if row.get("migrations"):
    parts.append(f"migrations {row['migrations']}")
  parts.append(f"devices idle {row['device_idle_share']:.0%}")
  if row["seconds_left"] is not None:
    parts.append(f"about {format_clock(row['seconds_left'])} left")
  return ", ".join(parts)


def picture(row: Mapping[str, Any], workers: Mapping[str, Sequence]) -> RenderableType:
  """What a terminal shows.

  Args:
    row: of `Meter.measure`.
    workers: of `metrics.workers_of`.
  """
  facts = Table.grid(padding=(0, 2), expand=True)
  facts.add_column(style="dim", no_wrap=True)
  facts.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
  if row["budget_spent"] is not None:
    bar = Table.grid(padding=(0, 1), expand=True)
    bar.add_column(ratio=1)
    bar.add_column(no_wrap=True)
    bar.add_row(
        ProgressBar(total=1.0, completed=row["budget_spent"]), f"{row['budget_spent']:.1%}")
    facts.add_row("budget", bar)
  for name, value in _facts(row):
    facts.add_row(name, Text(value, no_wrap=True, overflow="ellipsis"))
  times = format_clock(row["seconds"])
  if row["seconds_left"] is not None:
    times += f", about {format_clock(row['seconds_left'])} left"
  parts: list[RenderableType] = [facts]
  if row["islands"] > 1:
    parts += ["", _parts(row, workers)]
  return Constrain(Panel(
      Stack(*parts), title="search", title_align="left", subtitle=times, subtitle_align="right",
      border_style="blue"), _WIDTH)


def _facts(row: Mapping[str, Any]) -> list[tuple[str, str]]:
  facts = []
  for name, label in (("programs", "programs"), ("train_steps", "training steps")):
    facts.append((label, (
        f"{short(row[name]):>6}   {short(row[f'recent_{name}_per_second'])}/s now, "
        f"{short(row[f'{name}_per_second'])}/s mean")))
  best = f"{row['best_fitness']:.4f}"
  if row["islands"] > 1:
    best += f"   median of the islands {row['median_best_fitness']:.4f}"
  facts.append(("best fitness", best))
  facts.append(("cache hits", (
      f"canonical key {row['canonical_hit_rate']:.1%}, fingerprint "
      f"{row['fingerprint_hit_rate']:.1%}")))
  if row["hurdle_pass_rate"] is not None:
    reached = row["hurdle_passed"] + row["hurdle_stopped"]
    facts.append(("hurdle", f"{row['hurdle_pass_rate']:.1%} of {short(reached)} passed"))
  if "migrations" in row:
    facts.append(("migrations", str(row["migrations"])))
  facts.append(("devices idle", (
      f"{row['recent_device_idle_share']:.0%} now, {row['device_idle_share']:.0%} mean")))
  facts.append(("memory", f"{short(row['memory_bytes'])}B"))
  return facts


def _parts(row: Mapping[str, Any], workers: Mapping[str, Sequence]) -> Table:
  """The groups, if there are several, else the best islands."""
  groups = row.get("groups", {})
  table = Table(box=None, pad_edge=False, expand=True, header_style="dim")
  table.add_column("group" if len(groups) > 1 else "island", no_wrap=True, overflow="ellipsis")
  for name in ("programs", "steps", "steps/s", "best", "active"):
    table.add_column(name, justify="right", no_wrap=True)
  if len(groups) > 1:
    rows = [
        (name, part["programs"], part["train_steps"], part["best_fitness"],
         str(part["active_islands"])) for name, part in groups.items()]
  else:
    best = workers["best_fitness"]
    order = sorted(range(row["islands"]), key=lambda island: -best[island])
    rows = [
        (str(island), workers["programs"][island], workers["train_steps"][island], best[island],
         "yes" if workers["active"][island] else "no") for island in order]
  for name, programs, steps, fitness, active in rows[:_MOST_ROWS]:
    table.add_row(
        Text(name), short(programs), short(steps), short(steps / max(row["seconds"], 1e-9)),
        f"{fitness:.4f}", active)
  if len(rows) > _MOST_ROWS:
    what = "groups" if len(groups) > 1 else "islands"
    table.add_row(Text(f"{len(rows) - _MOST_ROWS} more {what}", style="dim"))
  table.caption_justify = "left"
  table.caption = f"{row['active_islands']} of {row['islands']} islands have budget left"
  return table


def short(number: float) -> str:
  """A number in four characters or so, as 9.9k."""
  for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
    if number >= size:
      return f"{number / size:.1f}{unit}"
  return f"{number:.0f}"
