"""Random numbers: equal to an independent hash, well distributed, independent in every counter."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import counter_hash
from scipy import stats

from azero.executors import noise
from azero.language.ops import Noise

COUNTERS = ("seed", "task_seed", "phase", "example", "position")
NUM_ELEMENTS = 64


@jax.jit
def _uniform(seed, task_seed, phase, example, position):
  """Uniform numbers of N random ops with NUM_ELEMENTS elements each."""

  def one(seed, task_seed, phase, example, position):
    key = noise.make_key(seed, task_seed)
    for number in (phase, example, position):
      key = noise.fold(key, number)
    return noise.draw(key, Noise.UNIFORM, (NUM_ELEMENTS,), jnp.float32)

  return jax.vmap(one)(seed, task_seed, phase, example, position)


def _counters(count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
  """Typical counters: small, but for the seeds."""
  return {
      "seed": rng.integers(2**32, size=count, dtype=np.uint32),
      "task_seed": rng.integers(2**32, size=count, dtype=np.uint32),
      "phase": rng.integers(4, size=count, dtype=np.int32),
      "example": rng.integers(8000, size=count, dtype=np.int32),
      "position": rng.integers(90, size=count, dtype=np.int32)}


def _along(counter: str, count: int = 4096) -> np.ndarray:
  """Numbers for 0, 1, 2, ... of one counter, the others fixed: [count, NUM_ELEMENTS]."""
  fixed = {"seed": 3, "task_seed": 5, "phase": 1, "example": 7, "position": 2}
  columns = {
      name: np.full(count, value, np.uint32 if "seed" in name else np.int32)
      for name, value in fixed.items()}
  columns[counter] = np.arange(count, dtype=columns[counter].dtype)
  return np.asarray(_uniform(**columns), np.float64)


def test_equal_to_the_independent_hash():
  counters = _counters(200, np.random.default_rng(0))
  drawn = np.asarray(_uniform(**counters))
  for i in range(200):
    own = {name: int(values[i]) for name, values in counters.items()}
    own["phase"] = counter_hash.PHASES[own["phase"]]
    wanted = counter_hash.numbers(**own, shape=(NUM_ELEMENTS,), distribution="uniform")
    np.testing.assert_array_equal(drawn[i], wanted)
  assert [phase.name.lower() for phase in noise.Phase] == list(counter_hash.PHASES)


@functools.partial(jax.jit, static_argnames=("shape", "dtype"))
def _both_kinds(seed, task_seed, *, shape, dtype):
  """Numbers of a random op in Setup, at position 0: uniform ones and normal ones."""
  key = noise.make_key(seed, task_seed)
  for number in (0, 0, 0):
    key = noise.fold(key, number)
  return [
      noise.draw(key, kind, shape, jnp.dtype(dtype)) for kind in (Noise.UNIFORM, Noise.NORMAL)]


@pytest.mark.parametrize("shape", [(), (5,), (16, 16)])
def test_float32_and_float64_agree(shape):
  wanted = {
      distribution: counter_hash.numbers(9, 4, "setup", 0, 0, shape, distribution)
      for distribution in ("uniform", "normal")}
  for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-13)):
    with jax.enable_x64(dtype == "float64"):
      uniform, normal = map(
          np.asarray, _both_kinds(np.uint32(9), np.uint32(4), shape=shape, dtype=dtype))
    assert uniform.dtype == normal.dtype == dtype
    np.testing.assert_array_equal(uniform, wanted["uniform"])
    np.testing.assert_allclose(normal, wanted["normal"], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("counter", COUNTERS)
def test_distribution_along_each_counter(counter):
  drawn = _along(counter)
  assert 0 < drawn.min() and drawn.max() < 1
  # Kolmogorov-Smirnov over all numbers, and over the first element alone.
  for sample in (drawn.ravel(), drawn[:, 0], drawn[:, -1]):
    assert stats.kstest(sample, "uniform").pvalue > 0.01
  count = drawn.size
  assert abs(drawn.mean() - 1 / 2) < 4 * np.sqrt(1 / 12 / count)
  assert abs(drawn.var() - 1 / 12) < 4 * np.sqrt(1 / 180 / count)
  # Also in the last bits: 2**23 equal steps, modulo 256.
  steps = np.round(drawn * 2**23 - 0.5).astype(int) % 256
  assert stats.chisquare(np.bincount(steps.ravel(), minlength=256)).pvalue > 0.001


@pytest.mark.parametrize("counter", (*COUNTERS, "element"))
@pytest.mark.parametrize("lag", [1, 2, 16])
def test_neighbours_are_independent(counter, lag):
  drawn = _along("example").T if counter == "element" else _along(counter)
  first, second = drawn[:-lag].ravel(), drawn[lag:].ravel()
  count = len(first)
  assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(count)
  cells = np.bincount((first * 16).astype(int) * 16 + (second * 16).astype(int), minlength=256)
  assert stats.chisquare(cells).pvalue > 0.001


def test_no_number_repeats_more_than_by_chance():
  counters = _counters(4096, np.random.default_rng(1))
  drawn = np.asarray(_uniform(**counters)).ravel()
  count = len(drawn)
  expected = count * (count - 1) / 2 / 2**23  # pairs of equal numbers
  repeated = count - len(np.unique(drawn))
  assert abs(repeated - expected) < 6 * np.sqrt(expected)


def test_normal_distribution():
  counters = _counters(4096, np.random.default_rng(2))

  @jax.jit
  @jax.vmap
  def normal(seed, position):
    key = noise.fold(noise.make_key(seed, jnp.uint32(0)), position)
    return noise.draw(key, Noise.NORMAL, (NUM_ELEMENTS,), jnp.float32)

  drawn = np.asarray(normal(counters["seed"], counters["position"]), np.float64).ravel()
  count = len(drawn)
  assert stats.kstest(drawn, "norm").pvalue > 0.01
  # Standard errors of the first four moments of N(0, 1).
  for power, wanted, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
    assert abs(np.mean(drawn**power) - wanted) < 4 * np.sqrt(variance / count)
