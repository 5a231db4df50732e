"""Runs a search to its end: progress, records, checkpoints, a clean stop by Ctrl-C or SIGTERM."""

from collections.abc import Callable, Iterator
import contextlib
import dataclasses
import datetime
import signal
import sys
import threading
import time
from types import TracebackType
from typing import Any, Generic, TypeVar

from azero.search.checkpoint import Checkpoints
from azero.search.equivalence import Counts
from azero.search.metrics import metrics_of, progress_line
from azero.search.progress import Progress
from azero.search.records import CHECKPOINTS, RunDirectory, config_hash, require_same, settings_of
from azero.search.search import Improvement
from azero.search.searching import Searching
from azero.search.state import Stateful, found_in, found_state

_REPORT_SECONDS = 2.0  # between lines of metrics, and between saves of the hall of fame
_SCHEMA = 2  # of what a checkpoint holds; to be raised when a state changes its meaning
# Of the time, at most, that a search waits for checkpoints. Writing them, in the background,
# takes up to three times as much of one core.
WAITING_SHARE = 1 / 150
_SIGNALS = (signal.SIGINT, signal.SIGTERM)

AnySearch = TypeVar("AnySearch", bound=Searching)


class RunWriteError(OSError):
  """A run whose directory cannot be written: says what is there and how to go on."""

  def __str__(self) -> str:
    return self.strerror or ""


@dataclasses.dataclass(frozen=True)
class RunResult(Generic[AnySearch]):
  """How a run ended.

  Attributes:
    search: the search, with its hall of fame and best programs.
    status: "budget" (spent), "stopped" (by the condition) or "interrupted" (by Ctrl-C or
      SIGTERM).
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
  """Steps a search until its budget is spent, a condition holds or a signal asks to stop.

  Args:
    search: the search, or a federation of several; may have run before.
    directory: where to record it; default nowhere. If it holds a run that is to be
      continued, the search takes over its state and goes on from there.
    progress: "auto" or "off".
    should_stop: called after every cycle. To keep a run reproducible it must not look at
      the clock; if it has a memory of its own it must be `Stateful`, so that a run can be
      continued.
    checkpoint_seconds: time between checkpoints in the directory, or longer if they take so
      long that they would slow the search down; 0 for one after every step. There is one at
      the beginning and one at the end, too.

  Returns:
    How it ended, of a continued run with all that came before. After Ctrl-C or SIGTERM too:
    the cycles under way, with their call of `should_stop`, are finished first; a second
    signal interrupts at once.

  Raises:
    ValueError: the search has no budget and no condition, a negative time, or a run that
      this search cannot continue.
    OSError: the directory cannot be written, for instance because the disk is full, or
      another process is at the run.
  """
  check(search, should_stop, checkpoint_seconds)
  display = Progress(progress)
  with (_interruptible() as interrupted, _lock(directory),
        _Recorder(search, directory, should_stop, checkpoint_seconds) as recorder):
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

  A context manager: it waits for a checkpoint that is being written.

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
    self._checkpoints = None if directory is None else Checkpoints(
        directory.path / CHECKPOINTS, schema=_SCHEMA)
    self._condition = condition if isinstance(condition, Stateful) else None
    self._interval = checkpoint_seconds
    self._settings = settings_of(search)
    self._start = time.monotonic()
    self._before = dataclasses.replace(search.counts)
    self._last_report = self._last_save = -float("inf")
    self._pause = 0.0  # seconds after the last save, so that saves do not take too much time
    self._begun_at = -1  # cycle of the checkpoint that a run is continued from
    self._failed = False  # to write into the directory

  def __enter__(self) -> "_Recorder[AnySearch]":
    return self

  def __exit__(
      self, kind: type[BaseException] | None, error: BaseException | None,
      trace: TracebackType | None,
  ) -> None:
    if self._checkpoints is not None:
      self._checkpoints.__exit__(kind, error, trace)

  def begin(self) -> str:
    """Takes over the run of the directory, or begins one; returns how it ended until now."""
    if self._directory is None or self._checkpoints is None:
      return "running"
    if self._directory.resumed and (self._checkpoints.versions() or self._directory.recorded):
      status = self.restore()
      with self._writing():
        self._directory.save_config()
      return status
    self.save("running")  # also if the run was stopped before its first checkpoint
    return "running"

  def restore(self) -> str:
    """Goes back to the newest checkpoint that is whole; returns how the run had ended then.

    What was found since is dropped, in memory and on the disk, and will be found again. Also
    for a run under way, whose search cannot go on as it is.

    Raises:
      FileNotFoundError: there is no checkpoint.
      ValueError: none is whole, it is one of other settings, or JSON lines are missing;
        nothing was changed then. Or a JSON line is damaged.
    """
    assert self._directory is not None and self._checkpoints is not None
    with self._writing():
      self._checkpoints.wait()
    version, state, info, damaged = self._checkpoints.load()
    if info["config_hash"] != config_hash(self._settings):
      require_same(state["settings"], self._settings, self._directory.path)
    if damaged:
      print(f"warning: passing over what is damaged in '{self._checkpoints.path}' "
            f"({'; '.join(damaged)}); going on from version {version} of {info['saved']}.",
            file=sys.stderr)
    self._directory.cut(state["sizes"])
    self._checkpoints.drop_after(version)
    self._search.restore(state["search"])
    if self._condition is not None:
      self._condition.restore(state["condition"])
    self.metrics = self._directory.read_metrics()
    self.improvements = [
        Improvement(**fields)
        for fields in found_in(self._search.space_of, state["improvements"])]
    self._start = time.monotonic() - state["seconds"]
    self._before = Counts(**state["counts_before"])
    self._begun_at = self._search.cycle
    self._last_save = time.monotonic()
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
      with self._writing():
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
    if self._directory is not None and not self._failed:
      with self._writing():
        self._directory.add_metrics(self.metrics[-1])
        self._directory.save_hall_of_fame(self._search.hall_of_fame)

  def save_if_due(self) -> None:
    """Saves a checkpoint, while the search goes on, if it is time."""
    if self._checkpoints is None:
      return
    with self._writing():
      self._checkpoints.poll()
    pause = max(self._interval, self._pause) if self._interval else 0.0
    start = time.monotonic()
    if start - self._last_save >= pause:
      self._save("running", wait=False)
      self._pause = (time.monotonic() - start) / WAITING_SHARE

  def save(self, status: str) -> None:
    """Saves a checkpoint, if there is a directory, and waits until it is written."""
    if self._checkpoints is not None:
      self._save(status, wait=True)

  def _save(self, status: str, *, wait: bool) -> None:
    assert self._directory is not None and self._checkpoints is not None
    now = datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    with self._writing():
      if status in ("budget", "stopped"):
        self._directory.save_hall_of_fame(self._search.hall_of_fame, final=True)
      self._checkpoints.save(
          {
              "settings": self._settings, "status": status, "seconds": self.seconds(),
              "counts_before": dataclasses.asdict(self._before),
              "sizes": self._directory.sizes(), "search": self._search.state(),
              "condition": None if self._condition is None else self._condition.state(),
              "improvements": found_state(self._search.space_of(0), self.improvements),
          },
          {
              "config_hash": config_hash(self._settings), "status": status,
              "cycle": self._search.cycle, "saved": now,
          },
          wait=wait)
    self._last_save = time.monotonic()

  @contextlib.contextmanager
  def _writing(self) -> Iterator[None]:
    """Says what an error in writing means for the run; nothing is written after it."""
    assert self._directory is not None and self._checkpoints is not None
    try:
      yield
    except OSError as error:
      self._failed = True
      path = self._directory.path
      advice = "No checkpoint was saved yet: mend this, and start a new run."
      if self._checkpoints.newest is not None:
        version, info = self._checkpoints.newest
        advice = (
            f"The last checkpoint, version {version} of {info['saved']}, is whole: mend this, "
            f"and continue the run from there with --resume={path}.")
      raise RunWriteError(
          error.errno, f"The run stopped because its directory '{path}' could not be written: "
          f"{error.strerror or error}. {advice}") from error


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
  """Turns the first Ctrl-C or SIGTERM into a flag; a second one interrupts at once."""
  flag = threading.Event()
  if threading.current_thread() is not threading.main_thread():
    yield flag.is_set  # only the main thread may handle signals
    return

  def handle(signum: int, frame: Any) -> None:
    if flag.is_set():
      raise KeyboardInterrupt
    flag.set()

  previous = [signal.signal(number, handle) for number in _SIGNALS]
  try:
    yield flag.is_set
  finally:
    for number, handler in zip(_SIGNALS, previous):
      signal.signal(number, handler or signal.SIG_DFL)  # None: it was not set from Python
