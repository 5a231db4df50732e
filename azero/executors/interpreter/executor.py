"""Evaluation by the interpreter: the reference that the wave executor must equal.

Programs are packed without their dead code and cut into chunks of one fixed number of lanes;
`lax.switch` under `vmap` computes every op for every lane, so this is slow and easy to trust.
"""

from collections.abc import Callable, Sequence
import dataclasses
import functools
import math
from typing import Any

import jax
import numpy as np

from azero.compiler import canonical
from azero.executors import executables
from azero.executors.activity import DEVICES
from azero.executors.interpreter import evaluation, pack
from azero.executors.outcomes import Measure, Outcomes, hash_predictions, take_in
from azero.executors.settings import Settings
from azero.language.ops import Kind
from azero.language.program import Programs, SearchSpace
from azero.tasks.task import Tasks

_VECTOR_WIDTH = 16  # lanes are a multiple of the widest vector register
_TARGET_BYTES = 64 * 1024  # memories of all lanes and tasks together
_NO_WORDS = np.empty((0, 2, 0), np.uint32)


class InterpreterExecutor:
  """Runs programs of one space on sets of tasks; see `Settings`."""

  def __init__(self, sets: list[Tasks], settings: Settings):
    """Puts the tasks on the devices."""
    self._settings = settings
    self._sets = sets
    self._num_tasks = len(sets[0])
    self._lanes = settings.lanes or _default_lanes(settings.space, self._num_tasks)
    self._spec = evaluation.Spec(
        settings.space, sets[0].num_classes, settings.num_epochs,
        settings.trace or settings.fingerprint)
    data = _stack(sets, settings)
    inputs = data, settings.seed32, np.asarray(settings.max_abs_error, settings.dtype)
    self._inputs = [jax.device_put(inputs, device) for device in settings.devices]

  def plan(self, programs: Programs, analysis: canonical.Analysis, raw: bool) -> pack.Packed:
    """Prepares N programs."""
    return pack.pack(programs, analysis, raw=raw)

  def part(
      self, num_train: int, num_valid: int, *, fingerprint: bool) -> "InterpreterExecutor":
    """An executor of one epoch of the first examples."""
    settings = dataclasses.replace(
        self._settings, num_epochs=1, fingerprint=fingerprint, trace=False)
    cut = [dataclasses.replace(
        tasks, train_x=tasks.train_x[:, :num_train], train_y=tasks.train_y[:, :num_train],
        valid_x=tasks.valid_x[:, :num_valid], valid_y=tasks.valid_y[:, :num_valid])
           for tasks in self._sets]
    return InterpreterExecutor(cut, settings)

  def jobs(
      self, plan: pack.Packed, sets: np.ndarray, num_parts: int
  ) -> list[Callable[[int], "_Done"]]:
    """What evaluates the programs of a plan on the task sets [N], a chunk each.

    Each job, given the index of a device, runs there until it is done.
    """
    del num_parts  # chunks are of one size
    # Programs of like length share a chunk, which runs as long as its longest.
    order = np.argsort(-plan.counts[:, 1:].sum(1), kind="stable")
    chunks = [order[start : start + self._lanes] for start in range(0, len(order), self._lanes)]
    if not chunks:
      return [self._run_nothing]  # for the shapes of no results
    return [functools.partial(self._run, chunk, plan, sets) for chunk in chunks]

  def collect(self, done: Sequence["_Done"], num_programs: int) -> Outcomes:
    """Puts the results of the jobs in the order of the programs."""
    settings, tasks = self._settings, self._sets[0]
    measure = Measure.make(
        tasks.num_train, tasks.num_valid, self._num_tasks, accuracy=tasks.num_classes > 0)
    trace = self._join_traces(done, num_programs)
    outcomes = Outcomes.empty(
        num_programs, self._num_tasks, False, trace if settings.trace else None)
    for programs, outcome in done:
      take_in(
          outcomes, programs[:num_programs], outcome.fitness, outcome.train_steps, _NO_WORDS,
          measure)
    if settings.fingerprint:
      outcomes = outcomes._replace(fingerprint=hash_predictions(trace))
    return outcomes

  @staticmethod
  def _join_traces(done: Sequence["_Done"], num_programs: int) -> Any:
    """Traces in the order of the programs, or None."""
    order = np.concatenate([programs for programs, _ in done])[:num_programs]

    def gather(*leaves: np.ndarray) -> np.ndarray:
      joined = np.concatenate(leaves)[:num_programs]
      result = np.empty_like(joined)
      result[order] = joined
      return result

    return jax.tree.map(gather, *(outcome.trace for _, outcome in done))

  def _run(
      self, chunk: np.ndarray, packed: pack.Packed, sets: np.ndarray, device: int
  ) -> "_Done":
    """Runs a chunk, indices of programs, on a device."""
    padding = self._lanes - len(chunk)
    counts = packed.counts[chunk].max(0)
    # Padding repeats a program of the chunk; the results are dropped.
    lanes = np.append(chunk, np.repeat(chunk[-1:], padding)) if padding else chunk
    tasks = sets[lanes, None] * self._num_tasks + np.arange(self._num_tasks, dtype=np.int32)
    with np.errstate(over="ignore"):  # a constant beyond float32 is infinite there
      constants = packed.constants[lanes].astype(self._settings.dtype)
    arguments = packed.integers[lanes], constants, counts, tasks
    # Looked up every time: raw programs may have more instructions than live ones.
    run = executables.compile_for(
        _compiled(self._spec), (arguments, *self._inputs[0]), self._settings.devices)
    with DEVICES.busy(device):
      outcome = jax.tree.map(np.asarray, run[device](arguments, *self._inputs[device]))
    return chunk, jax.tree.map(lambda leaf: leaf[: len(chunk)], outcome)

  def _run_nothing(self, device: int) -> "_Done":
    """Runs a chunk of one program without instructions and drops it."""
    empty = Programs.empty(self._settings.space)
    nothing = pack.pack(empty, canonical.analyse(empty, multiclass=self._sets[0].multiclass))
    return self._run(np.zeros(1, int), nothing, np.zeros(1, np.int32), device)


_Done = tuple[np.ndarray, Any]  # [n] programs of a chunk, and an Outcome of NumPy arrays


@functools.lru_cache(maxsize=64)
def _compiled(spec: evaluation.Spec):
  """The jitted evaluation, vmapped over programs and tasks."""

  def run(chunk, data, seed, max_abs_error):
    integers, constants, num_instructions, tasks = chunk

    def one(code, task):
      return evaluation.evaluate(
          code, num_instructions, task, data, seed=seed, max_abs_error=max_abs_error, spec=spec)

    code = pack.unpack(integers, constants)
    return jax.vmap(jax.vmap(one, in_axes=(None, 0)))(code, tasks)

  return jax.jit(run)


def _default_lanes(space: SearchSpace, num_tasks: int) -> int:
  cells = sum(
      size * math.prod(kind.shape(space.num_features))
      for kind, size in zip(Kind, space.num_addresses))
  lanes = _VECTOR_WIDTH * round(_TARGET_BYTES / (4 * cells * num_tasks) / _VECTOR_WIDTH)
  return min(max(lanes, _VECTOR_WIDTH), 256)


def _stack(sets: list[Tasks], settings: Settings) -> evaluation.TaskData:
  """Examples first, then all tasks of all sets."""

  def examples_first(name: str) -> np.ndarray:
    values = np.concatenate([getattr(tasks, name) for tasks in sets]).swapaxes(0, 1)
    return values.astype(settings.dtype)

  seeds = np.concatenate([tasks.seeds for tasks in sets])
  return evaluation.TaskData(
      examples_first("train_x"), examples_first("train_y"), examples_first("valid_x"),
      examples_first("valid_y"), seeds,
      evaluation.epoch_orders(seeds, settings.num_epochs, sets[0].num_train))
