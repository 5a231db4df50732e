"""How difficult the search is, and what evolution gains over random search: figure 4.

Four task types of section 4.1: a whole learner, or only its Learn, for linear or affine
regression. Random search measures the density of acceptable programs, those whose mean RMS
error is no larger than that of a hand-written reference. Evolution is repeated from new
random programs on new tasks; each experiment counts as one success at most, and with all the
programs of its budget. The ratio of both rates is what figure 4 shows.

    python -m experiments.task_difficulty --preset=small

Work is done in rounds, of all task types and methods in turn; a stopped run keeps the rounds
it has finished, and --resume goes on with the next. Budgets may be given anew: what is finished
stays, and each method goes on until it has enough by the new ones.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import json
import math
import signal
import time
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from azero.search.config import SearchConfig
from experiments.frame import command_line, lazy, settings
from experiments.frame.run_settings import RunSettings
from experiments.frame.settings import nested, setting
from experiments.task_difficulty_report import EVOLUTION, METHODS, RANDOM, Rows
from experiments.task_difficulty_rounds import TASK_TYPES

with lazy.imports():
  from azero.search import density, mutation
  from azero.tasks import synthetic
  from experiments import task_difficulty_report as report_lib
  from experiments import task_difficulty_rounds as rounds
  from experiments.frame import estimate, study

if TYPE_CHECKING:
  from azero.insight.plots.difficulty_plot import Point
  from azero.runs.directory import RunDirectory

_RESULTS = "results.jsonl"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """Settings of this experiment; defaults are the paper's where it says them."""

  MAY_CHANGE: ClassVar[Sequence[str]] = (
      "successes", "max_random_programs", "max_evolution_programs", "num_devices", "lanes",
      "progress", "estimate_seconds")
  PRESETS: ClassVar[settings.Presets] = {
      # As many islands as a round of random search has sets of tasks: compiling for another
      # shape costs more than all the rest.
      "smoke": {
          "islands": 2, "population_size": 20,
          "experiment_programs": 400, "num_train": 50,
          "num_valid": 10, "reference_rate": 0.05, "tolerance": 5.0, "round_programs": 300_000,
          "max_random_programs": 300_000, "max_evolution_programs": 800,
          "task_types": ("linear_backprop", "linear_regressor"), "estimate_seconds": None},
      "small": {
          "islands": 128, "successes": 20,
          "max_random_programs": 20_000_000, "max_evolution_programs": 12_800_000},
  }

  run: RunSettings = nested(RunSettings(), fixed=("checkpoint_seconds", "tensorboard"))
  # The paper does not use functional equivalence checking here.
  search: SearchConfig = nested(
      SearchConfig(
          population_size=1000, mutations=("alter", "randomize_function"), initial="random",
          fingerprint=False, cache_size=10_000),
      fixed=("max_train_steps", "max_programs"))
  task_types: tuple[str, ...] = setting(
      tuple(TASK_TYPES), "Which to run.", choices=tuple(TASK_TYPES))
  successes: int = setting(100, "Successes after which a method has enough of a task type.")
  max_random_programs: int = setting(
      10**12, "Programs of random search on a task type at most.")
  max_evolution_programs: int = setting(
      10**12, "Programs of evolution on a task type at most, in all its experiments.")
  round_programs: int = setting(10_000_000, "Random programs of a round.")
  islands: int = setting(512, "Evolution experiments that run side by side in a round.")
  experiment_programs: int | None = setting(
      None, "Programs of an evolution experiment; none for the paper's 10k, or 100k for the "
      "affine regressor.")
  num_tasks: int = setting(3, "D, tasks of an experiment.")
  num_features: int = setting(8, "F.")
  num_train: int = setting(1000, "Training examples of a task.")
  num_valid: int = setting(100, "Validation examples of a task.")
  reference_rate: float = setting(
      0.01, "Learning rate of the reference, which the paper does not print.")
  tolerance: float = setting(
      1.01, "A program is acceptable up to so many times the reference's mean RMS error; where "
      "Setup is given, an equal program must be.")


@dataclasses.dataclass(frozen=True)
class Result:
  """What came out.

  Attributes:
    rows: finished rounds, as they are saved.
    points: of each task type whose both methods have a finished round.
    status: "done" or "interrupted".
    directory: of the run.
  """

  rows: Rows
  points: list[Point]
  status: str
  directory: str


def run(config: Config) -> Result:
  """Runs rounds until both methods have enough of every task type.

  Raises:
    ValueError: a bad setting.
    FileExistsError: the run directory exists.
    FileNotFoundError: there is no run to continue.
  """
  kinds = _check(config)
  paper = {
      kind: (TASK_TYPES[kind].paper_difficulty, TASK_TYPES[kind].paper_ratio) for kind in kinds}
  directory = study.open_directory("task_difficulty", config)
  rows = Rows()
  with directory.locked():
    if directory.resumed:
      saved = directory.path / _RESULTS
      rows = Rows(json.loads(line) for line in saved.read_text(encoding="utf-8").splitlines())
      directory.save_config()
    _save(directory, rows)
    print(f"{'Continuing' if directory.resumed else 'Searching'} with {config.islands} islands; "
          f"everything is recorded in {directory.path}")
    begun = set[tuple[str, str]]()
    signum: int | None = None
    while signum is None and (left := _unfinished(config, kinds, rows)):
      for kind, method in left:
        row = _round(config, kind, method, rows, first=(kind, method) not in begun)
        begun.add((kind, method))
        if isinstance(row, signal.Signals):
          signum = int(row)
          break
        rows.append(row)
        _save(directory, rows)
    points = report_lib.write_report(config, paper, rows, signum, directory)
  status = "done" if signum is None else "interrupted"
  return Result(rows, points, status, str(directory.path))


def _check(config: Config) -> list[str]:
  """The task types, after a look at the settings."""
  kinds = list(config.task_types)
  settings.require_positive(
      config, "islands", "successes", "max_random_programs", "max_evolution_programs",
      "round_programs", "num_tasks", "num_features", "num_train", "num_valid")
  for name in ("reference_rate", "tolerance"):
    if not getattr(config, name) > 0:
      raise ValueError(f"--{name} must be positive, got {getattr(config, name)}.")
  budget = config.experiment_programs
  if budget and budget < config.search.population_size:
    raise ValueError(
        f"--experiment_programs ({budget}) must be at least --population_size "
        f"({config.search.population_size}), the programs that an experiment begins with.")
  mutation.mutator(config.search.mutations, config.search.mutation_probability)
  config.run.check()
  for kind in kinds:
    if (least := _round_programs(config, kind, EVOLUTION)) > config.max_evolution_programs:
      raise ValueError(
          f"--max_evolution_programs ({config.max_evolution_programs:,}) must be at least "
          f"{least:,}: one round on the {kind}, which has an experiment on each of "
          f"{config.islands} --islands.")
  return kinds


def _save(directory: RunDirectory, rows: Rows) -> None:
  """Replaces the file of results in one step, so that a round is there in full or not at all."""
  directory.write(_RESULTS, "".join(json.dumps(row) + "\n" for row in rows))


def _unfinished(
    config: Config, kinds: list[str], rows: Rows
) -> list[tuple[str, str]]:
  return [
      (kind, method) for kind in kinds for method in METHODS
      if _programs_left(config, kind, method, rows) > 0
      and rows.total(kind, method, "acceptable") < config.successes]


def _programs_left(config: Config, kind: str, method: str, rows: Rows) -> int:
  """What a method may still spend on a task type; evolution in whole rounds."""
  spent = rows.total(kind, method, "programs")
  if method == RANDOM:
    return config.max_random_programs - spent
  left = config.max_evolution_programs - spent
  return left - left % _round_programs(config, kind, method)


def _round_programs(config: Config, kind: str, method: str) -> int:
  """Programs of a round."""
  if method == RANDOM:
    return config.round_programs
  return _experiment_programs(config, kind) * config.islands


def _experiment_programs(config: Config, kind: str) -> int:
  """Programs of an evolution experiment."""
  return config.experiment_programs or TASK_TYPES[kind].budget


def _round(
    config: Config, kind: str, method: str, rows: Rows, *, first: bool
) -> dict[str, Any] | signal.Signals:
  """The next round of a method on a task type, or the signal that interrupted it.

  Args:
    config: the settings.
    kind: of tasks.
    method: random search or evolution.
    rows: what is finished.
    first: whether it is the first of this run, which shows the estimate.
  """
  task_type, number = TASK_TYPES[kind], len(rows.of(kind, method))
  entropy = [config.search.seed, list(TASK_TYPES).index(kind), METHODS.index(method), number]
  seeds = np.random.SeedSequence(entropy).generate_state(1 + config.islands)
  search_seed, task_seeds = int(seeds[0]), seeds[1:]
  if method == RANDOM:
    task_seeds = seeds[1:3]  # while one half is run, the other is drawn
  make = synthetic.affine_regression if task_type.affine else synthetic.linear_regression
  task_sets = [
      make(config.num_tasks, seed=int(seed), num_features=config.num_features,
           num_train=config.num_train, num_valid=config.num_valid) for seed in task_seeds]
  space = task_type.space(config.num_features)
  left, whole = _programs_left(config, kind, method, rows), _round_programs(config, kind, method)
  start = time.monotonic()
  row = rounds.run_round(method, rounds.Round(
      kind=kind, space=space, task_sets=task_sets, count=min(left, whole),
      acceptance=density.Acceptance(
          task_type.reference(config.reference_rate, space), space, task_sets,
          factor=config.tolerance, dtype=config.search.dtype),
      template=task_type.template(config.reference_rate, space),
      config=_search_config(config, kind, search_seed), progress=config.run.progress,
      expected=estimate.Estimate(
          config.run.estimate_seconds if first else None,
          {f"rounds of {method} on the {kind} at most": math.ceil(left / whole)})))
  if isinstance(row, signal.Signals):
    return row
  return {"task_type": kind, "method": method, "round": number, **row,
          "seconds": round(time.monotonic() - start, 3)}


def _search_config(config: Config, kind: str, seed: int) -> SearchConfig:
  """Settings of an evolution experiment."""
  budget = _experiment_programs(config, kind)
  return dataclasses.replace(
      config.search, max_programs=budget, seed=seed,
      cache_size=min(budget, config.search.cache_size))


if __name__ == "__main__":
  command_line.main(Config, run)
