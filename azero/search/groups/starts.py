"""Programs that a search on a table starts from: linear ones and a network, beside others.

The paper starts from nothing, and needs long to come as far as logistic regression. Who has a
table and a minute starts some islands from hand-written programs, with several learning rates,
and the others as the method does: a short search is then no worse than what everybody knows,
and a long one may still find something else.
"""

from collections.abc import Sequence
import dataclasses

from azero.language import text, zoo
from azero.language.program import Programs, SearchSpace
from azero.search.config import SearchConfig
from azero.search.groups.federation import Group
from azero.tasks.task import Tasks

_RATES = ("0.01", "0.001", "0.1")
# One linear predictor for each class. What Learn finds in v2 has passed through a softmax, so
# this is softmax regression. The space of the baselines has no difference of vectors.
_LINEAR_OF_CLASSES = """
def Setup():
  s2 = 0.001  # learning rate
  s3 = -1
def Predict():
  v2 = dot(m0, v0)
def Learn():
  v3 = s3 * v2
  v3 = v1 + v3
  v3 = s2 * v3
  m1 = outer(v3, v0)
  m0 = m0 + m1
"""
NETWORK_OF_CLASSES = """
def Setup():
  m0 = gaussian(0, 0.1)  # weights of the first layer
  m1 = gaussian(0, 0.1)  # weights of the second layer
  s3 = 0.01  # learning rate
def Predict():
  v3 = dot(m0, v0)
  v4 = maximum(v3, v5)  # v5 is never written: zero
  v2 = dot(m1, v4)
def Learn():
  v6 = v1 - v2
  v6 = s3 * v6
  m2 = transpose(m1)
  v7 = dot(m2, v6)
  m2 = outer(v6, v4)
  m1 = m1 + m2
  v8 = heaviside(v3)
  v7 = v8 * v7
  m2 = outer(v7, v0)
  m0 = m0 + m2
"""


@dataclasses.dataclass(frozen=True, eq=False)
class Known:
  """A program that is known before the search.

  Attributes:
    name: what it is.
    program: a batch of one, in the search space if that holds it and else in one of its own.
    is_linear: whether it is a linear model.
    starts: whether the space holds it, so that islands start from it. Another one is a
      candidate all the same where programs are chosen.
  """

  name: str
  program: Programs
  is_linear: bool
  starts: bool


def known_programs(space: SearchSpace, *, multiclass: bool) -> tuple[Known, ...]:
  """Linear programs and a network, those first that are most often the best.

  Args:
    space: of the search, with the ops of `spaces.baseline`.
    multiclass: whether tasks have more than two classes.
  """
  linear = {f"linear model, learning rate {rate}": (
      linear_of_classes(rate) if multiclass
      else zoo.source("linear_regressor").replace("0.001", rate)) for rate in _RATES}
  network = {"neural network": NETWORK_OF_CLASSES if multiclass else zoo.source("plain_nn")}
  programs = {name: in_space(source, space) for name, source in (linear | network).items()}
  return tuple(
      Known(name, program, name in linear, program.space == space)
      for name, program in programs.items())


def linear_of_classes(rate: str) -> str:
  """Text of softmax regression with a learning rate."""
  return _LINEAR_OF_CLASSES.replace("0.001", rate)


def in_space(source: str, space: SearchSpace) -> Programs:
  """A program of the space if that allows it, otherwise of a space of its own."""
  try:
    return text.parse(source, space)
  except ValueError:
    return text.parse(source, num_features=space.num_features, multiclass=True)


def groups(
    space: SearchSpace, task_sets: Sequence[Tasks], config: SearchConfig,
    known: Sequence[Known] = (),
) -> list[Group]:
  """Half of the islands start from known programs, the others as the settings say.

  Args:
    space: of all islands.
    task_sets: one for each island.
    config: settings of each.
    known: programs; without any that the space holds all islands start as the settings say.
  """
  templates = [each.program for each in known if each.starts]
  half = (len(task_sets) + 1) // 2 if templates else 0
  parts = []
  if templates:
    parts.append(Group(
        name="from known programs", space=space, task_sets=task_sets[:half],
        config=dataclasses.replace(config, initial="empty"),
        template=Programs.concatenate(templates)))
  if task_sets[half:]:
    name = "from others" if templates else "islands"
    parts.append(Group(name=name, space=space, task_sets=task_sets[half:], config=config))
  return parts
