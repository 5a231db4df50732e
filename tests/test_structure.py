"""The house rules that a machine can check."""

import ast
import dataclasses
import functools
import graphlib
import inspect
import pathlib
import re
import sys

import pytest

import azero
from azero.executors import evaluator
from azero.executors.interpreter import evaluation
from azero.language import ops, program
from azero.search import config as search_config
from azero.search.groups import federation, migration

_ROOT = pathlib.Path(__file__).parents[1]
# The rooms along the road of the data; each may import from itself and from those before it.
_ROAD = (
    "language", "tasks", "compiler", "executors", "search", "runs", "distributed", "insight",
    "export", "report", "estimators")
_BELOW = ("files", "html_text", "lazy", "memory", "paths")  # modules that every room may use
# The same for the experiments, of which each may import from all of these and from no other one.
_EXPERIMENTS_ROAD = ("frame", "benchmarks", "simulations", "details")
# Rooms that need less of the road than lies before them.
_NEVER = {("tasks", "language"), ("compiler", "tasks")}
# Modules of our own that are loaded when first needed, since what they import takes long.
_LATE = {
    "azero.executors.devices", "azero.insight.plots.progress_plot", "azero.language.rules",
    "azero.paths", "azero.runs.checkpoint_files", "azero.search.protocol",
    "experiments.frame.study"}
_MAX_PARAMETERS, _MAX_LINES = 6, 60
_LARGER = {
    # The definition of what an evaluation does is read in one piece.
    "azero.executors.interpreter.evaluation.evaluate",
    # As Numba wants it: a context, then what it calls.
    "azero.search.proposals.foreign._call_compiled"}


def _name(path: pathlib.Path) -> str:
  """Of a module: azero.language.ops."""
  return ".".join(path.relative_to(_ROOT).with_suffix("").parts).removesuffix(".__init__")


_PATHS = {
    _name(path): path
    for path in sorted([*_ROOT.glob("azero/**/*.py"), *_ROOT.glob("experiments/**/*.py")])}


@functools.cache
def _tree(module: str) -> ast.Module:
  return ast.parse(_PATHS[module].read_text(encoding="utf-8"))


@pytest.fixture(scope="module", autouse=True)
def _forget():
  """So many nodes would be in the way of every garbage collection afterwards."""
  yield
  _tree.cache_clear()


def _functions(module: str) -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
  """All of a module, nested ones too, with their names: azero.language.ops.columns."""
  return [
      (f"{module}.{node.name}", node) for node in ast.walk(_tree(module))
      if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _imported(node: ast.AST) -> set[str]:
  """The modules that are imported anywhere in it, in functions too."""
  names = set()
  for inner in ast.walk(node):
    if isinstance(inner, ast.Import):
      names |= {alias.name for alias in inner.names}
    elif isinstance(inner, ast.ImportFrom) and inner.module:
      for alias in inner.names:
        inside = f"{inner.module}.{alias.name}"
        names.add(inside if inside in _PATHS else inner.module)
  return names


@pytest.mark.parametrize("module", _PATHS)
def test_modules_are_documented_and_import_one_way(module):
  assert ast.get_docstring(_tree(module))
  imported = _imported(_tree(module))
  package, *rest = module.split(".")
  assert not any(re.match(r"jax\._src", name) for name in imported)
  if package != "azero":
    return
  assert not any(name.split(".")[0] in ("absl", "experiments") for name in imported)
  rooms = {name.split(".")[1] for name in imported if name.startswith("azero.")}
  if rest and rest[0] in _ROAD:
    assert rooms <= {*_BELOW, *_ROAD[: _ROAD.index(rest[0]) + 1]}
    assert not any((rest[0], other) in _NEVER for other in rooms)
  elif rest and rest[0] in _BELOW:
    assert not rooms


@pytest.mark.parametrize("module", [
    name for name in _PATHS if name.startswith("experiments.")])
def test_experiments_import_what_they_share_and_not_each_other(module):
  rooms = [
      name.split(".")[1] for name in _imported(_tree(module))
      if name.startswith("experiments.")]
  own = module.split(".")[1]
  known = own in _EXPERIMENTS_ROAD and _EXPERIMENTS_ROAD[: _EXPERIMENTS_ROAD.index(own) + 1]
  assert set(rooms) <= set(known or _EXPERIMENTS_ROAD)


def test_no_module_imports_itself_over_others():
  below = {
      name: {other for other in _imported(_tree(name)) if other in _PATHS} - {name}
      for name in _PATHS}
  graphlib.TopologicalSorter(below).prepare()  # raises CycleError, which names the circle


def _room(name):
  """The package of a module, or the module itself if it is the method's own: `azero.search`."""
  parts = name.split(".")
  return ".".join(parts[:3]) if parts[:2] == ["azero", "search"] else ".".join(parts[:2])


def test_no_room_of_the_search_imports_itself_over_others():
  below = {}
  for name in _PATHS:
    if name.startswith("azero.search."):
      below.setdefault(_room(name), set()).update(
          _room(other) for other in _imported(_tree(name)) if other in _PATHS)
  for room, others in below.items():
    others.discard(room)
  assert "azero.search.rounds" in below and len(below) > 20
  graphlib.TopologicalSorter(below).prepare()


@pytest.mark.parametrize("module", _PATHS)
def test_functions_are_short_and_take_few_arguments(module):
  for name, node in _functions(module):
    if name in _LARGER:
      continue
    arguments = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    assert node.end_lineno - node.lineno < _MAX_LINES, name
    given = [argument for argument in arguments if argument not in ("self", "cls")]
    assert len(given) <= _MAX_PARAMETERS, name


@pytest.mark.parametrize("module", _PATHS)
def test_only_what_takes_long_is_imported_late(module):
  for function, node in _functions(module):
    for name in _imported(node):
      top = name.split(".")[0]
      late = name in _LATE or top not in {"azero", "experiments", *sys.stdlib_module_names}
      assert late, f"{function} imports {name}"


@pytest.mark.parametrize("config", [
    search_config.SearchConfig, program.SearchSpace, program.Component, program.Programs, ops.Op,
    evaluation.Spec, federation.Group, migration.Migration])
def test_every_field_is_documented(config):
  documented = set(re.findall(r"^\s+(\w+): ", inspect.getdoc(config), re.MULTILINE))
  assert {field.name for field in dataclasses.fields(config)} <= documented


def test_every_parameter_of_the_evaluator_is_documented():
  documented = inspect.getdoc(evaluator.Evaluator.__init__)
  for name in list(inspect.signature(evaluator.Evaluator.__init__).parameters)[1:]:
    assert re.search(rf"^\s+{name}: ", documented, re.MULTILINE), name


def test_public_names_exist_and_are_documented():
  for name in azero.__all__:
    assert inspect.getdoc(getattr(azero, name)), name
