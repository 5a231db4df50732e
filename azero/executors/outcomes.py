"""What executors return, and the hash of predictions that makes a fingerprint."""

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from azero.compiler.kernels import inner_kernel, kernel

_KEPT_BITS = np.uint32(0xFFFFFF80)  # truncation: 16 bits of mantissa are kept


class Outcomes(NamedTuple):
  """Outcomes of N programs on D tasks; `Evaluation` says more.

  Attributes:
    per_task: [N, D] float64, fitness in [0, 1].
    train_steps: [N] int64, summed over tasks.
    trained: [N, D] bool.
    trace: None, or (train [N, D, E, T, 1 + P], valid [N, D, E, V, 1 + P]).
    fingerprint: None, or [N, 2] uint64.
  """

  per_task: np.ndarray
  train_steps: np.ndarray
  trained: np.ndarray
  trace: tuple[np.ndarray, np.ndarray] | None
  fingerprint: np.ndarray | None

  @classmethod
  def empty(
      cls, num_programs: int, num_tasks: int, fingerprint: bool,
      trace: tuple[np.ndarray, np.ndarray] | None,
  ) -> "Outcomes":
    """Room for the outcomes of N programs on D tasks; `trace` as it is."""
    shape = num_programs, num_tasks
    return cls(
        np.empty(shape), np.empty(num_programs, np.int64), np.empty(shape, np.bool_), trace,
        np.empty((num_programs, 2), np.uint64) if fingerprint else None)


class Measure(NamedTuple):
  """How the raw results of an evaluation are read.

  Attributes:
    num_train: training examples of an epoch: who ran Learn on so many has trained.
    num_valid: validation examples, of which an accuracy is a fraction; 0 if fitness is no accuracy.
    multipliers: [D, 2] uint64, of the hash of predictions.
  """

  num_train: int
  num_valid: int
  multipliers: np.ndarray

  @classmethod
  def make(cls, num_train: int, num_valid: int, num_tasks: int, accuracy: bool) -> "Measure":
    """That of tasks whose fitness is an accuracy or not."""
    return cls(num_train, num_valid if accuracy else 0, _multipliers(num_tasks))


_NO_PRINTS = np.empty((0, 2), np.uint64)


def take_in(
    outcomes: Outcomes, programs: np.ndarray, fitness: np.ndarray, train_steps: np.ndarray,
    words: np.ndarray, measure: Measure,
) -> None:
  """Puts the raw results of some programs in their places.

  Args:
    outcomes: of N programs.
    programs: [n] int, which of them these are.
    fitness: [Q, A] floats, Q >= n and A >= D; more than the first n and D are not read.
    train_steps: [Q, A] int32.
    words: [Q, 2, A] uint32, a hash of the predictions on each task; read where fingerprints are
      asked for.
    measure: how they are read.
  """
  prints = _NO_PRINTS if outcomes.fingerprint is None else outcomes.fingerprint
  _take_in(
      programs, fitness, train_steps, words, *measure, outcomes.per_task, outcomes.train_steps,
      outcomes.trained, prints)


@kernel
def _take_in(
    programs: np.ndarray, fitness: np.ndarray, train_steps: np.ndarray, words: np.ndarray,
    *arrays: Any) -> None:
  """As `take_in`: of Measure and Outcomes."""
  measure = Measure(arrays[0], arrays[1], arrays[2])
  per_task, all_steps, trained, prints = arrays[3:]
  for k in range(len(programs)):
    n = programs[k]
    steps = 0
    for d in range(per_task.shape[1]):
      value = np.float64(fitness[k, d])
      if measure.num_valid:  # float32 has an accuracy only nearly
        value = np.rint(value * measure.num_valid) / measure.num_valid
      per_task[n, d] = value
      steps += train_steps[k, d]
      trained[n, d] = train_steps[k, d] >= measure.num_train
    all_steps[n] = steps
    if len(prints):
      _hash_words(words[k], measure.multipliers, prints[n])


@inner_kernel
def _hash_words(words: np.ndarray, multipliers: np.ndarray, result: np.ndarray) -> None:
  """As `hash_words` of a word for each task, of which the halves are [2, A] uint32."""
  for half in range(2):
    word = np.uint64(0)
    for d in range(len(multipliers)):
      joined = np.uint64(words[0, d]) << np.uint64(32) | np.uint64(words[1, d])
      word += joined * multipliers[d, half]
    result[half] = word ^ word >> np.uint64(32)


def hash_predictions(trace: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
  """128-bit hash of the truncated predictions of every program: [N, 2] uint64."""
  parts = [part[..., 1:] for part in trace]
  flat = [part.reshape(len(part), math.prod(part.shape[1:])) for part in parts]
  predictions = np.concatenate(flat, axis=1)
  with np.errstate(over="ignore"):  # of float64; then infinity is the truncated prediction
    predictions = predictions.astype(np.float32)
  predictions = np.where(np.isnan(predictions), np.float32(np.nan), predictions)
  words = (predictions + np.float32(0)).view(np.uint32) & _KEPT_BITS
  return hash_words(words.astype(np.uint64))


def hash_words(words: np.ndarray) -> np.ndarray:
  """128-bit hash of each row of [N, K] uint64: [N, 2] uint64."""
  result = words @ _multipliers(words.shape[1])
  return result ^ result >> np.uint64(32)


@functools.lru_cache(maxsize=16)
def _multipliers(count: int) -> np.ndarray:
  """Random odd numbers: [count, 2] uint64."""
  rng = np.random.default_rng(0xF1)
  return rng.integers(0, 2**64, (count, 2), np.uint64) | np.uint64(1)


def combine_tasks(per_task: np.ndarray, combine: str) -> np.ndarray:
  """Fitness over tasks: [N, D] float64 -> [N], by "median" or "mean"."""
  if combine == "mean":
    return np.add.reduce(per_task, 1) / per_task.shape[1]
  medians = np.empty(len(per_task))
  _medians(np.ascontiguousarray(per_task), np.empty(per_task.shape[1]), medians)
  return medians


@kernel
def _medians(per_task: np.ndarray, ordered: np.ndarray, medians: np.ndarray) -> None:
  """The median of each row of [N, D]; `ordered`, [D], is room to work in."""
  count = per_task.shape[1]
  for n in range(len(per_task)):
    for d in range(count):
      value, place = per_task[n, d], d
      while place > 0 and ordered[place - 1] > value:
        ordered[place] = ordered[place - 1]
        place -= 1
      ordered[place] = value
    medians[n] = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
