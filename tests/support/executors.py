"""The wave executor beside the interpreter: equal up to rounding, or shown to be chaotic."""

from typing import NamedTuple

import numpy as np
from support import chaos

from azero.executors.evaluator import Evaluation, Evaluator
from azero.language.program import Programs, SearchSpace
from azero.tasks.task import Tasks

# Fitness, relative in float64 and absolute in float32; and errors and predictions.
_FITNESS = {"float64": (1e-9, 0.0), "float32": (0.0, 1e-5)}
_TRACE = {"rtol": 1e-9, "atol": 1e-12}  # of float64


class Pair(NamedTuple):
  """The two executors with the same settings."""

  waves: Evaluator
  interpreter: Evaluator
  seed: int
  num_epochs: int


class Comparison(NamedTuple):
  """What a comparison of N programs found.

  Attributes:
    waves: the evaluation by the wave executor.
    different: programs with another fitness, train_steps or trained, as indices.
    scored_different: those with another fitness.
    traced_different: those with another trace, in float64.
    unexplained: those of either for which rounding does not explain it.
  """

  waves: Evaluation
  different: np.ndarray
  scored_different: np.ndarray
  traced_different: np.ndarray
  unexplained: np.ndarray


def make_pair(
    space: SearchSpace, sets: list[Tasks], *, seed: int = 0, num_epochs: int = 1, **settings
) -> Pair:
  """Evaluators of both executors, on one device."""
  evaluators = (
      Evaluator(space, sets, executor=name, num_devices=1, seed=seed, num_epochs=num_epochs,
                **settings)
      for name in ("waves", "interpreter"))
  return Pair(*evaluators, seed, num_epochs)


def compare(
    pair: Pair, programs: Programs, task_set: int | np.ndarray, monkeypatch, *, raw: bool = False
) -> Comparison:
  """Evaluates N programs with both executors; without a monkeypatch nothing is explained."""
  sets = np.broadcast_to(np.asarray(task_set), (len(programs),))
  analysis = pair.waves.analyse(programs)
  got = pair.waves.evaluate(programs, sets, analysis=analysis, raw=raw)
  wanted = pair.interpreter.evaluate(programs, sets, analysis=analysis)
  dtype = pair.waves.dtype
  rtol, atol = _FITNESS[dtype]
  scored = np.abs(got.per_task - wanted.per_task) > rtol * wanted.per_task + atol
  different = scored | (got.trained != wanted.trained)
  steps = got.train_steps != wanted.train_steps
  traced = np.zeros_like(different)
  for own, other in zip(got.trace or (), wanted.trace or ()) if dtype == "float64" else ():
    same = np.isclose(own, other, **_TRACE, equal_nan=True)
    traced |= ~same.reshape(*traced.shape, -1).all(2)

  suspects = different | traced
  suspects[steps & ~suspects.any(1)] = True  # the sum over tasks does not say which
  unexplained = [
      i for i in np.flatnonzero(suspects.any(1)) if monkeypatch is None or not _explained(
          chaos.is_chaotic, pair, programs, analysis, i, sets, np.flatnonzero(suspects[i]),
          monkeypatch)]
  return Comparison(
      got, np.flatnonzero(different.any(1) | steps), np.flatnonzero(scored.any(1)),
      np.flatnonzero(traced.any(1)), np.array(unexplained, int))


def hangs_on_overflow(
    pair: Pair, programs: Programs, task_sets: np.ndarray, i: int, monkeypatch) -> bool:
  """Whether overflow explains that program i is evaluated in two ways."""
  analysis, tasks = pair.waves.analyse(programs), pair.waves.task_sets[task_sets[i]]
  return _explained(
      chaos.hangs_on_overflow, pair, programs, analysis, i, task_sets, range(len(tasks)),
      monkeypatch)


def _explained(explain, pair, programs, analysis, i, sets, tasks, monkeypatch) -> bool:
  dtype = pair.waves.dtype
  return any(
      explain(
          programs, analysis, i, pair.waves.task_sets[sets[i]], monkeypatch, task=task,
          seed=pair.seed, num_epochs=pair.num_epochs, dtype=dtype,
          tolerance=1e-9 if dtype == "float64" else 1e-5)
      for task in tasks)
