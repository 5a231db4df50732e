"""The tasks on which a program is explained: their names, and what is known of them."""

from __future__ import annotations

import functools
import pathlib
from typing import TYPE_CHECKING, Any

from experiments.frame import lazy

with lazy.imports():
  from azero import export, files
  from azero.language import zoo
  from azero.report import facts
  from azero.runs import reader
  from azero.tasks import synthetic
  from azero.tasks.images import digits

if TYPE_CHECKING:
  from azero.tasks.task import Tasks

SYNTHETIC, DIGITS = ("linear", "affine", "teacher"), ("pairs", "groups", "ten_classes")
NAMES = (*SYNTHETIC, *DIGITS)
_JSON = ".json"


def make(config: Any, num_features: int) -> Tasks | None:
  """The tasks of a name; None without one.

  Raises:
    ValueError: sizes that they cannot have.
  """
  make_tasks: Any = None
  if config.tasks in DIGITS:
    make_tasks = functools.partial(digits.projected_digits, config.tasks, "final")
  elif config.tasks in SYNTHETIC:
    make_tasks = getattr(synthetic, f"{config.tasks}_regression")
  return make_tasks and make_tasks(
      num_tasks=config.num_tasks, seed=config.evaluation.seed, num_features=num_features)


def num_features_of(config: Any, program: str) -> int | None:
  """F where neither a setting nor a file of tasks tells it; None if a file of JSON does.

  Args:
    config: the settings.
    program: a file or a name of the zoo.
  """
  if config.tasks in DIGITS:
    return 16
  return None if program.endswith(_JSON) else 4


def num_classes_of(config: Any, program: str) -> int:
  """How many classes the tasks of a program have, where no file of tasks tells it.

  Args:
    config: the settings.
    program: a run directory, a file or a name of the zoo.
  """
  if config.tasks == "ten_classes" or (program in zoo.names() and zoo.is_multiclass(program)):
    return max(config.num_classes or 0, 3)
  if config.num_classes is None and config.tasks is None and config.run and reader.is_run(
      pathlib.Path(program)):
    return facts.num_classes_of(reader.read_run(program))
  if config.num_classes is None and config.tasks is None and program.endswith(_JSON):
    return export.num_classes_in(files.read_text(pathlib.Path(program), setting="--program: ")) or 0
  return config.num_classes or 0
