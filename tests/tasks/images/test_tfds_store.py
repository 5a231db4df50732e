"""Data sets in TFDS directories: both file formats, what is written, what is damaged."""

import json
import pathlib
import shutil
import tempfile

import google_crc32c
import numpy as np
import pytest
from support import tiny_tfds
import tensorflow_datasets as tfds

from azero.tasks.images.sources import SOURCES, find_prepared
from azero.tasks.images.tfds_store import FILE_FORMATS, read_images, write_images
from azero.tasks.images.tfrecord import masked_checksum, read_records


@pytest.fixture(scope="module")
def data_dirs(tmp_path_factory):
  """TFDS data directories with all five data sets, one for each file format."""
  directories = {}
  for file_format in FILE_FORMATS:
    directories[file_format] = tmp_path_factory.mktemp(file_format)
    tiny_tfds.prepare_all(directories[file_format], file_format)
  return directories


def _rows(pixels, labels):
  """The labelled images as a sorted list, whatever their order."""
  flat = np.reshape(pixels, (len(labels), -1))
  return sorted((int(label), row.tobytes()) for label, row in zip(labels, flat))


@pytest.mark.parametrize("file_format", FILE_FORMATS)
@pytest.mark.parametrize("name", tiny_tfds.CLASS_SIZES)
def test_every_image_is_read_as_it_was_written(data_dirs, name, file_format):
  source = SOURCES[name]
  for split, (images, labels) in tiny_tfds.tiny_splits(source).items():
    read = read_images(source, split, data_dir=data_dirs[file_format])
    assert read.pixels.dtype == np.uint8 and read.pixels.shape == (len(labels), source.num_pixels)
    assert _rows(read.pixels, read.labels) == _rows(images, labels)
    np.testing.assert_array_equal(
        read.class_sizes, np.bincount(labels, minlength=source.num_classes))


@pytest.mark.parametrize("name", tiny_tfds.CLASS_SIZES)
def test_the_order_is_that_of_tfds_in_both_formats(data_dirs, name):
  source = SOURCES[name]
  builder = tfds.builder_from_directory(find_prepared(source, data_dirs["array_record"]))
  expected = [
      example["label"] for example in builder.as_data_source("train", decoders={
          "image": tfds.decode.SkipDecoding()})]
  reads = [read_images(source, "train", data_dir=path) for path in data_dirs.values()]
  np.testing.assert_array_equal(reads[0].labels, expected)
  np.testing.assert_array_equal(reads[0].labels, reads[1].labels)
  np.testing.assert_array_equal(reads[0].pixels, reads[1].pixels)


@pytest.mark.parametrize("file_format", FILE_FORMATS)
def test_only_the_classes_asked_for_are_kept(data_dirs, file_format):
  source = SOURCES["imagenet_resized"]
  read = read_images(source, "train", data_dir=data_dirs[file_format], classes={3, 999})
  np.testing.assert_array_equal(np.unique(read.labels, return_counts=True), [[3, 999], [25, 30]])
  assert read.class_sizes[500] == 20  # left out, but counted
  everything = read_images(source, "train", data_dir=data_dirs[file_format])
  np.testing.assert_array_equal(read.pixels, everything.pixels[everything.labels != 500])


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_written_data_sets_are_those_that_tfds_itself_makes(data_dirs, tmp_path, name):
  source = SOURCES[name]
  splits = {
      split: (images.reshape(len(images), -1), labels)
      for split, (images, labels) in tiny_tfds.tiny_splits(source).items()}
  directory = write_images(source, splits, data_dir=tmp_path)
  assert directory == tmp_path / name / "3.0.1"
  official = data_dirs["array_record"] / name / "3.0.1"
  assert (directory / "features.json").read_text() == (official / "features.json").read_text()
  # TFDS's own class of that name takes the directory for its own, in the same order.
  data = tfds.builder(name, data_dir=tmp_path).as_data_source("train")
  expected = tfds.builder_from_directory(official).as_data_source("train")
  assert len(data) == len(expected) == sum(tiny_tfds.CLASS_SIZES[name].values())
  for example, other in zip(data, expected):
    assert example["label"] == other["label"]
    np.testing.assert_array_equal(example["image"], other["image"])


@pytest.fixture
def temporary(tmp_path, monkeypatch):
  """Where temporary files are made."""
  path = tmp_path / "temporary"
  path.mkdir()
  monkeypatch.setattr(tempfile, "tempdir", str(path))
  return path


def test_mnist_5k_is_written_and_read_without_leftovers(tmp_path, temporary):
  source = SOURCES["mnist_5k"]
  images, labels = tiny_tfds.random_images(source, {2: 3, 7: 4}, seed=3)
  splits = {"train": (images.reshape(7, -1), labels), "test": (images.reshape(7, -1), labels)}
  write_images(source, splits, data_dir=tmp_path)
  read = read_images(source, "test", data_dir=tmp_path)
  assert _rows(read.pixels, read.labels) == _rows(images, labels)
  assert not list(temporary.iterdir())


def test_who_is_slower_than_another_takes_what_that_one_has_written(tmp_path):
  source = SOURCES["mnist_5k"]
  images, labels = tiny_tfds.random_images(source, {2: 3}, seed=3)
  pixels = images.reshape(3, -1)

  def meanwhile():
    write_images(source, {"train": (pixels, labels)}, data_dir=tmp_path)
    yield from pixels

  directory = write_images(source, {"train": (meanwhile(), labels)}, data_dir=tmp_path)
  assert [path.name for path in directory.parent.iterdir()] == [source.version]
  read = read_images(source, "train", data_dir=tmp_path)
  assert _rows(read.pixels, read.labels) == _rows(images, labels)


def test_the_checksum_is_that_of_the_tfrecord_format():
  # CRC-32C of these digits is a published check value.
  assert google_crc32c.value(b"123456789") == 0xE3069283
  assert masked_checksum(b"123456789") == (
      ((0xE3069283 >> 15) | (0xE3069283 << 17 & 0xFFFFFFFF)) + 0xA282EAD8) % 2**32


def test_records_are_read_back_and_every_damaged_byte_is_noticed(tmp_path):
  path = tmp_path / "records"
  records = [b"", b"one", bytes(range(256))]
  data = b"".join(map(tiny_tfds.frame, records))
  path.write_bytes(data)
  assert list(read_records(path)) == records
  for position in range(len(data)):
    path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1:])
    with pytest.raises(ValueError, match=r"records, record [012]: .*wrong checksum"):
      list(read_records(path))
  ends = {0, 16, 16 + 19, len(data)}  # between two records
  for length in set(range(len(data))) - ends:
    path.write_bytes(data[:length])
    with pytest.raises(ValueError, match="the file ends within the record"):
      list(read_records(path))


def _copy(data_dirs, tmp_path, file_format):
  shutil.copytree(data_dirs[file_format] / "mnist", tmp_path / "mnist")
  return tmp_path / "mnist" / "3.0.1"


@pytest.mark.parametrize("file_format", FILE_FORMATS)
def test_a_damaged_file_is_one_error(data_dirs, tmp_path, file_format):
  directory = _copy(data_dirs, tmp_path, file_format)
  (path,) = directory.glob(f"mnist-train.{file_format}*")
  data = bytearray(path.read_bytes())
  data[60_000] ^= 255  # among the examples
  path.write_bytes(data)
  with pytest.raises(ValueError, match=r"mnist.*damaged.* prepare the data set again"):
    read_images(SOURCES["mnist"], "train", data_dir=tmp_path)


@pytest.mark.parametrize("file_format", FILE_FORMATS)
def test_a_missing_file_is_one_error(data_dirs, tmp_path, file_format):
  directory = _copy(data_dirs, tmp_path, file_format)
  (path,) = directory.glob(f"mnist-train.{file_format}*")
  path.unlink()
  with pytest.raises(ValueError, match=r"train split in .*mnist.* are damaged or missing"):
    read_images(SOURCES["mnist"], "train", data_dir=tmp_path)


def test_missing_records_are_noticed(data_dirs, tmp_path):
  directory = _copy(data_dirs, tmp_path, "tfrecord")
  (path,) = directory.glob("mnist-train.tfrecord*")
  path.write_bytes(b"".join(map(tiny_tfds.frame, list(read_records(path))[:-2])))
  with pytest.raises(ValueError, match="should hold 191 examples, but 189 are there"):
    read_images(SOURCES["mnist"], "train", data_dir=tmp_path)


def _edit(path: pathlib.Path, change):
  content = json.loads(path.read_text())
  change(content)
  path.write_text(json.dumps(content))


@pytest.mark.parametrize(("file", "change", "message"), [
    ("dataset_info.json", lambda info: info.update(name="kmnist"), "its name is kmnist"),
    ("dataset_info.json", lambda info: info.update(
        splits=[split for split in info["splits"] if split["name"] != "train"]), "without 'train'"),
    ("dataset_info.json", lambda info: info.update(fileFormat="parquet"), "format parquet"),
    ("features.json", lambda features: features["featuresDict"]["features"]["label"][
        "classLabel"].update(numClasses="12"), "it has 12 classes, not 10"),
    ("features.json", lambda features: features["featuresDict"]["features"].pop("label"),
     "its features are image"),
    ("features.json", lambda features: features["featuresDict"]["features"]["image"]["image"][
        "shape"].update(dimensions=["8", "8", "1"]), r"shape \(8, 8, 1\), not \(28, 28, 1\)"),
])
def test_a_directory_of_something_else_is_one_error(data_dirs, tmp_path, file, change, message):
  directory = _copy(data_dirs, tmp_path, "array_record")
  _edit(directory / file, change)
  with pytest.raises(ValueError, match=message):
    read_images(SOURCES["mnist"], "train", data_dir=tmp_path)


def test_unreadable_metadata_is_one_error(data_dirs, tmp_path):
  directory = _copy(data_dirs, tmp_path, "array_record")
  (directory / "dataset_info.json").write_text("{")
  with pytest.raises(ValueError, match=r"metadata in .* cannot be read"):
    read_images(SOURCES["mnist"], "train", data_dir=tmp_path)


def test_images_of_another_size_are_one_error(tmp_path):
  source = SOURCES["mnist"]
  small = np.zeros((3, 64), np.uint8), np.arange(3)
  with pytest.raises(ValueError, match="reshape"):
    write_images(source, {"train": small}, data_dir=tmp_path)
  assert not (tmp_path / "mnist" / "3.0.1").exists()
