"""Migration: populations that exchange random programs (S3 of the AutoML-Zero paper).

Now and then each worker sends random programs of its population, by default half of it, to a
pool and receives as many that are drawn from the programs of all workers.

The text leaves a few things open. Here those that are sent are those that are replaced. An
immigrant takes the place and the age of who left, so that ages in a population stay as
evolution wants them: one program for each. Its fitness is that on the tasks of its new worker,
which may differ from those that it comes from: it is evaluated there like a child of that
worker, caches, budget and hurdle included, and counts as a program of that worker.

A program takes its lineage along, shortened to what brought most, see `genealogy`.

The pool is NumPy on the arrays of programs, and knows nothing of searches: a server in another
process can hold it.
"""

from collections.abc import Sequence
import dataclasses
from typing import NamedTuple

import numpy as np

from azero.language.program import Programs
from azero.search import plain
from azero.search.history.lineage import Lineage


@dataclasses.dataclass(frozen=True, kw_only=True)
class Migration:
  """Settings of the migration between the workers of an experiment.

  Attributes:
    every: children of a worker between two exchanges (the paper's workers: 100 to 10000).
    migrants: how many programs a worker sends and receives; None for half its population.
    seed: decides which programs a worker receives.
  """

  every: int = 1000
  migrants: int | None = None
  seed: int = 0

  def __post_init__(self) -> None:
    plain.normalise(self, " of a migration")
    for name in ("every", "migrants"):
      value = getattr(self, name)
      if value is not None and value < 1:
        raise ValueError(f"{name} of a migration must be at least 1, got {value}.")
    if self.seed < 0:
      raise ValueError(f"seed of a migration must not be negative, got {self.seed}.")


class Pool:
  """What the workers of an experiment sent last, to be drawn from.

  Who receives what depends on the seed, the number of the receiver, its turn and on what the
  pool holds; not on the order in which workers come. So a pool has no state between two
  exchanges that all workers take part in, and it may stand in any process. The spaces of the
  workers may differ in their number of features F, and in nothing else.
  """

  def __init__(self, seed: int, experiment: int = 0):
    """Makes an empty pool.

    Args:
      seed: decides who receives what.
      experiment: number of the experiment, which has random numbers of its own.
    """
    self._seed = seed
    self._experiment = experiment
    self._senders: dict[int, _Sender] = {}
    self._size = 0
    self._programs: Programs | None = None  # their first `size` rows are in use
    self._lineages: list[Lineage] = []  # of these rows, if those who send know them
    # By worker, whoever came first: [3, W] worker, first row, number of programs; and [W]
    # programs of the workers up to each. So a new worker among thousands costs one insertion.
    self._table = np.empty((3, 0), np.int64)
    self._ends = np.empty(0, np.int64)

  def __len__(self) -> int:
    return self._size

  def upload(
      self, worker: int, programs: Programs, lineages: Sequence[Lineage] = ()) -> None:
    """Takes programs of a worker, in place of those that it sent before.

    Args:
      worker: who sends.
      programs: what.
      lineages: of each, if all workers send them.

    Raises:
      ValueError: their space differs from that of other workers in more than F, or they are
        more or fewer than those before.
    """
    features = programs.space.num_features
    if self._programs is None:
      self._programs = programs[:0]
    elif self._programs.space.with_features(features) != programs.space:
      raise ValueError(
          f"Worker {worker} sends programs of another search space than the others: the spaces "
          "of workers that migrate may differ in F only.")
    sender = self._senders.get(worker)
    if sender is None:
      sender = self._admit(worker, len(programs), features)
    if sender.number != len(programs):
      raise ValueError(
          f"Worker {worker} sends {len(programs)} programs after {sender.number}: it must always "
          "send as many.")
    _write(self._programs, sender.first, programs)
    self._lineages[sender.first : sender.first + len(programs)] = lineages

  def download(self, worker: int, count: int, turn: int = 0) -> Programs:
    """Different programs of the pool, drawn uniformly from those of all workers.

    Args:
      worker: who asks; may receive programs of its own.
      count: how many.
      turn: how often it asked before; the same turn draws the same.

    Returns:
      The programs, in the space in which that worker sent its own.

    Raises:
      ValueError: the worker sent nothing, or the pool holds fewer.
    """
    rows = self._draw(worker, count, turn)
    assert self._programs is not None
    received = Programs(self._programs.space, *(
        getattr(self._programs, name).take(rows, axis=0) for name in Programs.ARRAYS))
    return received.with_features(self._senders[worker].num_features)

  def lineages(self, worker: int, count: int, turn: int = 0) -> list[Lineage]:
    """The lineages of what `download` gives; errors as there."""
    rows = self._draw(worker, count, turn)
    assert self._programs is not None
    space = self._programs.space.with_features(self._senders[worker].num_features)
    return [Lineage(space, self._lineages[row].words) for row in rows.tolist()]

  def _draw(self, worker: int, count: int, turn: int) -> np.ndarray:
    """[count] rows of the programs that a worker receives."""
    if worker not in self._senders:
      raise ValueError(f"Worker {worker} must send programs before it receives some.")
    if count > self._size:
      raise ValueError(
          f"Worker {worker} asks for {count} programs, the pool holds {self._size}: let workers "
          "send as many as they ask for.")
    rng = np.random.default_rng(
        np.random.SeedSequence(self._seed, spawn_key=(self._experiment, worker, turn)))
    chosen = rng.choice(self._size, count, replace=False)  # by worker
    owners = np.searchsorted(self._ends, chosen, side="right")
    _, first, number = self._table.take(owners, axis=1)
    return first + chosen - (self._ends.take(owners) - number)

  def clear(self) -> None:
    """Forgets all programs."""
    self._senders.clear()
    self._size = 0
    self._programs, self._lineages = None, []
    self._table, self._ends = self._table[:, :0], self._ends[:0]

  def _admit(self, worker: int, number: int, num_features: int) -> "_Sender":
    """Makes room for the programs of a new worker."""
    assert self._programs is not None
    sender = _Sender(self._size, number, num_features)
    used, self._size = self._size, self._size + number
    if self._size > len(self._programs):
      # Twice the room, so that growing stays cheap; what is not written yet takes hardly any
      # memory, in contrast to a copy of blank programs.
      larger = Programs.empty(self._programs.space, 2 * self._size)
      _write(larger, 0, self._programs[:used])
      self._programs = larger
    self._senders[worker] = sender
    place = np.searchsorted(self._table[0], worker)
    self._table = np.insert(self._table, place, (worker, sender.first, number), axis=1)
    self._ends = self._table[2].cumsum()
    return sender


# Experiment, worker and what it sends, with lineages.
Emigrants = Sequence[tuple[int, int, Programs, Sequence[Lineage]]]
# What a worker receives.
Arrival = tuple[Programs, Sequence[Lineage]]


class Pools:
  """The pools of all experiments."""

  def __init__(self, seed: int):
    """Makes them without programs.

    Args:
      seed: decides who receives what.
    """
    self._seed = seed
    self._pools: dict[int, Pool] = {}

  def upload(self, emigrants: Emigrants) -> None:
    """Takes programs of workers, in place of those that they sent before."""
    for experiment, worker, programs, lineages in emigrants:
      pool = self._pools.setdefault(experiment, Pool(self._seed, experiment))
      pool.upload(worker, programs, lineages)

  def download(self, workers: Sequence[tuple[int, int, int]], turn: int) -> list[Arrival]:
    """Programs for each of these workers.

    Args:
      workers: experiment, worker and how many programs it receives.
      turn: how often they received before.

    Raises:
      KeyError, ValueError: a worker sent nothing.
    """
    pools = [self._pools[experiment] for experiment, _, _ in workers]
    return [
        (pool.download(worker, count, turn), pool.lineages(worker, count, turn))
        for pool, (_, worker, count) in zip(pools, workers)]

  def exchange(self, emigrants: Emigrants, turn: int) -> list[Arrival]:
    """Takes programs of workers and gives each as many, from what the pools hold by then."""
    self.upload(emigrants)
    return self.download(
        [(experiment, worker, len(programs)) for experiment, worker, programs, _ in emigrants],
        turn)

  def clear(self) -> None:
    """Forgets all programs."""
    self._pools.clear()


class _Sender(NamedTuple):
  """Where the programs of a worker are.

  Attributes:
    first: row of its first.
    number: how many.
    num_features: F of its space.
  """

  first: int
  number: int
  num_features: int


def _write(programs: Programs, first: int, rows: Programs) -> None:
  """Overwrites programs from the row `first` on."""
  for name in Programs.ARRAYS:
    getattr(programs, name)[first : first + len(rows)] = getattr(rows, name)
