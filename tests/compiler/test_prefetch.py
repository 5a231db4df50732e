"""A prefetch is an instruction of the processor, and changes nothing."""

import numpy as np
import pytest

from azero.compiler.kernels import DISABLE_JIT, kernel
from azero.compiler.prefetch import prefetch


@kernel
def _sum_ahead(numbers: np.ndarray) -> float:
  total = 0.0
  for i in range(numbers.shape[0]):
    prefetch(numbers, (min(i + 1, numbers.shape[0] - 1), 0))
    for j in range(numbers.shape[1]):
      total += numbers[i, j]
  return total


def test_results_are_those_without():
  numbers = np.arange(12.0).reshape(4, 3)
  assert _sum_ahead(numbers) == 66
  np.testing.assert_array_equal(numbers, np.arange(12.0).reshape(4, 3))


@pytest.mark.skipif(DISABLE_JIT, reason="nothing is compiled")
def test_the_processor_is_told():
  _sum_ahead(np.zeros((1, 1)))
  (code,) = _sum_ahead.inspect_asm().values()
  assert "prefetch" in code or "prfm" in code  # of x86 and of ARM
