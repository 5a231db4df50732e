"""An evaluator that runs no program: what one gets follows from the set of its live ops.

For tests of what surrounds an evaluation. It knows all that a search asks for: programs that
stop early, fingerprints that different programs share, hurdles after a part of the training.
"""

import copy
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


class ToyEvaluator:
  """Takes the settings of `Evaluator`, of which epochs, seed and devices matter.

  Programs of the same live ops have one fingerprint and one fitness. One in eight of these
  stops at its first example of every task. What a program gets depends on nothing else than
  the program, its tasks and the seed.

  Attributes:
    calls: evaluations on each of the devices, those of all parts together.
  """

  def __init__(self, space, tasks, *, num_epochs=1, seed=0, num_devices=None, **settings):
    first = tasks[0]
    self.space, self.num_devices = space, num_devices or 2
    self.multiclass, self.num_tasks = first.multiclass, len(first)
    self.num_train, self.num_epochs = first.num_train, num_epochs
    self.fingerprint = False
    self.calls = [0] * self.num_devices
    # What is known of a set of tasks does not depend on how many of its examples a part has.
    self.labels = _words([abs(each.train_y[:, 0].astype(np.float64)).sum() for each in tasks])
    self.labels ^= np.uint64(seed)

  def analyse(self, programs):
    return canonical.analyse(programs, multiclass=self.multiclass)

  def part(self, num_train, num_valid, *, fingerprint=False):
    part = copy.copy(self)
    part.num_train, part.num_epochs, part.fingerprint = num_train, 1, fingerprint
    return part

  def plan(self, programs, analysis):
    # A set of ops, each with its component function: programs of one canonical key have one.
    function = self.space.function_of_slot.astype(int)
    ops = np.where(analysis.live, programs.opcode + 1 + 1000 * function, 0)
    words = [_mix(np.unique(row[row > 0]).astype(np.uint64)).sum(dtype=np.uint64) for row in ops]
    return Plan(_mix(np.array(words, np.uint64)))

  def evaluate_plan(self, plan, task_sets, device=0):
    self.calls[device] += 1
    mixed = _mix(plan.word ^ self.labels[task_sets])
    stopped = plan.word % np.uint64(8) == 0
    fitness = mixed / 2.0**64 * self.num_train / (self.num_train + 2)
    steps = np.where(stopped, 1, self.num_train * self.num_epochs) * self.num_tasks
    shape = (len(stopped), self.num_tasks)
    fitness[stopped] = 0.0
    return Evaluation(
        fitness, np.broadcast_to(fitness[:, None], shape), steps,
        np.broadcast_to(~stopped[:, None], shape),
        fingerprint=np.stack([mixed, plan.word], 1) if self.fingerprint else None)


def _mix(word):
  """Scatters the bits of words."""
  word = (word ^ word >> np.uint64(31)) * np.uint64(_ODD)
  return word ^ word >> np.uint64(29)


def _words(values):
  return _mix(np.array(values, np.float64).view(np.uint64))
