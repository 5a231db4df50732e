"""Runs a search to its end: progress, records, checkpoints, a clean stop by Ctrl-C or SIGTERM."""

from collections.abc import Callable, Iterator
import contextlib
import dataclasses
import signal
import threading
from typing import Any, Generic

from azero import html_text
from azero.runs.directory import RunDirectory
from azero.runs.display import views
from azero.runs.display.progress import Progress
from azero.runs.display.tensorboard import require
from azero.runs.metrics import workers_of
from azero.runs.recorder import AnySearch, Recorder
from azero.runs.stopping import StopSettings
from azero.search.protocol import WorkerLost
from azero.search.threads import Improvement

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclasses.dataclass(frozen=True)
class RunResult(Generic[AnySearch]):
  """How a run ended.

  It can be pickled, but for a search over processes: read again, its search can go on.

  Attributes:
    search: the search, with its hall of fame and best programs.
    status: "budget" (spent), "stopped" (by the condition) or "interrupted" (by Ctrl-C or
      SIGTERM).
    seconds: wall time of the run, while it ran.
    metrics: what was reported, in order; see `metrics.Meter`.
    improvements: every new best of an island, in order.
    signum: number of the signal that interrupted it, if one did.
    reason: which condition of `StopSettings` stopped it, such as "max_seconds=60", or "".
  """

  search: AnySearch
  status: str
  seconds: float
  metrics: list[dict[str, Any]] = dataclasses.field(repr=False)
  improvements: list[Improvement] = dataclasses.field(repr=False)
  signum: int | None = None
  reason: str = ""

  @property
  def ended(self) -> str:
    """How it ended, in words."""
    return _how(self.status, self.reason)

  def _repr_html_(self) -> str:
    """What a notebook shows: how it ended, and the best program."""
    hall = self.search.hall_of_fame
    rows = [("ended by", self.ended), ("seconds", f"{self.seconds:,.1f}"),
            ("programs", f"{int(self.search.num_programs.sum()):,}")]
    if not len(hall):
      return html_text.table((), rows)
    return html_text.table((), [*rows, ("best fitness", f"{hall.best.fitness:.6f}")]) + (
        hall.best.program._repr_html_())


def run(
    search: AnySearch, *, directory: RunDirectory | None = None, progress: str = "auto",
    should_stop: Callable[[AnySearch], bool] | None = None, stop: StopSettings | None = None,
    checkpoint_seconds: float = 60.0, tensorboard: bool = False,
) -> RunResult[AnySearch]:
  """Steps a search until its budget is spent, a condition holds or a signal asks to stop.

  Args:
    search: the search, or a federation of several; may have run before.
    directory: where to record it; default nowhere. If it holds a run that is to be
      continued, the search takes over its state and goes on from there.
    progress: "auto", "plain" or "off"; see `Progress`.
    should_stop: called after every step. To keep a run reproducible it must not look at
      the clock; if it has a memory of its own it must be `Stateful`, so that a run can be
      continued.
    stop: other conditions that end it, the clock among them.
    checkpoint_seconds: time between checkpoints in the directory, or longer if they would slow
      the search down; 0 for one after every step. There is one at the beginning and at the end.
    tensorboard: whether the directory gets TensorBoard curves, too.

  Returns:
    How it ended, of a continued run with all that came before. After Ctrl-C or SIGTERM too: the
    step under way is finished first; a second signal waits for the other threads' parts alone.

  Raises:
    ValueError: the search has no end, a negative time, a run that this search cannot continue, or
      curves without a directory or the extra `tensorboard`.
    OSError: the directory cannot be written, or another process is at the run.
    WorkerLost: a part of a search over processes is gone for good, or without a checkpoint.
  """
  stop = stop or StopSettings()
  check(search, should_stop, checkpoint_seconds, stop)
  check_curves(tensorboard, directory)
  recorder = Recorder(search, directory, should_stop, checkpoint_seconds, tensorboard, stop)
  with (_interruptible() as interrupted, _lock(directory), Progress(progress) as display, recorder):
    status = "running"
    begun = recorder.begin()
    reason = stop.reached(search, recorder.seconds(), recorder.improvements)
    if (reason and not search.finished) or (
        begun == "stopped" and should_stop is not None and should_stop(search)):
      status = "stopped"
    try:
      if status == "running":
        display.show("first step: compiling for every shape of tasks, up to a minute each",
                     passing=True)
      while status == "running":
        try:
          status = _step(search, recorder, display, should_stop, interrupted)
        except WorkerLost as lost:
          recorder.go_back(lost)
        reason = stop.reached(search, recorder.seconds(), recorder.improvements)
        status = "stopped" if reason and status == "running" else status
    finally:  # an error, too, leaves behind all that was found
      recorder.end(status)
    recorder.save(status)
    reason = reason if status == "stopped" else ""
    display.show(f"{views.line(recorder.metrics[-1])} [{_how(status, reason)}]", final=True)
  return RunResult(
      search, status, recorder.seconds(), recorder.metrics, recorder.improvements,
      interrupted() if status == "interrupted" else None, reason)


def _how(status: str, reason: str) -> str:
  """How a run ended, in words."""
  return f"{status}: {reason}" if reason else status


def _step(
    search: AnySearch, recorder: Recorder[AnySearch], display: Progress,
    should_stop: Callable[[AnySearch], bool] | None, interrupted: Callable[[], int | None],
) -> str:
  """One step, if budget is left, with all that follows from it; how the run is then."""
  if search.finished:
    return "budget"
  search.step()
  recorder.after_step()
  if display.due():
    _show(display, search, recorder.measure())
  if should_stop is not None and should_stop(search):
    return "stopped"
  if interrupted():
    display.show("stopping: saving everything; Ctrl-C again to abort", final=True)
    return "interrupted"
  if search.finished:
    return "budget"
  recorder.save_if_due()
  return "running"


def _show(display: Progress, search: AnySearch, row: dict[str, Any]) -> None:
  display.show(views.line(row), picture=lambda: views.picture(row, workers_of(search)))


def _lock(directory: RunDirectory | None) -> contextlib.AbstractContextManager:
  return contextlib.nullcontext() if directory is None else directory.locked()


def check(
    search: AnySearch, should_stop: Callable[[AnySearch], bool] | None, checkpoint_seconds: float,
    stop: StopSettings,
) -> None:
  """Refuses a search without an end, and an impossible time between checkpoints.

  Raises:
    ValueError: the search has no budget and no condition, or a negative time.
    TypeError: a condition that cannot be called.
  """
  if should_stop is not None and not callable(should_stop):
    raise TypeError(f"should_stop must be a function of the search, got {should_stop!r}.")
  if not search.bounded and should_stop is None and not stop.bounded:
    raise ValueError(
        "The search would never end: set max_train_steps, max_programs, max_seconds, patience or "
        "should_stop.")
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
def _interruptible() -> Iterator[Callable[[], int | None]]:
  """Keeps the number of the first Ctrl-C or SIGTERM; a second one interrupts this thread."""
  received: list[int] = []
  if threading.current_thread() is not threading.main_thread():
    yield lambda: None  # only the main thread may handle signals
    return

  def handle(signum: int, frame: Any) -> None:
    if received:
      raise KeyboardInterrupt
    received.append(signum)

  previous = [signal.signal(number, handle) for number in _SIGNALS]
  try:
    yield lambda: received[0] if received else None
  finally:
    for number, handler in zip(_SIGNALS, previous):
      signal.signal(number, handler or signal.SIG_DFL)  # None: it was not set from Python
