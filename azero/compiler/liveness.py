"""Liveness: which instructions can reach a prediction.

An instruction is live if the value it writes can reach a prediction along some path that
the evaluation takes (figure 1 of the AutoML-Zero paper): Setup -> Predict -> Learn ->
Predict -> ... in training and Predict -> Predict in validation. The last edge matters:
an algorithm may keep in Predict what only the next validation example reads, as the
weight averaging of figure 6 does. Supplement S8 (a) removes dead instructions with such
an analysis; here it serves the canonical key, the interpreter and the printed reports.

The analysis runs over a whole batch at once: the set of live addresses of a program is
one 64-bit word, and each slot is a handful of bitwise NumPy operations on N words.
"""

from typing import NamedTuple

import numpy as np

from azero.language import ops as op_table
from azero.language import program as program_lib
from azero.language.program import Function, Programs, SearchSpace

UNUSED = -program_lib.MAX_ADDRESSES  # plus any address it is negative: no operand


class Roles(NamedTuple):
  """Addresses that the evaluation itself reads and writes, counted over all kinds."""

  prediction: int
  label: int
  features: int


def roles(space: SearchSpace, multiclass: bool) -> Roles:
  """Where label, prediction and features live: s0, s1, v0, or v1, v2, v0 for multi-class.

  Raises:
    ValueError: a multi-class task needs three vectors.
  """
  vectors = space.num_scalars
  if not multiclass:
    return Roles(program_lib.PREDICTION_SCALAR, program_lib.LABEL_SCALAR, vectors)
  if space.num_vectors < 3:
    raise ValueError(
        "A multi-class task needs v0 (features), v1 (label) and v2 (prediction), but the "
        f"space has only {space.num_vectors} vectors.")
  return Roles(
      vectors + program_lib.PREDICTION_VECTOR, vectors + program_lib.LABEL_VECTOR, vectors)


@op_table.cached_for_table
def address_bases(space: SearchSpace) -> np.ndarray:
  """What to add to an operand's address to count it over all kinds, scalars first.

  Returns:
    [4, number of ops + 1] int: rows for in1, in2, the old value of the output (for ops that
    update it) and the output; UNUSED where an op has no such operand. The last column,
    index EMPTY, is that of an empty slot.
  """
  table = op_table.columns()
  kinds = np.stack([
      table.input_kind[:, 0], table.input_kind[:, 1],
      np.where(table.updates_output, table.output_kind, -1), table.output_kind])
  first = np.array([0, *np.cumsum(space.num_addresses[:2]), UNUSED])  # kind -1: none
  return np.pad(first[kinds], [(0, 0), (0, 1)], constant_values=UNUSED)


def live_instructions(programs: Programs, *, multiclass: bool = False) -> np.ndarray:
  """Which instructions can reach a prediction.

  Args:
    programs: N programs of L slots.
    multiclass: whether the prediction is v2 and the label v1.

  Returns:
    [N, L] bool, False for empty slots.
  """
  role = roles(programs.space, multiclass)
  prediction, label, features = (np.uint64(1) << np.uint64(address) for address in role)
  keep_in_predict = ~(label | features)  # the evaluation overwrites these before Predict
  out, read = _words(programs)
  setup, predict, learn = (_occupied(out, programs.space.slots(f)) for f in Function)

  hit = np.zeros_like(out)
  # Before the first pass nothing is live at the end of Learn.
  before_predict = _backward(predict, np.full(len(programs), prediction), out, read, hit)
  # Only what the loop of Predict and Learn writes can make more of it live.
  written = np.bitwise_or.reduce(out[programs.space.offsets[Function.PREDICT] :])
  active = np.flatnonzero(before_predict & keep_in_predict & written)
  some_hit, some_out, some_read = (words[:, active] for words in (hit, out, read))
  while len(active):
    start = before_predict[active]
    carried = start & keep_in_predict
    before_learn = _backward(learn, carried, some_out, some_read, some_hit) & ~label
    end = carried | before_learn | prediction
    before_predict[active] = _backward(predict, end, some_out, some_read, some_hit)
    changed = (before_predict[active] & ~start & keep_in_predict & written[active]) != 0
    # Copies only when at least half of the programs have settled.
    if 2 * changed.sum() <= len(active):
      hit[:, active] = some_hit
      active = active[changed]
      some_hit, some_out, some_read = (
          words[:, changed] for words in (some_hit, some_out, some_read))
  _backward(setup, before_predict & keep_in_predict, out, read, hit)
  return np.not_equal(hit.T, 0, order="C")


def _words(programs: Programs) -> tuple[np.ndarray, np.ndarray]:
  """What every slot writes and reads, as sets of addresses: [L, N] uint64 each."""
  bases = address_bases(programs.space)
  # An operand that does not exist is the empty set, also when shifted by an address.
  unit = np.where(
      bases < 0, np.uint64(0), np.uint64(1) << np.maximum(bases, 0).astype(np.uint64))
  opcode = programs.opcode.T.astype(np.intp, order="C")
  in1, in2, out = (array.T.astype(np.uint64, order="C")
                   for array in (programs.in1, programs.in2, programs.out))
  read = (unit[0][opcode] << in1) | (unit[1][opcode] << in2) | (unit[2][opcode] << out)
  return unit[3][opcode] << out, read


def _occupied(out: np.ndarray, slots: slice) -> slice:
  """The slots of a component function up to the last that holds an instruction."""
  used = np.flatnonzero(out[slots].any(1))
  return slice(slots.start, slots.start + used[-1] + 1 if len(used) else slots.start)


def _backward(
    slots: slice, live_after: np.ndarray, out: np.ndarray, read: np.ndarray, hit: np.ndarray
) -> np.ndarray:
  """Walks a component function from its end.

  Args:
    slots: those to visit.
    live_after: [N] live addresses at the end.
    out: [L, N] what the slots write.
    read: [L, N] what they read.
    hit: [L, N], filled with what the slots write if that is live, else 0.

  Returns:
    [N] live addresses at the start.
  """
  live = live_after.copy()
  reached = np.empty_like(live)
  for written, needed, live_write in zip(out[slots][::-1], read[slots][::-1], hit[slots][::-1]):
    np.bitwise_and(live, written, live_write)
    live ^= live_write
    # As a product, since np.where would take twice as long.
    np.sign(live_write, reached)
    reached *= needed
    live |= reached
  return live
