"""Keeps one false alarm of XLA from standard error, and nothing else.

For processors with AVX-512 XLA compiles with two preferences, prefer-no-gather and
prefer-no-scatter. They choose between instructions that the processor has, so no processor lists
them among its features; but XLA looks them up there whenever it loads an executable, and says
twice, in a line of 3,000 characters each, that this one "could lead to execution errors such as
SIGILL" (openxla/xla#44565). They cannot be compiled without, and taken out of an executable they
are put back when it is loaded; XLA's log level would hide every other error as well. So the lines
themselves are taken out, while an executable is loaded that was compiled so.
"""

from collections.abc import Iterator
import contextlib
import os
import re
import sys
import tempfile
import threading

# The whole of such a line; of any other feature it is no false alarm.
_FALSE_ALARM = re.compile(
    rb"^E[^\n]* cpu_aot_loader\.cc:\d+\] Loading XLA:CPU AOT result\. Target machine feature "
    rb"\+prefer-no-(?:gather|scatter) is not +supported on the host machine\.[^\n]*\n?",
    re.MULTILINE)
_STDERR = 2
_lock = threading.Lock()  # the descriptor is that of the whole process


def may_alarm(executable: bytes) -> bool:
  """Whether a serialised executable was compiled for AVX-512, and so with the preferences."""
  return b"+avx512" in executable


def without_false_alarms(output: bytes) -> bytes:
  """What XLA wrote, but for the lines about the two preferences."""
  return _FALSE_ALARM.sub(b"", output)


@contextlib.contextmanager
def loading() -> Iterator[None]:
  """Leaves the false alarms out of what is written to standard error meanwhile.

  All else, of any thread, is written as it is, if only at the end: so keep it short.
  """
  with _lock, contextlib.ExitStack() as stack:
    try:
      written = stack.enter_context(tempfile.TemporaryFile())
      kept = os.dup(_STDERR)
    except OSError:  # no room for a file, or no standard error
      yield
      return
    stack.callback(os.close, kept)
    _flush()
    os.dup2(written.fileno(), _STDERR)
    try:
      yield
    finally:
      _flush()
      os.dup2(kept, _STDERR)
      written.seek(0)
      rest = without_false_alarms(written.read())
      while rest:
        rest = rest[os.write(_STDERR, rest):]


def _flush() -> None:
  if sys.stderr is not None:  # of a process without one
    sys.stderr.flush()
