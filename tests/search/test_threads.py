"""Several threads of one process that search and evaluate at once."""

import concurrent.futures

from support import small_search


def test_searches_in_threads_find_what_they_find_one_after_the_other():
  seeds = [1, 2, 1]
  alone = [small_search.search(seed) for seed in seeds[:2]]
  with concurrent.futures.ThreadPoolExecutor(len(seeds)) as threads:
    together = list(threads.map(small_search.search, seeds))
  assert together == [*alone, alone[0]]
  assert alone[0] != alone[1]


def test_evaluations_in_threads_are_those_of_one_after_the_other():
  islands = [0, 1, 2, 3] * 2
  with concurrent.futures.ThreadPoolExecutor(len(islands)) as threads:
    together = list(threads.map(small_search.evaluate, islands))
  alone = [small_search.evaluate(island) for island in islands]
  assert together == alone and len({*map(tuple, alone)}) == 4
