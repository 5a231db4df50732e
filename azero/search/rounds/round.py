"""A round as arrays: its children, what they ask for, and the rules that they are made by."""

from typing import NamedTuple

import numpy as np

from azero.compiler.arrays import ProgramArrays, arrays
from azero.compiler.canonical import Analysis
from azero.language.program import Programs, SearchSpace
from azero.search.origins import ARRIVED
from azero.search.scoring.lru_cache import Log, new_log
from azero.search.scoring.recall import Asked, Results, new_results

# Columns of `Round.counts`: children and requests of the round; programs and training steps of
# children that were kept, and how many were answered in each way: ASKED and what follows it.
CHILDREN, REQUESTS, PROGRAMS, TRAIN_STEPS, FIRST_ANSWER = range(5)
ASKED, CANONICAL_HIT, OVER_BUDGET, STOPPED_EARLY, TWIN, HURDLE_STOPPED, EVALUATED = range(7)
NEW = ASKED, OVER_BUDGET  # answers of programs that the cache of canonical keys did not know
KNOWN = -1  # a request: the fitness is known without one


class Rules(NamedTuple):
  """What a search lets its islands do.

  Attributes:
    seed: of the search, a word.
    first_island: number of island 0 among those of a larger search.
    population_size: P.
    tournament_size: T.
    round_size: children of an island in a round at most; not above P.
    step_rounds: of an island in a step at most.
    hurdles: whether there are any; then a round ends with a generation at the latest.
    evolve: whether children beyond the initial population have parents.
    cached: whether equal canonical keys are answered by the cache.
    max_cost: of a program, in the cost of its live instructions.
    max_programs: budget of an island.
    max_train_steps: budget of an island.
    most_steps: training steps that one program can cause at most.
    samples: S, into which the tasks of an island are divided.
    generation: children of an island, counted from the first, that are evaluated on one of them,
      before the next one, and that meet one hurdle.
  """

  seed: np.uint64
  first_island: int
  population_size: int
  tournament_size: int
  round_size: int
  step_rounds: int
  hurdles: bool
  evolve: bool
  cached: bool
  max_cost: float
  max_programs: int
  max_train_steps: int
  most_steps: int
  samples: int
  generation: int


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
    made_by: [C] int64, what made it of its parent, see `origins`.
    guessed: [C] bool, whether a contestant of its tournament was not known yet.
    displaced: what it found in its place.
    kept: [C] bool, whether it was kept; set by `commit`.
    request: [C] int64, which request tells its fitness, or KNOWN. Of several trials the first,
      and after `commit` the best.
    trials: [C] int64, how many requests it has made: more than one if constants are tried.
    nth: [C] int64, which child of its island it is.
    fitness: [C] float64, as far as it is known.
    answer: [C] int64, how it was answered: ASKED, CANONICAL_HIT or OVER_BUDGET.
    size: [C] int64, live instructions of a new one.
    better: [C] bool, whether it is a new best of its island; set by `commit`.
    number: [C] int64, programs of the island up to this one; set by `commit`.
    steps: [C] int64, training steps of the island up to this one; set by `commit`.
    child: [Q] int64, of each request who asked first, and pays.
    owner: [Q] int64, of each request the island.
    sample: [Q] int64, of each request the tasks to evaluate it on: number S * i + s is sample s of
      island i.
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
  sample: np.ndarray
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

  def at_end_of(self, generation: int) -> np.ndarray:
    """[n] int64, islands with a child that was kept and ends so many; immigrants do not count."""
    some = slice(self.counts[CHILDREN])
    ends = (self.nth[some] + 1) % generation == 0
    return self.island[some][ends & self.kept[some] & (self.made_by[some] != ARRIVED)]


def new_round(space: SearchSpace, num_children: int, trials: int) -> Round:
  """An empty round with room for so many children, each with so many requests."""
  size = num_children * trials
  island, place, parent, made_by, request, tried, nth, answer, length, number, steps = np.zeros(
      (11, num_children), np.int64)
  child, owner, sample, entry, cost, outcome = np.zeros((6, size), np.int64)
  guessed, kept, better = np.zeros((3, num_children), bool)
  displaced = Displaced(
      arrays(Programs.empty(space, num_children)), np.zeros(num_children),
      np.zeros((num_children, 2), np.uint64), np.zeros(num_children, np.uint64))
  return Round(
      np.zeros(FIRST_ANSWER + EVALUATED + 1, np.int64), island, place, parent, made_by, guessed,
      displaced, kept, request, tried, nth, np.zeros(num_children), answer, length, better,
      number, steps, child, owner, sample, entry, arrays(Programs.empty(space, size)),
      Analysis.empty(size, space.num_slots), np.zeros(size), cost, outcome, np.zeros(size),
      new_results(size), new_log(size))
