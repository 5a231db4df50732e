"""Evolution on your own data: a table in a file, CSV, TSV or Parquet, or arrays in an .npz file.

Rows are split into three parts. Search tasks are draws from the first; a candidate is
chosen by how it predicts the second, and judged by how it predicts the third. The run directory
gets result.json and a model for `python -m experiments.predict`.

    python -m experiments.custom_data --data=FILE.csv [--target_column=NAME] [--max_seconds=60]
"""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from azero.search import methods
from experiments.frame import command_line, discovery, lazy, settings
from experiments.frame.discovery import DiscoverySettings
from experiments.frame.settings import setting

with lazy.imports():
  from azero import files
  from azero.language import spaces
  from azero.search.groups import starts
  from azero.tasks.tables import custom_data, frames, npz
  from azero.tasks.tables import table as table_lib
  from experiments.frame import memory, row_choice, row_judging

if TYPE_CHECKING:
  from azero.runs.directory import RunDirectory
  from azero.tasks.tables.table import Table

_MAX_JUDGES = 20  # select and final tasks
_MATRICES = 130  # that the executor holds for each task and device, as measured at F = 800


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(DiscoverySettings):
  """Settings of this experiment."""

  FACTS: ClassVar[tuple[str, ...]] = ("data_digest",)
  # The file may have moved: its digest says whether it is the same.
  ALSO_MAY_CHANGE: ClassVar[tuple[str, ...]] = ("data",)

  method: str = settings.method_setting(methods.AZERO)
  data: str | None = setting(
      None, "A table: CSV, TSV or Parquet, packed or not; or a .npz file of x [N, P], y [N].",
      absolute=True)
  test_data: str | None = setting(
      None, "A table of the same columns whose rows judge; default some of the rows of --data.",
      absolute=True)
  target_column: str | None = setting(
      None, "Name, or else index, of the target column; default the last.")
  delimiter: str = setting(
      "auto", "Of text: the character between cells, 'tab' or 'spaces'.")
  header: str = setting(
      "auto", "Of text: whether the first line holds names.", choices=("auto", "yes", "no"))
  decimal: str = setting(
      "auto", "Of text: the decimal mark.", choices=("auto", "point", "comma"))
  encoding: str = setting("auto", "Of text, such as latin-1.")
  target: str = setting(
      "auto", "What the target is.", choices=("auto", "classification", "regression"))
  drop_columns: tuple[str, ...] = setting((), "Columns that are no features.")
  keep_columns: tuple[str, ...] = setting(
      (), "Columns that are, though they seem to number rows or to be another target.")
  drop_missing_targets: bool = setting(
      False, "Leave out rows without a target, in place of refusing them.")
  group_column: str | None = setting(
      None, "Rows of one value of this column stay in one part.")
  time_column: str | None = setting(
      None, "What is judged comes later by this column than what is learnt from.")
  num_features: int | None = setting(
      None, "F to project to; none to project only what is wider than --max_features.")
  max_features: int | None = setting(
      64, "More features than this are projected to so many; none for never.")
  start: str = setting(
      "known", "Whether half of the islands start from linear programs and a network, or all "
      "as the method does. Known programs are candidates in any case.", choices=("known", "empty"))


def run(config: Config) -> discovery.Result:
  """Runs the experiment and writes its directory.

  Raises:
    ValueError: a bad setting, or data that cannot be used.
    FileNotFoundError: there is no such file.
    FileExistsError: the run directory exists.
  """
  config.check()
  if not config.data:
    raise ValueError("--data=FILE is missing: give the path of a table or an .npz file.")
  path = pathlib.Path(config.data)
  table = _read(config, path)
  space = spaces.baseline(table.num_features)
  _require_memory(config, table)
  print(f"Data: {path.name}\n{table.about}", flush=True)
  # Islands differ in their generators and in how they draw tasks from the same rows.
  loaded = custom_data.of_table(table, config.num_tasks * config.islands)
  tasks = loaded.search
  per_island = np.arange(len(tasks)).reshape(config.islands, config.num_tasks)
  judges = slice(0, min(len(tasks), _MAX_JUDGES))
  data = discovery.Data(
      [tasks[rows] for rows in per_island], loaded.select[judges], loaded.final[judges],
      f"{loaded.final.num_valid} rows that neither search nor selection saw, over "
      f"{judges.stop} draws of the training rows")
  known = starts.known_programs(space, multiclass=tasks.multiclass)
  about = (
      f"Data: {path.name}; {tasks.num_train} training and {tasks.num_valid} validation rows in a "
      f"search task.\n\n```\n{table.about}\n```")
  return discovery.discover(
      config, space, data, name="custom_data", title=f"Your data: {path.name}", about=about,
      facts={"data_digest": hashlib.sha256(path.read_bytes()).hexdigest()[:16]},
      known=known if config.start == "known" else (),
      choose=lambda search: row_choice.choose(search, table, known),
      judge=lambda chosen, directory: _judge(chosen, directory, table, path.name))


def _read(config: Config, path: pathlib.Path) -> Table:
  """Reads and divides the table."""
  chosen = table_lib.TableSettings(
      kind=config.target, drop_columns=config.drop_columns, keep_columns=config.keep_columns,
      drop_missing_targets=config.drop_missing_targets, group_column=config.group_column,
      time_column=config.time_column, max_features=config.max_features,
      num_features=config.num_features, seed=config.search.seed)
  if path.suffix.lower() == ".npz":
    if config.target_column is not None or config.test_data is not None:
      raise ValueError(
          "--target_column and --test_data are for tables; an .npz file has the array y.")
    x, y = npz.read_arrays(path)
    return table_lib.prepare(frames.as_frame(x), y, settings=chosen)
  names = {"auto": None, "tab": "\t", "spaces": " "}
  return table_lib.prepare_file(
      path, config.target_column, settings=chosen, test_data=config.test_data, read={
          "delimiter": names.get(config.delimiter, config.delimiter),
          "header": {"auto": None, "yes": True, "no": False}[config.header],
          "decimal": {"auto": None, "point": ".", "comma": ","}[config.decimal],
          "encoding": None if config.encoding == "auto" else config.encoding})


def _require_memory(config: Config, table: Table) -> None:
  """Refuses what this machine's memory cannot hold: tasks, and the matrices of programs.

  Raises:
    ValueError: says how much it would take.
  """
  of_tasks = config.islands * config.num_tasks * table.task_bytes()
  matrices = _MATRICES * config.num_tasks * table.num_features ** 2 * 4
  memory.require_memory(
      of_tasks + matrices,
      f"{table.num_features} features are many: project them (--max_features=64), or take fewer "
      "--num_tasks or --islands")


def _judge(
    chosen: discovery.Chosen, directory: RunDirectory, table: Table, name: str) -> discovery.Judged:
  """Judges the program row by row, and writes what predicts."""
  learnt = row_judging.learnt_rows(table)
  # A test part of its own is not learnt from.
  every = learnt if table.num_test else np.concatenate([learnt, table.split.final])
  try:
    judged = row_judging.fit_model(
        chosen.program, table, learnt, name, epochs=chosen.epochs)
    model = row_judging.fit_model(chosen.program, table, every, name, epochs=chosen.epochs)
  except ValueError as error:  # of an error that is not finite
    sentence = f"No model was written, since the program cannot be trained on all rows: {error}"
    return discovery.Judged(
        [sentence], {row_judging.RESULT: row_judging.as_json({"error": sentence})})
  found = row_judging.result(table, judged, row_judging.judge(judged, table))
  path = directory.path / row_judging.MODEL
  files.write_whole(path, row_judging.as_bytes(model))
  print(f"Model: {path}; python -m experiments.predict --run={directory.path} --data=NEW.csv")
  return discovery.Judged(
      row_judging.sentences(found), {row_judging.RESULT: row_judging.as_json(found)},
      row_judging.scores_in_words(found), row_judging.measure(found))


if __name__ == "__main__":
  command_line.main(Config, run)
