"""From a search on T_search to a program chosen on T_select and judged on unseen tasks.

What the experiments on real data share (sections 3 and 4.2, supplement S7 of the paper):
evolution on several islands, the best programs ranked on tasks that no island saw, and
the winner on the final tasks beside simple baselines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from azero.search.config import SearchConfig
from experiments.frame import lazy, settings
from experiments.frame.run_settings import StudySettings
from experiments.frame.settings import setting

with lazy.imports():
  from azero.insight import baselines
  from azero.insight.plots import progress_plot
  from azero.language import program as program_lib
  from azero.runs import warm_start
  from azero.search import federation
  from experiments.frame import judging, reporting, study

if TYPE_CHECKING:
  from azero.language.program import Programs, SearchSpace
  from azero.runs.directory import RunDirectory
  from azero.runs.runner import RunResult
  from azero.tasks.task import Tasks
  from experiments.frame.starts import Starts

_FOUND = "discovered program"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscoverySettings(StudySettings):
  """Settings of a search on real data; the method's defaults are S10's."""

  search: SearchConfig = SearchConfig(
      max_train_steps=100_000_000, train_budget=4.0)
  islands: int = setting(8, "Independent populations that run side by side.")
  num_tasks: int = setting(10, "D, search tasks of each island.")
  warm_start: str | None = setting(
      None, "A program file, or the directory of a run whose hall of fame the populations start "
      "from, each program in turn; default empty programs.", path=True)

  def check(self) -> None:
    """Refuses settings that no search accepts, before data are read.

    Raises:
      ValueError: says which.
    """
    settings.require_positive(self, "islands", "num_tasks", "num_epochs", "max_train_steps")
    self.runtime.check(self.islands)


@dataclasses.dataclass(frozen=True)
class Data:
  """Tasks of a search.

  Attributes:
    search: one task batch for each island.
    select: to choose among the best programs.
    final: to judge the chosen one; share no class group or no rows with the others.
    judged_on: what the final tasks hold that search and selection did not see.
  """

  search: Sequence[Tasks]
  select: Tasks
  final: Tasks
  judged_on: str


@dataclasses.dataclass(frozen=True)
class Judged:
  """What is said of the chosen program in place of a verdict over tasks.

  Attributes:
    sentences: for the report and the screen.
    files: other files of the run directory: their texts by name.
  """

  sentences: Sequence[str]
  files: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Result:
  """What came out.

  Attributes:
    program: the chosen program, a batch of one.
    final: fitness on the final tasks, [D] each, of the program and the baselines by name.
    directory: of the run.
    run: the search as it ended.
  """

  program: Programs
  final: dict[str, np.ndarray]
  directory: str
  run: RunResult


def discover(
    config: DiscoverySettings, space: SearchSpace, data: Data, *, name: str, title: str,
    about: str, facts: Mapping[str, Any] | None = None, known: Starts | None = None,
    judge: Callable[[Programs, RunDirectory], Judged] | None = None,
) -> Result:
  """Searches, selects, judges and reports.

  Args:
    config: the settings.
    space: the search space.
    data: the tasks.
    name: of the experiment, for the run directory.
    title: of the report.
    about: a sentence on the data, for the report.
    facts: what identifies the run besides its settings, see `study.open_directory`.
    known: programs that half of the islands start from, and that are candidates themselves.
    judge: what else to say of the chosen program, with the directory for other files.

  Returns:
    The result.

  Raises:
    ValueError: settings that contradict each other or the tasks.
    FileExistsError: the run directory exists.
    FileNotFoundError: there is no run to continue, or nothing to start from.
  """
  searched = study.search(
      name, config, _groups(config, space, data, known), facts=facts)
  candidates = judging.candidates_of(searched.search)
  if known is not None:
    candidates = program_lib.Programs.concatenate([known.programs, candidates])
  program, select_fitness = judging.select(candidates, data.select, config.search)
  final = _judge(config.search, program, data.final)
  judged = Judged([judging.verdict(final[_FOUND], final["constant prediction"])], {})
  if judge is not None:
    judged = judge(program, searched.directory)
  said = [*judged.sentences, *_origin(program, known, multiclass=data.final.multiclass)]
  findings = study.Findings(
      title=title, program=program, num_classes=data.final.num_classes, data=about,
      scores=final, tasks=data.final,
      summary=[
          f"Of {len(candidates)} candidates the chosen program is best on {len(data.select)} "
          f"select tasks ({config.search.combine} fitness {select_fitness:.4f}). Its mean fitness "
          f"on {data.judged_on}, is **{final[_FOUND].mean():.4f}**.",
          *said,
          "The linear model and the network train on the same examples, but many times over (50 "
          f"epochs or 1500 steps); the program goes {config.search.num_epochs} time(s) through "
          "them."],
      tables=[reporting.fitness_table(final)],
      figure=progress_plot.plot_progress(
          searched.result.improvements, metric=data.final.metric, title=title,
          multiclass=data.final.multiclass, num_programs=int(searched.search.num_programs.max()),
          references={f"{label}, final tasks": fitness.mean() for label, fitness in final.items()
                      if label != _FOUND}),
      lines=[
          *(f"{label:40s} {fitness.mean():.4f}" for label, fitness in final.items()),
          f"on {data.judged_on}. {said[0]}", *said[1:]],
      files=judged.files)
  study.conclude(config, searched.directory, findings, result=searched.result)
  return Result(program, final, str(searched.directory.path), searched.result)


def _groups(
    config: DiscoverySettings, space: SearchSpace, data: Data, known: Starts | None
) -> list[federation.Group]:
  """All islands alike, or half of them with known programs to start from."""
  template = None
  if config.warm_start:
    template = warm_start.read_programs(
        config.warm_start, space, multiclass=data.final.multiclass)
  if known is None or template is not None:
    return [federation.Group(
        name="islands", space=space, task_sets=data.search, config=config.search,
        template=template)]
  half = (len(data.search) + 1) // 2
  groups = [federation.Group(
      name="from known programs", space=space, task_sets=data.search[:half],
      config=config.search, template=known.programs)]
  if data.search[half:]:
    groups.append(federation.Group(
        name="from empty programs", space=space, task_sets=data.search[half:],
        config=config.search))
  return groups


def _origin(program: Programs, known: Starts | None, *, multiclass: bool) -> list[str]:
  """Whether the chosen program is one that was known before."""
  if known is None:
    return []
  found = reporting.live_text(program, multiclass=multiclass)
  for place, name in enumerate(known.names):
    if reporting.live_text(known.programs[place], multiclass=multiclass) == found:
      return [f"It is one of those that the search started from: {name}."]
  return ["It is none of those that half of the islands started from."]


def _judge(config: SearchConfig, program: Programs, tasks: Tasks) -> dict[str, np.ndarray]:
  """Fitness on the final tasks, [D] each, of the program and of baselines, by name."""
  return {
      _FOUND: judging.fitness_of(program, tasks, config).per_task[0],
      "constant prediction": baselines.constant(tasks),
      "linear model (Adam)": baselines.linear(tasks, seed=config.seed),
      "neural network, 32 hidden units (Adam)": baselines.neural_network(
          tasks, seed=config.seed)}
