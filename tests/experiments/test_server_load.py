import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from experiments.simulations import server_load
from experiments.simulations.server_load import Clocks, Servers


def check(timeline, workers, pools, service):
  """What is true of every timeline: order, one request at a time, and workers' own order."""
  assert (np.diff(timeline.arrival) >= 0).all() or timeline.barriers
  assert (timeline.begin < timeline.arrival).all()
  assert (timeline.arrival <= timeline.start + 1e-12).all()
  np.testing.assert_allclose(timeline.end - timeline.start, service, rtol=1e-6)
  for pool in range(pools):
    starts = np.sort(timeline.start[timeline.pool == pool])
    assert (np.diff(starts) >= service * (1 - 1e-6)).all()
  for worker in range(workers):
    own = np.flatnonzero(timeline.worker == worker)
    np.testing.assert_array_equal(timeline.turn[own], np.arange(len(own)))
    np.testing.assert_array_equal(timeline.begin[own][1:], timeline.end[own][:-1])


@hypothesis.given(
    workers=st.integers(1, 9), pools=st.integers(1, 3), rotate=st.booleans(),
    service=st.sampled_from([0.01, 0.3]), seed=st.integers(0, 99))
def test_servers_serve_one_after_the_other(workers, pools, rotate, service, seed):
  clocks = Clocks(workers=workers, period=1.0, spread=0.3, jitter=0.2)
  settings = {"servers": Servers(pools, rotate), "seed": seed}
  several = server_load.asynchronous(clocks, service, 4, **settings)
  check(several, workers, pools, service)
  together = server_load.at_barriers(clocks, 2 * service, service, 4, **settings)
  check(together, workers, pools, service)
  assert len(together.worker) == 4 * workers
  # Nobody receives before the last of its pool has sent.
  for turn in range(4):
    for pool in range(pools):
      some = (together.turn == turn) & (together.pool == pool)
      if some.any():
        assert (together.start[some].min()
                >= together.arrival[some].max() + 2 * service - 1e-9)


@pytest.mark.parametrize("workers", [1, 5, 20, 50])
def test_utilisation_of_equal_clocks_is_what_arithmetic_says(workers):
  """Each cycle of T + s has one service of each worker; over W = (T + s) / s it is full."""
  period, service = 1.0, 0.05
  timeline = server_load.asynchronous(Clocks(workers=workers, period=period), service, 200)
  load = server_load.load(timeline)
  offered = workers / server_load.saturation(period, service)
  assert load.utilisation == pytest.approx(min(1.0, offered), rel=0.02)
  assert load.exchanges_per_second == pytest.approx(min(1.0, offered) / service, rel=0.02)
  # Below saturation those who once came together come one after the other ever after.
  waiting = max(0.0, workers * service - service - period)
  assert load.waiting == pytest.approx(waiting, abs=1e-3)
  assert load.working == pytest.approx(period / (period + waiting + service), rel=0.02)


def test_a_share_of_the_workers_keeps_each_of_several_servers_as_busy():
  clocks = Clocks(workers=40, period=1.0)
  one = server_load.load(server_load.asynchronous(clocks, 0.01, 100))
  four = server_load.load(server_load.asynchronous(clocks, 0.01, 100, servers=Servers(4)))
  assert one.utilisation == pytest.approx(4 * four.utilisation, rel=0.02)
  assert server_load.saturation(1.0, 0.01, 4) == 4 * server_load.saturation(1.0, 0.01) == 404


def test_at_barriers_all_wait_for_the_slowest():
  clocks = Clocks(workers=10, period=1.0, stragglers=0.1, slowdown=3.0)
  timeline = server_load.at_barriers(clocks, 0.01, 0.02, 50)
  # A round: the slowest works, hands in, and all are served; the next begins meanwhile.
  load = server_load.load(timeline)
  assert load.utilisation == pytest.approx(10 * 0.03 / 3.1, rel=0.1)
  assert load.working == pytest.approx((9 * 1 + 3) / (10 * 3.1), rel=0.1)
  free = server_load.load(server_load.asynchronous(clocks, 0.03, 50))
  assert free.working > 0.9


def test_waiting_for_the_slowest_grows_with_the_number_of_workers():
  working = [
      server_load.load(server_load.at_barriers(
          Clocks(workers=workers, period=1.0, spread=0.2), 1e-6, 1e-6, 4)).working
      for workers in (10, 100, 1000)]
  # The slowest of W lognormal speeds: exp(0.2 * quantile(1 - 1 / W)), roughly.
  assert working[0] > working[1] > working[2]
  assert working[2] == pytest.approx(np.exp(0.02) / np.exp(0.2 * 3.24), rel=0.1)


def test_the_dead_come_no_more_and_others_go_on():
  clocks = Clocks(workers=40, period=1.0, jitter=0.1, dead=0.25)
  timeline = server_load.asynchronous(clocks, 1e-4, 40, seed=3)
  turns = np.bincount(timeline.worker, minlength=40)
  assert (turns < 36).sum() in (9, 10)  # one may die at the very end
  assert turns.max() <= 42 and np.median(turns) >= 38
  with pytest.raises(ValueError, match="wait for dead workers"):
    server_load.at_barriers(clocks, 1e-4, 1e-4, 4)


def test_workers_change_pools_evenly():
  servers = Servers(4, rotate=True)
  workers = np.arange(40)
  for turn in range(5):
    np.testing.assert_array_equal(np.bincount(servers.of(workers, turn)), 10)
  met = {(a, b) for turn in range(4) for a in workers for b in workers
         if servers.of(int(a), turn) == servers.of(int(b), turn)}
  fixed = {(a, b) for a in workers for b in workers if a % 4 == b % 4}
  assert len(met) > 2 * len(fixed)
  assert all(Servers(4).of(9, turn) == 1 for turn in range(5))


def test_the_same_seed_has_the_same_timeline():
  clocks = Clocks(workers=20, period=1.0, spread=0.2, jitter=0.1)
  for simulate in (
      lambda seed: server_load.asynchronous(clocks, 0.01, 5, seed=seed),
      lambda seed: server_load.at_barriers(clocks, 0.01, 0.01, 5, seed=seed)):
    first, again, other = simulate(0), simulate(0), simulate(1)
    np.testing.assert_array_equal(first.end, again.end)
    assert first.seconds != other.seconds or not np.array_equal(first.end, other.end)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Clocks(workers=0, period=1.0), "at least 1 worker, got 0"),
    (lambda: Clocks(workers=1, period=0.0), "period of clocks must be positive"),
    (lambda: Clocks(workers=1, period=1.0, slowdown=0.5), "slowdown at least 1"),
    (lambda: Clocks(workers=1, period=1.0, jitter=-1.0), "jitter of clocks must not be negative"),
    (lambda: Clocks(workers=1, period=1.0, dead=2.0), "dead of clocks is a part"),
    (lambda: Servers(0), "at least 1 pool, got 0"),
    (lambda: server_load.asynchronous(Clocks(workers=1, period=1.0), 0.0, 1), "some time"),
    (lambda: server_load.asynchronous(Clocks(workers=1, period=1.0), 0.1, 0), "at least 1 turn"),
    (lambda: server_load.load(server_load.asynchronous(
        Clocks(workers=1, period=1.0, dead=1.0), 0.1, 1)), "no exchange after its warm-up"),
])
def test_bad_settings_are_refused(make, message):
  with pytest.raises(ValueError, match=message):
    make()
