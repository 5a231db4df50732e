"""Tuning of constants: what it finds, what it costs, and that a seed decides it."""

import dataclasses

import numpy as np
import pytest

from azero.executors.single import straight_line
from azero.executors.single.direct import DirectEvaluation, DirectEvaluator
from azero.insight import tuning
from azero.language import zoo
from azero.tasks import linear_regression


@dataclasses.dataclass
class _Landscape:
  """A tunable whose fitness is known: best where every constant is 10 times its first value.

  With few examples the order of settings is the same. It notes what is asked of it.
  """

  constants: np.ndarray
  num_train: int = 64
  calls: list[tuple[int, int]] = dataclasses.field(default_factory=list)
  interrupt_at: int | None = None

  def evaluate(self, constants, *, seeds=0, num_train=None):
    if len(self.calls) == self.interrupt_at:
      raise KeyboardInterrupt
    num_train = self.num_train if num_train is None else num_train
    self.calls.append((len(constants), num_train))
    # The distance in logarithms; of signs that differ it is not a number.
    with np.errstate(invalid="raise"):
      distance = np.abs(np.log10(constants / self.constants) - 1).max(1)
    return DirectEvaluation(1 / (1 + distance)[:, None], np.full(len(constants), num_train))


def test_factors_are_log_uniform_within_the_papers_bounds():
  logs = np.log10(tuning.draw_factors(4000, 2, seed=0))
  assert -3 <= logs.min() < -2.99 and 2.99 < logs.max() <= 3
  # Every unit of the logarithm is as likely as another: 8000 / 6 each, within 4 deviations.
  counts = np.histogram(logs, bins=6, range=(-3, 3))[0]
  assert np.abs(counts - 8000 / 6).max() < 4 * np.sqrt(8000 * 5 / 36)


def test_every_trial_in_full_finds_the_best_of_all():
  landscape = _Landscape(np.array([0.5, -2.0]))
  found = tuning.random_search(landscape, num_trials=100, seed=1, reduction=1, bracket_size=33)
  every = landscape.constants * tuning.draw_factors(99, 2, seed=1)
  fitness = landscape.evaluate(every).per_task[:, 0]
  assert found.fitness == fitness.max() > found.original == 0.5
  np.testing.assert_array_equal(found.constants, every[fitness.argmax()])
  assert np.all(np.sign(found.constants) == [1, -1])
  assert landscape.calls[:-1] == [(1, 64), (33, 64), (33, 64), (33, 64)]
  assert (found.trials, found.train_steps) == (100, 100 * 64)


def test_halving_gives_up_early_and_keeps_the_best():
  landscape = _Landscape(np.array([0.5, -2.0]))
  found = tuning.random_search(
      landscape, num_trials=33, seed=1, bracket_size=32, reduction=4, min_train=4)
  assert landscape.calls == [(1, 64), (32, 4), (8, 16), (2, 64)]
  assert found.train_steps == 64 + 32 * 4 + 8 * 16 + 2 * 64
  whole = tuning.random_search(_Landscape(np.array([0.5, -2.0])), num_trials=33, seed=1,
                               reduction=1)
  np.testing.assert_array_equal(found.constants, whole.constants)


def test_the_original_constants_stay_if_nothing_is_better():
  class Flat(_Landscape):
    def evaluate(self, constants, *, seeds=0, num_train=None):
      result = super().evaluate(constants, num_train=num_train)
      return result._replace(per_task=np.full_like(result.per_task, 0.5))

  found = tuning.random_search(Flat(np.array([3.0])), num_trials=20, seed=0)
  np.testing.assert_array_equal(found.constants, [3.0])
  assert len(found.history) == 1 and found.trials == 20


@pytest.mark.parametrize("constants", [[], [0.0, 0.0]])
def test_without_constants_to_scale_there_is_nothing_to_tune(constants):
  class Fixed(_Landscape):
    def evaluate(self, constants, *, seeds=0, num_train=None):
      return DirectEvaluation(np.full((len(constants), 1), 0.5), np.full(len(constants), 64))

  found = tuning.random_search(Fixed(np.array(constants)), num_trials=20, seed=0)
  assert (found.trials, found.fitness) == (1, 0.5)


def test_ctrl_c_returns_the_best_so_far():
  landscape = _Landscape(np.array([0.5]), interrupt_at=3)
  seen = []
  found = tuning.random_search(
      landscape, num_trials=100, seed=1, reduction=1, bracket_size=10, progress=seen.append)
  assert found.interrupted and found.trials == 21 and len(seen) == 2
  assert dataclasses.replace(found, interrupted=False) == seen[-1]
  assert found.fitness > found.original


def test_bad_settings_say_what_is_wrong():
  landscape = _Landscape(np.array([0.5]))
  with pytest.raises(ValueError, match="must be at least 1 and spread above 1, got 0"):
    tuning.random_search(landscape, num_trials=0, seed=0)
  with pytest.raises(ValueError, match="min_train must be from 1 to 64"):
    tuning.random_search(landscape, num_trials=2, seed=0, min_train=65)
  with pytest.raises(ValueError, match="combine must be one of median, mean"):
    tuning.random_search(landscape, num_trials=2, seed=0, combine="max")
  assert not landscape.calls


def _badly_scaled(num_devices: int = 1) -> DirectEvaluator:
  """A linear regressor whose learning rate is a hundred times too small."""
  tasks = linear_regression(2, seed=0, num_features=8, num_train=100, num_valid=50)
  program = straight_line.with_constants(zoo.load("linear_regressor", 8), np.array([1e-4]))
  return DirectEvaluator(program, tasks, num_devices=num_devices)


def test_random_search_and_gradients_mend_a_learning_rate_with_the_same_budget():
  budget = 40
  random = tuning.random_search(_badly_scaled(), num_trials=budget, seed=0, reduction=1)
  gradient = tuning.gradient_search(_badly_scaled(), num_steps=budget - 1, seed=0)
  assert random.train_steps <= gradient.train_steps == budget * 2 * 100
  for found in (random, gradient):
    assert found.original < 0.45 and found.fitness > 0.95
    assert 0.005 < found.constants[0] <= 0.1 * (1 + 1e-6)  # no more than 1000 times the first


def test_every_step_of_a_gradient_is_a_setting_of_its_own(monkeypatch):
  tried = []
  tunable = _badly_scaled()
  evaluate = tunable.loss_and_gradient

  def recorded(constants, **settings):
    tried.append(tuple(constants))
    return evaluate(constants, **settings)

  monkeypatch.setattr(tunable, "loss_and_gradient", recorded)
  found = tuning.gradient_search(tunable, num_steps=3, seed=0)
  assert len(set(tried)) == len(tried) == found.trials == 4
  assert tried[0] == tuple(tunable.constants)


def test_tuning_has_one_result_for_a_seed_whatever_the_devices():
  results = [
      tuning.random_search(_badly_scaled(devices), num_trials=12, seed=seed)
      for devices, seed in ((1, 4), (2, 4), (1, 5))]
  np.testing.assert_array_equal(results[0].constants, results[1].constants)
  assert results[0].history == results[1].history
  assert results[0].constants[0] != results[2].constants[0]


def test_a_tuned_program_has_the_constants_that_were_found():
  tasks = linear_regression(1, seed=2, num_train=16, num_valid=16)
  slow = zoo.source("linear_regressor").replace("0.001", "0.0001")
  tuned = tuning.tune(slow, tasks, num_trials=5, seed=1, reduction=1)
  np.testing.assert_array_equal(
      straight_line.straighten(tuned.program).constants.values, tuned.tuning.constants)
  assert tuned.tuning.trials == 5 and tuned.tuning.fitness > tuned.tuning.original
  assert str(tuned).startswith(f"Fitness {tuned.tuning.original:.4f} became")
  assert str(tuned).endswith(str(tuned.program))
