"""Columns of a table that should not be features: row numbers, other targets, copies of the target.

They make every result too good to be true. What is clearly meant otherwise is left out, what only
may be is kept, and either is told.
"""

from __future__ import annotations

from collections.abc import Collection
import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
  import pandas as pd

MIN_ROWS = 8  # fewer may look like anything
_INDEX_NAMES = re.compile(
    r"(column \d+|unnamed: ?\d+|index|id|row|row_?id|row_?(nr|no|num|number)|nr|no|level_0|"
    r"record(_?id)?|#)$", re.I)
_TARGET_NAMES = re.compile(r"((?:y|target|label|output|out|response|class)[_ .-]?)\d+$", re.I)
_SURELY = 0.9999  # correlation with the target


def suspects(
    features: pd.DataFrame, target: pd.Series, *, is_quantity: bool, nameless: Collection[str] = ()
) -> tuple[dict[str, str], list[str]]:
  """Looks for columns that should not be features.

  Args:
    features: [N, P].
    target: [N] without missing values.
    is_quantity: whether the target is one, not a class.
    nameless: names of columns that have none in their file.

  Returns:
    Why columns should be left out, by name, and warnings about others.
  """
  out: dict[str, str] = {}
  warnings: list[str] = []
  if len(features) < MIN_ROWS:
    return out, warnings
  stem = _TARGET_NAMES.match(str(target.name))
  for name in features.columns:
    sibling = _TARGET_NAMES.match(name)
    if stem and sibling and sibling[1].lower() == stem[1].lower():
      out[name] = f"seems another target beside {target.name!r}"
      continue
    if first := _counts_rows(features[name]):
      if name in nameless or _INDEX_NAMES.match(name):
        out[name] = f"numbers the rows from {first[0]}"
      else:
        warnings.append(
            f"column {name!r} numbers the rows from {first[0]}: if rows are sorted, it gives the "
            "target away, and for new rows it means nothing")
    elif (name in nameless or _INDEX_NAMES.match(name)) and _names_rows(
        features[name], gaps=name not in nameless):
      out[name] = "has a whole number of its own for each row"
    elif _equals(features[name], target, is_quantity):
      warnings.append(
          f"column {name!r} alone tells the target {target.name!r}: leave it out if it is not "
          "known when a prediction is wanted")
  return out, warnings


def _counts_rows(column: pd.Series) -> tuple[int] | None:
  """The first number, if a column counts up by one from 0 or 1, or down to there."""
  import pandas as pd

  if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
    return None
  values = column.to_numpy(np.float64, na_value=np.nan)
  for ordered in (values, values[::-1]):
    if ordered[0] in (0, 1) and (ordered == ordered[0] + np.arange(len(values))).all():
      return (int(ordered[0]),)
  return None


def _names_rows(column: pd.Series, *, gaps: bool) -> bool:
  """Whether a column numbers the rows in another order, from 0 or 1, perhaps with gaps."""
  import pandas as pd

  if not pd.api.types.is_integer_dtype(column) or column.isna().any():
    return False
  low, high = column.min(), column.max()
  return bool(column.is_unique and low >= 0 and (gaps or (low < 2 and high - low < len(column))))


def _equals(column: pd.Series, target: pd.Series, is_quantity: bool) -> bool:
  """Whether a column is the target, but for its unit or the names of its classes."""
  import pandas as pd

  if not is_quantity:
    codes, names = pd.factorize(target)
    others, values = pd.factorize(column, use_na_sentinel=False)
    return len(names) == len(values) and len(np.unique(codes * len(values) + others)) == len(names)
  if not pd.api.types.is_numeric_dtype(column):
    return False
  x = column.to_numpy(np.float64, na_value=np.nan)
  y = target.to_numpy(np.float64, na_value=np.nan)
  known = np.isfinite(x) & np.isfinite(y)
  if known.sum() < MIN_ROWS or _is_constant(x[known]) or _is_constant(y[known]):
    return False
  x, y = (values[known] / np.abs(values[known]).max() for values in (x, y))
  if _is_constant(x) or _is_constant(y):
    return False
  return bool(abs(np.corrcoef(x, y)[0, 1]) > _SURELY)


def _is_constant(values: np.ndarray) -> bool:
  # Not by their range, which may be more than the largest number.
  return bool(values.min() == values.max())
