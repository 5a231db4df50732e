"""Whose child a child is: drawn anew, it is the same as long as the fitnesses are."""

import numpy as np

from azero.compiler.kernels import inlined_kernel
from azero.search import draws
from azero.search.islands import Islands
from azero.search.origins import NONE
from azero.search.rounds.round import Rules
from azero.search.tournament import tournament


@inlined_kernel
def choose_parent(
    islands: Islands, i: int, n: int, rules: Rules, stream: np.ndarray) -> tuple[int, bool]:
  """Begins the draws of child n of island i with the tournament, if it has a parent.

  Args:
    islands: all of them.
    i: which.
    n: number of the child on it.
    rules: of the search.
    stream: is made that of the child.

  Returns:
    As `tournament`; of a start NONE and True.
  """
  size = rules.population_size
  draws.start(stream, rules.seed, rules.first_island + i, n)
  if not rules.evolve or n - islands.epoch[i] < size:
    return NONE, True
  return tournament(islands.fitness[i], n % size, rules.tournament_size, stream)
