"""What has to be a whole number; needs neither NumPy nor JAX."""

import numbers
from typing import Any


def require_whole(**values: Any) -> None:
  """Refuses values that are no whole numbers, which those of NumPy are, too, and True is not.

  Raises:
    ValueError: names the first one.
  """
  for name, value in values.items():
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
      raise ValueError(f"{name} must be a whole number, got {value!r}.")
