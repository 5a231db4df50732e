"""A small search of the linear demo with migration, in one process or over those of a Ray cluster.

Its argument is settings in JSON: `directory`; `address` of Ray, "" for one process;
`asynchronous`; `programs` of an island. Begins the run or continues it.
"""

import json
import pathlib
import sys

import conftest  # noqa: F401  the settings of JAX

from azero.distributed.cluster import Cluster
from azero.distributed.ray_runtime import RayRuntime
from azero.runs import runner
from azero.runs.directory import RunDirectory, settings_of
from azero.search.config import SearchConfig
from azero.search.groups.federation import Federation
from azero.search.groups.migration import Migration
from experiments.frame import linear_demo

ISLANDS, PROCESSES = 4, 2
_CHECKPOINT_SECONDS = 3.0


def run(directory: str, programs: int, *, address: str = "", asynchronous: bool = False) -> None:
  """Begins or continues the run."""
  config = SearchConfig(
      population_size=100, max_programs=programs, initial="random", combine="mean",
      mutations=linear_demo.SEARCH.mutations, num_devices=1, seed=3)
  groups = [linear_demo.make_group(config, islands=ISLANDS)]
  migration = Migration(every=2000, migrants=20)
  if not address:
    record(Federation(groups, migration), directory)
    return
  runtime = RayRuntime(num_processes=PROCESSES, num_devices=1, address=address)
  with Cluster(
      groups, migration, runtime, num_processes=PROCESSES, asynchronous=asynchronous) as search:
    record(search, directory)


def record(search, directory: str) -> None:
  path = pathlib.Path(directory)
  make = RunDirectory.open if path.exists() else RunDirectory
  result = runner.run(
      search, directory=make(path, settings_of(search)), progress="off",
      checkpoint_seconds=_CHECKPOINT_SECONDS)
  print(json.dumps({
      "status": result.status, "seconds": result.seconds, "migrations": search.migrations,
      "losses": getattr(search, "losses", 0),
      "missed_migrations": getattr(search, "missed_migrations", 0)}))


if __name__ == "__main__":
  run(**json.loads(sys.argv[1]))
