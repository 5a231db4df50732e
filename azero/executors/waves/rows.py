"""Rows of memory of the wave executor: read, written and copied without a copy of the whole.

What here looks roundabout is what XLA turns into code that works in place: rows are read
with indices that are promised to be in bounds, written by slices, and something that
happens only sometimes is a loop of zero or one trips, because a conditional that carries a
memory copies it.
"""

import jax
from jax import lax
import jax.numpy as jnp

from azero.language.ops import Kind

Memory = tuple[jax.Array, ...]  # rows of each kind: [rows, ...]


def read(cells: jax.Array, places: jax.Array) -> jax.Array:
  """Rows at these places: [n] -> [n, ...]."""
  return cells.at[places].get(mode="promise_in_bounds", wrap_negative_indices=False)


def write(cells: jax.Array, values: jax.Array, first: jax.Array) -> jax.Array:
  """Writes consecutive rows from the row `first` on."""
  return lax.dynamic_update_slice(
      cells, values, (first, *(jnp.zeros_like(first),) * (cells.ndim - 1)))


def copy(cells: jax.Array, moves: jax.Array, first: jax.Array, last: jax.Array) -> jax.Array:
  """Copies rows, [n, 2] from and to: those of the moves first to last - 1."""

  def move(i, cells):
    return write(cells, lax.dynamic_slice_in_dim(cells, moves[i, 0], 1, 0), moves[i, 1])

  return lax.fori_loop(first, last, move, cells)


def replace(memory: Memory, kind: Kind, cells: jax.Array) -> Memory:
  """The memory with other rows of one kind."""
  return tuple(cells if k == kind else own for k, own in zip(Kind, memory))
