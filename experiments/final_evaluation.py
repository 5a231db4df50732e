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
import json
import pathlib
import time
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from azero.language import zoo
from azero.search.config import SearchConfig
from azero.tasks.images.sources import SOURCES
from experiments.frame import command_line, lazy, settings
from experiments.frame.run_settings import RunSettings
from experiments.frame.settings import nested, setting

with lazy.imports():
  from azero.executors.single import direct
  from azero.insight import tuning
  from azero.insight.plots import final_plot
  from azero.language import text
  from azero.runs import warm_start
  from azero.tasks.images import digits, paper_tasks
  from experiments.frame import estimate, reporting, study

if TYPE_CHECKING:
  from azero.executors.single.direct import DirectEvaluator
  from azero.language.program import Programs
  from azero.runs.directory import RunDirectory
  from azero.tasks.task import Tasks

BASELINES = {"linear_regressor": "logistic regression", "plain_nn": "neural network"}
_RESULTS = "results.json"
DIGITS = "digits"  # of scikit-learn, which need no preparation
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


@dataclasses.dataclass(frozen=True)
class Candidate:
  """A program to evaluate.

  Attributes:
    name: in tables and pictures.
    program: a batch of one, of any number of features.
  """

  name: str
  program: Programs


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
  candidates = load_candidates(config.program)
  tuning_tasks = functools.lru_cache(maxsize=1)(
      lambda pair: _tasks(config, pair, [config.training.seed], "valid"))
  # What is wrong with the data shows before there is a directory. The first pair, which is
  # needed first, comes last, so that it need not be made again.
  for pair in reversed(pairs):
    _tasks(config, pair, [config.training.seed], "test")
    tuning_tasks(pair)
  directory = study.open_directory("final_evaluation", config)
  with directory.locked():
    done = _read_results(directory, candidates) if directory.resumed else {}
    directory.save_config()
    print(f"Tuning and testing; everything is saved in {directory.path}. Ctrl-C ends the tuning "
          "of a program and goes on with its best constants so far.")
    every = [(pair, candidate) for pair in pairs for candidate in candidates]
    left = [each for each in every if _key(*each) not in done]
    expected = estimate.Estimate(
        config.run.estimate_seconds, {"searches of this experiment": len(left)})
    for pair, candidate in left:
      evaluator = _evaluator(candidate, tuning_tasks(pair), config)
      row = _tune(candidate, evaluator, pair, config, expected)
      test = _test(evaluator, row["constants"], pair, config)
      deviation = float(np.std(test, ddof=len(test) > 1))
      done[_key(pair, candidate)] = row | {
          "test": test, "mean": float(np.mean(test)), "std": deviation}
      print(f"{row['task']}  {row['program']:24s} test accuracy {np.mean(test):.4f} "
            f"± {deviation:.4f} over {len(test)} seeds", flush=True)
      _save([done[_key(*each)] for each in every if _key(*each) in done], candidates, config,
            directory)
    rows = [done[_key(*each)] for each in every]
  print(f"Report: {directory.path / 'report.md'}")
  return rows


def _key(pair: tuple[int, int], candidate: Candidate) -> tuple[str, str]:
  """Task and program of a row."""
  return f"{pair[0]} or {pair[1]}", candidate.name


def _save(
    rows: Sequence[dict[str, Any]], candidates: Sequence[Candidate], config: Config,
    directory: RunDirectory,
) -> None:
  """Writes the results that there are, with their picture and report."""
  directory.write(_RESULTS, json.dumps(rows, indent=2) + "\n")
  picture = final_plot.plot_final(rows, title=f"{config.dataset}: final evaluation")
  picture.savefig(directory.path / "final.png", dpi=130)
  directory.write("report.md", _report(rows, candidates, config))


def _read_results(
    directory: RunDirectory, candidates: Sequence[Candidate]
) -> dict[tuple[str, str], dict[str, Any]]:
  """Rows of a run that need not be made again, by task and program.

  Raises:
    ValueError: a program is not that of the run any more.
  """
  path = directory.path / _RESULTS
  rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
  code = {candidate.name: text.format_program(candidate.program) for candidate in candidates}
  for row in rows:
    if row["code"] != code.get(row["program"]):
      raise ValueError(
          f"--program: '{row['program']}' is not the program any more whose results are in "
          f"'{path}'. Put that one back, or start a new run.")
  return {(row["task"], row["program"]): row for row in rows if not row["interrupted"]}


def load_candidates(names: Sequence[str]) -> list[Candidate]:
  """The programs of --program and the baselines, each once.

  Raises:
    ValueError: a program that cannot be read, or none, or two of the same name.
    FileNotFoundError: neither a file nor a directory nor a program of the zoo.
  """
  wanted = list(dict.fromkeys(name.strip() for name in names if name.strip()))
  if not wanted:
    raise ValueError("--program is empty: name a text file, a run directory or a zoo program.")
  loaded = [_load(name) for name in wanted if name not in BASELINES]
  loaded += [Candidate(title, zoo.load(name)) for name, title in BASELINES.items()]
  titles = [candidate.name for candidate in loaded]
  if len(set(titles)) < len(titles):
    raise ValueError(
        f"--program: tables and pictures would call two programs the same: {', '.join(titles)}. "
        "Give files and directories different names.")
  return loaded


def _load(name: str) -> Candidate:
  path = pathlib.Path(name)
  if name in zoo.names():
    if zoo.is_multiclass(name):
      raise ValueError(f"--program: '{name}' is for more than two classes; a pair has two.")
    return Candidate(name, zoo.load(name))
  if path.is_dir():
    return Candidate(path.name, _best_of_run(path))
  if not path.is_file():
    raise FileNotFoundError(
        f"--program: there is no file or directory '{name}', and the zoo has only "
        f"{', '.join(zoo.names())}.")
  try:
    return Candidate(path.stem, text.parse(path.read_text(encoding="utf-8")))
  except UnicodeDecodeError as error:
    raise ValueError(f"--program: '{name}' is not a text file in UTF-8 ({error}).") from None


def _best_of_run(path: pathlib.Path) -> Programs:
  """The best program of a run directory, for the number of features of its search."""
  for code, num_features in warm_start.read_entries(path):
    program = text.parse(code, num_features=num_features)
    if warm_start.predicts(program).any():
      return program
  raise ValueError(
      f"--program: no program of '{path}' predicts anything in a task of two classes; name "
      "another run.")


def _parse_pairs(pairs: str) -> list[tuple[int, int]]:
  try:
    parsed = [tuple(int(part) for part in pair.split(",")) for pair in pairs.split(";")]
  except ValueError:
    parsed = []
  if not parsed or any(len(set(pair)) != 2 or len(pair) != 2 for pair in parsed):
    raise ValueError(f"--pair must be two different classes as in 0,6 or 0,6;2,4; got '{pairs}'.")
  return list(dict.fromkeys((pair[0], pair[1]) for pair in parsed))


def _tasks(config: Config, pair: tuple[int, int], seeds: Sequence[int], part: str) -> Tasks:
  make = digits.original_digits
  if config.dataset != DIGITS:
    make = functools.partial(
        paper_tasks.original_tasks, config.dataset, data_dir=config.data_dir)
  num_valid = config.num_test if part == "test" else config.num_valid
  try:
    return make(
        pair, seeds=seeds, validate_on=part, num_train=config.num_train, num_valid=num_valid)
  except ValueError as error:
    if part == "valid":
      raise
    raise ValueError(f"Test images, as many as --num_test={config.num_test}: {error}") from None


def _evaluator(candidate: Candidate, tasks: Tasks, config: Config) -> DirectEvaluator:
  program = candidate.program
  space = program.space.with_features(tasks.num_features)
  return direct.DirectEvaluator(
      dataclasses.replace(program, space=space), tasks, num_epochs=config.training.num_epochs,
      dtype=config.training.dtype)


def _tune(
    candidate: Candidate, evaluator: DirectEvaluator, pair: tuple[int, int], config: Config,
    expected: estimate.Estimate,
) -> dict[str, Any]:
  """Tunes one program; a row without test accuracies."""
  start = time.perf_counter()

  def show(best: tuning.Tuning) -> None:
    if expected.due:
      expected.show(
          {"train_steps": best.train_steps, "trials": best.trials},
          {"trials": config.num_trials - best.trials})
    print(f"{pair}  {candidate.name:24s} {best.trials:6d} trials  {best.train_steps:12,d} "
          f"examples  {time.perf_counter() - start:7.1f} s  validation accuracy "
          f"{best.original:.4f} -> {best.fitness:.4f}", flush=True)

  if config.tuner == "random":
    found = tuning.random_search(
        evaluator, num_trials=config.num_trials, seed=config.training.seed,
        reduction=config.reduction, progress=show)
  else:
    found = tuning.gradient_search(
        evaluator, num_steps=config.num_trials - 1, seed=config.training.seed, progress=show)
  return {
      "dataset": config.dataset, "task": _key(pair, candidate)[0], "program": candidate.name,
      "code": text.format_program(candidate.program),
      "original_constants": evaluator.constants.tolist(), "constants": found.constants.tolist(),
      "constants_of": list(evaluator.straight.constants.lines),
      "valid_original": found.original, "valid_tuned": found.fitness, "trials": found.trials,
      "train_steps": found.train_steps, "seconds": time.perf_counter() - start,
      "interrupted": found.interrupted, "history": [step._asdict() for step in found.history]}


def _test(
    evaluator: DirectEvaluator, constants: Sequence[float], pair: tuple[int, int], config: Config
) -> list[float]:
  """Test accuracies of a tuned program, one for each seed."""
  accuracies: list[float] = []
  at_once = evaluator.num_devices
  for first in range(0, config.num_seeds, at_once):
    seeds = range(first, min(first + at_once, config.num_seeds))
    tasks = _tasks(config, pair, [config.training.seed + seed for seed in seeds], "test")
    result = evaluator.on(tasks).evaluate(
        np.array(constants)[None], seeds=config.training.seed, last_epoch=True)
    accuracies += result.per_task[0].tolist()
  return accuracies


def _report(
    rows: Sequence[dict[str, Any]], candidates: Sequence[Candidate], config: Config) -> str:
  summary = [
      f"Pairs of classes of {config.dataset} with all pixels. Each program's constants were "
      f"tuned with {config.num_trials} trials ({config.tuner} search) on {config.num_train} "
      f"training and {config.num_valid} validation images of the train split; then it trained "
      f"with {config.num_seeds} seeds and was measured on {config.num_test} images of the test "
      "split, which tuning does not see, after its last epoch."]
  if any(row["interrupted"] for row in rows):
    summary.append("**Tuning was interrupted**: budgets are not equal, see the table.")
  results = reporting.table(
      ("classes", "program", "test accuracy", "deviation over seeds", "validation, untuned",
       "validation, tuned", "trials", "examples trained on", "seconds"),
      [(row["task"], row["program"], f"{row['mean']:.4f}", f"{row['std']:.4f}",
        f"{row['valid_original']:.4f}", f"{row['valid_tuned']:.4f}", row["trials"],
        f"{row['train_steps']:,}", f"{row['seconds']:.0f}") for row in rows])
  constants = reporting.table(
      ("classes", "program", "instruction", "constant", "tuned"),
      [(row["task"], row["program"], f"`{line}`", f"{old:.4g}", f"{new:.4g}")
       for row in rows for line, old, new in zip(
           row["constants_of"], row["original_constants"], row["constants"])])
  programs = [
      f"### {candidate.name}\n\n{reporting.code_block(reporting.live_text(candidate.program))}"
      for candidate in candidates]
  return reporting.report(
      f"Final evaluation on {config.dataset}", summary=summary,
      tables=[results, "![Test accuracies and tuning](final.png)", "## Constants", constants,
              "## Programs", *programs],
      program=None, config=config)


if __name__ == "__main__":
  command_line.main(Config, run)
