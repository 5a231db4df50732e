"""Predicts new rows by the model that experiments.custom_data left in a run directory.

The file of predictions is CSV: a column "prediction", for classes by their names and with one
column of probabilities for each.

    python -m experiments.predict --run=runs/custom_data-... --data=NEW.csv --output=FILE.csv
"""

from __future__ import annotations

import csv
import dataclasses
import io
import pathlib
import pickle
import shlex
from typing import Any

import numpy as np

from experiments.frame import command_line, lazy
from experiments.frame.settings import setting

with lazy.imports():
  from azero import files
  from azero.tasks.tables import frames, npz
  from experiments.frame import row_judging


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """Settings of a prediction."""

  run: str | None = setting(None, "A run directory of experiments.custom_data.", path=True)
  data: str | None = setting(
      None, "A table with the columns that the model learnt from, in any order; or a .npz file of "
      "x [N, P].", path=True)
  output: str = setting("predictions.csv", "The file to write, a new one.", path=True)


def run(config: Config) -> np.ndarray:
  """Predicts and writes the file.

  Returns:
    [N] labels, or quantities in their own unit.

  Raises:
    FileNotFoundError: there is no such run or data.
    FileExistsError: the output is there already.
    ValueError: the data have other columns than the model needs; says which.
  """
  for name in ("run", "data"):
    if not getattr(config, name):
      raise ValueError(f"--{name} is missing.")
  output = pathlib.Path(config.output)
  if output.is_dir():
    raise ValueError(f"--output: '{output}' is a directory; name a file in it.")
  files.require_directory(output.parent, "--output: ")
  _require_other(output, config)
  model = _load(pathlib.Path(str(config.run)))
  frame, notes = _read(str(config.data), model)
  try:
    notes += model.preparation.surprises(frame)
    predictions = model.predict(frame)
    classes = model.preparation.classes
    probabilities = None if classes is None else model.predict_proba(frame)
  except ValueError as error:
    raise ValueError(f"{config.data}: {error}") from error
  for note in notes:
    print(f"note: {note}")
  header = ["prediction"] + [f"probability of {label}" for label in (
      [] if classes is None else classes.tolist())]
  text = io.StringIO()
  writer = csv.writer(text, lineterminator="\n")
  writer.writerow(header)
  for row, value in enumerate(predictions.tolist()):
    writer.writerow([value, *([] if probabilities is None else probabilities[row].tolist())])
  files.make_place(output, "--output: ")
  files.write_whole(output, text.getvalue().encode("utf-8"))
  print(f"{len(predictions)} predictions of {model.preparation.target_name!r}: {output}")
  return predictions


def _require_other(output: pathlib.Path, config: Config) -> None:
  """Refuses to write over anything, and says so of the table that is read and of the run."""
  if not output.exists():
    return
  data = pathlib.Path(str(config.data))
  if data.exists() and output.samefile(data):
    raise ValueError(f"--output: '{output}' is the table itself; name another file.")
  own = pathlib.Path(str(config.run)).resolve() in output.resolve().parents
  if own and output.suffix.lower() != ".csv":  # which only predictions are
    raise ValueError(f"--output: '{output}' is a file of the run; name another one.")
  raise FileExistsError(f"--output: '{output}' is there already; give another name.")


def _load(directory: pathlib.Path) -> row_judging.TableModel:
  """The model of a run directory."""
  path = directory / row_judging.MODEL
  if not path.is_file():
    raise FileNotFoundError(
        f"--run: there is no {path}. A run of experiments.custom_data writes it when it ends; "
        f"one that was stopped is continued by --resume={shlex.quote(str(directory))}.")
  try:
    with path.open("rb") as file:
      model: Any = pickle.load(file)
  except Exception as error:  # a damaged pickle may raise anything
    reason = files.shortened(str(error) or type(error).__name__)
    raise ValueError(f"{path} is damaged, or of another version of azero: {reason}.") from error
  if not isinstance(model, row_judging.TableModel):
    raise ValueError(f"{path} is not a model of experiments.custom_data.")
  return model


def _read(path: str, model: row_judging.TableModel) -> tuple[Any, tuple[str, ...]]:
  """The new rows and what was assumed of their file."""
  names = model.preparation.feature_names_in_
  if path.lower().endswith(".npz"):
    return frames.as_frame(npz.read_features(path), names), ()
  frame, notes, _ = frames.read_table(
      path, wanted=str(names[0]), target_needed=False, like=model.written,
      texts=model.preparation.text_columns)
  return frames.unlike(frame), notes


if __name__ == "__main__":
  command_line.main(Config, run)
