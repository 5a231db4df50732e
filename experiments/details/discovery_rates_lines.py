"""What the bench of discovery keeps: a line of JSON for each seed of an arm in a space.

Lines of several runs add up: a line tells all that it was measured with, and lines that cannot be
compared are refused. `digest` is the same for the same exam, space and settings, whatever the
version of azero, as long as settings that came later have defaults that change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import hashlib
import json
import pathlib
from typing import TYPE_CHECKING, Any

import azero
from azero import paths
from azero.runs import json_lines
from azero.search.config import SearchConfig
from experiments.benchmarks import measuring

if TYPE_CHECKING:
  from azero.language.program import SearchSpace
  from azero.runs.directory import RunDirectory
  from experiments.details.discovery_rates_problems import Exam

FILE = "seeds.jsonl"
_KEY = ("problem", "space", "arm", "seed")
_NEEDED = {
    *_KEY, "exam", "ops_and_sizes", "settings", "digest", "success", "ended", "programs",
    "evaluated", "train_steps", "seconds", "fitness", "curve", "program", "machine", "version"}
# Settings of a search that change nothing of what comes out.
_NEUTRAL = ("num_devices", "lanes", "hall_of_fame_size", "max_programs", "seed")


def described(
    exam: Exam, space: SearchSpace, config: SearchConfig) -> dict[str, Any]:
  """What the lines of an arm on a problem in a space have in common, besides their names.

  Args:
    exam: of all arms.
    space: of all arms.
    config: of the arm.
  """
  settings, defaults = _as_json(config), _as_json(SearchConfig())
  changed = {
      name: value for name, value in settings.items()
      if name not in _NEUTRAL and value != defaults[name]}
  own = {"exam": dataclasses.asdict(exam), "ops_and_sizes": _digest(dataclasses.asdict(space))}
  return own | {
      "settings": settings, "digest": _digest(own | {"search": changed}),
      "machine": machine(), "version": azero.__version__}


def machine() -> str:
  """On what wall times are measured: those of other machines cannot be compared with them."""
  found = measuring.machine()
  return f"{found['processor']}, {found['cores']} cores, {found['JAX devices']} JAX devices"


class Lines(list[dict[str, Any]]):
  """Lines that can be compared with each other."""

  @classmethod
  def read(cls, directory: RunDirectory) -> Lines:
    """Those of a run, to which others are added.

    Raises:
      ValueError: they are damaged, or do not fit each other.
    """
    lines, path = cls(), directory.path / FILE
    lines.take_in(json_lines.read(path) if path.exists() else [], path)
    return lines

  def add_file(self, path: str) -> list[dict[str, Any]]:
    """Takes in the lines of a file or of another run, and returns those that were not there.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: its lines are none of this bench, or do not fit those that are there.
    """
    file = file_of(path)
    return self.take_in(json_lines.read(file), file)

  def append_to(self, directory: RunDirectory, rows: Sequence[dict[str, Any]]) -> None:
    """Adds new lines, here and in the file of a run."""
    keep(directory, self.take_in(rows, directory.path / FILE))

  def take_in(
      self, rows: Iterable[dict[str, Any]], source: pathlib.Path) -> list[dict[str, Any]]:
    """Adds lines that are not there yet, and returns them; all of them, or none if one is refused.

    Raises:
      ValueError: says which line does not fit which other one, and in what.
    """
    known = {_key(row): row for row in self}
    common = {(row["problem"], row["space"]): row for row in reversed(self)}
    of_arm = {_key(row)[:3]: row for row in reversed(self)}
    new = []
    for number, row in enumerate(rows, start=1):
      if missing := _NEEDED - row.keys():
        raise ValueError(
            f"Line {number} of '{source}' is no line of this bench: it lacks "
            f"{', '.join(sorted(missing))}.")
      place = row["problem"], row["space"]
      _require_same(row, common.setdefault(place, row), source, ("exam", "ops_and_sizes"))
      _require_same(row, of_arm.setdefault(_key(row)[:3], row), source, ("settings",))
      if _key(row) not in known:
        known[_key(row)] = row
        new.append(row)
    self += new
    return new

  def of(self, problem: str, space: str, arm: str | None = None) -> list[dict[str, Any]]:
    """Those of a problem in a space, or of one arm there, in the order of their seeds."""
    found = [
        row for row in self if (row["problem"], row["space"]) == (problem, space)
        and arm in (None, row["arm"])]
    return sorted(found, key=lambda row: row["seed"])

  def require_fit(self, common: Mapping[str, Any]) -> None:
    """Refuses lines that new ones of an arm, with this in common, could not be added to.

    Raises:
      ValueError: says in what they differ.
    """
    row = {**common, "seed": "any"}
    for other in self.of(row["problem"], row["space"]):
      names = ("exam", "ops_and_sizes", *(["settings"] if other["arm"] == row["arm"] else []))
      _require_same(row, other, None, names)


def file_of(path: str) -> pathlib.Path:
  """The file of lines that --add names, itself or by the directory of its run.

  Raises:
    FileNotFoundError: there is none.
  """
  place = paths.expand(path)
  file = place / FILE if place.is_dir() else place
  if not file.is_file():
    raise FileNotFoundError(
        f"--add: there is no file '{file}'; name a file of lines, or the directory of a run.")
  return file


def keep(directory: RunDirectory, rows: Sequence[dict[str, Any]]) -> None:
  """Adds lines to the file of a run, which is replaced in one step."""
  before = json_lines.read(directory.path / FILE, growing=True)
  directory.write(FILE, json_lines.text([*before, *rows]))


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
  return tuple(row[name] for name in _KEY)


def _require_same(
    row: Mapping[str, Any], other: Mapping[str, Any], source: pathlib.Path | None,
    names: Sequence[str],
) -> None:
  """Refuses a line that was measured otherwise than another one."""
  differences = [text for name in names for text in _differences(name, row[name], other[name])]
  if not differences:
    return
  where = "These settings" if source is None else f"A line of '{source}'"
  first, second = (
      " / ".join(f"{name} {each[name]}" for name in _KEY) for each in (row, other))
  raise ValueError(
      f"{where} ({first}) cannot be compared with the line of {second} that is there: "
      f"{'; '.join(differences)}. Lines of other budgets, tasks or settings belong into another "
      "run directory; an arm of other settings needs another name.")


def _differences(name: str, own: Any, other: Any) -> list[str]:
  """What differs, in words; a setting of a search that only one has stands for its default."""
  if not isinstance(own, Mapping):
    return [] if own == other else [f"{name} differ"]
  default = _as_json(SearchConfig()) if name == "settings" else {}
  neutral = _NEUTRAL if name == "settings" else ()
  values = {
      key: [each.get(key, default.get(key)) for each in (other, own)]
      for key in sorted(own.keys() | other.keys()) if key not in neutral}
  return [
      f"{key} is {there!r} there and {here!r} here" for key, (there, here) in values.items()
      if there != here]


def _as_json(settings: Any) -> dict[str, Any]:
  """A dataclass as it is read from JSON."""
  return json.loads(json.dumps(dataclasses.asdict(settings)))


def _digest(value: Any) -> str:
  """Hexadecimal digits that tell JSON-compatible values from others."""
  return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
