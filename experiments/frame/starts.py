"""Programs that a search on a table starts from: linear ones and a network, beside empty ones.

The paper starts from nothing, and needs long to come as far as logistic regression. Who has a
table and a minute starts some islands from the zoo's hand-written programs, with several learning
rates, and the others from empty programs: a short search is then no worse than what everybody
knows, and a long one may still find something else.
"""

from __future__ import annotations

import dataclasses

from azero.language import text, zoo
from azero.language.program import Programs, SearchSpace

_RATES = ("0.001", "0.01", "0.1")
# One linear predictor for each class, trained as the zoo's is for one. The space of the baselines
# has no difference of vectors.
_LINEAR_OF_CLASSES = """
def Setup():
  s2 = 0.001
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


@dataclasses.dataclass(frozen=True, eq=False)
class Starts:
  """Programs to start from.

  Attributes:
    programs: a batch.
    names: of each.
  """

  programs: Programs
  names: tuple[str, ...]


def starts(space: SearchSpace, *, multiclass: bool) -> Starts:
  """The programs of a space with the ops of `spaces.baseline`.

  Args:
    space: of the search.
    multiclass: whether tasks have more than two classes.
  """
  sources = {}
  linear = _LINEAR_OF_CLASSES if multiclass else zoo.source("linear_regressor")
  for rate in _RATES:
    sources[f"linear model, learning rate {rate}"] = linear.replace("0.001", rate)
  if not multiclass:
    sources["neural network of the zoo"] = zoo.source("plain_nn")
  programs = text.parse_many(
      list(sources.values()), space, min_vectors=3 if multiclass else 1)
  return Starts(programs, tuple(sources))
