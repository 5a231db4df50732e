"""How candidates are compared, and what a search on the rows of a table gets."""

import numpy as np
import pytest
from support.hall_entries import entry

from azero.estimators import contest, drawn_tasks, layout, targets, training
from azero.estimators.recipe import Recipe
from azero.language import zoo


def _rows(count, num_classes=2, weights=None):
  rng = np.random.default_rng(0)
  y = np.resize(np.arange(num_classes), count)
  return training.Rows(
      rng.normal(size=(count, 3)) + y[:, None], y, np.ones(count) if weights is None else weights)


def _contest(rows):
  recipe = Recipe(program="", target=targets.classes_of(rows.y, rows.weights))
  return contest.Contest(recipe, training.Schedule(), np.random.default_rng(0))


def _rung(rows, num_wrong):
  """Predictions of which so many, spread evenly, are wrong."""
  wrong = np.zeros(len(rows.y), bool)
  wrong[np.linspace(0, len(rows.y) - 1, num_wrong).astype(int)] = True
  chosen = np.where(wrong, 1 - rows.y, rows.y).astype(int)
  return training.Rung(1, 1 - wrong.mean(), 0.0, np.eye(2)[chosen])


@pytest.mark.parametrize(("first", "second", "clear"), [
    (0, 30, True), (5, 30, True), (0, 2, False), (20, 24, False), (9, 9, False), (30, 0, False)])
def test_what_is_better_by_less_than_two_errors_is_not_clear(first, second, clear):
  rows = _rows(300)
  folds = [training.Fold(rows, rows.take(np.arange(start, 300, 3))) for start in range(3)]
  held_out = training.held_out_rows(folds)
  assert _contest(rows)._is_clear(
      _rung(held_out, first), _rung(held_out, second), folds) is clear


@pytest.mark.parametrize(("count", "turns"), [(60, 5), (700, 3), (3200, 1)])
def test_every_row_is_scored_once_by_models_that_have_not_seen_it(count, turns):
  rows = _rows(count)
  folds = contest.make_folds(rows, rows.y, np.random.default_rng(0))
  assert len(folds) == turns
  judged = sum(len(fold.held_out.y) for fold in folds)
  assert judged == (count if turns > 1 else count // 5)
  for fold in folds:
    together = np.concatenate([fold.train.x, fold.held_out.x])
    np.testing.assert_array_equal(np.unique(together, axis=0), np.unique(rows.x, axis=0))
    assert abs(fold.held_out.y.mean() - 0.5) <= 1 / len(fold.held_out.y)


def test_rows_beside_are_trained_on_in_every_fold():
  rows = _rows(60)
  other = training.Rows(rows.x + 100, rows.y, rows.weights)
  for fold in contest.make_folds(rows, rows.y, np.random.default_rng(0), besides=other):
    assert (fold.train.x > 50).all(1).sum() == 60 and (fold.held_out.x < 50).all()


def test_finds_are_the_best_of_each_island_first():
  hall = [entry(zoo.load("linear_regressor"), fitness, island=island)
          for fitness, island in ((0.9, 1), (0.8, 1), (0.7, 0), (0.6, 1))]
  places = {id(each.program): place for place, each in enumerate(hall)}
  assert [places[id(program)] for program in contest.finds_of(hall)] == [0, 2, 1, 3]


@pytest.mark.parametrize(("count", "size"), [(12, (256, 64)), (400, (1024, 256))])
def test_search_tasks_have_few_sizes_and_rows_by_weight(count, size):
  weights = np.where(np.arange(count) % 3 == 0, 4.0, 1.0)
  rows = _rows(count, 3, weights)
  arranged = layout.make_layout(
      rows.x, 3, num_features=None, rng=np.random.default_rng(0), weights=weights)
  tasks = drawn_tasks.draw_tasks(
      rows, arranged, targets.classes_of(rows.y, weights), 2, np.random.default_rng(0))
  assert (tasks.num_train, tasks.num_valid) == size and len(tasks) == 2 and tasks.num_classes == 3
  heavy = (tasks.train_y == 0).mean()  # rows of class 0 weigh four times as much
  assert heavy == pytest.approx(4 / 6, abs=0.07)
  for train_x, valid_x in zip(tasks.train_x, tasks.valid_x):
    assert not {tuple(row) for row in train_x} & {tuple(row) for row in valid_x}
