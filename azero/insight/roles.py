"""What each live instruction of a program is for, from its data flow.

The roles are the words of a textbook: prediction, error, gradient, learning rate, noise, weight
averaging. They are decided in the terms of `terms` and by the mechanisms that were found, never by
the names of addresses. The first role in the order of `Role` that fits is an instruction's own.
"""

from collections.abc import Callable, Sequence
import enum
import functools

import numpy as np

from azero.insight import mechanisms, motifs
from azero.insight.terms import (
  ADDITIVE,
  LINEAR,
  MULTIPLICATIVE,
  RECTIFIERS,
  SCALES,
  STEPS,
  Factor,
  Mechanism,
  Terms,
)
from azero.language.ops import Kind


class Role(enum.Enum):
  """What an instruction is for; the value names it."""

  PREDICTION = "prediction"
  ERROR = "error"
  NOISE = "noise"
  AVERAGING = "weight averaging"
  MOMENTUM = "momentum"
  GRADIENT_STEP = "gradient step"
  UPDATE = "weight update"
  FORGETTING = "forgetting"
  START = "initial weights"
  DECAY = "decay"
  SCHEDULE = "learning-rate schedule"
  RATE = "learning rate"
  INVERSE_RATE = "inverse learning rate"
  SCALE = "scale of the prediction"
  SLOPE = "slope of the rectifier"
  NORMALISATION = "normalisation"
  SIZE = "size of the gradient"
  TOWARDS_SIZE = "for the size of the gradient"
  SCALED_ERROR = "scaled error"
  BACKPROPAGATION = "back-propagation"
  GRADIENT = "gradient"
  NOISY_INPUT = "noisy input"
  PART = "part of the prediction"
  RECTIFIER = "rectifier"
  HIDDEN = "hidden values"
  INPUT = "input"
  LASTING_WEIGHTS = "weights once training is over"
  WEIGHTS = "weights"
  MEASURE = "measure of the weights"
  CONSTANT = "constant"
  INTERMEDIATE = "intermediate value"
  DEAD = "no effect"


class Roles:
  """The roles of one program.

  Attributes:
    terms: of the program.
    mechanisms: found in it.
    rates: the factors that are learning rates.
    schedules: of those that change by the number of examples alone, their sizes, [N], with
      signs if these change.
  """

  def __init__(self, terms: Terms, found: Sequence[Mechanism], num_examples: int):
    """Decides.

    Args:
      terms: of the program.
      found: its mechanisms.
      num_examples: training examples over which a learning rate is watched.
    """
    self.terms = terms
    self.mechanisms = {each.name: each for each in found}
    self.rates: dict[int, Factor] = {}
    self.schedules: dict[int, np.ndarray] = {}
    self._find_rates(num_examples)
    self._roles = [self._decide(n) for n in range(len(terms.flow.instructions))]

  def of(self, number: int) -> Role:
    """The role of an instruction."""
    return self._roles[number]

  def _find_rates(self, num_examples: int) -> None:
    """Finds the scalars that say how large a step is, by the instructions that write them."""
    flow = self.terms.flow
    for factor in self.terms.factors:
      writer = factor.source.writer(training=True)
      if writer is None or self._is_averaged(factor.update):
        continue
      from_weights = self._has_place(motifs.MEAN_RATE, factor.reader) and (
          self._has_place(motifs.MEAN_RATE, writer))
      needed = flow.closure([factor.source])
      if not from_weights and (
          flow.depends_on([factor.source], lambda each: each.is_data)
          or any(map(self.terms.is_noise, needed))):
        continue
      self.rates.setdefault(writer, factor)
      watched = motifs.watch_schedule(self.terms, factor, num_examples)
      if watched is not None:
        changes_sign = watched.min() < 0 < watched.max()
        self.schedules[writer] = watched if changes_sign else np.abs(watched)

  def _is_averaged(self, number: int) -> bool:
    return number in self._averages

  @functools.cached_property
  def _averages(self) -> frozenset[int]:
    """The sums of weights that predict once training is over."""
    found: frozenset[int] = frozenset()
    for reader in self.terms.forward:
      for source in self.terms.operands(reader):
        found |= mechanisms.averaged(self.terms, source)
    return found

  @functools.cached_property
  def _velocities(self) -> frozenset[int]:
    found: frozenset[int] = frozenset()
    for number in self.terms.weights:
      found |= mechanisms.velocity(self.terms, number)
    return found

  @functools.cached_property
  def _products(self) -> frozenset[int]:
    """What the increments of taught weights are multiplied up by."""
    found: frozenset[int] = frozenset()
    for weight in self.terms.weights.values():
      if mechanisms.is_taught(self.terms, weight) and not self._is_averaged(weight.update):
        found |= self.terms.flow.walk(self.terms.increments(weight), self._adds_up)
    return frozenset(filter(self._adds_up, found))

  def _adds_up(self, number: int) -> bool:
    """Whether an instruction may stand between parts of an increment and the increment."""
    return self.terms.op(number) in MULTIPLICATIVE | ADDITIVE and number not in self.terms.weights

  @functools.cached_property
  def _parts(self) -> frozenset[int]:
    """What is only added up to be the prediction."""
    flow = self.terms.flow
    return flow.walk(
        [flow.predicted], lambda n: self.terms.op(n) in ADDITIVE,
        along=lambda source: source.same_pass)

  @functools.cached_property
  def _started(self) -> frozenset[int]:
    """The instructions of Setup that weights start from."""
    found: set[int] = set()
    for weight in self.terms.weights.values():
      kind = self.terms.flow.instructions[weight.update].op.output
      for k in weight.old:
        found |= {
            n for n in self.terms.kept(self.terms.operands(weight.update)[k])
            if not self.terms.in_loop(n) and self.terms.flow.instructions[n].op.output is kind}
    return frozenset(found)

  @functools.cached_property
  def _sums(self) -> frozenset[int]:
    """What keeps the running sums of momentum."""
    return self._velocities.union(
        *(self.terms.chain(self.terms.weights[n]) for n in self._velocities))

  @functools.cached_property
  def _decays(self) -> frozenset[int]:
    """The scalars that make weights or running sums smaller."""
    scaled = [
        n for n in range(len(self.terms.flow.instructions)) if self.terms.op(n) in SCALES
        and (n in self._sums or self._has_place(mechanisms.FORGETTING, n))]
    found: frozenset[int] = frozenset()
    for number in scaled:
      for kind, source in zip(
          self.terms.flow.instructions[number].op.inputs, self.terms.operands(number)):
        if kind is Kind.SCALAR:
          found |= self.terms.flow.closure([source]) - self.terms.weights.keys()
    return found

  @functools.cached_property
  def _scales(self) -> frozenset[int]:
    """The scalars without data by which the prediction, or weights on the way to it, are scaled."""
    flow = self.terms.flow
    found: frozenset[int] = frozenset()
    for number in self.terms.forward:
      sources, kinds = self.terms.operands(number), flow.instructions[number].op.inputs
      if not self.terms.multiplies(number) or not any(map(self.terms.has_weights, sources)):
        continue
      for kind, source in zip(kinds, sources):
        needed = flow.closure([source])
        if kind is Kind.SCALAR and not flow.depends_on([source], lambda each: each.is_data) and (
            not any(map(self.terms.is_noise, needed))):
          found |= needed
    return found

  def _steps(self, number: int) -> bool:
    """Whether a weight follows the gradient, by itself or by a running sum."""
    weights = self.terms.weights
    return number in weights and any(
        mechanisms.is_taught(self.terms, weights[n])
        for n in {number, *mechanisms.velocity(self.terms, number)})

  def _has_place(self, name: str, number: int) -> bool:
    """Whether an instruction belongs to a mechanism."""
    return name in self.mechanisms and (
        self.terms.place(number) in self.mechanisms[name].places)

  def _decide(self, number: int) -> Role:
    return next((role for role, fits in self._tests() if fits(number)), Role.INTERMEDIATE)

  def _tests(self) -> tuple[tuple[Role, Callable[[int], bool]], ...]:
    """What fits each role, in the order of `Role`."""
    terms, flow = self.terms, self.terms.flow
    ops, weights = terms.op, terms.weights

    def is_scalar(n: int) -> bool:
      return flow.instructions[n].op.output is Kind.SCALAR

    def is_forward(n: int) -> bool:
      return n in terms.forward and any(map(terms.has_features, terms.operands(n)))

    normal, back = mechanisms.NORMALISED, mechanisms.BACKPROPAGATION
    return (
        (Role.PREDICTION, lambda n: n == flow.predicted.predict),
        (Role.ERROR, lambda n: n in terms.errors),
        (Role.NOISE, terms.is_noise),
        (Role.AVERAGING, self._is_averaged),
        (Role.MOMENTUM, lambda n: n in self._sums),
        (Role.GRADIENT_STEP, self._steps),
        (Role.UPDATE, lambda n: n in weights),
        (Role.FORGETTING, lambda n: self._has_place(mechanisms.FORGETTING, n)),
        (Role.START, lambda n: n in self._started),
        (Role.DECAY, lambda n: n in self._decays),
        (Role.SCHEDULE, self._makes_schedule),
        (Role.INVERSE_RATE, lambda n: n in self.rates and self.rates[n].power < 0),
        (Role.RATE, self._makes_rate),
        (Role.SCALE, lambda n: n in self._scales),
        (Role.SLOPE, lambda n: ops(n) in STEPS and n in self._makers and any(
            writer in terms.forward for writer in terms.operands(n)[0].writers)),
        (Role.NORMALISATION, lambda n: n in self._products and self._has_place(normal, n)),
        (Role.SIZE, lambda n: self._has_place(normal, n) and mechanisms.is_size(terms, n)),
        (Role.TOWARDS_SIZE, lambda n: self._has_place(normal, n) and n not in self._products),
        (Role.SCALED_ERROR, lambda n: is_scalar(n) and n in self._products | self._makers
         and self._has_error(n)),
        (Role.BACKPROPAGATION, lambda n: self._has_place(back, n)),
        (Role.GRADIENT, lambda n: n in self._products and self._has_error(n)),
        (Role.NOISY_INPUT, lambda n: n in self._noisy),
        (Role.PART, lambda n: n in self._parts and is_forward(n)),
        (Role.RECTIFIER, lambda n: ops(n) in RECTIFIERS and is_forward(n)),
        (Role.HIDDEN, lambda n: is_forward(n) and terms.has_weights_at(n)),
        (Role.INPUT, is_forward),
        (Role.LASTING_WEIGHTS, lambda n: n in self._lasting),
        (Role.WEIGHTS, lambda n: (ops(n) in LINEAR | RECTIFIERS or ops(n).endswith("_abs"))
         and bool(self._linear_weights(n)) and not is_scalar(n) and not self._has_error_now(n)),
        (Role.MEASURE, lambda n: is_scalar(n) and bool(self._linear_weights(n))
         and not self._has_error_now(n)),
        (Role.CONSTANT, lambda n: not terms.in_loop(n)),
    )

  @functools.cached_property
  def _noisy(self) -> frozenset[int]:
    return mechanisms.noisy_features(self.terms)

  @functools.cached_property
  def _makers(self) -> frozenset[int]:
    """What is an operand of a product that makes an increment."""
    return frozenset(
        writer for n in self._products for source in self.terms.operands(n)
        for writer in source.writers)

  @functools.cached_property
  def _lasting(self) -> frozenset[int]:
    """What Predict leaves for the validation examples behind, made of averaged weights."""
    found: set[int] = set()
    for reader in self.terms.forward:
      for source in self.terms.operands(reader):
        if mechanisms.averaged(self.terms, source) and source.predict is not None:
          found.add(source.predict)
    return frozenset(found)

  def _linear_weights(self, number: int) -> frozenset[int]:
    """The weights that a value is made of by linear ops."""
    met: frozenset[int] = frozenset()
    for source in self.terms.operands(number):
      met |= self.terms.scaled_sources(source)
    return frozenset(met & self.terms.weights.keys())

  def _has_error(self, number: int) -> bool:
    """Whether a value depends on the error but for what weights hold of it."""
    return self.terms.has_error(self.terms.operands(number))

  def _has_error_now(self, number: int) -> bool:
    """Whether a value depends on the error of its own example, but not by way of weights."""
    reached = self.terms.flow.walk(
        self.terms.operands(number), lambda n: n not in self.terms.weights,
        along=lambda source: source.same_pass)
    return bool(reached & self.terms.errors)

  def _makes_rate(self, number: int) -> bool:
    """Whether a scalar is a learning rate, or only makes one."""
    if number in self.rates:
      return True
    return self.terms.flow.instructions[number].op.output is Kind.SCALAR and any(
        number in self.terms.flow.closure([factor.source])
        and number not in self.terms.weights and not self._has_error(number)
        for factor in self.rates.values())

  def _makes_schedule(self, number: int) -> bool:
    """Whether a value changes from example to example and makes a scheduled learning rate."""
    return self.terms.in_loop(number) and any(
        number in self.terms.flow.closure([self.rates[writer].source])
        for writer in self.schedules)
