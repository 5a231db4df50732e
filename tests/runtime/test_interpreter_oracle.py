"""The interpreter agrees with the oracle on random programs over all 65 ops, in float64."""

import counter_hash
import numpy as np
import oracle
import random_programs
from random_programs import traced_evaluator

from azero.compiler.canonical import Analysis
from azero.language.program import Programs
from azero.tasks.task import Tasks

# F below and above a vector register of 8 numbers; matrices of 25 and 256 elements.
CASES = [(5, 3, 1000), (16, 0, 2000)]  # F, classes, number of programs


def _draw(programs: Programs, analysis: Analysis, index: int, tasks: Tasks) -> oracle.Draw:
  """The oracle's source of the numbers that the runtime is to draw."""
  before_learn = int(analysis.live[index, : programs.space.offsets[2]].sum())

  def draw(site: oracle.Site, shape: tuple[int, ...], distribution: str) -> np.ndarray:
    phase = {"setup": "setup", "train": "train_predict", "valid": "valid_predict"}[site.phase]
    if phase == "train_predict" and site.position >= before_learn:
      phase = "learn"
    count = tasks.num_valid if phase == "valid_predict" else tasks.num_train
    return counter_hash.numbers(
        site.seed, site.task_seed, phase, site.epoch * count + site.step, site.position, shape,
        distribution)

  return draw


def _oracle(programs: Programs, analysis: Analysis, index: int, tasks: Tasks) -> oracle.Trace:
  return oracle.evaluate(
      programs, index, tasks, 0, seed=random_programs.SEED, positions=analysis.position[index],
      draw=_draw(programs, analysis, index, tasks))


def _predictions(part: np.ndarray, num_features: int) -> np.ndarray:
  """Predictions as the oracle lists them: only of examples before a stop, padded to F."""
  listed = part[~np.isnan(part[:, 0]), 1:]
  if listed.shape[1] == 1:
    return listed[:, 0]
  return np.pad(listed, ((0, 0), (0, num_features - listed.shape[1])))


def _agree(got: np.ndarray, wanted: np.ndarray) -> bool:
  wanted = wanted.reshape(len(wanted), *got.shape[1:])
  return got.shape == wanted.shape and np.allclose(got, wanted, rtol=1e-9, atol=1e-12)


def _is_chaotic(
    programs: Programs, analysis: Analysis, index: int, tasks: Tasks, monkeypatch
) -> bool:
  """Whether rounding errors, 1e-15 in the result of every op, change the oracle's own answer."""
  rng = np.random.default_rng(0)
  compute = oracle.compute

  def inexact(*args):
    value = compute(*args)
    return value * (1 + 1e-15 * rng.uniform(-1, 1, np.shape(value)))

  own = _oracle(programs, analysis, index, tasks)
  with monkeypatch.context() as patch:
    patch.setattr(oracle, "compute", inexact)
    others = [_oracle(programs, analysis, index, tasks) for _ in range(20)]
  return any(
      abs(other.fitness - own.fitness) > 1e-9 * own.fitness
      or not _agree(other.train_predictions, own.train_predictions)
      or not _agree(other.valid_predictions, own.valid_predictions)
      for other in others)


def test_random_programs(monkeypatch):
  other_fitness, other_predictions = 0, 0
  for num_features, num_classes, count in CASES:
    evaluator = traced_evaluator(num_features, num_classes)
    tasks = evaluator.task_sets[0]
    programs = random_programs.random_programs(
        evaluator.space, count, seed=num_features, multiclass=tasks.multiclass, full=True)
    analysis = evaluator.analyse(programs)
    result = evaluator.evaluate(programs)
    fitness = []
    for i in range(count):
      wanted = _oracle(programs, analysis, i, tasks)
      fitness.append(wanted.fitness)
      same_fitness = abs(result.per_task[i, 0] - wanted.fitness) <= 1e-9 * wanted.fitness
      train, valid = (_predictions(part[i, 0, 0], num_features) for part in result.trace)
      same_predictions = (
          _agree(train, wanted.train_predictions) and _agree(valid, wanted.valid_predictions))
      other_fitness += not same_fitness
      other_predictions += not same_predictions
      if not (same_fitness and same_predictions):
        assert _is_chaotic(programs, analysis, i, tasks, monkeypatch), repr(programs[i])
    # The comparison means something: few programs stop, and much of them is live.
    assert np.mean(np.array(fitness) == 0) < 0.3
    assert analysis.live.sum(1).mean() > 3
    assert set(np.unique(programs.opcode[analysis.live])) == set(random_programs.ALL_OPS[1:])
  total = sum(count for *_, count in CASES)
  assert other_fitness <= 0.001 * total
  assert other_predictions <= 0.003 * total
