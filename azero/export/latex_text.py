r"""A program as LaTeX: an align environment with named variables.

Scalars are s_1, vectors bold v_1, matrices bold capital M_1. It needs amsmath (and its
`\operatorname`). Numbers are rounded to six digits.
"""

from azero.executors.single.straight_line import FEATURES, Address
from azero.export import algorithm as algorithm_lib
from azero.export.algorithm import Line
from azero.language.ops import NUM_PAPER_OPS, Constant, Kind
from azero.language.program import Function, Programs

_FACTORS = {Kind.SCALAR: "s_{%d}", Kind.VECTOR: r"\mathbf{v}_{%d}", Kind.MATRIX: r"\mathbf{M}_{%d}"}

# Of each function the formula, where %(a)s and %(b)s are the inputs.
_ANY_KIND = {
    "sum": "%(a)s + %(b)s",
    "diff": "%(a)s - %(b)s",
    "division": r"%(a)s / %(b)s",
    "abs": r"\left| %(a)s \right|",
    "reciprocal": r"1 / %(a)s",
    "heaviside": r"\mathbf{1}\left[ %(a)s > 0 \right]",
    "min": r"\min\left( %(a)s, %(b)s \right)",
    "max": r"\max\left( %(a)s, %(b)s \right)",
    "mean": r"\operatorname{mean}\left( %(a)s \right)",
    "std": r"\operatorname{std}\left( %(a)s \right)",
    "uniform": r"\sim\; \mathcal{U}\left( %(c0)s, %(c1)s \right)",
    "gaussian": r"\sim\; \mathcal{N}\left( %(c0)s, \left( %(c1)s \right)^{2} \right)",
}
_FORMULAS = {
    **{f"{kind}_{function}": text for kind in ("scalar", "vector", "matrix")
       for function, text in _ANY_KIND.items()},
    **{f"scalar_{function}": rf"\{function}\left( %(a)s \right)" for function in (
        "sin", "cos", "tan", "arcsin", "arccos", "arctan", "exp", "log")},
    "scalar_product": r"%(a)s \cdot %(b)s",
    "scalar_division": r"\frac{%(a)s}{%(b)s}",
    "scalar_reciprocal": r"\frac{1}{%(a)s}",
    "scalar_heaviside": r"\mathbf{1}\left[ %(a)s \geq 0 \right]",
    "scalar_vector_product": r"%(a)s \, %(b)s",
    "vector_broadcast": r"%(a)s \, \mathbf{1}",
    "vector_norm": r"\left\Vert %(a)s \right\Vert",
    "vector_product": r"%(a)s \odot %(b)s",
    "vector_division": r"%(a)s \oslash %(b)s",
    "vector_inner_product": r"%(a)s^{\top} %(b)s",
    "vector_outer_product": r"%(a)s \, %(b)s^{\top}",
    "scalar_matrix_product": r"%(a)s \, %(b)s",
    "matrix_vector_product": r"%(a)s \, %(b)s",
    "column_broadcast": r"%(a)s \, \mathbf{1}^{\top}",
    "row_broadcast": r"\mathbf{1} \, %(a)s^{\top}",
    "matrix_norm": r"\left\Vert %(a)s \right\Vert_{F}",
    "matrix_column_norm": r"\operatorname{norm\ of\ columns}\left( %(a)s \right)",
    "matrix_row_norm": r"\operatorname{norm\ of\ rows}\left( %(a)s \right)",
    "matrix_transpose": r"%(a)s^{\top}",
    "matrix_product": r"%(a)s \odot %(b)s",
    "matrix_division": r"%(a)s \oslash %(b)s",
    "matrix_matrix_product": r"%(a)s \, %(b)s",
    "matrix_row_mean": r"\operatorname{mean\ of\ rows}\left( %(a)s \right)",
    "matrix_row_std": r"\operatorname{std\ of\ rows}\left( %(a)s \right)",
    "scalar_constant": "%(c0)s",
    "vector_constant": "%(c1)s",
    "matrix_constant": "%(c2)s",
}
_NORMALISED = {
    0: None, 2: r"%s &\leftarrow \frac{1}{1 + \exp\left( -%s \right)}"}
_SOFTMAX = r"%s &\leftarrow \operatorname{softmax}\left( %s \right)"


def latex(program: Programs, num_classes: int = 0) -> str:
  r"""The live instructions of a program as an align* environment.

  Args:
    program: a batch of one.
    num_classes: 0 for a real-valued label, 2 for two classes, or more.

  Returns:
    LaTeX for the body of a document with \usepackage{amsmath}.

  Raises:
    ValueError: not one program, or one that does not fit the task.
  """
  algorithm = algorithm_lib.analyse(program, num_classes)
  label, prediction = symbol(algorithm.label), symbol(algorithm.prediction)
  rows = []
  about = {
      Function.SETUP: r"once; all memory is zero before",
      Function.PREDICT: rf"for every example, with features ${symbol(FEATURES)}$",
      Function.LEARN: rf"for every training example, with label ${label}$",
  }
  for function in Function:
    rows.append(
        rf"& \textbf{{{function.name.title()}}}\quad \text{{({about[function]})}} \\")
    rows += [rf"{_row(line)} \\" for line in algorithm.of(function)]
    if function is Function.PREDICT:
      rows.append(rf"& \text{{the prediction is ${prediction}$}} \\")
      normalised = _NORMALISED.get(num_classes, _SOFTMAX)
      if normalised:
        rows.append(rf"{normalised % (prediction, prediction)} \\")
  rows[-1] = rows[-1].removesuffix(r" \\")
  return "\n".join([r"\begin{align*}", *rows, r"\end{align*}"]) + "\n"


def symbol(address: Address) -> str:
  """An address as a variable."""
  return _FACTORS[address.kind] % address.number


def _row(line: Line) -> str:
  """An instruction as a row."""
  op, left = line.op, symbol(line.output)
  indices = [value for value, meaning in zip(line.constants, op.constants)
             if meaning is Constant.INDEX]
  if op.id >= NUM_PAPER_OPS:
    arguments = [*map(symbol, line.reads), *map(_number, line.constants)]
    word = op.name.replace("_", r"\_")
    return (rf"{left} &\leftarrow \operatorname{{{word}}}\left( {', '.join(arguments)} \right)")
  if indices:  # counted from 1, as mathematics does
    left = rf"\left( {left} \right)_{{{','.join(str(index + 1) for index in indices)}}}"
  fields = dict(zip(("a", "b"), map(symbol, line.inputs)))
  fields |= {f"c{k}": _number(value) for k, value in enumerate(line.constants)}
  right = _FORMULAS[op.name] % fields
  return f"{left} &{right}" if op.noise is not None else rf"{left} &\leftarrow {right}"


def _number(value: float) -> str:
  """A number: 0.001, or 3.2 times a power of ten."""
  shown = f"{value:.6g}"
  if "e" not in shown:
    return shown
  digits, exponent = shown.split("e")
  return rf"{digits} \cdot 10^{{{int(exponent)}}}"
