"""Settings that experiments share: where a run is kept and shown, and where it works."""

import dataclasses

from azero import lazy
from azero.runs.stopping import StopSettings
from azero.search.config import SearchConfig
from experiments.frame.settings import require_positive, setting

RUNTIMES = ("local", "ray")
MODES = ("reproducible", "asynchronous")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings:
  """Where a run is kept, and how it is shown."""

  output_dir: str = setting("runs", "Where run directories are made.", path=True)
  run_name: str | None = setting(
      None, "Name of the run directory; default the experiment and the time. Must be new.")
  resume: str | None = setting(
      None, "A run directory to continue after a stop, with its settings: as if it had not been "
      "stopped. Budgets, devices and lanes may be given anew.", path=True)
  progress: str = setting(
      "auto", "How to show progress: a view in a terminal and lines elsewhere, lines everywhere, "
      "or not at all.", choices=("auto", "plain", "off"))
  checkpoint_seconds: float = setting(
      60.0, "Time between checkpoints, from which a run can be continued.")
  tensorboard: bool = setting(
      False, "Write TensorBoard curves into the run directory, too; needs the extra tensorboard.")
  estimate_seconds: float | None = setting(
      30.0, "Time after which an estimate of the whole time and memory is shown; none for never.")

  def check(self) -> None:
    """Refuses impossible times.

    Raises:
      ValueError: says which.
    """
    for name in ("checkpoint_seconds", "estimate_seconds"):
      value = getattr(self, name)
      if value is not None and not value >= 0:
        raise ValueError(f"--{name} must not be negative, got {value}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RuntimeSettings:
  """Whether islands or workers are spread over processes."""

  runtime: str = setting(
      "local", "Where the islands or workers are: in this process, or in --num_workers "
      "processes by Ray.", choices=RUNTIMES)
  num_workers: int = setting(
      1, "Processes that share them, with --runtime=ray; --num_devices counts for each, and can be "
      "no more than the cores of this machine: for larger ones ask for more processes.")
  ray_address: str | None = setting(
      None, "Of a Ray cluster, with --runtime=ray; default a Ray of this machine's own.")
  mode: str = setting(
      "reproducible", "Whether processes wait for each other where programs migrate, so that "
      "the history depends on the seed alone, or nobody waits.", choices=MODES)

  def check(self, islands: int, *, lockstep: bool = False) -> None:
    """Refuses settings that need another runtime, or one that is not installed.

    Args:
      islands: or workers, to be divided over the processes.
      lockstep: whether the search needs it, see `Cluster`.

    Raises:
      ValueError: says which.
    """
    require_positive(self, "num_workers")
    if self.runtime == "local":
      for name in ("num_workers", "ray_address", "mode"):
        if getattr(self, name) != getattr(type(self), name):
          raise ValueError(
              f"--{name}={getattr(self, name)} needs --runtime=ray: --runtime=local works in "
              "this process.")
      return
    lazy.require("ray", extra="ray", purpose="Searches over processes")
    if self.num_workers > islands:
      raise ValueError(
          f"--num_workers={self.num_workers}: the {islands} island(s) or worker(s) of a search can "
          f"be divided over at most {islands} process(es).")
    if lockstep and self.mode == "asynchronous":
      raise ValueError(
          "--mode=asynchronous: this experiment ends islands that made a discovery, and looks at "
          "all of them at once; use --mode=reproducible.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudySettings:
  """Settings of an experiment that searches."""

  search: SearchConfig = SearchConfig()
  run: RunSettings = RunSettings()
  runtime: RuntimeSettings = RuntimeSettings()
  stop: StopSettings = StopSettings()
