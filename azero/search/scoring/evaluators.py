"""What a search needs of whatever evaluates its programs.

`executors.evaluator.Evaluator` offers it, and is what a search uses if it is not told
otherwise. Anything else that does serves as well: one that asks another machine, or a toy by
which tests of records and budgets need no device.
"""

from collections.abc import Callable
import functools
from typing import Any, Protocol

import numpy as np

from azero.compiler import canonical
from azero.executors.evaluator import Evaluation, Evaluator
from azero.language.program import Programs


class ProgramEvaluator(Protocol):
  """Evaluates programs of one space on task sets of one shape.

  What a program gets must not depend on the other programs of a call, and must be the same for
  programs of one canonical key. The greater its fitness, the better; 0 is that of programs that
  fail, and none is below: the search itself gives 0 to those that it does not let run.
  """

  @property
  def num_devices(self) -> int:
    """Devices, each of which a thread of the search may use at the same time."""

  def plan(self, programs: Programs, analysis: canonical.Analysis) -> Any:
    """Prepares N programs.

    The plan serves every part of the evaluator, too; its `take(rows)` is the plan of some of
    the programs.
    """

  def part(
      self, num_train: int, num_valid: int, *, fingerprint: bool = False) -> "ProgramEvaluator":
    """An evaluator of one epoch of the first examples, with or without fingerprints."""

  def evaluate_plan(self, plan: Any, task_sets: np.ndarray, device: int = 0) -> Evaluation:
    """Evaluates the N programs of a plan on the task sets, [N] int, on a device."""


# Makes one of a space, its task sets and the settings of `Evaluator`, by their names: combine,
# num_epochs, max_abs_error, seed, dtype, num_devices, lanes and executor.
MakeEvaluator = Callable[..., ProgramEvaluator]


def check_maker(makes: Any) -> None:
  """Refuses what cannot make evaluators, such as an evaluator.

  Raises:
    ValueError: it cannot be called.
  """
  if not callable(makes):
    raise ValueError(
        "evaluator must be what makes one, called with the space, its task sets and settings as "
        f"azero/search/scoring/evaluators.py says; got {makes!r:.80}.")


def evaluator_name(makes: MakeEvaluator) -> str | None:
  """What a function or class that makes evaluators is called; None for azero's own."""
  while isinstance(makes, functools.partial):
    makes = makes.func
  if makes is Evaluator:
    return None
  named = makes if hasattr(makes, "__qualname__") else type(makes)
  return f"{named.__module__}.{named.__qualname__}"
