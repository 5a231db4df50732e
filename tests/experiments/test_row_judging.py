"""What a program and baselines come to on rows that nobody saw."""

import json

import numpy as np
import pandas as pd
import pytest

import azero
from azero.tasks.tables.table import prepare
from experiments.frame import row_judging


def test_a_quantity_is_judged_and_predicted_in_its_own_unit():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(80, 3))
  y = 5 + x @ [3.0, -1.0, 0.5] + 0.1 * rng.normal(size=80)
  frame = pd.DataFrame(x, columns=["a", "b", "c"]).assign(y=1e200 * y)
  table = prepare(frame)
  program = azero.parse(azero.zoo.source("linear_regressor").replace("0.001", "0.1"))
  model = row_judging.fit_model(program, table, row_judging.learnt_rows(table), "mine")
  errors = row_judging.judge(model, table)
  assert all(each.shape == (16,) for each in errors.values())
  found = json.loads(row_judging.as_json(row_judging.result(table, model, errors)))
  # The gain over the mean of the learnt rows is R2 but for that mean.
  judged = frame["y"].iloc[table.split.final] / 1e200
  gain = found["verdicts"]["constant prediction"]["gain"]
  assert gain == pytest.approx(
      (errors["constant prediction"] - errors["discovered program"]).mean()
      * np.var(frame["y"].iloc[row_judging.learnt_rows(table)] / 1e200) / np.var(judged), rel=0.02)
  assert (found["metric"], found["classes"], found["kind"]) == ("rms_error", None, "regression")
  scores = {name: each["score"] for name, each in found["scores"].items()}
  assert scores["discovered program"] < 0.1 * scores["constant prediction"]
  assert 1e200 < scores["constant prediction"] < 6e200
  assert found["verdicts"]["constant prediction"]["verdict"] == "better"
  rows = table.split.final
  predicted = model.predict(frame.iloc[rows]) / 1e200
  rms = np.sqrt(np.mean((predicted - frame["y"].to_numpy()[rows] / 1e200) ** 2))
  np.testing.assert_allclose(
      np.array(found["residuals"]) / 1e200,
      np.stack([frame["y"].to_numpy()[rows] / 1e200, predicted], 1), rtol=1e-6)
  assert rms * 1e200 == pytest.approx(scores["discovered program"], rel=0.01)
