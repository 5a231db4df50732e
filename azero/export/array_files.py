"""A program as a file of NumPy or JAX that needs nothing of azero: fit and predict.

What the file does is what an evaluation does (figure 1 of the AutoML-Zero paper; in one epoch
exactly that of `azero.Evaluator`): Setup once, then Predict, normalise and Learn for every
example, with the label hidden while Predict runs; IEEE arithmetic throughout; the same random
numbers from the same seeds; and an end to training when a prediction is NaN or too far off.
The parts of a file are in `array_parts`; here they are put together.
"""

from collections.abc import Callable
import string
import textwrap
import types
from typing import Any, NamedTuple

from azero.executors.choices import check_dtype
from azero.export import algorithm as algorithm_lib
from azero.export import array_parts
from azero.export.algorithm import Algorithm, Line, exposed, name
from azero.export.expressions import expression
from azero.export.own_rules import OwnRule, own_rule
from azero.language.ops import NUM_PAPER_OPS, Constant, Kind, Noise
from azero.language.program import Function, Programs

_SHAPES = {
    Kind.SCALAR: "()", Kind.VECTOR: "(NUM_FEATURES,)",
    Kind.MATRIX: "(NUM_FEATURES, NUM_FEATURES)"}
_FUNCTIONS = {
    Function.SETUP: ("setup", "Setup runs once, before the first example."),
    Function.PREDICT: (
        "predict_example",
        "Predict goes from the features v0 of an example to its prediction {prediction}."),
    Function.LEARN: (
        "learn_example",
        "Learn has the label {label} and the normalised prediction {prediction} as well."),
}
_KINDS = {0: "real-valued labels", 2: "labels 0 or 1"}
_SCORES = {
    0: "The predictions of rows, [N].", 2: "The probability of class 1 of rows, [N]."}
_WIDTH = 100


class JaxFunctions(NamedTuple):
  """A program as pure functions of JAX, which may be jitted and vmapped.

  Attributes:
    fit: (features [T, F], labels [T], *, seed=0, task_seed=0, max_abs_error=100.0) ->
      (memory, steps): the memory after training, and the examples trained on; fewer than T if
      an error became too large.
    predict: (features [N, F], memory) -> [N] predictions; the class of each for classes.
    scores: (features [N, F], memory) -> normalised predictions, as an evaluation scores them:
      [N] numbers, [N] probabilities of class 1, or [N, C].
  """

  fit: Callable[..., Any]
  predict: Callable[..., Any]
  scores: Callable[..., Any]


def numpy_source(program: Programs, num_classes: int = 0, *, dtype: str = "float32") -> str:
  """A NumPy file with `fit(features, labels)` and `predict(features)`.

  Args:
    program: a batch of one, for tasks with its space's number of features F.
    num_classes: 0 for a real-valued label, 2 for two classes, or more.
    dtype: type of the memory, "float32", as a search has it, or "float64".

  Returns:
    The text of the file. It imports NumPy and the standard library.

  Raises:
    ValueError: not one program, one that does not fit the task, or one with an op of your own
      that NumPy cannot express.
  """
  return _write(program, num_classes, dtype, "np")


def jax_source(program: Programs, num_classes: int = 0, *, dtype: str = "float32") -> str:
  """A JAX file with pure functions `fit(features, labels)` and `predict(features, memory)`.

  Arguments, result and errors as for `numpy_source`; the file imports JAX.
  """
  return _write(program, num_classes, dtype, "jnp")


def jax_functions(
    program: Programs, num_classes: int = 0, *, dtype: str = "float32") -> JaxFunctions:
  """The functions of `jax_source`, ready to be called; arguments and errors are the same."""
  module = load(jax_source(program, num_classes, dtype=dtype))
  scores = module.predict_proba if num_classes else module.predict
  return JaxFunctions(module.fit, module.predict, scores)


def load(source: str) -> Any:
  """A written file as a module, without a file."""
  module = types.ModuleType("exported_program")
  exec(compile(source, "<exported program>", "exec"), vars(module))
  return module


def _write(program: Programs, num_classes: int, dtype: str, library: str) -> str:
  check_dtype(dtype)
  algorithm = algorithm_lib.analyse(program, num_classes)
  rules = {
      line.op.name: own_rule(line.op, library) for line in algorithm.lines
      if line.op.id >= NUM_PAPER_OPS}
  functions = [
      _zero_memory(algorithm, library),
      *(_function(algorithm, function, library, rules) for function in Function)]
  defined = [rule.source for rule in rules.values() if rule.source]
  called = "\n".join([*functions, *defined])
  helpers: list[str] = []
  for helper, text in array_parts.helpers(library).items():
    if f"{helper}(" in "\n".join([called, *helpers]):
      helpers.append(text)
  kind = {0: array_parts.REGRESSION, 2: array_parts.BINARY}
  driver = [array_parts.HEAD[library], array_parts.FIT[library]]
  last = [kind.get(num_classes, array_parts.MULTICLASS), *helpers]
  last += [array_parts.KEYS] if algorithm.is_random else []
  names = _names(algorithm, library, dtype)
  names["imports"] = _imports(library, "\n".join([called, *helpers]), algorithm.is_random)

  def fill(part: str) -> str:
    return string.Template(part).substitute(names)

  return "\n\n\n".join(
      [*map(fill, driver), *functions, *defined, *map(fill, last)]) + "\n"


def _names(algorithm: Algorithm, library: str, dtype: str) -> dict[str, str]:
  """What stands for the placeholders of the parts."""
  num_classes = algorithm.num_classes
  label, prediction = name(algorithm.label), name(algorithm.prediction)
  is_random, is_numpy = algorithm.is_random, library == "np"
  kinds = _KINDS.get(num_classes, f"labels 0 to {num_classes - 1}")
  scores_are = _SCORES.get(num_classes, f"The probabilities of rows, [N, {num_classes}].")
  several = num_classes > 2
  classes = string.Template(array_parts.CLASSES).substitute(
      np=library, default="=None" if is_numpy else "",
      any_class=".any(axis=1)" if several else "",
      choice=f"{library}.argmax(scores, axis=1)" if several
      else f"(scores > 0.5).astype({library}.int32)")
  keys = {"setup_key": (0, "0"), "train_key": (1, "steps" if is_numpy else "count"),
          "learn_key": (2, "steps" if is_numpy else "count"), "valid_key": (3, "row")}
  key = {key: "key" if key != "valid_key" else 'memory["key"]' for key in keys}
  return {
      "np": library, "dtype": dtype, "F": str(algorithm.num_features), "C": str(num_classes),
      "label": label, "prediction": prediction, "kinds": kinds,
      "proba": "; predict_proba gives probabilities" if num_classes else "",
      "text": textwrap.indent(algorithm.text, "  "), "scores_are": scores_are,
      "scores": "predict_proba" if num_classes else "predict",
      "scores_shape": "(len(features), NUM_CLASSES)" if several else "len(features)",
      "only_classes": "[:NUM_CLASSES]" if several else "",
      "classes": classes if num_classes else "",
      "make_key": "  key = evaluation_key(seed, task_seed)\n" if is_random else "",
      "result": '{**memory, "key": key}' if is_random else "memory",
      **{place: f", execution_key({key[place]}, {phase}, {count})" if is_random else ""
         for place, (phase, count) in keys.items()}}


def _imports(library: str, used: str, is_random: bool) -> str:
  """The import statements of a file."""
  is_numpy = library == "np"
  lines = ["import math"] if is_random or "math." in used else []
  if is_numpy:
    lines += ["import statistics"] if "statistics." in used else []
    return "\n".join([*lines, "", "import numpy as np"]).lstrip()
  lines += ["", "import jax", "import jax.numpy as jnp"]
  lines += ["import jax.scipy.special"] if "jax.scipy" in used else []
  return "\n".join(lines).lstrip()


def _zeros(kind: Kind, library: str) -> str:
  return f"{library}.zeros({_SHAPES[kind]}, DTYPE)"


def _needed(algorithm: Algorithm) -> set[algorithm_lib.Address]:
  """The addresses through which the component functions hand on values."""
  return {algorithm.prediction}.union(*(
      exposed(algorithm.of(function)) for function in (Function.PREDICT, Function.LEARN)))


def _zero_memory(algorithm: Algorithm, library: str) -> str:
  read = _needed(algorithm) | {*exposed(algorithm.of(Function.SETUP))}
  read |= {algorithm_lib.FEATURES, algorithm.label}
  entries = [
      f'      "{name(address)}": {_zeros(address.kind, library)},' for address in sorted(read)]
  head = ["def zero_memory():", '  """The memory before Setup."""', "  return {"]
  if algorithm.is_random:  # for memories that `fit` has not made, of which none has its own
    entries.append('      "key": evaluation_key(0, 0),')
    head = ['@np.errstate(over="ignore")', *head] if library == "np" else head
  return "\n".join([*head, *entries, "  }"])


def _function(
    algorithm: Algorithm, function: Function, library: str, rules: dict[str, OwnRule]) -> str:
  """One component function."""
  lines, (title, about) = algorithm.of(function), _FUNCTIONS[function]
  about = about.format(label=name(algorithm.label), prediction=name(algorithm.prediction))
  key = ", key" if algorithm.is_random else ""
  text = [f"def {title}(memory{key}):", f'  """{about}"""']
  text += [f'  {name(address)} = memory["{name(address)}"]' for address in exposed(lines)]
  for line in lines:
    code = f"  {name(line.output)} = {_right_side(algorithm, line, library, rules)}"
    if code.strip().replace(f"{library}.", "") == line.text:  # nothing to explain
      text.append(code)
    elif len(code) + len(line.text) + 4 <= _WIDTH:
      text.append(f"{code}  # {line.text}")
    else:
      text += [f"  # {line.text}", code]
  stored = sorted({line.output for line in lines} & _needed(algorithm))
  entries = [f'"{name(address)}": {name(address)}' for address in stored]
  result = f"  return {{{', '.join(['**memory', *entries])}}}" if stored else "  return memory"
  if len(result) > _WIDTH:
    result = "\n".join(
        ["  return {", "      **memory,", *(f"      {entry}," for entry in entries), "  }"])
  return "\n".join([*text, result])


def _right_side(
    algorithm: Algorithm, line: Line, library: str, rules: dict[str, OwnRule]) -> str:
  """What an instruction computes."""
  op = line.op
  assert op.output is not None
  constants = [
      str(value) if meaning is Constant.INDEX else f"DTYPE({value!r})"
      for value, meaning in zip(line.constants, op.constants)]
  inputs = [name(address) for address in line.inputs]
  at = f"key, {line.position}, {_SHAPES[op.output]}"
  if op.name not in rules:
    fields = dict(zip(("a", "b"), inputs)) | {f"c{k}": text for k, text in enumerate(constants)}
    exact = ', precision="highest"' if library == "jnp" else ""
    return expression(op.name, algorithm.num_features).format(
        np=library, old=name(line.output), at=at, exact=exact, **fields)
  arguments = [name(line.output)] if op.updates_output else []
  arguments += inputs
  arguments += [
      f"{library}.int32({text})" if meaning is Constant.INDEX else text
      for text, meaning in zip(constants, op.constants)]
  if op.noise is not None:
    draw = "standard_normal" if op.noise is Noise.NORMAL else "standard_uniform"
    arguments.append(f"{draw}({at})")
  call = f"{rules[op.name].call}({', '.join(arguments)})"
  return f"{library}.broadcast_to({library}.asarray({call}, DTYPE), {_SHAPES[op.output]})"
