"""Runs a search to its end: progress, records, a clean stop by Ctrl-C."""

from collections.abc import Callable, Iterator, Mapping
import contextlib
import dataclasses
import signal
import threading
import time
from typing import Any

import numpy as np

from azero.search.equivalence import Counts
from azero.search.progress import Progress
from azero.search.records import RunDirectory
from azero.search.search import Improvement, Search

_REPORT_SECONDS = 2.0  # between lines of metrics, and between saves of the hall of fame


@dataclasses.dataclass(frozen=True)
class RunResult:
  """How a run ended.

  Attributes:
    search: the search, with its hall of fame and best programs.
    status: "budget" (spent), "stopped" (by the condition) or "interrupted" (by Ctrl-C).
    seconds: wall time of the run.
    metrics: what was reported, in order; see `metrics_of`.
    improvements: every new best of an island, in order.
  """

  search: Search
  status: str
  seconds: float
  metrics: list[dict[str, Any]] = dataclasses.field(repr=False)
  improvements: list[Improvement] = dataclasses.field(repr=False)


def run(
    search: Search, *, directory: RunDirectory | None = None, progress: str = "auto",
    should_stop: Callable[[Search], bool] | None = None,
) -> RunResult:
  """Steps a search until its budget is spent, a condition holds or Ctrl-C is pressed.

  Args:
    search: the search; may have run before.
    directory: where to record it; default nowhere.
    progress: "auto" or "off".
    should_stop: called after every cycle. To keep a run reproducible it must not look at
      the clock.

  Returns:
    How it ended. After Ctrl-C too: the cycle under way, with its call of `should_stop`, is
    finished first; a second Ctrl-C interrupts at once.

  Raises:
    ValueError: the search has no budget and no condition.
  """
  check_ends(search, should_stop)
  display = Progress(progress)
  start, before = time.monotonic(), dataclasses.replace(search.counts)
  metrics: list[dict[str, Any]] = []
  improvements: list[Improvement] = []
  last_report = -_REPORT_SECONDS
  status = "budget"

  def report() -> None:
    metrics.append(metrics_of(search, time.monotonic() - start, before))
    if directory is not None:
      directory.add_metrics(metrics[-1])
      directory.save_hall_of_fame(search.hall_of_fame)

  with _interruptible() as interrupted:
    try:
      while not search.finished:
        search.step()
        found = search.take_improvements()
        improvements += found
        if directory is not None:
          directory.add_improvements(found)
        elapsed = time.monotonic() - start
        if elapsed - last_report >= _REPORT_SECONDS:
          last_report = elapsed
          report()
        if display.due():
          display.show(progress_line(search, metrics_of(search, elapsed, before)))
        if should_stop is not None and should_stop(search):
          status = "stopped"
          break
        if interrupted():
          display.show("stopping: everything is saved; Ctrl-C again to abort", final=True)
          status = "interrupted"
          break
    finally:  # an error, too, leaves behind all that was found
      report()
  display.show(f"{progress_line(search, metrics[-1])} [{status}]", final=True)
  return RunResult(search, status, time.monotonic() - start, metrics, improvements)


def check_ends(search: Search, should_stop: Callable[[Search], bool] | None) -> None:
  """Refuses a search without an end.

  Raises:
    ValueError: it has no budget and no condition.
  """
  config = search.config
  if config.max_train_steps is None and config.max_programs is None and should_stop is None:
    raise ValueError(
        "The search would never end: set max_train_steps, max_programs or should_stop.")


def metrics_of(search: Search, seconds: float, before: Counts | None = None) -> dict[str, Any]:
  """What is reported of a search.

  Args:
    search: the search.
    seconds: over which rates are taken.
    before: the search's counts when those seconds began; default none.

  Returns:
    Totals over all islands since the search was made, and rates; fitnesses are 0 before
    the first program.
  """
  counts = dataclasses.asdict(search.counts)
  seen = max(counts["programs"], 1)
  hits = counts["canonical_hits"] + counts["duplicates"]
  best = np.maximum(search.best_fitness, 0.0)

  def rate(name: str) -> float:
    earlier = 0 if before is None else getattr(before, name)
    return round((counts[name] - earlier) / max(seconds, 1e-9), 1)

  return counts | {
      "seconds": round(seconds, 3),
      "cycle": search.cycle,
      "active_islands": int(search.active.sum()),
      "programs_per_second": rate("programs"),
      "train_steps_per_second": rate("train_steps"),
      "canonical_hit_rate": round(hits / seen, 4),
      "fingerprint_hit_rate": round(counts["fingerprint_hits"] / seen, 4),
      "best_fitness": float(best.max()),
      "median_best_fitness": float(np.median(best)),
  }


def progress_line(search: Search, row: Mapping[str, Any]) -> str:
  """The metrics of a search in one line: work, rate, best, cache hits, time left."""
  line = (
      f"{_short(row['programs'])} programs, {_short(row['programs_per_second'])}/s, "
      f"{_short(row['train_steps'])} steps, best {row['best_fitness']:.4f}, "
      f"cache {row['canonical_hit_rate']:.0%} + {row['fingerprint_hit_rate']:.0%}")
  if search.num_islands > 1:
    line += f", islands {row['active_islands']}/{search.num_islands}"
  left = _seconds_left(search, row)
  return line if left is None else f"{line}, at most {_clock(left)} left"


def _seconds_left(search: Search, row: Mapping[str, Any]) -> float | None:
  """Time until every island's budget is spent, at the mean rate so far."""
  config = search.config
  estimates = []
  for spent, budget, rate in (
      (search.train_steps, config.max_train_steps, row["train_steps_per_second"]),
      (search.num_programs, config.max_programs, row["programs_per_second"])):
    if budget is not None and rate:
      left = np.maximum(budget - spent, 0)[search.active].sum()
      estimates.append(float(left) / rate)
  return min(estimates, default=None)


def _short(number: float) -> str:
  for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
    if number >= size:
      return f"{number / size:.1f}{unit}"
  return f"{number:.0f}"


def _clock(seconds: float) -> str:
  minutes, rest = divmod(int(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextlib.contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
  """Turns the first Ctrl-C into a flag; a second one interrupts at once."""
  flag = threading.Event()
  if threading.current_thread() is not threading.main_thread():
    yield flag.is_set  # only the main thread may handle signals
    return

  def handle(signum: int, frame: Any) -> None:
    if flag.is_set():
      raise KeyboardInterrupt
    flag.set()

  previous = signal.signal(signal.SIGINT, handle)
  try:
    yield flag.is_set
  finally:
    signal.signal(signal.SIGINT, previous)
