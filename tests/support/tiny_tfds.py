"""Tiny data sets in genuine TFDS directories, for tests, made without TensorFlow."""

import json
import pathlib
import struct
from unittest import mock

import numpy as np
from PIL import Image
import tensorflow_datasets as tfds
from tensorflow_datasets.core import registered
from tensorflow_datasets.core.decode import DeserializeMethod

from azero.tasks.images.sources import SOURCES
from azero.tasks.images.tfrecord import masked_checksum


def prepare(source, splits, data_dir):
  """Writes array_record files with the builder class that TFDS has for this source.

  Args:
    source: an ImageSource of TFDS.
    splits: images [N, height, width, channels] uint8 and labels [N] of each split.
    data_dir: where to.

  Returns:
    The directory of the version.
  """
  official = tfds.builder_cls(source.name)
  with registered.skip_registration():

    class Tiny(official):
      name = source.name

      def _split_generators(self, dl_manager):
        return {split: self._generate(*arrays) for split, arrays in splits.items()}

      def _generate(self, images, labels):
        for index, (image, label) in enumerate(zip(images, labels)):
          image = image[..., 0] if source.image_shape[2] == 1 else image
          example = {"image": Image.fromarray(image), "label": int(label)}
          if "id" in self.info.features:
            example["id"] = f"example_{index}"
          yield index, example

  tfds.disable_progress_bar()
  # TFDS's server is not asked for it, which leaves a temporary directory behind.
  with mock.patch.object(tfds.core.DatasetInfo, "initialize_from_bucket"):
    builder = Tiny(data_dir=data_dir, file_format="array_record", config=source.config or None)
  builder.download_and_prepare()
  return pathlib.Path(builder.data_dir)


def convert_to_tfrecord(directory):
  """Turns an array_record directory into what TFDS writes as TFRecord."""
  builder = tfds.builder_from_directory(directory)
  for split, info in builder.info.splits.items():
    records = list(builder.as_data_source(split, deserialize_method=DeserializeMethod.RAW_BYTES))
    (path,) = info.filepaths  # tiny data sets have one shard
    new = pathlib.Path(str(path).replace("array_record", "tfrecord"))
    new.write_bytes(b"".join(map(frame, records)))
    pathlib.Path(path).unlink()
  info_path = pathlib.Path(directory) / "dataset_info.json"
  metadata = json.loads(info_path.read_text())
  metadata["fileFormat"] = "tfrecord"
  info_path.write_text(json.dumps(metadata))


def frame(record):
  """A record as it stands in a TFRecord file."""
  length = struct.pack("<Q", len(record))
  return (length + struct.pack("<I", masked_checksum(length))
          + record + struct.pack("<I", masked_checksum(record)))


def random_images(source, class_sizes, seed):
  """Images of random pixels: class_sizes maps each class to how many; labels in random order."""
  rng = np.random.default_rng(seed)
  labels = rng.permutation(np.repeat(list(class_sizes), list(class_sizes.values())))
  return rng.integers(0, 256, (len(labels), *source.image_shape), np.uint8), labels


# Images of each class. One class of MNIST has fewer than the others, and of ImageNet's
# 1000 classes only three have any.
CLASS_SIZES = {
    "cifar10": dict.fromkeys(range(10), 20),
    "mnist": {**dict.fromkeys(range(10), 20), 3: 11},
    "fashion_mnist": dict.fromkeys(range(10), 10),
    "svhn_cropped": {c: 12 + 3 * c for c in range(10)},
    "imagenet_resized": {3: 25, 500: 20, 999: 30},
}
TEST_CLASS_SIZE = 5


def tiny_splits(source):
  """The random images from which `prepare_all` makes a data set: splits by name."""
  sizes = CLASS_SIZES[source.name]
  return {
      "train": random_images(source, sizes, seed=0),
      source.test_split: random_images(source, dict.fromkeys(sizes, TEST_CLASS_SIZE), seed=1)}


def prepare_all(data_dir, file_format):
  """Prepares all data sets of TFDS that tasks are made of."""
  for name in CLASS_SIZES:
    source = SOURCES[name]
    directory = prepare(source, tiny_splits(source), data_dir)
    if file_format == "tfrecord":
      convert_to_tfrecord(directory)
