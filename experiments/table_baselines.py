"""The search estimators on scikit-learn's own tables, beside linear models and a network.

Cross-validation: in every fold `AutoMLZeroClassifier` or `AutoMLZeroRegressor` searches for
--max_seconds on the other folds; logistic or ridge regression and scikit-learn's network with 32
hidden units, both of standardised columns, are fitted to the same rows. Scores are the accuracy or
R2; the verdict is over all rows, each of which is predicted once.

    python -m experiments.table_baselines --max_seconds=60
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
import dataclasses
import json
import time
from typing import Any, ClassVar
import warnings

import numpy as np

from experiments.frame import command_line, lazy, settings
from experiments.frame.run_settings import RunSettings
from experiments.frame.settings import nested, setting

with lazy.imports():
  from azero.estimators import searched
  from azero.insight import statistics, tables, verdict
  from experiments.frame import study

DATASETS = ("breast_cancer", "wine", "diabetes", "digits", "iris")
SEARCH, LINEAR, NETWORK = "search", "linear model", "network"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """Settings of this experiment."""

  PRESETS: ClassVar[settings.Presets] = {
      "smoke": {"datasets": ("iris",), "folds": 2, "max_seconds": None, "max_programs": 40},
      "small": {"max_seconds": 20.0},
  }

  run: RunSettings = nested(RunSettings(), only=("output_dir", "run_name"))
  datasets: tuple[str, ...] = setting(DATASETS, "Tables.", choices=DATASETS)
  folds: int = setting(5, "Parts of each table, every one of which judges once.")
  max_seconds: float | None = setting(60.0, "Wall time of a search; none for no limit.")
  max_programs: int | None = setting(None, "Programs of a search; none for no limit.")
  seed: int = setting(0, "Of the folds, the searches and the network.")


def run(config: Config) -> list[dict[str, Any]]:
  """Cross-validates, prints a table and writes the run directory.

  Returns:
    A row for each fold and model, as in results.json.

  Raises:
    ValueError: a bad setting.
    FileExistsError: the run directory exists.
  """
  if config.max_seconds is None and config.max_programs is None:
    raise ValueError("A search would never end: set --max_seconds or --max_programs.")
  if config.folds < 2:
    raise ValueError(f"--folds must be at least 2, got {config.folds}.")
  for dataset in config.datasets:
    most = _most_folds(dataset)
    if config.folds > most:
      raise ValueError(f"--folds must be at most {most} for {dataset}, got {config.folds}.")
  directory = study.open_directory("table_baselines", config)
  directory.save_config()
  rows, cells = [], []
  for dataset in config.datasets:
    found, errors = _cross_validate(dataset, config)
    rows += found
    cells.append(_cells(dataset, found, errors))
    directory.write("results.json", json.dumps(rows, indent=2) + "\n")
  table = tables.markdown(
      ("table", "search", "linear model", "network", "chosen", "against the linear model"), cells)
  study.conclude(config, directory, study.Findings(
      title="Search estimators on tables", summary=[
          f"Mean score of {config.folds} folds with two standard errors, accuracy or for diabetes "
          "R2; how many of the chosen programs the search found; and the verdict over all rows."],
      tables=[table], lines=[table]))
  return rows


def _cross_validate(
    dataset: str, config: Config) -> tuple[list[dict[str, Any]], Mapping[str, np.ndarray]]:
  """Rows of the result, and the errors [N] of each model on all rows."""
  from sklearn import model_selection

  x, y, is_class = _load(dataset)
  kind = model_selection.StratifiedKFold if is_class else model_selection.KFold
  divided = kind(config.folds, shuffle=True, random_state=config.seed).split(x, y)
  rows: list[dict[str, Any]] = []
  errors = {name: np.zeros(len(y)) for name in (SEARCH, LINEAR, NETWORK)}
  for fold, (train, test) in enumerate(divided):
    for name, model in _models(config, is_class).items():
      begun = time.monotonic()
      with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the network's 300 epochs were not enough
        model.fit(x[train], y[train])
      seconds = time.monotonic() - begun
      output = model.predict(x[test])
      errors[name][test] = output != y[test] if is_class else ((output - y[test]) / y.std()) ** 2
      rows.append({
          "table": dataset, "fold": fold, "model": name, "score": model.score(x[test], y[test]),
          "seconds": round(seconds, 2), "origin": getattr(model, "origin_", None),
          "program": getattr(model, "program_", None)})
    print(f"{dataset}, fold {fold}: " + ", ".join(
        f"{row['model']} {row['score']:.4f} in {row['seconds']:.0f} s" for row in rows[-3:]),
        flush=True)
  return rows, errors


def _load(dataset: str) -> tuple[np.ndarray, np.ndarray, bool]:
  """Features and targets of a table, and whether those are classes."""
  from sklearn import datasets

  x, y = getattr(datasets, f"load_{dataset}")(return_X_y=True)
  return x, y, y.dtype.kind == "i"


def _most_folds(dataset: str) -> int:
  """Folds that have a row of every class, or two rows to tell R2 by."""
  _, y, is_class = _load(dataset)
  return int(np.bincount(y).min()) if is_class else len(y) // 2


def _models(config: Config, is_class: bool) -> dict[str, Any]:
  from sklearn import compose, linear_model, neural_network, pipeline, preprocessing

  search: dict[str, Any] = {
      "max_seconds": config.max_seconds, "max_programs": config.max_programs,
      "random_state": config.seed}
  network: dict[str, Any] = {
      "hidden_layer_sizes": (32,), "max_iter": 300, "random_state": config.seed}
  models: dict[str, Any] = {
      SEARCH: searched.AutoMLZeroClassifier(**search),
      LINEAR: linear_model.LogisticRegression(max_iter=1000),
      NETWORK: neural_network.MLPClassifier(**network)} if is_class else {
          SEARCH: searched.AutoMLZeroRegressor(**search),
          LINEAR: linear_model.Ridge(),
          # Its first weights and step sizes are made for targets of deviation 1.
          NETWORK: compose.TransformedTargetRegressor(
              neural_network.MLPRegressor(**network), transformer=preprocessing.StandardScaler())}
  return {name: model if name == SEARCH else pipeline.make_pipeline(
      preprocessing.StandardScaler(), model) for name, model in models.items()}


def _cells(
    dataset: str, rows: Sequence[Mapping[str, Any]], errors: Mapping[str, np.ndarray]
) -> tuple[str, ...]:
  scores = []
  for name in errors:
    mean, error = statistics.mean_and_two_sem(
        [row["score"] for row in rows if row["model"] == name])
    scores.append(f"{mean:.3f} ± {error:.3f}")
  origins = Counter(row["origin"] for row in rows if row["model"] == SEARCH)
  compared = verdict.compare(errors[SEARCH], errors[LINEAR])
  return (
      dataset, *scores, "; ".join(f"{count} {name}" for name, count in origins.most_common()),
      compared.word)


if __name__ == "__main__":
  command_line.main(Config, run)
