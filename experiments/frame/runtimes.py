"""Where the islands and workers of an experiment work: in this process, or in several.

    python -m experiments.ablation --preset=small --runtime=ray --num_workers=2
"""

from collections.abc import Iterator, Sequence
import contextlib
import dataclasses
import importlib.util

from azero.distributed.cluster import Cluster
from azero.distributed.ray_runtime import RayRuntime
from azero.search.federation import Federation, Group
from azero.search.migration import Migration
from experiments.frame import common

RUNTIMES = ("local", "ray")
MODES = ("reproducible", "asynchronous")

# Either offers what the experiments use of a search.
GroupedSearch = Federation | Cluster


@dataclasses.dataclass(frozen=True, kw_only=True)
class RuntimeConfig(common.CheckpointedConfig):
  """Settings of experiments whose workers may be spread over processes."""

  runtime: str = common.setting(
      "local", "Where the islands or workers are: in this process, or in --num_workers "
      "processes by Ray.", choices=RUNTIMES)
  num_workers: int = common.setting(
      1, "Processes that share them, with --runtime=ray; --num_devices counts for each.")
  ray_address: str = common.setting(
      "", "Of a Ray cluster, with --runtime=ray; default a Ray of this machine's own.")
  mode: str = common.setting(
      "reproducible", "Whether processes wait for each other where programs migrate, so that "
      "the history depends on the seed alone, or nobody waits.", choices=MODES)

  def check_runtime(self, islands: int, *, lockstep: bool = False) -> None:
    """Refuses settings that need another runtime, or one that is not installed.

    Args:
      islands: or workers, to be divided over the processes.
      lockstep: whether the search needs it, see `Cluster`.

    Raises:
      ValueError: says which.
    """
    common.require_positive(self, "num_workers")
    if self.runtime == "local":
      for name in ("num_workers", "ray_address", "mode"):
        if getattr(self, name) != getattr(type(self), name):
          raise ValueError(
              f"--{name}={getattr(self, name)} needs --runtime=ray: --runtime=local works in "
              "this process.")
      return
    if importlib.util.find_spec("ray") is None:
      raise ValueError("--runtime=ray needs Ray: pip install 'azero[ray]'.")
    if self.num_workers > islands:
      raise ValueError(
          f"--num_workers={self.num_workers}: the {islands} island(s) or worker(s) of a search can "
          f"be divided over at most {islands} process(es).")
    if lockstep and self.mode == "asynchronous":
      raise ValueError(
          "--mode=asynchronous: this experiment ends islands that made a discovery, and looks at "
          "all of them at once; use --mode=reproducible.")


@contextlib.contextmanager
def opened(
    config: RuntimeConfig, groups: Sequence[Group], migration: Migration | None, *,
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
  config.check_runtime(sum(len(group.task_sets) for group in groups), lockstep=lockstep)
  if config.runtime == "local":
    yield Federation(groups, migration)
    return
  runtime = RayRuntime(
      num_processes=config.num_workers, num_devices=config.num_devices,
      address=config.ray_address)
  with Cluster(
      groups, migration, runtime, num_processes=config.num_workers,
      asynchronous=config.mode == "asynchronous", lockstep=lockstep) as cluster:
    yield cluster
