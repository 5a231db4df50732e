"""Programs of a test's own as the children of a round, to look at how they are answered."""

import numpy as np
from support.search_cases import config

from azero.executors.evaluator import Evaluator
from azero.language.program import Programs
from azero.search.evolution import Evolution
from azero.search.rounds.round import CHILDREN

ROUND = 256  # programs at most of an island


class Scoring:
  """Islands that have no children but the programs that they are given.

  Attributes:
    search: theirs.
    keys: [N, 2] canonical keys of the programs that were evaluated last, island by island.
  """

  def __init__(self, space, task_sets, *, evaluator=Evaluator, **settings):
    self.search = Evolution(
        space, task_sets, config(**({"population_size": ROUND} | settings)), evaluator=evaluator)
    self.keys = np.zeros((0, 2), np.uint64)

  @property
  def counts(self):
    return self.search.counts

  def state(self):
    return self.search.state()

  def restore(self, state):
    self.search.restore(state)

  def evaluate(self, programs: Programs, islands) -> tuple[np.ndarray, np.ndarray]:
    """Fitness and training steps of N programs, those of an island in one round."""
    search, (thread,) = self.search, self.search._threads
    islands = np.broadcast_to(islands, (len(programs),))
    fitness, steps, keys = np.zeros(len(programs)), np.zeros(len(programs), int), []
    for island in np.unique(islands):
      rows = np.flatnonzero(islands == island)
      places, before = np.arange(len(rows)), int(search.train_steps[island])
      seen = search.counts.programs
      thread.take_in(np.array([island]), places[None], programs[rows], [])
      assert search.counts.programs == seen + len(rows)
      fitness[rows] = search.fitness[island, places]
      steps[rows] = np.diff(thread._round.steps[: len(rows)], prepend=before)
      keys.append(search.islands.key[island, places])
    assert not thread._round.counts[CHILDREN]
    self.keys = np.concatenate(keys) if keys else self.keys[:0]
    return fitness, steps
