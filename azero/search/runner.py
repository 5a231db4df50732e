"""Runs a search to its end: progress, records, checkpoints, a clean stop by Ctrl-C."""

from collections.abc import Callable, Iterator
import contextlib
import dataclasses
import signal
import threading
import time
from typing import Any, Generic, TypeVar

from azero.search import checkpoint, views
from azero.search.metrics import Meter, workers_of
from azero.search.progress import Progress
from azero.search.records import RunDirectory, require_same, settings_of
from azero.search.search import Improvement
from azero.search.searching import Searching
from azero.search.state import Stateful, found_in, found_state
from azero.search.tensorboard import Curves, require

_REPORT_SECONDS = 2.0  # between lines of metrics, and between saves of the hall of fame
_WORKERS_SECONDS = 10.0  # between notes of every island
_CHECKPOINT = "checkpoint.npz"
_SCHEMA = 2  # of what a checkpoint holds; to be raised when a state changes its meaning

AnySearch = TypeVar("AnySearch", bound=Searching)


@dataclasses.dataclass(frozen=True)
class RunResult(Generic[AnySearch]):
  """How a run ended.

  Attributes:
    search: the search, with its hall of fame and best programs.
    status: "budget" (spent), "stopped" (by the condition) or "interrupted" (by Ctrl-C).
    seconds: wall time of the run, while it ran.
    metrics: what was reported, in order; see `metrics.Meter`.
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
    tensorboard: bool = False,
) -> RunResult[AnySearch]:
  """Steps a search until its budget is spent, a condition holds or Ctrl-C is pressed.

  Args:
    search: the search, or a federation of several; may have run before.
    directory: where to record it; default nowhere. If it holds a run that is to be
      continued, the search takes over its state and goes on from there.
    progress: "auto", "plain" or "off"; see `Progress`.
    should_stop: called after every cycle. To keep a run reproducible it must not look at
      the clock; if it has a memory of its own it must be `Stateful`, so that a run can be
      continued.
    checkpoint_seconds: time between checkpoints in the directory; 0 for one after every
      cycle. There is one at the beginning and one at the end, too.
    tensorboard: whether the directory gets TensorBoard curves, too.

  Returns:
    How it ended, of a continued run with all that came before. After Ctrl-C too: the cycle
    under way, with its call of `should_stop`, is finished first; a second Ctrl-C interrupts
    at once.

  Raises:
    ValueError: the search has no budget and no condition, a negative time, a run that this
      search cannot continue, or curves without a directory or the extra `tensorboard`.
    OSError: the directory cannot be written, or another process is at the run.
  """
  check(search, should_stop, checkpoint_seconds)
  check_curves(tensorboard, directory)
  with _interruptible() as interrupted, _lock(directory), Progress(progress) as display:
    recorder = _Recorder(search, directory, should_stop, checkpoint_seconds, tensorboard)
    status = "running"
    if recorder.begin() == "stopped" and should_stop is not None and should_stop(search):
      status = "stopped"
    try:
      while status == "running" and not search.finished:
        search.step()
        recorder.after_step()
        if display.due():
          _show(display, search, recorder.measure())
        if should_stop is not None and should_stop(search):
          status = "stopped"
        elif interrupted():
          display.show("stopping: saving everything; Ctrl-C again to abort", final=True)
          status = "interrupted"
        elif not search.finished:
          recorder.save_if_due()
      if status == "running":
        status = "budget"
    finally:  # an error, too, leaves behind all that was found
      recorder.end(status)
    recorder.save(status)
    display.show(f"{views.line(recorder.metrics[-1])} [{status}]", final=True)
  return RunResult(
      search, status, recorder.seconds(), recorder.metrics, recorder.improvements)


def _show(display: Progress, search: AnySearch, row: dict[str, Any]) -> None:
  display.show(views.line(row), picture=lambda: views.picture(row, workers_of(search)))


class _Recorder(Generic[AnySearch]):
  """What a run has found, in memory and in its directory if it has one.

  Attributes:
    metrics: what was reported, in order.
    improvements: every new best of an island, in order.
  """

  def __init__(
      self, search: AnySearch, directory: RunDirectory | None,
      condition: Callable[[AnySearch], bool] | None, checkpoint_seconds: float, tensorboard: bool,
  ):
    self.metrics: list[dict[str, Any]] = []
    self.improvements: list[Improvement] = []
    self._search = search
    self._directory = directory
    self._condition = condition if isinstance(condition, Stateful) else None
    self._interval = checkpoint_seconds
    self._settings = settings_of(search)
    self._meter = Meter(search)
    self._tensorboard = tensorboard
    self._curves: Curves | None = None
    self._last_report = self._last_workers = self._last_save = -float("inf")
    self._begun_at = -1  # cycle of the checkpoint that a run is continued from

  def begin(self) -> str:
    """Takes over the run of the directory, or begins one; returns how it ended until now."""
    if self._directory is None:
      return "running"
    if not self._directory.resumed:
      self.save("running")
      self._begin_curves()
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
    self._meter.restore(state["meter"])
    self._begun_at = self._search.cycle
    self._last_save = time.monotonic()
    self._directory.save_config()
    self._begin_curves()
    return state["status"]

  def _begin_curves(self) -> None:
    if self._tensorboard and self._directory is not None:
      self._curves = Curves(self._directory.path / "tensorboard", self.metrics)

  def seconds(self) -> float:
    """Wall time of the run, without the time between a stop and its continuation."""
    return self._meter.seconds()

  def measure(self) -> dict[str, Any]:
    """The metrics by now."""
    return self._meter.measure()

  def after_step(self) -> None:
    """Notes what was found, and reports if it is time."""
    found = self._search.take_improvements()
    self.improvements += found
    if self._directory is not None:
      self._directory.add_improvements(found)
    if time.monotonic() - self._last_report >= _REPORT_SECONDS:
      self._last_report = time.monotonic()
      self._report("running")

  def end(self, status: str) -> None:
    """Reports how the run ended, unless it was continued only to find that it had ended."""
    if self._search.cycle != self._begun_at:
      self._last_workers = -float("inf")
      self._report(status)
    if self._curves is not None:
      self._curves.close()

  def _report(self, status: str) -> None:
    self.metrics.append(self._meter.report() | {"status": status})
    if self._directory is None:
      return
    self._directory.add_metrics(self.metrics[-1])
    self._directory.save_hall_of_fame(self._search.hall_of_fame)
    if self._curves is not None:
      self._curves.add(self.metrics[-1])
    if time.monotonic() - self._last_workers >= _WORKERS_SECONDS:
      self._last_workers = time.monotonic()
      self._directory.save_workers(self.seconds(), workers_of(self._search))

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
        "meter": self._meter.state(),
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


def check_curves(tensorboard: bool, directory: object) -> None:
  """Refuses curves that cannot be written.

  Raises:
    ValueError: there is no directory for them, or no package that writes them.
  """
  if tensorboard:
    if directory is None:
      raise ValueError("TensorBoard curves need a run directory to be written to.")
    require()


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
