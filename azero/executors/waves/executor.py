"""Evaluation by waves: the host side of the fast executor.

Schedules batches, lends each device its memory, and puts the results back in order. A device
is used by one thread at a time, which waits for it. The executable is compiled before the
first batch runs, for all devices.
"""

from collections.abc import Callable, Sequence
import copy
import dataclasses
import functools
import threading
from typing import Any

import jax
import numpy as np

from azero.compiler import canonical
from azero.executors import executables
from azero.executors.activity import DEVICES
from azero.executors.interpreter import evaluation
from azero.executors.outcomes import Measure, Outcomes, take_in
from azero.executors.settings import Settings
from azero.executors.waves import loop
from azero.executors.waves.layout import PROGRAM_TILE, Layout, make_layout
from azero.executors.waves.schedule import Scheduler
from azero.executors.waves.ssa import StraightLine
from azero.executors.waves.tables import Call
from azero.language.program import Programs
from azero.tasks.task import Tasks

# Instructions times examples that are worth a call: a few milliseconds.
_PART_WORK = 400_000
_FEWEST_PROGRAMS = 2 * PROGRAM_TILE  # of a single tile XLA makes other code, whose last bits differ
_TRACED_PROGRAMS = 64  # of a chunk; a trace is large
# Arrays of examples have a power of two of rows, at least so many numbers and rows, so that
# tasks of other sizes need no other executable.
_MIN_NUMBERS = 1 << 17
_MIN_SETS = 64


@dataclasses.dataclass
class _Device:
  """A device: what it holds, for an executor and its parts.

  Attributes:
    device: JAX's.
    inputs: examples, seed and bound of errors.
    memory: lent to a call; given up meanwhile.
    lock: of the memory.
    execute: the executable, once it is compiled.
  """

  device: Any
  inputs: tuple[Any, ...]
  memory: loop.Memory
  lock: threading.Lock
  execute: Callable[..., Any] | None = None


class WaveExecutor:
  """Runs programs of one space on sets of tasks; see `Settings`."""

  def __init__(self, sets: list[Tasks], settings: Settings):
    """Puts the tasks on the devices."""
    self._settings = settings
    self._dtype = np.dtype(settings.dtype)
    tasks = sets[0]
    self._num_tasks = len(tasks)
    self._stored = tasks.num_train, tasks.num_train + tasks.num_valid
    lanes = settings.lanes and max(settings.lanes, _FEWEST_PROGRAMS)
    self._layout = make_layout(
        settings.space, len(tasks), tasks.num_classes, self._dtype.itemsize,
        num_programs=lanes or (_TRACED_PROGRAMS if settings.trace else None),
        **({"max_chunks": 1} if settings.trace else {}))
    self._scheduler = Scheduler(self._layout, self._dtype)
    self._counts = settings.num_epochs, tasks.num_train, tasks.num_valid
    if settings.num_epochs > 1:
      evaluation.require_room_for_orders(
          len(tasks) * len(sets), settings.num_epochs, tasks.num_train)
    if (sections := loop.num_sections(*self._counts)) > np.iinfo(np.int32).max:
      raise ValueError(
          f"{settings.num_epochs:,} epochs of {tasks.num_train:,} training and {tasks.num_valid:,} "
          f"validation examples are {sections:,} steps of a program, more than can be counted: set "
          "fewer epochs or examples.")
    self._spec = loop.WaveSpec(
        self._layout, settings.num_epochs > 1, self._counts if settings.trace else None)
    examples = _examples(sets, settings, self._layout)
    bound = np.asarray(settings.max_abs_error, self._dtype)
    self._devices = [
        _Device(
            device, (jax.device_put(examples, device),
                     jax.device_put((settings.seed32, bound), device)),
            self._new_memory(device), threading.Lock())
        for device in settings.devices]
    self._set_extent()

  def part(self, num_train: int, num_valid: int, *, fingerprint: bool) -> "WaveExecutor":
    """The executor of one epoch of the first examples; it shares what is on the devices."""
    other = copy.copy(self)
    other._settings = dataclasses.replace(
        self._settings, num_epochs=1, fingerprint=fingerprint, trace=False)
    other._counts = 1, num_train, num_valid
    other._set_extent()
    return other

  def plan(self, programs: Programs, analysis: canonical.Analysis, raw: bool) -> StraightLine:
    """Prepares N programs."""
    return self._scheduler.plan(programs, analysis, raw=raw)

  def jobs(
      self, plan: StraightLine, sets: np.ndarray, num_parts: int
  ) -> list[Callable[[int], "_Done"]]:
    """What evaluates the programs of a plan on the task sets [N].

    Each job, given the index of a device, runs there until it is done; together they do what
    was asked for.
    """
    num_epochs, num_train, num_valid = self._counts
    if num_parts > 1:
      work = plan.num_instructions * (num_train + num_valid) * num_epochs
      num_parts = min(num_parts, 1 + work // _PART_WORK)
    calls = self._scheduler.schedule(plan, sets, num_parts=num_parts)
    return [functools.partial(self._run, call) for call in calls]

  def collect(self, done: Sequence["_Done"], num_programs: int) -> Outcomes:
    """Puts the results of the jobs in the order of the programs."""
    settings = self._settings
    outcomes = Outcomes.empty(
        num_programs, self._num_tasks, settings.fingerprint,
        self._empty_trace(num_programs) if settings.trace else None)
    for programs, results in done:
      take_in(
          outcomes, programs, results.fitness, results.train_steps, results.fingerprint,
          self._measure)
      if outcomes.trace is not None:
        # [E, T + V, P, A, ...] -> [n, D, E, T + V, ...]
        rows = results.trace.transpose(2, 3, 0, 1, 4)[: len(programs), : self._num_tasks]
        train, valid = outcomes.trace
        train[programs], valid[programs] = np.split(rows, [self._counts[1]], axis=3)
    return outcomes

  def _run(self, call: Call, index: int) -> "_Done":
    """Runs a call on a device."""
    own = self._devices[index]
    with own.lock:
      execute = own.execute or self._compile(call, index)
      try:
        with DEVICES.busy(index):
          own.memory, results = execute(
              own.memory, (call.integers, call.constants), *own.inputs, self._extents[index])
          trace = None if results.trace is None else np.asarray(results.trace)
          done = call.programs, loop.Results(
              np.asarray(results.fitness), np.asarray(results.train_steps),
              np.asarray(results.fingerprint), trace)
      except BaseException:  # such as Ctrl-C: the memory that was lent does not come back
        own.memory = self._new_memory(own.device)
        raise
    self._scheduler.recycle(call)  # not before the device has read it
    return done

  def _new_memory(self, device: Any) -> loop.Memory:
    return jax.device_put(loop.new_memory(self._layout, self._dtype), device)

  def _compile(self, call: Call, index: int) -> Callable[..., Any]:
    """Compiles for all devices; returns the executable of one."""
    first = self._devices[0]
    compiled = executables.compile_for(
        loop.compiled(self._spec),
        (first.memory, (call.integers, call.constants), *first.inputs, self._extents[0]),
        self._settings.devices)
    for own, execute in zip(self._devices, compiled):
      own.execute = execute
    return compiled[index]

  def _set_extent(self) -> None:
    num_epochs, num_train, num_valid = self._counts
    self._measure = Measure.make(
        num_train, num_valid, self._num_tasks, accuracy=self._layout.num_classes > 0)
    extent = np.array(loop.Extent(
        num_train, num_valid, num_epochs, *self._stored, int(self._settings.fingerprint)),
        np.int32)
    self._extents = [jax.device_put(extent, own.device) for own in self._devices]

  def _empty_trace(self, num_programs: int) -> tuple[np.ndarray, np.ndarray]:
    num_epochs, *counts = self._counts
    width = 1 + (self._layout.num_classes if self._layout.multiclass else 1)
    train, valid = (
        np.zeros((num_programs, self._num_tasks, num_epochs, count, width), self._dtype)
        for count in counts)
    return train, valid


_Done = tuple[np.ndarray, loop.Results]  # [n] programs of a call, and NumPy arrays


def _examples(sets: list[Tasks], settings: Settings, layout: Layout) -> loop.Examples:
  """Set by set the examples, with tasks and features side by side."""

  def by_set(name: str) -> np.ndarray:
    values = np.stack([
        np.concatenate([getattr(tasks, f"train_{name}"), getattr(tasks, f"valid_{name}")], axis=1)
        for tasks in sets])
    return np.moveaxis(values, 2, 1).astype(settings.dtype)  # [K, T + V, D, ...]

  x, y = by_set("x"), by_set("y")
  num_sets, num_examples, num_tasks = y.shape
  least = _MIN_NUMBERS // layout.widths[1]
  x = _pad_rows(x.reshape(num_sets * num_examples, -1), least)
  y = _pad_rows(y.reshape(num_sets * num_examples, -1), least)
  y = np.pad(y, [(0, 0), (0, layout.widths[0] - num_tasks)])
  seeds = np.stack([tasks.seeds for tasks in sets])
  orders = np.zeros((0, num_tasks), np.int32)
  if settings.num_epochs > 1:
    orders = evaluation.epoch_orders(seeds.reshape(-1), settings.num_epochs, sets[0].num_train)
    by_task = orders.reshape(*orders.shape[:2], num_sets, num_tasks)
    orders = _pad_rows(
        np.moveaxis(by_task, 2, 0).reshape(-1, num_tasks), _MIN_NUMBERS // num_tasks)
  return loop.Examples(x, y, _pad_rows(seeds, _MIN_SETS), orders)


def _pad_rows(array: np.ndarray, least: int) -> np.ndarray:
  """Zeros behind the rows, so that there is a power of two of them, and at least so many."""
  size = 1 << (max(len(array), least, 1) - 1).bit_length()
  return np.pad(array, [(0, size - len(array))] + [(0, 0)] * (array.ndim - 1))
