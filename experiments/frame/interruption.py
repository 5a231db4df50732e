"""Remembers that a signal interrupted a run, for the exit status of the process."""

_received: list[int] = []


def note(signum: int) -> None:
  """A run has ended early, with everything saved, because of this signal."""
  _received.append(signum)


def exit_status() -> int:
  """As shells have it: 128 and the number of the signal, or 0 without one."""
  return 128 + _received[-1] if _received else 0
