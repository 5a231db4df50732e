"""Evidence that takes minutes: `python -m pytest -m slow`."""

import pytest

from experiments import linear_regression
from experiments.frame.settings import build

pytestmark = pytest.mark.slow


def test_the_demo_discovers_a_learner(tmp_path):
  """The default demo: final fitness on tasks that neither search nor selection saw."""
  result = linear_regression.run(build(linear_regression.Config,
      output_dir=str(tmp_path), run_name="run", progress="off"))
  assert result.discovered
  assert result.final_fitness.mean() > 0.999
  assert "v0" in repr(result.program)
