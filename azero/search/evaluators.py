"""What a search needs of whatever evaluates its programs.

`executors.evaluator.Evaluator` offers it, and is what a search uses if it is not told
otherwise. Anything else that does serves as well: one that asks another machine, or a toy by
which tests of records and budgets need no device.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from azero.compiler import canonical
from azero.executors.evaluator import Evaluation
from azero.language.program import Programs


class Pending(Protocol):
  """An evaluation under way."""

  def result(self) -> Evaluation:
    """Waits for it."""


class ProgramEvaluator(Protocol):
  """Evaluates programs of one space on task sets of one shape.

  What a program gets must not depend on the other programs of a call.
  """

  def analyse(self, programs: Programs) -> canonical.Analysis:
    """Live instructions and canonical keys, by which copies are known."""

  def plan(self, programs: Programs, analysis: canonical.Analysis) -> Any:
    """Prepares N programs.

    The plan serves every evaluator of the kind, whatever its number of examples; its
    `take(rows)` is the plan of some of the programs.
    """

  def launch(self, plan: Any, task_sets: np.ndarray) -> Pending:
    """Starts the N programs of a plan on the task sets, [N] int, and returns meanwhile."""


# Makes one of a space, its task sets and the settings of `Evaluator`, by their names: combine,
# num_epochs, max_abs_error, seed, dtype, num_devices, lanes, executor and fingerprint, which
# says whether evaluations are to tell a hash of the predictions.
MakeEvaluator = Callable[..., ProgramEvaluator]
