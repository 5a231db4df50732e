"""Training of a program on a table: how many epochs, chosen on held-out rows, then on all."""

from collections.abc import Callable, Sequence
import dataclasses
from typing import NamedTuple

import numpy as np

from azero.estimators.model import Model, Orders, Target, epoch_orders
from azero.executors.single.learner import Examples
from azero.insight import metrics
from azero.search import plain
from azero.tasks.sampling import stratified_order

_RUNGS = (1, 2, 5)  # and these times powers of ten
_PATIENCE = 3  # rungs without a better score after which no more epochs are tried
_AT_ONCE = 4096  # examples, up to which epochs are trained in one call
_MOST_EXAMPLES = 2_000_000  # to try more epochs than the first


class Rows(NamedTuple):
  """Rows of a table.

  Attributes:
    x: [N, P] float64, finite.
    y: [N] targets.
    weights: [N], none negative, not all 0.
  """

  x: np.ndarray
  y: np.ndarray
  weights: np.ndarray

  def take(self, index: np.ndarray) -> "Rows":
    """Some of them."""
    return Rows(self.x[index], self.y[index], self.weights[index])

  def join(self, other: "Rows") -> "Rows":
    """These rows and others behind them."""
    return Rows(*(np.concatenate(parts) for parts in zip(self, other)))


class Fold(NamedTuple):
  """Rows to train on, and rows that judge what was learned.

  Attributes:
    train: some rows.
    held_out: other rows.
  """

  train: Rows
  held_out: Rows


class Rung(NamedTuple):
  """So many epochs, and what is reached on held-out rows then.

  Attributes:
    epochs: passes over the rows.
    score: by the wanted measure.
    tie: of classes minus the log loss: what decides where few rows give equal scores.
    predictions: for the held-out rows of all folds, see `Model.predict`.
  """

  epochs: int
  score: float
  tie: float
  predictions: np.ndarray

  @property
  def rank(self) -> tuple[float, float]:
    """What rungs are compared by, higher is better."""
    return self.score, self.tie


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
  """How long a program trains.

  Attributes:
    num_epochs: passes over the rows; None to choose by held-out rows.
    max_epochs: at most so many are tried.
    validation_fraction: part of the rows that is held out meanwhile.
    scoring: what is compared, see `metrics.score`.
  """

  num_epochs: int | None = None
  max_epochs: int = 200
  validation_fraction: float = 0.2
  scoring: metrics.Scoring = None

  def __post_init__(self) -> None:
    plain.normalise(self)

  def check(self, classification: bool) -> None:
    """Refuses impossible settings.

    Raises:
      ValueError: says which.
    """
    for name in ("num_epochs", "max_epochs"):
      value = getattr(self, name)
      if value is not None and value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}.")
    if not 0 < self.validation_fraction < 1:
      raise ValueError(
          f"validation_fraction must lie between 0 and 1, got {self.validation_fraction}.")
    metrics.check(self.scoring, classification)

  def rungs(self, num_rows: int) -> list[int]:
    """Numbers of epochs to try: the given one, or 1, 2, 5, 10, ..."""
    if self.num_epochs is not None:
      return [self.num_epochs]
    most = max(1, min(self.max_epochs, _MOST_EXAMPLES // num_rows))
    steps = [first * 10**power for power in range(9) for first in _RUNGS]
    return sorted({*(step for step in steps if step < most), most})


def fit(
    new_model: Callable[[Rows], Model], rows: Rows, schedule: Schedule, strata: np.ndarray,
    rng: np.random.Generator,
) -> tuple[Model, int, list[Rung]]:
  """Trains a program on all rows, as many epochs as are good for it.

  Args:
    new_model: makes an untrained model for rows.
    rows: of the table.
    schedule: how long.
    strata: [N] classes of the rows, zeros for regression.
    rng: of the rows held out and the order of the examples.

  Returns:
    The model, the epochs it was trained, and what the choice is by (empty if there was none).

  Raises:
    ValueError: the program cannot be trained: its error is not finite or too large.
  """
  tried: list[Rung] = []
  wanted = [schedule.num_epochs or 1]
  if schedule.num_epochs is None:
    fold = Fold(*split(rows, strata, schedule.validation_fraction, rng))
    tried = try_epochs(new_model, [fold], schedule, rng)
    wanted = good_epochs(tried)
  model, epochs = train(new_model, rows, wanted, rng)
  return model, epochs, tried


def good_epochs(tried: Sequence[Rung]) -> list[int]:
  """The best number of epochs, then smaller ones that were tried; 1 if none was."""
  best = max(tried, key=lambda rung: rung.rank, default=None)
  if best is None:
    return [1]
  return [best.epochs, *(rung.epochs for rung in reversed(tried) if rung.epochs < best.epochs)]


def train(
    new_model: Callable[[Rows], Model], rows: Rows, wanted: Sequence[int],
    rng: np.random.Generator,
) -> tuple[Model, int]:
  """Trains on rows, the first of some numbers of epochs for which training does not diverge.

  Args:
    new_model: makes an untrained model for rows.
    rows: all that are trained on.
    wanted: numbers of epochs; on other rows training may diverge that did not on some of them.
    rng: of the order of the examples.

  Raises:
    ValueError: it diverges for all of them.
  """
  for epochs in wanted:
    model = new_model(rows)
    examples, order = model.examples(rows.x, rows.y), epoch_orders(rows.weights, rng)
    if _learns(model, examples, order, epochs):
      return model, epochs
  raise ValueError(
      f"The program cannot be trained on these {len(rows.y)} rows: its error was not finite or "
      f"above max_abs_error={model.max_abs_error:g} after {model.num_examples} examples. Make its "
      "constants smaller (learning rate), or raise max_abs_error.")


def try_epochs(
    new_model: Callable[[Rows], Model], folds: Sequence[Fold], schedule: Schedule,
    rng: np.random.Generator, *, time_is_up: Callable[[], bool] = lambda: False,
) -> list[Rung]:
  """Trains a model in every fold for more and more epochs, and scores them after each rung.

  Args:
    new_model: makes an untrained model for rows.
    folds: whose held-out rows are scored together.
    schedule: what to try.
    rng: of the order of the examples.
    time_is_up: whether time is up; asked after each rung.

  Returns:
    The rungs until training diverged, the score rose no more, time was up, or there are none left.
  """
  models = [new_model(fold.train) for fold in folds]
  examples = [model.examples(fold.train.x, fold.train.y) for model, fold in zip(models, folds)]
  orders = [epoch_orders(fold.train.weights, rng) for fold in folds]
  held_out, target = held_out_rows(folds), models[0].target
  tried: list[Rung] = []
  done = best = 0
  for epochs in schedule.rungs(max(len(fold.train.y) for fold in folds)):
    for model, each, order in zip(models, examples, orders):
      if not _learns(model, each, order, epochs - done):
        return tried
    done = epochs
    predictions = np.concatenate(
        [model.predict(fold.held_out.x) for model, fold in zip(models, folds)])
    tried.append(Rung(
        epochs, score(predictions, held_out, target, schedule.scoring),
        score(predictions, held_out, target, "log_loss") if target.num_classes else 0.0,
        predictions))
    if tried[-1].rank > tried[best].rank:
      best = len(tried) - 1
    elif len(tried) - 1 - best == _PATIENCE:
      break
    if time_is_up():
      break
  return tried


def _learns(model: Model, examples: list[Examples], order: Orders, epochs: int) -> bool:
  """Trains for some epochs; whether the program goes on. Many small ones make one call."""
  while epochs > 0:
    orders = [order()]
    while len(orders) < epochs and len(orders) * len(orders[0]) < _AT_ONCE:
      orders.append(order())
    if not model.learn(examples, np.concatenate(orders)):
      return False
    epochs -= len(orders)
  return True


def held_out_rows(folds: Sequence[Fold]) -> Rows:
  """The held-out rows of all folds."""
  return Rows(*(np.concatenate(parts) for parts in zip(*(fold.held_out for fold in folds))))


def score(
    predictions: np.ndarray, rows: Rows, target: Target, scoring: metrics.Scoring) -> float:
  """Score of predictions for rows."""
  return metrics.score(
      scoring, rows.y, predictions, classes=target.classes, weights=rows.weights)


def split(
    rows: Rows, strata: np.ndarray, fraction: float, rng: np.random.Generator
) -> tuple[Rows, Rows]:
  """Rows to train on and rows held out, with every class in proportion.

  Each class stays in the training rows. Where nothing can be held out, all rows are both.

  Args:
    rows: of the table; those without weight are left out.
    strata: [N] classes of the rows, zeros for regression.
    fraction: of the rows that is held out.
    rng: draws them.
  """
  present = np.flatnonzero(rows.weights > 0)
  order = present[stratified_order(strata[present], rng)]
  count = round(fraction * len(order))
  train, held_out = order[count:], order[:count]
  lost = ~np.isin(strata[held_out], strata[train])
  train, held_out = np.concatenate([train, held_out[lost]]), held_out[~lost]
  if not len(held_out) or not len(train):
    return rows, rows
  return rows.take(train), rows.take(held_out)
