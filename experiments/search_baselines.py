"""Baselines for other search methods at three scales of compute (supplement S10, table S5).

A restricted space, empty initial programs, binary tasks projected to 16 features, and a
budget of training steps for each process. "Full" is the method of section 4.2; "Basic" lacks
functional equivalence checking, hurdles and the second data set.

With several processes half of those of "Full" search on the second data set. A single one
has half of its tasks from either, which the paper leaves open.

Continued with a larger budget (--resume=DIR --max_train_steps=N), the same repeats go on, and
the report tells them at either budget.

    python -m experiments.search_baselines --preset=small
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools
from typing import ClassVar

from experiments.frame import command_line, lazy, settings, trials, workers
from experiments.frame.settings import setting
from experiments.frame.trials import Comparison, Trials
from experiments.frame.workers import SMOKE, Arm, Kind

with lazy.imports():
  from azero.language import spaces
  from experiments.details import search_baselines_report as report

METHODS = ("basic", "full")
_PAPER_REFERENCES = "0.702 for logistic regression and 0.729 for the network on its CIFAR-10 tasks"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(workers.TwoDatasetsSettings):
  """Settings of this experiment; defaults are the paper's."""

  methods: tuple[str, ...] = setting(METHODS, "Search methods.", choices=METHODS)
  processes: tuple[int, ...] = setting((1, 10, 100), "Numbers of worker processes.")
  num_tasks: int = setting(10, "D, search tasks of each worker.")
  repeats: int = setting(100, "Repeats of each setting.")

  PRESETS: ClassVar[settings.Presets] = {
      "smoke": SMOKE | {
          "second_dataset": "mnist_5k", "processes": (1, 2), "repeats": 2, "num_tasks": 2,
          "num_train": 40},
      "small": {
          "dataset": "fashion_mnist", "second_dataset": "mnist_5k", "processes": (1,),
          "repeats": 24, "task_sets": 8, "max_train_steps": 50_000_000, "num_train": 640,
          "num_valid": 80, "num_select": 50},
  }


def run(config: Config) -> Trials:
  """Runs the experiment and writes its directory.

  Raises:
    ValueError: a bad setting.
    FileNotFoundError: a data set is not prepared.
    FileExistsError: the run directory exists.
  """
  arms = make_arms(config)
  return trials.run_experiment(
      "search_baselines", config, arms, functools.partial(_compare, config, arms))


def make_arms(config: Config) -> list[Arm]:
  """The settings that are compared.

  Raises:
    ValueError: an unknown method, or numbers of processes that are none.
  """
  config.check()
  settings.require_positive(config, "num_tasks")
  space = spaces.baseline(config.num_features)
  template = workers.start(config, space)
  return [
      Arm(
          name=f"{method}-{count}", title=f"{method.capitalize()}, {count} process(es)",
          space=space, workers=count, template=template,
          kinds=_kinds(config, method, count), select=_kind(config, "select", (config.dataset,)),
          fingerprint=method == "full", hurdle=method == "full")
      for method in config.methods for count in config.processes]


def _kinds(config: Config, method: str, processes: int) -> list[Kind]:
  both = (config.dataset, config.second_dataset)
  if method == "full" and processes == 1 and config.num_tasks < 2:
    raise ValueError(
        "--num_tasks must be at least 2 for a single process of the full method, which has half "
        f"of its tasks from either data set; got {config.num_tasks}.")
  if method == "basic":
    return [_kind(config, "first", both[:1])]
  if processes == 1:
    return [_kind(config, "both", both)]
  return [_kind(config, "first", both[:1]), _kind(config, "second", both[1:])]


def _kind(config: Config, name: str, datasets: tuple[str, ...]) -> Kind:
  return Kind(
      name=name, datasets=datasets, num_features=config.num_features,
      num_tasks=config.num_select if name == "select" else config.num_tasks,
      num_train=config.num_train, num_valid=config.num_valid)


def _compare(config: Config, arms: Sequence[Arm], result: Trials) -> Comparison:
  searched = " and ".join(dict.fromkeys(
      name for arm in arms for kind in arm.kinds for name in kind.datasets))
  return Comparison(
      title="S10: baselines at three scales of compute",
      summary=[
          f"Search on {searched}, F = {config.num_features}, {config.num_train:,} training "
          f"examples, {config.budget()} for each process (the paper: "
          "CIFAR-10, 8,000 examples, 100,000,000,000 steps). The best program of each repeat is "
          f"chosen on {config.num_select} tasks of {config.dataset} and judged on as many others. "
          f"The paper's references reach {_PAPER_REFERENCES}."],
      tables=report.tables(arms, result, config.budget()),
      settings=report.settings(arms, result, config.budget()),
      label="accuracy of the best program on unseen tasks",
      picture_title=f"Search baselines, {config.budget('.3g')} a process",
      references=result.references[arms[0].name])


if __name__ == "__main__":
  command_line.main(Config, run)
