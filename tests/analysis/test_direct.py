"""A program compiled on its own computes what the evaluator of a search computes."""

import dataclasses

import numpy as np
import pytest
import random_programs

from azero.analysis import straight
from azero.analysis.direct import DirectEvaluator
from azero.language import text, zoo
from azero.language.program import Programs
from azero.runtime.evaluator import Evaluator
from azero.tasks import make_tasks, projected_digits

# float64 unless said otherwise; the relative difference that rounding may make.
_RTOL = 1e-9


def _compare(program: Programs, tasks, *, seed: int = 3, rtol: float = _RTOL, **settings) -> None:
  settings = {"dtype": "float64", "num_devices": 1} | settings
  wanted = Evaluator(program.space, tasks, seed=seed, **settings).evaluate(program)
  direct = DirectEvaluator(program, tasks, **settings)
  got = direct.evaluate(direct.constants[None], seeds=seed)
  np.testing.assert_allclose(got.per_task, wanted.per_task, rtol=rtol, err_msg=repr(program))
  assert got.train_steps[0] == wanted.train_steps[0], repr(program)


@pytest.mark.parametrize("name", zoo.names())
def test_programs_of_the_zoo(name):
  num_classes = 3 if zoo.is_multiclass(name) else 2
  tasks = random_programs.random_tasks(
      5, num_classes, num_tasks=2, num_train=40, num_valid=30, seed=1)
  _compare(zoo.load(name, 5), tasks, num_epochs=2)


@pytest.mark.parametrize("num_features, num_classes, count, num_epochs", [
    (5, 0, 24, 1), (4, 2, 8, 2), (5, 3, 8, 1)])
def test_random_programs_over_all_ops(num_features, num_classes, count, num_epochs):
  tasks = random_programs.random_tasks(num_features, num_classes)
  programs = random_programs.random_programs(
      random_programs.full_space(num_features), count, seed=7, multiclass=tasks.multiclass,
      full=True)
  for i in range(count):
    _compare(programs[i], tasks, num_epochs=num_epochs)
