"""An estimate of time and memory, shown once while an experiment runs.

At the paper's settings some experiments take years on one machine. Who starts one is told so
while there is little to lose, from the rate that was measured here.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import os
import time
from typing import Any

from azero.search.lru_cache import BYTES_PER_ENTRY
from azero.search.protocol import Searching
from experiments.benchmarks import measuring
from experiments.frame import common

Numbers = Mapping[str, int]


def setting() -> Any:
  """The setting of a config that says when to show it."""
  return common.setting(
      30.0, "Time after which an estimate of the whole time and memory is shown; 0 for never.")


def check(seconds: float) -> None:
  """Refuses an impossible `estimate_seconds`.

  Raises:
    ValueError: it is negative.
  """
  if not seconds >= 0:
    raise ValueError(f"--estimate_seconds must not be negative, got {seconds}.")


def check_memory(num_bytes: float, remedy: str) -> None:
  """Refuses tasks that this machine's memory cannot hold.

  Args:
    num_bytes: of the tasks of all workers.
    remedy: what to do about it.

  Raises:
    ValueError: they take more than there is.
  """
  if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
    return  # it cannot be told
  memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
  if num_bytes > memory:
    raise ValueError(
        f"The tasks of all workers take about {num_bytes / 1e9:,.0f} GB, but this machine has "
        f"{memory / 1e9:,.0f} GB of memory: {remedy}.")


class Estimate:
  """Shows, once and while a search runs, how long the whole experiment will take.

  A condition for `runner.run` that never holds.

  Attributes:
    shown: whether it was shown.
  """

  def __init__(
      self, seconds: float, totals: Mapping[str, int] | None = None, *, skip_first: bool = False):
    """Takes over.

    Args:
      seconds: after so long, of what is measured; 0 for never.
      totals: what else there is to estimate: how many searches like this one, by what to call
        them.
      skip_first: whether it is measured after a first step only, in which a search compiles,
        or takes over what it did before.
    """
    self._start = time.monotonic()
    self._seconds, self._totals, self.shown = seconds, totals or {}, False
    self._before: tuple[float, Numbers] | None = None if skip_first else (0.0, {})

  def __call__(self, search: Searching) -> bool:
    """Shows the estimate if it is time."""
    if self.due:
      self.show(
          dataclasses.asdict(search.counts), search.budget_left(), cache_bytes(search))
    return False

  @property
  def due(self) -> bool:
    """Whether the next call of `show` has an effect."""
    elapsed = time.monotonic() - self._start
    return self._before is None or 0 < self._seconds <= elapsed - self._before[0]

  def show(
      self, spent: Numbers, left: Mapping[str, int | None], more_bytes: float = 0.0) -> None:
    """Shows the estimate, or notes where a first step that does not count has ended.

    Args:
      spent: what was spent by now, by name, "train_steps" among it.
      left: what is left of budgets, by the same names; None for no limit.
      more_bytes: of memory that will be taken in the course of time.
    """
    elapsed = time.monotonic() - self._start
    if self._before is None:
      self._before = elapsed, dict(spent)
      return
    self._seconds, self.shown = 0.0, True
    print(self._text(elapsed, self._before, spent, left, more_bytes), flush=True)

  def _text(
      self, elapsed: float, before: tuple[float, Numbers], spent: Numbers,
      left: Mapping[str, int | None], more_bytes: float,
  ) -> str:
    seconds = max(elapsed - before[0], 1e-9)
    rates = {
        name: max(count - before[1].get(name, 0), 1) / seconds for name, count in spent.items()}
    times = {name: count / rates[name] for name, count in left.items() if count is not None}
    budget = min(times, key=lambda name: times[name])  # the one that is spent first
    one = elapsed + times[budget]
    parts = [
        f"Estimate after {elapsed:.0f} s: at {rates['train_steps']:,.0f} training steps "
        f"a second this search takes {_duration(one)}"]
    whole = times[budget] + spent[budget] / rates[budget]
    parts += [
        f"the {count:,} {others} {_duration(one + whole * (count - 1))}"
        for others, count in self._totals.items() if count > 1]
    memory = measuring.peak_memory()
    if memory is not None:
      parts.append(
          f"with {memory / 1e9:.1f} GB of memory now, at most {(memory + more_bytes) / 1e9:.1f} GB "
          "later")
    return (
        ", ".join(parts) + ". Programs grow as they evolve, and the rate falls. Ctrl-C stops "
        "with everything saved.")


def cache_bytes(search: Searching) -> float:
  """Bytes of the caches of all workers when they are full, which takes long."""
  parts: Sequence[Any] = getattr(search, "searches", [search])
  return float(sum(
      part.num_islands * (part.config.canonical_cache + part.config.fingerprint)
      * part.config.cache_size * BYTES_PER_ENTRY for part in parts))


def _duration(seconds: float) -> str:
  for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
    if seconds >= 2 * size:
      return f"{seconds / size:,.1f} {unit}"
  return f"{seconds:.0f} s"
