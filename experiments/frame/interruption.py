"""What Ctrl-C and SIGTERM do to an experiment that runs from the command line.

The first one ends a search, which is saved, judged and reported; see `runner.run`. A second one
ends the process at once, though threads may be compiling or training, and says how to go on.
"""

from collections.abc import Iterator
import contextlib
import os
import pathlib
import shlex
import signal
import sys
import threading
import typing

_received: list[int] = []
_resumable: list[pathlib.Path] = []  # run directories that --resume takes, the newest last
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_leaving = threading.Lock()
_armed: list[bool] = []  # whether the process is that of a command


class Terminated(KeyboardInterrupt):
  """SIGTERM, where no search that is under way takes it."""


def arm() -> None:
  """From now on the process is there for one command: `second_leaves` has an effect.

  Outside of searches SIGTERM is an interrupt as Ctrl-C is.
  """
  _armed.append(True)
  signal.signal(signal.SIGTERM, _terminate)


def _terminate(signum: int, frame: typing.Any) -> typing.NoReturn:
  raise Terminated


def signum_of(interrupt: KeyboardInterrupt) -> signal.Signals:
  """The signal that has come as this interrupt."""
  return signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT


def note(signum: int) -> None:
  """A run has ended early, with everything saved, because of this signal."""
  _received.append(signum)


def exit_status() -> int:
  """As shells have it: 128 and the number of the signal, or 0 without one."""
  return 128 + _received[-1] if _received else 0


def note_directory(path: pathlib.Path) -> None:
  """A run directory that --resume can continue is in use."""
  _resumable.append(path)


def leave(signum: int) -> typing.NoReturn:
  """Ends the process at once, whatever its threads do, and says what is left of the run."""
  _leaving.acquire()  # for good: who comes second waits for the end
  advice = ""
  if _resumable:
    path = shlex.quote(str(_resumable[-1]))
    advice = f"; --resume={path} continues from its last checkpoint"
  stream = sys.__stderr__ or sys.stderr  # past a live view, which may hold the other one
  if stream.isatty():
    stream.write("\x1b[?25h")  # the cursor, which a live view hides
  stream.write(
      f"\ninterrupted: what a run directory holds by now is complete and readable{advice}\n")
  stream.flush()
  sys.stdout.flush()
  if "azero.distributed.last_word" in sys.modules:  # else nobody was promised one
    sys.modules["azero.distributed.last_word"].dismiss()
  os._exit(128 + signum)


@contextlib.contextmanager
def second_leaves() -> Iterator[None]:
  """Within the block a second signal ends the process, if that is one for a command.

  Python's own handlers wait until the main thread has done what it is at, which may be a
  compilation, and take two signals that came meanwhile for one. So a thread listens.
  """
  if not _armed:
    yield
    return
  reader, writer = os.pipe()
  os.set_blocking(writer, False)
  before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
  threading.Thread(target=_listen, args=(reader,), daemon=True).start()
  try:
    yield
  finally:
    signal.set_wakeup_fd(before)
    os.close(writer)  # which ends the thread


def _listen(reader: int) -> None:
  count = 0
  while signum := os.read(reader, 1):
    count += signum[0] in _SIGNALS
    if count == 2:
      leave(signum[0])
  os.close(reader)
