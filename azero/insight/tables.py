"""Tables of findings as text and Markdown, and the cells of intervals; for HTML see `html_text`."""

from collections.abc import Sequence
import math
from typing import Any

from azero.insight.statistics import Interval


def plain(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
  """A table whose columns stand below each other."""
  lines = [header, *rows]
  widths = [max(len(line[k]) for line in lines) for k in range(len(header))]
  return "\n".join(
      "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths)).rstrip()
      for line in lines)


def markdown(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
  """A Markdown table."""
  lines = [header, ["---"] * len(header), *rows]
  return "\n".join(
      "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def interval_cells(interval: Interval) -> tuple[str, str]:
  """An estimate, and its interval."""
  if not math.isfinite(interval.high - interval.low):
    return f"{interval.estimate:+.4f}", "-"
  return f"{interval.estimate:+.4f}", f"{interval.low:+.4f} to {interval.high:+.4f}"


def interval_dict(interval: Interval) -> dict[str, float | None]:
  """An interval as JSON can hold it: None for a bound that there is not."""
  return {
      name: value if math.isfinite(value) else None
      for name, value in (("estimate", interval.estimate), ("low", interval.low),
                          ("high", interval.high))}
