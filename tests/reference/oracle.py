"""Reference evaluator: one program, one task, NumPy float64, one instruction at a time.

It is the yardstick for the executors (sections 3.1 and S1 of the AutoML-Zero paper) and
shares nothing with them: it has its own table of the ops 0 to 64, and reads `Programs`
and `Tasks` only as arrays. It is slow, so that it can be read in one go and believed.
"""

from collections.abc import Callable, Sequence
import dataclasses
from typing import NamedTuple

import numpy as np

from azero.language.program import Function, Programs
from azero.tasks.task import Tasks


class Site(NamedTuple):
  """Where and when a random op asks for numbers.

  Attributes:
    seed: the evaluation's seed.
    task_index: row of the task in its batch.
    task_seed: the task's own seed.
    phase: "setup", "train" or "valid".
    epoch: from 0; 0 in Setup.
    step: position in the epoch's order of training examples, or in validation.
    example: row of the example in `train_x` or `valid_x`; 0 in Setup.
    position: the instruction's position, see `evaluate`.
  """

  seed: int
  task_index: int
  task_seed: int
  phase: str
  epoch: int
  step: int
  example: int
  position: int


# (site, shape, "uniform" or "normal") -> numbers of that shape from U(0, 1) or N(0, 1).
Draw = Callable[[Site, tuple[int, ...], str], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Trace:
  """What one evaluation did. Lists run over all epochs, in the order of execution.

  An example that stops the evaluation is not in the lists.

  Attributes:
    fitness: in [0, 1].
    epoch_fitness: [epochs completed].
    train_errors: [examples trained on], |label - prediction|; multi-class: largest entry.
    valid_errors: [examples validated]; for accuracy 0 (right) or 1 (wrong).
    train_predictions: [examples trained on] or, multi-class, [.., F]; after Normalize.
    valid_predictions: the same for validation.
    memory: scalars "s" [S], vectors "v" [V, F], matrices "m" [M, F, F] at the end.
  """

  fitness: float
  epoch_fitness: np.ndarray
  train_errors: np.ndarray
  valid_errors: np.ndarray
  train_predictions: np.ndarray
  valid_predictions: np.ndarray
  memory: dict[str, np.ndarray]


class _Stop(Exception):
  """The prediction is no longer acceptable."""


def _std(x, axis=None):
  mean = np.mean(x, axis=axis, keepdims=True)
  return np.sqrt(np.mean((x - mean) ** 2, axis=axis))


# id: (kinds of the inputs, kind of the output, rule). NaN fails every comparison.
_RULES: dict[int, tuple[str, str, Callable]] = {
    1: ("ss", "s", lambda a, b: a + b),
    2: ("ss", "s", lambda a, b: a - b),
    3: ("ss", "s", lambda a, b: a * b),
    4: ("ss", "s", lambda a, b: a / b),
    5: ("s", "s", np.abs),
    6: ("s", "s", lambda a: 1.0 / a),
    7: ("s", "s", np.sin),
    8: ("s", "s", np.cos),
    9: ("s", "s", np.tan),
    10: ("s", "s", np.arcsin),
    11: ("s", "s", np.arccos),
    12: ("s", "s", np.arctan),
    13: ("s", "s", np.exp),
    14: ("s", "s", np.log),
    15: ("s", "s", lambda a: 1.0 if a >= 0.0 else 0.0),
    16: ("v", "v", lambda a: np.where(a > 0.0, 1.0, 0.0)),
    17: ("m", "m", lambda a: np.where(a > 0.0, 1.0, 0.0)),
    18: ("sv", "v", lambda a, b: a * b),
    20: ("v", "v", lambda a: 1.0 / a),
    21: ("v", "s", lambda a: np.sqrt(np.sum(a**2))),
    22: ("v", "v", np.abs),
    23: ("vv", "v", lambda a, b: a + b),
    24: ("vv", "v", lambda a, b: a - b),
    25: ("vv", "v", lambda a, b: a * b),
    26: ("vv", "v", lambda a, b: a / b),
    27: ("vv", "s", lambda a, b: np.sum(a * b)),
    28: ("vv", "m", lambda a, b: a[:, None] * b[None, :]),
    29: ("sm", "m", lambda a, b: a * b),
    30: ("m", "m", lambda a: 1.0 / a),
    31: ("mv", "v", lambda a, b: np.sum(a * b[None, :], axis=1)),
    32: ("v", "m", lambda a: np.stack([a] * len(a), axis=1)),
    33: ("v", "m", lambda a: np.stack([a] * len(a), axis=0)),
    34: ("m", "s", lambda a: np.sqrt(np.sum(a**2))),
    35: ("m", "v", lambda a: np.sqrt(np.sum(a**2, axis=0))),
    36: ("m", "v", lambda a: np.sqrt(np.sum(a**2, axis=1))),
    37: ("m", "m", lambda a: a.T),
    38: ("m", "m", np.abs),
    39: ("mm", "m", lambda a, b: a + b),
    40: ("mm", "m", lambda a, b: a - b),
    41: ("mm", "m", lambda a, b: a * b),
    42: ("mm", "m", lambda a, b: a / b),
    43: ("mm", "m", lambda a, b: np.sum(a[:, :, None] * b[None, :, :], axis=1)),
    44: ("ss", "s", np.minimum),
    45: ("vv", "v", np.minimum),
    46: ("mm", "m", np.minimum),
    47: ("ss", "s", np.maximum),
    48: ("vv", "v", np.maximum),
    49: ("mm", "m", np.maximum),
    50: ("v", "s", np.mean),
    51: ("m", "s", np.mean),
    52: ("m", "v", lambda a: np.mean(a, axis=1)),
    53: ("m", "v", lambda a: _std(a, axis=1)),
    54: ("v", "s", _std),
    55: ("m", "s", _std),
}

# Ops that need more than their inputs: F, the old value, constants or noise.
_NO_OP, _BROADCAST, _SCALAR_CONSTANT, _VECTOR_CONSTANT, _MATRIX_CONSTANT = 0, 19, 56, 57, 58
_UNIFORM = {59: "s", 60: "v", 61: "m"}
_GAUSSIAN = {62: "s", 63: "v", 64: "m"}
_OTHER_KINDS = {
    _BROADCAST: ("s", "v"), _SCALAR_CONSTANT: ("", "s"), _VECTOR_CONSTANT: ("", "v"),
    _MATRIX_CONSTANT: ("", "m"),
    **{op: ("", kind) for op, kind in (_UNIFORM | _GAUSSIAN).items()},
}


def kinds(op_id: int) -> tuple[str, str]:
  """Kinds of an op's inputs and of its output as letters of "svm", e.g. ("sv", "v").

  Raises:
    ValueError: the op computes nothing (no_op) or is not in table S1.
  """
  if op_id in _RULES:
    return _RULES[op_id][:2]
  if op_id in _OTHER_KINDS:
    return _OTHER_KINDS[op_id]
  raise ValueError(f"The oracle has no rule for op {op_id}; it knows the ops 1 to 64.")


def noise_of(op_id: int) -> str | None:
  """Random numbers that an op needs: "uniform", "normal" or None."""
  return "uniform" if op_id in _UNIFORM else "normal" if op_id in _GAUSSIAN else None


def compute(op_id: int, inputs, constants, old, noise=None):
  """The value that one op writes, in float64.

  Args:
    op_id: 1 to 64.
    inputs: its input values, shapes [], [F] or [F, F] as `kinds` says.
    constants: three numbers, of which the op uses the first few; an index is a fraction.
    old: what the destination holds, of the shape of the output; not changed.
    noise: for ops 59 to 64, U(0, 1) or N(0, 1) numbers of the shape of the output.

  Returns:
    The new value of the destination.
  """
  c0, c1, c2 = constants
  if op_id in _RULES:
    return _RULES[op_id][2](*inputs)
  if op_id == _BROADCAST:
    return np.full(old.shape, inputs[0])
  if op_id == _SCALAR_CONSTANT:
    return c0
  if op_id in (_VECTOR_CONSTANT, _MATRIX_CONSTANT):
    new, num_features = old.copy(), len(old)
    if op_id == _VECTOR_CONSTANT:
      new[int(c0 * num_features)] = c1
    else:
      new[int(c0 * num_features), int(c1 * num_features)] = c2
    return new
  if op_id in _UNIFORM:
    return c0 + (c1 - c0) * noise
  if op_id in _GAUSSIAN:
    return c0 + abs(c1) * noise
  raise ValueError(f"The oracle has no rule for op {op_id}; it knows the ops 1 to 64.")


def sigmoid(x):
  """1 / (1 + exp(-x)) without overflow: exp only ever sees a number that is not positive."""
  small = np.exp(-np.abs(x))
  return np.where(x >= 0.0, 1.0 / (1.0 + small), small / (1.0 + small))


def softmax(x, num_classes: int):
  """Softmax over the first `num_classes` entries of x [F]; the others become 0."""
  result = np.zeros_like(x)
  powers = np.exp(x[:num_classes] - np.max(x[:num_classes]))
  result[:num_classes] = powers / np.sum(powers)
  return result


class _Machine:
  """Memory, program and task of one evaluation."""

  def __init__(self, programs: Programs, index: int, tasks: Tasks, task_index: int, seed: int,
               positions: Sequence[int] | np.ndarray | None, draw: Draw | None):
    space = programs.space
    if space.num_features != tasks.num_features:
      raise ValueError(f"The program has F = {space.num_features}, the task {tasks.num_features}.")
    if tasks.multiclass and space.num_vectors < 3:
      raise ValueError("A multi-class task needs the vectors v0, v1 and v2.")
    self.tasks = tasks
    self.draw = draw
    self.site = Site(seed, task_index, int(tasks.seeds[task_index]), "setup", 0, 0, 0, 0)
    num_features = space.num_features
    self.memory = {
        "s": np.zeros(space.num_scalars),
        "v": np.zeros((space.num_vectors, num_features)),
        "m": np.zeros((space.num_matrices, num_features, num_features)),
    }
    opcode = programs.opcode[index]
    filled = opcode > _NO_OP
    position_of = np.asarray(np.cumsum(filled) - 1 if positions is None else positions)
    self.code: dict[Function, list[tuple]] = {function: [] for function in Function}
    for slot in np.flatnonzero(filled):
      function = Function(space.function_of_slot[slot])
      self.code[function].append((
          int(opcode[slot]), (int(programs.in1[index, slot]), int(programs.in2[index, slot])),
          int(programs.out[index, slot]), programs.constants[index, slot], int(position_of[slot])))

  def run(self, function: Function) -> None:
    """Runs one component function."""
    for op_id, addresses, out, constants, position in self.code[function]:
      in_kinds, out_kind = kinds(op_id)
      inputs = [self.memory[kind][i].copy() for kind, i in zip(in_kinds, addresses)]
      old = self.memory[out_kind][out]
      distribution, noise = noise_of(op_id), None
      if distribution is not None:
        if self.draw is None:
          raise ValueError(f"Op {op_id} is random: evaluate needs the argument draw.")
        noise = self.draw(self.site._replace(position=position), old.shape, distribution)
      self.memory[out_kind][out] = compute(op_id, inputs, constants, old, noise)

  def predict(self, x: np.ndarray) -> np.ndarray:
    """Runs Predict on one example [F]; returns its prediction after Normalize, a copy."""
    self.memory["v"][0] = x
    self.write_label(None)
    self.run(Function.PREDICT)
    if self.tasks.multiclass:
      return softmax(self.memory["v"][2], self.tasks.num_classes)
    prediction = self.memory["s"][1]
    return sigmoid(prediction) if self.tasks.metric == "accuracy" else prediction

  def write_label(self, y: float | None) -> None:
    """Writes a label to memory, zero for None."""
    if self.tasks.multiclass:
      self.memory["v"][1] = 0.0 if y is None else self.target(y)
    else:
      self.memory["s"][0] = 0.0 if y is None else y

  def write_prediction(self, prediction: np.ndarray) -> None:
    if self.tasks.multiclass:
      self.memory["v"][2] = prediction
    else:
      self.memory["s"][1] = prediction

  def target(self, y: float) -> np.ndarray | float:
    """What the prediction should be: the label, or one-hot [F]."""
    if not self.tasks.multiclass:
      return y
    one_hot = np.zeros(self.tasks.num_features)
    one_hot[int(y)] = 1.0
    return one_hot


def evaluate(
    programs: Programs, index: int, tasks: Tasks, task_index: int, *, num_epochs: int = 1,
    max_abs_error: float = 100.0, seed: int = 0,
    positions: Sequence[int] | np.ndarray | None = None, epoch_orders: np.ndarray | None = None,
    draw: Draw | None = None,
) -> Trace:
  """Trains and validates program `index` of a batch on task `task_index` of a batch.

  Args:
    programs: the batch of programs.
    index: row of the program.
    tasks: the batch of tasks.
    task_index: row of the task.
    num_epochs: E, passes over the training examples; validation follows each.
    max_abs_error: a larger training error, or validation error in regression, stops.
    seed: of this evaluation; only handed on to `draw`.
    positions: [L] what `Site.position` is for each slot; default: position among all of
      the program's instructions.
    epoch_orders: [E, T] order of the training examples in each epoch; the first row is
      0, 1, ..., T - 1. Needed for more than one epoch.
    draw: source of random numbers, see `Draw`. Needed if the program has ops 59 to 64.

  Returns:
    The trace.

  Raises:
    ValueError: program and task do not fit, or an argument that is needed is missing.
  """
  in_order = np.arange(tasks.num_train)
  if epoch_orders is None:
    if num_epochs != 1:
      raise ValueError("Several epochs need the argument epoch_orders, shape [E, T].")
    epoch_orders = in_order[None]
  if np.shape(epoch_orders) != (num_epochs, tasks.num_train):
    raise ValueError(
        f"epoch_orders must have shape {(num_epochs, tasks.num_train)}, got "
        f"{np.shape(epoch_orders)}.")
  if not np.array_equal(epoch_orders[0], in_order):
    raise ValueError("The first epoch runs in the given order: epoch_orders[0] must be 0, 1, ...")
  machine = _Machine(programs, index, tasks, task_index, seed, positions, draw)
  train: list[tuple] = []  # (error, prediction) of each example
  valid: list[tuple] = []
  epoch_fitness: list[float] = []
  with np.errstate(all="ignore"):
    machine.run(Function.SETUP)
    try:
      for epoch, order in enumerate(epoch_orders):
        _train(machine, epoch, order, max_abs_error, train)
        epoch_fitness.append(_validate(machine, epoch, max_abs_error, valid))
    except _Stop:
      pass
  return Trace(
      fitness=max(epoch_fitness, default=0.0),
      epoch_fitness=np.array(epoch_fitness),
      train_errors=np.array([error for error, _ in train]),
      valid_errors=np.array([error for error, _ in valid]),
      train_predictions=np.array([prediction for _, prediction in train]),
      valid_predictions=np.array([prediction for _, prediction in valid]),
      memory=machine.memory)


def _train(machine: _Machine, epoch: int, order: np.ndarray, max_abs_error: float,
           log: list[tuple]) -> None:
  """One pass over the training examples; appends to the log, raises _Stop."""
  row = machine.site.task_index
  for step, example in enumerate(order):
    machine.site = machine.site._replace(
        phase="train", epoch=epoch, step=step, example=int(example))
    label = machine.tasks.train_y[row, example]
    prediction = machine.predict(machine.tasks.train_x[row, example])
    machine.write_prediction(prediction)
    error = np.max(np.abs(machine.target(label) - prediction))
    if np.isnan(error) or error > max_abs_error:
      raise _Stop
    log.append((error, prediction))
    machine.write_label(label)
    machine.run(Function.LEARN)


def _validate(machine: _Machine, epoch: int, max_abs_error: float, log: list[tuple]) -> float:
  """One pass over the validation examples: its fitness; appends to the log, raises _Stop."""
  tasks, row = machine.tasks, machine.site.task_index
  errors = []
  for example in range(tasks.num_valid):
    machine.site = machine.site._replace(
        phase="valid", epoch=epoch, step=example, example=example)
    label = tasks.valid_y[row, example]
    prediction = machine.predict(tasks.valid_x[row, example])
    if not np.all(np.isfinite(prediction)):
      raise _Stop
    if tasks.metric == "rms":
      error = abs(label - prediction)
      if error > max_abs_error:
        raise _Stop
    elif tasks.multiclass:
      error = float(np.argmax(prediction) != label)
    else:
      error = float((prediction > 0.5) != (label == 1.0))
    errors.append(error)
    log.append((error, prediction))
  if tasks.metric == "rms":
    return 1.0 - 2.0 / np.pi * np.arctan(np.sqrt(np.mean(np.square(errors))))
  return 1.0 - float(np.mean(errors))
