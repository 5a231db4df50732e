"""Search and evaluate in a few lines: what a notebook needs."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import difflib
import inspect
import os
from typing import TYPE_CHECKING, Any

from azero import lazy
from azero.compiler.arrays import searched_functions
from azero.executors import devices
from azero.executors.evaluator import Evaluation, Evaluator
from azero.language import text
from azero.language.program import Programs, SearchSpace
from azero.runs import reader, runner
from azero.runs.directory import RunDirectory, settings_of
from azero.runs.display.progress import Progress
from azero.runs.reader import Run
from azero.runs.stopping import StopSettings
from azero.search import methods
from azero.search.config import SearchConfig
from azero.search.evolution import Evolution
from azero.search.random_search import RandomSearch
from azero.search.search import Search
from azero.search.threads import Improvement
from azero.tasks.tables.custom_data import CustomData
from azero.tasks.task import Tasks

if TYPE_CHECKING:
  from matplotlib.figure import Figure

# Settings that say what programs are started from and kept, which random search does not.
_OF_EVOLUTION = (
    "initial", "filters", "structure_limit", "leaps", "constant_trials", "restart_patience")


def evaluate(programs: Programs | str | Sequence[str], tasks: Tasks, **settings) -> Evaluation:
  """Trains and validates programs on tasks.

  Sets up JAX for this process, as `evolve` and `random_search` do, where `configure_jax` has not.

  Args:
    programs: N programs, or text of one or several in the paper's notation.
    tasks: D tasks.
    **settings: of `Evaluator`: combine, num_epochs, max_abs_error, seed, dtype, trace, ...

  Returns:
    Fitness of each program, combined and per task, and more.

  Raises:
    ValueError: malformed programs, or programs that do not fit the tasks.
  """
  if isinstance(tasks, CustomData):
    raise ValueError(
        "CustomData has three parts to evaluate on: give its search, select or final tasks.")
  if not isinstance(tasks, Tasks):
    raise ValueError(f"tasks must be Tasks, one batch of them, got {tasks!r:.60}.")
  _require_known(settings, [
      name for name in inspect.signature(Evaluator).parameters if name not in ("space", "tasks")])
  if not isinstance(programs, Programs):
    texts = [programs] if isinstance(programs, str) else list(programs)
    programs = text.parse_many(
        texts, num_features=tasks.num_features, multiclass=tasks.multiclass)
  devices.set_up()
  return Evaluator(programs.space, tasks, **settings).evaluate(programs)


def evolve(
    space: SearchSpace, tasks: Tasks | Sequence[Tasks] | CustomData, *,
    directory: str | os.PathLike | None = None, resume: bool = False, progress: str = "auto",
    should_stop: Callable[[Search], bool] | None = None,
    template: Programs | str | Sequence[str] | None = None,
    max_seconds: float | None = None, target_fitness: float | None = None,
    patience: int | None = None, checkpoint_seconds: float = 60.0, tensorboard: bool = False,
    method: str = methods.PAPER, **settings,
) -> runner.RunResult:
  """Regularised evolution: searches for programs that learn the tasks.

  Args:
    space: memory sizes and allowed ops.
    tasks: one task batch, or one for each island; of `CustomData` its search tasks.
    directory: where to record the run; default nowhere.
    resume: continue the run in the directory, bit for bit as if it had not been stopped.
      Tasks and settings must be those that it was begun with; budgets (max_programs,
      max_train_steps), num_devices and lanes may differ.
    progress: "auto" (terminal, log file or Jupyter), "plain" (lines everywhere) or "off".
    should_stop: called after every step with the search; True ends it. One with a memory
      of its own needs the methods `state` and `restore`, see `azero.search.state`, for a
      run to be continued.
    template: one or more programs to start from instead of empty ones, or their text, given to
      the programs of a population in turn; `read_programs` reads those of an earlier run.
    max_seconds: wall time after which the search ends; see `StopSettings`, as for the next two.
    target_fitness: of an island, at which it ends.
    patience: programs of every island without a new best, after which it ends.
    checkpoint_seconds: time between checkpoints in the directory.
    tensorboard: whether the directory gets TensorBoard curves, too; needs the extra of that
      name.
    method: "paper", or "azero" for settings that find more per program, see `azero.search.methods`.
    **settings: of `SearchConfig`: population_size, max_programs, seed, ...; they go before those
      of the method.

  Returns:
    The finished search with its hall of fame, and what was recorded. Ctrl-C ends it
    early and loses nothing.

  Raises:
    ValueError: unknown or contradictory settings, or a run that cannot be continued so.
    FileExistsError: the directory holds something already.
    FileNotFoundError: there is no run to continue.
  """
  _require_space(space)
  sets = _task_sets(tasks)
  chosen = {**methods.method(method), **settings}
  programs = _programs(template, space, sets)
  if template is not None:  # which a start of the method's own would overwrite
    chosen["initial"] = settings.get("initial", "empty")
    if chosen["initial"] != "empty" and len(searched_functions(space)) == len(space.components):
      raise ValueError(
          f'A template has no effect with initial="{chosen["initial"]}", where all that it has is '
          'written anew: leave out one of the two.')
  config = _config(chosen)
  devices.set_up()
  search = Evolution(space, sets, config, template=programs)
  return _run(
      search, directory, resume, progress, should_stop=should_stop,
      stop=_stop(max_seconds, target_fitness, patience), checkpoint_seconds=checkpoint_seconds,
      tensorboard=tensorboard)


def random_search(
    space: SearchSpace, tasks: Tasks | Sequence[Tasks] | CustomData, *,
    directory: str | os.PathLike | None = None, resume: bool = False, progress: str = "auto",
    should_stop: Callable[[Search], bool] | None = None,
    template: Programs | str | Sequence[str] | None = None,
    max_seconds: float | None = None, target_fitness: float | None = None,
    patience: int | None = None, checkpoint_seconds: float = 60.0, tensorboard: bool = False,
    **settings,
) -> runner.RunResult:
  """Random search: arguments, result and errors as for `evolve`.

  There is no method, and what only evolution has is refused where it would change what is found.
  """
  _require_space(space)
  sets = _task_sets(tasks)
  config, programs = _config(settings), _programs(template, space, sets)
  for name in _OF_EVOLUTION:
    if getattr(config, name) not in (getattr(SearchConfig(), name), "random"):
      raise ValueError(
          f"Random search has no {name}: each program is random in all instructions. Leave it out, "
          "or use evolve.")
  devices.set_up()
  search = RandomSearch(space, sets, config, template=programs)
  return _run(
      search, directory, resume, progress, should_stop=should_stop,
      stop=_stop(max_seconds, target_fitness, patience), checkpoint_seconds=checkpoint_seconds,
      tensorboard=tensorboard)


def plot(
    result: runner.RunResult | Run, *, title: str = "",
    references: Mapping[str, float] | None = None,
) -> "Figure":
  """Progress of a run as a picture; see `progress_plot.plot_progress`.

  Args:
    result: what a search returned, or a run directory as `read_run` reads it.
    title: of the picture.
    references: horizontal lines by name, e.g. the fitness of baselines.

  Raises:
    ValueError: nothing was evaluated; or of a directory that it has several searches, or
      does not say what its tasks are.
    MissingPackageError: matplotlib is not installed.
  """
  lazy.require("matplotlib", extra="plots", purpose="Pictures")
  from azero.insight.plots import progress_plot  # takes a second

  if isinstance(result, Run):
    improvements, settings = _progress_of(result)
    return progress_plot.plot_progress(
        improvements, title=title, references=references, **settings)
  tasks = result.search.task_sets[0]
  return progress_plot.plot_progress(
      result.improvements, metric=tasks.metric, title=title, references=references,
      multiclass=tasks.multiclass, num_programs=int(result.search.num_programs.max()))


def _progress_of(run: Run) -> tuple[list[Improvement], dict[str, Any]]:
  """Every new best of the islands of a run directory, and what else a picture of them takes.

  Raises:
    ValueError: it has several searches, does not say what its tasks are, or is damaged.
  """
  if run.parts:
    raise ValueError(
        f"The run '{run.path}' has several searches: plot one of them, such as "
        "next(run.searches()), or make a page of all by `python -m experiments.runs report`.")
  with reader.reading(run.path):
    if "metric" not in run.tasks:
      raise ValueError(f"The run '{run.path}' does not say what its tasks are.")
    multiclass = int(run.tasks.get("num_classes") or 0) > 2
    improvements = [
        Improvement(
            row["island"], row["fitness"], row["train_steps"], row["num_programs"], text.parse(
                row["program"], num_features=row["num_features"], multiclass=multiclass))
        for row in run.improvements()]
    return improvements, {
        "metric": run.tasks["metric"], "multiclass": multiclass,
        "num_programs": max(run.workers().get("programs", ()), default=None)}


def _stop(
    max_seconds: float | None, target_fitness: float | None, patience: int | None
) -> StopSettings:
  return StopSettings(
      max_seconds=max_seconds, target_fitness=target_fitness, patience=patience)


def _config(settings: Mapping[str, Any]) -> SearchConfig:
  """Settings by their names, of which none may be unknown."""
  _require_known(settings, [field.name for field in dataclasses.fields(SearchConfig)])
  return SearchConfig(**settings)


def _require_known(settings: Mapping[str, Any], known: Sequence[str]) -> None:
  for name in settings:
    if name not in known:
      close = difflib.get_close_matches(name, known, 1)
      hint = f"; did you mean {close[0]}?" if close else f": settings are {', '.join(known)}."
      raise ValueError(f"Unknown setting {name!r}{hint}")


def _require_space(space: SearchSpace) -> None:
  if not isinstance(space, SearchSpace):
    raise ValueError(
        f"space must be a SearchSpace, such as azero.spaces.demo(), got {space!r:.60}.")


def _task_sets(tasks: Tasks | Sequence[Tasks] | CustomData) -> list[Tasks]:
  if isinstance(tasks, CustomData):
    return [tasks.search]
  sets = [tasks] if isinstance(tasks, Tasks) else tasks
  if not isinstance(sets, list | tuple) or not sets or not all(
      isinstance(each, Tasks) for each in sets):
    raise ValueError(
        "tasks must be Tasks, a list of them (one for each island) or CustomData, got "
        f"{tasks!r:.60}.")
  return list(sets)


def _programs(
    template: Programs | str | Sequence[str] | None, space: SearchSpace, sets: Sequence[Tasks]
) -> Programs | None:
  """A template as programs of the space."""
  if template is None or isinstance(template, Programs):
    return template
  texts = [template] if isinstance(template, str) else template
  if not isinstance(texts, Sequence) or not all(isinstance(each, str) for each in texts):
    raise ValueError(
        f"template must be Programs, a text or several of them, got {template!r:.60}.")
  return text.parse_many(list(texts), space, multiclass=sets[0].multiclass)


def _run(
    search: Search, directory: str | os.PathLike | None, resume: bool, progress: str, *,
    should_stop: Callable[[Search], bool] | None, stop: StopSettings, checkpoint_seconds: float,
    tensorboard: bool,
) -> runner.RunResult:
  # All that can be refused is refused before the directory is made.
  Progress(progress)
  runner.check(search, should_stop, checkpoint_seconds, stop)
  runner.check_curves(tensorboard, directory)
  records = None
  if resume:
    if directory is None:
      raise ValueError("resume=True needs the directory of the run.")
    records = RunDirectory.open(directory, settings_of(search))
  elif directory is not None:
    records = RunDirectory(directory, settings_of(search))
  return runner.run(
      search, directory=records, progress=progress, should_stop=should_stop, stop=stop,
      checkpoint_seconds=checkpoint_seconds, tensorboard=tensorboard)
