"""The interpreter of one program on one task: the definition of what a program does.

A loop over the instructions of a component function, with a `lax.switch` over the ops
that the search space allows there. Written for one program and one memory; `vmap` over
programs and tasks turns every switch into "compute all branches, select one", which is
why branches return one row and never a memory.
"""

import functools
from typing import NamedTuple

import chex
import jax
from jax import lax
import jax.numpy as jnp

from azero.executors import noise
from azero.executors.interpreter import pack
from azero.language.ops import Constant, Kind, Op
from azero.language.program import Function, SearchSpace


class Memory(NamedTuple):
  """The virtual memory of one program on one task.

  Attributes:
    scalars: [number of scalars].
    vectors: [number of vectors, F].
    matrices: [number of matrices, F, F].
  """

  scalars: jax.Array
  vectors: jax.Array
  matrices: jax.Array


def zero_memory(space: SearchSpace, dtype: jnp.dtype) -> Memory:
  """Memory as an evaluation starts with it."""
  return Memory(*(
      jnp.zeros((size,) + kind.shape(space.num_features), dtype)
      for kind, size in zip(Kind, space.num_addresses)))


def execute(
    function: Function, code: pack.Code, num_instructions: jax.Array, memory: Memory,
    key: noise.Key, space: SearchSpace,
) -> Memory:
  """Runs one component function of one program.

  Args:
    function: which one.
    code: the program, fields of shape [L] and [L, 3].
    num_instructions: int32 scalar, slots to visit; slots beyond the program's own end are
      empty, so that one number serves a whole batch.
    memory: the memory before.
    key: the key of this execution for random ops.
    space: static sizes and allowed ops.

  Returns:
    The memory after.
  """
  ops = {kind: pack.branches(space, function, kind) for kind in Kind}
  if not any(ops.values()) or not space.components[function].max_length:
    return memory
  first = space.offsets[function]

  def step(i: jax.Array, memory: Memory) -> Memory:
    instruction = pack.Code(*(field[first + i] for field in code))
    rows = [
        _row(kind, ops[kind], instruction, memory, key) if ops[kind] else None for kind in Kind]
    return Memory(*(
        cells if row is None else _write(cells, row, kind, instruction)
        for kind, cells, row in zip(Kind, memory, rows)))

  return lax.fori_loop(0, num_instructions, step, memory)


def _row(
    kind: Kind, ops: tuple[Op, ...], instruction: pack.Code, memory: Memory, key: noise.Key
) -> jax.Array:
  """What the instruction writes, should its output be of this kind."""
  cells = memory[kind]
  reads = {
      (slot, read): _read(memory[read], address)
      for slot, address in enumerate((instruction.in1, instruction.in2))
      for read in {op.inputs[slot] for op in ops if len(op.inputs) > slot}}
  old = _read(cells, instruction.out)

  def branch(op: Op) -> jax.Array:
    arguments = [old] if op.updates_output else []
    arguments += [reads[slot, read] for slot, read in enumerate(op.inputs)]
    for k, meaning in enumerate(op.constants):
      constant = instruction.constants[k]
      arguments.append(constant.astype(jnp.int32) if meaning is Constant.INDEX else constant)
    if op.noise is not None:
      own_key = noise.fold(key, jnp.asarray(instruction.position))
      arguments.append(noise.draw(own_key, op.noise, cells.shape[1:], cells.dtype))
    return jnp.broadcast_to(op.compute(*arguments).astype(cells.dtype), cells.shape[1:])

  if len(ops) == 1:
    return branch(ops[0])
  return lax.switch(instruction.branch, [functools.partial(branch, op) for op in ops])


def _read(cells: jax.Array, address: chex.Array) -> jax.Array:
  # The address of another kind may be out of range here; what it reads is not selected.
  return cells.at[address].get(mode="clip")


def _write(cells: jax.Array, row: jax.Array, kind: Kind, instruction: pack.Code) -> jax.Array:
  """Writes the row if the instruction's output is of this kind: else to an address beyond."""
  address = jnp.where(instruction.kind == kind, instruction.out, jnp.int32(len(cells)))
  return cells.at[address].set(row, mode="drop")
