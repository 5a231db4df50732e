"""Lineages as a JSON file; read without a search and JAX.

Programs of a hall of fame share most of their ancestors. So the file has each step once, and of
each lineage which steps it has:

  {"steps": [{"island": 0, "num_programs": 17, "fitness": 0.5, "mutation": "alter", "skipped": 0,
              "gain": 0.1, "changes": ["+ Learn: s1 = s0 - s1"], "num_features": 4,
              "program": "def Setup(): ..."}],
   "lineages": [{"island": 0, "num_programs": 17, "steps": [0]}]}

What the fields of a step say is told in `azero.search.history.lineage.Step`.
"""

from __future__ import annotations

from collections.abc import Iterable
import json
import pathlib
from typing import TYPE_CHECKING, Any

from azero import files

if TYPE_CHECKING:
  from azero.search.history.hall_of_fame import Entry
  from azero.search.history.lineage import Step

LINEAGE = "lineage.json"


def text(entries: Iterable[Entry]) -> str:
  """The file of the lineages of some entries, of which some may be the same."""
  numbers: dict[bytes, int] = {}
  steps: list[str] = []
  lineages = {}
  for entry in entries:
    lineage = entry.lineage
    for k, key in enumerate(lineage.keys()):
      if key not in numbers:
        numbers[key] = len(steps)
        steps.append(json.dumps(_written(lineage[k])))
    lineages[entry.island, entry.num_programs] = [numbers[key] for key in lineage.keys()]
  listed = [
      json.dumps({"island": island, "num_programs": number, "steps": chosen})
      for (island, number), chosen in lineages.items()]
  return (
      '{"steps": [\n' + ",\n".join(steps) + '\n],\n"lineages": [\n' + ",\n".join(listed)
      + "\n]}\n")


def read(directory: pathlib.Path) -> dict[tuple[int, int], list[dict[str, Any]]]:
  """The lineages of a run directory, by island and num_programs of an entry; none without a file.

  Raises:
    ValueError: the file cannot be read.
  """
  path = directory / LINEAGE
  if not path.exists():
    return {}
  try:
    document = files.parse_json(path.read_bytes())
    steps = document["steps"]
    return {
        (each["island"], each["num_programs"]): [dict(steps[k]) for k in each["steps"]]
        for each in document["lineages"]}
  except (AttributeError, LookupError, TypeError, ValueError) as error:
    reason = files.shortened(f"{type(error).__name__}: {error}")
    raise ValueError(
        f"'{path}' cannot be read as lineages ({reason}). Put a copy of it "
        "back, or remove it to do without.") from None


def _written(step: Step) -> dict[str, Any]:
  return {
      "island": step.island, "num_programs": step.num_programs, "fitness": step.fitness,
      "mutation": step.mutation, "skipped": step.skipped, "gain": step.gain,
      "changes": list(step.changes), "num_features": step.program.space.num_features,
      "program": repr(step.program)}
