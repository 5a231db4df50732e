"""One given program as a scikit-learn estimator.

A program trains on one row after the other, as in the paper; it knows no batches and no weights of
rows. So rows are drawn in proportion to their weights: in an epoch a row of twice the mean weight
comes twice.
"""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length, validate_data

from azero.estimators import model as model_lib
from azero.estimators import recipe, targets, training
from azero.estimators.base import ClassifierBase, RegressorBase, TrainedEstimator, warn_of
from azero.estimators.model import Target
from azero.insight import metrics
from azero.language.program import format_program
from azero.tasks.tables.preparation import Preparation


class ProgramEstimator(TrainedEstimator):
  """What `ProgramClassifier` and `ProgramRegressor` share."""

  def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
    """Trains the program on all rows, from its Setup on.

    Args:
      X: [N, P] numbers, or a DataFrame, also of text, dates and missing values, or an array with
        texts, whose columns are taken as those of a DataFrame.
      y: [N] targets.
      sample_weight: [N] of the rows, which are drawn in proportion; None for equal ones.

    Returns:
      Itself.

    Raises:
      ValueError: bad data or settings, or a program that cannot be trained on them.

    Warns:
      UserWarning: columns are left out, or may be taken otherwise than they are meant.
    """
    x, y, weights = self._checked(X, y, sample_weight, reset=True, prepare=_varies(X))
    target = self._learn_target(y, weights)
    schedule = training.Schedule(
        num_epochs=self.num_epochs, max_epochs=self.max_epochs,
        validation_fraction=self.validation_fraction, scoring=self.scoring)
    schedule.check(target.num_classes > 0)
    rng = self._generator()
    seed = int(rng.integers(2**32))
    rows = training.Rows(x, y, self._weighted(y, target, weights))
    self._model, self.num_epochs_, tried = training.fit(
        self._recipe(target, seed).model, rows, schedule, target.strata(y), rng)
    self.validation_scores_ = {rung.epochs: rung.score for rung in tried}
    self.program_ = format_program(self._model.program)
    return self

  def _checked(
      self, X: Any, y: Any, sample_weight: Any, *, reset: bool, prepare: bool
  ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[N, P] and [N] of the data and weights [N]."""
    if reset:
      self.preparation_ = Preparation.fit(X, scale=False) if prepare else None
      if self.preparation_ is not None:
        warn_of(self.preparation_)
    if self.preparation_ is None:
      x = validate_data(self, X, reset=reset, dtype=np.float64)
      y = self._targets(y)
      check_consistent_length(x, y)
    else:
      validate_data(self, X, reset=reset, skip_check_array=True)
      y = self._targets(y)
      check_consistent_length(X, y)
      x = self.preparation_.features(X)
    return x, y, self._weights(sample_weight, x)

  def _goes_on(self, X: Any, y: Any, sample_weight: Any, classes: np.ndarray | None) -> Any:
    """Trains once through these rows; classes are those of the first time."""
    first = not self.__sklearn_is_fitted__()
    # Of the first few rows a column of numbers may be constant: it is not left out for good.
    x, y, weights = self._checked(
        X, y, sample_weight, reset=first, prepare=first and _needs_preparation(X))
    if first:
      target = self._learn_target(y, weights) if classes is None else Target(classes)
    else:
      target = self._model.target
      if target.classes is None:
        targets.require_numbers(y)
    rows = training.Rows(x, y, self._weighted(y, target, weights))
    target.encode(y)  # refuses labels that are none of the classes
    rng = self._generator()
    seed = int(rng.integers(2**32))
    model = self._recipe(target, seed).model(rows) if first else self._model
    # The order of rows that come later is another one.
    rng = np.random.default_rng([seed, model.num_examples])
    if not model.learn(model.examples(x, y), model_lib.epoch_orders(rows.weights, rng)()):
      raise ValueError(
          f"The program's error was not finite or above max_abs_error={model.max_abs_error:g} "
          f"within these {len(y)} rows: begin again with smaller constants (learning rate).")
    if first:
      self._model, self.num_epochs_, self.validation_scores_ = model, 1, {}
      self.program_ = format_program(model.program)
    return self

  def _recipe(self, target: Target, seed: int) -> recipe.Recipe:
    return recipe.Recipe(
        program=self.program, target=target, num_features=self.num_features,
        multiclass=getattr(self, "multiclass", "auto"), max_abs_error=self.max_abs_error,
        seed=seed)

  def _numbers(self, X: Any) -> np.ndarray:
    if self.preparation_ is None:
      return validate_data(self, X, reset=False, dtype=np.float64)
    validate_data(self, X, reset=False, skip_check_array=True)
    return self.preparation_.features(X)


def _is_frame(X: Any) -> bool:
  return hasattr(X, "iloc") and X.ndim == 2


def _has_texts(X: Any) -> bool:
  """Whether it is an array, or makes one, with texts in it."""
  array = X if isinstance(X, np.ndarray) else np.asarray(X) if isinstance(X, list) else None
  if array is None or array.ndim != 2:
    return False
  return array.dtype.kind == "U" or (
      array.dtype == object and any(isinstance(value, str) for value in array.flat))


def _varies(X: Any) -> bool:
  """Whether it is a DataFrame in which something is not the same everywhere, or missing."""
  return _needs_preparation(X) or (_is_frame(X) and bool((X.to_numpy() != X.to_numpy()[:1]).any()))


def _needs_preparation(X: Any) -> bool:
  """Whether it has texts, or is a DataFrame with more than numbers or with missing cells."""
  return _has_texts(X) or (_is_frame(X) and bool(
      any(kind.kind not in "biuf" for kind in X.dtypes) or X.isna().to_numpy().any()))


class ProgramClassifier(ClassifierBase, ProgramEstimator):
  """A program of the paper's notation as a classifier.

  Features are standardised inside. Labels become what the paper's tasks have: 0 and 1, or a
  vector with an entry for each class. What the program remembers after training predicts.

  Attributes:
    classes_: [C] labels, sorted.
    n_features_in_: P, columns.
    feature_names_in_: [P] their names, if they have some.
    program_: the program's text.
    num_epochs_: passes over the rows.
    validation_scores_: score on held-out rows by epochs, if those were chosen.
    memory_: what the program remembers, by address, such as "v1"; a list with an item for each
      class if it is trained one against the rest.
    preparation_: how the columns of a frame become numbers; None for an array.
  """

  def __init__(
      self, program: recipe.Program = "linear_regressor", *, num_epochs: int | None = None,
      max_epochs: int = 200, validation_fraction: float = 0.2, scoring: metrics.Scoring = None,
      class_weight: Any = None, num_features: int | None = None, multiclass: str = "auto",
      max_abs_error: float = 100.0, random_state: Any = None,
  ):
    """Keeps the settings.

    Args:
      program: a name of the zoo, a text in the paper's notation, `Programs` of one, or an entry
        of a hall of fame.
      num_epochs: passes over the rows; None to choose on held-out rows, then train on all.
      max_epochs: most of them to try.
      validation_fraction: part of the rows held out meanwhile.
      scoring: what is compared: "accuracy" (None), "balanced_accuracy", "auc", "log_loss",
        "f1", a name of scikit-learn's scorers or a function of (estimator, X, y).
      class_weight: "balanced", or weights by label.
      num_features: features in use at most, the one that is 1 included; more columns are
        projected. None for 128. F is the next of 4, 8, 16, 32, 64 and 128, with zeros behind.
      multiclass: how more than two classes are learned: "vector", the paper's way with v1 and
        v2; "one_vs_rest", once for each; "auto", the first if Predict writes v2.
      max_abs_error: a training error above it ends in an error.
      random_state: of the order of rows, the split, a projection and random ops.
    """
    self.program = program
    self.num_epochs = num_epochs
    self.max_epochs = max_epochs
    self.validation_fraction = validation_fraction
    self.scoring = scoring
    self.class_weight = class_weight
    self.num_features = num_features
    self.multiclass = multiclass
    self.max_abs_error = max_abs_error
    self.random_state = random_state

  def partial_fit(
      self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
  ) -> "ProgramClassifier":
    """Goes on training, once through these rows. The first decide scales and what columns are.

    So a column that is the same in all of the first rows is left out for good: let them be many.

    Args:
      X: [N, P].
      y: [N] labels.
      classes: all labels that will come; needed the first time.
      sample_weight: [N] of the rows.

    Returns:
      Itself.

    Raises:
      ValueError: as for `fit`; or classes are missing, or others than the first time.
    """
    if classes is not None:
      classes = np.unique(classes)
    first = not self.__sklearn_is_fitted__()
    if first and classes is None:
      raise ValueError("The first partial_fit needs classes=..., all labels that will come.")
    if not first and classes is not None and not np.array_equal(classes, self.classes_):
      raise ValueError(f"classes are {classes}, but were {self.classes_} the first time.")
    self._goes_on(X, y, sample_weight, classes)
    if first:  # a first one that is refused has learnt no classes
      self.classes_ = classes
    return self


class ProgramRegressor(RegressorBase, ProgramEstimator):
  """A program of the paper's notation as a regressor.

  Features and targets are standardised inside. Attributes are those of `ProgramClassifier`, but
  for the classes.
  """

  def __init__(
      self, program: recipe.Program = "linear_regressor", *, num_epochs: int | None = None,
      max_epochs: int = 200, validation_fraction: float = 0.2, scoring: metrics.Scoring = None,
      num_features: int | None = None, max_abs_error: float = 100.0, random_state: Any = None,
  ):
    """Keeps the settings.

    Args:
      program: this and others as for `ProgramClassifier`.
      num_epochs: as there.
      max_epochs: as there.
      validation_fraction: as there.
      scoring: "r2" (None), "rms", "mae", a name of scikit-learn's scorers or a function.
      num_features: as there.
      max_abs_error: of a target with deviation 1, above which training ends in an error.
      random_state: as there.
    """
    self.program = program
    self.num_epochs = num_epochs
    self.max_epochs = max_epochs
    self.validation_fraction = validation_fraction
    self.scoring = scoring
    self.num_features = num_features
    self.max_abs_error = max_abs_error
    self.random_state = random_state

  def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> "ProgramRegressor":
    """Goes on training, once through these rows. The first decide scales and what columns are.

    So a column that is the same in all of the first rows is left out for good: let them be many.

    Args:
      X: [N, P].
      y: [N] values.
      sample_weight: [N] of the rows.

    Returns:
      Itself.

    Raises:
      ValueError: as for `fit`.
    """
    return self._goes_on(X, y, sample_weight, None)
