"""Instructions in words: what an op does to its operands, and what those are.

The noun of an operand is that of the role of the instruction which wrote it, with its address
behind, so that sentences can be read beside the program.
"""

import numpy as np

from azero.insight import mechanisms
from azero.insight.flow import Source
from azero.insight.roles import Role, Roles
from azero.insight.terms import Weight
from azero.language.ops import Constant
from azero.language.program import Function

_ANY_KIND = {
    "sum": "{a} plus {b}", "diff": "{a} minus {b}", "product": "{a} times {b}",
    "division": "{a} divided by {b}", "abs": "the absolute value of {a}",
    "reciprocal": "one over {a}", "heaviside": "1 where {a} > 0, else 0",
    "min": "the smaller of {a} and {b}", "max": "the larger of {a} and {b}",
    "mean": "the mean of {a}", "std": "the standard deviation of {a}", "norm": "the norm of {a}",
    "uniform": "random numbers between {c0} and {c1}",
    "gaussian": "normal random numbers of mean {c0} and deviation {c1}"}
_PHRASES = {
    **{f"{kind}_{name}": phrase for kind in ("scalar", "vector", "matrix")
       for name, phrase in _ANY_KIND.items()},
    **{f"scalar_{name}": f"the {noun} of {{a}}" for name, noun in (
        ("sin", "sine"), ("cos", "cosine"), ("tan", "tangent"), ("arcsin", "arc sine"),
        ("arccos", "arc cosine"), ("arctan", "arc tangent"), ("exp", "exponential"),
        ("log", "logarithm"))},
    "vector_product": "{a} times {b}, element by element",
    "matrix_product": "{a} times {b}, element by element",
    "scalar_vector_product": "{a} times {b}", "scalar_matrix_product": "{a} times {b}",
    "vector_inner_product": "the inner product of {a} and {b}",
    "vector_outer_product": "the outer product of {a} and {b}",
    "matrix_vector_product": "{a} applied to {b}",
    "matrix_matrix_product": "the matrix product of {a} and {b}",
    "matrix_transpose": "{a} transposed",
    "vector_broadcast": "{a} in every element", "column_broadcast": "{a} as every column",
    "row_broadcast": "{a} as every row",
    "matrix_column_norm": "the norms of the columns of {a}",
    "matrix_row_norm": "the norms of the rows of {a}",
    "matrix_row_mean": "the means of the rows of {a}",
    "matrix_row_std": "the standard deviations of the rows of {a}",
    "scalar_heaviside": "1 where {a} >= 0, else 0",
    "scalar_constant": "{c0}", "vector_constant": "{c1} in element {c0}",
    "matrix_constant": "{c2} in row {c0}, column {c1}"}

_NOUNS = {
    Role.PREDICTION: "the prediction", Role.ERROR: "the error", Role.NOISE: "the noise",
    Role.AVERAGING: "the summed weights", Role.MOMENTUM: "the running gradient",
    Role.GRADIENT_STEP: "the weights", Role.UPDATE: "the weights",
    Role.FORGETTING: "the shrunk weights", Role.START: "the weights", Role.DECAY: "the decay",
    Role.SCHEDULE: "the learning rate", Role.RATE: "the learning rate",
    Role.INVERSE_RATE: "the inverse learning rate", Role.SCALE: "the scale",
    Role.SLOPE: "the slope",
    Role.NORMALISATION: "the normalised error",
    Role.SIZE: "the size", Role.PART: "the sum", Role.MEASURE: "the measure",
    Role.SCALED_ERROR: "the scaled error",
    Role.BACKPROPAGATION: "the error sent back", Role.GRADIENT: "the gradient",
    Role.NOISY_INPUT: "the noisy features", Role.RECTIFIER: "the hidden units",
    Role.HIDDEN: "the hidden values", Role.INPUT: "the input",
    Role.LASTING_WEIGHTS: "the summed weights", Role.WEIGHTS: "the weights"}
_LASTING = {  # roles of what has a meaning beyond its own example
    Role.AVERAGING, Role.MOMENTUM, Role.GRADIENT_STEP, Role.UPDATE, Role.FORGETTING, Role.START,
    Role.DECAY, Role.SCHEDULE, Role.RATE, Role.INVERSE_RATE, Role.NOISE,
    Role.LASTING_WEIGHTS, Role.WEIGHTS,
    Role.MEASURE, Role.SCALE, Role.CONSTANT}
_ABOUT = {
    Role.NOISE: "Noise, drawn anew for every example",
    Role.TOWARDS_SIZE: "For the size of the gradient", Role.RECTIFIER: "Hidden units, rectified",
    Role.SCALE: "Scale of the prediction, and so of every step",
    Role.SLOPE: "Slope of the rectifier, for back-propagation",
    Role.BACKPROPAGATION: "The error sent back through weights",
    Role.GRADIENT: "Part of the gradient", Role.SCALED_ERROR: "Function of the error",
    Role.FORGETTING: "Forgetting: the weights shrink", Role.HIDDEN: "Hidden values",
    Role.NORMALISATION: "Normalised gradient", Role.INPUT: "Made of the features",
    Role.WEIGHTS: "Weights, prepared for use",
    Role.LASTING_WEIGHTS: "Weights for the predictions once training is over"}


def sentence(roles: Roles, number: int) -> str:
  """What a live instruction does, in a sentence."""
  role = roles.of(number)
  about = _ABOUT.get(role, role.value[0].upper() + role.value[1:])
  if role is Role.RATE and roles.schedules and not roles.terms.in_loop(number):
    about = "Learning rate, at first"
  elif role is Role.SCALED_ERROR and roles.terms.multiplies(number):
    about = "Error, scaled"
  tail = _tail(roles, number)
  weight = roles.terms.weights.get(number)
  if weight is not None and role in (
      Role.AVERAGING, Role.MOMENTUM, Role.GRADIENT_STEP, Role.UPDATE):
    return f"{about}: {_update(roles, weight)}{tail}."
  return f"{about}: {phrase(roles, number)}{tail}."


def phrase(roles: Roles, number: int) -> str:
  """What an op does to its operands."""
  instruction = roles.terms.flow.instructions[number]
  op, features = instruction.op, roles.terms.flow.num_features
  fields = {f"c{k}": _number(value, meaning, features) for k, (value, meaning) in enumerate(
      zip(instruction.constants, op.constants))}
  fields |= dict(zip("ab", (noun(roles, number, k) for k in range(len(op.inputs)))))
  if op.name in _PHRASES:
    return _PHRASES[op.name].format(**fields)
  return f"{op.name} of {', '.join(fields.values())}" if fields else op.name


def noun(roles: Roles, reader: int, operand: int) -> str:
  """What an operand is."""
  source = roles.terms.operands(reader)[operand]
  if source.features:
    return "the features"
  if source.label:
    return "the label"
  in_learn = roles.terms.flow.instructions[reader].function is Function.LEARN
  if source.prediction and in_learn:
    return "the prediction"
  if source.prediction:
    return "the prediction of the example before"
  writer = source.writer(training=True)
  return "zero" if writer is None else _written(roles, source, writer)


def _written(roles: Roles, source: Source, writer: int) -> str:
  address = roles.terms.flow.instructions[writer].output
  role = roles.of(writer)
  named = "the bias" if writer in roles.terms.biases else _NOUNS.get(role)
  words = address if named is None else f"{named} {address}"
  return words if source.same_pass or role in _LASTING else f"{words} of the example before"


def _update(roles: Roles, weight: Weight) -> str:
  """What is added to a weight."""
  flow = roles.terms.flow
  instruction = flow.instructions[weight.update]
  is_difference = instruction.op.name.endswith("_diff")
  added = " and ".join(noun(roles, weight.update, k) for k in weight.increments)
  if is_difference and weight.increments == (1,):
    done = f"takes {added} off"
  elif is_difference:
    return phrase(roles, weight.update)
  else:
    done = f"adds {added} to"
  [old, *_] = weight.old
  source = roles.terms.operands(weight.update)[old]
  writer = source.writer(training=True)
  kept = instruction.output if writer is None else flow.instructions[writer].output
  what = {Role.AVERAGING: "their sum", Role.MOMENTUM: "the running gradient"}.get(
      roles.of(weight.update),
      "the bias" if weight.update in roles.terms.biases else "the weights")
  return f"{done} {what} {kept}"


def _tail(roles: Roles, number: int) -> str:
  """What is to be added to a sentence."""
  terms, role = roles.terms, roles.of(number)
  if role is Role.AVERAGING:
    return ", which predicts once training is over"
  if number in roles.schedules:
    rate = roles.schedules[number]
    if np.isfinite(rate).all() and len(rate) > 1:
      signs = " and changes its sign" if rate.min() < 0 < rate.max() else ""
      return (
          f"; it goes from {rate[0]:.3g} at the second example to {rate[-1]:.3g} at example "
          f"{len(rate) + 1}{signs}")
  for source in terms.operands(number):
    if number in terms.forward and mechanisms.averaged(terms, source):
      lasting = source.writer(training=False)
      assert lasting is not None
      return f"; once training is over with {_written(roles, source, lasting)}"
  return ""


def _number(value: float, meaning: Constant, num_features: int) -> str:
  """A constant as it acts."""
  if meaning is Constant.INDEX:
    return str(int(value * num_features))
  return f"{abs(value) if meaning is Constant.STD else value:.4g}"
