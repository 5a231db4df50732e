"""Do algorithms adapt to the type of task? (section 4.3, figure 7)

Populations start from a network trained by gradient descent and evolve on tasks with few
examples, on tasks with little training, or on tasks with all ten classes; a control evolves
on tasks without that difficulty. The chosen program of each repeat is searched for the motif
that the paper saw: a noisy ReLU, a learning rate that decays, a learning rate from the mean
of the weights. Fisher's exact test says whether the motif comes more often than in controls.
Whether it would pay at all on these tasks is measured without any search, too: knocked into the
program that the populations start from, with constants tuned (--motif_trials).

    python -m experiments.adaptation --task_type=fast_training --preset=small
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools
from typing import TYPE_CHECKING, ClassVar

from azero.search.config import SearchConfig
from experiments.frame import command_line, lazy, settings, trials, workers
from experiments.frame.settings import setting
from experiments.frame.trials import Comparison, Trials
from experiments.frame.workers import SMOKE, Arm, Kind

with lazy.imports():
  from azero.insight import tables
  from azero.insight.plots import comparison_plot
  from azero.language import spaces, zoo
  from azero.search.groups import starts
  from experiments.details import adaptation_motifs, adaptation_worth

if TYPE_CHECKING:
  from experiments.details.adaptation_worth import Worth

# Repeats in which the paper saw the motif, and all: in the experiment and in the control.
PAPER = {
    "few_examples": ((8, 30), (0, 30)), "fast_training": ((30, 30), (3, 30)),
    "multiple_classes": ((24, 30), (0, 30))}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(workers.WorkersSettings):
  """Settings of this experiment; the paper's, with its five days as steps at the rate of S10."""

  search: SearchConfig = workers.search_settings(
      1_000_000_000_000, num_epochs=100,
      helps={"num_epochs": "Epochs of few examples and of both controls."})
  task_type: str = setting(
      "fast_training", "What is difficult about the tasks.", choices=tuple(PAPER))
  warm_start: str | None = setting(
      None, "Program to start from: a name of the zoo, a file or a run directory; default figure "
      "5's network, or one for ten classes. The control of multiple_classes always has the "
      "default.", path=True)
  workers: int = setting(1000, "W, worker processes of a repeat.")
  tasks: tuple[int, ...] = setting(
      (10, 100), "Numbers of search tasks D of the kinds of workers.")
  few_examples: int = setting(80, "Training examples where there are few.")
  num_train: int = setting(800, "Training examples of the other binary tasks.")
  fast_epochs: int = setting(10, "Epochs of fast training.")
  class_train: int = setting(45_000, "Training examples of ten-class tasks.")
  class_valid: int = setting(5_000, "Validation examples of ten-class tasks.")
  binary_train: int = setting(8_000, "Training examples of the ten-class tasks' control.")
  motif_trials: int = setting(
      256, "Settings of the constants that the start is tuned by, with the paper's motif and "
      "without, to see what the motif is worth on these tasks; 0 to leave that out.")
  motif_tunings: int = setting(5, "How often that is repeated with other settings.")

  PRESETS: ClassVar[settings.Presets] = {
      "smoke": SMOKE | {
          "tasks": (2,), "num_train": 20, "few_examples": 10, "fast_epochs": 1, "num_epochs": 2,
          "class_train": 50, "class_valid": 20, "binary_train": 20, "workers": 1, "repeats": 2,
          "motif_trials": 0},
      # As many programs in the control: at equal steps it would have a tenth of them.
      "small": {
          "dataset": "fashion_mnist", "workers": 1, "repeats": 12, "task_sets": 12,
          "tasks": (4,), "max_programs": 20_000, "num_train": 200,
          "few_examples": 20, "fast_epochs": 2, "num_epochs": 20, "num_valid": 200,
          "num_select": 20, "class_train": 4_000, "class_valid": 1_000, "binary_train": 4_000,
          "motif_trials": 64},
  }


def run(config: Config) -> Trials:
  """Runs the experiment and writes its directory.

  Raises:
    ValueError: a bad setting, or a program that does not fit.
    FileNotFoundError: a data set or a program is missing.
    FileExistsError: the run directory exists.
  """
  arms = make_arms(config)
  return trials.run_experiment(
      "adaptation", config, arms, functools.partial(_compare, config, arms))


def make_arms(config: Config) -> list[Arm]:
  """Experiment and control.

  Raises:
    ValueError: a setting that no search accepts, or a program that does not fit.
    FileNotFoundError: there is no such program.
  """
  config.check()
  settings.require_positive(
      config, "workers", "few_examples", "fast_epochs", "num_epochs", "motif_tunings")
  adaptation_worth.check_trials(config.motif_trials)
  num_epochs, ten_classes = config.search.num_epochs, config.task_type == "multiple_classes"
  experiment = {
      "few_examples": (config.few_examples, num_epochs),
      "fast_training": (config.num_train, config.fast_epochs),
      "multiple_classes": (config.class_train, 1)}[config.task_type]
  control = (config.binary_train, 1) if ten_classes else (config.num_train, num_epochs)
  # A program for ten classes is none for their control.
  of_control = dataclasses.replace(config, warm_start=None) if ten_classes else config
  return [
      _arm(config, "experiment", *experiment, ten_classes=ten_classes),
      _arm(of_control, "control", *control, ten_classes=False)]


def _arm(config: Config, name: str, num_train: int, num_epochs: int, ten_classes: bool) -> Arm:
  select = Kind(
      name="select", datasets=(config.dataset,), num_features=config.num_features,
      num_tasks=config.num_select, num_train=num_train, num_epochs=num_epochs,
      num_valid=config.class_valid if ten_classes else config.num_valid, ten_classes=ten_classes)
  kinds = [
      dataclasses.replace(select, name=f"d{count}", num_tasks=count) for count in config.tasks]
  space = spaces.adaptation(config.num_features)
  template = workers.start(
      config, space, multiclass=ten_classes,
      default=starts.NETWORK_OF_CLASSES if ten_classes else zoo.source("figure_5"))
  return Arm(
      name=name, title=name.capitalize(), space=space, kinds=kinds, workers=config.workers,
      select=select, template=template)


def _compare(config: Config, arms: Sequence[Arm], result: Trials) -> Comparison:
  task_type = config.task_type.replace("_", " ")
  sightings = adaptation_motifs.look(config.task_type, arms, result)
  values = {arm.name: [outcome.accuracy for outcome in result.of(arm)] for arm in arms}
  rows = [(arm.title, *trials.summary_cells(values[arm.name], result.references[arm.name]))
          for arm in arms]
  worth = _worth(config, arms, result)
  names = list(result.references[arms[0].name])
  return Comparison(
      title=f"Section 4.3: adaptation, {task_type}",
      summary=[
          f"{config.workers} worker(s) in each repeat, {config.budget()} "
          f"each, on {config.dataset}, F = {config.num_features}. The experiment: "
          f"{arms[0].select}. The control: {arms[1].select}. The motif is looked "
          "for in the program of each repeat that is best on T_select."],
      tables=[
          sightings.table(PAPER[config.task_type]),
          *([adaptation_worth.table(worth)] if worth else []),
          tables.markdown(("", "best accuracy", *(f"over the {name}" for name in names)), rows),
          *(f"{arm.title}:\n\n{trials.reference_table(result.references[arm.name])}"
            for arm in arms)],
      settings=[comparison_plot.Setting(arm.title, values[arm.name]) for arm in arms],
      label="accuracy on unseen tasks of the same type", picture_title=f"Adaptation: {task_type}",
      files={"motifs.jsonl": sightings.lines, **(
          {"worth.jsonl": adaptation_worth.lines(worth)} if worth else {})})


def _worth(config: Config, arms: Sequence[Arm], result: Trials) -> list[Worth]:
  """What the motif is worth in each arm; nothing if it is not asked for, or after Ctrl-C."""
  if not config.motif_trials or result.signum is not None:
    return []
  motif = adaptation_motifs.MOTIFS[config.task_type]
  print(f"What {motif} is worth in the program that searches start from", flush=True)
  return adaptation_worth.measure(
      config, arms, motif, num_trials=config.motif_trials, num_tunings=config.motif_tunings)


if __name__ == "__main__":
  command_line.main(Config, run)
