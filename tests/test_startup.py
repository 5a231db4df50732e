"""What `import azero` loads, what is loaded later, and what is installed."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest
import setuptools

import azero
from azero import lazy, paths

_ROOT = pathlib.Path(__file__).parents[1]
# Packages that take long to load, and are not for every user.
_LATER = (
    "matplotlib", "tensorflow_datasets", "tensorflow", "sklearn", "ray", "pandas", "mlxtend",
    "tensorboardX", "scipy.stats", "PIL", "google_crc32c", "orbax")


def _loaded(code: str, **environment: str) -> set[str]:
  """Names of the modules that are loaded after this code, in a process of its own."""
  result = subprocess.run(
      [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], text=True,
      capture_output=True, cwd=_ROOT, check=True, env=os.environ | environment)
  assert not result.stderr
  return set(result.stdout.split())


def test_the_package_alone_loads_nothing_but_its_names():
  loaded = _loaded("import azero, azero.tasks, azero.runs.reader")
  assert {name for name in loaded if name.split(".")[0] == "azero"} == {
      "azero", "azero.files", "azero.html_text", "azero.lazy", "azero.paths", "azero.runs",
      "azero.runs.json_lines", "azero.runs.lineage_files", "azero.runs.lock", "azero.runs.reader",
      "azero.tasks"}
  assert not loaded & {"jax", "numpy", "numba", "rich", *_LATER}


def test_all_public_names_together_load_no_optional_package():
  # Estimators are scikit-learn's own kind of object, and the only ones that need a package.
  estimators = {
      "AutoMLZeroClassifier", "AutoMLZeroRegressor", "ProgramClassifier", "ProgramRegressor"}
  assert estimators < set(azero.__all__)
  loaded = _loaded(
      f"import azero\nfor name in {set(azero.__all__) - estimators}: getattr(azero, name)")
  assert "jax" in loaded
  assert not loaded & set(_LATER)


def test_the_statistics_are_loaded_without_what_they_need():
  assert "scipy.stats" not in _loaded("import azero.insight.statistics")


@pytest.mark.parametrize("package", ["azero", "azero.export", "azero.report", "azero.tasks"])
def test_names_are_those_of_the_stub(package):
  module = importlib.import_module(package)
  assert module.__all__ and len(set(module.__all__)) == len(module.__all__)
  shown = [name for name in dir(module) if not re.fullmatch("__.*__", name)]
  assert shown == sorted(module.__all__) and {"__all__", "__doc__"} <= set(dir(module))
  for name in module.__all__:
    assert getattr(module, name) is vars(module)[name]  # kept, found at once the next time
  with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
    _ = module.nothing


def test_rooms_and_modules_are_names_too():
  assert azero.spaces is importlib.import_module("azero.language.spaces")
  assert azero.insight is importlib.import_module("azero.insight")
  assert azero.tasks.Tasks is azero.Tasks


@pytest.mark.parametrize(("call", "package", "extra"), [
    ("azero.plot(None)", "matplotlib", "plots"),
    ("azero.projected_digits('pairs', seed=0)", "sklearn", "digits"),
    ("tfds_store._require_tfds()", "tensorflow_datasets", "images"),
    ("tensorboard.require()", "tensorboardX", "tensorboard"),
    ("azero.export.onnx_model(None, None, None)", "onnx", "onnx"),
])
def test_a_missing_package_is_one_sentence(call, package, extra, monkeypatch):
  from azero.runs.display import tensorboard
  from azero.tasks.images import digits, tfds_store

  digits._images.cache_clear()
  find = importlib.util.find_spec
  monkeypatch.setattr(
      importlib.util, "find_spec",
      lambda name, *rest: None if name == package else find(name, *rest))
  with pytest.raises(lazy.MissingPackageError) as caught:
    eval(call, {"azero": azero, "tensorboard": tensorboard, "tfds_store": tfds_store})
  assert isinstance(caught.value, ValueError) and isinstance(caught.value, ImportError)
  assert caught.value.name == package
  assert f"need the package {package}: pip install 'azero[{extra}]'." in str(caught.value)


def test_every_extra_that_is_named_exists():
  project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
  for path in [*_ROOT.glob("azero/**/*.py"), *_ROOT.glob("docs/*.md"), _ROOT / "README.md"]:
    for part in path.read_text().split("pip install 'azero[")[1:]:
      name = part.split("]")[0]
      assert name == "{extra}" or name in project["optional-dependencies"], path


def test_only_azero_is_installed_with_its_stubs():
  options = tomllib.loads((_ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
  packages = setuptools.find_namespace_packages(str(_ROOT), **options["packages"]["find"])
  assert {name.split(".")[0] for name in packages} == {"azero"}
  installed = {
      path for pattern in options["package-data"]["azero"]
      for path in (_ROOT / "azero").glob(pattern)}
  assert installed >= set((_ROOT / "azero").glob("**/*.pyi"))


def test_a_home_directory_is_put_in(monkeypatch):
  monkeypatch.setenv("HOME", "/home/somebody")
  assert paths.expand("~/runs/a") == pathlib.Path("/home/somebody/runs/a")
  assert paths.expand("runs/~") == pathlib.Path("runs/~")


@pytest.mark.parametrize("path", ["9" * 3000, "runs/" + "9" * 256, "runs/" * 900])
def test_a_path_that_no_system_takes(path):
  with pytest.raises(ValueError, match=r"^The path '.{40}\.\.\.' is too long, [\d,]+ letters"):
    paths.expand(path)


def test_without_a_home_directory_caches_go_with_the_process(monkeypatch, capsys):
  monkeypatch.delenv("AZERO_CACHE_DIR", raising=False)

  def nowhere(path):
    raise RuntimeError("Could not determine home directory.")

  monkeypatch.setattr(pathlib.Path, "expanduser", nowhere)
  paths._usable.cache_clear()
  directory = paths.cache_directory()
  assert directory.is_dir() and directory == paths.cache_directory()
  assert directory.stat().st_mode & 0o777 == 0o700
  assert capsys.readouterr().err == (
      "warning: there is no home directory to keep compiled code and tasks in between runs; set "
      "HOME or AZERO_CACHE_DIR.\n")
  with pytest.raises(ValueError, match="'~/runs' cannot be found: there is no home directory"):
    paths.expand("~/runs")
  paths._usable.cache_clear()


def test_where_the_cache_directory_cannot_be_made_everything_works_for_once(tmp_path):
  (tmp_path / "file").touch()
  code = (
      "from azero.compiler import cost, kernels; from azero.language import zoo;"
      "program = zoo.load('linear_regressor', 2); print(cost.costs(program, program.opcode >= 0));"
      "print(kernels.cache_directory().parents[1].exists())")
  done = subprocess.run(
      [sys.executable, "-c", code], cwd=_ROOT, text=True, capture_output=True,
      env=os.environ | {"AZERO_CACHE_DIR": str(tmp_path / "file" / "cache")})
  assert done.returncode == 0 and done.stdout.splitlines()[-1] == "True"
  assert done.stderr == (
      f"warning: '{tmp_path}/file/cache' cannot be made (Not a directory) to keep compiled code "
      "and tasks in between runs; set HOME or AZERO_CACHE_DIR.\n")
