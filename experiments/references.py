"""Programs to compare with: logistic regression and the plain neural network.

The binary ones are the hand-written programs of the paper's published code; on classes the
linear regressor is logistic regression, since its prediction passes through a sigmoid. The
paper prints none for several classes: these are the same two with vectors as labels and
predictions.
"""

from azero.language import text, zoo
from azero.language.program import Programs
from experiments.workers import Kind

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


def references(kind: Kind) -> dict[str, Programs]:
  """Logistic regression and the network for tasks of a kind, each a batch of one."""
  features = kind.num_features
  if kind.ten_classes:
    return {
        name: text.parse(source, num_features=features, min_vectors=3)
        for name, source in _TEN_CLASS.items()}
  return {
      LOGISTIC: zoo.load("linear_regressor", features), NETWORK: zoo.load("plain_nn", features)}


def ten_class_network() -> str:
  """Text of the network for ten classes."""
  return _TEN_CLASS[NETWORK]
