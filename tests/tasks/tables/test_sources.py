import types
import zipfile

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import psutil
import pytest

from azero.tasks import (
  from_arrays,
  from_csv,
  from_npz,
  linear_regression,
  load_tasks_npz,
)

PARTS = ("search", "select", "final")


def blobs(num_rows=100, num_classes=2, num_features=4, seed=0):
  """Features whose first column is the row's index, and the class of the row."""
  rng = np.random.default_rng(seed)
  y = np.arange(num_rows) % num_classes
  x = rng.normal(size=(num_rows, num_features)) + y[:, None]
  x[:, 0] = np.arange(num_rows)
  return x, y


def write(tmp_path, text, name="data.csv"):
  path = tmp_path / name
  path.write_text(text)
  return path


def csv_text(x, y, header=None):
  lines = [",".join(header)] if header else []
  lines += [",".join([*(repr(float(v)) for v in row), str(label)]) for row, label in zip(x, y)]
  return "\n".join(lines) + "\n"


@pytest.fixture
def raw_rows(monkeypatch):
  """Switches standardisation off, so that the first feature shows the row's index."""
  monkeypatch.setattr("azero.tasks.tables.custom_data.standardise", lambda *parts: parts)


def test_parts_are_disjoint_and_validate_on_their_own_rows(raw_rows):
  x, y = blobs(200)
  data = from_arrays(x, y, num_tasks=6, seed=3)
  rows = {}
  for name in PARTS:
    tasks = getattr(data, name)
    train, valid = (a[:, :, 0].astype(int) for a in (tasks.train_x, tasks.valid_x))
    for k in range(6):
      assert len(set(train[k])) == 96 and len(set(valid[k])) == len(valid[k])
      assert not set(train[k]) & set(valid[k])
      np.testing.assert_array_equal(y[train[k]], tasks.train_y[k])
      np.testing.assert_array_equal(y[valid[k]], tasks.valid_y[k])
    rows[name] = set(train.ravel()), set(valid.ravel())
  search_rows = rows["search"][0] | rows["search"][1]
  assert len(search_rows) == 120
  assert len(rows["select"][1]) == len(rows["final"][1]) == 40
  assert not rows["select"][1] & rows["final"][1]
  assert not (rows["select"][1] | rows["final"][1]) & search_rows
  assert rows["select"][0] <= search_rows and rows["final"][0] <= search_rows


def test_tasks_of_a_part_differ_and_do_not_depend_on_their_number():
  x, y = blobs(100)
  data, fewer = from_arrays(x, y, num_tasks=5, seed=1), from_arrays(x, y, num_tasks=2, seed=1)
  seeds = []
  for name in PARTS:
    tasks, prefix = getattr(data, name), getattr(fewer, name)
    assert len({task.tobytes() for task in tasks.train_x}) == 5
    for array in ("train_x", "train_y", "valid_x", "valid_y", "seeds"):
      np.testing.assert_array_equal(getattr(tasks, array)[:2], getattr(prefix, array))
    seeds += tasks.seeds.tolist()
  assert len(set(seeds)) == 15
  other = from_arrays(x, y, num_tasks=5, seed=2)
  assert not np.array_equal(other.search.train_y, data.search.train_y)


@pytest.mark.parametrize("num_features", [None, 3, 9])
def test_training_parts_are_standardised_and_projected_on_request(num_features):
  x, y = blobs(100)
  x[:, 1] *= 1e6  # a unit that would drown the others in a projection of raw features
  x[:, 2] = 7.0  # tells nothing
  data = from_arrays(x, y, num_tasks=3, num_features=num_features)
  for name in PARTS:
    tasks = getattr(data, name)
    assert tasks.num_features == (4 if num_features is None else num_features)
    np.testing.assert_allclose(tasks.train_x.mean(1), 0, atol=1e-9)
    deviation = tasks.train_x.std(1)
    if num_features is None:
      assert np.all(tasks.train_x[:, :, 2] == 0) and np.all(tasks.valid_x[:, :, 2] == 0)
      deviation = np.delete(deviation, 2, axis=1)
    np.testing.assert_allclose(deviation, 1, atol=1e-9)
  if num_features == 9:
    assert np.linalg.matrix_rank(data.search.train_x[0], tol=1e-6) == 3
    # Without weighing by unit every projected feature would be column 1 alone.
    correlation = np.corrcoef(data.search.train_x[0].T)
    assert np.abs(correlation[~np.eye(9, dtype=bool)]).min() < 0.5


def test_features_are_standardised_with_training_statistics():
  x, y = blobs(100, num_features=1)
  tasks = from_arrays(x, y, num_tasks=1).final
  both = np.concatenate([tasks.train_x[0, :, 0], tasks.valid_x[0, :, 0]])
  # Rows are 0, 1, 2, ...: steps of one row are 1 / deviation of the training rows.
  step = np.diff(np.sort(both))
  scale = step.min()
  rows = np.round((both - both.min()) / scale)
  assert abs(np.std(rows[:len(tasks.train_x[0])]) * scale - 1) < 1e-9


def test_regression_targets_are_standardised():
  x, _ = blobs(100)
  y = 1000 + 50 * x[:, 1]
  data = from_arrays(x, y, num_tasks=4)
  assert data.class_names == () and data.search.metric == "rms"
  for name in PARTS:
    tasks = getattr(data, name)
    np.testing.assert_allclose(tasks.train_y.mean(1), 0, atol=1e-9)
    np.testing.assert_allclose(tasks.train_y.std(1), 1, atol=1e-9)
    np.testing.assert_allclose(tasks.valid_y, tasks.valid_x[:, :, 1], atol=1e-9)


@pytest.mark.parametrize("y, class_names", [
    (["yes", "no"] * 20, ("no", "yes")),
    ([1, -1] * 20, ("-1", "1")),
    ([True, False] * 20, ("0", "1")),
    ([3.0, 10.0, 5.0, 3.0] * 20, ("3", "5", "10")),
    (["3", "10", "5", "3"] * 20, ("3", "5", "10")),
    (list(range(20)) * 10, tuple(str(i) for i in range(20))),
    (list(range(21)) * 10, ()),
    ([0.0, 0.5] * 20, ()),
    (["0.25", "1e3"] * 20, ()),
])
def test_auto_target(y, class_names):
  x = np.random.default_rng(0).normal(size=(len(y), 20))
  data = from_arrays(x, y, num_tasks=1)
  assert data.class_names == class_names
  assert data.search.num_classes == len(class_names)
  assert data.search.metric == ("accuracy" if class_names else "rms")


def test_target_can_be_forced():
  x, y = blobs(100)
  assert from_arrays(x, y, target="regression", num_tasks=1).search.metric == "rms"
  data = from_arrays(x, y * 0.5, target="classification", num_tasks=1)
  assert data.class_names == ("0", "0.5")
  mixed = np.where(y == 0, "1", "many")
  assert from_arrays(x, mixed, target="classification", num_tasks=1).class_names == ("1", "many")


@given(
    counts=st.lists(st.integers(10, 40), min_size=2, max_size=4), seed=st.integers(0, 99),
    valid_fraction=st.floats(0.1, 0.5))
def test_every_class_is_trained_on_and_validated_in_every_part(counts, seed, valid_fraction):
  y = np.repeat(np.arange(len(counts)), counts)
  x = np.random.default_rng(seed).normal(size=(len(y), 4))
  data = from_arrays(x, y, num_tasks=2, seed=seed, valid_fraction=valid_fraction)
  for name in PARTS:
    tasks = getattr(data, name)
    for k in range(2):
      assert set(tasks.train_y[k]) == set(range(len(counts)))
      if name != "search":
        assert set(tasks.valid_y[k]) == set(range(len(counts)))


def changed(array, index, value):
  array = np.array(array, dtype=object if isinstance(value, str) else float)
  array[index] = value
  return array


X, Y = blobs(40)


@pytest.mark.parametrize("x, y, options, message", [
    (X, Y[:39], {}, r"x has 40 rows, so y must have shape \(40,\).* got \(39,\)"),
    (X, np.zeros(40), {}, "Every row has class '0'; classification needs at least two"),
    (changed(X, (7, 2), np.nan), Y, {}, "1 values that are NaN or infinite, the first in row 7, "
                                        "feature 'column 2'"),
    (changed(X, (7, 2), np.inf), Y, {"feature_names": list("abcd")}, "row 7, feature 'c'"),
    (changed(X, (0, 0), "low"), Y, {}, "x must be an array of numbers: .*low"),
    (X[:, 0], Y, {}, r"x must have shape \[rows, features\].* got \(40,\)"),
    (X[:, :0], Y, {}, r"neither of them 0; got \(40, 0\)"),
    (X, changed(Y, 5, np.nan), {}, "row 5 of y: the target is nan"),
    (X, changed(Y, 5, "NA"), {}, "row 5 of y: 'NA' is not a number, but other targets are"),
    (X, changed(Y, 5, " "), {}, "row 5 of y: the target is empty"),
    (X, ["a", "b"] * 20, {"target": "regression"}, "row 0 of y: 'a' is not a number, as target"),
    (X, np.ones(40), {"target": "regression"}, "target is 1 in every row; there is nothing"),
    (X, Y + 1j, {}, "y must hold numbers or strings; got type complex128"),
    (X[:9], np.arange(9) + 0.5, {}, "9 rows are too few to split; regression needs at least 10"),
    (X, np.arange(40) == 3, {}, "Class '1' has 1 rows; every class needs at least 10"),
    (X, Y, {"num_features": 0}, "num_features must be at least 1; got 0"),
    (X, Y, {"target": "ranking"}, "Unknown target 'ranking'; use one of auto, classification"),
    (X, Y, {"valid_fraction": 1.0}, "valid_fraction must lie between 0 and 1; got 1.0"),
    (X, Y, {"feature_names": ["a"]}, "1 feature names for the 4 columns of x"),
    (X, Y, {"num_tasks": 0}, "num_tasks must be at least 1"),
    (X, Y, {"seed": -1}, "seed must be 0 or more"),
])
def test_bad_data_is_one_clear_error(x, y, options, message):
  with pytest.raises(ValueError, match=message):
    from_arrays(x, y, **options)


# CSV files.


def assert_same(a, b):
  for name in PARTS:
    for array in ("train_x", "train_y", "valid_x", "valid_y", "seeds"):
      np.testing.assert_array_equal(getattr(getattr(a, name), array),
                                    getattr(getattr(b, name), array))


def test_a_number_far_beyond_the_others_is_one_clear_error_or_none():
  ends = set()
  for row in range(24):
    x, y = blobs(24)
    x[row, 1] = 1e308
    try:
      from_arrays(x, y, num_tasks=1, num_features=4)
      ends.add("made")
    except ValueError as error:
      ends.add(str(error).split(",")[0])
  assert ends == {"made", "Some numbers are so far beyond the others"}


def test_csv_equals_its_arrays(tmp_path):
  x, y = blobs(60, num_classes=3)
  names = np.array(["setosa", "virginica", "versicolor"])[y]
  header = ["sepal length", "b", "c", "d", "kind"]
  data = from_csv(write(tmp_path, csv_text(x, names, header)), num_tasks=3, seed=4)
  assert data.class_names == ("setosa", "versicolor", "virginica")
  assert data.feature_names == ("sepal length", "b", "c", "d")
  assert_same(data, from_arrays(x, names, num_tasks=3, seed=4))
  bare = from_csv(
      write(tmp_path, csv_text(x, names)), num_tasks=3, seed=4, keep_columns=("column 0",))
  assert bare.feature_names == ("column 0", "column 1", "column 2", "column 3")
  assert_same(data, bare)


@pytest.mark.parametrize("target_column", ["b", "1", 1, -4])
def test_csv_target_column_by_name_or_index(tmp_path, target_column):
  x, _ = blobs(30)
  path = write(tmp_path, csv_text(x, np.arange(30), ["a", "b", "c", "d", "e"]))
  data = from_csv(path, target_column=target_column, num_tasks=2)
  assert data.feature_names == ("a", "c", "d", "e") and data.search.metric == "rms"
  features = np.column_stack([x[:, [0, 2, 3]], np.arange(30)])
  assert_same(data, from_arrays(features, x[:, 1], num_tasks=2))


def test_csv_dialect_blank_lines_byte_order_mark_and_quotes(tmp_path):
  x, y = blobs(20)
  text = "\ufeff\"a;b\"; b;c;d;y\n\n" + csv_text(x, y).replace(",", " ; ") + "\n\n"
  data = from_csv(write(tmp_path, text), delimiter=";", num_tasks=1)
  assert data.feature_names == ("a;b", "b", "c", "d")
  assert_same(data, from_arrays(x, y, num_tasks=1))


def test_csv_header_of_numbers_is_recognised_or_announced(tmp_path):
  x, y = blobs(20)
  path = write(tmp_path, csv_text(x, y, ["0", "1", "2", "3", "target"]))
  with pytest.raises(ValueError, match=r"line 1: the target 'target' is not a number, but other"):
    from_csv(path, header=False)
  data = from_csv(path, num_tasks=1)
  assert "although 0, 1, 2, 3 are numbers" in data.table.about
  assert_same(data, from_csv(path, header=True, num_tasks=1))
  assert data.feature_names == ("0", "1", "2", "3")
  assert_same(data, from_arrays(x, y, num_tasks=1))
  named = from_csv(path, target_column="target", num_tasks=1)
  assert_same(data, named)


ROWS = csv_text(*blobs(20)).splitlines()


def with_line(line, text):
  """The rows with a header as line 1, and another text in one line."""
  lines = ["a,b,c,d,y", *ROWS]
  lines[line - 1] = text
  return "\n".join(lines)


@pytest.mark.parametrize("text, options, message", [
    ("", {}, "data.csv is empty"),
    ("\n\n", {}, "data.csv is empty"),
    ("a,b,c\n", {}, "has a header, but no rows of data"),
    ("1\n2\n", {}, "has one column, '1', but needs at least one feature"),
    ("1;2\n2;3\n", {"delimiter": ","}, "has one column.*Is the delimiter ',' right"),
    (with_line(5, "1,2,3,4"), {}, "line 5: 4 cells, but the first line has 5"),
    (with_line(6, "1,2,low,4,0"), {}, "line 6, column 'c': the cell 'low' is not a number"),
    (with_line(6, "-inf,2,3,4,0"), {}, "line 6, column 'a': the cell '-inf' is not finite"),
    (with_line(6, "1,2,3,4,?"), {}, "line 6: the target 'y' is missing, as in 1 of 20"),
    (with_line(6, "1,2,3,4,many"), {}, "line 6: the target 'many' is not a number, but other"),
    (with_line(6, "1,2,3,4,"), {}, "line 6: the target 'y' is missing, as in 1 of 20 rows. Fill"),
    (with_line(6, "1,2,3,4,nan"), {}, "line 6: the target 'y' is missing"),
    (with_line(6, "1,2,3,4,inf"), {}, "line 6: the target is inf"),
    (with_line(2, ROWS[0]), {"target_column": "z"}, "no target column 'z'. The columns are: "
                                                    "a, b, c, d, y; give a name"),
    (with_line(2, ROWS[0]), {"target_column": 5}, "no target column 5.*from 0 to 4"),
    (with_line(2, ROWS[0]), {"target_column": "-6"}, "no target column '-6'"),
    (with_line(2, ROWS[0]), {"header": False, "target_column": "y"}, "no target column 'y'"),
])
def test_bad_csv_is_one_clear_error(tmp_path, text, options, message):
  with pytest.raises(ValueError, match=message):
    from_csv(write(tmp_path, text), **options)


def test_files_that_are_missing_or_of_another_kind(tmp_path):
  binary = tmp_path / "binary"
  binary.write_bytes(b"\xff\xfe\x00\x81" * 10)
  with pytest.raises(ValueError, match="binary is not a text file of a table, nor Parquet"):
    from_csv(binary)
  for load in (from_csv, from_npz, load_tasks_npz):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*nowhere"):
      load(tmp_path / "nowhere")
  np.save(tmp_path / "one.npy", np.ones(3))
  np.savez(tmp_path / "objects.npz", x=np.array([[1, None]], dtype=object), y=[1])
  for path in (binary, tmp_path / "one.npy", tmp_path / "objects.npz"):
    with pytest.raises(ValueError, match=r"is not an \.npz file of plain arrays"):
      from_npz(path)


# .npz files.


def test_npz_equals_its_arrays(tmp_path):
  x, y = blobs(40)
  np.savez(tmp_path / "data.npz", x=x, y=y)
  options = {"num_tasks": 2, "seed": 5, "num_features": 3, "valid_fraction": 0.3}
  assert_same(from_npz(tmp_path / "data.npz", **options), from_arrays(x, y, **options))


def test_ready_tasks_are_read_as_they_are(tmp_path):
  tasks = linear_regression(3, seed=0)
  arrays = {name: getattr(tasks, name) for name in ("train_x", "train_y", "valid_x", "valid_y")}
  for metric in ("rms", np.array(["rms"]), np.bytes_(b"rms")):
    np.savez(tmp_path / "tasks.npz", **arrays, metric=metric)
    loaded = load_tasks_npz(tmp_path / "tasks.npz")
    assert loaded.metric == "rms" and loaded.num_classes == 0
    for name, array in arrays.items():
      np.testing.assert_array_equal(getattr(loaded, name), array)
  for largest, num_classes in ((1, 2), (3, 4)):
    labels = {
        name: np.arange(arrays[name].size).reshape(arrays[name].shape) % (largest + 1)
        for name in ("train_y", "valid_y")}
    np.savez(tmp_path / "tasks.npz", **(arrays | labels), metric="accuracy")
    assert load_tasks_npz(tmp_path / "tasks.npz").num_classes == num_classes


def test_bad_npz_is_one_clear_error(tmp_path):
  path = tmp_path / "file.npz"
  tasks = linear_regression(2, seed=0)
  arrays = {name: getattr(tasks, name) for name in ("train_x", "train_y", "valid_x", "valid_y")}
  np.savez(path, x=np.ones((3, 2)))
  with pytest.raises(ValueError, match=r"file\.npz has no array y; it needs x, y and holds x"):
    from_npz(path)
  with pytest.raises(ValueError, match="no array train_x, train_y, valid_x, valid_y, metric"):
    load_tasks_npz(path)
  np.savez(path, **arrays)
  with pytest.raises(ValueError, match=r"holds ready tasks .* read it with load_tasks_npz"):
    from_npz(path)
  with pytest.raises(ValueError, match="has no array metric"):
    load_tasks_npz(path)
  np.savez(path, **arrays, metric=1)
  with pytest.raises(ValueError, match='metric must be one string, "rms" or "accuracy"'):
    load_tasks_npz(path)
  np.savez(path, **arrays, metric="auc")
  with pytest.raises(ValueError, match=r"file\.npz: Unknown metric 'auc'"):
    load_tasks_npz(path)
  np.savez(path, **(arrays | {"train_y": tasks.train_y[:, 1:]}), metric="rms")
  with pytest.raises(ValueError, match=r"file.npz: train_y must have shape \(2, 100\)"):
    load_tasks_npz(path)
  np.savez(path, x=np.full((3, 2), 1j), y=[0, 1, 0])
  with pytest.raises(ValueError, match=r"file\.npz: x must be .* numbers: its type is complex128"):
    from_npz(path)


def member(shape, descr="<f8", version=b"\1\0"):
  """An array in NumPy's format that is 48 bytes, whatever it says."""
  header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
  return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + bytes(48)


@pytest.mark.parametrize(("content", "message"), [
    (member("(1099511627776,)"), r"x\.npy has 48 bytes for an array of shape \(1099511627776,\)"),
    (member("(-2, -3)"), r"has 48 bytes for an array of shape \(-2, -3\)"),
    (member("(6,)", "|O"), "array of type object; numbers or text are read"),
    (member("(1099511627776,)", "|V0"), r"array of type \|V0"),
    (member("(" * 90), "plain arrays, as numpy.savez writes: "),
    (member("(6,)", version=b"\4\0"), "magic string is not correct|version"),
    (b"", "plain arrays, as numpy.savez writes: ")])
def test_a_false_header_of_an_array_is_refused_before_memory_is_taken(tmp_path, content, message):
  with zipfile.ZipFile(tmp_path / "file.npz", "w") as archive:
    archive.writestr("x.npy", content)
  with pytest.raises(ValueError, match=message) as info:
    from_npz(tmp_path / "file.npz")
  assert str(tmp_path / "file.npz") in str(info.value) and "\n" not in str(info.value)


def test_arrays_that_unpack_to_more_than_is_free_are_refused(tmp_path, monkeypatch):
  np.savez_compressed(tmp_path / "file.npz", x=np.zeros((1000, 1000)), y=np.zeros(1000))
  monkeypatch.setattr(psutil, "virtual_memory", lambda: types.SimpleNamespace(available=5e6))
  with pytest.raises(ValueError, match=r"it unpacks to 0\.008 GB, but 0\.005 GB are free"):
    from_npz(tmp_path / "file.npz")
