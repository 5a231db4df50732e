"""Selecting a program among those that a search found, and where it stands among others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.frame import lazy

with lazy.imports():
  from azero.executors import evaluator
  from azero.language import program as program_lib

if TYPE_CHECKING:
  from azero.language.program import Programs, SearchSpace
  from azero.search.config import SearchConfig
  from azero.tasks.task import Tasks
  from experiments.frame.runtimes import GroupedSearch


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


class Judge:
  """Chooses programs on some tasks and judges them on others of the same shape.

  Each search space has one evaluator for both, which is compiled once.
  """

  def __init__(self, choose: Tasks, judge: Tasks, settings: Mapping[str, Any]):
    """Stores what evaluators are made of; compiles nothing yet.

    Args:
      choose: tasks to choose on.
      judge: tasks to judge on.
      settings: of the evaluators.
    """
    self._tasks, self._settings = [choose, judge], dict(settings)
    self._evaluators: dict[SearchSpace, evaluator.Evaluator] = {}

  def choose(self, candidates: Programs) -> tuple[int, float]:
    """Which candidate is best on the tasks to choose on, and its fitness there."""
    fitness = self._evaluator(candidates.space).evaluate(candidates, 0).fitness
    best = int(fitness.argmax())
    return best, float(fitness[best])

  def judge(self, program: Programs) -> np.ndarray:
    """Fitness of a batch of one on each of the tasks to judge on, [D]."""
    return self._evaluator(program.space).evaluate(program, 1).per_task[0]

  def _evaluator(self, space: SearchSpace) -> evaluator.Evaluator:
    if space not in self._evaluators:
      self._evaluators[space] = evaluator.Evaluator(space, self._tasks, **self._settings)
    return self._evaluators[space]
