"""Dependence: which programs can predict by the features what they learned from the labels.

Random programs seldom do. A prediction that no path leads to from the features of its own
example, or from the labels of the training examples, is independent of the function that
labels a task: it cannot fit several random functions but by guessing all their weights. A
random search that only counts programs which fit need not run such programs.

The analysis follows sets of addresses forward, a word of bits for each program, over a whole
batch at once. It errs on one side only: what it rules out has no such path.
"""

import numpy as np

from azero.compiler import liveness
from azero.language.program import Function, Programs

_WORD = np.uint64


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
  role = liveness.roles(programs.space, multiclass)
  prediction, label, features = (_WORD(1) << _WORD(address) for address in role)
  predict, learn = (_steps(programs, function) for function in (Function.PREDICT, Function.LEARN))
  by_features = _forward(predict, np.full(len(programs), features))
  # After some examples: what may hold something of a label when Predict starts.
  known = np.zeros(len(programs), _WORD)
  while True:
    after = _forward(learn, _forward(predict, known) | label)
    # Label and features are overwritten before the next example.
    more = known | (after & ~(label | features))
    if np.array_equal(more, known):
      break
    known = more
  by_labels = _forward(predict, known)
  return (by_features & by_labels & prediction) != 0


def _steps(programs: Programs, function: Function) -> list[tuple[np.ndarray, np.ndarray]]:
  """For every slot of a component function the sets of addresses that it reads and writes."""
  slots = programs.space.slots(function)
  bases = liveness.address_bases(programs.space)
  steps = []
  for slot in range(slots.start, slots.stop):
    opcode, in1, in2, out = (
        getattr(programs, name)[:, slot] for name in ("opcode", "in1", "in2", "out"))
    read = [_bit(bases[k].take(opcode) + address) for k, address in enumerate((in1, in2, out))]
    steps.append((read[0] | read[1] | read[2], _bit(bases[3].take(opcode) + out)))
  return steps


def _bit(address: np.ndarray) -> np.ndarray:
  """The set of one address, counted over all kinds; of a negative one the empty set."""
  bit = _WORD(1) << np.maximum(address, 0).astype(_WORD)
  return np.where(address < 0, _WORD(0), bit)


def _forward(steps: list[tuple[np.ndarray, np.ndarray]], reached: np.ndarray) -> np.ndarray:
  """The addresses that hold something of a source after a component function.

  Args:
    steps: sets that each slot reads and writes, [N] words each.
    reached: [N] words, the addresses that hold something of it before.
  """
  for read, written in steps:
    reached = np.where(read & reached, reached | written, reached & ~written)
  return reached
