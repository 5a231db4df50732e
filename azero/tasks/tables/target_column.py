"""The target of a table: what kind of task it asks for, and how it becomes numbers and back."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from azero.tasks.tables import columns, frames, text_table

if TYPE_CHECKING:
  import pandas as pd

KINDS = ("classification", "regression")
MAX_AUTO_CLASSES = 20  # more distinct whole numbers than this are taken as a quantity


@dataclasses.dataclass(frozen=True, eq=False)
class TargetColumn:
  """How targets become numbers.

  Attributes:
    name: of the column.
    kind: of the task.
    reason: why it is of this kind, if that was assumed.
    classes: [C] original labels in sorted order, or None.
    counts: [C] rows of each class.
    unit: this and the following of a quantity: encoded is (value / unit - mean) / deviation.
    mean: of value / unit.
    deviation: of value / unit.
    low: the smallest value.
    high: the largest one.
  """

  name: str
  kind: str
  reason: str
  classes: np.ndarray | None = None
  counts: tuple[int, ...] = ()
  unit: float = 1.0
  mean: float = 0.0
  deviation: float = 1.0
  low: float = 0.0
  high: float = 0.0

  def encode(self, series: pd.Series, *, unknown: float | None = None) -> np.ndarray:
    """Targets as [N] float64: codes of classes, or quantities of mean 0 and deviation 1.

    Args:
      series: the targets.
      unknown: in place of the code of a class that was not there; None to refuse it.

    Raises:
      ValueError: a class that was not there, a missing value, or no number; says where.
    """
    _require_known(series, self.name)
    if self.classes is None:
      return (quantities(series) / self.unit - self.mean) / self.deviation
    codes = {label: code for code, label in enumerate(self.classes.tolist())}
    labels = labels_of(series).tolist()
    wrong = next((row for row, label in enumerate(labels) if label not in codes), None)
    if wrong is not None and unknown is None:
      raise ValueError(
          f"{frames.where(series, wrong)}: {labels[wrong]!r} is none of the classes "
          f"{frames.names_of(self.classes)} of {self.name!r}.")
    return np.array([codes.get(label, unknown) for label in labels], np.float64)

  def decode(self, values: np.ndarray) -> np.ndarray:
    """Targets of their numbers: labels for codes [N], quantities in their own unit [N]."""
    if self.classes is not None:
      return self.classes[values.astype(int)]
    return (values * self.deviation + self.mean) * self.unit

  def describe(self) -> list[tuple[str, str]]:
    """What was assumed, lines of a label and a text."""
    lines = [("target", self.name),
             ("kind", self.kind + (f" ({self.reason})" if self.reason else ""))]
    if self.classes is None:
      return [*lines, ("range", f"{self.low:g} to {self.high:g}, deviation "
                                f"{self.deviation * self.unit:g}")]
    pairs = [f"{label} ({count:,})" for label, count in zip(self.classes, self.counts)]
    shown = ", ".join(pairs[:frames.SHOWN]) + (", ..." if len(pairs) > frames.SHOWN else "")
    return [*lines, ("classes", f"{len(pairs)}: {shown}")]


def learn_target(series: pd.Series, kind: str | None) -> TargetColumn:
  """What a target without missing values is, and how it becomes numbers.

  Raises:
    ValueError: a missing or impossible value; names the row.
  """
  name = "target" if series.name is None else str(series.name)
  if kind not in (None, "auto", *KINDS):
    raise ValueError(f"Unknown kind {kind!r}; use one of auto, {', '.join(KINDS)}.")
  columns.require_cells(series)
  _require_known(series, name)
  reason = ""
  if kind in (None, "auto"):
    kind, reason = kind_of(series)
  assert kind is not None
  if kind == "classification":
    classes, counts = np.unique(labels_of(series), return_counts=True)
    return TargetColumn(name, kind, reason, classes, tuple(int(count) for count in counts))
  values = quantities(series)
  unit = columns.unit_of(values)
  scaled = values / unit
  deviation = float(scaled.std())
  return TargetColumn(
      name, kind, reason, unit=unit, mean=float(scaled.mean()), deviation=deviation or 1.0,
      low=float(values.min()), high=float(values.max()))


def as_series(target: Any, num_rows: int | None) -> pd.Series:
  """Targets as a series.

  Raises:
    ValueError: they have another shape.
  """
  import pandas as pd

  if isinstance(target, pd.DataFrame) and target.shape[1] == 1:
    target = target.iloc[:, 0]
  series = target if isinstance(target, pd.Series) else None
  if series is None:
    array = np.asarray(target)
    if array.ndim != 1:
      raise ValueError(f"A target must have shape [rows]; got {array.shape}.")
    series = pd.Series(array)
  if num_rows is not None and len(series) != num_rows:
    raise ValueError(f"The table has {num_rows} rows, but {len(series)} targets.")
  return series


def missing_targets(target: pd.Series) -> np.ndarray:
  """[N] bool, whether a target is missing: no value, NaN or an empty text."""
  empty = target.map(lambda value: isinstance(value, str) and not value.strip())
  return (target.isna() | empty).to_numpy(bool)


def kind_of(target: pd.Series) -> tuple[str, str]:
  """The kind of task that a target without missing values asks for, and why."""
  import pandas as pd

  if pd.api.types.is_bool_dtype(target):
    return "classification", "true and false"
  values: Any = target.to_numpy()
  if not pd.api.types.is_numeric_dtype(target) or isinstance(target.dtype, pd.CategoricalDtype):
    if text_table.are_codes(value.strip() for value in values if isinstance(value, str)):
      return "classification", columns.CODES
    numeric = [columns.is_number(value) for value in values]
    if not all(numeric):
      if any(numeric):
        row = numeric.index(False)
        raise ValueError(
            f"{frames.where(target, row)}: the target {values[row]!r} is not a number, but other "
            "targets are. Mend it, or ask for classification to take every distinct text as a "
            "class.")
      if isinstance(target.dtype, pd.PeriodDtype) or columns.date_format_of(
          [str(value).strip() for value in values]):
        raise ValueError(
            f"The target {values[0]!r} is a date: make it a number of days, or ask for "
            "classification to take every date as a class.")
      return "classification", "text"
    values = np.array([float(value) for value in values])
  distinct = np.unique(values.astype(np.float64))
  whole = np.isfinite(distinct).all() and (distinct % 1 == 0).all()
  if len(distinct) <= MAX_AUTO_CLASSES and whole:
    return "classification", "two values" if len(distinct) < 3 else (
        "few whole numbers; ask for regression if they are a quantity")
  return "regression", f"numbers of {len(distinct):,} different values"


def quantities(series: pd.Series) -> np.ndarray:
  """Targets as [N] finite float64.

  Raises:
    ValueError: one is none; names the row.
  """
  import pandas as pd

  if pd.api.types.is_datetime64_any_dtype(series):
    raise ValueError("The target is a date: make it a number of days.")
  try:
    values = series.to_numpy(np.float64)
  except (TypeError, ValueError):
    row = next(row for row, value in enumerate(series) if not columns.is_number(value))
    raise ValueError(
        f"{frames.where(series, row)}: the target {series.iloc[row]!r} is not a number, as "
        "regression needs.") from None
  bad = np.flatnonzero(~np.isfinite(values))
  if len(bad):
    raise ValueError(f"{frames.where(series, bad[0])}: the target is {values[bad[0]]}.")
  return values


def labels_of(series: pd.Series) -> np.ndarray:
  """Labels without missing ones, of a type that can be sorted."""
  import pandas as pd

  if pd.api.types.is_bool_dtype(series):
    return series.to_numpy(bool)
  if isinstance(series.dtype, pd.CategoricalDtype):
    return np.array([columns.as_text(value) for value in series], object)
  if pd.api.types.is_numeric_dtype(series):
    values = series.to_numpy()
    values = values.astype(np.float64) if values.dtype == object else values
    if values.dtype.kind == "f":
      if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"{frames.where(series, row)}: the target is {values[row]}.")
      if (values % 1 == 0).all() and (np.abs(values) < 2**53).all():
        return values.astype(np.int64)
    return values
  if pd.api.types.is_datetime64_any_dtype(series):
    return np.array([str(value) for value in series], object)
  return np.array([columns.as_text(value) for value in series], object)


def _require_known(series: pd.Series, name: str) -> None:
  missing = np.flatnonzero(missing_targets(series))
  if len(missing):
    raise ValueError(
        f"{frames.where(series, missing[0])}: the target {name!r} is missing, as in "
        f"{len(missing)} of {len(series)} rows. Fill it in, or drop these rows "
        "(--drop_missing_targets).")
