"""The bench of discovery: how many programs, steps and seconds a method needs to a success.

Methods ("arms") search for learners of linear, affine and two-layer teacher tasks, regression and
classification, and of digits, each in four search spaces from the paper's smallest to its
largest. A seed has the same tasks in every arm. An arm that has no success within its budget
counts with what it spent: costs, curves and tests know of such censoring.

    python -m experiments.discovery_rates --preset=small

Results are lines of JSON that add up: --resume=DIR --arms=NAME adds an arm to what a run has,
--add=PATH takes in the lines of other runs. A stopped run keeps the cells (an arm on a problem in
a space) that it has finished. The report has all lines of the directory.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from typing import TYPE_CHECKING, ClassVar

from azero.search.config import SearchConfig
from azero.search.methods import AZERO, PAPER
from experiments.details.discovery_rates_arms import ARMS
from experiments.details.discovery_rates_problems import PROBLEMS
from experiments.details.discovery_rates_spaces import SPACES
from experiments.frame import command_line, lazy, settings
from experiments.frame.run_settings import RunSettings
from experiments.frame.settings import nested, setting

with lazy.imports():
  from experiments.details import discovery_rates_cells as cells_lib
  from experiments.details import discovery_rates_lines as lines_lib
  from experiments.details import discovery_rates_report as report_lib
  from experiments.frame import study

if TYPE_CHECKING:
  from experiments.details.discovery_rates_lines import Lines
  from experiments.details.discovery_rates_statistics import Place


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """Settings of this experiment."""

  MAY_CHANGE: ClassVar[Sequence[str]] = (
      "problems", "spaces", "arms", "seeds", "at_once", "add", "num_devices", "lanes", "progress")
  PRESETS: ClassVar[settings.Presets] = {
      # Unseen tasks have the shapes of those searched on: another shape takes long to compile.
      # The goal is one that one of the two seeds reaches and the other does not.
      "smoke": {
          "problems": ("linear",), "spaces": ("demo",), "seeds": 2, "seed": 1, "goal": 0.324,
          "arms": (PAPER, "paper_no_fingerprint"), "max_programs": 1500, "look_every": 500,
          "num_unseen": 10, "unseen_train": 100},
      "small": {
          "arms": (PAPER, AZERO), "num_tasks": 10, "max_programs": 200_000,
          "max_seconds": 8.0},
      "full": {"max_seconds": 3600.0},
  }

  run: RunSettings = nested(
      RunSettings(), only=("output_dir", "run_name", "resume", "progress"))
  # What else a search needs is the space's and the arm's.
  search: SearchConfig = nested(
      SearchConfig(), only=("seed", "num_devices", "lanes", "dtype", "executor"))
  problems: tuple[str, ...] = setting(
      tuple(PROBLEMS), "Which to solve.", choices=tuple(PROBLEMS))
  spaces: tuple[str, ...] = setting(
      tuple(SPACES), "Which to search.", choices=tuple(SPACES))
  arms: tuple[str, ...] = setting(
      tuple(ARMS), f"Which methods to run; '{PAPER}' is what others are compared with.",
      choices=tuple(ARMS))
  seeds: int = setting(10, "Seeds of each arm on a problem in a space.")
  at_once: int | None = setting(
      None, "Seeds that search side by side and share the wall time; none for all, 1 to give each "
      "the machine by itself.")
  max_programs: int | None = setting(
      None, "Programs of a seed at most; none for the problem's own number.")
  max_seconds: float | None = setting(
      None, "Share of wall time of a seed at most, which ends it without success; none for no "
      "limit.")
  look_every: int = setting(
      500, "Children of a seed between two looks at unseen tasks: few tell the time of a success "
      "closely, many keep the devices busy.")
  goal: float | None = setting(
      None, "Mean fitness on unseen tasks that is a success; none for the problem's own.")
  num_tasks: int | None = setting(
      None, "D, search tasks of a seed; none for the problem's own number.")
  num_train: int | None = setting(
      None, "Training examples of a search task; none for the problem's own number.")
  num_unseen: int = setting(
      100, "Unseen tasks to look at the best programs on, and as many to confirm a success on.")
  unseen_train: int = setting(1000, "Training examples of an unseen task.")
  add: tuple[str, ...] = setting(
      (), "Files of lines, or directories of runs of this bench, whose lines to take in.",
      path=True)


@dataclasses.dataclass(frozen=True)
class Result:
  """What came out.

  Attributes:
    lines: all of the run, those that were taken in included.
    places: what they say, by problem and space.
    status: "done" or "interrupted".
    directory: of the run.
  """

  lines: Lines
  places: list[Place]
  status: str
  directory: str


def run(config: Config) -> Result:
  """Runs all seeds that are not there yet, and reports all that are.

  Raises:
    ValueError: a bad setting, or lines that cannot be compared.
    FileExistsError: the run directory exists.
    FileNotFoundError: there is no run to continue, or no file to add.
  """
  cells = _check(config)
  directory = study.open_directory("discovery_rates", config)
  with study.discarded_if_refused(directory), directory.locked():
    lines = cells_lib.lines_of(config, cells, directory)
    print(f"{len(cells)} cells; everything is recorded in {directory.path}")
    signum = cells_lib.run_all(config, cells, lines, directory)
    places = report_lib.write_report(config, lines, signum, directory)
  return Result(
      lines, places, "done" if signum is None else "interrupted", str(directory.path))


def _check(config: Config) -> list[cells_lib.Cell]:
  settings.require_positive(
      config, "seeds", "at_once", "max_programs", "look_every", "num_tasks", "num_train",
      "num_unseen", "unseen_train")
  if config.goal is not None and not 0 < config.goal <= 1:
    raise ValueError(f"--goal must be in (0, 1], or none for the problem's own; got {config.goal}.")
  if config.max_seconds is not None and not config.max_seconds > 0:
    raise ValueError(f"--max_seconds must be positive or none, got {config.max_seconds}.")
  for path in config.add:
    lines_lib.file_of(path)
  return cells_lib.cells_of(config)


if __name__ == "__main__":
  command_line.main(Config, run)
