"""How long the devices were at work.

The thread that gives a device work waits for it, and notes how long that took: transfers and
the launch of the work included, compiling not.
"""

from collections.abc import Callable, Iterator, Mapping
import contextlib
import threading
import time


class Activity:
  """Adds up the busy seconds of each device; for any number of threads."""

  def __init__(self, clock: Callable[[], float] = time.monotonic):
    """Args: what tells the time in seconds."""
    self._clock = clock
    self._lock = threading.Lock()
    self._busy: dict[int, float] = {}

  @contextlib.contextmanager
  def busy(self, device: int) -> Iterator[None]:
    """While this lasts the device is at work."""
    start = self._clock()
    try:
      yield
    finally:
      elapsed = self._clock() - start
      with self._lock:
        self._busy[device] = self._busy.get(device, 0.0) + elapsed

  def of_devices(self) -> dict[int, float]:
    """Busy seconds so far of each device that has worked."""
    with self._lock:
      return dict(self._busy)

  def seconds(self, since: Mapping[int, float] | None = None) -> float:
    """Busy seconds, the mean of the devices that have worked.

    Args:
      since: what `of_devices` gave when the time began that counts; None for the very beginning.
    """
    before = since or {}
    busy = {name: now - before.get(name, 0.0) for name, now in self.of_devices().items()}
    worked = [seconds for seconds in busy.values() if seconds > 0]
    return sum(worked) / max(len(worked), 1)


DEVICES = Activity()  # of this process, whose evaluators share its devices
