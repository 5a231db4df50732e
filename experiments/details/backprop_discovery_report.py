"""Figure 5's question: how far a program is on the way to the network that is written by hand."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from azero.insight import baselines
from azero.insight.plots import progress_plot
from azero.language import zoo
from azero.search.groups import starts
from experiments.frame import judging, reporting, study

if TYPE_CHECKING:
  from azero.language.program import Programs
  from azero.runs.runner import RunResult
  from azero.tasks.task import Tasks
  from experiments.frame.runtimes import GroupedSearch
  from experiments.frame.study import Searched

CONSTANT, HAND_WRITTEN = "constant prediction", "hand-written network (plain NN)"
_FOUND = "discovered program"
_SUCCESS = 0.9  # of the way from the constant prediction to the hand-written network


@dataclasses.dataclass(frozen=True)
class Result:
  """What came out.

  Attributes:
    program: the chosen program, a batch of one.
    select_fitness: its mean fitness on the select tasks.
    final: fitness on the final tasks, [D] each, of the program and of others by name.
    progress: how far the program is on the way from the constant prediction (0) to the
      hand-written network (1), by mean fitness.
    success: whether that is far enough.
    directory: of the run.
    run: the search as it ended.
  """

  program: Programs
  select_fitness: float
  final: dict[str, np.ndarray]
  progress: float
  success: bool
  directory: str
  run: RunResult[GroupedSearch]


def conclude(config: Any, searched: Searched, select: Tasks, final: Tasks) -> Result:
  """Chooses the candidate of the best mean fitness, judges it beside others, and reports.

  Args:
    config: of the experiment.
    searched: the search.
    select: tasks to choose on.
    final: tasks to judge on, of the same shape.
  """
  candidates = judging.candidates_of(searched.search)
  judge = judging.Judge(select, final, config.search.evaluator_settings() | {"combine": "mean"})
  best, select_fitness = judge.choose(candidates)
  shown = {
      _FOUND: candidates[best],
      HAND_WRITTEN: starts.in_space(zoo.source("plain_nn"), candidates.space),
      "program of figure 5 as printed": starts.in_space(
          zoo.source("figure_5"), candidates.space)}
  fitness = {name: judge.judge(program) for name, program in shown.items()}
  fitness[CONSTANT] = baselines.constant(final)
  progress, success = progress_of(
      *(float(fitness[name].mean()) for name in (_FOUND, CONSTANT, HAND_WRITTEN)))
  result = Result(
      candidates[best], select_fitness, fitness, progress, success,
      str(searched.directory.path), searched.result)
  study.conclude(
      config, searched.directory, _findings(config, searched, result, final),
      result=searched.result)
  return result


def progress_of(program: float, constant: float, network: float) -> tuple[float, bool]:
  """How far a program is on the way from a constant to the network, and whether far enough.

  Where little training leaves the network itself no better than the constant, nothing is.
  """
  progress = (program - constant) / (network - constant)
  return progress, network > constant and progress >= _SUCCESS


def _findings(
    config: Any, searched: Searched, result: Result, final: Tasks) -> study.Findings:
  mean = {name: float(fitness.mean()) for name, fitness in result.final.items()}
  groups = searched.search.groups
  verdict = (
      f"Its mean fitness on {config.num_unseen} unseen teacher tasks, {mean[_FOUND]:.4f}, is "
      f"{result.progress:.0%} of the way from the constant prediction ({mean[CONSTANT]:.4f}) to "
      f"the hand-written network ({mean[HAND_WRITTEN]:.4f}): "
      f"{'a success' if result.success else 'no success'}, for which {_SUCCESS:.0%} is asked.")
  return study.Findings(
      title="Backpropagation "
      + ("of a given network" if config.learn_only else "from random programs (figure 5)")
      + (": discovered" if result.success else ": not discovered"),
      summary=[
          f"The chosen program has a mean fitness of {result.select_fitness:.4f} on "
          f"{config.num_unseen} select tasks. {verdict}",
          "All programs of the table train on the same examples once. Figure 5 prints its "
          "constants with two digits and was searched on tasks of its own."],
      program=result.program, scores=result.final, tasks=final,
      tables=[
          reporting.fitness_table(result.final), reporting.group_table(searched.search),
          "The program that the paper's figure 5 shows:",
          reporting.code_block(zoo.source("figure_5"))],
      figure=progress_plot.plot_progress(
          [item for item in searched.result.improvements
           if item.island < len(groups[0].task_sets)],
          metric="rms", title=f"Teacher tasks, workers with {groups[0].name}",
          references={
              f"{name}, final tasks": mean[name] for name in (HAND_WRITTEN, CONSTANT)}),
      lines=[verdict])
