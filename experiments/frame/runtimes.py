"""Where the islands and workers of an experiment work: in this process, or in several.

    python -m experiments.ablation --preset=small --runtime=ray --num_workers=2
"""

from collections.abc import Iterator, Sequence
import contextlib

from azero.distributed.cluster import Cluster
from azero.distributed.ray_runtime import RayRuntime
from azero.search.groups.federation import Federation, Group
from azero.search.groups.migration import Migration
from experiments.frame.run_settings import StudySettings

# Either offers what the experiments use of a search.
GroupedSearch = Federation | Cluster


@contextlib.contextmanager
def opened(
    config: StudySettings, groups: Sequence[Group], migration: Migration | None, *,
    lockstep: bool = False,
) -> Iterator[GroupedSearch]:
  """The search of some groups, where the settings say; its processes end with the block.

  Args:
    config: the settings.
    groups: of workers.
    migration: how workers of an experiment exchange programs; None for not at all.
    lockstep: see `Cluster`; for conditions that end workers or the search.

  Raises:
    ValueError: settings that do not fit each other, or Ray is not installed.
    ConnectionError: there is no Ray cluster at the address.
  """
  runtime = config.runtime
  runtime.check(sum(len(group.task_sets) for group in groups), lockstep=lockstep)
  if runtime.runtime == "local":
    yield Federation(groups, migration)
    return
  processes = RayRuntime(
      num_processes=runtime.num_workers, num_devices=config.search.num_devices or 0,
      address=runtime.ray_address or "")
  with Cluster(
      groups, migration, processes, num_processes=runtime.num_workers,
      asynchronous=runtime.mode == "asynchronous", lockstep=lockstep) as cluster:
    yield cluster
