"""The terms in which a program is understood: weight, increment, factor, error, noise.

They follow from the data flow of the live instructions (`flow`), whatever the addresses are
called and however the instructions are ordered. Motifs, mechanisms and descriptions are all made
of them (section 4.3 and supplement S8 of the AutoML-Zero paper).

- A *weight* is a value that a sum or difference in the loop makes of its own earlier value,
  perhaps scaled by what does not depend on the label (weight decay), and of an *increment*
  which does.
- A *factor* of an increment is a scalar that enters it by products and quotients alone.
- The *error* is the difference of label and prediction.
- *Noise* is drawn anew for every example.
"""

from collections.abc import Iterable, Iterator, Sequence
import dataclasses
import functools

from azero.insight.flow import Flow, Source
from azero.insight.surgery import At, Edit, Hold, Typical, Value
from azero.language.ops import Kind
from azero.language.program import Function, Programs

_KINDS = ("scalar", "vector", "matrix")
ADDITIVE = frozenset(f"{kind}_{name}" for kind in _KINDS for name in ("sum", "diff"))
DIVISIONS = frozenset(f"{kind}_{name}" for kind in _KINDS for name in ("division", "reciprocal"))
MULTIPLICATIVE = DIVISIONS | frozenset(f"{kind}_product" for kind in _KINDS) | {
    "scalar_vector_product", "scalar_matrix_product", "vector_inner_product",
    "vector_outer_product", "matrix_vector_product", "matrix_matrix_product",
    "matrix_transpose", "vector_broadcast", "column_broadcast", "row_broadcast"}
# Products that may be weight decay: of a vector or matrix and something that scales it.
SCALES = frozenset({
    "scalar_vector_product", "scalar_matrix_product", "vector_product", "matrix_product"})
BY_SCALARS = frozenset({"scalar_vector_product", "scalar_matrix_product"})
# What is linear in each operand, if the others are held.
LINEAR = ADDITIVE | (MULTIPLICATIVE - DIVISIONS) | {"vector_mean", "matrix_mean", "matrix_row_mean"}
RECTIFIERS = frozenset(f"{kind}_{name}" for kind in _KINDS for name in ("min", "max"))
STEPS = frozenset(f"{kind}_heaviside" for kind in _KINDS)
_DRAWS = frozenset(f"{kind}_{name}" for kind in _KINDS for name in ("uniform", "gaussian"))
MEANS = frozenset({"vector_mean", "matrix_mean"})
NORMS = frozenset({"vector_norm", "matrix_norm"})
# What treats every element on its own, beside the scalar and elementwise ops.
_POINTWISE = frozenset({
    "scalar_vector_product", "scalar_matrix_product", "vector_broadcast", "column_broadcast",
    "row_broadcast"})


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
class Mechanism:
  """Something that a program does which has a name, for instance a learning rate that decays.

  Attributes:
    name: of the mechanism.
    places: the instructions that make it, in the order of the program.
    why: a sentence.
    without: what a knock-out does, as a phrase.
    edits: the knock-out.
  """

  name: str
  places: tuple[Place, ...]
  why: str
  without: str
  edits: tuple[Edit, ...]

  def __str__(self) -> str:
    return f"{self.name}: {self.why}"


@dataclasses.dataclass(frozen=True)
class Weight:
  """A value that training adds to.

  Attributes:
    update: the instruction that adds.
    old: which of its operands are its own earlier value.
    increments: which are added to that, and depend on the label.
  """

  update: int
  old: tuple[int, ...]
  increments: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Factor:
  """A scalar that scales the increment of a weight.

  Attributes:
    update: the instruction that adds the increment.
    reader: the instruction that multiplies by the scalar.
    operand: which of the reader's operands it is.
    source: where it comes from.
    power: 1 if the increment is multiplied by it, -1 if it is divided, 0 if it is both.
  """

  update: int
  reader: int
  operand: int
  source: Source
  power: int


class Terms:
  """The terms of one program, found once.

  Attributes:
    flow: its data flow.
  """

  def __init__(self, program: Programs, *, multiclass: bool = False):
    """Analyses a program.

    Args:
      program: a batch of one.
      multiclass: whether its task is multi-class.

    Raises:
      ValueError: not one program.
    """
    self.flow = Flow(program, multiclass=multiclass)

  def op(self, number: int) -> str:
    """The name of an instruction's op."""
    return self.flow.instructions[number].op.name

  def operands(self, number: int) -> tuple[Source, ...]:
    """Where the operands of an instruction come from."""
    return self.flow.instructions[number].operands

  def at(self, number: int) -> At:
    """Where an instruction stands."""
    instruction = self.flow.instructions[number]
    return At(instruction.function, instruction.line)

  def place(self, number: int) -> Place:
    """An instruction, to be shown."""
    instruction = self.flow.instructions[number]
    return Place(instruction.function, instruction.line, instruction.text)

  def in_loop(self, number: int) -> bool:
    """Whether an instruction runs for every example."""
    return self.flow.instructions[number].function is not Function.SETUP

  @functools.cached_property
  def forward(self) -> frozenset[int]:
    """What makes the prediction of an example in the same pass over it."""
    return self.flow.walk(
        [self.flow.predicted], lambda number: True, along=lambda source: source.same_pass)

  @functools.cached_property
  def weights(self) -> dict[int, Weight]:
    """The weights, by the instructions that update them."""
    weights: dict[int, Weight] = {}
    for number in range(len(self.flow.instructions)):
      if not self.in_loop(number) or self.op(number) not in ADDITIVE:
        continue
      old = [number in self.kept(source) for source in self.operands(number)]
      increments = tuple(
          k for k, (source, is_old) in enumerate(zip(self.operands(number), old))
          if any(old) and not is_old
          and self.flow.depends_on([source], lambda each: each.label))
      if increments:
        kept = tuple(k for k, is_old in enumerate(old) if is_old)
        weights[number] = Weight(number, kept, increments)
    return weights

  def kept(self, source: Source) -> frozenset[int]:
    """The instructions whose value a source may be, but for what is added and for scales."""
    return self.flow.walk([source], self.keeps_value)

  def keeps_value(self, number: int) -> bool:
    """Whether an instruction may stand between a weight and what it becomes."""
    instruction = self.flow.instructions[number]
    if instruction.op.name in ADDITIVE:
      return True
    if instruction.op.name not in SCALES:
      return False
    labelled = [
        kind for kind, source in zip(instruction.op.inputs, instruction.operands)
        if self.flow.depends_on([source], lambda each: each.label)]
    return labelled == [instruction.op.output]

  def chain(self, weight: Weight) -> frozenset[int]:
    """What stands between the old value of a weight and the sum that makes the new one."""
    met: set[int] = set()
    for k in weight.old:
      met |= self.kept(self.operands(weight.update)[k])
    return frozenset(
        n for n in met if self.keeps_value(n) and n != weight.update
        and any(weight.update in self.kept(source) for source in self.operands(n)))

  @functools.cached_property
  def biases(self) -> frozenset[int]:
    """The weights that the prediction of an example adds and does not multiply by."""
    readers: dict[int, set[str]] = {}
    for number in self.forward:
      for source in self.operands(number):
        writer = source.writer(training=True)
        if writer is not None and writer in self.weights:
          readers.setdefault(writer, set()).add(self.op(number))
    return frozenset(writer for writer, ops in readers.items() if ops <= ADDITIVE)

  def increments(self, weight: Weight) -> list[Source]:
    """Where the increments of a weight come from."""
    return [self.operands(weight.update)[k] for k in weight.increments]

  def made_by_products(self, weight: Weight) -> frozenset[int]:
    """The instructions that an increment is multiplied up by."""
    met = self.flow.walk(self.increments(weight), self.multiplies)
    return frozenset(filter(self.multiplies, met))

  def multiplies(self, number: int) -> bool:
    """Whether an instruction is a product, a quotient or a broadcast."""
    return self.op(number) in MULTIPLICATIVE

  @functools.cached_property
  def factors(self) -> tuple[Factor, ...]:
    """The scalars that scale an increment."""
    return tuple(self._factors())

  def _factors(self) -> Iterator[Factor]:
    for weight in self.weights.values():
      powers = self._powers(weight)
      for reader in sorted(self.made_by_products(weight)):
        instruction = self.flow.instructions[reader]
        for operand, kind in enumerate(instruction.op.inputs):
          if kind is Kind.SCALAR:
            power = sum(powers[reader]) * self._power_of(reader, operand)
            yield Factor(
                weight.update, reader, operand, instruction.operands[operand], power)

  def _powers(self, weight: Weight) -> dict[int, set[int]]:
    """Of what an increment is multiplied up by: whether it is a factor (1), a divisor (-1)."""
    powers: dict[int, set[int]] = {}
    waiting = [(n, 1) for source in self.increments(weight) for n in source.writers]
    while waiting:
      number, power = waiting.pop()
      if not self.multiplies(number) or power in powers.setdefault(number, set()):
        continue
      powers[number].add(power)
      waiting += [
          (n, power * self._power_of(number, operand))
          for operand, source in enumerate(self.operands(number)) for n in source.writers]
    return powers

  def _power_of(self, number: int, operand: int) -> int:
    """Whether a product, a quotient or a broadcast multiplies by an operand (1) or divides (-1)."""
    last = operand == len(self.operands(number)) - 1
    return -1 if self.op(number) in DIVISIONS and last else 1

  @functools.cached_property
  def errors(self) -> frozenset[int]:
    """The differences of label and prediction, and sums of one and the negated other."""
    found = set()
    for number, instruction in enumerate(self.flow.instructions):
      if instruction.op.name in ADDITIVE and len(instruction.operands) == 2:
        first, second = instruction.operands
        if instruction.op.name.endswith("_sum"):
          negated = self._negated(first), self._negated(second)
          first, second = (negated[0], second) if negated[0] else (first, negated[1] or Source())
        if (first.label and second.prediction) or (first.prediction and second.label):
          found.add(number)
    return frozenset(found)

  def _negated(self, source: Source) -> Source | None:
    """What a value is about minus one times of, in the same example; None if it is not."""
    if len(source.writers) != 1 or not source.same_pass:
      return None
    [number] = source.writers
    if self.op(number) not in BY_SCALARS | {"scalar_product"}:
      return None
    pair = self.operands(number)
    return next((other for constant, other in (pair, pair[::-1])
                 if self._is_minus_one(constant)), None)

  def _is_minus_one(self, source: Source) -> bool:
    """Whether a value is a constant of about -1, to a factor of two: constants mutate."""
    if len(source.writers) != 1 or source.is_data:
      return False
    [number] = source.writers
    return self.op(number) == "scalar_constant" and bool(
        -2 <= self.flow.instructions[number].constants[0] <= -0.5)

  def has_error(self, sources: Iterable[Source]) -> bool:
    """Whether something is made of the error, other than by way of weights."""
    return bool(self.flow.walk(sources, lambda n: n not in self.weights) & self.errors)

  def scaled_sources(self, source: Source, *, training: bool | None = None) -> frozenset[int]:
    """What a value is, but for sums and scalar factors; weights, met, are not passed."""

    def passes(number: int) -> bool:
      return self.op(number) in ADDITIVE | BY_SCALARS | {"matrix_transpose"} and (
          number not in self.weights and number not in self.errors)

    def scaled(number: int) -> tuple[Source, ...]:
      return self.operands(number)[self.op(number) in BY_SCALARS :]

    return self.flow.walk([source], passes, operands=scaled, training=training)

  def has_features(self, source: Source) -> bool:
    """Whether a value depends on the features of its own example."""
    reached = self.flow.walk([source], lambda n: True, along=lambda each: each.same_pass)
    return source.features or any(
        each.features for n in reached for each in self.operands(n))

  def is_linear(self, source: Source) -> bool:
    """Whether a value depends on the features of its own example, and only by linear ops.

    What it is linear in, too, are weights, noise and what is kept of examples before.
    """
    if not self.has_features(source):
      return False
    reached = self.flow.walk([source], lambda n: True, along=lambda each: each.same_pass)
    for number in reached:
      featured = [self.has_features(each) for each in self.operands(number)]
      # Two operands that depend on the features make a square, unless they are added.
      if any(featured) and self.op(number) not in LINEAR:
        return False
      if len(featured) > 1 and all(featured) and self.op(number) not in ADDITIVE:
        return False
    return True

  def has_weights(self, source: Source) -> bool:
    """Whether a value depends on a weight."""
    return bool(self.flow.closure([source]) & self.weights.keys())

  def has_weights_at(self, number: int) -> bool:
    """Whether the value of an instruction depends on a weight."""
    return bool(self.flow.closure(self.operands(number)) & self.weights.keys())

  def hands_on(self, number: int) -> bool:
    """Whether an instruction only copies, or transposes."""
    adds_zero = self.op(number) in ADDITIVE and any(
        source.is_zero for source in self.operands(number))
    return adds_zero or self.op(number) == "matrix_transpose"

  def is_scalar(self, number: int) -> bool:
    """Whether an instruction makes a scalar of scalars."""
    op = self.flow.instructions[number].op
    return op.output is Kind.SCALAR and all(kind is Kind.SCALAR for kind in op.inputs)

  def is_pointwise(self, number: int) -> bool:
    """Whether an instruction treats every element on its own."""
    op = self.flow.instructions[number].op
    of_scalars = bool(op.inputs) and {*op.inputs, op.output} == {Kind.SCALAR}
    return op.elementwise or of_scalars or op.name in _POINTWISE

  def is_noise(self, number: int) -> bool:
    """Whether an instruction draws noise, not always the same number, for every example."""
    instruction = self.flow.instructions[number]
    if instruction.op.noise is None or not self.in_loop(number):
      return False
    if instruction.op.name not in _DRAWS:
      return True  # of an op of the user's own, which may have no constants
    first, second = instruction.constants[:2]
    return bool(second != 0 if instruction.op.name.endswith("_gaussian") else first != second)

  def stilled(self, number: int) -> Hold:
    """Noise held at its mean."""
    instruction = self.flow.instructions[number]
    first, second = instruction.constants[:2].tolist()
    mean: Value = Typical(self.at(number))  # of an op of the user's own
    if instruction.op.name.endswith("_gaussian"):
      mean = first
    elif instruction.op.name.endswith("_uniform"):
      mean = (first + second) / 2
    return Hold(self.at(number), mean)

  def is_fresh(self, source: Source) -> bool:
    """Whether a value from before this example is no memory of those before that.

    So the noise that Learn drew for the next example; but not a weight that noise went into.
    """
    return source.learn is not None and not self.flow.is_carried(source.learn)

  def noisy_sources(self, sources: tuple[Source, ...]) -> frozenset[int]:
    """What values are made of element by element, of this pass or fresh from the last one."""
    return self.flow.walk(
        sources, self.is_pointwise, along=lambda each: each.same_pass or self.is_fresh(each))

  def mechanism(
      self, name: str, numbers: set[int] | frozenset[int], why: str, without: str,
      edits: Sequence[Edit],
  ) -> Mechanism:
    """A mechanism that these instructions make."""
    places = tuple(self.place(number) for number in sorted(numbers))
    return Mechanism(name, places, why, without, tuple(edits))

  def texts(self, numbers: list[int]) -> str:
    """Instructions as they are printed, with commas between them."""
    return ", ".join(self.flow.instructions[number].text for number in sorted(numbers))
