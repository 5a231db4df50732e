import dataclasses

import numpy as np
import pytest
from support.search_cases import FIXED

from azero.language.program import Programs
from azero.search.hall_of_fame import HallOfFame

STEPS, PROGRAMS = np.array([100, 200]), np.array([10, 20])


def offer(hall, fitness, keys=None, islands=None):
  """Offers programs; their constants say which they are."""
  count = len(fitness)
  programs = Programs.empty(FIXED, count)
  programs.constants[:, 0, 0] = np.arange(count)
  keys = np.arange(count) + 1000 * hall.changes if keys is None else np.array(keys)
  hall.offer(
      programs, np.array(fitness), np.stack([keys, keys], axis=1).astype(np.uint64),
      np.zeros(count, int) if islands is None else np.array(islands), STEPS, PROGRAMS)


def fitnesses(hall):
  return [entry.fitness for entry in hall]


def marks(hall):
  return [int(entry.program.constants[0, 0, 0]) for entry in hall]


def test_keeps_the_best_in_order():
  hall = HallOfFame(3)
  offer(hall, [0.1, 0.5, 0.3, 0.2])
  assert fitnesses(hall) == [0.5, 0.3, 0.2] and marks(hall) == [1, 2, 3]
  offer(hall, [0.4, 0.0])
  assert fitnesses(hall) == [0.5, 0.4, 0.3] and hall.best.fitness == 0.5
  assert len(hall) == 3


def test_equal_keys_count_once_and_the_first_stays():
  hall = HallOfFame(3)
  offer(hall, [0.2, 0.4, 0.4, 0.3], keys=[7, 7, 7, 8])
  assert fitnesses(hall) == [0.4, 0.3] and marks(hall) == [1, 3]
  offer(hall, [0.4, 0.35], keys=[7, 8])
  assert fitnesses(hall) == [0.4, 0.35] and marks(hall) == [1, 1]


def test_many_copies_of_the_best_do_not_crowd_out_others():
  hall = HallOfFame(2)
  offer(hall, [0.9] * 50 + [0.3, 0.4, 0.2], keys=[1] * 50 + [2, 3, 4])
  assert fitnesses(hall) == [0.9, 0.4]
  # The best is known already: another two find a place behind it.
  offer(hall, [0.9] * 50 + [0.5, 0.6], keys=[1] * 50 + [5, 6])
  assert fitnesses(hall) == [0.9, 0.6]


def test_keys_are_compared_as_a_whole():
  hall = HallOfFame(4)
  programs = Programs.empty(FIXED, 3)
  keys = np.array([[1, 1], [1, 2], [2, 1]], np.uint64)
  hall.offer(programs, np.array([0.1, 0.2, 0.3]), keys, np.zeros(3, int), STEPS, PROGRAMS)
  assert len(hall) == 3


def test_equals_sorting_everything():
  rng = np.random.default_rng(0)
  hall, best = HallOfFame(10), {}
  for _ in range(40):
    keys = rng.integers(0, 60, 30)
    fitness = rng.integers(0, 200, 30) / 200 + keys * 1e-5  # no two keys tie
    offer(hall, fitness, keys)
    for key, value in zip(keys, fitness):
      best[key] = max(best.get(key, 0.0), value)
  assert fitnesses(hall) == sorted(best.values(), reverse=True)[:10]


def test_entries_say_where_and_when():
  hall = HallOfFame()
  offer(hall, [0.1, 0.2], islands=[1, 0])
  first, second = hall
  assert (first.island, first.train_steps, first.num_programs) == (0, 100, 10)
  assert (second.island, second.train_steps, second.num_programs) == (1, 200, 20)
  assert len(first.program) == 1 and first.program.space == FIXED


def test_changes_grow_only_with_a_change():
  hall = HallOfFame(2)
  assert hall.changes == 0
  offer(hall, [0.5, 0.4], keys=[1, 2])
  assert hall.changes == 2
  offer(hall, [0.5, 0.4, 0.4, 0.1], keys=[1, 2, 3, 4])
  assert hall.changes == 2  # ties and known programs change nothing
  offer(hall, [0.6], keys=[2])
  assert hall.changes == 3


def test_entries_do_not_change_with_the_batch_they_came_from():
  hall, programs = HallOfFame(), Programs.empty(FIXED)
  hall.offer(programs, np.array([0.1]), np.ones((1, 2), np.uint64), np.array([0]), STEPS, PROGRAMS)
  programs.constants[:] = 5.0
  assert marks(hall) == [0]


def test_empty():
  hall = HallOfFame()
  assert len(hall) == 0 and list(hall) == []
  with pytest.raises(LookupError, match="The hall of fame is empty"):
    _ = hall.best


def test_the_order_of_islands_does_not_matter():
  rng = np.random.default_rng(3)
  count = 300
  programs = Programs.empty(FIXED, count)
  programs.constants[:, 0, 0] = np.arange(count)
  fitness = rng.integers(0, 4, count) / 4
  keys = np.repeat(rng.integers(0, 100, count), 2).reshape(-1, 2).astype(np.uint64)
  islands = np.sort(rng.integers(0, 2, count))

  def filled(orders):
    hall = HallOfFame(12)
    for chosen in orders:
      hall.offer(
          programs[chosen], fitness[chosen], keys[chosen], islands[chosen], STEPS,
          np.array([10, 10]))
    return [(key, *dataclasses.astuple(entry)[1:]) for key, entry in hall.items()]

  one, other = (np.flatnonzero(islands == k) for k in (0, 1))
  together = filled([np.arange(count)])
  assert together == filled([one, other]) == filled([other, one])
  assert len(together) == 12 and together[-1][1] == 0.75  # ties were decided
