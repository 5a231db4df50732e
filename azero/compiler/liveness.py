"""Liveness: which instructions can reach a prediction.

An instruction is live if the value it writes can reach a prediction along some path that
the evaluation takes (figure 1 of the AutoML-Zero paper): Setup -> Predict -> Learn ->
Predict -> ... in training and Predict -> Predict in validation. The last edge matters:
an algorithm may keep in Predict what only the next validation example reads, as the
weight averaging of figure 6 does. Supplement S8 (a) removes dead instructions with such
an analysis; here it serves the canonical key, the interpreter and the printed reports.

The set of live addresses is one word of bits. A component function is walked from its end:
an instruction that writes a live address is live, and what it reads is live above it.
"""

import numpy as np

from azero.compiler.arrays import (
  IN1,
  IN2,
  LEARN,
  LIVE_WRITES,
  OLD,
  OUT,
  PREDICT,
  READS,
  SETUP,
  START,
  STOP,
  WRITES,
  ProgramArrays,
  Scratch,
  Tables,
  arrays,
  scratch,
  tables,
)
from azero.compiler.kernels import inlined_kernel, kernel
from azero.language.program import EMPTY, Programs

_NONE, _ONE = np.uint64(0), np.uint64(1)


def live_instructions(programs: Programs, *, multiclass: bool = False) -> np.ndarray:
  """Which instructions can reach a prediction.

  Args:
    programs: N programs of L slots.
    multiclass: whether the prediction is v2 and the label v1.

  Returns:
    [N, L] bool, False for empty slots.
  """
  live = np.zeros(programs.opcode.shape, np.bool_)
  space = programs.space
  _mark_all(arrays(programs), tables(space, multiclass), live, scratch(space))
  return live


@kernel
def _mark_all(programs: ProgramArrays, tables: Tables, live: np.ndarray, scratch: Scratch) -> None:
  for i in range(len(live)):
    mark_live(programs, i, tables, live[i], scratch)


@inlined_kernel
def mark_live(
    programs: ProgramArrays, i: int, tables: Tables, live: np.ndarray, scratch: Scratch) -> None:
  """Sets `live`, [L] bool, to which instructions of program i can reach a prediction."""
  list_instructions(programs, i, tables, scratch)
  start, slot, words = scratch.start, scratch.slot, scratch.words
  prediction = _ONE << np.uint64(tables.prediction)
  label = _ONE << np.uint64(tables.label)
  keep = ~(label | _ONE << np.uint64(tables.features))  # not overwritten before Predict
  written = _NONE  # by the loop of Predict and Learn, which alone can make more of it live
  for k in range(start[PREDICT], start[LEARN + 1]):
    written |= words[k, WRITES]
    words[k, LIVE_WRITES] = _NONE
  written &= keep
  # Before the first pass nothing is live at the end of Learn.
  before = _backward(start[PREDICT], start[LEARN], prediction, words)
  gained = before & written
  while gained != _NONE:
    before_learn = _backward(start[LEARN], start[LEARN + 1], before & keep, words)
    at_end = (before & keep) | (before_learn & ~label) | prediction
    after = _backward(start[PREDICT], start[LEARN], at_end, words)
    gained = after & ~before & written
    before = after
  _backward(start[SETUP], start[PREDICT], before & keep, words)
  live[:] = False
  for k in range(start[LEARN + 1]):
    live[slot[k]] = words[k, LIVE_WRITES] != _NONE


@inlined_kernel
def list_instructions(programs: ProgramArrays, i: int, tables: Tables, scratch: Scratch) -> None:
  """Lists the instructions of program i, with the sets of addresses they read and write."""
  scratch.start[0] = 0
  for function in range(3):
    list_function(programs, i, function, tables, scratch)


@inlined_kernel
def list_function(
    programs: ProgramArrays, i: int, function: int, tables: Tables, scratch: Scratch) -> None:
  """Lists the instructions of a component function of program i from its start on."""
  opcodes, in1, in2, out = programs.opcode[i], programs.in1[i], programs.in2[i], programs.out[i]
  units, slots, words = tables.units, scratch.slot, scratch.words
  count = scratch.start[function]
  for slot in range(tables.functions[function, START], tables.functions[function, STOP]):
    opcode = opcodes[slot]
    if opcode == EMPTY:
      continue
    slots[count] = slot
    words[count, READS] = (
        units[opcode, IN1] << np.uint64(in1[slot])
        | units[opcode, IN2] << np.uint64(in2[slot])
        | units[opcode, OLD] << np.uint64(out[slot]))
    words[count, WRITES] = units[opcode, OUT] << np.uint64(out[slot])
    count += 1
  scratch.start[function + 1] = count


@inlined_kernel
def _backward(first: int, end: int, reached: np.uint64, words: np.ndarray) -> np.uint64:
  """Walks the instructions of a component function from its end.

  Args:
    first: the first instruction.
    end: behind the last.
    reached: the set of live addresses at the end.
    words: [L, 3] uint64, with READS and WRITES; LIVE_WRITES is filled.

  Returns:
    The set of live addresses at the start.
  """
  for k in range(end - 1, first - 1, -1):
    hit = reached & words[k, WRITES]
    words[k, LIVE_WRITES] = hit
    # No branch, which a processor could not foresee: all bits if something is hit, else none.
    every = _NONE - np.uint64(hit != _NONE)
    reached = (reached ^ hit) | (words[k, READS] & every)
  return reached
