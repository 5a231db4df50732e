"""Random numbers of the search: child n of an island draws from a stream of its own.

What a child draws is a function of (seed, island, n) and of nothing else, so that an attempt
which is dropped, repeated or made elsewhere draws the same numbers, and a checkpoint needs to
hold no more than a counter. A stream is a splitmix64 generator (Steele et al., 2014): a word
that grows by the golden ratio at every draw, mixed into the number that is drawn.
"""

import numpy as np

from azero.compiler.canonical import mix
from azero.compiler.kernels import inlined_kernel

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_UNUSED_BITS = np.uint64(11)  # a float64 has 53
_UNIT = 2.0**-53


def new_stream() -> np.ndarray:
  """The state of a stream, [1] uint64; `start` makes it that of a child."""
  return np.zeros(1, np.uint64)


def seed_word(seed: int) -> np.uint64:
  """A seed as kernels take it: of integers of any size the lowest 64 bits count."""
  return np.uint64(seed % 2**64)


@inlined_kernel
def start(stream: np.ndarray, seed: np.uint64, island: int, child: int) -> None:
  """Makes a stream that of child `child` of an island, which has not drawn anything yet."""
  of_island = mix(mix(seed + _GOLDEN) + np.uint64(island))
  stream[0] = mix(of_island + np.uint64(child))


@inlined_kernel
def uniform(stream: np.ndarray) -> float:
  """A number in [0, 1), a multiple of 2 ** -53."""
  stream[0] += _GOLDEN
  return np.int64(mix(stream[0]) >> _UNUSED_BITS) * _UNIT


@inlined_kernel
def skip(stream: np.ndarray, count: int) -> None:
  """Leaves out so many draws."""
  stream[0] += np.uint64(count) * _GOLDEN


@inlined_kernel
def pick(stream: np.ndarray, count: int) -> int:
  """A uniform choice out of 0, ..., count - 1."""
  return int(uniform(stream) * count)
