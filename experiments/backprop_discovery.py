"""Evolution discovers a network and its backpropagation on teacher tasks: figure 5.

Section 4.1 of the paper: labels come from two-layer teacher networks with random weights, and
only the ops of a two-layer network are allowed. With one task evolution may hard-code the
teacher; with many it must learn. Groups of workers differ in training examples, tasks and
population size (T/D/P of supplement S5) and exchange programs. The candidate with the
smallest error on select tasks is judged on further unseen ones, beside the network that is
written by hand.

    python -m experiments.backprop_discovery --preset=small

With --learn_only the network is given, and backpropagation alone is to be discovered. It is within
minutes, with mutations that the paper does not have (docs/methods.md):

    python -m experiments.backprop_discovery --preset=given
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from azero.search.config import SearchConfig
from experiments.frame import command_line, lazy, settings
from experiments.frame.run_settings import StudySettings
from experiments.frame.settings import nested, setting

with lazy.imports():
  from azero.language import spaces, text
  from azero.search.groups import federation, migration
  from azero.tasks import synthetic
  from experiments.details import backprop_discovery_report as report
  from experiments.frame import memory, study

if TYPE_CHECKING:
  from azero.search.groups.federation import Group
  from azero.search.groups.migration import Migration
  from azero.tasks.task import Tasks
  from experiments.details.backprop_discovery_report import Result

_SELECT, _FINAL = 1, 2  # beside the workers' 0: tasks that no search sees
_NUM_VALID = 100  # validation examples of a task
_GIVEN = """
def Setup():
  s3 = {rate}
  v4 = gaussian(0.0, 0.5)
  m1 = gaussian(0.0, 0.5)
def Predict():
  v6 = dot(m1, v0)
  v7 = maximum(v5, v6)
  s1 = dot(v7, v4)
def Learn():
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(StudySettings):
  """Settings of this experiment; the paper's but for the budget, which it gives as five days."""

  PRESETS: ClassVar[settings.Presets] = {
      # Unseen tasks have the shapes of those searched on, since compiling for another shape
      # costs more than all the rest.
      "smoke": {
          "workers": 2, "groups": ("50/5/30",), "max_train_steps": 50_000,
          "migration_steps": 12_500, "num_unseen": 5, "unseen_train": 50,
          "estimate_seconds": None},
      "small": {
          "workers": 64, "groups": ("1000/10/100", "1000/5/215", "300/3/464", "300/1/1000"),
          "max_train_steps": 20_000_000, "migration_steps": 4_000_000},
      "given": {
          "learn_only": True, "num_features": 4, "rate": 0.05, "workers": 16,
          "groups": ("300/8/200",), "migration_steps": None, "max_train_steps": 300_000_000,
          "combine": "mean", "initial": "grown", "filters": ("valid", "features", "changed"),
          "restart_patience": 5000, "unseen_train": 1000, "mutations": (
              "alter", "rewire", "regrow_instructions", "regrow_function", *2 * ("add_update",),
              *2 * ("extend_path",))},
  }

  search: SearchConfig = nested(
      SearchConfig(
          max_train_steps=10**12, mutations=("alter", "randomize_function"), initial="random"),
      fixed=("population_size",))
  workers: int = setting(1000, "W, divided evenly over the groups.")
  groups: tuple[str, ...] = setting(
      ("100000/100/100", "100000/22/215", "10000/5/464", "100/1/1000"),
      "T/D/P of each group: training examples, tasks, population size.")
  migration_steps: int | None = setting(
      1_000_000_000, "Training steps of a worker between two migrations, if all its programs "
      "were trained in full; none for no migration. The paper does not give it.")
  learn_only: bool = setting(
      False, "Whether Setup and Predict, a network of random weights, are given and Learn alone is "
      "searched.")
  rate: float = setting(0.02, "Learning rate that a given Setup holds.")
  num_features: int = setting(8, "F.")
  num_unseen: int = setting(100, "Select tasks, and as many final tasks.")
  unseen_train: int = setting(10_000, "Training examples of select and final tasks.")


def run(config: Config) -> Result:
  """Runs the experiment and writes its directory.

  Raises:
    ValueError: a bad setting.
    FileExistsError: the run directory exists.
    FileNotFoundError: there is no run to continue.
  """
  groups, exchange = make_groups(config)
  searched = study.search("backprop_discovery", config, groups, exchange)
  return report.conclude(config, searched, *(_unseen(config, part) for part in (_SELECT, _FINAL)))


def make_groups(config: Config) -> tuple[list[Group], Migration | None]:
  """The workers of the experiment, with their tasks, and how they exchange programs.

  Raises:
    ValueError: a bad setting.
  """
  settings.require_positive(
      config, "workers", "migration_steps", "num_features", "max_train_steps", "num_unseen",
      "unseen_train")
  if not 0 < config.rate < np.inf:
    raise ValueError(f"--rate must be positive and finite, got {config.rate}.")
  config.runtime.check(config.workers)
  sizes = _group_sizes(config)
  if config.workers % len(sizes):
    raise ValueError(
        f"--workers ({config.workers}) must be a multiple of the number of --groups, "
        f"{len(sizes)}.")
  each = config.workers // len(sizes)
  memory.require_memory(
      each * sum(
          memory.task_bytes(
              num_tasks, num_train + _NUM_VALID, config.num_features, config.search.dtype)
          for num_train, num_tasks, _ in sizes),
      "use fewer --workers, or --groups of fewer examples and tasks, as --preset=small has")
  seeds = iter(np.random.SeedSequence([config.search.seed, 0]).generate_state(config.workers))
  groups, space = [], spaces.backprop(config.num_features, learn_only=config.learn_only)
  template = text.parse(_GIVEN.format(rate=config.rate), space) if config.learn_only else None
  for num_train, num_tasks, population_size in sizes:
    own = dataclasses.replace(config.search, population_size=population_size)
    groups.append(federation.Group(
        name=f"T={num_train} D={num_tasks} P={population_size}", config=own,
        space=space, template=template,
        task_sets=[
            synthetic.teacher_regression(
                num_tasks, seed=int(next(seeds)), num_features=config.num_features,
                num_train=num_train, num_valid=_NUM_VALID) for _ in range(each)],
        # By the cost of a program, so that groups come to a migration at about one time.
        migration_every=max(1, (config.migration_steps or 0) // (num_train * num_tasks))))
  exchange = config.migration_steps is not None
  return groups, migration.Migration(seed=config.search.seed) if exchange else None


def _group_sizes(config: Config) -> list[tuple[int, int, int]]:
  """T, D and P of each group."""
  sizes = []
  for group in config.groups or ("",):
    parts = group.split("/")
    if len(parts) != 3 or not all(map(settings.is_count, parts)):
      raise ValueError(
          "--groups must be T/D/P of each group, positive numbers, like 1000/10/100,100/1/1000; "
          f"got {group!r}.")
    sizes.append((int(parts[0]), int(parts[1]), int(parts[2])))
  return sizes


def _unseen(config: Config, part: int) -> Tasks:
  """Teacher tasks that no worker sees."""
  seed = int(np.random.SeedSequence([config.search.seed, part]).generate_state(1)[0])
  return synthetic.teacher_regression(
      config.num_unseen, seed=seed, num_features=config.num_features,
      num_train=config.unseen_train, num_valid=_NUM_VALID)


if __name__ == "__main__":
  command_line.main(Config, run)
