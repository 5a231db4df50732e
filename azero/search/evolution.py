"""Regularised evolution (section 3.2, figure 2 of the AutoML-Zero paper).

In turn the oldest program of a population is removed, random programs of the rest hold a
tournament, and a mutated copy of the winner joins as the youngest; `rounds` has the loop.
`leaving`, `members` and `immigrate` serve migration, see `migration`.
"""

from collections.abc import Callable, Sequence
import functools

import numpy as np

from azero.compiler import validity
from azero.compiler.arrays import searched_functions
from azero.language.program import Programs, SearchSpace
from azero.search.config import SearchConfig
from azero.search.history.lineage import Lineage
from azero.search.search import Search
from azero.tasks.task import Tasks


class Evolution(Search):
  """Islands of populations."""

  def __init__(
      self, space: SearchSpace, task_sets: Tasks | Sequence[Tasks], config: SearchConfig, *,
      template: Programs | None = None, **others,
  ):
    """See `Search`; a template fills the initial population if `initial` is "empty".

    Raises:
      ValueError: as `Search`, and settings with which no program could ever change.
    """
    if config.population_size == 1 and (config.filters or config.structure_limit or config.leaps):
      raise ValueError(
          "In a population of 1 a child takes the place of its parent, so that filters, "
          "structure_limit and leaps cannot draw again: set population_size to 2 or more.")
    super().__init__(space, task_sets, config, template=template, **others)
    if "valid" in config.filters:
      _check_valid(space, config, template, self.task_sets[0].multiclass)
    if config.initial == "empty" and not {"insert", "insert_or_remove"} & set(config.mutations):
      lengths = (template or Programs.empty(space)).lengths
      if not lengths[:, searched_functions(space)].any():
        raise ValueError(
            f"The mutations {', '.join(config.mutations)} leave empty programs empty: start "
            'from random ones (initial="random"), or add the mutation "insert_or_remove".')

  @property
  def population(self) -> Programs:
    """The [I * P] programs, island by island; child n of an island is at place n % P."""
    size = self.islands.fitness.size
    return Programs(self.space, *(array[:size] for array in self.islands.population))

  @property
  def fitness(self) -> np.ndarray:
    """[I, P] float, of the population."""
    return self.islands.fitness.reshape(self.num_islands, -1)

  @property
  def oldest(self) -> np.ndarray:
    """[I] int, the place of the oldest program of each population."""
    return self.islands.made % self.config.population_size

  def leaving(self, islands: np.ndarray, count: int, turn: int) -> np.ndarray:
    """Draws who leaves each of these islands.

    Args:
      islands: [n] int.
      count: how many programs of each.
      turn: how often programs left before; the same turn draws the same.

    Returns:
      [n, count] int, distinct places of its population.
    """
    places = np.empty((len(islands), count), np.int64)
    for row, island in zip(places, islands.tolist()):
      generator = np.random.default_rng(np.random.SeedSequence(
          self.config.seed, spawn_key=(self.first_island + island, turn)))
      row[:] = generator.permutation(self.config.population_size)[:count]
    return places

  def members(self, island: int, places: np.ndarray) -> Programs:
    """Copies of the programs at these places of an island's population."""
    return self.population[island * self.config.population_size + places]

  def lineages(self, island: int, places: np.ndarray) -> list[Lineage]:
    """What those at these places of an island's population came from, to be taken along."""
    return self._genealogy.leaving(island, places)

  def immigrate(
      self, islands: np.ndarray, places: np.ndarray, programs: Programs,
      lineages: Sequence[Lineage],
  ) -> list[Callable[[], None]]:
    """The work of taking in programs, a piece for each thread, to be run before `conclude`.

    An immigrant is evaluated on the tasks of its new island like a child of that island, and
    takes the place and with it the age of who left.

    Args:
      islands: [n] different islands, in order.
      places: [n, count], whose place is taken.
      programs: [n * count] programs, island by island.
      lineages: of each.
    """
    return [
        functools.partial(thread.take_in, islands, places, programs, lineages)
        for thread in self._threads]


def _check_valid(
    space: SearchSpace, config: SearchConfig, template: Programs | None, multiclass: bool) -> None:
  """Refuses a search for valid programs that could never find one."""
  validity.check_space(space)
  if config.initial != "empty":
    return
  if template is None or not validity.is_valid(template, multiclass=multiclass).any():
    raise ValueError(
        'The filter "valid" lets no child of an empty program pass: start from grown or random '
        'programs (initial="grown"), or from a template that is valid.')
