"""An evaluator that runs no program: what one gets follows from its live ops and the tasks.

For tests of what surrounds an evaluation. It knows all that a search asks for: programs that
stop early, fingerprints that different programs share, hurdles after a part of the training.
"""

from typing import NamedTuple

import numpy as np

from azero.compiler import canonical
from azero.executors.evaluator import Evaluation

_ODD = 0x9E3779B97F4A7C15


class Plan(NamedTuple):
  """The ops of N programs as one number each: [N] uint64."""

  word: np.ndarray

  def take(self, rows):
    return Plan(self.word.take(rows))


class Done(NamedTuple):
  """An evaluation that was never under way."""

  evaluation: Evaluation

  def result(self):
    return self.evaluation


class ToyEvaluator:
  """Takes the settings of `Evaluator`, of which epochs and seed matter.

  Programs of the same live ops have one fingerprint and one fitness. One in eight of these
  stops at its first example of every task.
  """

  def __init__(self, space, tasks, *, num_epochs=1, seed=0, fingerprint=False, **settings):
    self.space, self.fingerprint, self.num_epochs = space, fingerprint, num_epochs
    first = tasks[0]
    self.multiclass, self.num_tasks, self.num_train = (
        first.multiclass, len(first), first.num_train)
    # What is known of a set of tasks must not depend on how many of its examples there are.
    self.labels = _words([abs(each.train_y[:, 0].astype(np.float64)).sum() for each in tasks])
    self.labels ^= np.uint64(seed)

  def analyse(self, programs):
    return canonical.analyse(programs, multiclass=self.multiclass)

  def plan(self, programs, analysis):
    ops = np.where(analysis.live, programs.opcode + 2, 0).astype(np.uint64)
    place = np.arange(1, ops.shape[1] + 1, dtype=np.uint64)
    return Plan(_mix((_mix(ops + place * np.uint64(1000)) * (ops > 0)).sum(1, dtype=np.uint64)))

  def launch(self, plan, task_sets):
    mixed = _mix(plan.word ^ self.labels[task_sets])
    stopped = plan.word % np.uint64(8) == 0
    fitness = mixed / 2.0**64 * self.num_train / (self.num_train + 2)
    steps = np.where(stopped, 1, self.num_train * self.num_epochs) * self.num_tasks
    shape = (len(stopped), self.num_tasks)
    fitness[stopped] = 0.0
    return Done(Evaluation(
        fitness, np.broadcast_to(fitness[:, None], shape), steps,
        np.broadcast_to(~stopped[:, None], shape),
        fingerprint=np.stack([mixed, plan.word], 1) if self.fingerprint else None))


def _mix(word):
  """Scatters the bits of words."""
  word = (word ^ word >> np.uint64(31)) * np.uint64(_ODD)
  return word ^ word >> np.uint64(29)


def _words(values):
  return _mix(np.array(values, np.float64).view(np.uint64))
