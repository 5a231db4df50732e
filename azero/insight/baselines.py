"""Reference fitnesses: the constant predictor, a linear model and a small neural network.

They put a discovered program's fitness in proportion. Fitness is that of an evaluation,
on the validation part of each task: the accuracy, or 1 - (2 / pi) * atan(RMS error).

Both models are trained the same way, by Adam on shuffled minibatches with a learning rate
that falls linearly to 0. The defaults (50 epochs or 1500 steps, whichever is more, batches
of 32, learning rate 0.03, 32 hidden units) are fixed and serve all tasks. The models see
the data as programs do: nothing is standardised here. All arithmetic is float32.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from azero.executors import executables
from azero.executors.devices import find_devices
from azero.tasks.task import Tasks

Parameters = dict[str, jax.Array]

MIN_EPOCHS = 50
MIN_STEPS = 1500


def constant(tasks: Tasks) -> np.ndarray:
  """Fitness of predicting the most frequent class, or the mean, of the training part.

  Args:
    tasks: D tasks.

  Returns:
    [D] float64 fitnesses.
  """
  if tasks.metric == "rms":
    return _regression_fitness(tasks, tasks.train_y.mean(1, keepdims=True))
  majority = [np.bincount(labels.astype(int)).argmax() for labels in tasks.train_y]
  return (tasks.valid_y == np.array(majority)[:, None]).mean(1)


def linear(
    tasks: Tasks, *, seed: int = 0, num_epochs: int | None = None, batch_size: int = 32,
    learning_rate: float = 0.03,
) -> np.ndarray:
  """Fitness of logistic (binary), softmax (multi-class) or linear regression.

  Args:
    tasks: D tasks.
    seed: of the order of examples.
    num_epochs: passes over the training part; default 50, or more if needed for 1500
      gradient steps.
    batch_size: examples of one gradient step; at most T are used.
    learning_rate: of the first step.

  Returns:
    [D] float64 fitnesses; 0 where training diverged.

  Raises:
    ValueError: num_epochs or batch_size is below 1.
  """
  parameters = {"w": np.zeros((tasks.num_features, _num_outputs(tasks)))}
  rng = np.random.default_rng(seed)
  return _train_and_validate(tasks, parameters, rng, num_epochs, batch_size, learning_rate)


def neural_network(
    tasks: Tasks, *, hidden: int = 32, seed: int = 0, num_epochs: int | None = None,
    batch_size: int = 32, learning_rate: float = 0.03,
) -> np.ndarray:
  """Fitness of a network with one hidden layer of ReLU units.

  Args:
    tasks: D tasks; all start from the same weights.
    hidden: units of the hidden layer.
    seed: of the first weights and the order of examples.
    num_epochs: this and the following as for `linear`.
    batch_size: examples of one gradient step.
    learning_rate: of the first step.

  Returns:
    [D] float64 fitnesses; 0 where training diverged.

  Raises:
    ValueError: hidden, num_epochs or batch_size is below 1.
  """
  if hidden < 1:
    raise ValueError(f"hidden must be at least 1; got {hidden}.")
  rng = np.random.default_rng(seed)
  hidden_shape, output_shape = (tasks.num_features, hidden), (hidden, _num_outputs(tasks))
  parameters = {
      "hidden_w": rng.standard_normal(hidden_shape) * math.sqrt(2 / tasks.num_features),
      "hidden_b": np.zeros(hidden),
      "w": rng.standard_normal(output_shape) * math.sqrt(1 / hidden),
  }
  return _train_and_validate(tasks, parameters, rng, num_epochs, batch_size, learning_rate)


def _num_outputs(tasks: Tasks) -> int:
  """K: one output per class if multi-class, else a single one."""
  return tasks.num_classes if tasks.multiclass else 1


def _train_and_validate(
    tasks: Tasks, parameters: dict[str, np.ndarray], rng: np.random.Generator,
    num_epochs: int | None, batch_size: int, learning_rate: float,
) -> np.ndarray:
  """Trains from these parameters, biases of the output 0, on every task: [D] fitnesses."""
  if batch_size < 1 or (num_epochs is not None and num_epochs < 1):
    raise ValueError(
        f"num_epochs and batch_size must be at least 1; got {num_epochs} and {batch_size}.")
  batch_size = min(batch_size, tasks.num_train)
  num_batches = tasks.num_train // batch_size
  if num_epochs is None:
    num_epochs = max(MIN_EPOCHS, math.ceil(MIN_STEPS / num_batches))
  orders = rng.permuted(np.tile(np.arange(tasks.num_train), (num_epochs, 1)), axis=1)
  batches = orders[:, :num_batches * batch_size].reshape(-1, batch_size)
  rates = learning_rate * (1.0 - np.arange(len(batches)) / len(batches))
  parameters = parameters | {"b": np.zeros(_num_outputs(tasks))}
  to_float32 = functools.partial(np.asarray, dtype=np.float32)  # JAX would compile that
  # Some accelerators multiply float32 matrices in lower precision unless told not to, and
  # optax's Adam raises a float to an integer power, which strict promotion forbids.
  with jax.default_matmul_precision("float32"), jax.numpy_dtype_promotion("standard"):
    arguments = (
        jax.tree.map(to_float32, parameters), to_float32(tasks.train_x),
        to_float32(tasks.train_y), to_float32(tasks.valid_x),
        (np.asarray(batches, np.int32), to_float32(rates)))
    [run] = executables.compile_for(
        _compiled(tasks.num_classes), arguments, find_devices(1))
    outputs = run(*arguments)
  outputs = np.asarray(outputs, np.float64)
  if tasks.metric == "rms":
    return _regression_fitness(tasks, outputs[..., 0])
  if tasks.multiclass:
    classes = outputs.argmax(2)
  else:
    classes = (outputs[..., 0] > 0).astype(int)
  fitness = (classes == tasks.valid_y).mean(1)
  return np.where(np.isfinite(outputs).all((1, 2)), fitness, 0.0)


def _regression_fitness(tasks: Tasks, predictions: np.ndarray) -> np.ndarray:
  """Fitness from predictions [D, V] or [D, 1]; 0 if one is not finite."""
  finite = np.isfinite(predictions).all(1)
  errors = np.where(finite[:, None], predictions, 0.0) - tasks.valid_y
  fitness = 1.0 - 2.0 / math.pi * np.arctan(np.sqrt((errors**2).mean(1)))
  return np.where(finite, fitness, 0.0)


@functools.cache
def _compiled(num_classes: int) -> Any:
  return jax.jit(functools.partial(_train_tasks, num_classes))


@functools.partial(jax.vmap, in_axes=(None, None, 0, 0, 0, None))
def _train_tasks(
    num_classes: int, parameters: Parameters, train_x: jax.Array, train_y: jax.Array,
    valid_x: jax.Array, schedule: tuple[jax.Array, jax.Array],
) -> jax.Array:
  """Trains one model per task; their raw outputs on the validation parts.

  Args:
    num_classes: as in `Tasks`.
    parameters: where every task starts.
    train_x: [D, T, F].
    train_y: [D, T].
    valid_x: [D, V, F].
    schedule: of each of S steps the training examples, [S, B] int32, and the learning rate, [S].

  Returns:
    [D, V, K].
  """
  adam, (batches, rates) = optax.scale_by_adam(), schedule

  def loss(parameters: Parameters, batch: jax.Array) -> jax.Array:
    outputs, labels = _model(parameters, train_x[batch]), train_y[batch]
    if num_classes == 0:
      losses = optax.l2_loss(outputs[:, 0], labels)
    elif num_classes == 2:
      losses = optax.sigmoid_binary_cross_entropy(outputs[:, 0], labels)
    else:
      losses = optax.softmax_cross_entropy_with_integer_labels(
          outputs, labels.astype(jnp.int32))
    return losses.mean()

  def step(carry, batch_and_rate):
    parameters, state = carry
    batch, rate = batch_and_rate
    updates, state = adam.update(jax.grad(loss)(parameters, batch), state)
    updates = jax.tree.map(lambda update: -rate * update, updates)
    return (optax.apply_updates(parameters, updates), state), None

  carry = (parameters, adam.init(parameters))
  (parameters, _), _ = jax.lax.scan(step, carry, (batches, rates))
  return _model(parameters, valid_x)


def _model(parameters: Parameters, x: jax.Array) -> jax.Array:
  """Raw outputs [N, K] for features [N, F]; linear if there is no hidden layer."""
  if "hidden_w" in parameters:
    x = jax.nn.relu(x @ parameters["hidden_w"] + parameters["hidden_b"])
  return x @ parameters["w"] + parameters["b"]
