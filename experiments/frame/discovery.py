"""From a search on T_search to a program chosen on T_select and judged on unseen tasks.

What the experiments on real data share (sections 3 and 4.2, supplement S7 of the paper):
evolution on several islands, the best programs ranked on tasks that no island saw, and
the winner on the final tasks beside simple baselines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from azero.search.config import SearchConfig
from experiments.frame import lazy, settings
from experiments.frame.run_settings import StudySettings
from experiments.frame.settings import setting

with lazy.imports():
  from azero.insight import baselines, tables, verdict
  from azero.insight.plots import progress_plot
  from azero.runs import warm_start
  from azero.search.groups import federation, starts
  from experiments.frame import judging, reporting, study

if TYPE_CHECKING:
  from azero.language.program import Programs, SearchSpace
  from azero.runs.directory import RunDirectory
  from azero.runs.runner import RunResult
  from azero.search.groups.starts import Known
  from azero.tasks.task import Tasks
  from experiments.frame.runtimes import GroupedSearch

_FOUND, _CONSTANT = "discovered program", "constant prediction"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscoverySettings(StudySettings):
  """Settings of a search on real data; of the paper's method those of S10."""

  method: str = settings.method_setting()
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
class Chosen:
  """A program that was chosen among candidates.

  Attributes:
    program: a batch of one.
    sentence: among what it was chosen, and by what.
    epochs: passes over the rows that are good for it, the best first; None to choose them anew.
  """

  program: Programs
  sentence: str
  epochs: Sequence[int | None] = (None,)


@dataclasses.dataclass(frozen=True)
class Judged:
  """What is said of the chosen program in place of a verdict over tasks.

  Attributes:
    sentences: for the report and the screen.
    files: other files of the run directory: their texts by name.
    scores: of the program as it is used and of what it is compared with, by name: a number and
      its interval in words; empty if it was judged on tasks alone.
    measure: what the scores are.
  """

  sentences: Sequence[str]
  files: Mapping[str, str]
  scores: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
  measure: str = ""


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
    about: str, facts: Mapping[str, Any] | None = None, known: Sequence[Known] = (),
    choose: Callable[[GroupedSearch], Chosen] | None = None,
    judge: Callable[[Chosen, RunDirectory], Judged] | None = None,
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
    known: programs that half of the islands start from.
    choose: a program, when the search has ended; default that of its finds which is best on the
      select tasks.
    judge: what else to say of what was chosen, with the directory for other files.

  Returns:
    The result.

  Raises:
    ValueError: settings that contradict each other or the tasks.
    FileExistsError: the run directory exists.
    FileNotFoundError: there is no run to continue, or nothing to start from.
  """
  searched = study.search(name, config, _groups(config, space, data, known), facts=facts)
  chosen = (choose or functools.partial(_choose, data=data, config=config))(searched.search)
  program = chosen.program
  final = _judge(config.search, program, data.final)
  if judge is not None:
    judged = judge(chosen, searched.directory)
  else:
    judged = Judged([verdict.compare(1 - final[_FOUND], 1 - final[_CONSTANT]).sentence(
        f"the {_CONSTANT}", f"mean fitness of {len(data.final)} tasks")], {})
  findings = study.Findings(
      title=title, program=program, num_classes=data.final.num_classes, data=about,
      scores=final, tasks=data.final,
      summary=[
          chosen.sentence, *judged.sentences,
          f"As a search evaluates it, {config.search.num_epochs} time(s) through the examples, its "
          f"mean fitness on {data.judged_on}, is **{final[_FOUND].mean():.4f}**. The linear model "
          "and the network train on the same examples, but many times over (50 epochs or 1500 "
          "steps)."],
      tables=[*_score_table(judged), reporting.fitness_table(final)],
      figure=progress_plot.plot_progress(
          searched.result.improvements, metric=data.final.metric, title=title,
          multiclass=data.final.multiclass, num_programs=int(searched.search.num_programs.max()),
          references={f"{label}, final tasks": fitness.mean() for label, fitness in final.items()
                      if label != _FOUND}),
      lines=_lines(chosen, judged, final, data),
      files=judged.files)
  study.conclude(config, searched.directory, findings, result=searched.result)
  return Result(program, final, str(searched.directory.path), searched.result)


def _score_table(judged: Judged) -> list[str]:
  """Scores of the program as it is used, if it was judged so."""
  if not judged.scores:
    return []
  return [tables.markdown(
      (judged.measure, "score", "95 % interval"),
      [(label, *texts) for label, texts in judged.scores.items()])]


def _lines(
    chosen: Chosen, judged: Judged, final: Mapping[str, np.ndarray], data: Data) -> list[str]:
  """What the screen says below the program: its scores as it is used, or else its fitness."""
  if judged.scores:
    return [
        chosen.sentence, f"{judged.measure}:",
        *(f"  {label:38s} {score} ({interval})"
          for label, (score, interval) in judged.scores.items()),
        *judged.sentences]
  return [
      *(f"{label:40s} {fitness.mean():.4f}" for label, fitness in final.items()),
      f"on {data.judged_on}. {judged.sentences[0]}", *judged.sentences[1:]]


def _choose(search: GroupedSearch, *, data: Data, config: DiscoverySettings) -> Chosen:
  """The find that is best on the select tasks."""
  candidates = judging.candidates_of(search)
  program, fitness = judging.select(candidates, data.select, config.search)
  return Chosen(
      program, f"Of {len(candidates)} candidates the chosen program is best on "
      f"{len(data.select)} select tasks ({config.search.combine} fitness {fitness:.4f}).")


def _groups(
    config: DiscoverySettings, space: SearchSpace, data: Data, known: Sequence[Known]
) -> list[federation.Group]:
  """All islands alike, or half of them with known programs to start from."""
  if not config.warm_start:
    return starts.groups(space, data.search, config.search, known)
  template = warm_start.read_programs(config.warm_start, space, multiclass=data.final.multiclass)
  return [federation.Group(
      name="islands", space=space, task_sets=data.search,
      config=dataclasses.replace(config.search, initial="empty"), template=template)]


def _judge(config: SearchConfig, program: Programs, tasks: Tasks) -> dict[str, np.ndarray]:
  """Fitness on the final tasks, [D] each, of the program and of baselines, by name."""
  return {
      _FOUND: judging.fitness_of(program, tasks, config).per_task[0],
      _CONSTANT: baselines.constant(tasks),
      "linear model (Adam)": baselines.linear(tasks, seed=config.seed),
      "neural network, 32 hidden units (Adam)": baselines.neural_network(
          tasks, seed=config.seed)}
