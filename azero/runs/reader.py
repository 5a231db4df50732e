"""Reads run directories, whole or under way, without a search and JAX: that takes no time.

What is in one is said in `azero/runs/directory.py`. An experiment of several searches has a run
directory for each of them inside its own.
"""

from collections.abc import Iterator, Mapping
import contextlib
import dataclasses
import functools
import os
import pathlib
import re
from typing import Any, TypeVar

from azero import files, html_text, paths
from azero.runs import json_lines, lineage_files, lock

T = TypeVar("T")

# What values of another kind than were written raise where they are used.
_MISFITS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError)

FINDINGS = "findings.json"
# How the last line of metrics says that a run ended.
_ENDED = {
    "budget": "finished", "stopped": "finished", "interrupted": "interrupted",
    "running": "broken off"}
# Of an experiment, the first of these that holds for one of its searches.
_OF_PARTS = ("running", "interrupted", "broken off", "stopped")


@dataclasses.dataclass(frozen=True)
class Run:
  """A run directory.

  Attributes:
    path: of it.
    config: the settings.
    about: of an experiment: its name, when it began, and the defaults.
    parts: the searches of an experiment that has several.
    last: the last line of metrics, if there is one.
  """

  path: pathlib.Path
  config: dict[str, Any] = dataclasses.field(repr=False)
  about: dict[str, Any] = dataclasses.field(repr=False)
  parts: list["Run"] = dataclasses.field(repr=False)
  last: dict[str, Any] | None = dataclasses.field(repr=False)

  def _repr_html_(self) -> str:
    """What a notebook shows: how the run stands, and its best program."""
    shown = [("run", str(self.path)), ("experiment", self.experiment), ("status", self.status)]
    for name in ("seconds", "programs"):
      if (value := self.total(name)) is not None:
        shown.append((name, f"{value:,.0f}"))
    if self.best_fitness is not None:
      shown.append(("best fitness", f"{self.best_fitness:.6f}"))
    best = self.best_entry()
    return html_text.table((), shown) + (html_text.code(best["program"]) if best else "")

  def best_entry(self) -> dict[str, Any] | None:
    """The best entry of all halls of fame, if there is one yet."""
    first = [hall[0] for part in self.searches() if (hall := part.hall_of_fame())]
    return max(first, key=lambda entry: entry.get("fitness", 0.0), default=None)

  @functools.cached_property
  def status(self) -> str:
    """How it stands.

    "running": a process is at it; "finished"; "interrupted": by Ctrl-C; "broken off": its
    process is gone without having said so; "open": an experiment between two searches, or
    stopped there; "stopped": it is not known how.
    """
    if lock.is_locked(self.path):
      return "running"
    if self.parts:
      states = {part.status for part in self.parts}
      reached = "finished" if self.has_report else "open"
      return next((state for state in _OF_PARTS if state in states), reached)
    if self.last is None:  # searches that are not recorded one by one
      return self.findings().get("ended") or ("finished" if self.has_report else "stopped")
    if "status" not in self.last:  # written by an earlier version
      return "stopped" if self.last.get("active_islands") else "finished"
    return _ENDED.get(self.last["status"], str(self.last["status"]))

  @property
  def has_report(self) -> bool:
    """Whether the experiment has come to its report."""
    return (self.path / "report.md").exists()

  @property
  def experiment(self) -> str:
    """Its name; of a search that belongs to none, the method."""
    if "experiment" in self.about:
      return str(self.about["experiment"])
    named = re.fullmatch(r"(\w+)-\d{8}-\d{6}-\d+", self.path.name)
    return named[1] if named else self.config.get("method", "-")

  @property
  def started(self) -> float:
    """When, in seconds since 1970; without a note of it, when the settings were written."""
    return self.about.get("started") or (self.path / "config.json").stat().st_mtime

  @property
  def checkpoint(self) -> float | None:
    """When the last checkpoint was saved, in seconds since 1970."""
    times = []
    for version in (self.path / "checkpoints").glob("*"):
      with contextlib.suppress(FileNotFoundError):  # the run is about to remove it
        if version.name.isdecimal():  # another one is still being written
          times.append(version.stat().st_mtime)
    times += [time for part in self.parts if (time := part.checkpoint)]
    return max(times, default=None)

  def total(self, name: str) -> float | None:
    """A metric, added up over the searches of an experiment."""
    values = [part.total(name) for part in self.parts]
    if not self.parts and self.last is not None:
      values = [self.last.get(name)]
    known = [value for value in values if value is not None]
    return sum(known) if known else None

  @property
  def best_fitness(self) -> float | None:
    """The best of all islands, on their search tasks."""
    values = [part.best_fitness for part in self.parts]
    if self.last is not None:
      values.append(self.last.get("best_fitness"))
    return max((value for value in values if value is not None), default=None)

  def searches(self) -> Iterator["Run"]:
    """The run itself, or the searches that it consists of."""
    if not self.parts:
      yield self
    for part in self.parts:
      yield from part.searches()

  def changed(self) -> dict[str, tuple[Any, Any]] | None:
    """Settings that are no defaults, with those; None where the defaults are not known."""
    if "defaults" not in self.about:
      return None
    return {
        name: (self.config[name], default) for name, default in self.about["defaults"].items()
        if name in self.config and self.config[name] != default}

  def rows(self) -> list[dict[str, Any]]:
    """All lines of metrics."""
    return json_lines.read(self.path / "metrics.jsonl", growing=True)

  def hall_of_fame(self) -> list[dict[str, Any]]:
    """The best distinct programs, best first, each with where it was found."""
    return _read(self.path / "hall_of_fame.json", list)

  def front(self) -> list[dict[str, Any]]:
    """The best programs by complexity, the simplest first, like those of the hall of fame."""
    return _read(self.path / "front.json", list)

  def lineages(self) -> dict[tuple[int, int], list[dict[str, Any]]]:
    """What programs of hall of fame and front came from, step by step; see `lineage_files`.

    Returns:
      Steps by island and num_programs of an entry. One that was found since lineages were last
      saved is not among them.
    """
    return lineage_files.read(self.path)

  def improvements(self) -> list[dict[str, Any]]:
    """Every new best program of an island, in order."""
    return json_lines.read(self.path / "improvements.jsonl", growing=True)

  def findings(self) -> dict[str, Any]:
    """What its experiment found, empty before it has concluded, and when it goes on after that."""
    path = self.path / FINDINGS
    newest = max((part.last.get("time", 0) for part in self.searches() if part.last), default=0)
    return _read(path, dict) if path.exists() and path.stat().st_mtime >= newest else {}

  def result(self) -> dict[str, Any]:
    """How its program predicts the rows of a table that nobody saw, empty without them."""
    return _read(self.path / "result.json", dict)

  @property
  def tasks(self) -> dict[str, Any]:
    """What its search tasks are, of several groups those of the first; empty if not noted."""
    for described in (self.about, self.config, *self.config.get("groups", {}).values()):
      # An experiment may have a setting of this name.
      if isinstance(described.get("tasks"), Mapping):
        return dict(described["tasks"])
    return {}

  def workers(self) -> dict[str, Any]:
    """The work and the best fitness of every island, empty if they were not noted."""
    return _read(self.path / "workers.json", dict)


def read_about(path: pathlib.Path) -> dict[str, Any]:
  """What run.json of a run directory says of it, empty without one.

  Raises:
    ValueError: it is damaged.
  """
  return _read(path / "run.json", dict)


def read_run(path: str | os.PathLike) -> Run:
  """Reads a run directory, of long files only the end.

  Raises:
    ValueError: it is none, or a file in it cannot be read; says which in one line.
  """
  path = paths.expand(path)
  if not path.is_dir():
    raise ValueError(f"there is no directory '{path}'")
  if not is_run(path):
    raise ValueError(f"'{path}' is no run directory: it has no config.json")
  try:
    config, about = _read(path / "config.json", dict), read_about(path)
    parts = [read_run(part) for part in sorted(path.iterdir()) if is_run(part)]
    return Run(path, config, about, parts, json_lines.last(path / "metrics.jsonl"))
  except OSError as error:
    raise ValueError(f"'{error.filename}' cannot be read ({error.strerror})") from None
  except UnicodeDecodeError:
    raise ValueError(f"'{path}' has a file that is no text") from None


@contextlib.contextmanager
def reading(*paths: str | os.PathLike) -> Iterator[None]:
  """Tells of files of runs whose values are not those that were written.

  Raises:
    ValueError: says so of their directories, whatever it was within the block.
  """
  try:
    yield
  except ImportError:  # what is missing is a package
    raise
  except (*_MISFITS, ValueError) as error:
    if isinstance(error, ValueError) and any(str(path) in str(error) for path in paths):
      raise
    lacks = "it lacks " if isinstance(error, KeyError) else ""
    named = " or ".join(f"'{path}'" for path in paths)
    reason = files.shortened(f"{lacks}{str(error) or type(error).__name__}")
    raise ValueError(
        f"{named} has a file that is damaged, or of another version of azero: {reason}") from error


def is_run(path: pathlib.Path) -> bool:
  """Whether this is a run directory."""
  return (path / "config.json").is_file()


def _read(path: pathlib.Path, kind: type[T]) -> T:
  """The value of a JSON file; without the file an empty one."""
  if not path.exists():
    return kind()
  try:
    value = files.parse_json(path.read_bytes())
  except ValueError as error:
    raise ValueError(f"'{path}' cannot be read ({error})") from None
  if not isinstance(value, kind):
    raise ValueError(f"'{path}' cannot be read (a JSON {kind.__name__} was expected)")
  return value


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
  """Nested settings by their dotted names."""
  found: dict[str, Any] = {}
  for name, value in settings.items():
    if isinstance(value, Mapping):
      found |= {f"{name}.{inner}": each for inner, each in flat(value).items()}
    else:
      found[name] = value
  return found
