"""What migration and checkpoints cost, measured: seconds and bytes of the real code.

An exchange at a server in another process is four steps there: a message becomes programs,
`Pool.upload`, `Pool.download`, and what was drawn becomes a message. Messages are pickled with
protocol 5 in one piece, which is what a process that holds a pool gets and sends at least;
what a network or a framework adds is not in these figures. Times are processor time, since
other work on the machine must not count.
"""

from collections.abc import Mapping
import dataclasses
import json
import pickle
import time
from typing import Any, NamedTuple

import numpy as np

from azero.language.program import Programs, SearchSpace
from azero.search.config import SearchConfig
from azero.search.evolution import Evolution
from azero.search.groups.migration import Pool
from azero.search.proposals import mutation
from azero.search.scoring.lru_cache import LruCache
from azero.tasks.task import Tasks

_PROTOCOL = 5


class ExchangeCosts(NamedTuple):
  """Costs of one exchange with a pool of W workers.

  Attributes:
    workers: W.
    read: s, a message becomes programs.
    upload: s.
    download: s.
    write: s, programs become a message.
    message_bytes: of the programs that a worker sends; as many come back.
    pool_bytes: of the programs that the pool holds.
    arrival: s, the first upload and download of a worker, the mean of all while the pool fills.
  """

  workers: int
  read: float
  upload: float
  download: float
  write: float
  message_bytes: int
  pool_bytes: int
  arrival: float

  @property
  def service(self) -> float:
    """Seconds of a server for a whole exchange."""
    return self.read + self.upload + self.download + self.write


class IslandBytes(NamedTuple):
  """Bytes of one worker.

  Attributes:
    program: of one program's arrays.
    young: of its state when the search begins: what a checkpoint has to hold.
    full: the same with full caches.
    caches: that its caches take in memory.
    tasks: of its tasks' examples, which workers of one task set share.
  """

  program: int
  young: int
  full: int
  caches: int
  tasks: int


def measure_exchange(
    space: SearchSpace, workers: int, migrants: int, samples: int, *, seed: int = 0
) -> ExchangeCosts:
  """Fills a pool, and then lets random workers exchange.

  Args:
    space: of the programs.
    workers: W.
    migrants: programs that each sends and receives.
    samples: exchanges; the median of each step counts.
    seed: decides programs and workers.
  """
  rng = np.random.default_rng(seed)
  programs = mutation.random_programs(space, migrants, seed=seed)
  message = pickle.dumps(programs, _PROTOCOL)
  pool = Pool(seed)
  start = time.thread_time()
  for worker in range(workers):
    pool.upload(worker, programs)
    pool.download(worker, migrants)
  arrival = (time.thread_time() - start) / workers
  steps = np.zeros((samples, 5))
  for row, worker in zip(steps, rng.integers(0, workers, samples).tolist()):
    row[0] = time.thread_time()
    programs = pickle.loads(message)
    row[1] = time.thread_time()
    pool.upload(worker, programs)
    row[2] = time.thread_time()
    received = pool.download(worker, migrants, 1)
    row[3] = time.thread_time()
    pickle.dumps(received, _PROTOCOL)
    row[4] = time.thread_time()
  read, upload, download, write = np.median(np.diff(steps, axis=1), axis=0).tolist()
  pool_bytes = len(pool) * array_bytes(programs) // migrants
  return ExchangeCosts(
      workers, read, upload, download, write, len(message), pool_bytes, arrival)


def island_bytes(space: SearchSpace, tasks: Tasks, config: SearchConfig) -> IslandBytes:
  """Bytes of one worker of a search.

  Args:
    space: its search space.
    tasks: its tasks.
    config: its settings.
  """
  # What a worker adds to a search: the difference between two workers and one.
  states = [state_bytes(Evolution(space, [tasks] * count, config).state()) for count in (1, 2)]
  young = states[1] - states[0]
  stored = memory = 0
  for used in (config.canonical_cache, config.fingerprint):
    if used:
      empty, full = LruCache(1, config.cache_size), _full_cache(config.cache_size)
      stored += state_bytes(full.state()) - state_bytes(empty.state())
      memory += sum(array.nbytes for array in full.arrays)
  return IslandBytes(
      array_bytes(Programs.empty(space)), young, young + stored, memory,
      sum(value.nbytes for value in vars(tasks).values() if isinstance(value, np.ndarray)))


def state_bytes(state: Any) -> int:
  """Bytes of the arrays of a state, and of the rest as JSON."""
  if isinstance(state, np.ndarray):
    return state.nbytes
  if isinstance(state, Mapping):
    return sum(state_bytes(value) for value in state.values())
  return len(json.dumps(state))


def array_bytes(programs: Programs) -> int:
  """Bytes of the arrays of programs."""
  return sum(getattr(programs, name).nbytes for name in Programs.ARRAYS)


def _full_cache(size: int) -> LruCache:
  """A cache without an empty place."""
  cache = LruCache(1, size)
  places = np.arange(cache.arrays.sets.shape[1] * cache.arrays.sets.shape[3])
  cache.restore({
      "clocks": len(places), "places": places, "values": np.zeros(len(places)),
      "keys": np.zeros((len(places), 2), np.uint64), "stamps": places + 1})
  return cache


@dataclasses.dataclass(frozen=True, kw_only=True)
class CostModel:
  """What W workers need, from measured costs of one.

  Attributes:
    service: seconds of a server for an exchange.
    message_bytes: of the programs that a worker sends or receives.
    program_bytes: of a program.
    migrants: programs of a message.
    checkpoint_bytes: of a worker.
    worker_memory: bytes of a worker.
    evaluations: that a worker does in a second.
    births: children of a worker between two exchanges.
    steps: training steps that a worker does in a second.
    checkpoint_seconds: between two checkpoints.
  """

  service: float
  message_bytes: int
  program_bytes: int
  migrants: int
  checkpoint_bytes: int
  worker_memory: int
  evaluations: float
  births: int
  steps: float
  checkpoint_seconds: float

  def demand(self, workers: int) -> "Demand":
    """What so many workers need."""
    exchanges = workers * self.evaluations / self.births
    return Demand(
        workers, exchanges, exchanges * self.service, 2 * exchanges * self.message_bytes,
        workers * self.migrants * self.program_bytes,
        workers * self.checkpoint_bytes / self.checkpoint_seconds,
        workers * self.worker_memory, workers * self.steps)

  def days(self, steps: float) -> float:
    """Days in which a worker does so many training steps."""
    return steps / self.steps / 86400


class Demand(NamedTuple):
  """What W workers need.

  Attributes:
    workers: W.
    exchanges: a second.
    servers: how many servers they keep busy, 1 for one that never rests.
    network: bytes a second into and out of the servers.
    pool: bytes of all pools.
    checkpoints: bytes a second.
    memory: bytes of all workers.
    steps: training steps a second.
  """

  workers: int
  exchanges: float
  servers: float
  network: float
  pool: int
  checkpoints: float
  memory: int
  steps: float
