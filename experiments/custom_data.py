"""Evolution on your own data: a CSV or NPZ file of numbers.

Rows are split into three parts. Search tasks are draws from the first; a candidate is
chosen by how it predicts the second, and judged by how it predicts the third.

    python -m experiments.custom_data --data=FILE.csv [--target_column=NAME]
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import functools
import hashlib
import pathlib
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from experiments.frame import command_line, discovery, lazy
from experiments.frame.discovery import DiscoverySettings
from experiments.frame.settings import setting

with lazy.imports():
  from azero.language import spaces
  from azero.tasks import tables

if TYPE_CHECKING:
  from azero.tasks.tables import CustomData

_MAX_JUDGES = 20  # select and final tasks


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(DiscoverySettings):
  """Settings of this experiment."""

  FACTS: ClassVar[tuple[str, ...]] = ("data_digest",)
  # The file may have moved: its digest says whether it is the same.
  ALSO_MAY_CHANGE: ClassVar[tuple[str, ...]] = ("data",)

  data: str | None = setting(
      None, "A .csv file of numeric features and a target, or a .npz file of x [N, P], y [N].",
      absolute=True)
  target_column: str | None = setting(
      None, "CSV: name or index of the target column; default the last.")
  delimiter: str = setting(",", "CSV: the character between cells, or 'tab'.")
  header: str = setting(
      "auto", "CSV: whether the first line holds names.", choices=("auto", "yes", "no"))
  target: str = setting(
      "auto", "What the target is.", choices=("auto", "classification", "regression"))
  num_features: int | None = setting(
      None, "F to project to; none keeps the features as they are.")


def run(config: Config) -> discovery.Result:
  """Runs the experiment and writes its directory.

  Raises:
    ValueError: a bad setting, or data that cannot be used.
    FileNotFoundError: there is no such file.
    FileExistsError: the run directory exists.
  """
  config.check()
  if not config.data:
    raise ValueError("--data=FILE is missing: give the path of a .csv or .npz file.")
  path = pathlib.Path(config.data)
  # Islands differ in their generators and in how they draw tasks from the same rows.
  loaded = _load(config, path, config.num_tasks * config.islands)
  tasks = loaded.search
  per_island = np.arange(len(tasks)).reshape(config.islands, config.num_tasks)
  judges = slice(0, min(len(tasks), _MAX_JUDGES))
  data = discovery.Data(
      [tasks[rows] for rows in per_island], loaded.select[judges], loaded.final[judges],
      f"{loaded.final.num_valid} rows that neither search nor selection saw, over "
      f"{judges.stop} draws of the training rows")
  classes = f"{tasks.num_classes} classes" if tasks.num_classes else "a real-valued target"
  about = (
      f"Data: {path.name}, {len(loaded.feature_names)} features"
      + (f" projected to {tasks.num_features}" if config.num_features else "")
      + f", {classes}; {tasks.num_train} training and {tasks.num_valid} validation rows in a "
      "search task.")
  return discovery.discover(
      config, spaces.baseline(tasks.num_features), data, name="custom_data",
      title=f"Your data: {path.name}", about=about,
      facts={"data_digest": hashlib.sha256(path.read_bytes()).hexdigest()[:16]})


def _load(config: Config, path: pathlib.Path, num_tasks: int) -> CustomData:
  """Reads the file."""
  column = config.target_column
  if path.suffix.lower() == ".npz":
    if column is not None:
      raise ValueError("--target_column is for CSV files; an .npz file has the array y.")
    read: Callable[..., CustomData] = tables.from_npz
  elif path.suffix.lower() in (".csv", ".tsv", ".txt"):
    is_index = column is not None and column.lstrip("-").isdigit()
    read = functools.partial(
        tables.from_csv, target_column=int(column) if column and is_index else column,
        delimiter="\t" if config.delimiter == "tab" else config.delimiter,
        header={"auto": None, "yes": True, "no": False}[config.header])
  else:
    raise ValueError(f"--data={config.data!r}: give the path of a .csv or .npz file.")
  return read(
      path, target=config.target, num_tasks=num_tasks, seed=config.search.seed,
      num_features=config.num_features)


if __name__ == "__main__":
  command_line.main(Config, run)
