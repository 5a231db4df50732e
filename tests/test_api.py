"""Searching in a few lines: what may be given, what is refused, and what can be kept."""

import dataclasses
import pickle

import numpy as np
import pytest
from support.search_cases import FIXED, config, tasks

import azero
from azero import api
from azero.runs import runner
from azero.runs.directory import settings_of
from azero.search.evolution import Evolution
from azero.search.groups.federation import Federation, Group
from azero.search.groups.migration import Migration
from experiments import export, linear_regression
from experiments.frame import study

_TEXT = "def Predict():\n  s1 = dot(v0, v1)\n  s2 = s1 * s1\n"
_SMALL = {
    "population_size": 6, "tournament_size": 3, "initial": "random", "lanes": 16, "num_devices": 1,
    "max_programs": 20, "progress": "off"}


@pytest.fixture
def begun(monkeypatch):
  """The searches that are begun; none is run."""
  searches = []
  monkeypatch.setattr(runner, "run", lambda search, **rest: searches.append(search))
  return searches


def _data() -> azero.tasks.CustomData:
  x = np.random.default_rng(0).normal(size=(40, 4))
  return azero.from_arrays(x, x @ np.arange(4.0), num_tasks=2)


@pytest.mark.parametrize("method", [azero.evolve, azero.random_search])
def test_the_search_tasks_of_a_data_set_are_searched_on(method, begun):
  data = _data()
  method(FIXED, data, **_SMALL)
  assert begun[0].task_sets == [data.search]


def _started(method):
  """Settings with which a template is what a search starts from."""
  return _SMALL | ({"initial": "empty"} if method is azero.evolve else {})


def test_a_template_that_random_programs_overwrite_is_refused():
  with pytest.raises(ValueError, match='template has no effect with initial="random"'):
    azero.evolve(FIXED, tasks(2), template=_TEXT, **_SMALL)


@pytest.mark.parametrize("method", [azero.evolve, azero.random_search])
@pytest.mark.parametrize("template", [_TEXT, [_TEXT, _TEXT]])
def test_a_template_may_be_text(method, template, begun):
  method(FIXED, tasks(2), template=template, **_started(method))
  count = 1 if isinstance(template, str) else 2
  assert begun[0].template == azero.parse_many([_TEXT] * count, FIXED)


def test_text_of_several_classes_keeps_their_vectors(begun):
  space = dataclasses.replace(FIXED, num_vectors=3)
  x = np.random.default_rng(0).normal(size=(60, 4))
  data = azero.from_arrays(x, np.arange(60) % 3, num_tasks=1)
  azero.evolve(space, data, template="def Predict():\n  v2 = s1 * v0\n  v2 = s2 * v2\n",
               **_started(azero.evolve))
  assert begun[0].task_sets[0].multiclass and len(begun[0].template) == 1


@pytest.mark.parametrize(("given", "message"), [
    ({"tasks": None}, "tasks must be Tasks, a list of them .* got None"),
    ({"tasks": []}, "tasks must be Tasks"),
    ({"tasks": [1]}, "tasks must be Tasks"),
    ({"seed": None}, "seed must be a whole number, got None"),
    ({"max_programs": None}, "would never end"),
    ({"max_programs": 1.5}, "max_programs must be a whole number or None, got 1.5"),
    ({"should_stop": 3}, "should_stop must be a function of the search, got 3"),
    ({"template": "def Predict():\n  s1 = nonsense(v0)\n"}, "line 2"),
    ({"checkpoint_seconds": -1.0}, "must not be negative"),
    ({"progress": "loud"}, "loud"),
    ({"num_devices": 99}, "num_devices must be from 1"),
    ({"mutations": ("fly",)}, "fly"),
    ({"population": 3}, "population"),
])
def test_a_run_that_is_refused_leaves_no_directory(given, message, tmp_path):
  arguments = _SMALL | {"tasks": tasks(), "directory": tmp_path / "a" / "run"} | given
  with pytest.raises((ValueError, TypeError), match=message):
    azero.evolve(FIXED, arguments.pop("tasks"), **arguments)
  assert list(tmp_path.iterdir()) == []


_TASKS = azero.linear_regression(num_tasks=2, seed=0, num_train=10, num_valid=5)
_MEAN = "def Setup():\ndef Predict():\n  s1 = mean(v0)\ndef Learn():"


@pytest.mark.parametrize(("settings", "message"), [
    ({"sed": 1}, "Unknown setting 'sed'; did you mean seed?"),
    ({"lanes": 2.5}, "lanes must be a whole number, got 2.5"),
    ({"num_devices": "1"}, "num_devices must be a whole number, got '1'"),
    ({"num_devices": 1.5}, "num_devices must be a whole number, got 1.5"),
    ({"max_abs_error": "x"}, "max_abs_error must be positive, got 'x'"),
    ({"executor": ["waves"]}, r"executor must be one of .*, got \['waves'\]"),
    ({"combine": ["mean"]}, r"combine must be one of .*, got \['mean'\]"),
    ({"tasks": [_TASKS, _TASKS]}, "tasks must be Tasks, one batch of them")])
def test_what_nothing_is_evaluated_with(settings, message):
  with pytest.raises(ValueError, match=message):
    azero.evaluate(_MEAN, **({"tasks": _TASKS} | settings))


@pytest.mark.parametrize("search", [azero.evolve, azero.random_search])
def test_what_nothing_is_searched_with(search):
  space = azero.spaces.demo()
  with pytest.raises(ValueError, match=r"space must be a SearchSpace, .* got 'demo'"):
    search("demo", _TASKS, max_programs=1)
  for template in (3, [3]):
    with pytest.raises(ValueError, match="template must be Programs, a text or several"):
      search(space, _TASKS, max_programs=1, template=template)
  with pytest.raises(ValueError, match=r"method \['paper'\]; use one of paper, azero"):
    azero.evolve(space, _TASKS, max_programs=1, method=["paper"])


@pytest.mark.parametrize("setting", [
    {"filters": ("valid",)}, {"constant_trials": 2}, {"structure_limit": 4}, {"initial": "grown"}])
def test_random_search_refuses_what_it_has_not(setting):
  [name] = setting
  with pytest.raises(ValueError, match=f"Random search has no {name}: each program is random"):
    azero.random_search(azero.spaces.demo(), _TASKS, max_programs=1, **setting)


def test_a_data_set_is_not_evaluated_as_a_whole():
  with pytest.raises(ValueError, match="give its search, select or final tasks"):
    azero.evaluate(_TEXT, _data())


def test_settings_that_are_no_json_leave_no_directory(tmp_path):
  with pytest.raises(TypeError):
    azero.runs.directory.RunDirectory(tmp_path / "a" / "run", {"seed": object()})
  assert list(tmp_path.iterdir()) == []


def test_a_result_is_pickled_and_goes_on():
  result = azero.evolve(FIXED, tasks(2), seed=np.int64(3), **_SMALL)
  read = pickle.loads(pickle.dumps(result))
  assert (read.status, read.seconds, read.metrics) == ("budget", result.seconds, result.metrics)
  assert read.improvements == result.improvements
  one, other = result.search, read.search
  assert settings_of(other) == settings_of(one)
  assert [(e.fitness, e.program) for e in other.hall_of_fame] == [
      (e.fitness, e.program) for e in one.hall_of_fame]
  np.testing.assert_array_equal(other.num_programs, one.num_programs)
  assert other.counts == one.counts and other.population == one.population
  assert other.finished


def test_a_search_that_was_pickled_goes_on_as_if_it_had_not_been():
  searches = [Evolution(FIXED, tasks(2), config(max_programs=40))]
  searches[0].step()
  searches[0].step()
  searches.append(pickle.loads(pickle.dumps(searches[0])))
  for search in searches:
    search.step()
    search.step()
  assert searches[0].population == searches[1].population
  np.testing.assert_array_equal(searches[0].fitness, searches[1].fitness)
  assert searches[0].cycle == searches[1].cycle == 4


def test_a_federation_is_pickled():
  settings = config(max_programs=40)
  groups = [Group(name=name, space=FIXED, task_sets=tasks(2), config=settings) for name in "ab"]
  federation = Federation(groups, Migration(every=20))
  federation.step()
  read = pickle.loads(pickle.dumps(federation))
  assert settings_of(read) == settings_of(federation) and read.cycle == federation.cycle
  for one, other in zip(federation.searches, read.searches):
    assert one.population == other.population


def test_the_names_of_the_module():
  assert azero.evolve is api.evolve and azero.random_search is api.random_search


def test_a_run_without_an_experiment_is_exported_and_not_continued_by_one(tmp_path):
  path = tmp_path / "run"
  result = azero.evolve(
      FIXED, tasks(1), initial="random", max_programs=40, population_size=10, tournament_size=3,
      directory=path, progress="off")
  config = export.Config(program=str(path), output=str(tmp_path / "a.json"), format="json")
  export.run(config)
  best = azero.export.from_json((tmp_path / "a.json").read_text())
  assert str(best) == str(result.search.hall_of_fame.best.program)
  with pytest.raises(ValueError, match="not begun by an experiment: continue it in Python"):
    study.continued(linear_regression.Config, path)
