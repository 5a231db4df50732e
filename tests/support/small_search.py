"""Small searches as processes, workers of a pool and threads run them.

    python small_search.py SEED...    prints what each came to, as a line of JSON
"""

import json
import pathlib
import sys

if __name__ == "__main__":
  sys.path[:0] = [str(pathlib.Path(__file__).parents[1])]

from support.search_cases import FIXED, config, tasks

import azero
from azero.executors import devices
from azero.search.evolution import Evolution

ISLANDS = 2
_PATIENCE = 120  # seconds that one waits for another
_RUN = {"population_size": 12, "max_programs": 40, "initial": "random", "num_devices": 1,
        "lanes": 16, "progress": "off"}


def search(seed: int) -> dict:
  """What a search of this seed found, and where it ended."""
  found = Evolution(FIXED, tasks(ISLANDS), config(seed=seed, max_programs=60, hurdle=0.5))
  while not found.finished:
    found.step()
  return {
      "hall_of_fame": [
          [entry.island, entry.num_programs, entry.fitness, repr(entry.program)]
          for entry in found.hall_of_fame],
      "best": found.best_fitness.tolist(), "train_steps": found.train_steps.tolist()}


def evaluate(island: int) -> list[float]:
  """Fitnesses of a program of the zoo on the tasks of an island."""
  return azero.evaluate(
      azero.zoo.source("linear_regressor"), tasks(island + 1)[-1], num_devices=1
  ).per_task[0].tolist()


def hold(path, begun, end) -> None:
  """A run that says that it has begun, and does not go on before it may; both are events."""
  def wait(_) -> bool:
    begun.set()
    assert end.wait(_PATIENCE)
    return False

  azero.evolve(FIXED, tasks(ISLANDS), directory=path, should_stop=wait, **_RUN)


def try_run(path, resume: bool) -> str:
  """Why a run is refused, or how it ended."""
  try:
    return azero.evolve(
        FIXED, tasks(ISLANDS), directory=path, resume=resume, **_RUN).status
  except (BlockingIOError, FileExistsError) as error:
    return f"{type(error).__name__}: {error}"


def main() -> None:
  """Runs the searches of the command line with what users have: a device, code kept on disk."""
  azero.configure_jax(1)
  devices.keep_compiled()
  for seed in sys.argv[1:]:
    print(json.dumps(search(int(seed))), flush=True)


if __name__ == "__main__":
  main()
