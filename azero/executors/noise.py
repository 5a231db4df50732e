"""Random numbers of the ops 59-64, from a counter instead of a state.

A number depends on (evaluation seed, task seed, phase, example, position of the
instruction among the live ones, element) and on nothing else, so that it does not matter
which other programs share a batch or a device. Counters are hashed with a 32-bit integer
mixer of two multiplications (found by search for low bias, by C. Wellons and others),
twice per number: cheap enough for the inside of a loop, and as random as a search needs
(the tests say how random).
"""

import enum
import math

import jax
from jax import lax
import jax.numpy as jnp

from azero.language.ops import Noise

_GOLDEN = 0x9E3779B9  # 2**32 / golden ratio: spreads consecutive counters


class Phase(enum.IntEnum):
  """Which execution of a component function draws."""

  SETUP = 0
  TRAIN_PREDICT = 1
  LEARN = 2
  VALID_PREDICT = 3


Key = tuple[jax.Array, jax.Array]  # two uint32 words


def make_key(seed: jax.Array, task_seed: jax.Array) -> Key:
  """The key of one evaluation on one task; both seeds are uint32 scalars."""
  return fold(fold((jnp.uint32(0), jnp.uint32(_GOLDEN)), seed), task_seed)


def fold(key: Key, data: jax.Array | int) -> Key:
  """A new key from a key and a 32-bit number."""
  word = jnp.asarray(data).astype(jnp.uint32) * jnp.uint32(_GOLDEN)
  first = _mix(key[0] ^ _mix(word + jnp.uint32(1)))
  return first, _mix(key[1] + first ^ word)


def draw(key: Key, noise: Noise, shape: tuple[int, ...], dtype: jnp.dtype) -> jax.Array:
  """Random numbers of one instruction.

  Args:
    key: the key of the instruction.
    noise: the distribution: U(0, 1) in steps of 2**-23 without the ends, or N(0, 1).
    shape: shape of the result.
    dtype: float32 or float64; the numbers agree up to rounding.

  Returns:
    The numbers.
  """
  counter = jnp.arange(math.prod(shape), dtype=jnp.uint32).reshape(shape)
  bits = _mix(_mix(counter * jnp.uint32(_GOLDEN) + key[0]) ^ key[1])
  # 23 bits and a half: exact in float32, symmetric about 1/2, never 0 or 1.
  uniform = ((bits >> jnp.uint32(9)).astype(dtype) + 0.5) * 2.0**-23
  if noise is Noise.UNIFORM:
    return uniform
  return math.sqrt(2.0) * lax.erf_inv(2.0 * uniform - 1.0)


def _mix(word: jax.Array) -> jax.Array:
  word = (word ^ word >> jnp.uint32(16)) * jnp.uint32(0x21F0AAAD)
  word = (word ^ word >> jnp.uint32(15)) * jnp.uint32(0xD35A2D97)
  return word ^ word >> jnp.uint32(15)
