"""Programs to start a search from: a program written by hand, or what an earlier run found."""

from collections.abc import Mapping, Sequence
import os
import pathlib
from typing import Any

import numpy as np

from azero import files, paths
from azero.compiler import liveness
from azero.language.program import Programs, SearchSpace
from azero.language.text import ProgramSyntaxError, parse
from azero.runs import json_lines, lineage_files, reader
from azero.runs.directory import HALL_OF_FAME, OUTCOMES, read_config
from azero.search.ancestry import TRUNK
from azero.search.history.lineage import KnownPrograms, Lineage
from azero.search.origins import code_of

_Found = tuple[Any, Any]  # island and num_programs of an entry, None where none is noted


def read_programs(
    path: str | os.PathLike, space: SearchSpace, *, multiclass: bool = False
) -> Programs:
  """Reads programs into a search space, to be the template of a search.

  Args:
    path: a text file with one program in the paper's notation, or the directory of a run,
      see `read_entries`.
    space: what every program must fit. That of the run may have another number of features.
    multiclass: whether v1 and v2 of the program are the label and the prediction.

  Returns:
    The programs, those of a run with the best first; with their lineages, if the run has kept
    them.

  Raises:
    FileNotFoundError: there is no such file, or the run has found nothing yet.
    ValueError: a malformed program or file, or a program that does not fit the space: an op
      that is not allowed, an address or an instruction too many.
  """
  source = paths.expand(path)
  if source.is_dir():
    return _read_run(source, space, multiclass)
  if not source.is_file():
    raise FileNotFoundError(
        f"There is no program file and no run directory '{source}' to start from.")
  return _parse(files.read_text(source), space, str(source), multiclass)


def read_entries(directory: str | os.PathLike) -> list[tuple[str, int]]:
  """The programs that a run has found, the best first.

  Of a single search that is its hall of fame; of an experiment with repeats what each repeat
  has chosen, by fitness on the tasks to choose on.

  Returns:
    Text and number of features of each program, at least one.

  Raises:
    FileNotFoundError: the run has found nothing yet.
    ValueError: a malformed file, or one without programs.
  """
  return [(text, num_features) for text, num_features, _ in _entries(paths.expand(directory))]


def _entries(directory: pathlib.Path) -> list[tuple[str, int, _Found]]:
  """See `read_entries`; also by what `lineage_files` knows each program."""
  entries: list[tuple[str, int, _Found]]
  file = directory / HALL_OF_FAME
  outcomes = not file.is_file() and (directory / OUTCOMES).is_file()
  if outcomes:
    file = directory / OUTCOMES
  elif not file.is_file():
    raise FileNotFoundError(
        f"'{directory}' has no {HALL_OF_FAME} or {OUTCOMES} to start from: give the directory of "
        "a run that has found something, or a program file.")
  try:
    if outcomes:
      rows = sorted(json_lines.read(file), key=lambda row: -row["select_fitness"])
      num_features = int(read_config(directory)["num_features"])
      # The lineages of repeats are in directories of their own.
      entries = [(row["program"], num_features, (None, None)) for row in rows]
    else:
      entries = [
          (entry["program"], int(entry["num_features"]),
           (entry.get("island"), entry.get("num_programs")))
          for entry in files.parse_json(file.read_bytes())]
  except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
    reason = files.shortened(f"{type(error).__name__}: {error}")
    raise ValueError(
        f"'{file}' cannot be read as the programs of a run ({reason}). A "
        "program of it can be copied into a text file to start from.") from None
  if not entries:
    raise ValueError(f"'{file}' holds no program to start from.")
  return entries


def predicts(programs: Programs, *, multiclass: bool = False) -> np.ndarray:
  """Whether anything but a constant zero is predicted: [N] bool."""
  return np.any(liveness.live_instructions(programs, multiclass=multiclass), axis=1)


def _read_run(directory: pathlib.Path, space: SearchSpace, multiclass: bool) -> Programs:
  # An index constant is printed as a position among the F features of its own group.
  entries = _entries(directory)
  programs = Programs.concatenate([
      _parse(
          text, space.with_features(num_features), f"{directory}, program {k + 1}", multiclass
      ).with_features(space.num_features)
      for k, (text, num_features, _) in enumerate(entries)])
  if not predicts(programs, multiclass=multiclass).any():
    raise ValueError(
        f"No program of '{directory}' predicts anything in "
        f"{'tasks of several classes' if multiclass else 'regression or binary tasks'}: give "
        "another run.")
  with reader.reading(directory):
    lineages = lineage_files.read(directory)
    steps = [lineages.get(found) for _, _, found in entries]
    pasts = [None if each is None else _read_lineage(each, space) for each in steps]
  return KnownPrograms.of(programs, pasts)


def _read_lineage(steps: Sequence[Mapping[str, Any]], space: SearchSpace) -> Lineage | None:
  """A lineage in another space, without the steps that do not fit it."""
  programs, kept, skipped = [], [], 0
  for step in steps:
    try:
      program = parse(step["program"], space.with_features(step["num_features"]))
    except ProgramSyntaxError:
      skipped += 1 + step["skipped"]
    else:
      programs.append(program.with_features(space.num_features))
      kept.append((step, step["skipped"] + skipped))
      skipped = 0
  if not programs:
    return None
  facts = [
      (step["num_programs"], step["island"], code_of(step["mutation"]), left_out)
      for step, left_out in kept]
  return Lineage.of(
      Programs.concatenate(programs), [step["fitness"] for step, _ in kept], facts
  ).condensed(TRUNK)


def _parse(text: str, space: SearchSpace, where: str, multiclass: bool) -> Programs:
  try:
    return parse(text, space, multiclass=multiclass)
  except ProgramSyntaxError as error:
    raise ValueError(f"{where} is no program of the search space: {error}") from None
