"""Rounds of random search or of evolution on a task type of figure 4, and what is left to do."""

from __future__ import annotations

import dataclasses
import math
import signal
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from azero.runs import runner
from azero.runs.display import progress
from azero.tasks import synthetic
from experiments.details import task_difficulty_density as density
from experiments.details import task_difficulty_types as task_types
from experiments.details.task_difficulty_report import EVOLUTION, METHODS, RANDOM, Rows
from experiments.frame import estimate, interruption, reporting

if TYPE_CHECKING:
  from collections.abc import Sequence

  from azero.language.program import Programs, SearchSpace
  from azero.runs.directory import RunDirectory
  from azero.search.config import SearchConfig
  from azero.tasks.task import Tasks
  from experiments.details.task_difficulty_density import Acceptance, Sample
  from experiments.frame.estimate import Estimate

_SHOWN = 3  # acceptable programs of a round that are recorded


def check_budgets(config: Any) -> None:
  """Refuses budgets that no experiment, or no round, fits into.

  Raises:
    ValueError: says which.
  """
  budget = config.experiment_programs
  if budget is not None and budget < config.search.population_size:
    raise ValueError(
        f"--experiment_programs ({budget}) must be at least --population_size "
        f"({config.search.population_size}), the programs that an experiment begins with.")
  for kind in config.task_types:
    if (least := _round_programs(config, kind, EVOLUTION)) > config.max_evolution_programs:
      raise ValueError(
          f"--max_evolution_programs ({config.max_evolution_programs:,}) must be at least "
          f"{least:,}: one round on the {kind}, which has an experiment on each of "
          f"{config.islands} --islands.")


def check_references(config: Any) -> None:
  """Refuses a learning rate with which a reference fails on tasks of a first round.

  Raises:
    ValueError: says on which.
  """
  for kind in config.task_types:
    for method in METHODS:
      _acceptance(config, kind, _task_sets(config, kind, method, 0))


def run_all(config: Any, rows: Rows, directory: RunDirectory) -> int | None:
  """Rounds in turn until both methods have enough of every task type.

  Args:
    config: of the experiment.
    rows: what is finished, to which each round is added.
    directory: where they are saved.

  Returns:
    The number of the signal that interrupted it; None if it is done.
  """
  begun = set[tuple[str, str]]()
  while left := _unfinished(config, rows):
    for kind, method in left:
      row = _next_round(config, kind, method, rows, first=(kind, method) not in begun)
      begun.add((kind, method))
      if isinstance(row, signal.Signals):
        return int(row)
      rows.append(row)
      rows.save(directory)
  return None


def _round_programs(config: Any, kind: str, method: str) -> int:
  """Programs of a round."""
  if method == RANDOM:
    return config.round_programs
  return _experiment_programs(config, kind) * config.islands


def _unfinished(config: Any, rows: Rows) -> list[tuple[str, str]]:
  """Task types and methods that have programs left and too few successes."""
  return [
      (kind, method) for kind in config.task_types for method in METHODS
      if _programs_left(config, kind, method, rows) > 0
      and rows.total(kind, method, "acceptable") < config.successes]


def _next_round(
    config: Any, kind: str, method: str, rows: Rows, *, first: bool
) -> dict[str, Any] | signal.Signals:
  """The next round of a method on a task type, or the signal that interrupted it.

  Args:
    config: the settings.
    kind: of tasks.
    method: random search or evolution.
    rows: what is finished.
    first: whether it is the first of this run, which shows the estimate.
  """
  task_type, number = task_types.TASK_TYPES[kind], len(rows.of(kind, method))
  task_sets, space = _task_sets(config, kind, method, number), task_type.space(config.num_features)
  left, whole = _programs_left(config, kind, method, rows), _round_programs(config, kind, method)
  start = time.monotonic()
  row = _run_round(method, _Round(
      kind=kind, space=space, task_sets=task_sets, count=min(left, whole),
      acceptance=_acceptance(config, kind, task_sets),
      template=task_type.template(config.reference_rate, space),
      config=_search_config(config, kind, method, number), progress=config.run.progress,
      expected=estimate.Estimate(
          config.run.estimate_seconds if first else None,
          {f"rounds of {method} on the {kind} at most": math.ceil(left / whole)})))
  if isinstance(row, signal.Signals):
    return row
  return {"task_type": kind, "method": method, "round": number, **row,
          "seconds": round(time.monotonic() - start, 3)}


def _seeds(config: Any, kind: str, method: str, number: int) -> list[int]:
  """Of a round: that of its search, and those of the tasks of its islands."""
  entropy = [
      config.search.seed, list(task_types.TASK_TYPES).index(kind), METHODS.index(method), number]
  return np.random.SeedSequence(entropy).generate_state(1 + config.islands).tolist()


def _task_sets(config: Any, kind: str, method: str, number: int) -> list[Tasks]:
  """The tasks of the islands of a round."""
  _, *seeds = _seeds(config, kind, method, number)
  if method == RANDOM:
    seeds = seeds[:2]  # while one half is run, the other is drawn
  affine = task_types.TASK_TYPES[kind].affine
  make = synthetic.affine_regression if affine else synthetic.linear_regression
  return [
      make(config.num_tasks, seed=seed, num_features=config.num_features,
           num_train=config.num_train, num_valid=config.num_valid) for seed in seeds]


def _acceptance(config: Any, kind: str, task_sets: Sequence[Tasks]) -> Acceptance:
  """What is acceptable by the reference.

  Raises:
    ValueError: it fails on these tasks.
  """
  task_type = task_types.TASK_TYPES[kind]
  space = task_type.space(config.num_features)
  try:
    return density.Acceptance(
        task_type.reference(config.reference_rate, space), space, task_sets,
        factor=config.tolerance, dtype=config.search.dtype)
  except ValueError as error:
    raise ValueError(
        f"{error} They are those of the {kind}, with a learning rate of "
        f"{config.reference_rate}; try a smaller --reference_rate.") from error


def _programs_left(config: Any, kind: str, method: str, rows: Rows) -> int:
  """What a method may still spend on a task type; evolution in whole rounds."""
  spent = rows.total(kind, method, "programs")
  if method == RANDOM:
    return config.max_random_programs - spent
  left = config.max_evolution_programs - spent
  return left - left % _round_programs(config, kind, method)


def _experiment_programs(config: Any, kind: str) -> int:
  """Programs of an evolution experiment."""
  return config.experiment_programs or task_types.TASK_TYPES[kind].budget


def _search_config(config: Any, kind: str, method: str, number: int) -> SearchConfig:
  """Settings of the experiments of a round."""
  budget = _experiment_programs(config, kind)
  return dataclasses.replace(
      config.search, max_programs=budget, seed=_seeds(config, kind, method, number)[0],
      cache_size=min(budget, config.search.cache_size))


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Round:
  """What a round has.

  Attributes:
    kind: name of the task type.
    space: the search space.
    task_sets: of evolution one for each experiment, of random search two.
    acceptance: which programs count.
    template: what is given of a program, if anything.
    count: programs to try.
    config: of an evolution experiment; random search has its seed, type and lanes.
    progress: how to show it.
    expected: the estimate of the time.
  """

  kind: str
  space: SearchSpace
  task_sets: list[Tasks]
  acceptance: Acceptance
  template: Programs | None
  count: int
  config: SearchConfig
  progress: str
  expected: Estimate


def _run_round(method: str, task: _Round) -> dict[str, Any] | signal.Signals:
  """What came out of a round, or the signal that interrupted it."""
  return _random(task) if method == RANDOM else _evolution(task)


def _random(task: _Round) -> dict[str, Any] | signal.Signals:

  def show(so_far: Sample) -> None:
    if task.expected.due:
      task.expected.show(
          {"train_steps": so_far.train_steps, "programs": so_far.programs},
          {"programs": task.count - so_far.programs})
    if display.due():
      display.show(f"{task.kind}, {RANDOM}: {so_far.programs:,} programs, {so_far.acceptable} "
                   "acceptable in this round")

  try:
    with progress.Progress(task.progress) as display:
      found = density.sample(
          task.space, task.task_sets, task.acceptance, task.count, seed=task.config.seed,
          template=task.template, dtype=task.config.dtype, lanes=task.config.lanes, keep=_SHOWN,
          on_batch=show)
  except KeyboardInterrupt as interrupt:
    return interruption.signum_of(interrupt)
  return {
      "programs": found.programs, "acceptable": found.acceptable, "experiments": 0,
      "evaluated": found.evaluated, "train_steps": found.train_steps,
      "found": [reporting.live_text(program) for program in found.found.values()]}


def _evolution(task: _Round) -> dict[str, Any] | signal.Signals:
  search = density.RepeatedEvolution(
      task.space, task.task_sets, task.config, task.acceptance, template=task.template)
  with interruption.second_leaves():
    ended = runner.run(search, progress=task.progress, should_stop=task.expected)
  if ended.signum is not None:
    return signal.Signals(ended.signum)
  return {
      "programs": task.count, "acceptable": len(search.accepted),
      "experiments": len(task.task_sets), "evaluated": search.counts.evaluated,
      "train_steps": search.counts.train_steps,
      "found": [
          reporting.live_text(search.accepted[island])
          for island in sorted(search.accepted)[:_SHOWN]]}
