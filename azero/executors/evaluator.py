"""The evaluator: fitness of batches of programs on sets of tasks.

Search, experiments and notebooks evaluate through this class, whatever executes underneath:
the wave executor, or the interpreter as the reference.
"""

from collections.abc import Callable, Sequence
import concurrent.futures
import contextlib
import copy
import functools
import itertools
from typing import Any, NamedTuple

import jax
import numpy as np

from azero.compiler import canonical
from azero.compiler.arrays import roles
from azero.executors.choices import COMBINE, EXECUTOR_NAMES, check_training
from azero.executors.devices import find_devices
from azero.executors.interpreter import pack
from azero.executors.interpreter.executor import InterpreterExecutor
from azero.executors.outcomes import combine_tasks
from azero.executors.settings import Settings
from azero.executors.waves.executor import WaveExecutor
from azero.executors.waves.ssa import StraightLine
from azero.language.program import Programs, SearchSpace
from azero.language.whole_numbers import require_whole
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

  def __init__(
      self, futures: list[concurrent.futures.Future[Any]], finish: Callable[[Any], Evaluation]):
    self._futures, self._finish = futures, finish

  def result(self) -> Evaluation:
    """Waits for the devices."""
    return self._finish([done for future in self._futures for done in future.result()])


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
    _check_settings(combine, executor)
    check_training(num_epochs, max_abs_error, dtype)
    _check_tasks(space, sets)
    given = {"lanes": lanes, "num_devices": num_devices}
    require_whole(seed=seed, **{name: each for name, each in given.items() if each is not None})
    if seed < 0:
      raise ValueError(f"seed must not be negative, got {seed}.")
    if lanes is not None and lanes < 1:
      raise ValueError(f"lanes must be at least 1, got {lanes}.")
    devices = find_devices(num_devices)
    self.space = space
    self.task_sets = sets
    self.combine = combine
    self.dtype = dtype
    self.multiclass = sets[0].multiclass
    self.num_tasks = len(sets[0])
    self.num_train, self.num_valid = sets[0].num_train, sets[0].num_valid
    self.num_devices = len(devices)
    self._trace = trace
    settings = Settings(
        space, num_epochs, max_abs_error, seed, dtype, tuple(devices), lanes, trace, fingerprint)
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

  def part(self, num_train: int, num_valid: int, *, fingerprint: bool = False) -> "Evaluator":
    """An evaluator of one epoch of the first examples; it takes the same plans.

    It shares this evaluator's executable and what that has on the devices.

    Args:
      num_train: training examples of each task.
      num_valid: validation examples.
      fingerprint: whether evaluations return a hash of the predictions.

    Raises:
      ValueError: more examples than there are, or this evaluator traces.
    """
    tasks = self.task_sets[0]
    if not (1 <= num_train <= self.num_train and 1 <= num_valid <= tasks.num_valid):
      raise ValueError(
          f"A part must have from 1 to {self.num_train} training and 1 to {tasks.num_valid} "
          f"validation examples, got {num_train} and {num_valid}.")
    if self._trace:
      raise ValueError("An evaluator that traces every example has no parts.")
    other = copy.copy(self)
    other.num_train, other.num_valid = num_train, num_valid
    other._executor = self._executor.part(num_train, num_valid, fingerprint=fingerprint)
    return other

  def evaluate_plan(self, plan: Plan, task_sets: np.ndarray, device: int = 0) -> Evaluation:
    """Evaluates the programs of a plan on one device, on the calling thread.

    Threads do not disturb each other if each has a device of its own.

    Args:
      plan: of N programs, or a part of a plan.
      task_sets: [N] int, index of the task batch of each.
      device: index among this evaluator's devices.

    Returns:
      The evaluation, in the order of the plan's programs.
    """
    sets = self._numbers.take(task_sets)
    with self._precision():
      done = [job(device) for job in self._executor.jobs(plan, sets, 1)]
    return self._finish(done, len(sets))

  def launch(self, plan: Plan, task_sets: np.ndarray) -> Pending:
    """Starts the N programs of a plan on the task sets, [N] int, spread over the devices.

    Returns meanwhile; a thread for each device does the work.
    """
    sets = self._numbers.take(task_sets)
    with self._precision():
      jobs = self._executor.jobs(plan, sets, self.num_devices)
    first = next(_turns)

    def run(device: int, own: list[Callable[[int], Any]]) -> list[Any]:
      with self._precision():
        return [job(device) for job in own]

    futures = []
    for k in range(min(len(jobs), self.num_devices)):
      device = (first + k) % self.num_devices
      futures.append(_thread(device).submit(run, device, jobs[k :: self.num_devices]))
    return Pending(futures, lambda done: self._finish(done, len(sets)))

  def _finish(self, done: list[Any], num_programs: int) -> Evaluation:
    outcomes = self._executor.collect(done, num_programs)
    per_task, steps, trained, trace, fingerprint = outcomes
    return Evaluation(
        combine_tasks(per_task, self.combine), per_task, steps, trained, trace, fingerprint)

  def _precision(self) -> contextlib.AbstractContextManager:
    wanted = self.dtype == "float64"
    # To enter it costs as much as a call of a small batch, to be in it as much again.
    return contextlib.nullcontext() if jax.config.read("jax_enable_x64") == wanted else (
        jax.enable_x64(wanted))


@functools.cache
def _thread(device: int) -> concurrent.futures.ThreadPoolExecutor:
  """The thread that waits for a device, for all evaluators."""
  return concurrent.futures.ThreadPoolExecutor(1, f"azero-device-{device}")


_turns = itertools.count()  # so that small batches, launched one after the other, are spread, too


def _check_range(sets: list[Tasks], dtype: np.dtype) -> None:
  for name in ("train_x", "train_y", "valid_x", "valid_y"):
    if max(np.abs(getattr(tasks, name)).max() for tasks in sets) > np.finfo(dtype).max:
      raise ValueError(
          f"{name} has values beyond the range of {dtype}; scale the data, or use "
          "dtype='float64'.")


def _check_settings(combine: str, executor: str) -> None:
  if not isinstance(combine, str) or combine not in COMBINE:
    raise ValueError(f"combine must be one of {', '.join(COMBINE)}, got {combine!r}.")
  if not isinstance(executor, str) or executor not in EXECUTORS:
    raise ValueError(f"executor must be one of {', '.join(EXECUTORS)}, got {executor!r}.")


def _check_tasks(space: SearchSpace, sets: list[Tasks]) -> None:
  if not sets or not all(map(len, sets)):
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
  roles(space, first.multiclass)
