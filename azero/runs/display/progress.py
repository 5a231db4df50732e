"""Progress that works in a terminal, in a log file and in Jupyter, and can be silenced."""

from collections.abc import Callable
import sys
import time
from typing import TextIO

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

PROGRESS = ("auto", "plain", "off")

_LOG_SECONDS = 10.0  # between lines where they cannot be overwritten
_LIVE_SECONDS = 0.5


class Progress:
  """Shows the latest state: in place if possible, else as an occasional log line.

  A context manager: whatever happens inside, the terminal is left as it was.
  """

  def __init__(self, mode: str = "auto", stream: TextIO | None = None):
    """Chooses how to show progress.

    Args:
      mode: "auto"; "plain" for log lines in a terminal and in Jupyter, too; or "off".
      stream: where to write outside Jupyter; default standard error.

    Raises:
      ValueError: unknown mode.
    """
    if mode not in PROGRESS:
      raise ValueError(f"progress must be one of {', '.join(PROGRESS)}, got {mode!r}.")
    self._off = mode == "off"
    self._stream = stream or sys.stderr
    self._display = _jupyter_display() if mode == "auto" else None
    self._console: Console | None = None
    self._live: Live | None = None
    if mode == "auto" and self._display is None and self._stream.isatty():
      console = Console(file=self._stream, force_terminal=True)
      if not console.is_dumb_terminal:  # one that cannot overwrite
        self._console = console
    self._last_shown = -float("inf")

  def __enter__(self) -> "Progress":
    return self

  def __exit__(self, *unused: object) -> None:
    self._stop()

  def due(self) -> bool:
    """Whether enough time has passed to show something again."""
    in_place = self._console is not None or self._display is not None
    seconds = _LIVE_SECONDS if in_place else _LOG_SECONDS
    return not self._off and time.monotonic() - self._last_shown >= seconds

  def show(
      self, line: str, *, picture: Callable[[], RenderableType] | None = None,
      final: bool = False, passing: bool = False,
  ) -> None:
    """Shows a line, or in a terminal a picture.

    Args:
      line: what a log file gets.
      picture: makes what a terminal shows in place of the line until the final one.
      final: the line stays.
      passing: the next state may be shown at once.
    """
    if self._off:
      return
    if not passing:
      self._last_shown = time.monotonic()
    if self._display is not None:
      self._display.update({"text/plain": line}, raw=True)
    elif self._console is not None and not final:
      self._draw(self._console, Text(line) if picture is None else picture())
    else:
      self._stop()
      self._stream.write(line + "\n")
    self._stream.flush()

  def _draw(self, console: Console, picture: RenderableType) -> None:
    if isinstance(picture, Text):
      picture.no_wrap, picture.overflow = True, "ellipsis"
    if self._live is None:
      # What the program prints meanwhile goes above the picture. Where standard output is no
      # terminal, nothing needs to be done: it must stay where it is.
      self._live = Live(
          console=console, auto_refresh=False, transient=True,
          redirect_stdout=sys.stdout.isatty(), redirect_stderr=sys.stderr.isatty())
      self._live.start()
    self._live.update(picture, refresh=True)

  def _stop(self) -> None:
    if self._live is not None:
      self._live.stop()
      self._live = None


def _jupyter_display():
  """A display that can be updated, if this is a Jupyter kernel; else None."""
  try:
    from IPython import get_ipython
    from IPython.display import display
  except ImportError:
    return None
  shell = get_ipython()
  if shell is None or not hasattr(shell, "kernel"):
    return None
  return display({"text/plain": ""}, raw=True, display_id=True)
