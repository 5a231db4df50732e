"""Programs in words: the paper's, rewritten ones, and those that lack a mechanism."""

import json

import numpy as np
import pytest
from support import rewritten

from azero.insight import surgery
from azero.insight.explanation import explain
from azero.insight.mechanisms import (
  AVERAGING,
  BACKPROPAGATION,
  BILINEAR,
  FORGETTING,
  GRADIENT_STEPS,
  HIDDEN_LAYER,
  MOMENTUM,
  NOISY_INPUT,
  NORMALISED,
  find_mechanisms,
)
from azero.insight.motifs import MEAN_RATE, NOISY_RELU, RATE_DECAY
from azero.insight.shrinking import kept_part
from azero.insight.terms import Terms
from azero.language import text, zoo
from azero.language.own_ops import register_op
from azero.language.program import Function, Programs
from azero.search.groups import starts

_FIGURE_6 = [GRADIENT_STEPS, NOISY_INPUT, BILINEAR, NORMALISED, AVERAGING]
_NETWORK = [GRADIENT_STEPS, HIDDEN_LAYER, BACKPROPAGATION]
_FOUND = {
    "linear_regressor": [GRADIENT_STEPS], "plain_nn": _NETWORK, "figure_5": _NETWORK,
    "figure_6": _FIGURE_6, "s1a": _FIGURE_6, "s1b": _FIGURE_6, "s2a": [*_NETWORK, NOISY_RELU],
    "s2b": [*_NETWORK, RATE_DECAY], "s2c": [*_NETWORK, MEAN_RATE]}


def _classes(name: str) -> int:
  return 3 if zoo.is_multiclass(name) else 0


def _names(program: Programs | str, *, multiclass: bool = False) -> list[str]:
  if isinstance(program, str):
    program = text.parse(program, num_features=4)
  return [each.name for each in find_mechanisms(program, multiclass=multiclass)]


def _roles(program: Programs, name: str) -> list[list[str]]:
  explained = explain(program, num_classes=_classes(name))
  return [[line.role for line in explained.of(function)] for function in Function]


@pytest.mark.parametrize("name", zoo.names())
def test_the_programs_of_the_paper_have_their_mechanisms(name):
  assert _names(zoo.load(name, 8), multiclass=zoo.is_multiclass(name)) == _FOUND[name]


@pytest.mark.parametrize("name, roles", [
    ("linear_regressor", [
        ["learning rate"], ["prediction"],
        ["error", "scaled error", "gradient", "gradient step"]]),
    ("plain_nn", [
        ["initial weights", "initial weights", "learning rate"],
        ["hidden values", "hidden values", "rectifier", "part of the prediction", "prediction"],
        ["error", "scaled error", "gradient step", "gradient", "gradient step",
         "back-propagation", "slope of the rectifier", "gradient", "gradient step", "gradient",
         "gradient step"]]),
    ("figure_6", [
        [], ["noisy input", "noisy input", "hidden values", "weights once training is over",
             "prediction"],
        ["error", "for the size of the gradient", "size of the gradient", "normalisation",
         "gradient", "gradient", "gradient step", "noise", "measure of the weights",
         "weight averaging", "weights"]])])
def test_each_line_has_its_role(name, roles):
  assert _roles(zoo.load(name, 8), name) == roles


def test_the_words_say_what_goes_where():
  explained = explain(zoo.load("figure_6", 8))
  words = {line.text: line.words for line in explained.lines}
  assert words["v1 = v0 - v9"] == "Noisy input: the features minus the noise v9."
  assert words["s7 = s4 / s2"] == "Normalised gradient: the error s4 divided by the size s2."
  assert words["m2 = m2 + m0"] == (
      "Weight averaging: adds the weights m0 to their sum m2, which predicts once training is "
      "over.")
  assert words["v6 = dot(m1, v5)"].endswith("; once training is over with the summed weights m1.")
  assert explained.summary.startswith("A bilinear model of the features, trained by steps that")
  [schedule] = [
      line.words for line in explain(zoo.load("s2b", 8)).lines
      if line.role == "learning-rate schedule"]
  assert schedule.endswith(
      "it goes from 0.354 at the second example to 0.0431 at example 800.")
  for classes, end in ((0, "v1."), (2, "v1; its sigmoid is the probability of class 1.")):
    words = explain(zoo.load("linear_regressor"), num_classes=classes).lines[1].words
    assert words == f"Prediction: the inner product of the features and the weights {end}"
  scaled = explain("def Setup():\n  s2 = 0.17\ndef Predict():\n  v1 = s2 * v2\n  s1 = dot(v0, v1)\n"
                   "def Learn():\n  s3 = s0 - s1\n  v3 = s3 * v0\n  v2 = v2 + v3", num_features=4)
  assert scaled.lines[0].words == "Scale of the prediction, and so of every step: 0.17."
  assert scaled.lines[1].words == "Weights, prepared for use: the scale s2 times the weights v2."
  difference = explain("def Predict():\n  s1 = dot(v0, v1)\ndef Learn():\n  s2 = s1 - s0\n"
                       "  v2 = s2 * v0\n  v1 = v1 - v2\ndef Setup():\n", num_features=4)
  assert difference.lines[-1].words == "Gradient step: takes the gradient v2 off the weights v1."
  assert difference.lines[-3].words == "Error: the prediction minus the label."


@pytest.mark.parametrize("name", zoo.names())
def test_what_is_said_does_not_depend_on_spelling(name):
  multiclass, rng = zoo.is_multiclass(name), np.random.default_rng(5)
  original = surgery.take_apart(zoo.load(name, 8))
  wanted = _roles(zoo.load(name, 8), name)
  code = rewritten.swapped(rewritten.renamed(original, rng, multiclass=multiclass))
  code, moved = rewritten.shuffled(code, rng)
  assert code != original
  changed = rewritten.program(code, 8, multiclass=multiclass)
  assert _names(changed, multiclass=multiclass) == _FOUND[name]
  assert _roles(changed, name) == [
      [roles[k] for k in order] for roles, order in zip(wanted, moved)]
  # Other constants: a rate that falls may fall more slowly then.
  rescaled = rewritten.program(rewritten.rescaled(original, 1.5), 8, multiclass=multiclass)
  assert _names(rescaled, multiclass=multiclass) == _FOUND[name]
  assert _roles(rescaled, name) == wanted


@pytest.mark.parametrize("name", zoo.names())
def test_knocked_out_a_mechanism_is_not_said_to_be_there(name):
  multiclass = zoo.is_multiclass(name)
  code = surgery.take_apart(zoo.load(name, 8))
  found = find_mechanisms(zoo.load(name, 8), multiclass=multiclass)
  typical = {place: 1.0 for place in (
      surgery.At(function, k) for function in Function for k in range(1, 46))}
  for mechanism in found:
    changed = surgery.apply(code, mechanism.edits, typical=typical, multiclass=multiclass)
    left = _names(rewritten.program(changed, 8, multiclass=multiclass), multiclass=multiclass)
    assert mechanism.name not in left
    assert mechanism.places and mechanism.without
    if mechanism.name in (NOISY_INPUT, NORMALISED, AVERAGING, NOISY_RELU, RATE_DECAY, MEAN_RATE):
      assert left == [each for each in _FOUND[name] if each != mechanism.name]


_LINEAR = """
def Setup():
  s2 = 0.01
  s3 = {decay}
def Predict():
  {predict}
  s1 = dot(v3, v1)
def Learn():
  s4 = s0 - s1
  s4 = s4 * s2
  v2 = s4 * v3
  {learn}
  v1 = v1 + v2
"""
_PLAIN = "v3 = v0 + v9"


@pytest.mark.parametrize("predict, learn, decay, more", [
    (_PLAIN, "", 0.9, []),
    ("v4 = gaussian(0, 0.1)\n  v3 = v0 + v4", "", 0.9, [NOISY_INPUT]),
    ("v4 = gaussian(0, 0.1)\n  v3 = v0 * v4", "", 0.9, [NOISY_INPUT]),
    # The same noise for all examples, of no deviation, or on the weights.
    ("v4 = gaussian(0.5, 0)\n  v3 = v0 + v4", "", 0.9, []),
    (_PLAIN, "v4 = gaussian(0, 0.1)\n  v1 = v1 + v4", 0.9, []),
    # Features squared are no model with weights between the factors.
    ("v3 = v0 * v0", "", 0.9, []),
    (_PLAIN, "s5 = norm(v0)\n  s5 = 1 / s5\n  v2 = s5 * v2", 0.9, [NORMALISED]),
    (_PLAIN, "s5 = dot(v0, v0)\n  s4 = s4 / s5\n  v2 = s4 * v3", 0.9, [NORMALISED]),
    # By a size of the weights, or multiplied by that of the gradient.
    (_PLAIN, "s5 = norm(v1)\n  s5 = 1 / s5\n  v2 = s5 * v2", 0.9, []),
    (_PLAIN, "s5 = norm(v2)\n  v2 = s5 * v2", 0.9, []),
    (_PLAIN, "v1 = s3 * v1", 0.9, [FORGETTING]),
    (_PLAIN, "v4 = s3 * v1\n  v1 = v1 - v4", 0.1, [FORGETTING]),
    (_PLAIN, "v1 = s3 * v1", 1.1, []),  # they grow
    # A sum, and signs that cancel; the same signs make weights grow, or turn them round.
    (_PLAIN, "v4 = s3 * v1\n  v1 = v1 + v4", -0.1, [FORGETTING]),
    (_PLAIN, "v4 = s3 * v1\n  v1 = v9 - v4", -0.9, [FORGETTING]),
    (_PLAIN, "v4 = s3 * v1\n  v1 = v1 + v4", 0.1, []),
    (_PLAIN, "v4 = s3 * v1\n  v1 = v1 - v4", -0.1, []),
    (_PLAIN, "v1 = s3 * v1", -0.9, []),
    (_PLAIN, "v4 = s3 * v1\n  v1 = v4 + v4", 0.5, []),
    (_PLAIN, "v2 = s3 * v2", 0.9, []),  # the increment shrinks
    (_PLAIN, "v4 = s3 * v4\n  v4 = v4 + v2\n  v2 = v4 + v9", 0.9, [MOMENTUM]),
    (_PLAIN, "v4 = v4 + v1", 0.9, [])])  # a sum that predicts nothing
def test_a_mechanism_is_told_from_what_looks_like_it(predict, learn, decay, more):
  source = _LINEAR.format(predict=predict, learn=learn, decay=decay)
  assert _names(source) == [GRADIENT_STEPS, *more]


@pytest.mark.parametrize(("constant", "order", "found"), [
    (-1, "s0 + s4", [GRADIENT_STEPS]), (-0.5, "s4 + s0", [GRADIENT_STEPS]), (1, "s0 + s4", [])])
def test_a_label_plus_the_negated_prediction_is_an_error(constant, order, found):
  assert _names(
      f"def Setup():\n  s3 = {constant}\n  s2 = 0.1\ndef Predict():\n  s1 = dot(v0, v1)\n"
      f"def Learn():\n  s4 = s3 * s1\n  s4 = {order}\n  s4 = s4 * s2\n  v2 = s4 * v0\n"
      "  v1 = v1 + v2") == found


def test_the_linear_model_of_several_classes_is_trained_by_its_error():
  program = text.parse(starts.linear_of_classes("0.1"), num_features=8, multiclass=True)
  explained = explain(program, num_classes=3)
  assert explained.summary == (
      "A linear model of the features, trained by steps that are products of its error.")
  assert explained.lines[4].words == "Error: the label plus v3."


@pytest.mark.parametrize("decay, learn, part", [
    (0.875, "v1 = s3 * v1", 0.875), (-0.125, "v4 = s3 * v1\n  v1 = v1 + v4", 0.875),
    (0.125, "v4 = s3 * v1\n  v1 = v1 - v4", 0.875),
    (-0.875, "v4 = s3 * v1\n  v1 = v9 - v4", 0.875),
    (0.375, "v4 = s3 * v1\n  v1 = v4 + v4", 0.75)])
def test_without_forgetting_the_weights_stay_as_they_were(decay, learn, part):
  program = text.parse(_LINEAR.format(predict=_PLAIN, learn=learn, decay=decay), num_features=4)
  [mechanism] = [each for each in find_mechanisms(program) if each.name == FORGETTING]
  assert "shrink by a constant part" in mechanism.why
  code = surgery.apply(surgery.take_apart(program), mechanism.edits)
  changed = rewritten.program(code, 4, multiclass=False)
  assert _names(changed) == [GRADIENT_STEPS]
  for each, kept in ((program, part), (changed, 1.0)):
    terms = Terms(each)
    [weight] = terms.weights.values()
    assert kept_part(terms, weight, 3).tolist() == [kept, kept]


def test_a_part_that_changes_is_not_called_constant():
  source = _LINEAR.format(predict=_PLAIN, learn="s3 = s3 * s7\n  v1 = s3 * v1", decay=0.9)
  program = text.parse(source.replace("s2 = 0.01", "s2 = 0.01\n  s7 = 0.99"), num_features=4)
  [mechanism] = [each for each in find_mechanisms(program) if each.name == FORGETTING]
  assert "shrink by a part in every step" in mechanism.why


def test_averages_predict_once_training_is_over_only():
  source = """
def Setup():
  s2 = 0.01
def Predict():
  s1 = dot(v0, v3)
  {predict}
def Learn():
  s4 = s0 - s1
  s4 = s4 * s2
  v2 = s4 * v0
  v1 = v1 + v2
  v4 = v4 + v1
  v3 = v1 + v9
"""
  assert _names(source.format(predict="v3 = v4 + v9")) == [GRADIENT_STEPS, AVERAGING]
  assert _names(source.format(predict="")) == [GRADIENT_STEPS]
  assert _names(source.format(predict="v3 = v1 + v9")) == [GRADIENT_STEPS]


def test_dead_lines_are_shown_and_said_to_be():
  explained = explain(zoo.load("s1a", 8))
  dead = [line.text for line in explained.lines if not line.is_live]
  assert len(dead) == 9 and "s6 = cos(s4)" in dead
  assert {line.words for line in explained.lines if not line.is_live} == {
      "No effect: no prediction depends on it."}


@pytest.mark.parametrize("name", zoo.names())
def test_an_explanation_shows_itself(name):
  program = zoo.load(name, 8)
  explained = explain(program, num_classes=_classes(name))
  multiclass = zoo.is_multiclass(name)
  assert text.parse(explained.annotated(), program.space, multiclass=multiclass) == program
  assert json.loads(json.dumps(explained.as_dict()))["summary"] == explained.summary
  for shown in (str(explained), explained.markdown(), explained._repr_html_()):
    assert explained.summary in shown
    assert all(each.name in shown for each in explained.mechanisms)


def test_programs_that_do_not_learn_are_said_not_to():
  fixed = explain("def Setup():\ndef Predict():\n  s1 = norm(v0)\ndef Learn():\n", num_features=4)
  assert fixed.summary == "A fixed function of the features, not trained."
  blind = explain("def Setup():\n  s1 = 0.5\ndef Predict():\ndef Learn():\n", num_features=4)
  assert blind.summary.startswith("A prediction that does not look at the features")
  assert not fixed.mechanisms and not blind.mechanisms


def test_bad_input_is_refused():
  with pytest.raises(ValueError, match="One program at a time is looked at, got 2"):
    explain(zoo.load("plain_nn")[[0, 0]])
  with pytest.raises(ValueError, match="must be Programs or its text, got int"):
    explain(3)
  with pytest.raises(ValueError, match="10 classes need at least 10 features, the program is"):
    explain("def Predict():\n  v2 = v0 + v0\n", num_features=4, num_classes=10)
  with pytest.raises(ValueError, match="for F = 4, the tasks have 8"):
    explain(zoo.load("plain_nn"), num_features=8)


def test_an_op_of_ones_own_is_said_by_its_name():
  register_op("vector_softsign", "v", "v", lambda x: x / (1 + abs(x)), text="{out} = softsign({a})")
  explained = explain(
      "def Setup():\ndef Predict():\n  v1 = softsign(v0)\n  s1 = dot(v1, v2)\ndef Learn():\n"
      "  s2 = s0 - s1\n  v3 = s2 * v1\n  v2 = v2 + v3\n", num_features=4)
  assert explained.lines[0].words == "Made of the features: vector_softsign of the features."
  assert explained.summary == (
      "A model of the features, trained by steps that are products of its error.")


def test_what_remembers_the_example_before_is_no_fixed_function():
  explained = explain(
      "def Setup():\n  s2 = 0.1\ndef Predict():\n  s1 = dot(v0, v1)\ndef Learn():\n"
      "  s3 = s0 - s1\n  s4 = s3 * s2\n  v1 = s4 * v0\n", num_features=4)
  assert explained.summary == (
      "A function of the features and of the examples before, without weights that it adds up.")
  fixed = explain("def Setup():\ndef Predict():\n  s1 = norm(v0)\ndef Learn():\n", num_features=4)
  assert fixed.summary == "A fixed function of the features, not trained."


_STEP = "s3 = s0 - s1\n  s4 = s3 * s2\n  v3 = s4 * v0\n  v1 = v1 + v3"


def _explained(predict, learn=_STEP, setup="s6 = 5", **settings):
  return explain(
      f"def Setup():\n  s2 = 0.01\n  {setup}\ndef Predict():\n  {predict}\n"
      f"def Learn():\n  {learn}\n", num_features=4, **settings)


@pytest.mark.parametrize("predict, model", [
    ("s1 = dot(v1, v0)", "A linear model"),
    ("v2 = v0 + v0\n  s1 = dot(v1, v2)", "A linear model"),
    ("v2 = v0 * v0\n  s1 = dot(v1, v2)", "A model"),
    ("s1 = dot(v1, v0)\n  s5 = norm(v0)\n  s1 = s1 + s5", "A model"),
    ("s5 = dot(v0, v0)\n  v2 = s5 * v1\n  s1 = dot(v2, v0)", "A model"),
    ("s5 = dot(v1, v0)\n  s1 = maximum(s5, s5)", "A model"),
    ("s5 = dot(v1, v0)\n  s1 = minimum(s5, s6)", "A model")])
def test_a_model_is_linear_if_all_ways_are_and_a_layer_has_weights_behind(predict, model):
  explained = _explained(predict)
  assert explained.summary.startswith(f"{model} of the features, trained")
  assert [each.name for each in explained.mechanisms] == [GRADIENT_STEPS]


def test_a_product_of_squares_is_no_bilinear_model():
  explained = _explained(
      "v2 = v0 * v0\n  v3 = dot(m0, v2)\n  s1 = dot(v3, v2)",
      "s3 = s0 - s1\n  v4 = s3 * v2\n  m1 = outer(v4, v2)\n  m0 = m0 + m1")
  assert [each.name for each in explained.mechanisms] == [GRADIENT_STEPS]


@pytest.mark.parametrize("predict, learn, summary", [
    ("s1 = dot(v1, v0)", "v1 = v1 + v0",
     "A function of the features and of the examples before, not trained by labels."),
    ("s3 = norm(v0)\n  s1 = s1 + s3", "",
     "A function of the features and of the examples before, not trained by labels."),
    ("s1 = norm(v1)", "v1 = v0 + v2", "A function of the examples before, not trained by labels."),
    ("s3 = norm(v0)\n  s1 = s2 + s3", "s2 = s2 + s6",
     "A fixed function of the features, not trained.")])
def test_what_remembers_features_is_no_fixed_function(predict, learn, summary):
  assert _explained(predict, learn).summary == summary


def test_gradients_divided_by_their_squares_are_not_sent_back():
  adagrad = ("s3 = s0 - s1\n  v3 = s3 * v0\n  v4 = v3 * v3\n  v5 = v5 + v4\n  "
             "v6 = v3 {by} v5\n  v6 = s2 * v6\n  v1 = v1 + v6")
  for by in "/*":
    explained = _explained("s1 = dot(v1, v0)", adagrad.format(by=by))
    assert BACKPROPAGATION not in [each.name for each in explained.mechanisms]
  divided = _explained("s1 = dot(v1, v0)", _STEP.replace("v1 = v1", "v3 = v3 / v5\n  v1 = v1")
                       + "\n  v5 = v5 + v3", setup="v5 = gaussian(1, 0)")
  assert BACKPROPAGATION not in [each.name for each in divided.mechanisms]
  read = _explained("s1 = dot(v1, v0)\n  s7 = dot(v5, v0)\n  s1 = s1 + s7", adagrad.format(by="/"))
  assert BACKPROPAGATION not in [each.name for each in read.mechanisms]


def test_noise_of_an_op_of_ones_own_is_noise():
  register_op("coin", "", "s", lambda noise: noise, noise="uniform")
  explained = _explained(
      "s1 = dot(v1, v0)",
      "s7 = coin()\n  s5 = s5 + s7\n  s6 = 1 / s5\n  s3 = s0 - s1\n  s4 = s3 * s6\n"
      "  v3 = s4 * v0\n  v1 = v1 + v3", setup="s5 = 0.5")
  assert [each.name for each in explained.mechanisms] == [GRADIENT_STEPS]
  [drawn] = [line.role for line in explained.lines if "coin" in line.text]
  assert drawn == "noise"


def test_a_label_plus_little_of_the_prediction_is_no_error():
  learn = "s5 = s6 * s1\n  s3 = s0 + s5\n  s4 = s3 * s2\n  v3 = s4 * v0\n  v1 = v1 + v3"
  for constant, names in ((-0.001, []), (-100, []), (-0.9, [GRADIENT_STEPS])):
    explained = _explained("s1 = dot(v1, v0)", learn, setup=f"s6 = {constant}")
    assert [each.name for each in explained.mechanisms] == names


def test_the_error_of_the_example_before_is_said_to_be():
  learn = "s4 = s3 * s2\n  v3 = s4 * v0\n  v1 = v1 + v3\n  s3 = s0 - s1"
  [steps] = _explained("s1 = dot(v1, v0)", learn).mechanisms
  assert steps.why.endswith("a product of an error, perhaps of the example before.")
  [steps] = _explained("s1 = dot(v1, v0)").mechanisms
  assert steps.why.endswith("a product of its error.")


def test_a_rate_that_alternates_keeps_its_signs():
  explained = _explained("s1 = dot(v1, v0)", f"s2 = s2 * s6\n  {_STEP}", setup="s6 = -1")
  [words] = [line.words for line in explained.lines if line.text == "s2 = s2 * s6"]
  assert words.endswith(
      "it goes from 0.01 at the second example to 0.01 at example 800 and changes its sign.")


def test_a_sum_that_decays_adds_up_no_weights_of_all_steps():
  learn = ("s3 = s0 - s1\n  s4 = s3 * s2\n  v2 = s4 * v0\n  v1 = v1 + v2\n  {decay}"
           "v4 = v4 + v1\n  v3 = v1 + v9")
  for decay, does in (("", "adds up the weights of all training steps."),
                      ("v4 = s6 * v4\n  ", "of every training step to what it scales before.")):
    explained = _explained(
        "s1 = dot(v0, v3)\n  v3 = v4 + v9", learn.format(decay=decay), setup="s6 = 0.9")
    [why] = [each.why for each in explained.mechanisms if each.name == AVERAGING]
    assert does in why


@pytest.mark.parametrize("factor, decays", [(0.99, True), (-0.99, False)])
def test_a_rate_that_changes_its_sign_does_not_decay(factor, decays):
  explained = explain(
      f"def Setup():\n  s2 = 0.1\n  s5 = {factor}\ndef Predict():\n  s1 = dot(v0, v1)\n"
      "def Learn():\n  s3 = s0 - s1\n  s4 = s3 * s2\n  v2 = s4 * v0\n  v1 = v1 + v2\n"
      "  s2 = s2 * s5\n", num_features=4)
  names = [each.name for each in explained.mechanisms]
  assert ("learning-rate decay" in names) == decays
  if decays:
    [why] = [each.why for each in explained.mechanisms if each.name == "learning-rate decay"]
    assert "falls from 0.099 at the second example to 3.25e-05 at example 800" in why


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.names())
def test_mutants_are_explained_and_their_mechanisms_knocked_out(name):
  multiclass, rng = zoo.is_multiclass(name), np.random.default_rng(11)
  typical = {place: 1.0 for place in (
      surgery.At(function, k) for function in Function for k in range(1, 60))}
  for _ in range(40):
    code = rewritten.mutated(surgery.take_apart(zoo.load(name)), rng)
    program = rewritten.program(code, 4, multiclass=multiclass)
    for mechanism in explain(program, num_classes=_classes(name)).mechanisms:
      changed = surgery.apply(code, mechanism.edits, typical=typical, multiclass=multiclass)
      assert mechanism.name not in _names(
          rewritten.program(changed, 4, multiclass=multiclass), multiclass=multiclass)
