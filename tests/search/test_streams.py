from hypothesis import given
from hypothesis import strategies as st
import numpy as np

from azero.search import streams as streams_module
from azero.search.streams import Streams

ISLANDS = 4


def generators():
  return [np.random.default_rng([5, island]) for island in range(ISLANDS)]


def sequences(count=20_000):
  """What each generator yields, a number at a time or many: NumPy promises no difference."""
  return [generator.random(count) for generator in generators()]


def test_numbers_are_those_of_single_calls():
  single = generators()
  taken = Streams(generators()).take(np.arange(ISLANDS), 100)
  for island in range(ISLANDS):
    assert taken[island].tolist() == [single[island].random() for _ in range(100)]


@given(st.lists(
    st.lists(st.tuples(st.integers(0, ISLANDS - 1), st.integers(0, 40)), min_size=1, max_size=9),
    min_size=1, max_size=12), st.sampled_from([1, 16, 8192]))
def test_any_pattern_of_takes_reads_the_same_sequences(pattern, block):
  expected, position = sequences(5000), [0] * ISLANDS
  original = streams_module._BLOCK
  streams_module._BLOCK = block
  try:
    streams = Streams(generators())
    for call in pattern:
      islands, counts = (np.array(column) for column in zip(*call))
      taken = streams.take_ragged(islands, counts)
      assert taken.shape == (len(call), counts.max())
      for row, (island, count) in zip(taken, call):
        start = position[island]
        assert row[:count].tolist() == expected[island][start : start + count].tolist()
        position[island] += count
  finally:
    streams_module._BLOCK = original


def test_large_takes_and_many_refills():
  expected, position = sequences(), 0
  streams = Streams(generators())
  for count in (1, 9000, 3, 8192, 700, 1):
    some = streams.take(np.array([2, 0]), count)
    np.testing.assert_array_equal(some[0], expected[2][position : position + count])
    np.testing.assert_array_equal(some[1], expected[0][position : position + count])
    position += count
  # The islands that were left out begin at their beginning.
  np.testing.assert_array_equal(streams.take(np.array([3]), 5)[0], expected[3][:5])


def test_nothing_to_take():
  streams = Streams(generators())
  assert streams.take(np.array([], int), 3).shape == (0, 0)
  assert streams.take(np.array([1]), 0).shape == (1, 0)
  assert streams.take_ragged(np.array([1, 1]), np.array([0, 2])).shape == (2, 2)
  np.testing.assert_array_equal(streams.take(np.array([1]), 1)[0], sequences(3)[1][2:])
