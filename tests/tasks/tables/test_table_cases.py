"""Small tables that go wrong in other tools, each made here: what is read, assumed and refused."""

import bz2
import gzip
import io
import lzma
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest
from support import forged_parquet

from azero.tasks import from_arrays, from_csv, from_frame
from azero.tasks.tables import frames
from azero.tasks.tables import table as table_lib
from azero.tasks.tables.preparation import Preparation

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).round(3)
KIND = (X[:, 0] + 0.1 * RNG.normal(size=60) > 0).astype(int)
Y = 3 * X[:, 0] - X[:, 1]
NAMES = ("length", "width", "mass")


def csv(target, *, names=(*NAMES, "kind"), extra=None, separator=","):
  columns = [*map(list, X.T), *([list(extra)] if extra is not None else []), list(target)]
  lines = [separator.join(names)] + [
      separator.join(str(value) for value in row) for row in zip(*columns)]
  return "\n".join(lines) + "\n"


def read(tmp_path, text, name="data.csv", **options):
  path = tmp_path / name
  path.write_bytes(text if isinstance(text, bytes) else text.encode())
  return from_csv(path, num_tasks=2, **options)


PLAIN = csv(KIND)


def zipped(text):
  memory = io.BytesIO()
  with zipfile.ZipFile(memory, "w") as archive:
    archive.writestr("inside.csv", text)
  return memory.getvalue()


@pytest.mark.parametrize(("content", "name", "said"), [
    (PLAIN.encode(), "data.csv", None),
    (PLAIN.encode("utf-8-sig"), "data.csv", "UTF-8 with a byte order mark"),
    (PLAIN.encode("utf-16"), "data.csv", "UTF-16"),
    (PLAIN.encode("utf-16-le"), "data.csv", "UTF-16-LE"),
    (PLAIN.replace(",", ";").encode(), "data.csv", "semicolon"),
    (PLAIN.replace(".", ",").replace("\n", ";\n").encode(), "odd.csv", None),
    (("sep=;\n" + PLAIN.replace(",", ";")).encode(), "data.csv", None),
    (PLAIN.replace(",", "\t").encode(), "data.tsv", "tab"),
    (PLAIN.replace(",", "   ").encode(), "data.txt", "spaces"),
    (PLAIN.replace(",", "|").replace("\n", "\r\n").encode(), "data.csv", "bar"),
    (PLAIN.replace("\n", ",\n").encode(), "data.csv", "neither name nor content"),
    (gzip.compress(PLAIN.encode()), "data.csv.gz", "gzip"),
    (bz2.compress(PLAIN.encode()), "data.csv.bz2", "bzip2"),
    (lzma.compress(PLAIN.encode()), "data.csv.xz", "xz"),
    (zipped(PLAIN), "data.zip", "inside.csv"),
])
def test_however_a_table_is_written_it_is_the_same(tmp_path, content, name, said):
  if name == "odd.csv":  # decimal commas need another separator
    content = csv(KIND, separator=";").replace(".", ",").encode()
    said = "decimal commas"
  data = read(tmp_path, content, name)
  assert data.feature_names == NAMES and data.class_names == ("0", "1")
  expected = from_arrays(X, KIND, num_tasks=2)
  np.testing.assert_array_equal(data.search.train_x, expected.search.train_x)
  np.testing.assert_array_equal(data.final.valid_y, expected.final.valid_y)
  assert said is None or said in data.table.about


def test_parquet_is_read(tmp_path):
  frame = pd.DataFrame(X, columns=list(NAMES)).assign(kind=KIND)
  frame.to_parquet(tmp_path / "data.parquet")
  data = from_csv(tmp_path / "data.parquet", num_tasks=2)
  np.testing.assert_array_equal(
      data.search.train_x, from_arrays(X, KIND, num_tasks=2).search.train_x)


@pytest.mark.parametrize(("content", "message"), [
    # A text of a megabyte in each of 4000 rows, in a file of a few thousand bytes.
    (forged_parquet.long_texts, r"would take 3\.91 GB of memory, with .* Save the rows"),
    (forged_parquet.long_lists, "column 'list.list.element' has lists in its cells"),
    (lambda: forged_parquet.claiming_rows(10**12),
     "would take .* GB of memory|another number of rows than its parts"),
])
def test_parquet_that_unpacks_to_gigabytes_is_refused(tmp_path, content, message):
  file = tmp_path / "data.parquet"
  file.write_bytes(content())
  with pytest.raises(ValueError, match=message) as refused:
    frames.read_table(file)
  assert str(file) in str(refused.value)


@pytest.mark.parametrize(("text", "values"), [
    # Quoted between commas: thousands. Beside decimal commas points are thousands.
    ('a,price\n0.5,"1,200"\n1.5,"2,300"\n', [1200, 2300]),
    ("a;price\n0,5;1.200\n1,5;2.300\n", [1200, 2300]),
    ("a;price\n0,5;1.200,5\n1,5;2.300.000\n", [1200.5, 2_300_000]),
    ("a;price\n0,5;0,346\n1,5;2,300\n", [0.346, 2.3]),
    ("a;price\n0,5;0.5\n1,5;2.300\n", [0.5, 2.3]),
])
def test_thousands_are_no_decimals(tmp_path, text, values):
  (tmp_path / "data.csv").write_text(text)
  frame, *_ = frames.read_table(tmp_path / "data.csv")
  assert frame["a"].tolist() == [0.5, 1.5] and frame["price"].tolist() == values


@pytest.mark.parametrize("delimiter", ["##", "", "\n"])
def test_a_delimiter_of_other_than_one_character_is_refused(tmp_path, delimiter):
  with pytest.raises(ValueError, match=r"cannot be split by the delimiter .*: it must be one"):
    read(tmp_path, PLAIN, delimiter=delimiter)
  with pytest.raises(ValueError, match="cannot be read as a file: Is a directory"):
    from_csv(tmp_path)


def test_names_are_told_where_they_change(tmp_path):
  data = read(tmp_path, csv(KIND, names=("width", '"wi\ndth"', "width", "kind")))
  assert data.feature_names == ("width", "wi dth", "width.1")
  assert "a column of a name that is there before is called 'width.1'" in data.table.about


@pytest.mark.parametrize(("text", "message"), [
    ("# of a tool\n" + PLAIN, "line 1 is a comment, '# of a tool': remove the lines above"),
    ("Report of May\n\n" + PLAIN, "has one column, 'Report of May', but .* lines above the table"),
    ('[{"a": 1, "b": 2}]', "looks like JSON"),
    (csv([f"2024-05-{1 + k % 28:02d}" for k in range(60)]), "'2024-05-01' is a date"),
    (csv(["a", "b"] * 10 + [f"n{k}" for k in range(40)]),
     "40 of 60 rows have a class of fewer than 3 rows, such as 'n0': is 'kind' the target"),
    (csv([1] + [2] * 59), "Class '1' of 'kind' has fewer than 3 rows"),
])
def test_what_is_no_table_or_no_target_is_refused_in_plain_words(tmp_path, text, message):
  with pytest.raises(ValueError, match=message):
    read(tmp_path, text)


def test_latin_1_is_recognised_and_said(tmp_path):
  text = csv(np.where(KIND, "groß", "klein"), names=("länge", "breite", "gewicht", "art"))
  data = read(tmp_path, text.encode("latin-1"))
  assert data.class_names == ("groß", "klein") and data.feature_names[0] == "länge"
  assert "Latin-1" in data.table.about


def test_a_missing_target_is_refused_with_its_line_or_dropped(tmp_path):
  answers = np.where(KIND, "yes", "no").astype(object)
  answers[[3, 9]] = "NA"
  text = csv(answers, names=(*NAMES, "answer"))
  with pytest.raises(ValueError, match=r"line 5: the target 'answer' is missing, as in 2 of 60"):
    read(tmp_path, text)
  data = read(tmp_path, text, drop_missing_targets=True)
  assert data.class_names == ("no", "yes") and len(data.table.target) == 58
  assert "2 of 60 rows have no target: left out" in data.table.about


def test_two_columns_of_the_targets_name_are_refused(tmp_path):
  with pytest.raises(ValueError, match="2 columns are called 'y'"):
    read(tmp_path, csv(Y, names=("y", "width", "mass", "y")))
  data = read(tmp_path, csv(Y, names=("a", "a", "mass", "y")))
  assert data.feature_names == ("a", "a.1", "mass")


@pytest.mark.parametrize("names", [
    ("0", "1", "2", "3"), ("2019", "2020", "2021", "target"), ("2010", "2015", "2020", "target")])
def test_names_that_are_numbers_are_names(tmp_path, names):
  data = read(tmp_path, csv(KIND, names=names))
  assert data.feature_names == names[:3] and len(data.table.target) == 60
  assert "was taken for names" in data.table.about


def test_a_column_is_asked_for_by_its_name_before_its_index(tmp_path):
  data = read(tmp_path, csv(KIND, names=("2019", "1", "2021", "target")), target_column="1")
  assert data.feature_names == ("2019", "2021", "target")
  data = read(tmp_path, csv(KIND, names=("2019", "2020", "2021", "target")), target_column="1")
  assert data.feature_names == ("2019", "2021", "target")


def test_rows_without_names_are_all_read(tmp_path):
  data = read(tmp_path, "".join(PLAIN.splitlines(keepends=True)[1:]))
  assert len(data.table.target) == 60 and data.feature_names[0] == "column 0"
  assert "no names in the first line" in data.table.about


def test_huge_targets_are_scaled(tmp_path):
  huge, usual = read(tmp_path, csv(Y * 1e200)), read(tmp_path, csv(Y))
  np.testing.assert_allclose(huge.final.valid_y, usual.final.valid_y, rtol=1e-9)
  np.testing.assert_allclose(huge.final.train_y.std(1), 1)
  prepared = huge.table.preparation
  np.testing.assert_allclose(
      prepared.decode_target(prepared.encode_target(huge.table.target)) / 1e200, Y, atol=1e-9)


@pytest.mark.parametrize(("name", "warning", "is_kept"), [
    ("", "'column 0' is left out: numbers the rows from 0", False),
    ("id", "'id' is left out: numbers the rows from 0", False),
    ("day", "'day' numbers the rows from 0", True)])
def test_row_numbers_are_told(tmp_path, name, warning, is_kept):
  lines = csv(np.sort(Y)).splitlines()
  text = "\n".join([f"{name},{lines[0]}", *(f"{k},{row}" for k, row in enumerate(lines[1:]))])
  data = read(tmp_path, text)
  assert any(warning in each for each in data.table.warnings)
  assert len(data.feature_names) == 3 + is_kept
  kept = read(tmp_path, text, keep_columns=(name or "column 0",))
  assert len(kept.feature_names) == 4


@pytest.mark.parametrize(("name", "numbers", "is_kept"), [
    ("", RNG.permutation(60), False), ("", RNG.permutation(60) + 1, False),
    ("", RNG.permutation(60) * 7, True),  # without names any column may hold such numbers
    ("id", RNG.permutation(60) * 7 + 12345, False), ("salary", RNG.permutation(60) * 7, True)])
def test_numbers_of_rows_in_another_order_are_left_out(tmp_path, name, numbers, is_kept):
  lines = csv(Y).splitlines()
  text = "\n".join([f"{name},{lines[0]}", *(f"{k},{row}" for k, row in zip(numbers, lines[1:]))])
  data = read(tmp_path, text)
  assert len(data.feature_names) == 3 + is_kept
  assert ("has a whole number of its own for each row" in data.table.about) is not is_kept
  assert len(read(tmp_path, text, keep_columns=(name or "column 0",)).feature_names) == 4


def test_the_format_of_dates_is_said(tmp_path):
  dates = [f"{1 + k % 12:02d}/{1 + k % 9:02d}/2024" for k in range(60)]
  data = read(tmp_path, csv(KIND, names=(*NAMES, "day", "kind"), extra=dates))
  assert "day (%m/%d/%Y): dates as days" in data.table.about


def test_wide_data_are_projected_and_that_is_said():
  x = np.random.default_rng(1).normal(size=(40, 1000))
  data = from_frame(pd.DataFrame(x).add_prefix("g"), x[:, 0] > 0, num_tasks=2)
  assert data.search.num_features == 64
  assert "1000 features to 64 at random" in data.table.about
  assert data.table.task_bytes() < 1e5


def test_text_truth_dates_and_missing_cells_are_encoded_and_said(tmp_path):
  frame = pd.DataFrame(X, columns=list(NAMES)).assign(
      colour=["red", "blue", "green"] * 20, flag=[True, False] * 30,
      when=[f"2024-01-{day % 28 + 1:02}" for day in range(60)],
      name=[f"person {k}" for k in range(60)], kind=KIND)
  frame.loc[5, "width"] = np.nan
  frame["mass"] = frame["mass"].astype(object)
  frame.loc[6, "mass"] = "?"
  (tmp_path / "data.csv").write_text(frame.to_csv(index=False))
  data = from_csv(tmp_path / "data.csv", num_tasks=1)
  assert set(data.feature_names) == {
      *NAMES, "flag", "when", "colour=blue", "colour=green", "colour=red"}
  about = data.table.about
  for said in ("colour: text, a column for each value", "flag: true and false", "when: dates",
               "'name': text of its own", "'width': 1 cells filled with the median",
               "'?' is taken"):
    assert said in about
  prepared = pickle.loads(pickle.dumps(data.table.preparation))
  values = prepared.features(frame[frame.columns[::-1]])  # by name, in any order
  assert np.isfinite(values).all() and values.shape == (60, 8)
  np.testing.assert_allclose(values.mean(0), 0, atol=1e-9)
  np.testing.assert_allclose(values.std(0), 1)


def test_new_rows_have_the_columns_or_are_refused():
  frame = pd.DataFrame(X, columns=list(NAMES)).assign(colour=["red", "blue", "green"] * 20)
  prepared = Preparation.fit(frame, KIND)
  with pytest.raises(ValueError, match="1 of the columns that the model needs are not there: mass"):
    prepared.features(frame.drop(columns="mass"))
  with pytest.raises(ValueError, match="row 2, column 'mass': the cell 'heavy' is not a number"):
    prepared.features(frame.assign(mass=["1", "2", "heavy"] * 20))
  other = frame.assign(colour="pink", more=1)
  assert prepared.surprises(other) == (
      "columns that the model does not know are passed over: more",
      "column 'colour': values that were not there before: pink")
  scaled = prepared.features(frame)
  np.testing.assert_allclose(  # none of the colours
      prepared.features(other)[0, 3:], scaled[:3, 3:].min(0))


def test_more_classes_than_features_are_padded_with_zeros():
  ratings = np.tile([1.0, 2.0, 3.0, 4.0, 5.0], 12)
  data = from_frame(pd.DataFrame(X, columns=list(NAMES)), ratings, num_tasks=2)
  assert data.class_names == ("1", "2", "3", "4", "5") and data.search.num_features == 5
  assert (data.search.train_x[:, :, 3:] == 0).all() and "padded" in data.table.about
  assert from_arrays(X, ratings, num_tasks=2).search.num_features == 5


def test_a_class_of_one_row_is_left_out_and_said(tmp_path):
  kind = KIND.copy()
  kind[7] = 2
  data = read(tmp_path, csv(kind))
  assert data.class_names == ("0", "1") and len(data.table.target) == 59
  assert "fewer than 3 rows cannot be learnt and judged: 2, 1 rows" in data.table.about


def test_another_target_is_no_feature(tmp_path):
  data = read(tmp_path, csv(2 * Y, names=(*NAMES, "y1", "y2"), extra=Y))
  assert data.feature_names == NAMES
  assert "column 'y1' is left out: seems another target beside 'y2'" in data.table.warnings[0]
  kept = read(
      tmp_path, csv(2 * Y, names=(*NAMES, "y1", "y2"), extra=Y), keep_columns=("y1",))
  assert kept.feature_names == (*NAMES, "y1")


def test_a_copy_of_the_target_is_warned_of(tmp_path):
  data = read(tmp_path, csv(Y, names=(*NAMES, "other", "y"), extra=5 - 2 * Y))
  assert "column 'other' alone tells the target 'y'" in data.table.warnings[0]


def test_numbers_whose_range_is_none(tmp_path):
  """The largest and its opposite: their difference is more than any number."""
  far = np.where(KIND == KIND[0], 1e308, -1e308)
  data = read(tmp_path, csv(far, names=(*NAMES, "other", "y"), extra=-far), target="regression")
  assert "column 'other' alone tells the target 'y'" in data.table.warnings[0]


def test_classes_and_target_are_named_with_counts():
  species = ["setosa", "versicolor", "virginica"] * 20
  frame = pd.DataFrame(X, columns=list(NAMES)).assign(species=species)
  about = from_frame(frame, "species", num_tasks=1).table.about
  assert "target    species" in about
  assert "classes   3: setosa (20), versicolor (20), virginica (20)" in about


def test_groups_are_not_divided():
  groups = np.repeat(np.arange(12), 5)
  frame = pd.DataFrame(X, columns=list(NAMES)).assign(group=groups, kind=KIND)
  table = from_frame(frame, num_tasks=4, group_column="group").table
  split = table.split
  of_part = [set(groups[rows]) for rows in (split.search, split.select, split.final)]
  assert sum(map(len, of_part)) == 12 and "group" not in table.preparation.feature_names
  for seed in range(5):
    train, valid = split.draw(np.random.default_rng(seed), None)
    assert not set(groups[train]) & set(groups[valid])
    assert (len(train), len(valid)) == (split.num_train, split.num_valid)
  with pytest.raises(ValueError, match="3 groups are too few"):
    from_frame(frame.assign(group=groups % 3), group_column="group")


def test_what_is_judged_comes_later():
  when = np.random.default_rng(2).permutation(60)
  frame = pd.DataFrame(X, columns=list(NAMES)).assign(
      when=pd.Timestamp("2024-01-01") + pd.to_timedelta(when, "D"), kind=KIND)
  split = from_frame(frame, num_tasks=2, time_column="when").table.split
  assert when[split.search].max() < when[split.select].min()
  assert when[split.select].max() < when[split.final].min()
  for seed in range(5):
    train, valid = split.draw(np.random.default_rng(seed), None)
    assert when[train].max() < when[valid].min()


def test_a_test_file_of_its_own_judges(tmp_path):
  (tmp_path / "test.csv").write_text(csv(1 - KIND))
  table = read(tmp_path, PLAIN, test_data=tmp_path / "test.csv").table
  np.testing.assert_array_equal(table.labels[table.split.final], 1 - KIND)
  assert table.split.final.min() == 60 and len(table.split.search) == 48
  (tmp_path / "test.csv").write_text(csv(KIND, names=("length", "width", "other", "kind")))
  with pytest.raises(ValueError, match="The test data have no column 'mass'"):
    read(tmp_path, PLAIN, test_data=tmp_path / "test.csv")


def test_rows_of_the_test_file_that_are_learnt_from_are_told(tmp_path):
  (tmp_path / "test.csv").write_text("\n".join(PLAIN.splitlines()[:13]) + "\n9,9,9,1\n")
  table = read(tmp_path, PLAIN, test_data=tmp_path / "test.csv").table
  assert "12 of 13 rows of the test data are equal" in " ".join(table.warnings)
  assert "12 of 13 rows" in table.about
  (tmp_path / "test.csv").write_text(csv(1 - KIND))  # other targets
  assert not read(tmp_path, PLAIN, test_data=tmp_path / "test.csv").table.warnings


def test_rows_are_equal_if_all_that_is_used_of_them_is():
  frame = pd.DataFrame(X, columns=list(NAMES)).assign(id=np.arange(60), kind=KIND)
  test = frame[40:].assign(id=np.arange(100, 120))
  assert "20 of 20 rows" in " ".join(from_frame(frame, "kind", test=test).table.warnings)


def test_a_group_is_the_same_as_text_and_as_a_number():
  frame = pd.DataFrame(X, columns=list(NAMES)).assign(who=np.arange(60) // 3, kind=KIND)
  learn = frame[:45].assign(who=[f" {each}" for each in frame["who"][:45]])
  with pytest.raises(ValueError, match="1 groups of 'who' are in the test data and among"):
    from_frame(learn, "kind", test=frame[44:], group_column="who")
  from_frame(learn, "kind", test=frame[45:], group_column="who")


def test_test_data_are_apart_by_groups_and_times():
  frame = pd.DataFrame(X, columns=list(NAMES)).assign(
      who=np.arange(60) // 3, day=np.arange(60), kind=KIND)
  learn, test = frame[:45], frame[45:]
  for name in ("who", "day"):
    setting = {"who": "group_column", "day": "time_column"}[name]
    split = from_frame(learn, "kind", test=test, **{setting: name}).table.split
    assert split.final.tolist() == list(range(45, 60))
  with pytest.raises(ValueError, match="1 groups of 'who' are in the test data and among"):
    from_frame(frame[:46], "kind", test=test, group_column="who")
  with pytest.raises(ValueError, match="rows with an earlier 'day' than some to learn from"):
    from_frame(test, "kind", test=learn, time_column="day")


@pytest.mark.parametrize(("content", "message"), [
    (b"PK\x03\x04rest", "damaged and cannot be unpacked"),
    # Without mtime=0 the file, and so the name of the test, depends on the second.
    (gzip.compress(PLAIN.encode(), mtime=0)[:50], "damaged and cannot be unpacked"),
    (bz2.compress(PLAIN.encode())[:-20], "file is damaged and cannot be unpacked"),
    (zipped(PLAIN).replace(b"inside.csv", b"inside.cs"), "damaged and cannot be unpacked"),
    (b",\n,", "file has separators, but no cell with content"),
    (b"PAR1 nothing", "not a Parquet file that can be read"),
    (b"\x00\x01\x02" * 40, "not a text file of a table")])
def test_files_that_hold_no_table(tmp_path, content, message):
  (tmp_path / "file").write_bytes(content)
  with pytest.raises(ValueError, match=message):
    frames.read_table(tmp_path / "file")


def test_what_unpacks_to_more_than_fits_is_refused(tmp_path, monkeypatch):
  monkeypatch.setattr(frames, "_MOST_UNPACKED", 1 << 14)
  for pack in (lambda text: gzip.compress(text, mtime=0), bz2.compress, lzma.compress, zipped):
    (tmp_path / "file").write_bytes(pack(b"1,2\n" * (1 << 12)))
    assert len(frames.read_table(tmp_path / "file")[0]) == 1 << 12
    (tmp_path / "file").write_bytes(pack(b"1,2\n" * (1 << 12) + b"\n"))
    with pytest.raises(ValueError, match=r"file unpacks to more than .* GB: unpack it first"):
      frames.read_table(tmp_path / "file")


def test_endless_cells_take_no_time_and_are_not_told_whole(tmp_path):
  """Digits without an end were once looked at again from each of them."""
  endless = "9" * 100_000 + "x"
  lines = PLAIN.splitlines()
  lines[7] = lines[7].replace(",", f",{endless}", 1)
  with pytest.raises(ValueError, match=r"line 8, column 'width': the cell '9999") as info:
    read(tmp_path, "\n".join(lines))
  assert len(str(info.value)) < 600


def test_a_task_has_two_rows_to_train_on():
  with pytest.raises(ValueError, match="max_task_rows must be at least 2; got 1"):
    table_lib.TableSettings(max_task_rows=1)


def test_column_settings_name_columns():
  frame = pd.DataFrame(X, columns=list(NAMES)).assign(kind=KIND)
  with pytest.raises(ValueError, match=r"There is no drop column 'masss'\. Did you mean 'mass'"):
    table_lib.prepare(frame, settings=table_lib.TableSettings(drop_columns=("masss",)))
  table = table_lib.prepare(frame, settings=table_lib.TableSettings(drop_columns=("mass",)))
  assert table.preparation.feature_names == ("length", "width")
