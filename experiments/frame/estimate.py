"""An estimate of time and memory, shown once while an experiment runs.

At the paper's settings some experiments take years on one machine. Who starts one is told so
while there is little to lose, from the rate that was measured here.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import time
from typing import Any

from azero.runs.display.durations import format_duration
from azero.search.protocol import Searching
from azero.search.scoring.lru_cache import BYTES_PER_ENTRY
from experiments.frame.memory import peak_memory

Numbers = Mapping[str, int]
_EVOLVES = "Programs grow as they evolve, and the rate falls. Ctrl-C stops with everything saved."


class Estimate:
  """Shows, once and while a search runs, how long the whole experiment will take.

  A condition for `runner.run` that never holds.

  Attributes:
    shown: whether it was shown.
  """

  def __init__(
      self, seconds: float | None, totals: Mapping[str, int] | None = None, *,
      skip_first: bool = False, work: str = "search", advice: str = _EVOLVES,
  ):
    """Begins to measure.

    Args:
      seconds: after so long, of what is measured; None for never.
      totals: what else there is to estimate: how many searches like this one, by what to call
        them.
      skip_first: whether it is measured after a first step only, in which a search compiles,
        or takes over what it did before.
      work: what is measured, in a word.
      advice: sentences at the end.
    """
    self._work, self._advice = work, advice
    self._start = time.monotonic()
    self._seconds, self._totals, self.shown = seconds, totals or {}, False
    self._before: tuple[float, Numbers] | None = None if skip_first else (0.0, {})

  def begin(self) -> None:
    """Lets the clock begin now, not when the estimate was made."""
    self._start = time.monotonic()

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
    if self._before is None:
      return True
    return self._seconds is not None and self._seconds <= elapsed - self._before[0]

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
    self._seconds, self.shown = None, True
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
        f"a second this {self._work} takes {format_duration(one)}"]
    whole = times[budget] + spent[budget] / rates[budget]
    parts += [
        f"the {count:,} {others} {format_duration(one + whole * (count - 1))}"
        for others, count in self._totals.items() if count > 1]
    memory = peak_memory()
    if memory is not None:
      parts.append(
          f"with {memory / 1e9:.1f} GB of memory now, at most {(memory + more_bytes) / 1e9:.1f} GB "
          "later")
    return ", ".join(parts) + f". {self._advice}"


def cache_bytes(search: Searching) -> float:
  """Bytes of the caches of all workers when they are full, which takes long."""
  parts: Sequence[Any] = getattr(search, "searches", [search])
  return float(sum(
      part.num_islands * (part.config.canonical_cache + part.config.fingerprint)
      * part.config.cache_size * BYTES_PER_ENTRY for part in parts))

