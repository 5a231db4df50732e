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

from collections.abc import Mapping, Sequence
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

with lazy.imports():
  from azero.language import spaces, text
  from azero.runs import runner
  from azero.runs.display import progress
  from azero.search import density, evolution
  from azero.tasks import synthetic
  from experiments import task_difficulty_report as report_lib
  from experiments.frame import estimate, reporting, study

if TYPE_CHECKING:
  from azero.insight.plots.difficulty_plot import Point
  from azero.language.program import Programs, SearchSpace
  from azero.runs.directory import RunDirectory
  from azero.tasks.task import Tasks
  from experiments.frame.estimate import Estimate

_RESULTS = "results.jsonl"
_SHOWN = 3  # acceptable programs of a round that are recorded

_LINEAR = """
def Setup():
  s2 = {rate}
def Predict():
  s1 = dot(v0, v1)
"""
_LINEAR_LEARN = """
def Learn():
  s3 = s0 - s1
  s3 = s3 * s2
  v2 = s3 * v0
  v1 = v1 + v2
"""
_AFFINE = _LINEAR + "  s1 = s1 + s3\n"
_AFFINE_LEARN = """
def Learn():
  s4 = s0 - s1
  s4 = s4 * s2
  v2 = s4 * v0
  v1 = v1 + v2
  s3 = s3 + s4
"""


@dataclasses.dataclass(frozen=True)
class TaskType:
  """A point of figure 4.

  Attributes:
    affine: whether labels are affine functions of the features.
    learn_only: whether Setup and Predict are given.
    budget: programs of an evolution experiment.
    paper_difficulty: what the paper's text says of its difficulty.
    paper_ratio: what the text says of the success ratio.
  """

  affine: bool
  learn_only: bool
  budget: int = 10_000
  paper_difficulty: str = "only in the figure"
  paper_ratio: str = "only in the figure"

  def space(self, num_features: int) -> SearchSpace:
    """The search space."""
    make = spaces.affine if self.affine else spaces.linear
    return make(num_features, learn_only=self.learn_only)

  def reference(self, rate: float, space: SearchSpace) -> Programs:
    """The hand-written program: gradient descent of this rate."""
    head, learn = (_AFFINE, _AFFINE_LEARN) if self.affine else (_LINEAR, _LINEAR_LEARN)
    return text.parse(head.format(rate=rate) + learn, space)

  def template(self, rate: float, space: SearchSpace) -> Programs | None:
    """The reference without its Learn, if that alone is searched."""
    if not self.learn_only:
      return None
    head = _AFFINE if self.affine else _LINEAR
    return text.parse(head.format(rate=rate) + "def Learn():\n", space)


TASK_TYPES: Mapping[str, TaskType] = {
    "linear_backprop": TaskType(affine=False, learn_only=True),
    "linear_regressor": TaskType(
        affine=False, learn_only=False, paper_difficulty="10^7", paper_ratio="5"),
    "affine_backprop": TaskType(affine=True, learn_only=True),
    "affine_regressor": TaskType(
        affine=True, learn_only=False, budget=100_000,
        paper_difficulty="only in the figure (the hardest; the text speaks of up to 10^12)"),
}


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
          "islands": 2, "children_per_cycle": 10, "population_size": 20,
          "experiment_programs": 400, "num_train": 50,
          "num_valid": 10, "reference_rate": 0.05, "tolerance": 5.0, "round_programs": 300_000,
          "max_random_programs": 300_000, "max_evolution_programs": 800,
          "task_types": ("linear_backprop", "linear_regressor"), "estimate_seconds": None},
      "small": {
          "islands": 128, "children_per_cycle": 8, "successes": 20,
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
  config.run.check()
  for kind in kinds:
    if (least := _round_programs(config, kind, EVOLUTION)) > config.max_evolution_programs:
      raise ValueError(
          f"--max_evolution_programs ({config.max_evolution_programs:,}) must be at least "
          f"{least:,}: one round on the {kind}, which has an experiment on each of "
          f"{config.islands} --islands.")
    evolution.check(_search_config(config, kind, config.search.seed))
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
  acceptance = density.Acceptance(
      task_type.reference(config.reference_rate, space), space, task_sets,
      factor=config.tolerance, dtype=config.search.dtype)
  template = task_type.template(config.reference_rate, space)
  left, whole = _programs_left(config, kind, method, rows), _round_programs(config, kind, method)
  rounds = math.ceil(left / whole)
  expected = estimate.Estimate(
      config.run.estimate_seconds if first else 0.0,
      {f"rounds of {method} on the {kind} at most": rounds})
  start = time.monotonic()
  run_method = _random_round if method == RANDOM else _evolution_round
  row = run_method(
      config, kind, space, task_sets, acceptance, template, search_seed, expected,
      min(left, whole))
  if isinstance(row, signal.Signals):
    return row
  return {"task_type": kind, "method": method, "round": number, **row,
          "seconds": round(time.monotonic() - start, 3)}


def _random_round(
    config: Config, kind: str, space: SearchSpace, task_sets: list[Tasks],
    acceptance: density.Acceptance, template: Programs | None, seed: int, expected: Estimate,
    count: int,
) -> dict[str, Any] | signal.Signals:

  def show(so_far: density.Sample) -> None:
    if expected.due:
      expected.show(
          {"train_steps": so_far.train_steps, "programs": so_far.programs},
          {"programs": count - so_far.programs})
    if display.due():
      display.show(f"{kind}, {RANDOM}: {so_far.programs:,} programs, {so_far.acceptable} "
                   "acceptable in this round")

  try:
    with progress.Progress(config.run.progress) as display:
      found = density.sample(
          space, task_sets, acceptance, count, seed=seed, template=template,
          dtype=config.search.dtype, lanes=config.search.lanes, keep=_SHOWN, on_batch=show)
  except KeyboardInterrupt:
    return signal.SIGINT
  return {
      "programs": found.programs, "acceptable": found.acceptable, "experiments": 0,
      "evaluated": found.evaluated, "train_steps": found.train_steps,
      "found": [reporting.live_text(program) for program in found.found]}


def _evolution_round(
    config: Config, kind: str, space: SearchSpace, task_sets: list[Tasks],
    acceptance: density.Acceptance, template: Programs | None, seed: int, expected: Estimate,
    count: int,
) -> dict[str, Any] | signal.Signals:
  search = density.RepeatedEvolution(
      space, task_sets, _search_config(config, kind, seed), acceptance, template=template)
  ended = runner.run(search, progress=config.run.progress, should_stop=expected)
  if ended.signum is not None:
    return signal.Signals(ended.signum)
  return {
      "programs": count, "acceptable": len(search.accepted),
      "experiments": len(task_sets), "evaluated": search.counts.evaluated,
      "train_steps": search.counts.train_steps,
      "found": [
          reporting.live_text(search.accepted[island])
          for island in sorted(search.accepted)[:_SHOWN]]}


def _search_config(config: Config, kind: str, seed: int) -> SearchConfig:
  """Settings of an evolution experiment."""
  budget = _experiment_programs(config, kind)
  return dataclasses.replace(
      config.search, max_programs=budget, seed=seed,
      cache_size=min(budget, config.search.cache_size))


if __name__ == "__main__":
  command_line.main(Config, run)
