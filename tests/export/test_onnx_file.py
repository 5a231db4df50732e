"""An ONNX model of a trained Predict gives what the NumPy file gives, NaN and infinities too."""

import numpy as np
import pytest
from support import random_programs

import azero
from azero import export
from azero.export import algorithm, array_files
from azero.language.program import Function

onnx = pytest.importorskip("onnx")


def _scores(model, x, dtype=np.float32):
  from onnx.reference import ReferenceEvaluator

  with np.errstate(all="ignore"):
    [scores] = ReferenceEvaluator(model).run(None, {"features": x.astype(dtype)})
  return scores


def _both(program, num_classes, tasks, **settings):
  """Scores by ONNX and by NumPy; None where training fails or Predict is random."""
  module = array_files.load(export.numpy_source(program, num_classes))
  try:
    memory = module.fit(tasks.train_x[0], tasks.train_y[0], **settings)
    model = export.onnx_model(
        program, tasks.train_x[0], tasks.train_y[0], num_classes, **settings)
  except ArithmeticError:
    return None
  except ValueError as error:
    assert "Predict draws random numbers" in str(error)
    return None
  return _scores(model, tasks.valid_x[0]), module.run(tasks.valid_x[0], memory)[0]


@pytest.mark.parametrize(("num_classes", "count"), [
    (0, 50), (2, 25), (3, 25),
    *(pytest.param(classes, 1500, marks=pytest.mark.slow) for classes in (0, 2, 3))])
def test_random_programs(num_classes, count):
  tasks = random_programs.random_tasks(5, num_classes)
  programs = random_programs.random_programs(
      random_programs.full_space(5), count, seed=7, multiclass=num_classes > 2, full=True)
  used, compared = set(), 0
  for i in range(count):
    found = _both(programs[i], num_classes, tasks)
    if found is None:
      continue
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-5, err_msg=repr(programs[i]))
    compared += 1
    lines = algorithm.analyse(programs[i], num_classes).of(Function.PREDICT)
    used |= {line.op.id for line in lines}
  assert compared >= 0.5 * count
  assert count < 1000 or used >= set(range(1, 59)) - {15}


@pytest.mark.parametrize("name", [
    name for name in azero.zoo.names() if name not in ("figure_5", "s2a", "s2b")])
def test_programs_of_the_zoo(name):
  num_classes = 3 if azero.zoo.is_multiclass(name) else 2
  tasks = random_programs.random_tasks(4, num_classes, num_train=12, num_valid=5)
  got, wanted = _both(azero.zoo.load(name, 4), num_classes, tasks, seed=3)
  assert np.isfinite(wanted).all()
  np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("op", ["minimum(s2, s3)", "maximum(s3, s2)", "s2 / s2", "abs(s2)"])
def test_nan_and_infinity_flow(op):
  program = azero.parse(
      f"def Setup():\n  s3 = 1.0\ndef Predict():\n  s2 = norm(v0)\n  s2 = log(s2)\n  s1 = {op}\n"
      "def Learn():", num_features=2)
  x = np.array([[0.0, 0.0], [1.0, 0.0], [3.0, 4.0]])
  model = export.onnx_model(program, x[:0], np.zeros(0))
  with np.errstate(all="ignore"):
    log = np.log(np.linalg.norm(x, axis=1))
    wanted = {"minimum(s2, s3)": np.minimum(log, 1), "maximum(s3, s2)": np.maximum(1, log),
              "s2 / s2": log / log, "abs(s2)": np.abs(log)}[op]
  np.testing.assert_allclose(_scores(model, x), wanted, rtol=1e-6)


@pytest.mark.parametrize("function", ["sin", "tan", "arcsin", "arccos", "arctan"])
def test_functions_that_runtimes_have_in_single_precision_alone(function):
  program = azero.parse(
      f"def Setup():\ndef Predict():\n  s2 = mean(v0)\n  s1 = {function}(s2)\ndef Learn():",
      num_features=2)
  x = np.array([[0.1, 0.4], [-0.3, -0.6]])
  model = export.onnx_model(program, x[:0], np.zeros(0), dtype="float64")
  in_single = function != "sin"
  body = next(each.g for each in model.graph.node[0].attribute if each.name == "body")
  assert [node.op_type for node in body.node].count("Cast") == 2 * in_single
  scores = _scores(model, x, np.float64)
  assert scores.dtype == np.float64
  np.testing.assert_allclose(
      scores, getattr(np, function)(x.mean(axis=1)), rtol=1e-6 if in_single else 1e-12)


@pytest.mark.parametrize(("number", "message"), [
    (1.5, "num_epochs must be a whole number, got 1.5"),
    (-1, "num_epochs must be at least 1, got -1")])
def test_a_wrong_number_of_epochs_is_refused(number, message):
  with pytest.raises(ValueError, match=message):
    export.onnx_model(azero.zoo.load("plain_nn", 2), np.ones((1, 2)), [1.0], num_epochs=number)


def test_random_numbers_in_predict_are_refused():
  program = azero.parse(
      "def Setup():\ndef Predict():\n  s1 = uniform(0, 1)\ndef Learn():", num_features=2)
  with pytest.raises(ValueError, match=r"draws random numbers \(s1 = uniform\(0"):
    export.onnx_model(program, np.ones((1, 2)), [1.0])
