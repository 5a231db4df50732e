"""Evaluation of one program compiled on its own, at the full size of images.

For the final evaluation (supplement S7 of the AutoML-Zero paper), where one program is trained
thousands of times with other constants at F = 784 or 3072. What it computes is what
`azero.runtime` computes, up to rounding; there is no interpreter and no virtual memory: the
live instructions become one XLA loop that carries what the program itself carries.
"""

from collections import deque
from typing import Any, NamedTuple

import jax
import numpy as np

from azero.analysis import straight
from azero.analysis.training import Lane, TaskData, Training
from azero.language.program import Programs
from azero.runtime.evaluation import epoch_orders
from azero.tasks.task import Tasks

# Lanes share a loop if their matrices stay in a cache of this many bytes.
_CACHE_BYTES = 1 << 18
_MAX_LANES = 16


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
    if num_epochs < 1 or not max_abs_error > 0:
      raise ValueError(
          f"num_epochs must be at least 1 and max_abs_error positive, got {num_epochs} and "
          f"{max_abs_error}.")
    self.straight = straight.straighten(program, multiclass=tasks.multiclass)
    self.tasks = tasks
    self.dtype = np.dtype(dtype)
    self._num_epochs = num_epochs
    self._devices = jax.devices()[:num_devices]
    self._lanes = _num_lanes(self.straight, tasks.num_features, self.dtype.itemsize)
    training = Training(
        self.straight, tasks.num_features, tasks.num_classes, num_epochs=num_epochs,
        num_lanes=self._lanes, max_abs_error=max_abs_error)
    self._run = jax.jit(training.run)
    with jax.enable_x64(self.dtype == np.float64):
      self._data = [
          jax.device_put(_task_data(tasks, self.dtype), device) for device in self._devices]

  @property
  def constants(self) -> np.ndarray:
    """The program's own constants: [K]."""
    return self.straight.constants.values

  def evaluate(
      self, constants: np.ndarray, *, seeds: int | np.ndarray = 0, num_train: int | None = None,
  ) -> DirectEvaluation:
    """Trains with N settings of the constants on every task, and validates.

    Args:
      constants: [N, K].
      seeds: evaluation seed, one for all or [N].
      num_train: examples of each task to train on, the first ones; default all.

    Returns:
      Fitness and training steps, in the order of the settings.

    Raises:
      ValueError: a wrong shape, or more training examples than there are.
    """
    constants = np.asarray(constants, np.float64)
    if constants.ndim != 2 or constants.shape[1:] != self.constants.shape:
      raise ValueError(
          f"constants must have shape [N, {len(self.constants)}], got {constants.shape}.")
    num_train = self.tasks.num_train if num_train is None else num_train
    if not 1 <= num_train <= self.tasks.num_train:
      raise ValueError(
          f"num_train must be from 1 to {self.tasks.num_train}, got {num_train}.")
    count, num_tasks = len(constants), len(self.tasks)
    seeds = np.broadcast_to(np.asarray(seeds).astype(np.uint32), count)
    lanes = Lane(constants.astype(self.dtype), seeds)
    fitness = np.empty((count, num_tasks))
    steps = np.empty((count, num_tasks), np.int64)
    pending: deque[tuple[slice, int, Any]] = deque()

    def collect() -> None:
      rows, task, results = pending.popleft()
      size = rows.stop - rows.start
      fitness[rows, task], steps[rows, task] = (
          np.reshape(result, -1)[:size] for result in results)

    with jax.enable_x64(self.dtype == np.float64):
      for task in range(num_tasks):
        orders = self._orders(task, num_train)
        for i, start in enumerate(range(0, count, self._lanes)):
          if len(pending) == 2 * len(self._devices):
            collect()
          rows = slice(start, min(start + self._lanes, count))
          device = i % len(self._devices)
          lane = self._chunk(lanes, rows, device)
          result = self._run(lane, np.int32(num_train), orders, self._data[device][task])
          pending.append((rows, task, result))
      while pending:
        collect()
    if self.tasks.num_classes:  # an accuracy is a fraction of the validation examples
      fitness = np.rint(fitness * self.tasks.num_valid) / self.tasks.num_valid
    return DirectEvaluation(fitness, steps.sum(1))

  def _chunk(self, lanes: Lane, rows: slice, device: int) -> Lane:
    """Lanes for one call; the last call's are filled up with copies."""
    index = np.minimum(np.arange(rows.start, rows.start + self._lanes), rows.stop - 1)
    parts = (part[index] if self._lanes > 1 else part[rows.start] for part in lanes)
    return Lane(*(jax.device_put(part, self._devices[device]) for part in parts))

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


def _num_lanes(code: straight.Straight, num_features: int, itemsize: int) -> int:
  """Lanes that run side by side: one where a matrix is large, else many."""
  if not code.has_matrices:
    return _MAX_LANES
  return max(1, min(_MAX_LANES, _CACHE_BYTES // (itemsize * num_features**2)))
