"""The fast executor: waves of one op, many programs and all tasks at once.

The whole evaluation of a chunk of programs (figure 1 of the AutoML-Zero paper) is one loop
over sections: Setup, then Predict and Learn for each training example, then Predict for
each validation example. A section runs its phases, a phase its waves: a `lax.switch` on the
wave's op, which is not batched and so stays a jump, computes rows that are then written in
place. Every branch returns rows and none a memory, and which memory is written is decided
by loops of zero or more trips instead of conditionals, so that nothing is ever copied.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import chex
import jax
from jax import lax
from jax.experimental import layout as jax_layout
import jax.numpy as jnp
import numpy as np

from azero.executors import noise
from azero.executors.waves import rows, scoring
from azero.executors.waves import tables as tables_lib
from azero.executors.waves.layout import Fusion, Layout, WaveClass, fusions
from azero.executors.waves.rows import Memory
from azero.executors.waves.scoring import Scorer, Scores
from azero.executors.waves.tables import BACK_TO_TRAINING, TO_TRAINING, TO_VALIDATION, VALIDATE
from azero.language.ops import NUM_PAPER_OPS, Constant, Kind, Noise, Op, Rule
from azero.language.program import Function

_LOOK_EVERY = 16  # examples between looks at whether any program is left
_MAX_UNROLLED = 32  # rows of a matrix that code is made for one by one


class Examples(NamedTuple):
  """The examples of K task sets of D tasks, set by set, training first, then validation.

  Each array has so many rows that few sizes occur; those behind the last mean nothing.

  Attributes:
    x: [K (T + V), D * F].
    y: [K (T + V), scalar width].
    seeds: [K, D] uint32.
    orders: [K E T, D] int32, order of the training examples; none for one epoch.
  """

  x: chex.Array
  y: chex.Array
  seeds: chex.Array
  orders: chex.Array


class Extent(NamedTuple):
  """How much an evaluation runs, and what of it is wanted: int32, of a host or traced.

  Attributes:
    num_train: the first so many training examples are used.
    num_valid: the same of validation.
    num_epochs: E.
    stored_train: T, training examples of a task set in `Examples`.
    stored: T + V.
    fingerprint: 1 if predictions are hashed, else 0.
  """

  num_train: Any
  num_valid: Any
  num_epochs: Any
  stored_train: Any
  stored: Any
  fingerprint: Any


class Results(NamedTuple):
  """What a call of the executor returns, for its list of Q programs and A >= D columns.

  Arrays of a device, or of NumPy.

  Attributes:
    fitness: [Q, A] in [0, 1]; columns beyond D mean nothing, here and below.
    train_steps: [Q, A] int32, examples on which Learn ran.
    fingerprint: [Q, 2, A] uint32, hash of the truncated predictions, if they are hashed.
    trace: of the last chunk, [E, T + V, P, A, 1 + C] errors and predictions, NaN once
      stopped, or None.
  """

  fitness: Any
  train_steps: Any
  fingerprint: Any
  trace: Any


@dataclasses.dataclass(frozen=True)
class WaveSpec:
  """Everything static about an executor; one compiled executable for each.

  Attributes:
    layout: shapes.
    shuffled: whether there may be epochs that go through the examples in an order of their own.
    traced: E, T and V if errors and predictions of every example are returned, else None.
  """

  layout: Layout
  shuffled: bool = False
  traced: tuple[int, int, int] | None = None


class _Draws(NamedTuple):
  """What random ops draw by, beside lane and position."""

  keys: noise.Key  # [K, D] each
  phase: jax.Array
  example: jax.Array


def num_sections(num_epochs: Any, num_train: Any, num_valid: Any) -> Any:
  """Sections of a program: Setup, two for each training example, one for each of validation.

  Args:
    num_epochs: E, passes over the training examples with a validation behind each; this and the
      others whole numbers or traced ones.
    num_train: T.
    num_valid: V.
  """
  return 1 + num_epochs * (2 * num_train + num_valid)


def new_memory(layout: Layout, dtype: np.dtype) -> tuple[np.ndarray, ...]:
  """Memory to lend to `execute`, once it is on a device: zeros."""
  return tuple(
      np.zeros((rows, *shape), dtype)
      for rows, shape in zip(layout.num_rows, layout.row_shapes))


@functools.lru_cache(maxsize=64)
def compiled(spec: WaveSpec):
  """The jitted `execute`; the memory that it takes is given up and returned."""
  return jax.jit(functools.partial(execute, spec), donate_argnums=0)


def execute(
    spec: WaveSpec, memory: Memory, call: tuple[jax.Array, jax.Array], examples: Examples,
    limits: tuple[jax.Array, jax.Array], extent: jax.Array,
) -> tuple[Memory, Results]:
  """Evaluates the programs of one call.

  Args:
    spec: everything static.
    memory: rows of any content but for row 0, which is zero.
    call: the tables of a `Call`, integers and constants.
    examples: the tasks.
    limits: [] uint32, evaluation seed of the random ops; [] an error above it stops a program.
    extent: [6] int32, the fields of `Extent`.

  Returns:
    The memory, to be lent again, and the results.
  """
  integers, constants = call
  tables = tables_lib.unpack(spec.layout, rows.View(integers), rows.View(constants))

  def body(g, state):
    memory, lists, _ = state
    # XLA would compute what follows from the extent before the loop, in a kernel for each
    # number; and a program of more than a few kernels runs in threads of XLA's own, one after
    # the other, where few run at once on the thread that asks.
    own = Extent(*lax.optimization_barrier((g, extent))[1])
    chunk = _Chunk(spec, tables, examples, own, *limits)
    memory, scores = chunk.run(g, memory)
    first = tables.first_program[g]
    # What a chunk writes beyond its own programs is overwritten by the next.
    return memory, tuple(
        rows.write(every, own, first) for every, own in zip(lists, _listed(scores))), scores.trace

  scores = Scorer(spec, tables, Extent(*extent), limits[1], examples.x.dtype).zeros()
  lists = tuple(
      jnp.zeros((spec.layout.num_listed, *leaf.shape[1:]), leaf.dtype) for leaf in _listed(scores))
  state = jnp.int32(0), (memory, lists, scores.trace)
  _, (memory, (fitness, steps, fingerprint), trace) = lax.while_loop(
      lambda state: state[0] < tables.num_chunks[()],
      lambda state: (state[0] + 1, body(*state)), state)
  return memory, Results(fitness, steps, fingerprint, trace if spec.traced else None)


def _listed(scores: Scores) -> tuple[jax.Array, ...]:
  """Scores that are returned for every program."""
  return scores.best, scoring.train_steps(scores.steps), scores.fingerprint


class _Chunk:
  """The evaluation of one chunk."""

  def __init__(self, spec, tables, examples, extent, seed, max_abs_error):
    self.spec, self.layout, self.tables, self.examples = spec, spec.layout, tables, examples
    self.extent = extent
    self.dtype = examples.x.dtype
    self.scorer = Scorer(spec, tables, extent, max_abs_error, self.dtype)
    self.keys = noise.make_key(seed, examples.seeds)
    self.per_epoch = 2 * extent.num_train + extent.num_valid

  def run(self, g: jax.Array, memory: Memory) -> tuple[Memory, Scores]:
    """Runs chunk `g` from Setup to its last validation."""
    last = num_sections(self.extent.num_epochs, self.extent.num_train, self.extent.num_valid)

    def more(state):
      section, any_alive, _, _ = state
      return (section < last) & any_alive

    def body(state):
      section, any_alive, memory, scores = state
      memory, scores, any_alive = self._section(g, section, any_alive, memory, scores)
      return section + 1, any_alive, memory, scores

    _, _, memory, scores = lax.while_loop(
        more, body, (jnp.int32(0), jnp.array(True), memory, self.scorer.start(g)))
    return memory, scores

  def _section(self, g, section, any_alive, memory, scores):
    """One pass through a component function, with what the evaluation does around it."""
    extent, scorer = self.extent, self.scorer
    epoch = lax.div(section - 1, self.per_epoch)
    within = section - 1 - epoch * self.per_epoch
    is_setup = section == 0
    is_valid = within >= 2 * extent.num_train
    training = ~is_setup & ~is_valid
    is_predict = training & (within % 2 == 0)
    is_learn = training & (within % 2 == 1)
    t = jnp.where(is_valid, within - 2 * extent.num_train, within >> 1)
    example = jnp.where(is_valid, t + extent.num_train, t)

    memory = self._copy(memory, g, TO_VALIDATION, is_valid & (t == 0))
    if self.spec.shuffled:
      memory = self._copy(memory, g, BACK_TO_TRAINING, is_predict & (within == 0) & (epoch > 0))
    memory = self._load(memory, g, epoch, t, is_predict, is_valid)

    def choose(setup, predict, learn, valid):
      return jnp.where(is_setup, setup, jnp.where(
          is_valid, valid, jnp.where(is_learn, learn, predict)))

    function = choose(*map(jnp.int32, (*Function, VALIDATE)))
    phase = choose(*map(jnp.uint32, noise.Phase))
    count = jnp.where(is_valid, extent.num_valid, extent.num_train)
    counter = jnp.where(is_setup, jnp.int32(0), epoch * count + t)
    memory = self._run_waves(memory, g, function, _Draws(self.keys, phase, counter))

    memory = self._copy(memory, g, TO_TRAINING, is_setup)
    memory, scores = scorer.train(g, epoch, example, is_predict, memory, scores)
    scores = scorer.validate(g, epoch, example, is_valid, memory, scores)
    scores = scorer.end_epoch(g, epoch, is_valid & (t == extent.num_valid - 1), scores)
    looks = (is_predict | is_valid) & (t % _LOOK_EVERY == _LOOK_EVERY - 1)
    any_alive = scorer.any_alive(g, epoch, example, looks, any_alive, scores)
    return memory, scores, any_alive

  def _copy(self, memory: Memory, g, copy_set: int, condition) -> Memory:
    """Copies the rows of a copy set, if the condition holds."""
    result = []
    for kind, cells in zip(Kind, memory):
      first, last = self.tables.copy_sets[g, copy_set, kind]
      result.append(rows.copy(
          cells, self.tables.copies[kind], first, jnp.where(condition, last, first)))
    return tuple(result)

  def _load(self, memory: Memory, g, epoch, t, is_predict, is_valid) -> Memory:
    """Puts features and labels of the example into the rows of the chunk's task sets."""
    layout, examples, extent = self.layout, self.examples, self.extent
    place = t + jnp.where(is_valid, extent.stored_train, 0)
    task_sets, first = self.tables.task_sets, self.tables.first_program[g]

    def from_one_example(j, memory):
      row = task_sets[first + j] * extent.stored + place
      x, y = rows.row(examples.x, row)[0], rows.row(examples.y, row)[0]
      return self._set_example(memory, j, x, y)

    def from_shuffled(j, memory):
      k = task_sets[first + j]
      x, y = jnp.zeros(layout.widths[Kind.VECTOR], self.dtype), jnp.zeros_like(examples.y[0])
      x = x.reshape(layout.num_tasks, -1)
      order = rows.row(
          examples.orders, (k * extent.num_epochs + epoch) * extent.stored_train + t)[0]

      def one_task(d, xy):
        x, y = xy
        row = k * extent.stored + order[d]
        own_x = lax.dynamic_slice(examples.x, (row, d * x.shape[1]), (1, x.shape[1]))
        own_y = lax.dynamic_slice(examples.y, (row, d), (1, 1))[0]
        return (lax.dynamic_update_slice(x, own_x, (d, jnp.int32(0))),
                lax.dynamic_update_slice(y, own_y, (d,)))

      x, y = lax.fori_loop(jnp.int32(0), jnp.int32(layout.num_tasks), one_task, (x, y))
      return self._set_example(memory, j, x.reshape(-1), y)

    count = self.tables.num_task_sets[g]
    shuffled = self.spec.shuffled & (epoch > 0)
    given = is_valid | is_predict & ~shuffled
    memory = lax.fori_loop(jnp.int32(0), jnp.where(given, count, 0), from_one_example, memory)
    if self.spec.shuffled:
      mixed = is_predict & shuffled
      memory = lax.fori_loop(jnp.int32(0), jnp.where(mixed, count, 0), from_shuffled, memory)
    return memory

  def _set_example(self, memory: Memory, j, x, y) -> Memory:
    layout = self.layout
    scalars, vectors, matrices = memory
    vectors = rows.write(vectors, x[None], layout.first_features + j)
    if layout.multiclass:
      label = self.scorer.loss.pad(
          self.scorer.loss.label(y[: layout.num_tasks]), layout.space.num_features)
      vectors = rows.write(vectors, label.reshape(1, -1), layout.first_label + j)
    else:
      scalars = rows.write(scalars, y[None], layout.first_label + j)
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


def _run_wave(
    w: jax.Array, memory: Memory, *, wave_class: WaveClass, table: tables_lib.WaveTable,
    draws: _Draws, layout: Layout,
) -> Memory:
  """Runs wave `w` of a class and writes its rows."""
  if wave_class.is_update:
    values = _update(w, memory, table, wave_class, layout)
  else:
    branches = [
        functools.partial(
            _compute, op, w, memory, table=table, wave_class=wave_class, draws=draws,
            layout=layout)
        for op in wave_class.ops]
    values = lax.switch(table.branch[w], branches) if len(branches) > 1 else branches[0]()
  # Values for D tasks leave the padding of a scalar row as it is.
  written = rows.write(memory[wave_class.output], values, table.out[w])
  return rows.replace(memory, wave_class.output, written)


def _update(
    w: jax.Array, memory: Memory, table: tables_lib.WaveTable, wave_class: WaveClass,
    layout: Layout,
) -> jax.Array:
  """Matrices with an outer product added or subtracted, or the reverse: [C, D, F, F].

  Without a switch, whose branches would write their rows twice.
  """
  signs = {fusion.op.name: _signs(fusion) for fusion in fusions()}
  dtype = memory[Kind.MATRIX].dtype
  of_branch = rows.View(jnp.array([signs[op.name] for op in wave_class.ops], dtype).reshape(-1))
  sign = of_branch.reshape((len(wave_class.ops), 2))[table.branch[w]]
  shape = wave_class.lanes, layout.num_tasks, layout.space.num_features
  other = rows.read(memory[Kind.MATRIX], table.arguments[w, 0])
  a, b = (rows.read(memory[Kind.VECTOR], table.arguments[w, k]).reshape(shape) for k in (1, 2))
  return other * sign[0] + b[..., :, None] * (a * sign[1])[..., None, :]


def _signs(fusion: Fusion) -> tuple[float, float]:
  """Signs of the other operand and of the product."""
  if fusion.consumer.endswith("sum"):
    return 1.0, 1.0
  return (-1.0, 1.0) if fusion.operand == 0 else (1.0, -1.0)


def _compute(
    op: Op, w: jax.Array, memory: Memory, *, table: tables_lib.WaveTable, wave_class: WaveClass,
    draws: _Draws, layout: Layout,
) -> jax.Array:
  """Rows of an op on the lanes of a wave: [C, ...]."""
  assert op.output is not None
  output = op.output.shape(layout.space.num_features)
  if _is_matrix_vector(op) and output[0] <= _MAX_UNROLLED:
    return _matrix_vector(w, memory, table, wave_class, layout)
  kinds = ((op.output,) if op.updates_output else ()) + op.inputs
  read = [rows.read(memory[kind], table.arguments[w, k]) for k, kind in enumerate(kinds)]
  dtype = memory[Kind.SCALAR].dtype
  if op.elementwise:
    return op.compute(*read).astype(dtype)
  # Scalars alone are computed in whole registers, padding included.
  narrow = wave_class.widest is Kind.SCALAR
  num_tasks = layout.widths[Kind.SCALAR] if narrow else layout.num_tasks
  arguments = [jnp.arange(num_tasks)]  # so that there is something to map over tasks
  axes: list[tuple[int | None, int | None]] = [(None, 0)]
  for kind, cells in zip(kinds, read):
    shape = kind.shape(layout.space.num_features)
    cells = cells[:, :num_tasks] if kind is Kind.SCALAR else cells
    arguments.append(cells.reshape(wave_class.lanes, num_tasks, *shape))
    axes.append((0, 0))
  for k, meaning in enumerate(op.constants):
    constant = table.constants[w][:, k]
    arguments.append(constant.astype(jnp.int32) if meaning is Constant.INDEX else constant)
    axes.append((0, None))
  if op.noise is not None:
    arguments.append(_draw(
        op.noise, w, table, draws, num_tasks=num_tasks, shape=output, dtype=dtype))
    axes.append((0, 0))

  rule = _stored_rule(op, kinds, output)

  def one(_, *arguments):
    return rule(*arguments)

  by_task = jax.vmap(one, [axis for _, axis in axes])
  value = jax.vmap(by_task, [axis for axis, _ in axes], axis_size=wave_class.lanes)(*arguments)
  shape = layout.row_shapes[op.output] if op.output is not Kind.SCALAR else (num_tasks,)
  value = value.astype(dtype).reshape(wave_class.lanes, *shape)
  if op.output is Kind.MATRIX:
    # A branch that transposes would make the others, which do not, transpose as well.
    order = jax_layout.Layout(tuple(range(value.ndim)))
    value = jax_layout.with_layout_constraint(value, order)
  return value


def _stored_rule(op: Op, kinds: tuple[Kind, ...], output: tuple[int, ...]) -> Rule:
  """The rule of an op on matrices as they are stored: transposed."""
  plain = op.compute
  if op.id < NUM_PAPER_OPS and op.name == "vector_outer_product":
    return lambda a, b: plain(b, a)

  def rule(*arguments):
    given = [a.T if k is Kind.MATRIX else a for a, k in zip(arguments, kinds)]
    value = jnp.broadcast_to(plain(*given, *arguments[len(given) :]), output)
    return value.T if op.output is Kind.MATRIX else value

  return rule


def _is_matrix_vector(op: Op) -> bool:
  return op.id < NUM_PAPER_OPS and op.name == "matrix_vector_product"


def _matrix_vector(
    w: jax.Array, memory: Memory, table: tables_lib.WaveTable, wave_class: WaveClass,
    layout: Layout,
) -> jax.Array:
  """Products of matrices and vectors: [C, D F].

  Of a matrix that is stored transposed a product is a sum of rows times numbers, and no register
  is summed up.
  """
  size = layout.space.num_features
  vectors, matrices = memory[Kind.VECTOR], memory[Kind.MATRIX]

  def task(d, out):
    for c in range(wave_class.lanes):
      place, first = table.arguments[w, 0][c], d * jnp.int32(size)
      vector = lax.dynamic_slice(
          vectors, (table.arguments[w, 1][c], first), (1, size), allow_negative_indices=False)[0]
      value = functools.reduce(jnp.add, [
          vector[j] * lax.dynamic_slice(
              matrices, (place, d, jnp.int32(j), jnp.int32(0)), (1, 1, 1, size),
              allow_negative_indices=False).reshape(size)
          for j in range(size)])
      out = lax.dynamic_update_slice(
          out, value[None], (jnp.int32(c), first), allow_negative_indices=False)
    return out

  return lax.fori_loop(
      jnp.int32(0), jnp.int32(layout.num_tasks), task,
      jnp.zeros((wave_class.lanes, layout.widths[Kind.VECTOR]), vectors.dtype))


def _draw(
    distribution: Noise, w: jax.Array, table: tables_lib.WaveTable, draws: _Draws, *,
    num_tasks: int, shape: tuple[int, ...], dtype: jnp.dtype,
) -> jax.Array:
  """Random numbers of the lanes of a wave: [C, tasks, ...]."""
  keys = [rows.read(word, table.task_set[w]) for word in draws.keys]
  padding = num_tasks - keys[0].shape[1]
  first, second = (jnp.pad(word, ((0, 0), (0, padding))) if padding else word for word in keys)
  key = noise.fold(noise.fold((first, second), draws.phase), draws.example)
  key = noise.fold(key, table.position[w][:, None])
  draw = jax.vmap(jax.vmap(lambda *own: noise.draw(own, distribution, shape, dtype)))
  return draw(*key)
