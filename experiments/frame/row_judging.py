"""A program and simple baselines on the rows of a table that nobody saw, row by row.

All train on the search and select rows and predict the final ones. What a row's error is decides:
1 or 0 for a class, the square of the standardised error for a quantity. Rows, not tasks that
share them, are independent draws, so tests and intervals are over rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import contextlib
import dataclasses
import json
import pickle
from typing import TYPE_CHECKING, Any
import warnings

import numpy as np

from experiments.frame import lazy

with lazy.imports():
  from azero.estimators import programs as program_estimators
  from azero.insight import verdict
  from azero.tasks.tables.preparation import Preparation

if TYPE_CHECKING:
  from azero.language.program import Programs
  from azero.tasks.tables.table import Table
  from azero.tasks.tables.text_table import Written

MODEL = "model.pkl"
RESULT = "result.json"
PROGRAM = "discovered program"
_MOST_RESIDUALS = 500


@dataclasses.dataclass(frozen=True, eq=False)
class TableModel:
  """A trained program with all that it takes to predict rows of a table.

  Attributes:
    preparation: of the columns and the target.
    estimator: a fitted `ProgramClassifier` or `ProgramRegressor`, of encoded targets.
    table: name of the file that it learnt from.
    written: how that file was, if it is text.
  """

  preparation: Preparation
  estimator: Any
  table: str
  written: Written | None

  def predict(self, frame: Any) -> np.ndarray:
    """[N] labels, or quantities in their own unit, of rows.

    Raises:
      ValueError: columns are missing or hold what they did not hold before.
    """
    return self.preparation.decode_target(
        self.estimator.predict(self.preparation.features(frame)))

  def predict_proba(self, frame: Any) -> np.ndarray:
    """[N, C] probabilities of the classes of rows; errors as for `predict`."""
    return self.estimator.predict_proba(self.preparation.features(frame))


def fit_model(
    program: Programs, table: Table, rows: np.ndarray, name: str, *,
    epochs: Sequence[int | None] = (None,),
) -> TableModel:
  """Trains a program on rows of a table.

  Args:
    program: a batch of one.
    table: that the rows are of.
    rows: to train on.
    name: of the table's file.
    epochs: numbers of passes over the rows, of which the first counts that does not diverge;
      None to choose them on some of the rows.

  Raises:
    ValueError: its error is not finite there.
  """
  frame, target = table.frame.iloc[rows], table.target.iloc[rows]
  preparation = prepare(table, rows)
  x, y = preparation.features(frame), preparation.encode_target(target)
  kind = (program_estimators.ProgramRegressor if preparation.classes is None
          else program_estimators.ProgramClassifier)

  def fitted(number: int | None) -> TableModel:
    estimator = kind(program, num_epochs=number, random_state=table.settings.seed)
    return TableModel(preparation, estimator.fit(x, y), name, table.written)

  *first, last = epochs
  for number in first:
    with contextlib.suppress(ValueError):  # it diverges
      return fitted(number)
  return fitted(last)


def prepare(table: Table, rows: np.ndarray) -> Preparation:
  """The preparation of columns and target as these rows have them."""
  return Preparation.fit(
      table.frame.iloc[rows], table.target.iloc[rows], kind=table.preparation.kind,
      whole=table.preparation)


def learnt_rows(table: Table) -> np.ndarray:
  """The rows that a program which is judged may learn from."""
  return np.concatenate([table.split.search, table.split.select])


def judge(model: TableModel, table: Table) -> dict[str, np.ndarray]:
  """Errors on the final rows, [V] each, of a program and of baselines, by name.

  Args:
    model: the program, trained on `learnt_rows`.
    table: of these rows.
  """
  from sklearn import dummy, linear_model, neural_network

  rows, preparation, seed = learnt_rows(table), model.preparation, table.settings.seed
  x = preparation.features(table.frame.iloc[rows])
  y = preparation.encode_target(table.target.iloc[rows])
  if preparation.classes is None:
    models = {
        "constant prediction": dummy.DummyRegressor(),
        "linear regression (ridge)": linear_model.Ridge(),
        "neural network, 32 hidden units": neural_network.MLPRegressor(
            hidden_layer_sizes=(32,), max_iter=300, random_state=seed)}
  else:
    models = {
        "constant prediction": dummy.DummyClassifier(strategy="most_frequent"),
        "logistic regression": linear_model.LogisticRegression(max_iter=1000),
        "neural network, 32 hidden units": neural_network.MLPClassifier(
            hidden_layer_sizes=(32,), max_iter=300, random_state=seed)}
  final = table.split.final
  frame, target = table.frame.iloc[final], table.target.iloc[final]
  features = preparation.features(frame)
  outputs = {PROGRAM: model.estimator.predict(features)}
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that 300 epochs were not enough
    for name, baseline in models.items():
      outputs[name] = baseline.fit(x, y).predict(features)
  truth = preparation.encode_target(target, unknown=-1)
  if preparation.classes is None:
    return {name: (output - truth) ** 2 for name, output in outputs.items()}
  return {name: (output != truth).astype(np.float64) for name, output in outputs.items()}


def result(table: Table, model: TableModel, errors: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """What result.json says: of the table, scores with intervals, verdicts, and how rows came out.

  The last is "confusion", [C][C] numbers of rows by class and predicted class, or "residuals",
  [N][2] true and predicted quantities of some rows. A score is the accuracy, or for a quantity the
  RMS error in its own unit.

  Args:
    table: that was learnt from.
    model: that was judged.
    errors: as `judge` returns them for this model.
  """
  preparation = model.preparation  # errors are in units of its deviation
  classes = preparation.classes
  unit = 1.0 if classes is not None else preparation.target_deviation
  scores = {name: _score(each, unit, is_class=classes is not None)
            for name, each in errors.items()}
  spread = 1.0 if classes is not None else _spread(table, preparation)
  return {
      "target": preparation.target_name, "kind": preparation.kind,
      "classes": None if classes is None else classes.tolist(),
      "features": list(preparation.feature_names),
      "metric": "accuracy" if classes is not None else "rms_error",
      "rows": {"search": len(table.split.search), "select": len(table.split.select),
               "judged": len(table.split.final)},
      "scores": scores,
      "verdicts": {name: _as_entry(verdict.compare(errors[PROGRAM] / spread, each / spread))
                   for name, each in errors.items() if name != PROGRAM},
      "warnings": list(table.warnings)} | _rows(table, model)


def _rows(table: Table, model: TableModel) -> dict[str, Any]:
  """How the program predicts the final rows; a class that was not learnt is left out."""
  final, preparation = table.split.final, model.preparation
  output = model.estimator.predict(preparation.features(table.frame.iloc[final]))
  truth = preparation.encode_target(table.target.iloc[final], unknown=-1)
  if preparation.classes is None:
    some = np.unique(np.linspace(0, len(final) - 1, _MOST_RESIDUALS).astype(int))
    pairs = np.stack([preparation.decode_target(each[some]) for each in (truth, output)], 1)
    return {"residuals": pairs.tolist()}
  counts = np.zeros((len(preparation.classes),) * 2, int)
  known = truth >= 0
  np.add.at(counts, (truth[known].astype(int), output[known].astype(int)), 1)
  return {"confusion": counts.tolist()}


def _spread(table: Table, preparation: Preparation) -> float:
  """The variance of the judged quantities, in the unit of the errors; 1 if they do not vary."""
  truth = preparation.encode_target(table.target.iloc[table.split.final])
  return float(np.var(truth)) if np.ptp(truth) > 0 else 1.0


def _as_entry(found: verdict.Verdict) -> dict[str, Any]:
  return {
      "verdict": found.word, "gain": found.gain, "gain_interval": [found.low, found.high]}


def _score(errors: np.ndarray, unit: float, *, is_class: bool) -> dict[str, Any]:
  low, high = verdict.mean_interval(errors)
  if is_class:
    return {"score": float(1 - errors.mean()), "interval": [float(1 - high), float(1 - low)]}
  score, low, high = (float(np.sqrt(value) * unit) for value in (errors.mean(), low, high))
  return {"score": score, "interval": [low, high]}


def sentences(found: Mapping[str, Any]) -> list[str]:
  """The verdicts of a result in words."""
  gain = {"accuracy": "accuracy", "rms_error": "R2 (the part of the variance that is predicted)"}
  what = f"{gain[found['metric']]} on {found['rows']['judged']:,} rows"
  return [
      verdict.Verdict(each["verdict"], each["gain"], *each["gain_interval"]).sentence(name, what)
      for name, each in found["verdicts"].items()]


def measure(found: Mapping[str, Any]) -> str:
  """What the scores of a result are."""
  name = {"accuracy": "accuracy", "rms_error": "RMS error, less is better,"}[found["metric"]]
  return f"{name} on {found['rows']['judged']:,} rows that nobody saw"


def scores_in_words(found: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
  """Each score of a result and its interval, by name."""
  return {
      name: (f"{each['score']:.4g}", "{:.4g} to {:.4g}".format(*each["interval"]))
      for name, each in found["scores"].items()}


def as_json(found: Mapping[str, Any]) -> str:
  """A result as the text of its file."""
  return json.dumps(found, indent=2, ensure_ascii=False, default=str) + "\n"


def as_bytes(model: TableModel) -> bytes:
  """A model as its file holds it."""
  return pickle.dumps(model)
