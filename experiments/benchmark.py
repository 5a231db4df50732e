"""How fast azero is on this machine: programs, populations, the demo search, single ops.

Prints and saves (JSON, a Markdown report, a picture) training steps and programs a second on
one device, the demo search end to end with the share of its time in each stage, how both grow
with the number of devices, how cost grows with the sizes, and what every op costs. Every
measurement is the best of several runs. Other work on the machine makes the figures worse.

    python -m experiments.benchmark
    python -m experiments.benchmark --quick --json=FILE    # the headline figures in two minutes
"""

from collections.abc import Sequence
import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

import jax
import numpy as np

from azero.language import zoo
from azero.language.program import Programs
from azero.runs.directory import RunDirectory
from azero.search.evolution import Evolution
from experiments import linear_regression
from experiments.benchmarks import benchmark_plot, benchmark_report, device_rates, measuring
from experiments.frame import common, reporting

PARTS = ("programs", "populations", "demo", "scaling", "growth", "ops")
_POINT = "point"  # one number of devices, measured by a process of its own
_QUICK_FEATURES, _QUICK_TASKS = (4, 8, 16), 10
_SCALING_CASES = (("linear", 4), ("neural_net", 16))
_SCALING_BATCHES = 8  # so many times the programs of the other parts
_GROWTH_FEATURES = 16
_ROOT = pathlib.Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """Settings."""

  quick: bool = common.setting(
      False, "Only the headline figures: steps per second of two programs, and the demo.")
  json: str = common.setting(
      "", "Where to write the figures as JSON, too; with --quick the headline figures alone.")
  parts: str = common.setting(
      "", f"Parts to measure, of {', '.join(PARTS)}; separated by commas, default all.")
  output_dir: str = common.setting("runs", "Where run directories are made.")
  run_name: str = common.setting(
      "", "Name of the run directory; default the experiment and the time. Must be new.")
  seed: int = common.setting(0, "Decides programs, tasks and searches.")
  num_devices: int = common.setting(
      0, "CPU devices for the search, and at most for the scaling; 0 for one on each core.")
  seconds: float = common.setting(0.3, "Of each run of a measurement at least.")
  runs: int = common.setting(3, "Runs of a measurement, of which the best counts.")
  features: str = common.setting("4,8,16,32", "F of the hand-written programs.")
  tasks: str = common.setting("1,10,100", "D of the hand-written programs.")
  num_train: int = common.setting(1000, "Training examples.")
  num_valid: int = common.setting(100, "Validation examples.")
  lengths: str = common.setting("1,2,4,8,16,32,64", "Instructions of the chains.")
  examples: str = common.setting("10,100,1000,4000", "Training examples to grow to.")
  op_features: str = common.setting("4,16,64", "F of the single ops.")
  population: int = common.setting(256, "Programs of a population at most.")
  evolve_programs: int = common.setting(
      6000, "Programs that each island of the evolved populations tries.")
  islands: int = common.setting(128, "Islands of the demo search.")
  children_per_cycle: int = common.setting(64, "Children of each island in a cycle.")
  population_size: int = common.setting(1000, "P of the demo search.")
  warm_up_seconds: float = common.setting(4.0, "Of the demo search, after it compiled.")
  search_seconds: float = common.setting(15.0, "For which the demo search is measured.")

  @property
  def effort(self) -> measuring.Effort:
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
  elif parts == [_POINT]:
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
          config.effort, seed=config.seed)
      rates[name][str(num_features)] = row["steps_per_second"]
  demo = _demo(config, _demo_search(config))
  return {"steps_per_second": rates, "demo": {
      name: demo[name] for name in ("programs_per_second", "num_devices")}}


def _measure_all(config: Config, parts: Sequence[str]) -> dict[str, Any]:
  start = time.monotonic()
  directory = common.new_directory(
      "benchmark", config.output_dir, config.run_name, dataclasses.asdict(config))
  print(f"Measuring; everything is saved in {directory.path}")
  measure = {
      "programs": lambda: list(device_rates.hand_written(
          _numbers(config, "features"), _numbers(config, "tasks"), ("float32", "float64"),
          config.num_train, config.num_valid, config.effort)),
      "populations": lambda: _populations(config, directory),
      "demo": lambda: _demo_and_stages(config),
      "scaling": lambda: _scaling(config),
      "growth": lambda: list(device_rates.growth(
          _numbers(config, "lengths"), _numbers(config, "examples"), _GROWTH_FEATURES,
          _QUICK_TASKS, config.effort)),
      "ops": lambda: list(device_rates.op_costs(
          _numbers(config, "op_features"), config.effort, seed=config.seed)),
  }
  results: dict[str, Any] = {
      "machine": measuring.machine(), "command": reporting.command(config),
      "settings": dataclasses.asdict(config)}
  for part in parts:
    begin = time.monotonic()
    results[part] = measure[part]()
    print("\n\n".join(["", *benchmark_report.tables(results, part)]), flush=True)
    print(f"\n({part}: {time.monotonic() - begin:.0f} s)", flush=True)
  results["seconds"] = time.monotonic() - start
  results["peak_memory"] = measuring.peak_memory()
  directory.write("benchmark.json", json.dumps(results, indent=2) + "\n")
  benchmark_plot.plot_benchmark(results).savefig(directory.path / "benchmark.png", dpi=130)
  directory.write("report.md", benchmark_report.report(results, "benchmark.png"))
  print(f"\nReport: {directory.path / 'report.md'}")
  return results


def _populations(config: Config, directory: RunDirectory) -> list[dict[str, Any]]:
  rows = []
  for row, programs in device_rates.populations(
      config.population, config.evolve_programs, config.seed, config.effort,
      num_train=config.num_train):
    # So that other interpreters can be measured on the same programs.
    name = f"{row['space']}-{row['population']}".lower().replace(" ", "-").replace(".", "-")
    np.savez(directory.path / f"population-{name}.npz",
             **{field: getattr(programs, field) for field in Programs.ARRAYS})
    rows.append(row)
  return rows


def _demo_search(config: Config) -> Evolution:
  group = linear_regression.make_group(linear_regression.Config(
      islands=config.islands, children_per_cycle=config.children_per_cycle,
      population_size=config.population_size, seed=config.seed,
      max_train_steps=np.iinfo(np.int64).max))
  return Evolution(group.space, group.task_sets, group.config)


def _demo(config: Config, search: Evolution) -> dict[str, Any]:
  """Programs and training steps a second of the demo search on all devices."""
  rate = measuring.measure_search(
      search, warm_up=config.warm_up_seconds, seconds=config.search_seconds)
  return {
      "programs_per_second": rate.programs / rate.seconds, "num_devices": len(jax.devices()),
      "steps_per_second": rate.steps / rate.seconds, "seconds": rate.seconds,
      "islands": config.islands, "children_per_cycle": config.children_per_cycle,
      "counts": rate.counts}


def _demo_and_stages(config: Config) -> dict[str, Any]:
  search = _demo_search(config)
  demo = _demo(config, search)
  return demo | {"stages": measuring.stage_shares(search, config.search_seconds)}


def _scaling(config: Config) -> list[dict[str, Any]]:
  """One process for each number of devices, which JAX sets once for a process."""
  rows = []
  with tempfile.TemporaryDirectory() as path:
    for count in range(1, len(jax.devices()) + 1):
      file = pathlib.Path(path) / f"{count}.json"
      child = dataclasses.replace(config, parts=_POINT, num_devices=count, json=str(file))
      flags = [f"--{name}={value}" for name, value in dataclasses.asdict(child).items()]
      subprocess.run(
          [sys.executable, "-m", "experiments.benchmark", *flags], cwd=_ROOT, check=True)
      rows.append(json.loads(file.read_text(encoding="utf-8")))
  return rows


def _point(config: Config) -> dict[str, Any]:
  """What this process does with the devices it has."""
  count = len(jax.devices())
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
      "peak_memory": measuring.peak_memory()}


def _check(config: Config) -> list[str]:
  """The parts to measure."""
  common.require_positive(
      config, "runs", "num_train", "num_valid", "population", "evolve_programs", "islands",
      "children_per_cycle", "population_size")
  if not config.seconds > 0 or not config.search_seconds > 0 or not config.warm_up_seconds >= 0:
    raise ValueError("--seconds and --search_seconds must be positive, --warm_up_seconds not "
                     "negative.")
  for name in ("features", "tasks", "lengths", "examples", "op_features"):
    _numbers(config, name)
  parts = config.parts.split(",") if config.parts else list(PARTS)
  unknown = [part for part in parts if part not in (*PARTS, _POINT)]
  if unknown or (_POINT in parts and len(parts) > 1):
    raise ValueError(f"--parts has {unknown or parts}; choose from {', '.join(PARTS)}.")
  return parts


def _numbers(config: Config, name: str) -> list[int]:
  """The numbers of a setting that lists them."""
  text = getattr(config, name)
  try:
    numbers = [int(part) for part in text.split(",")]
  except ValueError:
    numbers = []
  if not numbers or min(numbers) < 1:
    raise ValueError(f"--{name} must be numbers from 1, separated by commas, got {text!r}.")
  return numbers


if __name__ == "__main__":
  common.main(Config, run)
