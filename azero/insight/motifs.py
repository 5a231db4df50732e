"""The three motifs of section 4.3 of the AutoML-Zero paper, found in a program by themselves.

Evolution adapts a network to its task by code that reappears in independent experiments:
a rectifier made noisy where examples are few, a learning rate that decays where training is
short, and a learning rate made of the mean of the weights where there are many classes. The
paper found them by reading. Here they follow from the data flow of the live instructions, in
the terms of `terms`; whether a schedule shrinks is seen by running it.

What is not seen: a rate that decays as a vector, two factors of which one makes up for the
decay of the other, and noise in a rectifier that is a product with a Heaviside function.
"""

import numpy as np

from azero.insight.surgery import Read, Typical
from azero.insight.terms import MEANS, RECTIFIERS, Factor, Mechanism, Terms
from azero.language.program import Programs

NOISY_RELU = "noisy ReLU"
RATE_DECAY = "learning-rate decay"
MEAN_RATE = "learning rate from the mean of weights"
MOTIFS = (NOISY_RELU, RATE_DECAY, MEAN_RATE)

_KEEPS_WEIGHTS = frozenset({"matrix_transpose", "vector_abs", "matrix_abs"})

_DECAYED = 0.5  # a rate that has decayed is at most this part of its first value
_ROUNDING = 1e-5


def find_motifs(
    program: Programs, *, multiclass: bool = False, num_examples: int = 800
) -> list[Mechanism]:
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
  return motifs_of(Terms(program, multiclass=multiclass), num_examples)


def motifs_of(terms: Terms, num_examples: int) -> list[Mechanism]:
  """As `find_motifs`, of a program whose terms are known."""
  if num_examples < 2:
    raise ValueError(f"A decay needs num_examples of at least 2, got {num_examples}.")
  found = _noisy_relu(terms), _rate_decay(terms, num_examples), _mean_rate(terms)
  return [motif for motif in found if motif is not None]


def _noisy_relu(terms: Terms) -> Mechanism | None:
  """A rectifier, on the way from features to prediction, whose input is noisy."""
  flow = terms.flow
  for number in sorted(terms.forward):
    rectifier = flow.instructions[number]
    if rectifier.op.name not in RECTIFIERS or not flow.depends_on(
        rectifier.operands, lambda source: source.features):
      continue
    reached = terms.noisy_sources(rectifier.operands)
    noise = [n for n in reached if terms.is_noise(n)]
    if noise:
      path = {n for n in reached if flow.ancestors(n) & set(noise) and terms.is_pointwise(n)
              and terms.in_loop(n)}
      return terms.mechanism(
          NOISY_RELU, {number, *noise, *path},
          f"Noise that is drawn anew for every example ({terms.texts(noise)}) enters the "
          f"rectifier {rectifier.text} of the prediction, element by element.",
          "the noise stays at its mean", [terms.stilled(n) for n in sorted(noise)])
  return None


def _rate_decay(terms: Terms, num_examples: int) -> Mechanism | None:
  """A factor that depends on nothing but the number of examples, and shrinks with it."""
  flow = terms.flow
  falling = falling_rates(terms, num_examples)
  if not falling:
    return None
  factor, value = falling[0]
  does = "scales" if factor.power > 0 else "divides"
  moves = "falls" if factor.power > 0 else "grows"
  edits = {
      (each.reader, each.operand): Read(
          terms.at(each.reader), each.operand,
          float(np.sign(values[0]) * np.mean(np.abs(values) ** each.power) ** each.power))
      for each, values in falling}
  return terms.mechanism(
      RATE_DECAY, flow.closure([factor.source]) | {factor.reader, factor.update},
      f"The scalar read by {flow.instructions[factor.reader].text} {does} an update of "
      f"weights, depends on the number of examples alone and {moves} from {abs(value[0]):.3g} at "
      f"the second example to {abs(value[-1]):.3g} at example {num_examples}.",
      "the rate stays at its mean", list(edits.values()))


def falling_rates(terms: Terms, num_examples: int) -> list[tuple[Factor, np.ndarray]]:
  """The factors that make a rate decay, each with its values over training.

  Those that multiply come before those that divide.
  """
  found = []
  for factor in sorted(terms.factors, key=lambda each: -each.power):
    values = watch_schedule(terms, factor, num_examples)
    if values is None or not factor.power or (values.min() < 0 < values.max()):
      continue  # one that changes its sign goes up as often as down
    with np.errstate(divide="ignore"):
      if _falls(np.abs(values) ** factor.power):
        found.append((factor, values))
  return found


def _falls(rate: np.ndarray) -> bool:
  """Whether a rate, [N], shrinks all the time, and to a part of what it was."""
  return bool(
      np.isfinite(rate).all() and not np.any(np.diff(rate) > _ROUNDING * rate[0])
      and 0 < rate[0] and rate[-1] <= _DECAYED * rate[0])


def watch_schedule(terms: Terms, factor: Factor, num_examples: int) -> np.ndarray | None:
  """A factor over training, [num_examples - 1], if it is a schedule; else None.

  A schedule depends on the number of examples alone. The first example is left out: it may find
  what only Setup wrote.
  """
  flow = terms.flow
  needed = flow.closure([factor.source])
  noisy = any(terms.is_noise(number) for number in needed)
  if noisy or not any(map(flow.is_carried, needed)) or flow.depends_on(
      [factor.source], lambda each: each.is_data):
    return None
  return flow.observe(factor.reader, factor.operand, num_examples)[1:]


def _mean_rate(terms: Terms) -> Mechanism | None:
  """A factor that scalar functions make of the mean of a weight vector or matrix."""
  flow = terms.flow
  found = [
      (factor, number, averaged) for factor in terms.factors
      for number in sorted(flow.walk([factor.source], terms.is_scalar))
      if (averaged := averaged_weights(terms, number))]
  if not found:
    return None
  factor, number, averaged = found[0]
  reached = flow.walk([factor.source], terms.is_scalar)
  path = {n for n in reached if terms.is_scalar(n) and number in flow.ancestors(n)}
  return terms.mechanism(
      MEAN_RATE, {number, factor.reader, factor.update, *path} | averaged,
      f"The mean of weights, {flow.instructions[number].text}, becomes by scalar functions the "
      f"factor of an update of weights in {flow.instructions[factor.reader].text}.",
      "the rate stays at its mean", _held(terms, [each for each, _, _ in found]))


def averaged_weights(terms: Terms, number: int) -> frozenset[int]:
  """The weights that an instruction takes the mean of."""
  mean = terms.flow.instructions[number]
  if mean.op.name not in MEANS:
    return frozenset()
  reached = terms.flow.walk(mean.operands, lambda n: terms.op(n) in _KEEPS_WEIGHTS)
  return reached & terms.weights.keys()


def _held(terms: Terms, factors: list[Factor]) -> list[Read]:
  """Factors read as the means of what they are in training, each place once."""
  edits: dict[tuple[int, int], Read] = {}
  for factor in factors:
    writer = factor.source.writer(training=True)
    assert writer is not None
    edits[factor.reader, factor.operand] = Read(
        terms.at(factor.reader), factor.operand, Typical(terms.at(writer)))
  return list(edits.values())
