"""The first half of a round: islands make children until they have to wait for a fitness."""

from typing import NamedTuple

import numpy as np

from azero.compiler.arrays import ProgramArrays
from azero.compiler.canonical import analyse_program
from azero.compiler.copying import copy_program, prefetch_program
from azero.compiler.cost import program_cost
from azero.compiler.kernels import inlined_kernel, inner_kernel, kernel
from azero.compiler.prefetch import LINE, prefetch
from azero.search.islands import Islands
from azero.search.origins import ARRIVED, NONE, STARTED
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
from azero.search.proposals.edits import redraw_constants
from azero.search.rounds.parents import choose_parent
from azero.search.rounds.round import (
  ASKED,
  CANONICAL_HIT,
  CHILDREN,
  EVALUATED,
  KNOWN,
  OVER_BUDGET,
  REQUESTS,
  Round,
  Rules,
)
from azero.search.scoring.lru_cache import (
  ABSENT,
  FILLED,
  CacheArrays,
  look_up,
  reserve,
  ticket_at,
  value_at,
)
from azero.search.tournament import NOBODY

_NUMBERS = LINE // 8  # of 64 bits, that memory gives at once


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
    last = _last(first, target, means.rules)
    islands.rounds[i] += 1
    most = int(islands.guesses[i])
    under_way = guesses = 0  # programs of this round, and how many of them are children of a guess
    while islands.made[i] < last and _may_go_on(islands, i, under_way, waiting, means, rnd):
      n = islands.made[i]
      if is_stale(islands, i, means.tools.breeding):
        if n > first:
          break  # what is under way may be better
        begin_anew(islands, i)
      place = n % means.rules.population_size
      _prefetch_next(islands, i, n + 1, means)
      parent, decided = choose_parent(islands, i, n, means.rules, means.tools.stream)
      guesses += not decided
      if not decided and (parent == NOBODY or guesses > most):
        break
      c = _take_place(islands, i, place, parent, rnd)
      rnd.guessed[c] = not decided
      if parent == NONE:
        rnd.made_by[c] = STARTED
        start_program(islands, i, n, place, means.tools)
      else:
        rnd.made_by[c] = breed(islands, i, place, parent, means.tools)
      islands.made[i] = n + 1
      _ask(islands, i, c, means, rnd, trials_of(means.tools.breeding))
      under_way += max(1, rnd.trials[c])
  return 0


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
def _last(first: int, target: int, rules: Rules) -> int:
  """Children of an island with which a round that begins with child `first` ends at the latest."""
  last = min(target, first + rules.round_size)
  if rules.hurdles:  # it moves, and what comes next has to wait for where to
    last = min(last, (first // rules.generation + 1) * rules.generation)
  return last


@inlined_kernel
def _prefetch_next(islands: Islands, i: int, n: int, means: Means) -> None:
  """Prefetches the parent that child n of island i would have now, and what is in its place."""
  size = means.rules.population_size
  prefetch_program(islands.population, i * size + n % size)
  parent, _ = choose_parent(islands, i, n, means.rules, means.tools.stream)
  if parent not in (NOBODY, NONE):
    prefetch_program(islands.population, i * size + parent)


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
def _ask(islands: Islands, i: int, c: int, means: Means, rnd: Round, trials: int) -> None:
  """Asks for the fitness of child c, which is in its place on island i.

  If its structure is new to the population, also of programs that differ from it in their
  constants, up to `trials` in all.
  """
  rules, tools, place = means.rules, means.tools, rnd.place[c]
  q, sample = rnd.counts[REQUESTS], _sample_of(i, c, rules, rnd)
  rnd.request[c], rnd.trials[c], rnd.fitness[c] = KNOWN, 0, 0.0
  islands.fitness[i, place] = 0.0
  programs, row = islands.population, i * rules.population_size + place
  predicted = analyse_program(programs, row, tools.tables, rnd.analysis, q, tools.scratch)
  key = rnd.analysis.key[q]
  islands.key[i, place, 0], islands.key[i, place, 1] = key[0], key[1]
  rnd.size[c] = tools.scratch.start[3]
  if not note_structure(islands, i, place, predicted, tools, tools.breeding):
    trials = 1
  if rules.cached:
    entry = look_up(means.cache, sample, key, c, rnd.log)
    if entry != ABSENT:
      rnd.answer[c] = CANONICAL_HIT
      ticket = ticket_at(means.cache, sample, entry)
      if ticket == FILLED:
        rnd.fitness[c] = islands.fitness[i, place] = value_at(means.cache, sample, entry)
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
def _sample_of(i: int, c: int, rules: Rules, rnd: Round) -> int:
  """The tasks that child c of island i is evaluated on, see `Round.sample`."""
  return i * rules.samples + max(rnd.nth[c], 0) // rules.generation % rules.samples


@inlined_kernel
def _request(i: int, c: int, means: Means, rnd: Round) -> None:
  """Makes the program and the analysis behind the last request one of child c of island i."""
  q = rnd.counts[REQUESTS]
  rnd.counts[REQUESTS] += 1
  rnd.trials[c] += 1
  rnd.child[q], rnd.owner[q], rnd.value[q], rnd.cost[q] = c, i, 0.0, 0
  rnd.sample[q] = _sample_of(i, c, means.rules, rnd)
  rnd.outcome[q] = EVALUATED
  if means.rules.cached:
    rnd.entry[q] = reserve(means.cache, rnd.sample[q], rnd.analysis.key[q], q, c, rnd.log)


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
    if look_up(means.cache, rnd.sample[first], key, c, rnd.log) != ABSENT:
      return
  elif key[0] == own[0] and key[1] == own[1]:
    return  # it has no constants
  _request(i, c, means, rnd)
