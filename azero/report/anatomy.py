"""The program of a run made simple, line by line in words, and what each part of it is worth.

What needs tasks, simplification up to equal predictions and ablations, an experiment leaves in its
findings. Of a run under way the page makes its best program as simple as can be without them.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

from azero import insight
from azero.export.graph import PURPOSE
from azero.insight import Explanation
from azero.language.program import Function, Programs
from azero.report import facts
from azero.runs.reader import Run


@dataclasses.dataclass(frozen=True)
class Anatomy:
  """A program in parts.

  Attributes:
    program: made simple, a batch of one.
    explanation: of it.
    steps: cells of a table: what was done to simplify, why it may be done, instructions left.
    caption: what the simplification came to.
  """

  program: Programs
  explanation: Explanation
  steps: list[tuple[str, str, str]]
  caption: str

  @property
  def functions(self) -> list[tuple[str, str, tuple[insight.ExplainedLine, ...]]]:
    """Name, purpose and lines of each component function."""
    return [(function.name.title(), PURPOSE[function], self.explanation.of(function))
            for function in Function]


@dataclasses.dataclass(frozen=True)
class Ablations:
  """What is lost without parts of a program.

  Attributes:
    rows: dictionaries of name, kind, without, fitness, loss, low and high, the last two equal
      to the loss where there is no interval; the largest loss first.
    fitness: of the whole program.
    caption: what was measured.
    alt: all that in a sentence.
  """

  rows: list[dict[str, Any]]
  fitness: float
  caption: str
  alt: str


def anatomy_of(run: Run) -> Anatomy | None:
  """The program of a run in parts; None if it has none, or one that cannot be read."""
  program, _ = facts.program_of(run)
  if program is None:
    return None
  num_classes, found = facts.num_classes_of(run), run.findings().get("simplification")
  if found is None:
    found = insight.simplify(program, num_classes=num_classes).as_dict()
  simple = facts.parsed(
      {"program": found["program"], "num_features": program.space.num_features}, num_classes)
  assert simple is not None  # since the program itself could be read
  before, after = (int(each.lengths.sum()) for each in (program, simple))
  caption = f"{before} instructions as evolved, {after} made simple"
  if found["fitness"] is not None:
    caption += (f"; fitness {found['original_fitness']:.4f} and {found['fitness']:.4f} on the same "
                "tasks")
  return Anatomy(
      simple, insight.explain(simple, num_classes=num_classes),
      [(step["what"], step["proof"], str(step["num_instructions"])) for step in found["steps"]],
      caption + ".")


def ablations_of(run: Run) -> Ablations | None:
  """What an experiment has noted of the parts of its program."""
  found = run.findings().get("ablations")
  if not found or not found["ablations"]:
    return None
  rows = sorted(map(_row, found["ablations"]), key=lambda row: -row["loss"])
  said = "; ".join(f"{row['name']}: {row['loss']:.4f}" for row in rows)
  return Ablations(
      rows, found["fitness"],
      f"Fitness lost without a mechanism or a line, of {found['fitness']:.4f}; mean over "
      f"{found['num_tasks']} unseen tasks with 95 % intervals.",
      f"Loss of fitness without each part. {said}.")


def _row(ablation: Mapping[str, Any]) -> dict[str, Any]:
  loss = ablation["loss"]
  low, high = (loss["estimate"] if loss[name] is None else loss[name] for name in ("low", "high"))
  is_line = ablation["kind"] == "instruction"
  return {
      "name": ablation["places"][0] if is_line else ablation["name"], "kind": ablation["kind"],
      "without": ablation["without"], "fitness": ablation["fitness"],
      "loss": loss["estimate"], "low": low, "high": high}
