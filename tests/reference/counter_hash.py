"""The numbers of the random ops, computed apart from the runtime: NumPy, written from its text.

An evaluation's 64-bit key starts at (0, golden ratio) and absorbs the evaluation seed, the
task's seed, the phase, the example and the position of the instruction; then each element
of the result hashes its index with it.
"""

import math

import numpy as np
from scipy import special

_GOLDEN = 0x9E3779B9
PHASES = ("setup", "train_predict", "learn", "valid_predict")


def _mix(word: int) -> int:
  for shift, multiplier in ((16, 0x21F0AAAD), (15, 0xD35A2D97)):
    word = (word ^ (word >> shift)) * multiplier % 2**32
  return word ^ (word >> 15)


def bits(
    seed: int, task_seed: int, phase: str, example: int, position: int, count: int
) -> list[int]:
  """The first `count` 32-bit words of one random op in one execution."""
  first, second = 0, _GOLDEN
  for number in (seed, task_seed, PHASES.index(phase), example, position):
    word = number * _GOLDEN % 2**32
    first = _mix(first ^ _mix((word + 1) % 2**32))
    second = _mix((second + first) % 2**32 ^ word)
  return [_mix(_mix((k * _GOLDEN + first) % 2**32) ^ second) for k in range(count)]


def numbers(
    seed: int, task_seed: int, phase: str, example: int, position: int, shape: tuple[int, ...],
    distribution: str,
) -> np.ndarray:
  """U(0, 1) ("uniform") or N(0, 1) ("normal") numbers in float64."""
  words = bits(seed, task_seed, phase, example, position, math.prod(shape))
  uniform = (np.array(words, np.uint64) // 2**9 + 0.5).reshape(shape) / 2**23
  return uniform if distribution == "uniform" else special.ndtri(uniform)
