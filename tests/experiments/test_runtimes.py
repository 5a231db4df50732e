import pytest

from azero.distributed import ray_runtime
from experiments import digits, linear_regression, runtimes


@pytest.mark.parametrize("changes, message", [
    ({"num_workers": 2}, "--num_workers=2 needs --runtime=ray"),
    ({"ray_address": "there:1"}, "--ray_address=there:1 needs --runtime=ray"),
    ({"mode": "asynchronous"}, "--mode=asynchronous needs --runtime=ray"),
    ({"num_workers": 0, "runtime": "ray"}, "--num_workers must be at least 1, got 0"),
])
@pytest.mark.parametrize("experiment", [linear_regression, digits])
def test_settings_of_another_runtime_are_refused(tmp_path, experiment, changes, message):
  with pytest.raises(ValueError, match=message):
    experiment.run(experiment.Config(output_dir=str(tmp_path / "runs"), **changes))
  assert not (tmp_path / "runs").exists()


def test_ray_is_asked_for_where_it_is_missing(tmp_path, monkeypatch):
  monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda name: None)
  with pytest.raises(ValueError, match=r"needs Ray: pip install 'azero\[ray\]'"):
    linear_regression.run(linear_regression.Config(
        output_dir=str(tmp_path / "runs"), runtime="ray"))
  assert not (tmp_path / "runs").exists()


def test_a_ray_that_was_imported_elsewhere_is_told(monkeypatch):
  class Imported:
    @staticmethod
    def is_initialized():
      return False

  monkeypatch.setitem(ray_runtime.sys.modules, "ray", Imported())
  with pytest.raises(ValueError, match="Ray was imported before azero could set it up"):
    ray_runtime.RayRuntime(num_processes=1)
