"""Final evaluation: programs tuned and tested at full size, beside the paper's baselines.

Supplement S7 of the AutoML-Zero paper: on pairs of classes with all pixels the constants of a
program are tuned together by random search, on 8000 training and 2000 validation images of the
train split. Then the program trains with five seeds and is measured on 2000 images of the test
split. Baselines are logistic regression and the two-layer neural network, both as programs that
learn by gradient descent, tuned with as many trials.

    python -m experiments.final_evaluation --program=s1b --dataset=fashion_mnist --pair=0,6

The paper tried up to 10,000 settings. Smaller presets try fewer, and give up on a setting after
few examples where others do better (`azero.insight.tuning`).

Results are saved program by program. --resume goes on with those that are missing, and tunes
those anew whose tuning was interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools
from typing import Any, ClassVar

import numpy as np

from azero.language import zoo
from azero.search.config import SearchConfig
from azero.tasks.images.sources import SOURCES
from experiments.details.final_evaluation_tuning import DIGITS
from experiments.frame import command_line, lazy, settings
from experiments.frame.run_settings import RunSettings
from experiments.frame.settings import nested, setting

with lazy.imports():
  from experiments.details import final_evaluation_report as report_lib
  from experiments.details import final_evaluation_tuning as tuning
  from experiments.frame import candidates as candidates_lib
  from experiments.frame import estimate, study

TUNERS = ("random", "gradient")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """Settings of this experiment; the defaults are the paper's."""

  MAY_CHANGE: ClassVar[Sequence[str]] = ("num_devices", "estimate_seconds")
  PRESETS: ClassVar[settings.Presets] = {
      "smoke": {
          "dataset": DIGITS, "num_trials": 8, "num_seeds": 2, "num_train": 160, "num_valid": 60,
          "num_test": 60, "reduction": 4, "estimate_seconds": None},
      "small": {"num_trials": 129, "reduction": 4},
  }

  run: RunSettings = nested(
      RunSettings(), only=("output_dir", "run_name", "resume", "estimate_seconds"))
  training: SearchConfig = nested(
      SearchConfig(), only=("seed", "dtype", "num_devices", "num_epochs"))
  program: tuple[str, ...] = setting(
      ("s1b",), "What to evaluate: text files, run directories (their best program), or "
      f"programs of the zoo ({', '.join(zoo.names())}).", path=True)
  dataset: str = setting("fashion_mnist", "The images.", choices=(*SOURCES, DIGITS))
  pair: str = setting(
      "0,6", "Two classes, or several pairs separated by semicolons: 0,6;2,4.")
  data_dir: str | None = setting(
      None, "Where the data set is; default as for TFDS.", path=True)
  tuner: str = setting(
      "random", "Random search, or the gradient of a smooth loss through the training.",
      choices=TUNERS)
  num_trials: int = setting(
      10_000, "Settings of the constants to try for each program, its own included.")
  reduction: int = setting(
      1, "Successive halving: of so many trials one goes on to so many times the examples; 1 "
      "trains all in full.")
  num_train: int = setting(8000, "Training images.")
  num_valid: int = setting(2000, "Validation images, to tune on.")
  num_test: int = setting(2000, "Test images.")
  num_seeds: int = setting(5, "Final trainings, each on its own draw of the images.")


def run(config: Config) -> list[dict[str, Any]]:
  """Tunes and tests every program on every pair, and writes the run directory.

  Returns:
    A row for each pair and program, as in results.json.

  Raises:
    ValueError: a bad setting or program.
    FileNotFoundError: no such program, or a data set that is not prepared, or no run to
      continue.
    FileExistsError: the run directory exists.
  """
  settings.require_positive(
      config, "num_trials", "reduction", "num_train", "num_valid", "num_test", "num_epochs",
      "num_seeds")
  if config.tuner == "gradient" and config.training.num_epochs > 1:
    raise ValueError("--tuner=gradient trains for one epoch; use --num_epochs=1.")
  config.run.check()
  pairs = _parse_pairs(config.pair)
  candidates = candidates_lib.load_candidates(config.program)
  tuning_tasks = functools.lru_cache(maxsize=1)(
      lambda pair: tuning.tasks_of(config, pair, [config.training.seed], "valid"))
  # What is wrong with the data shows before there is a directory. The first pair, which is
  # needed first, comes last, so that it need not be made again.
  for pair in reversed(pairs):
    tuning.tasks_of(config, pair, [config.training.seed], "test")
    tuning_tasks(pair)
  directory = study.open_directory("final_evaluation", config)
  with directory.locked():
    done = report_lib.read(directory, candidates) if directory.resumed else {}
    directory.save_config()
    print(f"Tuning and testing; everything is saved in {directory.path}. Ctrl-C ends the tuning "
          "of a program and goes on with its best constants so far.")
    every = [(pair, candidate) for pair in pairs for candidate in candidates]
    left = [each for each in every if tuning.key_of(*each) not in done]

    def save() -> list[dict[str, Any]]:
      """Writes the rows that there are, in their order."""
      rows = [done[key] for each in every if (key := tuning.key_of(*each)) in done]
      report_lib.save(rows, candidates, config, directory)
      return rows

    expected = estimate.Estimate(
        config.run.estimate_seconds,
        {"tunings of this experiment, if the other programs cost as much,": len(left)},
        work="tuning", advice="What is done is saved, program by program.")
    for pair, candidate in left:
      evaluator = tuning.evaluator_of(candidate, tuning_tasks(pair), config)
      row = tuning.tune(candidate, evaluator, pair, config, expected)
      test = tuning.measure(evaluator, row["constants"], pair, config)
      deviation = float(np.std(test, ddof=len(test) > 1))
      done[tuning.key_of(pair, candidate)] = row | {
          "test": test, "mean": float(np.mean(test)), "std": deviation}
      print(f"{row['task']}  {row['program']:24s} test accuracy {np.mean(test):.4f} "
            f"± {deviation:.4f} over {len(test)} seeds", flush=True)
      rows = save()
    if not left:
      rows = save()
  print(f"Report: {directory.path / 'report.md'}")
  return rows


def _parse_pairs(pairs: str) -> list[tuple[int, int]]:
  try:
    parsed = [tuple(int(part) for part in pair.split(",")) for pair in pairs.split(";")]
  except ValueError:
    parsed = []
  if not parsed or any(len(set(pair)) != 2 or len(pair) != 2 for pair in parsed):
    raise ValueError(f"--pair must be two different classes as in 0,6 or 0,6;2,4; got '{pairs}'.")
  return list(dict.fromkeys((pair[0], pair[1]) for pair in parsed))


if __name__ == "__main__":
  command_line.main(Config, run)
