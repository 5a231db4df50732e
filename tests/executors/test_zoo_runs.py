"""The paper's programs learn: each is run on tasks of the kind it was made for."""

import numpy as np
import pytest

import azero
from azero.compiler import canonical
from azero.insight import baselines

_BINARY = ("figure_5", "figure_6", "plain_nn", "s1a", "s1b", "s2a", "s2b")


@pytest.fixture(scope="module")
def binary():
  """Fitness of the binary programs on 5-versus-5 groups of digits, [D] by name."""
  tasks = azero.projected_digits("groups", num_tasks=3, seed=0, num_train=600, num_valid=200)
  programs = azero.parse_many([azero.zoo.source(name) for name in _BINARY], num_features=16)
  return dict(zip(_BINARY, azero.evaluate(programs, tasks).per_task))


@pytest.mark.parametrize(("name", "least"), [
    ("figure_5", 0.6), ("figure_6", 0.85), ("plain_nn", 0.7), ("s1a", 0.85), ("s1b", 0.85),
    ("s2a", 0.65), ("s2b", 0.8)])
def test_binary_programs_learn_from_images(binary, name, least):
  assert least < binary[name].mean() < 0.98


def test_s1a_is_s1b_with_dead_instructions(binary):
  texts = [azero.zoo.source(name) for name in ("s1a", "s1b")]
  first, second = canonical.analyse(azero.parse_many(texts, num_features=16)).key
  np.testing.assert_array_equal(first, second)
  np.testing.assert_array_equal(binary["s1a"], binary["s1b"])


def test_the_multiclass_program_tells_ten_digits_apart():
  tasks = azero.projected_digits("ten_classes", num_tasks=2, seed=0, num_train=600, num_valid=200)
  fitness = azero.evaluate(azero.zoo.source("s2c"), tasks, num_epochs=2).per_task
  assert (fitness > 0.6).all()


def test_the_hand_written_regressor_solves_linear_regression():
  tasks = azero.linear_regression(10, seed=0, num_train=5000)
  assert azero.evaluate(azero.zoo.source("linear_regressor"), tasks).per_task.min() > 0.98


def test_figure_5_learns_from_a_teacher_at_a_rate_that_suits_the_task():
  """The printed learning rate belongs to the paper's tasks; on these it diverges."""
  tasks = azero.teacher_regression(5, seed=0, num_features=8, num_train=5000)
  printed = azero.zoo.source("figure_5")
  constant = baselines.constant(tasks)
  slower = azero.evaluate(printed.replace("4.1", "0.03"), tasks).per_task[0]
  assert (slower > constant + 0.2).all()
  assert not azero.evaluate(printed, tasks).per_task.any()
