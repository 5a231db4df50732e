"""Dependence: which programs can predict by the features what they learned from the labels.

Random programs seldom do. A prediction that no path leads to from the features of its own
example, or from the labels of the training examples, is independent of the function that
labels a task: it cannot fit several random functions but by guessing all their weights. A
random search that only counts programs which fit need not run such programs.

A path also ends where a value is zero for certain. All memory is zero at the start, most of it
stays so, and a product with such a value is zero, or no number where the other factor is infinite:
a prediction that is so in every example fits nothing. What Setup puts somewhere may be gone after
an example or two. So a caller may choose to look at later examples only: no program fits that has
paths from so few labels alone.

The analysis follows sets of addresses, a word of bits, forward. It errs on one side only: what
it rules out has no such path.
"""

import numpy as np

from azero.compiler.arrays import (
  IN1,
  IN2,
  LEARN,
  PREDICT,
  READS,
  SETUP,
  WRITES,
  ZERO,
  ZERO_OF_ALL,
  ZERO_OF_ANY,
  ZERO_OF_FIRST,
  ZERO_OF_SAME,
  ProgramArrays,
  Scratch,
  Tables,
  arrays,
  scratch,
  tables,
)
from azero.compiler.kernels import inlined_kernel, inner_kernel, kernel
from azero.compiler.liveness import list_instructions
from azero.language.program import Programs

_NONE, _ONE = np.uint64(0), np.uint64(1)


def can_learn(
    programs: Programs, *, multiclass: bool = False, normalised: bool = True, passed: int = 0,
) -> np.ndarray:
  """Which programs' predictions can depend on features and labels.

  Args:
    programs: N programs.
    multiclass: whether the prediction is v2 and the label v1.
    normalised: whether predictions are made probabilities, as in classification, so that even
      one of zero is none when Learn finds it.
    passed: training examples whose labels are left out.

  Returns:
    [N] bool: whether a path leads to the prediction of a validation example from the
    features of this example, and one from the labels of the other training examples.
  """
  result = np.zeros(len(programs), np.bool_)
  space = programs.space
  _can_learn_all(
      arrays(programs), tables(space, multiclass), normalised, passed, result, scratch(space))
  return result


@kernel
def _can_learn_all(
    programs: ProgramArrays, tables: Tables, normalised: bool, passed: int, result: np.ndarray,
    scratch: Scratch) -> None:
  for i in range(len(result)):
    list_instructions(programs, i, tables, scratch)
    result[i] = listed_can_learn(programs, i, tables, normalised, passed, scratch)


@inner_kernel
def listed_can_learn(
    programs: ProgramArrays, i: int, tables: Tables, normalised: bool, passed: int,
    scratch: Scratch) -> bool:
  """As `can_learn`, of program i, whose instructions have been listed."""
  _forget_zeros(programs, i, tables, normalised, passed, scratch)
  return sees_features(tables, scratch) and learns_labels(tables, scratch)


@inlined_kernel
def sees_features(tables: Tables, scratch: Scratch) -> bool:
  """Whether a path leads from the features to the prediction, in Predict as it is listed."""
  start, features = scratch.start, _ONE << np.uint64(tables.features)
  reached = _forward(start[PREDICT], start[LEARN], features, scratch.words)
  return reached & _ONE << np.uint64(tables.prediction) != _NONE


@inlined_kernel
def learns_labels(tables: Tables, scratch: Scratch) -> bool:
  """Whether a path leads from labels to a later prediction, in Predict and Learn as listed."""
  words, predict = scratch.words, scratch.start[PREDICT]
  learn, end = scratch.start[LEARN], scratch.start[LEARN + 1]
  label = _ONE << np.uint64(tables.label)
  given = label | _ONE << np.uint64(tables.features)  # overwritten before the next example
  # After some examples: what may hold something of a label when Predict starts.
  known = _NONE
  while True:
    predicted = _forward(predict, learn, known, words)
    more = known | ((predicted | _forward(learn, end, predicted | label, words)) & ~given)
    if more == known:
      return predicted & _ONE << np.uint64(tables.prediction) != _NONE
    known = more


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


@inlined_kernel
def _forget_zeros(
    programs: ProgramArrays, i: int, tables: Tables, normalised: bool, passed: int,
    scratch: Scratch) -> None:
  """Empties what instructions of program i read whose results are zero from an example on."""
  start = scratch.start
  label, features = _ONE << np.uint64(tables.label), _ONE << np.uint64(tables.features)
  in_learn = label | (_ONE << np.uint64(tables.prediction) if normalised else _NONE)
  # What may be other than zero when Predict starts.
  filled = _fill(SETUP, _NONE, programs, i, tables, scratch) & ~label | features
  for _ in range(passed):
    predicted = _fill(PREDICT, filled, programs, i, tables, scratch)
    filled = _fill(LEARN, predicted | in_learn, programs, i, tables, scratch) & ~label
  while True:
    predicted = _fill(PREDICT, filled, programs, i, tables, scratch)
    learned = _fill(LEARN, predicted | in_learn, programs, i, tables, scratch)
    more = filled | ((predicted | learned) & ~label)
    if more == filled:
      break
    filled = more
  for k in range(start[PREDICT], start[LEARN + 1]):
    if k == start[LEARN]:
      filled |= in_learn
    after = _after(k, filled, programs, i, tables, scratch)
    if after & scratch.words[k, WRITES] == _NONE:
      scratch.words[k, READS] = _NONE
    filled = after


@inlined_kernel
def _fill(
    function: int, filled: np.uint64, programs: ProgramArrays, i: int, tables: Tables,
    scratch: Scratch) -> np.uint64:
  """The addresses that may be other than zero after a component function, by those before."""
  for k in range(scratch.start[function], scratch.start[function + 1]):
    filled = _after(k, filled, programs, i, tables, scratch)
  return filled


@inner_kernel
def _after(
    k: int, filled: np.uint64, programs: ProgramArrays, i: int, tables: Tables, scratch: Scratch,
) -> np.uint64:
  """The addresses that may be other than zero after instruction k, by those before."""
  slot = scratch.slot[k]
  opcode, units = programs.opcode[i, slot], tables.units
  first = units[opcode, IN1] << np.uint64(programs.in1[i, slot]) & filled
  second = units[opcode, IN2] << np.uint64(programs.in2[i, slot]) & filled
  zero, written = tables.ops[opcode, ZERO], scratch.words[k, WRITES]
  if zero == ZERO_OF_ANY:
    holds = first != _NONE and second != _NONE
  elif zero == ZERO_OF_FIRST:
    holds = first != _NONE
  elif zero == ZERO_OF_ALL:
    holds = first | second != _NONE
  elif zero == ZERO_OF_SAME:
    holds = first != second
  else:
    holds = True
  return filled | written if holds else filled & ~written
