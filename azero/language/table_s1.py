"""Table S1 of the AutoML-Zero paper: the 65 ops, as data.

`ops` turns these rows into the op table; what an op computes is in `rules`. Where the
paper's table is misprinted, both hold what the published evaluator computes: heaviside of a
scalar is 1 at zero, of a vector or matrix 0 (ops 15-17); norm of a vector is a scalar (21);
axis follows NumPy for the norms of a matrix (35, 36); its mean and std are taken per row and
written axis=1 (52, 53); 37 is the plain transpose and 40 a difference.
"""

# name, kinds of the inputs, kind of the output, text; the id is the place.
ROWS: tuple[tuple[str, str, str, str], ...] = (
  ("no_op", "", "", "no_op"),
  ("scalar_sum", "ss", "s", "{out} = {a} + {b}"),
  ("scalar_diff", "ss", "s", "{out} = {a} - {b}"),
  ("scalar_product", "ss", "s", "{out} = {a} * {b}"),
  ("scalar_division", "ss", "s", "{out} = {a} / {b}"),
  ("scalar_abs", "s", "s", "{out} = abs({a})"),
  ("scalar_reciprocal", "s", "s", "{out} = 1 / {a}"),
  ("scalar_sin", "s", "s", "{out} = sin({a})"),
  ("scalar_cos", "s", "s", "{out} = cos({a})"),
  ("scalar_tan", "s", "s", "{out} = tan({a})"),
  ("scalar_arcsin", "s", "s", "{out} = arcsin({a})"),
  ("scalar_arccos", "s", "s", "{out} = arccos({a})"),
  ("scalar_arctan", "s", "s", "{out} = arctan({a})"),
  ("scalar_exp", "s", "s", "{out} = exp({a})"),
  ("scalar_log", "s", "s", "{out} = log({a})"),
  ("scalar_heaviside", "s", "s", "{out} = heaviside({a})"),
  ("vector_heaviside", "v", "v", "{out} = heaviside({a})"),
  ("matrix_heaviside", "m", "m", "{out} = heaviside({a})"),
  ("scalar_vector_product", "sv", "v", "{out} = {a} * {b}"),
  ("vector_broadcast", "s", "v", "{out} = bcast({a})"),
  ("vector_reciprocal", "v", "v", "{out} = 1 / {a}"),
  ("vector_norm", "v", "s", "{out} = norm({a})"),
  ("vector_abs", "v", "v", "{out} = abs({a})"),
  ("vector_sum", "vv", "v", "{out} = {a} + {b}"),
  ("vector_diff", "vv", "v", "{out} = {a} - {b}"),
  ("vector_product", "vv", "v", "{out} = {a} * {b}"),
  ("vector_division", "vv", "v", "{out} = {a} / {b}"),
  ("vector_inner_product", "vv", "s", "{out} = dot({a}, {b})"),
  ("vector_outer_product", "vv", "m", "{out} = outer({a}, {b})"),
  ("scalar_matrix_product", "sm", "m", "{out} = {a} * {b}"),
  ("matrix_reciprocal", "m", "m", "{out} = 1 / {a}"),
  ("matrix_vector_product", "mv", "v", "{out} = dot({a}, {b})"),
  ("column_broadcast", "v", "m", "{out} = bcast({a}, axis=0)"),
  ("row_broadcast", "v", "m", "{out} = bcast({a}, axis=1)"),
  ("matrix_norm", "m", "s", "{out} = norm({a})"),
  ("matrix_column_norm", "m", "v", "{out} = norm({a}, axis=0)"),
  ("matrix_row_norm", "m", "v", "{out} = norm({a}, axis=1)"),
  ("matrix_transpose", "m", "m", "{out} = transpose({a})"),
  ("matrix_abs", "m", "m", "{out} = abs({a})"),
  ("matrix_sum", "mm", "m", "{out} = {a} + {b}"),
  ("matrix_diff", "mm", "m", "{out} = {a} - {b}"),
  ("matrix_product", "mm", "m", "{out} = {a} * {b}"),
  ("matrix_division", "mm", "m", "{out} = {a} / {b}"),
  ("matrix_matrix_product", "mm", "m", "{out} = matmul({a}, {b})"),
  ("scalar_min", "ss", "s", "{out} = minimum({a}, {b})"),
  ("vector_min", "vv", "v", "{out} = minimum({a}, {b})"),
  ("matrix_min", "mm", "m", "{out} = minimum({a}, {b})"),
  ("scalar_max", "ss", "s", "{out} = maximum({a}, {b})"),
  ("vector_max", "vv", "v", "{out} = maximum({a}, {b})"),
  ("matrix_max", "mm", "m", "{out} = maximum({a}, {b})"),
  ("vector_mean", "v", "s", "{out} = mean({a})"),
  ("matrix_mean", "m", "s", "{out} = mean({a})"),
  ("matrix_row_mean", "m", "v", "{out} = mean({a}, axis=1)"),
  ("matrix_row_std", "m", "v", "{out} = std({a}, axis=1)"),
  ("vector_std", "v", "s", "{out} = std({a})"),
  ("matrix_std", "m", "s", "{out} = std({a})"),
  ("scalar_constant", "", "s", "{out} = {c0}"),
  ("vector_constant", "", "v", "{out}[{c0}] = {c1}"),
  ("matrix_constant", "", "m", "{out}[{c0}, {c1}] = {c2}"),
  ("scalar_uniform", "", "s", "{out} = uniform({c0}, {c1})"),
  ("vector_uniform", "", "v", "{out} = uniform({c0}, {c1})"),
  ("matrix_uniform", "", "m", "{out} = uniform({c0}, {c1})"),
  ("scalar_gaussian", "", "s", "{out} = gaussian({c0}, {c1})"),
  ("vector_gaussian", "", "v", "{out} = gaussian({c0}, {c1})"),
  ("matrix_gaussian", "", "m", "{out} = gaussian({c0}, {c1})"),
)

COMMUTATIVE = frozenset(
    f"{kind}_{function}" for kind in ("scalar", "vector", "matrix")
    for function in ("sum", "product", "min", "max")) | {"vector_inner_product"}

ELEMENTWISE = frozenset(
    f"{kind}_{function}" for kind in ("vector", "matrix")
    for function in ("heaviside", "reciprocal", "abs", "sum", "diff", "product", "division", "min",
                     "max"))

# What an op makes of zeros, by the values of `ops.Zero`: zero, or not a number where something
# infinite comes in. All others may make something else of them.
ZERO = {
    name: "any" for name in (
        "scalar_product", "scalar_vector_product", "vector_product", "vector_inner_product",
        "vector_outer_product", "scalar_matrix_product", "matrix_vector_product",
        "matrix_product", "matrix_matrix_product")
} | {
    name: "first" for name in ("scalar_division", "vector_division", "matrix_division")
} | {
    f"{kind}_diff": "same" for kind in ("scalar", "vector", "matrix")
} | {
    name: "all" for name in (
        *(f"{kind}_{function}" for kind in ("scalar", "vector", "matrix")
          for function in ("sum", "abs", "min", "max")),
        "scalar_sin", "scalar_tan", "scalar_arcsin", "scalar_arctan", "vector_heaviside",
        "matrix_heaviside", "vector_broadcast", "column_broadcast", "row_broadcast",
        "matrix_transpose", "vector_norm", "matrix_norm", "matrix_column_norm",
        "matrix_row_norm", "vector_mean", "matrix_mean", "matrix_row_mean", "matrix_row_std",
        "vector_std", "matrix_std")
}

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
