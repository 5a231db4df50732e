"""Runs a search to its end: progress, records, checkpoints, a clean stop by Ctrl-C."""

from collections.abc import Callable, Iterator
import contextlib
import dataclasses
import signal
import threading
import time
from typing import Any, Generic, TypeVar

from azero.search import checkpoint
from azero.search.equivalence import Counts
from azero.search.metrics import metrics_of, progress_line
from azero.search.progress import Progress
from azero.search.records import RunDirectory, require_same, settings_of
from azero.search.search import Improvement
from azero.search.searching import Searching
from azero.search.state import Stateful, found_in, found_state

_REPORT_SECONDS = 2.0  # between lines of metrics, and between saves of the hall of fame
_CHECKPOINT = "checkpoint.npz"
_SCHEMA = 1  # of what a checkpoint holds; to be raised when a state changes its meaning

AnySearch = TypeVar("AnySearch", bound=Searching)


@dataclasses.dataclass(frozen=True)
class RunResult(Generic[AnySearch]):
  """How a run ended.

  Attributes:
    search: the search, with its hall of fame and best programs.
    status: "budget" (spent), "stopped" (by the condition) or "interrupted" (by Ctrl-C).
    seconds: wall time of the run, while it ran.
    metrics: what was reported, in order; see `metrics.metrics_of`.
    improvements: every new best of an island, in order.
  """

  search: AnySearch
  status: str
  seconds: float
  metrics: list[dict[str, Any]] = dataclasses.field(repr=False)
  improvements: list[Improvement] = dataclasses.field(repr=False)


def run(
    search: AnySearch, *, directory: RunDirectory | None = None, progress: str = "auto",
    should_stop: Callable[[AnySearch], bool] | None = None, checkpoint_seconds: float = 60.0,
) -> RunResult[AnySearch]:
  """Steps a search until its budget is spent, a condition holds or Ctrl-C is pressed.

  Args:
    search: the search, or a federation of several; may have run before.
    directory: where to record it; default nowhere. If it holds a run that is to be
      continued, the search takes over its state and goes on from there.
    progress: "auto" or "off".
    should_stop: called after every cycle. To keep a run reproducible it must not look at
      the clock; if it has a memory of its own it must be `Stateful`, so that a run can be
      continued.
    checkpoint_seconds: time between checkpoints in the directory; 0 for one after every
      cycle. There is one at the beginning and one at the end, too.

  Returns:
    How it ended, of a continued run with all that came before. After Ctrl-C too: the cycle
    under way, with its call of `should_stop`, is finished first; a second Ctrl-C interrupts
    at once.

  Raises:
    ValueError: the search has no budget and no condition, a negative time, or a run that
      this search cannot continue.
    OSError: the directory cannot be written, or another process is at the run.
  """
  check(search, should_stop, checkpoint_seconds)
  display = Progress(progress)
  with _interruptible() as interrupted, _lock(directory):
    recorder = _Recorder(search, directory, should_stop, checkpoint_seconds)
    status = "budget"
    if recorder.begin() == "stopped" and should_stop is not None and should_stop(search):
      status = "stopped"
    try:
      while status == "budget" and not search.finished:
        search.step()
        recorder.after_step()
        if display.due():
          display.show(progress_line(search, recorder.measure()))
        if should_stop is not None and should_stop(search):
          status = "stopped"
        elif interrupted():
          display.show("stopping: saving everything; Ctrl-C again to abort", final=True)
          status = "interrupted"
        elif not search.finished:
          recorder.save_if_due()
    finally:  # an error, too, leaves behind all that was found
      recorder.report()
    recorder.save(status)
  display.show(f"{progress_line(search, recorder.metrics[-1])} [{status}]", final=True)
  return RunResult(
      search, status, recorder.seconds(), recorder.metrics, recorder.improvements)


class _Recorder(Generic[AnySearch]):
  """What a run has found, in memory and in its directory if it has one.

  Attributes:
    metrics: what was reported, in order.
    improvements: every new best of an island, in order.
  """

  def __init__(
      self, search: AnySearch, directory: RunDirectory | None,
      condition: Callable[[AnySearch], bool] | None, checkpoint_seconds: float,
  ):
    self.metrics: list[dict[str, Any]] = []
    self.improvements: list[Improvement] = []
    self._search = search
    self._directory = directory
    self._condition = condition if isinstance(condition, Stateful) else None
    self._interval = checkpoint_seconds
    self._settings = settings_of(search)
    self._start = time.monotonic()
    self._before = dataclasses.replace(search.counts)
    self._last_report = self._last_save = -float("inf")
    self._begun_at = -1  # cycle of the checkpoint that a run is continued from

  def begin(self) -> str:
    """Takes over the run of the directory, or begins one; returns how it ended until now."""
    if self._directory is None:
      return "running"
    if not self._directory.resumed:
      self.save("running")
      return "running"
    state = checkpoint.load(self._directory.path / _CHECKPOINT)
    if state.get("schema") != _SCHEMA:
      raise checkpoint.CheckpointError(
          f"The checkpoint in '{self._directory.path}' is of another version of azero, which "
          "records a search otherwise: continue the run with that one.")
    require_same(state["settings"], self._settings, self._directory.path)
    self._directory.cut(state["sizes"])
    self._search.restore(state["search"])
    if self._condition is not None:
      self._condition.restore(state["condition"])
    self.metrics = self._directory.read_metrics()
    self.improvements = [
        Improvement(**fields)
        for fields in found_in(self._search.space_of, state["improvements"])]
    self._start -= state["seconds"]
    self._before = Counts(**state["counts_before"])
    self._begun_at = self._search.cycle
    self._last_save = time.monotonic()
    self._directory.save_config()
    return state["status"]

  def seconds(self) -> float:
    """Wall time of the run, without the time between a stop and its continuation."""
    return time.monotonic() - self._start

  def measure(self) -> dict[str, Any]:
    """The metrics by now."""
    return metrics_of(self._search, self.seconds(), self._before)

  def after_step(self) -> None:
    """Notes what was found, and reports if it is time."""
    found = self._search.take_improvements()
    self.improvements += found
    if self._directory is not None:
      self._directory.add_improvements(found)
    if time.monotonic() - self._last_report >= _REPORT_SECONDS:
      self._last_report = time.monotonic()
      self._report()

  def report(self) -> None:
    """Reports how the run ended, unless it was continued only to find that it had ended."""
    if self._search.cycle != self._begun_at:
      self._report()

  def _report(self) -> None:
    self.metrics.append(self.measure())
    if self._directory is not None:
      self._directory.add_metrics(self.metrics[-1])
      self._directory.save_hall_of_fame(self._search.hall_of_fame)

  def save_if_due(self) -> None:
    """Saves a checkpoint if it is time."""
    if time.monotonic() - self._last_save >= self._interval:
      self.save("running")

  def save(self, status: str) -> None:
    """Saves a checkpoint, if there is a directory."""
    if self._directory is None:
      return
    checkpoint.save(self._directory.path / _CHECKPOINT, {
        "schema": _SCHEMA, "settings": self._settings, "status": status,
        "seconds": self.seconds(), "counts_before": dataclasses.asdict(self._before),
        "sizes": self._directory.sizes(), "search": self._search.state(),
        "condition": None if self._condition is None else self._condition.state(),
        "improvements": found_state(self._search.space_of(0), self.improvements)})
    self._last_save = time.monotonic()


def _lock(directory: RunDirectory | None) -> contextlib.AbstractContextManager:
  return contextlib.nullcontext() if directory is None else directory.locked()


def check(
    search: AnySearch, should_stop: Callable[[AnySearch], bool] | None, checkpoint_seconds: float
) -> None:
  """Refuses a search without an end, and an impossible time between checkpoints.

  Raises:
    ValueError: the search has no budget and no condition, or a negative time.
  """
  if not search.bounded and should_stop is None:
    raise ValueError(
        "The search would never end: set max_train_steps, max_programs or should_stop.")
  if not checkpoint_seconds >= 0:
    raise ValueError(f"checkpoint_seconds must not be negative, got {checkpoint_seconds}.")


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
