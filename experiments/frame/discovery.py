"""From a search on T_search to a program chosen on T_select and judged on unseen tasks.

What the experiments on real data share (sections 3 and 4.2, supplement S7 of the paper):
evolution on several islands, the best programs ranked on tasks that no island saw, and
the winner on the final tasks beside simple baselines.
"""

from collections.abc import Sequence
import dataclasses
import math

import numpy as np

from azero.executors.evaluator import Evaluator
from azero.insight import baselines
from azero.insight.plots import progress_plot
from azero.language.program import Programs, SearchSpace
from azero.runs import runner
from azero.runs.warm_start import read_programs
from azero.search.config import SearchConfig
from azero.search.federation import Group
from azero.tasks.task import Tasks
from experiments.frame import common, reporting, runtimes
from experiments.frame.runtimes import GroupedSearch


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscoveryConfig(runtimes.RuntimeConfig):
  """Settings of a search on real data; the method's defaults are S10's."""

  islands: int = common.setting(8, "Independent populations that run side by side.")
  children_per_cycle: int = common.setting(
      16, "Children of each island in a cycle; 1 is exactly the paper's algorithm.")
  max_train_steps: int = common.setting(100_000_000, "Training steps of each island.")
  max_programs: int = common.setting(0, "Programs of each island; 0 for no limit.")
  population_size: int = common.setting(100, "P.")
  tournament_size: int = common.setting(10, "T.")
  mutation_probability: float = common.setting(0.9, "U.")
  train_budget: float = common.setting(
      4.0, "Cost of a program at most, in plain neural networks; 0 for no limit.")
  hurdle: float = common.setting(
      0.0, "Part of the training after which programs under their island's 75th percentile "
      "stop; 0 for no hurdle.")
  warm_start: str = common.setting(
      "", "A program file, or the directory of a run whose hall of fame the populations start "
      "from, each program in turn; default empty programs.")
  num_tasks: int = common.setting(10, "D, search tasks of each island.")
  num_epochs: int = common.setting(1, "E, passes over the training examples.")
  combine: str = common.setting(
      "median", "How fitness is combined over tasks.", choices=("median", "mean"))


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
  run: runner.RunResult


def check(config: DiscoveryConfig) -> None:
  """Refuses settings that no search accepts.

  Raises:
    ValueError: says which.
  """
  common.require_positive(config, "islands", "num_tasks", "num_epochs", "max_train_steps")
  config.check_runtime(config.islands)


def discover(
    config: DiscoveryConfig, space: SearchSpace, data: Data, *, name: str, title: str,
    about: str,
) -> Result:
  """Searches, selects, judges and reports.

  Args:
    config: the settings.
    space: the search space.
    data: the tasks.
    name: of the experiment, for the run directory.
    title: of the report.
    about: a sentence on the data, for the report.

  Returns:
    The result.

  Raises:
    ValueError: settings that contradict each other or the tasks.
    FileExistsError: the run directory exists.
    FileNotFoundError: there is no run to continue, or nothing to start from.
  """
  settings = SearchConfig(
      population_size=config.population_size, tournament_size=config.tournament_size,
      mutation_probability=config.mutation_probability,
      children_per_cycle=config.children_per_cycle, max_train_steps=config.max_train_steps,
      max_programs=config.max_programs or None, train_budget=config.train_budget or None,
      hurdle=config.hurdle or None, combine=config.combine, num_epochs=config.num_epochs,
      seed=config.seed, dtype=config.dtype, lanes=config.lanes or None,
      executor=config.executor, cycles_per_step=config.cycles_per_step or None)
  template = None
  if config.warm_start:
    template = read_programs(config.warm_start, space, multiclass=data.final.multiclass)
  group = Group(
      name="islands", space=space, task_sets=data.search, config=settings, template=template)
  with runtimes.opened(config, [group], migration=None) as search:
    directory = config.directory(name)
    common.announce(directory, config.islands)
    result = runner.run(
        search, directory=directory, progress=config.progress,
        checkpoint_seconds=config.checkpoint_seconds, tensorboard=config.tensorboard)
  program, select_fitness, candidates = _select(config, search, data.select)
  judged = _evaluator(config, space, data.final).evaluate(program)
  final = {
      "discovered program": judged.per_task[0],
      "constant prediction": baselines.constant(data.final),
      "linear model (Adam)": baselines.linear(data.final, seed=config.seed),
      "neural network, 32 hidden units (Adam)": baselines.neural_network(
          data.final, seed=config.seed),
  }
  verdict = _verdict(final["discovered program"], final["constant prediction"])
  multiclass = data.final.multiclass
  figure = progress_plot.plot_progress(
      result.improvements, metric=data.final.metric, title=title, multiclass=multiclass,
      num_programs=int(search.num_programs.max()),
      references={f"{label}, final tasks": fitness.mean() for label, fitness in final.items()
                  if label != "discovered program"})
  figure.savefig(directory.path / "progress.png", dpi=130)
  summary = [
      about,
      f"Of {candidates} candidates the chosen program is best on {len(data.select)} select tasks "
      f"({config.combine} fitness {select_fitness:.4f}). Its mean fitness on {data.judged_on}, is "
      f"**{final['discovered program'].mean():.4f}**.",
      verdict,
      "The linear model and the network train on the same examples, but many times over (50 "
      f"epochs or 1500 steps); the program goes {config.num_epochs} time(s) through them.",
  ]
  directory.write("report.md", reporting.report(
      title, summary=summary, program=program, multiclass=multiclass,
      tables=[reporting.fitness_table(final)], result=result, config=config,
      picture="progress.png"))
  print(f"\n{reporting.live_text(program, multiclass=multiclass)}\n")
  for label, fitness in final.items():
    print(f"{label:40s} {fitness.mean():.4f}")
  print(f"on {data.judged_on}. {verdict}")
  print(f"Report: {directory.path / 'report.md'}")
  common.tell_how_to_continue(result, directory)
  return Result(program, final, str(directory.path), result)


def _verdict(program: np.ndarray, constant: np.ndarray) -> str:
  """Whether a program beats the constant prediction, over D tasks."""
  gain = program - constant
  error = gain.std(ddof=1) / math.sqrt(len(gain)) if len(gain) > 1 else math.inf
  better = gain.mean() > 2 * error
  return (
      f"It {'is better than' if better else 'cannot be told from'} the constant prediction: "
      f"{gain.mean():+.4f} with a standard error of {error:.4f} over the tasks.")


def _select(
    config: DiscoveryConfig, search: GroupedSearch, tasks: Tasks
) -> tuple[Programs, float, int]:
  """The candidate that is best on T_select, its fitness, and the number of candidates."""
  candidates = Programs.concatenate(
      [entry.program for entry in search.hall_of_fame] + [search.best_programs])
  fitness = _evaluator(config, candidates.space, tasks).evaluate(candidates).fitness
  best = int(fitness.argmax())
  return candidates[best], float(fitness[best]), len(candidates)


def _evaluator(config: DiscoveryConfig, space: SearchSpace, tasks: Tasks) -> Evaluator:
  return Evaluator(
      space, tasks, combine=config.combine, num_epochs=config.num_epochs, seed=config.seed,
      dtype=config.dtype)
