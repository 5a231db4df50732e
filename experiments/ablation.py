"""Does each upgrade of the search method help? (section 5, figure 8; supplement S9)

Rows 0 to 4 add one upgrade each to plain regularised evolution: migration, functional
equivalence checking, a second data set for half of the workers, hurdles. Row 5 is row 3 on
the second data set alone. All rows have the same budget of training steps, and are judged
on tasks of the first data set.

    python -m experiments.ablation --preset=small
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools
from typing import ClassVar

from azero.search.config import SearchConfig
from experiments.frame import command_line, lazy, settings, trials, workers
from experiments.frame.references import NETWORK
from experiments.frame.settings import setting
from experiments.frame.trials import Comparison, Trials
from experiments.frame.workers import SMOKE, Arm, Kind

with lazy.imports():
  from azero.insight import tables
  from azero.insight.plots import comparison_plot
  from azero.language import spaces

ROWS = (
    "baseline", "+ migration", "+ functional equivalence checking", "+ 50% second data set",
    "+ hurdles", "row 3 with the second data set alone")
# Tables S2 to S4, by processes: best accuracy and success fraction of each row.
PAPER = {
    1000: (
        ((0.703, 0.002), (0.00, 0.00)), ((0.707, 0.004), (0.00, 0.00)),
        ((0.724, 0.006), (0.13, 0.12)), ((0.729, 0.008), (0.27, 0.16)),
        ((0.738, 0.008), (0.53, 0.18)), ((0.720, 0.003), (0.00, 0.00))),
    100: (
        ((0.700, 0.002), (0.00, 0.00)), ((0.704, 0.000), (0.00, 0.00)),
        ((0.706, 0.001), (0.00, 0.00)), ((0.710, 0.002), (0.02, 0.03)),
        ((0.714, 0.003), (0.10, 0.06)), ((0.700, 0.004), (0.00, 0.00))),
    10: (
        ((0.700, 0.001), (0.00, 0.00)), ((0.701, 0.001), (0.00, 0.00)),
        ((0.702, 0.001), (0.00, 0.00)), ((0.704, 0.001), (0.00, 0.00)),
        ((0.705, 0.001), (0.00, 0.00)), ((0.694, 0.002), (0.00, 0.00))),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(workers.TwoDatasetsSettings):
  """Settings of this experiment; the paper's, with its five days as steps at the rate of S10."""

  search: SearchConfig = workers.search_settings(1_000_000_000_000, num_epochs=10)
  rows: tuple[str, ...] = setting(
      ("0", "1", "2", "3", "4", "5"), "Rows of the table.",
      choices=("0", "1", "2", "3", "4", "5"))
  workers: int = setting(1000, "W, worker processes of a repeat.")
  num_tasks: int = setting(
      10, "D, search tasks of each worker; the paper has 1 or 10 in section 4.2, and does not say "
      "which here.")

  PRESETS: ClassVar[settings.Presets] = {
      "smoke": SMOKE | {
          "second_dataset": "mnist_5k", "workers": 2, "repeats": 1, "num_tasks": 2,
          "num_epochs": 2, "num_train": 40, "hurdle": 0.1},
      "small": {
          "dataset": "fashion_mnist", "second_dataset": "mnist_5k", "workers": 4, "repeats": 8,
          "task_sets": 4, "max_train_steps": 10_000_000,
          "migration_every": 500, "num_tasks": 4, "num_train": 320, "num_valid": 80,
          "num_epochs": 1, "num_select": 50},
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
      "ablation", config, arms, functools.partial(_compare, config, arms))


def make_arms(config: Config) -> list[Arm]:
  """The rows of the table.

  Raises:
    ValueError: an unknown row, or a setting that no search accepts.
  """
  config.check()
  settings.require_positive(config, "workers", "num_tasks", "num_epochs")
  return [_arm(config, int(row)) for row in config.rows]


def _arm(config: Config, row: int) -> Arm:
  first = _kind(config, "first", config.dataset, config.num_tasks)
  second = _kind(config, "second", config.second_dataset, config.num_tasks)
  kinds = [second] if row == 5 else [first, second] if row >= 3 else [first]
  space = spaces.ablation(config.num_features)
  return Arm(
      name=f"row-{row}", title=f"Row {row}: {ROWS[row]}", space=space, kinds=kinds,
      workers=config.workers, template=workers.start(config, space),
      select=_kind(config, "select", config.dataset, config.num_select),
      migration=row >= 1, fingerprint=row >= 2, hurdle=row == 4)


def _kind(config: Config, name: str, dataset: str, num_tasks: int) -> Kind:
  return Kind(
      name=name, datasets=(dataset,), num_features=config.num_features, num_tasks=num_tasks,
      num_train=config.num_train, num_valid=config.num_valid, num_epochs=config.search.num_epochs)


def _compare(config: Config, arms: Sequence[Arm], result: Trials) -> Comparison:
  scale = config.workers if config.workers in PAPER else 10
  rows, compared_with = [], []
  for arm in arms:
    paper = PAPER[scale][int(arm.name.split("-")[1])]
    values = [outcome.accuracy for outcome in result.of(arm)]
    network = {NETWORK: result.references[arm.name][NETWORK]}
    rows.append((
        arm.title, len(values), *trials.summary_cells(values, network),
        *(f"{value:.3f} ± {error:.3f}" for value, error in paper)))
    compared_with.append(comparison_plot.Setting(arm.name.replace("-", " "), values, paper[0]))
  header = (
      "search method", "repeats", "best accuracy", "success fraction",
      f"paper, {scale} processes: best accuracy", "paper: success fraction")
  compared = result.references[arms[0].name]
  return Comparison(
      title="S9: does each upgrade of the search help?",
      summary=[
          f"{config.workers} worker(s) in each repeat, {config.budget()} "
          f"each, on {config.dataset} and {config.second_dataset}, F = {config.num_features}, "
          f"{config.num_train:,} training examples, {config.search.num_epochs} epoch(s). The best "
          f"program of each repeat is chosen on {config.num_select} tasks of T_select and judged "
          "on as many others. The paper's network reaches 0.750 on its CIFAR-10 tasks."],
      tables=[tables.markdown(header, rows), trials.reference_table(compared)],
      settings=compared_with, label="accuracy of the best program on unseen tasks",
      picture_title=f"Upgrades of the search method, {config.budget('.3g')} a worker",
      references={NETWORK: compared[NETWORK]})


if __name__ == "__main__":
  command_line.main(Config, run)
