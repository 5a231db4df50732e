"""Evaluation of one program on one task (figure 1 of the AutoML-Zero paper).

Setup once; then training: Predict, normalise, Learn for every example; then validation:
Predict alone, on the memory as training left it. The label is hidden while Predict runs.
"""

import dataclasses
from typing import NamedTuple

import chex
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import psutil

from azero.executors import noise
from azero.executors.interpreter import interpreter, pack
from azero.executors.interpreter.interpreter import Memory
from azero.executors.loss import Loss
from azero.language import ops as op_table
from azero.language import program as program_lib
from azero.language.program import Function, SearchSpace

_COPIES = 2  # of the orders of examples: one on the host, one on a device


class TaskData(NamedTuple):
  """The examples of K tasks, as a device holds them.

  Attributes:
    train_x: [T, K, F].
    train_y: [T, K].
    valid_x: [V, K, F].
    valid_y: [V, K].
    seeds: [K] uint32.
    orders: [E, T, K] int32, order of the training examples in every epoch.
  """

  train_x: chex.Array
  train_y: chex.Array
  valid_x: chex.Array
  valid_y: chex.Array
  seeds: chex.Array
  orders: chex.Array


@dataclasses.dataclass(frozen=True)
class Spec:
  """Everything static about an evaluation; one compiled executable for each.

  Attributes:
    space: sizes and allowed ops.
    num_classes: 0 for regression, 2 for binary, more for multi-class tasks.
    num_epochs: E.
    trace: whether to return errors and predictions of every example.
    ops: the rows of the op table, so that a replaced user op is compiled anew.
  """

  space: SearchSpace
  num_classes: int
  num_epochs: int = 1
  trace: bool = False
  ops: tuple[op_table.Op, ...] = dataclasses.field(default_factory=op_table.all_ops)


class Outcome(NamedTuple):
  """Result of one evaluation.

  Attributes:
    fitness: [] in [0, 1].
    train_steps: [] int32, examples on which Learn ran.
    trace: None, or per example the errors and normalised predictions, NaN from the
      example that stopped the program on: (train [E, T, 1 + P], valid [E, V, 1 + P]) with P
      the length of a prediction: 1, or C for multi-class.
  """

  fitness: jax.Array
  train_steps: jax.Array
  trace: tuple[jax.Array, jax.Array] | None


def require_room_for_orders(num_tasks: int, num_epochs: int, num_train: int) -> None:
  """Refuses orders of training examples that take more memory than is free.

  Raises:
    ValueError: says how much.
  """
  needed = 4 * num_epochs * num_train * num_tasks
  free = psutil.virtual_memory().available
  if _COPIES * needed > free:
    raise ValueError(
        f"num_epochs={num_epochs:,} of {num_train:,} examples in {num_tasks:,} tasks take about "
        f"{_COPIES * needed / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB of memory are free: take "
        "fewer epochs or tasks.")


def epoch_orders(seeds: np.ndarray, num_epochs: int, num_train: int) -> np.ndarray:
  """Order of the training examples: as given in epoch 1, then shuffled by the task's seed.

  Args:
    seeds: [K] seeds of the tasks.
    num_epochs: E.
    num_train: T.

  Returns:
    [E, T, K] int32.

  Raises:
    ValueError: they take more memory than is free.
  """
  require_room_for_orders(len(seeds), num_epochs, num_train)
  orders = np.empty((num_epochs, num_train, len(seeds)), np.int32)
  orders[0] = np.arange(num_train)[:, None]
  for k, seed in enumerate(seeds):
    rng = np.random.default_rng([int(seed), num_train])
    for epoch in range(1, num_epochs):
      orders[epoch, :, k] = rng.permutation(num_train)
  return orders


def evaluate(
    code: pack.Code, num_instructions: jax.Array, task: jax.Array, data: TaskData, *,
    seed: jax.Array, max_abs_error: jax.Array, spec: Spec,
) -> Outcome:
  """Trains and validates one program on one task.

  Args:
    code: the program, fields [L] and [L, 3].
    num_instructions: [3] int32, slots to visit in Setup, Predict and Learn.
    task: [] int32, which of the K tasks.
    data: the tasks.
    seed: [] uint32, evaluation seed of the random ops.
    max_abs_error: [] an error above it stops the program.
    spec: everything static.

  Returns:
    The outcome.
  """
  loss = Loss(spec.num_classes)
  access = _Access(spec.num_classes)
  space, dtype = spec.space, data.train_x.dtype
  num_train, num_valid = len(data.train_x), len(data.valid_x)
  chex.assert_shape(code.constants, (space.num_slots, op_table.MAX_CONSTANTS))
  chex.assert_shape(code.kind, (space.num_slots,))
  chex.assert_shape([data.train_x, data.valid_x], (None, len(data.seeds), space.num_features))
  chex.assert_shape(data.orders, (spec.num_epochs, num_train, len(data.seeds)))
  chex.assert_rank([task, seed, max_abs_error], 0)
  key = noise.make_key(seed, data.seeds[task])

  def run(function: Function, phase: noise.Phase, example, memory: Memory) -> Memory:
    own_key = noise.fold(noise.fold(key, int(phase)), example)
    return interpreter.execute(
        function, code, num_instructions[function], memory, own_key, space)

  def train_example(state, index):
    memory, alive, steps = state
    epoch, t = index
    example = t if spec.num_epochs == 1 else data.orders[epoch, t, task]
    counter = epoch * num_train + t
    x, y = data.train_x[example, task], data.train_y[example, task]
    label = loss.label(y)
    memory = access.set_label(_set_features(memory, x), jnp.zeros_like(label))
    memory = run(Function.PREDICT, noise.Phase.TRAIN_PREDICT, counter, memory)
    prediction = loss.normalise(access.prediction(memory))
    memory = access.set_prediction(memory, prediction)
    error = loss.train_error(label, prediction)
    alive &= error <= max_abs_error  # False for NaN
    memory = access.set_label(memory, label)
    memory = run(Function.LEARN, noise.Phase.LEARN, counter, memory)
    out = _traced(error, prediction, alive) if spec.trace else None
    return (memory, alive, steps + alive.astype(jnp.int32)), out

  def valid_example(state, index):
    memory, alive, total = state
    epoch, t = index
    x, y = data.valid_x[t, task], data.valid_y[t, task]
    label = loss.label(y)
    memory = access.set_label(_set_features(memory, x), jnp.zeros_like(label))
    memory = run(
        Function.PREDICT, noise.Phase.VALID_PREDICT, epoch * num_valid + t, memory)
    prediction = loss.normalise(access.prediction(memory))
    error = loss.valid_error(label, prediction)
    alive &= jnp.isfinite(error)
    if spec.num_classes == 0:
      alive &= error <= max_abs_error
    out = _traced(error, prediction, alive) if spec.trace else None
    return (memory, alive, total + error * error), out

  def indices(epoch, count):
    return jnp.full(count, epoch), jnp.arange(count, dtype=jnp.int32)

  def run_epoch(state, epoch):
    memory, alive, steps, best = state
    (memory, alive, steps), train_trace = lax.scan(
        train_example, (memory, alive, steps), indices(epoch, num_train))
    (memory, alive, total), valid_trace = lax.scan(
        valid_example, (memory, alive, jnp.zeros((), dtype)), indices(epoch, num_valid))
    fitness = jnp.where(alive, loss.fitness(total, num_valid), jnp.zeros((), dtype))
    return (memory, alive, steps, jnp.maximum(best, fitness)), (train_trace, valid_trace)

  memory = run(Function.SETUP, noise.Phase.SETUP, 0, interpreter.zero_memory(space, dtype))
  start = (memory, jnp.array(True), jnp.int32(0), jnp.zeros((), dtype))
  end, trace = lax.scan(
      run_epoch, start, jnp.arange(spec.num_epochs, dtype=jnp.int32))
  return Outcome(end[3], end[2], trace if spec.trace else None)


def _set_features(memory: Memory, x: jax.Array) -> Memory:
  return memory._replace(vectors=memory.vectors.at[program_lib.FEATURES_VECTOR].set(x))


def _traced(error: jax.Array, prediction: jax.Array, alive: jax.Array) -> jax.Array:
  row = jnp.concatenate([error[None], jnp.atleast_1d(prediction)])
  return jnp.where(alive, row, jnp.full_like(row, jnp.nan))


class _Access:
  """Where label and prediction live in the memory."""

  def __init__(self, num_classes: int):
    self._loss = Loss(num_classes)

  def prediction(self, memory: Memory) -> jax.Array:
    """The raw prediction: [], or [C] for multi-class."""
    if self._loss.multiclass:
      return memory.vectors[program_lib.PREDICTION_VECTOR, : self._loss.num_classes]
    return memory.scalars[program_lib.PREDICTION_SCALAR]

  def set_prediction(self, memory: Memory, prediction: jax.Array) -> Memory:
    return self._set(
        memory, prediction, program_lib.PREDICTION_SCALAR, program_lib.PREDICTION_VECTOR)

  def set_label(self, memory: Memory, label: jax.Array) -> Memory:
    return self._set(memory, label, program_lib.LABEL_SCALAR, program_lib.LABEL_VECTOR)

  def _set(self, memory: Memory, value: jax.Array, scalar: int, vector: int) -> Memory:
    if not self._loss.multiclass:
      return memory._replace(scalars=memory.scalars.at[scalar].set(value))
    row = self._loss.pad(value, memory.vectors.shape[1])
    return memory._replace(vectors=memory.vectors.at[vector].set(row))
