"""What a page says of a run, read from its directory, of a run under way too.

Each section is an object of its own, or None where the directory does not have it.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np

from azero.insight import discoveries, statistics
from azero.language import text
from azero.language.program import Programs
from azero.runs import reader
from azero.runs.reader import Run

_MOST_CURVES = 40  # beside that of the best island
_NEAR = 0.05  # of the height of a figure
_MOST_STEPS = 5
_MOST_LINES = 8  # of new instructions in a step
_MOST_CLASSES = 20  # of a confusion matrix
_OWN_NAMES = ("discovered program", "best program")


@dataclasses.dataclass(frozen=True)
class Progress:
  """How the best fitness grew.

  Attributes:
    title: of the axis of fitness.
    across: of the other one.
    curve: what a curve belongs to.
    metric: "rms" or "accuracy", or "" if it is not known.
    best: points of the curve that reached most, dictionaries of programs, fitness, height,
      curve and new, the instructions that are new there.
    others: points of the others.
    steps: of the best one, numbered, those that gained most.
    references: names with the heights of what to compare with.
    alt: all that in a sentence.
  """

  title: str
  across: str
  curve: str
  metric: str
  best: list[dict[str, Any]]
  others: list[dict[str, Any]]
  steps: list[dict[str, Any]]
  references: list[dict[str, Any]]
  alt: str


@dataclasses.dataclass(frozen=True)
class Score:
  """A score and its interval.

  Attributes:
    name: of what has it.
    own: whether that is the program of the run.
    score: its value.
    low: where the interval begins.
    high: where it ends.
    verdict: how the program stands to it, in words, or "".
  """

  name: str
  own: bool
  score: float
  low: float
  high: float
  verdict: str = ""


@dataclasses.dataclass(frozen=True)
class Comparison:
  """Scores of the program and of others.

  Attributes:
    title: what a score is.
    scores: of the program and others.
    caption: what the intervals are.
    alt: all that in a sentence.
  """

  title: str
  scores: list[Score]
  caption: str
  alt: str


@dataclasses.dataclass(frozen=True)
class Confusion:
  """How often a class is taken for another.

  Attributes:
    labels: of the classes.
    counts: [class][predicted class], numbers of rows.
    left_out: classes that are not shown, since there are too many.
  """

  labels: list[str]
  counts: list[list[int]]
  left_out: int


@dataclasses.dataclass(frozen=True)
class Residuals:
  """True and predicted quantities.

  Attributes:
    target: their name.
    points: dictionaries of truth and predicted.
    bounds: of all of them.
    alt: all that in a sentence.
  """

  target: str
  points: list[dict[str, float]]
  bounds: tuple[float, float]
  alt: str


def program_of(run: Run) -> tuple[Programs | None, str]:
  """The program that a run is about, a batch of one, and its text.

  It is the one that was chosen, or of a run under way the best one by now. Without a program
  there is no text; with a text that cannot be read, as that of an op of the user's own that
  is not registered, there is no program.
  """
  entry = run.findings() if run.findings().get("program") else None
  for search in run.searches() if entry is None else ():
    entry = next(iter(search.hall_of_fame()), None) or entry
    if entry is not None:
      break
  if entry is None:
    return None, ""
  return _parsed(entry, num_classes_of(run)), entry["program"]


def num_classes_of(run: Run) -> int:
  """0 for real-valued labels, 2 for two classes, or more; 0 if it is not known."""
  return int((run.findings() or run.tasks).get("num_classes") or 0)


def _metric_of(run: Run) -> str:
  """Of its fitnesses: "rms", "accuracy", or "" if it is not known."""
  if run.findings().get("program"):
    return "accuracy" if num_classes_of(run) else "rms"
  return run.tasks.get("metric", "")


def _parsed(entry: Mapping[str, Any], num_classes: int) -> Programs | None:
  try:
    return text.parse(
        entry["program"], num_features=entry.get("num_features") or 4,
        min_vectors=3 if num_classes > 2 else 1)
  except ValueError:
    return None


def progress_of(run: Run) -> Progress | None:
  """The progress of the islands of a run, or of the searches that it consists of."""
  metric = _metric_of(run)
  if run.parts:
    curves = {part.path.name: _of_metrics(part, metric) for part in run.searches()}
    what, across = "search", "programs evaluated in a search"
  else:
    what, across = "island", "programs evaluated on an island"
    curves = _of_improvements(run, metric)
  curves = {name: points for name, points in curves.items() if points}
  if not curves:
    return None
  order = sorted(curves, key=lambda name: -curves[name][-1]["fitness"])
  best = curves[order[0]]
  others = [point for name in order[1 : _MOST_CURVES + 1] for point in curves[name]]
  steps = [] if run.parts else _steps(run, best, metric)
  references = _references(run, metric, [point["height"] for points in curves.values()
                                         for point in points])
  alt = (
      f"Best fitness over {across}. The best {what}, {order[0]}, rose from "
      f"{best[0]['fitness']:.4f} to {best[-1]['fitness']:.4f} by {best[-1]['programs']:,} "
      f"programs; {len(curves)} of them are compared.")
  return Progress(
      "best fitness on the search tasks", across, what, metric, best, others, steps, references,
      alt)


def _references(run: Run, metric: str, heights: Sequence[float]) -> list[dict[str, Any]]:
  """What to compare with; those whose lines can hardly be told apart share one name."""

  def place(height: float) -> float:
    return height if metric == "accuracy" else np.log10(height)

  found: list[dict[str, Any]] = []
  near = _NEAR * np.ptp([place(height) for height in heights])
  scores = [score for score in _task_scores(run) if not score.own]
  for score in sorted(scores, key=lambda score: -score.score):
    height = discoveries.height(score.score, metric)
    if found and abs(place(height) - place(found[-1]["height"])) <= near:
      found[-1]["name"] += f"; {score.name}"
    else:
      found.append({"name": score.name, "height": height})
  return found


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
  return {
      "curve": curve, "programs": max(programs, 1), "fitness": fitness,
      "height": discoveries.height(fitness, metric if metric == "rms" else "accuracy")}


def _steps(run: Run, best: list[dict[str, Any]], metric: str) -> list[dict[str, Any]]:
  """The largest steps of the best island, each with the instructions that are new in it."""
  rows = [row for row in run.improvements() if str(row["island"]) == best[0]["curve"]]
  num_classes = num_classes_of(run)
  chosen = discoveries.largest_steps(
      [row["fitness"] for row in rows], metric or "accuracy", _MOST_STEPS)
  steps = []
  for number, k in enumerate(chosen, start=1):
    old, new = (_parsed(rows[each], num_classes) for each in (k - 1, k))
    lines = [] if new is None else discoveries.new_instructions(
        old, new, multiclass=num_classes > 2)
    shown = lines[:_MOST_LINES] + ["..."] * (len(lines) > _MOST_LINES)
    steps.append(best[k] | {
        "number": number, "before": rows[k - 1]["fitness"], "lines": shown,
        "new": "; ".join(shown) or "other constants"})
  return steps


def comparison_of(run: Run) -> Comparison | None:
  """The program beside baselines: on rows of a table, or else on tasks."""
  result = run.result()
  if "scores" in result:
    words = {"better": "the program is better", "same": "cannot be told apart",
             "worse": "the program is worse"}
    scores = [
        Score(name, name in _OWN_NAMES, each["score"], low=each["interval"][0],
              high=each["interval"][1],
              verdict=words.get(result["verdicts"].get(name, {}).get("verdict"), ""))
        for name, each in result["scores"].items()]
    title = {"accuracy": "accuracy", "rms_error": "RMS error"}[result["metric"]]
    unit = f" of {result['target']}, less is better" if result["metric"] == "rms_error" else ""
    title = f"{title}{unit}, on {result['rows']['judged']:,} rows that nobody saw"
    caption = "Intervals hold 95 % of resamples of these rows."
  else:
    scores, title = _task_scores(run), "mean fitness on unseen tasks"
    caption = "Intervals are two standard errors of the mean over tasks."
  if not scores:
    return None
  said = "; ".join(f"{each.name} {each.score:.4f}" for each in scores)
  return Comparison(title, scores, caption, f"{title}: {said}.")


def _task_scores(run: Run) -> list[Score]:
  """Mean fitnesses over tasks."""
  found = []
  for name, values in run.findings().get("scores", {}).items():
    mean, error = statistics.mean_and_two_sem(values)
    found.append(Score(name, name in _OWN_NAMES, mean, mean - error, mean + error))
  return found


def confusion_of(run: Run) -> Confusion | None:
  """The confusion matrix of the rows of a table, of at most some of its most frequent classes."""
  result = run.result()
  if "confusion" not in result:
    return None
  counts = np.array(result["confusion"])
  shown = np.sort(np.argsort(-counts.sum(1), kind="stable")[:_MOST_CLASSES])
  return Confusion(
      [str(result["classes"][k]) for k in shown], counts[np.ix_(shown, shown)].tolist(),
      len(counts) - len(shown))


def residuals_of(run: Run) -> Residuals | None:
  """True and predicted values of rows of a table."""
  result = run.result()
  if "residuals" not in result:
    return None
  pairs = np.array(result["residuals"], float)
  correlation = float(np.corrcoef(pairs.T)[0, 1]) if len(pairs) > 1 else float("nan")
  return Residuals(
      result["target"], [{"truth": truth, "predicted": output} for truth, output in pairs.tolist()],
      (float(pairs.min()), float(pairs.max())),
      f"Predicted over true {result['target']} of {len(pairs)} rows; correlation "
      f"{correlation:.2f}.")


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
  return ", ".join(map(_setting, value)) if isinstance(value, Sequence) and not isinstance(
      value, str) else str(value)
