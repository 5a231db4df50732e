"""How durations are written for people."""


def format_clock(seconds: float, *, hours: bool = False) -> str:
  """Seconds as on a clock: '1:02:03', and below an hour '2:03', or '0:02:03' with `hours`."""
  minutes, rest = divmod(int(seconds), 60)
  whole, minutes = divmod(minutes, 60)
  return f"{whole}:{minutes:02}:{rest:02}" if whole or hours else f"{minutes}:{rest:02}"


def format_duration(seconds: float) -> str:
  """Seconds in words, in the largest unit of which there are two or more: '3.5 minutes'."""
  for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
    if seconds >= 2 * size:
      return f"{seconds / size:,.1f} {unit}"
  return f"{seconds:.0f} s"
