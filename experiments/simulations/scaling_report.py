"""What the experiment on scaling writes: figures, pictures, tables of costs, load and mixing."""

from collections.abc import Sequence
import json
import math
from typing import Any

import numpy as np

from azero.insight import tables as insight_tables
from azero.runs.directory import RunDirectory
from experiments.benchmarks import measuring
from experiments.frame import reporting
from experiments.simulations import lineages, scaling_plot, server_load
from experiments.simulations.exchange_costs import CostModel, ExchangeCosts, IslandBytes
from experiments.simulations.scaling_cases import Result

_RATES = (100, 1000, 10_000)  # evaluations a second of a worker, beside that of the model


def save(directory: RunDirectory, result: Result) -> None:
  """Replaces the file of figures by those that there are."""
  directory.write("results.json", json.dumps({
      "costs": [row._asdict() for row in result.costs or ()],
      "island": result.island._asdict() if result.island else None,
      "load": result.load,
      "curves": [
          {name: _json(value) for name, value in row.items()} for row in result.curves],
  }, indent=1) + "\n")


def conclude(config: Any, directory: RunDirectory, result: Result) -> None:
  """Draws the pictures and writes the report."""
  births = sorted(config.births)
  pictures = {}
  if result.load:
    fewest = min(row["pools"] for row in result.load)
    pictures["server_load.png"] = scaling_plot.plot_load(
        [row for row in result.load if row["pools"] == fewest])
  if result.curves:
    pictures["mixing.png"] = scaling_plot.plot_mixing(
        result.curves, {count: config.stubs(count) for count in births})
  for name, figure in pictures.items():
    figure.savefig(directory.path / name, dpi=110)
  directory.write("report.md", _report(config, result, list(pictures)))
  print(f"Report: {directory.path / 'report.md'}")


def _model(config: Any, costs: Sequence[ExchangeCosts], island: IslandBytes) -> CostModel:
  """What a cluster needs by what was measured."""
  births = sorted(config.births)
  return CostModel(
      service=costs[-1].service, message_bytes=costs[-1].message_bytes,
      program_bytes=island.program, migrants=config.migrants, checkpoint_bytes=island.full,
      worker_memory=island.young + island.caches, evaluations=config.evaluations,
      births=births[len(births) // 2], steps=config.evaluations * config.steps_per_program,
      checkpoint_seconds=config.checkpoint_seconds)


def _report(config: Any, result: Result, pictures: Sequence[str]) -> str:
  """Puts the report together of what was measured and simulated."""
  costs, island = result.costs, result.island
  tables: list[str] = []
  if costs is not None:
    tables += ["## An exchange, measured", _costs(costs)]
    tables += ["## Workers that keep one server busy all the time", _saturation(config, costs)]
  if costs is not None and island is not None:
    model = _model(config, costs, island)
    tables += ["## A worker, measured", _island(island, model)]
    tables += ["## What a cluster needs", _cluster(config, model)]
  if result.load:
    tables += ["## Load, simulated", _load(result.load)]
  if result.curves:
    tables += ["## Mixing, simulated", _mixing(result.curves, config.migrants)]
  tables += [f"![{name}]({name})" for name in pictures]
  tables += ["## The machine", insight_tables.markdown(
      ("what", "value"), list(measuring.machine().items()))]
  return reporting.report(
      "Migration at scale", program=None, tables=tables, config=config, summary=[
          "An exchange is one worker's: it sends programs to the pool and receives as many. "
          "Seconds of an exchange are the processor time of the process that holds the pool, "
          "messages included, and are medians. Simulated workers have the measured costs, "
          "speeds that differ as the settings say, and evaluate nothing."])


def _costs(costs: Sequence[ExchangeCosts]) -> str:
  return insight_tables.markdown(
      ("W", "read message, us", "upload, us", "download, us", "write message, us", "whole, us",
       "first exchange of a worker, without messages, us", "message", "pool"),
      [(f"{row.workers:,}",
        *(f"{1e6 * seconds:.0f}" for seconds in (
            row.read, row.upload, row.download, row.write, row.service, row.arrival)),
        size(row.message_bytes), size(row.pool_bytes)) for row in costs])


def _saturation(config: Any, costs: Sequence[ExchangeCosts]) -> str:
  service = costs[-1].service
  rates = sorted({*_RATES, round(config.evaluations)})
  pools = sorted(config.pools)
  return insight_tables.markdown(
      ("evaluations between exchanges", "evaluations/s of a worker", "exchanges/s of a worker",
       *(f"W, {pool} pool{'s' * (pool > 1)}" for pool in pools)),
      [(f"{births:,}", f"{rate:,}", f"{rate / births:.3g}",
        *(f"{server_load.saturation(births / rate, service, pool):,.0f}" for pool in pools))
       for births in sorted(config.births) for rate in rates])


def _island(island: IslandBytes, model: CostModel) -> str:
  return insight_tables.markdown(("what", "bytes"), [
      ("a program", f"{island.program:,}"),
      ("state of a worker, young", f"{island.young:,}"),
      ("state of a worker, caches full", f"{island.full:,}"),
      ("its caches in memory", f"{island.caches:,}"),
      ("its tasks, shared by workers of one task set", f"{island.tasks:,}"),
      ("programs that it sends and receives", f"2 x {model.message_bytes:,}")])


def _cluster(config: Any, model: CostModel) -> str:
  rows = [model.demand(workers) for workers in sorted(config.cluster_workers)]
  head = (
      f"A worker does {model.evaluations:,.0f} evaluations and {model.steps / 1e6:.2f}M training "
      f"steps a second, exchanges every {model.births:,} evaluations, and is saved every "
      f"{model.checkpoint_seconds:.0f} s with full caches. Its {config.train_steps:.3g} training "
      f"steps take {model.days(config.train_steps):.2f} days, whatever W.")
  return head + "\n\n" + insight_tables.markdown(
      ("W", "exchanges/s", "servers kept busy", "network of the servers", "pools",
       "checkpoints", "memory of the workers", "training steps/s"),
      [(f"{row.workers:,}", f"{row.exchanges:,.3g}", f"{row.servers:.3g}",
        f"{size(row.network)}/s", size(row.pool), f"{size(row.checkpoints)}/s",
        size(row.memory), f"{row.steps:.3g}") for row in rows])


def _load(rows: Sequence[dict[str, Any]]) -> str:
  return insight_tables.markdown(
      ("W", "evaluations between exchanges", "pools", "mode", "server busy", "exchanges/s",
       "waiting, mean", "99 %", "workers work"),
      [(f"{row['workers']:,}", f"{row['births']:,}", row["pools"], row["mode"],
        f"{row['utilisation']:.2%}", f"{row['exchanges_per_second']:,.3g}",
        _seconds(row["waiting"]), _seconds(row["waiting_99"]), f"{row['working']:.1%}")
       for row in rows])


def _mixing(curves: Sequence[dict[str, Any]], migrants: int) -> str:
  lines = []
  for row in curves:
    theory = ["", ""]
    if row["scenario"] == "beneficial" and row["pools"] == 1 and not row["dead"]:
      theory = [
          f"{lineages.exchanges_until(share, row['workers'], migrants):.2f}"
          for share in (0.5, 0.99)]
    until = ["", ""] if row["scenario"] == "neutral" else [
        _exchanges(row["until_50"]), _exchanges(row["until_99"])]
    pools = str(row["pools"])
    if row["pools"] > 1:
      pools += ", another each time" if row["rotate"] else ", each with its own workers"
    mode = row["mode"] + (f", {row['dead']:.0%} die" if row["dead"] else "")
    lines.append((
        row["scenario"], f"{row['workers']:,}", f"{row['births']:,}", mode, pools, until[0],
        theory[0], until[1], theory[1], f"{row['exchanges'][-1]:.1f}",
        f"{row['holders'][-1]:.1%}" if row["scenario"] != "neutral" else "",
        f"{row['effective'][-1]:,.4g}"))
  return insight_tables.markdown(
      ("lineages", "W", "evaluations between exchanges", "mode", "pools",
       "exchanges until 50 % hold the best", "theory", "until 99 %", "theory", "simulated to",
       "hold it then", "effective lineages then"), lines)


def size(value: float) -> str:
  """Bytes for people."""
  for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
    if value >= factor:
      return f"{value / factor:.3g} {unit}"
  return f"{value:.0f} B"


def _seconds(value: float) -> str:
  for unit, factor in (("s", 1.0), ("ms", 1e-3)):
    if value >= factor:
      return f"{value / factor:.3g} {unit}"
  return f"{value * 1e6:.3g} us"


def _exchanges(value: float) -> str:
  return "never" if math.isinf(value) else f"{value:g}"


def _json(value: Any) -> Any:
  """Arrays as lists, and None for what never happened."""
  if isinstance(value, np.ndarray):
    return value.tolist()
  return None if value == np.inf else value
