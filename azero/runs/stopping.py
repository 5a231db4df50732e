"""What ends a search before its budget is spent: time, a fitness that is good enough, patience.

They are looked at after each step, so that the search ends between two of them, with all that a
run directory needs to be continued: with more time it goes on where it stood.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import math
from typing import TYPE_CHECKING

from azero.search import plain

if TYPE_CHECKING:
  from azero.search.protocol import Searching
  from azero.search.threads import Improvement


@dataclasses.dataclass(frozen=True, kw_only=True)
class StopSettings:
  """When a search ends before its budget is spent.

  Attributes:
    max_seconds: wall time of a search, that before a continued run was stopped included; it
      ends with the step under way, of which the first compiles, up to a minute where nothing is
      kept in the cache. None or infinity for no limit.
    target_fitness: a search ends when an island reaches it on its search tasks; None for never.
    patience: a search ends when every island has evaluated so many programs since its last new
      best; None for never.
  """

  max_seconds: float | None = None
  target_fitness: float | None = None
  patience: int | None = None

  def __post_init__(self) -> None:
    plain.normalise(self)
    if self.max_seconds == math.inf:
      object.__setattr__(self, "max_seconds", None)
    for name in ("max_seconds", "patience"):
      value = getattr(self, name)
      if value is not None and not value > 0:
        raise ValueError(f"{name} must be positive or None, got {value}.")
    if self.target_fitness is not None and not math.isfinite(self.target_fitness):
      raise ValueError(f"target_fitness must be finite or None, got {self.target_fitness}.")

  @property
  def bounded(self) -> bool:
    """Whether a search is sure to end by them."""
    return self.max_seconds is not None or self.patience is not None

  def reached(
      self, search: Searching, seconds: float, improvements: Sequence[Improvement]) -> str:
    """Which of the conditions holds, or "".

    Args:
      search: between two steps.
      seconds: wall time of the run.
      improvements: all of the run, in order.
    """
    if self.target_fitness is not None and search.best_fitness.max() >= self.target_fitness:
      return f"target_fitness={self.target_fitness:g}"
    if self.max_seconds is not None and seconds >= self.max_seconds:
      return f"max_seconds={self.max_seconds:g}"
    if self.patience is not None:
      last = dict.fromkeys(range(search.num_islands), 0)
      last |= {found.island: found.num_programs for found in improvements}
      since = [search.num_programs[island] - count for island, count in last.items()
               if search.active[island]]
      if since and min(since) >= self.patience:
        return f"patience={self.patience:,}"
    return ""
