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
import math
from typing import TYPE_CHECKING, ClassVar

from azero.search.config import SearchConfig
from experiments.details.task_difficulty_report import Rows
from experiments.details.task_difficulty_types import TASK_TYPES
from experiments.frame import command_line, lazy, settings
from experiments.frame.run_settings import RunSettings
from experiments.frame.settings import nested, setting

with lazy.imports():
  from azero.search.proposals import mutation
  from experiments.details import task_difficulty_report as report_lib
  from experiments.details import task_difficulty_rounds as rounds
  from experiments.frame import study

if TYPE_CHECKING:
  from azero.insight.plots.difficulty_plot import Point


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
      # What an acceptable program is, is known by its fitness over all tasks.
      fixed=("max_train_steps", "max_programs", "task_sample"))
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
  _check(config)
  directory = study.open_directory("task_difficulty", config)
  with directory.locked():
    rows = Rows()
    if directory.resumed:
      rows = Rows.read(directory)
      directory.save_config()
    rows.save(directory)
    print(f"{'Continuing' if directory.resumed else 'Searching'} with {config.islands} islands; "
          f"everything is recorded in {directory.path}")
    signum = rounds.run_all(config, rows, directory)
    points = report_lib.write_report(config, rows, signum, directory)
  return Result(
      rows, points, "done" if signum is None else "interrupted", str(directory.path))


def _check(config: Config) -> None:
  settings.require_positive(
      config, "islands", "successes", "max_random_programs", "max_evolution_programs",
      "round_programs", "experiment_programs", "num_tasks", "num_features", "num_train",
      "num_valid")
  for name in ("reference_rate", "tolerance"):
    if not 0 < getattr(config, name) < math.inf:
      raise ValueError(f"--{name} must be positive and finite, got {getattr(config, name)}.")
  inserting = {"insert", "insert_or_remove"} & set(config.search.mutations)
  if config.search.initial == "empty" and not inserting:
    raise ValueError(
        f"--initial=empty: the mutations {', '.join(config.search.mutations)} leave empty programs "
        "empty; start from random ones, or add insert_or_remove to --mutations.")
  rounds.check_budgets(config)
  mutation.mutator(config.search.mutations, config.search.mutation_probability)
  config.run.check()
  rounds.check_references(config)


if __name__ == "__main__":
  command_line.main(Config, run)
