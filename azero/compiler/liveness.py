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

_UNUSED = -1  # address index of an operand that an op does not have


class Operands(NamedTuple):
  """Addresses of a batch, counted over all kinds: scalars first, then vectors, matrices.

  Attributes:
    in1: [N, L] int16, first input; negative where there is none.
    in2: [N, L] int16, second input.
    old: [N, L] int16, the output, for ops that read what they update.
    out: [N, L] int16, the output.
  """

  in1: np.ndarray
  in2: np.ndarray
  old: np.ndarray
  out: np.ndarray


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


def operands(programs: Programs) -> Operands:
  """Addresses of all instructions of a batch, counted over all kinds."""
  table = op_table.columns()
  bases = np.cumsum((0, *programs.space.num_addresses[:2]))
  kinds = np.stack([
      table.input_kind[:, 0], table.input_kind[:, 1],
      np.where(table.updates_output, table.output_kind, _UNUSED), table.output_kind])
  rows = np.where(kinds == _UNUSED, _UNUSED, bases[kinds])
  # The column after the last op, index -1, is EMPTY's.
  rows = np.pad(rows, [(0, 0), (0, 1)], constant_values=_UNUSED).astype(np.int16)
  addresses = (programs.in1, programs.in2, programs.out, programs.out)
  return Operands(*(
      np.where(base[programs.opcode] == _UNUSED, np.int16(_UNUSED), base[programs.opcode] + address)
      for base, address in zip(rows, addresses)))


def live_instructions(programs: Programs, *, multiclass: bool = False) -> np.ndarray:
  """Which instructions can reach a prediction.

  Args:
    programs: N programs of L slots.
    multiclass: whether the prediction is v2 and the label v1.

  Returns:
    [N, L] bool, False for empty slots.
  """
  used = operands(programs)
  role = roles(programs.space, multiclass)
  # One contiguous row of N words per slot; an unused operand is the empty set.
  out = _bits(used.out).T.copy()
  read = (_bits(used.in1) | _bits(used.in2) | _bits(used.old)).T.copy()
  prediction, label, features = (np.uint64(1) << np.uint64(address) for address in role)
  keep_in_predict = ~(label | features)  # the evaluation overwrites these before Predict
  columns = [np.flatnonzero(out[programs.space.slots(f)].any(1)) + programs.space.offsets[f]
             for f in Function]

  live = np.zeros(out.shape, bool)
  before_predict = np.zeros(len(programs), np.uint64)
  active = np.arange(len(programs))
  while len(active):
    start = before_predict[active]
    reads, outs = read[:, active], out[:, active]
    marks = np.zeros(outs.shape, bool)
    carried = start & keep_in_predict
    before_learn = _backward(columns[Function.LEARN], carried, outs, reads, marks) & ~label
    after_predict = carried | before_learn | prediction
    now = _backward(columns[Function.PREDICT], after_predict, outs, reads, marks)
    before_predict[active] = now
    changed = now != start
    done = active[~changed]
    live[:, done] = marks[:, ~changed]
    active = active[changed]
  _backward(columns[Function.SETUP], before_predict & keep_in_predict, out, read, live)
  return np.ascontiguousarray(live.T)


def _bits(address: np.ndarray) -> np.ndarray:
  """The set {address} as a word, the empty set where unused."""
  shift = np.maximum(address, 0).astype(np.uint64)
  return np.where(address == _UNUSED, np.uint64(0), np.uint64(1) << shift)


def _backward(
    columns: np.ndarray, live_after: np.ndarray, out: np.ndarray, read: np.ndarray,
    marks: np.ndarray,
) -> np.ndarray:
  """Walks a component function from its end; fills `marks`, returns what is live before it."""
  live = live_after.copy()
  for slot in columns[::-1]:
    reaches = (live & out[slot]) != 0
    marks[slot] = reaches
    live = np.where(reaches, (live & ~out[slot]) | read[slot], live)
  return live
