"""Evolution discovers linear regression by gradient descent: the five-minute demo.

The published code's demo search, same space, tasks and budgets: from random programs,
find one that learns any linear regression. Every island is one of its experiments, with
tasks of its own and a budget of 200M training steps. The best program of an island counts
as discovered when its mean fitness on 100 new tasks reaches 0.9999; the final fitness is
that on 100 further unseen tasks.

    python -m experiments.linear_regression
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from azero.search.config import SearchConfig
from experiments.frame import command_line, lazy, linear_demo, settings
from experiments.frame.run_settings import RunSettings, StudySettings
from experiments.frame.settings import nested, setting

with lazy.imports():
  from azero.executors import evaluator
  from azero.insight.plots import progress_plot
  from azero.language import zoo
  from experiments.frame import island_discoveries, judging, memory, reporting, study

if TYPE_CHECKING:
  import numpy as np

  from azero.language.program import Programs
  from experiments.frame.island_discoveries import Selection
  from experiments.frame.study import Searched

_SELECT, _FINAL = 1, 2  # parts of the tasks that no search sees


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(StudySettings):
  """Settings of this experiment; the published demo's but for the number of islands."""

  method: str = settings.method_setting()
  search: SearchConfig = linear_demo.SEARCH
  # Its estimate would be of the budget, which a discovery cuts short.
  run: RunSettings = nested(RunSettings(estimate_seconds=None), fixed=("estimate_seconds",))
  islands: int = setting(linear_demo.ISLANDS, "Experiments that run side by side.")
  num_tasks: int = setting(10, "D, search tasks of each island.")
  num_features: int = setting(4, "F.")
  select_fitness: float = setting(0.9999, "Mean fitness on the select tasks that is a discovery.")
  select_every: int = setting(4000, "Programs of an island between looks at T_select.")
  stop_at_first: bool = setting(
      True, "Stop at the first discovery, or go on until every island is done.")


@dataclasses.dataclass(frozen=True)
class Result:
  """What came out.

  Attributes:
    discovered: whether an island made a discovery.
    final_fitness: [100] fitness of the best program on unseen tasks.
    program: the best program, a batch of one.
    discoveries: training steps at which each successful island made its discovery.
    directory: of the run.
  """

  discovered: bool
  final_fitness: np.ndarray
  program: Programs
  discoveries: dict[int, int]
  directory: str


def run(config: Config) -> Result:
  """Runs the experiment and writes its directory.

  Raises:
    ValueError: a bad setting.
    FileExistsError: the run directory exists.
    FileNotFoundError: there is no run to continue.
  """
  settings.require_positive(
      config, "islands", "num_tasks", "num_features", "select_every", "max_train_steps")
  config.runtime.check(config.islands, lockstep=True)
  if not 0 < config.select_fitness <= 1:
    raise ValueError(f"--select_fitness must be in (0, 1], got {config.select_fitness}.")
  memory.require_memory(
      sum(memory.task_bytes(num_tasks, num_examples, config.num_features, config.search.dtype)
          for num_tasks, num_examples in (
              (config.islands * config.num_tasks, linear_demo.NUM_EXAMPLES),
              (2 * linear_demo.NUM_UNSEEN, linear_demo.NUM_UNSEEN_EXAMPLES))),
      "take fewer --islands or --num_tasks, or a smaller --num_features")
  group = linear_demo.make_group(
      config.search, islands=config.islands, num_tasks=config.num_tasks,
      num_features=config.num_features)
  selection = island_discoveries.Selection(
      evaluator.Evaluator(
          group.space, linear_demo.unseen(config.search.seed, _SELECT, config.num_features),
          **(config.search.evaluator_settings() | {"combine": "mean"})),
      enough=config.select_fitness, every=config.select_every, stop_at_first=config.stop_at_first)
  # In lockstep, since the selection ends islands.
  searched = study.search(
      "linear_regression", config, [group], lockstep=True, should_stop=selection,
      last_look=selection.check)
  return _conclude(config, searched, selection)


def _conclude(config: Config, searched: Searched, selection: Selection) -> Result:
  search, best = searched.search, selection.best
  program = search.best_programs[best]
  unseen = linear_demo.unseen(config.search.seed, _FINAL, config.num_features)
  final, reference = (
      judging.fitness_of(shown, unseen, config.search).per_task[0]
      for shown in (program, zoo.load("linear_regressor", config.num_features)))
  discovered = bool(selection.discoveries)
  word = "discovered a learner" if discovered else "ended without a discovery"
  tables = [
      reporting.fitness_table({"best program": final, "hand-written, rate 0.001": reference}),
      "The hand-written program is the published demo's stochastic gradient descent; at its "
      "learning rate 1000 examples are not enough to converge."]
  if not config.stop_at_first:
    tables.append(selection.table(search))
  study.conclude(config, searched.directory, study.Findings(
      title=f"Linear regression: the search {word}", program=program, tables=tables,
      summary=[
          f"The search {word}. Its best program, of island {best}, has a mean fitness of "
          f"{selection.fitness[best]:.6f} on 100 select tasks and of **{final.mean():.6f}** on "
          "100 further unseen tasks (1000 training and 100 validation examples each).",
          f"{len(selection.discoveries)} of {search.num_islands} islands made a discovery"
          + (" (the search stops at the first)." if config.stop_at_first else ".")],
      figure=progress_plot.plot_progress(
          searched.result.improvements, metric="rms", num_programs=int(search.num_programs.max()),
          title="Linear regression from random programs"),
      tasks=unseen, scores={"best program": final, "hand-written, rate 0.001": reference},
      files={"islands.json": json.dumps(selection.summary(search), indent=2) + "\n"},
      lines=[f"{word.capitalize()}: select fitness {selection.fitness[best]:.6f}, final fitness "
             f"on unseen tasks {final.mean():.6f}."]), result=searched.result)
  return Result(discovered, final, program, selection.discoveries, str(searched.directory.path))


if __name__ == "__main__":
  command_line.main(Config, run)
