"""From a table's columns to the numbers that programs take, by scikit-learn's transformers.

What a column is, `columns` tells. A missing number becomes the median; text becomes one column for
each of its commonest values (one, if it has two). Then every column has mean 0 and deviation 1. All
that was decided is kept, for new rows and to be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
import warnings

import numpy as np

from azero.tasks.tables import columns as columns_lib
from azero.tasks.tables import frames, target_column
from azero.tasks.tables.columns import MAX_CATEGORIES, MISSING, Column
from azero.tasks.tables.frames import listed, names_of
from azero.tasks.tables.target_column import TargetColumn

if TYPE_CHECKING:
  import pandas as pd

_OTHER = "(other)"


class Preparation:
  """What was learnt of a table: how its columns, and those of new rows, become features.

  Attributes:
    transformer: the fitted scikit-learn ColumnTransformer.
    feature_names_in_: [P] names of the columns that `fit` saw, as text.
    feature_names: [F] names of the features, such as "colour=red".
    dropped: why a column is left out, by name.
    num_rows: N that `fit` saw.
  """

  def __init__(
      self, frame: pd.DataFrame, target: TargetColumn | None, columns: Mapping[str, Column],
      dropped: Mapping[str, str], scale: bool):
    """Learns from a frame; see `fit`, which checks it first and looks at its columns."""
    self.feature_names_in_ = np.array(frame.columns, object)
    self.num_rows = len(frame)
    self.dropped = dict(dropped)
    self._target = target
    self._columns = dict(columns)
    self.transformer = _transformer(self._columns, scale)
    self.transformer.fit(self._plain(frame))
    self.feature_names = tuple(
        name.partition("__")[2] for name in self.transformer.get_feature_names_out())

  @classmethod
  def fit(
      cls, frame: Any, target: Any = None, *, kind: str | None = None, scale: bool = True,
      dropped: Mapping[str, str] | None = None, whole: Preparation | None = None,
  ) -> Preparation:
    """Learns from the rows of a table.

    Args:
      frame: a pandas DataFrame [N, P], or an array of that shape.
      target: [N] a Series or an array; None without a target.
      kind: "classification" or "regression"; None or "auto" to tell by the target: text, truth
        values and whole numbers of at most 20 distinct values are classes, all else is a
        quantity.
      scale: whether every feature is given mean 0 and deviation 1.
      dropped: columns to leave out, by name, and why.
      whole: the preparation of the whole table if these are some of its rows: what a column is,
        and whether it is left out, is what it says.

    Returns:
      The preparation.

    Raises:
      ValueError: says which column or row is wrong, and how to mend it.
      MissingPackageError: pandas or scikit-learn is not installed.
    """
    frames.require_pandas()
    frame = frames.as_frame(frame)
    if 0 in frame.shape:
      raise ValueError(
          f"The table must have rows and columns; got {frame.shape[0]} rows and "
          f"{frame.shape[1]} columns of features.")
    series = None if target is None else target_column.as_series(target, len(frame))
    unknown = set(dropped or ()) - set(frame.columns)
    if unknown:
      raise ValueError(f"There is no column {', '.join(map(repr, sorted(unknown)))} to drop.")
    learnt = None if series is None else target_column.learn_target(series, kind)
    if whole is not None:
      return cls(frame, learnt, whole._columns, whole.dropped, scale)
    columns, left_out = {}, dict(dropped or {})
    for name in frame.columns:
      if name in left_out:
        continue
      column, reason = columns_lib.examine(frame[name])
      if column is None:
        left_out[name] = reason
      else:
        columns[name] = column
    if not columns:
      raise ValueError(
          f"None of the {frame.shape[1]} columns is of use: {listed(left_out.items())}. There is "
          "nothing to learn from.")
    return cls(frame, learnt, columns, left_out, scale)

  @property
  def kind(self) -> str | None:
    """"classification" or "regression"; None without a target."""
    return None if self._target is None else self._target.kind

  @property
  def classes(self) -> np.ndarray | None:
    """[C] original labels, of which codes 0, 1, ... stand; None for regression."""
    return None if self._target is None else self._target.classes

  @property
  def class_names(self) -> tuple[str, ...]:
    """[C] the labels as text; empty without classes."""
    return () if self.classes is None else tuple(str(label) for label in self.classes)

  @property
  def text_columns(self) -> tuple[str, ...]:
    """Columns whose cells are texts, though they may look like numbers."""
    return tuple(
        name for name, column in self._columns.items() if column.role in ("text", "ordered"))

  @property
  def target_name(self) -> str:
    """Of the target column, "target" if it has no name."""
    return "target" if self._target is None else self._target.name

  def features(self, frame: Any) -> np.ndarray:
    """The features of rows.

    Args:
      frame: a DataFrame with the columns that were learnt from, by name and in any order,
        which may have others; or an array [N, P] of as many columns.

    Returns:
      [N, F] float64, finite.

    Raises:
      ValueError: a column is missing or holds what it did not hold before; says which. Or there are
        no rows.
    """
    frame = self._aligned(frame)
    if not len(frame):
      raise ValueError("The table has no rows: at least one is needed.")
    plain = self._plain(frame)
    # Of texts that were not seen before: they are "(other)" if there is such a column, and none of
    # the known ones if there is not; of two known ones, the first.
    with warnings.catch_warnings():
      warnings.filterwarnings("ignore", message="Found unknown categories")
      values = self.transformer.transform(plain)
    return np.asarray(values, np.float64)

  def surprises(self, frame: Any) -> tuple[str, ...]:
    """What new rows have that `fit` did not see, a sentence each: it is passed over.

    Raises:
      ValueError: as for `features`.
    """
    notes = []
    given = frames.as_frame(frame, self.feature_names_in_)
    surplus = [name for name in given.columns if name not in self.feature_names_in_]
    surplus = [name for name in surplus if name != self.target_name]
    if surplus:
      notes.append(f"columns that the model does not know are passed over: {names_of(surplus)}")
    plain = self._plain(self._aligned(given))
    texts = [name for name, column in self._columns.items() if column.role == "text"]
    known_of = dict(zip(texts, self._known_texts()))
    for name in self.text_columns:
      known = known_of.get(name, self._columns[name].order)
      unseen = sorted(set(plain[name].dropna()) - set(known) - {MISSING})
      if unseen:
        notes.append(f"column {name!r}: values that were not there before: {names_of(unseen)}")
    return tuple(notes)

  def encode_target(self, target: Any, *, unknown: float | None = None) -> np.ndarray:
    """Targets as numbers.

    Args:
      target: [N] as `fit` saw them.
      unknown: in place of the code of a class that was not there; None to refuse it.

    Returns:
      [N] float64: codes of classes, or quantities of mean 0 and deviation 1.

    Raises:
      ValueError: a class that was not there, a missing value, or no number; says where.
    """
    return self._require_target().encode(
        target_column.as_series(target, None), unknown=unknown)

  def decode_target(self, values: Any) -> np.ndarray:
    """Targets of their numbers: labels for codes [N], quantities in their own unit [N]."""
    return self._require_target().decode(np.asarray(values))

  @property
  def target_deviation(self) -> float:
    """Of a quantity, in its own unit: what an error of 1 of the encoded target is."""
    learnt = self._require_target()
    return learnt.deviation * learnt.unit

  def doubts(self) -> tuple[str, ...]:
    """What was assumed of columns that may be meant otherwise, a sentence each."""
    out = listed((f"column {name!r} is left out", why) for name, why in self.dropped.items())
    digits = listed(
        (f"column {name!r} is {column.told}", "it is taken as numbers, as a category it would be a "
         "feature for each value")
        for name, column in self._columns.items() if column.role == "number" and column.told)
    return tuple(filter(None, (out, digits)))

  def describe(self) -> str:
    """What was assumed, in one short block."""
    lines = []
    if self._target is not None:
      lines += self._target.describe()
    num_used = len(self._columns)
    given = len(self.feature_names_in_)
    of = f" of {given} columns" if num_used != given else ""
    encoded = "" if len(self.feature_names) == num_used else (
        f", encoded as {len(self.feature_names)} numbers")
    lines.append(("features", f"{num_used}{of}{encoded}: {names_of(self._columns)}"))
    lines.append(("rows", f"{self.num_rows:,}"))
    for role, words in (("number", "as numbers; a category would be a column for each value"),
                        ("truth", "true and false as 1 and 0"), ("date", "dates as days"),
                        ("text", "text, a column for each value"),
                        ("ordered", "ordered categories as their places")):
      named = [
          name + (f" ({more})" if more else "") for name, column in self._columns.items()
          if column.role == role and ((more := _details(column)) or role != "number")]
      if named:
        lines.append(("encoded", f"{names_of(named)}: {words}"))
    filled = {name: column.num_missing for name, column in self._columns.items()
              if column.num_missing}
    if filled:
      lines.append(("missing", listed(
          (repr(name), f"{count} cells " + (
              "are a value of their own" if self._columns[name].role == "text"
              else "filled with the median")) for name, count in filled.items())))
    if self.dropped:
      lines.append(("left out", listed((repr(name), why) for name, why in self.dropped.items())))
    return "\n".join(f"  {label:10s}{text}" for label, text in lines)

  def _require_target(self) -> TargetColumn:
    if self._target is None:
      raise ValueError("The preparation was fitted without a target.")
    return self._target

  def _known_texts(self) -> list[np.ndarray]:
    texts = self.transformer.named_transformers_.get("texts")
    return [] if texts is None else list(texts[0].categories_)

  def _aligned(self, frame: Any) -> pd.DataFrame:
    """The frame with the columns that are used."""
    frame = frames.as_frame(frame, self.feature_names_in_)
    missing = [name for name in self._columns if name not in frame.columns]
    if missing:
      raise ValueError(
          f"{len(missing)} of the columns that the model needs are not there: {names_of(missing)}. "
          f"The table has: {names_of(frame.columns)}.")
    return frame[list(self._columns)]

  def _plain(self, frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that are used: numbers as float64, texts as objects."""
    import pandas as pd

    return pd.DataFrame({
        name: columns_lib.convert(frame[name], column) for name, column in self._columns.items()})


def _details(column: Column) -> str:
  """What is told of a column beside its role."""
  return column.date_format if "%" in column.date_format else column.told


def _transformer(columns: Mapping[str, Column], scale: bool) -> Any:
  """The ColumnTransformer of these columns, to be fitted."""
  from sklearn import compose, impute, pipeline, preprocessing

  def scaled(*steps: Any) -> Any:
    last = preprocessing.StandardScaler() if scale else "passthrough"
    return pipeline.make_pipeline(*steps, last)

  def of(*roles: str) -> list[str]:
    return [name for name, column in columns.items() if column.role in roles]

  # Some rows of a table may have no cell of a column.
  fill = impute.SimpleImputer(strategy="median", keep_empty_features=True)
  parts = [
      ("numbers", scaled(fill), of("number", "truth", "date")),
      ("ordered", scaled(
          preprocessing.OrdinalEncoder(
              categories=[list(columns[name].order) for name in of("ordered")],
              handle_unknown="use_encoded_value", unknown_value=np.nan,
              encoded_missing_value=np.nan), fill), of("ordered")),
      ("texts", scaled(preprocessing.OneHotEncoder(
          drop="if_binary", handle_unknown="infrequent_if_exist",
          max_categories=MAX_CATEGORIES, sparse_output=False,
          feature_name_combiner=_feature_name)), of("text"))]
  return compose.ColumnTransformer([part for part in parts if part[2]])


def _feature_name(column: str, value: Any) -> str:
  return f"{column}={_OTHER if value == 'infrequent_sklearn' else value}"
