"""The task types of figure 4: a whole learner, or only its Learn, for linear or affine labels."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import TYPE_CHECKING

from experiments.frame import lazy

with lazy.imports():
  from azero.language import spaces, text

if TYPE_CHECKING:
  from azero.language.program import Programs, SearchSpace

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
