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
# A type of a wider range: that of the processor's own registers for float64.
_WIDER = {"float64": np.longdouble, "float32": np.float64}


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
  return any(
      _differ(_run_with(inexact, run, monkeypatch), own, tolerance) for _ in range(_TRIALS))


def hangs_on_overflow(
    programs: Programs, analysis: Analysis, index: int, tasks: Tasks, monkeypatch, *,
    tolerance: float, dtype: str = "float64", **kwargs) -> bool:
  """Whether the oracle's answer on a task is another one where nothing overflows.

  A sum of products that overflow is NaN or infinite, as multiplication and addition are fused.

  Args:
    programs: the batch.
    analysis: of the batch.
    index: which program.
    tasks: the batch of tasks.
    monkeypatch: to give the oracle other numbers.
    tolerance: relative change that counts, of the fitness or a prediction.
    dtype: the type that overflows.
    **kwargs: as of `run_oracle`.
  """
  compute, largest = oracle.compute, float(np.finfo(dtype).max)

  def rounded(op_id, inputs, *others, within=dtype, most=np.inf):
    with np.errstate(all="ignore"):
      value = compute(op_id, [np.asarray(each, within) for each in inputs], *others)
      return np.float64(np.asarray(np.clip(value, -most, most), dtype))

  run = functools.partial(run_oracle, programs, analysis, index, tasks, **kwargs)
  wide = functools.partial(rounded, within=_WIDER[dtype], most=largest)
  return _differ(*(_run_with(each, run, monkeypatch) for each in (wide, rounded)), tolerance)


def _run_with(compute, run, monkeypatch) -> oracle.Trace:
  """What the oracle says with another rule for all ops."""
  with monkeypatch.context() as patch:
    patch.setattr(oracle, "compute", compute)
    return run()


def _differ(other: oracle.Trace, own: oracle.Trace, tolerance: float) -> bool:
  """Whether two answers differ by more than a relative change."""
  return (
      abs(other.fitness - own.fitness) > tolerance * own.fitness
      or not agree(other.train_predictions, own.train_predictions, tolerance)
      or not agree(other.valid_predictions, own.valid_predictions, tolerance))


def agree(got: np.ndarray, wanted: np.ndarray, tolerance: float = 1e-9) -> bool:
  """Whether predictions agree in number and value."""
  if len(got) != len(wanted):
    return False
  wanted = wanted.reshape(len(wanted), *got.shape[1:])
  return got.shape == wanted.shape and np.allclose(
      got, wanted, rtol=tolerance, atol=tolerance / 1000)
