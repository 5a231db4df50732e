"""Selecting a program among those that a search found, and where it stands among others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.frame import lazy

with lazy.imports():
  from azero.executors import evaluator
  from azero.language import program as program_lib

if TYPE_CHECKING:
  from azero.language.program import Programs
  from azero.search.config import SearchConfig
  from azero.tasks.task import Tasks
  from experiments.frame.runtimes import GroupedSearch

_ROUNDING = 1e-6  # of a fitness in float32: a gain below it is none


def fitness_of(
    programs: Programs, tasks: Tasks, config: SearchConfig, **changes: Any
) -> evaluator.Evaluation:
  """Evaluates programs on tasks as a search of these settings does, but for the changes."""
  judge = evaluator.Evaluator(programs.space, tasks, **config.evaluator_settings() | changes)
  return judge.evaluate(programs)


def candidates_of(search: GroupedSearch) -> Programs:
  """The hall of fame of a search, and the best program of each island."""
  return program_lib.Programs.concatenate(
      [entry.program for entry in search.hall_of_fame] + [search.best_programs])


def select(
    candidates: Programs, tasks: Tasks, config: SearchConfig, **changes: Any
) -> tuple[Programs, float]:
  """The candidate that is best on some tasks, a batch of one, and its fitness there."""
  fitness = fitness_of(candidates, tasks, config, **changes).fitness
  best = int(fitness.argmax())
  return candidates[best], float(fitness[best])


def verdict(program: np.ndarray, constant: np.ndarray) -> str:
  """How a program stands to the constant prediction, by the fitness of both on D tasks."""
  gain = program - constant
  error = gain.std(ddof=1) / math.sqrt(len(gain)) if len(gain) > 1 else math.inf
  clear = abs(gain.mean()) > max(2 * error, _ROUNDING)
  how = "cannot be told from"
  if clear:
    how = "is better than" if gain.mean() > 0 else "is worse than"
  return (
      f"It {how} the constant prediction: {gain.mean():+.4f} with a standard error of {error:.4f} "
      "over the tasks.")
