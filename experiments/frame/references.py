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
  from azero.language import text, zoo

if TYPE_CHECKING:
  from azero.language.program import Programs, SearchSpace
  from experiments.frame.workers import Kind

LOGISTIC, NETWORK = "logistic regression", "neural network"

_TEN_CLASS = {
    LOGISTIC: """
def Setup():
  s3 = 0.01  # learning rate
def Predict():
  v2 = dot(m0, v0)
def Learn():
  v3 = v1 - v2
  v3 = s3 * v3
  m1 = outer(v3, v0)
  m0 = m0 + m1
""",
    NETWORK: """
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
""",
}


def references(kind: Kind, space: SearchSpace) -> dict[str, Programs]:
  """Logistic regression and the network for tasks of a kind, each a batch of one.

  They are programs of the given space where it allows them, whose executor then serves them
  too, and otherwise of spaces of their own.
  """
  binary = {LOGISTIC: zoo.source("linear_regressor"), NETWORK: zoo.source("plain_nn")}
  sources = _TEN_CLASS if kind.ten_classes else binary
  return {name: in_space(source, space) for name, source in sources.items()}


def in_space(source: str, space: SearchSpace) -> Programs:
  """A program of the space if that allows it, otherwise of a space of its own."""
  try:
    return text.parse(source, space)
  except ValueError:
    return text.parse(source, num_features=space.num_features, min_vectors=3)


def ten_class_network() -> str:
  """Text of the network for ten classes."""
  return _TEN_CLASS[NETWORK]
