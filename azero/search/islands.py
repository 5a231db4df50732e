"""The islands of a search as arrays: populations, totals, best programs.

An island is one run of the paper's algorithm (section 3.2): a population, a budget and random
numbers of its own. The arrays hold all islands of a group, so that compiled loops advance them;
no loop lets one island look at another.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from azero.compiler.arrays import ProgramArrays, arrays
from azero.language.program import Programs, SearchSpace
from azero.search.ancestry import Ancestry, new_ancestry, room_for

_STORED = ("fitness", "made", "num_programs", "train_steps", "best_fitness")


class Islands(NamedTuple):
  """I islands with populations of P programs.

  A population is a ring in the order of age: child n of an island, counted from the first
  program of its initial population, is at place n % P, where it replaced the oldest.

  Attributes:
    population: the [I * P] programs, island by island; and behind them, for `ancestry`, those of
      ancestors.
    fitness: [I, P] float64; NaN where the round under way will tell it.
    made: [I] int64, children so far, the initial population included.
    num_programs: [I] int64, evaluated so far: children and immigrants.
    train_steps: [I] int64, examples trained on so far.
    best_fitness: [I] float64; -inf before the first.
    best: the [I] best programs.
    active: [I] bool, who has budget left and was not taken out.
    ancestry: whom the programs of the populations descend from.
  """

  population: ProgramArrays
  fitness: np.ndarray
  made: np.ndarray
  num_programs: np.ndarray
  train_steps: np.ndarray
  best_fitness: np.ndarray
  best: ProgramArrays
  active: np.ndarray
  ancestry: Ancestry


def new_islands(space: SearchSpace, num_islands: int, population_size: int) -> Islands:
  """Islands that have made no program yet."""
  size = num_islands * (population_size + room_for(population_size))
  made, num_programs, train_steps = np.zeros((3, num_islands), np.int64)
  return Islands(
      arrays(Programs.empty(space, size)), np.zeros((num_islands, population_size)), made,
      num_programs, train_steps, np.full(num_islands, -np.inf),
      arrays(Programs.empty(space, num_islands)), np.ones(num_islands, bool),
      new_ancestry(num_islands, population_size))


def islands_state(islands: Islands) -> dict[str, Any]:
  """What islands are between two rounds, but for their ancestry, for `restore_islands`."""
  state: dict[str, Any] = {name: getattr(islands, name) for name in _STORED}
  size = islands.fitness.size
  state["population"] = {
      name: array[:size] for name, array in islands.population._asdict().items()}
  state["best"] = islands.best._asdict()
  return state


def restore_islands(islands: Islands, state: Mapping[str, Any]) -> None:
  """Takes over the state of other islands of as many programs, in place."""
  for name in _STORED:
    getattr(islands, name)[:] = state[name]
  for name in ("population", "best"):
    for array, saved in zip(getattr(islands, name), state[name].values(), strict=True):
      array[: len(saved)] = saved
