"""Evaluation of one program compiled on its own, at the full size of images.

For the final evaluation (supplement S7 of the AutoML-Zero paper), where one program is trained
thousands of times with other constants at F = 784 or 3072. What it computes is what
`azero.executors` computes, up to rounding; there is no interpreter and no virtual memory: the
live instructions become one XLA loop that carries what the program itself carries.
"""

from collections import deque
import copy
from typing import Any, NamedTuple

import jax
import numpy as np

from azero.executors import executables
from azero.executors.choices import check_training
from azero.executors.devices import find_devices
from azero.executors.interpreter.evaluation import epoch_orders
from azero.executors.single import straight_line
from azero.executors.single.training import TaskData, Training, Trial
from azero.language.program import Programs
from azero.tasks.task import Tasks


class DirectEvaluation(NamedTuple):
  """Results of N settings of the constants on D tasks.

  Attributes:
    per_task: [N, D] float64 fitness in [0, 1].
    train_steps: [N] int64, examples trained on, summed over tasks.
  """

  per_task: np.ndarray
  train_steps: np.ndarray


class DirectEvaluator:
  """Trains and validates one program, with any constants.

  Results do not depend on what else is in a call or on the number of devices.
  """

  def __init__(
      self, program: Programs, tasks: Tasks, *, num_epochs: int = 1,
      max_abs_error: float = 100.0, dtype: str = "float32", num_devices: int | None = None,
  ):
    """Puts the tasks on the devices.

    Args:
      program: a batch of one, in a space with the tasks' F.
      tasks: D tasks.
      num_epochs: E, passes over the training examples.
      max_abs_error: an error above it stops the program.
      dtype: "float32" or "float64".
      num_devices: how many of JAX's devices to use; default all.

    Raises:
      ValueError: a program that does not fit the tasks, or a bad setting.
    """
    if program.space.num_features != tasks.num_features:
      raise ValueError(
          f"The program's space has F = {program.space.num_features}, the tasks have "
          f"{tasks.num_features} features; parse the program for that many.")
    check_training(num_epochs, max_abs_error, dtype)
    self.straight = straight_line.straighten(program, multiclass=tasks.multiclass)
    self.dtype = np.dtype(dtype)
    self._num_epochs = num_epochs
    self._devices = find_devices(num_devices)
    training = Training(
        self.straight, tasks.num_features, tasks.num_classes, num_epochs=num_epochs,
        max_abs_error=max_abs_error)
    self._run = jax.jit(training.run)
    self._gradient = jax.jit(
        jax.value_and_grad(training.surrogate, has_aux=True), static_argnums=3)
    self._put(tasks)

  def _put(self, tasks: Tasks) -> None:
    self.tasks = tasks
    with jax.enable_x64(self.dtype == np.float64):
      self._data = [
          jax.device_put(_task_data(tasks, self.dtype), device) for device in self._devices]

  def on(self, tasks: Tasks) -> "DirectEvaluator":
    """The same program and settings on other tasks; tasks of one shape are compiled once.

    Raises:
      ValueError: tasks of another F or another number of classes.
    """
    old, new = ((t.num_features, t.num_classes) for t in (self.tasks, tasks))
    if old != new:
      raise ValueError(
          f"The program was compiled for tasks of (features, classes) = {old}, these have {new}.")
    other = copy.copy(self)
    other._put(tasks)
    return other

  @property
  def constants(self) -> np.ndarray:
    """The program's own constants: [K]."""
    return self.straight.constants.values

  @property
  def num_devices(self) -> int:
    """Devices that share the work of a call."""
    return len(self._devices)

  @property
  def num_train(self) -> int:
    """T, training examples of a task."""
    return self.tasks.num_train

  def evaluate(
      self, constants: np.ndarray, *, seeds: int | np.ndarray = 0, num_train: int | None = None,
      last_epoch: bool = False,
  ) -> DirectEvaluation:
    """Trains with N settings of the constants on every task, and validates.

    Args:
      constants: [N, K].
      seeds: evaluation seed, one for all or [N].
      num_train: examples of each task to train on, the first ones; default all.
      last_epoch: whether the fitness after the last epoch counts. The best of several, as a
        search has it, is chosen by the very examples that it is measured on.

    Returns:
      Fitness and training steps, in the order of the settings.

    Raises:
      ValueError: a wrong shape, or more training examples than there are.
    """
    constants, num_train = self._checked(constants, num_train)
    shape = len(constants), len(self.tasks)
    seeds = np.broadcast_to(np.asarray(seeds).astype(np.uint32), len(constants))
    orders = [self._orders(task, num_train) for task in range(len(self.tasks))]
    fitness, steps = np.empty(shape), np.empty(shape, np.int64)
    pending: deque[tuple[tuple[int, ...], Any]] = deque()

    def collect() -> None:
      place, result = pending.popleft()
      fitness[place], steps[place] = jax.device_get(result)

    def arguments(trial: Trial, device: int, task: int) -> tuple[Any, ...]:
      return (trial, np.int32(num_train), orders[task], self._data[device][task],
              np.bool_(last_epoch))

    with jax.enable_x64(self.dtype == np.float64):
      any_trial = Trial(np.zeros_like(self.constants, self.dtype), np.uint32(0))
      run = executables.compile_for(self._run, arguments(any_trial, 0, 0), self._devices)
      for i, (row, task) in enumerate(np.ndindex(shape)):
        if len(pending) == 2 * len(self._devices):
          collect()
        device = i % len(self._devices)
        trial = Trial(constants[row], seeds[row])
        pending.append(((row, task), run[device](*arguments(trial, device, task))))
      while pending:
        collect()
    return DirectEvaluation(self._rounded(fitness), steps.sum(1))

  def loss_and_gradient(
      self, constants: np.ndarray, *, seed: int = 0, num_train: int | None = None,
  ) -> tuple[float, np.ndarray, DirectEvaluation]:
    """A smooth validation loss after one epoch, and its gradient by the constants.

    Args:
      constants: [K].
      seed: evaluation seed.
      num_train: examples of each task to train on, the first ones; default all.

    Returns:
      The loss, mean squared error or cross-entropy, averaged over tasks; its gradient [K]; and
      the evaluation, as of one setting by `evaluate` after one epoch.

    Raises:
      ValueError: a wrong shape, or more training examples than there are.
    """
    settings, num_train = self._checked(np.asarray(constants)[None], num_train)
    with jax.enable_x64(self.dtype == np.float64):
      results = [
          self._gradient(
              settings[0], np.uint32(seed), self._data[task % len(self._devices)][task], num_train)
          for task in range(len(self.tasks))]
      results = jax.device_get(results)
    losses, fitness, steps, gradients = (
        np.stack([np.asarray(part, np.float64) for part in parts])
        for parts in zip(*((loss, *more, gradient) for (loss, more), gradient in results)))
    evaluation = DirectEvaluation(
        self._rounded(fitness[None]), steps.sum(keepdims=True).astype(np.int64))
    return float(losses.mean()), gradients.mean(0), evaluation

  def _checked(
      self, constants: np.ndarray, num_train: int | None) -> tuple[np.ndarray, int]:
    """Settings [N, K] in the type of the memory, and how many examples to train on."""
    constants = np.asarray(constants, self.dtype)
    if constants.ndim != 2 or constants.shape[1:] != self.constants.shape:
      raise ValueError(
          f"constants must have shape [N, {len(self.constants)}], one column for each constant "
          f"of the program; got {constants.shape}.")
    num_train = self.num_train if num_train is None else num_train
    if not 1 <= num_train <= self.num_train:
      raise ValueError(f"num_train must be from 1 to {self.num_train}, got {num_train}.")
    return constants, num_train

  def _rounded(self, fitness: np.ndarray) -> np.ndarray:
    """Fitness as float64; an accuracy is a fraction of the validation examples."""
    if self.tasks.num_classes:
      return np.rint(fitness * self.tasks.num_valid) / self.tasks.num_valid
    return fitness

  def _orders(self, task: int, num_train: int) -> np.ndarray:
    """Orders of the examples from the second epoch on: [E - 1, T] int32, T in use."""
    orders = np.zeros((self._num_epochs - 1, self.tasks.num_train), np.int32)
    seed = self.tasks.seeds[task : task + 1]
    orders[:, :num_train] = epoch_orders(seed, self._num_epochs, num_train)[1:, :, 0]
    return orders


def _task_data(tasks: Tasks, dtype: np.dtype) -> list[TaskData]:
  """The examples of every task."""
  arrays = (
      getattr(tasks, name).astype(dtype) for name in ("train_x", "train_y", "valid_x", "valid_y"))
  return [TaskData(*parts) for parts in zip(*arrays, tasks.seeds)]
