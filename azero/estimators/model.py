"""A program that was trained on a table: what predicts, and goes on learning.

A program sees labels as those of `Tasks`: a number, 0 or 1, or one class of several. Regression
targets are standardised for it and its predictions scaled back. Of more than two classes either
the program predicts a vector (v2, the paper's multi-class tasks), or one for two classes is
trained once for each class, against the rest.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import numpy as np

from azero.estimators.layout import Layout
from azero.executors import devices
from azero.executors.single.learner import Examples, Learner, Remembered
from azero.language.ops import Kind, op_by_id
from azero.language.program import PREDICTION_VECTOR, Function, Programs

MULTICLASS = ("auto", "vector", "one_vs_rest")


class Target(NamedTuple):
  """What a column of targets is.

  Attributes:
    classes: [C] labels in the order of their numbers; None for regression.
    mean: of a regression target.
    scale: its deviation, or 1 if it does not vary.
  """

  classes: np.ndarray | None
  mean: float = 0.0
  scale: float = 1.0

  @property
  def num_classes(self) -> int:
    """C; 0 for regression."""
    return 0 if self.classes is None else len(self.classes)

  def encode(self, y: np.ndarray) -> np.ndarray:
    """[N] float64: numbers of classes, or standardised values.

    Raises:
      ValueError: a label that is no class.
    """
    if self.classes is None:
      return (y - self.mean) / self.scale
    codes = np.searchsorted(self.classes, y)
    codes[codes == len(self.classes)] = 0
    if (self.classes[codes] != y).any():
      unknown = y[self.classes[codes] != y][0]
      raise ValueError(
          f"y has the label {unknown!r}, which is none of the classes {self.classes.tolist()}.")
    return codes.astype(np.float64)

  def strata(self, y: np.ndarray) -> np.ndarray:
    """[N] what rows are divided evenly by: numbers of classes, zeros for regression."""
    return self.encode(y) if self.num_classes else np.zeros(len(y))


class Model:
  """A program, what it remembers, and how tables become its features and labels."""

  def __init__(
      self, program: Programs, layout: Layout, target: Target, *, one_vs_rest: bool = False,
      max_abs_error: float = 100.0, seed: int = 0,
  ):
    """Runs Setup.

    Args:
      program: a batch of one, in a space with the layout's F.
      layout: of the features.
      target: what is predicted.
      one_vs_rest: whether it is trained once for each class.
      max_abs_error: a training error above it stops the program.
      seed: of its random ops.
    """
    devices.set_up(late="accept")
    self.program, self.layout, self.target = program, layout, target
    self.one_vs_rest = one_vs_rest
    self.max_abs_error, self._seed = max_abs_error, seed
    self.memories: list[Remembered] = [
        self._learner.start() for _ in range(target.num_classes if one_vs_rest else 1)]
    self.num_examples = 0

  def __getstate__(self) -> dict[str, Any]:
    return {name: value for name, value in self.__dict__.items() if name != "_learner"}

  @functools.cached_property
  def _learner(self) -> Learner:
    return Learner(
        self.program, 2 if self.one_vs_rest else self.target.num_classes,
        max_abs_error=self.max_abs_error, seed=self._seed)

  def examples(self, x: np.ndarray, y: np.ndarray) -> list[Examples]:
    """Rows [N, P] and targets [N] on the device, for each of the memories."""
    features, labels = self.layout.features(x), self.target.encode(y)
    if not self.one_vs_rest:
      return [self._learner.put(features, labels)]
    return [self._learner.put(features, labels == k) for k in range(self.target.num_classes)]

  def learn(self, examples: list[Examples], order: np.ndarray) -> bool:
    """Trains on examples in an order, [S] int, or stays as it is.

    Returns:
      Whether it has learned: not where an error stops the program, see `Learner.learn`.
    """
    learned = []
    for memory, each in zip(self.memories, examples, strict=True):
      memory, goes_on = self._learner.learn(memory, each, order, num_before=self.num_examples)
      if not goes_on:
        return False
      learned.append(memory)
    self.memories = learned
    self.num_examples += len(order)
    return True

  def predict(self, x: np.ndarray) -> np.ndarray:
    """Predictions for rows [N, P].

    Returns:
      [N] values of a regression target; [N, C] probabilities of classes, each row with the sum
      1. Where the program computes nothing finite, the mean, or equal probabilities.
    """
    return self.predict_from(self.layout.features(x))

  def predict_from(self, features: np.ndarray) -> np.ndarray:
    """As `predict`, from the features of rows, [N, F]."""
    count = self.target.num_classes
    outputs = [self._learner.predict(memory, features) for memory in self.memories]
    if not count:
      return np.where(np.isfinite(outputs[0]), outputs[0], 0.0) * self.target.scale + (
          self.target.mean)
    if self.one_vs_rest:
      parts = np.stack(outputs, axis=1)
    else:
      parts = outputs[0] if count > 2 else np.stack([1 - outputs[0], outputs[0]], axis=1)
    parts = np.where(np.isfinite(parts).all(1, keepdims=True), parts, 1.0)
    total = parts.sum(1, keepdims=True)
    return np.where(total > 0, parts, 1.0) / np.where(total > 0, total, count)


def trains_one_vs_rest(program: Programs, num_classes: int, multiclass: str) -> bool:
  """Whether a program is trained once for each class.

  Args:
    program: a batch of one.
    num_classes: of the target.
    multiclass: of `MULTICLASS`; "auto": unless Predict writes v2.

  Raises:
    ValueError: an unknown word, or "vector" where Predict does not write v2.
  """
  if multiclass not in MULTICLASS:
    raise ValueError(f"multiclass must be one of {', '.join(MULTICLASS)}, got {multiclass!r}.")
  if num_classes <= 2 or multiclass == "one_vs_rest":
    return num_classes > 2
  slots = program.space.slots(Function.PREDICT)
  writes = any(
      out == PREDICTION_VECTOR and op_by_id(int(op)).output is Kind.VECTOR
      for op, out in zip(program.opcode[0, slots], program.out[0, slots]) if op >= 0)
  if multiclass == "vector" and not writes:
    raise ValueError(
        f"multiclass=\"vector\" takes v{PREDICTION_VECTOR} as prediction, but Predict of the "
        "program never writes it: let it do so, or use multiclass=\"one_vs_rest\".")
  return not writes


Orders = Callable[[], np.ndarray]


def epoch_orders(weights: np.ndarray, rng: np.random.Generator) -> Orders:
  """Makes the order of the examples of one epoch after the other.

  An epoch is as long as there are rows of a weight, and draws each in proportion to it: a row
  of twice the mean weight comes twice, one of half of it in every second epoch or so. With equal
  weights every row comes once.

  Args:
    weights: [N], none negative, not all 0.
    rng: source of the orders.
  """
  expected = weights * (np.count_nonzero(weights) / weights.sum())
  ends = np.cumsum(expected)
  ends[-1] = round(ends[-1])

  def order() -> np.ndarray:
    # Systematic sampling: one phase, then every whole number.
    if (expected == expected[0]).all():
      return rng.permutation(len(weights))
    places = np.arange(round(ends[-1])) + rng.random()
    return rng.permutation(np.searchsorted(ends, places, side="right"))

  return order
