"""One given program as a scikit-learn estimator.

A program trains on one row after the other, as in the paper; it knows no batches and no weights of
rows. So rows are drawn in proportion to their weights: in an epoch a row of twice the mean weight
comes twice.
"""

import html
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from azero.estimators import layout, training
from azero.estimators import model as model_lib
from azero.estimators.model import Model, Target, trains_one_vs_rest
from azero.insight import metrics
from azero.language import text, zoo
from azero.language.program import Programs, format_program
from azero.search.hall_of_fame import Entry

Program = str | Programs | Entry
_MIN_VECTORS = 3  # of a program for several classes: v1 is the label, v2 the prediction


class ProgramEstimator(BaseEstimator):
  """What `ProgramClassifier` and `ProgramRegressor` share."""

  _numeric = False  # whether targets must be numbers

  def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
    """Trains the program on all rows, from its Setup on.

    Args:
      X: [N, P] numbers.
      y: [N] targets.
      sample_weight: [N] of the rows, which are drawn in proportion; None for equal ones.

    Returns:
      Itself.

    Raises:
      ValueError: bad data or settings, or a program that cannot be trained on them.
    """
    x, y, weights = self._checked(X, y, sample_weight, reset=True)
    target = self._learn_target(y, weights)
    schedule = training.Schedule(
        num_epochs=self.num_epochs, max_epochs=self.max_epochs,
        validation_fraction=self.validation_fraction, scoring=self.scoring)
    schedule.check(target.num_classes > 0)
    rng = self._generator()
    seed = int(rng.integers(2**32))
    rows = training.Rows(x, y, self._weighted(y, target, weights))
    strata = target.encode(y) if target.num_classes else np.zeros(len(y))
    self._model, self.num_epochs_, tried = training.fit(
        lambda part: self._new_model(part, target, seed), rows, schedule, strata, rng)
    self.validation_scores_ = {rung.epochs: rung.score for rung in tried}
    self.program_ = format_program(self._model.program)
    return self

  @property
  def memory_(self) -> Any:
    """What the program remembers; see the class."""
    check_is_fitted(self)
    return self._model.memories if self._model.one_vs_rest else self._model.memories[0]

  def __sklearn_is_fitted__(self) -> bool:
    return hasattr(self, "_model")

  def _checked(
      self, X: Any, y: Any, sample_weight: Any, *, reset: bool
  ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[N, P] and [N] of the data and weights [N]."""
    x, y = validate_data(self, X, y, reset=reset, dtype=np.float64, y_numeric=self._numeric)
    weights = _check_sample_weight(sample_weight, x, dtype=np.float64, ensure_non_negative=True)
    if not weights.any():
      raise ValueError("Every sample_weight is 0: no row is left to train on.")
    return x, y, weights

  def _learn_target(self, y: np.ndarray, weights: np.ndarray) -> Target:
    """What the target is, by the rows that are there."""
    raise NotImplementedError

  def _weighted(self, y: np.ndarray, target: Target, weights: np.ndarray) -> np.ndarray:
    """Weights of rows, with those of their classes."""
    return weights

  def _goes_on(self, X: Any, y: Any, sample_weight: Any, classes: np.ndarray | None) -> Any:
    """Trains once through these rows; classes are those of the first time."""
    first = not self.__sklearn_is_fitted__()
    x, y, weights = self._checked(X, y, sample_weight, reset=first)
    if first:
      target = self._learn_target(y, weights) if classes is None else Target(classes)
    else:
      target = self._model.target
    rows = training.Rows(x, y, self._weighted(y, target, weights))
    target.encode(y)  # refuses labels that are none of the classes
    rng = self._generator()
    seed = int(rng.integers(2**32))
    model = self._new_model(rows, target, seed) if first else self._model
    # The order of rows that come later is another one.
    rng = np.random.default_rng([seed, model.num_examples])
    if not model.learn(model.examples(x, y), model_lib.epoch_orders(rows.weights, rng)()):
      raise ValueError(
          f"The program's error was not finite or above max_abs_error={self.max_abs_error:g} "
          f"within these {len(y)} rows: begin again with smaller constants (learning rate).")
    if first:
      self._model, self.num_epochs_, self.validation_scores_ = model, 1, {}
      self.program_ = format_program(model.program)
    return self

  def _generator(self) -> np.random.Generator:
    return np.random.default_rng(check_random_state(self.random_state).randint(2**31 - 1))

  def _new_model(self, rows: training.Rows, target: Target, seed: int) -> Model:
    """An untrained model with the scales of these rows."""
    if target.classes is None:
      target = quantity(rows.y, rows.weights)
    arranged = layout.make_layout(
        rows.x, target.num_classes, num_features=self.num_features,
        rng=np.random.default_rng(seed), weights=rows.weights)
    program = read_program(
        self.program, arranged.num_features, multiclass=target.num_classes > 2)
    one_vs_rest = trains_one_vs_rest(
        program, target.num_classes, getattr(self, "multiclass", "auto"))
    return Model(
        program, arranged, target, seed=seed, max_abs_error=self.max_abs_error,
        one_vs_rest=one_vs_rest)

  def _predict(self, X: Any) -> np.ndarray:
    """Values [N] or probabilities [N, C]."""
    check_is_fitted(self)
    return self._model.predict(validate_data(self, X, reset=False, dtype=np.float64))

  def _html_repr(self) -> str:
    """As scikit-learn shows an estimator, and the program once there is one."""
    shown = super()._html_repr()
    if hasattr(self, "program_"):
      shown += f"<pre>{html.escape(self.program_)}</pre>"
    return shown


class ProgramClassifier(ClassifierMixin, ProgramEstimator):
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
  """

  def __init__(
      self, program: Program = "linear_regressor", *, num_epochs: int | None = None,
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
      num_features: F at most; more columns are projected. None for 128.
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
    """Goes on training, once through these rows. The first rows decide the scales.

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
    if not self.__sklearn_is_fitted__():
      if classes is None:
        raise ValueError("The first partial_fit needs classes=..., all labels that will come.")
      self.classes_ = classes
    elif classes is not None and not np.array_equal(classes, self.classes_):
      raise ValueError(f"classes are {classes}, but were {self.classes_} the first time.")
    return self._goes_on(X, y, sample_weight, self.classes_)

  def predict(self, X: Any) -> np.ndarray:
    """Labels [N] of rows [N, P]."""
    classes: np.ndarray = self.classes_
    return classes[self.predict_proba(X).argmax(1)]

  def predict_proba(self, X: Any) -> np.ndarray:
    """Probabilities [N, C] of the classes for rows [N, P]."""
    return self._predict(X)

  def _learn_target(self, y: np.ndarray, weights: np.ndarray) -> Target:
    check_classification_targets(y)
    self.classes_ = np.unique(y)
    return classes_of(y, weights)

  def _weighted(self, y: np.ndarray, target: Target, weights: np.ndarray) -> np.ndarray:
    return weights * class_weights(self.class_weight, y, target)


class ProgramRegressor(RegressorMixin, ProgramEstimator):
  """A program of the paper's notation as a regressor.

  Features and targets are standardised inside. Attributes are those of `ProgramClassifier`, but
  for the classes.
  """

  _numeric = True

  def __init__(
      self, program: Program = "linear_regressor", *, num_epochs: int | None = None,
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
    """Goes on training, once through these rows. The first rows decide the scales.

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

  def predict(self, X: Any) -> np.ndarray:
    """Values [N] of rows [N, P]."""
    return self._predict(X)

  def _learn_target(self, y: np.ndarray, weights: np.ndarray) -> Target:
    return quantity(y, weights)


def read_program(program: Program, num_features: int, *, multiclass: bool) -> Programs:
  """A program in any of its forms, for F features.

  Args:
    program: a name of the zoo, a text, `Programs` of one, or an entry of a hall of fame.
    num_features: F.
    multiclass: whether v1 and v2 must be there.

  Raises:
    TypeError: it is none of these.
    ValueError: an unknown name, a malformed text, or other than one program.
  """
  if isinstance(program, Entry):
    program = program.program
  if isinstance(program, Programs):
    if len(program) != 1:
      raise ValueError(f"program must be one program, got Programs of {len(program)}.")
    program = format_program(program.with_features(num_features))
  if not isinstance(program, str):
    raise TypeError(
        "program must be a name of the zoo, a text, Programs or an entry of a hall of fame, got "
        f"{type(program).__name__}.")
  source = program if "def " in program else zoo.source(program)
  return text.parse(
      source, num_features=num_features, min_vectors=_MIN_VECTORS if multiclass else 1)


def classes_of(y: np.ndarray, weights: np.ndarray) -> Target:
  """The classes of labels [N].

  Raises:
    ValueError: fewer than two classes in the rows with a weight.
  """
  classes = np.unique(y)
  if len(np.unique(y[weights > 0])) < 2:
    raise ValueError(
        f"Every row is of class {y[weights > 0][0]!r}; a classifier needs at least two classes.")
  return Target(classes)


def quantity(y: np.ndarray, weights: np.ndarray) -> Target:
  """Mean and deviation of regression targets [N]."""
  mean = float(np.average(y, weights=weights))
  deviation = float(np.sqrt(np.average((y - mean) ** 2, weights=weights)))
  varies = deviation > 1e-12 * max(abs(float(y.min())), abs(float(y.max())))
  return Target(None, mean, deviation if varies else 1.0)


def class_weights(class_weight: Any, y: np.ndarray, target: Target) -> np.ndarray:
  """Weight [N] of each row by its class."""
  assert target.classes is not None
  present = np.unique(y)
  by_class = compute_class_weight(class_weight, classes=present, y=y)
  return by_class[np.searchsorted(present, y)]
