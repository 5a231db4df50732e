"""A program compiled on its own computes what the oracle and the evaluator of a search compute."""

import dataclasses
import signal

import jax
import numpy as np
import pytest
from support import chaos, random_programs

from azero.compiler import canonical
from azero.executors.evaluator import Evaluator
from azero.executors.single import large_rules
from azero.executors.single.direct import DirectEvaluator
from azero.language import text, zoo
from azero.language.program import Programs
from azero.tasks import make_tasks, original_digits

_SEED = 3


def _compare(programs: Programs, tasks, *, num_epochs: int = 1):
  """Fitness per task and training steps of each of N programs in float64 are the oracle's."""
  analysis = canonical.analyse(programs, multiclass=tasks.multiclass)
  for i in range(len(programs)):
    direct = DirectEvaluator(
        programs[i], tasks, num_epochs=num_epochs, dtype="float64", num_devices=1)
    got = direct.evaluate(direct.constants[None], seeds=_SEED)
    wanted = [
        chaos.run_oracle(programs, analysis, i, tasks, task, seed=_SEED, num_epochs=num_epochs)
        for task in range(len(tasks))]
    np.testing.assert_allclose(
        got.per_task[0], [trace.fitness for trace in wanted], rtol=1e-9,
        err_msg=repr(programs[i]))
    steps = sum(len(trace.train_errors) for trace in wanted)
    assert got.train_steps[0] == steps, repr(programs[i])


@pytest.fixture
def quick_compilation():
  """Programs are many here and run briefly: most of the time would go to the compiler."""
  jax.config.update("jax_disable_most_optimizations", True)
  yield
  jax.config.update("jax_disable_most_optimizations", False)


def _zoo(names, num_features: int) -> Programs:
  return text.parse_many([zoo.source(name) for name in names], num_features=num_features)


def test_programs_of_the_zoo(quick_compilation):
  # s2c is multi-class, and s1a the same as s1b when straightened.
  names = [name for name in zoo.names() if name not in ("s1a", "s2c")]
  tasks = random_programs.random_tasks(5, 2, num_tasks=2, num_train=40, num_valid=30, seed=1)
  _compare(_zoo(names, 5), tasks)


def test_float32_and_epochs():
  tasks = random_programs.random_tasks(5, 2, num_tasks=2, num_train=40, num_valid=30, seed=1)
  program, settings = _zoo(["plain_nn"], 5), {"num_epochs": 2, "num_devices": 1}
  direct = DirectEvaluator(program, tasks, **settings)
  got = direct.evaluate(direct.constants[None], seeds=_SEED)
  wanted = Evaluator(program.space, tasks, seed=_SEED, **settings).evaluate(program)
  # A prediction near 1/2 may fall to the other side.
  np.testing.assert_allclose(got.per_task, wanted.per_task, rtol=1e-9, atol=2 / 30)
  np.testing.assert_array_equal(got.train_steps, wanted.train_steps)


def test_the_last_epoch_or_the_best():
  # Random predictions: what epoch is the best is chance.
  program = text.parse(
      "def Setup():\ndef Predict():\n  s1 = gaussian(0, 1)\ndef Learn():", num_features=4)
  tasks = random_programs.random_tasks(4, num_tasks=8, num_train=5, num_valid=20)
  analysis = canonical.analyse(program)
  fitness = np.array([
      chaos.run_oracle(
          program, analysis, 0, tasks, task, seed=_SEED, num_epochs=4).epoch_fitness
      for task in range(8)])  # [D, E]
  direct = DirectEvaluator(program, tasks, dtype="float64", num_epochs=4, num_devices=1)
  best, last = (
      direct.evaluate(direct.constants[None], seeds=_SEED, last_epoch=last_epoch).per_task[0]
      for last_epoch in (False, True))
  np.testing.assert_allclose(best, fitness.max(1), rtol=1e-9)
  np.testing.assert_allclose(last, fitness[:, -1], rtol=1e-9)
  assert (last < best).any()


def test_an_interrupt_is_an_interrupt_wherever_it_comes():
  program = _zoo(["linear_regressor"], 8)
  tasks = random_programs.random_tasks(8, num_tasks=1, num_train=500, num_valid=100)
  direct = DirectEvaluator(program, tasks)
  constants = np.repeat(direct.constants[None], 20_000, axis=0)
  direct.evaluate(constants[:2])  # compiles

  def interrupt(*unused):
    raise KeyboardInterrupt

  before = signal.signal(signal.SIGALRM, interrupt)
  try:
    for delay in np.linspace(0.02, 0.2, 12):
      signal.setitimer(signal.ITIMER_REAL, delay)
      with pytest.raises(KeyboardInterrupt):
        direct.evaluate(constants)
  finally:
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_the_multiclass_program_of_the_zoo():
  tasks = random_programs.random_tasks(5, 3, num_tasks=2, num_train=40, num_valid=30, seed=1)
  _compare(zoo.load("s2c", 5), tasks)


@pytest.mark.parametrize("num_classes, count, num_epochs", [
    (0, 3, 1), pytest.param(2, 3, 2, marks=pytest.mark.slow), (3, 3, 1)])
def test_random_programs_over_all_ops(num_classes, count, num_epochs, quick_compilation):
  tasks = random_programs.random_tasks(5, num_classes)
  programs = random_programs.random_programs(
      random_programs.full_space(5), count, seed=7, multiclass=tasks.multiclass, full=True)
  _compare(programs, tasks, num_epochs=num_epochs)


def test_rules_for_large_matrices_serve_whole_programs(monkeypatch):
  monkeypatch.setattr(large_rules, "SMALLEST", 1)
  tasks = random_programs.random_tasks(5, 0, num_train=20, num_valid=10)
  _compare(zoo.load("s1b", 5), tasks)


# Memory that settles after no, one and two validation examples, and never.
@pytest.mark.parametrize("predict", [
    "m0 = outer(v0, v1)\n  s1 = norm(m0)", "s1 = s2 + s3\n  s2 = s3 + s3",
    "s1 = dot(v0, v2)\n  v2 = s2 * v1\n  s2 = s3 + s3", "s1 = s1 + s3",
    "s1 = s2 + s3\n  s2 = gaussian(0, 1)"])
def test_validation_side_by_side_is_validation_in_turn(predict, monkeypatch):
  three_at_once = 3 * 5 * 5 * 8
  monkeypatch.setattr("azero.executors.single.training._MATRIX_BYTES", three_at_once)
  program = text.parse(
      f"def Predict():\n  {predict}\ndef Learn():\n  v1 = v1 + v0\n  s3 = s0 - s1")
  tasks = random_programs.random_tasks(5, 0, num_train=6, num_valid=11)
  program = dataclasses.replace(program, space=program.space.with_features(5))
  _compare(program, tasks, num_epochs=2)


_COUNTER = """
def Predict():
  s1 = s2 + s3
def Learn():
  s4 = 1.0
  s2 = s2 + s4
"""


def _counting_tasks(num_train: int, valid_y: float):
  """Regression on labels 0, and validation on one label."""
  x = np.zeros((1, num_train, 2))
  return make_tasks(x, np.zeros((1, num_train)), x[:, :1], np.full((1, 1), valid_y), "rms")


def test_a_prefix_of_the_training_examples_is_a_training_on_so_many():
  space_of_ones = text.parse(_COUNTER.replace("s4 = 1.0", "s4 = uniform(1.0, 1.0)"))
  program = dataclasses.replace(space_of_ones, space=space_of_ones.space.with_features(2))
  direct = DirectEvaluator(program, _counting_tasks(9, 4.0), dtype="float64", num_devices=1)
  # The program counts its training examples, so that 4 of them make it right.
  for num_train in (1, 4, 9):
    result = direct.evaluate(direct.constants[None], num_train=num_train)
    error = abs(num_train - 4.0)
    assert result.per_task[0, 0] == pytest.approx(1 - 2 / np.pi * np.arctan(error))
    assert result.train_steps[0] == num_train


def test_an_error_above_the_bound_stops_in_training():
  program = text.parse(_COUNTER.replace("s4 = 1.0", "s4 = uniform(1.0, 1.0)"))
  program = dataclasses.replace(program, space=program.space.with_features(2))
  direct = DirectEvaluator(
      program, _counting_tasks(9, 4.0), max_abs_error=3.0, dtype="float64", num_devices=1)
  result = direct.evaluate(direct.constants[None])
  assert result.per_task[0, 0] == 0.0
  assert result.train_steps[0] == 4  # errors 0, 1, 2, 3; the next is 4


def test_settings_seeds_and_devices_do_not_influence_each_other():
  tasks = original_digits((3, 8), seeds=[0, 1, 2], num_train=40, num_valid=30)
  program = zoo.load("plain_nn", 64)
  one = DirectEvaluator(program, tasks, num_devices=1)
  settings = one.constants * np.array([[1.0], [3.0], [0.1]])
  together = one.evaluate(settings, seeds=np.array([5, 6, 7]))
  two = DirectEvaluator(program, tasks, num_devices=2).evaluate(
      settings, seeds=np.array([5, 6, 7]))
  np.testing.assert_array_equal(together.per_task, two.per_task)
  for k, seed in enumerate((5, 6, 7)):
    alone = one.evaluate(settings[k : k + 1], seeds=seed)
    np.testing.assert_array_equal(alone.per_task[0], together.per_task[k])
  assert len(np.unique(together.per_task)) > 3
  reversed_tasks = one.on(tasks[::-1]).evaluate(settings, seeds=np.array([5, 6, 7]))
  np.testing.assert_array_equal(reversed_tasks.per_task, together.per_task[:, ::-1])


def test_the_gradient_is_that_of_the_loss():
  tasks = random_programs.random_tasks(5, 2, num_tasks=2, num_train=11, num_valid=8)
  direct = DirectEvaluator(zoo.load("plain_nn", 5), tasks, dtype="float64", num_devices=1)
  constants = direct.constants + 0.1
  loss, gradient, evaluation = direct.loss_and_gradient(constants, seed=_SEED)
  assert loss > 0
  for k in range(len(constants)):
    step = 1e-5 * np.eye(len(constants))[k]
    above, below = (
        direct.loss_and_gradient(constants + sign * step, seed=_SEED)[0] for sign in (1, -1))
    assert gradient[k] == pytest.approx((above - below) / 2e-5, rel=1e-4, abs=1e-8)
  same = direct.evaluate(constants[None], seeds=_SEED)
  np.testing.assert_array_equal(evaluation.per_task, same.per_task)
  np.testing.assert_array_equal(evaluation.train_steps, same.train_steps)


def test_bad_arguments_say_what_is_wrong():
  tasks = random_programs.random_tasks(5, 2)
  with pytest.raises(ValueError, match="F = 4, the tasks have 5"):
    DirectEvaluator(zoo.load("plain_nn", 4), tasks)
  with pytest.raises(ValueError, match="dtype must be one of"):
    DirectEvaluator(zoo.load("plain_nn", 5), tasks, dtype="float16")
  with pytest.raises(ValueError, match="num_epochs must be at least 1"):
    DirectEvaluator(zoo.load("plain_nn", 5), tasks, num_epochs=0)
  for count in (-1, 0, 99):
    with pytest.raises(ValueError, match=f"num_devices must be from 1 to 2.* got {count}"):
      DirectEvaluator(zoo.load("plain_nn", 5), tasks, num_devices=count)
  direct = DirectEvaluator(zoo.load("plain_nn", 5), tasks)
  with pytest.raises(ValueError, match=r"shape \[N, 5\]"):
    direct.evaluate(np.zeros((2, 3)))
  with pytest.raises(ValueError, match="num_train must be from 1 to 6, got 7"):
    direct.evaluate(direct.constants[None], num_train=7)
  with pytest.raises(ValueError, match=r"\(5, 2\), these have \(5, 0\)"):
    direct.on(random_programs.random_tasks(5, 0))
