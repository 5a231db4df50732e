"""Evaluates programs written in the paper's notation on tasks from a file.

    python -m experiments.evaluate_program --program=PATH --tasks=FILE.npz

PATH is a text file, or a directory whose *.txt files are evaluated together. The file
holds train_x [D, T, F], train_y [D, T], valid_x [D, V, F], valid_y [D, V] and metric
("rms" or "accuracy"; integer labels above 1 mean multi-class). Standard output has one
JSON object for each program, in the order of the file names:

    {"program": file name, "fitness": number or null, "fitness_per_task": [...],
     "error": null or message}
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import json
import pathlib
from typing import TYPE_CHECKING, Any

from azero.search.config import SearchConfig
from experiments.frame import command_line, lazy
from experiments.frame.settings import nested, setting

with lazy.imports():
  from azero.language import text
  from azero.tasks.tables import npz
  from experiments.frame import judging

if TYPE_CHECKING:
  from azero.language.program import Programs
  from azero.tasks.task import Tasks

_BATCH = 256  # programs that share one search space, and so one compilation


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """Settings of this experiment."""

  program: str | None = setting(None, "A text file, or a directory of *.txt files.", path=True)
  tasks: str | None = setting(None, "An .npz file of tasks.", path=True)
  evaluation: SearchConfig = nested(
      SearchConfig(), only=tuple(SearchConfig().evaluator_settings()))


def run(config: Config) -> list[dict[str, Any]]:
  """Evaluates the programs and prints a line for each.

  Returns:
    What was printed.

  Raises:
    ValueError: a bad setting or bad tasks; a bad program only costs its own line.
    FileNotFoundError: no such file.
  """
  files = _files(config.program)
  tasks = _load_tasks(config.tasks)
  rows: dict[pathlib.Path, dict[str, Any]] = {}
  good: list[tuple[pathlib.Path, str]] = []
  for file in files:
    try:
      source = file.read_text(encoding="utf-8")
      _parse([source], tasks)
      good.append((file, source))
    except UnicodeDecodeError as error:
      rows[file] = _row(file, error=f"not a text file in UTF-8 ({error}); save it as UTF-8 text")
    except (ValueError, OSError) as error:
      rows[file] = _row(file, error=str(error))
  for start in range(0, len(good), _BATCH):
    rows |= _evaluate(good[start : start + _BATCH], tasks, config.evaluation)
  printed = [rows[file] for file in files]
  for row in printed:
    print(json.dumps(row), flush=True)
  return printed


def _files(path: str | None) -> list[pathlib.Path]:
  if not path:
    raise ValueError("--program is missing: give a text file or a directory of *.txt files.")
  given = pathlib.Path(path)
  if given.is_dir():
    files = sorted(
        file for file in given.glob("*.txt") if not file.name.startswith(".") and not file.is_dir())
    if not files:
      raise FileNotFoundError(f"--program: the directory '{path}' has no *.txt file.")
    return files
  if not given.is_file():
    raise FileNotFoundError(f"--program: there is no file or directory '{path}'.")
  return [given]


def _load_tasks(path: str | None) -> Tasks:
  if not path:
    raise ValueError("--tasks is missing: give an .npz file of tasks.")
  if pathlib.Path(path).is_dir():
    raise ValueError(f"--tasks: '{path}' is a directory; give an .npz file of tasks.")
  return npz.load_tasks_npz(path)


def _parse(sources: Sequence[str], tasks: Tasks) -> Programs:
  return text.parse_many(sources, num_features=tasks.num_features, multiclass=tasks.multiclass)


def _evaluate(
    good: Sequence[tuple[pathlib.Path, str]], tasks: Tasks, config: SearchConfig
) -> dict[pathlib.Path, dict[str, Any]]:
  """Evaluates programs in one space that holds them all, or apart if none does."""
  try:
    programs = _parse([source for _, source in good], tasks)
  except ValueError:
    half = len(good) // 2  # together they use more addresses than a space may have
    return _evaluate(good[:half], tasks, config) | _evaluate(good[half:], tasks, config)
  result = judging.fitness_of(programs, tasks, config)
  return {
      file: _row(file, fitness=float(fitness), per_task=per_task.tolist())
      for (file, _), fitness, per_task in zip(good, result.fitness, result.per_task)}


def _row(
    file: pathlib.Path, *, fitness: float | None = None, per_task: list[float] | None = None,
    error: str | None = None,
) -> dict[str, Any]:
  return {
      "program": file.name, "fitness": fitness, "fitness_per_task": per_task or [],
      "error": error}


if __name__ == "__main__":
  command_line.main(Config, run)
