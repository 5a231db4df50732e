"""Evaluation by waves: the host side of the fast executor.

Schedules batches, lends each device its memory, and puts the results back in order. The
executable is compiled before the first batch runs, for all devices.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from azero.compiler import canonical
from azero.executors import executables
from azero.executors.interpreter import evaluation
from azero.executors.outcomes import Launched, Outcomes, hash_words
from azero.executors.settings import Settings
from azero.executors.waves import loop
from azero.executors.waves.layout import Layout, make_layout
from azero.executors.waves.schedule import Scheduler
from azero.executors.waves.straight_line import StraightLine
from azero.executors.waves.tables import Call
from azero.language.program import Programs
from azero.tasks.task import Tasks

_MEMORIES = 3  # of each device; two groups of islands have a call each under way
# Instructions times examples that are worth a call: a few milliseconds.
_PART_WORK = 400_000
_TRACED_PROGRAMS = 64  # of a chunk; a trace is large


class WaveExecutor:
  """Runs programs of one space on sets of tasks; see `Settings`."""

  def __init__(self, sets: list[Tasks], settings: Settings):
    """Puts the tasks on the devices."""
    self._settings = settings
    dtype = np.dtype(settings.dtype)
    tasks = sets[0]
    self._num_tasks, self._num_train = len(tasks), tasks.num_train
    self._layout = make_layout(
        settings.space, len(tasks), tasks.num_classes, dtype.itemsize,
        num_programs=settings.lanes or (_TRACED_PROGRAMS if settings.trace else None),
        **({"max_chunks": 1} if settings.trace else {}))
    self._scheduler = Scheduler(self._layout, dtype)
    self._spec = loop.WaveSpec(
        self._layout, tasks.num_train, tasks.num_valid, settings.num_epochs,
        settings.fingerprint, settings.trace)
    examples = _examples(sets, settings, self._layout)
    inputs = examples, settings.seed32, np.asarray(settings.max_abs_error, dtype)
    self._inputs = [jax.device_put(inputs, device) for device in settings.devices]
    # Memories of each device in turn: one that a running call has is waited for.
    self._memories = [
        [jax.device_put(loop.new_memory(self._layout, dtype), device) for _ in range(_MEMORIES)]
        for device in settings.devices]
    self._executables: list[Callable[..., Any]] = []
    self._next_device = 0

  def plan(self, programs: Programs, analysis: canonical.Analysis, raw: bool) -> StraightLine:
    """Prepares N programs."""
    return self._scheduler.plan(programs, analysis, raw=raw)

  def launch(self, plan: StraightLine, sets: np.ndarray) -> Launched:
    """Starts the programs of a plan on the task sets [N], without waiting."""
    spec = self._spec
    work = plan.num_instructions * (spec.num_train + spec.num_valid) * spec.num_epochs
    calls = self._scheduler.schedule(
        plan, sets, num_parts=min(len(self._inputs), 1 + work // _PART_WORK))
    if calls and not self._executables:
      self._executables = executables.compile_for(
          loop.compiled(spec),
          (self._memories[0][0], calls[0].integers, calls[0].constants, *self._inputs[0]),
          self._settings.devices)
    launched = [(call, self._launch(call)) for call in calls]
    return Launched(
        [results for _, results in launched],
        lambda: self._collect(launched, len(plan.rows)))

  def _launch(self, call: Call) -> loop.Results:
    """Starts a call on the next device and returns without waiting."""
    device = self._next_device
    self._next_device = (device + 1) % len(self._inputs)
    memories = self._memories[device]
    memory, results = self._executables[device](
        memories.pop(0), call.integers, call.constants, *self._inputs[device])
    memories.append(memory)
    return results

  def _collect(self, launched: list[tuple[Call, loop.Results]], num_programs: int) -> Outcomes:
    """Puts the results of the calls in the order of the programs."""
    settings, num_tasks = self._settings, self._num_tasks
    fitness = np.zeros((num_programs, num_tasks), settings.dtype)
    steps = np.zeros((num_programs, num_tasks), np.int32)
    fingerprint = np.zeros((num_programs, 2), np.uint64) if settings.fingerprint else None
    trace = self._empty_trace(num_programs) if settings.trace else None
    for call, results in launched:
      some = slice(0, len(call.programs)), slice(0, num_tasks)
      fitness[call.programs] = np.asarray(results.fitness)[some]
      steps[call.programs] = np.asarray(results.train_steps)[some]
      if fingerprint is not None:
        words = np.asarray(results.fingerprint)[some].astype(np.uint64)
        fingerprint[call.programs] = hash_words(words[..., 0] << np.uint64(32) | words[..., 1])
      if trace is not None:
        # [E, T + V, P, A, ...] -> [n, D, E, T + V, ...]
        rows = np.asarray(results.trace).transpose(2, 3, 0, 1, 4)
        rows = rows[: len(call.programs), :num_tasks]
        trace[0][call.programs] = rows[:, :, :, : self._num_train]
        trace[1][call.programs] = rows[:, :, :, self._num_train :]
    return Outcomes(fitness, steps, trace, fingerprint)

  def _empty_trace(self, num_programs: int) -> tuple[np.ndarray, np.ndarray]:
    spec = self._spec
    width = 1 + (self._layout.num_classes if self._layout.multiclass else 1)
    train, valid = (
        np.zeros((num_programs, self._num_tasks, spec.num_epochs, count, width),
                 self._settings.dtype)
        for count in (spec.num_train, spec.num_valid))
    return train, valid


def _examples(sets: list[Tasks], settings: Settings, layout: Layout) -> loop.Examples:
  """Examples first, then task sets, then tasks and features side by side."""

  def examples_first(name: str) -> np.ndarray:
    values = np.stack([
        np.concatenate([getattr(tasks, f"train_{name}"), getattr(tasks, f"valid_{name}")], axis=1)
        for tasks in sets])
    return np.moveaxis(values, 2, 0).astype(settings.dtype)

  x, y = examples_first("x"), examples_first("y")
  num_sets, num_tasks = x.shape[1:3]
  seeds = np.stack([tasks.seeds for tasks in sets])
  orders = evaluation.epoch_orders(seeds.reshape(-1), settings.num_epochs, sets[0].num_train)
  return loop.Examples(
      x.reshape(len(x), num_sets, -1),
      np.pad(y, [(0, 0), (0, 0), (0, layout.widths[0] - num_tasks)]), seeds,
      orders.reshape(*orders.shape[:2], num_sets, num_tasks))
