"""Labels, predictions and errors: what an evaluation does between program and data.

Normalisation, errors and fitness of the three kinds of tasks (section 3.1 of the AutoML-Zero
paper). A label or prediction is a scalar, or a vector with an entry for each class where
there are more than two; all functions take any number of axes in front.
"""

import math

import jax
from jax import lax
import jax.numpy as jnp


class Loss:
  """The loss of tasks with `num_classes` classes, 0 for regression."""

  def __init__(self, num_classes: int):
    self.num_classes = num_classes
    self.multiclass = num_classes > 2

  def label(self, y: jax.Array) -> jax.Array:
    """The label as a program sees it: y itself, or one-hot, [...] -> [..., C]."""
    if not self.multiclass:
      return y
    classes = jnp.arange(self.num_classes, dtype=jnp.int32)
    return (classes == y[..., None].astype(jnp.int32)).astype(y.dtype)

  def pad(self, values: jax.Array, num_features: int) -> jax.Array:
    """Vectors of C entries as vectors of F, zeros behind."""
    padding = [(0, 0)] * (values.ndim - 1) + [(0, num_features - self.num_classes)]
    return jnp.pad(values, padding)

  def normalise(self, prediction: jax.Array) -> jax.Array:
    """Identity, sigmoid or softmax."""
    if self.num_classes == 0:
      return prediction
    if self.multiclass:
      return jax.nn.softmax(prediction, axis=-1)
    return jax.nn.sigmoid(prediction)

  def train_error(self, label: jax.Array, prediction: jax.Array) -> jax.Array:
    """|y - prediction|; for multi-class the largest entry."""
    error = jnp.abs(label - prediction)
    return jnp.max(error, axis=-1) if self.multiclass else error

  def valid_error(self, label: jax.Array, prediction: jax.Array) -> jax.Array:
    """|y - prediction| for regression, else 0 or 1; NaN where there is no valid prediction.

    What counts is the normalised prediction: as in the published evaluator, a raw infinity
    of a binary task is a probability of 0 or 1.
    """
    if self.num_classes == 0:
      return jnp.abs(label - prediction)
    if self.multiclass:
      chosen, right = (lax.argmax(x, x.ndim - 1, jnp.int32) for x in (prediction, label))
      wrong, invalid = chosen != right, jnp.isnan(prediction).any(-1)
    else:
      wrong, invalid = (prediction > 0.5) != (label > 0.5), jnp.isnan(prediction)
    return jnp.where(invalid, jnp.full_like(prediction, jnp.nan, shape=wrong.shape),
                     wrong.astype(prediction.dtype))

  def fitness(self, total: jax.Array, count: jax.Array | int) -> jax.Array:
    """Fitness in [0, 1] from the sum of the squared errors of so many examples."""
    if self.num_classes == 0:
      return 1.0 - (2.0 / math.pi) * jnp.arctan(jnp.sqrt(total / count))
    return (count - total) / count
