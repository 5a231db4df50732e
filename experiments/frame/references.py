"""Programs to compare with: logistic regression and the plain neural network.

The binary ones are the hand-written programs of the paper's published code; on classes the
linear regressor is logistic regression, since its prediction passes through a sigmoid. The
paper prints none for several classes: these are the same two with vectors as labels and
predictions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.frame import lazy

with lazy.imports():
  from azero.language import zoo
  from azero.search.groups import starts

if TYPE_CHECKING:
  from azero.language.program import Programs, SearchSpace
  from experiments.frame.workers import Kind

LOGISTIC, NETWORK = "logistic regression", "neural network"


def references(kind: Kind, space: SearchSpace) -> dict[str, Programs]:
  """Logistic regression and the network for tasks of a kind, each a batch of one.

  They are programs of the given space where it allows them, whose executor then serves them
  too, and otherwise of spaces of their own.
  """
  binary = {LOGISTIC: zoo.source("linear_regressor"), NETWORK: zoo.source("plain_nn")}
  several = {LOGISTIC: starts.linear_of_classes("0.01"), NETWORK: starts.NETWORK_OF_CLASSES}
  sources = several if kind.ten_classes else binary
  return {name: starts.in_space(source, space) for name, source in sources.items()}
