"""Estimators that search for their program, on a toy evaluator: the search compiles nothing."""

import functools
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.toy_evaluator import ToyEvaluator

import azero
from azero.search.groups import starts

# Too short to make a child: what it finds are the programs that it starts from.
_SHORT = {
    "max_seconds": None, "max_programs": 4, "num_islands": 2, "population_size": 4,
    "num_epochs": 5, "random_state": 0}


@pytest.fixture(autouse=True)
def toy(monkeypatch):
  monkeypatch.setattr(starts, "Group", functools.partial(starts.Group, evaluator=ToyEvaluator))


@pytest.fixture(scope="module")
def labels(data):
  return np.where(data[1] > 0, "yes", "no")


@pytest.fixture
def classifier(data, labels):
  return azero.AutoMLZeroClassifier(**_SHORT).fit(data[0], labels)


def test_it_finds_a_linear_model_at_least(data, labels, classifier):
  assert classifier.classes_.tolist() == ["no", "yes"] and classifier.n_features_in_ == 4
  np.testing.assert_allclose(classifier.predict_proba(data[0]).sum(1), 1, rtol=1e-6)
  assert classifier.score(data[0], labels) >= 0.95
  assert classifier.origin_.startswith("linear model, learning rate")
  assert classifier.num_epochs_ == 5 and classifier.stopped_by_ == "max_programs"
  assert "def Learn" in classifier.program_
  assert classifier.candidates_[0] == (
      classifier.origin_, classifier.validation_scores_[classifier.num_epochs_])
  assert len(classifier.candidates_) >= 4
  # Of four programs two islands have two each.
  assert {entry.num_programs for entry in classifier.hall_of_fame_} <= {1, 2}
  assert {found.island for found in classifier.history_} == {0, 1}


def test_the_same_seed_gives_the_same_model_and_copies_predict_alike(data, labels, classifier):
  expected = classifier.predict_proba(data[0])
  again = clone(classifier)
  assert again.get_params() == classifier.get_params() and not hasattr(again, "program_")
  np.testing.assert_array_equal(again.fit(data[0], labels).predict_proba(data[0]), expected)
  np.testing.assert_array_equal(
      pickle.loads(pickle.dumps(classifier)).predict_proba(data[0]), expected)


def test_rows_without_weight_are_as_if_they_were_not_there(data, labels, classifier):
  x, y = np.vstack([data[0], data[0][:9] * 50]), np.append(labels, ["yes"] * 9)
  weights = np.append(np.ones(120), np.zeros(9))
  weighted = azero.AutoMLZeroClassifier(**_SHORT).fit(x, y, sample_weight=weights)
  np.testing.assert_array_equal(
      weighted.predict_proba(data[0]), classifier.predict_proba(data[0]))


def test_a_frame_of_text_dates_and_missing_values(data, labels):
  frame = pd.DataFrame(data[0][:, :2], columns=["a", "b"]).assign(
      when=pd.Timestamp("2024-01-01") + pd.to_timedelta(data[0][:, 2], unit="D"),
      size=pd.Series(data[0][:, 3] > 1).map({True: "large", False: "small"}))
  frame.loc[:9, "a"] = np.nan
  frame.loc[20:29, "size"] = None
  model = azero.AutoMLZeroClassifier(**_SHORT).fit(frame, pd.Series(labels))
  assert model.feature_names_in_.tolist() == ["a", "b", "when", "size"]
  assert model.score(frame, labels) >= 0.85
  assert "date" in model.preparation_.describe()
  with pytest.raises(ValueError, match="feature names should match"):
    model.predict(frame[["a", "b", "when"]])


def test_a_regressor_predicts_in_the_units_of_its_target(data):
  model = azero.AutoMLZeroRegressor(**_SHORT).fit(data[0], 1e6 + 1e4 * data[1])
  assert model.score(data[0], 1e6 + 1e4 * data[1]) >= 0.9
  assert not hasattr(model, "predict_proba")


@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame])
def test_a_table_without_rows_is_refused_for_that(make):
  with pytest.raises(ValueError, match=r"0 is too few|0 sample"):
    azero.AutoMLZeroClassifier(**_SHORT).fit(make(np.empty((0, 2))), [])


def test_it_works_in_a_pipeline_and_in_a_grid(data, labels):
  pipeline = make_pipeline(StandardScaler(), azero.AutoMLZeroClassifier(**_SHORT))
  grid = GridSearchCV(pipeline, {"automlzeroclassifier__start": ["known", "empty"]}, cv=2)
  assert grid.fit(data[0], labels).best_score_ >= 0.85


@pytest.mark.parametrize(("settings", "message"), [
    ({"max_programs": None}, "never end: set max_seconds, max_programs or both"),
    ({"max_programs": -1}, "max_programs must be a positive whole number, got -1"),
    ({"max_programs": 3, "num_islands": 4}, "max_programs=3 is fewer than one for each of "),
    ({"num_islands": 2.5}, "num_islands must be a positive whole number, got 2.5"),
    ({"num_islands": True}, "num_islands must be a positive whole number, got True"),
    ({"num_islands": None}, "num_islands must be a positive whole number, got None"),
    ({"population_size": 0}, "population_size must be a positive whole number, got 0"),
    ({"max_seconds": "60"}, "max_seconds must be a positive number, got '60'"),
    ({"start": "nowhere"}, "start must be one of known, empty, got 'nowhere'"),
    ({"scoring": "r2"}, "scoring='r2' does not suit"),
    ({"validation_fraction": 1.5}, "validation_fraction must lie between 0 and 1, got 1.5"),
    ({"n_jobs": 1.5}, "n_jobs must be a number of devices, -1 for all or None for one, got 1.5"),
    ({"max_abs_error": "x"}, "max_abs_error must be a positive number, got 'x'"),
    ({"n_jobs": 0}, "n_jobs must be a number of devices, -1 for all or None for one, got 0")])
def test_bad_settings_are_refused(data, labels, settings, message):
  with pytest.raises(ValueError, match=message):
    azero.AutoMLZeroClassifier(**_SHORT | settings).fit(data[0], labels)


@pytest.mark.filterwarnings("ignore:X has feature names")  # as scikit-learn says it
def test_columns_of_an_array_may_come_as_a_frame(data, classifier):
  frame = pd.DataFrame(data[0], columns=list("abcd"))
  np.testing.assert_array_equal(
      classifier.predict_proba(frame), classifier.predict_proba(data[0]))


def test_columns_that_are_left_out_are_told(data, labels):
  frame = pd.DataFrame(data[0][:, :2], columns=["a", "b"]).assign(
      name=[f"of {k}" for k in range(120)])
  words = r"^column 'name' is left out: text of its own in nearly every row \(120 different\)$"
  with pytest.warns(UserWarning, match=words) as told:
    model = azero.AutoMLZeroClassifier(**_SHORT).fit(frame, labels)
  assert model.preparation_.feature_names == ("a", "b") and told[0].filename == __file__


def test_one_class_cannot_be_learned(data):
  with pytest.raises(ValueError, match=r"Every row is of one class, .*yes"):
    azero.AutoMLZeroClassifier(**_SHORT).fit(data[0], ["yes"] * 120)
  with pytest.raises(ValueError, match="class_weight leaves the rows of one class alone"):
    azero.AutoMLZeroClassifier(**_SHORT, class_weight={"yes": 0, "no": 1}).fit(
        data[0], np.where(data[1] > 0, "yes", "no"))
