"""Executables are compiled once for all devices, and kept in memory and on disk."""

import hashlib
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from azero.executors import executables


@pytest.fixture
def cache(tmp_path, monkeypatch):
  """An empty directory of executables, and nothing in memory."""
  monkeypatch.setattr(executables, "_kept", {})
  jax.clear_caches()
  before = jax.config.values["jax_compilation_cache_dir"]
  jax.config.update("jax_compilation_cache_dir", str(tmp_path / "cache"))
  yield tmp_path / "cache"
  jax.config.update("jax_compilation_cache_dir", before)


@pytest.fixture
def compilations(monkeypatch):
  """What is compiled, as it happens."""
  done = []
  compile_it = jax.stages.Lowered.compile
  monkeypatch.setattr(
      jax.stages.Lowered, "compile", lambda lowered: done.append(lowered) or compile_it(lowered))
  return done


def _scaled(memory, factor):
  # Fusions, a reduction and a sort: functions of their own in the machine code.
  order = jnp.argsort(-memory)
  return memory * factor, (jnp.exp(memory - memory.max()) / 2 + memory[order]).sum()


def _make(size=40):
  jitted = jax.jit(_scaled, donate_argnums=0)
  arguments = jax.device_put(np.arange(size, dtype=np.float32), jax.devices()[0]), np.float32(3)
  return executables.compile_for(jitted, arguments, jax.devices())


def _check(made, size=40):
  assert len(made) == len(jax.devices()) == 2
  values = np.arange(size, dtype=np.float32)
  for device, function in zip(jax.devices(), made):
    lent = jax.device_put(values, device)
    scaled, total = function(lent, np.float32(2))
    assert scaled.devices() == total.devices() == {device} and lent.is_deleted()
    np.testing.assert_array_equal(scaled, 2 * values)
    np.testing.assert_allclose(
        total, (np.exp(values - values.max()) / 2).sum() + values.sum(), rtol=1e-6)


def test_one_compilation_serves_all_devices(cache, compilations):
  _check(_make())
  assert len(compilations) == 1
  _check(_make())  # another jitted function, so that it comes from the disk
  assert len(compilations) == 1
  _check(_make(41), 41)
  assert len(compilations) == 2
  # Nothing came into the cache of JAX, which is as it was.
  assert all(path.name.startswith("azero-") for path in cache.iterdir())
  assert len(list(cache.iterdir())) == 2
  assert jax.config.values["jax_enable_compilation_cache"]


def test_arguments_without_effect_have_their_shapes_too(cache, compilations):
  for size in (3, 4):
    made = executables.compile_for(
        jax.jit(lambda unused, factor: factor * 2),
        (np.zeros(size, np.float32), np.float32(1)), jax.devices())
    for function in made:
      assert function(np.zeros(size, np.float32), np.float32(4)) == 8
  assert len(compilations) == 2


def test_code_that_was_hardly_optimised_is_kept_apart(cache, compilations):
  for quick in (False, True, False):
    jax.config.update("jax_disable_most_optimizations", quick)
    try:
      _make()
    finally:
      jax.config.update("jax_disable_most_optimizations", False)
  assert len(compilations) == len(list(cache.iterdir())) == 2


def test_shapes_that_were_compiled_are_kept_in_memory(cache, compilations, monkeypatch):
  jitted = jax.jit(_scaled)
  makers = [lambda size=size: executables.compile_for(
      jitted, (np.zeros(size, np.float32), np.float32(1)), jax.devices()[:1])
      for size in (3, 4, 5)]
  monkeypatch.setattr(executables, "_MAX_KEPT", 2)
  first = makers[0]()
  assert makers[0]() is first
  makers[1]()
  makers[2]()  # in place of the first
  assert makers[0]() is not first and makers[2]() is makers[2]()
  assert len(compilations) == 3  # the disk had the first


@pytest.mark.parametrize("damage", [
    lambda content: content[:-1], lambda content: b"", lambda content: content[::-1]])
def test_a_damaged_file_is_compiled_anew(cache, compilations, damage):
  _make()
  (path,) = cache.iterdir()
  path.write_bytes(damage(path.read_bytes()))
  jax.clear_caches()
  _check(_make())
  assert len(compilations) == 2
  _check(_make())
  assert len(compilations) == 2


@pytest.mark.parametrize("pickled", [b"cjax.gone\nName\n.", pickle.dumps((1, 2))])
def test_what_another_version_pickled_is_compiled_anew(cache, compilations, pickled):
  _make()
  (path,) = cache.iterdir()
  path.write_bytes(hashlib.sha256(pickled).digest() + pickled)
  jax.clear_caches()
  _check(_make())
  assert len(compilations) == 2
  _check(_make())
  assert len(compilations) == 2


def test_a_cache_that_cannot_be_written_does_no_harm(cache, compilations):
  cache.write_text("a file")
  _check(_make())
  assert len(compilations) == 1 and cache.read_text() == "a file"


def test_what_has_run_is_compiled_for_each_device(cache, compilations):
  """XLA cannot copy the machine code of a sort that has run."""
  jax.config.update("jax_compilation_cache_dir", None)
  _check(_make())
  _check(_make())  # JAX still has the first one
  assert len(compilations) == 3 and not cache.exists()
