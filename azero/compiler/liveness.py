"""Liveness: which instructions can reach a prediction.

An instruction is live if the value it writes can reach a prediction along some path that
the evaluation takes (figure 1 of the AutoML-Zero paper): Setup -> Predict -> Learn ->
Predict -> ... in training and Predict -> Predict in validation. The last edge matters:
an algorithm may keep in Predict what only the next validation example reads, as the
weight averaging of figure 6 does. Supplement S8 (a) removes dead instructions with such
an analysis; here it serves the canonical key, the interpreter and the printed reports.

The analysis runs over a whole batch at once: the set of live addresses of a program is
one word of bits, and each slot is a handful of bitwise NumPy operations on N words.
"""

from typing import NamedTuple

import numpy as np

from azero.language import ops as op_table
from azero.language import program as program_lib
from azero.language.program import Function, Programs, SearchSpace

# Operations on so few bytes take no longer than copying some of them would.
_CHEAP_BYTES = 8192

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


@op_table.cached_for_table
def _units(space: SearchSpace) -> np.ndarray:
  """The sets of addresses that an operand's address is shifted into.

  Returns:
    [number of ops + 1, 4] of the smallest unsigned type with a bit for each address: address
    0 of the kind of in1, in2, the old value of the output and the output; the empty set,
    also when shifted, where an op has no such operand.
  """
  word = np.min_scalar_type(2 ** sum(space.num_addresses) - 1)
  bases = address_bases(space).T
  units = np.where(bases < 0, 0, np.uint64(1) << np.maximum(bases, 0).astype(np.uint64))
  return np.ascontiguousarray(units.astype(word))


class _Body(NamedTuple):
  """What the K occupied slots of a component function do, as sets of addresses.

  Attributes:
    out: [K, N] words, what they write.
    read: [K, N] words, what they read.
    hit: [K, N] words, what they write if that is live, else 0; filled by `_backward`.
  """

  out: np.ndarray
  read: np.ndarray
  hit: np.ndarray


class _Pinned(NamedTuple):
  """Sets of addresses that the evaluation reads and writes: one word each."""

  prediction: np.unsignedinteger
  label: np.unsignedinteger
  features: np.unsignedinteger


def live_instructions(programs: Programs, *, multiclass: bool = False) -> np.ndarray:
  """Which instructions can reach a prediction.

  Args:
    programs: N programs of L slots.
    multiclass: whether the prediction is v2 and the label v1.

  Returns:
    [N, L] bool, False for empty slots.
  """
  role = roles(programs.space, multiclass)
  live = np.zeros(programs.opcode.shape, bool)
  if not live.size:
    return live
  occupied = _occupied(programs)
  setup, predict, learn = _bodies(programs, occupied)
  pinned = _Pinned(*(setup.out.dtype.type(1 << address) for address in role))
  # Before the first pass nothing is live at the end of Learn.
  before_predict = _backward(predict, np.full(len(programs), pinned.prediction))
  # Only what the loop of Predict and Learn writes can make more of it live.
  written = np.bitwise_or.reduce(predict.out) | np.bitwise_or.reduce(learn.out)
  written &= ~(pinned.label | pinned.features)
  _settle(before_predict, before_predict & written, predict, learn, written, pinned)
  _backward(setup, before_predict & ~(pinned.label | pinned.features))
  for slots, body in zip(occupied, (setup, predict, learn)):
    np.not_equal(body.hit.T, 0, out=live[:, slots])
  return live


def _settle(
    before_predict: np.ndarray, gained: np.ndarray, predict: _Body, learn: _Body,
    written: np.ndarray, pinned: _Pinned,
) -> None:
  """Repeats Learn and Predict until no more becomes live at the start of Predict.

  Args:
    before_predict: [N] live addresses at the start of Predict, brought up to date.
    gained: [N] what became live there lately and may make more of it live.
    predict: the slots of Predict.
    learn: the slots of Learn.
    written: [N] what they write.
    pinned: addresses of the evaluation.
  """
  keep = ~(pinned.label | pinned.features)  # it overwrites these before Predict
  active = np.flatnonzero(gained)
  while len(active):
    if 4 * len(active) <= len(before_predict) and before_predict.nbytes > _CHEAP_BYTES:
      some_predict, some_learn = (
          _Body(*(words.take(active, axis=1) for words in body)) for body in (predict, learn))
      some = before_predict[active]
      _settle(some, gained[active], some_predict, some_learn, written[active], pinned)
      before_predict[active] = some
      predict.hit[:, active] = some_predict.hit
      learn.hit[:, active] = some_learn.hit
      return
    carried = before_predict & keep
    before_learn = _backward(learn, carried) & ~pinned.label
    after = _backward(predict, carried | before_learn | pinned.prediction)
    gained = after & ~before_predict & written
    before_predict[:] = after
    active = np.flatnonzero(gained)


def _occupied(programs: Programs) -> list[slice]:
  """The slots of each component function up to the last that holds an instruction."""
  last = programs.opcode.max(0).tolist()
  occupied = []
  for function in Function:
    slots = programs.space.slots(function)
    stop = slots.stop
    while stop > slots.start and last[stop - 1] == program_lib.EMPTY:
      stop -= 1
    occupied.append(slice(slots.start, stop))
  return occupied


def _bodies(programs: Programs, occupied: list[slice]) -> list[_Body]:
  """Sets of addresses for the occupied slots of each component function."""
  columns = [slot for slots in occupied for slot in range(slots.start, slots.stop)]
  arrays = [getattr(programs, name) for name in ("opcode", "in1", "in2", "out")]
  if len(columns) < programs.space.num_slots:
    arrays = [array.take(columns, axis=1) for array in arrays]
  units = _units(programs.space)
  unit = units.take(arrays[0], axis=0)
  in1, in2, out = (array.astype(units.dtype) for array in arrays[1:])
  read = unit[..., 0] << in1
  read |= unit[..., 1] << in2
  read |= unit[..., 2] << out
  words = np.zeros((len(_Body._fields), len(columns), len(programs)), units.dtype)
  words[0], words[1] = (unit[..., 3] << out).T, read.T
  bodies, start = [], 0
  for slots in occupied:
    stop = start + slots.stop - slots.start
    bodies.append(_Body(*words[:, start:stop]))
    start = stop
  return bodies


def _backward(body: _Body, live_after: np.ndarray) -> np.ndarray:
  """Walks a component function from its end and fills `body.hit`.

  Args:
    body: its slots.
    live_after: [N] live addresses at the end.

  Returns:
    [N] live addresses at the start.
  """
  live = live_after.copy()
  reached = np.empty_like(live)
  for written, needed, live_write in zip(*(words[::-1] for words in body)):
    np.bitwise_and(live, written, live_write)
    np.bitwise_xor(live, live_write, live)
    # As a product, since np.where would take twice as long.
    np.sign(live_write, reached)
    np.multiply(reached, needed, reached)
    np.bitwise_or(live, reached, live)
  return live
