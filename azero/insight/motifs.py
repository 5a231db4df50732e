"""The three motifs of section 4.3 of the AutoML-Zero paper, found in a program by themselves.

Evolution adapts a network to its task by code that reappears in independent experiments:
a rectifier made noisy where examples are few, a learning rate that decays where training is
short, and a learning rate made of the mean of the weights where there are many classes. The
paper found them by reading. Here they follow from the data flow of the live instructions;
whether a schedule shrinks is seen by running it.

The terms used:
- A *weight* is a value that a sum or difference in the loop makes of its own earlier value,
  perhaps scaled by what does not depend on the label (weight decay), and of an *increment*
  which does.
- A *factor* of an increment is a scalar that enters it by products and quotients alone.

What is not seen: a rate that decays as a vector, two factors of which one makes up for the
decay of the other, and noise in a rectifier that is a product with a Heaviside function.
"""

from collections.abc import Iterator
import dataclasses

import numpy as np

from azero.insight.flow import Flow, Source
from azero.language.ops import Kind
from azero.language.program import Function, Programs

NOISY_RELU = "noisy ReLU"
RATE_DECAY = "learning-rate decay"
MEAN_RATE = "learning rate from the mean of weights"
MOTIFS = (NOISY_RELU, RATE_DECAY, MEAN_RATE)

_ADDITIVE = frozenset(f"{kind}_{name}" for kind in ("scalar", "vector", "matrix")
                      for name in ("sum", "diff"))
_MULTIPLICATIVE = frozenset(
    f"{kind}_{name}" for kind in ("scalar", "vector", "matrix")
    for name in ("product", "division", "reciprocal")) | {
        "scalar_vector_product", "scalar_matrix_product", "vector_inner_product",
        "vector_outer_product", "matrix_vector_product", "matrix_matrix_product",
        "matrix_transpose", "vector_broadcast", "column_broadcast", "row_broadcast"}
# Products that may be weight decay: of a vector or matrix and something that scales it.
_SCALES = frozenset({
    "scalar_vector_product", "scalar_matrix_product", "vector_product", "matrix_product"})
_RECTIFIERS = frozenset(f"{kind}_{name}" for kind in ("scalar", "vector", "matrix")
                        for name in ("min", "max"))
# What treats every element on its own, beside the scalar and elementwise ops.
_POINTWISE = frozenset({
    "scalar_vector_product", "scalar_matrix_product", "vector_broadcast", "column_broadcast",
    "row_broadcast"})
_MEANS = frozenset({"vector_mean", "matrix_mean"})
_KEEPS_WEIGHTS = frozenset({"matrix_transpose", "vector_abs", "matrix_abs"})

_DECAYED = 0.5  # a rate that has decayed is at most this part of its first value
_ROUNDING = 1e-5


@dataclasses.dataclass(frozen=True)
class Place:
  """An instruction of a program.

  Attributes:
    function: its component function.
    line: from 1, within the component function.
    text: as it is printed.
  """

  function: Function
  line: int
  text: str

  def __str__(self) -> str:
    return f"{self.function.name.title()} {self.line}: {self.text}"


@dataclasses.dataclass(frozen=True)
class Motif:
  """A motif that a program has.

  Attributes:
    name: one of MOTIFS.
    places: the instructions that make it, in the order of the program.
    why: a sentence.
  """

  name: str
  places: tuple[Place, ...]
  why: str


@dataclasses.dataclass(frozen=True)
class _Factor:
  """A scalar that scales the increment of a weight.

  Attributes:
    update: the instruction that adds the increment.
    reader: the instruction that multiplies by the scalar.
    operand: which of the reader's operands it is.
    source: where it comes from.
  """

  update: int
  reader: int
  operand: int
  source: Source


def find_motifs(
    program: Programs, *, multiclass: bool = False, num_examples: int = 800
) -> list[Motif]:
  """The motifs of a program, at most one of each name.

  Args:
    program: a batch of one.
    multiclass: whether its task is multi-class.
    num_examples: training examples over which a learning rate is watched, those of later
      epochs included.

  Returns:
    Motifs in the order of MOTIFS.

  Raises:
    ValueError: not one program, or fewer than two examples.
  """
  if num_examples < 2:
    raise ValueError(f"A decay needs num_examples of at least 2, got {num_examples}.")
  flow = Flow(program, multiclass=multiclass)
  weights = _weights(flow)
  factors = list(_factors(flow, weights))
  found = (
      _noisy_relu(flow), _rate_decay(flow, factors, num_examples),
      _mean_rate(flow, factors, frozenset(weights)))
  return [motif for motif in found if motif is not None]


def _noisy_relu(flow: Flow) -> Motif | None:
  """A rectifier, on the way from features to prediction, whose input is noisy."""
  forward = flow.walk(
      [flow.predicted], lambda number: True, along=lambda source: source.same_pass)
  for number in sorted(forward):
    rectifier = flow.instructions[number]
    if rectifier.op.name not in _RECTIFIERS or not flow.depends_on(
        rectifier.operands, lambda source: source.features):
      continue
    reached = flow.walk(
        rectifier.operands, lambda n: _is_pointwise(flow, n),
        along=lambda source: source.same_pass or _is_fresh(flow, source))
    noise = [n for n in reached if _is_fresh_noise(flow, n)]
    if noise:
      path = {n for n in reached if flow.ancestors(n) & set(noise) and _is_pointwise(flow, n)
              and flow.instructions[n].function is not Function.SETUP}
      return _motif(
          flow, NOISY_RELU, {number, *noise, *path},
          f"Noise that is drawn anew for every example ({_texts(flow, noise)}) enters the "
          f"rectifier {rectifier.text} of the prediction, element by element.")
  return None


def _is_pointwise(flow: Flow, number: int) -> bool:
  op = flow.instructions[number].op
  of_scalars = bool(op.inputs) and {*op.inputs, op.output} == {Kind.SCALAR}
  return op.elementwise or of_scalars or op.name in _POINTWISE


def _is_fresh(flow: Flow, source: Source) -> bool:
  """Whether a value from before this example is no memory of those before that.

  So the noise that Learn drew for the next example; but not a weight that noise went into.
  """
  return source.learn is not None and not flow.is_carried(source.learn)


def _is_fresh_noise(flow: Flow, number: int) -> bool:
  """Whether an instruction draws noise, not always the same number, for every example."""
  instruction = flow.instructions[number]
  if instruction.op.noise is None or instruction.function is Function.SETUP:
    return False
  first, second = instruction.constants[:2]
  return bool(second != 0 if instruction.op.name.endswith("_gaussian") else first != second)


def _weights(flow: Flow) -> dict[int, list[Source]]:
  """The instructions that update a weight, each with the increments that it adds."""
  weights: dict[int, list[Source]] = {}
  for number, instruction in enumerate(flow.instructions):
    if instruction.function is Function.SETUP or instruction.op.name not in _ADDITIVE:
      continue
    old = [
        number in flow.walk([source], lambda n: _keeps_value(flow, n))
        for source in instruction.operands]
    increments = [
        source for source, is_old in zip(instruction.operands, old)
        if any(old) and not is_old and flow.depends_on([source], lambda each: each.label)]
    if increments:
      weights[number] = increments
  return weights


def _keeps_value(flow: Flow, number: int) -> bool:
  """Whether an instruction may stand between a weight and what it becomes."""
  instruction = flow.instructions[number]
  if instruction.op.name in _ADDITIVE:
    return True
  if instruction.op.name not in _SCALES:
    return False
  labelled = [
      kind for kind, source in zip(instruction.op.inputs, instruction.operands)
      if flow.depends_on([source], lambda each: each.label)]
  return labelled == [instruction.op.output]


def _factors(flow: Flow, weights: dict[int, list[Source]]) -> Iterator[_Factor]:
  """The scalars that scale an increment."""

  def multiplies(number: int) -> bool:
    return flow.instructions[number].op.name in _MULTIPLICATIVE

  for update, increments in weights.items():
    for reader in sorted(filter(multiplies, flow.walk(increments, multiplies))):
      instruction = flow.instructions[reader]
      for operand, kind in enumerate(instruction.op.inputs):
        if kind is Kind.SCALAR:
          yield _Factor(update, reader, operand, instruction.operands[operand])


def _rate_decay(flow: Flow, factors: list[_Factor], num_examples: int) -> Motif | None:
  """A factor that depends on nothing but the number of examples, and shrinks with it."""
  for factor in factors:
    needed = flow.closure([factor.source])
    schedule = {number for number in needed if flow.is_carried(number)}
    noisy = any(_is_fresh_noise(flow, number) for number in needed)
    if noisy or not schedule or flow.depends_on([factor.source], lambda each: each.is_data):
      continue
    # The first example may find what only Setup wrote.
    rate = np.abs(flow.observe(factor.reader, factor.operand, num_examples))[1:]
    if not np.isfinite(rate).all() or np.any(np.diff(rate) > _ROUNDING * rate[0]):
      continue
    if 0 < rate[0] and rate[-1] <= _DECAYED * rate[0]:
      return _motif(
          flow, RATE_DECAY, needed | {factor.reader, factor.update},
          f"The scalar read by {flow.instructions[factor.reader].text} scales an update of "
          f"weights, depends on the number of examples alone and falls from {rate[0]:.3g} to "
          f"{rate[-1]:.3g} over {num_examples} examples.")
  return None


def _mean_rate(flow: Flow, factors: list[_Factor], weights: frozenset[int]) -> Motif | None:
  """A factor that scalar functions make of the mean of a weight vector or matrix."""

  def is_scalar(number: int) -> bool:
    op = flow.instructions[number].op
    return op.output is Kind.SCALAR and all(kind is Kind.SCALAR for kind in op.inputs)

  for factor in factors:
    reached = flow.walk([factor.source], is_scalar)
    for number in sorted(reached):
      mean = flow.instructions[number]
      if mean.op.name not in _MEANS:
        continue
      averaged = flow.walk(
          mean.operands, lambda n: flow.instructions[n].op.name in _KEEPS_WEIGHTS)
      if averaged & weights:
        path = {n for n in reached if is_scalar(n) and number in flow.ancestors(n)}
        return _motif(
            flow, MEAN_RATE, {number, factor.reader, factor.update, *path} | averaged & weights,
            f"The mean of weights, {mean.text}, becomes by scalar functions the factor of an "
            f"update of weights in {flow.instructions[factor.reader].text}.")
  return None


def _motif(flow: Flow, name: str, numbers: set[int] | frozenset[int], why: str) -> Motif:
  chosen = [flow.instructions[number] for number in sorted(numbers)]
  return Motif(name, tuple(Place(each.function, each.line, each.text) for each in chosen), why)


def _texts(flow: Flow, numbers: list[int]) -> str:
  return ", ".join(flow.instructions[number].text for number in sorted(numbers))
