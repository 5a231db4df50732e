"""Rounds: the sequential algorithm of the paper, as far as it goes without waiting.

Regularised evolution (section 3.2) makes one child at a time. Which members a tournament
draws depends on random numbers alone, so a child can be made as soon as *those* members have
their fitness. An island works in rounds: it makes children in order. What the cache of canonical
keys cannot answer becomes a request; all requests of a round are evaluated together, and then the
round is committed, child by child.

A tournament may have drawn members whose fitness is still to come. Few programs that have just
been made are fitter than the best of several others, so the child is made as if none of these
won. When they are known, the tournament is held again: if the guess was wrong, this child and all
that came after it on its island are taken back, and made anew in the next round. What a child
draws does not change by that. So the history is that of one child at a time.

All that depends on order is settled in the order of the children: a cache entry is reserved when
its child asks for it and filled when the score comes, budgets are looked at before a child is
made, improvements and what the hall of fame is offered follow at the commit. Only the hurdle of a
round is the one that stood when it began.

How many parents are guessed an island learns from its own rounds. So where they end, and after
which of them it has done its part of a step, follows from its history and not from the threads:
a kernel works on the islands of one thread; other threads have other islands.
"""

from typing import NamedTuple

import numpy as np

from azero.compiler.arrays import ProgramArrays, arrays
from azero.compiler.canonical import Analysis, analyse_program
from azero.compiler.cost import program_cost
from azero.compiler.dependence import program_can_learn
from azero.compiler.kernels import inlined_kernel, inner_kernel, kernel
from azero.compiler.prefetch import prefetch
from azero.language.program import Programs, SearchSpace
from azero.search import draws
from azero.search.history.ancestry import (
  ARRIVED,
  NONE,
  START,
  ask_for,
  ask_for_parent,
  bear,
  bury,
  judge,
)
from azero.search.islands import FEWEST_GUESSES, MOST_GUESSES, Islands
from azero.search.proposals.breeding import (
  Breeding,
  Tools,
  begin_anew,
  breed,
  is_stale,
  note_structure,
  start_program,
  trials_of,
)
from azero.search.proposals.edits import (
  ask_for_program,
  copy_program,
  redraw_constants,
)
from azero.search.scoring.lru_cache import (
  ABSENT,
  FILLED,
  CacheArrays,
  Log,
  fill,
  look_up,
  new_log,
  reserve,
  take_back,
  ticket_at,
  value_at,
)
from azero.search.scoring.recall import Asked, Results, new_results
from azero.search.tournament import NOBODY, tournament

# Columns of `Round.counts`: children and requests of the round; children that were kept, their
# programs and training steps, and how many were answered in each way: ASKED and what follows it.
CHILDREN, REQUESTS, KEPT, PROGRAMS, TRAIN_STEPS, FIRST_ANSWER = range(6)
ASKED, UNABLE, CANONICAL_HIT, OVER_BUDGET, STOPPED_EARLY, TWIN, HURDLE_STOPPED, EVALUATED = range(8)
NEW = ASKED, OVER_BUDGET  # answers of programs that the cache of canonical keys did not know
KNOWN = -1  # a request: the fitness is known without one
# What it costs to make a child, in instructions that are trained on one example of one task.
_CHILD_LOAD = 1000.0
# Guesses of parents make rounds longer, and a wrong one makes all after it vain. There are as many
# as let this part of the children be kept, about.
_KEPT_SHARE = 0.9
_NUMBERS = 8  # of 64 bits, that memory gives at once
_AHEAD = 8  # children: while so many are settled, memory answers


class Rules(NamedTuple):
  """What a search lets its islands do.

  Attributes:
    seed: of the search, a word.
    first_island: number of island 0 among those of a larger search.
    population_size: P.
    tournament_size: T.
    round_size: children of an island in a round at most; not above P.
    step_rounds: of an island in a step at most.
    fixed_guesses: parents that a round guesses at most; 0 for as many as has been learnt.
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
  step_rounds: int
  fixed_guesses: int
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


class Settlement(NamedTuple):
  """What a thread settles rounds with, whatever they were made with.

  Attributes:
    rules: of the search.
    cache: of canonical keys.
    stream: [1] uint64, what tournaments are drawn from that are held again.
  """

  rules: Rules
  cache: CacheArrays
  stream: np.ndarray


class Displaced(NamedTuple):
  """What C children found in the places that they took, until they are kept.

  Attributes:
    programs: [C].
    fitness: [C] float64.
    key: [C, 2] uint64.
    structure: [C] uint64.
  """

  programs: ProgramArrays
  fitness: np.ndarray
  key: np.ndarray
  structure: np.ndarray


class Round(NamedTuple):
  """Children and requests of a round of the islands of one thread.

  Attributes:
    counts: int64, see CHILDREN and the names beside it.
    island: [C] int64, whose each child is.
    place: [C] int64, where it is in the population of its island.
    parent: [C] int64, where its parent is, or NONE.
    made_by: [C] int64, what made it of its parent, see `ancestry`.
    guessed: [C] bool, whether a contestant of its tournament was not known yet.
    displaced: what it found in its place.
    kept: [C] bool, whether it was kept; set by `commit`.
    request: [C] int64, which request tells its fitness, or KNOWN. Of several trials the first,
      and after `commit` the best.
    trials: [C] int64, how many requests it has made: more than one if constants are tried.
    nth: [C] int64, which child of its island it is.
    fitness: [C] float64, as far as it is known.
    answer: [C] int64, how it was answered: ASKED, UNABLE, CANONICAL_HIT or OVER_BUDGET.
    size: [C] int64, live instructions of a new one.
    better: [C] bool, whether it is a new best of its island; set by `commit`.
    number: [C] int64, programs of the island up to this one; set by `commit`.
    steps: [C] int64, training steps of the island up to this one; set by `commit`.
    child: [Q] int64, of each request who asked first, and pays.
    owner: [Q] int64, of each request the island.
    entry: [Q] int64, of each request the reserved place in the cache.
    programs: of the requests.
    analysis: of the requests.
    value: [Q] float64, of each request the fitness when it has come.
    cost: [Q] int64, of each request the training steps that it caused.
    outcome: [Q] int64, how it was answered: STOPPED_EARLY, TWIN (its fingerprint is that of an
      earlier program), HURDLE_STOPPED or EVALUATED.
    at_hurdle: [Q] float64, of each request the fitness with which it came to the hurdle; NaN for
      none.
    results: of the requests, stage by stage.
    log: what the requests did to the cache of canonical keys.
  """

  counts: np.ndarray
  island: np.ndarray
  place: np.ndarray
  parent: np.ndarray
  made_by: np.ndarray
  guessed: np.ndarray
  displaced: Displaced
  kept: np.ndarray
  request: np.ndarray
  trials: np.ndarray
  nth: np.ndarray
  fitness: np.ndarray
  answer: np.ndarray
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
  outcome: np.ndarray
  at_hurdle: np.ndarray
  results: Results
  log: Log

  def asked(self) -> Asked:
    """Who asked for what."""
    return Asked(self.child, self.owner, self.request, self.nth, self.kept, self.analysis.key)


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
  island, place, parent, made_by, request, tried, nth, answer, length, number, steps = np.zeros(
      (11, num_children), np.int64)
  child, owner, entry, cost, outcome = np.zeros((5, size), np.int64)
  guessed, kept, better = np.zeros((3, num_children), bool)
  displaced = Displaced(
      arrays(Programs.empty(space, num_children)), np.zeros(num_children),
      np.zeros((num_children, 2), np.uint64), np.zeros(num_children, np.uint64))
  return Round(
      np.zeros(FIRST_ANSWER + EVALUATED + 1, np.int64), island, place, parent, made_by, guessed,
      displaced, kept, request, tried, nth, np.zeros(num_children), answer, length, better,
      number, steps, child, owner, entry, arrays(Programs.empty(space, size)),
      Analysis.empty(size, space.num_slots), np.zeros(size), cost, outcome, np.zeros(size),
      new_results(size), new_log(size))


@kernel
def propose(
    islands: Islands, own: np.ndarray, start: int, target: int, means: Means, rnd: Round
) -> int:
  """Lets islands make children until they have to wait for a fitness.

  Args:
    islands: all of them.
    own: [n] int64, those of this thread.
    start: where in `own` to begin.
    target: children of an island at which it stops, if its rounds do not end before.
    means: of this thread.
    rnd: an empty round.

  Returns:
    Where in `own` the next round begins: 0, unless this one has no more room.
  """
  for k in range(start, len(own)):
    i = own[k]
    if islands.rounds[i] >= means.rules.step_rounds:
      continue
    if rnd.counts[CHILDREN] + means.rules.round_size > len(rnd.island):
      return k
    for place in range(0, means.rules.population_size, _NUMBERS):
      prefetch(islands.fitness, (i, place))
    first, waiting = islands.made[i], rnd.counts[REQUESTS]
    last = min(target, first + means.rules.round_size)
    islands.rounds[i] += 1
    most = means.rules.fixed_guesses or int(islands.guesses[i])
    under_way = guesses = 0  # programs of this round, and how many of them are children of a guess
    while islands.made[i] < last and _may_go_on(islands, i, under_way, waiting, means, rnd):
      n = islands.made[i]
      if is_stale(islands, i, means.tools.breeding):
        if n > first:
          break  # what is under way may be better
        begin_anew(islands, i)
      place, parent, decided = n % means.rules.population_size, NONE, True
      _ask_ahead(islands, i, n + 1, means)
      draws.start(means.tools.stream, means.rules.seed, means.rules.first_island + i, n)
      if means.rules.evolve and n - islands.epoch[i] >= means.rules.population_size:
        parent, decided = tournament(
            islands.fitness[i], place, means.rules.tournament_size, means.tools.stream)
        guesses += not decided
        if parent == NOBODY or guesses > most:
          break
      c = _take_place(islands, i, place, parent, rnd)
      rnd.guessed[c] = not decided
      if parent == NONE:
        rnd.made_by[c] = START
        start_program(islands, i, n, place, means.tools)
      else:
        rnd.made_by[c] = breed(islands, i, place, parent, means.tools)
      islands.made[i] = n + 1
      _ask(islands, i, c, means, rnd, trials_of(means.tools.breeding))
      under_way += max(1, rnd.trials[c])
  return 0


@inlined_kernel
def _ask_ahead(islands: Islands, i: int, n: int, means: Means) -> None:
  """Asks memory for the parent that child n of island i would have now, and for its place."""
  size, stream = means.rules.population_size, means.tools.stream
  place = n % size
  ask_for_program(islands.population, i * size + place)
  if means.rules.evolve and n - islands.epoch[i] >= size:
    draws.start(stream, means.rules.seed, means.rules.first_island + i, n)
    parent, _ = tournament(islands.fitness[i], place, means.rules.tournament_size, stream)
    if parent != NOBODY:
      ask_for_program(islands.population, i * size + parent)


@inlined_kernel
def _may_go_on(
    islands: Islands, i: int, under_way: int, waiting: int, means: Means, rnd: Round) -> bool:
  """Whether island i has budget left, so many programs and the requests from `waiting` on ahead."""
  rules = means.rules
  if not islands.active[i] or islands.num_programs[i] + under_way >= rules.max_programs:
    return False
  # What is under way may spend the rest of the budget: that has to be known first.
  requested = rnd.counts[REQUESTS] - waiting
  return islands.train_steps[i] + requested * rules.most_steps < rules.max_train_steps


@inlined_kernel
def _take_place(islands: Islands, i: int, place: int, parent: int, rnd: Round) -> int:
  """Begins a child at a place of island i: remembers what it displaces. Returns its number."""
  c = rnd.counts[CHILDREN]
  rnd.counts[CHILDREN] += 1
  rnd.island[c], rnd.place[c], rnd.parent[c], rnd.nth[c] = i, place, parent, islands.made[i]
  rnd.guessed[c] = False
  old = rnd.displaced
  row = i * islands.fitness.shape[1] + place
  copy_program(islands.population, row, old.programs, c)
  old.fitness[c], old.structure[c] = islands.fitness[i, place], islands.structure[i, place]
  old.key[c, 0], old.key[c, 1] = islands.key[i, place, 0], islands.key[i, place, 1]
  return c


@inlined_kernel
def _give_back(islands: Islands, c: int, rnd: Round) -> None:
  """Puts what child c displaced back into its place, but for the fitness."""
  i, place, old = rnd.island[c], rnd.place[c], rnd.displaced
  copy_program(old.programs, c, islands.population, i * islands.fitness.shape[1] + place)
  islands.structure[i, place] = old.structure[c]
  islands.key[i, place, 0], islands.key[i, place, 1] = old.key[c, 0], old.key[c, 1]


@inlined_kernel
def _ask(islands: Islands, i: int, c: int, means: Means, rnd: Round, trials: int) -> None:
  """Asks for the fitness of child c, which is in its place on island i.

  If its structure is new to the population, also of programs that differ from it in their
  constants, up to `trials` in all.
  """
  rules, tools, place = means.rules, means.tools, rnd.place[c]
  q = rnd.counts[REQUESTS]
  rnd.request[c], rnd.trials[c], rnd.fitness[c] = KNOWN, 0, 0.0
  islands.fitness[i, place] = 0.0
  programs, row = islands.population, i * rules.population_size + place
  if rules.learners_only and not program_can_learn(
      programs, row, tools.tables, tools.scratch):
    rnd.answer[c] = UNABLE
    return
  predicted = analyse_program(programs, row, tools.tables, rnd.analysis, q, tools.scratch)
  key = rnd.analysis.key[q]
  islands.key[i, place, 0], islands.key[i, place, 1] = key[0], key[1]
  rnd.size[c] = tools.scratch.start[3]
  if not note_structure(islands, i, place, predicted, tools, tools.breeding):
    trials = 1
  if rules.cached:
    entry = look_up(means.cache, i, key, c, rnd.log)
    if entry != ABSENT:
      rnd.answer[c] = CANONICAL_HIT
      ticket = ticket_at(means.cache, i, entry)
      if ticket == FILLED:
        rnd.fitness[c] = islands.fitness[i, place] = value_at(means.cache, i, entry)
      else:
        rnd.request[c] = ticket
        islands.fitness[i, place] = np.nan
      return
  if program_cost(programs, row, tools.tables, rnd.analysis.live[q]) > rules.max_cost:
    rnd.answer[c] = OVER_BUDGET
    return
  rnd.answer[c], rnd.request[c] = ASKED, q
  copy_program(programs, row, rnd.programs, q)
  islands.fitness[i, place] = np.nan
  _request(i, c, means, rnd)
  _try_others(i, c, means, rnd, trials, tools.breeding)


@inlined_kernel
def _request(i: int, c: int, means: Means, rnd: Round) -> None:
  """Makes the program and the analysis behind the last request one of child c of island i."""
  q = rnd.counts[REQUESTS]
  rnd.counts[REQUESTS] += 1
  rnd.trials[c] += 1
  rnd.child[q], rnd.owner[q], rnd.value[q], rnd.cost[q] = c, i, 0.0, 0
  rnd.outcome[q] = EVALUATED
  if means.rules.cached:
    rnd.entry[q] = reserve(means.cache, i, rnd.analysis.key[q], q, c, rnd.log)


@inlined_kernel
def _try_others(
    i: int, c: int, means: Means, rnd: Round, trials: int, breeding: Breeding | None) -> None:
  """Requests the first program of child c with other constants, up to `trials` in all."""
  if breeding is None:
    return
  for _ in range(1, trials):
    _try_constants(i, c, means, rnd)


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
    if look_up(means.cache, i, key, c, rnd.log) != ABSENT:
      return
  elif key[0] == own[0] and key[1] == own[1]:
    return  # it has no constants
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
    c = _take_place(islands, i, places[k], NONE, rnd)
    rnd.made_by[c], rnd.nth[c] = ARRIVED, islands.made[i] - 1
    copy_program(
        programs, k, islands.population, i * means.rules.population_size + places[k])
    _ask(islands, i, c, means, rnd, 1)


@inlined_kernel
def _enters(bar: np.ndarray, value: float, number: int) -> bool:
  return value > bar[0] or (value == bar[0] and number <= bar[1])


@kernel
def commit(
    islands: Islands, settlement: Settlement, rnd: Round, wanted: Wanted, found: np.ndarray,
) -> int:
  """Settles a round in the order of its children; those after a wrong guess are taken back.

  Args:
    islands: all of them.
    settlement: of this thread.
    rnd: the round, with value, cost and outcome of all requests.
    wanted: what else than new bests is to be found.
    found: [C] int64, is given the children that are new bests or wanted.

  Returns:
    How many those are.
  """
  rules, cache = settlement.rules, settlement.cache
  for c in range(rnd.counts[CHILDREN]):  # as it was before the round, to hold tournaments again
    islands.fitness[rnd.island[c], rnd.place[c]] = rnd.displaced.fitness[c]
    if rnd.parent[c] != NONE:
      prefetch(islands.ancestry.node, (rnd.island[c], rnd.parent[c]))
  count, first, lost = 0, 0, NONE  # the island on which a guess was wrong
  for c in range(rnd.counts[CHILDREN]):
    _ask_for_ancestors(islands, c, rnd)
    i = rnd.island[c]
    if i != rnd.island[first]:
      _learn_guesses(islands, first, c, rnd)
      first = c
    rnd.kept[c] = i != lost
    if rnd.kept[c] and rnd.guessed[c] and not _confirmed(islands, c, settlement, rnd):
      rnd.kept[c], lost, islands.made[i] = False, i, rnd.nth[c]
    if not rnd.kept[c]:
      _give_back(islands, c, rnd)
    elif _settle(islands, c, rules, rnd, wanted):
      found[count] = c
      count += 1
  _learn_guesses(islands, first, rnd.counts[CHILDREN], rnd)
  if rules.cached:
    take_back(cache, rnd.kept, rnd.log)
    for q in range(rnd.counts[REQUESTS]):
      if rnd.kept[rnd.child[q]]:
        fill(cache, rnd.owner[q], rnd.entry[q], q, rnd.value[q])
  return count


@inlined_kernel
def _ask_for_ancestors(islands: Islands, c: int, rnd: Round) -> None:
  """Asks memory for what children after c will need of the ancestry, first their own nodes."""
  later = c + 2 * _AHEAD
  if later < rnd.counts[CHILDREN]:
    ask_for(islands.ancestry, rnd.island[later], rnd.place[later])
    if rnd.parent[later] != NONE:
      ask_for(islands.ancestry, rnd.island[later], rnd.parent[later])
  later = c + _AHEAD
  if later < rnd.counts[CHILDREN]:
    ask_for_parent(islands.ancestry, rnd.island[later], rnd.place[later])


@inner_kernel
def _learn_guesses(islands: Islands, first: int, last: int, rnd: Round) -> None:
  """Learns from the children of an island in a round, those before `last`, how much to guess."""
  if first == last or rnd.made_by[first] == ARRIVED:
    return
  kept = 0
  for c in range(first, last):
    kept += rnd.kept[c]
  i = rnd.island[first]
  change = 0.25 if kept >= _KEPT_SHARE * (last - first) else -0.5
  islands.guesses[i] = min(max(islands.guesses[i] + change, FEWEST_GUESSES), MOST_GUESSES)


@inlined_kernel
def _confirmed(islands: Islands, c: int, settlement: Settlement, rnd: Round) -> bool:
  """Whether child c has the right parent, now that all children before it are known."""
  rules, stream, i = settlement.rules, settlement.stream, rnd.island[c]
  draws.start(stream, rules.seed, rules.first_island + i, rnd.nth[c])
  parent, _ = tournament(islands.fitness[i], rnd.place[c], rules.tournament_size, stream)
  return parent == rnd.parent[c]


@inlined_kernel
def _settle(islands: Islands, c: int, rules: Rules, rnd: Round, wanted: Wanted) -> bool:
  """Settles child c, which is kept. Returns whether it is a new best or wanted."""
  i, place, own = rnd.island[c], rnd.place[c], rnd.trials[c]
  bury(islands.ancestry, i, place, rnd.displaced.programs, c, islands.population)
  parent = NONE if rnd.parent[c] == NONE else islands.ancestry.node[i, rnd.parent[c]]
  bear(islands.ancestry, i, place, parent, rnd.made_by[c])
  for trial in range(own):
    q = rnd.request[c] + trial
    islands.train_steps[i] += rnd.cost[q]
    islands.load[i] += rnd.cost[q] * rnd.size[c]
    rnd.counts[TRAIN_STEPS] += rnd.cost[q]
    rnd.counts[FIRST_ANSWER + rnd.outcome[q]] += 1
  islands.load[i] += _CHILD_LOAD
  rnd.counts[KEPT] += 1
  rnd.counts[PROGRAMS] += max(1, own)
  rnd.counts[FIRST_ANSWER + rnd.answer[c]] += 1
  if own > 1:
    _take_best(islands, c, rules, rnd)
  q = rnd.request[c]
  if q != KNOWN:
    rnd.fitness[c] = rnd.value[q]
  islands.fitness[i, place] = rnd.fitness[c]
  islands.num_programs[i] += max(1, own)
  islands.num_evaluated[i] += own
  value, number = rnd.fitness[c], islands.num_programs[i]
  rnd.number[c], rnd.steps[c] = number, islands.train_steps[i]
  judge(islands.ancestry, i, place, value, number)
  rnd.better[c] = value > islands.best_fitness[i]
  if rnd.better[c]:
    islands.best_fitness[i] = value
  if value > islands.epoch_best[i] and rnd.nth[c] >= islands.epoch[i]:
    islands.epoch_best[i], islands.improved_at[i] = value, rnd.nth[c]
  if number >= rules.max_programs or islands.train_steps[i] >= rules.max_train_steps:
    islands.active[i] = False
  # The hall takes the first of each fingerprint, the front whatever is simpler.
  new = rnd.answer[c] in NEW
  twin = q != KNOWN and rnd.outcome[q] == TWIN
  enters = new and (
      (not twin and _enters(wanted.bars[-1], value, number))
      or _enters(wanted.bars[rnd.size[c]], value, number))
  # In evolution a child that the cache knows was watched when it was new.
  watched = value >= wanted.watch[i] and (new or not rules.evolve)
  return rnd.better[c] or enters or watched


@inner_kernel
def _take_best(islands: Islands, c: int, rules: Rules, rnd: Round) -> None:
  """Gives child c the constants of the first of its best trials."""
  first, i = rnd.request[c], rnd.island[c]
  best = first
  for q in range(first + 1, first + rnd.trials[c]):
    if rnd.value[q] > rnd.value[best]:
      best = q
  if best != first:
    row = i * rules.population_size + rnd.place[c]
    copy_program(rnd.programs, best, islands.population, row)
    for half in range(2):
      islands.key[i, rnd.place[c], half] = rnd.analysis.key[best, half]
    rnd.request[c] = best
