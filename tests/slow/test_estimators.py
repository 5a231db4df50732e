"""What takes minutes to show of estimators: scikit-learn's own checks, and that noise is noise."""

import json
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

import azero
from experiments import custom_data
from experiments.frame.settings import build

pytestmark = pytest.mark.slow

_WEIGHTS = {
    "check_sample_weight_equivalence_on_dense_data":
        "rows are drawn in proportion to their weights, so that only the expectation is equal"}
_SHORT = {
    "max_seconds": None, "max_programs": 8, "num_islands": 2, "population_size": 4,
    "num_epochs": 3, "random_state": 0}


@pytest.mark.parametrize("estimator", [
    azero.ProgramClassifier(num_epochs=3, random_state=0),
    azero.ProgramRegressor(num_epochs=3, random_state=0),
    azero.AutoMLZeroClassifier(**_SHORT), azero.AutoMLZeroRegressor(**_SHORT)])
def test_estimators_pass_the_checks_of_scikit_learn(estimator):
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # checks provoke warnings
    check_estimator(estimator, expected_failed_checks=_WEIGHTS, on_skip=None)


@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_a_short_search_is_never_much_worse_than_logistic_regression(load):
  x, y = load(return_X_y=True)
  linear = make_pipeline(StandardScaler(), LogisticRegression())
  searched = azero.AutoMLZeroClassifier(max_seconds=None, max_programs=2000, random_state=0)
  assert cross_val_score(searched, x, y).mean() >= cross_val_score(linear, x, y).mean() - 0.03


def test_coins_are_seldom_told_to_be_learned(tmp_path, monkeypatch):
  monkeypatch.setattr(custom_data, "_MAX_JUDGES", 2)  # as many as search tasks: compiled once
  words = []
  for seed in range(100):
    rng = np.random.default_rng(seed)
    path = tmp_path / f"{seed}.csv"
    pd.DataFrame(rng.normal(size=(100, 3)).round(4), columns=["a", "b", "c"]).assign(
        coin=np.where(rng.random(100) < 0.5, "heads", "tails")).to_csv(path, index=False)
    custom_data.run(build(
        custom_data.Config, data=str(path), output_dir=str(tmp_path), run_name=str(seed),
        islands=2, num_tasks=2, population_size=10, tournament_size=3, max_programs=60,
        max_train_steps=None, progress="off"))
    found = json.loads((tmp_path / str(seed) / "result.json").read_text())
    words.append([each["verdict"] for each in found["verdicts"].values()])
  for of_baseline in zip(*words):
    assert of_baseline.count("better") <= 2
