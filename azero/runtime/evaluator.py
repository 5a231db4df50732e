"""The evaluator: fitness of batches of programs on sets of tasks.

Host side of evaluation: analyses and packs programs, cuts them into chunks of one fixed
shape, spreads the chunks over the devices and combines the results over tasks. Search,
experiments and notebooks evaluate through this class, whatever executes underneath.
"""

from collections.abc import Sequence
import contextlib
import functools
import math
from typing import NamedTuple

import jax
import numpy as np

from azero.compiler import canonical, liveness, pack
from azero.language.ops import Kind
from azero.language.program import Programs, SearchSpace
from azero.runtime import evaluation
from azero.tasks.task import Tasks

COMBINE = ("median", "mean")
DTYPES = ("float32", "float64")

_VECTOR_WIDTH = 16  # lanes are a multiple of the widest vector register
# Memories of all lanes and tasks together. Larger chunks are faster when they are full, but
# in a search most programs are answered by caches and chunks are seldom full.
_TARGET_BYTES = 64 * 1024


class Evaluation(NamedTuple):
  """Results of N programs on D tasks.

  Attributes:
    fitness: [N] float64 in [0, 1], combined over tasks.
    per_task: [N, D] float64.
    train_steps: [N] int64, examples trained on, summed over tasks.
    trained: [N, D] bool, whether the first epoch's training ran to its end.
    trace: None, or (train [N, D, E, T, 1 + P], valid [N, D, E, V, 1 + P]): per example
      the error, then the normalised prediction (P = 1, or C for multi-class); NaN from
      the example that stopped the program on.
  """

  fitness: np.ndarray
  per_task: np.ndarray
  train_steps: np.ndarray
  trained: np.ndarray
  trace: tuple[np.ndarray, np.ndarray] | None = None


class Evaluator:
  """Evaluates programs of one search space on one or several sets of tasks.

  Results do not depend, in any bit, on the other programs of a call, on their order or
  on the number of devices. A second call compiles nothing.
  """

  def __init__(
      self, space: SearchSpace, tasks: Tasks | Sequence[Tasks], *, combine: str = "median",
      num_epochs: int = 1, max_abs_error: float = 100.0, seed: int = 0,
      dtype: str = "float32", num_devices: int | None = None, lanes: int | None = None,
      trace: bool = False,
  ):
    """Puts the tasks on the devices.

    Args:
      space: memory sizes and allowed ops; its F must be that of the tasks.
      tasks: one task batch, or one for each island, all of one shape and metric.
      combine: "median" or "mean" over the tasks of a set.
      num_epochs: E, passes over the training examples.
      max_abs_error: an error above it stops a program.
      seed: evaluation seed, for the random ops.
      dtype: "float32" or "float64".
      num_devices: how many of JAX's devices to use; default all.
      lanes: programs evaluated at once on a device; default from the number of tasks.
      trace: whether evaluations return errors and predictions of every example.

    Raises:
      ValueError: an unknown setting, or tasks that do not fit the space or each other.
    """
    sets = [tasks] if isinstance(tasks, Tasks) else list(tasks)
    _check_settings(space, sets, combine, num_epochs, max_abs_error, dtype)
    if seed < 0:
      raise ValueError(f"seed must not be negative, got {seed}.")
    if lanes is not None and lanes < 1:
      raise ValueError(f"lanes must be at least 1, got {lanes}.")
    devices = jax.devices()
    if num_devices is not None and not 1 <= num_devices <= len(devices):
      raise ValueError(
          f"num_devices must be from 1 to {len(devices)}, the devices that JAX has; got "
          f"{num_devices}. On CPUs set jax_num_cpu_devices before JAX is first used.")
    self.space = space
    self.task_sets = sets
    self.combine = combine
    self.dtype = dtype
    self.multiclass = sets[0].multiclass
    self.num_tasks = len(sets[0])
    self.lanes = lanes or _default_lanes(space, self.num_tasks)
    self._devices = devices[:num_devices]
    self._spec = evaluation.Spec(space, sets[0].num_classes, num_epochs, trace)
    self._run = _compiled(self._spec)
    self._warm = False
    data = _stack(sets, num_epochs, np.dtype(dtype))
    inputs = (data, np.uint32(seed & 0xFFFFFFFF), np.asarray(max_abs_error, dtype))
    with self._precision():
      self._inputs = [jax.device_put(inputs, device) for device in self._devices]

  def analyse(self, programs: Programs) -> canonical.Analysis:
    """Liveness and canonical keys, for this evaluator's kind of task."""
    return canonical.analyse(programs, multiclass=self.multiclass)

  def evaluate(
      self, programs: Programs, task_set: int | np.ndarray = 0, *,
      analysis: canonical.Analysis | None = None, raw: bool = False,
  ) -> Evaluation:
    """Trains and validates N programs.

    Args:
      programs: N programs of this evaluator's space.
      task_set: index of the task batch, one for all or [N].
      analysis: their analysis, if known; programs without one are checked first.
      raw: whether to execute dead instructions too. It changes no result.

    Returns:
      The evaluation, in the order of the programs.

    Raises:
      ValueError: programs of another space, malformed programs, an unknown task set.
    """
    if programs.space != self.space:
      raise ValueError("The programs belong to another search space than the evaluator.")
    if analysis is None:
      analysis = self.analyse(programs.validate())
    sets = np.broadcast_to(np.asarray(task_set, np.int32), (len(programs),))
    if len(sets) and not 0 <= sets.min() <= sets.max() < len(self.task_sets):
      raise ValueError(
          f"task_set must be from 0 to {len(self.task_sets) - 1}, got {sets.min()} to "
          f"{sets.max()}.")
    packed = pack.pack(programs, analysis, raw=raw)
    # Programs of like length share a chunk, which runs as long as its longest.
    order = np.argsort(-packed.counts[:, 1:].sum(1), kind="stable")
    with self._precision():
      chunks = [order[start : start + self.lanes] for start in range(0, len(order), self.lanes)]
      outcomes = [self._launch(k % len(self._devices), chunk, packed, sets)
                  for k, chunk in enumerate(chunks)]
      self._compile_everywhere(len(chunks))
      outcomes = [jax.tree.map(np.asarray, outcome) for outcome in outcomes]
    return self._collect(order, outcomes)

  def _launch(
      self, device: int, chunk: np.ndarray, packed: pack.Packed, sets: np.ndarray
  ) -> evaluation.Outcome:
    """Starts a chunk, indices of programs, on a device and returns without waiting."""
    padding = self.lanes - len(chunk)
    counts = packed.counts[chunk].max(0)
    # Padding repeats a program of the chunk; the results are dropped.
    lanes = np.append(chunk, np.repeat(chunk[-1:], padding)) if padding else chunk
    tasks = sets[lanes, None] * self.num_tasks + np.arange(self.num_tasks, dtype=np.int32)
    with np.errstate(over="ignore"):  # a constant beyond float32 is infinite there
      constants = packed.constants[lanes].astype(self.dtype)
    return self._run(packed.integers[lanes], constants, counts, tasks, *self._inputs[device])

  def _compile_everywhere(self, num_launched: int) -> None:
    """In the first call, compiles for the devices that its chunks have not reached."""
    if num_launched == 0 or self._warm:
      return
    self._warm = True
    nothing = pack.pack(Programs.empty(self.space), self.analyse(Programs.empty(self.space)))
    for device in range(num_launched, len(self._devices)):
      self._launch(device, np.zeros(1, int), nothing, np.zeros(1, np.int32))

  def _collect(self, order: np.ndarray, outcomes: list[evaluation.Outcome]) -> Evaluation:
    """Puts the rows of the chunks back in the order of the programs."""
    if not outcomes:
      empty = np.zeros((0, self.num_tasks))
      return Evaluation(
          empty[:, 0], empty, np.zeros(0, np.int64), empty.astype(bool), self._empty_trace())

    def gather(*leaves: np.ndarray) -> np.ndarray:
      joined = np.concatenate(leaves)[: len(order)]
      result = np.empty_like(joined)
      result[order] = joined
      return result

    joined = jax.tree.map(gather, *outcomes)
    per_task = joined.fitness.astype(np.float64)
    if self._spec.num_classes:  # an accuracy is a fraction of the validation examples
      num_valid = self.task_sets[0].num_valid
      per_task = np.rint(per_task * num_valid) / num_valid
    return Evaluation(
        combine_tasks(per_task, self.combine), per_task,
        joined.train_steps.astype(np.int64).sum(1), joined.trained, joined.trace)

  def _empty_trace(self) -> tuple[np.ndarray, np.ndarray] | None:
    """The trace of no program."""
    if not self._spec.trace:
      return None
    width = 1 + (self._spec.num_classes if self.multiclass else 1)
    train, valid = (
        np.zeros((0, self.num_tasks, self._spec.num_epochs, count, width), self.dtype)
        for count in (self.task_sets[0].num_train, self.task_sets[0].num_valid))
    return train, valid

  def _precision(self) -> contextlib.AbstractContextManager:
    return jax.enable_x64(self.dtype == "float64")


def combine_tasks(per_task: np.ndarray, combine: str) -> np.ndarray:
  """Fitness over tasks: [N, D] -> [N], by "median" or "mean"."""
  return np.median(per_task, axis=1) if combine == "median" else np.mean(per_task, axis=1)


@functools.lru_cache(maxsize=64)
def _compiled(spec: evaluation.Spec):
  """The jitted evaluation, vmapped over programs and tasks."""

  def run(integers, constants, num_instructions, tasks, data, seed, max_abs_error):
    def one(code, task):
      return evaluation.evaluate(
          code, num_instructions, task, data, seed, max_abs_error, spec)

    code = pack.unpack(integers, constants)
    return jax.vmap(jax.vmap(one, in_axes=(None, 0)))(code, tasks)

  return jax.jit(run)


def _default_lanes(space: SearchSpace, num_tasks: int) -> int:
  cells = sum(
      size * math.prod(kind.shape(space.num_features))
      for kind, size in zip(Kind, space.num_addresses))
  lanes = _VECTOR_WIDTH * round(_TARGET_BYTES / (4 * cells * num_tasks) / _VECTOR_WIDTH)
  return min(max(lanes, _VECTOR_WIDTH), 256)


def _stack(sets: list[Tasks], num_epochs: int, dtype: np.dtype) -> evaluation.TaskData:
  """Examples first, then all tasks of all sets."""

  def examples_first(name: str) -> np.ndarray:
    values = np.concatenate([getattr(tasks, name) for tasks in sets]).swapaxes(0, 1)
    if np.abs(values).max() > np.finfo(dtype).max:
      raise ValueError(
          f"{name} has values beyond the range of {dtype}; scale the data, or use "
          "dtype='float64'.")
    return values.astype(dtype)

  seeds = np.concatenate([tasks.seeds for tasks in sets])
  return evaluation.TaskData(
      examples_first("train_x"), examples_first("train_y"), examples_first("valid_x"),
      examples_first("valid_y"), seeds,
      evaluation.epoch_orders(seeds, num_epochs, sets[0].num_train))


def _check_settings(
    space: SearchSpace, sets: list[Tasks], combine: str, num_epochs: int,
    max_abs_error: float, dtype: str,
) -> None:
  if combine not in COMBINE:
    raise ValueError(f"combine must be one of {', '.join(COMBINE)}, got {combine!r}.")
  if dtype not in DTYPES:
    raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}.")
  if num_epochs < 1 or not max_abs_error > 0:
    raise ValueError(
        f"num_epochs must be at least 1 and max_abs_error positive, got {num_epochs} and "
        f"{max_abs_error}.")
  if not sets:
    raise ValueError("No tasks to evaluate on.")
  first = sets[0]
  for tasks in sets[1:]:
    same = (
        tasks.train_x.shape == first.train_x.shape and tasks.valid_x.shape == first.valid_x.shape
        and tasks.num_classes == first.num_classes)
    if not same:
      raise ValueError(
          "All task sets must have one shape and metric: "
          f"{first.train_x.shape} {first.metric} and {tasks.train_x.shape} {tasks.metric}.")
  if space.num_features != first.num_features:
    raise ValueError(
        f"The space has F = {space.num_features}, the tasks have {first.num_features} features; "
        f"use space.with_features({first.num_features}).")
  liveness.roles(space, first.multiclass)
