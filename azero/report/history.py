"""How the program of a run came about: progress, inventions, and what was best by complexity."""

from collections.abc import Sequence
import dataclasses
from typing import Any

import numpy as np

from azero.insight import discoveries
from azero.report import facts, scores
from azero.runs.reader import Run

_MOST_CURVES, _MOST_POINTS = 40, 80  # beside the curve of the best island
_NEAR = 0.05  # of the height of a figure
_MOST_STEPS = 6
_MOST_LINES = 10  # of changes that are shown of a step


@dataclasses.dataclass(frozen=True)
class Progress:
  """How the best fitness grew.

  Attributes:
    title: of the axis of fitness.
    across: of the other one.
    curve: what a curve belongs to.
    metric: "rms" or "accuracy", or "" if it is not known.
    best: points of the curve that reached most, dictionaries of curve, programs, fitness and
      height.
    others: points of the others.
    references: names with the heights of what to compare with.
    alt: all that in a sentence.
  """

  title: str
  across: str
  curve: str
  metric: str
  best: list[dict[str, Any]]
  others: list[dict[str, Any]]
  references: list[dict[str, Any]]
  alt: str


@dataclasses.dataclass(frozen=True)
class Step:
  """A large step on the way to the program.

  Attributes:
    number: from 1, in their order.
    programs: evaluated on its island up to it.
    island: whose.
    before: the fitness before it.
    fitness: that it reached.
    height: of the fitness in a figure.
    mutation: what made it, or "" if that is not known.
    changes: what is new in its program, "+ s1 = ...", and what is gone, "- ...".
  """

  number: int
  programs: int
  island: int
  before: float
  fitness: float
  height: float
  mutation: str
  changes: list[str]


@dataclasses.dataclass(frozen=True)
class Walk:
  """The way to the program.

  Attributes:
    steps: the largest ones.
    inventions: all that were fitter than everything before on their island, as cells of a table:
      programs, island, what made them, fitness, gain. None where only the best programs of the
      island are known, not the ancestors of the last one.
    num_mutations: from the start to the program, likewise.
  """

  steps: list[Step]
  inventions: Sequence[tuple[str, ...]]
  num_mutations: int


@dataclasses.dataclass(frozen=True)
class Front:
  """The best programs by complexity.

  Attributes:
    metric: as of `Progress`.
    points: dictionaries of complexity, cost, fitness, height and program, the simplest first.
    alt: all that in a sentence.
  """

  metric: str
  points: list[dict[str, Any]]
  alt: str


def progress_of(run: Run) -> Progress | None:
  """The progress of the islands of a run, or of the searches that it consists of."""
  metric = facts.metric_of(run)
  if run.parts:
    curves = {part.path.name: _of_metrics(part, metric) for part in run.searches()}
    what, across = "search", "programs evaluated in a search"
  else:
    what, across = "island", "programs evaluated on an island"
    curves = _of_improvements(run, metric)
  curves = {name: points for name, points in curves.items() if len(points) > 1}
  if not curves:
    return None
  order = sorted(curves, key=lambda name: -curves[name][-1]["fitness"])
  best = curves[order[0]]
  others = [point for name in order[1 : _MOST_CURVES + 1] for point in _thinned(curves[name])]
  alt = (
      f"Best fitness over {across}. The best {what}, {order[0]}, rose from "
      f"{best[0]['fitness']:.4f} to {best[-1]['fitness']:.4f} by {best[-1]['programs']:,} "
      f"programs; {min(len(curves), _MOST_CURVES + 1)} of {len(curves)} are compared.")
  return Progress(
      "best fitness on the search tasks", across, what, metric, best, others,
      _references(run, metric, [point["height"] for point in best + others]), alt)


def walk_of(run: Run) -> Walk | None:
  """The inventions that led to the program of a run.

  They are those of its lineage, or else the improvements of the island that it was found on or,
  where that is not known either, of the one that reached most.
  """
  if run.parts:
    return None
  lineage = _lineage_of(run)
  if lineage:
    found = [lineage[0]] + [step for step in lineage[1:] if step["gain"] > 0]
    changes = [step["changes"] for step in found]
  else:
    rows = run.improvements()
    if not rows:
      return None
    _, source = facts.program_of(run)
    last = next((row for row in rows if row["program"] == source), None) or max(
        rows, key=lambda row: row["fitness"])
    found = [row for row in rows
             if row["island"] == last["island"] and row["fitness"] <= last["fitness"]]
    changes = [[] for _ in found]
  metric = facts.metric_of(run)
  chosen = discoveries.largest_steps(
      [step["fitness"] for step in found], metric or "accuracy", _MOST_STEPS)
  steps = []
  for number, k in enumerate(chosen, start=1):
    if lineage:  # what is new comes first, since not all may have room
      told = sorted(changes[k], key=lambda line: line[:1])
    else:
      told = _new_lines(run, found[k - 1], found[k])
    steps.append(Step(
        number, max(found[k]["num_programs"], 1), found[k]["island"], found[k - 1]["fitness"],
        found[k]["fitness"], _height(found[k]["fitness"], metric), found[k].get("mutation", ""),
        told[:_MOST_LINES] + ["..."] * (len(told) > _MOST_LINES)))
  inventions = [
      (f"{step['num_programs']:,}", str(step["island"]), step["mutation"],
       f"{step['fitness']:.6f}", f"{step['gain']:+.6f}" if step["gain"] else "")
      for step in (found if lineage else ())]
  return Walk(steps, inventions, sum(1 + step["skipped"] for step in lineage[1:]))


def front_of(run: Run) -> Front | None:
  """The front of a run, of several searches that of the first."""
  entries: list[dict[str, Any]] = []
  for entry in sorted(next(iter(run.searches())).front(), key=lambda each: (
      each["complexity"], -each["fitness"])):  # groups of islands have a front each
    if not entries or entry["fitness"] > entries[-1]["fitness"]:
      entries.append(entry)
  if not entries:
    return None
  metric = facts.metric_of(run)
  points = [
      {name: entry[name] for name in ("complexity", "cost", "fitness", "program")}
      | {"height": _height(entry["fitness"], metric)} for entry in entries]
  return Front(metric, points, "Best fitness by number of live instructions: " + "; ".join(
      f"{point['complexity']}: {point['fitness']:.4f}" for point in points) + ".")


def _lineage_of(run: Run) -> list[dict[str, Any]]:
  """The steps that led to the program of a run; none if they are not known."""
  _, source = facts.program_of(run)
  known = run.lineages()
  for entry in (*run.hall_of_fame(), *run.front()):
    if entry["program"] == source:
      return known.get((entry["island"], entry["num_programs"]), [])
  return []


def _new_lines(run: Run, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
  num_classes = facts.num_classes_of(run)
  before, after = (facts.parsed(each, num_classes) for each in (old, new))
  if after is None:
    return []
  return [f"+ {line}" for line in discoveries.new_instructions(
      before, after, multiclass=num_classes > 2)]


def _references(run: Run, metric: str, heights: Sequence[float]) -> list[dict[str, Any]]:
  """What to compare with; those whose lines can hardly be told apart share one name."""

  def place(height: float) -> float:
    return float(np.log10(height)) if metric == "rms" else height

  found: list[dict[str, Any]] = []
  near = _NEAR * float(np.ptp([place(height) for height in heights]))
  others = [score for score in scores.task_scores(run) if not score.own]
  for score in sorted(others, key=lambda score: -score.score):
    height = _height(score.score, metric)
    if found and abs(place(height) - place(found[-1]["height"])) <= near:
      found[-1]["name"] += f"; {score.name}"
    else:
      found.append({"name": score.name, "height": height})
  return found


def _thinned(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
  """Some points of a curve, the first and the last among them."""
  count = min(len(points), _MOST_POINTS)
  return [points[int(k)] for k in np.linspace(0, len(points) - 1, count)]


def _of_metrics(run: Run, metric: str) -> list[dict[str, Any]]:
  return [_point(run.path.name, row["programs"], row["best_fitness"], metric)
          for row in run.rows() if row.get("programs")]


def _of_improvements(run: Run, metric: str) -> dict[str, list[dict[str, Any]]]:
  """The curve of every island, up to its last program."""
  ends = run.workers().get("programs", [])
  curves: dict[str, list[dict[str, Any]]] = {}
  for row in run.improvements():
    points = curves.setdefault(str(row["island"]), [])
    points.append(_point(str(row["island"]), row["num_programs"], row["fitness"], metric))
  for island, points in curves.items():
    end = ends[int(island)] if int(island) < len(ends) else 0
    points.append(points[-1] | {"programs": max(end, points[-1]["programs"])})
  return curves


def _point(curve: str, programs: int, fitness: float, metric: str) -> dict[str, Any]:
  return {"curve": curve, "programs": max(programs, 1), "fitness": fitness,
          "height": _height(fitness, metric)}


def _height(fitness: float, metric: str) -> float:
  """Where a figure shows a fitness; itself where it is not known what it is."""
  return discoveries.height(fitness, metric or "accuracy")
