"""A trained Predict as an ONNX model: from features to predictions, memory built in.

Training runs in the NumPy file of the program; what it leaves in memory becomes initialisers.
Rows are predicted one after the other by a Scan, since Predict may change memory for the rows
that follow. What has no counterpart in ONNX is composed of what has: norms, standard deviations,
sigmoid and softmax, and minimum and maximum, whose NaN runtimes treat differently.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from azero import lazy
from azero.executors.choices import check_training
from azero.executors.single.straight_line import FEATURES, Address
from azero.export import algorithm as algorithm_lib
from azero.export import array_files
from azero.export.algorithm import Algorithm, Line, exposed, name
from azero.language.ops import NUM_PAPER_OPS
from azero.language.program import Function, Programs

if TYPE_CHECKING:
  import onnx

_OPSET, _IR_VERSION = 17, 8  # which runtimes of 2022 and later read
_DIRECT = {
    "sum": "Add", "diff": "Sub", "product": "Mul", "division": "Div", "abs": "Abs",
    "sin": "Sin", "cos": "Cos", "tan": "Tan", "arcsin": "Asin", "arccos": "Acos",
    "arctan": "Atan", "exp": "Exp", "log": "Log"}
_SINGLE = ("tan", "arcsin", "arccos", "arctan")  # ONNX Runtime has these in float32 alone


def onnx_model(
    program: Programs, features: ArrayLike, labels: ArrayLike, num_classes: int = 0, *,
    num_epochs: int = 1, seed: int = 0, task_seed: int = 0, max_abs_error: float = 100.0,
    dtype: str = "float32",
) -> "onnx.ModelProto":
  """Trains a program and writes its Predict as an ONNX model.

  Args:
    program: a batch of one.
    features: [T, F] to train on, in the order of the rows.
    labels: [T] numbers, or classes from 0.
    num_classes: 0 for a real-valued label, 2 for two classes, or more.
    num_epochs: passes over the rows; the later ones are shuffled by `task_seed`.
    seed: of random ops.
    task_seed: a second seed of them.
    max_abs_error: a larger error ends training.
    dtype: "float32" or "float64", in which the tangent and the inverse functions are computed
      in float32.

  Returns:
    A model with the input "features", [N, F], and the output "scores": [N] predictions or
    probabilities of class 1, or [N, C] probabilities.

  Raises:
    MissingPackageError: onnx is not installed.
    ValueError: Predict has an op that ONNX cannot express, or malformed arguments.
    ArithmeticError: training failed.
  """
  lazy.require("onnx", extra="onnx", purpose="ONNX models")
  check_training(num_epochs, max_abs_error, dtype)
  algorithm = algorithm_lib.analyse(program, num_classes)
  for line in algorithm.of(Function.PREDICT):
    _check(line)
  trained = array_files.load(array_files.numpy_source(program, num_classes, dtype=dtype))
  memory = trained.fit(
      features, labels, num_epochs=num_epochs, seed=seed, task_seed=task_seed,
      max_abs_error=max_abs_error)
  return _Writer(algorithm, np.dtype(dtype)).model(memory)


def _check(line: Line) -> None:
  if line.op.id >= NUM_PAPER_OPS:
    raise ValueError(
        f"Predict has op '{line.op.name}' of your own ({line.text}), which cannot be written as "
        "ONNX; export the program as a file of NumPy or JAX.")
  if line.op.noise is not None:
    raise ValueError(
        f"Predict draws random numbers ({line.text}), which ONNX cannot repeat; export the "
        "program as a file of NumPy or JAX.")


class _Writer:
  """Writes the nodes of one model."""

  def __init__(self, algorithm: Algorithm, dtype: np.dtype):
    import onnx

    self._onnx, self._algorithm, self._dtype = onnx, algorithm, dtype
    self._type = onnx.helper.np_dtype_to_tensor_dtype(dtype)
    self._nodes: list[Any] = []  # of a row
    self._initialisers: list[Any] = []
    self._values: dict[Address, str] = {}  # the name of what each address holds

  def model(self, memory: Mapping[str, ArrayLike]) -> "onnx.ModelProto":
    """The model of a Predict with this memory."""
    algorithm, helper = self._algorithm, self._onnx.helper
    predict = algorithm.of(Function.PREDICT)
    read = {*exposed(predict), algorithm.prediction} - {FEATURES, algorithm.label}
    carried = sorted(read & {line.output for line in predict})
    no_label = np.zeros(algorithm.label.kind.shape(algorithm.num_features))
    self._values = {address: self._constant(memory[name(address)]) for address in sorted(read)}
    starts = [self._values[address] for address in carried]
    self._values |= {address: f"{name(address)}_before" for address in carried}
    self._values |= {FEATURES: "features_of_row", algorithm.label: self._constant(no_label)}
    for line in predict:
      self._values[line.output] = self._line(line)
    body = self._body(carried, self._normalise(self._values[algorithm.prediction]))
    scan = helper.make_node(
        "Scan", [*starts, "features"],
        [*(f"{name(address)}_at_the_end" for address in carried), "scores"], body=body,
        num_scan_inputs=1)
    used = {each for node in self._nodes for each in node.input} | {*starts}
    shape: list[int | str] = ["N"]
    shape += [algorithm.num_classes] if algorithm.multiclass else []
    graph = helper.make_graph(
        [scan], "program", [self._info("features", ["N", algorithm.num_features])],
        [self._info("scores", shape)],
        initializer=[each for each in self._initialisers if each.name in used],
        doc_string=algorithm.text)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="azero",
        ir_version=_IR_VERSION)
    self._onnx.checker.check_model(model, full_check=True)
    return model

  def _body(self, carried: Sequence[Address], scores: str) -> Any:
    """The graph of one row: carried memory and features in, carried memory and scores out."""
    algorithm, num_features = self._algorithm, self._algorithm.num_features
    inputs, outputs = [], []
    for address in carried:
      shape = list(address.kind.shape(num_features))
      inputs.append(self._info(f"{name(address)}_before", shape))
      outputs.append(self._info(f"{name(address)}_after", shape))
      self._nodes.append(self._onnx.helper.make_node(
          "Identity", [self._values[address]], [f"{name(address)}_after"]))
    inputs.append(self._info("features_of_row", [num_features]))
    outputs.append(
        self._info("scores_of_row", [algorithm.num_classes] if algorithm.multiclass else []))
    self._nodes.append(self._onnx.helper.make_node("Identity", [scores], ["scores_of_row"]))
    return self._onnx.helper.make_graph(self._nodes, "row", inputs, outputs)

  def _info(self, title: str, shape: Sequence[int | str]) -> Any:
    return self._onnx.helper.make_tensor_value_info(title, self._type, shape)

  def _constant(self, value: ArrayLike, dtype: np.dtype | type | None = None) -> str:
    """The name of a new initialiser; by default of the type of the memory."""
    title = f"value_{len(self._initialisers)}"
    with np.errstate(over="ignore"):  # a constant beyond float32 is infinite there
      array = np.asarray(value).astype(self._dtype if dtype is None else dtype)
    self._initialisers.append(self._onnx.numpy_helper.from_array(array, title))
    return title

  def _add(self, kind: str, *inputs: str, **attributes: Any) -> str:
    """The name of what a new node gives."""
    title = f"node_{len(self._nodes)}"
    self._nodes.append(self._onnx.helper.make_node(kind, inputs, [title], **attributes))
    return title

  def _line(self, line: Line) -> str:
    """What an instruction gives."""
    inputs = [self._values[address] for address in line.inputs]
    kind, _, function = line.op.name.partition("_")
    if line.op.name in _SHAPED:
      return _SHAPED[line.op.name](self, *inputs)
    if function == "constant":
      return self._set(line)
    if function in ("min", "max"):
      unordered = self._add("Or", self._add("IsNaN", inputs[0]), self._add("IsNaN", inputs[1]))
      return self._add(
          "Where", unordered, self._add("Add", *inputs), self._add(function.title(), *inputs))
    if function == "reciprocal":
      return self._add("Div", self._constant(1), *inputs)
    if function == "heaviside":
      compare = "GreaterOrEqual" if kind == "scalar" else "Greater"
      return self._add("Cast", self._add(compare, *inputs, self._constant(0)), to=self._type)
    if function in _SINGLE and self._dtype == np.float64:
      single = self._add("Cast", *inputs, to=self._onnx.TensorProto.FLOAT)
      return self._add("Cast", self._add(_DIRECT[function], single), to=self._type)
    return self._add(_DIRECT[function], *inputs)

  def _set(self, line: Line) -> str:
    """A constant, or a value with one entry set to a constant."""
    *index, value = line.constants
    if not index:
      return self._constant(value)
    place = np.zeros(line.output.kind.shape(self._algorithm.num_features), bool)
    place[tuple(int(each) for each in index)] = True
    return self._add(
        "Where", self._constant(place, bool), self._constant(value), self._values[line.output])

  def unsqueeze(self, value: str, axis: int) -> str:
    """With one more axis."""
    return self._add("Unsqueeze", value, self._constant([axis], np.int64))

  def expand(self, value: str, rank: int) -> str:
    """As a vector or matrix."""
    shape = [self._algorithm.num_features] * rank
    return self._add("Expand", value, self._constant(shape, np.int64))

  def product(self, kind: str, a: str, b: str) -> str:
    """A product: Mul of two values, or MatMul."""
    return self._add(kind, a, b)

  def transpose(self, value: str) -> str:
    """The transpose of a matrix."""
    return self._add("Transpose", value, perm=[1, 0])

  def sum(self, value: str, axis: int | None = None, *, keep: bool = False) -> str:
    """The sum over an axis or all."""
    axes = [] if axis is None else [self._constant([axis], np.int64)]
    return self._add("ReduceSum", value, *axes, keepdims=int(keep))

  def norm(self, value: str, axis: int | None = None) -> str:
    """The Euclidean norm over an axis or all."""
    return self._add("Sqrt", self.sum(self.product("Mul", value, value), axis))

  def mean(
      self, value: str, rank: int, axis: int | None = None, *, keep: bool = False) -> str:
    """The mean over an axis, or all of a vector or matrix."""
    count = self._algorithm.num_features ** (rank if axis is None else 1)
    return self._add("Div", self.sum(value, axis, keep=keep), self._constant(count))

  def std(self, value: str, rank: int, axis: int | None = None) -> str:
    """The standard deviation of a population, in two passes."""
    centred = self._add("Sub", value, self.mean(value, rank, axis, keep=True))
    return self._add("Sqrt", self.mean(self.product("Mul", centred, centred), rank, axis))

  def _normalise(self, prediction: str) -> str:
    """What the evaluation scores."""
    num_classes, one = self._algorithm.num_classes, self._constant(1)
    if num_classes == 0:
      return prediction
    if num_classes == 2:
      small = self._add("Exp", self._add("Neg", self._add("Abs", prediction)))
      above = self._add("Add", one, small)
      return self._add(
          "Where", self._add("GreaterOrEqual", prediction, self._constant(0)),
          self._add("Div", one, above), self._add("Div", small, above))
    first, end = (self._constant([n], np.int64) for n in (0, num_classes))
    entries = self._add("Slice", prediction, first, end)
    largest = self._add("ReduceMax", entries, keepdims=0)
    powers = self._add("Exp", self._add("Sub", entries, largest))
    return self._add("Div", powers, self.sum(powers))


# Ops whose output is not of the shape of their inputs, and products.
_SHAPED: dict[str, Callable[..., str]] = {
    "vector_broadcast": lambda w, a: w.expand(a, 1),
    "vector_norm": _Writer.norm,
    "vector_inner_product": lambda w, a, b: w.sum(w.product("Mul", a, b)),
    "vector_outer_product":
        lambda w, a, b: w.product("Mul", w.unsqueeze(a, 1), w.unsqueeze(b, 0)),
    "scalar_vector_product": lambda w, a, b: w.product("Mul", a, b),
    "scalar_matrix_product": lambda w, a, b: w.product("Mul", a, b),
    "matrix_vector_product": lambda w, a, b: w.sum(w.product("Mul", a, b), 1),
    "matrix_matrix_product": lambda w, a, b: w.product("MatMul", a, b),
    "column_broadcast": lambda w, a: w.expand(w.unsqueeze(a, 1), 2),
    "row_broadcast": lambda w, a: w.expand(w.unsqueeze(a, 0), 2),
    "matrix_norm": _Writer.norm,
    "matrix_column_norm": lambda w, a: w.norm(a, 0),
    "matrix_row_norm": lambda w, a: w.norm(a, 1),
    "matrix_transpose": _Writer.transpose,
    "vector_mean": lambda w, a: w.mean(a, 1),
    "matrix_mean": lambda w, a: w.mean(a, 2),
    "matrix_row_mean": lambda w, a: w.mean(a, 2, 1),
    "vector_std": lambda w, a: w.std(a, 1),
    "matrix_std": lambda w, a: w.std(a, 2),
    "matrix_row_std": lambda w, a: w.std(a, 2, 1),
}
