"""Rules of the op table for matrices as large as images.

The table's products and reductions are sums, which suits the small matrices of a search: XLA
turns a loop around them into native code. It adds up such a sum one number after the other,
though. Matrix products of its library are ten times faster at F = 784, also for adding up a
matrix: a product with a vector of ones.
"""

from collections.abc import Mapping

import jax
from jax import lax
import jax.numpy as jnp

from azero.language.ops import Rule

SMALLEST = 128  # F from which on these rules are faster


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
  return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def _row_sums(x: jax.Array) -> jax.Array:
  return _product(x, jnp.ones(x.shape[1], x.dtype))


def _row_means(x: jax.Array) -> jax.Array:
  return _row_sums(x) / x.shape[1]


def _mean(x: jax.Array) -> jax.Array:
  return jnp.mean(_row_means(x))


def _std(x: jax.Array) -> jax.Array:
  centred = x - _mean(x)
  return jnp.sqrt(_mean(centred * centred))


def _row_stds(x: jax.Array) -> jax.Array:
  centred = x - _row_means(x)[:, None]
  return jnp.sqrt(_row_means(centred * centred))


RULES: Mapping[str, Rule] = {
    "matrix_vector_product": _product,
    "matrix_matrix_product": _product,
    "matrix_norm": lambda x: jnp.sqrt(jnp.sum(_row_sums(x * x))),
    "matrix_row_norm": lambda x: jnp.sqrt(_row_sums(x * x)),
    "matrix_mean": _mean,
    "matrix_row_mean": _row_means,
    "matrix_std": _std,
    "matrix_row_std": _row_stds,
}
