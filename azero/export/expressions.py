"""What each op of table S1 computes, as an expression of NumPy or jax.numpy.

The same computations as `azero.language.rules`, in the same order, written out for a file that
stands alone. `{np}` is the library; `{a}` and `{b}` are the inputs, `{old}` is the old value of
the output, `{c0}` to `{c2}` are the constants, `{at}` says which random numbers an op draws:
those of the instruction's position, in the shape of its output.
"""

from azero.executors.single import large_rules

_ELEMENTWISE = {
  "sum": "{a} + {b}",
  "diff": "{a} - {b}",
  "product": "{a} * {b}",
  "division": "{a} / {b}",
  "abs": "{np}.abs({a})",
  "reciprocal": "1 / {a}",
  "min": "{np}.minimum({a}, {b})",
  "max": "{np}.maximum({a}, {b})",
  "uniform": "uniform({c0}, {c1}, {at})",
  "gaussian": "gaussian({c0}, {c1}, {at})",
}
_SCALAR = ("sin", "cos", "tan", "arcsin", "arccos", "arctan", "exp", "log")

EXPRESSIONS: dict[str, str] = {
  **{f"{kind}_{function}": text
     for kind in ("scalar", "vector", "matrix") for function, text in _ELEMENTWISE.items()},
  **{f"scalar_{function}": f"{{np}}.{function}({{a}})" for function in _SCALAR},
  "scalar_heaviside": "({a} >= 0).astype(DTYPE)",
  "vector_heaviside": "({a} > 0).astype(DTYPE)",
  "matrix_heaviside": "({a} > 0).astype(DTYPE)",
  "scalar_vector_product": "{a} * {b}",
  "vector_broadcast": "{np}.full(NUM_FEATURES, {a})",
  "vector_norm": "{np}.sqrt({np}.sum({a} * {a}))",
  "vector_inner_product": "{np}.sum({a} * {b})",
  "vector_outer_product": "{np}.outer({a}, {b})",
  "scalar_matrix_product": "{a} * {b}",
  "matrix_vector_product": "{np}.sum({a} * {b}, axis=1)",
  "column_broadcast": "{np}.repeat({a}[:, None], NUM_FEATURES, axis=1)",
  "row_broadcast": "{np}.repeat({a}[None, :], NUM_FEATURES, axis=0)",
  "matrix_norm": "{np}.sqrt({np}.sum({a} * {a}))",
  "matrix_column_norm": "{np}.sqrt({np}.sum({a} * {a}, axis=0))",
  "matrix_row_norm": "{np}.sqrt({np}.sum({a} * {a}, axis=1))",
  "matrix_transpose": "{np}.transpose({a})",
  "matrix_matrix_product": "{np}.sum({a}[:, :, None] * {b}[None, :, :], axis=1)",
  "vector_mean": "{np}.mean({a})",
  "matrix_mean": "{np}.mean({a})",
  "matrix_row_mean": "{np}.mean({a}, axis=1)",
  "matrix_row_std": "std({a}, axis=1)",
  "vector_std": "std({a})",
  "matrix_std": "std({a})",
  "scalar_constant": "{c0}",
  "vector_constant": "set_entry({old}, {c1}, {c0})",
  "matrix_constant": "set_entry({old}, {c2}, {c0}, {c1})",
}

# Products of matrices as large as images, where sums of products would not fit into memory.
_LARGE = {
  "matrix_vector_product": "{np}.matmul({a}, {b}{exact})",
  "matrix_matrix_product": "{np}.matmul({a}, {b}{exact})",
}


def expression(name: str, num_features: int) -> str:
  """The expression of an op of table S1; `{exact}` in it asks jax.numpy for full precision."""
  if num_features >= large_rules.SMALLEST and name in _LARGE:
    return _LARGE[name]
  return EXPRESSIONS[name]
