"""How a gene pool mixes: lineages of programs in thousands of stub workers that really migrate.

A stub worker has a population of P programs and evaluates none of them. Its programs carry a
mark, their lineage, which children inherit, and a lineage has a fitness, the same on every
worker. Workers run regularised evolution on it, with tournaments and ages as in `evolution`, and
exchange programs in the order of a timeline of `server_load` through the pools of `migration`:
what is sent are programs of a search space whose first constant is the mark.

Since fitness is the same everywhere and no mutation spoils a child, lineages spread here as fast
as they ever can. `spread` and `identity` are the theory to compare with.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from azero.language.program import Programs, SearchSpace
from azero.search.groups.migration import Pool
from experiments.simulations.server_load import Timeline

SCENARIOS = ("neutral", "beneficial", "ranked")

_LOOK = 25  # births between two looks at which populations can still change


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stubs:
  """Settings of the stub workers.

  Attributes:
    births: children of a worker between two exchanges.
    scenario: "neutral": every worker founds a lineage, all of the same fitness. "ranked": the
      same with different fitnesses. "beneficial": all programs are alike but one, of worker 0,
      which is better.
    population_size: P.
    tournament_size: T.
    migrants: programs that a worker sends and receives.
    seed: decides everything that is random here.
  """

  births: int
  scenario: str = "neutral"
  population_size: int = 100
  tournament_size: int = 10
  migrants: int = 50
  seed: int = 0

  def __post_init__(self) -> None:
    if self.scenario not in SCENARIOS:
      raise ValueError(f"scenario must be one of {', '.join(SCENARIOS)}, got {self.scenario!r}.")
    for name in ("births", "tournament_size", "migrants"):
      if getattr(self, name) < 1:
        raise ValueError(f"{name} of stubs must be at least 1, got {getattr(self, name)}.")
    if not self.population_size >= max(2, self.migrants):
      raise ValueError(
          f"A population of {self.population_size} cannot send {self.migrants} migrants, or it "
          "has no other program to choose as a parent.")


class History(NamedTuple):
  """What became of lineages, at R moments.

  Attributes:
    exchanges: [R] for each worker on average, so far.
    holders: [R] part of the workers that hold the lineage of the highest fitness.
    effective: [R] effective number of lineages: 1 / sum of squared shares of all programs.
  """

  exchanges: np.ndarray
  holders: np.ndarray
  effective: np.ndarray

  def exchanges_until(self, share: float) -> float:
    """Exchanges until such a part of the workers holds the best lineage; inf if never."""
    reached = np.flatnonzero(self.holders >= share)
    return float(self.exchanges[reached[0]]) if len(reached) else float("inf")


class StubWorkers:
  """Populations of marks.

  Attributes:
    marks: [W, P] int, the lineage of each program.
    fitness: [n] of each lineage.
  """

  def __init__(self, stubs: Stubs, workers: int):
    """Founds the populations."""
    self._stubs = stubs
    self._rng = np.random.default_rng(stubs.seed)
    shape = workers, stubs.population_size
    if stubs.scenario == "beneficial":
      self.marks = np.zeros(shape, np.int32)
      self.marks[0, -1] = 1  # the youngest: it has a whole life to be chosen
      self.fitness = np.array([0.0, 1.0])
    else:
      self.marks = np.repeat(np.arange(workers, dtype=np.int32)[:, None], shape[1], axis=1)
      ranked = stubs.scenario == "ranked"
      self.fitness = self._rng.permutation(workers) / workers if ranked else np.zeros(workers)
    self._oldest = np.zeros(workers, np.int64)
    # The first of equal contestants wins, so where all are equal one draw is as good as ten.
    self._contestants = stubs.tournament_size if np.ptp(self.fitness) else 1

  def evolve(self, workers: np.ndarray) -> None:
    """The births of some workers between two exchanges."""
    left = self._stubs.births
    while left > 0:
      # A population of one lineage stays what it is.
      workers = workers[(self.marks[workers] != self.marks[workers, :1]).any(1)]
      if not len(workers):
        return
      for _ in range(min(left, _LOOK)):
        self._bear(workers)
      left -= _LOOK

  def leaving(self, workers: np.ndarray) -> np.ndarray:
    """Who leaves each of these workers: [n, migrants] distinct places."""
    numbers = self._rng.random((len(workers), self._stubs.population_size))
    return numbers.argsort(axis=1)[:, : self._stubs.migrants].astype(np.int32)

  def _bear(self, workers: np.ndarray) -> None:
    """One child of each of these workers, in place of its oldest program."""
    size = self._stubs.population_size
    draws = self._rng.random((len(workers), self._contestants), np.float32)
    oldest = self._oldest[workers]
    slots = (draws * (size - 1)).astype(np.int64)  # of the survivors
    slots += oldest[:, None] + 1
    slots -= size * (slots >= size)
    contestants = self.marks[workers[:, None], slots]
    winner = self.fitness[contestants].argmax(1)
    self.marks[workers, oldest] = contestants[np.arange(len(workers)), winner]
    self._oldest[workers] = (oldest + 1) % size


def migrate(timeline: Timeline, stubs: Stubs, space: SearchSpace, workers: int) -> History:
  """Lets stub workers evolve and exchange programs in the order of a timeline.

  Args:
    timeline: who exchanges when, and with which pool.
    stubs: their settings.
    space: of the programs that migrate.
    workers: W.
  """
  stub_workers = StubWorkers(stubs, workers)
  exchange = _Exchange(stub_workers, stubs, space, timeline)
  rows = [(0.0, *_measure(stub_workers))]
  # All workers that stand after an exchange evolve at once, before the first of them comes to
  # its next: what they do meanwhile depends on nobody else. With one lineage left nothing
  # changes any more.
  evolved = np.zeros(workers, bool)
  leaving = np.zeros((workers, stubs.migrants), np.int32)
  looks = max(1, workers // 4)
  for first, last in _blocks(timeline, workers):
    for k in range(first, last):
      worker = int(timeline.worker[k])
      if not evolved[worker]:
        standing = np.flatnonzero(~evolved)
        stub_workers.evolve(standing)
        leaving[standing] = stub_workers.leaving(standing)
        evolved[standing] = True
      exchange.upload(k, leaving[worker])
      if not timeline.barriers:
        exchange.download(k, leaving[worker])
        evolved[worker] = False
        if (k + 1) % looks == 0:
          rows.append(((k + 1) / workers, *_measure(stub_workers)))
          if rows[-1][2] == 1.0:
            break
    if timeline.barriers:
      for k in range(first, last):
        exchange.download(k, leaving[int(timeline.worker[k])])
      exchange.end_turn()
      evolved[:] = False
      rows.append((last / workers, *_measure(stub_workers)))
    if rows[-1][2] == 1.0:
      break
  return History(*(np.array(column) for column in zip(*rows)))


def spread(workers: int, migrants: int, exchanges: np.ndarray) -> np.ndarray:
  """Part of the workers that hold a better program after so many exchanges, in theory.

  A worker that holds it is full of it by its next exchange. One of the others receives none of
  it with the probability (1 - x) ** m, where x is the part of the workers that hold it. So
  1 - x is raised to the power m + 1 by each exchange: logistic growth, by the factor m + 1
  at first.

  Args:
    workers: W, of which one holds the program at first.
    migrants: m.
    exchanges: how many, of any shape.
  """
  return -np.expm1(np.log1p(-1.0 / workers) * (migrants + 1.0) ** np.asarray(exchanges))


def exchanges_until(share: float, workers: int, migrants: int) -> float:
  """When `spread` reaches a share of the workers, which is below 1."""
  if share * workers <= 1:
    return 0.0
  return float(
      np.log(np.log1p(-share) / np.log1p(-1.0 / workers)) / np.log(migrants + 1.0))


def identity(workers: int, stubs: Stubs, exchanges: int) -> np.ndarray:
  """Effective number of neutral lineages after 0, 1, ... exchanges at barriers, in theory.

  Follows the probabilities that two different programs of a worker, or of two workers, are of
  one lineage. In an exchange they follow exactly from where both come from. Between exchanges
  two programs of a worker have a common ancestor among the last n births with the probability
  1 - exp(-4 n / P^2), for large P: a line of descent jumps to a parent of any age every P / 2
  births, and then to one given program with the probability 1 / P.

  Returns:
    [exchanges + 1] 1 / (probability that two programs, drawn with replacement, are of one
    lineage).
  """
  size, sent = stubs.population_size, stubs.migrants
  within, between = 1.0, 0.0
  pair_stays = (size - sent) * (size - sent - 1) / (size * (size - 1))
  pair_comes = sent * (sent - 1) / (size * (size - 1))
  comes = sent / size
  numbers = []
  for _ in range(exchanges + 1):
    same = (1 + (size - 1) * within) / size / workers + (1 - 1 / workers) * between
    numbers.append(1 / same)
    within = 1 - (1 - within) * np.exp(-4 * stubs.births / size**2)
    # One who stays and an immigrant; two different immigrants of a worker; and two of different
    # workers, who may even be copies of one program.
    mixed = within / workers + between * (1 - 1 / workers)
    sibling = (sent - 1) / (sent * workers - 1)
    immigrants = sibling * within + (1 - sibling) * between
    copies = 1 / (sent * workers)
    foreign = copies + (1 - copies) * immigrants
    within, between = (
        pair_stays * within + pair_comes * immigrants + (1 - pair_stays - pair_comes) * mixed,
        (1 - comes) ** 2 * between + 2 * comes * (1 - comes) * mixed + comes**2 * foreign)
  return np.array(numbers)


class _Exchange:
  """The exchanges of a timeline, with real pools."""

  def __init__(
      self, workers: StubWorkers, stubs: Stubs, space: SearchSpace, timeline: Timeline):
    pools = int(timeline.pool.max(initial=0)) + 1
    self._workers = workers
    self._timeline = timeline
    # Each pool is that of an experiment of its own, so that their draws differ.
    self._pools = [Pool(stubs.seed, pool) for pool in range(pools)]
    self._blank = Programs.empty(space, stubs.migrants)

  def upload(self, k: int, places: np.ndarray) -> None:
    """Sends the programs at some places of the worker of exchange k."""
    worker, pool = int(self._timeline.worker[k]), int(self._timeline.pool[k])
    self._blank.constants[:, 0, 0] = self._workers.marks[worker, places]
    self._pools[pool].upload(worker, self._blank)  # which copies them

  def download(self, k: int, places: np.ndarray) -> None:
    """Puts what the worker of exchange k receives at these places."""
    worker, pool = int(self._timeline.worker[k]), int(self._timeline.pool[k])
    received = self._pools[pool].download(worker, len(places), int(self._timeline.turn[k]))
    self._workers.marks[worker, places] = received.constants[:, 0, 0]


  def end_turn(self) -> None:
    """After a turn of all workers; with several pools they may come to others next."""
    if len(self._pools) > 1:
      for pool in self._pools:
        pool.clear()


def _blocks(timeline: Timeline, workers: int) -> list[tuple[int, int]]:
  """Exchanges that belong together: a turn at barriers, else all."""
  if not timeline.barriers:
    return [(0, len(timeline.worker))]
  return [(k, k + workers) for k in range(0, len(timeline.worker), workers)]


def _measure(workers: StubWorkers) -> tuple[float, float]:
  """Part of the workers that hold the best lineage, and the effective number of lineages."""
  best = int(workers.fitness.argmax())
  counts = np.bincount(workers.marks.ravel()).astype(np.float64)
  return (
      float((workers.marks == best).any(1).mean()),
      float(workers.marks.size**2 / (counts**2).sum()))
