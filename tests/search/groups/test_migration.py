import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
from support.search_cases import FIXED, VARIABLE, assert_frequencies, assert_uniform

from azero.language.program import Programs
from azero.search.groups.migration import Migration, Pool


def marked(worker, count, space=FIXED):
  """Programs whose constants say whose they are, and which."""
  programs = Programs.empty(space, count)
  programs.constants[:, 0, 0] = worker
  programs.constants[:, 0, 1] = np.arange(count)
  return programs


def marks(programs):
  """The worker and the number of each program."""
  return [(int(worker), int(k)) for worker, k, _ in programs.constants[:, 0]]


def pool_of(sizes, seed=0):
  pool = Pool(seed)
  for worker, count in enumerate(sizes):
    pool.upload(worker, marked(worker, count))
  return pool


def test_what_is_received_is_what_was_sent():
  pool = pool_of([5, 5, 5])
  everything = {(worker, k) for worker in range(3) for k in range(5)}
  received = marks(pool.download(1, 5))
  assert len(set(received)) == 5 and set(received) <= everything
  # Who takes all gets each once; the pool keeps what it gave.
  assert sorted(marks(pool.download(0, 15))) == sorted(everything)
  assert len(pool) == 15


@hypothesis.given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=6), seed=st.integers(0, 99),
    data=st.data())
def test_a_pool_holds_what_each_worker_sent_last(sizes, seed, data):
  pool = pool_of(sizes, seed)
  last = list(range(len(sizes)))
  for turn in range(data.draw(st.integers(0, 4))):
    worker = data.draw(st.integers(0, len(sizes) - 1))
    last[worker] = 100 + turn
    pool.upload(worker, marked(last[worker], sizes[worker]))
  held = {(mark, k) for mark, count in zip(last, sizes) for k in range(count)}
  assert len(pool) == len(held)
  count = data.draw(st.integers(0, len(held)))
  received = marks(pool.download(0, count))
  assert len(set(received)) == len(received) == count and set(received) <= held


def test_immigrants_come_from_all_workers_alike():
  pool = pool_of([10] * 5)
  origins = np.zeros(5, int)
  programs = np.zeros(10, int)
  for turn in range(400):
    for owner, k in marks(pool.download(2, 10, turn)):
      origins[owner] += 1
      programs[k] += 1
  assert_uniform(origins)
  assert_uniform(programs)


def test_programs_and_not_workers_are_drawn():
  pool = pool_of([30, 10])
  origins = np.zeros(2, int)
  for turn in range(400):
    for owner, _ in marks(pool.download(1, 5, turn)):
      origins[owner] += 1
  assert_frequencies(origins, [0.75, 0.25])


def test_programs_arrive_with_the_features_of_their_new_worker():
  pool = Pool(0)
  pool.upload(3, marked(3, 4))
  pool.upload(8, marked(8, 4, FIXED.with_features(16)))
  for worker, features in ((3, 4), (8, 16)):
    received = pool.download(worker, 8)
    assert received.space == FIXED.with_features(features)
    assert {owner for owner, _ in marks(received)} == {3, 8}


def test_what_was_sent_may_change_without_the_pool():
  pool, programs = Pool(0), marked(0, 3)
  pool.upload(0, programs)
  programs.constants[:] = 7
  received = pool.download(0, 3)
  assert sorted(marks(received)) == [(0, 0), (0, 1), (0, 2)]
  received.constants[:] = 9
  assert sorted(marks(pool.download(0, 3))) == [(0, 0), (0, 1), (0, 2)]


def test_an_emptied_pool_is_filled_anew():
  pool = pool_of([4, 4])
  pool.clear()
  assert len(pool) == 0
  with pytest.raises(ValueError, match="Worker 0 must send programs before"):
    pool.download(0, 1)
  pool.upload(1, marked(5, 2))
  assert sorted(marks(pool.download(1, 2))) == [(5, 0), (5, 1)]


@hypothesis.given(
    order=st.permutations(range(5)), downloads=st.permutations(range(5)), turn=st.integers(0, 9))
def test_the_order_of_workers_does_not_matter(order, downloads, turn):
  in_order, other = pool_of([3, 4, 5, 6, 7], seed=3), Pool(3)
  for worker in order:
    other.upload(worker, marked(worker, 3 + worker))
  expected = [in_order.download(worker, 10, turn) for worker in range(5)]
  for worker in downloads:
    assert other.download(worker, 10, turn) == expected[worker]


def test_a_draw_numbers_programs_by_worker_and_not_by_arrival():
  """What the draw is defined as, whatever the pool keeps to find rows quickly."""
  sizes = np.random.default_rng(0).integers(1, 9, 60)
  pool = Pool(5, experiment=2)
  for worker in np.random.default_rng(1).permutation(60).tolist():
    pool.upload(worker, marked(worker, sizes[worker]))
    if worker % 7 == 0:  # new workers come between draws
      assert len(pool.download(worker, 1)) == 1
  programs = [(worker, k) for worker in range(60) for k in range(sizes[worker])]
  for worker, turn in ((0, 0), (59, 3), (31, 7)):
    rng = np.random.default_rng(np.random.SeedSequence(5, spawn_key=(2, worker, turn)))
    chosen = rng.choice(len(programs), 12, replace=False)
    assert marks(pool.download(worker, 12, turn)) == [programs[k] for k in chosen]


def test_seed_experiment_worker_and_turn_draw_differently():
  def received(seed=1, experiment=0, worker=0, turn=0):
    pool = Pool(seed, experiment)
    for sender in range(3):
      pool.upload(sender, marked(sender, 20))
    return tuple(marks(pool.download(worker, 10, turn)))

  assert received() == received()
  assert len({
      received(), received(seed=2), received(experiment=1), received(worker=1),
      received(turn=1)}) == 5


def test_pool_errors():
  pool = pool_of([3, 3])
  with pytest.raises(ValueError, match="Worker 5 must send programs before it receives some"):
    pool.download(5, 1)
  with pytest.raises(ValueError, match="Worker 0 asks for 7 programs, the pool holds 6"):
    pool.download(0, 7)
  with pytest.raises(ValueError, match="Worker 1 sends 2 programs after 3"):
    pool.upload(1, marked(1, 2))
  with pytest.raises(ValueError, match="may differ in F only"):
    pool.upload(2, Programs.empty(VARIABLE, 3))
  assert len(pool) == 6


@pytest.mark.parametrize("settings, message", [
    ({"every": 0}, "every of a migration must be at least 1, got 0"),
    ({"migrants": 0}, "migrants of a migration must be at least 1, got 0"),
    ({"seed": -1}, "seed of a migration must not be negative, got -1"),
])
def test_settings_are_checked(settings, message):
  with pytest.raises(ValueError, match=message):
    Migration(**settings)
