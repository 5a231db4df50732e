"""Migration on paper: what 10, 1000 or 10000 workers ask of a server, and what they gain.

Three parts, on one machine and without evaluating a program:

costs: what an exchange with the pool takes and how large it is, measured at each number of
workers; and what follows for a cluster from the measured costs of a worker.
load: how busy servers are, how long workers wait there, and how long for each other at
barriers, simulated with the measured costs.
mixing: how lineages spread through the pools, in stub workers that really exchange programs.

    python -m experiments.scaling --preset=small

The largest numbers of workers need memory: a pool of 10000 has 1.4 GB, and 2.5 GB while it
grows.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from azero.language import spaces
from azero.search.config import SearchConfig
from experiments.frame import command_line, lazy, settings
from experiments.frame.run_settings import RunSettings
from experiments.frame.settings import nested, setting

with lazy.imports():
  from experiments.frame import study
  from experiments.simulations import lineages, scaling_cases, scaling_report

if TYPE_CHECKING:
  from azero.language.program import SearchSpace
  from experiments.simulations.lineages import Stubs
  from experiments.simulations.scaling_cases import Result

PARTS = ("costs", "load", "mixing")
_SPACES = ("minimal_input", "adaptation", "ablation", "baseline", "demo")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """Settings of this experiment; defaults are the paper's where it says them."""

  PRESETS: ClassVar[settings.Presets] = {
      "smoke": {
          "workers": (4, 12), "births": (20, 50), "cluster_workers": (10, 100), "space": "demo",
          "population_size": 20, "migrants": 10, "turns": 6, "pools": (1, 2), "samples": 5,
          "cache_size": 800, "mixing_turns": 3, "num_train": 100},
      "small": {"workers": (10, 100, 1000), "mixing_turns": 8},
  }

  run: RunSettings = nested(RunSettings(), only=("output_dir", "run_name"))
  search: SearchConfig = nested(
      SearchConfig(), only=("seed", "population_size", "tournament_size", "cache_size"))
  parts: tuple[str, ...] = setting(PARTS, "Which parts to do.", choices=PARTS)
  workers: tuple[int, ...] = setting((10, 100, 1000, 10_000), "W, of the simulations.")
  cluster_workers: tuple[int, ...] = setting(
      (10, 100, 1000, 10_000, 100_000), "W, of the table of what a cluster needs.")
  births: tuple[int, ...] = setting(
      (100, 1000, 10_000), "M, evaluations between two exchanges.")
  pools: tuple[int, ...] = setting((1, 4, 16), "k, servers that share the workers.")
  space: str = setting(
      "minimal_input", "Search space of the programs that migrate.", choices=_SPACES)
  num_features: int = setting(16, "F of the space and of the tasks.")
  num_tasks: int = setting(10, "D of a worker's tasks.")
  num_train: int = setting(8000, "Training examples of a task.")
  num_valid: int = setting(1000, "Validation examples of a task.")
  migrants: int = setting(50, "Programs that a worker sends and receives.")
  checkpoint_seconds: float = setting(60.0, "Time between two checkpoints.")
  host_microseconds: float = setting(
      270.0, "Time of the host for a program; see docs/scaling.md.")
  device_steps: float = setting(
      10.6e6, "Training steps that a device does in a second; see docs/performance.md.")
  steps_per_program: float = setting(
      2780.0, "Training steps for each program, caches and hurdles taken into account; see "
      "docs/scaling.md.")
  train_steps: float = setting(1e11, "Training steps of each worker (S10).")
  samples: int = setting(400, "Exchanges that are measured at each number of workers.")
  service_microseconds: float | None = setting(
      None, "Time of a server for an exchange in the simulation; none for what is measured.")
  turns: int = setting(8, "Exchanges of each worker in the simulation of load.")
  mixing_turns: int = setting(10, "Exchanges of each worker in that of mixing, at most.")
  spread: float = setting(
      0.2, "Standard deviation of the logarithm of the lasting speeds of workers.")
  jitter: float = setting(
      0.1, "The same for each period between two exchanges.")
  stragglers: float = setting(0.01, "Part of the workers that are slower.")
  slowdown: float = setting(3.0, "How many times slower those are.")
  dead: float = setting(0.05, "Part of the workers that stop, where some do.")

  @property
  def evaluations(self) -> float:
    """Programs that a worker evaluates in a second."""
    return 1.0 / (self.host_microseconds / 1e6 + self.steps_per_program / self.device_steps)

  def search_space(self) -> SearchSpace:
    """That of the programs that migrate."""
    return getattr(spaces, self.space)(self.num_features)

  def stubs(self, births: int, scenario: str = "neutral") -> Stubs:
    """Settings of the stub workers."""
    return lineages.Stubs(
        births=births, scenario=scenario, population_size=self.search.population_size,
        tournament_size=self.search.tournament_size, migrants=self.migrants, seed=self.search.seed)


def run(config: Config) -> Result:
  """Measures, simulates and writes the report.

  Raises:
    ValueError: a bad setting.
    FileExistsError: the run directory exists.
  """
  parts = _check(config)
  directory = study.open_directory("scaling", config)
  with directory.locked():
    measured = "costs" in parts or config.service_microseconds is None
    costs = scaling_cases.measure(config) if measured else None
    island = scaling_cases.island(config) if "costs" in parts else None
    result = scaling_cases.Result(costs, island, [], [], str(directory.path))
    if "load" in parts:
      result.load.extend(scaling_cases.load(config, costs))
    scaling_report.save(directory, result)
    if "mixing" in parts:
      for curve in scaling_cases.mixing(config, costs):
        result.curves.append(curve)
        scaling_report.save(directory, result)  # a large one takes minutes
    scaling_report.conclude(config, directory, result)
  return result


def _check(config: Config) -> tuple[str, ...]:
  parts = config.parts
  settings.require_positive(
      config, "num_features", "num_tasks", "num_train", "num_valid", "migrants", "cache_size",
      "samples", "turns", "mixing_turns")
  for name in ("checkpoint_seconds", "host_microseconds", "device_steps", "steps_per_program",
               "train_steps", "service_microseconds"):
    value = getattr(config, name)
    if value is not None and not value > 0:
      raise ValueError(f"--{name} must be positive, got {value}.")
  config.stubs(1)
  scaling_cases.clocks_of(config, 1, 1.0, stragglers=True, dead=True)
  return parts


if __name__ == "__main__":
  command_line.main(Config, run)
