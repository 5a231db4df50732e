"""When thousands of workers come to a migration server, and how long they wait there.

The paper's workers exchange programs with a central server every 100 to 10000 evaluations (S3).
Here the workers are clocks: each works for a while, comes to its server, waits its turn, and
goes on. A server serves one request after the other, first come, first served, and takes the
same time for each. In the asynchronous mode an exchange is one request. In the reproducible one
workers stop at a barrier: a server first takes what all its workers send, which may well happen
while some still work, and then gives to each.

Nothing here holds programs, and no clock is read: times are those of the simulation, in seconds.
`lineages` lets programs migrate in the order of a timeline, `exchange_costs` measures what a
request takes.
"""

import dataclasses
import heapq
from typing import NamedTuple

import numpy as np

WARM_UP = 0.25  # part of a timeline that `load` leaves out: at first all come at once


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clocks:
  """How fast workers are.

  Attributes:
    workers: W.
    period: seconds that a worker of usual speed works between two exchanges.
    spread: standard deviation of the logarithm of the lasting speed of a worker.
    jitter: the same for each single period.
    stragglers: part of the workers that are slower by `slowdown`.
    slowdown: how many times longer stragglers take.
    dead: part of the workers that stop for good, each at some moment of the timeline.
  """

  workers: int
  period: float
  spread: float = 0.0
  jitter: float = 0.0
  stragglers: float = 0.0
  slowdown: float = 1.0
  dead: float = 0.0

  def __post_init__(self) -> None:
    if self.workers < 1:
      raise ValueError(f"Clocks need at least 1 worker, got {self.workers}.")
    if not self.period > 0 or not self.slowdown >= 1:
      raise ValueError(
          "The period of clocks must be positive and their slowdown at least 1, got "
          f"{self.period} and {self.slowdown}.")
    for name in ("spread", "jitter"):
      if not getattr(self, name) >= 0:
        raise ValueError(f"{name} of clocks must not be negative, got {getattr(self, name)}.")
    for name in ("stragglers", "dead"):
      if not 0 <= getattr(self, name) <= 1:
        raise ValueError(
            f"{name} of clocks is a part of the workers, 0 to 1, got {getattr(self, name)}.")

  def periods(self, rng: np.random.Generator) -> np.ndarray:
    """The usual period of each worker: [W] s."""
    periods = self.period * np.exp(self.spread * rng.standard_normal(self.workers))
    slow = rng.permutation(self.workers)[: round(self.stragglers * self.workers)]
    periods[slow] *= self.slowdown
    return periods


@dataclasses.dataclass(frozen=True)
class Servers:
  """Who serves whom.

  Attributes:
    pools: k servers, with a pool each.
    rotate: whether a worker comes to another pool every time, so that programs get around;
      else each pool has workers of its own.
  """

  pools: int = 1
  rotate: bool = False

  def __post_init__(self) -> None:
    if self.pools < 1:
      raise ValueError(f"There must be at least 1 pool, got {self.pools}.")

  def of(self, worker: int | np.ndarray, turn: int) -> int | np.ndarray:
    """The pool of a worker, or of workers, at its turn, from 0."""
    # Workers that meet in a pool move on by different strides, else they would only ever
    # meet each other.
    return (worker + turn * (worker // self.pools) * self.rotate) % self.pools


class Timeline(NamedTuple):
  """N exchanges in the order in which workers came to them.

  Attributes:
    worker: [N] int, who.
    turn: [N] int, how often it exchanged before.
    pool: [N] int, with which pool.
    begin: [N] s, when it began to work for this exchange.
    arrival: [N] s, when it had done its work.
    start: [N] s, when the server turned to it; at a barrier, to give.
    end: [N] s, when it went on.
    busy: [k] s, how long each server was busy after the warm-up.
    seconds: of the whole timeline.
    barriers: whether all workers of a pool exchanged at a time.
  """

  worker: np.ndarray
  turn: np.ndarray
  pool: np.ndarray
  begin: np.ndarray
  arrival: np.ndarray
  start: np.ndarray
  end: np.ndarray
  busy: np.ndarray
  seconds: float
  barriers: bool


class Load(NamedTuple):
  """What a timeline comes to, without its warm-up.

  Attributes:
    utilisation: part of the time in which a server is busy, the mean of all servers.
    exchanges_per_second: of all workers.
    waiting: mean seconds from the end of a worker's work to the server's turn.
    waiting_99: the 99th percentile of these.
    working: part of the time in which workers do their work.
  """

  utilisation: float
  exchanges_per_second: float
  waiting: float
  waiting_99: float
  working: float


def asynchronous(
    clocks: Clocks, service: float, turns: int, *, servers: Servers | None = None, seed: int = 0
) -> Timeline:
  """Each worker exchanges when it gets there.

  Args:
    clocks: of the workers.
    service: seconds of an exchange at a server.
    turns: how often a worker of usual speed exchanges; the fast ones do so more often.
    servers: None for one server.
    seed: decides speeds and deaths.
  """
  _check(service, turns)
  servers = servers or Servers()
  rng = np.random.default_rng(seed)
  periods = clocks.periods(rng)
  # A crowd that a server cannot keep up with goes round at the server's pace.
  seconds = turns * max(clocks.period + service, clocks.workers * service / servers.pools)
  death = np.full(clocks.workers, np.inf)
  dying = rng.permutation(clocks.workers)[: round(clocks.dead * clocks.workers)]
  death[dying] = rng.uniform(0, seconds, len(dying))
  work = periods * _jitter(clocks, rng, clocks.workers)
  coming = [(float(time), worker, 0, 0.0) for worker, time in enumerate(work)]
  heapq.heapify(coming)
  free = [0.0] * servers.pools
  rows: list[tuple[int, int, int, float, float, float, float]] = []
  while coming:
    arrival, worker, turn, begin = heapq.heappop(coming)
    if arrival >= min(seconds, death[worker]):
      continue
    pool = int(servers.of(worker, turn))
    start = max(arrival, free[pool])
    end = free[pool] = start + service
    rows.append((worker, turn, pool, begin, arrival, start, end))
    next_work = float(periods[worker] * _jitter(clocks, rng, 1)[0])
    heapq.heappush(coming, (end + next_work, worker, turn + 1, end))
  names, times = np.array([row[:3] for row in rows]), np.array([row[3:] for row in rows])
  worker_of, turn_of, pool_of = names.reshape(-1, 3).T
  begin_of, arrival_of, start_of, end_of = times.reshape(-1, 4).T
  busy = _busy(pool_of, start_of, end_of, seconds, servers.pools)
  return Timeline(
      worker_of, turn_of, pool_of, begin_of, arrival_of, start_of, end_of, busy, seconds, False)


def at_barriers(
    clocks: Clocks, upload: float, download: float, turns: int, *,
    servers: Servers | None = None, seed: int = 0,
) -> Timeline:
  """All workers of a pool exchange before any of them goes on.

  Args:
    clocks: of the workers.
    upload: seconds in which a server takes what one worker sends.
    download: seconds in which it gives to one worker.
    turns: of each worker.
    servers: None for one server.
    seed: decides speeds.

  Raises:
    ValueError: dead workers, for whom all others would wait for ever.
  """
  _check(upload, turns)
  _check(download, turns)
  if clocks.dead:
    raise ValueError("At barriers all would wait for dead workers: let dead be 0.")
  servers = servers or Servers()
  rng = np.random.default_rng(seed)
  periods = clocks.periods(rng)
  begin, free = np.zeros(clocks.workers), np.zeros(servers.pools)
  turns_done, requests = [], []
  for turn in range(turns):
    pool = np.asarray(servers.of(np.arange(clocks.workers), turn))
    arrival = begin + periods * _jitter(clocks, rng, clocks.workers)
    order = np.argsort(arrival, kind="stable")
    end = np.empty(clocks.workers)
    for k in range(servers.pools):
      members = order[pool[order] == k]
      places = np.arange(len(members))
      # First come, first served: a request is done one service after it came, or after the one
      # before was done, whichever is later. Who comes early must wait for the turn before.
      ready = np.maximum(arrival[members], free[k])
      taken = (places + 1) * upload + np.maximum.accumulate(ready - places * upload)
      end[members] = taken[-1:] + (places + 1) * download
      free[k] = end[members].max(initial=free[k])
      requests.append((pool[members], taken - upload, taken))
    requests.append((pool, end - download, end))
    turns_done.append((order, pool[order], begin[order], arrival[order], end[order]))
    begin = end
  worker, pool, begin, arrival, end = (
      np.concatenate(columns) for columns in zip(*turns_done))
  served, start, done = (np.concatenate(columns) for columns in zip(*requests))
  seconds = float(end.max())
  busy = _busy(served, start, done, seconds, servers.pools)
  turn_of = np.repeat(np.arange(turns), clocks.workers)
  return Timeline(
      worker, turn_of, pool, begin, arrival, end - download, end, busy, seconds, True)


def load(timeline: Timeline) -> Load:
  """Utilisation, waiting and work of a timeline, its warm-up left out.

  Raises:
    ValueError: no exchange after the warm-up.
  """
  first = WARM_UP * timeline.seconds
  late = timeline.arrival >= first
  if not late.any():
    raise ValueError("The timeline has no exchange after its warm-up: simulate more turns.")
  waiting = (timeline.start - timeline.arrival)[late]
  work = (timeline.arrival - timeline.begin)[late]
  whole = (timeline.end - timeline.begin)[late]
  length = timeline.seconds - first
  return Load(
      float(timeline.busy.mean() / length), float(late.sum() / length), float(waiting.mean()),
      float(np.quantile(waiting, 0.99)), float(work.sum() / whole.sum()))


def saturation(period: float, service: float, pools: int = 1) -> float:
  """W at which servers have no moment of rest: what comes in a period takes a period."""
  return pools * (period + service) / service


def _jitter(clocks: Clocks, rng: np.random.Generator, count: int) -> np.ndarray:
  return np.exp(clocks.jitter * rng.standard_normal(count))


def _busy(
    pool: np.ndarray, start: np.ndarray, end: np.ndarray, seconds: float, pools: int
) -> np.ndarray:
  """Seconds after the warm-up in which each server serves requests: [k]."""
  start, end = (np.clip(times, WARM_UP * seconds, seconds) for times in (start, end))
  return np.bincount(pool.astype(np.int64), end - start, pools)


def _check(service: float, turns: int) -> None:
  if not service > 0:
    raise ValueError(f"A request must take some time at the server, got {service} s.")
  if turns < 1:
    raise ValueError(f"There must be at least 1 turn, got {turns}.")
