"""The migration server: the pools of all experiments, in a place that all processes reach.

The server of the AutoML-Zero paper (supplement S3): workers upload programs and receive as
many that are drawn from those of all workers.
"""

from collections.abc import Sequence
import os

from azero.language.program import Programs
from azero.search.migration import Pool

# Experiment, worker and what it sends.
Emigrants = Sequence[tuple[int, int, Programs]]


class PoolLost(RuntimeError):
  """The server was started anew since programs were sent, and has them no more."""


class MigrationServer:
  """Pools of programs by experiment."""

  def __init__(self, seed: int):
    """Makes it without programs.

    Args:
      seed: decides who receives what.
    """
    self._seed = seed
    self._pools: dict[int, Pool] = {}

  def upload(self, emigrants: Emigrants) -> None:
    """Takes programs of workers, in place of those that they sent before."""
    for experiment, worker, programs in emigrants:
      pool = self._pools.setdefault(experiment, Pool(self._seed, experiment))
      pool.upload(worker, programs)

  def download(self, workers: Sequence[tuple[int, int, int]], turn: int) -> list[Programs]:
    """Programs for each of these workers.

    Args:
      workers: experiment, worker and how many programs it receives.
      turn: how often they received before.

    Raises:
      PoolLost: a worker sent nothing to this server.
    """
    try:
      return [
          self._pools[experiment].download(worker, count, turn)
          for experiment, worker, count in workers]
    except (KeyError, ValueError) as error:
      raise PoolLost(
          "The migration server does not have what workers sent: it was started anew.") from error

  def exchange(self, emigrants: Emigrants, turn: int) -> list[Programs]:
    """Takes programs of workers and gives each as many, from what the pools hold by then."""
    self.upload(emigrants)
    return self.download(
        [(experiment, worker, len(programs)) for experiment, worker, programs in emigrants], turn)

  def clear(self) -> None:
    """Forgets all programs."""
    self._pools.clear()

  def pid(self) -> int:
    """The operating system's number of the server's process."""
    return os.getpid()
