"""The task types of figure 4, and a round of random search or of evolution on one of them."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import signal
from typing import TYPE_CHECKING, Any

from experiments.frame import lazy
from experiments.task_difficulty_report import RANDOM

with lazy.imports():
  from azero.language import spaces, text
  from azero.runs import runner
  from azero.runs.display import progress
  from azero.search import density
  from experiments.frame import reporting

if TYPE_CHECKING:
  from azero.language.program import Programs, SearchSpace
  from azero.search.config import SearchConfig
  from azero.search.density import Acceptance, Sample
  from azero.tasks.task import Tasks
  from experiments.frame.estimate import Estimate

_SHOWN = 3  # acceptable programs of a round that are recorded

_LINEAR = """
def Setup():
  s2 = {rate}
def Predict():
  s1 = dot(v0, v1)
"""
_LINEAR_LEARN = """
def Learn():
  s3 = s0 - s1
  s3 = s3 * s2
  v2 = s3 * v0
  v1 = v1 + v2
"""
_AFFINE = _LINEAR + "  s1 = s1 + s3\n"
_AFFINE_LEARN = """
def Learn():
  s4 = s0 - s1
  s4 = s4 * s2
  v2 = s4 * v0
  v1 = v1 + v2
  s3 = s3 + s4
"""


@dataclasses.dataclass(frozen=True)
class TaskType:
  """A point of figure 4.

  Attributes:
    affine: whether labels are affine functions of the features.
    learn_only: whether Setup and Predict are given.
    budget: programs of an evolution experiment.
    paper_difficulty: what the paper's text says of its difficulty.
    paper_ratio: what the text says of the success ratio.
  """

  affine: bool
  learn_only: bool
  budget: int = 10_000
  paper_difficulty: str = "only in the figure"
  paper_ratio: str = "only in the figure"

  def space(self, num_features: int) -> SearchSpace:
    """The search space."""
    make = spaces.affine if self.affine else spaces.linear
    return make(num_features, learn_only=self.learn_only)

  def reference(self, rate: float, space: SearchSpace) -> Programs:
    """The hand-written program: gradient descent of this rate."""
    head, learn = (_AFFINE, _AFFINE_LEARN) if self.affine else (_LINEAR, _LINEAR_LEARN)
    return text.parse(head.format(rate=rate) + learn, space)

  def template(self, rate: float, space: SearchSpace) -> Programs | None:
    """The reference without its Learn, if that alone is searched."""
    if not self.learn_only:
      return None
    head = _AFFINE if self.affine else _LINEAR
    return text.parse(head.format(rate=rate) + "def Learn():\n", space)


TASK_TYPES: Mapping[str, TaskType] = {
    "linear_backprop": TaskType(affine=False, learn_only=True),
    "linear_regressor": TaskType(
        affine=False, learn_only=False, paper_difficulty="10^7", paper_ratio="5"),
    "affine_backprop": TaskType(affine=True, learn_only=True),
    "affine_regressor": TaskType(
        affine=True, learn_only=False, budget=100_000,
        paper_difficulty="only in the figure (the hardest; the text speaks of up to 10^12)"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Round:
  """What a round has.

  Attributes:
    kind: name of the task type.
    space: the search space.
    task_sets: of evolution one for each experiment, of random search two.
    acceptance: which programs count.
    template: what is given of a program, if anything.
    count: programs to try.
    config: of an evolution experiment; random search has its seed, type and lanes.
    progress: how to show it.
    expected: the estimate of the time.
  """

  kind: str
  space: SearchSpace
  task_sets: list[Tasks]
  acceptance: Acceptance
  template: Programs | None
  count: int
  config: SearchConfig
  progress: str
  expected: Estimate


def run_round(method: str, task: Round) -> dict[str, Any] | signal.Signals:
  """What came out of a round, or the signal that interrupted it."""
  return _random(task) if method == RANDOM else _evolution(task)


def _random(task: Round) -> dict[str, Any] | signal.Signals:

  def show(so_far: Sample) -> None:
    if task.expected.due:
      task.expected.show(
          {"train_steps": so_far.train_steps, "programs": so_far.programs},
          {"programs": task.count - so_far.programs})
    if display.due():
      display.show(f"{task.kind}, {RANDOM}: {so_far.programs:,} programs, {so_far.acceptable} "
                   "acceptable in this round")

  try:
    with progress.Progress(task.progress) as display:
      found = density.sample(
          task.space, task.task_sets, task.acceptance, task.count, seed=task.config.seed,
          template=task.template, dtype=task.config.dtype, lanes=task.config.lanes, keep=_SHOWN,
          on_batch=show)
  except KeyboardInterrupt:
    return signal.SIGINT
  return {
      "programs": found.programs, "acceptable": found.acceptable, "experiments": 0,
      "evaluated": found.evaluated, "train_steps": found.train_steps,
      "found": [reporting.live_text(program) for program in found.found]}


def _evolution(task: Round) -> dict[str, Any] | signal.Signals:
  search = density.RepeatedEvolution(
      task.space, task.task_sets, task.config, task.acceptance, template=task.template)
  ended = runner.run(search, progress=task.progress, should_stop=task.expected)
  if ended.signum is not None:
    return signal.Signals(ended.signum)
  return {
      "programs": task.count, "acceptable": len(search.accepted),
      "experiments": len(task.task_sets), "evaluated": search.counts.evaluated,
      "train_steps": search.counts.train_steps,
      "found": [
          reporting.live_text(search.accepted[island])
          for island in sorted(search.accepted)[:_SHOWN]]}
