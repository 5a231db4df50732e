"""Regularised evolution (section 3.2, figure 2 of the AutoML-Zero paper).

Each cycle of an island removes the oldest programs, lets random programs of the rest hold
a tournament, mutates a copy of the winner and adds it as the youngest. With one child in
a cycle this is exactly the paper's algorithm. `leaving`, `members` and `immigrate`
serve migration, see `migration`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from azero.executors.evaluator import Evaluator
from azero.language.program import Programs, SearchSpace
from azero.search import mutation
from azero.search import state as state_lib
from azero.search.config import SearchConfig
from azero.search.equivalence import Stages
from azero.search.evaluators import MakeEvaluator
from azero.search.search import Search
from azero.tasks.task import Tasks


def check(config: SearchConfig) -> None:
  """Refuses settings by which no parents would be left.

  Raises:
    ValueError: as many children in a cycle as a population has programs, or more.
  """
  if config.children_per_cycle >= config.population_size:
    raise ValueError(
        f"children_per_cycle ({config.children_per_cycle}) must be smaller than "
        f"population_size ({config.population_size}): that many of the oldest are removed "
        "before the parents are chosen.")


class Evolution(Search):
  """Islands of populations in lockstep.

  The population of an island is a ring in the order of age: `oldest` is where its oldest
  program is and its next child goes.

  Attributes:
    population: [I * P] programs, island by island.
    fitness: [I, P].
    oldest: [I] int.
  """

  def __init__(
      self, space: SearchSpace, task_sets: Tasks | Sequence[Tasks], config: SearchConfig, *,
      template: Programs | None = None, first_island: int = 0,
      evaluator: MakeEvaluator = Evaluator,
  ):
    """See `Search`; a template fills the initial population if `initial` is "empty".

    Raises:
      ValueError: as `Search`, and settings with which no program could ever change.
    """
    check(config)
    super().__init__(
        space, task_sets, config, template=template, first_island=first_island,
        evaluator=evaluator)
    self._mutator = mutation.Mutator(space, config.mutations, config.mutation_probability)
    fills_empty = any(
        mutation.mutation_by_name(name).fills_empty for name in config.mutations)
    if config.initial == "empty" and not fills_empty:
      lengths = (template or Programs.empty(space)).lengths
      if not lengths[:, mutation.searched_functions(space)].any():
        raise ValueError(
            f"The mutations {', '.join(config.mutations)} leave empty programs empty: start "
            'from random ones (initial="random"), or add the mutation "insert_or_remove".')
    size = config.population_size
    self.population = Programs.empty(space, self.num_islands * size)
    self.fitness = np.zeros((self.num_islands, size))
    self.oldest = np.zeros(self.num_islands, np.int64)

  def leaving(self, islands: np.ndarray, count: int) -> np.ndarray:
    """Draws who leaves each of these islands: [n, count] distinct places of its population."""
    numbers = self.streams.take(islands, self.config.population_size)
    return numbers.argsort(axis=1, kind="stable")[:, :count]

  def members(self, island: int, places: np.ndarray) -> Programs:
    """Copies of the programs at these places of an island's population."""
    return self.population[island * self.config.population_size + places]

  def immigrate(
      self, islands: np.ndarray, places: np.ndarray, programs: Programs
  ) -> list[Stages[None]]:
    """The work of taking in programs, to be run to its end before `conclude`.

    An immigrant is evaluated on the tasks of its new island like a child of that island, and
    takes the place and with it the age of who left.

    Args:
      islands: [n] different islands, in order.
      places: [n, count], whose place is taken.
      programs: [n * count] programs, island by island.
    """
    count = places.shape[1]

    def take_in(chosen: np.ndarray) -> Stages[None]:
      arrived = programs[(chosen[:, None] * count + np.arange(count)).ravel()]
      fitness = yield from self._score(0, islands[chosen], arrived, count)
      self._settle(islands[chosen], places[chosen], arrived, fitness)

    halves = [
        np.flatnonzero((islands >= first) & (islands < last)) for first, last in self._halves()]
    return [take_in(chosen) for chosen in halves if len(chosen)]

  def state(self) -> dict[str, Any]:
    """Adds the populations, their fitnesses and ages."""
    return super().state() | {
        "population": state_lib.programs_state(self.population), "fitness": self.fitness,
        "oldest": self.oldest}

  def restore(self, state: Mapping[str, Any]) -> None:
    """See `Search.restore`."""
    super().restore(state)
    self.population = state_lib.programs_of(self.space, state["population"])
    self.fitness = state["fitness"].copy()
    self.oldest = state["oldest"].copy()

  def _propose(self, islands: np.ndarray) -> tuple[Programs, int]:
    if self.cycle == 0:
      return self._initial(islands)
    count = self.config.children_per_cycle
    size, contestants = self.config.population_size, self.config.tournament_size
    numbers = contestants + mutation.HEAD_DRAWS
    draws = self.streams.take(islands, count * numbers).reshape(-1, numbers)
    owners = np.repeat(islands, count)
    slots = (draws[:, :contestants] * (size - count)).astype(np.int64)  # of the survivors
    slots += (self.oldest + count).take(owners)[:, None]
    slots -= size * (slots >= size)
    slots += (owners * size)[:, None]
    winner = self.fitness.take(slots).argmax(1)
    winner += np.arange(len(slots)) * contestants
    parents = slots.take(winner)
    children = Programs(self.space, *(
        getattr(self.population, name).take(parents, axis=0) for name in Programs.ARRAYS))
    head = draws[:, contestants:]
    plan = self._mutator.plan(children, head)
    needing = np.flatnonzero(plan.tail_draws)
    tail = self.streams.take_ragged(owners.take(needing), plan.tail_draws.take(needing))
    self._mutator.apply(plan, children, head, tail)
    return children, count

  def _initial(self, islands: np.ndarray) -> tuple[Programs, int]:
    size = self.config.population_size
    if self.config.initial == "random":
      return self._random_programs(islands, size), size
    return self._templates(islands, size), size

  def _accept(self, islands: np.ndarray, programs: Programs, fitness: np.ndarray) -> None:
    size, count = self.config.population_size, fitness.shape[1]
    slots = self.oldest[islands, None] + np.arange(count)
    slots -= size * (slots >= size)
    self._settle(islands, slots, programs, fitness)
    self.oldest[islands] = (self.oldest[islands] + count) % size

  def _settle(
      self, islands: np.ndarray, places: np.ndarray, programs: Programs, fitness: np.ndarray
  ) -> None:
    """Puts programs, [n * count], at places, [n, count], of the populations."""
    rows = (places + islands[:, None] * self.config.population_size).ravel()
    for name in Programs.ARRAYS:
      getattr(self.population, name)[rows] = getattr(programs, name)
    self.fitness.reshape(-1)[rows] = fitness.ravel()
