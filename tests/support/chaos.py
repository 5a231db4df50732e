"""The oracle on the random numbers of the runtime, and whether rounding changes its answer."""

import functools

import numpy as np
from reference import counter_hash, oracle

from azero.compiler.canonical import Analysis
from azero.executors.interpreter import evaluation
from azero.language.program import Function, Programs
from azero.tasks.task import Tasks

_TRIALS = 20
# Rounding of the result of an op: an ulp of the type of memory.
ROUNDING = {"float64": 1e-15, "float32": 6e-8}


def run_oracle(
    programs: Programs, analysis: Analysis, index: int, tasks: Tasks, task: int = 0, *,
    seed: int, num_epochs: int = 1,
) -> oracle.Trace:
  """Program `index` on a task, with the random numbers that the runtime is to draw."""
  learn = programs.space.offsets[Function.LEARN]
  before_learn = int(analysis.live[index, :learn].sum())

  def draw(site: oracle.Site, shape: tuple[int, ...], distribution: str) -> np.ndarray:
    phase = {"setup": "setup", "train": "train_predict", "valid": "valid_predict"}[site.phase]
    if phase == "train_predict" and site.position >= before_learn:
      phase = "learn"
    count = tasks.num_valid if phase == "valid_predict" else tasks.num_train
    return counter_hash.numbers(
        site.seed, site.task_seed, phase, site.epoch * count + site.step, site.position, shape,
        distribution)

  orders = evaluation.epoch_orders(tasks.seeds, num_epochs, tasks.num_train)[:, :, task]
  return oracle.evaluate(
      programs, index, tasks, task, num_epochs=num_epochs, seed=seed,
      positions=analysis.position[index], epoch_orders=orders, draw=draw)


def is_chaotic(programs: Programs, analysis: Analysis, index: int, tasks: Tasks, monkeypatch, *,
               tolerance: float, dtype: str = "float64", **kwargs) -> bool:
  """Whether an ulp in the result of every op changes the oracle's own answer on a task.

  Args:
    programs: the batch.
    analysis: of the batch.
    index: which program.
    tasks: the batch of tasks.
    monkeypatch: to make the oracle inexact.
    tolerance: relative change that counts, of the fitness or a prediction.
    dtype: the type that rounds.
    **kwargs: as of `run_oracle`.
  """
  rng = np.random.default_rng(0)
  compute = oracle.compute

  def inexact(*args):
    value = compute(*args)
    with np.errstate(all="ignore"):
      return value * (1 + ROUNDING[dtype] * rng.uniform(-1, 1, np.shape(value)))

  run = functools.partial(run_oracle, programs, analysis, index, tasks, **kwargs)
  own = run()
  with monkeypatch.context() as patch:
    patch.setattr(oracle, "compute", inexact)
    others = [run() for _ in range(_TRIALS)]
  return any(
      abs(other.fitness - own.fitness) > tolerance * own.fitness
      or not agree(other.train_predictions, own.train_predictions, tolerance)
      or not agree(other.valid_predictions, own.valid_predictions, tolerance)
      for other in others)


def agree(got: np.ndarray, wanted: np.ndarray, tolerance: float = 1e-9) -> bool:
  """Whether predictions agree in number and value."""
  if len(got) != len(wanted):
    return False
  wanted = wanted.reshape(len(wanted), *got.shape[1:])
  return got.shape == wanted.shape and np.allclose(
      got, wanted, rtol=tolerance, atol=tolerance / 1000)
