"""The run directory: everything a search leaves behind, written while it runs.

    config.json          the settings
    metrics.jsonl        one line at every report: rates, best fitness, cache hits
    improvements.jsonl   every new best program of an island, with its text
    hall_of_fame.json    the best distinct programs, saved at every report and at the end
    report.md            the final report
    *.png                its pictures
"""

from collections.abc import Iterable, Mapping
import dataclasses
import json
import os
import pathlib
from typing import Any

from azero.language.text import format_program
from azero.search.hall_of_fame import Entry, HallOfFame
from azero.search.search import Improvement, Search


class RunDirectory:
  """Writes the files of one run into a directory of its own.

  JSON lines are flushed as they are written, whole files replaced in one step, so that a
  run that is stopped at any moment leaves readable files.
  """

  def __init__(self, path: str | os.PathLike, config: Mapping[str, Any]):
    """Makes the directory and writes the settings.

    Args:
      path: where; must not exist yet.
      config: JSON-compatible settings.

    Raises:
      FileExistsError: there is something of that name already.
    """
    self.path = pathlib.Path(path)
    self.path.parent.mkdir(parents=True, exist_ok=True)
    try:
      self.path.mkdir()  # of two runs that start at once, one gets it
    except FileExistsError:
      raise FileExistsError(
          f"The run directory '{self.path}' already exists. A run never overwrites another: "
          "choose a new name, or remove that one.") from None
    self._saved_changes = -1
    self.write("config.json", json.dumps(dict(config), indent=2) + "\n")

  def write(self, name: str, text: str) -> pathlib.Path:
    """Writes or replaces one text file in one step; returns its path."""
    target = self.path / name
    temporary = target.with_name(target.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(target)
    return target

  def add_metrics(self, metrics: Mapping[str, Any]) -> None:
    """Appends a line to metrics.jsonl."""
    self._append("metrics.jsonl", [metrics])

  def add_improvements(self, improvements: Iterable[Improvement]) -> None:
    """Appends a line for each to improvements.jsonl."""
    self._append("improvements.jsonl", [
        {
            "island": item.island, "fitness": item.fitness, "train_steps": item.train_steps,
            "num_programs": item.num_programs, "program": format_program(item.program),
        } for item in improvements])

  def save_hall_of_fame(self, hall_of_fame: HallOfFame) -> None:
    """Replaces hall_of_fame.json if anything changed since it was last saved."""
    if hall_of_fame.changes != self._saved_changes:
      self._saved_changes = hall_of_fame.changes
      entries = [_entry_to_json(entry) for entry in hall_of_fame]
      self.write("hall_of_fame.json", json.dumps(entries, indent=2) + "\n")

  def _append(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    lines = [json.dumps(dict(row), allow_nan=False) + "\n" for row in rows]
    if lines:
      with open(self.path / name, "a", encoding="utf-8") as file:
        file.writelines(lines)


def settings_of(search: Search) -> dict[str, Any]:
  """What decides the history of a search, but for the data: JSON-compatible."""
  tasks = search.task_sets[0]
  return {
      "method": type(search).__name__,
      "search": dataclasses.asdict(search.config),
      "space": dataclasses.asdict(search.space),
      "islands": search.num_islands,
      "tasks": {
          "metric": tasks.metric, "num_tasks": len(tasks), "num_features": tasks.num_features,
          "num_train": tasks.num_train, "num_valid": tasks.num_valid,
          "num_classes": tasks.num_classes,
      },
  }


def _entry_to_json(entry: Entry) -> dict[str, Any]:
  fields = {
      field.name: getattr(entry, field.name)
      for field in dataclasses.fields(entry) if field.name != "program"}
  return fields | {"program": format_program(entry.program)}
