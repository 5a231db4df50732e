"""Which of some programs is best for a table: known ones and finds of a search, on equal terms.

Every candidate is trained for several numbers of epochs on some rows and scored on others. Where
rows are few they take turns: each part of them is scored once, while all others are trained on.

Known programs may be compared on all rows. What a search found must not be scored on rows that the
search has seen: finds and the best known program are compared on rows that were held out from it,
which join the others in training when it is not their turn. The best of several is lucky, too, and
scores of few rows are rough: what is less simple displaces what is simpler only if it is better by
some standard errors of the difference, drawn over rows.
"""

from collections.abc import Callable, Sequence
import dataclasses

import numpy as np

from azero.estimators import training
from azero.estimators.recipe import Recipe
from azero.estimators.training import Fold, Rows, Rung, Schedule
from azero.tasks.sampling import stratified_order

_TURNS = ((600, 5), (3000, 3))  # up to so many rows take so many turns; more are divided once
_HELD_OUT = 0.2  # of those that are divided once
_RESAMPLES = 100


@dataclasses.dataclass(frozen=True, eq=False)
class Candidate:
  """A program that may be chosen.

  Attributes:
    name: what it is.
    recipe: of its models.
  """

  name: str
  recipe: Recipe


@dataclasses.dataclass(frozen=True, eq=False)
class Tried:
  """What a candidate came to.

  Attributes:
    candidate: that was tried.
    rungs: what it reached after numbers of epochs, at least one.
  """

  candidate: Candidate
  rungs: Sequence[Rung]

  @property
  def best(self) -> Rung:
    """With the epochs that are best for it."""
    return max(self.rungs, key=lambda rung: rung.rank)


def make_folds(
    rows: Rows, strata: np.ndarray, rng: np.random.Generator, *, besides: Rows | None = None
) -> list[Fold]:
  """The folds in which candidates are compared.

  Args:
    rows: that are scored.
    strata: [N] classes of them, zeros for regression.
    rng: divides them.
    besides: rows that are trained on in every fold.
  """
  turns = next((count for most, count in _TURNS if len(rows.y) <= most), 1)
  turns = min(turns, len(rows.y))
  if turns == 1:
    if besides is not None:
      return [Fold(besides, rows)]
    return [Fold(*training.split(rows, strata, _HELD_OUT, rng))]
  order = stratified_order(strata, rng)
  parts = [order[turn::turns] for turn in range(turns)]
  folds = [Fold(rows.take(np.setdiff1d(order, part)), rows.take(part)) for part in parts]
  return folds if besides is None else [
      Fold(besides.join(fold.train), fold.held_out) for fold in folds]


def compare(
    candidates: Sequence[Candidate], folds: Sequence[Fold], schedule: Schedule,
    rng: np.random.Generator, *, over: Callable[[], bool] = lambda: False,
) -> list[Tried]:
  """Tries candidates in their order.

  Args:
    candidates: the most promising first.
    folds: from `make_folds`.
    schedule: epochs, and what is measured.
    rng: of the order of the examples.
    over: whether time is up; then the candidate under way is the last one.

  Returns:
    Those that could be trained.
  """
  found = []
  for candidate in candidates:
    rungs = training.try_epochs(candidate.recipe.model, folds, schedule, rng, over=over)
    if rungs:
      found.append(Tried(candidate, rungs))
    if over():
      break
  return found


def in_order(tried: Sequence[Tried]) -> list[Tried]:
  """The best first."""
  return sorted(tried, key=lambda each: each.best.rank, reverse=True)


def displace(
    challengers: Sequence[Tried], incumbents: Sequence[Tried], folds: Sequence[Fold],
    schedule: Schedule, rng: np.random.Generator, *, margin: float,
) -> bool:
  """Whether the best of some candidates is better than the best of others by a margin.

  Args:
    challengers: the best first, tried in these folds, as the others.
    incumbents: the best first.
    folds: from `make_folds`.
    schedule: what is measured.
    rng: draws rows for the standard error.
    margin: in standard errors of the difference.
  """
  if not challengers or not incumbents:
    return not incumbents
  pair = [each[0].best for each in (challengers, incumbents)]
  target = challengers[0].candidate.recipe.target
  rows = training.held_out_rows(folds)
  gain = pair[0].score - pair[1].score
  if not gain > 0:
    return False
  gains = []
  for _ in range(_RESAMPLES):
    drawn = rng.integers(len(rows.y), size=len(rows.y))
    taken = rows.take(drawn)
    if taken.weights.any():
      first, second = (
          training.score(rung.predictions[drawn], taken, target, schedule.scoring)
          for rung in pair)
      gains.append(first - second)
  return len(gains) > 1 and gain > margin * float(np.std(gains, ddof=1))
