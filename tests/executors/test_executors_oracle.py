"""Both executors agree with the oracle on random programs over all 65 ops, in float64."""

import numpy as np
import pytest
from support import chaos, random_programs
from support.random_programs import traced_evaluator

from azero.executors.evaluator import EXECUTORS

# F below and above a vector register of 8 numbers; matrices of 25 and 256 elements. The
# interpreter takes long to compile, and the golden traces test it at F = 16.
CASES = [  # F, classes, programs, executors
    (5, 3, 1000, [*EXECUTORS]),
    pytest.param(16, 0, 2000, ["waves"], marks=pytest.mark.slow)]


def _predictions(part: np.ndarray, num_features: int) -> np.ndarray:
  """Predictions as the oracle lists them: only of examples before a stop, padded to F."""
  listed = part[~np.isnan(part[:, 0]), 1:]
  if listed.shape[1] == 1:
    return listed[:, 0]
  return np.pad(listed, ((0, 0), (0, num_features - listed.shape[1])))


@pytest.mark.parametrize(("num_features", "num_classes", "count", "names"), CASES)
def test_random_programs(num_features, num_classes, count, names, monkeypatch):
  other_fitness, other_predictions = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
  evaluators = {name: traced_evaluator(num_features, num_classes, name) for name in names}
  evaluator = evaluators["waves"]
  tasks = evaluator.task_sets[0]
  programs = random_programs.random_programs(
      evaluator.space, count, seed=num_features, multiclass=tasks.multiclass, full=True)
  analysis = evaluator.analyse(programs)
  results = {name: own.evaluate(programs) for name, own in evaluators.items()}
  fitness = []
  for i in range(count):
    wanted = chaos.run_oracle(programs, analysis, i, tasks, seed=random_programs.SEED)
    fitness.append(wanted.fitness)
    for name, result in results.items():
      same_fitness = abs(result.per_task[i, 0] - wanted.fitness) <= 1e-9 * wanted.fitness
      train, valid = (_predictions(part[i, 0, 0], num_features) for part in result.trace)
      same_predictions = (
          chaos.agree(train, wanted.train_predictions)
          and chaos.agree(valid, wanted.valid_predictions))
      other_fitness[name] += not same_fitness
      other_predictions[name] += not same_predictions
      if not (same_fitness and same_predictions):
        assert chaos.is_chaotic(
            programs, analysis, i, tasks, monkeypatch, tolerance=1e-9,
            seed=random_programs.SEED), repr(programs[i])
  # The comparison means something: few programs stop, and much of them is live.
  assert np.mean(np.array(fitness) == 0) < 0.3
  assert analysis.live.sum(1).mean() > 3
  assert set(np.unique(programs.opcode[analysis.live])) == set(random_programs.ALL_OPS[1:])
  assert max(other_fitness.values()) <= 0.001 * count
  assert max(other_predictions.values()) <= 0.003 * count
