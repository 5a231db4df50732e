"""Mechanisms moved from one program into another (supplement S8 (d) of the AutoML-Zero paper).

Where an ablation suggests that a section of code helps the algorithm it is from, the paper inserts
it into simpler algorithms, to see whether it helps there, too. The section is fitted in by what
things are, not by their addresses: noise joins the features of the recipient, its own weights are
averaged, its own learning rate decays as the donor's.
"""

from collections.abc import Callable, Iterable
import dataclasses
from typing import Any

import numpy as np

from azero.insight import bench as bench_lib
from azero.insight import mechanisms, motifs, surgery, tables, variants
from azero.insight.bench import Bench
from azero.insight.flow import Source
from azero.insight.mechanisms import (
  AVERAGING,
  BILINEAR,
  FORGETTING,
  MOMENTUM,
  NOISY_INPUT,
  NORMALISED,
)
from azero.insight.motifs import MEAN_RATE, NOISY_RELU, RATE_DECAY
from azero.insight.statistics import Interval
from azero.insight.surgery import Code, Line
from azero.insight.terms import (
  ADDITIVE,
  RECTIFIERS,
  SCALES,
  STEPS,
  Factor,
  Mechanism,
  Terms,
  Weight,
)
from azero.language.ops import Kind, op_by_name
from azero.language.program import FEATURES_VECTOR, PREDICTION_SCALAR, Function, Programs
from azero.language.text import format_program
from azero.tasks.task import Tasks

_SCALE = {
    Kind.SCALAR: "scalar_product", Kind.VECTOR: "scalar_vector_product",
    Kind.MATRIX: "scalar_matrix_product"}
_MEAN = {Kind.VECTOR: "vector_mean", Kind.MATRIX: "matrix_mean"}
_WATCHED = 800  # training examples over which a schedule is watched


@dataclasses.dataclass(frozen=True)
class KnockIn:
  """A program that has got a mechanism of another one.

  Attributes:
    name: of the mechanism.
    original: the recipient, a batch of one.
    program: the recipient with the mechanism, a batch of one.
    original_fitness: of the recipient.
    fitness: with the mechanism.
    gain: of fitness, as a mean over tasks with its interval.
  """

  name: str
  original: Programs
  program: Programs
  original_fitness: float
  fitness: float
  gain: Interval

  @property
  def helps(self) -> bool:
    """Whether the gain is clear: its interval is above zero."""
    return self.gain.low > 0

  def __str__(self) -> str:
    return f"{self._caption()}\n{self.program}"

  def _repr_html_(self) -> str:
    return f"<p>{self._caption()}</p>{self.program._repr_html_()}"

  def markdown(self) -> str:
    """What came of it, in a sentence."""
    return self._caption()

  def as_dict(self) -> dict[str, Any]:
    """What JSON can hold of it."""
    return {
        "name": self.name, "program": format_program(self.program),
        "original_fitness": self.original_fitness, "fitness": self.fitness,
        "gain": tables.interval_dict(self.gain)}

  def _caption(self) -> str:
    gain, interval = tables.interval_cells(self.gain)
    return (f"With {self.name}: fitness {self.original_fitness:.4f} became {self.fitness:.4f}, a "
            f"gain of {gain} (95 %: {interval}).")


def knock_in(
    name: str, donor: Programs | str, recipient: Programs | str, tasks: Tasks | Bench, *,
    num_seeds: int | None = None, num_trials: int = 0, donor_multiclass: bool | None = None,
    **settings: Any,
) -> KnockIn:
  """Moves a mechanism into another program, and measures what it is worth there.

  Args:
    name: of the mechanism, one of `KNOCK_INS`.
    donor: the program that has it, a batch of one or its text.
    recipient: the program that gets it, a batch of one or its text.
    tasks: to measure on, or a `Bench`.
    num_seeds: evaluations with other random numbers; default 3, or what the `Bench` has.
    num_trials: settings of the constants that both programs are tuned by first, as in `ablate`.
    donor_multiclass: whether the donor is for several classes; by default as the tasks are.
    **settings: of `Evaluator`.

  Raises:
    ValueError: a mechanism that cannot be moved or that the donor does not have, a recipient
      without what it needs or that has it already, or a bad setting.
  """
  bench = bench_lib.bench_for(tasks, num_seeds, settings)
  if name not in KNOCK_INS:
    raise ValueError(
        f"{name!r} cannot be moved into another program; these can: {', '.join(KNOCK_INS)}.")
  variants.check_trials(bench, num_trials)
  donor, recipient = bench.read(donor), bench.read(recipient)
  source = Terms(
      donor, multiclass=bench.multiclass if donor_multiclass is None else donor_multiclass)
  target = Terms(recipient, multiclass=bench.multiclass)
  found = {each.name: each for each in mechanisms.mechanisms_of(source, _WATCHED)}
  if name not in found:
    raise ValueError(f"The donor has no {name}; it has {', '.join(found) or 'nothing known'}.")
  if name in {each.name for each in mechanisms.mechanisms_of(target, _WATCHED)}:
    raise ValueError(f"The recipient has {name} already.")
  graft = _Graft(source, found[name], donor, target, recipient, multiclass=bench.multiclass)
  KNOCK_INS[name](graft)
  codes, measured = variants.measure(
      bench, [surgery.take_apart(recipient), graft.build()], num_trials)
  space = surgery.space_of([codes[1]], bench.tasks.num_features, multiclass=bench.multiclass)
  return KnockIn(
      name, recipient, surgery.assemble([codes[1]], space), measured.fitness(0),
      measured.fitness(1), measured.loss(0, reference=1))


class _Graft:
  """A recipient that gets a mechanism: what is inserted, and who reads it.

  Attributes:
    donor: terms of the donor.
    mechanism: of the donor.
    target: terms of the recipient.
    ends: what is put behind Setup, Predict and Learn.
    start: what is put in front of Predict.
  """

  def __init__(
      self, donor: Terms, mechanism: Mechanism, donor_program: Programs, target: Terms,
      recipient: Programs, *, multiclass: bool):
    self.donor, self.mechanism, self.target = donor, mechanism, target
    self.ends: dict[Function, list[Line]] = {function: [] for function in Function}
    self.start: list[Line] = []
    self._donor_code = surgery.take_apart(donor_program)
    self._lines = [list(part) for part in surgery.take_apart(recipient)]
    self._before: dict[tuple[int, int], list[Line]] = {}
    self._after: dict[tuple[int, int], list[Line]] = {}
    self._next = surgery.fresh_addresses(
        tuple(map(tuple, self._lines)), multiclass=multiclass)
    self._constants: dict[float, int] = {}
    self._zeros: dict[Kind, int] = {}

  def fresh(self, kind: Kind) -> int:
    """An address that nothing uses."""
    self._next[kind] += 1
    return self._next[kind] - 1

  def zero(self, kind: Kind) -> int:
    """An address that nothing writes."""
    if kind not in self._zeros:
      self._zeros[kind] = self.fresh(kind)
    return self._zeros[kind]

  def constant(self, value: float) -> int:
    """A scalar address that Setup writes a constant to."""
    if value not in self._constants:
      self._constants[value] = self.fresh(Kind.SCALAR)
      self.ends[Function.SETUP].append(_line("scalar_constant", self._constants[value], (), value))
    return self._constants[value]

  def donor_line(self, number: int) -> Line:
    """An instruction of the donor."""
    at = self.donor.at(number)
    return self._donor_code[at.function][at.line - 1]

  def line(self, number: int) -> Line:
    """An instruction of the recipient."""
    at = self.target.at(number)
    return self._lines[at.function][at.line - 1]

  def insert(self, number: int, *lines: Line, behind: bool = False) -> None:
    """Puts instructions in front of one of the recipient, or behind it."""
    at = self.target.at(number)
    where = self._after if behind else self._before
    where.setdefault((at.function, at.line - 1), []).extend(lines)

  def read(self, number: int, operand: int, address: int) -> None:
    """Lets an instruction of the recipient read another address."""
    at = self.target.at(number)
    old = self._lines[at.function][at.line - 1]
    inputs = list(old.inputs)
    inputs[operand] = address
    self._lines[at.function][at.line - 1] = old._replace(inputs=tuple(inputs))

  def noise(self, number: int) -> int:
    """The address of the noise that an instruction of the donor makes, with all that it needs.

    It is drawn where the donor draws it.
    """
    name = _copied(
        self, {number, *self.donor.flow.ancestors(number)}, predict=self.start)
    return name(Kind.VECTOR, self.donor_line(number).output)

  def noises(self) -> list[int]:
    """The instructions of the mechanism that make noise without data, as it meets those.

    Raises:
      ValueError: it is no vector, or data scale it.
    """
    terms = self.donor
    parts = [n for n in range(len(terms.flow.instructions))
             if terms.place(n) in self.mechanism.places]
    noisy = [
        n for n in parts if any(map(terms.is_noise, {n, *terms.flow.ancestors(n)}))
        and not terms.flow.depends_on(terms.operands(n), lambda each: each.is_data)]
    # What other noise is made of is a part of it.
    whole = [n for n in noisy if not any(
        n in terms.flow.ancestors(other) for other in noisy if other != n)]

    def joins(number: int) -> bool:
      """Whether an instruction leaves noise that it reads as it is, but for the features."""
      others = [each for each in terms.operands(number) if not set(each.writers) & set(whole)]
      return terms.op(number) in ADDITIVE | RECTIFIERS or (
          terms.op(number) in SCALES and all(map(terms.has_features, others)))

    readers = [n for n in parts if n not in noisy and any(
        set(each.writers) & set(whole) for each in terms.operands(n))]
    are_vectors = all(terms.flow.instructions[n].op.output is Kind.VECTOR for n in whole)
    if not (whole and are_vectors and all(map(joins, readers))):
      raise ValueError(
          f"The donor's noise is no vector that joins others by a sum, so that its "
          f"{self.mechanism.name} cannot be moved.")
    return whole

  def taught(self) -> list[Weight]:
    """The recipient's weights that follow the error."""
    weights = [
        each for each in self.target.weights.values() if mechanisms.is_taught(self.target, each)]
    if not weights:
      raise ValueError(f"The recipient has no gradient steps, which {self.mechanism.name} changes.")
    return weights

  def build(self) -> Code:
    """The recipient with what was put into it."""
    parts = []
    for function in Function:
      part = list(self.start) if function is Function.PREDICT else []
      for k, each in enumerate(self._lines[function]):
        part += [*self._before.get((function, k), ()), each, *self._after.get((function, k), ())]
      parts.append((*part, *self.ends[function]))
    return tuple(parts)


def _line(name: str, output: int, inputs: tuple[int, ...], *constants: float) -> Line:
  """An instruction by the name of its op."""
  return Line(op_by_name(name), output, inputs, constants)


def _noisy_input(graft: _Graft) -> None:
  join, noises = min(mechanisms.noisy_features(graft.donor)), graft.noises()
  if len(noises) > 1:
    raise ValueError("The donor's noise joins the features more than once; only one can be moved.")
  noise, noisy = graft.noise(noises[0]), graft.fresh(Kind.VECTOR)
  features_first = graft.donor.has_features(graft.donor.operands(join)[0])
  inputs = (FEATURES_VECTOR, noise) if features_first else (noise, FEATURES_VECTOR)
  graft.start.append(graft.donor_line(join)._replace(output=noisy, inputs=inputs))
  for number in range(len(graft.target.flow.instructions)):
    for operand, source in enumerate(graft.target.operands(number)):
      if source.features:
        graft.read(number, operand, noisy)


def _noisy_relu(graft: _Graft) -> None:
  """Noise joins what is rectified, for the step function that is the derivative as well.

  Of several sources of noise it is the first one.
  """
  terms = graft.target
  for number in sorted(terms.forward):
    kinds = terms.flow.instructions[number].op.inputs
    if terms.op(number) in RECTIFIERS and kinds[0] is Kind.VECTOR:
      operands = [k for k, each in enumerate(terms.operands(number)) if terms.has_features(each)]
      if not operands:
        continue
      operand = operands[0]
      rectified = terms.operands(number)[operand].writers
      noisy = graft.fresh(Kind.VECTOR)
      graft.insert(number, _line(
          "vector_sum", noisy, (
              graft.line(number).inputs[operand], graft.noise(graft.noises()[0]))))
      graft.read(number, operand, noisy)
      for other in range(number + 1, len(terms.flow.instructions)):
        if terms.op(other) in STEPS and terms.operands(other)[0].writers == rectified:
          graft.read(other, 0, noisy)
      return
  raise ValueError("The recipient has no rectified vector that noise could be added to.")


def _bilinear(graft: _Graft) -> None:
  terms = graft.target
  # Where the error, scaled by the learning rate, meets what it is multiplied by.
  errors = [
      (number, k) for weight in graft.taught() for number in sorted(terms.made_by_products(weight))
      for k, source in enumerate(terms.operands(number))
      if terms.flow.instructions[number].op.inputs[k] is Kind.SCALAR and terms.has_error([source])
      and not terms.is_scalar(number)]
  if not errors:
    raise ValueError("A bilinear model needs a recipient with a scalar error that is multiplied.")
  weights, step = graft.fresh(Kind.MATRIX), graft.fresh(Kind.MATRIX)
  hidden, part = graft.fresh(Kind.VECTOR), graft.fresh(Kind.VECTOR)
  more = graft.fresh(Kind.SCALAR)
  graft.ends[Function.PREDICT] += [
      _line("matrix_vector_product", hidden, (weights, FEATURES_VECTOR)),
      _line("vector_inner_product", more, (hidden, FEATURES_VECTOR)),
      _line("scalar_sum", PREDICTION_SCALAR, (PREDICTION_SCALAR, more))]
  reader, operand = errors[0]
  graft.insert(
      reader, _line("scalar_vector_product", part, (
          graft.line(reader).inputs[operand], FEATURES_VECTOR)),
      _line("vector_outer_product", step, (part, FEATURES_VECTOR)),
      _line("matrix_sum", weights, (weights, step)))


def _normalised(graft: _Graft) -> None:
  terms = graft.target
  done: set[int] = set()
  for weight in graft.taught():
    for number in sorted(terms.made_by_products(weight) - done):
      sources, kinds = terms.operands(number), terms.flow.instructions[number].op.inputs
      inputs = [
          k for k, source in enumerate(sources) if kinds[k] is Kind.VECTOR
          and terms.has_features(source) and not terms.has_weights(source)]
      if len(sources) != 2 or len(inputs) != 1 or not terms.has_error([sources[1 - inputs[0]]]):
        continue
      done.add(number)
      [own], error = inputs, 1 - inputs[0]
      size, inverse = graft.fresh(Kind.SCALAR), graft.fresh(Kind.SCALAR)
      scaled = graft.fresh(kinds[error])
      graft.insert(
          number, _line("vector_norm", size, (graft.line(number).inputs[own],)),
          _line("scalar_reciprocal", inverse, (size,)),
          _line(_SCALE[kinds[error]], scaled, (inverse, graft.line(number).inputs[error])))
      graft.read(number, error, scaled)
  if not done:
    raise ValueError(
        "The recipient has no gradient that is a product of its error and the features.")


def _averaging(graft: _Graft) -> None:
  """A running mean: a sum would make the predictions of a regression too large."""
  terms = graft.target
  readers: dict[tuple[int, Source], list[tuple[int, int]]] = {}
  for number in sorted(terms.forward):
    for operand, source in enumerate(terms.operands(number)):
      writer = source.writer(training=True)
      if writer in mechanisms.used_weights(terms) and source.predict is None:
        assert writer is not None
        readers.setdefault((writer, source), []).append((number, operand))
  if not readers:
    raise ValueError("The recipient has no weights that Learn updates and Predict reads.")
  one, count, part = graft.constant(1.0), graft.fresh(Kind.SCALAR), graft.fresh(Kind.SCALAR)
  learn = graft.ends[Function.LEARN]
  learn += [
      _line("scalar_sum", count, (count, one)), _line("scalar_reciprocal", part, (count,))]
  for (writer, source), places in readers.items():
    own, kind = graft.line(writer), graft.line(writer).op.output
    assert kind is not None
    used, total = graft.fresh(kind), graft.fresh(kind)
    plus = surgery.HELPERS[kind][1]
    latest = _line(plus, used, (own.output, graft.zero(kind)))
    if source.setup is not None:
      graft.ends[Function.SETUP].append(latest)
    learn += [_line(plus, total, (total, own.output)), latest]
    graft.ends[Function.PREDICT].append(_line(_SCALE[kind], used, (part, total)))
    for number, operand in places:
      graft.read(number, operand, used)


def _momentum(graft: _Graft) -> None:
  terms = graft.donor
  sums = {n for number in terms.weights for n in mechanisms.velocity(terms, number)}
  decays = [
      n for number in sorted(sums) for n in sorted(terms.chain(terms.weights[number]))
      if terms.op(n) in SCALES and terms.flow.instructions[n].op.inputs[0] is Kind.SCALAR]
  decay = float(terms.flow.observe(decays[0], 0, 2)[-1]) if decays else 1.0
  for weight in graft.taught():
    kind = graft.line(weight.update).op.output
    assert kind is not None
    total, [operand, *_] = graft.fresh(kind), weight.increments
    graft.insert(
        weight.update, _line(_SCALE[kind], total, (graft.constant(decay), total)),
        _line(surgery.HELPERS[kind][1], total, (
            total, graft.line(weight.update).inputs[operand])))
    graft.read(weight.update, operand, total)


def _forgetting(graft: _Graft) -> None:
  _, found = mechanisms.forgetting_weights(graft.donor, _WATCHED)[0]
  if not found.is_constant:
    raise ValueError(
        f"The donor's weights shrink by a part that changes, so that its {FORGETTING} cannot be "
        "moved.")
  kept = float(found.kept[0])
  for weight in graft.taught():
    kind = graft.line(weight.update).op.output
    assert kind is not None
    if kind is Kind.SCALAR:  # a bias does not forget
      continue
    shrunk, [operand, *_] = graft.fresh(kind), weight.old
    graft.insert(weight.update, _line(
        _SCALE[kind], shrunk, (graft.constant(kept), graft.line(weight.update).inputs[operand])))
    graft.read(weight.update, operand, shrunk)


def _rate_decay(graft: _Graft) -> None:
  """The recipient's rate times the donor's, as parts of what that is at first."""
  donor = graft.donor
  factor, values = motifs.falling_rates(donor, _WATCHED)[0]
  own = _constant_rate(graft)
  name = _copied(graft, donor.flow.closure([factor.source]))
  read = graft.donor_line(factor.reader).inputs[factor.operand]
  part, scaled = graft.fresh(Kind.SCALAR), graft.fresh(Kind.SCALAR)
  rate = name(Kind.SCALAR, read)
  if factor.power < 0:
    inverse = graft.fresh(Kind.SCALAR)
    graft.insert(own.reader, _line("scalar_reciprocal", inverse, (rate,)))
    rate = inverse
  first = graft.constant(float(1 / np.float32(values[0]) ** factor.power))
  graft.insert(
      own.reader, _line("scalar_product", part, (first, rate)),
      _line("scalar_product", scaled, (part, graft.line(own.reader).inputs[own.operand])))
  graft.read(own.reader, own.operand, scaled)


def _mean_rate(graft: _Graft) -> None:
  """The recipient's rate becomes what the donor's scalar functions make of its own weights."""
  donor, target = graft.donor, graft.target
  own = _constant_rate(graft)
  factor, mean = next(
      (each, number) for each in donor.factors
      if donor.place(each.reader) in graft.mechanism.places
      for number in sorted(donor.flow.walk([each.source], donor.is_scalar))
      if motifs.averaged_weights(donor, number))
  made_of = donor.flow.walk([factor.source], lambda number: number != mean)
  if factor.source.is_data or any(
      source.is_data for number in made_of - {mean} for source in donor.operands(number)):
    raise ValueError(
        f"The donor's rate is made of data, too, so that its {MEAN_RATE} cannot be moved.")
  # Of several layers the last one, as in the paper's program (figure S2c).
  weights = [
      writer for number in sorted(target.forward) for source in target.operands(number)
      if (writer := source.writer(training=True)) in mechanisms.used_weights(target)
      and writer is not None and not target.is_scalar(writer)]
  if not weights:
    raise ValueError("The recipient has no weights, beside a bias, to take the mean of.")
  name = _copied(graft, made_of, left_out=mean)
  updated = graft.line(weights[-1])
  assert updated.op.output is not None
  graft.ends[donor.at(mean).function].append(_line(
      _MEAN[updated.op.output], name(Kind.SCALAR, graft.donor_line(mean).output),
      (updated.output,)))
  rate = graft.fresh(Kind.SCALAR)
  made = name(Kind.SCALAR, graft.donor_line(factor.reader).inputs[factor.operand])
  graft.insert(own.reader, _line("scalar_product", rate, (graft.constant(1.0), made)))
  graft.read(own.reader, own.operand, rate)


def _constant_rate(graft: _Graft) -> Factor:
  """The recipient's factor that no data goes into.

  Raises:
    ValueError: it has none.
  """
  target = graft.target
  for each in target.factors:
    if each.source.writers and not target.flow.depends_on(
        [each.source], lambda source: source.is_data):
      return each
  raise ValueError(
      f"The recipient has no constant learning rate, which {graft.mechanism.name} changes.")


def _copied(
    graft: _Graft, numbers: Iterable[int], *, left_out: int | None = None,
    predict: list[Line] | None = None,
) -> Callable[[Kind | None, int], int]:
  """Puts instructions of the donor behind the recipient's, with addresses of their own.

  Args:
    graft: the recipient.
    numbers: of the instructions.
    left_out: one that is not copied.
    predict: where those of Predict go; by default behind the recipient's.

  Returns:
    What an address of the donor is called in the recipient, by its kind.
  """
  names: dict[tuple[Kind | None, int], int] = {}

  def name(kind: Kind | None, address: int) -> int:
    assert kind is not None
    if (kind, address) not in names:
      names[kind, address] = graft.fresh(kind)
    return names[kind, address]

  for number in sorted(numbers):
    if number != left_out:
      old, function = graft.donor_line(number), graft.donor.at(number).function
      lines = graft.ends[function]
      if predict is not None and function is Function.PREDICT:
        lines = predict
      lines.append(old._replace(
          output=name(old.op.output, old.output),
          inputs=tuple(name(*each) for each in zip(old.op.inputs, old.inputs))))
  return name


KNOCK_INS: dict[str, Callable[[_Graft], None]] = {
    NOISY_INPUT: _noisy_input, BILINEAR: _bilinear, NORMALISED: _normalised,
    AVERAGING: _averaging, MOMENTUM: _momentum, FORGETTING: _forgetting,
    NOISY_RELU: _noisy_relu, RATE_DECAY: _rate_decay, MEAN_RATE: _mean_rate}
