import importlib.util

import pytest

from azero import lazy
from azero.distributed import ray_runtime
from experiments import digits, linear_regression
from experiments.frame import study
from experiments.frame.settings import build


@pytest.mark.parametrize("changes, message", [
    ({"num_workers": 2}, "--num_workers=2 needs --runtime=ray"),
    ({"ray_address": "there:1"}, "--ray_address=there:1 needs --runtime=ray"),
    ({"mode": "asynchronous"}, "--mode=asynchronous needs --runtime=ray"),
    ({"num_workers": 0, "runtime": "ray"}, "--num_workers must be at least 1, got 0"),
    ({"num_workers": 5, "islands": 4, "runtime": "ray"},
     r"--num_workers=5: the 4 island.* at most 4 process"),
])
@pytest.mark.parametrize("experiment", [linear_regression, digits])
def test_settings_of_another_runtime_are_refused(tmp_path, experiment, changes, message):
  with pytest.raises(ValueError, match=message):
    experiment.run(build(experiment.Config, output_dir=str(tmp_path / "runs"), **changes))
  assert not (tmp_path / "runs").exists()


def test_ray_is_asked_for_where_it_is_missing(tmp_path, monkeypatch):
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  missing = r"Searches over processes need the package ray: pip install 'azero\[ray\]'\."
  with pytest.raises(lazy.MissingPackageError, match=missing):
    linear_regression.run(build(linear_regression.Config,
        output_dir=str(tmp_path / "runs"), runtime="ray"))
  assert not (tmp_path / "runs").exists()
  with pytest.raises(lazy.MissingPackageError, match=missing):
    ray_runtime.import_ray()


def test_a_ray_that_was_imported_elsewhere_is_told(monkeypatch):
  class Imported:
    @staticmethod
    def is_initialized():
      return False

  monkeypatch.setitem(ray_runtime.sys.modules, "ray", Imported())
  with pytest.raises(ValueError, match="Ray was imported before azero could set it up"):
    ray_runtime.RayRuntime(num_processes=1)


def test_what_ends_islands_cannot_be_asynchronous(tmp_path):
  with pytest.raises(ValueError, match="--mode=asynchronous: this experiment ends islands"):
    linear_regression.run(build(linear_regression.Config,
        output_dir=str(tmp_path / "runs"), runtime="ray", mode="asynchronous"))
  assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("address, error, message", [
    ("there", ValueError, r"--ray_address must be HOST:PORT, .* got 'there'"),
    ("127.0.0.1:1", ConnectionError, "No Ray answers at --ray_address=127.0.0.1:1"),
])
def test_addresses_of_no_ray_are_told_at_once(monkeypatch, address, error, message):
  monkeypatch.delitem(ray_runtime.sys.modules, "ray", raising=False)
  with pytest.raises(error, match=message):
    ray_runtime.RayRuntime(num_processes=1, address=address)


def test_a_ray_that_is_gone_is_told(monkeypatch):
  now = [0.0]
  monkeypatch.setattr(ray_runtime.time, "monotonic", lambda: now[0])
  head = ray_runtime._Head("127.0.0.1:1")
  for _ in range(2):
    now[0] += 11
    head.check()
  head.check()  # no look: it is too soon
  now[0] += 11
  with pytest.raises(ConnectionError, match=r"Ray itself is gone: nothing answers at 127"):
    head.check()


@pytest.mark.parametrize("text, message", [
    ("[1]", "cannot be read .a JSON object was expected"),
    ('{"islands": "x"}', "has islands = 'x', which must be of type int"),
    ('{"stop_at_first": 1}', "has stop_at_first = 1, which must be of type bool"),
])
def test_foreign_settings_of_a_run_are_told(tmp_path, text, message):
  (tmp_path / "config.json").write_text(text)
  with pytest.raises(ValueError, match=message):
    study.continued(linear_regression.Config, tmp_path)
