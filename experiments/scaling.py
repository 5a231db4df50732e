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

from collections.abc import Iterator, Mapping
import dataclasses
import json
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from azero.language import spaces
from azero.search.config import SearchConfig
from experiments.frame import command_line, lazy, settings
from experiments.frame.run_settings import RunSettings
from experiments.frame.settings import nested, setting

with lazy.imports():
  from azero.tasks import synthetic
  from experiments.frame import study
  from experiments.simulations import (
    exchange_costs,
    lineages,
    scaling_plot,
    scaling_report,
    server_load,
  )

if TYPE_CHECKING:
  from azero.language.program import SearchSpace
  from azero.runs.directory import RunDirectory
  from experiments.simulations.exchange_costs import ExchangeCosts, IslandBytes
  from experiments.simulations.lineages import Stubs
  from experiments.simulations.server_load import Clocks, Servers, Timeline

PARTS = ("costs", "load", "mixing")
ASYNCHRONOUS, BARRIERS = "asynchronous", "barriers"
STRAGGLERS = "barriers with stragglers"
_POOL_TURNS = 6  # of the mixing in several pools, at most: it is fast, or never comes
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


@dataclasses.dataclass(frozen=True)
class Result:
  """What came out.

  Attributes:
    costs: of an exchange, at each number of workers; None if nothing needed them.
    island: bytes of a worker; None without the part.
    load: rows of the simulation of load.
    curves: of the simulation of mixing, with arrays.
    directory: of the run.
  """

  costs: list[ExchangeCosts] | None
  island: IslandBytes | None
  load: list[dict[str, Any]]
  curves: list[dict[str, Any]]
  directory: str


def run(config: Config) -> Result:
  """Measures, simulates and writes the report.

  Raises:
    ValueError: a bad setting.
    FileExistsError: the run directory exists.
  """
  parts = _check(config)
  directory = study.open_directory("scaling", config)
  with directory.locked():
    measured = "costs" in parts or not config.service_microseconds
    costs = _measure(config) if measured else None
    island = _island(config) if "costs" in parts else None
    result = Result(costs, island, [], [], str(directory.path))
    if "load" in parts:
      result.load.extend(_load(config, costs))
    _save(directory, result)
    if "mixing" in parts:
      for curve in _mixing(config, costs):
        result.curves.append(curve)
        _save(directory, result)  # a large one takes minutes
    _report(config, directory, result)
  return result


def _check(config: Config) -> tuple[str, ...]:
  parts = config.parts
  settings.require_positive(
      config, "num_features", "num_tasks", "num_train", "num_valid", "migrants", "cache_size",
      "samples", "turns", "mixing_turns")
  for name in ("checkpoint_seconds", "host_microseconds", "device_steps", "steps_per_program",
               "train_steps"):
    if not getattr(config, name) > 0:
      raise ValueError(f"--{name} must be positive, got {getattr(config, name)}.")
  if config.service_microseconds is not None and not config.service_microseconds >= 0:
    raise ValueError(
        f"--service_microseconds must not be negative, got {config.service_microseconds}.")
  config.stubs(1)
  _clocks(config, 1, 1.0, stragglers=True, dead=True)
  return parts


def _measure(config: Config) -> list[ExchangeCosts]:
  rows = []
  for workers in sorted(config.workers):
    rows.append(exchange_costs.measure_exchange(
        config.search_space(), workers, config.migrants, config.samples, seed=config.search.seed))
    print(f"An exchange with a pool of {workers:,} workers: {rows[-1].service * 1e6:.0f} us")
  return rows


def _island(config: Config) -> IslandBytes:
  tasks = synthetic.linear_regression(
      config.num_tasks, seed=config.search.seed, num_features=config.num_features,
      num_train=config.num_train, num_valid=config.num_valid)
  return exchange_costs.island_bytes(config.search_space(), tasks, config.search)


def _services(
    config: Config, costs: list[ExchangeCosts] | None
) -> Mapping[int, tuple[float, float]]:
  """Seconds in which a server takes what a worker sends and gives it others, by W."""
  if config.service_microseconds:
    half = config.service_microseconds / 2e6
    return {workers: (half, half) for workers in sorted(config.workers)}
  assert costs is not None
  return {row.workers: (row.read + row.upload, row.download + row.write) for row in costs}


def _clocks(
    config: Config, workers: int, period: float, *, stragglers: bool = False, dead: bool = False
) -> Clocks:
  return server_load.Clocks(
      workers=workers, period=period, spread=config.spread, jitter=config.jitter,
      stragglers=config.stragglers if stragglers else 0.0, slowdown=config.slowdown,
      dead=config.dead if dead else 0.0)


def _load(config: Config, costs: list[ExchangeCosts] | None) -> list[dict[str, Any]]:
  rows = []
  for workers, (upload, download) in _services(config, costs).items():
    for births in sorted(config.births):
      period = births / config.evaluations
      usual = _clocks(config, workers, period)
      slow = _clocks(config, workers, period, stragglers=True)
      for pools in sorted(config.pools):
        if pools > workers:
          continue
        shared: dict[str, Any] = {"servers": server_load.Servers(pools), "seed": config.search.seed}
        timelines: dict[str, Timeline] = {
            ASYNCHRONOUS: server_load.asynchronous(
                usual, upload + download, config.turns, **shared),
            BARRIERS: server_load.at_barriers(usual, upload, download, config.turns, **shared),
            STRAGGLERS: server_load.at_barriers(slow, upload, download, config.turns, **shared)}
        for mode, timeline in timelines.items():
          rows.append({
              "workers": workers, "births": births, "pools": pools, "mode": mode,
              **server_load.load(timeline)._asdict()})
    print(f"Load by {workers:,} workers: done")
  return rows


def _mixing(config: Config, costs: list[ExchangeCosts] | None) -> Iterator[dict[str, Any]]:
  """Curves of all scenarios; where programs go by other pools or modes, of the better program."""
  all_births = sorted(config.births)
  middle = all_births[len(all_births) // 2]
  for workers, (upload, download) in _services(config, costs).items():
    cases: list[tuple[str, int, str, Servers, bool]] = [
        (scenario, births, BARRIERS, server_load.Servers(), False)
        for scenario in ("neutral", "beneficial") for births in all_births]
    cases.append(("ranked", middle, BARRIERS, server_load.Servers(), False))
    cases.append(("beneficial", middle, ASYNCHRONOUS, server_load.Servers(), False))
    cases.append(("beneficial", middle, ASYNCHRONOUS, server_load.Servers(), True))
    for pools in sorted(config.pools):
      if 1 < pools <= workers // 2:
        cases += [
            ("beneficial", middle, BARRIERS, server_load.Servers(pools, rotate), False)
            for rotate in (False, True)]
    for scenario, births, mode, servers, dead in cases:
      clocks = _clocks(config, workers, births / config.evaluations, dead=dead)
      turns = min(config.mixing_turns, _POOL_TURNS) if servers.pools > 1 else config.mixing_turns
      if mode == BARRIERS:
        timeline = server_load.at_barriers(
            clocks, upload, download, turns, servers=servers, seed=config.search.seed)
      else:
        timeline = server_load.asynchronous(
            clocks, upload + download, turns, servers=servers, seed=config.search.seed)
      history = lineages.migrate(
          timeline, config.stubs(births, scenario), config.search_space(), workers)
      yield {
          "scenario": scenario, "births": births, "workers": workers, "mode": mode,
          "pools": servers.pools, "rotate": servers.rotate, "dead": clocks.dead,
          "until_50": history.exchanges_until(0.5), "until_99": history.exchanges_until(0.99),
          **history._asdict()}
    print(f"Mixing of {workers:,} workers: done")


def _save(directory: RunDirectory, result: Result) -> None:
  """Replaces the file of figures by those that there are."""
  directory.write("results.json", json.dumps({
      "costs": [row._asdict() for row in result.costs or ()],
      "island": result.island._asdict() if result.island else None,
      "load": result.load,
      "curves": [
          {name: _json(value) for name, value in row.items()} for row in result.curves],
  }, indent=1) + "\n")


def _report(config: Config, directory: RunDirectory, result: Result) -> None:
  """Draws the pictures and writes the report."""
  costs, island, births = result.costs, result.island, sorted(config.births)
  model = None
  if costs is not None and island is not None:
    model = exchange_costs.CostModel(
        service=costs[-1].service, message_bytes=costs[-1].message_bytes,
        program_bytes=island.program, migrants=config.migrants, checkpoint_bytes=island.full,
        worker_memory=island.young + island.caches, evaluations=config.evaluations,
        births=births[len(births) // 2], steps=config.evaluations * config.steps_per_program,
        checkpoint_seconds=config.checkpoint_seconds)
  pictures = {}
  if result.load:
    pictures["server_load.png"] = scaling_plot.plot_load(
        [row for row in result.load if row["pools"] == 1])
  if result.curves:
    pictures["mixing.png"] = scaling_plot.plot_mixing(
        result.curves, {count: config.stubs(count) for count in births})
  for name, figure in pictures.items():
    figure.savefig(directory.path / name, dpi=110)
  directory.write("report.md", scaling_report.report(
      config, costs, island, model, result.load, result.curves, list(pictures)))
  print(f"Report: {directory.path / 'report.md'}")


def _json(value: Any) -> Any:
  """Arrays as lists, and None for what never happened."""
  if isinstance(value, np.ndarray):
    return value.tolist()
  return None if value == np.inf else value


if __name__ == "__main__":
  command_line.main(Config, run)
