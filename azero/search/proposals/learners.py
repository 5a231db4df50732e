"""Random programs that can learn, out of many that cannot.

Of the random programs of section 4.1 one in a hundred can predict by the features what it learned
from the labels, see `azero.compiler.dependence`. Predict alone rules most of them out, Learn most
of the rest: a program is drawn as far as it takes to tell. What it draws is a function of its
number, so that each is the program that `mutation.random_programs` makes.
"""

from typing import NamedTuple

import numpy as np

from azero.compiler.arrays import LEARN, PREDICT, SETUP, ProgramArrays, Scratch, Tables
from azero.compiler.dependence import learns_labels, listed_can_learn, sees_features
from azero.compiler.kernels import kernel
from azero.compiler.liveness import list_function, list_instructions
from azero.search import draws
from azero.search.proposals.edits import skip_random_function, write_random_function


class Urn(NamedTuple):
  """What programs are drawn from, and with.

  Attributes:
    space: the search space.
    seed: of the search, a word.
    passed: training examples whose labels are left out, see `dependence.can_learn`.
    scratch: room for the analysis.
    stream: [1] uint64.
  """

  space: Tables
  seed: np.uint64
  passed: int
  scratch: Scratch
  stream: np.ndarray


@kernel
def draw_learners(
    found: ProgramArrays, island: int, first: int, last: int, urn: Urn) -> tuple[int, int]:
  """Draws programs of an island until there is no room for another that can learn a regression.

  Args:
    found: is given those that can learn; every row has what is not searched.
    island: whose programs.
    first: number of the first program to draw.
    last: the number behind the last.
    urn: of this thread.

  Returns:
    How many can learn, and the number of the next program.
  """
  space, scratch, stream = urn.space, urn.scratch, urn.stream
  searched = (SETUP in space.searched, PREDICT in space.searched, LEARN in space.searched)
  count = 0
  for number in range(first, last):
    if count == len(found.opcode):
      return count, number
    draws.start(stream, urn.seed, island, number)
    of_setup = stream[0]
    if searched[SETUP]:
      skip_random_function(SETUP, space, stream)
    if searched[PREDICT]:
      write_random_function(found, count, PREDICT, space, stream)
    scratch.start[PREDICT] = 0
    list_function(found, count, PREDICT, space, scratch)
    if not sees_features(space, scratch):
      continue
    if searched[LEARN]:
      write_random_function(found, count, LEARN, space, stream)
    list_function(found, count, LEARN, space, scratch)
    if not learns_labels(space, scratch):
      continue
    if searched[SETUP]:
      stream[0] = of_setup
      write_random_function(found, count, SETUP, space, stream)
    list_instructions(found, count, space, scratch)
    count += listed_can_learn(found, count, space, False, urn.passed, scratch)
  return count, last
