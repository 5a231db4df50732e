"""What the 65 ops of table S1 of the AutoML-Zero paper compute, as rules on JAX arrays.

`table_s1` says how an op is written, this module what it does, both in the order of the
ids. It is loaded when a rule is first called, so that programs can be read, printed and
mutated without JAX. The arguments of a rule are those that `ops.Op` names.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def _heaviside_closed(x: jax.Array) -> jax.Array:
  return (x >= 0).astype(x.dtype)


def _heaviside_open(x: jax.Array) -> jax.Array:
  return (x > 0).astype(x.dtype)


# Products as sums: a `dot` of XLA would keep the loop around it from becoming native code.


def _matrix_vector(a: jax.Array, b: jax.Array) -> jax.Array:
  return jnp.sum(a * b[None, :], axis=1)


def _matrix_matrix(a: jax.Array, b: jax.Array) -> jax.Array:
  return jnp.sum(a[:, :, None] * b[None, :, :], axis=1)


def _norm(x: jax.Array, axis: int | None = None) -> jax.Array:
  return jnp.sqrt(jnp.sum(x * x, axis=axis))


def _std(x: jax.Array, axis: int | None = None) -> jax.Array:
  centred = x - jnp.mean(x, axis=axis, keepdims=True)
  return jnp.sqrt(jnp.mean(centred * centred, axis=axis))


def _set_entry(x: jax.Array, i: jax.Array, value: jax.Array) -> jax.Array:
  return jnp.where(jnp.arange(x.shape[0], dtype=i.dtype) == i, value, x)


def _set_matrix_entry(x: jax.Array, i: jax.Array, j: jax.Array, value: jax.Array) -> jax.Array:
  row = jnp.arange(x.shape[0], dtype=i.dtype)[:, None] == i
  column = jnp.arange(x.shape[1], dtype=j.dtype)[None, :] == j
  return jnp.where(row & column, value, x)


def _uniform(low: jax.Array, high: jax.Array, noise: jax.Array) -> jax.Array:
  return low + (high - low) * noise


def _gaussian(mean: jax.Array, std: jax.Array, noise: jax.Array) -> jax.Array:
  return mean + std * noise


RULES: dict[str, Callable[..., jax.Array]] = {
  "scalar_sum": jnp.add,
  "scalar_diff": jnp.subtract,
  "scalar_product": jnp.multiply,
  "scalar_division": jnp.divide,
  "scalar_abs": jnp.abs,
  "scalar_reciprocal": jnp.reciprocal,
  "scalar_sin": jnp.sin,
  "scalar_cos": jnp.cos,
  "scalar_tan": jnp.tan,
  "scalar_arcsin": jnp.arcsin,
  "scalar_arccos": jnp.arccos,
  "scalar_arctan": jnp.arctan,
  "scalar_exp": jnp.exp,
  "scalar_log": jnp.log,
  "scalar_heaviside": _heaviside_closed,
  "vector_heaviside": _heaviside_open,
  "matrix_heaviside": _heaviside_open,
  "scalar_vector_product": jnp.multiply,
  "vector_broadcast": lambda a: a,
  "vector_reciprocal": jnp.reciprocal,
  "vector_norm": _norm,
  "vector_abs": jnp.abs,
  "vector_sum": jnp.add,
  "vector_diff": jnp.subtract,
  "vector_product": jnp.multiply,
  "vector_division": jnp.divide,
  "vector_inner_product": lambda a, b: jnp.sum(a * b),
  "vector_outer_product": jnp.outer,
  "scalar_matrix_product": jnp.multiply,
  "matrix_reciprocal": jnp.reciprocal,
  "matrix_vector_product": _matrix_vector,
  "column_broadcast": lambda a: a[:, None],
  "row_broadcast": lambda a: a[None, :],
  "matrix_norm": _norm,
  "matrix_column_norm": lambda a: _norm(a, 0),
  "matrix_row_norm": lambda a: _norm(a, 1),
  "matrix_transpose": jnp.transpose,
  "matrix_abs": jnp.abs,
  "matrix_sum": jnp.add,
  "matrix_diff": jnp.subtract,
  "matrix_product": jnp.multiply,
  "matrix_division": jnp.divide,
  "matrix_matrix_product": _matrix_matrix,
  "scalar_min": jnp.minimum,
  "vector_min": jnp.minimum,
  "matrix_min": jnp.minimum,
  "scalar_max": jnp.maximum,
  "vector_max": jnp.maximum,
  "matrix_max": jnp.maximum,
  "vector_mean": jnp.mean,
  "matrix_mean": jnp.mean,
  "matrix_row_mean": lambda a: jnp.mean(a, axis=1),
  "matrix_row_std": lambda a: _std(a, 1),
  "vector_std": _std,
  "matrix_std": _std,
  "scalar_constant": lambda c: c,
  "vector_constant": _set_entry,
  "matrix_constant": _set_matrix_entry,
  "scalar_uniform": _uniform,
  "vector_uniform": _uniform,
  "matrix_uniform": _uniform,
  "scalar_gaussian": _gaussian,
  "vector_gaussian": _gaussian,
  "matrix_gaussian": _gaussian,
}
