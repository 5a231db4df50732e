"""The second half of a round: fitnesses have come, and children are settled in their order."""

from typing import NamedTuple

import numpy as np

from azero.compiler.copying import copy_program
from azero.compiler.kernels import inlined_kernel, inner_kernel, kernel
from azero.compiler.prefetch import prefetch
from azero.search.ancestry import (
  bear,
  bury,
  judge,
  prefetch_node,
  prefetch_parent,
)
from azero.search.islands import FEWEST_GUESSES, MOST_GUESSES, Islands
from azero.search.origins import ARRIVED, NONE
from azero.search.rounds.parents import choose_parent
from azero.search.rounds.round import (
  CHILDREN,
  FIRST_ANSWER,
  KNOWN,
  NEW,
  PROGRAMS,
  REQUESTS,
  TRAIN_STEPS,
  TWIN,
  Round,
  Rules,
)
from azero.search.scoring.lru_cache import CacheArrays, fill, take_back

# What it costs to make a child, in instructions that are trained on one example of one task.
_CHILD_LOAD = 1000.0
# Guesses of parents make rounds longer, and a wrong one makes all after it vain. There are as many
# as let this part of the children be kept, about.
_KEPT_SHARE = 0.9
_AHEAD = 8  # children: while so many are settled, memory answers


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


class Wanted(NamedTuple):
  """Which children are worth keeping.

  Attributes:
    bars: [L + 2, 2] float64, a fitness that just is, and up to which number of programs of an
      island: for the front by the number of live instructions, and last for the hall of fame.
    watch: [I] float64, fitness from which on every new child is; inf for none.
  """

  bars: np.ndarray
  watch: np.ndarray


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
    _prefetch_ancestors(islands, c, rnd)
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
        fill(cache, rnd.sample[q], rnd.entry[q], q, rnd.value[q])
  return count


@inlined_kernel
def _prefetch_ancestors(islands: Islands, c: int, rnd: Round) -> None:
  """Prefetches what children after c will need of the ancestry, first their own nodes."""
  later = c + 2 * _AHEAD
  if later < rnd.counts[CHILDREN]:
    prefetch_node(islands.ancestry, rnd.island[later], rnd.place[later])
    if rnd.parent[later] != NONE:
      prefetch_node(islands.ancestry, rnd.island[later], rnd.parent[later])
  later = c + _AHEAD
  if later < rnd.counts[CHILDREN]:
    prefetch_parent(islands.ancestry, rnd.island[later], rnd.place[later])


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
  parent, _ = choose_parent(
      islands, rnd.island[c], rnd.nth[c], settlement.rules, settlement.stream)
  return parent == rnd.parent[c]


@inlined_kernel
def _give_back(islands: Islands, c: int, rnd: Round) -> None:
  """Puts what child c displaced back into its place, but for the fitness."""
  i, place, old = rnd.island[c], rnd.place[c], rnd.displaced
  copy_program(old.programs, c, islands.population, i * islands.fitness.shape[1] + place)
  islands.structure[i, place] = old.structure[c]
  islands.key[i, place, 0], islands.key[i, place, 1] = old.key[c, 0], old.key[c, 1]


@inlined_kernel
def _settle(islands: Islands, c: int, rules: Rules, rnd: Round, wanted: Wanted) -> bool:
  """Settles child c, which is kept. Returns whether it is a new best or wanted."""
  i, place, own = rnd.island[c], rnd.place[c], rnd.trials[c]
  displaced = islands.ancestry.node[i, place]
  parent = NONE if rnd.parent[c] == NONE else islands.ancestry.node[i, rnd.parent[c]]
  # Its parent may be the displaced one.
  bear(islands.ancestry, i, place, parent, rnd.made_by[c], max(rnd.nth[c], 0))
  bury(islands.ancestry, i, displaced, rnd.displaced.programs, c, islands.population)
  for trial in range(own):
    q = rnd.request[c] + trial
    islands.train_steps[i] += rnd.cost[q]
    islands.load[i] += rnd.cost[q] * rnd.size[c]
    rnd.counts[TRAIN_STEPS] += rnd.cost[q]
    rnd.counts[FIRST_ANSWER + rnd.outcome[q]] += 1
  islands.load[i] += _CHILD_LOAD
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
  # A child that the cache knows was watched when it was new.
  watched = new and value >= wanted.watch[i]
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


@inlined_kernel
def _enters(bar: np.ndarray, value: float, number: int) -> bool:
  return value > bar[0] or (value == bar[0] and number <= bar[1])
