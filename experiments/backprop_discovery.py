"""Evolution discovers a network and its backpropagation on teacher tasks: figure 5.

Section 4.1 of the paper: labels come from two-layer teacher networks with random weights, and
only the ops of a two-layer network are allowed. With one task evolution may hard-code the
teacher; with many it must learn. Groups of workers differ in training examples, tasks and
population size (T/D/P of supplement S5) and exchange programs. The candidate with the
smallest error on select tasks is judged on further unseen ones, beside the network that is
written by hand.

    python -m experiments.backprop_discovery --preset=small
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from azero.search.config import SearchConfig
from experiments.frame import command_line, lazy, settings
from experiments.frame.run_settings import StudySettings
from experiments.frame.settings import nested, setting

with lazy.imports():
  from azero.executors import evaluator
  from azero.insight import baselines
  from azero.insight.plots import progress_plot
  from azero.language import spaces, zoo
  from azero.search import federation, migration
  from azero.tasks import synthetic
  from experiments.frame import judging, memory, references, reporting, study

if TYPE_CHECKING:
  from azero.executors.evaluator import Evaluator
  from azero.language.program import Programs, SearchSpace
  from azero.runs.runner import RunResult
  from azero.search.federation import Group
  from azero.search.migration import Migration
  from azero.tasks.task import Tasks
  from experiments.frame.runtimes import GroupedSearch

_SELECT_SEED, _FINAL_SEED = 1, 2  # beside the workers' 0: tasks that no search sees
_NUM_VALID = 100  # validation examples of a task
_SUCCESS = 0.9  # of the way from the constant prediction to the hand-written network
_HAND_WRITTEN = "hand-written network (plain NN)"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(StudySettings):
  """Settings of this experiment; the paper's but for the budget, which it gives as five days."""

  PRESETS: ClassVar[settings.Presets] = {
      # Unseen tasks have the shapes of those searched on, since compiling for another shape
      # costs more than all the rest.
      "smoke": {
          "workers": 2, "groups": ("50/5/30",),
          "max_train_steps": 50_000, "migration_steps": 12_500, "num_unseen": 5,
          "unseen_train": 50, "estimate_seconds": None},
      "small": {
          "workers": 64, "groups": ("1000/10/100", "1000/5/215", "300/3/464", "300/1/1000"),
          "max_train_steps": 20_000_000,
          "migration_steps": 4_000_000},
  }

  search: SearchConfig = nested(
      SearchConfig(
          max_train_steps=10**12, mutations=("alter", "randomize_function"), initial="random"),
      fixed=("population_size",))
  workers: int = setting(1000, "W, divided evenly over the groups.")
  groups: tuple[str, ...] = setting(
      ("100000/100/100", "100000/22/215", "10000/5/464", "100/1/1000"),
      "T/D/P of each group: training examples, tasks, population size.")
  migration_steps: int | None = setting(
      1_000_000_000, "Training steps of a worker between two migrations, if all its programs "
      "were trained in full; none for no migration. The paper does not give it.")
  num_features: int = setting(8, "F.")
  num_unseen: int = setting(100, "Select tasks, and as many final tasks.")
  unseen_train: int = setting(10_000, "Training examples of select and final tasks.")


@dataclasses.dataclass(frozen=True)
class Result:
  """What came out.

  Attributes:
    program: the chosen program, a batch of one.
    final: fitness on the final tasks, [num_unseen] each, of the program and of others by name.
    progress: how far the program is on the way from the constant prediction (0) to the
      hand-written network (1), by mean fitness.
    success: whether that is far enough.
    directory: of the run.
    run: the search as it ended.
  """

  program: Programs
  final: dict[str, np.ndarray]
  progress: float
  success: bool
  directory: str
  run: RunResult[GroupedSearch]


def run(config: Config) -> Result:
  """Runs the experiment and writes its directory.

  Raises:
    ValueError: a bad setting.
    FileExistsError: the run directory exists.
    FileNotFoundError: there is no run to continue.
  """
  groups, exchange = make_groups(config)
  searched = study.search("backprop_discovery", config, groups, exchange)
  search, result = searched.search, searched.result
  program, select_fitness, final = _judge(config, search)
  mean = {name: float(fitness.mean()) for name, fitness in final.items()}
  floor = mean["constant prediction"]
  progress, success = _progress(mean["discovered program"], floor, mean[_HAND_WRITTEN])
  verdict = (
      f"Its mean fitness on {config.num_unseen} unseen teacher tasks, "
      f"{mean['discovered program']:.4f}, is {progress:.0%} of the way from the constant "
      f"prediction ({floor:.4f}) to the hand-written network ({mean[_HAND_WRITTEN]:.4f}): "
      f"{'a success' if success else 'no success'}, for which {_SUCCESS:.0%} is asked.")
  study.conclude(config, searched.directory, study.Findings(
      title="Backpropagation from random programs (figure 5): "
      + ("discovered" if success else "not discovered"),
      summary=[
          f"The chosen program has a mean fitness of {select_fitness:.4f} on "
          f"{config.num_unseen} select tasks. {verdict}",
          "All programs of the table train on the same examples once. Figure 5 prints its "
          "constants with two digits and was searched on tasks of its own."],
      program=program,
      tables=[reporting.fitness_table(final), reporting.group_table(search),
              "The program that the paper's figure 5 shows:",
              reporting.code_block(zoo.source("figure_5"))],
      figure=progress_plot.plot_progress(
          [item for item in result.improvements
           if item.island < len(search.groups[0].task_sets)],
          metric="rms", title=f"Teacher tasks, workers with {search.groups[0].name}",
          references={f"{name}, final tasks": mean[name] for name in mean
                      if name in ("constant prediction", _HAND_WRITTEN)}),
      lines=[verdict]), result=result)
  return Result(program, final, progress, success, str(searched.directory.path), result)


def _progress(program: float, constant: float, network: float) -> tuple[float, bool]:
  """How far a program is on the way from a constant to the network, and whether far enough.

  Where little training leaves the network itself no better than the constant, nothing is.
  """
  progress = (program - constant) / (network - constant)
  return progress, network > constant and progress >= _SUCCESS


def make_groups(config: Config) -> tuple[list[Group], Migration | None]:
  """The workers of the experiment, with their tasks, and how they exchange programs.

  Raises:
    ValueError: a bad setting.
  """
  settings.require_positive(config, "workers", "max_train_steps", "num_unseen", "unseen_train")
  config.runtime.check(config.workers)
  sizes = _group_sizes(config)
  if config.workers % len(sizes):
    raise ValueError(
        f"--workers ({config.workers}) must be a multiple of the number of --groups, "
        f"{len(sizes)}.")
  if config.migration_steps is not None and config.migration_steps < 1:
    raise ValueError(
        f"--migration_steps must be positive, or none, got {config.migration_steps}.")
  each = config.workers // len(sizes)
  # Once in main memory, once on the device.
  numbers = sum(
      num_tasks * (num_train + _NUM_VALID) * (config.num_features + 1)
      for num_train, num_tasks, _ in sizes)
  memory.require_memory(
      each * numbers * (8 + np.dtype(config.search.dtype).itemsize),
      "use fewer --workers, or --groups of fewer examples and tasks, as --preset=small has")
  seeds = iter(np.random.SeedSequence([config.search.seed, 0]).generate_state(config.workers))
  groups = []
  for num_train, num_tasks, population_size in sizes:
    own = dataclasses.replace(config.search, population_size=population_size)
    groups.append(federation.Group(
        name=f"T={num_train} D={num_tasks} P={population_size}", config=own,
        space=spaces.backprop(config.num_features),
        task_sets=[
            synthetic.teacher_regression(
                num_tasks, seed=int(next(seeds)), num_features=config.num_features,
                num_train=num_train, num_valid=_NUM_VALID) for _ in range(each)],
        # By the cost of a program, so that groups come to a migration at about one time.
        migration_every=max(1, (config.migration_steps or 0) // (num_train * num_tasks))))
  exchange = config.migration_steps is not None
  return groups, migration.Migration(seed=config.search.seed) if exchange else None


def _group_sizes(config: Config) -> list[tuple[int, int, int]]:
  """T, D and P of each group."""
  sizes = []
  for group in config.groups:
    parts = group.split("/")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) for part in parts):
      raise ValueError(
          "--groups must be T/D/P of each group, positive numbers, like 1000/10/100,100/1/1000; "
          f"got {group!r}.")
    sizes.append((int(parts[0]), int(parts[1]), int(parts[2])))
  return sizes


def _unseen(config: Config, part: int) -> Tasks:
  """Teacher tasks that no worker sees."""
  seed = int(np.random.SeedSequence([config.search.seed, part]).generate_state(1)[0])
  return synthetic.teacher_regression(
      config.num_unseen, seed=seed, num_features=config.num_features,
      num_train=config.unseen_train, num_valid=_NUM_VALID)


def _judge(
    config: Config, search: GroupedSearch) -> tuple[Programs, float, dict[str, np.ndarray]]:
  """The candidate of the best mean fitness on the select tasks, beside what it is compared with.

  Returns:
    The program, its mean fitness on the select tasks, and fitness on the final tasks by name.
  """
  candidates = judging.candidates_of(search)
  tasks = [_unseen(config, part) for part in (_SELECT_SEED, _FINAL_SEED)]

  @functools.cache
  def judge(space: SearchSpace) -> Evaluator:
    return evaluator.Evaluator(
        space, tasks, **config.search.evaluator_settings() | {"combine": "mean"})

  fitness = judge(candidates.space).evaluate(candidates, 0).fitness
  best = int(fitness.argmax())
  shown = {
      "discovered program": candidates[best],
      _HAND_WRITTEN: references.in_space(zoo.source("plain_nn"), candidates.space),
      "program of figure 5 as printed": references.in_space(
          zoo.source("figure_5"), candidates.space)}
  final = {
      name: judge(each.space).evaluate(each, 1).per_task[0] for name, each in shown.items()}
  return candidates[best], float(fitness[best]), final | {
      "constant prediction": baselines.constant(tasks[1])}


if __name__ == "__main__":
  command_line.main(Config, run)
