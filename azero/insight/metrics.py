"""Measures of predictions, by name, through scikit-learn: higher is always better.

The paper measures accuracy and RMS error. Those who use a program on a table of their own choose
candidates by what they care for: classes that are rare, ranks, probabilities, absolute errors.
"""

from collections.abc import Callable, Mapping
import dataclasses
import functools
from typing import Any

import numpy as np
from sklearn import metrics as sk
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

Scoring = str | Callable[..., float] | None


@dataclasses.dataclass(frozen=True)
class Metric:
  """A measure.

  Attributes:
    function: of targets [N], predictions and weights [N] or None; higher is better. For
      classes the targets are their numbers and the predictions probabilities [N, C].
    best: the highest value, of a perfect prediction.
  """

  function: Callable[[np.ndarray, np.ndarray, np.ndarray | None], float]
  best: float


def _of_classes(
    score: Callable[..., float]) -> Callable[[np.ndarray, np.ndarray, np.ndarray | None], float]:
  """A measure of predicted classes."""
  return lambda y, p, weights: float(score(y, p.argmax(1), sample_weight=weights))


def _balanced_accuracy(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None) -> float:
  # The mean recall of the classes that are there; scikit-learn's warns of others.
  present = np.unique(y).astype(int)
  return float(sk.recall_score(
      y, p.argmax(1), labels=present, average="macro", sample_weight=weights, zero_division=0.0))


def _auc(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None) -> float:
  """Area under the ROC curve: of each class that is there against the rest, the mean."""
  present = np.unique(y).astype(int)
  if len(present) < 2:
    return 0.5  # there are no two rows to rank
  if p.shape[1] == 2:
    return float(sk.roc_auc_score(y, p[:, 1], sample_weight=weights))
  return float(np.mean([
      sk.roc_auc_score(y == k, p[:, k], sample_weight=weights) for k in present]))


def _f1(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None) -> float:
  """Of class 1 if there are two, else the mean over classes."""
  return float(sk.f1_score(
      y, p.argmax(1), labels=range(p.shape[1]) if p.shape[1] > 2 else None,
      average="macro" if p.shape[1] > 2 else "binary", sample_weight=weights, zero_division=0.0))


def _log_loss(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None) -> float:
  return -float(sk.log_loss(y, p, labels=np.arange(p.shape[1]), sample_weight=weights))


def _loss(
    error: Callable[..., float]) -> Callable[[np.ndarray, np.ndarray, np.ndarray | None], float]:
  return lambda y, p, weights: -float(error(y, p, sample_weight=weights))


def unit(values: np.ndarray) -> np.ndarray:
  """A power of two near the largest of N numbers, [N, ...], in size; dividing by it is exact.

  Squares of very large and very small numbers are none: they have to be scaled before.
  """
  return np.ldexp(1.0, np.frexp(np.abs(values).max(0))[1] - 1)


def _r2(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None) -> float:
  if len(y) < 2:
    return 0.0
  scale = unit(y)
  return float(sk.r2_score(y / scale, p / scale, sample_weight=weights))


CLASSIFICATION: Mapping[str, Metric] = {
    "accuracy": Metric(_of_classes(sk.accuracy_score), 1.0),
    "balanced_accuracy": Metric(_balanced_accuracy, 1.0),
    "auc": Metric(_auc, 1.0),
    "log_loss": Metric(_log_loss, 0.0),
    "f1": Metric(_f1, 1.0),
}
REGRESSION: Mapping[str, Metric] = {
    "rms": Metric(_loss(sk.root_mean_squared_error), 0.0),
    "mae": Metric(_loss(sk.mean_absolute_error), 0.0),
    "r2": Metric(_r2, 1.0),
}
# The names of scikit-learn's scorers for the same.
_ALIASES = {
    "roc_auc": "auc", "roc_auc_ovr": "auc", "neg_log_loss": "log_loss", "f1_macro": "f1",
    "neg_root_mean_squared_error": "rms", "neg_mean_absolute_error": "mae"}


def score(
    scoring: Scoring, y: np.ndarray, predictions: np.ndarray, *,
    classes: np.ndarray | None = None, weights: np.ndarray | None = None,
) -> float:
  """How good predictions are; higher is better, so that errors are negative.

  Args:
    scoring: a name of `CLASSIFICATION` or `REGRESSION`, any name of scikit-learn's scorers, a
      function scorer(estimator, X, y), or None for accuracy or R2.
    y: [N] targets: labels for classes, else values.
    predictions: [N, C] probabilities of the classes, or [N] values.
    classes: [C] labels in sorted order; None for regression.
    weights: [N] of the rows; scorers of one's own do without them.

  Raises:
    ValueError: an unknown name, or one for the other kind of target.
  """
  known = REGRESSION if classes is None else CLASSIFICATION
  if scoring is None:
    scoring = "r2" if classes is None else "accuracy"
  if isinstance(scoring, str):
    name = _ALIASES.get(scoring, scoring)
    if name in known:
      targets = y if classes is None else np.searchsorted(classes, y)
      return known[name].function(targets, predictions, weights)
    if name in CLASSIFICATION or name in REGRESSION:
      raise ValueError(
          f"scoring={scoring!r} does not suit a target of this kind; there are: "
          f"{', '.join(known)}.")
  frozen = _Values(predictions) if classes is None else _Probabilities(predictions, classes)
  return float(_scorer(scoring)(frozen, np.zeros((len(y), 1)), y))


def check(scoring: Scoring, classification: bool) -> None:
  """Refuses a measure before work starts.

  Raises:
    ValueError: an unknown name, or one for the other kind of target.
  """
  classes = np.array([0, 1]) if classification else None
  if scoring is None or callable(scoring):
    return
  if _ALIASES.get(scoring, scoring) in (*CLASSIFICATION, *REGRESSION):
    y = np.array([0, 1])
    score(scoring, y, np.eye(2) if classification else y.astype(float), classes=classes)
  else:
    _scorer(scoring)


def _scorer(scoring: Any) -> Callable[..., float]:
  if callable(scoring):
    return scoring
  try:
    return sk.get_scorer(scoring)
  except (ValueError, TypeError) as error:
    raise ValueError(
        f"Unknown scoring {scoring!r}: give one of {', '.join((*CLASSIFICATION, *REGRESSION))}, "
        "a name of sklearn.metrics.get_scorer_names(), or a function of (estimator, X, y)."
    ) from error


class _Values(RegressorMixin, BaseEstimator):
  """Predictions that are there already, as a scorer asks for them."""

  def __init__(self, predictions: np.ndarray):
    self.predictions = predictions

  def __sklearn_is_fitted__(self) -> bool:
    return True

  def predict(self, x: np.ndarray) -> np.ndarray:
    """[N]."""
    return self.predictions


class _Probabilities(ClassifierMixin, BaseEstimator):
  """Probabilities that are there already."""

  def __init__(self, predictions: np.ndarray, classes: np.ndarray):
    self.predictions = predictions
    self.classes = classes

  def __sklearn_is_fitted__(self) -> bool:
    return True

  @functools.cached_property
  def classes_(self) -> np.ndarray:
    """[C] labels."""
    return self.classes

  def predict(self, x: np.ndarray) -> np.ndarray:
    """[N] labels."""
    return self.classes[self.predictions.argmax(1)]

  def predict_proba(self, x: np.ndarray) -> np.ndarray:
    """[N, C]."""
    return self.predictions
