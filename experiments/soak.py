"""A long run to look at: does memory stay flat, does the rate, what do checkpoints cost?

The islands of the linear demo with migration, for as long as asked, in one process or in
several; nothing is judged but the run itself.

    python -m experiments.soak --minutes=30 --runtime=ray --num_workers=2
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from azero.search.config import SearchConfig
from experiments import linear_regression
from experiments.frame import command_line, lazy
from experiments.frame.run_settings import RunSettings, StudySettings
from experiments.frame.settings import nested, setting

with lazy.imports():
  from azero.search import migration
  from experiments.frame import reporting, study

if TYPE_CHECKING:
  from matplotlib.figure import Figure

  from azero.runs.runner import RunResult
  from experiments.frame.runtimes import GroupedSearch

_FIRST_PART = 0.2  # of the run: caches fill, populations get their shape


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(StudySettings):
  """Settings of this experiment; those of the search are the linear demo's, without a budget."""

  search: SearchConfig = nested(
      dataclasses.replace(linear_regression.Config().search, max_train_steps=None),
      fixed=("max_train_steps", "max_programs"))
  run: RunSettings = nested(RunSettings(estimate_seconds=None), fixed=("estimate_seconds",))
  minutes: float = setting(30.0, "How long to run.")
  islands: int = setting(32, "Populations that run side by side.")
  migration_every: int | None = setting(
      10_000, "Children of an island between two migrations; none for no migration.")
  migrants: int = setting(50, "Programs that an island sends and receives.")


@dataclasses.dataclass(frozen=True)
class Result:
  """What came out.

  Attributes:
    summary: by name, see the report.
    directory: of the run.
    run: the search as it ended.
  """

  summary: dict[str, float]
  directory: str
  run: RunResult[GroupedSearch]


def run(config: Config) -> Result:
  """Runs it and writes its directory.

  Raises:
    ValueError: a bad setting.
    FileExistsError: the run directory exists.
  """
  if not config.minutes > 0:
    raise ValueError(f"--minutes must be positive, got {config.minutes}.")
  if config.migration_every is not None and config.migration_every < 0:
    raise ValueError(f"--migration_every must not be negative, got {config.migration_every}.")
  group = linear_regression.make_group(
      linear_regression.Config(islands=config.islands, search=config.search))
  exchange = None
  if config.migration_every:
    exchange = migration.Migration(
        every=config.migration_every, migrants=config.migrants, seed=config.search.seed)
  end = time.monotonic() + 60 * config.minutes
  searched = study.search(
      "soak", config, [group], exchange, should_stop=lambda _: time.monotonic() >= end)
  summary = summarise(searched.result.metrics)
  table = reporting.table(("", "value"), [
      (name, f"{value:,.4g}") for name, value in summary.items()])
  study.conclude(config, searched.directory, study.Findings(
      title=f"{searched.result.seconds / 60:.1f} minutes of the linear demo", tables=[table],
      summary=[
          f"{config.islands} islands, runtime {config.runtime.runtime}, "
          f"{config.runtime.num_workers} process(es). Changes are between the halves of what "
          f"comes after the first {_FIRST_PART:.0%}."],
      figure=plot(searched.result.metrics), picture="soak.png", lines=["", table]),
      result=searched.result)
  return Result(summary, str(searched.directory.path), searched.result)


def summarise(metrics: Sequence[dict[str, Any]]) -> dict[str, float]:
  """Rates, changes and costs of a run by its metrics."""
  seconds = np.array([row["seconds"] for row in metrics])
  programs = np.array([row["programs"] for row in metrics])
  memory = _memory(metrics)
  last = len(metrics) - 1
  start, middle = (
      int(np.searchsorted(seconds, part * seconds[-1])) for part in (
          _FIRST_PART, (1 + _FIRST_PART) / 2))
  start = min(start, max(last - 2, 0))  # a short run has few reports
  middle = min(max(middle, start + 1), last)
  early, late = (
      (programs[stop] - programs[first]) / max(seconds[stop] - seconds[first], 1e-9)
      for first, stop in ((start, middle), (middle, last)))
  first, second = (
      memory[part].sum(1).mean() for part in (slice(start, middle), slice(middle, None)))
  end = metrics[-1]
  return {
      "seconds": float(seconds[-1]), "programs": float(programs[-1]),
      "programs a second, first half": early, "programs a second, second half": late,
      "change of the rate": late / max(early, 1e-9) - 1,
      "memory, MB, first half": first / 1e6, "memory, MB, second half": second / 1e6,
      "change of the memory": second / first - 1, "memory at most, MB": memory.sum(1).max() / 1e6,
      "part of the time that waited for checkpoints":
          end["checkpoint_wait_seconds"] / end["seconds"],
      "device idle share": end["device_idle_share"],
      "migrations": float(end.get("migrations", 0)), "losses": float(end.get("losses", 0))}


def _memory(metrics: Sequence[dict[str, Any]]) -> np.ndarray:
  """[n, 1 + K] bytes of this process and of the others."""
  return np.array([
      [row["memory_bytes"], *row.get("process_memory_bytes", [])] for row in metrics], float)


def plot(metrics: Sequence[dict[str, Any]]) -> Figure:
  """Memory of each process and the rate over the time."""
  from matplotlib import figure as figure_lib  # here, since it takes a while

  minutes = np.array([row["seconds"] for row in metrics]) / 60
  memory = _memory(metrics)
  figure = figure_lib.Figure(figsize=(9, 5.5), layout="constrained")
  above, below = figure.subplots(2, sharex=True)
  for k, values in enumerate(memory.T):
    other = f"process {k}" if k else "driver"
    above.plot(minutes, values / 1e6, label=other if memory.shape[1] > 1 else "process")
  above.set(ylabel="resident memory, MB", ylim=(0, None))
  above.legend(loc="lower right", ncols=3)
  rate = np.array([row["recent_programs_per_second"] for row in metrics])
  below.plot(minutes, rate, color="tab:green", linewidth=0.8)
  below.set(xlabel="minutes", ylabel="programs a second", ylim=(0, None))
  for axes in (above, below):
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
  return figure


if __name__ == "__main__":
  command_line.main(Config, run)
