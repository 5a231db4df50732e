"""What settings of an evaluation may be; needs no JAX."""

import numbers

from azero.language.whole_numbers import require_whole

COMBINE = ("median", "mean")
DTYPES = ("float32", "float64")
EXECUTOR_NAMES = ("waves", "interpreter")


def check_dtype(dtype: str) -> None:
  """Refuses a type that no memory has.

  Raises:
    ValueError: says which there are.
  """
  if dtype not in DTYPES:
    raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}.")


def check_training(num_epochs: int, max_abs_error: float, dtype: str) -> None:
  """Refuses settings with which no program can be trained.

  Raises:
    ValueError: says which.
  """
  check_dtype(dtype)
  require_whole(num_epochs=num_epochs)
  if num_epochs < 1:
    raise ValueError(f"num_epochs must be at least 1, got {num_epochs}.")
  if not isinstance(max_abs_error, numbers.Real) or not max_abs_error > 0:
    raise ValueError(f"max_abs_error must be positive, got {max_abs_error!r}.")
