"""One line of progress that works in a terminal, in a log file and in Jupyter."""

import shutil
import sys
import time
from typing import TextIO

PROGRESS = ("auto", "off")

_LOG_SECONDS = 10.0  # between lines where they cannot be overwritten
_LIVE_SECONDS = 0.5


class Progress:
  """Shows the latest line of text: in place if possible, else as an occasional log line."""

  def __init__(self, mode: str = "auto", stream: TextIO | None = None):
    """Chooses how to show progress.

    Args:
      mode: "auto" or "off".
      stream: where to write outside Jupyter; default standard error.

    Raises:
      ValueError: unknown mode.
    """
    if mode not in PROGRESS:
      raise ValueError(f"progress must be one of {', '.join(PROGRESS)}, got {mode!r}.")
    self._off = mode == "off"
    self._stream = stream or sys.stderr
    self._display = None if self._off else _jupyter_display()
    self._live = self._display is not None or self._stream.isatty()
    self._last_shown = -float("inf")
    self._width = 0

  def due(self) -> bool:
    """Whether enough time has passed for another line."""
    seconds = _LIVE_SECONDS if self._live else _LOG_SECONDS
    return not self._off and time.monotonic() - self._last_shown >= seconds

  def show(self, line: str, *, final: bool = False) -> None:
    """Shows a line; the final one stays."""
    if self._off:
      return
    self._last_shown = time.monotonic()
    if self._display is not None:
      self._display.update({"text/plain": line}, raw=True)
    elif self._live:
      if not final:  # a line that wraps could not be overwritten
        line = line[: shutil.get_terminal_size().columns - 1]
      # Blanks cover what a longer line left.
      self._stream.write("\r" + line.ljust(self._width) + ("\n" if final else ""))
      self._width = len(line)
    else:
      self._stream.write(line + "\n")
    self._stream.flush()


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
