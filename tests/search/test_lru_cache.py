from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from azero.search.lru_cache import LruCache


def keys_of(numbers):
  """Distinct 128-bit keys whose first word is the number itself, so that it names the set."""
  numbers = np.asarray(numbers, np.uint64)
  return np.stack([numbers, numbers * np.uint64(3) + np.uint64(1)], axis=1)


def put(cache, island, numbers):
  numbers = np.asarray(numbers)
  cache.put(np.full(len(numbers), island), keys_of(numbers), numbers / 1000)


def get(cache, island, numbers):
  found, values = cache.get(np.full(len(numbers), island), keys_of(numbers))
  return [float(value) if hit else None for hit, value in zip(found, values)]


@given(st.lists(st.tuples(
    st.integers(0, 1), st.lists(st.integers(0, 40), min_size=1, max_size=10, unique=True)),
    max_size=20))
def test_a_large_cache_is_a_dict(steps):
  # 64 sets of 8 places: 41 keys can never crowd one set.
  cache, expected = LruCache(2, 512), {}
  for island, numbers in steps:
    values = get(cache, island, numbers)
    assert values == [expected.get((island, number)) for number in numbers]
    new = [number for number in numbers if (island, number) not in expected]
    put(cache, island, new)
    expected |= {(island, number): number / 1000 for number in new}
  assert len(cache) == len(expected)


@given(st.lists(st.integers(0, 30), max_size=80))
def test_within_a_set_the_least_recently_used_is_forgotten(numbers):
  cache, recent = LruCache(1, 8), []  # one set of eight places
  for number in numbers:
    known = get(cache, 0, [number])[0] is not None
    assert known == (number in recent)
    if known:
      recent.remove(number)
    else:
      put(cache, 0, [number])
    recent = [*recent, number][-8:]
  assert len(cache) == len(recent)
  assert get(cache, 0, recent) == [number / 1000 for number in recent]


def test_capacity_is_rounded_up_to_whole_sets():
  cache = LruCache(1, 20)  # 3 sets
  put(cache, 0, np.arange(1000))
  assert len(cache) == 24
  # Numbers that share a set differ by multiples of 3: the last eight of each are kept.
  assert None not in get(cache, 0, np.arange(976, 1000))
  assert set(get(cache, 0, np.arange(900, 976))) == {None}


def test_more_keys_than_places_in_one_call_keep_the_last():
  cache = LruCache(1, 8)
  put(cache, 0, np.arange(21))
  assert get(cache, 0, np.arange(21)) == [None] * 13 + [k / 1000 for k in range(13, 21)]


def test_islands_are_separate():
  cache = LruCache(3, 8)
  put(cache, 1, [5])
  assert [get(cache, island, [5]) for island in range(3)] == [[None], [0.005], [None]]
  cache.put(np.array([0, 2]), keys_of([5, 5]), np.array([0.25, 0.5]))
  assert [get(cache, island, [5])[0] for island in range(3)] == [0.25, 0.005, 0.5]
  put(cache, 0, np.arange(100, 200))
  assert get(cache, 1, [5]) == [0.005]


def test_all_bits_of_a_key_count():
  cache = LruCache(1, 8)
  stored = np.array([[4, 9]], np.uint64)
  cache.put(np.array([0]), stored, np.array([1.0]))
  for other in ([4, 8], [5, 9], [4, 9 + 2**63], [4 + 2**63, 9]):
    assert not cache.get(np.array([0]), np.array([other], np.uint64))[0][0]
  assert cache.get(np.array([0]), stored)[0][0]


def test_a_key_of_zeros_is_found_only_once_stored():
  cache, zeros = LruCache(1, 8), np.zeros((1, 2), np.uint64)
  assert not cache.get(np.array([0]), zeros)[0][0]
  cache.put(np.array([0]), zeros, np.array([0.5]))
  found, values = cache.get(np.array([0]), zeros)
  assert found[0] and values[0] == 0.5


def test_empty_calls():
  cache, none = LruCache(1, 8), np.zeros((0, 2), np.uint64)
  cache.put(np.array([], int), none, np.array([]))
  found, values = cache.get(np.array([], int), none)
  assert len(found) == len(values) == len(cache) == 0


def test_no_capacity():
  with pytest.raises(ValueError, match="capacity of at least 1, got 0"):
    LruCache(1, 0)
