"""What the wave executor does with predictions: errors, stops, fitness, fingerprints.

Programs are scored a tile at a time, as many tiles as there are programs. What changes with
every example is as little as can be: a program is alive while it has trained on every example
so far, and what stops one in a validation makes that number another.
"""

from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from azero.executors import noise
from azero.executors.loss import Loss
from azero.executors.waves import rows
from azero.executors.waves.layout import PROGRAM_TILE, Layout
from azero.executors.waves.rows import Memory
from azero.executors.waves.tables import Tables

_KEPT_BITS = 0xFFFFFF80  # of a prediction in a fingerprint: 16 bits of mantissa
_TILE = np.int32(PROGRAM_TILE)


class Scores(NamedTuple):
  """What is known of the P programs of a chunk on A >= D columns of tasks.

  Attributes:
    steps: [P, A] int32, examples trained on; below 0, as `_ended` makes it, once the program
      stopped in a validation.
    total: [P, A] sum of squared errors in this validation.
    best: [P, A] fitness of the best epoch.
    fingerprint: [P, 2, A] uint32.
    trace: [E, T + V, P, A, 1 + C], or an empty tuple.
  """

  steps: jax.Array
  total: jax.Array
  best: jax.Array
  fingerprint: jax.Array
  trace: Any


def train_steps(steps: jax.Array) -> jax.Array:
  """Examples trained on, from `Scores.steps`."""
  return jnp.maximum(steps, _ended(steps))


def _ended(steps: jax.Array) -> jax.Array:
  """Numbers of examples trained on, as those of programs that stopped for good; and back."""
  return -1 - steps


class Scorer:
  """Scores the programs of the chunks of one call."""

  def __init__(
      self, spec: Any, tables: Tables, extent: Any, max_abs_error: jax.Array, dtype: jnp.dtype):
    """Args: a WaveSpec, the schedule, an Extent, the bound of errors, the type of the memory."""
    self._spec, self._tables, self._extent, self._dtype = spec, tables, extent, dtype
    self._max_abs_error = max_abs_error
    self._layout: Layout = spec.layout
    self.loss = Loss(self._layout.num_classes)
    # Scalar rows are padded with columns that stand for no task.
    self.columns = self._layout.num_tasks if self._layout.multiclass else self._layout.widths[0]

  def zeros(self) -> Scores:
    """Scores of no program."""
    shape = self._layout.num_programs, self.columns
    integers, floats = jnp.zeros(shape, jnp.int32), jnp.zeros(shape, self._dtype)
    trace: Any = ()
    if self._spec.traced:
      width = 1 + (self._layout.num_classes if self._layout.multiclass else 1)
      epochs, num_train, num_valid = self._spec.traced
      trace = jnp.full((epochs, num_train + num_valid, *shape, width), jnp.nan, self._dtype)
    return Scores(integers, floats, floats, jnp.zeros((shape[0], 2, shape[1]), jnp.uint32), trace)

  def start(self, g: jax.Array) -> Scores:
    """Scores of chunk `g` before its evaluation."""
    program = jnp.arange(self._layout.num_programs, dtype=jnp.int32)[:, None]
    task = jnp.arange(self.columns, dtype=jnp.int32)
    real = (program < self._tables.num_programs[g]) & (task < self._layout.num_tasks)
    scores = self.zeros()
    return scores._replace(steps=jnp.where(real, scores.steps, _ended(scores.steps)))

  def train(
      self, g: jax.Array, epoch: jax.Array, example: jax.Array, condition: jax.Array,
      memory: Memory, scores: Scores,
  ) -> tuple[Memory, Scores]:
    """Normalises the predictions in memory and compares them, if the condition holds."""
    kind = self._layout.label_kind

    done = epoch * self._extent.num_train + example  # examples before this one

    def tile(first, state):
      memory, scores = state
      prediction = self._read(g, self._tables.trained, first, memory)
      if self._layout.num_classes:
        place = self._layout.first_prediction + first
        memory = rows.replace(memory, kind, rows.write(
            memory[kind], self._as_rows(self.loss.normalise(prediction)), place))
        prediction = self._by_class(_read_back(memory[kind], place))
      label = self._read(g, self._tables.labels, first, memory)
      error = self.loss.train_error(label, prediction)
      before = _slice(scores.steps, first)
      goes_on = (before == done) & (error <= self._max_abs_error)  # False for NaN
      scores = _put(scores, first, steps=before + goes_on.astype(jnp.int32))
      stopped = _read_back(scores.steps, first) != done + 1
      return memory, self._note(
          scores, first, (epoch, example), stopped, error, prediction)

    return self._for_tiles(g, condition, tile, (memory, scores))

  def validate(
      self, g: jax.Array, epoch: jax.Array, example: jax.Array, condition: jax.Array,
      memory: Memory, scores: Scores,
  ) -> Scores:
    """Compares the predictions, which stay as they are, if the condition holds."""

    trained = (epoch + 1) * self._extent.num_train

    def tile(first, scores):
      prediction = self.loss.normalise(self._read(g, self._tables.validated, first, memory))
      label = self._read(g, self._tables.labels, first, memory)
      error = self.loss.valid_error(label, prediction)
      good = jnp.isfinite(error)
      if self._layout.num_classes == 0:
        good &= error <= self._max_abs_error
      # A new sum begins with the epoch's first example.
      before = jnp.where(example == self._extent.num_train, 0, _slice(scores.total, first))
      steps = _slice(scores.steps, first)
      scores = _put(
          scores, first, total=before + error * error,
          steps=jnp.where(good | (steps < 0), steps, _ended(steps)))
      stopped = _read_back(scores.steps, first) != trained
      return self._note(
          scores, first, (epoch, example), stopped, error, prediction)

    return self._for_tiles(g, condition, tile, scores)

  def any_alive(
      self, g: jax.Array, epoch: jax.Array, example: jax.Array, condition: jax.Array,
      before: jax.Array, scores: Scores,
  ) -> jax.Array:
    """Whether a program is alive, looked at if the condition holds.

    In validation too, where `example` is beyond the training examples, those count that have
    trained on every example.
    """
    done = epoch * self._extent.num_train + jnp.minimum(example + 1, self._extent.num_train)

    def tile(first, found):
      return found | jnp.any(_slice(scores.steps, first) == done)

    return self._for_tiles(g, condition, tile, before & ~condition)

  def end_epoch(
      self, g: jax.Array, epoch: jax.Array, condition: jax.Array, scores: Scores
  ) -> Scores:
    """Keeps the best epoch's fitness, if the condition holds."""
    trained = (epoch + 1) * self._extent.num_train
    count = self._extent.num_valid.astype(self._dtype)

    def tile(first, scores):
      fitness = self.loss.fitness(_slice(scores.total, first), count)
      alive = _slice(scores.steps, first) == trained
      best = jnp.maximum(_slice(scores.best, first), jnp.where(alive, fitness, 0))
      return _put(scores, first, best=best)

    return self._for_tiles(g, condition, tile, scores)

  def _for_tiles(self, g, condition, tile, state):
    count = lax.div(self._tables.num_programs[g] + (_TILE - 1), _TILE)
    return lax.fori_loop(
        jnp.int32(0), jnp.where(condition, count, 0), lambda i, state: tile(i * _TILE, state),
        state)

  def _read(self, g, table, first, memory) -> jax.Array:
    """Predictions or labels of a tile: [n, A], or [n, D, C] for multi-class."""
    place = self._tables.first_program[g] + first
    cells = memory[self._layout.label_kind]
    return self._by_class(rows.read(cells, table.window(place, (PROGRAM_TILE,))))

  def _by_class(self, values: jax.Array) -> jax.Array:
    if not self._layout.multiclass:
      return values
    values = values.reshape(len(values), self._layout.num_tasks, -1)
    return values[..., : self._layout.num_classes]

  def _as_rows(self, prediction: jax.Array) -> jax.Array:
    if not self._layout.multiclass:
      return prediction
    padded = self.loss.pad(prediction, self._layout.space.num_features)
    return padded.reshape(len(prediction), -1)

  def _note(self, scores, first, when, stopped, error, prediction) -> Scores:
    """Adds the example, by epoch and number, to fingerprints and trace, where they are wanted."""
    shown = prediction if self._layout.multiclass else prediction[..., None]
    shown = jnp.where(stopped[..., None], jnp.nan, shown)

    def hashed(_, fingerprint):
      # Of a stopped program it stays as it is: how long its chunk runs depends on the others.
      own = _slice(fingerprint, first)
      folded = jnp.where(stopped[:, None], own, _fold_in(own, shown))
      return rows.write(fingerprint, folded, first)

    scores = scores._replace(fingerprint=lax.fori_loop(
        jnp.int32(0), self._extent.fingerprint, hashed, scores.fingerprint))
    if self._spec.traced:
      row = jnp.concatenate([jnp.where(stopped, jnp.nan, error)[..., None], shown], -1)
      start = *when, first, jnp.int32(0), jnp.int32(0)
      scores = scores._replace(
          trace=lax.dynamic_update_slice(scores.trace, row[None, None], start))
    return scores


def _slice(array: jax.Array, first: jax.Array) -> jax.Array:
  return lax.dynamic_slice_in_dim(array, first, PROGRAM_TILE, 0, allow_negative_indices=False)


def _read_back(array: jax.Array, first: jax.Array) -> jax.Array:
  """A tile that has just been written.

  As a gather, lest XLA computes it a second time from what was there before, and for that
  keeps a copy of the whole.
  """
  return rows.read(array, first + jnp.arange(PROGRAM_TILE, dtype=jnp.int32))


def _put(scores: Scores, first: jax.Array, **tiles: jax.Array) -> Scores:
  return scores._replace(**{
      name: rows.write(getattr(scores, name), tile, first) for name, tile in tiles.items()})


def _fold_in(fingerprint: jax.Array, shown: jax.Array) -> jax.Array:
  """Fingerprints [n, 2, A] after one more example with predictions [n, A, 1 or C]."""
  # Without the lowest bits of the mantissa, and one zero.
  numbers = shown.astype(jnp.float32)
  bits = lax.bitcast_convert_type(numbers + jnp.float32(0), jnp.uint32) & jnp.uint32(_KEPT_BITS)
  key = fingerprint[:, 0], fingerprint[:, 1]
  for k in range(shown.shape[-1]):
    key = noise.fold(key, bits[..., k])
  return jnp.stack(key, 1)
