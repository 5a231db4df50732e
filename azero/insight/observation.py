"""What the instructions of a program write while it trains: typical values, example by example.

A knock-out that takes away what a value depends on puts its mean in its place, and simplification
tries constants; supplement S7 of the AutoML-Zero paper replaces computed hyperparameters by
constants in the same way. The program runs instruction by instruction on one task, as an
evaluation runs it.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from azero.compiler import canonical
from azero.executors import noise
from azero.executors.loss import Loss
from azero.executors.noise import Phase
from azero.executors.single import straight_line
from azero.insight.surgery import At
from azero.language.program import Function, Programs
from azero.tasks.task import Tasks


def observe(
    program: Programs, tasks: Tasks, *, num_examples: int = 20, seed: int = 0
) -> dict[At, np.ndarray]:
  """What the live instructions write in training, as its mean over elements.

  Args:
    program: a batch of one.
    tasks: of which the first one is used.
    num_examples: of its training examples, the first ones.
    seed: evaluation seed.

  Returns:
    For each live instruction of Predict and Learn [N] means, one for each example that training
    got to; for those of Setup [1].

  Raises:
    ValueError: not one program, or no example.
  """
  if num_examples < 1:
    raise ValueError(f"num_examples must be at least 1, got {num_examples}.")
  runner = _Runner(program, tasks, seed)
  for example in range(min(num_examples, tasks.num_train)):
    if not runner.train(example):
      break
  return {at: np.array(values) for at, values in runner.seen.items()}


def typical_values(observed: Mapping[At, np.ndarray]) -> dict[At, float]:
  """The mean of what each instruction wrote, over examples in which it was finite; else zero."""
  means = {}
  for at, values in observed.items():
    finite = values[np.isfinite(values)]
    means[at] = float(finite.mean()) if len(finite) else 0.0
  return means


@jax.jit
def _key(seed: jax.Array, task_seed: jax.Array, phase: jax.Array, example: jax.Array) -> noise.Key:
  """The key of one execution of a component function, as an evaluation has it."""
  return noise.fold(noise.fold(noise.make_key(seed, task_seed), phase), example)


class _Runner:
  """A program in training.

  Attributes:
    seen: what was written, so far.
  """

  def __init__(self, program: Programs, tasks: Tasks, seed: int):
    self._code = straight_line.straighten(program, multiclass=tasks.multiclass)
    analysis = canonical.analyse(program, multiclass=tasks.multiclass)
    slots = np.flatnonzero(analysis.live[0])
    space = program.space
    self._at = [
        At(Function(space.function_of_slot[slot]),
           int(slot) - space.offsets[space.function_of_slot[slot]] + 1) for slot in slots.tolist()]
    self._loss = Loss(tasks.num_classes)
    self._x = tasks.train_x[0].astype(np.float32)
    self._y = tasks.train_y[0].astype(np.float32)
    self._seeds = np.uint32(seed), np.uint32(tasks.seeds[0])
    self._constants = jnp.asarray(self._code.constants.values, jnp.float32)
    self.seen: dict[At, list[float]] = {at: [] for at in self._at}
    self._memory: straight_line.Memory = {}
    self._execute(Function.SETUP, Phase.SETUP, 0)

  def train(self, example: int) -> bool:
    """Predicts and learns; returns whether training goes on."""
    code = self._code
    self._memory[straight_line.FEATURES] = jnp.asarray(self._x[example])
    self._memory.pop(code.label, None)  # hidden
    self._execute(Function.PREDICT, Phase.TRAIN_PREDICT, example)
    prediction = straight_line.read(
        self._memory, code.prediction, len(self._x[0]), jnp.dtype("float32"))
    if self._loss.multiclass:
      prediction = prediction[: self._loss.num_classes]
    prediction = self._loss.normalise(prediction)
    label = self._loss.label(jnp.asarray(self._y[example]))
    self._memory[code.prediction] = self._stored(prediction)
    self._memory[code.label] = self._stored(label)
    if not np.isfinite(self._loss.train_error(label, prediction)):
      return False
    self._execute(Function.LEARN, Phase.LEARN, example)
    return True

  def _stored(self, value: jax.Array) -> jax.Array:
    return self._loss.pad(value, len(self._x[0])) if self._loss.multiclass else value

  def _execute(self, function: Function, phase: Phase, example: int) -> None:
    key = _key(*self._seeds, np.uint32(phase), np.uint32(example))
    for line in self._code.functions[function]:
      self._memory = straight_line.execute(
          (line,), self._memory, self._constants, key, len(self._x[0]))
      value = np.asarray(self._memory[line.output])
      self.seen[self._at[line.position]].append(float(value.mean()))
