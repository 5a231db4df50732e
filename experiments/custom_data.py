"""Evolution on your own data: a CSV or NPZ file of numbers.

Rows are split into three parts. Search tasks are draws from the first; a candidate is
chosen by how it predicts the second, and judged by how it predicts the third.

    python -m experiments.custom_data --data=FILE.csv [--target_column=NAME]
"""

from collections.abc import Callable
import dataclasses
import functools
import pathlib

import numpy as np

from azero.language import spaces
from azero.tasks.tables import CustomData, from_csv, from_npz
from experiments.frame import common, discovery

_MAX_JUDGES = 20  # select and final tasks


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(discovery.DiscoveryConfig):
  """Settings."""

  data: str = common.setting(
      "", "A .csv file of numeric features and a target, or a .npz file of x [N, P], y [N].")
  target_column: str = common.setting(
      "", "CSV: name or index of the target column; default the last.")
  delimiter: str = common.setting(",", "CSV: the character between cells, or 'tab'.")
  header: str = common.setting(
      "auto", "CSV: whether the first line holds names.", choices=("auto", "yes", "no"))
  target: str = common.setting(
      "auto", "What the target is.", choices=("auto", "classification", "regression"))
  num_features: int = common.setting(0, "F to project to; 0 keeps the features as they are.")


def run(config: Config) -> discovery.Result:
  """Runs the experiment and writes its directory.

  Raises:
    ValueError: a bad setting, or data that cannot be used.
    FileNotFoundError: there is no such file.
    FileExistsError: the run directory exists.
  """
  discovery.check(config)
  # Islands differ in their generators and in how they draw tasks from the same rows.
  loaded = _load(config, config.num_tasks * config.islands)
  tasks = loaded.search
  per_island = np.arange(len(tasks)).reshape(config.islands, config.num_tasks)
  judges = slice(0, min(len(tasks), _MAX_JUDGES))
  data = discovery.Data(
      [tasks[rows] for rows in per_island], loaded.select[judges], loaded.final[judges],
      f"{loaded.final.num_valid} rows that neither search nor selection saw, over "
      f"{judges.stop} draws of the training rows")
  classes = f"{tasks.num_classes} classes" if tasks.num_classes else "a real-valued target"
  about = (
      f"Data: {pathlib.Path(config.data).name}, {len(loaded.feature_names)} features"
      + (f" projected to {tasks.num_features}" if config.num_features else "")
      + f", {classes}; {tasks.num_train} training and {tasks.num_valid} validation rows in a "
      "search task.")
  return discovery.discover(
      config, spaces.baseline(tasks.num_features), data, name="custom_data",
      title=f"Your data: {pathlib.Path(config.data).name}", about=about)


def _load(config: Config, num_tasks: int) -> CustomData:
  """Reads the file."""
  path, column = pathlib.Path(config.data), config.target_column
  if path.suffix.lower() == ".npz":
    if column:
      raise ValueError("--target_column is for CSV files; an .npz file has the array y.")
    read: Callable[..., CustomData] = from_npz
  elif path.suffix.lower() in (".csv", ".tsv", ".txt"):
    is_index = column.lstrip("-").isdigit()
    read = functools.partial(
        from_csv, target_column=int(column) if is_index else column or None,
        delimiter="\t" if config.delimiter == "tab" else config.delimiter,
        header={"auto": None, "yes": True, "no": False}[config.header])
  else:
    raise ValueError(f"--data={config.data!r}: give the path of a .csv or .npz file.")
  return read(
      path, target=config.target, num_tasks=num_tasks, seed=config.seed,
      num_features=config.num_features or None)


if __name__ == "__main__":
  common.main(Config, run)
