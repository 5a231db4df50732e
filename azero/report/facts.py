"""What a page says of a run as a whole, read from its directory, of a run under way too."""

from collections.abc import Mapping, Sequence
from typing import Any

from azero.language import text
from azero.language.program import Programs
from azero.runs import reader
from azero.runs.reader import Run


def program_of(run: Run) -> tuple[Programs | None, str]:
  """The program that a run is about, a batch of one, and its text.

  It is the one that was chosen, or of a run under way the best one by now. Without a program
  there is no text; with a text that cannot be read, as that of an op of the user's own that
  is not registered, there is no program.
  """
  entry = run.findings() if run.findings().get("program") else run.best_entry()
  if entry is None:
    return None, ""
  return parsed(entry, num_classes_of(run)), entry["program"]


def num_classes_of(run: Run) -> int:
  """0 for real-valued labels, 2 for two classes, or more; 0 if it is not known."""
  return int((run.findings() or run.tasks).get("num_classes") or 0)


def metric_of(run: Run) -> str:
  """Of its fitnesses: "rms", "accuracy", or "" if it is not known."""
  if run.findings().get("program"):
    return "accuracy" if num_classes_of(run) else "rms"
  return run.tasks.get("metric", "")


def parsed(entry: Mapping[str, Any], num_classes: int) -> Programs | None:
  """The program of an entry of a file, or None if it cannot be read."""
  try:
    return text.parse(
        entry["program"], num_features=entry.get("num_features") or 4,
        multiclass=num_classes > 2)
  except ValueError:
    return None


def took(run: Run) -> list[tuple[str, str]]:
  """What a run cost by now: names and values."""
  last = run.last or {}
  programs = run.total("programs") or 0
  found: list[tuple[str, Any, str]] = [
      ("islands", last.get("islands"), ","), ("programs", run.total("programs"), ",.0f"),
      ("programs per second", last.get("programs_per_second"), ",.0f"),
      ("training steps", run.total("train_steps"), ",.0f"),
      ("training steps per second", last.get("train_steps_per_second"), ",.0f"),
      ("answered by canonical key", last.get("canonical_hit_rate"), ".1%"),
      ("answered by fingerprint", last.get("fingerprint_hit_rate"), ".1%"),
      ("evaluated in full", last.get("evaluated", 0) / max(programs, 1) if last else None, ".1%"),
      ("devices idle", last.get("device_idle_share"), ".1%")]
  return [(name, format(value, how)) for name, value, how in found if value is not None]


def settings_of(run: Run) -> list[tuple[str, str, str]]:
  """Name, value and, where it is another one, default of every setting."""
  changed = run.changed() or {}
  return [
      (name, _setting(value), _setting(changed[name][1]) if name in changed else "")
      for name, value in reader.flat(run.config).items()]


def _setting(value: Any) -> str:
  """A setting as it is written on the command line."""
  if value is None:
    return "none"
  return ",".join(map(_setting, value)) if isinstance(value, Sequence) and not isinstance(
      value, str) else str(value)
