"""What was evaluated for children that were taken back is not evaluated again."""

import numpy as np
import pytest
from support.search_cases import FIXED, assert_same_state, config, tasks
from support.toy_evaluator import ToyEvaluator

from azero.search.evolution import Evolution
from azero.search.scoring import recall

NO_CACHE = {"fingerprint": False, "canonical_cache": False}


class Counting(ToyEvaluator):
  """Counts the programs that it evaluates, of each number of training examples."""

  def __init__(self, *args, **settings):
    super().__init__(*args, **settings)
    self.programs = {}

  def evaluate_plan(self, plan, task_sets, device=0):
    found = super().evaluate_plan(plan, task_sets, device)
    self.programs[self.num_train] = self.programs.get(self.num_train, 0) + len(task_sets)
    return found


def evolve(evaluator=Counting, **settings):
  search = Evolution(
      FIXED, tasks(2),
      config(**({"num_devices": 1, "cycles_per_step": 500, "population_size": 50} | settings)),
      evaluator=evaluator)
  for _ in range(3):
    search.step()
  return search


@pytest.mark.parametrize("settings", [
    NO_CACHE, {"fingerprint": False}, {}, {"hurdle": 0.5}, {"constant_trials": 3},
    {"hurdle": 0.5} | NO_CACHE])
def test_nothing_but_work_depends_on_it(monkeypatch, settings):
  search = evolve(**settings)
  monkeypatch.setattr(recall, "recall", forgetful)
  plain = evolve(**settings)
  assert_same_state(search.state(), plain.state())
  done, again = (
      each._stages._full.evaluator.programs[search.task_sets[0].num_train]
      for each in (search, plain))
  assert done < again


def forgetful(memory, asked, trials, number, results):
  results.done[:number] = False


def test_without_caches_few_programs_are_evaluated_twice():
  search = evolve(**NO_CACHE)
  done = search._stages._full.evaluator.programs[search.task_sets[0].num_train]
  # Of children that were made again, only those with other parents were vain.
  assert search.counts.evaluated == search.counts.programs <= done < 1.05 * search.counts.programs


def test_it_knows_the_child_and_its_key():
  memory = recall.new_recall(2, 8)
  results = recall.new_results(3)
  results.done[:, recall.FULL] = True
  results.fitness[:, recall.FULL] = 0.25, 0.5, 0.75
  results.prints[:] = [[1, 2], [3, 4], [5, 6]]
  asked = recall.Asked(
      child=np.array([0, 0, 1]), owner=np.array([1, 1, 0]), request=np.array([0, 2]),
      nth=np.array([7, 9]),
      kept=np.array([False, False]), key=np.array([[1, 1], [2, 2], [3, 3]], np.uint64))
  recall.remember(memory, asked, 2, 3, results)
  found = recall.new_results(3)
  recall.recall(memory, asked, 2, 3, found)
  assert all(np.array_equal(*pair) for pair in zip(found, results))
  for change in ({"nth": np.array([6, 10])}, {"key": asked.key + np.uint64(1)},
                 {"owner": 1 - asked.owner}):
    found = recall.new_results(3)
    recall.recall(memory, asked._replace(**change), 2, 3, found)
    assert not found.done.any()
  kept = recall.new_recall(2, 8)
  recall.remember(kept, asked._replace(kept=np.array([True, False])), 2, 3, results)
  recall.recall(kept, asked, 2, 3, found)
  assert found.done.any(1).tolist() == [False, False, True]


@pytest.mark.parametrize(("fitness", "told"), [
    (np.nan, "NaN"), (np.inf, "infinity"), (-5.25, "-5.25")])
def test_a_fitness_that_cannot_be_one_is_an_error(fitness, told):
  class Broken(ToyEvaluator):
    """Gives NaN, which stands for a fitness that is still to come; or less than those that fail."""

    def evaluate_plan(self, plan, task_sets, device=0):
      found = super().evaluate_plan(plan, task_sets, device)
      return found._replace(fitness=np.full_like(found.fitness, fitness))

  with pytest.raises(ValueError, match=f"was given {told} as its fitness"):
    evolve(Broken)
