"""Table S1 of the AutoML-Zero paper: the 65 ops, as data and JAX rules.

`ops.py` turns these rows into the op table. Where the paper's table is misprinted, the
rows hold what the published evaluator computes: heaviside of a scalar is 1 at zero, of a
vector or matrix 0 (ops 15-17); norm of a vector is a scalar (21); axis follows NumPy for
the norms of a matrix (35, 36); its mean and std are taken per row and written axis=1 (52,
53); 37 is the plain transpose and 40 a difference.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Row = tuple[str, str, str, Callable[..., jax.Array] | None, str]

# Rules that are more than one call of jax.numpy.


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
  return mean + jnp.abs(std) * noise


# name, kinds of the inputs, kind of the output, rule, text; the id is the place.
ROWS: tuple[Row, ...] = (
  ("no_op", "", "", None, "no_op"),
  ("scalar_sum", "ss", "s", jnp.add, "{out} = {a} + {b}"),
  ("scalar_diff", "ss", "s", jnp.subtract, "{out} = {a} - {b}"),
  ("scalar_product", "ss", "s", jnp.multiply, "{out} = {a} * {b}"),
  ("scalar_division", "ss", "s", jnp.divide, "{out} = {a} / {b}"),
  ("scalar_abs", "s", "s", jnp.abs, "{out} = abs({a})"),
  ("scalar_reciprocal", "s", "s", jnp.reciprocal, "{out} = 1 / {a}"),
  ("scalar_sin", "s", "s", jnp.sin, "{out} = sin({a})"),
  ("scalar_cos", "s", "s", jnp.cos, "{out} = cos({a})"),
  ("scalar_tan", "s", "s", jnp.tan, "{out} = tan({a})"),
  ("scalar_arcsin", "s", "s", jnp.arcsin, "{out} = arcsin({a})"),
  ("scalar_arccos", "s", "s", jnp.arccos, "{out} = arccos({a})"),
  ("scalar_arctan", "s", "s", jnp.arctan, "{out} = arctan({a})"),
  ("scalar_exp", "s", "s", jnp.exp, "{out} = exp({a})"),
  ("scalar_log", "s", "s", jnp.log, "{out} = log({a})"),
  ("scalar_heaviside", "s", "s", _heaviside_closed, "{out} = heaviside({a})"),
  ("vector_heaviside", "v", "v", _heaviside_open, "{out} = heaviside({a})"),
  ("matrix_heaviside", "m", "m", _heaviside_open, "{out} = heaviside({a})"),
  ("scalar_vector_product", "sv", "v", jnp.multiply, "{out} = {a} * {b}"),
  ("vector_broadcast", "s", "v", lambda a: a, "{out} = bcast({a})"),
  ("vector_reciprocal", "v", "v", jnp.reciprocal, "{out} = 1 / {a}"),
  ("vector_norm", "v", "s", _norm, "{out} = norm({a})"),
  ("vector_abs", "v", "v", jnp.abs, "{out} = abs({a})"),
  ("vector_sum", "vv", "v", jnp.add, "{out} = {a} + {b}"),
  ("vector_diff", "vv", "v", jnp.subtract, "{out} = {a} - {b}"),
  ("vector_product", "vv", "v", jnp.multiply, "{out} = {a} * {b}"),
  ("vector_division", "vv", "v", jnp.divide, "{out} = {a} / {b}"),
  ("vector_inner_product", "vv", "s", lambda a, b: jnp.sum(a * b), "{out} = dot({a}, {b})"),
  ("vector_outer_product", "vv", "m", jnp.outer, "{out} = outer({a}, {b})"),
  ("scalar_matrix_product", "sm", "m", jnp.multiply, "{out} = {a} * {b}"),
  ("matrix_reciprocal", "m", "m", jnp.reciprocal, "{out} = 1 / {a}"),
  ("matrix_vector_product", "mv", "v", _matrix_vector, "{out} = dot({a}, {b})"),
  ("column_broadcast", "v", "m", lambda a: a[:, None], "{out} = bcast({a}, axis=0)"),
  ("row_broadcast", "v", "m", lambda a: a[None, :], "{out} = bcast({a}, axis=1)"),
  ("matrix_norm", "m", "s", _norm, "{out} = norm({a})"),
  ("matrix_column_norm", "m", "v", lambda a: _norm(a, 0), "{out} = norm({a}, axis=0)"),
  ("matrix_row_norm", "m", "v", lambda a: _norm(a, 1), "{out} = norm({a}, axis=1)"),
  ("matrix_transpose", "m", "m", jnp.transpose, "{out} = transpose({a})"),
  ("matrix_abs", "m", "m", jnp.abs, "{out} = abs({a})"),
  ("matrix_sum", "mm", "m", jnp.add, "{out} = {a} + {b}"),
  ("matrix_diff", "mm", "m", jnp.subtract, "{out} = {a} - {b}"),
  ("matrix_product", "mm", "m", jnp.multiply, "{out} = {a} * {b}"),
  ("matrix_division", "mm", "m", jnp.divide, "{out} = {a} / {b}"),
  ("matrix_matrix_product", "mm", "m", _matrix_matrix, "{out} = matmul({a}, {b})"),
  ("scalar_min", "ss", "s", jnp.minimum, "{out} = minimum({a}, {b})"),
  ("vector_min", "vv", "v", jnp.minimum, "{out} = minimum({a}, {b})"),
  ("matrix_min", "mm", "m", jnp.minimum, "{out} = minimum({a}, {b})"),
  ("scalar_max", "ss", "s", jnp.maximum, "{out} = maximum({a}, {b})"),
  ("vector_max", "vv", "v", jnp.maximum, "{out} = maximum({a}, {b})"),
  ("matrix_max", "mm", "m", jnp.maximum, "{out} = maximum({a}, {b})"),
  ("vector_mean", "v", "s", jnp.mean, "{out} = mean({a})"),
  ("matrix_mean", "m", "s", jnp.mean, "{out} = mean({a})"),
  ("matrix_row_mean", "m", "v", lambda a: jnp.mean(a, axis=1), "{out} = mean({a}, axis=1)"),
  ("matrix_row_std", "m", "v", lambda a: _std(a, 1), "{out} = std({a}, axis=1)"),
  ("vector_std", "v", "s", _std, "{out} = std({a})"),
  ("matrix_std", "m", "s", _std, "{out} = std({a})"),
  ("scalar_constant", "", "s", lambda c: c, "{out} = {c0}"),
  ("vector_constant", "", "v", _set_entry, "{out}[{c0}] = {c1}"),
  ("matrix_constant", "", "m", _set_matrix_entry, "{out}[{c0}, {c1}] = {c2}"),
  ("scalar_uniform", "", "s", _uniform, "{out} = uniform({c0}, {c1})"),
  ("vector_uniform", "", "v", _uniform, "{out} = uniform({c0}, {c1})"),
  ("matrix_uniform", "", "m", _uniform, "{out} = uniform({c0}, {c1})"),
  ("scalar_gaussian", "", "s", _gaussian, "{out} = gaussian({c0}, {c1})"),
  ("vector_gaussian", "", "v", _gaussian, "{out} = gaussian({c0}, {c1})"),
  ("matrix_gaussian", "", "m", _gaussian, "{out} = gaussian({c0}, {c1})"),
)

COMMUTATIVE = frozenset(
    f"{kind}_{function}" for kind in ("scalar", "vector", "matrix")
    for function in ("sum", "product", "min", "max")) | {"vector_inner_product"}

ELEMENTWISE = frozenset(
    f"{kind}_{function}" for kind in ("vector", "matrix")
    for function in ("heaviside", "reciprocal", "abs", "sum", "diff", "product", "division", "min",
                     "max"))

# Meanings of the constants, by the values of `ops.Constant`.
_BOUNDS, _NORMAL = ("bound", "bound"), ("mean", "std")
CONSTANTS: dict[str, tuple[str, ...]] = {
    "scalar_constant": ("value",),
    "vector_constant": ("index", "value"),
    "matrix_constant": ("index", "index", "value"),
    "scalar_uniform": _BOUNDS, "vector_uniform": _BOUNDS, "matrix_uniform": _BOUNDS,
    "scalar_gaussian": _NORMAL, "vector_gaussian": _NORMAL, "matrix_gaussian": _NORMAL,
}

# Operations as (factor, power of F), where that is not one per element of the largest operand.
WORK = {
    "matrix_matrix_product": (2.0, 3), "matrix_vector_product": (2.0, 2),
    "vector_inner_product": (2.0, 1), "vector_norm": (2.0, 1), "vector_std": (4.0, 1),
    "matrix_norm": (2.0, 2), "matrix_column_norm": (2.0, 2), "matrix_row_norm": (2.0, 2),
    "matrix_std": (4.0, 2), "matrix_row_std": (4.0, 2),
    "scalar_gaussian": (10.0, 0), "vector_gaussian": (10.0, 1), "matrix_gaussian": (10.0, 2),
}


def aliases(name: str, text: str) -> tuple[str, ...]:
  """Further spellings in the paper's listings and by the published code's printer."""
  kind, function = name.split("_", 1)
  if function in ("min", "max"):  # also "maximum(0, v6)", a rectifier
    short = text.replace("imum(", "(")
    return (short,) + tuple(
        spelling.replace(operand, "0") for spelling in (text, short)
        for operand in ("{a}", "{b}"))
  if function == "heaviside":  # the listings' second argument is ignored
    return (text.replace("({a})", "({a}, #)"),)
  if name == "vector_outer_product":
    return (text.replace("outer(", "outerv("),)
  if function in ("uniform", "gaussian") and kind != "scalar":
    shape = "n_features" if kind == "vector" else "(n_features, n_features)"
    return (text.replace("{c1})", f"{{c1}}, {shape})"),)
  return ("NoOp()",) if name == "no_op" else ()
