"""The chosen program of a study made simple, and what each part of it is worth, for its report.

Supplements S6 and S8 of the AutoML-Zero paper, in seconds: on few tasks, which neither search nor
selection saw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.frame import lazy

with lazy.imports():
  from azero import insight

if TYPE_CHECKING:
  from azero.language.program import Programs
  from azero.search.config import SearchConfig
  from azero.tasks.task import Tasks

_MOST_TASKS = 20
_EXAMPLES = 200_000  # that each variant trains on, over all tasks


def dissect(program: Programs, tasks: Tasks, config: SearchConfig) -> dict[str, Any]:
  """Simplifies a program as far as its predictions stay the same, and ablates it.

  Args:
    program: a batch of one.
    tasks: to measure on, of which some are taken.
    config: how the search evaluated.

  Returns:
    "simplification" and "ablations" as `insight` writes them, or nothing for a program that fails
    on all of the tasks.
  """
  most = max(2, min(_MOST_TASKS, _EXAMPLES // (tasks.num_train * config.num_epochs)))
  bench = insight.Bench(tasks[:most], **config.evaluator_settings() | {"combine": "mean"})
  try:
    simple = insight.simplify(program, bench)
    return {
        "simplification": simple.as_dict(),
        "ablations": insight.ablate(simple.program, bench).as_dict()}
  except ValueError as error:
    print(f"The program is not taken apart: {error}")
    return {}
