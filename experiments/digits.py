"""From empty programs to learners of real images: projected digits.

The setup of supplement S10 of the AutoML-Zero paper (restricted ops or, with --space=all, the 58 of
section 4.2; P=100, 10 tasks, F=16, empty programs) on the images that scikit-learn carries. A task
separates two random groups of five digits; the groups of the select and the final tasks are held
out, as are the final validation images.

    python -m experiments.digits
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from experiments.frame import command_line, discovery, lazy, settings
from experiments.frame.discovery import DiscoverySettings
from experiments.frame.settings import setting

with lazy.imports():
  from azero.language import spaces
  from azero.tasks.images import digits
  from experiments.frame import memory


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(DiscoverySettings):
  """Settings of this experiment."""

  kind: str = setting(
      "groups", "Pairs of digits, 5-versus-5 groups, or all ten classes.",
      choices=("pairs", "groups", "ten_classes"))
  space: str = setting(
      "restricted", "Ops and sizes: S10's, or the 58 ops of section 4.2.",
      choices=("restricted", "all"))
  num_features: int = setting(16, "F, after the random projection.")
  num_train: int | None = setting(None, "Training examples of a task; none for the usual number.")
  num_valid: int | None = setting(
      None, "Validation examples of a task; none for the usual number.")
  num_select: int = setting(20, "Select tasks.")
  num_final: int = setting(25, "Final tasks.")


def run(config: Config) -> discovery.Result:
  """Runs the experiment and writes its directory.

  Raises:
    ValueError: a bad setting.
    FileExistsError: the run directory exists.
  """
  config.check()
  settings.require_positive(config, "num_select", "num_final")
  sizes = digits.DEFAULT_SIZES[config.kind]
  memory.require_memory(
      config.islands * memory.task_bytes(
          config.num_tasks, (config.num_train or sizes[0]) + (config.num_valid or sizes[1]),
          config.num_features, config.search.dtype),
      "take fewer --islands or --num_tasks")
  make = functools.partial(
      digits.projected_digits, config.kind, num_features=config.num_features,
      num_train=config.num_train, num_valid=config.num_valid)
  seeds = np.random.SeedSequence(config.search.seed).generate_state(config.islands + 2)
  *island_seeds, select_seed, final_seed = (int(seed) for seed in seeds)
  data = discovery.Data(
      [make("search", config.num_tasks, seed=seed) for seed in island_seeds],
      make("select", config.num_select, seed=select_seed),
      make("final", config.num_final, seed=final_seed),
      f"{config.num_final} final tasks, of images "
      + ("" if config.kind == "ten_classes" else "and class groups ")
      + "that neither search nor selection saw")
  about = (
      f"Tasks: {config.kind} of handwritten digits (1797 images, 8 x 8), projected to "
      f"{config.num_features} features, {data.final.num_train} training and "
      f"{data.final.num_valid} validation examples.")
  start = config.search.initial if config.warm_start is None else "given"
  space = spaces.baseline if config.space == "restricted" else spaces.minimal_input
  return discovery.discover(
      config, space(config.num_features), data, name="digits",
      title=f"Digits, {config.kind}: from {start} programs", about=about)


if __name__ == "__main__":
  command_line.main(Config, run)
