"""Mistakes in settings, tasks and programs are named; batches may be empty."""

import jax
import numpy as np
import pytest
from support.random_programs import random_tasks

from azero.executors.evaluator import Evaluator
from azero.language import text
from azero.language.program import Component, Programs, SearchSpace

SPACE = SearchSpace(3, 3, 0, 4, Component((56, 57), 1), Component((2, 27), 2), Component((), 0))
TASKS = random_tasks(4)


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
  return Evaluator(SPACE, [TASKS, random_tasks(4, seed=1)], trace=True, num_devices=1)


def _programs(**fields) -> Programs:
  """Two programs, of which the second is changed: name of an array -> (slot, value)."""
  code = "def Setup():\n  s2 = 1\ndef Predict():\n  s1 = dot(v0, v1)\ndef Learn():"
  programs = text.parse_many([code, code], SPACE)
  for name, (slot, value) in fields.items():
    getattr(programs, name)[1, slot] = value
  return programs


@pytest.mark.parametrize(("settings", "message"), [
    ({"combine": "max"}, "combine must be one of median, mean, got 'max'"),
    ({"dtype": "bfloat16"}, "dtype must be one of float32, float64, got 'bfloat16'"),
    ({"num_epochs": 10**12}, r"num_epochs=1,000,000,000,000 of .* GB of memory are free"),
    ({"num_epochs": 2.5}, "num_epochs must be a whole number, got 2.5"),
    ({"seed": 1.5}, "seed must be a whole number, got 1.5"),
    ({"num_epochs": 0}, "num_epochs must be at least 1, got 0"),
    ({"max_abs_error": 0.0}, "max_abs_error must be positive, got 0.0"),
    ({"max_abs_error": float("nan")}, "max_abs_error must be positive, got nan"),
    ({"num_devices": 0}, "num_devices must be from 1 to 2, the devices that JAX has; got 0"),
    ({"num_devices": 3}, "got 3. On CPUs set jax_num_cpu_devices before JAX is first used"),
    ({"lanes": 0}, "lanes must be at least 1, got 0"),
    ({"lanes": -16}, "lanes must be at least 1, got -16"),
])
def test_settings(settings, message):
  assert len(jax.devices()) == 2
  with pytest.raises(ValueError, match=message):
    Evaluator(SPACE, TASKS, **settings)


@pytest.mark.parametrize(("tasks", "message"), [
    ([], "No tasks to evaluate on"),
    (TASKS[[]], "No tasks to evaluate on"),
    (random_tasks(5), r"F = 4, the tasks have 5 features; use space.with_features\(5\)"),
    ([TASKS, random_tasks(4, num_tasks=3)], r"one shape and metric: \(2, 6, 4\) rms and \(3, 6"),
    ([TASKS, random_tasks(4, num_train=7)], r"one shape and metric: .* \(2, 7, 4\) rms"),
    ([TASKS, random_tasks(4, num_valid=7)], "one shape and metric"),
    ([TASKS, random_tasks(4, 2)], r"one shape and metric: .* rms and .* accuracy"),
    ([random_tasks(4, 2), random_tasks(4, 3)], "one shape and metric"),
])
def test_tasks(tasks, message):
  with pytest.raises(ValueError, match=message):
    Evaluator(SPACE, tasks)


def test_multiclass_needs_three_vectors():
  small = SearchSpace(3, 2, 0, 4, SPACE.setup, SPACE.predict, SPACE.learn)
  with pytest.raises(ValueError, match=r"needs v0 .*, v1 .* and v2 .*only 2 vectors"):
    Evaluator(small, random_tasks(4, 3))
  Evaluator(small, random_tasks(4, 2))


@pytest.mark.parametrize(("fields", "message"), [
    ({"constants": ((0, 0), np.nan)}, "Program 1, Setup, instruction 1: constant 0 of scalar_con"),
    ({"constants": ((0, 0), np.inf)}, "constant 0 of scalar_constant is not a finite number"),
    ({"opcode": (0, 57), "out": (0, 1), "constants": ((0, 0), 1.0)}, r"fraction in \[0, 1\)"),
    ({"opcode": (1, 1)}, r"Program 1, Predict, instruction 1: op 1 \(scalar_sum\) is not allowed"),
    ({"opcode": (1, 99)}, "op id 99"),
    ({"in1": (1, 3)}, "in1 of vector_inner_product must be an address from v0 to v2"),
    ({"in2": (1, -1)}, "in2 of vector_inner_product must be an address from v0 to v2"),
    ({"out": (1, 0)}, "the output of vector_inner_product must be an address from s1 to s2"),
    ({"opcode": (2, 27), "out": (2, 1)}, None),
    ({"opcode": (slice(1, 3), (-1, 27))}, "Program 1: Predict has an empty slot before an instr"),
])
def test_programs(evaluator, fields, message):
  programs = _programs(**fields)
  if message is None:
    assert len(evaluator.evaluate(programs).fitness) == 2
    return
  with pytest.raises(ValueError, match=message):
    evaluator.evaluate(programs)


def test_programs_of_another_space(evaluator):
  other = SearchSpace(4, 3, 0, 4, SPACE.setup, SPACE.predict, SPACE.learn)
  programs = Programs.empty(other, 2)
  with pytest.raises(ValueError, match="another search space"):
    evaluator.evaluate(programs)
  with pytest.raises(ValueError, match="another search space"):
    evaluator.evaluate(programs, analysis=evaluator.analyse(programs))


@pytest.mark.parametrize("task_set", [2, -1, np.array([0, 2])])
def test_unknown_task_set(evaluator, task_set):
  with pytest.raises(ValueError, match="task_set must be from 0 to 1, got "):
    evaluator.evaluate(_programs(), task_set)


def test_empty_batch(evaluator):
  full, empty = evaluator.evaluate(_programs()), evaluator.evaluate(_programs()[:0])
  for name in ("fitness", "per_task", "train_steps", "trained"):
    wanted, got = getattr(full, name), getattr(empty, name)
    assert (got.shape, got.dtype) == ((0, *wanted.shape[1:]), wanted.dtype)
  for wanted, got in zip(full.trace, empty.trace):
    assert (got.shape, got.dtype) == ((0, *wanted.shape[1:]), wanted.dtype)


def test_empty_programs_and_empty_spaces():
  # Nothing predicts anything: the prediction stays zero.
  nothing = SearchSpace(2, 1, 0, 4, *(Component((), 0) for _ in range(3)))
  result = Evaluator(nothing, TASKS, num_devices=1).evaluate(Programs.empty(nothing, 2))
  rms = np.sqrt(np.mean(TASKS.valid_y**2, axis=1))
  wanted = 1 - 2 / np.pi * np.arctan(rms)
  np.testing.assert_allclose(result.per_task, [wanted] * 2, rtol=1e-6)
  # A component function of no slots, whose ops nothing can use.
  unused = SearchSpace(2, 1, 0, 4, *(Component((1,), 0) for _ in range(3)))
  result = Evaluator(unused, TASKS, num_devices=1).evaluate(Programs.empty(unused))
  np.testing.assert_allclose(result.per_task, [wanted], rtol=1e-6)


def test_constants_beyond_float32_are_infinite():
  space = SearchSpace(3, 1, 0, 4, Component((56,), 1), Component((2, 12), 2), Component((), 0))
  code = "def Setup():\n  s2 = 1e300\ndef Predict():\n  s1 = arctan(s2)\ndef Learn():"
  evaluator = Evaluator(space, TASKS, dtype="float32", num_devices=1)
  result = evaluator.evaluate(text.parse(code, space))
  rms = np.sqrt(np.mean((TASKS.valid_y - np.pi / 2) ** 2, axis=1))
  np.testing.assert_allclose(result.per_task, [1 - 2 / np.pi * np.arctan(rms)], rtol=1e-6)
