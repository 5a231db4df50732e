"""Ablations, simplifications and the bench they are measured on: one small set of tasks."""

from collections.abc import Iterator
import dataclasses
import json

import numpy as np
import pytest
from support import rewritten

import azero
from azero.compiler import canonical
from azero.insight import bench as bench_lib
from azero.insight import surgery
from azero.insight.ablation import INSTRUCTION, MECHANISM, ablate
from azero.insight.bench import Bench
from azero.insight.decoupling import decouple
from azero.insight.knocking_in import KNOCK_INS, knock_in
from azero.insight.mechanisms import (
  AVERAGING,
  BILINEAR,
  FORGETTING,
  GRADIENT_STEPS,
  MOMENTUM,
  NOISY_INPUT,
  NORMALISED,
  find_mechanisms,
)
from azero.insight.motifs import MEAN_RATE, NOISY_RELU, RATE_DECAY
from azero.insight.observation import observe
from azero.insight.plots import ablation_plot
from azero.insight.simplification import KEY, ORDER, PREDICTIONS, TOLERANCE, simplify
from azero.insight.statistics import paired_difference
from azero.insight.surgery import At, Copy, Drop, Hold, Read
from azero.language import zoo
from azero.language.program import Function
from azero.tasks.task import Tasks

_LEARN, _PREDICT = Function.LEARN, Function.PREDICT
_PROGRAMS = ("figure_6", "s1b", "plain_nn")
# The ops and addresses that knock-ins and other changes bring with them.
_ROOM = """
def Setup():
  s14 = norm(v14)
  s14 = arctan(s14)
  s14 = 1 / s14
  s14 = s14 * s14
  m6 = s14 * m6
  v14 = s14 * v14
  v14 = gaussian(0.0, 1.0)
  s14 = gaussian(0.0, 1.0)
  v14 = bcast(s14)
  s14 = log(s14)
  s14 = minimum(s14, s14)
  s14 = mean(v14)
def Predict():
  s1 = cos(s1)
def Learn():
""" + "  s14 = sin(s14)\n" * 22


def _tasks() -> Tasks:
  """Two classes, told apart by the sign of a product of two linear functions."""
  rng = np.random.default_rng(3)
  x, u, w = (rng.standard_normal(shape) for shape in ((6, 160, 4), (6, 4, 1), (6, 4, 1)))
  y = ((x @ u) * (x @ w) > 0)[..., 0].astype(float)
  return azero.make_tasks(x[:, :100], y[:, :100], x[:, 100:], y[:, 100:], "accuracy")


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
  """One for all tests: its evaluator is compiled once, for all programs."""
  made = Bench(_tasks(), num_seeds=2, num_devices=1)
  programs = [zoo.load(name) for name in (*_PROGRAMS, "linear_regressor")]
  programs.append(azero.parse(_ROOM, num_features=4))
  made.measure([surgery.take_apart(program) for program in programs])
  first = made._evaluator
  yield made
  assert made._evaluator is first


def _code(source: str) -> surgery.Code:
  return surgery.take_apart(azero.parse(source, num_features=4))


_LINEAR = """
def Setup():
  s2 = 0.01
def Predict():
  s1 = dot(v0, v1)
def Learn():
  s3 = s0 - s1
  s4 = s3 * s2
  v2 = s4 * v0
  v1 = v1 + v2
"""


def test_figure_6_is_ablated_feature_by_feature(bench):
  ablations = ablate(zoo.load("figure_6"), bench)
  assert [row.name for row in ablations.mechanisms] == [
      GRADIENT_STEPS, NOISY_INPUT, BILINEAR, NORMALISED, AVERAGING]
  assert len(ablations.instructions) == 16
  assert (ablations.num_tasks, ablations.num_seeds) == (6, 2)
  by_name = {row.name: row for row in ablations.rows}
  # A linear model cannot tell the classes apart, and nothing can that is not trained.
  for name in (GRADIENT_STEPS, BILINEAR):
    assert by_name[name].matters and by_name[name].loss.estimate > 0.15
  for row in ablations.rows:
    assert row.loss.estimate == pytest.approx(ablations.fitness - row.fitness)
    assert row.loss.low <= row.loss.estimate <= row.loss.high


def test_a_row_is_what_its_program_comes_to(bench):
  program = azero.parse(_LINEAR, num_features=4)
  ablations = ablate(program, bench)
  codes = [surgery.take_apart(each) for each in (
      program, *(row.program for row in ablations.rows))]
  measured = bench.measure(codes)
  for k, row in enumerate(ablations.rows, start=1):
    # No random numbers: seeds make no difference.
    assert row.fitness == measured.per_task[k, 0].mean()
    wanted = paired_difference(measured.per_task[0, 0], measured.per_task[k, 0])
    assert row.loss == wanted


def test_everything_is_measured_in_one_batch(bench, monkeypatch):
  calls = []
  evaluate = type(bench._evaluator).evaluate
  monkeypatch.setattr(
      type(bench._evaluator), "evaluate",
      lambda self, *args, **kwargs: calls.append(1) or evaluate(self, *args, **kwargs))
  before = bench._evaluator
  ablate(zoo.load("figure_6"), bench)
  assert len(calls) == 1 and bench._evaluator is before


def test_what_changes_nothing_costs_nothing(bench):
  idle = _LINEAR.replace("  v1 = v1 + v2", "  v2 = v2 + v5\n  v1 = v1 + v2")
  [row] = [row for row in ablate(idle, bench).rows if row.name == "v2 = v2 + v5"]
  assert row.loss.estimate == row.loss.low == row.loss.high == 0 and not row.matters


def test_constants_are_tuned_on_other_tasks(bench):
  slow = _LINEAR.replace("0.01", "0.0")
  ablations = ablate(slow, bench, instructions=False, num_trials=4)
  assert ablations.num_tasks == 3 and ablations.num_trials == 4
  wrong = _LINEAR.replace("0.01", "1000.0")
  tuned = ablate(wrong, bench, instructions=False, num_trials=12)
  assert tuned.fitness >= ablate(wrong, bench, instructions=False).fitness
  with pytest.raises(ValueError, match="needs two tasks or more"):
    ablate(_LINEAR, Bench(bench.tasks[0]), num_trials=4)


def test_ablations_show_themselves(bench):
  ablations = ablate(azero.parse(_LINEAR, num_features=4), bench)
  figure = ablation_plot.plot_ablations(ablations, title="linear")
  labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
  assert labels == [
      row.name if row.kind == MECHANISM else str(row.places[0]) for row in ablations.rows]
  assert [row["kind"] for row in json.loads(json.dumps(ablations.as_dict()))["ablations"]] == (
      [MECHANISM] + [INSTRUCTION] * 6)
  for shown in (str(ablations), ablations.markdown(), ablations._repr_html_()):
    assert "Learn 1: s3 = s0 - s1" in shown and GRADIENT_STEPS in shown
  with pytest.raises(ValueError, match="Nothing to plot"):
    ablation_plot.plot_ablations(dataclasses.replace(ablations, rows=()))


@pytest.mark.parametrize("name", zoo.names())
def test_without_tasks_simplification_keeps_the_key_or_the_order(name):
  program, multiclass = zoo.load(name, 8), zoo.is_multiclass(name)
  simpler = simplify(program, num_classes=3 if multiclass else 0)
  assert {step.proof for step in simpler.steps} <= {KEY, ORDER}
  kept = simplify(program, num_classes=3 if multiclass else 0, rename=False)
  keys = [
      canonical.analyse(each, multiclass=multiclass).key.tolist()
      for each in (program, kept.program)]
  assert keys[0] == keys[1]
  assert kept.program.lengths.sum() == simpler.program.lengths.sum() <= program.lengths.sum()
  again = simplify(simpler.program, num_classes=3 if multiclass else 0)
  assert again.program == simpler.program and not again.steps


def test_instructions_without_effect_are_counted():
  for count, noun in ((1, "1 instruction"), (2, "2 instructions")):
    dead = "  s5 = s6 + s6\n" * count
    program = azero.parse(f"def Setup():\ndef Predict():\n{dead}  s1 = mean(v0)\ndef Learn():")
    assert [step.what for step in simplify(program).steps] == [f"{noun} without effect left out"]


def test_reordering_changes_no_prediction(bench):
  for name in _PROGRAMS:
    program = zoo.load(name)
    codes = [surgery.take_apart(program), surgery.take_apart(simplify(program).program)]
    measured = bench.measure(codes)
    assert (measured.fingerprint[0] == measured.fingerprint[1]).all()


def test_what_is_idle_is_found_and_nothing_else(bench):
  padded = """
def Setup():
  s5 = 0.1
  s6 = 0.1
  s2 = s5 * s6
def Predict():
  v3 = v0 + v9
  s1 = dot(v3, v1)
  s8 = cos(s1)
def Learn():
  s3 = s0 - s1
  s7 = s3 * s2
  s4 = s3 * s2
  s7 = s7 - s4
  s4 = s4 + s7
  v2 = s4 * v0
  v4 = maximum(v2, v2)
  v1 = v1 + v4
"""
  simpler = simplify(padded, bench)
  assert {step.proof for step in simpler.steps} <= {KEY, ORDER, PREDICTIONS}
  assert simpler.loss.estimate == simpler.loss.low == simpler.loss.high == 0
  keys = [
      canonical.analyse(azero.parse(text, num_features=4)).key.tolist() for text in (
          str(simpler.program), _LINEAR.replace("0.01", repr(float(np.float32(0.1) ** 2))))]
  assert keys[0] == keys[1]


def test_a_tolerance_is_kept(bench):
  simpler = simplify(zoo.load("s1b"), bench, tolerance=0.05)
  losses = [step.loss for step in simpler.steps if step.proof == TOLERANCE]
  assert losses and all(loss.high <= 0.05 for loss in losses)
  assert simpler.program.lengths.sum() < 17
  exact = simplify(zoo.load("s1b"), bench)
  assert exact.fitness == exact.original_fitness
  assert exact.program.lengths.sum() == 17  # in front of its noise nothing may go exactly
  assert json.loads(json.dumps(simpler.as_dict()))["steps"][-1]["proof"] == KEY
  for shown in (str(simpler), simpler.markdown(), simpler._repr_html_()):
    assert f"17 instructions became {simpler.program.lengths.sum()}." in shown


def test_one_task_without_random_numbers_has_no_interval():
  per_task = np.array([[[0.9], [0.9]], [[0.5], [0.5]], [[0.5], [0.6]]])
  measured = bench_lib.Measured(per_task, np.zeros((3, 4), np.uint64))
  loss = measured.loss(1)
  assert (loss.estimate, loss.low, loss.high) == (pytest.approx(0.4), -np.inf, np.inf)
  loss = measured.loss(2)
  assert loss.estimate == pytest.approx(0.35) and -1 < loss.low < 0.35 < loss.high < 1.7


def test_observed_values_are_those_of_training(bench):
  tasks = bench.tasks
  seen = observe(azero.parse(_LINEAR, num_features=4), tasks, num_examples=20)
  weights, errors = np.zeros(4), []
  for x, y in zip(tasks.train_x[0, :20], tasks.train_y[0, :20]):
    errors.append(y - 1 / (1 + np.exp(-x @ weights)))
    weights = weights + 0.01 * errors[-1] * x
  np.testing.assert_allclose(seen[At(_LEARN, 1)], errors, rtol=1e-5)
  np.testing.assert_allclose(seen[At(_LEARN, 4)][-1], weights.mean(), rtol=1e-4)
  np.testing.assert_allclose(seen[At(Function.SETUP, 1)], [0.01], rtol=1e-6)


_MOMENTUM = _LINEAR.replace("s2 = 0.01", "s2 = 0.01\n  s5 = 0.875").replace(
    "  v1 = v1 + v2", "  v3 = s5 * v3\n  v3 = v3 + v2\n  v1 = v1 + v3")
_FORGETTING = _LINEAR.replace("s2 = 0.01", "s2 = 0.01\n  s5 = 0.875").replace(
    "  v1 = v1 + v2", "  v1 = s5 * v1\n  v1 = v1 + v2")
_MEAN_RATE = _LINEAR.replace("s2 = 0.01", "s2 = -0.5").replace(
    "s1 = dot(v0, v1)", "s1 = dot(v0, v1)\n  s2 = cos(s2)").replace(
        "  v1 = v1 + v2", "  v1 = v1 + v2\n  s2 = mean(v1)")
_DONORS = {
    NOISY_INPUT: "figure_6", BILINEAR: "figure_6", NORMALISED: "figure_6", AVERAGING: "figure_6",
    NOISY_RELU: "s2a", RATE_DECAY: "s2b", MOMENTUM: _MOMENTUM, FORGETTING: _FORGETTING,
    MEAN_RATE: _MEAN_RATE}


@pytest.mark.parametrize("recipient", ["linear_regressor", "plain_nn"])
@pytest.mark.parametrize("name", KNOCK_INS)
def test_what_is_knocked_in_is_there_then(bench, name, recipient):
  donor = _DONORS[name]
  donor = zoo.load(donor) if donor in zoo.names() else donor
  before = [each.name for each in find_mechanisms(zoo.load(recipient))]
  if name == NOISY_RELU and recipient == "linear_regressor":
    with pytest.raises(ValueError, match="no rectified vector"):
      knock_in(name, donor, zoo.load(recipient), bench)
    return
  result = knock_in(name, donor, zoo.load(recipient), bench)
  after = [each.name for each in find_mechanisms(result.program)]
  assert sorted(after) == sorted([*before, name])
  assert result.gain.estimate == pytest.approx(result.fitness - result.original_fitness)
  assert f"With {name}: fitness" in str(result)


_NOISY = _LINEAR.replace("s2 = 0.01", "s2 = 0.01\n  s5 = 0.001")
_NOISY_NETWORK = zoo.source("plain_nn").replace(
    "  v4 = maximum(v3, v5)",
    "  s8 = gaussian(0, 0.1)\n  v9 = bcast(s8)\n  v3 = v3 + v9\n  v4 = maximum(v3, v5)")


@pytest.mark.parametrize("drawn, moved", [
    ("v3 = gaussian(0, 1)\n  v3 = s5 * v3", ["gaussian(0.0, 1.0)", "s5 * v3"]),
    ("v4 = gaussian(0, 1)\n  v4 = s5 * v4\n  s9 = gaussian(0, 2)\n  v3 = bcast(s9)\n  v3 = v3 + v4",
     ["gaussian(0.0, 1.0)", "s5 * v3", "gaussian(0.0, 2.0)", "bcast(s6)", "v4 + v3"])])
def test_noise_is_knocked_in_as_it_meets_the_features(bench, drawn, moved):
  donor = _NOISY.replace("s1 = dot(v0, v1)", f"{drawn}\n  v5 = v0 + v3\n  s1 = dot(v5, v1)")
  lines = str(knock_in(NOISY_INPUT, donor, zoo.load("linear_regressor"), bench).program)
  predict = lines.split("def Predict():\n")[1].split("def Learn")[0].split("\n")
  *made, join, _, _ = [line.split(" = ")[-1] for line in predict]
  assert made == moved and join.startswith("v0 + ")


def test_noise_of_a_layer_may_be_one_number_for_all(bench):
  network = zoo.load("plain_nn")
  result = knock_in(NOISY_RELU, _NOISY_NETWORK, network, bench)
  assert NOISY_RELU in [each.name for each in find_mechanisms(result.program)]
  assert "bcast(" in str(result.program)
  # Of layers the first whose input is made of the features; here the other one has none.
  idle = zoo.source("plain_nn").replace(
      "  v4 = maximum(v3, v5)", "  v7 = maximum(v6, v5)\n  v4 = maximum(v3, v7)")
  assert knock_in(NOISY_RELU, _NOISY_NETWORK, idle, bench).name == NOISY_RELU


def test_noise_that_data_scale_first_is_not_moved(bench):
  donor = zoo.source("plain_nn").replace(
      "  v4 = maximum(v3, v5)", "  s8 = gaussian(0, 0.1)\n  v3 = s8 * v3\n  v4 = maximum(v3, v5)")
  with pytest.raises(ValueError, match="donor's noise is no vector that joins others by a sum"):
    knock_in(NOISY_RELU, donor, zoo.load("plain_nn"), bench)


@pytest.mark.parametrize("drawn, message", [
    ("v3 = gaussian(0, 1)\n  v3 = v1 * v3\n  v5 = v0 + v3\n  s1 = dot(v5, v1)",
     "no vector that joins others by a sum"),
    ("v3 = gaussian(0, 1)\n  v4 = gaussian(0, 2)\n  v5 = v0 + v3\n  v6 = v0 + v4\n"
     "  s7 = dot(v6, v1)\n  s1 = dot(v5, v1)\n  s1 = s1 + s7", "more than once")])
def test_noise_that_cannot_be_moved_whole_stays(bench, drawn, message):
  donor = _NOISY.replace("s1 = dot(v0, v1)", drawn)
  with pytest.raises(ValueError, match=message):
    knock_in(NOISY_INPUT, donor, zoo.load("linear_regressor"), bench)


def test_a_bilinear_model_helps_a_linear_one(bench):
  fast = zoo.source("linear_regressor").replace("0.001", "0.03")
  result = knock_in(BILINEAR, zoo.load("figure_6"), fast, bench)
  assert result.helps and result.gain.estimate > 0.15
  # Both are tuned on every other task, and measured on those between.
  tuned = knock_in(BILINEAR, zoo.load("figure_6"), fast, bench, num_trials=8)
  assert tuned.gain.estimate == pytest.approx(tuned.fitness - tuned.original_fitness)
  assert tuned.fitness >= 0.8
  [constant] = [
      line for line in str(knock_in(FORGETTING, _FORGETTING, fast, bench).program).splitlines()
      if "0.875" in line]
  assert constant.strip() == "s5 = 0.875"


def test_what_cannot_be_knocked_in_is_refused(bench):
  figure_6, linear = zoo.load("figure_6"), zoo.load("linear_regressor")
  with pytest.raises(ValueError, match=r"'luck' cannot be moved .* noise on the inputs"):
    knock_in("luck", figure_6, linear, bench)
  with pytest.raises(ValueError, match="donor has no momentum; it has gradient steps, noise"):
    knock_in(MOMENTUM, figure_6, linear, bench)
  with pytest.raises(ValueError, match="recipient has weight averaging already"):
    knock_in(AVERAGING, figure_6, figure_6, bench)
  fixed = "def Setup():\ndef Predict():\n  s1 = norm(v0)\ndef Learn():\n"
  for name in (BILINEAR, NORMALISED):
    with pytest.raises(ValueError, match="recipient has no gradient steps"):
      knock_in(name, figure_6, fixed, bench)
  with pytest.raises(ValueError, match="no weights that Learn updates"):
    knock_in(AVERAGING, figure_6, fixed, bench)


def test_a_rate_that_is_made_of_data_is_not_moved(bench):
  donor = _MEAN_RATE.replace("s2 = mean(v1)", "s6 = mean(v1)\n  s7 = norm(v0)\n  s2 = s6 + s7")
  with pytest.raises(ValueError, match="donor's rate is made of data, too"):
    knock_in(MEAN_RATE, donor, zoo.load("plain_nn"), bench)


_SHRINKING = _LINEAR.replace("s2 = 0.01", "s2 = 0.01\n  s5 = {decay}\n  s6 = 0.999").replace(
    "  v1 = v1 + v2", "  {changed}v3 = s5 * v1\n  v1 = v1 {sign} v3\n  v1 = v1 + v2")


@pytest.mark.parametrize("decay, sign", [(-0.125, "+"), (0.125, "-")])
def test_forgetting_is_knocked_in_as_it_acts(bench, decay, sign):
  donor = _SHRINKING.format(decay=decay, sign=sign, changed="")
  assert "= 0.875\n" in str(knock_in(FORGETTING, donor, _LINEAR, bench).program)


def test_weights_that_grow_or_shrink_by_changing_parts_are_not_knocked_in(bench):
  for decay, sign in ((0.001, "+"), (-0.001, "-")):
    with pytest.raises(ValueError, match="donor has no forgetting"):
      knock_in(FORGETTING, _SHRINKING.format(decay=decay, sign=sign, changed=""), _LINEAR, bench)
  changing = _SHRINKING.format(decay=0.1, sign="-", changed="s5 = s5 * s6\n  ")
  with pytest.raises(ValueError, match="shrink by a part that changes"):
    knock_in(FORGETTING, changing, _LINEAR, bench)


_COUPLED = """
def Setup():
  s5 = 0.25
  s6 = 0.5
  s7 = 4.0
  s8 = 5.0
def Predict():
  s1 = dot(v0, v1)
def Learn():
  s3 = s0 - s1
  s3 = s3 * s5
  s3 = s3 * s6
  s3 = s3 / s7
  v2 = s3 * v0
  v3 = s8 * v0
  s4 = norm(v3)
  s4 = s8 / s4
  v2 = s4 * v2
  v1 = v1 + v2
"""


def test_constants_that_only_matter_as_a_product_are_found(bench):
  decoupled = decouple(_COUPLED, bench)
  [idle, group] = decoupled.couplings
  assert str(idle) == "The size of 5 in Setup 4: s8 = 5.0 makes no difference."
  assert group.values == (0.25, 0.5, 4.0) and group.powers == (1, 1, -1)
  lines = [line.strip() for line in str(decoupled.program).splitlines()]
  assert lines[1:4] == ["s5 = 0.03125", "s6 = 1.0", "s7 = 1.0"]
  measured = bench.measure(
      [surgery.take_apart(each) for each in (decoupled.original, decoupled.program)])
  assert (measured.fingerprint[0] == measured.fingerprint[1]).all()
  [rate] = decoupled.rates
  assert rate.place.text == "s4 = s8 / s4" and rate.value > 0
  wanted = _COUPLED.replace("v2 = s4 * v2", "v2 = s9 * v2").replace(
      "def Setup():", f"def Setup():\n  s9 = {rate.value!r}")
  assert str(rate.program) == str(azero.parse(wanted, num_features=4))
  assert json.loads(json.dumps(decoupled.as_dict()))["couplings"][1]["powers"] == [1, 1, -1]
  for shown in (str(decoupled), decoupled.markdown(), decoupled._repr_html_()):
    assert "makes no difference" in shown


def test_a_program_without_constants_has_none_that_are_coupled(bench):
  decoupled = decouple(_LINEAR.replace("  s2 = 0.01\n", "").replace("s3 * s2", "s3 + s2"), bench)
  assert not decoupled.couplings


def test_a_size_that_matters_only_below_a_bound_is_not_idle(bench):
  # The smaller of both is s6, if s5 is doubled, but not if it is halved.
  bounded = _LINEAR.replace("  s2 = 0.01", "  s5 = 0.03\n  s6 = 0.02\n  s2 = minimum(s5, s6)")
  assert not decouple(bounded, bench).couplings


def test_constants_that_matter_alone_are_left_alone(bench):
  for program in (_LINEAR, str(zoo.load("plain_nn")), _MOMENTUM):
    decoupled = decouple(program, bench)
    assert not decoupled.couplings and not decoupled.rates
    assert "No constants are coupled." in decoupled.markdown()
  [rate] = decouple(zoo.load("figure_6"), bench).rates
  assert rate.place.text == "s2 = norm(m1)"


@pytest.mark.parametrize("edit, wanted", [
    (Drop(At(_LEARN, 2)), _LINEAR.replace("  s4 = s3 * s2\n", "")),
    (Copy(At(_LEARN, 2), 0), _LINEAR.replace("s4 = s3 * s2", "s4 = s3 + s5")),
    (Hold(At(_LEARN, 2), 0.5), _LINEAR.replace("s4 = s3 * s2", "s4 = 0.5")),
    (Read(At(_LEARN, 2), 1, 0.0), _LINEAR.replace("s4 = s3 * s2", "s4 = s3 * s5")),
    (Read(At(_LEARN, 3), 1, 2.0), _LINEAR.replace(
        "  s2 = 0.01", "  s5 = 2.0\n  v3 = bcast(s5)\n  s2 = 0.01").replace(
            "v2 = s4 * v0", "v2 = s4 * v3"))])
def test_edits_do_what_they_say(edit, wanted):
  assert surgery.apply(_code(_LINEAR), [edit]) == _code(wanted)


def test_programs_go_apart_and_together_again():
  for name in zoo.names():
    program, multiclass = zoo.load(name, 8), zoo.is_multiclass(name)
    code = surgery.take_apart(program)
    assert surgery.take_apart(rewritten.program(code, 8, multiclass=multiclass)) == code
    assert surgery.fits(code, program.space)
    assert surgery.assemble([code], program.space) == program


def test_bad_input_is_refused(bench):
  with pytest.raises(ValueError, match="no instruction 9 in Learn, which has 4"):
    surgery.apply(_code(_LINEAR), [Drop(At(_LEARN, 9))])
  with pytest.raises(ValueError, match="cannot hand on a vector: it writes a scalar"):
    surgery.apply(_code(_LINEAR), [Copy(At(_PREDICT, 1), 0)])
  with pytest.raises(ValueError, match="A Bench has its own settings; give num_epochs to it"):
    ablate(_LINEAR, bench, num_epochs=2)
  with pytest.raises(ValueError, match="A Bench has its own settings; give num_seeds to it"):
    ablate(_LINEAR, bench, num_seeds=3)
  with pytest.raises(ValueError, match=r"means over tasks, .* got combine='median'"):
    Bench(bench.tasks, combine="median")
  with pytest.raises(ValueError, match="tasks must be Tasks, got int"):
    ablate(_LINEAR, 3)
  with pytest.raises(ValueError, match="for F = 8, the tasks have 4"):
    simplify(zoo.load("plain_nn", 8), bench)
  with pytest.raises(ValueError, match="tolerance must be from 0 to 1"):
    simplify(_LINEAR, bench, tolerance=1.5)
  with pytest.raises(ValueError, match="need tasks to evaluate on"):
    simplify(_LINEAR, tolerance=0.1)
  with pytest.raises(ValueError, match="fails on every task"):
    simplify(_LINEAR.replace("s1 = dot(v0, v1)", "s1 = log(s2)\n  s1 = log(s1)"), bench)


@pytest.mark.slow
def test_the_raw_code_of_the_paper_becomes_figure_6():
  """As docs/understanding.md tells it."""
  tasks = azero.projected_digits("groups", "final", num_tasks=30, seed=0)
  place = Bench(tasks, num_seeds=4)
  simpler = simplify(zoo.load("s1a", 16), place, tolerance=0.004)
  assert str(simpler.program) == str(simplify(zoo.load("figure_6", 16)).program)
  losses = {row.name: row.loss for row in ablate(simpler.program, place).mechanisms}
  assert losses[BILINEAR].low > 0.1 and losses[AVERAGING].low > 0.005
  assert abs(losses[NORMALISED].estimate) < 0.01 and abs(losses[NOISY_INPUT].estimate) < 0.01
