"""The wave executor equals the interpreter in every space the paper uses, at length.

Half of the programs are random, half of them evolved: mutated and selected many times.
"""

import functools

import numpy as np
import pytest
from support import executors, random_programs

from azero.executors.evaluator import Evaluator
from azero.language import spaces
from azero.language.program import Programs
from azero.search.proposals import mutation

pytestmark = pytest.mark.slow

COUNT = 1500  # random programs of a case, and as many evolved ones
ROUNDS = 150
_SPACES = {
    "demo": (spaces.demo(4), 0), "linear": (spaces.linear(8), 0), "affine": (spaces.affine(8), 0),
    "backprop": (spaces.backprop(8), 0), "minimal_input": (spaces.minimal_input(16), 2),
    "adaptation": (spaces.adaptation(16), 3), "ablation": (spaces.ablation(16), 2),
    "baseline": (spaces.baseline(16), 2), "full": (random_programs.full_space(5), 3)}


def _evolved(evaluator: Evaluator, start: Programs) -> Programs:
  """What is left after many rounds in which the fitter of two has a child that replaces it."""
  rng = np.random.default_rng(1)
  mutator = mutation.mutator(
      ("insert", "remove", "alter", "randomize_instruction", "randomize_function"))
  population, fitness = start, evaluator.evaluate(start).fitness
  for seed in range(ROUNDS):
    first, second = rng.integers(len(start), size=(2, len(start)))
    parents = population[np.where(fitness[first] >= fitness[second], first, second)]
    population = mutation.mutated(parents, mutator, seed=seed)
    fitness = evaluator.evaluate(population).fitness
  return population


@functools.cache
def _compared(name, dtype):
  space, num_classes = _SPACES[name]
  sets = [random_programs.random_tasks(space.num_features, num_classes, seed=s) for s in (0, 1)]
  pair = executors.make_pair(space, sets, dtype=dtype, seed=random_programs.SEED, num_epochs=2)
  start = random_programs.random_programs(
      space, COUNT, seed=6, multiclass=num_classes > 2, full=True)
  programs = Programs.concatenate([start, _evolved(pair.waves, start)])
  task_sets = np.arange(len(programs)) % 2
  found = executors.compare(pair, programs, task_sets, pytest.MonkeyPatch())
  print(f"{name} {dtype}: {len(programs)} programs, {len(found.different)} different,"
        f" {len(found.scored_different)} in fitness, {len(found.unexplained)} unexplained")
  return pair, programs, task_sets, found


_CASES = (*((name, "float64") for name in _SPACES),
          *((name, "float32") for name in ("demo", "minimal_input", "baseline")))
# Numbers that square at each step overflow there, which rounding does not explain.
_OVERFLOWING = ("ablation", "float64"), ("baseline", "float64"), ("baseline", "float32")


@pytest.mark.parametrize(("name", "dtype"), [
    pytest.param(*case, marks=pytest.mark.xfail(
        strict=True, raises=AssertionError, reason="fused sums of products that overflow"))
    if case in _OVERFLOWING else case for case in _CASES])
def test_every_space(name, dtype):
  _, programs, _, found = _compared(name, dtype)
  assert not len(found.unexplained), programs[int(found.unexplained[0])]
  assert len(found.different) <= 0.001 * len(programs)


@pytest.mark.parametrize(("name", "dtype"), _OVERFLOWING)
def test_what_differs_otherwise_hangs_on_overflow(name, dtype, monkeypatch):
  """Fused operations meet NaN an example later or earlier; hardly a fitness differs."""
  pair, programs, task_sets, found = _compared(name, dtype)
  for i in found.unexplained:
    assert executors.hangs_on_overflow(pair, programs, task_sets, i, monkeypatch), programs[int(i)]
  assert len(found.scored_different) <= 0.001 * len(programs)
  assert len(found.different) <= 0.01 * len(programs)
