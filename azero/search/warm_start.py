"""Programs to start a search from: a program written by hand, or what an earlier run found."""

import json
import os
import pathlib

from azero.language.program import Programs, SearchSpace
from azero.language.text import ProgramSyntaxError, parse
from azero.search.records import HALL_OF_FAME


def read_programs(
    path: str | os.PathLike, space: SearchSpace, *, multiclass: bool = False
) -> Programs:
  """Reads programs into a search space, to be the template of a search.

  Args:
    path: a text file with one program in the paper's notation, or the directory of a run,
      whose hall of fame is read.
    space: what every program must fit. That of the run may have another number of features.
    multiclass: whether v1 and v2 of the program are the label and the prediction.

  Returns:
    The programs, of a hall of fame the best first.

  Raises:
    FileNotFoundError: there is no such file, or the run has found nothing yet.
    ValueError: a malformed program or file, or a program that does not fit the space: an op
      that is not allowed, an address or an instruction too many.
  """
  source = pathlib.Path(path)
  if source.is_dir():
    return _read_hall_of_fame(source, space, multiclass)
  if not source.is_file():
    raise FileNotFoundError(
        f"There is no program file and no run directory '{source}' to start from.")
  try:
    text = source.read_text(encoding="utf-8")
  except UnicodeDecodeError as error:
    raise ValueError(f"'{source}' is not a text file in UTF-8 ({error}).") from None
  return _parse(text, space, str(source), multiclass)


def _read_hall_of_fame(directory: pathlib.Path, space: SearchSpace, multiclass: bool) -> Programs:
  file = directory / HALL_OF_FAME
  if not file.is_file():
    raise FileNotFoundError(
        f"'{directory}' has no {HALL_OF_FAME} to start from: give the directory of a run that "
        "has found something, or a program file.")
  try:
    entries = [
        (entry["program"], int(entry["num_features"]))
        for entry in json.loads(file.read_text(encoding="utf-8"))]
  except (ValueError, KeyError, TypeError) as error:
    raise ValueError(
        f"'{file}' cannot be read as a hall of fame ({type(error).__name__}: {error}). A program "
        "of it can be copied into a text file to start from.") from None
  if not entries:
    raise ValueError(f"'{file}' holds no program to start from.")
  # An index constant is printed as a position among the F features of its own group.
  return Programs.concatenate([
      _parse(
          text, space.with_features(num_features), f"{file}, program {k + 1}", multiclass
      ).with_features(space.num_features)
      for k, (text, num_features) in enumerate(entries)])


def _parse(text: str, space: SearchSpace, where: str, multiclass: bool) -> Programs:
  try:
    return parse(text, space, min_vectors=3 if multiclass else 1)
  except ProgramSyntaxError as error:
    raise ValueError(f"{where} is no program of the search space: {error}") from None
