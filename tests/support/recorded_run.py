"""A run that stops with an error and is continued, whose writing a test records.

Its argument is the directory. The last cycle before the error has lines and no checkpoint.
"""

import pathlib
import sys

import conftest  # noqa: F401  the settings of JAX
from support.search_cases import FIXED, config, tasks
from support.toy_evaluator import ToyEvaluator

from azero.runs import recorder, runner
from azero.runs.directory import RunDirectory, settings_of
from azero.search.evolution import Evolution


def make() -> Evolution:
  """The search of the run."""
  settings = config(fingerprint=False, cycles_per_step=2, max_programs=22, seed=1)
  return Evolution(FIXED, tasks(3), settings, evaluator=ToyEvaluator)


def run(path: pathlib.Path, **arguments) -> runner.RunResult:
  """Begins or continues the run, with a checkpoint and a report after every step."""
  search = make()
  recorder._REPORT_SECONDS = recorder._WORKERS_SECONDS = 0.0
  recorder._WORKERS_SHARE = float("inf")
  directory = RunDirectory.open if path.exists() else RunDirectory
  return runner.run(
      search, directory=directory(path, settings_of(search)), progress="off", checkpoint_seconds=0,
      **arguments)


def fail(search) -> bool:
  if search.cycle == 6:
    raise RuntimeError("mine")
  return False


if __name__ == "__main__":
  try:
    run(pathlib.Path(sys.argv[1]), should_stop=fail)
  except RuntimeError:
    run(pathlib.Path(sys.argv[1]))
