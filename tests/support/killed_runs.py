"""A process that begins or continues runs in children of its own, for tests that kill them.

Its argument is settings in JSON. Every line that it reads is the directory of a run; it
answers with the number of the child, and with the child's exit status when that has ended. The
children are forks, so that none has to import everything again.
"""

import json
import os
import pathlib
import shutil
import sys
import traceback

import conftest  # noqa: F401  the settings of JAX
import orbax.checkpoint  # noqa: F401  so that no child needs the time
from support.search_cases import FIXED, config, tasks
from support.toy_evaluator import ToyEvaluator

from azero.runs import recorder, runner
from azero.runs.directory import RunDirectory, settings_of
from azero.search.evolution import Evolution

ISLANDS = 3


def begin_or_continue(path: pathlib.Path, settings: dict) -> None:
  search = Evolution(
      FIXED, tasks(ISLANDS), config(cycles_per_step=2, cache_size=64, **settings))
  recorder._REPORT_SECONDS = 0.0
  if path.exists() and not (path / "config.json").exists():
    shutil.rmtree(path)  # as its error message advises
  directory = RunDirectory.open if path.exists() else RunDirectory
  runner.run(
      search, directory=directory(path, settings_of(search)), progress="off",
      checkpoint_seconds=0)


def main() -> None:
  settings = json.loads(sys.argv[1])
  # Loads the kernels, once for all children. JAX has to be new to each of them.
  Evolution(FIXED, tasks(ISLANDS), config(), evaluator=ToyEvaluator).step()
  for line in sys.stdin:
    child = os.fork()
    if not child:
      status = 1
      try:
        begin_or_continue(pathlib.Path(line.strip()), settings)
        status = 0
      except BaseException:
        traceback.print_exc()
      finally:
        sys.stderr.flush()
        os._exit(status)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
  main()
