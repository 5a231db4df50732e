"""The problems of the bench of discovery: tasks to search on, tasks that no search sees, the goal.

| problem | labels | search tasks: D, examples | goal | where the goal is from |
|---|---|---|---|---|
| linear | u . x | 10, 100 + 100 | 0.9999 | the published demo's: the rule itself |
| affine | u . x + a | 10, 100 + 100 | 0.9999 | the same |
| teacher | u . relu(M x) | 100, 1000 + 100 | 0.54 | the best mean of ten runs published |
| linear_classification | sign of u . x | 10, 1000 + 100 | 0.985 | hand-written learner 0.989 |
| affine_classification | sign of u . x + a | 10, 1000 + 100 | 0.98 | hand-written learner 0.984 |
| teacher_classification | sign of u . relu(M x) | 100, 1000 + 100 | 0.91 | linear learner 0.897 |
| digits | five digits or the others | 10, 1000 + 300 | 0.78 | hand-written learner 0.787 |

Goals are mean fitnesses on unseen tasks of 1000 training examples, those of digits of class groups
and images that no search sees. A goal is what a learner of the problem's kind reaches and a simpler
one does not. Measured on the unseen tasks of seed 0, gradient descent written by hand, one pass, at
the best of eleven rates: 1.0000 linear, 1.0000 affine; teacher: a two-layer network 0.82, an affine
model 0.507; its classification: a two-layer network 0.925, an affine model 0.897; the other
classifications as in the table (logistic regression). The published 0.54 for the teacher
is of mean absolute errors; here, where errors are root mean squares, it is a little harder, and
still above what affine models can have.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.frame import lazy

with lazy.imports():
  from azero.tasks import synthetic
  from azero.tasks.images import digits

if TYPE_CHECKING:
  from azero.tasks.task import Tasks

SEARCH, LOOK, CONFIRM = range(3)  # what tasks are for
_SPLITS = ("search", "select", "final")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
  """What is to be discovered.

  Attributes:
    learner: the least that solves it, which decides the spaces: "linear", "affine" or "network".
    goal: mean fitness on unseen tasks that is a success.
    num_tasks: D, search tasks of a seed.
    num_train: training examples of a search task.
    num_valid: validation examples of any task.
    num_features: F.
    max_programs: of a seed at most.
  """

  learner: str
  goal: float
  num_tasks: int = 10
  num_train: int = 1000
  num_valid: int = 100
  num_features: int = 4
  max_programs: int = 2_000_000


PROBLEMS: Mapping[str, Problem] = {
    "linear": Problem(learner="linear", goal=0.9999, num_train=100),
    "affine": Problem(learner="affine", goal=0.9999, num_train=100),
    "teacher": Problem(learner="network", goal=0.54, num_tasks=100, max_programs=20_000_000),
    "linear_classification": Problem(learner="linear", goal=0.985),
    "affine_classification": Problem(learner="affine", goal=0.98),
    "teacher_classification": Problem(
        learner="network", goal=0.91, num_tasks=100, max_programs=20_000_000),
    "digits": Problem(learner="linear", goal=0.78, num_valid=300, num_features=16),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exam:
  """What all arms have in common on a problem in a space, and a comparison therefore needs.

  Attributes:
    goal: see `Problem`.
    num_tasks: D, search tasks of a seed.
    num_train: their training examples.
    num_valid: validation examples of any task.
    num_features: F.
    num_unseen: tasks to look on, and as many others to confirm a success on.
    unseen_train: their training examples.
    look_every: children of a seed between two looks; programs, where a method makes one of each.
    max_programs: of a seed at most.
    max_seconds: of a seed at most; None for no limit.
    base_seed: decides all tasks, with the number of the seed.
  """

  goal: float
  num_tasks: int
  num_train: int
  num_valid: int
  num_features: int
  num_unseen: int
  unseen_train: int
  look_every: int
  max_programs: int
  max_seconds: float | None
  base_seed: int


def exam_of(config: Any, name: str) -> Exam:
  """The exam of a problem: the problem's own values where the settings leave them open."""
  problem = PROBLEMS[name]
  return Exam(
      goal=config.goal or problem.goal, num_tasks=config.num_tasks or problem.num_tasks,
      num_train=config.num_train or problem.num_train, num_valid=problem.num_valid,
      num_features=problem.num_features, num_unseen=config.num_unseen,
      unseen_train=config.unseen_train, look_every=config.look_every,
      max_programs=config.max_programs or problem.max_programs, max_seconds=config.max_seconds,
      base_seed=config.search.seed)


def search_tasks(name: str, exam: Exam, seed: int) -> Tasks:
  """The tasks that seed number `seed` searches on, whatever the arm and the space."""
  return _draw(name, exam, SEARCH, exam.num_tasks, seed)


def unseen_tasks(name: str, exam: Exam) -> list[Tasks]:
  """Tasks to look on and tasks to confirm a success on; all seeds and arms have the same."""
  return [_draw(name, exam, part, exam.num_unseen) for part in (LOOK, CONFIRM)]


def _draw(name: str, exam: Exam, part: int, count: int, number: int = 0) -> Tasks:
  seed = int(np.random.SeedSequence(
      [exam.base_seed, part, number, *name.encode()]).generate_state(1)[0])
  sizes: dict[str, Any] = {
      "seed": seed, "num_features": exam.num_features, "num_valid": exam.num_valid,
      "num_train": exam.num_train if part == SEARCH else exam.unseen_train}
  if name == "digits":
    return digits.projected_digits("groups", _SPLITS[part], count, **sizes)
  suffix = "" if name.endswith("_classification") else "_regression"
  return getattr(synthetic, name + suffix)(count, **sizes)
