"""What a run has found, kept in memory and in its directory, with checkpoints to continue from."""

from collections.abc import Callable, Iterator, Mapping
import contextlib
import datetime
import shlex
import sys
import time
from types import TracebackType
from typing import Any, Generic, TypeVar

from azero import files
from azero.runs.checkpoints import CheckpointError, Checkpoints
from azero.runs.directory import (
  CHECKPOINTS,
  LINES,
  RunDirectory,
  config_hash,
  require_same,
  settings_of,
)
from azero.runs.display.tensorboard import Curves
from azero.runs.metrics import Meter, check_meter, workers_of
from azero.runs.stopping import StopSettings
from azero.search import checked_state
from azero.search.protocol import Searching, WorkerLost
from azero.search.state import Stateful, check_found, found_in, found_state
from azero.search.threads import Improvement

SCHEMA = 7  # of what a checkpoint holds; to be raised when a state changes its meaning
# Of the time, at most, that a search waits for checkpoints. Writing them, in the background,
# takes up to three times as much of one core.
WAITING_SHARE = 1 / 150

_STATUSES = ("running", "budget", "stopped", "interrupted")
_REPORT_SECONDS = 2.0  # between saves of the hall of fame, and between lines of metrics at least
# Between two lines of metrics, too: of the time of the run, and at most. So neither the file nor
# the memory for them grows with a run of days as it does in its first minutes.
_METRICS_SHARE, _METRICS_SECONDS = 1 / 1000, 60.0
_WORKERS_SECONDS = 10.0  # between notes of every island and saves of lineages, at least
_WORKERS_SHARE = 1 / 50  # of the time, at most, that these take: lineages of long programs are slow
_WARNING_SECONDS = 60.0  # between two warnings of a disk that is full
_MAX_LOSSES = 5  # of parts of a search, between two checkpoints

AnySearch = TypeVar("AnySearch", bound=Searching)


class RunWriteError(OSError):
  """A run whose directory cannot be written: says what is there and how to go on."""

  def __str__(self) -> str:
    return self.strerror or ""


class Recorder(Generic[AnySearch]):
  """What a run has found, in memory and in its directory if it has one.

  A context manager: it waits for a checkpoint that is being written.

  Attributes:
    metrics: what was reported, in order.
    improvements: every new best of an island, in order.
  """

  def __init__(
      self, search: AnySearch, directory: RunDirectory | None,
      condition: Callable[[AnySearch], bool] | None, checkpoint_seconds: float, tensorboard: bool,
      stop: StopSettings = StopSettings(),
  ):
    self.metrics: list[dict[str, Any]] = []
    self.improvements: list[Improvement] = []
    self._search = search
    self._directory = directory
    self._checkpoints = None if directory is None else Checkpoints(
        directory.path / CHECKPOINTS, schema=SCHEMA)
    self._condition = condition if isinstance(condition, Stateful) else None
    self._interval = checkpoint_seconds
    self._settings = settings_of(search)
    self._meter = Meter(search, stop.max_seconds)
    self._tensorboard = tensorboard
    self._curves: Curves | None = None
    self._last_report = self._last_workers = self._last_save = -float("inf")
    self._last_metrics = -float("inf")  # seconds of the run
    self._workers_pause = 0.0
    self._pause = 0.0  # seconds after the last save, so that saves do not take too much time
    self._begun_at = -1  # programs of the checkpoint that a run is continued from
    self._failed = False  # to write into the directory, or to restore what belongs into it
    # An asynchronous search waits for nothing, not even for room on the disk.
    self._goes_on = getattr(search, "asynchronous", False)
    self._warned = -float("inf")
    self._new_improvements: list[Improvement] = []  # not written yet, nor are these:
    self._new_metrics: list[dict[str, Any]] = []
    self._waited = 0.0  # seconds for checkpoints, in this part of the run
    self._losses = 0  # of parts of the search, since the last checkpoint

  def __enter__(self) -> "Recorder[AnySearch]":
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
    status = "running"
    if self._directory.resumed and (self._checkpoints.versions() or self._directory.recorded):
      status = self.restore()
    else:
      self.save(status)  # also if the run was stopped before its first checkpoint
      self._begin_curves()
    if self._directory.resumed:
      with self._writing():
        self._directory.save_config()
    return status

  def restore(self, *, under_way: bool = False) -> str:
    """Goes back to the newest checkpoint that is whole; returns how the run had ended then.

    What was found since is dropped, in memory and on the disk, and will be found again.

    Args:
      under_way: whether it is for a run whose search cannot go on as it is. Its clock goes on.

    Raises:
      FileNotFoundError: there is no checkpoint.
      ValueError: none is whole, it is one of other settings, or JSON lines are missing;
        nothing was changed in the directory then. Or a JSON line is damaged.
    """
    assert self._directory is not None and self._checkpoints is not None
    with self._writing():
      self._checkpoints.wait()
    self._failed = True  # in between, what is in memory must not replace what was found
    version, state, info, damaged = self._checkpoints.load()
    with self._foreign_refused(version):
      if info["config_hash"] != config_hash(self._settings):
        require_same(state["settings"], self._settings, self._directory.path)
      self._check(state, info)
      self._search.restore(state["search"])
      if self._condition is not None:
        self._condition.restore(state["condition"])
      improvements = [
          Improvement(**fields)
          for fields in found_in(self._search.space_of, state["improvements"])]
      if under_way:
        self._meter.begin_recent()
      else:
        self._meter.restore(state["meter"])
    if damaged:
      print(f"warning: passing over what is damaged in '{self._checkpoints.path}' "
            f"({'; '.join(damaged)}); going on from version {version} of {info['saved']}.",
            file=sys.stderr)
    with self._writing():
      self._directory.cut(state["sizes"], self._islands_of_groups())
      self._checkpoints.drop_after(version)
    self._failed = False
    self._new_improvements, self._new_metrics = [], []
    self._last_metrics = -float("inf")
    self.metrics = self._directory.read_metrics()
    self.improvements = improvements
    self._begun_at = self._search.counts.programs
    self._last_save = time.monotonic()
    self._begin_curves()
    return state["status"]

  def _check(self, state: Mapping[str, Any], info: Mapping[str, Any]) -> None:
    """Refuses a state that this run cannot have saved, but for the search's part of it.

    Raises:
      StateError: says what is wrong.
    """
    if not isinstance(info.get("saved"), str):
      raise checked_state.StateError("it does not say when it was saved")
    if state.get("status") not in _STATUSES:
      raise checked_state.StateError("'status' is none")
    sizes = checked_state.part(state, "sizes")
    if sizes.keys() != set(LINES):
      raise checked_state.StateError("'sizes' are not those of the JSON lines")
    for name in sizes:
      checked_state.whole(sizes, name)
    check_found(
        self._search.space_of(0), checked_state.part(state, "improvements"),
        len(self._search.best_fitness))
    check_meter(checked_state.part(state, "meter"))

  @contextlib.contextmanager
  def _foreign_refused(self, version: int) -> Iterator[None]:
    """Says what to do about a state whose checksums are right and which no run like this saved.

    Nothing in the directory was changed by then.

    Raises:
      CheckpointError: it is one.
    """
    try:
      yield
    except (AttributeError, LookupError, OverflowError, RecursionError, TypeError,
            checked_state.StateError) as error:
      assert self._checkpoints is not None
      path = self._checkpoints.directory(version)
      reason = files.shortened(str(error)) or type(error).__name__
      raise CheckpointError(
          f"The checkpoint '{path}' is whole by its checksums, but holds no state of this search "
          f"({reason}): another version of azero has written it, or somebody has changed it. Put a "
          "copy of it back, or remove it, so that the version before it is taken; else start a "
          "new run.") from error

  def go_back(self, lost: WorkerLost) -> None:
    """Goes back to the last checkpoint, since a part of the search is gone.

    Raises:
      WorkerLost: there is no checkpoint, too many losses without a new one, or an asynchronous
        search that has itself replaced the part too often.
    """
    self._losses += 1
    if self._checkpoints is None:
      raise WorkerLost(
          f"{lost} A search without a run directory has nothing to go back to.") from lost
    assert self._directory is not None
    path = shlex.quote(str(self._directory.path))
    advice = f"--resume={path} continues from the last checkpoint."
    if self._goes_on:
      raise WorkerLost(f"{lost} {advice}") from lost
    if self._losses > _MAX_LOSSES:
      raise WorkerLost(
          f"{lost} That was loss {self._losses} since the last checkpoint; {advice}") from lost
    print(f"warning: {lost} Going back to the last checkpoint.", file=sys.stderr)
    try:
      self.restore(under_way=True)
    except WorkerLost as again:
      raise WorkerLost(f"{again} {advice}") from again

  def _islands_of_groups(self) -> list[int]:
    """How many islands each group has whose fitnesses can be compared."""
    groups = self._settings.get("groups", {}).values()
    return [group["islands"] for group in groups] or [self._search.num_islands]

  def _begin_curves(self) -> None:
    if self._curves is not None:
      self._curves.close()
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
      self._new_improvements += found
      with self._writing():
        self._write_lines()
    if time.monotonic() - self._last_report >= _REPORT_SECONDS:
      self._last_report = time.monotonic()
      self._report("running")

  def end(self, status: str) -> None:
    """Reports how the run ended, unless it was continued only to find that it had ended so."""
    self._goes_on &= status == "running"  # what cannot be written at the end is an error
    known = self.metrics and self.metrics[-1].get("status") == status
    if self._search.counts.programs != self._begun_at or not known:
      self._last_workers = self._last_metrics = -float("inf")
      self._report(status)
    if self._curves is not None and not self._failed:
      self._curves.close()

  def _report(self, status: str) -> None:
    seconds = self.seconds()
    pause = min(_METRICS_SHARE * seconds, _METRICS_SECONDS)
    due = seconds - self._last_metrics >= pause
    if due:
      self._last_metrics = seconds
      self.metrics.append(self._meter.report() | {
          "status": status, "checkpoint_wait_seconds": round(self._waited, 3)})
    else:
      self._meter.mark()
    if self._directory is None or self._failed:
      return
    if due:
      self._new_metrics.append(self.metrics[-1])
    with self._writing():
      self._write_lines()
      start = time.monotonic()
      rarely = start - self._last_workers >= max(_WORKERS_SECONDS, self._workers_pause)
      if rarely:  # also if it cannot be written
        self._last_workers = start
      self._directory.save_best(
          self._search.hall_of_fame, self._search.front, lineages=rarely)
      if due and self._curves is not None:
        self._curves.add(self.metrics[-1])
      if rarely:
        self._directory.save_workers(self.seconds(), workers_of(self._search))
        self._workers_pause = (time.monotonic() - start) / _WORKERS_SHARE

  def _write_lines(self) -> None:
    """Writes the lines that are not in the directory yet."""
    assert self._directory is not None
    self._directory.add_improvements(self._new_improvements)
    self._new_improvements = []
    while self._new_metrics:
      self._directory.add_metrics(self._new_metrics[0])
      del self._new_metrics[0]

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
      # Also what others spend on their part of a state counts here.
      self._pause = (time.monotonic() - start) / WAITING_SHARE

  def save(self, status: str) -> None:
    """Saves a checkpoint, if there is a directory, and waits until it is written."""
    if self._checkpoints is None:
      return
    try:
      self._save(status, wait=True)
    except WorkerLost as lost:
      if status == "running" or self._checkpoints.newest is None:
        raise
      # Nothing else of the search is needed any more.
      print(f"warning: {lost} The last checkpoint is of before the end.", file=sys.stderr)

  def _save(self, status: str, *, wait: bool) -> None:
    assert self._directory is not None and self._checkpoints is not None
    start = time.monotonic()
    state = self._search.state()
    if getattr(self._search, "works_while_saved", False):
      start = time.monotonic()
    now = datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    with self._writing():
      self._write_lines()  # a checkpoint counts them
      final = status in ("budget", "stopped")
      if final or len(self._search.hall_of_fame):  # never older than a checkpoint beside it
        # A budget, a smaller one too, decides what is found, if the search is reproducible; other
        # ends may come before all is found again.
        decided = status == "budget" and not getattr(self._search, "asynchronous", False)
        self._directory.save_best(
            self._search.hall_of_fame, self._search.front, lineages=final, final=decided)
      self._checkpoints.save(
          {
              "settings": self._settings, "status": status, "meter": self._meter.state(),
              "sizes": self._directory.sizes(), "search": state,
              "condition": None if self._condition is None else self._condition.state(),
              "improvements": found_state(self._search.space_of(0), self.improvements),
          },
          {
              "config_hash": config_hash(self._settings), "status": status,
              "cycle": self._search.cycle, "saved": now,
          },
          wait=wait)
      self._losses = 0
    self._last_save = time.monotonic()
    self._waited += self._last_save - start

  @contextlib.contextmanager
  def _writing(self) -> Iterator[None]:
    """Says what an error in writing means for the run.

    Nothing is written after it, but by a search that goes on: it tries again next time.
    """
    assert self._directory is not None and self._checkpoints is not None
    try:
      yield
    except OSError as error:
      if self._goes_on:
        self._warn(error)
        return
      self._failed = True
      with contextlib.suppress(OSError):
        self._checkpoints.wait()  # for one that may be whole yet
      path = self._directory.path
      advice = "No checkpoint was saved yet: mend this, and start a new run."
      if self._checkpoints.newest is not None:
        version, info = self._checkpoints.newest
        advice = (
            f"The last checkpoint, version {version} of {info['saved']}, is whole: mend this, "
            f"and continue the run from there with --resume={shlex.quote(str(path))}.")
      raise RunWriteError(
          error.errno, f"The run stopped because its directory '{path}' could not be written: "
          f"{error.strerror or error}. {advice}") from error

  def _warn(self, error: OSError) -> None:
    if time.monotonic() - self._warned >= _WARNING_SECONDS:
      self._warned = time.monotonic()
      assert self._directory is not None
      print(f"warning: '{self._directory.path}' cannot be written ({error.strerror or error}): the "
            "search goes on, and keeps what it finds in memory until it can.", file=sys.stderr)
