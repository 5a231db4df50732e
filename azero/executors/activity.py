"""How long the devices had work, as far as the host can see it without slowing them.

The host looks at what is under way whenever it launches a batch, before and after it waits
for one, and when it is asked. While something is under way, the time between two looks counts
as busy. Where the host waits, the end of a batch is exact. A batch that ended between two looks
at which the host did not wait counts for half of the time between them, so that of a search
whose host is the bottleneck the busy time is an estimate: off by less than half of what the
host did between two looks. Transfers and the launch itself do not count, nor does compiling.
"""

from collections.abc import Callable
import threading
import time
from typing import TypeVar

T = TypeVar("T")


class Activity:
  """Adds up the time in which at least one batch was under way."""

  def __init__(self, clock: Callable[[], float] = time.monotonic):
    """Args: what tells the time in seconds."""
    self._clock = clock
    self._lock = threading.Lock()
    self._under_way: list[Callable[[], bool]] = []
    self._busy = 0.0
    self._looked = clock()

  def begin(self, ready: Callable[[], bool]) -> None:
    """Notes a batch that has just been launched; `ready` says, at once, whether it ended."""
    with self._lock:
      self._look()
      self._under_way.append(ready)

  def wait(self, wait: Callable[[], T]) -> T:
    """Calls what waits for a batch until it ended, and not longer."""
    with self._lock:
      self._look()
    result = wait()
    with self._lock:
      self._look(waited=True)
    return result

  def seconds(self) -> float:
    """Busy seconds so far."""
    with self._lock:
      self._look()
      return self._busy

  def _look(self, *, waited: bool = False) -> None:
    now = self._clock()
    if self._under_way:
      self._under_way = [ready for ready in self._under_way if not ready()]
      whole = waited or bool(self._under_way)
      self._busy += (now - self._looked) * (1.0 if whole else 0.5)
    self._looked = now


DEVICES = Activity()  # of this process, whose evaluators share its devices
