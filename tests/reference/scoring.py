"""Scores of one island in plain Python: caches, hurdle and evaluation, one program at a time.

Written from S3 of the AutoML-Zero paper; see azero/search/rounds/evaluating.py. It has what runs
a program from an evaluator, and its key from `azero.compiler.canonical`.
"""

import collections
import math
from typing import Any

import numpy as np
from reference.breeding import Program
from reference.lru import SetAssociativeCache
from reference.textbook import to_programs

from azero.compiler import canonical
from azero.language.program import SearchSpace
from azero.search.config import SearchConfig
from azero.search.scoring.evaluators import ProgramEvaluator
from azero.tasks.task import Tasks

EXAMPLES = 10  # of a fingerprint
PERCENTILE = 75


class Scorer:
  """Scores programs on the tasks of one island, in the order in which it is asked.

  Attributes:
    answers: how each child was answered: "key", "print", "stopped", "hurdle" or "trained".
    asked_first: of each child the one whose evaluation tells its fitness, itself or an earlier
      one.
  """

  def __init__(
      self, space: SearchSpace, evaluator: ProgramEvaluator, tasks: Tasks, config: SearchConfig, *,
      island: int = 0,
  ):
    """Prepares empty caches.

    Args:
      space: of the programs.
      evaluator: runs programs on all training examples, of every sample of tasks of every island.
      tasks: of the island.
      config: the settings.
      island: number of those tasks among those of the evaluator.
    """
    self._space, self._multiclass = space, tasks.multiclass
    samples = 1 if config.task_sample is None else len(tasks) // config.task_sample
    self._every = config.population_size
    self._samples = [island * samples + s for s in range(samples)]
    places = math.ceil(config.cache_size / samples)
    # Every sample has caches of its own.
    self._caches = [(
        SetAssociativeCache(places) if config.canonical_cache else None,
        SetAssociativeCache(places) if config.fingerprint else None) for _ in range(samples)]
    self._full = evaluator
    self._short = None if not config.fingerprint else evaluator.part(
        min(EXAMPLES, tasks.num_train), min(EXAMPLES, tasks.num_valid), fingerprint=True)
    self._start = None if config.hurdle is None else evaluator.part(
        max(1, round(config.hurdle * tasks.num_train)), tasks.num_valid)
    self._recent: collections.deque = collections.deque(maxlen=config.population_size)
    self._height = -np.inf
    self._keyed: dict[tuple[int, int, int], int] = {}
    self.begin(0)
    self.answers: list[str] = []
    self.asked_first: list[int] = []

  def begin(self, child: int) -> None:
    """Says which child of its island it is whose programs come next."""
    if child % self._every == 0 and self._recent:  # one hurdle for every generation
      self._height = float(np.percentile(np.unique(self._recent), PERCENTILE))
    sample = child // self._every % len(self._samples)
    self._sample, (self._keys, self._prints) = self._samples[sample], self._caches[sample]

  def __call__(self, program: Program) -> tuple[float, int]:
    """Fitness of a program, and training steps that finding it took."""
    child = len(self.answers)
    batch = to_programs(self._space, program)
    analysis = canonical.analyse(batch, multiclass=self._multiclass)
    first, second = analysis.key[0].tolist()
    known = None if self._keys is None else self._keys.get((first, second))
    if known is not None:
      self.answers.append("key")
      self.asked_first.append(self._keyed[first, second, self._sample])
      return known, 0
    answer, fitness, steps = self._evaluate(self._full.plan(batch, analysis))
    self.answers.append(answer)
    self.asked_first.append(child)
    if self._keys is not None:
      self._keys.put((first, second), fitness)
      self._keyed[first, second, self._sample] = child
    return fitness, steps

  def is_known(self, program: Program) -> bool:
    """Whether the cache of keys knows a program, which marks it as used."""
    key = canonical.analyse(
        to_programs(self._space, program), multiclass=self._multiclass).key[0].tolist()
    return self._keys is not None and self._keys.get(tuple(key)) is not None

  def _evaluate(self, plan: Any) -> tuple[str, float, int]:
    """What the cache of keys could not answer: how it was answered, fitness and steps."""
    steps, print_ = 0, (0, 0)
    if self._prints is not None:
      short = self._run(self._short, plan)
      steps += int(short.train_steps[0])
      first, second = short.fingerprint[0].tolist()
      print_ = first, second
      known = self._prints.get(print_)
      if not short.trained.any():
        return "stopped", 0.0, steps
      if known is not None:
        return "print", known, steps
    answer, fitness, more = self._train(plan)
    if self._prints is not None:
      self._prints.put(print_, fitness)
    return answer, fitness, steps + more

  def _train(self, plan: Any) -> tuple[str, float, int]:
    steps = 0
    if self._start is not None:
      start = self._run(self._start, plan)
      steps += int(start.train_steps[0])
      fitness = float(start.fitness[0])
      self._recent.append(fitness)
      if fitness < self._height or not start.trained.any():
        return "hurdle", fitness, steps
    full = self._run(self._full, plan)
    return "trained", float(full.fitness[0]), steps + int(full.train_steps[0])

  def _run(self, evaluator: Any, plan: Any) -> Any:
    return evaluator.evaluate_plan(plan, np.array([self._sample]), 0)
