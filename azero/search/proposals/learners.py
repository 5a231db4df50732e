"""Random programs that can learn, out of many that cannot.

Of the random programs of section 4.1 one in a hundred can predict by the features what it learned
from the labels, see `azero.compiler.dependence`. Predict alone rules most of them out, Learn most
of the rest: a program is drawn as far as it takes to tell. What it draws is a function of its
number, so that each is the program that `mutation.random_programs` makes.
"""

import numpy as np

from azero.compiler.arrays import ProgramArrays, Scratch, Tables
from azero.compiler.dependence import learns_labels, listed_can_learn, sees_features
from azero.compiler.kernels import kernel
from azero.compiler.liveness import list_function, list_instructions
from azero.language.program import Function
from azero.search import draws
from azero.search.proposals.edits import skip_random_function, write_random_function

_SETUP, _PREDICT, _LEARN = (int(function) for function in Function)


@kernel
def draw_learners(
    found: ProgramArrays, island: int, numbers: tuple[int, int], seed: np.uint64, space: Tables,
    normalised: bool, scratch: Scratch, stream: np.ndarray) -> tuple[int, int]:
  """Draws programs of an island until there is no room for another that can learn.

  Args:
    found: is given those that can learn; every row has what is not searched.
    island: whose programs.
    numbers: the first to draw, and the one behind the last.
    seed: of the search, a word.
    space: the search space.
    normalised: whether predictions are made probabilities, see `dependence.can_learn`.
    scratch: room for the analysis.
    stream: what programs draw from.

  Returns:
    How many can learn, and the number of the next program.
  """
  searched = (_SETUP in space.searched, _PREDICT in space.searched, _LEARN in space.searched)
  first, last = numbers
  count = 0
  for number in range(first, last):
    if count == len(found.opcode):
      return count, number
    draws.start(stream, seed, island, number)
    of_setup = stream[0]
    if searched[_SETUP]:
      skip_random_function(_SETUP, space, stream)
    if searched[_PREDICT]:
      write_random_function(found, count, _PREDICT, space, stream)
    scratch.start[_PREDICT] = 0
    list_function(found, count, _PREDICT, space, scratch)
    if not sees_features(space, scratch):
      continue
    if searched[_LEARN]:
      write_random_function(found, count, _LEARN, space, stream)
    list_function(found, count, _LEARN, space, scratch)
    if not learns_labels(space, scratch):
      continue
    if searched[_SETUP]:
      stream[0] = of_setup
      write_random_function(found, count, _SETUP, space, stream)
    list_instructions(found, count, space, scratch)
    count += listed_can_learn(found, count, space, normalised, scratch)
  return count, last
