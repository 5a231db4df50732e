"""Writes a program in another language: NumPy, JAX, LaTeX, JSON, SVG, Graphviz or ONNX.

    python -m experiments.export --program=FILE --format=numpy --output=FILE

FILE is a text file, a JSON file that this command has written, or the name of a program of
the zoo. The file of format numpy or jax holds fit and predict and needs nothing of azero. Format
onnx holds the program as the first task of --tasks has trained it; see docs/export.md.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any

from azero import files
from experiments.frame import command_line, lazy, settings
from experiments.frame.settings import setting

with lazy.imports():
  from azero import export
  from azero.language import text, zoo
  from azero.report import facts
  from azero.runs import reader
  from azero.tasks.tables import npz
  from experiments.frame import candidates

if TYPE_CHECKING:
  from azero.language.program import Programs
  from azero.tasks.task import Tasks

_FORMATS = ("numpy", "jax", "latex", "json", "svg", "dot", "onnx")
_PROGRAM = "program.txt"  # in a run directory
_TEXTS = {"latex": "latex", "svg": "diagram", "dot": "graphviz_source"}  # what writes them


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """Settings of this command."""

  program: str | None = setting(
      None, "A text file, a JSON file of this command, a run directory, or the name of a program "
      "of the zoo.", path=True)
  format: str = setting("numpy", "What to write.", choices=_FORMATS)
  output: str | None = setting(None, "The file to write; it must not be there yet.", path=True)
  num_features: int | None = setting(
      None, "F; default that of the tasks, the run or the JSON file, else 4.")
  num_classes: int | None = setting(
      None, "0 for real-valued labels, 2 or more for classes; default that of the tasks, the "
      "run or the JSON file, else 0, or 3 for a program of the zoo for several classes.")
  dtype: str = setting("float32", "Type of the memory.", choices=("float32", "float64"))
  tasks: str | None = setting(
      None, "An .npz file of tasks; format onnx trains on the first.", path=True)
  num_epochs: int = setting(1, "Passes over the training examples, for onnx.")
  seed: int = setting(0, "Evaluation seed of random ops, for onnx.")


def run(config: Config) -> None:
  """Writes the file.

  Raises:
    ValueError: a bad setting, program or tasks.
    FileNotFoundError: no such program.
    FileExistsError: the output is there already.
  """
  if not config.output:
    raise ValueError("--output is missing: give the file to write.")
  output = pathlib.Path(config.output)
  if output.exists():
    raise FileExistsError(f"--output: '{output}' is there already; give another name.")
  files.require_directory(output.parent, "--output: ")
  if config.format == "onnx" and config.tasks is None:
    raise ValueError("--format=onnx needs --tasks, an .npz file of tasks to train on.")
  tasks = None if config.tasks is None else npz.load_tasks_npz(config.tasks)
  program, num_classes = _read(config, tasks)
  content = _write(config, program, num_classes, tasks)
  files.make_place(output, "--output: ")
  output.write_bytes(content)
  print(f"written: {output}")


def _read(config: Config, tasks: Tasks | None) -> tuple[Programs, int]:
  """The program, and the number of classes of its tasks."""
  if not config.program:
    raise ValueError("--program is missing: give a text file, or a name of the zoo.")
  settings.require_positive(config, "num_features")
  path = pathlib.Path(config.program)
  in_zoo = not path.exists() and config.program in zoo.names()
  if (path / _PROGRAM).is_file():
    path = path / _PROGRAM
  if not in_zoo and not path.exists():
    raise FileNotFoundError(
        f"--program: there is no file '{path}'; the zoo has {', '.join(zoo.names())}.")
  source = ""
  if not path.is_dir():
    source = zoo.source(config.program) if in_zoo else files.read_text(
        path, setting="--program: ")
  told = _told(config, tasks, None if in_zoo else path, source)
  num_features = told.get("num_features") if config.num_features is None else config.num_features
  num_classes = told.get("num_classes") if config.num_classes is None else config.num_classes
  num_classes = num_classes or 0
  if path.is_dir():  # of a search without an experiment, which has chosen no program
    found = candidates.named(str(path), num_features=num_features, multiclass=num_classes > 2)
    return found.program, num_classes
  if path.suffix != ".json":
    return text.parse(source, num_features=num_features, multiclass=num_classes > 2), num_classes
  program = export.from_json(source)
  return program.with_features(num_features or program.space.num_features), num_classes


def _told(
    config: Config, tasks: Tasks | None, path: pathlib.Path | None, source: str
) -> Mapping[str, Any]:
  """"num_features" and "num_classes" as far as tasks, zoo (no path), JSON or run tell them."""
  if tasks is not None:
    return {"num_features": tasks.num_features, "num_classes": tasks.num_classes}
  if path is None:
    return {"num_features": 4, "num_classes": 3 if zoo.is_multiclass(str(config.program)) else 0}
  if path.is_dir():
    with reader.reading(path):
      return {"num_classes": facts.num_classes_of(reader.read_run(path))}
  if path.suffix == ".json":
    return {"num_classes": export.num_classes_in(source)}
  return (path.name == _PROGRAM and candidates.chosen_of_run(path.parent)) or {}


def _write(
    config: Config, program: Programs, num_classes: int, tasks: Tasks | None) -> bytes:
  """What goes into the file."""
  if config.format == "json":
    return export.json_text(program, num_classes).encode()
  if config.format in ("numpy", "jax"):
    write = export.numpy_source if config.format == "numpy" else export.jax_source
    return write(program, num_classes, dtype=config.dtype).encode()
  if config.format in _TEXTS:
    return getattr(export, _TEXTS[config.format])(program, num_classes).encode()
  assert tasks is not None
  try:
    model = export.onnx_model(
        program, tasks.train_x[0], tasks.train_y[0], num_classes, num_epochs=config.num_epochs,
        seed=config.seed, task_seed=int(tasks.seeds[0]), dtype=config.dtype)
  except ArithmeticError as error:
    raise ValueError(f"--tasks: {error}.") from error
  return model.SerializeToString()


if __name__ == "__main__":
  command_line.main(Config, run)
