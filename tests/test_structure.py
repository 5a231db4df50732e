"""The house rules that a machine can check."""

import ast
import dataclasses
import inspect
import pathlib
import re

import pytest

import azero
from azero.executors import evaluator
from azero.executors.interpreter import evaluation
from azero.language import ops, program
from azero.search import federation, migration, search

_ROOT = pathlib.Path(__file__).parents[1]
_MODULES = sorted([*_ROOT.glob("azero/**/*.py"), *_ROOT.glob("experiments/**/*.py")])
# The rooms along the road of the data; each may import from itself and from those before it.
_ROAD = (
    "language", "tasks", "compiler", "executors", "search", "runs", "distributed", "insight")
# What every room may use: it imports nothing of azero.
_TOOLS = {"lazy", "paths"}
# Rooms that need less of the road than lies before them.
_NEVER = {("tasks", "language"), ("compiler", "tasks")}


def _imported(path: pathlib.Path) -> set[str]:
  names = set()
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      names |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom) and node.module:
      names |= {f"{node.module}.{alias.name}" for alias in node.names}
  return names


@pytest.mark.parametrize("path", _MODULES, ids=lambda path: str(path.relative_to(_ROOT)))
def test_modules_are_short_documented_and_import_one_way(path):
  source = path.read_text()
  assert len(source.splitlines()) <= 400
  assert ast.get_docstring(ast.parse(source))
  imported = _imported(path)
  room = path.relative_to(_ROOT).parts[1] if path.parent != _ROOT / "azero" else None
  assert not any(re.match(r"jax\._src", name) for name in imported)
  if path.is_relative_to(_ROOT / "azero"):
    assert not any(name.split(".")[0] in ("absl", "experiments") for name in imported)
  if path.stem in _TOOLS and room is None:
    assert not any(name.split(".")[0] == "azero" for name in imported)
  if room in _ROAD:
    rooms = {name.split(".")[1] for name in imported if name.startswith("azero.")} - _TOOLS
    assert rooms <= set(_ROAD[: _ROAD.index(room) + 1])
    assert not any((room, other) in _NEVER for other in rooms)


@pytest.mark.parametrize("config", [
    search.SearchConfig, program.SearchSpace, program.Component, program.Programs, ops.Op,
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
