"""Small spaces, tasks and settings that the tests of the search share.

Sharing shapes matters: an evaluation compiles once for each space, number of islands and
kind of device.
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import pathlib
import signal
import subprocess

import numpy as np
import pytest

from azero.language.program import Component, Programs, SearchSpace
from azero.search.config import SearchConfig
from azero.tasks import linear_regression
from azero.tasks.task import Tasks

NUM_TASKS, NUM_TRAIN, NUM_VALID, NUM_FEATURES = 2, 20, 12, 4

# Scalar sums and products, scaled vectors, their sum and dot product; a scalar, an entry of
# a vector and a Gaussian scalar as constants.
_OPS = (1, 2, 3, 18, 23, 27, 56, 57, 62)
FIXED = SearchSpace(
    4, 3, 1, NUM_FEATURES, Component(_OPS, 3, 3), Component(_OPS, 2, 2), Component(_OPS, 3, 3))
VARIABLE = SearchSpace(
    4, 3, 1, NUM_FEATURES, Component(_OPS, 3), Component(_OPS, 4, 1), Component(_OPS, 3))

ALL_OPS = tuple(range(65))
EVERYTHING = SearchSpace(5, 4, 3, NUM_FEATURES, *(Component(ALL_OPS, 6, 1) for _ in range(3)))


def tasks(islands: int = 1) -> list[Tasks]:
  """Different linear tasks for each island."""
  return [
      linear_regression(
          NUM_TASKS, seed=100 + island, num_train=NUM_TRAIN, num_valid=NUM_VALID)
      for island in range(islands)]


def easy_tasks() -> Tasks:
  """Labels x . x: `s1 = dot(v0, v0)` is all that it takes."""
  plain = tasks()[0]
  labels = [np.sum(x * x, axis=-1) for x in (plain.train_x, plain.valid_x)]
  return dataclasses.replace(plain, train_y=labels[0], valid_y=labels[1])


def config(**settings) -> SearchConfig:
  """Settings of a small search of FIXED from random programs."""
  defaults = {
      "population_size": 12, "tournament_size": 4, "initial": "random",
      "mutations": ("alter", "randomize_instruction", "randomize_function"),
      "lanes": 16, "num_devices": 1, "seed": 7, "cycles_per_step": 1,
  }
  return SearchConfig(**(defaults | settings))


def interrupt_at(*cycles: int):
  """A condition that presses Ctrl-C after these cycles."""
  def should_stop(search) -> bool:
    if search.cycle in cycles:
      signal.raise_signal(signal.SIGINT)
    return False

  return should_stop


@contextlib.contextmanager
def small_disk(path: pathlib.Path, size: str) -> Iterator[pathlib.Path]:
  """A file system of this size, as `mount` takes it; skips the test where that is forbidden."""
  path.mkdir()
  command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
  try:
    subprocess.run(command, check=True, capture_output=True)
  except (OSError, subprocess.CalledProcessError) as error:
    pytest.skip(f"a small disk cannot be mounted here: {error}")
  try:
    yield path
  finally:
    subprocess.run(["umount", str(path)], check=True)


ONE_LAYER = """
def Predict():
  s1 = dot(v0, v1)
def Learn():
  s2 = s0 - s1
  v2 = s2 * v0
  v1 = v1 + v2
"""


def loose(space):
  """The space with lengths from 0 on."""
  return dataclasses.replace(space, **{
      name: dataclasses.replace(getattr(space, name), min_length=0)
      for name in ("setup", "predict", "learn")})


def repeat(program: Programs, count: int) -> Programs:
  """A batch of `count` copies of one program."""
  return program[np.zeros(count, int)]


def bodies(programs: Programs) -> list[tuple]:
  """Each program as nested tuples: component functions of (op, in1, in2, out)."""
  offsets, lengths = programs.space.offsets, programs.lengths
  rows = np.stack([programs.opcode, programs.in1, programs.in2, programs.out], axis=-1).tolist()
  return [
      tuple(
          tuple(tuple(line) for line in row[offsets[f] : offsets[f] + lengths[n, f]])
          for f in range(3))
      for n, row in enumerate(rows)]


def assert_frequencies(counts, probabilities) -> None:
  """Checks counts of a multinomial draw, each to five standard deviations."""
  counts, probabilities = np.asarray(counts), np.asarray(probabilities, float)
  assert counts.shape == probabilities.shape
  total = counts.sum()
  deviation = np.sqrt(total * probabilities * (1 - probabilities))
  np.testing.assert_array_less(np.abs(counts - total * probabilities), 5 * deviation + 1e-9)


def assert_uniform(counts) -> None:
  """Checks that counts are those of a uniform choice."""
  assert_frequencies(counts, np.full(len(counts), 1 / len(counts)))


def assert_same_state(first, second) -> None:
  """Checks that two nested states agree in every bit."""
  assert type(first) is type(second)
  if isinstance(first, np.ndarray):
    assert (first.dtype, first.shape) == (second.dtype, second.shape)
    assert first.tobytes() == second.tobytes()
  elif isinstance(first, dict):
    assert first.keys() == second.keys()
    for key in first:
      assert_same_state(first[key], second[key])
  else:
    assert first == second
