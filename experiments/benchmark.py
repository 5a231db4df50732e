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
import time
from typing import TYPE_CHECKING, Any, ClassVar

from azero import files
from azero.search.config import SearchConfig
from experiments.frame import command_line, lazy, linear_demo, settings
from experiments.frame.run_settings import RunSettings
from experiments.frame.settings import nested, setting

with lazy.imports():
  from experiments.benchmarks import (
    benchmark_parts,
    benchmark_plot,
    benchmark_report,
    measuring,
  )
  from experiments.frame import memory, reporting, study

if TYPE_CHECKING:
  from experiments.benchmarks.measuring import Effort

PARTS = ("programs", "populations", "demo", "searches", "scaling", "growth", "ops")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """Settings of this experiment."""

  POINT: ClassVar[str] = "point"  # a part: one number of devices, in a process of its own

  quick: bool = setting(
      False, "Only the headline figures: steps per second of two programs, and searches.")
  json: str | None = setting(
      None, "Where to write the figures as JSON, too; with --quick the headline figures alone.",
      path=True)
  parts: tuple[str, ...] = setting(PARTS, "Parts to measure.", choices=(*PARTS, POINT))
  run: RunSettings = nested(RunSettings(), only=("output_dir", "run_name"))
  search: SearchConfig = nested(
      dataclasses.replace(linear_demo.SEARCH, max_train_steps=None),
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
  if config.json:
    files.make_place(pathlib.Path(config.json), "--json: ")
  if config.quick:
    results = benchmark_parts.quick(config)
    print(json.dumps(results, indent=2))
  elif parts == (config.POINT,):
    results = benchmark_parts.point(config)
  else:
    results = _measure_all(config, parts)
  if config.json:
    pathlib.Path(config.json).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
  return results


def _measure_all(config: Config, parts: Sequence[str]) -> dict[str, Any]:
  start = time.monotonic()
  directory = study.open_directory("benchmark", config)
  print(f"Measuring; everything is saved in {directory.path}")
  results: dict[str, Any] = {
      "machine": measuring.machine(), "command": reporting.command(config),
      "settings": settings.flat(config)}
  for part in parts:
    begin = time.monotonic()
    results[part] = benchmark_parts.measure(part, config, directory)
    directory.write("benchmark.json", json.dumps(results, indent=2) + "\n")
    print("\n\n".join(["", *benchmark_report.tables(results, part)]), flush=True)
    print(f"\n({part}: {time.monotonic() - begin:.0f} s)", flush=True)
  results["seconds"] = time.monotonic() - start
  results["peak_memory"] = memory.peak_memory()
  directory.write("benchmark.json", json.dumps(results, indent=2) + "\n")
  benchmark_plot.plot_benchmark(results).savefig(directory.path / "benchmark.png", dpi=130)
  directory.write("report.md", benchmark_report.report(results, "benchmark.png"))
  print(f"\nReport: {directory.path / 'report.md'}")
  return results


def _check(config: Config) -> tuple[str, ...]:
  """The parts to measure."""
  settings.require_positive(
      config, "runs", "num_train", "num_valid", "population", "evolve_programs", "islands")
  if not config.seconds > 0 or not config.search_seconds > 0 or not config.warm_up_seconds >= 0:
    raise ValueError("--seconds and --search_seconds must be positive, --warm_up_seconds not "
                     "negative.")
  if config.POINT in config.parts and len(config.parts) > 1:
    raise ValueError(f"--parts={','.join(config.parts)}: {config.POINT} is measured alone.")
  return config.parts


if __name__ == "__main__":
  command_line.main(Config, run)
