"""The cache: a least-recently-used table, in the order of children whenever scores come."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from reference.lru import WAYS, SetAssociativeCache
from support import kernel_calls
from support.kernel_calls import FILLED
from support.search_cases import assert_same_state

from azero.search.scoring.lru_cache import LruCache, new_log


def key_of(number):
  """A 128-bit key whose first word is the number itself, so that it names the set."""
  return np.array([number, 3 * number + 1], np.uint64)


def put(cache, island, numbers):
  for number in numbers:
    kernel_calls.put(cache, island, key_of(number), number / 1000)


def get(cache, island, numbers):
  return [kernel_calls.get(cache, island, key_of(number)) for number in numbers]


class Plain(SetAssociativeCache):
  """The reference by the numbers of keys."""

  def get(self, number):
    return super().get((number, 3 * number + 1))

  def put(self, number, value):
    super().put((number, 3 * number + 1), value)


@given(st.lists(st.tuples(
    st.integers(0, 1), st.lists(st.integers(0, 40), min_size=1, max_size=10)), max_size=20))
def test_a_large_cache_is_a_dict(steps):
  # 64 sets of 8 places: 41 keys can never crowd one set.
  cache, expected = LruCache(2, 512), {}
  for island, numbers in steps:
    for number in numbers:
      assert get(cache, island, [number]) == [expected.get((island, number))]
      if (island, number) not in expected:
        put(cache, island, [number])
        expected[island, number] = number / 1000
  assert len(cache) == len(expected)


@given(st.integers(1, 3), st.lists(st.integers(0, 30), max_size=80))
def test_within_a_set_the_least_recently_used_is_forgotten(num_sets, numbers):
  cache, plain = LruCache(1, WAYS * num_sets), Plain(WAYS * num_sets)
  for number in numbers:
    known = plain.get(number)
    assert get(cache, 0, [number]) == [known]
    if known is None:
      put(cache, 0, [number])
      plain.put(number, number / 1000)
  assert len(cache) == sum(map(len, plain.sets.values()))


@given(st.integers(1, 2), st.lists(
    st.tuples(st.lists(st.integers(0, 24), min_size=1, max_size=30), st.integers(0, 30)),
    min_size=1, max_size=6))
def test_scores_that_come_late_change_nothing(num_sets, rounds):
  """Children ask in rounds, and their scores come when a round is over.

  Answers, who is scored, and what is in the cache afterwards are as if each had been scored
  before the next one asked; and as if the last of a round, which are taken back, never had.
  """
  cache, plain = LruCache(1, WAYS * num_sets), Plain(WAYS * num_sets)
  first = 0
  for numbers, taken_back in rounds:
    round_ = Asking(cache, numbers, first)
    before = np.zeros(len(numbers))
    kernel_calls.values_at(cache.arrays, 0, round_.places, before)
    scorer: dict[int, int] = {}  # of each number, the child scored last
    keep = max(1, len(numbers) - taken_back)
    for k, number in enumerate(numbers[:keep]):
      ticket = round_.tickets[k]
      known = plain.get(number)
      if known is None:
        assert ticket == first + k  # it is scored itself
        scorer[number] = ticket
        plain.put(number, number / 1000)
      elif number in scorer:
        assert ticket == scorer[number]  # it waits for another child of this round
      else:
        assert ticket == FILLED and before[k] == known
    round_.answer(keep)
    assert kernel_calls.pending(cache.arrays, 0) == 0
    first += len(numbers)
  held = [number for entries in plain.sets.values() for number, _ in entries]
  assert len(cache) == len(held)
  assert get(cache, 0, held) == [number / 1000 for number in held]


class Asking:
  """Children of a round that ask for numbers."""

  def __init__(self, cache, numbers, first):
    self.cache, self.values, self.first = cache, np.array(numbers) / 1000, first
    self.log = new_log(len(numbers))
    self.places, self.tickets = np.zeros((2, len(numbers)), np.int64)
    kernel_calls.ask(
        cache.arrays, 0, np.stack([key_of(number) for number in numbers]), first,
        (self.places, self.tickets), self.log)

  def answer(self, keep=None):
    kept = np.arange(len(self.values)) < (len(self.values) if keep is None else keep)
    kernel_calls.answer(
        self.cache.arrays, 0, (self.places, self.tickets), self.first, self.values, kept, self.log)


@given(st.lists(st.integers(0, 24), max_size=40), st.lists(
    st.integers(0, 24), min_size=1, max_size=40))
def test_what_is_taken_back_leaves_no_trace(before, numbers):
  cache = LruCache(1, WAYS)
  for number in before:
    if get(cache, 0, [number]) == [None]:
      put(cache, 0, [number])
  old = [array.copy() for array in cache.arrays]
  Asking(cache, numbers, 0).answer(keep=0)
  for array, expected in zip(cache.arrays, old):
    np.testing.assert_array_equal(array, expected)


def test_a_place_that_was_given_up_is_not_filled_by_whom_it_was_promised():
  cache = LruCache(1, WAYS)
  asking = Asking(cache, range(20), 0)
  assert asking.tickets.tolist() == list(range(20)) and len(set(asking.places.tolist())) == WAYS
  asking.answer()
  assert kernel_calls.pending(cache.arrays, 0) == 0
  assert get(cache, 0, range(20)) == [None] * 12 + [k / 1000 for k in range(12, 20)]


def test_a_pending_entry_has_no_value():
  cache = LruCache(1, WAYS)
  asking = Asking(cache, [250], 17)
  assert asking.tickets.tolist() == [17] and get(cache, 0, [250]) == [None]
  asking.answer()
  assert get(cache, 0, [250]) == [0.25]


def test_capacity_is_rounded_up_to_whole_sets():
  cache = LruCache(1, 20)  # 3 sets
  put(cache, 0, range(1000))
  assert len(cache) == 24
  # Numbers that share a set differ by multiples of 3: the last eight of each are kept.
  assert None not in get(cache, 0, range(976, 1000))
  assert set(get(cache, 0, range(900, 976))) == {None}


def test_islands_are_separate():
  cache = LruCache(3, WAYS)
  put(cache, 1, [5])
  assert [get(cache, island, [5]) for island in range(3)] == [[None], [0.005], [None]]
  put(cache, 0, range(100, 200))
  assert get(cache, 1, [5]) == [0.005]
  assert cache.arrays.clocks.tolist() == [100, 3, 0]


def test_all_bits_of_a_key_count():
  cache = LruCache(1, WAYS)
  kernel_calls.put(cache, 0, np.array([4, 9], np.uint64), 1.0)
  for other in ([4, 8], [12, 9], [4, 9 + 2**63], [4 + 2**63, 9]):
    assert kernel_calls.get(cache, 0, np.array(other, np.uint64)) is None
  assert kernel_calls.get(cache, 0, np.array([4, 9], np.uint64)) == 1.0


def test_a_key_of_zeros_is_found_only_once_stored():
  cache, zeros = LruCache(1, WAYS), np.zeros(2, np.uint64)
  assert kernel_calls.get(cache, 0, zeros) is None
  kernel_calls.put(cache, 0, zeros, 0.5)
  assert kernel_calls.get(cache, 0, zeros) == 0.5


def test_the_state_decides_what_is_forgotten_next():
  cache, other = LruCache(2, 16), LruCache(2, 16)
  rng = np.random.default_rng(0)
  put(other, 1, range(5))  # what it held goes
  for number in rng.integers(0, 60, 300).tolist():
    if get(cache, number % 2, [number]) == [None]:
      put(cache, number % 2, [number])
  other.restore(cache.state())
  for number in rng.integers(0, 60, 300).tolist():
    known = get(cache, number % 2, [number])
    assert get(other, number % 2, [number]) == known
    if known == [None]:
      put(cache, number % 2, [number])
      put(other, number % 2, [number])
  assert_same_state(other.state(), cache.state())


def test_no_capacity():
  with pytest.raises(ValueError, match="capacity of at least 1, got 0"):
    LruCache(1, 0)


@pytest.mark.parametrize("capacity", [10**12, 10**18])
def test_a_capacity_beyond_all_memory(capacity):
  with pytest.raises(ValueError, match=r"[\d,]+ GB in all, more than there is: set"):
    LruCache(3, capacity)
