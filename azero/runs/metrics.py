"""What is reported of a search while it runs: totals, rates, best fitnesses, time left.

Beside what every search offers, some attributes count if a search has them:

    migrations       how many there were
    groups           with name and task sets each; islands are numbered over all in their order

and where K other processes evaluate:

    device_seconds   [K], of each, the seconds in which its devices had work, from whenever on;
                     see `executors.activity`
    process_memory   [K], bytes in memory that each holds alone
    losses           processes that were lost
    missed_migrations  exchanges that found no server
"""

import collections
from collections.abc import Mapping, Sequence
import dataclasses
import math
import time
from typing import Any

import numpy as np

from azero.executors.activity import DEVICES
from azero.memory import own_memory
from azero.search import checked_state
from azero.search.protocol import Searching
from azero.search.rounds.evaluating import Counts, check_counts

_RECENT_SECONDS = 10.0


def totals_of(search: Searching) -> dict[str, Any]:
  """What is reported of a search and follows from its settings and its `cycle`.

  Returns:
    Totals over all islands since the search was made, parts and fitnesses. Fitnesses are 0
    before the first program; a part of nothing is None.
  """
  counts = search.counts
  hits = counts.canonical_hits
  seen = max(counts.programs, 1)
  reached = counts.hurdle_passed + counts.hurdle_stopped
  spent = [
      getattr(counts, name) / max(getattr(counts, name) + left, 1)
      for name, left in search.budget_left().items() if left is not None]
  row = dataclasses.asdict(counts) | {
      "cycle": search.cycle,
      "islands": search.num_islands,
      "budget_spent": round(max(spent), 6) if spent else None,
      "canonical_hit_rate": round(hits / seen, 4),
      "fingerprint_hit_rate": round(counts.fingerprint_hits / seen, 4),
      "hurdle_pass_rate": round(counts.hurdle_passed / reached, 4) if reached else None,
      **_fitness(search, slice(None))}
  if hasattr(search, "migrations"):
    row["migrations"] = search.migrations
  if hasattr(search, "groups"):
    row["groups"] = _groups(search, search.groups)
  return row


def _fitness(search: Searching, islands: slice) -> dict[str, Any]:
  best = np.maximum(search.best_fitness[islands], 0.0)
  return {
      "active_islands": int(search.active[islands].sum()), "best_fitness": float(best.max()),
      "median_best_fitness": float(np.median(best))}


def _groups(search: Searching, groups: Sequence[Any]) -> dict[str, Any]:
  """The work and the best fitnesses of each group, whose fitnesses cannot be compared."""
  rows, first = {}, 0
  for group in groups:
    islands = slice(first, first + len(group.task_sets))
    first = islands.stop
    rows[group.name] = {
        "programs": int(search.num_programs[islands].sum()),
        "train_steps": int(search.train_steps[islands].sum()), **_fitness(search, islands)}
  return rows


def metrics_of(
    search: Searching, seconds: float, before: Counts | None = None
) -> dict[str, Any]:
  """`totals_of` a search, and mean rates.

  Args:
    search: the search.
    seconds: over which rates are taken.
    before: the search's counts when those seconds began; default none.
  """
  row = totals_of(search) | {"seconds": round(seconds, 3)}
  earlier = dataclasses.asdict(before or Counts())
  return row | _rates("", row, earlier, seconds)


def _rates(
    prefix: str, row: Mapping[str, Any], earlier: Mapping[str, Any], seconds: float
) -> dict[str, float]:
  return {
      # Counts go back where a process was lost and repeats a part of its work.
      f"{prefix}{name}_per_second":
          round(max(row[name] - earlier[name], 0) / max(seconds, 1e-9), 1)
      for name in ("programs", "train_steps")}


def check_meter(state: Mapping[str, Any]) -> None:
  """Refuses what `Meter.restore` cannot take over.

  Raises:
    StateError: it is no state of one.
  """
  check_counts(checked_state.part(state, "counts_before"))
  for name in ("seconds", "busy"):
    value = state.get(name)
    if not isinstance(value, int | float) or not math.isfinite(value):
      raise checked_state.StateError(f"'{name}' is no time")


class Meter:
  """Measures a run of a search from when it is made, or over several parts of a run."""

  def __init__(self, search: Searching, max_seconds: float | None = None):
    """Begins to measure.

    Args:
      search: which may have run before.
      max_seconds: wall time after which the run ends, None for no limit.
    """
    self._search, self._max_seconds = search, max_seconds
    self._start = time.monotonic()
    self._before = dataclasses.replace(search.counts)
    self._busy_before, self._busy_earlier = _busy(search), 0.0
    self._marks: collections.deque[dict[str, Any]] = collections.deque()
    self._add_mark(0.0)

  def seconds(self) -> float:
    """Wall time of the run, without the time between a stop and its continuation."""
    return time.monotonic() - self._start

  def measure(self) -> dict[str, Any]:
    """`metrics_of` the search by now, and what is known of the clock and the machine.

    Recent rates are those since the last mark that is ten seconds old, or since the
    beginning if none is.
    """
    seconds = self.seconds()
    row = metrics_of(self._search, seconds, self._before)
    mark = self._mark(seconds)
    since = seconds - mark["seconds"]
    recent = _rates("recent_", row, mark, since)
    return row | recent | _processes(self._search) | {
        "time": round(time.time(), 3),
        "device_idle_share": _idle(self._busy_seconds(), seconds),
        "recent_device_idle_share": _idle(_busy_since(self._search, mark["busy"]), since),
        "memory_bytes": own_memory(),
        "seconds_left": self._seconds_left(seconds, recent)}

  def report(self) -> dict[str, Any]:
    """`measure`, and a mark for what will be recent."""
    row = self.measure()
    self._add_mark(row["seconds"])
    return row

  def state(self) -> dict[str, Any]:
    """What another one needs to go on with the same run."""
    return {
        "seconds": self.seconds(), "counts_before": dataclasses.asdict(self._before),
        "busy": self._busy_seconds()}

  def restore(self, state: Mapping[str, Any]) -> None:
    """Goes on with the run of another one, whose state the search has taken over."""
    self._start = time.monotonic() - state["seconds"]
    self._before = Counts(**state["counts_before"])
    self._busy_before, self._busy_earlier = _busy(self._search), state["busy"]
    self.begin_recent()

  def _seconds_left(self, seconds: float, rates: Mapping[str, float]) -> float | None:
    """Time until every island's budget is spent, at the recent rates, or the run's time is up."""
    estimates = [] if self._max_seconds is None else [max(self._max_seconds - seconds, 0.0)]
    for name, left in self._search.budget_left().items():
      rate = rates[f"recent_{name}_per_second"]
      if left is not None and rate:
        estimates.append(left / rate)
    return round(min(estimates), 1) if estimates else None

  def mark(self) -> None:
    """Notes where the search is, without a report, for what is recent later."""
    self._add_mark(self.seconds())

  def begin_recent(self) -> None:
    """What was before counts no more for what is recent, such as when a search has gone back."""
    self._marks.clear()
    self.mark()

  def _busy_seconds(self) -> float:
    """In which devices had work, over all of the run."""
    return self._busy_earlier + _busy_since(self._search, self._busy_before)

  def _add_mark(self, seconds: float) -> None:
    counts = self._search.counts
    self._marks.append({
        "seconds": seconds, "busy": _busy(self._search), "programs": counts.programs,
        "train_steps": counts.train_steps})

  def _mark(self, seconds: float) -> Mapping[str, Any]:
    """Where what is recent begins."""
    while len(self._marks) > 1 and seconds - self._marks[1]["seconds"] >= _RECENT_SECONDS:
      self._marks.popleft()
    return self._marks[0]


def _processes(search: Searching) -> dict[str, Any]:
  """What is known of other processes that evaluate."""
  if not hasattr(search, "process_memory"):
    return {}
  return {
      "process_memory_bytes": search.process_memory.tolist(),
      "losses": getattr(search, "losses", 0),
      "missed_migrations": getattr(search, "missed_migrations", 0)}


def _busy(search: Searching) -> Mapping[int, float]:
  """Seconds in which each device, or those of each process that evaluates, had work so far."""
  if hasattr(search, "device_seconds"):
    return dict(enumerate(search.device_seconds.tolist()))
  return DEVICES.of_devices()


def _busy_since(search: Searching, before: Mapping[int, float]) -> float:
  """Seconds in which devices had work since `_busy` was this, the mean over them."""
  if hasattr(search, "device_seconds"):
    return float(np.mean(search.device_seconds - np.array(list(before.values()))))
  return DEVICES.seconds(before)


def _idle(busy: float, seconds: float) -> float:
  return round(min(max(1.0 - busy / max(seconds, 1e-9), 0.0), 1.0), 4)


def workers_of(search: Searching) -> dict[str, list]:
  """Work and best fitness of every island, in their order; of all groups."""
  return {
      "programs": search.num_programs.tolist(), "train_steps": search.train_steps.tolist(),
      "best_fitness": [round(value, 6) for value in np.maximum(search.best_fitness, 0).tolist()],
      "active": search.active.astype(int).tolist()}
