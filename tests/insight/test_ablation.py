"""Ablations, simplifications and the bench they are measured on: one small set of tasks."""

import dataclasses
import json

import numpy as np
import pytest
from support import rewritten

import azero
from azero.compiler import canonical
from azero.insight import surgery
from azero.insight.ablation import INSTRUCTION, MECHANISM, ablate
from azero.insight.bench import Bench
from azero.insight.mechanisms import AVERAGING, BILINEAR, GRADIENT_STEPS, NOISY_INPUT, NORMALISED
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


def _tasks() -> Tasks:
  """Two classes, told apart by the sign of a product of two linear functions."""
  rng = np.random.default_rng(3)
  x, u, w = (rng.standard_normal(shape) for shape in ((6, 160, 4), (6, 4, 1), (6, 4, 1)))
  y = ((x @ u) * (x @ w) > 0)[..., 0].astype(float)
  return azero.make_tasks(x[:, :100], y[:, :100], x[:, 100:], y[:, 100:], "accuracy")


@pytest.fixture(scope="module")
def bench() -> Bench:
  """One for all tests: its evaluator is compiled once, for all programs."""
  made = Bench(_tasks(), num_seeds=2, num_devices=1)
  made.measure([surgery.take_apart(zoo.load(name)) for name in (*_PROGRAMS, "linear_regressor")])
  return made


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
