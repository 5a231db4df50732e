"""Ops of the user's own: a row of the op table, checked before it can be used.

Everything is tried out at once: the spellings by printing and parsing them, the rule by
tracing it for several numbers of features.
"""

from collections.abc import Sequence
import dataclasses
import enum
import keyword
from typing import TypeVar

import jax
import jax.numpy as jnp

from azero.language import grammar
from azero.language import ops as op_table
from azero.language.ops import Constant, Noise, Op, Rule

E = TypeVar("E", bound=enum.Enum)

_TRIED_FEATURES = (3, 4)


def register_op(
    name: str, inputs: str, output: str, rule: Rule, *, text: str | None = None,
    aliases: Sequence[str] = (), constants: Sequence[Constant | str] = (),
    noise: Noise | str | None = None, commutative: bool = False, updates_output: bool = False,
    elementwise: bool = False, work: tuple[float, int] | None = None,
) -> Op:
  """Adds an op of your own to the table; it can then be searched, parsed and printed.

  Registering a name of your own again replaces the row and keeps its id, so that a notebook
  cell can be run twice; the kinds of its operands and the meanings of its constants must stay.
  A refused op leaves the table as it was.

  Args:
    name: unique, a Python identifier, e.g. "vector_relu".
    inputs: kinds of the inputs as letters, e.g. "sv" for a scalar and a vector.
    output: kind of the output, one letter of "svm".
    rule: the computation, see `Op`.
    text: spelling; default "{out} = name({a}, {b}, {c0}, ...)".
    aliases: see `Op`.
    constants: meaning of each constant, a `Constant` or its value ("value", "index",
      "bound", "mean", "std").
    noise: None, "uniform" or "normal", see `Noise`.
    commutative: see `Op`.
    updates_output: see `Op`.
    elementwise: see `Op`.
    work: see `Op`; default one operation per element of the largest operand.

  Returns:
    The new row; its `id` goes into the allowed ops of a SearchSpace.

  Raises:
    ValueError: a malformed argument, or a name of table S1.
  """
  old = _replaced(name)
  if not callable(rule):
    raise ValueError(f"Op '{name}': its rule must be a function of JAX arrays, got {rule!r}.")
  if work is not None and not work[0] > 0:
    raise ValueError(f"Op '{name}': work must be (positive factor, power of F), got {work}.")
  op = op_table.row(
      len(op_table.all_ops()) if old is None else old.id, name, inputs, output, rule, text,
      aliases=aliases, constants=[_member(name, Constant, constant) for constant in constants],
      noise=None if noise is None else _member(name, Noise, noise),
      commutative=commutative, updates_output=updates_output, elementwise=elementwise, work=work)
  op = dataclasses.replace(op, registrations=0 if old is None else old.registrations + 1)
  _put_checked(op, old)
  return op


def _replaced(name: str) -> Op | None:
  """The row of the user's own that has this name already."""
  if not name.isidentifier() or keyword.iskeyword(name):
    raise ValueError(f"Op name {name!r} must be a Python identifier.")
  old = next((op for op in op_table.all_ops() if op.name == name), None)
  if old is not None and old.id < op_table.NUM_PAPER_OPS:
    raise ValueError(f"Op '{name}' belongs to table S1 of the paper; choose another name.")
  return old


def _put_checked(op: Op, old: Op | None) -> None:
  """Puts a row into the table, where its spellings can be read; takes it back if it is wrong."""
  op_table.put(op)
  try:
    if old is not None:
      _check_same_operands(op, old)
    _check_rule(op)
    grammar.check_spellings(op)
  except ValueError:
    if old is not None:
      op_table.put(old)
    else:
      op_table.take_out(op)
    raise


def _check_same_operands(op: Op, old: Op) -> None:
  other = [
      what for what, is_other in (
          ("kinds of operands", (old.inputs, old.output) != (op.inputs, op.output)),
          ("constants", old.constants != op.constants)) if is_other]
  if other:
    raise ValueError(
        f"Op '{op.name}' is registered with other {' and '.join(other)}; programs that use it "
        "would change their meaning. Choose another name.")


def _member(name: str, kind: type[E], value: E | str) -> E:
  """A member of an enum by itself or by its value."""
  try:
    return kind(value)
  except ValueError:
    known = ", ".join(repr(member.value) for member in kind)
    raise ValueError(f"Op '{name}': {value!r} must be one of {known}.") from None


def _check_rule(op: Op) -> None:
  """Traces the rule of an op for some numbers of features."""
  for num_features in _TRIED_FEATURES:
    _trace_rule(op, num_features)


def _trace_rule(op: Op, num_features: int) -> None:
  shape = op.output.shape(num_features) if op.output is not None else ()

  def run(*arguments: jax.Array) -> jax.Array:
    assert op.rule is not None
    result = op.rule(*arguments)
    if not isinstance(result, jax.Array):
      raise TypeError(f"its result is no JAX array, but {result!r:.80}")
    if op.elementwise and result.shape != shape:
      raise TypeError(f"it is elementwise, but its result has shape {result.shape}")
    if jnp.issubdtype(result.dtype, jnp.complexfloating):
      raise TypeError("its result is complex")
    return jnp.broadcast_to(result.astype(jnp.float32), shape)

  arguments = [jax.ShapeDtypeStruct(shape, jnp.float32)] if op.updates_output else []
  arguments += [
      jax.ShapeDtypeStruct(kind.shape(num_features), jnp.float32) for kind in op.inputs]
  arguments += [
      jax.ShapeDtypeStruct((), jnp.int32 if meaning is Constant.INDEX else jnp.float32)
      for meaning in op.constants]
  if op.noise is not None:
    arguments.append(jax.ShapeDtypeStruct(shape, jnp.float32))
  try:
    jax.eval_shape(run, *arguments)
  except Exception as error:
    shapes = ", ".join(str(argument.shape) for argument in arguments)
    raise ValueError(
        f"Op '{op.name}': its rule fails for F = {num_features}, with arguments of shape "
        f"{shapes or 'none'} and an output of shape {shape}: {error}") from error
