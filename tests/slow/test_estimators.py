"""What takes minutes to show of estimators: scikit-learn's own checks, and that noise is noise."""

import functools
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from support.toy_evaluator import ToyEvaluator

import azero
from azero.runs import runner
from azero.search.config import SearchConfig
from azero.search.groups import starts
from azero.tasks.tables.custom_data import of_table
from azero.tasks.tables.table import prepare
from experiments.frame import row_choice, row_judging

pytestmark = pytest.mark.slow

_WEIGHTS = {
    "check_sample_weight_equivalence_on_dense_data":
        "rows are drawn in proportion to their weights, so that only the expectation is equal"}
_SHORT = {
    "max_seconds": None, "max_programs": 8, "num_islands": 2, "population_size": 4,
    "num_epochs": 3, "random_state": 0}


@pytest.fixture
def toy(monkeypatch):
  """Searches that compile nothing."""
  monkeypatch.setattr(starts, "Group", functools.partial(starts.Group, evaluator=ToyEvaluator))


@pytest.mark.parametrize("estimator", [
    azero.ProgramClassifier(num_epochs=3, random_state=0),
    azero.ProgramRegressor(num_epochs=3, random_state=0),
    azero.AutoMLZeroClassifier(**_SHORT), azero.AutoMLZeroRegressor(**_SHORT)])
def test_estimators_pass_the_checks_of_scikit_learn(estimator, toy):
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # checks provoke warnings
    check_estimator(estimator, expected_failed_checks=_WEIGHTS, on_skip=None)


@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_a_short_search_is_never_much_worse_than_logistic_regression(load):
  x, y = load(return_X_y=True)
  linear = make_pipeline(StandardScaler(), LogisticRegression())
  searched = azero.AutoMLZeroClassifier(max_seconds=None, max_programs=2000, random_state=0)
  assert cross_val_score(searched, x, y).mean() >= cross_val_score(linear, x, y).mean() - 0.03


def test_coins_are_seldom_told_to_be_learned(toy):
  """Of 100 tables of noise, each with a program that was chosen and judged as custom_data does."""
  words = []
  for seed in range(100):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(100, 3)), columns=["a", "b", "c"])
    table = prepare(frame.assign(coin=np.where(rng.random(100) < 0.5, "heads", "tails")))
    space = azero.spaces.baseline(table.num_features)
    known = starts.known_programs(space, multiclass=False)
    search = azero.Federation(starts.groups(
        space, [of_table(table, 2).search] * 2, SearchConfig(max_programs=4), known))
    runner.run(search, progress="off")
    chosen = row_choice.choose(search, table, known)
    model = row_judging.fit_model(
        chosen.program, table, row_judging.learnt_rows(table), "coins", epochs=chosen.epochs)
    found = row_judging.result(table, model, row_judging.judge(model, table))
    words.append([each["verdict"] for each in found["verdicts"].values()])
  assert len(words) == 100 and len(words[0]) == 3
  for against in zip(*words):
    assert against.count("better") <= 2
