"""Metrics as TensorBoard curves over the programs evaluated so far.

Needs the extra `tensorboard`: tensorboardX, which writes event files without TensorFlow.
"""

from collections.abc import Iterator, Mapping, Sequence
import os
import pathlib
from typing import Any

from azero import lazy

# Metrics that are no curves.
_LEFT_OUT = ("time", "islands", "programs", "seconds_left")


def require() -> None:
  """Refuses to go on without the extra.

  Raises:
    ValueError: it is not installed.
  """
  lazy.require(
      "tensorboardX", extra="tensorboard", purpose="TensorBoard curves",
      otherwise="Without --tensorboard metrics.jsonl has the same numbers.")


class Curves:
  """Writes rows of metrics as curves: `tensorboard --logdir=DIRECTORY` shows them."""

  def __init__(self, directory: str | os.PathLike, rows: Sequence[Mapping[str, Any]] = ()):
    """Begins a new events file.

    Args:
      directory: of the curves.
      rows: what a continued run has reported so far. If the directory has curves, they are
        cut after these; else they are written first.

    Raises:
      ValueError: the extra is not installed.
    """
    require()
    import tensorboardX

    path = pathlib.Path(directory)
    files = len(list(path.glob("events.*")))
    continued = files > 0
    # TensorBoard drops what earlier files have from the step on at which a file says it begins.
    self._last_step = rows[-1]["programs"] if rows else -1
    # A name has only whole seconds: without a number, a file could replace another.
    self._writer = tensorboardX.SummaryWriter(
        str(path), purge_step=self._last_step + 1 if continued else None,
        filename_suffix=f".{files:04}")
    if not continued:
      self._last_step = -1
      for row in rows:
        self.add(row)

  def add(self, row: Mapping[str, Any]) -> None:
    """Adds a point to every curve, unless there is one at so many programs already."""
    step = row["programs"]
    if step <= self._last_step:
      return
    self._last_step = step
    for name, value in _flat(row):
      self._writer.add_scalar(name, value, step, walltime=row["time"])

  def close(self) -> None:
    """Ends the file."""
    self._writer.close()


def _flat(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
  for name, value in row.items():
    if name == "groups":
      for group, part in value.items():
        yield from ((f"{group}/{key}", number) for key, number in part.items())
    elif isinstance(value, int | float) and name not in _LEFT_OUT:
      yield f"search/{name}", value
