"""Tuning and testing one program on one pair of classes, for the final evaluation."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.frame import lazy

with lazy.imports():
  from azero.executors.single import direct
  from azero.insight import tuning
  from azero.language import text
  from azero.tasks.images import digits, paper_tasks

if TYPE_CHECKING:
  from azero.executors.single.direct import DirectEvaluator
  from azero.tasks.task import Tasks
  from experiments.frame.candidates import Candidate
  from experiments.frame.estimate import Estimate

DIGITS = "digits"  # of scikit-learn, which need no preparation


def key_of(pair: tuple[int, int], candidate: Candidate) -> tuple[str, str]:
  """Task and program of a row."""
  return f"{pair[0]} or {pair[1]}", candidate.name


def tasks_of(config: Any, pair: tuple[int, int], seeds: Sequence[int], part: str) -> Tasks:
  """Images of a pair of classes for training, and others to validate or to test on.

  Args:
    config: the settings.
    pair: of classes.
    seeds: of the draws of images, one for each task.
    part: "valid" or "test".

  Raises:
    ValueError: fewer images than are asked for.
    FileNotFoundError: the data set is not prepared.
  """
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


def evaluator_of(candidate: Candidate, tasks: Tasks, config: Any) -> DirectEvaluator:
  """Evaluates a program with other constants on tasks of this size."""
  program = candidate.program
  space = program.space.with_features(tasks.num_features)
  return direct.DirectEvaluator(
      dataclasses.replace(program, space=space), tasks, num_epochs=config.training.num_epochs,
      dtype=config.training.dtype)


def tune(
    candidate: Candidate, evaluator: DirectEvaluator, pair: tuple[int, int], config: Any,
    expected: Estimate,
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
      "dataset": config.dataset, "task": key_of(pair, candidate)[0], "program": candidate.name,
      "code": text.format_program(candidate.program),
      "original_constants": evaluator.constants.tolist(), "constants": found.constants.tolist(),
      "constants_of": list(evaluator.straight.constants.lines),
      "valid_original": found.original, "valid_tuned": found.fitness, "trials": found.trials,
      "train_steps": found.train_steps, "seconds": time.perf_counter() - start,
      "interrupted": found.interrupted, "history": [step._asdict() for step in found.history]}


def measure(
    evaluator: DirectEvaluator, constants: Sequence[float], pair: tuple[int, int], config: Any
) -> list[float]:
  """Test accuracies of a tuned program, one for each seed."""
  accuracies: list[float] = []
  at_once = evaluator.num_devices
  for first in range(0, config.num_seeds, at_once):
    seeds = range(first, min(first + at_once, config.num_seeds))
    tasks = tasks_of(config, pair, [config.training.seed + seed for seed in seeds], "test")
    result = evaluator.on(tasks).evaluate(
        np.array(constants)[None], seeds=config.training.seed, last_epoch=True)
    accuracies += result.per_task[0].tolist()
  return accuracies
