"""The rolling hurdle: the 75th percentile of the different fitnesses of a window."""

import numpy as np

from azero.search.scoring.hurdles import PERCENTILE, Hurdles

ISLANDS = 3


def one_after_another(hurdles, fitness, island=0):
  """Heights after each of these fitnesses of an island."""
  heights = []
  for value in fitness:
    hurdles.record(np.array([island]), np.array([value]))
    hurdles.move(np.array([island]))
    heights.append(float(hurdles.heights[island]))
  return heights


def test_the_hurdle_is_the_75th_percentile_of_unique_fitnesses():
  hurdles = Hurdles(2, 5)
  assert hurdles.heights.tolist() == [-np.inf, -np.inf]
  heights = one_after_another(hurdles, [0.5, 0.25, 0.25, 1.0, 0.75])
  # {.5}; {.25 .5}; the same; {.25 .5 1}; {.25 .5 .75 1}
  assert heights == [0.5, 0.4375, 0.4375, 0.75, 0.8125]
  assert hurdles.heights[1] == -np.inf


def test_a_hurdle_moves_when_it_is_told_to():
  hurdles = Hurdles(2, 3)
  hurdles.move(np.array([0, 1]))  # nothing came to it yet
  assert hurdles.heights.tolist() == [-np.inf, -np.inf]
  hurdles.record(np.array([0, 0, 1]), np.array([0.5, 0.25, 1.0]))
  assert hurdles.heights.tolist() == [-np.inf, -np.inf]
  other = Hurdles(2, 3)
  other.restore(hurdles.state())
  for each in hurdles, other:
    each.move(np.array([0]))
    assert each.heights.tolist() == [0.4375, -np.inf]
    each.record(np.array([0, 1]), np.array([0.75, 0.0]))
    assert each.heights.tolist() == [0.4375, -np.inf]
    each.move(np.array([1]))
    assert each.heights.tolist() == [0.4375, 0.75]


def test_the_hurdle_rolls_on_with_the_last_fitnesses():
  hurdles = Hurdles(1, 4)
  heights = one_after_another(hurdles, [1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.25])
  # The fifth pushes out 1, the sixth 0.5; then {0 .25}.
  assert heights == [1.0, 0.875, 0.75, 0.75, 0.375, 0.0, 0.1875]


def test_a_batch_does_what_its_programs_do_one_after_another():
  rng = np.random.default_rng(0)
  whole, single = Hurdles(ISLANDS, 7), Hurdles(ISLANDS, 7)
  for size in (1, 5, 40, 3, 0, 16):  # 40: more than a window at once
    islands, fitness = rng.integers(0, ISLANDS, size), rng.integers(0, 8, size) / 8
    whole.record(islands, fitness)
    whole.move(np.unique(islands))
    for island, value in zip(islands, fitness):
      one_after_another(single, [value], int(island))
    np.testing.assert_array_equal(whole.heights, single.heights)


def test_percentiles_are_those_of_numpy():
  rng = np.random.default_rng(1)
  for window in (1, 2, 15, 100):
    hurdles, recent = Hurdles(1, window), []
    for value in rng.integers(0, 40, 300) / 40:
      recent = [*recent, value][-window:]
      expected = np.percentile(np.unique(recent), PERCENTILE)
      np.testing.assert_allclose(one_after_another(hurdles, [value]), [expected], rtol=1e-14)


def test_what_is_kept_in_order_is_what_came_last():
  rng = np.random.default_rng(2)
  hurdles = Hurdles(1, 9)
  for value in np.concatenate([rng.random(40), rng.integers(0, 3, 40) / 3, np.zeros(12)]):
    one_after_another(hurdles, [value])
    arrays = hurdles.arrays
    assert arrays.ordered[0].tolist() == sorted(arrays.recent[0].tolist())


def test_the_state_decides_the_hurdles_to_come():
  rng = np.random.default_rng(2)
  hurdles, other = Hurdles(1, 6), Hurdles(1, 6)
  one_after_another(hurdles, rng.random(9))
  other.restore(hurdles.state())
  assert other.heights.tolist() == hurdles.heights.tolist()
  more = rng.random(9)
  assert one_after_another(other, more) == one_after_another(hurdles, more)
