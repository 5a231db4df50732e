"""Both executors reproduce the golden traces of the published evaluator; see data/README.md."""

import dataclasses
import functools

import numpy as np
import pytest
from support import golden

from azero.compiler import canonical
from azero.executors.evaluator import EXECUTORS, Evaluation, Evaluator
from azero.language.program import EMPTY, Component, Function, Programs
from azero.tasks.task import Tasks

NAMES = [group.name for group in golden.groups()]
# Default and slow ones: F = 8 lies between the others, and the interpreter compiles for long.
_SLOW = {("waves", "F8"), ("interpreter", "F8"), ("interpreter", "F16")}
CASES = [
    pytest.param(
        executor, name,
        marks=[pytest.mark.slow] if (executor, name.partition("_")[0]) in _SLOW else [])
    for executor in EXECUTORS for name in NAMES]
LANES = 96  # all cases of a group at once

@functools.cache
def _group(name: str) -> tuple[golden.Group, Programs]:
  """A group, and its programs' live instructions in a space that allows only their ops.

  An evaluator drops dead instructions anyway; the smaller space compiles faster.
  """
  group = next(group for group in golden.groups() if group.name == name)
  programs, space = group.programs, group.programs.space
  live = canonical.analyse(programs).live
  components, slots = [], []
  for function in Function:
    own = space.slots(function)
    ops = np.unique(programs.opcode[:, own][live[:, own]])
    length = int(live[:, own].sum(1).max())
    components.append(Component(tuple(ops), length))
    slots.append(own.start + np.argsort(~live[:, own], axis=1, kind="stable")[:, :length])
  setup, predict, learn = components
  slot, row = np.concatenate(slots, axis=1), np.arange(len(programs))[:, None]
  opcode = np.where(live, programs.opcode, EMPTY)
  arrays = (opcode, programs.in1, programs.in2, programs.out, programs.constants)
  smaller = dataclasses.replace(space, setup=setup, predict=predict, learn=learn)
  return group, Programs(smaller, *(array[row, slot] for array in arrays)).validate()


def _evaluate(programs: Programs, tasks: Tasks, dtype: str, executor: str) -> Evaluation:
  evaluator = Evaluator(
      programs.space, tasks, dtype=dtype, trace=True, num_devices=1, lanes=LANES,
      executor=executor)
  return evaluator.evaluate(programs)


def _errors(result: Evaluation, i: int) -> list[np.ndarray]:
  """Errors of training and validation up to the example that stopped the program."""
  listed = []
  for part in result.trace:
    errors = part[i, 0, 0, :, 0]
    count = len(errors) if not np.isnan(errors).any() else int(np.argmax(np.isnan(errors)))
    assert np.isnan(errors[count:]).all()
    listed.append(errors[:count])
  return listed


@pytest.mark.parametrize(("executor", "name"), CASES)
def test_float64(executor, name):
  group, programs = _group(name)
  result = _evaluate(programs, group.tasks, "float64", executor)
  np.testing.assert_allclose(result.fitness, group.fitness, rtol=0, atol=1e-6)
  for i, kind in enumerate(group.kinds):
    for got, wanted in zip(_errors(result, i), (group.train_errors[i], group.valid_errors[i])):
      # The reference has nine digits; an error of zero has no relative error.
      np.testing.assert_allclose(
          got, wanted, rtol=1e-6, atol=1e-9, err_msg=f"case {i} ({kind}) of {name}")
    # Learn runs on every example but the one that stopped training.
    assert result.train_steps[i] == len(group.train_errors[i])
    assert result.trained[i, 0] == (len(group.train_errors[i]) == group.tasks.num_train)


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=[] if name.startswith("F4") else [pytest.mark.slow])
    for name in NAMES])
@pytest.mark.parametrize(
    "executor", ["waves", pytest.param("interpreter", marks=pytest.mark.slow)])
def test_float32(executor, name):
  # No case needs to be left out.
  group, programs = _group(name)
  result = _evaluate(programs, group.tasks, "float32", executor)
  np.testing.assert_allclose(result.fitness, group.fitness, rtol=0, atol=1e-6)
  # An error is a small difference of label and prediction, each rounded to 6e-8 of its size;
  # training on 60 examples multiplies that.
  tolerance = {"rtol": 1e-4, "atol": 1e-6 * np.abs(group.tasks.train_y).max()}
  for i, kind in enumerate(group.kinds):
    for got, wanted in zip(_errors(result, i), (group.train_errors[i], group.valid_errors[i])):
      np.testing.assert_allclose(got, wanted, **tolerance, err_msg=f"case {i} ({kind}) of {name}")
