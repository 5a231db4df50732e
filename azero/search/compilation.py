"""The kernels that are the same for all searches, compiled by settling a round of one child.

For `azero.compiler.beside`; what makes children depends on the method, so that the search itself
compiles it meanwhile. Needs no JAX.
"""

import numpy as np

from azero.compiler import cost, liveness
from azero.executors.waves import compilation
from azero.language import zoo
from azero.search import draws
from azero.search.history.genealogy import Genealogy
from azero.search.islands import new_islands
from azero.search.origins import NONE, STARTED
from azero.search.proposals import breeding
from azero.search.rounds.committing import Settlement, Wanted, commit
from azero.search.rounds.round import CHILDREN, KNOWN, Rules, new_round
from azero.search.scoring import recall
from azero.search.scoring.lru_cache import LruCache


def compile_kernels() -> None:
  """Compiles them, or loads what is on the disk."""
  compilation.compile_kernels()
  program = zoo.load("linear_regressor", 2)
  space = program.space
  islands = new_islands(space, 1, 1)
  rules = Rules(
      seed=draws.seed_word(0), first_island=0, population_size=1, tournament_size=1, round_size=1,
      step_rounds=1, hurdles=False, evolve=True, cached=True,
      max_cost=np.inf, max_programs=breeding.UNLIMITED, max_train_steps=breeding.UNLIMITED,
      most_steps=1, samples=1, generation=1)
  wanted = Wanted(np.zeros((space.num_slots + 2, 2)), np.full(1, np.inf))
  rnd = new_round(space, 1, 1)
  rnd.counts[CHILDREN] = 1
  rnd.parent[0], rnd.made_by[0], rnd.request[0] = NONE, STARTED, KNOWN
  settlement = Settlement(rules, LruCache(1, 1).arrays, draws.new_stream())
  commit(islands, settlement, rnd, wanted, np.zeros(1, np.int64))
  memory = recall.new_recall(1, 1)
  for each in recall.recall, recall.remember:
    each(memory, rnd.asked(), 1, 0, rnd.results)
  Genealogy(space, islands, 0, None).lineage(0, 0)
  cost.costs(program, liveness.live_instructions(program))
