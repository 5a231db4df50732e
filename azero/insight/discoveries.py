"""The discoveries of a search: its largest steps, and what was new in the programs that made them.

After figure 6 of the AutoML-Zero paper, which marks them along the progress of a search.
"""

from collections.abc import Sequence
import difflib

import numpy as np

from azero.compiler import liveness
from azero.language.program import Programs, format_instruction

SMALLEST = 1e-7  # distance of a fitness from 1 that is told from none


def height(fitness: float, metric: str) -> float:
  """What a picture of progress shows: an accuracy itself, else the distance from 1."""
  return fitness if metric == "accuracy" else max(1.0 - fitness, SMALLEST)


def largest_steps(fitness: Sequence[float], metric: str, count: int = 5) -> list[int]:
  """The steps of one island that gained most.

  Args:
    fitness: of its improvements, in order.
    metric: of the tasks, "rms" or "accuracy". Without it distances from 1 count by their
      logarithm, so that the last nines are steps, too.
    count: how many at most.

  Returns:
    Indices of improvements, in order; the first is none.
  """
  heights = np.array([height(value, metric) for value in fitness])
  scale = heights if metric == "accuracy" else -np.log10(heights)
  gains = np.diff(scale, prepend=scale[:1])
  return sorted(int(k) for k in np.argsort(-gains, kind="stable")[:count] if gains[k] > 0)


def new_instructions(old: Programs | None, new: Programs, *, multiclass: bool = False) -> list[str]:
  """Live instructions of a program that another one (None: the empty one) does not have."""
  before = [] if old is None else live_lines(old, multiclass=multiclass)
  after = live_lines(new, multiclass=multiclass)
  matcher = difflib.SequenceMatcher(a=before, b=after, autojunk=False)
  return [line for tag, _, _, start, stop in matcher.get_opcodes()
          if tag in ("insert", "replace") for line in after[start:stop]]


def live_lines(program: Programs, *, multiclass: bool = False) -> list[str]:
  """The live instructions of a program as they are printed."""
  [live] = liveness.live_instructions(program, multiclass=multiclass)
  return [format_instruction(program, slot) for slot in np.flatnonzero(live).tolist()]
