import numpy as np
import pytest
from support.hall_entries import entry
from support.search_cases import FIXED

from azero.language.program import Programs
from azero.search.history.hall_of_fame import Front, HallOfFame

STEPS, PROGRAMS = np.array([100, 200]), np.array([10, 20])


def offer(hall, fitness, keys=None, islands=None):
  """Offers programs; their constants say which they are."""
  count = len(fitness)
  keys = np.arange(count) + 1000 * hall.changes if keys is None else np.array(keys)
  islands = np.zeros(count, int) if islands is None else np.array(islands)
  for k in range(count):
    island = int(islands[k])
    hall.take_in((int(keys[k]), int(keys[k])), entry(
        marked(k), float(fitness[k]), island=island, train_steps=int(STEPS[island]),
        num_programs=int(PROGRAMS[island])))


def marked(k):
  program = Programs.empty(FIXED)
  program.constants[:, 0, 0] = k
  return program


def fitnesses(hall):
  return [each.fitness for each in hall]


def marks(hall):
  return [int(each.program.constants[0, 0, 0]) for each in hall]


def test_keeps_the_best_in_order():
  hall = HallOfFame(3)
  offer(hall, [0.1, 0.5, 0.3, 0.2])
  assert fitnesses(hall) == [0.5, 0.3, 0.2] and marks(hall) == [1, 2, 3]
  offer(hall, [0.4, 0.0])
  assert fitnesses(hall) == [0.5, 0.4, 0.3] and hall.best.fitness == 0.5
  assert len(hall) == 3


def test_a_notebook_shows_a_row_for_each_and_the_best_program():
  hall = HallOfFame(3)
  assert hall._repr_html_().count("<tr>") == 1  # names alone
  offer(hall, [0.1, 0.5], islands=[1, 0])
  shown = hall._repr_html_()
  assert shown.index("0.500000") < shown.index("0.100000") < shown.index("Setup")


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
  for key, fitness in {(1, 1): 0.1, (1, 2): 0.2, (2, 1): 0.3}.items():
    hall.take_in(key, entry(marked(0), fitness))
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


def test_empty():
  hall = HallOfFame()
  assert len(hall) == 0 and list(hall) == []
  with pytest.raises(LookupError, match="The hall of fame is empty"):
    _ = hall.best


def test_the_order_of_islands_does_not_matter():
  rng = np.random.default_rng(3)
  count = 300
  fitness = rng.integers(0, 4, count) / 4
  keys = rng.integers(0, 100, count)
  islands = np.sort(rng.integers(0, 2, count))

  def filled(orders):
    hall = HallOfFame(12)
    for chosen in orders:
      for k in chosen.tolist():
        hall.take_in((int(keys[k]), 0), entry(
            marked(k), float(fitness[k]), island=int(islands[k])))
    return [(key, each.fitness, each.island, marks([each])) for key, each in hall.items()]

  one, other = (np.flatnonzero(islands == k) for k in (0, 1))
  together = filled([np.arange(count)])
  assert together == filled([one, other]) == filled([other, one])
  assert len(together) == 12 and together[-1][1] == 0.75  # ties were decided


def test_one_of_each_fingerprint_is_shown():
  hall = HallOfFame(3)
  for key, fitness, fingerprint in ((1, 0.5, (7, 7)), (2, 0.6, (7, 7)), (3, 0.4, (7, 8)),
                                    (4, 0.3, None), (5, 0.6, None)):
    hall.take_in((key, key), entry(marked(key), fitness, fingerprint=fingerprint))
  # Of the same fitness the lower key comes first; 1 is held, and not shown.
  assert marks(hall) == [2, 5] and [key for key, _ in hall.items()] == [(2, 2), (5, 5), (1, 1)]
  assert len(hall) == 2


def front_of(candidates):
  """A front that was offered (complexity, fitness, num_programs) in this order."""
  front = Front()
  for complexity, fitness, number in candidates:
    front.take_in((number, 0), entry(
        marked(number), fitness, complexity=complexity, num_programs=number))
  return front


def facts(front):
  return [(each.complexity, each.fitness, each.num_programs) for each in front]


def test_a_front_holds_what_is_fitter_than_all_that_is_simpler():
  front = front_of([(3, 0.5, 1), (2, 0.5, 2), (5, 0.4, 3), (4, 0.7, 4), (4, 0.7, 5), (0, 0.0, 6)])
  assert facts(front) == [(0, 0.0, 6), (2, 0.5, 2), (4, 0.7, 4)] and len(front) == 3
  assert [front.at(size).num_programs for size in (0, 1, 2, 3, 4, 9)] == [6, 6, 2, 2, 4, 4]
  assert front.changes == 4
  with pytest.raises(LookupError, match="No program of at most 2 live instructions"):
    front_of([(3, 0.5, 1)]).at(2)


def test_a_front_is_the_same_in_any_order_and_by_its_definition():
  rng = np.random.default_rng(5)
  candidates = [
      (int(size), value / 8, number) for number, (size, value) in enumerate(
          zip(rng.integers(0, 7, 200), rng.integers(0, 9, 200)), start=1)]
  expected, best = [], -1.0
  for size in range(7):
    fittest = min((-value, number) for each, value, number in candidates if each == size)
    if -fittest[0] > best:
      best = -fittest[0]
      expected.append((size, best, fittest[1]))
  for seed in range(4):
    shuffled = [candidates[k] for k in np.random.default_rng(seed).permutation(200)]
    assert facts(front_of(shuffled)) == expected
    parts = Front()
    parts.merge([front_of(shuffled[:90]), front_of(shuffled[90:])])
    assert facts(parts) == expected


def test_bars_let_in_what_a_front_may_admit():
  front = front_of([(0, 0.1, 9), (2, 0.5, 3), (4, 0.7, 4)])
  bars = np.zeros((6, 2))
  front.set_bars(bars)
  assert bars.tolist() == [[0.1, 9], [0.1, 0], [0.5, 3], [0.5, 0], [0.7, 4], [0.7, 0]]
  Front().set_bars(bars)
  assert (bars[:, 0] == -np.inf).all()
