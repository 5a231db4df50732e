"""The mechanisms of a program, each with its knock-out (supplement S8 of the AutoML-Zero paper).

Section 4.2 reads four features in the best evolved algorithm: noise on the inputs, a bilinear
model, normalised gradients and weight averaging. They are found here, beside the motifs of section
4.3 and what textbooks know: gradient steps, back-propagation, hidden layers, momentum, forgetting.
Everything follows from the data flow, in the terms of `terms`. A knock-out takes the mechanism away
and leaves the rest as it is: a gradient that was normalised keeps the mean of its size.

What is not seen: a mechanism spelled by ops that are not its own, for instance a norm as the root
of a sum of squares, or an average that is taken within one example.
"""

from collections.abc import Callable

from azero.insight import motifs
from azero.insight.flow import Source
from azero.insight.motifs import MOTIFS
from azero.insight.shrinking import Shrinking, shrinking
from azero.insight.surgery import Copy, Drop, Edit, Hold, Read, Typical
from azero.insight.terms import (
  ADDITIVE,
  DIVISIONS,
  LINEAR,
  MULTIPLICATIVE,
  NORMS,
  RECTIFIERS,
  SCALES,
  STEPS,
  Mechanism,
  Terms,
  Weight,
)
from azero.language.ops import Kind
from azero.language.program import Programs

GRADIENT_STEPS = "gradient steps"
NOISY_INPUT = "noise on the inputs"
BILINEAR = "bilinear model"
HIDDEN_LAYER = "rectified hidden layer"
BACKPROPAGATION = "back-propagation"
NORMALISED = "normalised gradients"
AVERAGING = "weight averaging"
MOMENTUM = "momentum"
FORGETTING = "forgetting (weight decay)"
MECHANISMS = (
    GRADIENT_STEPS, NOISY_INPUT, BILINEAR, HIDDEN_LAYER, BACKPROPAGATION, NORMALISED, AVERAGING,
    MOMENTUM, FORGETTING, *MOTIFS)


def find_mechanisms(
    program: Programs, *, multiclass: bool = False, num_examples: int = 800
) -> tuple[Mechanism, ...]:
  """The mechanisms of a program, at most one of each name.

  Args:
    program: a batch of one.
    multiclass: whether its task is multi-class.
    num_examples: training examples over which a learning rate is watched.

  Returns:
    Mechanisms in the order of MECHANISMS.

  Raises:
    ValueError: not one program, or fewer than two examples.
  """
  return mechanisms_of(Terms(program, multiclass=multiclass), num_examples)


def mechanisms_of(terms: Terms, num_examples: int) -> tuple[Mechanism, ...]:
  """As `find_mechanisms`, of a program whose terms are known."""
  found = [find(terms) for find in _FINDERS]
  found.append(_forgetting(terms, num_examples))
  return tuple(each for each in found if each is not None) + tuple(
      motifs.motifs_of(terms, num_examples))


def _gradient_steps(terms: Terms) -> Mechanism | None:
  """Weights to which products of the error are added."""
  taught = [weight for weight in terms.weights.values() if is_taught(terms, weight)]
  if not taught:
    return None
  edits: list[Edit] = [
      Read(terms.at(weight.update), k, 0.0) for weight in taught for k in weight.increments]
  texts = terms.texts([weight.update for weight in taught])
  whose = "its error" if all(_follows_now(terms, weight) for weight in taught) else (
      "an error, perhaps of the example before")
  return terms.mechanism(
      GRADIENT_STEPS, {weight.update for weight in taught} | terms.errors,
      f"Every training example adds to the weights ({texts}) a product of {whose}.",
      "nothing is added to the weights", edits)


def is_taught(terms: Terms, weight: Weight) -> bool:
  """Whether products of the error are added to a weight."""
  return terms.has_error(terms.increments(weight))


def _follows_now(terms: Terms, weight: Weight) -> bool:
  """Whether the error of the same example is in what is added to a weight."""
  return bool(terms.errors & terms.flow.walk(
      terms.increments(weight), lambda n: n not in terms.weights,
      along=lambda source: source.same_pass))


def _noisy_input(terms: Terms) -> Mechanism | None:
  """Noise joined to the features before weights are applied to them."""
  joins = noisy_features(terms)
  if not joins:
    return None
  reached: frozenset[int] = frozenset()
  for number in joins:
    reached |= terms.noisy_sources(terms.operands(number))
  noise = [n for n in sorted(reached) if terms.is_noise(n)]
  path = {n for n in reached if terms.flow.ancestors(n) & set(noise) and terms.in_loop(n)}
  return terms.mechanism(
      NOISY_INPUT, {*joins, *noise, *path},
      f"Noise that is drawn anew for every example ({terms.texts(noise)}) joins the features "
      f"in {terms.texts(sorted(joins))} before weights are applied.",
      "the noise stays at its mean", [terms.stilled(n) for n in noise])


def noisy_features(terms: Terms) -> frozenset[int]:
  """The instructions that join noise to the features, for weights to be applied to the result."""
  found = set()
  for number in terms.forward:
    op, sources = terms.flow.instructions[number].op, terms.operands(number)
    if op.name not in ADDITIVE | SCALES or len(op.inputs) != 2 or len(set(op.inputs)) != 1:
      continue
    clean = [
        terms.has_features(source) and not terms.has_weights(source) and not
        any(map(terms.is_noise, terms.noisy_sources((source,)))) for source in sources]
    fresh = [
        not terms.has_features(source)
        and any(map(terms.is_noise, terms.noisy_sources((source,)))) for source in sources]
    if (clean[0] and fresh[1]) or (clean[1] and fresh[0]):
      if any(_weighs(terms, reader, number) for reader in terms.forward):
        found.add(number)
  return frozenset(found)


def _weighs(terms: Terms, reader: int, number: int) -> bool:
  """Whether an instruction multiplies weights by the value of another, perhaps summed or scaled."""
  sources = terms.operands(reader)
  if terms.op(reader) not in MULTIPLICATIVE or len(sources) != 2:
    return False

  def passes(n: int) -> bool:
    return terms.op(n) in ADDITIVE | SCALES and not terms.has_weights_at(n)

  for k, source in enumerate(sources):
    reached = terms.flow.walk([source], passes, along=lambda each: each.same_pass)
    if number in reached and terms.has_weights(sources[1 - k]):
      return True
  return False


def _bilinear(terms: Terms) -> Mechanism | None:
  """A product, on the way to the prediction, of two values that are linear in the features."""
  for number in sorted(terms.forward):
    instruction = terms.flow.instructions[number]
    sources = instruction.operands
    if instruction.op.name not in LINEAR - ADDITIVE or len(sources) != 2:
      continue
    weighted = [terms.has_weights(source) for source in sources]
    if not any(weighted) or not all(map(terms.is_linear, sources)):
      continue
    plain = 1 if all(weighted) else weighted.index(False)
    writer = sources[plain].writer(training=True)
    edits: list[Edit] = [Read(terms.at(number), plain, 1.0), *_features_in_gradient(terms)]
    if writer is not None:
      edits = [Hold(terms.at(writer), 1.0)]
    made = terms.flow.walk(
        sources, lambda n: n not in terms.weights, along=lambda source: source.same_pass)
    return terms.mechanism(
        BILINEAR, {number, *made},
        f"{instruction.text} multiplies two values that are both linear in the features of the "
        "example, with weights between them: multiplicative interactions.",
        "one of the two values is all ones, which leaves a linear model", edits)
  return None


def _features_in_gradient(terms: Terms) -> list[Edit]:
  """The first of two reads of the features that make an increment, replaced by ones."""
  for weight in terms.weights.values():
    reads = [
        (n, k) for n in sorted(terms.made_by_products(weight))
        for k, source in enumerate(terms.operands(n)) if source.features]
    if len(reads) > 1:
      return [Read(terms.at(reads[0][0]), reads[0][1], 1.0)]
  return []


def _hidden_layer(terms: Terms) -> Mechanism | None:
  """Rectifiers between weights and the prediction."""
  edits: list[Edit] = []
  units, slopes = set(), set()
  for number in sorted(terms.forward):
    if terms.op(number) not in RECTIFIERS:
      continue
    first, second = terms.operands(number)
    weighted = [
        k for k, source in enumerate((first, second))
        if terms.has_features(source) and terms.has_weights(source)]
    if not weighted or first == second or not _is_weighed(terms, number):
      continue
    units.add(number)
    edits.append(Copy(terms.at(number), weighted[0]))
    slopes |= {
        n for n in range(len(terms.flow.instructions)) if terms.op(n) in STEPS
        and set(terms.operands(n)[0].writers)
        & {number, *terms.operands(number)[weighted[0]].writers}}
  if not units:
    return None
  edits += [Hold(terms.at(n), 1.0) for n in sorted(slopes)]
  return terms.mechanism(
      HIDDEN_LAYER, units | slopes,
      f"{terms.texts(list(units))} cuts off what weights make of the features, before further "
      "weights make the prediction of it.",
      "the layer is linear", edits)


def _is_weighed(terms: Terms, number: int) -> bool:
  """Whether weights multiply, on the way to the prediction, what is made of a value."""

  def is_made(source: Source) -> bool:
    return number in terms.flow.walk([source], lambda n: True, along=lambda each: each.same_pass)

  for reader in terms.forward:
    sources = terms.operands(reader)
    if terms.op(reader) in MULTIPLICATIVE and len(sources) == 2 and any(
        is_made(source) and terms.has_weights(other) and not is_made(other)
        for source, other in (sources, sources[::-1])):
      return True
  return False


def _backpropagation(terms: Terms) -> Mechanism | None:
  """Increments made by a product with other weights, those that predictions read."""
  used = used_weights(terms)
  numbers: set[int] = set()
  edits: list[Edit] = []
  for weight in terms.weights.values():
    for number in sorted(terms.made_by_products(weight)):
      for k, source in enumerate(terms.operands(number)):
        met = terms.flow.walk([source], terms.hands_on) & used - {weight.update}
        op = terms.flow.instructions[number].op
        divides = terms.op(number) in DIVISIONS and k == len(op.inputs) - 1
        if not met or divides or len(op.inputs) < 2 or op.inputs[k] is Kind.SCALAR or not is_taught(
            terms, weight):
          continue
        if number not in numbers:
          edits.append(Read(terms.at(number), k, 1.0))
        numbers |= {number, weight.update}
  if not numbers:
    return None
  return terms.mechanism(
      BACKPROPAGATION, numbers,
      "The error goes back through weights to what lies before them: "
      f"{terms.texts(sorted(numbers))}.",
      "the error goes back unweighted", edits)


def _normalised(terms: Terms) -> Mechanism | None:
  """Increments divided by a norm of something of their own example."""
  edits: dict[tuple[int, int], Edit] = {}
  numbers: set[int] = set()
  divided: set[int] = set()
  sizes: set[int] = set()
  for weight in terms.weights.values():
    for number in sorted(terms.made_by_products(weight)):
      operand = len(terms.operands(number)) - 1
      source = terms.operands(number)[operand]
      norms = [n for n in sorted(size_sources(terms, source)) if is_size(terms, n)]
      held = source.writer(training=True)
      if terms.op(number) not in DIVISIONS or not norms or held is None:
        continue
      if terms.flow.instructions[number].op.inputs[operand] is Kind.SCALAR:
        edits[number, operand] = Read(terms.at(number), operand, Typical(terms.at(held)))
      else:
        edits |= {(n, -1): Hold(terms.at(n), Typical(terms.at(n))) for n in norms}
      made = terms.flow.walk(
          terms.operands(norms[0]), lambda n: n not in terms.weights,
          along=lambda each: each.same_pass and not each.is_data)
      divided.add(number)
      sizes |= set(norms)
      numbers |= {number, weight.update, *norms, *(made - terms.forward)}
  if not divided:
    return None
  return terms.mechanism(
      NORMALISED, numbers,
      f"{terms.texts(sorted(divided))} divides what is added to the weights by a size that the "
      f"example itself has ({terms.texts(sorted(sizes))}).",
      "the size stays at its mean", list(edits.values()))


def size_sources(terms: Terms, source: Source) -> frozenset[int]:
  """What scalar functions and broadcasts make a value of."""
  return terms.flow.walk(
      [source], lambda n: terms.is_scalar(n) or terms.op(n).endswith("_broadcast"))


def is_size(terms: Terms, number: int) -> bool:
  """Whether an instruction takes the size of something of this example: its norm or square."""
  instruction = terms.flow.instructions[number]
  square = instruction.op.name == "vector_inner_product" and (
      instruction.operands[0] == instruction.operands[1])
  if instruction.op.name not in NORMS and not square:
    return False
  reached = terms.flow.walk(
      instruction.operands, lambda n: n not in terms.weights, along=lambda each: each.same_pass)
  sources = [*instruction.operands] + [
      each for n in reached - terms.weights.keys() for each in terms.operands(n)]
  return any((source.is_data and source.same_pass) or source.features or source.label
             for source in sources)


def _averaging(terms: Terms) -> Mechanism | None:
  """Predictions with accumulated weights once training is over, with the last ones in it."""
  for reader in sorted(terms.forward):
    for source in terms.operands(reader):
      outer = averaged(terms, source)
      if not outer:
        continue
      assert source.predict is not None
      lasting = terms.scaled_sources(source, training=False)
      scaled = any(
          terms.op(n) in SCALES for number in outer for n in terms.chain(terms.weights[number]))
      does = "adds the weights of every training step to what it scales before" if scaled else (
          "adds up the weights of all training steps")
      return terms.mechanism(
          AVERAGING, {reader, source.predict, *outer} | (lasting & terms.weights.keys()),
          f"{terms.texts(list(outer))} {does}. In training "
          f"{terms.flow.instructions[reader].text} reads the latest ones; once training is over, "
          "the sum.",
          "the latest weights predict", [Drop(terms.at(source.predict))])
  return None


def averaged(terms: Terms, source: Source) -> frozenset[int]:
  """The accumulated weights that a source is made of in validation, but not in training."""
  if source.same_pass or source.predict is None or source.learn is None:
    return frozenset()
  latest = terms.scaled_sources(source, training=True) & terms.weights.keys()
  lasting = terms.scaled_sources(source, training=False) & terms.weights.keys()
  return frozenset(
      number for number in lasting - latest
      if inner_weights(terms, terms.weights[number]) & latest)


def inner_weights(terms: Terms, weight: Weight) -> frozenset[int]:
  """Other weights that are added to a weight as they are, or scaled."""
  met: set[int] = set()
  for source in terms.increments(weight):
    met |= terms.scaled_sources(source)
  return frozenset(met & terms.weights.keys()) - {weight.update}


def _momentum(terms: Terms) -> Mechanism | None:
  """Weights of the prediction to which a running sum of increments is added."""
  used = used_weights(terms)
  for number in sorted(used):
    inner = velocity(terms, number)
    if inner:
      edits: list[Edit] = [
          Read(terms.at(n), k, 0.0) for n in sorted(inner) for k in terms.weights[n].old]
      return terms.mechanism(
          MOMENTUM, {number, *inner},
          f"{terms.texts(list(inner))} keeps a running sum of increments, and "
          f"{terms.texts([number])} adds that sum to the weights in every step.",
          "every step is made of its own example", edits)
  return None


def used_weights(terms: Terms) -> frozenset[int]:
  """The weights that predictions read in training."""
  reached = terms.flow.walk(
      [terms.flow.predicted], lambda n: n not in terms.weights, training=True)
  return frozenset(reached & terms.weights.keys())


def velocity(terms: Terms, number: int) -> frozenset[int]:
  """The running sums that are added to a weight which predictions read in training."""
  used = used_weights(terms)
  return inner_weights(terms, terms.weights[number]) - used if number in used else frozenset()


def _forgetting(terms: Terms, num_examples: int) -> Mechanism | None:
  """Weights that shrink before the increment is added."""
  edits: dict[int, Edit] = {}
  found = forgetting_weights(terms, num_examples)
  if not found:
    return None
  for _, each in found:
    edits = each.edits | edits
  numbers = {weight.update for weight, _ in found} | edits.keys()
  part = "a constant part" if all(each.is_constant for _, each in found) else "a part"
  return terms.mechanism(
      FORGETTING, numbers,
      f"The weights shrink by {part} in every step: {terms.texts(sorted(numbers))}.",
      "the weights do not shrink", list(edits.values()))


def forgetting_weights(terms: Terms, num_examples: int) -> list[tuple[Weight, Shrinking]]:
  """The weights that shrink, beside running sums: what momentum forgets are gradients."""
  sums = {n for number in terms.weights for n in velocity(terms, number)}
  return [
      (weight, found) for number, weight in terms.weights.items() if number not in sums
      and (found := shrinking(terms, weight, num_examples)) is not None]


_FINDERS: tuple[Callable[[Terms], Mechanism | None], ...] = (
    _gradient_steps, _noisy_input, _bilinear, _hidden_layer, _backpropagation, _normalised,
    _averaging, _momentum)
