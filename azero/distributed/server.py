"""The migration server: the pools of all experiments, in a place that all processes reach.

The server of the AutoML-Zero paper (supplement S3): workers upload programs and receive as
many that are drawn from those of all workers.
"""

from collections.abc import Sequence
import os

from azero.search.groups.migration import Arrival, Pools


class PoolLost(RuntimeError):
  """The server was started anew since programs were sent, and has them no more."""


class MigrationServer(Pools):
  """Pools of programs by experiment, in a process of their own."""

  def download(self, workers: Sequence[tuple[int, int, int]], turn: int) -> list[Arrival]:
    """See `Pools.download`.

    Raises:
      PoolLost: a worker sent nothing to this server.
    """
    try:
      return super().download(workers, turn)
    except (KeyError, ValueError) as error:
      raise PoolLost(
          "The migration server does not have what workers sent: it was started anew.") from error

  def pid(self) -> int:
    """The operating system's number of the server's process."""
    return os.getpid()
