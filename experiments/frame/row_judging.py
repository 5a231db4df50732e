"""A program and simple baselines on the rows of a table that nobody saw, row by row.

All train on the search and select rows and predict the final ones. What a row's error is decides:
1 or 0 for a class, the square of the standardised error for a quantity. Rows, not tasks that
share them, are independent draws, so tests and intervals are over rows.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import json
import pickle
from typing import TYPE_CHECKING, Any
import warnings

import numpy as np

from experiments.frame import lazy

with lazy.imports():
  from azero.estimators import programs as program_estimators
  from azero.tasks import preparation as preparation_lib

if TYPE_CHECKING:
  from azero.language.program import Programs
  from azero.tasks.tables import Table

MODEL = "model.pkl"
RESULT = "result.json"
PROGRAM = "discovered program"
_ROUNDING = 1e-6  # of a mean error: a gain below it is none
_LEVEL = 0.02  # of the two-sided tests
_RESAMPLES = 2000
_MOST_RESIDUALS = 500


@dataclasses.dataclass(frozen=True, eq=False)
class TableModel:
  """A trained program with all that it takes to predict rows of a table.

  Attributes:
    preparation: of the columns and the target.
    estimator: a fitted `ProgramClassifier` or `ProgramRegressor`, of encoded targets.
    table: name of the file that it learnt from.
  """

  preparation: preparation_lib.Preparation
  estimator: Any
  table: str

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


def fit_model(program: Programs, table: Table, rows: np.ndarray, name: str) -> TableModel:
  """Trains a program on rows of a table.

  Raises:
    ValueError: its error is not finite there.
  """
  frame, target = table.frame.iloc[rows], table.target.iloc[rows]
  preparation = preparation_lib.Preparation.fit(
      frame, target, kind=table.preparation.kind, dropped=table.dropped)
  kind = (program_estimators.ProgramRegressor if preparation.classes is None
          else program_estimators.ProgramClassifier)
  estimator = kind(program, random_state=table.settings.seed)
  return TableModel(preparation, estimator.fit(
      preparation.features(frame), preparation.encode_target(target)), name)


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
  truth = _codes(preparation, target)
  if preparation.classes is None:
    return {name: (output - truth) ** 2 for name, output in outputs.items()}
  return {name: (output != truth).astype(np.float64) for name, output in outputs.items()}


def _codes(preparation: preparation_lib.Preparation, target: Any) -> np.ndarray:
  """Targets as numbers; -1 for a class that was not learnt."""
  if preparation.classes is None:
    return preparation.encode_target(target)
  known = {label: code for code, label in enumerate(preparation.classes.tolist())}
  labels = preparation_lib.labels_of(target).tolist()
  return np.array([known.get(label, -1) for label in labels], np.float64)


def verdict(program: np.ndarray, baseline: np.ndarray) -> dict[str, Any]:
  """Whether a program's errors are smaller than a baseline's on the same rows.

  An exact test over the rows that only one of them gets right, where errors are 0 and 1, and a
  paired bootstrap otherwise.

  Args:
    program: [V] errors.
    baseline: [V] errors.

  Returns:
    "verdict", "better", "same" or "worse"; "gain", by how much the mean error is smaller;
    "gain_interval", 95 % of the bootstrap.
  """
  from scipy import stats

  gain = baseline - program
  means = _resampled_means(gain)
  low, high = np.quantile(means, [_LEVEL / 2, 1 - _LEVEL / 2])
  if np.isin(program, (0, 1)).all() and np.isin(baseline, (0, 1)).all():
    wins, losses = int((gain > 0).sum()), int((gain < 0).sum())
    clear = wins + losses > 0 and stats.binomtest(wins, wins + losses).pvalue < _LEVEL
  else:
    clear = low > 0 or high < 0
  word = "same"
  if clear and abs(gain.mean()) > _ROUNDING:
    word = "better" if gain.mean() > 0 else "worse"
  interval = np.quantile(means, [0.025, 0.975])
  return {"verdict": word, "gain": float(gain.mean()),
          "gain_interval": [float(value) for value in interval]}


def _resampled_means(values: np.ndarray) -> np.ndarray:
  """[_RESAMPLES] means of rows drawn with replacement."""
  rng = np.random.default_rng(0)
  return values[rng.integers(len(values), size=(_RESAMPLES, len(values)))].mean(1)


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
  return {
      "target": preparation.target_name, "kind": preparation.kind,
      "classes": None if classes is None else classes.tolist(),
      "features": list(preparation.feature_names),
      "metric": "accuracy" if classes is not None else "rms_error",
      "rows": {"search": len(table.split.search), "select": len(table.split.select),
               "judged": len(table.split.final)},
      "scores": scores,
      "verdicts": {name: verdict(errors[PROGRAM], each) for name, each in errors.items()
                   if name != PROGRAM},
      "warnings": list(table.warnings)} | _rows(table, model)


def _rows(table: Table, model: TableModel) -> dict[str, Any]:
  """How the program predicts the final rows; a class that was not learnt is left out."""
  final, preparation = table.split.final, model.preparation
  output = model.estimator.predict(preparation.features(table.frame.iloc[final]))
  truth = _codes(preparation, table.target.iloc[final])
  if preparation.classes is None:
    some = np.unique(np.linspace(0, len(final) - 1, _MOST_RESIDUALS).astype(int))
    pairs = np.stack([preparation.decode_target(each[some]) for each in (truth, output)], 1)
    return {"residuals": pairs.tolist()}
  counts = np.zeros((len(preparation.classes),) * 2, int)
  known = truth >= 0
  np.add.at(counts, (truth[known].astype(int), output[known].astype(int)), 1)
  return {"confusion": counts.tolist()}


def _score(errors: np.ndarray, unit: float, *, is_class: bool) -> dict[str, Any]:
  means = _resampled_means(errors)
  low, high = np.quantile(means, [0.025, 0.975])
  if is_class:
    return {"score": float(1 - errors.mean()), "interval": [float(1 - high), float(1 - low)]}
  score, low, high = (float(np.sqrt(value) * unit) for value in (errors.mean(), low, high))
  return {"score": score, "interval": [low, high]}


def sentences(found: Mapping[str, Any]) -> list[str]:
  """The verdicts of a result in words."""
  words = {"better": "is better than", "same": "cannot be told from", "worse": "is worse than"}
  return [
      f"It {words[each['verdict']]} {name}: {each['gain']:+.4f} in the mean error of "
      f"{found['rows']['judged']} rows (95 % from {each['gain_interval'][0]:+.4f} to "
      f"{each['gain_interval'][1]:+.4f})." for name, each in found["verdicts"].items()]


def as_json(found: Mapping[str, Any]) -> str:
  """A result as the text of its file."""
  return json.dumps(found, indent=2, ensure_ascii=False, default=str) + "\n"


def as_bytes(model: TableModel) -> bytes:
  """A model as its file holds it."""
  return pickle.dumps(model)
