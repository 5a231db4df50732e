"""One program that learns from examples as they come, and predicts with what it remembers.

An evaluation trains and validates in one go. A program that is used (sections 3 and S7 of the
AutoML-Zero paper end before that) is trained on examples in any order and number, may go on
later, and predicts rows that nobody has a label of. Its memory after training is all that it
knows: the addresses that an example passes on to the next one.

Every row is predicted from the same memory, as if it were the only one, so that neither order
nor company of rows matter. Where the first rows of a validation change the memory and later
ones do not (`Straight.settles`), that has happened before. A program whose Predict never leaves
its memory alone, or draws random numbers, predicts each row as the first after training.
"""

from collections.abc import Mapping
import functools
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from azero.executors import executables
from azero.executors.devices import find_devices
from azero.executors.single import straight_line
from azero.executors.single.straight_line import Address, Constants, Memory, Straight
from azero.executors.single.training import TaskData, Training, Trial
from azero.language.ops import Kind
from azero.language.program import Programs

_MIN_ROWS = 128  # arrays have a power of two of rows, at least so many, so that few are compiled
_PIECE = 4096  # examples of a call: longer orders go in pieces
_KINDS = {kind.letter: kind for kind in Kind}

Remembered = dict[str, np.ndarray]  # by address: s2 [], v1 [F], m0 [F, F]


class Examples(NamedTuple):
  """Examples on the device, with zeros behind them.

  Attributes:
    x: [R, F], R a power of two.
    y: [R], labels as `Tasks` has them.
    num_rows: how many are examples.
  """

  x: jax.Array
  y: jax.Array
  num_rows: int


class Learner:
  """One program compiled alone.

  Programs that differ in constants only share what is compiled, and so do all numbers of
  examples of one power of two.
  """

  def __init__(
      self, program: Programs, num_classes: int, *, max_abs_error: float = 100.0, seed: int = 0):
    """Analyses the program; compiles nothing yet.

    Args:
      program: a batch of one.
      num_classes: 0 for regression, 2 for binary, more for multi-class labels.
      max_abs_error: a training error above it stops the program.
      seed: of its random ops.

    Raises:
      ValueError: not one program, a malformed one, or more classes than features.
    """
    self.num_features, self.num_classes = program.space.num_features, num_classes
    if num_classes > max(2, self.num_features):
      raise ValueError(
          f"{num_classes} classes need at least {num_classes} features, got {self.num_features}; "
          "pad the features with zeros.")
    straight = straight_line.straighten(program, multiclass=num_classes > 2)
    code = _Code(
        straight.functions, straight.label, straight.prediction, straight.carried,
        straight.settles, straight.varying_matrices)
    self._start, self._learn, self._predict = _compiled(
        code, self.num_features, num_classes, max_abs_error)
    self._trial = Trial(
        straight.constants.values.astype(np.float32), np.uint32(seed & 0xFFFFFFFF))

  def put(self, x: np.ndarray, y: np.ndarray) -> Examples:
    """Puts examples [N, F] and their labels [N] on the device."""
    return Examples(_padded(x), _padded(y), len(x))

  def start(self) -> Remembered:
    """What the program remembers after Setup."""
    return _remembered(_run(self._start, self._trial))

  def learn(
      self, memory: Mapping[str, np.ndarray], examples: Examples, order: np.ndarray, *,
      num_before: int = 0,
  ) -> tuple[Remembered, bool]:
    """Trains on examples.

    Args:
      memory: what the program remembers before.
      examples: from `put`.
      order: [S] int, the examples in the order in which it sees them.
      num_before: how many it has learned from before; random ops draw by the number.

    Returns:
      What it remembers then, and whether it goes on: False if an error was not finite or above
      `max_abs_error`, at which it stopped.
    """
    carry = _carry(memory)
    for start in range(0, len(order), _PIECE):
      piece = order[start : start + _PIECE]
      rows = np.zeros(_PIECE, np.int32)
      rows[: len(piece)] = piece
      carry, alive = _run(
          self._learn, self._trial, (examples.x, examples.y), carry, rows,
          (np.int32(len(piece)), np.int32((num_before + start) % 2**31)))
      if not alive:
        return _remembered(carry), False
    return _remembered(carry), True

  def predict(self, memory: Mapping[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Normalised predictions.

    Args:
      memory: what the program remembers.
      x: [N, F].

    Returns:
      [N] float64 predictions, for two classes the probability of class 1; [N, C] for more
      classes. NaN where a program computes nothing finite.
    """
    predictions = _run(self._predict, self._trial, _carry(memory), _padded(x))
    return np.asarray(predictions, np.float64)[: len(x)]


class _Code(NamedTuple):
  """All of `Straight` but the constants; hashable."""

  functions: Any
  label: Address
  prediction: Address
  carried: tuple[Address, ...]
  settles: int | None
  varying_matrices: int


class _Stream(Training):
  """Training and prediction apart from each other."""

  def start(self, trial: Trial) -> Memory:
    """What is carried on after Setup."""
    return self._start(self._data(), trial)[1]

  def learn(
      self, trial: Trial, examples: tuple[jax.Array, jax.Array], carry: Memory, order: jax.Array,
      counts: tuple[jax.Array, jax.Array],
  ) -> tuple[Memory, jax.Array]:
    """What is carried on after the first counts[0] examples of the order; whether alive."""
    data = self._data(examples)
    fixed, _ = self._start(data, trial)
    count, before = counts

    def go_on(state):
      t, _, alive = state
      return alive & (t < count)

    def train(state):
      t, carry, _ = state
      carry, error = self._train_example(data, trial, fixed, carry, order[t], before + t)
      return t + 1, carry, error <= self._max_abs_error  # False for NaN

    _, carry, alive = lax.while_loop(go_on, train, (jnp.int32(0), carry, jnp.array(True)))
    return carry, alive

  def predict(self, trial: Trial, carry: Memory, x: jax.Array) -> jax.Array:
    """Normalised predictions of [N, F]: [N] or [N, C]."""
    nothing = self._data()
    fixed, _ = self._start(nothing, trial)
    for _ in range(self._code.settles or 0):  # to what, does not depend on the features
      carry, _, _ = self._valid_example(nothing, trial, fixed, carry, jnp.int32(0), jnp.int32(0))

    def predict(row):
      data = nothing._replace(valid_x=row[None])
      _, _, raw = self._valid_example(data, trial, fixed, carry, jnp.int32(0), jnp.int32(0))
      return self._loss.normalise(raw)

    return lax.map(predict, x, batch_size=self._at_once(_MIN_ROWS, x.dtype))

  def _data(self, train: tuple[jax.Array, jax.Array] | None = None) -> TaskData:
    """Examples to train on, and one row of zeros to predict."""
    x, y = jnp.zeros((1, self._num_features), jnp.float32), jnp.zeros(1, jnp.float32)
    train_x, train_y = (x, y) if train is None else train
    return TaskData(train_x, train_y, x, y, jnp.uint32(0))


@functools.lru_cache(maxsize=64)
def _compiled(
    code: _Code, num_features: int, num_classes: int, max_abs_error: float) -> tuple[Any, ...]:
  """Compiled `_Stream.start`, `learn` and `predict`."""
  straight = Straight(
      code.functions, Constants(np.zeros(0), (), ()), code.label, code.prediction, code.carried,
      code.settles, code.varying_matrices)
  stream = _Stream(straight, num_features, num_classes, max_abs_error=max_abs_error)
  return jax.jit(stream.start), jax.jit(stream.learn), jax.jit(stream.predict)


def _run(jitted: Any, *arguments: Any) -> Any:
  """Calls a function on the first device, compiled or read from disk as all executables are."""
  [compiled] = executables.compile_for(jitted, arguments, find_devices(1))
  return compiled(*arguments)


def _rows(count: int) -> int:
  return 1 << (max(count, _MIN_ROWS) - 1).bit_length()


def _padded(array: np.ndarray) -> jax.Array:
  """An array on the device with zeros behind its rows."""
  padded = np.zeros((_rows(len(array)), *array.shape[1:]), np.float32)
  padded[: len(array)] = array
  return jax.device_put(padded)


def _remembered(carry: Mapping[Address, Any]) -> Remembered:
  return {
      f"{address.kind.letter}{address.number}": np.asarray(value)
      for address, value in carry.items()}


def _carry(memory: Mapping[str, np.ndarray]) -> dict[Address, np.ndarray]:
  return {
      Address(_KINDS[name[0]], int(name[1:])): np.asarray(value) for name, value in memory.items()}
