"""Reads and writes labelled images in directories of TensorFlow Datasets (TFDS).

No TensorFlow is needed: array_record files are read through TFDS's data source, TFRecord
files record by record, and both are decoded by TFDS's features. TFDS and Pillow, of the extra
`images`, are imported when they are first used, since that takes half a second.
"""

from collections.abc import Container, Iterator, Mapping
import dataclasses
import errno
import io
import os
import pathlib
from typing import Any

import numpy as np

from azero import lazy
from azero.tasks.images.sources import ImageSource, data_directory, find_prepared
from azero.tasks.images.tfrecord import read_records

FILE_FORMATS = ("array_record", "tfrecord")
_BATCH = 1000  # records fetched at once: ten times as fast as one by one


@dataclasses.dataclass(frozen=True, eq=False)
class Images:
  """N labelled images.

  Attributes:
    pixels: [N, P] uint8, each image flat: rows, columns, channels.
    labels: [N] int64, class of each image from 0.
    class_sizes: [C] int64, images of each class in the split, those left out included.
  """

  pixels: np.ndarray
  labels: np.ndarray
  class_sizes: np.ndarray


def read_images(
    source: ImageSource, split: str, *, data_dir: str | os.PathLike | None = None,
    classes: Container[int] | None = None,
) -> Images:
  """Reads the images of a split in the order in which TFDS stores them.

  Args:
    source: the data set.
    split: its name, e.g. "train".
    data_dir: TFDS's data directory; default $TFDS_DATA_DIR or ~/tensorflow_datasets.
    classes: classes to keep; only their images are decoded. Default all.

  Returns:
    The images.

  Raises:
    FileNotFoundError: the data set is not prepared there; says how to prepare it.
    ValueError: what is there is damaged or another data set, or TFDS is not installed.
  """
  directory = find_prepared(source, data_dir)
  _require_tfds()
  import tensorflow_datasets as tfds

  try:
    builder = tfds.builder_from_directory(directory)
  except Exception as error:  # TFDS lets through the errors of several parsers
    raise ValueError(
        f"The metadata in {directory} cannot be read ({error}). Delete the directory and prepare "
        "the data set again.") from error
  _check_metadata(source, directory, builder, split)
  features = builder.info.features
  skip = {"image": tfds.decode.SkipDecoding()}
  pixels, labels = [], []
  class_sizes = np.zeros(source.num_classes, np.int64)
  for record in _records(builder, directory, split):
    example = features.deserialize_example_np(record, decoders=skip)
    label = int(example["label"])
    class_sizes[label] += 1
    if classes is None or label in classes:
      pixels.append(_decode(example["image"], source, directory))
      labels.append(label)
  expected = builder.info.splits[split].num_examples
  if class_sizes.sum() != expected:
    raise ValueError(
        f"The {split} split in {directory} should hold {expected} examples, but "
        f"{class_sizes.sum()} are there. Delete the directory and prepare the data set again.")
  return Images(
      np.array(pixels, np.uint8).reshape(-1, source.num_pixels), np.array(labels, np.int64),
      class_sizes)


def write_images(
    source: ImageSource, splits: Mapping[str, tuple[np.ndarray, np.ndarray]], *,
    data_dir: str | os.PathLike | None = None, file_format: str = "array_record",
) -> pathlib.Path:
  """Writes images as a prepared data set of TFDS, which TFDS reads as one of its own.

  Args:
    source: the data set that this becomes; one without variants (config).
    splits: for each split pixels [N, P] uint8 and labels [N], as in `Images`.
    data_dir: TFDS's data directory; default $TFDS_DATA_DIR or ~/tensorflow_datasets.
    file_format: "array_record", or "tfrecord", for which TFDS needs TensorFlow.

  Returns:
    The directory with the files.

  Raises:
    ValueError: TFDS is not installed.
  """
  _require_tfds()
  builder = _builder_class(source, splits)(
      data_dir=data_directory(data_dir), file_format=file_format)
  _prepare(builder)
  return find_prepared(source, data_dir)


def _builder_class(
    source: ImageSource, splits: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> type[Any]:
  """What prepares a data set as TFDS does, from images in memory; see `write_images`."""
  from PIL import Image
  import tensorflow_datasets as tfds
  from tensorflow_datasets.core import registered

  with registered.skip_registration():  # TFDS has builders of the same names

    class Info(tfds.core.DatasetInfo):
      """What is known of the data set."""

      def initialize_from_bucket(self) -> None:
        """TFDS's server knows nothing of it, and asking leaves a temporary directory behind."""

    class Builder(tfds.core.GeneratorBasedBuilder):
      """The data set as TFDS defines it, from images in memory."""

      name = source.name
      VERSION = tfds.core.Version(source.version)

      def _info(self) -> tfds.core.DatasetInfo:
        if source.class_names:
          label = tfds.features.ClassLabel(names=source.class_names)
        else:
          label = tfds.features.ClassLabel(num_classes=source.num_classes)
        image = tfds.features.Image(shape=source.image_shape)
        return Info(
            builder=self, description=f"{source.name}, written by azero.",
            features=tfds.features.FeaturesDict({"image": image, "label": label}),
            supervised_keys=("image", "label"))

      def _split_generators(self, dl_manager) -> dict[str, Iterator]:
        del dl_manager  # nothing to download
        return {name: self._generate_examples(*arrays) for name, arrays in splits.items()}

      def _generate_examples(
          self, all_pixels: np.ndarray, labels: np.ndarray,
      ) -> Iterator[tuple[int, dict[str, Any]]]:
        # The key decides the place in the shuffled order; TFDS uses the index as well.
        for index, (pixels, label) in enumerate(zip(all_pixels, labels, strict=True)):
          # An array instead of a PIL image would need TensorFlow.
          image = Image.fromarray(pixels.reshape(source.image_shape).squeeze())
          yield index, {"image": image, "label": int(label)}

  return Builder


def _prepare(builder: Any) -> None:
  """Writes a data set, unless another process was faster: what that has put there is whole."""
  try:
    builder.download_and_prepare()
  except OSError as error:
    if not isinstance(error, FileExistsError) and error.errno != errno.ENOTEMPTY:
      raise


def _require_tfds() -> None:
  for package in ("tensorflow_datasets", "PIL"):
    lazy.require(package, extra="images", purpose="Data sets of images")


def _check_metadata(
    source: ImageSource, directory: pathlib.Path, builder: Any, split: str) -> None:
  features = builder.info.features
  problem = ""
  if builder.info.name != source.name:
    problem = f"its name is {builder.info.name}"
  elif not {"image", "label"} <= set(features):
    problem = f"its features are {', '.join(features)}"
  elif features["image"].shape != source.image_shape:
    problem = f"its images have shape {features['image'].shape}, not {source.image_shape}"
  elif features["label"].num_classes != source.num_classes:
    problem = f"it has {features['label'].num_classes} classes, not {source.num_classes}"
  elif split not in builder.info.splits:
    problem = f"its splits are {', '.join(builder.info.splits) or 'none'}, without {split!r}"
  elif builder.info.file_format.value not in FILE_FORMATS:
    problem = (f"its files are of format {builder.info.file_format.value}, and those that can be "
               f"read are {' and '.join(FILE_FORMATS)}")
  if problem:
    raise ValueError(
        f"{directory} does not hold {source.full_name} as it should be: {problem}. Delete the "
        "directory and prepare the data set again.")


def _records(builder: Any, directory: pathlib.Path, split: str) -> Iterator[bytes]:
  """The serialised examples of a split."""
  from tensorflow_datasets.core.decode import DeserializeMethod

  try:
    if builder.info.file_format.value == "tfrecord":
      for path in builder.info.splits[split].filepaths:
        yield from read_records(path)
      return
    data = builder.as_data_source(split, deserialize_method=DeserializeMethod.RAW_BYTES)
    for start in range(0, len(data), _BATCH):
      yield from data.__getitems__(range(start, min(start + _BATCH, len(data))))
  except (IndexError, OSError, RuntimeError, ValueError) as error:
    raise ValueError(
        f"The files of the {split} split in {directory} are damaged or missing ({error}). Delete "
        "the directory and prepare the data set again.") from error


def _decode(encoded: bytes, source: ImageSource, directory: pathlib.Path) -> np.ndarray:
  """A flat image: [P] uint8."""
  from PIL import Image

  # TFDS's own decoder would pick OpenCV where it is installed, and complain where not.
  try:
    with Image.open(io.BytesIO(encoded)) as image:
      pixels = np.asarray(image)
  except OSError as error:
    raise ValueError(
        f"{directory} holds an image that cannot be decoded ({error}). Prepare the data set "
        "again.") from error
  if pixels.dtype != np.uint8 or pixels.size != source.num_pixels:
    raise ValueError(
        f"{directory} holds an image of shape {pixels.shape} and type {pixels.dtype}, and "
        f"{source.image_shape} bytes are expected. Prepare the data set again.")
  return pixels.reshape(-1)
