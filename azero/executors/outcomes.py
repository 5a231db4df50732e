"""What executors return, and the hash of predictions that makes a fingerprint."""

import functools
import math
from typing import NamedTuple

import numpy as np

from azero.compiler.kernels import kernel

_KEPT_BITS = np.uint32(0xFFFFFF80)  # truncation: 16 bits of mantissa are kept


class Outcomes(NamedTuple):
  """Outcomes of N programs on D tasks.

  Attributes:
    fitness: [N, D] floats in [0, 1].
    train_steps: [N, D] int, examples on which Learn ran.
    trace: None, or (train [N, D, E, T, 1 + P], valid [N, D, E, V, 1 + P]).
    fingerprint: None, or [N, 2] uint64.
  """

  fitness: np.ndarray
  train_steps: np.ndarray
  trace: tuple[np.ndarray, np.ndarray] | None
  fingerprint: np.ndarray | None


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
    return np.mean(per_task, axis=1)
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
