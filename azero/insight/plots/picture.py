"""A figure that shows itself in Jupyter, for all plots."""

import io

from matplotlib.figure import Figure


class Picture(Figure):
  """A figure that Jupyter shows, whatever backend is set up there.

  Not of pyplot, which would hold on to every figure of a process.
  """

  def _repr_png_(self) -> bytes:
    buffer = io.BytesIO()
    self.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()
