"""What every search shares: islands, budgets, cached evaluation and the best programs.

An island is one run of the paper's algorithm: its own tasks, generator, budget and (in
evolution) population. All islands advance in lockstep, so that one batch holds the
candidates of all of them; what an island does never depends on the others. Groups of
islands whose tasks have other shapes, and migration, are those of `federation`.
"""

import abc
from collections.abc import Callable, Mapping, Sequence
import functools
from typing import Any, NamedTuple

import numpy as np

from azero.compiler import canonical
from azero.executors.evaluator import Evaluator
from azero.language.program import Programs, SearchSpace
from azero.search import budgets, equivalence, mutation
from azero.search import state as state_lib
from azero.search.config import SearchConfig
from azero.search.equivalence import CachedEvaluator, Counts, Stages
from azero.search.evaluators import MakeEvaluator
from azero.search.hall_of_fame import HallOfFame
from azero.search.streams import Streams
from azero.tasks.task import Tasks

_BATCH = 8192  # candidates evaluated at once; bounds the memory that a batch takes
_STEP_PROGRAMS = 8192
_MAX_CYCLES = 32


class Improvement(NamedTuple):
  """A new best program of an island.

  Attributes:
    island: whose.
    fitness: on the island's search tasks.
    train_steps: of the island so far.
    num_programs: evaluated on the island so far.
    program: a batch of one.
  """

  island: int
  fitness: float
  train_steps: int
  num_programs: int
  program: Programs


class Search(budgets.Budgeted, abc.ABC):
  """A search over several islands; subclasses propose candidates and learn from fitnesses."""

  def __init__(
      self, space: SearchSpace, task_sets: Tasks | Sequence[Tasks], config: SearchConfig, *,
      template: Programs | None = None, first_island: int = 0,
      evaluator: MakeEvaluator = Evaluator,
  ):
    """Prepares the evaluators; evaluates nothing yet.

    Args:
      space: the search space.
      task_sets: one task batch for each island.
      config: the settings.
      template: programs to start from, given to the initial programs of each island in turn;
        random initial programs keep the component functions that are not searched.
      first_island: number of the first island among those of a larger search: it decides its
        random numbers and stands in records.
      evaluator: makes what evaluates programs, see `evaluators`.

    Raises:
      ValueError: settings or tasks that do not fit, a space in which nothing is searched,
        or a template of other programs than valid ones of the space.
    """
    sets = [task_sets] if isinstance(task_sets, Tasks) else list(task_sets)
    self.space = space
    self.config = config
    self.task_sets = sets
    self.num_islands = len(sets)
    self.first_island = first_island
    self.template = template
    self._draws_per_program = mutation.num_random_draws(space)
    if template is not None:
      _check_template(template, space)
    self._evaluator = CachedEvaluator(
        space, sets, canonical_cache=config.canonical_cache, fingerprint=config.fingerprint,
        cache_size=config.cache_size, train_budget=config.train_budget, hurdle=config.hurdle,
        hurdle_window=config.population_size, combine=config.combine, num_epochs=config.num_epochs,
        max_abs_error=config.max_abs_error, seed=config.seed, dtype=config.dtype,
        num_devices=config.num_devices, lanes=config.lanes, executor=config.executor,
        evaluator=evaluator)
    self.streams = Streams(
        [np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(island,)))
         for island in range(first_island, first_island + self.num_islands)])
    # By the settings alone, since what happens between steps can end islands.
    programs = self.num_islands * config.children_per_cycle
    self._cycles_per_step = config.cycles_per_step or max(
        1, min(_MAX_CYCLES, _STEP_PROGRAMS // programs))
    self.cycle = 0
    self._cycles_done = 0  # of the step under way
    self.active = np.ones(self.num_islands, bool)
    self._taken_out = np.zeros(self.num_islands, bool)
    self.train_steps = np.zeros(self.num_islands, np.int64)
    self.num_programs = np.zeros(self.num_islands, np.int64)
    self.best_fitness = np.full(self.num_islands, -np.inf)
    self.best_programs = Programs.empty(space, self.num_islands)
    self.hall_of_fame = HallOfFame(config.hall_of_fame_size, first_island=first_island)
    self.improvements: list[Improvement] = []  # since the last `take_improvements`
    # What the cycles of the step under way leave to be recorded: (cycle, first island, how).
    self._finished: list[tuple[int, int, Callable[[], None]]] = []

  @property
  def counts(self) -> Counts:
    """How programs were answered so far, over all islands."""
    return self._evaluator.counts

  def space_of(self, island: int) -> SearchSpace:
    """The search space of an island."""
    return self.space

  def finish(self, island: int) -> None:
    """Takes an island out of the search, as if its budget were spent."""
    self._taken_out[island] = True
    self._update_active()

  def take_improvements(self) -> list[Improvement]:
    """New bests since the last call, in the order they were found."""
    taken, self.improvements = self.improvements, []
    return taken

  def step(self) -> None:
    """Some cycles on every island that has budget left, the first time only one."""
    if not self.finished:
      equivalence.interleave(self.launch(self.cycles_of_step))
      self.conclude()

  @property
  def cycles_of_step(self) -> int:
    """How many cycles the next step has."""
    return self._cycles_per_step if self.cycle else 1

  def launch(self, cycles: int) -> list[Stages[None]]:
    """The work of so many cycles, to be run to its end before `conclude`.

    The islands are in two halves: while devices evaluate the candidates of one, the host
    works on the other. What an island does depends on neither.
    """
    return [self._cycles(first, last, cycles) for first, last in self._halves()]

  def conclude(self) -> None:
    """Ends a step whose work is done."""
    # Records in the order of the cycles, whichever half was ahead of the other.
    for _, _, record in sorted(self._finished, key=lambda item: item[:2]):
      record()
    self._finished.clear()
    self.cycle += self._cycles_done
    self._cycles_done = 0

  def _halves(self) -> tuple[tuple[int, int], tuple[int, int]]:
    middle = -(-self.num_islands // 2)
    return (0, middle), (middle, self.num_islands)

  def _cycles(self, first: int, last: int, count: int) -> Stages[None]:
    """Cycles of the islands first to last - 1."""
    for cycle in range(count):
      islands = np.flatnonzero(self.active[first:last]) + first
      if not len(islands):
        return
      programs, children = self._propose(islands)
      fitness = yield from self._score(cycle, islands, programs, children)
      self._accept(islands, programs, fitness)
      self._cycles_done = max(self._cycles_done, cycle + 1)

  def _score(
      self, cycle: int, islands: np.ndarray, programs: Programs, count: int
  ) -> Stages[np.ndarray]:
    """Evaluates `count` programs of each of these islands, at their cost: fitness [n, count]."""
    owners = np.repeat(islands, count)
    fitness, steps, analysis = yield from self._evaluate(programs, owners, count)
    self.train_steps += np.bincount(owners, steps, self.num_islands).astype(np.int64)
    self.num_programs[islands] += count
    self._finished.append((cycle, int(islands[0]), functools.partial(
        self._record, islands, programs, fitness, analysis.key, self.train_steps.copy(),
        self.num_programs.copy())))
    self._update_active()
    return fitness.reshape(len(islands), count)

  def _record(
      self, islands: np.ndarray, programs: Programs, fitness: np.ndarray, keys: np.ndarray,
      train_steps: np.ndarray, num_programs: np.ndarray,
  ) -> None:
    """Notes the best programs of a cycle, with the totals of the islands after it."""
    by_island = fitness.reshape(len(islands), -1)
    self._note_best(islands, programs, by_island, train_steps, num_programs)
    self.hall_of_fame.offer(
        programs, fitness, keys, np.repeat(islands, by_island.shape[1]), train_steps,
        num_programs)

  def state(self) -> dict[str, Any]:
    """All that decides what comes next, between two steps; see `state`.

    A subclass adds what it owns.
    """
    return {
        "cycle": self.cycle, "taken_out": self._taken_out, "train_steps": self.train_steps,
        "num_programs": self.num_programs, "best_fitness": self.best_fitness,
        "best_programs": state_lib.programs_state(self.best_programs),
        "streams": self.streams.state(), "evaluator": self._evaluator.state(),
        "hall_of_fame": self.hall_of_fame.state(self.space),
        "improvements": state_lib.found_state(self.space, self.improvements)}

  def restore(self, state: Mapping[str, Any]) -> None:
    """Takes over the state of another search, which this one then continues.

    Args:
      state: of a search of the same settings and tasks. Budgets may differ, as may the
        number of devices and the lanes.
    """
    self.cycle = state["cycle"]
    self._taken_out = state["taken_out"].copy()
    self.train_steps = state["train_steps"].copy()
    self.num_programs = state["num_programs"].copy()
    self.best_fitness = state["best_fitness"].copy()
    self.best_programs = state_lib.programs_of(self.space, state["best_programs"])
    self.streams.restore(state["streams"])
    self._evaluator.restore(state["evaluator"])
    self.hall_of_fame.restore(self.space, state["hall_of_fame"])
    self.improvements = [
        Improvement(**fields)
        for fields in state_lib.found_in(self.space_of, state["improvements"])]
    self._update_active()

  def _update_active(self) -> None:
    """Who has budget left and was not taken out."""
    self.active = ~self._taken_out & self.within_budget()

  @abc.abstractmethod
  def _propose(self, islands: np.ndarray) -> tuple[Programs, int]:
    """Candidates of these islands, [n * count] in their order, and the count of each."""

  @abc.abstractmethod
  def _accept(self, islands: np.ndarray, programs: Programs, fitness: np.ndarray) -> None:
    """Learns the fitnesses, [n, count], of what was proposed."""

  def _random_programs(self, islands: np.ndarray, count: int) -> Programs:
    draws = self._draws_per_program
    numbers = self.streams.take(islands, count * draws).reshape(-1, draws)
    return mutation.random_programs(
        self.space, numbers, template=self._templates(islands, count))

  def _templates(self, islands: np.ndarray, count: int) -> Programs:
    """What `count` programs of each of these islands start from."""
    start = self.template or Programs.empty(self.space)
    return start[np.tile(np.arange(count) % len(start), len(islands))]

  def _evaluate(
      self, programs: Programs, owners: np.ndarray, count: int
  ) -> Stages[tuple[np.ndarray, np.ndarray, canonical.Analysis]]:
    # What shares a batch decides what the caches forget first, so that the candidates of
    # an island are cut alike whatever the number of islands: into batches of their own, or
    # not at all.
    if count > _BATCH:
      starts = [
          first + k for first in range(0, len(owners), count) for k in range(0, count, _BATCH)]
    else:
      starts = list(range(0, len(owners), _BATCH // count * count))
    parts = []
    for start, stop in zip(starts, [*starts[1:], len(owners)]):
      parts.append((yield from self._evaluator.stages(programs[start:stop], owners[start:stop])))
    if len(parts) == 1:
      return parts[0]
    fitness, steps, analyses = zip(*parts)
    return (
        np.concatenate(fitness), np.concatenate(steps),
        canonical.Analysis(*(np.concatenate(arrays) for arrays in zip(*map(tuple, analyses)))))

  def _note_best(
      self, islands: np.ndarray, programs: Programs, fitness: np.ndarray,
      train_steps: np.ndarray, num_programs: np.ndarray,
  ) -> None:
    best = fitness.argmax(1)
    value = fitness[np.arange(len(islands)), best]
    for k in np.flatnonzero(value > self.best_fitness[islands]):
      island = int(islands[k])
      program = programs[int(k * fitness.shape[1] + best[k])]
      self.best_fitness[island] = value[k]
      for name in Programs.ARRAYS:
        getattr(self.best_programs, name)[island] = getattr(program, name)[0]
      self.improvements.append(Improvement(
          self.first_island + island, float(value[k]), int(train_steps[island]),
          int(num_programs[island]), program))


def _check_template(template: Programs, space: SearchSpace) -> None:
  if not len(template) or template.space != space:
    raise ValueError(
        "The template must be programs of the search's own space, one or more; got "
        f"{len(template)} of {'that' if template.space == space else 'another'} space. "
        "parse(text, space) reads a program into a space.")
  template.validate()
