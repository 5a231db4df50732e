"""A given program as a scikit-learn estimator."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import azero

_SHAPE = 120, 4


@pytest.fixture(scope="module")
def classifier(data):
  x, value = data
  labels = np.where(value > 0, "yes", "no")
  return azero.ProgramClassifier(num_epochs=10, random_state=0).fit(x, labels), labels


def test_a_classifier_names_its_classes_and_tells_probabilities(data, classifier):
  model, labels = classifier
  assert model.classes_.tolist() == ["no", "yes"] and model.n_features_in_ == _SHAPE[1]
  chances = model.predict_proba(data[0])
  np.testing.assert_allclose(chances.sum(1), 1, rtol=1e-6)
  assert (model.predict(data[0]) == model.classes_[chances.argmax(1)]).all()
  assert model.score(data[0], labels) >= 0.9
  assert "def Learn" in model.program_ and model.program_.split()[1] in model._repr_html_()


def test_it_survives_pickling_and_clones_without_what_it_learned(data, classifier):
  again = pickle.loads(pickle.dumps(classifier[0]))
  np.testing.assert_array_equal(again.predict_proba(data[0]), classifier[0].predict_proba(data[0]))
  assert clone(classifier[0]).get_params() == classifier[0].get_params()
  assert not hasattr(clone(classifier[0]), "classes_")


def test_the_same_seed_gives_the_same_model(data, classifier):
  again = clone(classifier[0]).fit(data[0], classifier[1])
  np.testing.assert_array_equal(again.predict_proba(data[0]), classifier[0].predict_proba(data[0]))


def test_a_regressor_predicts_in_the_units_of_its_target(data):
  x, value = data
  model = azero.ProgramRegressor(num_epochs=30, random_state=0).fit(x, 1e6 + 1e4 * value)
  assert model.score(x, 1e6 + 1e4 * value) >= 0.95


def test_it_works_in_a_pipeline_under_cross_validation(data, classifier):
  pipeline = make_pipeline(StandardScaler(), clone(classifier[0]))
  assert cross_val_score(pipeline, data[0], classifier[1], cv=3).mean() >= 0.85


def test_partial_fit_goes_on_and_needs_all_classes_the_first_time(data, classifier):
  model, x, labels = azero.ProgramClassifier(random_state=0), data[0], classifier[1]
  with pytest.raises(ValueError, match="The first partial_fit needs classes="):
    model.partial_fit(x, labels)
  with pytest.raises(ValueError, match="none of the classes"):
    model.partial_fit(x, labels, classes=["no", "perhaps"])
  assert not hasattr(model, "classes_")
  model.partial_fit(x[:60], labels[:60], classes=["no", "yes"])
  before = model.predict_proba(x)
  model.partial_fit(x[60:], labels[60:])
  assert not np.array_equal(before, model.predict_proba(x))
  assert model.score(x, labels) >= 0.85
  with pytest.raises(ValueError, match="but were"):
    model.partial_fit(x, labels, classes=["no", "perhaps"])


def test_what_it_takes_does_not_depend_on_which_training_rows_had_missing_cells(data, classifier):
  frame = pd.DataFrame(data[0]).add_prefix("x")
  with_missing = frame.copy()
  with_missing.iloc[3, 0] = np.nan
  for learnt in (frame, with_missing):
    model = azero.ProgramClassifier(num_epochs=2, random_state=0).fit(learnt, classifier[1])
    assert model.predict(with_missing).shape == (len(frame),)
  array = azero.ProgramClassifier(num_epochs=2, random_state=0).fit(data[0], classifier[1])
  plain = azero.ProgramClassifier(num_epochs=2, random_state=0).fit(frame, classifier[1])
  np.testing.assert_array_equal(array.predict_proba(data[0]), plain.predict_proba(frame))


def test_a_frame_that_is_the_same_everywhere_is_learnt_from_as_an_array_is(data, classifier):
  same = np.ones_like(data[0])
  settings = {"num_epochs": 1, "random_state": 0}
  array = azero.ProgramClassifier(**settings).fit(same, classifier[1])
  frame = azero.ProgramClassifier(**settings).fit(pd.DataFrame(same), classifier[1])
  np.testing.assert_array_equal(
      array.predict_proba(same), frame.predict_proba(pd.DataFrame(same)))


@pytest.mark.parametrize("weight", [-1.0, float("inf"), float("nan")])
def test_weights_of_classes_are_numbers_from_0_on(data, classifier, weight):
  model = azero.ProgramClassifier(class_weight={"no": weight, "yes": 1.0})
  with pytest.raises(ValueError, match="class_weight must not be negative or infinite"):
    model.fit(data[0], classifier[1])


def test_epochs_may_be_chosen_by_a_function_of_ones_own(data):
  asked = []

  def score(model, x, y):
    asked.append(len(y))
    return -float(len(asked))  # so that the first is the best

  model = azero.ProgramRegressor(scoring=score, random_state=0).fit(*data)
  assert model.num_epochs_ == 1 and len(asked) == len(model.validation_scores_) >= 2
  assert set(asked) == {len(data[1]) // 5}


@pytest.mark.parametrize("unit", [1e-300, 1e-170, 1e160, 1e300])
def test_epochs_are_chosen_alike_for_any_unit(data, unit):
  x, value = data
  usual, model = (azero.ProgramRegressor(random_state=0).fit(x, y) for y in (value, value * unit))
  assert model.num_epochs_ == usual.num_epochs_ > 1


def test_rows_without_weight_do_not_decide_which_columns_vary(data):
  x, value = data[0].copy(), data[1]
  x[:20, 0] = 1e15
  weights = np.r_[np.zeros(20), np.ones(len(value) - 20)]
  model = azero.ProgramRegressor(num_epochs=5, random_state=0).fit(x, value, weights)
  assert (model.program_features(x[20:])[:, 0].std() == pytest.approx(1, abs=0.01))


@pytest.mark.parametrize("unit", [1e-300, 1e-170, 1e160, 1e300])
def test_very_large_and_small_numbers_are_as_good_as_others(data, classifier, unit):
  x, value = data
  usual = azero.ProgramRegressor(num_epochs=5, random_state=0).fit(x, value)
  model = azero.ProgramRegressor(num_epochs=5, random_state=0).fit(x * unit, value * unit)
  np.testing.assert_allclose(model.predict(x * unit) / unit, usual.predict(x), rtol=1e-3, atol=1e-3)
  large = clone(classifier[0]).fit(x * unit, classifier[1])
  assert (large.predict(x * unit) == classifier[0].predict(x)).mean() > 0.98


@pytest.mark.parametrize(("settings", "message"), [
    ({"num_epochs": 1.5}, "num_epochs must be a whole number or None, got 1.5"),
    ({"num_epochs": "many"}, "num_epochs must be a whole number or None, got 'many'"),
    ({"num_epochs": 0}, "num_epochs must be at least 1, got 0"),
    ({"max_epochs": 2.5}, "max_epochs must be a whole number, got 2.5"),
    ({"validation_fraction": None}, "validation_fraction must be a number, got None"),
    ({"max_abs_error": -1}, "max_abs_error must be a positive number, got -1"),
    ({"max_abs_error": "x"}, "max_abs_error must be a positive number, got 'x'"),
    ({"program": " "}, "program is empty: give a text in the paper's notation, or a name of"),
    ({"num_features": 2.5}, "num_features must be a positive whole number, got 2.5")])
def test_bad_settings_are_refused(data, settings, message):
  with pytest.raises(ValueError, match=message):
    azero.ProgramRegressor(**settings).fit(*data)


def test_a_partial_fit_that_is_refused_leaves_what_was_learned(data):
  x, value = data
  model = azero.ProgramRegressor(num_epochs=5, random_state=0).fit(x, value)
  before = model.predict(x)
  with pytest.raises(ValueError, match="not finite or above max_abs_error"):
    model.partial_fit(x, np.full(len(x), 1e9))
  np.testing.assert_array_equal(model.predict(x), before)
  again = azero.ProgramRegressor(num_epochs=5, random_state=0).fit(x, value)
  np.testing.assert_array_equal(  # in the same order as if nothing had been refused
      model.partial_fit(x, value).predict(x), again.partial_fit(x, value).predict(x))


def test_a_frame_of_text_and_missing_cells_is_encoded_inside(data, classifier):
  colours = np.array(["red", "green", "blue"])[np.arange(len(data[0])) % 3]
  frame = pd.DataFrame({"size": data[1], "colour": colours})
  frame.loc[5, "size"] = np.nan
  model = azero.ProgramClassifier(num_epochs=10, random_state=0).fit(frame, classifier[1])
  assert model.feature_names_in_.tolist() == ["size", "colour"]
  assert model.score(frame, classifier[1]) >= 0.9
  encoded = model.preparation_.features(frame)
  assert encoded.shape == _SHAPE
  of_numbers = clone(model).fit(encoded, classifier[1])
  np.testing.assert_array_equal(of_numbers.predict_proba(encoded), model.predict_proba(frame))
  again = pickle.loads(pickle.dumps(model))
  sure = frame.loc[[data[1].argmax(), data[1].argmin()]].assign(colour="violet")
  assert again.predict(sure).tolist() == ["yes", "no"]
  with pytest.raises(ValueError, match="colour"):
    model.predict(frame[["size"]])
  begun = clone(model).partial_fit(frame[:60], classifier[1][:60], classes=["no", "yes"])
  assert begun.partial_fit(frame[60:], classifier[1][60:]).score(frame, classifier[1]) >= 0.8


def test_columns_that_are_left_out_or_unclear_are_told(data, classifier):
  frame = pd.DataFrame({
      "size": data[1], "name": [f"of {k}" for k in range(len(data[0]))], "same": "a",
      "code": ["1", "2", "3"] * (len(data[0]) // 3)})
  with pytest.warns(UserWarning) as told:
    model = azero.ProgramClassifier(num_epochs=2, random_state=0).fit(frame, classifier[1])
  assert [str(each.message) for each in told] == [
      "column 'name' is left out: text of its own in nearly every row (120 different); "
      "column 'same' is left out: always 'a'",
      "column 'code' is text of digits: it is taken as numbers, as a category it would be a "
      "feature for each value"]
  assert {each.filename for each in told} == {__file__}
  assert model.preparation_.feature_names == ("size", "code")


def test_arrays_of_text_are_read_column_by_column_at_fit_and_later(data, classifier):
  frame = pd.DataFrame({
      "size": data[1].round(3), "colour": np.array(["red", "blue"])[np.arange(120) % 2]})
  of_frame = azero.ProgramClassifier(num_epochs=2, random_state=0).fit(frame, classifier[1])
  expected = of_frame.predict_proba(frame)
  for cells in (frame.to_numpy(), frame.astype(str).to_numpy("U"), frame.to_numpy().tolist()):
    model = clone(of_frame).fit(cells, classifier[1])
    for rows in (cells, frame.to_numpy()):
      np.testing.assert_array_equal(model.predict_proba(rows), expected)
  begun = clone(of_frame).partial_fit(cells[:60], classifier[1][:60], classes=["no", "yes"])
  assert begun.partial_fit(cells[60:], classifier[1][60:]).predict(cells).shape == (120,)


def test_no_rows_are_refused_in_a_word(data, classifier):
  frame = pd.DataFrame(data[0], columns=list("abcd"))
  model = clone(classifier[0]).fit(frame, classifier[1])
  with pytest.raises(ValueError, match="The table has no rows: at least one is needed"):
    model.predict(frame.head(0))


def test_logarithms_of_probabilities(data, classifier):
  expected = classifier[0].predict_proba(data[0])
  np.testing.assert_array_equal(np.exp(classifier[0].predict_log_proba(data[0])) > 0, expected > 0)
  np.testing.assert_allclose(np.exp(classifier[0].predict_log_proba(data[0])), expected)


def test_a_program_without_a_vector_cannot_predict_one(data):
  labels = np.arange(120) % 3
  with pytest.raises(ValueError, match="takes v2 as prediction, but Predict of the program never"):
    azero.ProgramClassifier(multiclass="vector").fit(data[0], labels)
  program = "def Setup():\ndef Predict():\n  v2 = maximum(v0, v0)\ndef Learn():\n"
  model = azero.ProgramClassifier(program, multiclass="vector", num_epochs=1, random_state=0)
  assert len(set(model.fit(data[0], labels).predict(data[0]))) > 1


@pytest.mark.parametrize("kind", ["U", object])
def test_a_regressor_takes_texts_of_numbers(data, kind):
  x, value = data
  model = azero.ProgramRegressor(num_epochs=2, random_state=0).fit(x, value)
  texts = value.astype(str).astype(kind)
  of_texts = clone(model).fit(x, texts)
  np.testing.assert_array_equal(of_texts.predict(x), model.predict(x))
  np.testing.assert_array_equal(
      of_texts.partial_fit(x, texts).predict(x), model.partial_fit(x, value).predict(x))
  texts[7] = "many"
  with pytest.raises(ValueError, match="The target 'many' is not a number"):
    model.fit(x, texts)


@pytest.mark.parametrize("estimator", [azero.ProgramClassifier(), azero.ProgramRegressor()])
@pytest.mark.parametrize("known", [1, "1"])
def test_a_target_that_is_missing_is_named(data, estimator, known):
  for missing in (None, np.nan, pd.NA):
    with pytest.raises(ValueError, match=r"The target of row 1 is missing: .*, as in 60 of 120"):
      estimator.fit(data[0], np.array([known, missing] * 60, object))


@pytest.mark.parametrize(("x", "y", "message"), [
    (np.full((4, 2), np.nan), [0, 1, 0, 1], "contains NaN"),
    (np.ones((4, 2)), [0.5, 1.5, 0.1, 0.2], "Unknown label type"),
    (np.ones((4, 2)), [0, 1, 0], "inconsistent numbers of samples"),
    (np.ones((4, 2)), ["a"] * 4, "of one class, 'a'; a classifier needs"),
    (pd.DataFrame({"a": ["x"]})[:0], [], "must have rows and columns; got 0 rows")])
def test_bad_data_are_refused(x, y, message):
  with pytest.raises(ValueError, match=message):
    azero.ProgramClassifier(num_epochs=1).fit(x, y)


def test_an_exported_file_learns_the_same_of_the_features_that_the_program_sees(data, classifier):
  model, labels = classifier
  features = model.program_features(data[0])
  assert features.shape == (_SHAPE[0], 8) and (features[:, 4] == 1).all()
  alone = {}
  exec(azero.export.numpy_source(
      azero.parse(model.program_, num_features=8), num_classes=2), alone)
  alone["fit"](features, labels == "yes", num_epochs=model.num_epochs_)
  same = alone["predict"](features) == (model.predict(data[0]) == "yes")
  assert same.mean() >= 0.95  # the order of the rows is another one
  remembered = {**alone["zero_memory"](), **model.memory_}
  np.testing.assert_allclose(
      alone["predict_proba"](features, remembered), model.predict_proba(data[0])[:, 1], rtol=1e-5)


@pytest.mark.parametrize("source", [azero.export.numpy_source, azero.export.jax_source])
def test_an_exported_file_predicts_with_the_memory_of_a_model_that_draws(source):
  rng = np.random.default_rng(0)
  x = rng.normal(size=(60, 3))
  y = 1000 + 50 * (x @ [1.0, -2.0, 0.5])
  model = azero.ProgramRegressor(
      "def Setup():\n  s2 = 0.02\n  v1 = gaussian(0.0, 0.1)\ndef Predict():\n  s1 = dot(v0, v1)\n"
      "def Learn():\n  s3 = s0 - s1\n  s3 = s3 * s2\n  v2 = s3 * v0\n  v1 = v1 + v2\n",
      num_epochs=20).fit(x, y)
  alone = {}
  exec(source(azero.parse(model.program_, num_features=4)), alone)
  predicted = alone["predict"](
      model.program_features(x), {**alone["zero_memory"](), **model.memory_})
  np.testing.assert_allclose(
      model.target_mean_ + model.target_scale_ * predicted, model.predict(x), rtol=1e-4)


def test_rows_beyond_single_precision_are_refused(classifier):
  row = np.zeros((2, 4))
  row[1, 2] = 1e300
  with pytest.raises(ValueError, match="Row 1 is so far from the rows that the model has"):
    classifier[0].predict(row)


def test_a_regressor_wants_numbers():
  with pytest.raises(ValueError, match="The target 'a' is not a number"):
    azero.ProgramRegressor(num_epochs=1).fit(np.ones((4, 2)), np.array([1.0, 2.0, 3.0, 4.0])
                                             ).partial_fit(np.ones((2, 2)), np.array(["a", "b"]))
  with pytest.raises(ValueError, match="The target 'a' is not a number"):
    azero.ProgramRegressor(num_epochs=1).fit(np.ones((4, 2)), np.array(["a", "b"] * 2))


def test_other_columns_than_those_of_fit_are_refused(data, classifier):
  with pytest.raises(ValueError, match="expecting 4 features"):
    classifier[0].predict(data[0][:, :3])
