"""Every rule of the op table against the oracle, under jit and vmap, and bit for bit commutative.

Sizes lie below and above 50 elements and a vector register, because compilers of array
code have failed on either side.
"""

import functools

import jax
import numpy as np
import pytest
from reference import oracle

from azero.language import ops as op_table
from azero.language.ops import Constant, Kind

NUM_FEATURES = (5, 9)  # 25 and 81 entries in a matrix
DTYPES = ("float32", "float64")
OPS = tuple(op.id for op in op_table.all_ops()[1 : op_table.NUM_PAPER_OPS])
CASES = [
    (op_id, num_features) for op_id in OPS for num_features in NUM_FEATURES
    # Ops on scalars alone do not depend on F.
    if num_features == NUM_FEATURES[0] or set(oracle.kinds(op_id)) - {"s", "ss", ""}]

SPECIAL = np.array([
    0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, -3.0, np.pi / 2, 100.0,
    -100.0, 1e-12, -1e-12, 1e12])
# Rounding errors of these are relative to the sum of absolute values that they reduce.
REDUCTIONS = (21, 27, 31, 34, 35, 36, 43, 50, 51, 52)
DEVIATIONS = (53, 54, 55)


@functools.cache
def _batch(num_features: int, dtype: str) -> dict:
  """Inputs "s", "v", "m" of two operands, old values, constants and noise; pairs first.

  Scalars are all pairs of special values; arrays are Gaussian with special values in half
  of the examples.
  """
  rng = np.random.default_rng(num_features)
  first, second = (grid.ravel() for grid in np.meshgrid(SPECIAL, SPECIAL))
  count = len(first)

  def values(kind: Kind) -> np.ndarray:
    shape = (count, *kind.shape(num_features))
    chosen = rng.random(shape) < 0.2 * (np.arange(count) % 2).reshape((-1,) + (1,) * int(kind))
    return np.where(chosen, rng.choice(SPECIAL[:-1], shape), rng.standard_normal(shape))

  batch = {
      "operands": [
          {Kind.SCALAR: scalar, Kind.VECTOR: values(Kind.VECTOR), Kind.MATRIX: values(Kind.MATRIX)}
          for scalar in (first, second)],
      "old": {kind: values(kind) for kind in Kind},
      "noise": {kind: rng.random((count, *kind.shape(num_features))) for kind in Kind},
      "constants": rng.uniform(-1, 1, (count, 3)),
      "fractions": rng.random((count, 3)),
  }
  return jax.tree.map(lambda array: array.astype(dtype), batch)


def _arguments(op: op_table.Op, batch: dict, num_features: int, *, swap: bool = False) -> list:
  """What the rule of an op takes, each with the batch in front."""
  operands = batch["operands"][::-1] if swap else batch["operands"]
  arguments = [batch["old"][op.output]] if op.updates_output else []
  arguments += [operands[slot][kind] for slot, kind in enumerate(op.inputs)]
  for k, meaning in enumerate(op.constants):
    if meaning is Constant.INDEX:
      arguments.append(np.floor(batch["fractions"][:, k] * num_features).astype(np.int32))
    else:
      arguments.append(batch["constants"][:, k])
  if op.noise is not None:
    arguments.append(batch["noise"][op.output])
  return arguments


@functools.cache
def _compiled(num_features: int, dtype: str):
  """All cases of one size in one compilation."""
  ops = [op_table.op_by_id(op_id) for op_id, size in CASES if size == num_features]

  @jax.jit
  @jax.vmap
  def run(arguments):
    return [op.compute(*own) for op, own in zip(ops, arguments)]

  return ops, run


@functools.cache
def _results(num_features: int, dtype: str, swap: bool = False) -> dict[int, np.ndarray]:
  """What the rules compute on the batch; with `swap`, of commuted operands."""
  batch = _batch(num_features, dtype)
  ops, run = _compiled(num_features, dtype)
  arguments = [
      _arguments(op, batch, num_features, swap=swap and op.commutative) for op in ops]
  with jax.enable_x64(dtype == "float64"):
    return {op.id: np.asarray(result) for op, result in zip(ops, run(arguments))}


def _expected(op_id: int, batch: dict, num_features: int, magnitude: bool = False) -> np.ndarray:
  """What the oracle computes; with `magnitude`, of the inputs' absolute values."""
  op = op_table.op_by_id(op_id)
  kind = op.output
  is_index = [meaning is Constant.INDEX for meaning in op.constants]
  is_index += [False] * (op_table.MAX_CONSTANTS - len(is_index))
  wanted = []
  for i in range(len(batch["constants"])):
    inputs = [
        batch["operands"][slot][read][i].astype(np.float64)
        for slot, read in enumerate(op.inputs)]
    inputs = [np.abs(x) for x in inputs] if magnitude else inputs
    constants = np.where(is_index, batch["fractions"][i], batch["constants"][i]).astype(np.float64)
    wanted.append(oracle.compute(
        op_id, inputs, constants, batch["old"][kind][i].astype(np.float64),
        batch["noise"][kind][i].astype(np.float64)))
  return np.array(wanted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op_id", "num_features"), CASES)
def test_rule_agrees_with_the_oracle(op_id, num_features, dtype):
  batch = _batch(num_features, dtype)
  got = _results(num_features, dtype)[op_id]
  with np.errstate(all="ignore"):
    wanted = _expected(op_id, batch, num_features)
    scale = np.abs(wanted)
    if op_id in REDUCTIONS:
      scale = _expected(op_id, batch, num_features, magnitude=True)
    elif op_id in DEVIATIONS:
      values = np.abs(batch["operands"][0][op_table.op_by_id(op_id).inputs[0]])
      axes = tuple(range(wanted.ndim, values.ndim))
      scale = values.max(axis=axes)
    elif op_table.op_by_id(op_id).noise is not None:
      scale = np.full_like(wanted, 3.0)  # the sum of constants up to 1 and their difference
    wanted = wanted.astype(dtype)  # beyond its largest number: infinite
  assert got.dtype == dtype
  got = np.broadcast_to(got.reshape(got.shape + (1,) * (wanted.ndim - got.ndim)), wanted.shape)
  finite = np.isfinite(wanted)
  np.testing.assert_array_equal(got[~finite], wanted[~finite])
  limits = np.finfo(dtype)
  # Numbers below the smallest normal one may become zero.
  allowed = 8 * limits.eps * scale[finite] + limits.tiny
  assert np.all(np.abs(got[finite] - wanted[finite]) <= allowed)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("op_id", "num_features"), [case for case in CASES if op_table.op_by_id(case[0]).commutative])
def test_commutative_to_the_last_bit(op_id, num_features, dtype):
  # The payload and sign of a NaN do not count: no op can tell them apart.
  forth, back = (_results(num_features, dtype, swap)[op_id] for swap in (False, True))
  np.testing.assert_array_equal(forth, back)
  number = ~np.isnan(forth)
  np.testing.assert_array_equal(np.signbit(forth)[number], np.signbit(back)[number])
