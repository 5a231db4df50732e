"""What one thread of a search does: it advances islands of its own, round by round.

A round is proposed and committed by compiled loops, see `rounds`, and evaluated by
`evaluating.Stages` on the devices of the thread.
"""

from collections.abc import Callable, Iterable, Sequence
import concurrent.futures
import functools
import itertools
from typing import NamedTuple

import numpy as np

from azero.compiler import cost, liveness
from azero.compiler.arrays import arrays, scratch, tables
from azero.compiler.canonical import Analysis
from azero.language.program import Programs, SearchSpace
from azero.search import draws
from azero.search.handover import Handover
from azero.search.history.genealogy import Genealogy
from azero.search.history.hall_of_fame import Entry, Front, HallOfFame, Rank
from azero.search.history.lineage import Lineage
from azero.search.islands import Islands
from azero.search.proposals.breeding import Breeding, Tools
from azero.search.proposals.mutation import Mutator, explained
from azero.search.rounds import committing, proposing
from azero.search.rounds.evaluating import Counts, Prints, Stages
from azero.search.rounds.round import (
  CHILDREN,
  KNOWN,
  NEW,
  TWIN,
  Rules,
  new_round,
)
from azero.search.scoring.lru_cache import LruCache, new_log

_BATCH_CHILDREN = 8192  # of all islands of a thread in a round


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


class Watched(NamedTuple):
  """A child as good as was watched for.

  Attributes:
    island: whose, counted from 0.
    num_programs: evaluated on the island up to it.
    program: a batch of one.
  """

  island: int
  num_programs: int
  program: Programs


class Shared(NamedTuple):
  """What the threads of a search have in common; each changes the rows of its own islands only.

  Attributes:
    space: the search space.
    multiclass: whether v1 and v2 are label and prediction.
    rules: what islands may do.
    start: what programs without parents are, see `Tools`.
    breeding: how programs are chosen, see `Tools`.
    mutator: how children differ from their parents.
    template: programs to start from, one or more.
    islands: all of them.
    cache: of canonical keys.
    stages: evaluates requests.
    watch: [I] float64, fitness from which on children are watched for; inf for none.
    first_island: number in records of island 0.
    hall_size: entries of the hall of fame.
    genealogy: tells lineages.
    handover: where threads give islands to each other within a step.
  """

  space: SearchSpace
  multiclass: bool
  rules: Rules
  start: int
  breeding: Breeding | None
  mutator: Mutator
  template: Programs
  islands: Islands
  cache: LruCache
  stages: Stages
  watch: np.ndarray
  first_island: int
  hall_size: int
  genealogy: Genealogy
  handover: Handover


class SearchThread:
  """A thread of a search: its devices, and the islands that it has at the time.

  Attributes:
    own: [n] int64, these islands; no two threads have the same one. In a step it may give
      some to others that are done, or get some of theirs.
    counts: how the programs of these islands were answered, since `forget`.
    hall: their best programs, since `forget`.
    front: their best by complexity, since `forget`.
  """

  def __init__(self, shared: Shared, devices: Sequence[int]):
    """A thread without islands."""
    self._shared, self._devices = shared, devices
    self.own = np.zeros(0, np.int64)
    size = shared.rules.round_size
    trials = 1 if shared.breeding is None else shared.breeding.trials
    room = max(size, min(_BATCH_CHILDREN // trials, len(shared.islands.made) * size))
    self._round = new_round(shared.space, room, trials)
    self._means = proposing.Means(shared.rules, shared.cache.arrays, Tools(
        shared.start, shared.breeding, tables(shared.space, shared.multiclass), shared.mutator,
        arrays(shared.template), scratch(shared.space),
        Analysis.empty(1, shared.space.num_slots), draws.new_stream()))
    self._settlement = committing.Settlement(
        shared.rules, shared.cache.arrays, self._means.tools.stream)
    self._log = new_log(room * trials)
    self._found = np.zeros(room, np.int64)
    self._arrivals: list[tuple[int, np.ndarray, Sequence[Lineage]]] = []
    sizes = shared.space.num_slots + 1
    self._wanted = committing.Wanted(np.zeros((sizes + 1, 2)), shared.watch)
    self.forget()

  def forget(self) -> None:
    """Starts anew with what is counted and found; drops a round that an error has broken off."""
    self._begin()
    self.counts = Counts()
    self.hall, self.front = HallOfFame(self._shared.hall_size), Front()
    self._set_bars()
    self._improvements: list[Improvement] = []
    self._watched: list[Watched] = []

  def run(self, target: int) -> None:
    """Brings its islands to the end of a step; gives some to others that help.

    Args:
      target: children of an island at most.
    """
    with self._shared.handover.working():
      self._advance(target)

  def help(self, target: int) -> None:
    """Brings islands of others to the end of a step, as long as there are some to get."""
    with self._shared.handover.working():
      while (taken := self._shared.handover.take()) is not None:
        self.own = np.union1d(self.own, taken)
        self._advance(target)

  def _advance(self, target: int) -> None:
    """Advances its islands round by round."""
    shared, start = self._shared, 0
    while True:
      first = start
      with explained(shared.mutator):
        start = proposing.propose(
            shared.islands, self.own, first, target, self._means, self._round)
      # Whoever comes after `first` may be done, and those before it not.
      if not self._round.counts[CHILDREN] and not first and not start:
        return
      self._settle()
      if shared.handover.somebody_waits():
        self._give(start, target)

  def _give(self, start: int, target: int) -> None:
    """Hands half of the islands that have something left to do to a thread that waits.

    Args:
      start: of its islands those from here on may go.
      target: children of an island at most.
    """
    islands, own, shared = self._shared.islands, self.own[start:], self._shared
    left = own[
        islands.active[own] & (islands.made[own] < target)
        & (islands.rounds[own] < shared.rules.step_rounds)]
    given = left[1::2]
    if len(given) and shared.handover.give(given):
      self.own = np.setdiff1d(self.own, given)

  def take_in(
      self, islands: np.ndarray, places: np.ndarray, programs: Programs,
      lineages: Sequence[Lineage],
  ) -> None:
    """Evaluates immigrants and puts them in the places of who left.

    Args:
      islands: [n] int, in ascending order; those of other threads are left alone.
      places: [n, count] int, in the population of each.
      programs: [n * count], island by island.
      lineages: of each.
    """
    shared, rnd, count = self._shared, self._round, places.shape[1]
    own = np.flatnonzero(np.isin(islands, self.own))
    # In rounds like those of children: what an island does depends on no other.
    for first in range(0, count, shared.rules.round_size):
      last = min(count, first + shared.rules.round_size)
      for k in own:
        if rnd.counts[CHILDREN] + last - first > len(rnd.island):
          self._settle()
        some = slice(k * count + first, k * count + last)
        proposing.receive(
            shared.islands, islands[k], places[k, first:last], arrays(programs[some]),
            self._means, rnd)
        self._arrivals.append((int(islands[k]), places[k, first:last], lineages[some]))
      self._settle()

  def take_improvements(self) -> list[Improvement]:
    """New bests since the last call."""
    taken, self._improvements = self._improvements, []
    return taken

  def take_watched(self) -> list[Watched]:
    """Children that were watched for, since the last call."""
    taken, self._watched = self._watched, []
    return taken

  def _settle(self) -> None:
    """Evaluates what a round asks for, commits it and keeps what is good."""
    shared, rnd = self._shared, self._round
    prints = shared.stages.score(rnd, self._devices, self._log)
    number = committing.commit(
        shared.islands, self._settlement, rnd, self._wanted, self._found)
    shared.stages.settle(rnd, prints, self._log)
    shared.stages.count(rnd, self.counts)
    for arrived in self._arrivals:
      shared.genealogy.note_arrivals(*arrived)
    for child in self._found[:number].tolist():
      self._keep(child, prints)
    if number:
      self._set_bars()
    self._begin()

  def _begin(self) -> None:
    """Empties the round."""
    self._round.counts[:] = self._round.log.used[:] = self._log.used[:] = 0
    self._arrivals.clear()

  def _set_bars(self) -> None:
    """Says what the next round has to look for."""
    bars = self._wanted.bars
    self.front.set_bars(bars[:-1])
    bars[-1] = self.hall.bar

  def _keep(self, child: int, prints: Prints | None) -> None:
    """Notes a child for what it is good for."""
    shared, rnd = self._shared, self._round
    island, fitness = int(rnd.island[child]), float(rnd.fitness[child])
    number, steps = int(rnd.number[child]), int(rnd.steps[child])
    row = island * shared.rules.population_size + int(rnd.place[child])
    program = Programs(
        shared.space, *(array[row : row + 1].copy() for array in shared.islands.population))
    known = rnd.request[child] == KNOWN
    name = shared.first_island + island
    if rnd.better[child]:
      for best, array in zip(shared.islands.best, arrays(program)):
        best[island] = array[0]
      self._improvements.append(Improvement(name, fitness, steps, number, program))
    if rnd.answer[child] in NEW:
      self._offer(child, program, None if known else prints)
    if fitness >= shared.watch[island]:
      self._watched.append(Watched(island, number, program))

  def _offer(self, child: int, program: Programs, prints: Prints | None) -> None:
    """Offers a new program to the hall of fame and the front."""
    shared, rnd = self._shared, self._round
    island, request, size = (int(array[child]) for array in (rnd.island, rnd.request, rnd.size))
    fitness, number = float(rnd.fitness[child]), int(rnd.number[child])
    name = shared.first_island + island
    first, second = shared.islands.key[island, rnd.place[child]].tolist()
    key = first, second
    rank = Rank(-fitness, number, name, key)
    # What it is a twin of came first.
    twin = request != KNOWN and rnd.outcome[request] == TWIN
    in_hall, in_front = not twin and self.hall.admits(rank), self.front.admits(rank, size)
    if not in_hall and not in_front:
      return
    live = liveness.live_instructions(program, multiclass=shared.multiclass)
    entry = Entry(
        program, fitness, name, int(rnd.steps[child]), number, size,
        float(cost.costs(program, live)[0]), None if prints is None else prints.of(request),
        shared.genealogy.lineage(island, int(rnd.place[child])))
    if in_hall:
      self.hall.take_in(key, entry)
    if in_front:
      self.front.take_in(key, entry)


def together(work: Iterable[Sequence[Callable[[], None]]]) -> None:
  """Runs several lists of work at once: one thread the first of each, in turn, and so on."""

  def run(pieces: Sequence[Callable[[], None] | None]) -> None:
    for piece in pieces:
      if piece is not None:
        piece()

  in_threads([
      functools.partial(run, pieces) for pieces in itertools.zip_longest(*work)])


def in_threads(work: Sequence[Callable[[], None]]) -> None:
  """Runs pieces of work side by side, the first in this thread; raises the first error."""
  if len(work) <= 1:
    for piece in work:
      piece()
    return
  with concurrent.futures.ThreadPoolExecutor(len(work) - 1) as pool:
    others = [pool.submit(piece) for piece in work[1:]]
    work[0]()
    for other in others:
      other.result()
