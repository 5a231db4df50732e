"""What the experiment on scaling measures and simulates: costs, load and mixing, for each W."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
from typing import Any

from azero.tasks import synthetic
from experiments.simulations import exchange_costs, lineages, server_load
from experiments.simulations.exchange_costs import ExchangeCosts, IslandBytes
from experiments.simulations.server_load import Clocks, Servers, Timeline

ASYNCHRONOUS, BARRIERS = "asynchronous", "barriers"
STRAGGLERS = "barriers with stragglers"
_POOL_TURNS = 6  # of the mixing in several pools, at most: it is fast, or never comes


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

  costs: Sequence[ExchangeCosts] | None
  island: IslandBytes | None
  load: list[dict[str, Any]]
  curves: list[dict[str, Any]]
  directory: str


def measure(config: Any) -> list[ExchangeCosts]:
  """Costs of an exchange at each number of workers."""
  rows = []
  for workers in sorted(config.workers):
    rows.append(exchange_costs.measure_exchange(
        config.search_space(), workers, config.migrants, config.samples, seed=config.search.seed))
    print(f"An exchange with a pool of {workers:,} workers: {rows[-1].service * 1e6:.0f} us")
  return rows


def island(config: Any) -> IslandBytes:
  """Bytes of a worker."""
  tasks = synthetic.linear_regression(
      config.num_tasks, seed=config.search.seed, num_features=config.num_features,
      num_train=config.num_train, num_valid=config.num_valid)
  return exchange_costs.island_bytes(config.search_space(), tasks, config.search)


def load(config: Any, costs: Sequence[ExchangeCosts] | None) -> list[dict[str, Any]]:
  """How busy servers are and how long workers wait, with the measured costs or the given ones."""
  rows = []
  for workers, (upload, download) in _services(config, costs).items():
    for births in sorted(config.births):
      period = births / config.evaluations
      usual = clocks_of(config, workers, period)
      slow = clocks_of(config, workers, period, stragglers=True)
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


def mixing(config: Any, costs: Sequence[ExchangeCosts] | None) -> Iterator[dict[str, Any]]:
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
      clocks = clocks_of(config, workers, births / config.evaluations, dead=dead)
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


def _services(
    config: Any, costs: Sequence[ExchangeCosts] | None
) -> Mapping[int, tuple[float, float]]:
  """Seconds in which a server takes what a worker sends and gives it others, by W."""
  if config.service_microseconds is not None:
    half = config.service_microseconds / 2e6
    return {workers: (half, half) for workers in sorted(config.workers)}
  assert costs is not None
  return {row.workers: (row.read + row.upload, row.download + row.write) for row in costs}


def clocks_of(
    config: Any, workers: int, period: float, *, stragglers: bool = False, dead: bool = False
) -> Clocks:
  """Speeds of the workers, whose periods between two exchanges take so many seconds."""
  return server_load.Clocks(
      workers=workers, period=period, spread=config.spread, jitter=config.jitter,
      stragglers=config.stragglers if stragglers else 0.0, slowdown=config.slowdown,
      dead=config.dead if dead else 0.0)
