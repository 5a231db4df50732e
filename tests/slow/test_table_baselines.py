"""Cross-validation on a table, at the smallest budget."""

import json

import numpy as np
import pytest

from experiments import table_baselines
from experiments.frame.settings import preset


@pytest.mark.slow
def test_every_model_is_judged_on_every_fold(tmp_path):
  config = preset(
      table_baselines.Config, "smoke", output_dir=str(tmp_path), run_name="run")
  rows = table_baselines.run(config)
  assert [(row["fold"], row["model"]) for row in rows] == [
      (fold, model) for fold in range(2) for model in ("search", "linear model", "network")]
  assert np.min([row["score"] for row in rows]) > 0.85
  assert json.loads((tmp_path / "run" / "results.json").read_text()) == rows
  assert "| iris | 0.9" in (tmp_path / "run" / "report.md").read_text()
