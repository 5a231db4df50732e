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
from azero.search import checked_state
from azero.search.ancestry import Ancestry, new_ancestry, room_for

FEWEST_GUESSES, MOST_GUESSES = 1.0, 32.0  # of parents in a round
_FIRST_GUESSES = 4.0  # before anything is learnt of them
_STORED = (
    "fitness", "made", "num_programs", "num_evaluated", "train_steps", "best_fitness", "key",
    "structure", "restarts", "epoch", "drawn", "epoch_best", "improved_at", "guesses")


class Islands(NamedTuple):
  """I islands with populations of P programs.

  A population is a ring in the order of age: child n of an island, counted from the first
  program of its initial population, is at place n % P, where it replaced the oldest.

  Attributes:
    population: the [I * P] programs, island by island; and behind them, for `ancestry`, those of
      ancestors.
    fitness: [I, P] float64; NaN where the round under way will tell it.
    made: [I] int64, children so far, the initial population included.
    num_programs: [I] int64, so far: children, the other constants that they were tried with,
      and immigrants.
    num_evaluated: [I] int64, of these so many no cache of canonical keys knew: what went to a
      device.
    train_steps: [I] int64, examples trained on so far.
    best_fitness: [I] float64; -inf before the first.
    best: the [I] best programs.
    active: [I] bool, who has budget left and was not taken out.
    key: [I, P, 2] uint64, canonical keys of the populations.
    structure: [I, P] uint64, their keys without constants, where rules ask for them.
    restarts: [I] int64, how often the population began anew.
    epoch: [I] int64, the child with which the population began anew for the last time.
    drawn: [I] int64, instructions that were drawn for its starts.
    epoch_best: [I] float64, best fitness since then.
    improved_at: [I] int64, the child that brought it.
    guesses: [I] float64, how many parents a round guesses, as far as it has been learnt.
    rounds: [I] int64, that the island has begun in this step.
    load: [I] float64, about what they have cost; decides no history.
    ancestry: whom the programs of the populations descend from.
  """

  population: ProgramArrays
  fitness: np.ndarray
  made: np.ndarray
  num_programs: np.ndarray
  num_evaluated: np.ndarray
  train_steps: np.ndarray
  best_fitness: np.ndarray
  best: ProgramArrays
  active: np.ndarray
  key: np.ndarray
  structure: np.ndarray
  restarts: np.ndarray
  epoch: np.ndarray
  drawn: np.ndarray
  epoch_best: np.ndarray
  improved_at: np.ndarray
  guesses: np.ndarray
  rounds: np.ndarray
  load: np.ndarray
  ancestry: Ancestry


def new_islands(space: SearchSpace, num_islands: int, population_size: int) -> Islands:
  """Islands that have made no program yet."""
  size = num_islands * (population_size + room_for(population_size))
  made, num_programs, num_evaluated, train_steps, restarts, epoch, drawn, improved_at = np.zeros(
      (8, num_islands), np.int64)
  best_fitness, epoch_best = np.full((2, num_islands), -np.inf)
  shape = num_islands, population_size
  return Islands(
      arrays(Programs.empty(space, size)), np.zeros(shape), made, num_programs, num_evaluated,
      train_steps, best_fitness, arrays(Programs.empty(space, num_islands)),
      np.ones(num_islands, bool), np.zeros((*shape, 2), np.uint64), np.zeros(shape, np.uint64),
      restarts, epoch, drawn, epoch_best, improved_at, np.full(num_islands, _FIRST_GUESSES),
      np.zeros(num_islands, np.int64), np.zeros(num_islands),
      new_ancestry(num_islands, population_size))


def islands_state(islands: Islands) -> dict[str, Any]:
  """What islands are between two rounds, but for their ancestry, for `restore_islands`."""
  state: dict[str, Any] = {name: getattr(islands, name) for name in _STORED}
  size = islands.fitness.size
  state["population"] = {
      name: array[:size] for name, array in islands.population._asdict().items()}
  state["best"] = islands.best._asdict()
  return state


def check_islands(islands: Islands, space: SearchSpace, state: Mapping[str, Any]) -> None:
  """Refuses what `restore_islands` cannot take over.

  Raises:
    StateError: islands of another size, programs of another space, or numbers that cannot be.
  """
  for name in _STORED:
    found = checked_state.like(state, name, getattr(islands, name))
    if name not in ("key", "structure"):
      checked_state.within(name, found, -np.inf if found.dtype.kind == "f" else 0)
  for name in ("restarts", "epoch", "improved_at"):
    checked_state.within(name, state[name], 0, state["made"])
  checked_state.within("guesses", state["guesses"], FEWEST_GUESSES, MOST_GUESSES)
  for name, count in (("population", islands.fitness.size), ("best", len(islands.made))):
    checked_state.programs(space, state, name, count)


def restore_islands(islands: Islands, state: Mapping[str, Any]) -> None:
  """Restores the state of other islands of as many programs, in place."""
  for name in _STORED:
    getattr(islands, name)[:] = state[name]
  for name in ("population", "best"):
    for each, array in getattr(islands, name)._asdict().items():
      array[: len(state[name][each])] = state[name][each]
