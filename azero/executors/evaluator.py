"""The evaluator: fitness of batches of programs on sets of tasks.

Search, experiments and notebooks evaluate through this class, whatever executes underneath:
the wave executor, or the interpreter as the reference.
"""

from collections.abc import Callable, Sequence
import contextlib
from typing import Any, NamedTuple

import jax
import numpy as np

from azero.compiler import canonical, liveness
from azero.executors.activity import DEVICES
from azero.executors.choices import COMBINE, DTYPES, EXECUTOR_NAMES
from azero.executors.devices import find_devices
from azero.executors.interpreter import pack
from azero.executors.interpreter.executor import InterpreterExecutor
from azero.executors.outcomes import Launched, Outcomes
from azero.executors.settings import Settings
from azero.executors.waves.executor import WaveExecutor
from azero.executors.waves.straight_line import StraightLine
from azero.language.program import Programs, SearchSpace
from azero.tasks.task import Tasks

EXECUTORS: dict[str, Any] = dict(zip(
    EXECUTOR_NAMES, (WaveExecutor, InterpreterExecutor), strict=True))

# What an executor needs to know of a batch of programs; `take` gives that of some of them.
Plan = StraightLine | pack.Packed


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
    fingerprint: None, or [N, 2] uint64, a hash of the truncated predictions; that of one
      executor differs from that of another.
  """

  fitness: np.ndarray
  per_task: np.ndarray
  train_steps: np.ndarray
  trained: np.ndarray
  trace: tuple[np.ndarray, np.ndarray] | None = None
  fingerprint: np.ndarray | None = None


class Pending:
  """An evaluation under way."""

  def __init__(self, launched: Launched, finish: Callable[[Outcomes], Evaluation]):
    self._launched, self._finish = launched, finish
    DEVICES.begin(launched.ready)

  def result(self) -> Evaluation:
    """Waits for the devices."""
    DEVICES.wait(self._launched.wait)
    return self._finish(self._launched.collect())


class Evaluator:
  """Evaluates programs of one search space on one or several sets of tasks.

  Results do not depend, in any bit, on the other programs of a call, on their order or
  on the number of devices. A second call compiles nothing.
  """

  def __init__(
      self, space: SearchSpace, tasks: Tasks | Sequence[Tasks], *, combine: str = "median",
      num_epochs: int = 1, max_abs_error: float = 100.0, seed: int = 0,
      dtype: str = "float32", num_devices: int | None = None, lanes: int | None = None,
      trace: bool = False, fingerprint: bool = False, executor: str = "waves",
  ):
    """Puts the tasks on the devices.

    Args:
      space: memory sizes and allowed ops; its F must be that of the tasks.
      tasks: one task batch, or one for each island, all of one shape and metric; several
        islands may have the same.
      combine: "median" or "mean" over the tasks of a set.
      num_epochs: E, passes over the training examples.
      max_abs_error: an error above it stops a program.
      seed: evaluation seed, for the random ops.
      dtype: "float32" or "float64".
      num_devices: how many of JAX's devices to use; default all.
      lanes: programs evaluated at once on a device; default by the space and the tasks.
      trace: whether evaluations return errors and predictions of every example.
      fingerprint: whether they return a hash of the predictions.
      executor: "waves", or "interpreter" for the slow reference.

    Raises:
      ValueError: an unknown setting, or tasks that do not fit the space or each other.
    """
    sets = [tasks] if isinstance(tasks, Tasks) else list(tasks)
    _check_settings(space, sets, combine, num_epochs, max_abs_error, dtype, executor)
    if seed < 0:
      raise ValueError(f"seed must not be negative, got {seed}.")
    if lanes is not None and lanes < 1:
      raise ValueError(f"lanes must be at least 1, got {lanes}.")
    devices = find_devices()
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
    self.num_train = sets[0].num_train
    settings = Settings(
        space, num_epochs, max_abs_error, seed, dtype, tuple(devices[:num_devices]), lanes, trace,
        fingerprint)
    # Islands that share their tasks share them on the devices, too.
    distinct = list(dict.fromkeys(sets))
    number = {each: k for k, each in enumerate(distinct)}
    self._numbers = np.array([number[each] for each in sets], np.int32)
    _check_range(distinct, np.dtype(dtype))
    with self._precision():
      self._executor = EXECUTORS[executor](distinct, settings)

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
    return self.launch(self.plan(programs, analysis, raw=raw), sets).result()

  def plan(
      self, programs: Programs, analysis: canonical.Analysis, *, raw: bool = False
  ) -> Plan:
    """Prepares checked programs of this space, as `evaluate` otherwise.

    The plan, or a part of it, can be launched by any evaluator of this space, executor, type
    of memory and kind and number of tasks, whatever the number of examples.
    """
    return self._executor.plan(programs, analysis, raw)

  def launch(self, plan: Plan, task_sets: np.ndarray) -> "Pending":
    """Starts the N programs of a plan on the task sets, [N] int, and returns meanwhile."""
    with self._precision():
      launched = self._executor.launch(plan, self._numbers.take(task_sets))
    return Pending(launched, self._finish)

  def _finish(self, outcomes: Outcomes) -> Evaluation:
    per_task = outcomes.fitness.astype(np.float64)
    if self.task_sets[0].num_classes:  # an accuracy is a fraction of the validation examples
      num_valid = self.task_sets[0].num_valid
      per_task = np.rint(per_task * num_valid) / num_valid
    steps = outcomes.train_steps.astype(np.int64)
    return Evaluation(
        combine_tasks(per_task, self.combine), per_task, steps.sum(1), steps >= self.num_train,
        outcomes.trace, outcomes.fingerprint)

  def _precision(self) -> contextlib.AbstractContextManager:
    return jax.enable_x64(self.dtype == "float64")


def combine_tasks(per_task: np.ndarray, combine: str) -> np.ndarray:
  """Fitness over tasks: [N, D] -> [N], by "median" or "mean"."""
  return np.median(per_task, axis=1) if combine == "median" else np.mean(per_task, axis=1)


def _check_range(sets: list[Tasks], dtype: np.dtype) -> None:
  for name in ("train_x", "train_y", "valid_x", "valid_y"):
    if max(np.abs(getattr(tasks, name)).max() for tasks in sets) > np.finfo(dtype).max:
      raise ValueError(
          f"{name} has values beyond the range of {dtype}; scale the data, or use "
          "dtype='float64'.")


def _check_settings(
    space: SearchSpace, sets: list[Tasks], combine: str, num_epochs: int,
    max_abs_error: float, dtype: str, executor: str,
) -> None:
  if combine not in COMBINE:
    raise ValueError(f"combine must be one of {', '.join(COMBINE)}, got {combine!r}.")
  if dtype not in DTYPES:
    raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}.")
  if executor not in EXECUTORS:
    raise ValueError(f"executor must be one of {', '.join(EXECUTORS)}, got {executor!r}.")
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
