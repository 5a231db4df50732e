"""How the program of a run scores beside baselines, and on which rows of a table it errs."""

import dataclasses

import numpy as np

from azero.insight import statistics
from azero.runs.reader import Run

_MOST_CLASSES = 20  # of a confusion matrix
_OWN_NAMES = ("discovered program", "best program")


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
    better = "Less is better. " if result["metric"] == "rms_error" else ""
    title += f" of {result['target']}"
    caption = (f"{better}On {result['rows']['judged']:,} rows that nobody saw; intervals hold 95 % "
               "of resamples of these rows.")
  else:
    scores, title = task_scores(run), "mean fitness on unseen tasks"
    caption = "Intervals are two standard errors of the mean over tasks."
  if not scores:
    return None
  said = "; ".join(f"{each.name} {each.score:.4f}" for each in scores)
  return Comparison(title, scores, caption, f"{title}: {said}.")


def task_scores(run: Run) -> list[Score]:
  """Mean fitnesses over unseen tasks, of the program and of what it is compared with."""
  found = []
  for name, values in run.findings().get("scores", {}).items():
    mean, error = np.nan_to_num(statistics.mean_and_two_sem(values)).tolist()
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
  middle = float(np.median(np.abs(pairs[:, 1] - pairs[:, 0])))
  return Residuals(
      result["target"], [{"truth": truth, "predicted": output} for truth, output in pairs.tolist()],
      (float(pairs.min()), float(pairs.max())),
      f"Predicted over true {result['target']} of {len(pairs)} rows; half of the predictions are "
      f"at most {middle:.4g} away.")
