"""Says what to do when Ray has ended the process of a search without a word.

Where the object store of this machine is gone, as with a head that is killed, Ray ends a process
that is just using it, in C++ (`_Exit`, status 1): no error is raised, nothing of Python is run any
more. So another process waits at a pipe: if that is closed before it was dismissed, it speaks.

    python -m azero.distributed.last_word
"""

import atexit
import contextlib
import subprocess
import sys

_DISMISSED = b"."
MESSAGE = (
    "The process of the search has ended without a word: it was killed, or Ray has ended it, since "
    "Ray's part on this machine is gone. What was found until the last checkpoint is in the run "
    "directory; start Ray again, and continue with --resume.")

_speakers: list[subprocess.Popen] = []


def promise() -> None:
  """Has the last word said if this process ends without one of its own."""
  if _speakers:
    return
  # Not to be ended by a Ctrl-C that is meant for the search.
  speaker = subprocess.Popen(
      [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
      start_new_session=True)
  _speakers.append(speaker)
  atexit.register(dismiss)


def dismiss() -> None:
  """Has nothing said: this process ends with a word of its own."""
  while _speakers:
    with contextlib.suppress(OSError):  # it was killed
      _speakers.pop().communicate(_DISMISSED)


def main() -> None:
  """Waits for the end of a process, and speaks if it was not dismissed by then."""
  if sys.stdin.buffer.read() != _DISMISSED:
    print(MESSAGE, file=sys.stderr)


if __name__ == "__main__":
  main()
