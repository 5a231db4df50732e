"""The tournament by which a parent is chosen (section 3.2, figure 2 of the paper).

A population is a ring of P places in the order of age. The oldest program is removed before a
tournament, and the child takes its place.
"""

import numpy as np

from azero.compiler.kernels import inlined_kernel
from azero.search.draws import pick

NOBODY = -1  # no winner


@inlined_kernel
def tournament(
    fitness: np.ndarray, oldest: int, contestants: int, stream: np.ndarray) -> tuple[int, bool]:
  """Draws contestants, with repetition, from all but the oldest program.

  Args:
    fitness: [P] float64; NaN where it is not known yet.
    oldest: the place of the oldest program.
    contestants: T, how many are drawn.
    stream: of the child.

  Returns:
    The place of the first of the fittest that were drawn, of those whose fitness is known,
    NOBODY if there is none; and whether that is all of them.
  """
  size = len(fitness)
  winner, best, decided = NOBODY, -np.inf, True
  for _ in range(contestants):
    place = oldest + 1 + pick(stream, size - 1)
    if place >= size:
      place -= size
    value = fitness[place]
    if np.isnan(value):
      decided = False
    elif winner == NOBODY or value > best:
      winner, best = place, value
  return winner, decided
