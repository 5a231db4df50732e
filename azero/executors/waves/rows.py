"""Rows of memory of the wave executor: read, written and copied without a copy of the whole.

What here looks roundabout is what XLA turns into code that works in place: rows are read
with indices that are promised to be in bounds, written by slices, and something that
happens only sometimes is a loop of zero or one trips, because a conditional that carries a
memory copies it.
"""

import math
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp

from azero.language.ops import Kind

Memory = tuple[jax.Array, ...]  # rows of each kind: [rows, ...]


class View:
  """A part of a flat array, in a shape of its own; reading of it copies no more than is read.

  A slice of an array that a loop reads would be copied before it, and that in every call.
  """

  def __init__(self, array: jax.Array, start: int = 0, shape: tuple[int, ...] | None = None):
    """Args: [n] array; where the part begins; its shape, by default that of all that follows."""
    self._array, self._start = array, start
    self.shape = (len(array) - start,) if shape is None else shape

  def __getitem__(self, index: Any) -> Any:
    """A part by a static slice, or what stands at a place: an index for each of the first axes."""
    if isinstance(index, slice):
      start, stop, _ = index.indices(self.shape[0])
      return View(self._array, self._start + start, (stop - start, *self.shape[1:]))
    return self.window(index, self.shape[len(index) if isinstance(index, tuple) else 1 :])

  def window(self, index: Any, shape: tuple[int, ...]) -> jax.Array:
    """What stands from a place on, in this shape."""
    place = index if isinstance(index, tuple) else (index,)
    start = jnp.int32(self._start)
    for axis, i in enumerate(place):
      start = start + jnp.int32(i) * jnp.int32(math.prod(self.shape[axis + 1 :]))
    cut = lax.dynamic_slice(
        self._array, (start,), (math.prod(shape),), allow_negative_indices=False)
    return cut.reshape(shape)

  def reshape(self, shape: tuple[int, ...]) -> "View":
    """The same in another shape."""
    return View(self._array, self._start, shape)


def read(cells: jax.Array, places: jax.Array) -> jax.Array:
  """Rows at these places: [n] -> [n, ...]."""
  return cells.at[places].get(mode="promise_in_bounds", wrap_negative_indices=False)


def write(cells: jax.Array, values: jax.Array, first: jax.Array) -> jax.Array:
  """Writes consecutive rows from the row `first` on."""
  return lax.dynamic_update_slice(
      cells, values, (first, *(jnp.zeros_like(first),) * (cells.ndim - 1)),
      allow_negative_indices=False)


def row(cells: jax.Array, place: jax.Array) -> jax.Array:
  """One row, as [1, ...]."""
  return lax.dynamic_slice_in_dim(cells, place, 1, 0, allow_negative_indices=False)


def copy(cells: jax.Array, moves: View, first: jax.Array, last: jax.Array) -> jax.Array:
  """Copies rows, [n, 2] from and to: those of the moves first to last - 1."""

  def move(i, cells):
    return write(cells, row(cells, moves[i, 0]), moves[i, 1])

  return lax.fori_loop(first, last, move, cells)


def replace(memory: Memory, kind: Kind, cells: jax.Array) -> Memory:
  """The memory with other rows of one kind."""
  return tuple(cells if k == kind else own for k, own in zip(Kind, memory))
