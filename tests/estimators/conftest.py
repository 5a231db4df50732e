"""Rows that the tests of all estimators share, and with their shape the compiled programs."""

import numpy as np
import pytest

_SHAPE = 120, 4


@pytest.fixture(scope="package")
def data():
  """Columns of very different scales, and a quantity that is linear in them."""
  rng = np.random.default_rng(0)
  x = rng.normal(size=_SHAPE) * [1, 10, 100, 0.1] + [0, 5, -50, 1]
  return x, (x - x.mean(0)) / x.std(0) @ np.array([1.0, -2.0, 0.5, 1.5])
