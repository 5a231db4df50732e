"""Dependence: which programs can predict by the features what they learned from the labels.

Random programs seldom do. A prediction that no path leads to from the features of its own
example, or from the labels of the training examples, is independent of the function that
labels a task: it cannot fit several random functions but by guessing all their weights. A
random search that only counts programs which fit need not run such programs.

The analysis follows sets of addresses, a word of bits, forward. It errs on one side only: what
it rules out has no such path.
"""

import numpy as np

from azero.compiler.arrays import (
  READS,
  WRITES,
  ProgramArrays,
  Scratch,
  Tables,
  arrays,
  scratch,
  tables,
)
from azero.compiler.kernels import inlined_kernel, inner_kernel, kernel
from azero.compiler.liveness import list_instructions
from azero.language.program import Function, Programs

_PREDICT, _LEARN = int(Function.PREDICT), int(Function.LEARN)
_NONE, _ONE = np.uint64(0), np.uint64(1)


def can_learn(programs: Programs, *, multiclass: bool = False) -> np.ndarray:
  """Which programs' predictions can depend on features and labels.

  Setup plays no part in it, since it runs before there are features or labels.

  Args:
    programs: N programs; their Setup is not looked at.
    multiclass: whether the prediction is v2 and the label v1.

  Returns:
    [N] bool: whether a path leads to the prediction of a validation example from the
    features of this example, and one from the labels of the training examples.
  """
  result = np.zeros(len(programs), np.bool_)
  space = programs.space
  _can_learn_all(arrays(programs), tables(space, multiclass), result, scratch(space))
  return result


@kernel
def _can_learn_all(
    programs: ProgramArrays, tables: Tables, result: np.ndarray, scratch: Scratch) -> None:
  for i in range(len(result)):
    result[i] = program_can_learn(programs, i, tables, scratch)


@inlined_kernel
def program_can_learn(programs: ProgramArrays, i: int, tables: Tables, scratch: Scratch) -> bool:
  """As `can_learn`, of program i."""
  list_instructions(programs, i, tables, scratch)
  words, predict = scratch.words, scratch.start[_PREDICT]
  learn, end = scratch.start[_LEARN], scratch.start[_LEARN + 1]
  prediction = _ONE << np.uint64(tables.prediction)
  label, features = _ONE << np.uint64(tables.label), _ONE << np.uint64(tables.features)
  if _forward(predict, learn, features, words) & prediction == _NONE:
    return False
  # After some examples: what may hold something of a label when Predict starts.
  known = _NONE
  while True:
    after = _forward(learn, end, _forward(predict, learn, known, words) | label, words)
    more = known | (after & ~(label | features))  # overwritten before the next example
    if more == known:
      break
    known = more
  return _forward(predict, learn, known, words) & prediction != _NONE


@inner_kernel
def _forward(first: int, end: int, reached: np.uint64, words: np.ndarray) -> np.uint64:
  """The addresses that hold something of a source after a component function.

  Args:
    first: its first instruction.
    end: behind its last.
    reached: the set of addresses that hold something of it before.
    words: [L, 3] uint64, with READS and WRITES.
  """
  for k in range(first, end):
    if words[k, READS] & reached != _NONE:
      reached |= words[k, WRITES]
    else:
      reached &= ~words[k, WRITES]
  return reached
