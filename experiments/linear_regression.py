"""Evolution discovers linear regression by gradient descent: the five-minute demo.

The published code's demo search, same space, tasks and budgets: from random programs,
find one that learns any linear regression. Every island is one of its experiments, with
tasks of its own and a budget of 200M training steps. The best program of an island counts
as discovered when its mean fitness on 100 new tasks reaches 0.9999; the final fitness is
that on 100 further unseen tasks.

    python -m experiments.linear_regression
"""

from collections.abc import Mapping
import dataclasses
import json
from typing import Any

import numpy as np

from azero.executors.evaluator import Evaluator
from azero.insight.plots import progress_plot
from azero.language import spaces, zoo
from azero.language.program import Programs
from azero.runs import runner
from azero.runs.directory import RunDirectory
from azero.search.config import SearchConfig
from azero.search.federation import Group
from azero.tasks import linear_regression
from experiments.frame import common, reporting, runtimes
from experiments.frame.runtimes import GroupedSearch

_SELECT_SEED, _FINAL_SEED = 1, 2  # beside the islands' 0: tasks that no search sees


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(runtimes.RuntimeConfig):
  """Settings; defaults are the published demo's but for islands and children per cycle."""

  islands: int = common.setting(32, "Experiments that run side by side.")
  children_per_cycle: int = common.setting(
      64, "Children of each island in a cycle; 1 is exactly the paper's algorithm.")
  max_train_steps: int = common.setting(200_000_000, "Training steps of each island.")
  population_size: int = common.setting(1000, "P.")
  tournament_size: int = common.setting(10, "T.")
  num_tasks: int = common.setting(10, "D, search tasks of each island.")
  num_features: int = common.setting(4, "F.")
  select_fitness: float = common.setting(
      0.9999, "Mean fitness on the select tasks that makes a discovery.")
  select_every: int = common.setting(4000, "Programs of an island between looks at T_select.")
  stop_at_first: bool = common.setting(
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
  group = make_group(config)
  selection = _Selection(config, _unseen(config, _SELECT_SEED))
  # In lockstep, since the selection ends islands.
  with runtimes.opened(config, [group], migration=None, lockstep=True) as search:
    directory = config.directory("linear_regression")
    common.announce(directory, config.islands)
    result = runner.run(
        search, directory=directory, progress=config.progress, should_stop=selection,
        checkpoint_seconds=config.checkpoint_seconds, tensorboard=config.tensorboard)
    selection.check(search)
  return _conclude(config, result, selection, directory)


def make_group(config: Config) -> Group:
  """The islands of the experiment, with their tasks.

  Raises:
    ValueError: a bad setting.
  """
  space = spaces.demo(config.num_features)
  settings = SearchConfig(
      population_size=config.population_size, tournament_size=config.tournament_size,
      mutations=("alter", "randomize_instruction", "randomize_function"), initial="random",
      children_per_cycle=config.children_per_cycle, max_train_steps=config.max_train_steps,
      combine="mean", seed=config.seed, dtype=config.dtype, lanes=config.lanes or None,
      executor=config.executor, cycles_per_step=config.cycles_per_step or None)
  common.require_positive(config, "islands", "num_tasks", "select_every", "max_train_steps")
  config.check_runtime(config.islands, lockstep=True)
  if not 0 < config.select_fitness <= 1:
    raise ValueError(f"--select_fitness must be in (0, 1], got {config.select_fitness}.")
  island_seeds = np.random.SeedSequence([config.seed, 0]).generate_state(config.islands)
  task_sets = [
      linear_regression(config.num_tasks, seed=int(seed), num_features=config.num_features)
      for seed in island_seeds]
  return Group(name="islands", space=space, task_sets=task_sets, config=settings)


def _unseen(config: Config, part: int):
  """100 tasks of 1000 training and 100 validation examples that no search sees."""
  seed = int(np.random.SeedSequence([config.seed, part]).generate_state(1)[0])
  return linear_regression(
      100, seed=seed, num_features=config.num_features, num_train=1000, num_valid=100)


class _Selection:
  """Looks at the best programs of the islands on T_select every so many programs."""

  def __init__(self, config: Config, tasks):
    self._config = config
    self._evaluator = Evaluator(
        spaces.demo(config.num_features), tasks, combine="mean", dtype=config.dtype)
    self._checked: dict[int, float] = {}  # island: search fitness of its program at the last look
    self.fitness: dict[int, float] = {}  # island: select fitness of its best program
    self.discoveries: dict[int, int] = {}
    self._next = config.select_every

  def __call__(self, search: GroupedSearch) -> bool:
    if search.num_programs.max() >= self._next:
      self._next = int(search.num_programs.max()) + self._config.select_every
      self.check(search)
    return bool(self.discoveries) and self._config.stop_at_first

  def check(self, search: GroupedSearch) -> None:
    """Evaluates the best programs that are new; notes discoveries and ends those islands."""
    changed = [
        island for island in range(search.num_islands)
        if island not in self.discoveries and np.isfinite(search.best_fitness[island])
        and search.best_fitness[island] != self._checked.get(island)]
    select = self._evaluator.evaluate(search.best_programs[changed])
    for island, value in zip(changed, select.fitness):
      self._checked[island] = float(search.best_fitness[island])
      self.fitness[island] = float(value)
      if value >= self._config.select_fitness:
        self.discoveries[island] = int(search.train_steps[island])
        search.finish(island)

  def state(self) -> dict[str, Any]:
    """What was looked at and found, by islands as text."""
    return {
        "next": self._next, **{
            name: {str(island): value for island, value in values.items()}
            for name, values in self._by_island().items()}}

  def restore(self, state: Mapping[str, Any]) -> None:
    """Goes on where another selection of the same settings was."""
    self._next = state["next"]
    for name, values in self._by_island().items():
      values.clear()
      values.update({int(island): value for island, value in state[name].items()})

  def _by_island(self) -> dict[str, dict[int, Any]]:
    return {
        "checked": self._checked, "fitness": self.fitness, "discoveries": self.discoveries}


def _conclude(
    config: Config, result: runner.RunResult, selection: _Selection, directory: RunDirectory
) -> Result:
  search = result.search
  best = max(selection.fitness, key=lambda island: selection.fitness[island])
  program = search.best_programs[best]
  unseen = _unseen(config, _FINAL_SEED)
  final, reference = (
      Evaluator(shown.space, unseen, dtype=config.dtype).evaluate(shown).per_task[0]
      for shown in (program, zoo.load("linear_regressor", config.num_features)))
  discovered = bool(selection.discoveries)
  word = "discovered a learner" if discovered else "ended without a discovery"
  summary = [
      f"The search {word}. Its best program, of island {best}, has a mean fitness of "
      f"{selection.fitness[best]:.6f} on 100 select tasks and of **{final.mean():.6f}** on 100 "
      "further unseen tasks (1000 training and 100 validation examples each).",
      f"{len(selection.discoveries)} of {search.num_islands} islands made a discovery"
      + (" (the search stops at the first)." if config.stop_at_first else "."),
  ]
  tables = [
      reporting.fitness_table({"best program": final, "hand-written, rate 0.001": reference}),
      "The hand-written program is the published demo's stochastic gradient descent; at its "
      "learning rate 1000 examples are not enough to converge."]
  if not config.stop_at_first:
    tables.append(_island_table(search, selection))
  figure = progress_plot.plot_progress(
      result.improvements, metric="rms", title="Linear regression from random programs",
      num_programs=int(search.num_programs.max()))
  figure.savefig(directory.path / "progress.png", dpi=130)
  directory.write("report.md", reporting.report(
      f"Linear regression: the search {word}", summary=summary,
      program=program, tables=tables, result=result, config=config, picture="progress.png"))
  directory.write("islands.json", json.dumps({
      "discoveries": selection.discoveries, "select_fitness": selection.fitness,
      "search_fitness": search.best_fitness.tolist(), "train_steps": search.train_steps.tolist(),
      "num_programs": search.num_programs.tolist(),
  }, indent=2) + "\n")
  print(f"\n{reporting.live_text(program)}\n")
  print(f"{word.capitalize()}: select fitness {selection.fitness[best]:.6f}, final fitness on "
        f"unseen tasks {final.mean():.6f}.\nReport: {directory.path / 'report.md'}")
  common.tell_how_to_continue(result, directory)
  return Result(discovered, final, program, selection.discoveries, str(directory.path))


def _island_table(search: GroupedSearch, selection: _Selection) -> str:
  rows = [
      (island, f"{search.train_steps[island]:,}", f"{search.num_programs[island]:,}",
       f"{search.best_fitness[island]:.5f}", f"{selection.fitness.get(island, 0):.6f}",
       "yes" if island in selection.discoveries else "no")
      for island in range(search.num_islands)]
  return reporting.table(
      ("island", "training steps", "programs", "search fitness", "select fitness", "discovery"),
      rows)


if __name__ == "__main__":
  common.main(Config, run)
