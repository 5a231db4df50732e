"""Density: shortcuts change no count, and acceptance is that of the mean RMS error."""

import dataclasses
import pickle

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from azero.compiler import dependence
from azero.compiler.arrays import arrays, scratch, tables
from azero.executors.evaluator import Evaluator
from azero.language import spaces, text
from azero.language.program import Component, Programs
from azero.search import draws
from azero.search.config import SearchConfig
from azero.search.proposals import learners, mutation
from azero.tasks import linear_regression
from experiments.details import task_difficulty_density as density

_SPACE = dataclasses.replace(
    spaces.linear(4, learn_only=True), num_scalars=3, predict=Component((18, 27, 56), 3, 3, False),
    learn=Component((2, 18, 23), 3, 3))
_HEAD = (
    "def Setup():\ndef Predict():\n s2 = 0.1\n v2 = s2 * v0\n s1 = dot(v0, v1)\ndef Learn():\n")
_LEARN = " s1 = s0 - s1\n v2 = s1 * v2\n v1 = v1 + v2\n"
_DRAWS = 150_000


def _tasks(count):
  return [linear_regression(3, seed=seed, num_train=50, num_valid=10) for seed in range(count)]


@pytest.fixture(scope="module")
def template():
  return text.parse(_HEAD, _SPACE)


@pytest.fixture(scope="module")
def acceptance():
  return density.Acceptance(text.parse(_HEAD + _LEARN, _SPACE), _SPACE, _tasks(2), factor=2.0)


def _sample(template, acceptance, **settings):
  return density.sample(
      _SPACE, _tasks(2), acceptance, _DRAWS, seed=4, template=template, lanes=64, keep=1000,
      **settings)


@pytest.fixture(scope="module")
def sampled(template, acceptance):
  """A sample, and what it told of its progress."""
  seen = []
  found = _sample(template, acceptance, on_batch=lambda sample: seen.append(sample.programs))
  return found, seen


def test_every_random_program_is_counted(template, acceptance, sampled):
  found, _ = sampled
  assert found.programs == _DRAWS
  assert found.evaluated < found.learning < _DRAWS / 2
  # The same, by running all of them.
  evaluator = Evaluator(_SPACE, _tasks(2), lanes=64)
  acceptable, learning = 0, 0
  for island in range(2):
    programs = mutation.random_programs(
        _SPACE, _DRAWS // 2, seed=4, island=island, template=template)
    learning += int(dependence.can_learn(programs, normalised=False, passed=3).sum())
    error = density.rms_error(evaluator.evaluate(programs, island).per_task).mean(1)
    acceptable += int((error <= acceptance.limits[island]).sum())
  assert found.learning == learning
  assert found.acceptable == acceptable >= 5


def test_an_odd_number_is_shared_as_well(template, acceptance, monkeypatch):
  monkeypatch.setattr(density, "_BATCH", 300)
  seen = []
  found = density.sample(
      _SPACE, _tasks(2), acceptance, 1801, seed=4, template=template, lanes=64,
      on_batch=lambda sample: seen.append(sample.programs))
  assert found.programs == 1801 and seen == [300, 600, 900, 1200, 1500, 1800, 1801]


def test_programs_that_cannot_learn_change_no_count(template, acceptance, sampled):
  (some, _), every = sampled, _sample(template, acceptance, exhaustive=True)
  assert some.acceptable == every.acceptable and some.found == every.found
  assert every.learning == _DRAWS > some.learning


@pytest.mark.parametrize("num_features, num_tasks, part", [(1, 2, 0.2), (2, 3, 0.4), (4, 2, 0.45)])
def test_the_chance_of_a_guess_is_bounded(num_features, num_tasks, part):
  generator, hits, guesses = np.random.default_rng(5), 0, 2000
  for seed in range(20):
    tasks = linear_regression(
        num_tasks, seed=seed, num_features=num_features, num_train=5, num_valid=30)
    limit = part * np.std(tasks.valid_y, axis=1).mean()
    weights = generator.standard_normal((guesses, num_tasks, num_features))
    errors = np.einsum("ndf,dvf->ndv", weights, tasks.valid_x) - tasks.valid_y
    hits += int((np.sqrt((errors**2).mean(2)).mean(1) <= limit).sum())
    assert density.guess_chance(limit, tasks) == pytest.approx(
        (2 * part) ** (num_features * num_tasks))
  assert 0 < hits / (20 * guesses) < (2 * part) ** (num_features * num_tasks)


def test_nobody_is_said_to_guess_what_cannot_be_guessed(sampled):
  found, _ = sampled
  tasks = linear_regression(10, seed=0, num_features=8)
  constant = np.std(tasks.valid_y, axis=1).mean()
  assert density.guess_chance(0.1 * constant, tasks) < 1e-50
  assert density.guess_chance(0.5 * constant, tasks) == 1.0
  assert found.learning < _DRAWS


@pytest.mark.parametrize("factor, least, kept", [(20.0, 0, 0), (100.0, 101, 5)])
def test_where_guesses_may_be_acceptable_all_are_run(template, factor, least, kept):
  loose = density.Acceptance(text.parse(_HEAD + _LEARN, _SPACE), _SPACE, _tasks(2), factor=factor)
  some, every = (
      density.sample(
          _SPACE, _tasks(2), loose, 4000, seed=4, template=template, lanes=64, keep=5,
          exhaustive=exhaustive)
      for exhaustive in (False, True))
  assert some == every and some.learning == 4000
  assert some.acceptable >= least and len(some.found) == kept


def test_progress_is_told_after_every_batch(sampled):
  assert sampled[1] == [_DRAWS // 2, _DRAWS]


@pytest.mark.parametrize("room, passed", [(7, 3), (8192, 0)])
@pytest.mark.parametrize("space, head", [
    (_SPACE, _HEAD), (spaces.linear(4), None), (spaces.demo(), None), (spaces.affine(4), None)],
    ids=["learn only", "linear", "demo", "affine"])
def test_the_programs_that_can_learn_are_drawn(space, head, room, passed):
  count = 2000 if head else 20_000
  template = Programs.empty(space) if head is None else text.parse(head, space)
  every = mutation.random_programs(
      space, count, seed=5, island=3, first=11, template=template)
  wanted = every[np.flatnonzero(
      dependence.can_learn(every, normalised=False, passed=passed))]
  found, drawn = template[np.zeros(room, int)], []
  urn = learners.Urn(
      tables(space), draws.seed_word(5), passed, scratch(space), draws.new_stream())
  first = 11
  while first < 11 + count:
    number, first = learners.draw_learners(arrays(found), 3, first, 11 + count, urn)
    drawn.append(found[np.arange(number)])
  assert Programs.concatenate(drawn) == wanted and len(wanted) >= 20


def test_an_interrupted_sample_stops(template, acceptance):
  def interrupt(_):
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    _sample(template, acceptance, on_batch=interrupt)


def test_the_reference_is_acceptable_up_to_its_own_error():
  reference = text.parse(_HEAD + _LEARN, _SPACE)
  slow = text.parse(_HEAD.replace("0.1", "0.01") + _LEARN, _SPACE)
  both = Programs.concatenate([reference, slow])
  acceptance = density.Acceptance(reference, _SPACE, _tasks(1))
  assert acceptance.accepts(both, np.zeros(2, int)).tolist() == [True, False]
  error = density.rms_error(Evaluator(_SPACE, _tasks(1)).evaluate(reference).per_task)
  assert acceptance.limits == pytest.approx([error.mean()])


def test_the_error_is_read_back_from_the_fitness():
  errors = np.array([1e-4, 0.5, 3.0])
  assert density.rms_error(1 - 2 / np.pi * np.arctan(errors)) == pytest.approx(errors)
  assert density.rms_error(np.array([0.0])) == np.inf


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=8))
def test_no_acceptable_program_is_below_the_bound(errors):
  fitness = 1 - 2 / np.pi * np.arctan(np.array(errors))
  bound = 1 - 2 / np.pi * np.arctan(2 * np.mean(errors))
  assert min(np.median(fitness), np.mean(fitness)) >= bound - 1e-12


def test_experiments_end_with_their_first_acceptable_program(template):
  task_sets = _tasks(6)
  acceptance = density.Acceptance(
      text.parse(_HEAD + _LEARN, _SPACE), _SPACE, task_sets, factor=2.0)
  config = SearchConfig(
      population_size=100, mutations=("alter", "randomize_function"), initial="random",
      cycles_per_step=10, max_programs=1500, combine="mean", lanes=64)
  search = density.RepeatedEvolution(_SPACE, task_sets, config, acceptance, template=template)
  while not search.accepted:
    search.step()
  stopped = pickle.loads(pickle.dumps(search))
  for each in (search, stopped):
    while not each.finished:
      each.step()
  np.testing.assert_array_equal(search.accepted_at, stopped.accepted_at)
  assert {i: repr(program) for i, program in search.accepted.items()} == {
      i: repr(program) for i, program in stopped.accepted.items()}
  islands = sorted(search.accepted)
  assert 0 < len(islands) < 6
  programs = Programs.concatenate([search.accepted[island] for island in islands])
  assert acceptance.accepts(programs, np.array(islands)).all()
  for island in range(6):
    at = search.accepted_at[island]
    if island in search.accepted:
      assert search.num_programs[island] - 10 < at <= search.num_programs[island]
    else:
      assert at == -1 and search.num_programs[island] == 1500
  alone = density.Acceptance(
      text.parse(_HEAD + _LEARN, _SPACE), _SPACE, task_sets, factor=2.0)
  others = [island for island in range(6) if island not in search.accepted]
  assert not alone.accepts(search.best_programs[others], np.array(others)).any()


def test_bad_references_are_refused():
  reference = text.parse(_HEAD + _LEARN, _SPACE)
  with pytest.raises(ValueError, match="factor must be positive"):
    density.Acceptance(reference, _SPACE, _tasks(1), factor=0.0)
  diverging = text.parse(_HEAD.replace("0.1", "90.0") + _LEARN, _SPACE)
  with pytest.raises(ValueError, match="reference itself fails"):
    density.Acceptance(diverging, _SPACE, _tasks(1))
  tasks = _tasks(1)[0]
  train_y, valid_y = ((labels > 0) * 1.0 for labels in (tasks.train_y, tasks.valid_y))
  binary = dataclasses.replace(tasks, metric="accuracy", train_y=train_y, valid_y=valid_y)
  with pytest.raises(ValueError, match="matter of RMS errors"):
    density.Acceptance(reference, _SPACE, [binary])
