"""What all estimators share: what is seen of their model, and how they learn a target."""

import html
from typing import Any
import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
  _check_sample_weight,
  _check_y,
  _num_samples,
  check_is_fitted,
)

from azero.estimators import targets
from azero.estimators.model import Model, Target
from azero.tasks.tables.preparation import Preparation


class TrainedEstimator(BaseEstimator):
  """An estimator with a program that was trained."""

  _numeric = False  # whether targets must be numbers
  _model: Model

  @property
  def memory_(self) -> Any:
    """What the program remembers; see the class."""
    check_is_fitted(self)
    return self._model.memories if self._model.one_vs_rest else self._model.memories[0]

  def __sklearn_is_fitted__(self) -> bool:
    return hasattr(self, "_model")

  def program_features(self, X: Any) -> np.ndarray:
    """What the program sees of rows, as an exported file wants them.

    Args:
      X: [N, P] as for `predict`.

    Returns:
      [N, F] float32: columns encoded and scaled or projected, a feature of 1 behind them, zeros.
    """
    check_is_fitted(self)
    return self._features(self._numbers(X))

  def _predict(self, X: Any) -> np.ndarray:
    """Values [N] or probabilities [N, C]."""
    check_is_fitted(self)
    return self._model.predict_from(self._features(self._numbers(X)))

  def _features(self, numbers: np.ndarray) -> np.ndarray:
    """What the program sees.

    Raises:
      ValueError: a row is beyond what its features can be.
    """
    features = self._model.layout.features(numbers)
    beyond = np.flatnonzero(~np.isfinite(features).all(1))
    if len(beyond):
      raise ValueError(
          f"Row {beyond[0]} is so far from the rows that the model has learnt from that its "
          "features are beyond single precision: correct or remove it.")
    return features

  def _numbers(self, X: Any) -> np.ndarray:
    """Rows as numbers, [N, P]."""
    raise NotImplementedError

  def _learn_target(self, y: np.ndarray, weights: np.ndarray) -> Target:
    """What the target is, by the rows that are there."""
    raise NotImplementedError

  def _weighted(self, y: np.ndarray, target: Target, weights: np.ndarray) -> np.ndarray:
    """Weights of rows, with those of their classes."""
    return weights

  def _targets(self, y: Any) -> np.ndarray:
    """Targets [N], numbers where they must be, also of text that says them.

    Raises:
      ValueError: one is missing, or no number; says which.
    """
    array = np.asarray(y)
    if array.ndim == 1:
      targets.require_known(array)
      if self._numeric and array.dtype.kind in "OU":
        y = targets.as_numbers(array)
    return _check_y(y, y_numeric=self._numeric, estimator=self)

  def _weights(self, sample_weight: Any, x: Any) -> np.ndarray:
    """Weights [N] of rows."""
    if sample_weight is None:  # of no rows, too, which are refused for what they are
      return np.ones(_num_samples(x))
    weights = _check_sample_weight(sample_weight, x, dtype=np.float64, ensure_non_negative=True)
    if not weights.any():
      raise ValueError("Every sample_weight is 0: no row is left to train on.")
    return weights

  def _generator(self) -> np.random.Generator:
    return np.random.default_rng(check_random_state(self.random_state).randint(2**31 - 1))

  def _html_repr(self) -> str:
    """As scikit-learn shows an estimator, and the program once there is one."""
    shown = super()._html_repr()
    if hasattr(self, "program_"):
      shown += f"<pre>{html.escape(self.program_)}</pre>"
    return shown


def warn_of(preparation: Preparation) -> None:
  """Tells which columns are left out, or may be taken otherwise than they are meant."""
  for sentence in preparation.doubts():
    warnings.warn(sentence, UserWarning, stacklevel=4)  # where `fit` is called


class ClassifierBase(ClassifierMixin, TrainedEstimator):
  """What predicts classes."""

  def predict(self, X: Any) -> np.ndarray:
    """Labels [N] of rows [N, P]."""
    chances = self.predict_proba(X)
    classes: np.ndarray = self.classes_
    return classes[chances.argmax(1)]

  def predict_proba(self, X: Any) -> np.ndarray:
    """Probabilities [N, C] of the classes for rows [N, P]."""
    return self._predict(X)

  def predict_log_proba(self, X: Any) -> np.ndarray:
    """Logarithms [N, C] of what `predict_proba` gives, of 0 minus infinity."""
    with np.errstate(divide="ignore"):
      return np.log(self.predict_proba(X))

  def _learn_target(self, y: np.ndarray, weights: np.ndarray) -> Target:
    check_classification_targets(y)
    self.classes_ = np.unique(y)
    return targets.classes_of(y, weights)

  def _weighted(self, y: np.ndarray, target: Target, weights: np.ndarray) -> np.ndarray:
    return weights * targets.class_weights(self.class_weight, y, target)


class RegressorBase(RegressorMixin, TrainedEstimator):
  """What predicts a quantity."""

  _numeric = True

  @property
  def target_mean_(self) -> float:
    """Mean of the targets: what the program predicts as 0."""
    check_is_fitted(self)
    return self._model.target.mean

  @property
  def target_scale_(self) -> float:
    """Deviation of the targets, by which what the program predicts is multiplied."""
    check_is_fitted(self)
    return self._model.target.scale

  def predict(self, X: Any) -> np.ndarray:
    """Values [N] of rows [N, P]."""
    return self._predict(X)

  def _learn_target(self, y: np.ndarray, weights: np.ndarray) -> Target:
    return targets.quantity(y, weights)
