"""The run directory: everything a search leaves behind, written while it runs.

    config.json          the settings
    run.json             of an experiment: its name, when it began, the command, the defaults, and
                         what its search tasks are
    metrics.jsonl        lines of rates, best fitness, cache hits; rarer in a long run
    workers.json         the work and the best fitness of every island
    tensorboard/         curves, if they were wanted
    improvements.jsonl   every new best program of an island, with its text
    hall_of_fame.json    the best different algorithms, saved at every report and at the end
    front.json           the best programs by complexity, likewise
    lineage.json         what the programs of both came from, saved less often and at the end
    outcomes.jsonl       in place of it, where an experiment has repeats: what each came to;
                         the records of their searches are in directories of their own
    earlier_outcomes.jsonl  what they had come to with smaller budgets
    checkpoints/         the newest versions of the search itself, from which a stopped run
                         is continued
    findings.json        of an experiment that has concluded: what it found, for its report
    program.txt          its program
    result.json          of a table: scores of the program and of baselines, row by row
    report.md            the final report
    report.html          the same as a page, with figures
    *.png                pictures of report.md

What happens to them when something fails is said in docs/durability.md.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
import contextlib
import dataclasses
import functools
import hashlib
import itertools
import json
import os
import pathlib
import re
from typing import Any

import numpy as np

from azero import files, paths
from azero.language import ops as op_table
from azero.language.program import Programs, SearchSpace
from azero.language.text import format_program
from azero.runs import json_lines, lineage_files, lock, reader, rule_digest
from azero.search.config import SearchConfig
from azero.search.evolution import Evolution
from azero.search.groups.federation import Federation, Group
from azero.search.groups.migration import Migration
from azero.search.history.hall_of_fame import Entry, Front, Hall, JointFront
from azero.search.proposals.mutation import own_mutations
from azero.search.protocol import Searching
from azero.search.scoring.evaluators import evaluator_name
from azero.search.search import Search
from azero.search.threads import Improvement
from azero.tasks.task import Tasks

# Settings that a run need not be continued with, by their last name.
MAY_CHANGE = (
    "max_train_steps", "max_programs", "num_devices", "lanes", "ray_address", "progress",
    "checkpoint_seconds", "estimate_seconds", "tensorboard", "max_seconds", "target_fitness",
    "patience")
HALL_OF_FAME = "hall_of_fame.json"
FRONT = "front.json"
OUTCOMES = "outcomes.jsonl"
CHECKPOINTS = "checkpoints"

LINES = ("metrics.jsonl", "improvements.jsonl")
_OWN = re.compile(r"\bown_(ops|mutations)\.")  # settings that are digests of the user's own


class RunDirectory:
  """Writes the files of one run into a directory of its own.

  JSON lines are flushed as they are written, whole files replaced in one step and synced, so
  that a run that is stopped at any moment, by a loss of power too, leaves readable files. What
  cannot be written, because the disk is full, leaves a file as it was.

  Attributes:
    path: of the directory.
    config: JSON-compatible settings.
    resumed: whether it holds a run that is to be continued.
  """

  def __init__(self, path: str | os.PathLike, config: Mapping[str, Any]):
    """Makes the directory and writes the settings.

    Args:
      path: where; must not exist yet.
      config: JSON-compatible settings.

    Raises:
      TypeError: settings that are not JSON-compatible; then nothing is made.
      FileExistsError: there is something of that name already.
    """
    self.path = paths.expand(path)
    json.dumps(dict(config))  # so that what cannot be written leaves nothing behind
    try:
      files.make_directory(self.path)  # of two runs that start at once, one gets it
    except FileExistsError:
      raise FileExistsError(
          f"The run directory '{self.path}' already exists. A run never overwrites another: "
          "choose a new name, or remove that one.") from None
    self._begin(config, resumed=False)
    self.save_config()

  @classmethod
  def open(
      cls, path: str | os.PathLike, config: Mapping[str, Any],
      may_change: Sequence[str] = MAY_CHANGE,
  ) -> "RunDirectory":
    """The directory of a run that is to be continued; writes nothing yet.

    Args:
      path: of the directory.
      config: the settings to go on with.
      may_change: which may differ from those that it was made with.

    Raises:
      FileNotFoundError: there is no such directory, or no settings in it.
      ValueError: settings that cannot be read, or other settings.
    """
    directory = cls.__new__(cls)
    directory.path = paths.expand(path)
    require_same(read_config(path), config, directory.path, may_change)
    directory._begin(config, resumed=True)
    return directory

  def _begin(self, config: Mapping[str, Any], *, resumed: bool) -> None:
    self.config = dict(config)
    self.resumed = resumed
    self._saved_changes: dict[str, tuple[int, ...]] = {}  # of what is in each file
    # Of each group, the best fitness of islands that only hall_of_fame.json has.
    self._ahead: list[dict[int, float]] = [{}]
    self._ends = np.array([np.inf])  # of the islands of each group

  @property
  def recorded(self) -> bool:
    """Whether there are JSON lines."""
    return any(json_lines.size(self.path / name) for name in LINES)

  def locked(self) -> contextlib.AbstractContextManager[None]:
    """Keeps other processes from continuing the run while this one is at it.

    Raises:
      BlockingIOError: another one is.
    """
    return lock.locked(self.path)

  def save_config(self) -> None:
    """Replaces config.json."""
    self.write("config.json", json.dumps(self.config, indent=2) + "\n")

  def sizes(self) -> dict[str, int]:
    """Bytes of each file of JSON lines, all of them safe on the disk."""
    sizes = {}
    for name in LINES:
      with open(self.path / name, "ab") as file:
        os.fsync(file.fileno())
        sizes[name] = file.seek(0, os.SEEK_END)
    files.sync_directory(self.path)  # their names, when they are new
    return sizes

  def cut(self, sizes: Mapping[str, int], groups: Sequence[int]) -> None:
    """Drops the JSON lines that were added since `sizes`.

    Args:
      sizes: of a checkpoint.
      groups: how many islands each group has, whose fitnesses can be compared.

    Raises:
      ValueError: lines of that time are missing.
    """
    for name, size in sizes.items():
      found = json_lines.size(self.path / name)
      if found < size:
        raise ValueError(
            f"'{self.path / name}' has {found} bytes, but {size} when the checkpoint was saved: "
            "lines are missing. Put a copy of the file back, or start a new run.")
    for name, size in sizes.items():
      with open(self.path / name, "ab") as file:  # it may be missing if there were none
        file.truncate(size)
    self._saved_changes = {}
    self._ends = np.cumsum(groups)
    self._ahead = self._saved_best(groups)
    lines = self.path / "improvements.jsonl"
    try:
      for island, fitness in _best_of_islands(json_lines.read(lines)).items():
        self._note_found(island, fitness)
    except (LookupError, TypeError) as error:
      raise ValueError(
          f"'{lines}' is damaged: a line has no proper island or fitness ({error}). Put a copy of "
          "the file back, or start a new run.") from error

  def read_metrics(self) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl."""
    return json_lines.read(self.path / "metrics.jsonl")

  def write(self, name: str, text: str) -> pathlib.Path:
    """Writes or replaces one text file in one step; returns its path."""
    target = self.path / name
    files.write_whole(target, text.encode(), sync=True, only_writer=True)
    return target

  def add_metrics(self, metrics: Mapping[str, Any]) -> None:
    """Appends a line to metrics.jsonl."""
    json_lines.append(self.path / "metrics.jsonl", [metrics])

  def add_improvements(self, improvements: Iterable[Improvement]) -> None:
    """Appends a line for each to improvements.jsonl."""
    improvements = list(improvements)
    json_lines.append(self.path / "improvements.jsonl", [
        {
            "island": item.island, "fitness": item.fitness, "train_steps": item.train_steps,
            "num_programs": item.num_programs,
            "num_features": item.program.space.num_features,
            "program": format_program(item.program),
        } for item in improvements])
    for item in improvements:
      self._note_found(item.island, item.fitness)

  def save_workers(self, seconds: float, workers: Mapping[str, Any]) -> None:
    """Replaces workers.json: where every island is after so many seconds."""
    self.write("workers.json", json.dumps({"seconds": round(seconds, 3), **workers}) + "\n")

  def save_best(
      self, hall_of_fame: Hall, front: Front | JointFront, *, lineages: bool = False,
      final: bool = False) -> None:
    """Replaces hall_of_fame.json and front.json, each if it changed since it was last saved.

    A run that goes on from an older checkpoint leaves the files alone until each island has found
    again what it has in them, or one of its group something better than all that: a stop in between
    must not lose what is best.

    Args:
      hall_of_fame: of the search.
      front: of the search.
      lineages: whether lineage.json as well.
      final: whether the run has come to the end of its budget, whatever a longer one had found.
    """
    if any(self._ahead) and not final:
      return
    self._save(HALL_OF_FAME, entries_text, hall_of_fame)
    self._save(FRONT, entries_text, front)
    if lineages:
      self._save(lineage_files.LINEAGE, lineage_files.text, hall_of_fame, front)

  def _save(
      self, name: str, make_text: Callable[[Iterable[Entry]], str],
      *sources: Hall | Front | JointFront) -> None:
    """Replaces the file of some entries, if they have changed since it was saved."""
    changes = tuple(source.changes for source in sources)
    if changes != self._saved_changes.get(name):
      self.write(name, make_text(itertools.chain(*sources)))
      self._saved_changes[name] = changes

  def _saved_best(self, groups: Sequence[int]) -> list[dict[int, float]]:
    """Of each group, the best of islands in hall_of_fame.json; none if it is lost or destroyed."""
    saved: list[dict[int, float]] = [{} for _ in groups]
    try:
      rows = files.parse_json((self.path / HALL_OF_FAME).read_bytes())
      for island, fitness in _best_of_islands(rows).items():
        saved[self._group(island)][island] = fitness
    except (FileNotFoundError, LookupError, TypeError, ValueError):
      return [{} for _ in groups]
    return saved

  def _note_found(self, island: int, fitness: float) -> None:
    ahead = self._ahead[self._group(island)]
    if ahead and fitness > max(ahead.values()):
      ahead.clear()
    elif fitness >= ahead.get(island, np.inf):
      del ahead[island]

  def _group(self, island: int) -> int:
    return int(np.searchsorted(self._ends, island, side="right"))


@functools.singledispatch
def settings_of(search: Searching) -> dict[str, Any]:
  """What decides the history of a search: JSON-compatible, arrays as digests.

  Each kind of search registers how its settings are told.
  """
  raise TypeError(f"Nobody registered how the settings of a {type(search).__name__} are told.")


@settings_of.register
def _(search: Search) -> dict[str, Any]:
  return _settings(
      type(search).__name__, search.space, search.config, search.task_sets, search.template,
      search.own_evaluator)


@settings_of.register
def _(search: Federation) -> dict[str, Any]:
  return settings_of_groups(search.groups, search.migration)


def settings_of_groups(groups: Sequence[Group], migration: Migration | None) -> dict[str, Any]:
  """As `settings_of`, for groups of workers that may migrate."""
  described = {}
  for group in groups:
    experiments = None if group.experiments is None else [int(k) for k in group.experiments]
    described[group.name] = {
        "experiments": experiments, "migration_every": group.migration_every} | _settings(
            Evolution.__name__, group.space, group.config, group.task_sets, group.template,
            evaluator_name(group.evaluator))
  return {
      "method": Federation.__name__,
      "migration": None if migration is None else dataclasses.asdict(migration),
      "groups": described}


def _settings(
    method: str, space: SearchSpace, config: SearchConfig, task_sets: Sequence[Tasks],
    template: Programs | None, own_evaluator: str | None,
) -> dict[str, Any]:
  tasks = task_sets[0]
  ops = {op for component in space.components for op in component.ops}
  return {
      "method": method,
      "search": dataclasses.asdict(config),
      "space": dataclasses.asdict(space),
      "own_ops": {
          op_table.op_by_id(op).name: rule_digest.of_op(op_table.op_by_id(op))
          for op in sorted(ops) if op >= op_table.NUM_PAPER_OPS},
      "own_mutations": {
          name: rule_digest.of_mutation(function)
          for name, function in own_mutations().items() if name in config.mutations},
      **({} if own_evaluator is None else {"own_evaluator": own_evaluator}),
      "islands": len(task_sets),
      "tasks": describe_tasks(tasks),
      "data_digest": _digest(
          getattr(each, name) for each in task_sets
          for name in ("train_x", "train_y", "valid_x", "valid_y", "seeds")),
      "template_digest": None if template is None else _digest(
          getattr(template, name) for name in Programs.ARRAYS),
  }


def describe_tasks(tasks: Tasks) -> dict[str, Any]:
  """Metric, numbers and sizes of tasks, JSON-compatible."""
  return {
      "metric": tasks.metric, "num_tasks": len(tasks), "num_features": tasks.num_features,
      "num_train": tasks.num_train, "num_valid": tasks.num_valid,
      "num_classes": tasks.num_classes}


def read_config(path: str | os.PathLike) -> dict[str, Any]:
  """The settings of a run directory.

  Raises:
    FileNotFoundError: there is no such directory, or no settings in it.
    ValueError: settings that cannot be read.
  """
  file = paths.expand(path) / "config.json"
  if not file.parent.is_dir():
    raise FileNotFoundError(f"There is no run directory '{file.parent}'.")
  if not file.exists():
    raise FileNotFoundError(
        f"'{file.parent}' is no run directory: it has no config.json.")
  try:
    config = files.parse_json(file.read_bytes())
    if not isinstance(config, dict):
      raise ValueError("a JSON object was expected")
  except ValueError as error:
    raise ValueError(
        f"'{file}' cannot be read ({error}). Put a copy of the file back, or start a new "
        "run.") from None
  return config


def require_same(
    saved: Mapping[str, Any], given: Mapping[str, Any], path: str | os.PathLike,
    may_change: Sequence[str] = MAY_CHANGE,
) -> None:
  """Refuses to continue a run with other settings, but for those that may change.

  Args:
    saved: its settings, nested.
    given: those to go on with; JSON-compatible.
    path: of the run, for the message.
    may_change: settings that may differ, by their last name.

  Raises:
    ValueError: names what differs.
  """
  before, now = reader.flat(saved), reader.flat(json.loads(json.dumps(dict(given))))
  others = sorted({
      name.rsplit(".", 1)[1] for name in before.keys() & now.keys()
      if before[name] != now[name] and _OWN.search(name)})
  if others:
    raise ValueError(
        f"The run in '{path}' was begun with another rule of {', '.join(others)} than the one "
        "registered now, or with another version of Python: register the op or mutation as it was "
        "then, or start a new run.")
  if before.keys() != now.keys():
    there, here = (", ".join(sorted(names)) or "(none)" for names in (
        before.keys() - now.keys(), now.keys() - before.keys()))
    raise ValueError(
        f"The run in '{path}' is one of another experiment, or of another version of azero: "
        f"only it has the settings {files.shortened(there)}; only here are {here}.")
  differences = [
      ("the rows of the data are others: " if name.endswith("data_digest") else "")
      + f"{name} is {before[name]!r} there and {now[name]!r} here" for name in before
      if before[name] != now[name] and name.split(".")[-1] not in may_change]
  if differences:
    shown = files.shortened("; ".join(differences))
    raise ValueError(
        f"The run in '{path}' has other settings: {shown}. A run is continued "
        f"with its own; only {', '.join(may_change)} may change.")


def config_hash(settings: Mapping[str, Any]) -> str:
  """Hexadecimal digits that are the same for settings that a run may be continued with."""
  flat = {
      name: value for name, value in reader.flat(settings).items()
      if name.split(".")[-1] not in MAY_CHANGE}
  return hashlib.sha256(json.dumps(flat, sort_keys=True).encode()).hexdigest()[:16]


def _best_of_islands(rows: Iterable[Mapping[str, Any]]) -> dict[int, float]:
  best: dict[int, float] = {}
  for row in rows:
    best[row["island"]] = max(row["fitness"], best.get(row["island"], -np.inf))
  return best


def _digest(arrays: Iterable[np.ndarray]) -> str:
  """Hexadecimal digits that tell arrays from others."""
  result = hashlib.sha256()
  for array in arrays:
    result.update(array.tobytes())
  return result.hexdigest()[:16]


def entries_text(entries: Iterable[Entry]) -> str:
  """The file of a hall of fame or a front."""
  return json.dumps([_entry_to_json(entry) for entry in entries], indent=2) + "\n"


def _entry_to_json(entry: Entry) -> dict[str, Any]:
  fields = {
      field.name: getattr(entry, field.name)
      for field in dataclasses.fields(entry)
      if field.name not in ("program", "fingerprint", "lineage")}
  return fields | {
      "num_features": entry.program.space.num_features, "program": format_program(entry.program)}
