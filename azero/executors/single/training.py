"""Training and validation of one program as a single XLA loop.

The semantics are those of `azero.executors.interpreter.evaluation`; what differs is that only
the addresses that the program carries from example to example are state, and that validation
examples are predicted side by side where they cannot influence each other.
"""

import math
from typing import NamedTuple

import chex
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import optax

from azero.executors import noise
from azero.executors.loss import Loss
from azero.executors.single import straight_line
from azero.executors.single.straight_line import Memory, Straight
from azero.language.program import Function

# Matrices that differ between validation examples take at most so much memory at once.
_MATRIX_BYTES = 1 << 26


class Trial(NamedTuple):
  """What tells one training of the program on a task from another.

  Attributes:
    constants: [K].
    seed: [] uint32, evaluation seed of the random ops.
  """

  constants: chex.Array
  seed: chex.Array


class TaskData(NamedTuple):
  """The examples of one task, as a device holds them.

  Attributes:
    train_x: [T, F].
    train_y: [T].
    valid_x: [V, F].
    valid_y: [V].
    seed: [] uint32, the task's.
  """

  train_x: chex.Array
  train_y: chex.Array
  valid_x: chex.Array
  valid_y: chex.Array
  seed: chex.Array


class Training:
  """How one program is trained and validated."""

  def __init__(
      self, code: Straight, num_features: int, num_classes: int, *, num_epochs: int = 1,
      max_abs_error: float = 100.0,
  ):
    """Fixes everything static.

    Args:
      code: the program.
      num_features: F.
      num_classes: 0 for regression, 2 for binary, more for multi-class tasks.
      num_epochs: E.
      max_abs_error: an error above it stops the program.
    """
    self._code, self._num_features = code, num_features
    self._loss = Loss(num_classes)
    self._num_epochs, self._max_abs_error = num_epochs, max_abs_error

  def run(
      self, trial: Trial, num_train: jax.Array, orders: jax.Array, data: TaskData,
      last_epoch: jax.Array,
  ) -> tuple[jax.Array, jax.Array]:
    """Trains and validates.

    Args:
      trial: constants and seed.
      num_train: [] int32, examples to train on in each epoch.
      orders: [E - 1, T] int32, order of the examples in the second and every later epoch.
      data: the task.
      last_epoch: [] bool, whether the fitness after the last epoch counts, not the best.

    Returns:
      Fitness, and examples trained on.
    """
    fixed, carry = self._start(data, trial)

    def epoch(state, e):
      carry, alive, steps, best = state

      def go_on(state):
        t, _, alive, _ = state
        return alive & (t < num_train)

      def train(state):
        t, carry, alive, steps = state
        example = t if self._num_epochs == 1 else jnp.where(e == 0, t, orders[e - 1, t])
        carry, error = self._train_example(data, trial, fixed, carry, example, e * num_train + t)
        alive &= error <= self._max_abs_error  # False for NaN
        return t + 1, carry, alive, steps + alive.astype(jnp.int32)

      _, carry, alive, steps = lax.while_loop(go_on, train, (jnp.int32(0), carry, alive, steps))
      carry, alive, fitness = lax.cond(
          alive, lambda: self._validate(data, trial, fixed, carry, e),
          lambda: (carry, alive, jnp.zeros_like(best)))
      best = jnp.where(last_epoch, fitness, jnp.maximum(best, fitness))
      return (carry, alive, steps, best), None

    state = carry, jnp.array(True), jnp.int32(0), jnp.zeros((), data.train_x.dtype)
    state, _ = lax.scan(epoch, state, jnp.arange(self._num_epochs, dtype=jnp.int32))
    return state[3], state[2]

  def _start(self, data: TaskData, trial: Trial) -> tuple[Memory, Memory]:
    """Memory after Setup: what stays as it is, and what is carried."""
    memory = self._execute(Function.SETUP, {}, trial, data, noise.Phase.SETUP, 0)
    return (
        {a: value for a, value in memory.items() if a not in self._code.carried},
        self._carry(memory, data.train_x.dtype))

  def _train_example(
      self, data: TaskData, trial: Trial, fixed: Memory, carry: Memory, example: jax.Array,
      counter: jax.Array,
  ) -> tuple[Memory, jax.Array]:
    """Predict, normalise, Learn: what is carried on, and the error.

    Args:
      data: the task.
      trial: constants and seed.
      fixed: memory that only Setup writes.
      carry: memory that the example before left.
      example: its index.
      counter: its number over all epochs.
    """
    memory = {**fixed, **carry}
    memory[straight_line.FEATURES] = data.train_x[example]
    label = self._loss.label(data.train_y[example])
    memory.pop(self._code.label, None)  # hidden
    memory = self._execute(
        Function.PREDICT, memory, trial, data, noise.Phase.TRAIN_PREDICT, counter)
    prediction = self._loss.normalise(self._prediction(memory, label.dtype))
    error = self._loss.train_error(label, prediction)
    memory[self._code.prediction] = self._as_memory(prediction)
    memory[self._code.label] = self._as_memory(label)
    memory = self._execute(Function.LEARN, memory, trial, data, noise.Phase.LEARN, counter)
    return self._carry(memory, label.dtype), error

  def _valid_example(
      self, data: TaskData, trial: Trial, fixed: Memory, carry: Memory, example: jax.Array,
      counter: jax.Array,
  ) -> tuple[Memory, jax.Array, jax.Array]:
    """Predict alone: what is carried on, the error, and the raw prediction."""
    memory = {**fixed, **carry}
    memory[straight_line.FEATURES] = data.valid_x[example]
    label = self._loss.label(data.valid_y[example])
    memory.pop(self._code.label, None)
    memory = self._execute(
        Function.PREDICT, memory, trial, data, noise.Phase.VALID_PREDICT, counter)
    prediction = self._prediction(memory, label.dtype)
    error = self._loss.valid_error(label, self._loss.normalise(prediction))
    return self._carry(memory, label.dtype), error, prediction

  def _validate(
      self, data: TaskData, trial: Trial, fixed: Memory, carry: Memory, epoch: jax.Array,
  ) -> tuple[Memory, jax.Array, jax.Array]:
    """What is carried on, whether the program is still alive, and its fitness."""
    carry, errors, _ = self._predict_all(data, trial, fixed, carry, epoch)
    return carry, *self._score(errors, jnp.array(True))

  def _score(self, errors: jax.Array, alive: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Whether a program is alive after validation with these errors, [V], and its fitness."""
    good = jnp.isfinite(errors)
    if self._loss.num_classes == 0:
      good &= errors <= self._max_abs_error
    alive &= jnp.all(good)
    fitness = self._loss.fitness(jnp.sum(errors * errors), len(errors))
    return alive, jnp.where(alive, fitness, jnp.zeros_like(fitness))

  def _predict_all(
      self, data: TaskData, trial: Trial, fixed: Memory, carry: Memory, epoch: jax.Array,
  ) -> tuple[Memory, jax.Array, jax.Array]:
    """What is carried on, errors [V] and raw predictions [V] or [V, C]."""
    num_valid = len(data.valid_x)
    settles = self._code.settles
    num_first = num_valid if settles is None else min(settles, num_valid)

    def predict(carry, example):
      return self._valid_example(data, trial, fixed, carry, example, epoch * num_valid + example)

    def one_by_one(carry, example):
      carry, *results = predict(carry, example)
      return carry, results

    examples = jnp.arange(num_valid, dtype=jnp.int32)
    carry, results = lax.scan(one_by_one, carry, examples[:num_first])
    if num_first < num_valid:
      rest = lax.map(
          lambda example: predict(carry, example)[1:], examples[num_first:],
          batch_size=self._at_once(num_valid, data.valid_x.dtype))
      results = [jnp.concatenate(parts) for parts in zip(results, rest)]
    return carry, results[0], results[1]

  def _at_once(self, most: int, dtype: np.dtype) -> int:
    """How many of so many examples are predicted side by side."""
    matrix_bytes = self._code.varying_matrices * self._num_features**2 * dtype.itemsize
    return max(1, min(most, _MATRIX_BYTES // matrix_bytes)) if matrix_bytes else most

  def surrogate(
      self, constants: jax.Array, seed: jax.Array, data: TaskData, num_train: int
  ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """A smooth loss on the validation examples after one epoch.

    The mean of squared errors, or the cross-entropy of the normalised predictions. For its
    gradient the memory is kept of every sqrt(T)-th example only and computed anew between
    them.

    Args:
      constants: [K].
      seed: [] uint32.
      data: the task.
      num_train: T, how many of the first examples to train on.

    Returns:
      The loss; and the fitness and the examples trained on, as `run` has them.
    """
    trial = Trial(constants, seed)
    fixed, carry = self._start(data, trial)

    def train(state, t):
      carry, alive, steps = state
      carry, error = self._train_example(data, trial, fixed, carry, t, t)
      alive &= error <= self._max_abs_error
      return (carry, alive, steps + alive.astype(jnp.int32)), None

    def train_some(state, ts):
      return lax.scan(train, state, ts)

    size = math.isqrt(num_train)
    ts = jnp.arange(num_train, dtype=jnp.int32)
    whole = num_train // size * size
    state, _ = lax.scan(
        jax.checkpoint(train_some), (carry, jnp.array(True), jnp.int32(0)),
        ts[:whole].reshape(-1, size))
    (carry, alive, steps), _ = train_some(state, ts[whole:])
    _, errors, predictions = self._predict_all(data, trial, fixed, carry, jnp.int32(0))
    _, fitness = self._score(errors, alive)
    return jnp.mean(_smooth_loss(self._loss, data.valid_y, predictions)), (fitness, steps)

  def _execute(
      self, function: Function, memory: Memory, trial: Trial, data: TaskData, phase: noise.Phase,
      counter: jax.Array | int,
  ) -> Memory:
    key = noise.make_key(trial.seed, data.seed)
    key = noise.fold(noise.fold(key, int(phase)), counter)
    return straight_line.execute(
        self._code.functions[function], memory, trial.constants, key, self._num_features)

  def _carry(self, memory: Memory, dtype: jnp.dtype) -> Memory:
    return {
        address: straight_line.read(memory, address, self._num_features, dtype)
        for address in self._code.carried}

  def _prediction(self, memory: Memory, dtype: jnp.dtype) -> jax.Array:
    """The prediction: [], or [C] for multi-class."""
    value = straight_line.read(memory, self._code.prediction, self._num_features, dtype)
    return value[: self._loss.num_classes] if self._loss.multiclass else value

  def _as_memory(self, value: jax.Array) -> jax.Array:
    """A label or prediction as it is stored."""
    return self._loss.pad(value, self._num_features) if self._loss.multiclass else value


def _smooth_loss(loss: Loss, y: jax.Array, predictions: jax.Array) -> jax.Array:
  """Losses [V] of raw predictions, [V] or [V, C], that vary smoothly with them."""
  label = loss.label(y)
  if loss.num_classes == 0:
    return optax.l2_loss(predictions, label)
  if loss.multiclass:
    return optax.softmax_cross_entropy(predictions, label)
  return optax.sigmoid_binary_cross_entropy(predictions, label)
