"""How fast azero is on this machine: programs, populations, searches, single ops.

Prints and saves (JSON, a Markdown report, a picture) training steps and programs a second on
one device, whole searches with the share of their time in each stage, how both grow
with the number of devices, how cost grows with the sizes, and what every op costs. Every
measurement is the best of several runs. Other work on the machine makes the figures worse.

    python -m experiments.benchmark
    python -m experiments.benchmark --quick --json=FILE    # the headline figures in four minutes
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from azero.search.config import SearchConfig
from experiments import linear_regression
from experiments.frame import command_line, lazy, settings
from experiments.frame.run_settings import RunSettings
from experiments.frame.settings import nested, setting

with lazy.imports():
  from azero.language import program as program_lib
  from azero.language import zoo
  from azero.search import evolution
  from experiments.benchmarks import (
      benchmark_plot,
      benchmark_report,
      device_rates,
      measuring,
      searches,
  )
  from experiments.frame import memory, reporting, study

if TYPE_CHECKING:
  from azero.runs.directory import RunDirectory
  from azero.search.evolution import Evolution
  from experiments.benchmarks.measuring import Effort

PARTS = ("programs", "populations", "demo", "searches", "scaling", "growth", "ops")
_POINT = "point"  # one number of devices, measured by a process of its own
_QUICK_FEATURES, _QUICK_TASKS = (4, 8, 16), 10
_SCALING_CASES = (("linear", 4), ("neural_net", 16))
_SCALING_BATCHES = 8  # so many times the programs of the other parts
_GROWTH_FEATURES = 16
_ROOT = pathlib.Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """Settings of this experiment."""

  quick: bool = setting(
      False, "Only the headline figures: steps per second of two programs, and searches.")
  json: str | None = setting(
      None, "Where to write the figures as JSON, too; with --quick the headline figures alone.",
      path=True)
  parts: tuple[str, ...] = setting(PARTS, "Parts to measure.", choices=(*PARTS, _POINT))
  run: RunSettings = nested(RunSettings(), only=("output_dir", "run_name"))
  search: SearchConfig = nested(
      dataclasses.replace(linear_regression.Config().search, max_train_steps=None),
      fixed=("max_train_steps", "max_programs"),
      num_devices="CPU devices for the search, and at most for the scaling; none for one on each "
      "core.")
  islands: int = setting(128, "Islands of the demo search.")
  seconds: float = setting(0.3, "Of each run of a measurement at least.")
  runs: int = setting(3, "Runs of a measurement, of which the best counts.")
  features: tuple[int, ...] = setting((4, 8, 16, 32), "F of the hand-written programs.")
  tasks: tuple[int, ...] = setting((1, 10, 100), "D of the hand-written programs.")
  num_train: int = setting(1000, "Training examples.")
  num_valid: int = setting(100, "Validation examples.")
  lengths: tuple[int, ...] = setting((1, 2, 4, 8, 16, 32, 64), "Instructions of the chains.")
  examples: tuple[int, ...] = setting((10, 100, 1000, 4000), "Training examples to grow to.")
  op_features: tuple[int, ...] = setting((4, 16, 64), "F of the single ops.")
  population: int = setting(256, "Programs of a population at most.")
  evolve_programs: int = setting(
      6000, "Programs that each island of the evolved populations tries.")
  warm_up_seconds: float = setting(4.0, "Of the demo search, after it compiled.")
  search_seconds: float = setting(15.0, "For which each search is measured.")

  @property
  def effort(self) -> Effort:
    """How long to measure."""
    return measuring.Effort(self.seconds, self.runs)


def run(config: Config) -> dict[str, Any]:
  """Measures, prints and saves.

  Returns:
    What the JSON file holds: with --quick the headline figures, else those of each part.

  Raises:
    ValueError: a bad setting.
    FileExistsError: the run directory exists.
  """
  parts = _check(config)
  if config.quick:
    results = quick(config)
    print(json.dumps(results, indent=2))
  elif parts == (_POINT,):
    results = _point(config)
  else:
    results = _measure_all(config, parts)
  if config.json:
    pathlib.Path(config.json).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
  return results


def quick(config: Config) -> dict[str, Any]:
  """The headline figures.

  Steps per second are those of float32 on one device that is kept busy.
  """
  rates: dict[str, dict[str, float]] = {}
  for name, source in device_rates.PROGRAMS.items():
    rates[name] = {}
    for num_features in _QUICK_FEATURES:
      row = device_rates.program_rate(
          zoo.load(source, num_features), _QUICK_TASKS, config.num_train, config.num_valid,
          config.effort, seed=config.search.seed)
      rates[name][str(num_features)] = row["steps_per_second"]
  demo = _demo(config, _demo_search(config))
  return {"steps_per_second": rates, "demo": {
      name: demo[name] for name in ("programs_per_second", "num_devices")},
      "searches": searches.rates(config.search.seed, config.search_seconds)}


def _measure_all(config: Config, parts: Sequence[str]) -> dict[str, Any]:
  start = time.monotonic()
  directory = study.open_directory("benchmark", config)
  print(f"Measuring; everything is saved in {directory.path}")
  measure = {
      "programs": lambda: list(device_rates.hand_written(
          config.features, config.tasks, ("float32", "float64"),
          config.num_train, config.num_valid, config.effort)),
      "populations": lambda: _populations(config, directory),
      "demo": lambda: _demo_and_stages(config),
      "searches": lambda: searches.rates(
          config.search.seed, config.search_seconds, stages=True),
      "scaling": lambda: _scaling(config),
      "growth": lambda: list(device_rates.growth(
          config.lengths, config.examples, _GROWTH_FEATURES,
          _QUICK_TASKS, config.effort)),
      "ops": lambda: list(device_rates.op_costs(
          config.op_features, config.effort, seed=config.search.seed)),
  }
  results: dict[str, Any] = {
      "machine": measuring.machine(), "command": reporting.command(config),
      "settings": settings.flat(config)}
  for part in parts:
    begin = time.monotonic()
    results[part] = measure[part]()
    print("\n\n".join(["", *benchmark_report.tables(results, part)]), flush=True)
    print(f"\n({part}: {time.monotonic() - begin:.0f} s)", flush=True)
  results["seconds"] = time.monotonic() - start
  results["peak_memory"] = memory.peak_memory()
  directory.write("benchmark.json", json.dumps(results, indent=2) + "\n")
  benchmark_plot.plot_benchmark(results).savefig(directory.path / "benchmark.png", dpi=130)
  directory.write("report.md", benchmark_report.report(results, "benchmark.png"))
  print(f"\nReport: {directory.path / 'report.md'}")
  return results


def _populations(config: Config, directory: RunDirectory) -> list[dict[str, Any]]:
  rows = []
  for row, programs in device_rates.populations(
      config.population, config.evolve_programs, config.search.seed, config.effort,
      num_train=config.num_train):
    # So that other interpreters can be measured on the same programs.
    name = f"{row['space']}-{row['population']}".lower().replace(" ", "-").replace(".", "-")
    np.savez(directory.path / f"population-{name}.npz",
             **{field: getattr(programs, field) for field in program_lib.Programs.ARRAYS})
    rows.append(row)
  return rows


def _demo_search(config: Config) -> Evolution:
  group = linear_regression.make_group(
      linear_regression.Config(islands=config.islands, search=config.search))
  return evolution.Evolution(group.space, group.task_sets, group.config)


def _demo(config: Config, search: Evolution) -> dict[str, Any]:
  """Programs and training steps a second of the demo search on all devices."""
  rate = measuring.measure_search(
      search, warm_up=config.warm_up_seconds, seconds=config.search_seconds)
  return {
      "programs_per_second": rate.programs / rate.seconds, "num_devices": measuring.num_devices(),
      "steps_per_second": rate.steps / rate.seconds, "seconds": rate.seconds,
      "islands": config.islands, "counts": rate.counts}


def _demo_and_stages(config: Config) -> dict[str, Any]:
  search = _demo_search(config)
  demo = _demo(config, search)
  return demo | {"stages": measuring.stage_shares(search, config.search_seconds)}


def _scaling(config: Config) -> list[dict[str, Any]]:
  """One process for each number of devices, which JAX sets once for a process."""
  rows = []
  with tempfile.TemporaryDirectory() as path:
    for count in range(1, measuring.num_devices() + 1):
      file = pathlib.Path(path) / f"{count}.json"
      child = settings.replace(
          config, parts=(_POINT,), num_devices=count, json=str(file))
      flags = reporting.flags(child)
      subprocess.run(
          [sys.executable, "-m", "experiments.benchmark", *flags], cwd=_ROOT, check=True)
      rows.append(json.loads(file.read_text(encoding="utf-8")))
  return rows


def _point(config: Config) -> dict[str, Any]:
  """What this process does with the devices it has."""
  count = measuring.num_devices()
  rates, cores = {}, []
  for name, num_features in _SCALING_CASES:
    row = device_rates.program_rate(
        zoo.load(device_rates.PROGRAMS[name], num_features), _QUICK_TASKS, config.num_train,
        config.num_valid, config.effort, num_devices=count, batches=_SCALING_BATCHES)
    rates[f"{name}, F={num_features}"] = row["steps_per_second"]
    cores.append(row["cores"])
  demo = _demo(config, _demo_search(config))
  return {
      "num_devices": count, "steps_per_second": rates, "cores": min(cores),
      "programs_per_second": demo["programs_per_second"],
      "searches": searches.rates(config.search.seed, config.search_seconds),
      "peak_memory": memory.peak_memory()}


def _check(config: Config) -> tuple[str, ...]:
  """The parts to measure."""
  settings.require_positive(
      config, "runs", "num_train", "num_valid", "population", "evolve_programs", "islands")
  if not config.seconds > 0 or not config.search_seconds > 0 or not config.warm_up_seconds >= 0:
    raise ValueError("--seconds and --search_seconds must be positive, --warm_up_seconds not "
                     "negative.")
  if _POINT in config.parts and len(config.parts) > 1:
    raise ValueError(f"--parts={','.join(config.parts)}: {_POINT} is measured alone.")
  return config.parts


if __name__ == "__main__":
  command_line.main(Config, run)
