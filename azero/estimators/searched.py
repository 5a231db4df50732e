"""Estimators that search for their program first.

`fit` divides the rows: islands search on the larger part, half of them from known programs and
half from nothing; finds and known programs are then compared on the other rows by the wanted
measure, see `contest`; the chosen one is trained on all rows.
"""

from collections.abc import Callable, Sequence
import dataclasses
import numbers
import time
from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length, validate_data

from azero.estimators import contest, drawn_tasks, targets, training
from azero.estimators.base import ClassifierBase, RegressorBase, TrainedEstimator, warn_of
from azero.estimators.contest import Scored
from azero.estimators.layout import Layout
from azero.estimators.model import Target
from azero.estimators.recipe import Recipe
from azero.estimators.training import Rows, Schedule
from azero.executors import devices
from azero.insight import metrics
from azero.language import spaces
from azero.language.program import format_program
from azero.runs import runner
from azero.runs.runner import RunResult
from azero.runs.stopping import StopSettings
from azero.search import methods, plain
from azero.search.config import SearchConfig
from azero.search.groups import starts
from azero.search.groups.federation import Federation
from azero.search.groups.starts import Known
from azero.tasks.tables.preparation import Preparation

START = ("known", "empty")
_ENDS = {"stopped": "max_seconds", "budget": "max_programs", "interrupted": "interrupted"}
_TASKS = 4  # of each island
_STEP = 100  # children of each island between two looks at the clock
_SEARCH_SHARE = 0.75  # of the time until which the search goes on; the rest is for its finds
_KNOWN_SHARE = 0.4  # of the time, at most for known programs


@dataclasses.dataclass(frozen=True, eq=False)
class _Problem:
  """What a fit is about.

  Attributes:
    rows: all, with features as numbers.
    strata: [N] classes of the rows, zeros for regression.
    target: what is predicted.
    schedule: of epochs.
    seed: of a projection and of random ops.
    rng: of all that is drawn.
    clock: of this fit.
  """

  rows: Rows
  strata: np.ndarray
  target: Target
  schedule: Schedule
  seed: int
  rng: np.random.Generator
  clock: "_Clock"


class _Clock:
  """Says which share of the time is over."""

  def __init__(self, max_seconds: float | None):
    self._begun, self.max_seconds = time.monotonic(), max_seconds

  def over(self, share: float) -> Callable[[], bool]:
    """Whether so much of the time has passed; never without a limit."""
    return lambda: self.left(share) == 0

  def left(self, share: float) -> float | None:
    """Seconds until then, 0 if it has passed; None without a limit."""
    if self.max_seconds is None:
      return None
    return max(0.0, share * self.max_seconds - (time.monotonic() - self._begun))


class SearchEstimator(TrainedEstimator):
  """What `AutoMLZeroClassifier` and `AutoMLZeroRegressor` share."""

  def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
    """Searches for a program, and trains it on all rows.

    Ctrl-C ends the search, and what was found so far is compared and trained.

    Args:
      X: [N, P] a DataFrame of numbers, truth values, dates, text and categories, or an array;
        missing values are filled in.
      y: [N] targets.
      sample_weight: [N] of the rows, which are drawn in proportion; None for equal ones.

    Returns:
      Itself.

    Raises:
      ValueError: bad data or settings, or no program that can be trained on the rows.
      MissingPackageError: pandas is not installed.

    Warns:
      UserWarning: columns are left out, or may be taken otherwise than they are meant.
    """
    clock = _Clock(self.max_seconds)
    self._check_settings()
    problem = self._problem(X, y, sample_weight, clock)
    train, held_out = training.split(
        problem.rows, problem.strata, self.validation_fraction, problem.rng)
    recipe = Recipe(
        program="", target=problem.target, num_features=self.num_features,
        max_abs_error=self.max_abs_error, seed=problem.seed)
    layout = recipe.arrange(train)
    known = starts.known_programs(
        spaces.baseline(layout.num_features), multiclass=problem.target.num_classes > 2)
    rivals = contest.Contest(recipe, problem.schedule, problem.rng)
    ranked = rivals.compare_known(
        known, contest.make_folds(problem.rows, problem.strata, problem.rng),
        time_is_up=clock.over(_KNOWN_SHARE))
    result = self._search(problem, train, layout, known if self.start == "known" else ())
    folds = contest.make_folds(
        held_out, problem.target.strata(held_out.y), problem.rng,
        besides=None if held_out is train else train)
    finds = contest.finds_of(result.search.hall_of_fame)
    ranked = rivals.with_finds(ranked, finds, folds, time_is_up=clock.over(1.0))
    self._train(ranked, problem)
    self.hall_of_fame_ = list(result.search.hall_of_fame)
    self.history_ = result.improvements
    self.stopped_by_ = _ENDS[result.status]
    return self

  def _check_settings(self) -> None:
    if self.max_seconds is None and self.max_programs is None:
      raise ValueError("The search would never end: set max_seconds, max_programs or both.")
    jobs = self.n_jobs
    if jobs is not None and (
        isinstance(jobs, bool) or not isinstance(jobs, numbers.Integral) or not jobs):
      raise ValueError(
          f"n_jobs must be a number of devices, -1 for all or None for one, got {jobs!r}.")
    if self.max_seconds is not None:
      plain.positive("max_seconds", self.max_seconds)
    islands = plain.count("num_islands", self.num_islands)
    if self.population_size is not None:
      plain.count("population_size", self.population_size)
    if self.max_programs is not None and plain.count("max_programs", self.max_programs) < islands:
      raise ValueError(
          f"max_programs={self.max_programs} is fewer than one for each of num_islands={islands}.")
    if self.start not in START:
      raise ValueError(f"start must be one of {', '.join(START)}, got {self.start!r}.")
    methods.method(self.method)

  def _problem(self, X: Any, y: Any, sample_weight: Any, clock: _Clock) -> _Problem:
    table = self._table(X, reset=True)
    y = self._targets(y)
    check_consistent_length(table, y)
    weights = self._weights(sample_weight, table)
    present = weights > 0
    if present.sum() < 2:
      raise ValueError(
          f"n_samples={present.sum()} is too few: a search trains on some rows and validates on "
          "others, so that it needs at least two.")
    target = self._learn_target(y, weights)
    schedule = Schedule(
        num_epochs=self.num_epochs, max_epochs=self.max_epochs,
        validation_fraction=self.validation_fraction, scoring=self.scoring)
    schedule.check(target.num_classes > 0)
    table = table.iloc[present] if hasattr(table, "iloc") else table[present]
    self.preparation_ = Preparation.fit(table, scale=False)
    warn_of(self.preparation_)
    if self.verbose:
      print(self.preparation_.describe())
    rows = Rows(
        self.preparation_.features(table), y[present],
        self._weighted(y, target, weights)[present])
    if target.classes is not None and len(np.unique(rows.y[rows.weights > 0])) < 2:
      raise ValueError(
          "class_weight leaves the rows of one class alone with a weight; a search needs two "
          "classes at least.")
    rng = self._generator()
    return _Problem(
        rows, target.strata(rows.y), target, schedule, int(rng.integers(2**32)), rng, clock)

  def _table(self, X: Any, *, reset: bool) -> Any:
    """A DataFrame as it is, or an array whose columns may hold anything."""
    if not hasattr(X, "iloc"):
      x = validate_data(self, X, reset=reset, dtype=None, ensure_all_finite=False)
      if reset:
        self._has_columns = False
      return x
    validate_data(self, X, reset=reset, skip_check_array=True)
    if reset:
      self._has_columns = True
    # Columns of an array have no names that those of a DataFrame could be.
    return X if self._has_columns else X.to_numpy()

  def _search(
      self, problem: _Problem, train: Rows, layout: Layout, known: Sequence[Known]
  ) -> RunResult[Federation]:
    """Searches on the training rows, for what is left of the time."""
    devices.set_up(late="accept")
    target = problem.target
    if target.classes is None:
      target = targets.quantity(train.y, train.weights)
    islands = int(self.num_islands)
    budget = None if self.max_programs is None else int(self.max_programs) // islands
    task_sets = [
        drawn_tasks.draw_tasks(train, layout, target, _TASKS, problem.rng) for _ in range(islands)]
    chosen = dict(methods.method(self.method))
    if self.population_size is not None:
      chosen["population_size"] = self.population_size
    config = SearchConfig(**chosen | {
        "max_programs": budget, "train_budget": 4.0, "cycles_per_step": _STEP,
        "combine": "mean", "seed": int(problem.rng.integers(2**31)),
        "num_devices": self._num_devices(), "max_abs_error": self.max_abs_error})
    search = Federation(starts.groups(
        spaces.baseline(layout.num_features), task_sets, config, known))
    left = problem.clock.left(_SEARCH_SHARE)
    return runner.run(
        search, progress="auto" if self.verbose else "off",
        stop=StopSettings(max_seconds=None if left is None else max(left, 1e-3)))

  def _num_devices(self) -> int:
    """As scikit-learn counts jobs: -1 for all, None for one."""
    count = 1 if self.n_jobs is None else self.n_jobs
    present = len(devices.find_devices())
    return min(count, present) if count > 0 else max(1, present + 1 + count)

  def _train(self, ranked: list[Scored], problem: _Problem) -> None:
    """Trains the first of the candidates that can be trained on all rows."""
    for tried in ranked:
      try:
        self._model, self.num_epochs_ = training.train(
            tried.candidate.recipe.model, problem.rows, training.good_epochs(tried.rungs),
            problem.rng)
      except ValueError:  # on more rows it diverges
        continue
      self.program_ = format_program(self._model.program)
      self.origin_ = tried.candidate.name
      self.validation_scores_ = {rung.epochs: rung.score for rung in tried.rungs}
      self.candidates_ = [(each.candidate.name, each.best.score) for each in ranked]
      return
    raise ValueError(
        f"No program can be trained on these {len(problem.rows.y)} rows: the error of each was not "
        f"finite or above max_abs_error={self.max_abs_error:g}.")

  def _numbers(self, X: Any) -> np.ndarray:
    return self.preparation_.features(self._table(X, reset=False))

  def __sklearn_tags__(self) -> Any:
    tags = super().__sklearn_tags__()
    tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
    return tags


class AutoMLZeroClassifier(ClassifierBase, SearchEstimator):
  """Evolution as a classifier: it searches for a program that learns the classes.

  Attributes:
    classes_: [C] labels, sorted.
    n_features_in_: P, columns.
    feature_names_in_: [P] their names, if they have some.
    program_: text of the chosen program.
    origin_: "found by the search", or which known program it is.
    hall_of_fame_: the best programs of the search, entries with program and fitness.
    history_: every new best of an island, see `Improvement`.
    stopped_by_: what ended the search: "max_seconds", "max_programs" or "interrupted" (Ctrl-C).
    candidates_: name and score of those that were compared, the chosen one first.
    num_epochs_: passes over the rows.
    validation_scores_: of the chosen one on held-out rows, by epochs.
    memory_: what the program remembers after training, by address.
    preparation_: how columns become numbers.
  """

  def __init__(
      self, *, max_seconds: float | None = 60.0, max_programs: int | None = None,
      scoring: metrics.Scoring = None, class_weight: Any = None, start: str = "known",
      method: str = methods.AZERO, num_islands: int = 8, population_size: int | None = None,
      num_epochs: int | None = None,
      max_epochs: int = 200, validation_fraction: float = 1 / 3, num_features: int | None = None,
      max_abs_error: float = 100.0, n_jobs: int | None = -1, random_state: Any = None,
      verbose: int = 0,
  ):
    """Keeps the settings.

    Args:
      max_seconds: wall time of `fit`, but for training the chosen program on all rows; three
        quarters are for the search, the rest to compare what it found. The first step of a
        search ends in any case; where nothing is kept in the cache it compiles, up to a minute,
        and what it compiled is kept. None for no limit.
      max_programs: evaluated in all; None for no limit.
      scoring: what programs are chosen by: "accuracy" (None), "balanced_accuracy", "auc",
        "log_loss", "f1", a name of scikit-learn's scorers or a function of (estimator, X, y).
      class_weight: "balanced", or weights by label.
      start: "known" for half of the islands to start from linear programs and a network,
        "empty" for none; the others start as the method does. Known programs are candidates in
        any case.
      method: "azero", or "paper" for the search as the paper has it; see docs/methods.md.
      num_islands: populations side by side.
      population_size: programs of each; None for the method's.
      num_epochs: passes over the rows; None to choose on held-out rows.
      max_epochs: most of them to try.
      validation_fraction: part of the rows that the search does not see and candidates are
        compared on.
      num_features: features in use at most, the one that is 1 included; more columns are
        projected. None for 128. F is the next of 4, 8, 16, 32, 64 and 128, with zeros behind.
      max_abs_error: a training error above it stops a program.
      n_jobs: devices of the search: -1 for all, None for one.
      random_state: of everything that is drawn. With a limit in seconds results differ all the
        same, for a search comes further at one time than at another.
      verbose: 0 for silence, 1 to show how columns are encoded, and progress.
    """
    self.max_seconds = max_seconds
    self.max_programs = max_programs
    self.scoring = scoring
    self.class_weight = class_weight
    self.start = start
    self.method = method
    self.num_islands = num_islands
    self.population_size = population_size
    self.num_epochs = num_epochs
    self.max_epochs = max_epochs
    self.validation_fraction = validation_fraction
    self.num_features = num_features
    self.max_abs_error = max_abs_error
    self.n_jobs = n_jobs
    self.random_state = random_state
    self.verbose = verbose


class AutoMLZeroRegressor(RegressorBase, SearchEstimator):
  """Evolution as a regressor: it searches for a program that learns a quantity.

  Attributes are those of `AutoMLZeroClassifier`, but for the classes; target_mean_ and
  target_scale_ bring what the program predicts into the unit of the targets.
  """

  def __init__(
      self, *, max_seconds: float | None = 60.0, max_programs: int | None = None,
      scoring: metrics.Scoring = None, start: str = "known", method: str = methods.AZERO,
      num_islands: int = 8, population_size: int | None = None, num_epochs: int | None = None,
      max_epochs: int = 200, validation_fraction: float = 1 / 3, num_features: int | None = None,
      max_abs_error: float = 100.0, n_jobs: int | None = -1, random_state: Any = None,
      verbose: int = 0,
  ):
    """Keeps the settings.

    Args:
      max_seconds: this and others as for `AutoMLZeroClassifier`.
      max_programs: as there.
      scoring: "r2" (None), "rms", "mae", a name of scikit-learn's scorers or a function.
      start: as there.
      method: as there.
      num_islands: as there.
      population_size: as there.
      num_epochs: as there.
      max_epochs: as there.
      validation_fraction: as there.
      num_features: as there.
      max_abs_error: of a target with deviation 1.
      n_jobs: as there.
      random_state: as there.
      verbose: as there.
    """
    self.max_seconds = max_seconds
    self.max_programs = max_programs
    self.scoring = scoring
    self.start = start
    self.method = method
    self.num_islands = num_islands
    self.population_size = population_size
    self.num_epochs = num_epochs
    self.max_epochs = max_epochs
    self.validation_fraction = validation_fraction
    self.num_features = num_features
    self.max_abs_error = max_abs_error
    self.n_jobs = n_jobs
    self.random_state = random_state
    self.verbose = verbose
