"""Which of some programs is best for a table: known ones and finds of a search, on equal terms.

Every candidate is trained for several numbers of epochs on some rows and scored on others. Where
rows are few they take turns: each part of them is scored once, while all others are trained on.

Known programs may be compared on all rows. What a search found must not be scored on rows that the
search has seen: finds and the best known program are compared on rows that were held out from it,
which join the others in training when it is not their turn. The best of several is lucky, too, and
scores of few rows are rough: what is less simple displaces what is simpler only if it is better by
two standard errors of the difference.
"""

from collections.abc import Callable, Iterable, Sequence
import dataclasses

import numpy as np

from azero.estimators import training
from azero.estimators.recipe import Recipe
from azero.estimators.training import Fold, Rows, Rung, Schedule
from azero.language.program import Programs
from azero.search.groups.starts import Known
from azero.search.history.hall_of_fame import Entry
from azero.tasks.sampling import stratified_order

FOUND = "found by the search"
_TURNS = ((600, 5), (3000, 3))  # up to so many rows take so many turns; more are divided once
_HELD_OUT = 0.2  # of those that are divided once
_RESAMPLES = 100
_FINDS = 8  # of a search that are candidates
_MARGIN = 2.0  # standard errors by which one must be better


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
class Scored:
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


def finds_of(hall: Iterable[Entry]) -> list[Programs]:
  """Programs of a search that are candidates: the best of each island, then the best of all.

  Args:
    hall: entries, the best first.
  """
  entries = list(hall)
  best = {entry.island: place for place, entry in reversed(list(enumerate(entries)))}
  order = dict.fromkeys([*sorted(best.values()), *range(len(entries))])
  return [entries[place].program for place in order][:_FINDS]


@dataclasses.dataclass(frozen=True, eq=False)
class Contest:
  """How candidates are compared.

  Attributes:
    recipe: of their models, but for the program.
    schedule: epochs, and what is measured.
    rng: of the order of the examples, and of rows drawn for standard errors.
  """

  recipe: Recipe
  schedule: Schedule
  rng: np.random.Generator

  def compare_known(
      self, known: Sequence[Known], folds: Sequence[Fold], *,
      time_is_up: Callable[[], bool] = lambda: False,
  ) -> list[Scored]:
    """The known programs, the best first; a network only if it clearly is better.

    Args:
      known: the most promising first.
      folds: from `make_folds`.
      time_is_up: whether time is up; then the program under way is the last one.
    """
    linear, others = (
        [self._candidate(each.name, each.program) for each in known if each.is_linear is side]
        for side in (True, False))
    tried = self._compare([*linear, *others], folds, time_is_up)
    return self._in_order(
        [each for each in tried if each.candidate in linear],
        [each for each in tried if each.candidate in others], folds)

  def with_finds(
      self, known: Sequence[Scored], finds: Sequence[Programs], folds: Sequence[Fold], *,
      time_is_up: Callable[[], bool] = lambda: False,
  ) -> list[Scored]:
    """The known programs in their order, and finds behind them, or before if clearly better.

    Args:
      known: from `compare_known`.
      finds: of a search, each a batch of one, the most promising first.
      folds: from `make_folds`, whose held-out rows the search has not seen.
      time_is_up: as there.
    """
    candidates = [self._candidate(FOUND, program) for program in finds]
    champion = [each.candidate for each in known[:1]]
    tried = self._compare([*champion, *candidates], folds, time_is_up)
    order = self._in_order(
        [each for each in tried if each.candidate in champion],
        [each for each in tried if each.candidate in candidates], folds)
    found = [each for each in order if each.candidate in candidates]
    return [*found, *known] if order[:1] == found[:1] else [*known, *found]

  def _candidate(self, name: str, program: Programs) -> Candidate:
    return Candidate(name, dataclasses.replace(self.recipe, program=program))

  def _compare(
      self, candidates: Sequence[Candidate], folds: Sequence[Fold], time_is_up: Callable[[], bool]
  ) -> list[Scored]:
    """Those that can be trained, until time is up."""
    tried = []
    for candidate in candidates:
      rungs = training.try_epochs(
          candidate.recipe.model, folds, self.schedule, self.rng, time_is_up=time_is_up)
      if rungs:
        tried.append(Scored(candidate, rungs))
      if time_is_up():
        break
    return tried

  def _in_order(
      self, simpler: Sequence[Scored], others: Sequence[Scored], folds: Sequence[Fold]
  ) -> list[Scored]:
    """The best first, but the simpler ones before the others unless these are clearly better."""
    simpler, others = (
        sorted(part, key=lambda each: each.best.rank, reverse=True) for part in (simpler, others))
    if not simpler or (others and self._is_clear(others[0].best, simpler[0].best, folds)):
      return [*others, *simpler]
    return [*simpler, *others]

  def _is_clear(self, first: Rung, second: Rung, folds: Sequence[Fold]) -> bool:
    """Whether the first is better by two standard errors."""
    gain = first.score - second.score
    if not gain > 0:
      return False
    rows = training.held_out_rows(folds)

    def gain_of(places: np.ndarray) -> float:
      taken = rows.take(places)
      if not taken.weights.any():
        return 0.0
      scores = [training.score(
          rung.predictions[places], taken, self.recipe.target, self.schedule.scoring)
          for rung in (first, second)]
      return scores[0] - scores[1]

    gains = [gain_of(self.rng.integers(len(rows.y), size=len(rows.y))) for _ in range(_RESAMPLES)]
    error = float(np.std(gains, ddof=1))
    if len(folds) > 1:  # which also differ in what was learned, and so tell how much that varies
      ends = np.cumsum([len(fold.held_out.y) for fold in folds])[:-1]
      by_fold = [gain_of(places) for places in np.split(np.arange(len(rows.y)), ends)]
      error = max(error, float(np.std(by_fold, ddof=1)) / len(folds) ** 0.5)
    return bool(gain > _MARGIN * error)
