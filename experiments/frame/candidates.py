"""Programs that are named on the command line: files, run directories, the zoo; and baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import pathlib
from typing import Any

from azero import export, files
from azero.language import text, zoo
from azero.language.program import Programs
from azero.runs import reader
from azero.runs.warm_start import predicts, read_entries

BASELINES = {"linear_regressor": "logistic regression", "plain_nn": "neural network"}


@dataclasses.dataclass(frozen=True)
class Candidate:
  """A program to evaluate.

  Attributes:
    name: in tables and pictures.
    program: a batch of one, of any number of features.
  """

  name: str
  program: Programs


def load_candidates(names: Sequence[str]) -> list[Candidate]:
  """The programs of --program and the baselines, each once.

  Raises:
    ValueError: a program that cannot be read, or none, or two of the same name.
    FileNotFoundError: neither a file nor a directory nor a program of the zoo.
  """
  wanted = list(dict.fromkeys(name.strip() for name in names if name.strip()))
  if not wanted:
    raise ValueError("--program is empty: name a text file, a run directory or a zoo program.")
  for name in wanted:
    if name in zoo.names() and zoo.is_multiclass(name):
      raise ValueError(f"--program: '{name}' is for more than two classes; a pair has two.")
  loaded = [named(name) for name in wanted if name not in BASELINES]
  loaded += [Candidate(title, zoo.load(name)) for name, title in BASELINES.items()]
  titles = [candidate.name for candidate in loaded]
  if len(set(titles)) < len(titles):
    raise ValueError(
        f"--program: tables and pictures would call two programs the same: {', '.join(titles)}. "
        "Give files and directories different names.")
  return loaded


def named(
    name: str, *, num_features: int | None = None, multiclass: bool = False) -> Candidate:
  """A program by its text or JSON file, the run directory that found it, or a name of the zoo.

  Args:
    name: one of these.
    num_features: F; default that of the run or the JSON file, else 4.
    multiclass: whether its tasks have more than two classes.

  Raises:
    ValueError: a program that cannot be read, or a run without one that predicts.
    FileNotFoundError: neither a file nor a directory nor a program of the zoo.
  """
  path = pathlib.Path(name)
  if name in zoo.names() and not path.exists():
    return Candidate(name, zoo.load(name, num_features or 4))
  if path.is_dir():
    program = _best_of_run(path, multiclass)
    return Candidate(
        path.name, program if num_features is None else program.with_features(num_features))
  if not path.is_file():
    raise FileNotFoundError(
        f"--program: there is no file or directory '{name}', and the zoo has only "
        f"{', '.join(zoo.names())}.")
  source = files.read_text(path, setting="--program: ")
  if path.suffix == ".json":
    program = export.from_json(source)
    if len(program) != 1:
      raise ValueError(f"--program: '{name}' must hold one program, it has {len(program)}.")
    return Candidate(
        path.stem, program if num_features is None else program.with_features(num_features))
  return Candidate(
      path.stem, text.parse(source, num_features=num_features, multiclass=multiclass))


def chosen_of_run(path: pathlib.Path) -> Mapping[str, Any] | None:
  """What a run directory says of the program that its experiment has chosen, None if it has not.

  "program" is its text, "num_features" and "num_classes" are those of its tasks.
  """
  with reader.reading(path):
    findings = reader.read_run(path).findings() if reader.is_run(path) else {}
  return findings if findings.get("program") else None


def _best_of_run(path: pathlib.Path, multiclass: bool) -> Programs:
  """The chosen program of a run directory or else its best, for the features of its search."""
  chosen = chosen_of_run(path)
  entries = read_entries(path) if chosen is None else [
      (chosen["program"], chosen["num_features"])]
  for code, num_features in entries:
    with reader.reading(path):
      program = text.parse(code, num_features=num_features, multiclass=multiclass)
    if predicts(program, multiclass=multiclass).any():
      return program
  raise ValueError(
      f"No program of the run '{path}' writes what is the prediction in tasks of "
      f"{'several classes (v2)' if multiclass else 'a quantity or two classes (s1)'}: name other "
      "tasks, or another run.")
