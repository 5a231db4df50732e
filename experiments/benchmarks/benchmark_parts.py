"""The parts of the benchmark: each measures one thing by the benchmark's settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import json
import pathlib
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np

from azero.language import program as program_lib
from azero.language import zoo
from experiments.benchmarks import device_rates, measuring, searches
from experiments.frame import linear_demo, memory, reporting, settings

if TYPE_CHECKING:
  from azero.runs.directory import RunDirectory
  from azero.search.evolution import Evolution

_QUICK_FEATURES, _QUICK_TASKS = (4, 8, 16), 10
_SCALING_CASES = (("linear", 4), ("neural_net", 16))
_SCALING_BATCHES = 8  # so many times the programs of the other parts
_GROWTH_FEATURES = 16
_ROOT = pathlib.Path(__file__).parents[2]


def quick(config: Any) -> dict[str, Any]:
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


def measure(part: str, config: Any, directory: RunDirectory) -> Any:
  """The figures of a part.

  Args:
    part: its name.
    config: settings of the benchmark.
    directory: of the run, which keeps what was measured.
  """
  return _PARTS[part](config, directory)


def _programs(config: Any, directory: RunDirectory) -> list[dict[str, Any]]:
  return list(device_rates.hand_written(
      config.features, config.tasks, ("float32", "float64"), config.num_train, config.num_valid,
      config.effort))


def _populations(config: Any, directory: RunDirectory) -> list[dict[str, Any]]:
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


def _demo_part(config: Any, directory: RunDirectory) -> dict[str, Any]:
  search = _demo_search(config)
  demo = _demo(config, search)
  return demo | {"stages": measuring.stage_shares(search, config.search_seconds)}


def _demo_search(config: Any) -> Evolution:
  return linear_demo.make_search(config.search, config.islands)


def _demo(config: Any, search: Evolution) -> dict[str, Any]:
  """Programs and training steps a second of the demo search on all devices."""
  rate = measuring.measure_search(
      search, warm_up=config.warm_up_seconds, seconds=config.search_seconds)
  return {
      "programs_per_second": rate.programs / rate.seconds, "num_devices": measuring.num_devices(),
      "steps_per_second": rate.steps / rate.seconds, "seconds": rate.seconds,
      "islands": config.islands, "counts": rate.counts}


def _searches(config: Any, directory: RunDirectory) -> dict[str, dict[str, Any]]:
  return searches.rates(config.search.seed, config.search_seconds, stages=True)


def _scaling(config: Any, directory: RunDirectory) -> list[dict[str, Any]]:
  """One process for each number of devices, which JAX sets once for a process."""
  rows = []
  with tempfile.TemporaryDirectory() as path:
    for count in range(1, measuring.num_devices() + 1):
      file = pathlib.Path(path) / f"{count}.json"
      child = settings.replace(
          config, parts=(config.POINT,), num_devices=count, json=str(file))
      flags = reporting.flags(child)
      subprocess.run(
          [sys.executable, "-m", "experiments.benchmark", *flags], cwd=_ROOT, check=True)
      rows.append(json.loads(file.read_text(encoding="utf-8")))
  return rows


def point(config: Any) -> dict[str, Any]:
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


def _growth(config: Any, directory: RunDirectory) -> list[dict[str, Any]]:
  return list(device_rates.growth(
      config.lengths, config.examples, _GROWTH_FEATURES, _QUICK_TASKS, config.effort))


def _ops(config: Any, directory: RunDirectory) -> list[dict[str, Any]]:
  return list(device_rates.op_costs(
      config.op_features, config.effort, seed=config.search.seed))


_PARTS: Mapping[str, Callable[[Any, RunDirectory], Any]] = {
    "programs": _programs, "populations": _populations, "demo": _demo_part, "searches": _searches,
    "scaling": _scaling, "growth": _growth, "ops": _ops}
