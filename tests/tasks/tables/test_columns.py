"""What a column is does not depend on which rows are held out, nor on a cell's neighbours."""

import dataclasses
import datetime
import decimal

import numpy as np
import pandas as pd
import pytest

from azero.tasks import from_arrays, from_csv, from_frame
from azero.tasks.tables import columns, frames
from azero.tasks.tables import table as table_lib
from azero.tasks.tables.preparation import Preparation

NAMES = ["length", "width"]
KIND = np.tile([0, 1], 30)
X = np.random.default_rng(0).normal(size=(60, 2)) + KIND[:, None]


def frame_with(**extra):
  return pd.DataFrame(X, columns=NAMES).assign(**extra, kind=KIND)


@pytest.mark.parametrize("cells", [["true", "false"], ["1", "2", "3", "4", "5"]])
def test_one_odd_cell_in_any_row(tmp_path, cells):
  """The rows without it would make another kind of column."""
  odd = "" if len(cells) == 2 else "6+"
  names = set()
  for row in range(60):
    column = [cells[k % len(cells)] for k in range(60)]
    column[row] = odd
    frame_with(flag=column).to_csv(tmp_path / "data.csv", index=False)
    names.add(from_csv(tmp_path / "data.csv", num_tasks=1).feature_names)
  assert names == {
      ("length", "width", "flag") if odd == "" else
      ("length", "width", *(f"flag={value}" for value in (*cells, odd)))}


def test_a_column_may_have_no_cell_among_the_rows_to_search_on():
  sparse = np.full(60, np.nan)
  table = table_lib.prepare(frame_with(sparse=0.0))
  assert table.preparation.feature_names == tuple(NAMES)
  sparse[table.split.final] = np.arange(12)
  table = table_lib.prepare(frame_with(sparse=sparse))
  assert table.preparation.feature_names == (*NAMES, "sparse")
  assert (table.x[table.split.search, 2] == 0).all()


def test_missing_cells_of_new_rows_whatever_is_beside_them():
  prepared = Preparation.fit(
      frame_with(flag=[True, False] * 30, mass=[*map(str, range(59)), "?"]), scale=False)
  names = prepared.feature_names
  for flag in ([True, None], [None, None], ["true", "NA"], ["True", ""]):
    for mass in (["?", "7"], ["?", "?"], [7, None], ["", "7.0"]):
      new = pd.DataFrame({"length": 0.0, "width": 0.0, "flag": flag, "mass": mass, "kind": 0})
      rows = prepared.features(new)
      known = [value not in (None, "", "?") for value in mass]
      np.testing.assert_array_equal(
          rows[:, names.index("mass")], np.where(known, 7, 29))  # the median of 0 to 58
      flags = [1.0 if value in (True, "true", "True") else 0.5 for value in flag]
      np.testing.assert_array_equal(rows[:, names.index("flag")], flags)
  with pytest.raises(ValueError, match="row 1, column 'flag': the cell 'perhaps' is not true or"):
    prepared.features(frame_with(flag=["true", "perhaps"] * 30, mass=1))


def test_texts_that_stand_for_missing_ones():
  """Namibia: a text of its own, and the same as a missing cell, as in a file."""
  prepared = Preparation.fit(frame_with(country=["NA", "DE"] * 30), scale=False)
  assert set(prepared.feature_names) == {*NAMES, "kind", "country=DE"}
  dates = [f"2024-01-{1 + k % 28:02}" for k in range(59)]
  column = columns.recognise(pd.Series([*dates, "NA"]))
  assert (column.role, column.num_missing) == ("date", 1)


@pytest.mark.parametrize("constant", [
    pd.Timestamp("2024-01-02"), "2024-01-02", 5, "5", True, "true", "red"])
def test_columns_of_one_value_are_left_out(constant):
  table = table_lib.prepare(frame_with(same=constant))
  assert table.preparation.feature_names == tuple(NAMES)
  said = table.preparation.dropped["same"]
  assert said.startswith("always ") and ("2024-01-02" in said) == ("2024" in str(constant))


def test_an_ordered_category_of_one_value_is_left_out():
  same = pd.Categorical(["low"] * 60, ["low", "high"], ordered=True)
  assert Preparation.fit(frame_with(same=same)).dropped == {"same": "always 'low'"}


def test_a_time_column_may_be_the_same_everywhere():
  for when in (pd.Timestamp("2024-01-02"), "2024-01-02", 7):
    table = table_lib.prepare(
        frame_with(when=when), settings=table_lib.TableSettings(time_column="when"))
    assert len(table.split.final) == 12


def test_rare_classes_of_test_data_are_left_out_there_too():
  kinds = np.array(["a", "b"] * 49 + ["r", "r"])
  frame = pd.DataFrame(np.random.default_rng(1).normal(size=(100, 2)), columns=NAMES)
  test = frame.iloc[:20] + 1
  table = table_lib.prepare(
      frame.assign(kind=kinds), test=test.assign(kind=["a", "b", "r", "a"] * 5))
  assert len(table.split.final) == 15 and "15 to judge by" in table.about
  np.testing.assert_array_equal(
      table.frame.iloc[table.split.final]["width"], test["width"].drop(test.index[2::4]))
  with pytest.raises(ValueError, match=r"Every row of the test data has a class .* \br\b"):
    table_lib.prepare(frame.assign(kind=kinds), test=test.assign(kind="r"))


@pytest.mark.parametrize("from_file", [False, True])
def test_a_cell_of_the_test_data_is_told_as_one_of_them(tmp_path, from_file):
  frame, test = frame_with(mass=range(60)), frame_with(mass=["heavy", *range(59)])
  with pytest.raises(ValueError) as info:
    if from_file:
      frame.to_csv(tmp_path / "data.csv", index=False)
      test.to_csv(tmp_path / "test.csv", index=False)
      from_csv(tmp_path / "data.csv", test_data=tmp_path / "test.csv")
    else:
      from_frame(frame, test=test)
  where = "line 2 of the test data" if from_file else "row 0 of the test data"
  assert f"{where}, column 'mass': the cell 'heavy' is not a number" in str(info.value)


def test_rare_classes_of_a_categorical_are_left_out():
  kinds = pd.Categorical([1, 2] * 29 + [3, 3])
  table = table_lib.prepare(frame_with().assign(kind=kinds))
  assert table.class_names == ("1", "2") and "judged: 3, 2 rows, left out" in table.about


@pytest.mark.parametrize(("learnt", "new", "message"), [
    (KIND, ["0", "x"], "row 0: '0' is none of the classes 0, 1"),
    (np.array(["a", "b"])[KIND], [1, 2], "row 0: 1 is none of the classes a, b"),
    (KIND, [1, 7], "row 1: 7 is none of the classes 0, 1")])
def test_labels_of_another_type(learnt, new, message):
  prepared = Preparation.fit(frame_with(), learnt)
  with pytest.raises(ValueError, match=message):
    prepared.encode_target(new)


@pytest.mark.parametrize("target", ["auto", "classification", "regression"])
@pytest.mark.parametrize("missing", [None, np.nan])
def test_missing_targets_of_arrays(target, missing):
  y = np.array(["a", "b"] * 30, object)
  y[[3, 4]] = missing
  with pytest.raises(ValueError, match=r"row 3 of y: the target is missing\. .* \(2 such rows\)"):
    from_arrays(X, y, target=target)


@pytest.mark.parametrize(("frame", "target", "message"), [
    (pd.DataFrame(), None, "The table has no columns"),
    (frame_with(), 1.5, r"There is no target column 1\.5"),
    (frame_with(), float("inf"), "There is no target column inf")])
def test_targets_that_are_not_there(frame, target, message):
  with pytest.raises(ValueError, match=message):
    from_frame(frame, target)


def test_names_of_features_are_for_arrays():
  with pytest.raises(ValueError, match="feature_names are for arrays"):
    from_arrays(pd.DataFrame(X), KIND, feature_names=["a", "b"])


def test_max_task_rows_with_groups():
  frame = frame_with(group=np.repeat(np.arange(12), 5))
  for most in (2, 5, 20):
    table = table_lib.prepare(frame, settings=table_lib.TableSettings(
        group_column="group", max_task_rows=most))
    train, valid = table.split.draw(np.random.default_rng(0), None)
    assert len(train) <= most and len(valid) <= most


def test_marks_of_missing_cells_are_those_of_files():
  cells = ["1", "-", "3"]
  values, mark = frames.typed(cells)
  assert mark == "-" and np.isnan(values[1])
  column = columns.Column("number")
  np.testing.assert_array_equal(columns.convert(pd.Series(cells), column), values)


def written(tmp_path, name, text):
  (tmp_path / name).write_text(text)
  return tmp_path / name


@pytest.mark.parametrize(("separator", "cells", "alone", "value"), [
    (";", ["2,093.5", "2,731"], "2,731", 2731), (";", ["1.234,5", "2.817"], "2.817", 2817),
    (";", ["0,5", "1,25"], "2.817", 2817), (";", ["0,5", "1,25"], "0.25", 0.25),
    (";", ["2093.5", "2731"], "2,731", 2731), (";", ["2093.5", "2731"], "0,25", 0.25),
    (",", ["2093.5", "2731"], "2731", 2731)])
def test_a_file_is_read_as_the_one_before_where_it_is_unclear(
    tmp_path, separator, cells, alone, value):
  text = f"mass{separator}kind\n" + "".join(f"{cell}{separator}a\n" for cell in cells * 10)
  before = frames.read_table(written(tmp_path, "before.csv", text))
  new = written(tmp_path, "new.csv", f"mass{separator}kind\n{alone}{separator}a\n")
  assert frames.read_table(new, like=before.written).frame["mass"].tolist() == [value]


def test_another_separator_than_before_is_recognised(tmp_path):
  before = frames.read_table(written(tmp_path, "a.csv", "mass;kind\n" + "1,5;a\n" * 9))
  new = frames.read_table(
      written(tmp_path, "b.csv", "mass\tkind\n" + "1,5\ta\n" * 9), like=before.written)
  assert new.written == dataclasses.replace(before.written, delimiter="\t")
  odd = frames.read_table(written(tmp_path, "c.csv", "mass:kind\n1.5:a\n"), delimiter=":")
  again = frames.read_table(tmp_path / "c.csv", like=odd.written)
  assert again.written == odd.written and again.frame.equals(odd.frame)


def test_codes_stay_texts_in_test_data_and_new_rows(tmp_path):
  """Without the one that is no number they would be numbers."""
  codes = ["007", "008", "a1", "true"] * 15
  frame_with(code=codes).to_csv(tmp_path / "data.csv", index=False)
  frame_with(code=["007", "008"] * 30).to_csv(tmp_path / "test.csv", index=False)
  table = table_lib.prepare_file(tmp_path / "data.csv", settings=table_lib.TableSettings(),
                                 test_data=tmp_path / "test.csv")
  names = table.preparation.feature_names
  final = table.x[table.split.final]
  np.testing.assert_array_equal(final[:, names.index("code=007")], np.tile([1, 0], 30))
  np.testing.assert_array_equal(final[:, names.index("code=008")], np.tile([0, 1], 30))
  new, *_ = frames.read_table(
      tmp_path / "test.csv", like=table.written, texts=table.preparation.text_columns)
  assert new["code"].tolist() == ["007", "008"] * 30


@pytest.mark.parametrize("change", [
    lambda column: column.cat.remove_unused_categories(), lambda column: column.astype(str)])
def test_an_ordered_category_keeps_its_order_whatever_the_test_data_have(change):
  kind = pd.CategoricalDtype(["lo", "mid", "hi"], ordered=True)
  frame = frame_with(size=pd.Categorical(["lo", "mid", "hi"] * 20, dtype=kind))
  test = frame[frame["size"] != "hi"]
  table = table_lib.prepare(frame, test=test.assign(size=change(test["size"])))
  assert table.preparation.feature_names == (*NAMES, "size")
  np.testing.assert_array_equal(table.x[table.split.final, 2], np.tile([0, 1], 20))


@pytest.mark.parametrize("mark", ["?", "", "NA"])
@pytest.mark.parametrize("setting", ["time_column", "group_column"])
def test_times_and_groups_that_are_missing_are_refused(setting, mark):
  column = [mark if row == 3 else str(row // 5) for row in range(60)]
  settings = table_lib.TableSettings(**{setting: "where"})
  if setting == "group_column" and mark == "?":  # a name like any other
    assert table_lib.prepare(frame_with(where=column), settings=settings).num_features == 2
    return
  with pytest.raises(ValueError, match="row 3, column 'where': the cell is empty"):
    table_lib.prepare(frame_with(where=column), settings=settings)


def test_large_whole_numbers_keep_their_digits(tmp_path):
  groups = 13 * 10**17 + np.arange(60) // 5
  frame_with(group=groups).to_csv(tmp_path / "data.csv", index=False)
  table = table_lib.prepare_file(
      tmp_path / "data.csv", settings=table_lib.TableSettings(group_column="group"))
  assert len(set(table.frame["group"])) == 12
  assert table_lib.prepare(
      frame_with(group=groups.astype(str)),
      settings=table_lib.TableSettings(group_column="group")).num_features == 2
  assert [table_lib._group(value) for value in ("1e999", "2e999", 1.0, "1.0", "01", "a")] == [
      "1e999", "2e999", "1", "1", "1", "a"]


def test_labels_are_the_same_however_they_are_written():
  mixed = np.array([1, 1.0, "1", 0, " 0", decimal.Decimal("1.0")] * 10, object)
  table = table_lib.prepare(frame_with().assign(kind=mixed))
  assert table.class_names == ("0", "1")


@pytest.mark.parametrize(("bad", "message"), [
    ([[1]] * 60, "row 0, column '{}': the cell holds a list"),
    (np.arange(60) + 1j, "Column '{}' holds complex numbers")])
def test_what_is_no_single_value_is_refused(bad, message):
  with pytest.raises(ValueError, match=message.format("odd")):
    from_frame(frame_with(odd=bad))
  with pytest.raises(ValueError, match=message.format("kind")):
    from_frame(frame_with().assign(kind=bad))


def test_dates_of_any_year_and_arrow_dates():
  far = ["9999-12-31", "1500-01-01", *(f"2024-01-{1 + k % 28:02}" for k in range(58))]
  expected = (np.array(far, "datetime64[D]") - np.datetime64("1970-01-01")).astype(float)
  for column in (
      pd.Series(far), pd.Series(np.array(far, "datetime64[s]")),
      pd.Series([datetime.date.fromisoformat(day) for day in far], dtype="date32[pyarrow]")):
    values = Preparation.fit(frame_with(day=column), scale=False).features(frame_with(day=column))
    np.testing.assert_array_equal(values[:, 2], expected)


@pytest.mark.parametrize("dtype", [None, "duration[us][pyarrow]"])
def test_durations_are_numbers_of_days(dtype):
  hours = pd.Series([None, *range(59)], dtype="float64")
  frame = frame_with(time=pd.to_timedelta(hours, unit="h").astype(dtype or "timedelta64[s]"))
  values = Preparation.fit(frame, scale=False).features(frame)
  assert values[:, 2].tolist() == [29 / 24, *(hour / 24 for hour in range(59))]
  as_days = frame.assign(time=hours / 24)  # as a file has them
  np.testing.assert_array_equal(Preparation.fit(frame, scale=False).features(as_days), values)


def test_a_date_that_is_none_is_a_mistake_and_marks_are_missing():
  days = [f"2024-01-{1 + k % 28:02}" for k in range(60)]
  column = columns.recognise(pd.Series(["?", *days[1:]]))
  assert (column.role, column.num_missing) == ("date", 1)
  with pytest.raises(ValueError, match=r"row 0, column 'day': the cell '2020-02-30' is not a date"):
    from_frame(frame_with(day=["2020-02-30", *days[1:]]))
  with pytest.raises(ValueError, match="row 0, column 'day': the cell 'soon' is not a date, but"):
    from_frame(frame_with(day=["soon", *days[1:]]))


def test_values_of_an_ordered_category_that_were_not_there_are_told():
  kind = pd.CategoricalDtype(["lo", "hi"], ordered=True)
  frame = frame_with(size=pd.Categorical(["lo", "hi"] * 30, dtype=kind))
  prepared = Preparation.fit(frame)
  assert prepared.surprises(frame.assign(size="huge")) == (
      "column 'size': values that were not there before: huge",)
  assert prepared.surprises(frame.assign(size=None)) == ()


def test_dates_may_be_classes_if_that_is_asked_for():
  days = pd.to_datetime(["2024-01-01", "2024-01-02"] * 30)
  with pytest.raises(ValueError, match="ask for classification to take every date as a class"):
    table_lib.prepare(frame_with().assign(kind=days))
  table = table_lib.prepare(
      frame_with().assign(kind=days), settings=table_lib.TableSettings(kind="classification"))
  assert table.class_names == ("2024-01-01 00:00:00", "2024-01-02 00:00:00")


def test_test_data_have_rows():
  with pytest.raises(ValueError, match=r"The test data have no rows\."):
    from_frame(frame_with(), test=frame_with().iloc[:0])


def test_categories_without_an_order_may_be_others_in_the_test_data():
  """Groups must be; numbers are categories like others."""
  frame = frame_with(group=pd.Categorical(np.repeat(list("abcdef"), 10)))
  test = frame.assign(group=pd.Categorical(np.repeat(list("uvwxyz"), 10)))
  table = table_lib.prepare(
      frame, test=test, settings=table_lib.TableSettings(group_column="group"))
  assert len(table.split.final) == 60
  frame = frame_with(size=pd.Categorical([1, 2, 3, 4, 5] * 12))
  table = table_lib.prepare(frame, test=frame.assign(size=pd.Categorical([7, 9, 11] * 20)))
  names = table.preparation.feature_names
  assert names == (*NAMES, *(f"size={value}" for value in range(1, 6)))
  assert (table.x[table.split.final][:, 2:] == 0).all()
  assert "column 'size': values that were not there before: 11, 7, 9 (test data)" in table.about


@pytest.mark.parametrize("values", [["1", "2", "3"], [1, 2, 3], [1.0, 2.0, 3.0]])
def test_a_category_without_an_order_is_no_number_whatever_its_values_are(values):
  frame = frame_with(kind_of=pd.Categorical(values * 20))
  prepared = Preparation.fit(frame.drop(columns="kind"), scale=False)
  one_hot = np.tile(np.eye(3), (20, 1))
  assert prepared.feature_names == (*NAMES, "kind_of=1", "kind_of=2", "kind_of=3")
  for cells in (frame["kind_of"], [1, 2, 3] * 20, ["1", "2", "3"] * 20):
    rows = frame.assign(kind_of=cells)
    np.testing.assert_array_equal(prepared.features(rows)[:, 2:], one_hot)
  times = table_lib.prepare(frame, settings=table_lib.TableSettings(time_column="kind_of"))
  assert (frame["kind_of"].astype(float)[times.split.final] == 3).all()


@pytest.mark.parametrize("odd", ["1234", "?", None, "a1"])
def test_digits_that_begin_with_0_are_codes(tmp_path, odd):
  """In frames and in files."""
  codes = [odd, *["00123", "1234", "501"] * 19, "501", "501"]
  known = sorted({str(code) for code in codes if code is not None})
  expected = [f"zip={value}" for value in (["(missing)", *known] if odd is None else known)]
  frame = frame_with(zip=codes)
  frame.to_csv(tmp_path / "data.csv", index=False)
  tables = [table_lib.prepare(frame), table_lib.prepare_file(
      tmp_path / "data.csv", settings=table_lib.TableSettings())]
  for table in tables:
    assert table.preparation.feature_names == (*NAMES, *expected)
    assert "zip (leading zeros): text, a column for each value" in table.about
  new, *_ = frames.read_table(
      tmp_path / "data.csv", like=tables[1].written, texts=tables[1].preparation.text_columns)
  np.testing.assert_array_equal(
      tables[1].preparation.features(new), tables[0].preparation.features(frame))


def test_a_single_number_with_a_0_in_front_is_a_number(tmp_path):
  frame = frame_with(mass=["05", *map(str, range(1, 60))])
  frame.to_csv(tmp_path / "data.csv", index=False)
  for table in (table_lib.prepare(frame), table_lib.prepare_file(
      tmp_path / "data.csv", settings=table_lib.TableSettings())):
    np.testing.assert_array_equal(
        table.preparation.features(frame_with(mass=["5"] + ["05"] * 59))[:, -1],
        table.preparation.features(frame)[0, -1])
  assert columns.recognise(pd.Series(["05", "1.5", "12"] * 5)).role == "number"


def test_codes_of_many_values_with_a_letter_are_no_mistake():
  codes = [f"{k:03}" for k in range(20)] * 3
  codes[7] = "a07"
  assert columns.recognise(pd.Series(codes)).role == "text"


def test_numbers_may_have_a_0_before_their_point_and_new_rows_more(tmp_path):
  assert columns.recognise(pd.Series(["0", "0.5", "-0.25", "10", "1e05"] * 12)).role == "number"
  frame_with(mass=range(60)).to_csv(tmp_path / "data.csv", index=False)
  table = table_lib.prepare_file(tmp_path / "data.csv", settings=table_lib.TableSettings())
  row = table.preparation.features(frame_with(mass="007").iloc[:1])
  np.testing.assert_array_equal(row, table.preparation.features(frame_with(mass=7).iloc[:1]))


def test_text_of_digits_is_numbers_and_told():
  told = "code (text of digits): as numbers; a category would be a column for each value"
  for code, is_told in ((["1", "2", "30"], True), (["1", "?", "30"], True), ([1, 2, 30], False),
                        (["1.5", "2.5", "3.5"], False), (np.array([1, 2, 30], object), False)):
    table = table_lib.prepare(frame_with(code=np.tile(code, 20)))
    assert table.preparation.feature_names == (*NAMES, "code")
    assert (told in table.about) == is_told


def test_targets_that_begin_with_0_are_classes_as_they_are_written(tmp_path):
  frame = frame_with().assign(kind=["007", "008", "1"] * 20)
  frame.to_csv(tmp_path / "data.csv", index=False)
  for table in (table_lib.prepare(frame), table_lib.prepare_file(
      tmp_path / "data.csv", settings=table_lib.TableSettings())):
    assert table.class_names == ("007", "008", "1")
    assert "classification (leading zeros)" in table.about


def test_periods_are_the_dates_of_their_starts():
  months = pd.period_range("1999-12", periods=60, freq="M")
  frame = frame_with(month=months)
  prepared = Preparation.fit(frame, scale=False)
  days = months.to_timestamp().to_numpy("datetime64[D]").astype(float)
  for new in (frame, frame.assign(month=months.to_timestamp()),
              frame.assign(month=months.astype(str))):
    np.testing.assert_array_equal(prepared.features(new)[:, 2], days)
  assert "encoded   month: dates as days" in prepared.describe()
  with pytest.raises(ValueError, match="is a date: make it a number of days"):
    from_frame(frame, "month")


def test_an_ordered_category_may_be_called_none():
  kind = pd.CategoricalDtype(["None", "low"], ordered=True)
  frame = frame_with(level=pd.Categorical(["None", "low"] * 30, dtype=kind))
  table = table_lib.prepare(frame, test=frame.assign(level=frame["level"].astype(str)))
  np.testing.assert_array_equal(table.x[table.split.final, 2], [0, 1] * 30)
  table = table_lib.prepare(frame, test=frame.assign(level="high"))
  assert "column 'level': values that were not there before: high (test data)" in table.about


def test_columns_of_one_name_in_files(tmp_path):
  """The second one is of numbers, and so it is in new rows."""
  text = "x;x;kind\n" + "".join(f"c{k % 3};0,{k % 7};{k % 2}\n" for k in range(60))
  data = written(tmp_path, "data.csv", text)
  test = written(tmp_path, "test.csv", text.replace("c0", "5").replace("c1", "5"))
  table = table_lib.prepare_file(data, settings=table_lib.TableSettings(), test_data=test)
  assert table.preparation.text_columns == ("x",)
  numbers = table.x[:, table.preparation.feature_names.index("x.1")]
  np.testing.assert_allclose(numbers, np.tile(np.arange(60) % 7 / 10, 2))


def test_large_decimals_are_numbers():
  large = [decimal.Decimal(10) ** 30 * (k + 1) for k in range(60)]
  prepared = Preparation.fit(frame_with(size=large), scale=False)
  values = prepared.features(frame_with(size=large))[:, prepared.feature_names.index("size")]
  np.testing.assert_allclose(values, np.arange(1, 61) * 1e30)
  assert columns.as_text(decimal.Decimal("Infinity")) == "Infinity"
  assert columns.as_text(decimal.Decimal("2.50")) == "2.50"


def test_marks_are_no_mistakes_and_a_mistake_is_named():
  numbers = ["?", "-", *map(str, range(58))]
  column = columns.recognise(pd.Series(numbers))
  assert (column.role, column.num_missing) == ("number", 2)
  numbers[5] = "soon"
  with pytest.raises(ValueError, match="row 5, column 'size': the cell 'soon' is not a number"):
    from_frame(frame_with(size=numbers))
  days = [f"2024-01-{1 + k % 28:02}" if k % 3 else None for k in range(60)]
  days[4] = "soon"
  with pytest.raises(ValueError, match="row 4, column 'day': the cell 'soon' is not a date, "):
    from_frame(frame_with(day=days))


def test_a_time_column_without_any_time():
  with pytest.raises(ValueError, match="row 0, column 'when': the cell is empty"):
    table_lib.prepare(
        frame_with(when=np.nan), settings=table_lib.TableSettings(time_column="when"))


@pytest.mark.parametrize(("name", "hint"), [
    ("SPECIES", "Did you mean 'species'"), ("specie", "Did you mean 'species'"), ("density", "")])
def test_a_column_is_suggested_only_where_it_is_like_the_one_asked_for(name, hint):
  frame = pd.DataFrame(columns=["acidity", "species"])
  with pytest.raises(ValueError, match=f"There is no target column {name!r}. {hint or 'The'}"):
    frames.find_column(frame, name)


def test_new_dates_may_be_written_as_iso_8601_has_them():
  days = pd.date_range("2024-01-01", periods=60)
  learnt = frame_with(day=days.strftime("%d/%m/%Y"))
  prepared = Preparation.fit(learnt, scale=False)
  expected = prepared.features(learnt)
  assert "day (%d/%m/%Y)" in prepared.describe()
  for form in ("%Y-%m-%d", "%Y-%m-%dT00:00:00", "%d/%m/%Y"):
    new = learnt.assign(day=[*days[:30].strftime(form), *days[30:].strftime("%d/%m/%Y")])
    np.testing.assert_array_equal(prepared.features(new), expected)
  with pytest.raises(ValueError, match=r"'05.03.2024' is not a date, as the others are \(%d/%m/%Y"):
    prepared.features(learnt.assign(day="05.03.2024"))


def test_dates_with_a_time_zone_are_not_taken_for_those_without_one():
  days = pd.Series(pd.date_range("2024-01-01", periods=60, freq="h"))
  zoned = days.dt.tz_localize("America/New_York")
  of_kind = {False: (days, days.astype(str)), True: (zoned, zoned.astype(str), zoned.dt.tz_convert(
      "UTC").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))}
  for kind, columns_of_kind in of_kind.items():
    for learnt in columns_of_kind:
      prepared = Preparation.fit(frame_with(day=learnt), scale=False)
      expected = prepared.features(frame_with(day=learnt))
      for same in columns_of_kind:
        np.testing.assert_array_equal(prepared.features(frame_with(day=same)), expected)
      for other in of_kind[not kind]:
        words = "no time zone, .* had one" if kind else "a time zone, .* had none"
        with pytest.raises(ValueError, match=rf"row 0, column 'day': the date '2.* has {words}"):
          prepared.features(frame_with(day=other))
      assert prepared.features(frame_with(day=pd.NaT)).shape == (60, 4)


def test_times_that_begin_with_0_are_in_order():
  times = [f"{k:04}" for k in np.random.default_rng(0).permutation(60) * 25]
  frame = frame_with(when=times)
  table = table_lib.prepare(frame, settings=table_lib.TableSettings(time_column="when"))
  assert min(map(int, frame["when"].iloc[table.split.final])) == 1200
