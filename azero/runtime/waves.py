"""The fast executor: waves of one op, many programs and all tasks at once.

The whole evaluation of a chunk of programs (figure 1 of the AutoML-Zero paper) is one loop
over sections: Setup, then Predict and Learn for each training example, then Predict for
each validation example. A section runs its phases, a phase its waves: a `lax.switch` on the
wave's op, which is not batched and so stays a jump, computes rows that are then written in
place. Every branch returns rows and none a memory, and which memory is written is decided
by loops of zero or more trips instead of conditionals, so that nothing is ever copied.
"""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from azero.compiler import tables as tables_lib
from azero.compiler.layout import PROGRAM_TILE, Layout, WaveClass
from azero.compiler.tables import BACK_TO_TRAINING, TO_TRAINING, TO_VALIDATION, VALIDATE, Tables
from azero.language.ops import Constant, Kind, Noise, Op
from azero.language.program import Function
from azero.runtime import noise
from azero.runtime.loss import Loss

Memory = tuple[jax.Array, ...]  # rows of each kind: [rows, width]

_KEPT_BITS = 0xFFFFFF80  # of a prediction in a fingerprint: 16 bits of mantissa
_NAN_BITS = 0x7FC00000


class Examples(NamedTuple):
  """The examples of K task sets of D tasks, training first, then validation.

  Attributes:
    x: [T + V, K, D * F].
    y: [T + V, K, scalar width].
    seeds: [K, D] uint32.
    orders: [E, T, K, D] int32, order of the training examples; empty for one epoch.
  """

  x: jax.Array
  y: jax.Array
  seeds: jax.Array
  orders: jax.Array


class Results(NamedTuple):
  """What a call of the executor returns, for G chunks of P programs and A >= D columns.

  Attributes:
    fitness: [G, P, A] in [0, 1]; columns beyond D mean nothing, here and below.
    train_steps: [G, P, A] int32, examples on which Learn ran.
    trained: [G, P, A] bool, whether the first epoch's training ran to its end.
    fingerprint: [G, P, A, 2] uint32, hash of the truncated predictions, or None.
    trace: [G, E, T + V, P, A, 1 + C] errors and predictions, NaN once stopped, or None.
  """

  fitness: jax.Array
  train_steps: jax.Array
  trained: jax.Array
  fingerprint: jax.Array | None
  trace: jax.Array | None


@dataclasses.dataclass(frozen=True)
class WaveSpec:
  """Everything static about an executor; one compiled executable for each.

  Attributes:
    layout: shapes.
    num_train: T.
    num_valid: V.
    num_epochs: E.
    fingerprint: whether to hash predictions.
    trace: whether to return errors and predictions of every example.
  """

  layout: Layout
  num_train: int
  num_valid: int
  num_epochs: int = 1
  fingerprint: bool = False
  trace: bool = False


class _Scores(NamedTuple):
  """What is known of the P programs of a chunk on A columns of tasks.

  Attributes:
    alive: [P, A] bool.
    steps: [P, A] int32.
    trained: [P, A] bool.
    total: [P, A] sum of squared errors in this validation.
    best: [P, A] fitness of the best epoch.
    fingerprint: [P, A, 2] uint32, or an empty tuple.
    trace: [E, T + V, P, A, 1 + C], or an empty tuple.
  """

  alive: jax.Array
  steps: jax.Array
  trained: jax.Array
  total: jax.Array
  best: jax.Array
  fingerprint: Any
  trace: Any


class _Draws(NamedTuple):
  """What random ops draw by, beside lane and position."""

  keys: noise.Key  # [K, D] each
  phase: jax.Array
  example: jax.Array


def new_memory(layout: Layout, dtype: np.dtype) -> Memory:
  """Memory to lend to `execute`: zeros."""
  return tuple(
      jnp.zeros((rows, width), dtype) for rows, width in zip(layout.num_rows, layout.widths))


@functools.lru_cache(maxsize=64)
def compiled(spec: WaveSpec):
  """The jitted `execute`; the memory that it takes is given up and returned."""
  return jax.jit(functools.partial(execute, spec), donate_argnums=0)


def execute(
    spec: WaveSpec, memory: Memory, tables: Tables, examples: Examples, seed: jax.Array,
    max_abs_error: jax.Array,
) -> tuple[Memory, Results]:
  """Evaluates the programs of one call.

  Args:
    spec: everything static.
    memory: rows of any content but for row 0, which is zero.
    tables: the schedule.
    examples: the tasks.
    seed: [] uint32, evaluation seed of the random ops.
    max_abs_error: [] an error above it stops a program.

  Returns:
    The memory, to be lent again, and the results.
  """
  chunk = _Chunk(spec, tables, examples, seed, max_abs_error)
  zeros = jax.tree.map(
      lambda leaf: jnp.zeros((spec.layout.num_chunks, *leaf.shape), leaf.dtype),
      chunk.new_scores())
  results = Results(
      zeros.best, zeros.steps, zeros.trained, zeros.fingerprint if spec.fingerprint else None,
      zeros.trace if spec.trace else None)

  def body(g, state):
    memory, results = state
    memory, scores = chunk.run(g, memory)
    own = Results(
        scores.best, scores.steps, scores.trained,
        scores.fingerprint if spec.fingerprint else None, scores.trace if spec.trace else None)
    return memory, jax.tree.map(
        lambda every, one: lax.dynamic_update_slice_in_dim(every, one[None], g, 0), results, own)

  return lax.fori_loop(jnp.int32(0), jnp.asarray(tables.num_chunks), body, (memory, results))


class _Chunk:
  """The evaluation of one chunk."""

  def __init__(self, spec, tables, examples, seed, max_abs_error):
    self.spec, self.layout, self.tables, self.examples = spec, spec.layout, tables, examples
    self.max_abs_error = max_abs_error
    self.dtype = examples.x.dtype
    self.loss = Loss(spec.layout.num_classes)
    self.keys = noise.make_key(seed, examples.seeds)
    layout = spec.layout
    # Scalar rows are padded with columns that stand for no task.
    self.columns = layout.num_tasks if layout.multiclass else layout.widths[Kind.SCALAR]
    self.per_epoch = 2 * spec.num_train + spec.num_valid

  def new_scores(self) -> _Scores:
    shape = self.layout.num_programs, self.columns
    spec, zeros = self.spec, jnp.zeros(shape, self.dtype)
    trace: Any = ()
    if spec.trace:
      width = 1 + (self.layout.num_classes if self.layout.multiclass else 1)
      trace = jnp.full(
          (spec.num_epochs, spec.num_train + spec.num_valid, *shape, width), jnp.nan, self.dtype)
    return _Scores(
        jnp.zeros(shape, bool), jnp.zeros(shape, jnp.int32), jnp.zeros(shape, bool), zeros, zeros,
        jnp.zeros((*shape, 2), jnp.uint32) if spec.fingerprint else (), trace)

  def run(self, g: jax.Array, memory: Memory) -> tuple[Memory, _Scores]:
    """Runs chunk `g` from Setup to its last validation."""
    num_programs = self.tables.num_programs[g]
    program = jnp.arange(self.layout.num_programs, dtype=jnp.int32)[:, None]
    task = jnp.arange(self.columns, dtype=jnp.int32)[None]
    real = (program < num_programs) & (task < self.layout.num_tasks)
    scores = self.new_scores()._replace(alive=real)
    last = 1 + self.spec.num_epochs * self.per_epoch

    def more(state):
      section, any_alive, _, _ = state
      return (section < last) & any_alive

    def body(state):
      section, any_alive, memory, scores = state
      memory, scores, any_alive = self._section(g, section, any_alive, memory, scores)
      return section + 1, any_alive, memory, scores

    _, _, memory, scores = lax.while_loop(
        more, body, (jnp.int32(0), jnp.array(True), memory, scores))
    return memory, scores

  def _section(self, g, section, any_alive, memory, scores):
    """One pass through a component function, with what the evaluation does around it."""
    spec = self.spec
    epoch = lax.div(section - 1, jnp.int32(self.per_epoch))
    within = section - 1 - epoch * self.per_epoch
    is_setup = section == 0
    is_valid = within >= 2 * spec.num_train
    training = ~is_setup & ~is_valid
    is_predict = training & (within % 2 == 0)
    is_learn = training & (within % 2 == 1)
    t = jnp.where(is_valid, within - 2 * spec.num_train, within >> 1)
    example = jnp.where(is_valid, t + spec.num_train, t)
    first_valid = is_valid & (t == 0)

    memory = self._copy(memory, g, TO_VALIDATION, first_valid)
    if spec.num_epochs > 1:
      memory = self._copy(memory, g, BACK_TO_TRAINING, is_predict & (within == 0) & (epoch > 0))
    trained = _when(first_valid & (epoch == 0), lambda _: scores.alive, scores.trained)
    scores = scores._replace(trained=trained)
    memory = self._load(memory, g, epoch, t, example, is_predict, is_valid)

    function = jnp.where(
        is_setup, jnp.int32(Function.SETUP),
        jnp.where(is_valid, jnp.int32(VALIDATE),
                  jnp.where(is_learn, jnp.int32(Function.LEARN), jnp.int32(Function.PREDICT))))
    phase = jnp.where(is_valid, jnp.uint32(noise.Phase.VALID_PREDICT), jnp.where(
        is_learn, jnp.uint32(noise.Phase.LEARN), jnp.where(
            is_setup, jnp.uint32(noise.Phase.SETUP), jnp.uint32(noise.Phase.TRAIN_PREDICT))))
    count = jnp.where(is_valid, jnp.int32(spec.num_valid), jnp.int32(spec.num_train))
    counter = jnp.where(is_setup, jnp.int32(0), epoch * count + t)
    memory = self._run_waves(memory, g, function, _Draws(self.keys, phase, counter))

    memory = self._copy(memory, g, TO_TRAINING, is_setup)
    memory, scores, any_alive = self._score(
        memory, scores, any_alive, g, epoch, example, is_predict, is_valid)
    ends = is_valid & (t == spec.num_valid - 1)
    best = _when(ends, lambda best: self._best_epoch(scores, best), scores.best)
    total = _when(ends, jnp.zeros_like, scores.total)
    return memory, scores._replace(best=best, total=total), any_alive

  def _copy(self, memory: Memory, g, copy_set: int, condition) -> Memory:
    """Copies rows from one to another, if the condition holds."""
    result = []
    for kind, rows in zip(Kind, memory):
      first, last = self.tables.copy_sets[g, copy_set, kind]
      moves = self.tables.copies[kind]

      def body(i, rows, moves=moves):
        return _write(rows, _row(rows, moves[i, 0]), moves[i, 1])

      result.append(lax.fori_loop(first, jnp.where(condition, last, first), body, rows))
    return tuple(result)

  def _load(self, memory: Memory, g, epoch, t, example, is_predict, is_valid) -> Memory:
    """Puts features and labels of the example into the rows of the chunk's task sets."""
    layout, examples = self.layout, self.examples
    shuffled = self.spec.num_epochs > 1
    task_sets = self.tables.task_sets

    def from_one_example(j, memory):
      k = task_sets[g, j]
      return self._set_example(memory, j, examples.x[example, k], examples.y[example, k])

    def from_shuffled(j, memory):
      k = task_sets[g, j]
      x, y = jnp.zeros(layout.widths[Kind.VECTOR], self.dtype), jnp.zeros_like(examples.y[0, 0])
      x = x.reshape(layout.num_tasks, -1)

      def one_task(d, xy):
        x, y = xy
        e = examples.orders[epoch, t, k, d]
        own_x = lax.dynamic_slice(
            examples.x, (e, k, d * x.shape[1]), (1, 1, x.shape[1]))[0]
        own_y = lax.dynamic_slice(examples.y, (e, k, d), (1, 1, 1))[0, 0]
        return (lax.dynamic_update_slice(x, own_x, (d, jnp.int32(0))),
                lax.dynamic_update_slice(y, own_y, (d,)))

      x, y = lax.fori_loop(jnp.int32(0), jnp.int32(layout.num_tasks), one_task, (x, y))
      return self._set_example(memory, j, x.reshape(-1), y)

    count = self.tables.num_task_sets[g]
    given = is_valid if shuffled else is_valid | is_predict
    memory = lax.fori_loop(jnp.int32(0), jnp.where(given, count, 0), from_one_example, memory)
    if shuffled:
      memory = lax.fori_loop(jnp.int32(0), jnp.where(is_predict, count, 0), from_shuffled, memory)
    return memory

  def _set_example(self, memory: Memory, j, x, y) -> Memory:
    layout = self.layout
    scalars, vectors, matrices = memory
    vectors = _write(vectors, x[None], layout.first_features + j)
    if layout.multiclass:
      label = self.loss.pad(
          self.loss.label(y[: layout.num_tasks]), layout.space.num_features)
      vectors = _write(vectors, label.reshape(1, -1), layout.first_label + j)
    else:
      scalars = _write(scalars, y[None], layout.first_label + j)
    return scalars, vectors, matrices

  def _run_waves(self, memory: Memory, g, function, draws: _Draws) -> Memory:
    tables = self.tables

    def phase(i, memory):
      for k, wave_class in enumerate(self.layout.classes):
        first, last = tables.phases[i, k]
        wave = functools.partial(
            _run_wave, wave_class=wave_class, table=tables.waves[k], draws=draws,
            layout=self.layout)
        memory = lax.fori_loop(first, last, wave, memory)
      return memory

    first, last = tables.sections[g, function]
    return lax.fori_loop(first, last, phase, memory)

  def _best_epoch(self, scores: _Scores, best: jax.Array) -> jax.Array:
    fitness = self.loss.fitness(scores.total, self.spec.num_valid)
    return jnp.maximum(best, jnp.where(scores.alive, fitness, 0))

  def _score(self, memory, scores, any_alive, g, epoch, example, is_predict, is_valid):
    """Compares the predictions with the labels, if Predict has just run."""
    tables, layout = self.tables, self.layout
    rows = jnp.where(is_valid, tables.validated[g], tables.trained[g])

    def tile(i, state):
      memory, scores, any_alive = state
      first = i * PROGRAM_TILE
      cells = memory[layout.label_kind]
      prediction = self.loss.normalise(self._values(cells, _slice(rows, first)))
      label = self._values(cells, _slice(tables.labels[g], first))
      error, good = self._error(label, prediction, is_valid)
      alive = _slice(scores.alive, first) & good
      new = scores._replace(
          alive=alive,
          steps=_slice(scores.steps, first) + (alive & is_predict).astype(jnp.int32),
          total=_slice(scores.total, first) + jnp.where(is_valid, error * error, 0))
      shown = prediction if layout.multiclass else prediction[..., None]
      shown = jnp.where(alive[..., None], shown, jnp.nan)
      if self.spec.fingerprint:
        new = new._replace(fingerprint=_fold_in(_slice(scores.fingerprint, first), shown))
      scores = scores._replace(**{
          name: lax.dynamic_update_slice_in_dim(
              getattr(scores, name), getattr(new, name), first, 0)
          for name in ("alive", "steps", "total", *["fingerprint"] * self.spec.fingerprint)})
      if self.spec.trace:
        row = jnp.concatenate([jnp.where(alive, error, jnp.nan)[..., None], shown], -1)
        start = epoch, example, first, jnp.int32(0), jnp.int32(0)
        scores = scores._replace(
            trace=lax.dynamic_update_slice(scores.trace, row[None, None], start))
      if layout.num_classes:
        place = layout.first_prediction + first
        old = lax.dynamic_slice_in_dim(cells, place, PROGRAM_TILE, 0)
        # In validation the prediction stays as Predict wrote it.
        cells = _write(cells, jnp.where(is_valid, old, self._as_rows(prediction)), place)
        memory = tuple(
            cells if kind == layout.label_kind else other for kind, other in zip(Kind, memory))
      return memory, scores, any_alive | alive.any()

    scoring = is_predict | is_valid
    tiles = lax.div(tables.num_programs[g] + (PROGRAM_TILE - 1), jnp.int32(PROGRAM_TILE))
    return lax.fori_loop(
        jnp.int32(0), jnp.where(scoring, tiles, 0), tile, (memory, scores, any_alive & ~scoring))

  def _values(self, cells: jax.Array, rows: jax.Array) -> jax.Array:
    """Labels or predictions: [n, A], or [n, D, C] for multi-class."""
    values = _rows(cells, rows)
    if not self.layout.multiclass:
      return values
    values = values.reshape(len(rows), self.layout.num_tasks, -1)
    return values[..., : self.layout.num_classes]

  def _as_rows(self, prediction: jax.Array) -> jax.Array:
    if not self.layout.multiclass:
      return prediction
    return self.loss.pad(prediction, self.layout.space.num_features).reshape(len(prediction), -1)

  def _error(self, label, prediction, is_valid) -> tuple[jax.Array, jax.Array]:
    """Errors, and whether the program goes on: [n, A] each."""
    in_training = self.loss.train_error(label, prediction)
    in_validation = self.loss.valid_error(label, prediction)
    error = jnp.where(is_valid, in_validation, in_training)
    bounded = error <= self.max_abs_error  # False for NaN
    if self.layout.num_classes:
      return error, jnp.where(is_valid, jnp.isfinite(error), bounded)
    return error, bounded & jnp.isfinite(error)


def _run_wave(
    w: jax.Array, memory: Memory, *, wave_class: WaveClass, table: tables_lib.WaveTable,
    draws: _Draws, layout: Layout,
) -> Memory:
  """Runs wave `w` of a class and writes its rows."""
  branches = [
      functools.partial(_compute, op, w, memory, table, wave_class, draws, layout)
      for op in wave_class.ops]
  rows = lax.switch(table.branch[w], branches) if len(branches) > 1 else branches[0]()
  kind = wave_class.output
  # A row that holds fewer numbers leaves the columns behind them as they are.
  written = lax.dynamic_update_slice(memory[kind], rows, (table.out[w], jnp.int32(0)))
  return tuple(written if k == kind else cells for k, cells in zip(Kind, memory))


def _compute(
    op: Op, w: jax.Array, memory: Memory, table: tables_lib.WaveTable, wave_class: WaveClass,
    draws: _Draws, layout: Layout,
) -> jax.Array:
  """Rows of an op on the lanes of a wave: [C, width]."""
  assert op.rule is not None and op.output is not None
  rule, output = op.rule, op.output.shape(layout.space.num_features)
  kinds = ((op.output,) if op.updates_output else ()) + op.inputs
  rows = [_rows(memory[kind], table.arguments[w, k]) for k, kind in enumerate(kinds)]
  dtype = memory[Kind.SCALAR].dtype
  if op.elementwise:
    return rule(*rows).astype(dtype)
  # Scalars alone are computed in whole registers, padding included.
  narrow = wave_class.widest is Kind.SCALAR
  num_tasks = layout.widths[Kind.SCALAR] if narrow else layout.num_tasks
  arguments = [jnp.arange(num_tasks)]  # so that there is something to map over tasks
  axes: list[tuple[int | None, int | None]] = [(None, 0)]
  for kind, cells in zip(kinds, rows):
    shape = kind.shape(layout.space.num_features)
    cells = cells[:, :num_tasks] if kind is Kind.SCALAR else cells
    arguments.append(cells.reshape(wave_class.lanes, num_tasks, *shape))
    axes.append((0, 0))
  for k, meaning in enumerate(op.constants):
    constant = jnp.asarray(table.constants)[w, :, k]
    arguments.append(constant.astype(jnp.int32) if meaning is Constant.INDEX else constant)
    axes.append((0, None))
  if op.noise is not None:
    arguments.append(_draw(op.noise, w, table, draws, num_tasks, output, dtype))
    axes.append((0, 0))

  def one(_, *arguments):
    return jnp.broadcast_to(rule(*arguments), output)

  by_task = jax.vmap(one, [axis for _, axis in axes])
  value = jax.vmap(by_task, [axis for axis, _ in axes], axis_size=wave_class.lanes)(*arguments)
  return value.astype(dtype).reshape(wave_class.lanes, -1)


def _draw(
    distribution: Noise, w: jax.Array, table: tables_lib.WaveTable, draws: _Draws,
    num_tasks: int, shape: tuple[int, ...], dtype: jnp.dtype,
) -> jax.Array:
  """Random numbers of the lanes of a wave: [C, tasks, ...]."""
  keys = [_rows(word, jnp.asarray(table.task_set)[w]) for word in draws.keys]
  padding = num_tasks - keys[0].shape[1]
  first, second = (jnp.pad(word, ((0, 0), (0, padding))) if padding else word for word in keys)
  key = noise.fold(noise.fold((first, second), draws.phase), draws.example)
  key = noise.fold(key, jnp.asarray(table.position)[w][:, None])
  draw = jax.vmap(jax.vmap(lambda *own: noise.draw(own, distribution, shape, dtype)))
  return draw(*key)


def _rows(cells: jax.Array, rows: jax.Array) -> jax.Array:
  """Rows by number, [n] -> [n, width]; the numbers are known to be in range."""
  return cells.at[rows].get(mode="promise_in_bounds", wrap_negative_indices=False)


def _row(cells: jax.Array, row: jax.Array) -> jax.Array:
  return lax.dynamic_slice_in_dim(cells, row, 1, 0)


def _slice(array: jax.Array, first: jax.Array) -> jax.Array:
  return lax.dynamic_slice_in_dim(array, first, PROGRAM_TILE, 0)


def _write(cells: jax.Array, rows: jax.Array, first: jax.Array) -> jax.Array:
  return lax.dynamic_update_slice_in_dim(cells, rows, first, 0)


def _when(condition: jax.Array, function: Callable[[Any], Any], state: Any) -> Any:
  """The state, changed if the condition holds: a loop, since a conditional would copy it."""
  return lax.fori_loop(
      jnp.int32(0), condition.astype(jnp.int32), lambda _, state: function(state), state)


def _fold_in(fingerprint: jax.Array, shown: jax.Array) -> jax.Array:
  """Fingerprints [n, A, 2] after one more example with predictions [n, A, 1 or C]."""
  # Without the lowest bits of the mantissa, one zero and one NaN.
  numbers = shown.astype(jnp.float32)
  bits = lax.bitcast_convert_type(numbers + jnp.float32(0), jnp.uint32) & jnp.uint32(_KEPT_BITS)
  bits = jnp.where(jnp.isnan(numbers), jnp.uint32(_NAN_BITS), bits)
  key = fingerprint[..., 0], fingerprint[..., 1]
  for k in range(shown.shape[-1]):
    key = noise.fold(key, bits[..., k])
  return jnp.stack(key, -1)
