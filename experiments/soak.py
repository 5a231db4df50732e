"""A long run to look at: does memory stay flat, does the rate, what do checkpoints cost?

The islands of the linear demo with migration, for as long as asked, in one process or in
several; nothing is judged but the run itself.

    python -m experiments.soak --minutes=30 --runtime=ray --num_workers=2
"""

from __future__ import annotations

import dataclasses
import math
import time
from typing import TYPE_CHECKING

from azero.search.config import SearchConfig
from experiments.frame import command_line, lazy, linear_demo, settings
from experiments.frame.run_settings import RunSettings, StudySettings
from experiments.frame.settings import nested, setting

with lazy.imports():
  from azero.insight import tables
  from azero.search.groups import migration
  from experiments.benchmarks import soak_report
  from experiments.frame import study

if TYPE_CHECKING:
  from azero.runs.runner import RunResult
  from experiments.frame.runtimes import GroupedSearch


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(StudySettings):
  """Settings of this experiment; those of the search are the linear demo's, without a budget."""

  search: SearchConfig = nested(
      dataclasses.replace(linear_demo.SEARCH, max_train_steps=None),
      fixed=("max_train_steps", "max_programs"))
  run: RunSettings = nested(RunSettings(estimate_seconds=None), fixed=("estimate_seconds",))
  minutes: float = setting(30.0, "How long to run.")
  islands: int = setting(linear_demo.ISLANDS, "Populations that run side by side.")
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
  settings.require_positive(config, "islands", "migration_every")
  if not config.minutes > 0:
    raise ValueError(f"--minutes must be positive, got {config.minutes}.")
  group = linear_demo.make_group(config.search, islands=config.islands)
  exchange = None
  if config.migration_every is not None:
    exchange = migration.Migration(
        every=config.migration_every, migrants=config.migrants, seed=config.search.seed)
  searched = study.search(
      "soak", config, [group], exchange, should_stop=_After(60 * config.minutes))
  summary = soak_report.summarise(searched.result.metrics)
  table = tables.markdown(("", "value"), [
      (name, f"{value:,.4g}") for name, value in summary.items()])
  study.conclude(config, searched.directory, study.Findings(
      title=f"{searched.result.seconds / 60:.1f} minutes of the linear demo", tables=[table],
      summary=[
          f"{config.islands} islands, runtime {config.runtime.runtime}, "
          f"{config.runtime.num_workers} process(es). Changes are between the halves of what "
          f"comes after the first {soak_report.FIRST_PART:.0%}."],
      figure=soak_report.plot(searched.result.metrics), picture="soak.png", lines=["", table]),
      result=searched.result)
  return Result(summary, str(searched.directory.path), searched.result)


class _After:
  """Whether so many seconds have passed since the first step, which compiles."""

  def __init__(self, seconds: float):
    self._seconds, self._end = seconds, math.inf

  def __call__(self, search: GroupedSearch) -> bool:
    now = time.monotonic()
    self._end = min(self._end, now + self._seconds)
    return now >= self._end


if __name__ == "__main__":
  command_line.main(Config, run)
