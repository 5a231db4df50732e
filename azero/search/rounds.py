"""Rounds: the sequential algorithm of the paper, as far as it goes without waiting.

Regularised evolution (section 3.2) makes one child at a time. Which members a tournament
draws depends on random numbers alone, so a child can be made as soon as *those* members have
their fitness. An island works in rounds: it makes children in order until a tournament has drawn
a member whose fitness is still to come. What the cache of canonical keys cannot answer becomes a
request; all requests of a round are evaluated together, and then the round is committed, child
by child. So the history is that of one child at a time.

All that depends on order is settled in the order of the children: a cache entry is reserved when
its child asks for it and filled when the score comes, budgets are looked at before a child is
made, improvements and what the hall of fame is offered follow at the commit. Only the hurdle of a
round is the one that stood when it began.

A kernel works on the islands of one thread; other threads have other islands.
"""

from typing import NamedTuple

import numpy as np

from azero.compiler.arrays import ProgramArrays, arrays
from azero.compiler.canonical import Analysis, analyse_program, structure_of
from azero.compiler.cost import program_cost
from azero.compiler.dependence import program_can_learn
from azero.compiler.kernels import inner_kernel, kernel
from azero.language.program import Programs, SearchSpace
from azero.search import draws
from azero.search.ancestry import ARRIVED, NONE, bear, bury, judge
from azero.search.breeding import (
  UNLIMITED,
  Tools,
  begin_anew,
  breed,
  count_structure,
  is_stale,
  start_program,
)
from azero.search.edits import copy_program, redraw_constants
from azero.search.islands import Islands
from azero.search.lru_cache import ABSENT, FILLED, CacheArrays, fill, look_up, reserve

CHILDREN, REQUESTS, OVER_BUDGET, CANONICAL_HITS, UNABLE, TRIED = range(6)  # of `Round.counts`
KNOWN = -1  # a request: the fitness is known without one


class Rules(NamedTuple):
  """What a search lets its islands do.

  Attributes:
    seed: of the search, a word.
    first_island: number of island 0 among those of a larger search.
    population_size: P.
    tournament_size: T.
    round_size: children of an island in a round at most; not above P.
    evolve: whether children beyond the initial population have parents.
    learners_only: whether programs that cannot learn have fitness 0 unseen.
    cached: whether equal canonical keys are answered by the cache.
    max_cost: of a program, in the cost of its live instructions.
    max_programs: budget of an island.
    max_train_steps: budget of an island.
    most_steps: training steps that one program can cause at most.
  """

  seed: np.uint64
  first_island: int
  population_size: int
  tournament_size: int
  round_size: int
  evolve: bool
  learners_only: bool
  cached: bool
  max_cost: float
  max_programs: int
  max_train_steps: int
  most_steps: int


class Means(NamedTuple):
  """What a thread makes, analyses and looks programs up with.

  Attributes:
    rules: of the search.
    cache: of canonical keys.
    tools: what programs are made with.
  """

  rules: Rules
  cache: CacheArrays
  tools: Tools


class Round(NamedTuple):
  """Children and requests of a round of the islands of one thread.

  Attributes:
    counts: [6] int64, see CHILDREN and the names beside it.
    island: [C] int64, whose each child is.
    place: [C] int64, where it is in the population of its island.
    request: [C] int64, which request tells its fitness, or KNOWN. Of several trials the first,
      and after `commit` the best.
    trials: [C] int64, how many requests it has made: more than one if constants are tried.
    nth: [C] int64, which child of its island it is.
    fitness: [C] float64, as far as it is known.
    new: [C] bool, whether the cache of canonical keys did not know it.
    size: [C] int64, live instructions of a new one.
    better: [C] bool, whether it is a new best of its island; set by `commit`.
    number: [C] int64, programs of the island up to this one; set by `commit`.
    steps: [C] int64, training steps of the island up to this one; set by `commit`.
    child: [C] int64, of each request who asked first, and pays.
    owner: [C] int64, of each request the island.
    entry: [C] int64, of each request the reserved place in the cache.
    programs: of the requests.
    analysis: of the requests.
    value: [C] float64, of each request the fitness when it has come.
    cost: [C] int64, of each request the training steps that it caused.
    twin: [C] bool, of each request whether its fingerprint is that of an earlier program.
  """

  counts: np.ndarray
  island: np.ndarray
  place: np.ndarray
  request: np.ndarray
  trials: np.ndarray
  nth: np.ndarray
  fitness: np.ndarray
  new: np.ndarray
  size: np.ndarray
  better: np.ndarray
  number: np.ndarray
  steps: np.ndarray
  child: np.ndarray
  owner: np.ndarray
  entry: np.ndarray
  programs: ProgramArrays
  analysis: Analysis
  value: np.ndarray
  cost: np.ndarray
  twin: np.ndarray


class Wanted(NamedTuple):
  """Which children are worth keeping.

  Attributes:
    bars: [L + 2, 2] float64, a fitness that just is, and up to which number of programs of an
      island: for the front by the number of live instructions, and last for the hall of fame.
    watch: [I] float64, fitness from which on every new child is; inf for none.
  """

  bars: np.ndarray
  watch: np.ndarray


def new_round(space: SearchSpace, num_children: int, trials: int) -> Round:
  """An empty round with room for so many children, each with so many requests."""
  size = num_children * trials
  island, place, request, tried, nth, length, number, steps = np.zeros(
      (8, num_children), np.int64)
  child, owner, entry, cost = np.zeros((4, size), np.int64)
  new, better = np.zeros((2, num_children), bool)
  return Round(
      np.zeros(6, np.int64), island, place, request, tried, nth, np.zeros(num_children), new,
      length, better, number, steps, child, owner, entry, arrays(Programs.empty(space, size)),
      Analysis.empty(size, space.num_slots), np.zeros(size), cost, np.zeros(size, bool))


@kernel
def propose(
    islands: Islands, own: np.ndarray, start: int, target: int, means: Means, rnd: Round
) -> int:
  """Lets islands make children until they wait for a fitness.

  Args:
    islands: all of them.
    own: [n] int64, those of this thread.
    start: where in `own` to begin.
    target: children of an island at which it stops.
    means: of this thread.
    rnd: an empty round.

  Returns:
    Where in `own` the next round begins: 0, unless this one has no more room.
  """
  for k in range(start, len(own)):
    if rnd.counts[CHILDREN] + means.rules.round_size > len(rnd.island):
      return k
    _advance(islands, own[k], target, means, rnd)
  return 0


@inner_kernel
def _advance(islands: Islands, i: int, target: int, means: Means, rnd: Round) -> None:
  """One island makes children."""
  rules, tools = means.rules, means.tools
  first, waiting = islands.made[i], rnd.counts[REQUESTS]
  last = min(target, first + rules.round_size)
  under_way = 0  # programs of this round
  while islands.active[i] and islands.made[i] < last:
    n = islands.made[i]
    if islands.num_programs[i] + under_way >= rules.max_programs:
      return
    # What is under way may spend the rest of the budget: that has to be known first.
    requested = rnd.counts[REQUESTS] - waiting
    if islands.train_steps[i] + requested * rules.most_steps >= rules.max_train_steps:
      return
    if is_stale(islands, i, tools.breeding.patience):
      if n > first:
        return  # what is under way may be better
      begin_anew(islands, i)
    place = n % rules.population_size
    draws.start(tools.stream, rules.seed, rules.first_island + i, n)
    if not rules.evolve or n - islands.epoch[i] < rules.population_size:
      start_program(islands, i, n, place, tools)
    elif not breed(islands, i, place, rules.tournament_size, tools):
      return
    islands.made[i] = n + 1
    _ask(islands, i, place, means, rnd, tools.breeding.trials)
    under_way += max(1, rnd.trials[rnd.counts[CHILDREN] - 1])


@inner_kernel
def _ask(
    islands: Islands, i: int, place: int, means: Means, rnd: Round, trials: int) -> None:
  """Asks for the fitness of the program at a place of an island.

  If its structure is new to the population, also of programs that differ from it in their
  constants, up to `trials` in all.
  """
  rules, tools = means.rules, means.tools
  c, q = rnd.counts[CHILDREN], rnd.counts[REQUESTS]
  rnd.counts[CHILDREN] += 1
  rnd.island[c], rnd.place[c], rnd.nth[c] = i, place, islands.made[i] - 1
  rnd.request[c], rnd.trials[c], rnd.fitness[c], rnd.new[c] = KNOWN, 0, 0.0, True
  islands.fitness[i, place] = 0.0
  programs, row = islands.population, i * rules.population_size + place
  if rules.learners_only and not program_can_learn(
      programs, row, tools.tables, tools.scratch):
    rnd.counts[UNABLE] += 1
    rnd.new[c] = False
    return
  predicted = analyse_program(programs, row, tools.tables, rnd.analysis, q, tools.scratch)
  first, second = rnd.analysis.key[q, 0], rnd.analysis.key[q, 1]
  islands.key[i, place, 0], islands.key[i, place, 1] = first, second
  rnd.size[c] = tools.scratch.start[3]
  if tools.breeding.trials > 1 or tools.breeding.structures < UNLIMITED:
    structure = structure_of(programs, row, tools.tables, predicted, tools.scratch)
    if count_structure(islands, i, place, structure) > 0:
      trials = 1
    islands.structure[i, place] = structure
  if rules.cached:
    entry = look_up(means.cache, i, first, second)
    if entry != ABSENT:
      rnd.counts[CANONICAL_HITS] += 1
      rnd.new[c] = False
      if means.cache.tickets[i, entry] == FILLED:
        rnd.fitness[c] = islands.fitness[i, place] = means.cache.values[i, entry]
      else:
        rnd.request[c] = means.cache.tickets[i, entry]
        islands.fitness[i, place] = np.nan
      return
  if program_cost(programs, row, tools.tables, rnd.analysis.live[q]) > rules.max_cost:
    rnd.counts[OVER_BUDGET] += 1
    return
  rnd.request[c] = q
  copy_program(programs, row, rnd.programs, q)
  islands.fitness[i, place] = np.nan
  _request(i, c, means, rnd)
  for _ in range(1, trials):
    _try_constants(i, c, means, rnd)


@inner_kernel
def _request(i: int, c: int, means: Means, rnd: Round) -> None:
  """Makes the program and the analysis behind the last request one of child c of island i."""
  q = rnd.counts[REQUESTS]
  rnd.counts[REQUESTS] += 1
  rnd.trials[c] += 1
  rnd.child[q], rnd.owner[q], rnd.value[q], rnd.cost[q], rnd.twin[q] = c, i, 0.0, 0, False
  if means.rules.cached:
    rnd.entry[q] = reserve(means.cache, i, rnd.analysis.key[q, 0], rnd.analysis.key[q, 1], q)


@inner_kernel
def _try_constants(i: int, c: int, means: Means, rnd: Round) -> None:
  """Requests the first program of child c with other constants, if it is a new one."""
  tools, first, q = means.tools, rnd.request[c], rnd.counts[REQUESTS]
  own = rnd.analysis.key[first]
  copy_program(rnd.programs, first, rnd.programs, q)
  redraw_constants(
      rnd.programs, q, rnd.analysis.live[first], tools.tables, tools.stream)
  analyse_program(rnd.programs, q, tools.tables, rnd.analysis, q, tools.scratch)
  key = rnd.analysis.key[q]
  if means.rules.cached:
    if look_up(means.cache, i, key[0], key[1]) != ABSENT:
      return
  elif key[0] == own[0] and key[1] == own[1]:
    return  # it has no constants
  rnd.counts[TRIED] += 1
  _request(i, c, means, rnd)


@kernel
def receive(
    islands: Islands, i: int, places: np.ndarray, programs: ProgramArrays, means: Means,
    rnd: Round,
) -> None:
  """Lets immigrants take places of an island, and asks for their fitness.

  Args:
    islands: all of them.
    i: which.
    places: [n] int64, in its population.
    programs: the n immigrants.
    means: of this thread.
    rnd: a round with room for them.
  """
  for k in range(len(places)):
    row = i * means.rules.population_size + places[k]
    bury(islands.ancestry, i, places[k], islands.population)
    copy_program(programs, k, islands.population, row)
    bear(islands.ancestry, i, places[k], NONE, ARRIVED)
    _ask(islands, i, places[k], means, rnd, 1)


@inner_kernel
def _enters(bar: np.ndarray, value: float, number: int) -> bool:
  return value > bar[0] or (value == bar[0] and number <= bar[1])


@kernel
def commit(
    islands: Islands, means: Means, rnd: Round, wanted: Wanted, found: np.ndarray) -> int:
  """Settles a round in the order of its children.

  Args:
    islands: all of them.
    means: of this thread.
    rnd: the round, with value and cost of all requests.
    wanted: what else than new bests is to be found.
    found: [C] int64, is given the children that are new bests or wanted.

  Returns:
    How many those are.
  """
  rules = means.rules
  if rules.cached:
    for q in range(rnd.counts[REQUESTS]):
      fill(means.cache, rnd.owner[q], rnd.entry[q], q, rnd.value[q])
  count = 0
  for c in range(rnd.counts[CHILDREN]):
    i, own = rnd.island[c], rnd.trials[c]
    for trial in range(own):
      islands.train_steps[i] += rnd.cost[rnd.request[c] + trial]
    if own > 1:
      _take_best(islands, c, means, rnd)
    q = rnd.request[c]
    if q != KNOWN:
      rnd.fitness[c] = islands.fitness[i, rnd.place[c]] = rnd.value[q]
    islands.num_programs[i] += max(1, own)
    islands.num_evaluated[i] += own
    value, number = rnd.fitness[c], islands.num_programs[i]
    rnd.number[c], rnd.steps[c] = number, islands.train_steps[i]
    judge(islands.ancestry, i, rnd.place[c], value, number)
    rnd.better[c] = value > islands.best_fitness[i]
    if rnd.better[c]:
      islands.best_fitness[i] = value
    if value > islands.epoch_best[i] and rnd.nth[c] >= islands.epoch[i]:
      islands.epoch_best[i], islands.improved_at[i] = value, rnd.nth[c]
    # The hall takes the first of each fingerprint, the front whatever is simpler.
    twin = q != KNOWN and rnd.twin[q]
    enters = rnd.new[c] and (
        (not twin and _enters(wanted.bars[-1], value, number))
        or _enters(wanted.bars[rnd.size[c]], value, number))
    # In evolution a child that the cache knows was watched when it was new.
    watched = value >= wanted.watch[i] and (rnd.new[c] or not rules.evolve)
    if rnd.better[c] or enters or watched:
      found[count] = c
      count += 1
    if number >= rules.max_programs or islands.train_steps[i] >= rules.max_train_steps:
      islands.active[i] = False
  return count


@inner_kernel
def _take_best(islands: Islands, c: int, means: Means, rnd: Round) -> None:
  """Gives child c the constants of the first of its best trials."""
  first, i = rnd.request[c], rnd.island[c]
  best = first
  for q in range(first + 1, first + rnd.trials[c]):
    if rnd.value[q] > rnd.value[best]:
      best = q
  if best != first:
    row = i * means.rules.population_size + rnd.place[c]
    copy_program(rnd.programs, best, islands.population, row)
    for half in range(2):
      islands.key[i, rnd.place[c], half] = rnd.analysis.key[best, half]
    rnd.request[c] = best
