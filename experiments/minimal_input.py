"""Searching with minimal human input (section 4.2, figure 6).

From empty programs and 58 ops to learners of projected image tasks, with everything that
the method has: migration, functional equivalence checking, hurdles, two data sets. Workers
are divided over all combinations of data set, examples and epochs, tasks, and features.
Each repeat is one of the paper's experiments and ends with one candidate; the best of them
can go on to `experiments.final_evaluation`.

    python -m experiments.minimal_input --preset=small
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools
import itertools
from typing import ClassVar

from azero.search.config import SearchConfig
from experiments.frame import command_line, lazy, settings, trials, workers
from experiments.frame.references import NETWORK
from experiments.frame.settings import setting
from experiments.frame.trials import Comparison, Trials
from experiments.frame.workers import SMOKE, Arm, Kind

with lazy.imports():
  from azero.insight import tables as insight_tables
  from azero.insight.plots import comparison_plot
  from azero.language import spaces

_PAPER_SUCCESSES = 13, 20  # experiments whose candidate beats the network on T_select


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(workers.TwoDatasetsSettings):
  """Settings of this experiment; the paper's, with its five days as steps at the rate of S10."""

  search: SearchConfig = workers.search_settings(1_000_000_000_000)
  workers: int = setting(10_000, "W, worker processes of a repeat.")
  repeats: int = setting(20, "Experiments, each with a candidate.")
  examples: tuple[str, ...] = setting(
      ("800x1", "8000x1", "800x10"),
      "Training examples and epochs of the kinds of workers, as NxE.")
  tasks: tuple[int, ...] = setting(
      (1, 10), "Numbers of search tasks D of the kinds of workers.")
  features: tuple[int, ...] = setting(
      (8, 16, 256), "Numbers of features F of the kinds of workers.")

  PRESETS: ClassVar[settings.Presets] = {
      "smoke": SMOKE | {
          "second_dataset": "mnist_5k", "workers": 4, "repeats": 1, "task_sets": 1,
          "examples": ("40x1",), "tasks": (2,), "features": (8,), "num_train": 40,
          "num_features": 8},
      # Caches turn the steps of workers with cheap tasks into millions of programs. Eight workers
      # in each group: what the host does for a batch hardly depends on its size.
      "small": {
          "dataset": "fashion_mnist", "second_dataset": "mnist_5k", "workers": 64, "repeats": 1,
          "task_sets": 4, "max_train_steps": 100_000_000,
          "max_programs": 80_000,
          "examples": ("320x1", "640x1"), "tasks": (1, 10), "features": (8, 16), "num_train": 640,
          "num_valid": 80, "num_select": 50},
  }


def run(config: Config) -> Trials:
  """Runs the experiment and writes its directory.

  Raises:
    ValueError: a bad setting.
    FileNotFoundError: a data set is not prepared.
    FileExistsError: the run directory exists.
  """
  arm = make_arm(config)
  return trials.run_experiment(
      "minimal_input", config, [arm], functools.partial(_compare, config, arm))


def make_arm(config: Config) -> Arm:
  """The search of the experiment.

  Raises:
    ValueError: a list of settings that is none, or a setting that no search accepts.
  """
  config.check()
  settings.require_positive(config, "workers")
  grid = itertools.product(
      (config.dataset, config.second_dataset), _examples(config.examples),
      config.tasks, config.features)
  kinds = [
      Kind(
          name=f"{place}-{dataset}-{count}x{epochs}-d{num_tasks}-f{features}",
          datasets=(dataset,), num_features=features, num_tasks=num_tasks, num_train=count,
          num_valid=config.num_valid, num_epochs=epochs)
      for place, (dataset, (count, epochs), num_tasks, features) in enumerate(grid)]
  select = Kind(
      name="select", datasets=(config.dataset,), num_features=config.num_features,
      num_tasks=config.num_select, num_train=config.num_train, num_valid=config.num_valid)
  space = spaces.minimal_input(config.num_features)
  return Arm(
      name="experiment", title="Minimal human input", space=space, kinds=kinds,
      workers=config.workers, template=workers.start(config, space), select=select)


def _compare(config: Config, arm: Arm, result: Trials) -> Comparison:
  values = [outcome.accuracy for outcome in result.outcomes]
  compared = result.references[arm.name]
  successes = sum(value > compared[NETWORK] for value in values)
  tables = [
      insight_tables.markdown(
          ("repeat", "T_search", "T_select", "unseen tasks", "over the network"),
          [(outcome.repeat + 1, f"{outcome.search_fitness:.4f}", f"{outcome.select_fitness:.4f}",
            f"{outcome.accuracy:.4f}", "yes" if outcome.accuracy > compared[NETWORK] else "no")
           for outcome in result.outcomes]),
      trials.reference_table(compared),
      insight_tables.markdown(("", "candidates over the network"), [
          ("here", f"{successes} of {len(values)}"),
          ("paper (CIFAR-10, five days on 10,000 cores)",
           "{} of {}".format(*_PAPER_SUCCESSES))])]
  return Comparison(
      title="Section 4.2: searching with minimal human input",
      summary=[
          f"{config.workers} worker(s) in each repeat over {len(arm.kinds)} kinds of tasks of "
          f"{config.dataset} and {config.second_dataset}, {config.budget()} "
          f"each. T_select: {config.num_select} tasks of {config.dataset} to choose on and "
          "as many others to judge, F = "
          f"{config.num_features}, {config.num_train:,} training examples."],
      tables=tables, settings=[comparison_plot.Setting("evolved from scratch", values)],
      label="accuracy of the candidates on unseen tasks",
      picture_title=f"Minimal human input, {config.workers} worker(s)", references=compared)


def _examples(given: Sequence[str]) -> list[tuple[int, int]]:
  pairs = []
  for part in given or ("",):
    count, _, epochs = part.partition("x")
    if not (settings.is_count(count) and settings.is_count(epochs) and int(count) > 1):
      raise ValueError(
          "--examples must list training examples and epochs as NxE with commas between them, as "
          f"in 800x1,800x10; got '{','.join(given)}'.")
    pairs.append((int(count), int(epochs)))
  return pairs


if __name__ == "__main__":
  command_line.main(Config, run)
