"""Settings of the whole suite: two CPU devices, strict types, seeded property tests."""

import gc
import os
import pathlib

import hypothesis
import jax

from azero.executors.devices import set_xla_flags

gc.disable()  # until all is imported: looking through it again and again takes seconds
set_xla_flags()
jax.config.update("jax_num_cpu_devices", 2)  # on a machine with one core, too
# Many tests compile the same executor; the processes of a run share what is compiled.
_CACHE = str(pathlib.Path(__file__).parents[1] / ".pytest_cache" / "xla")
jax.config.update("jax_compilation_cache_dir", _CACHE)
os.environ["AZERO_CACHE_DIR"] = _CACHE  # of commands that tests start
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
jax.config.update("jax_persistent_cache_enable_xla_caches", "none")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_threefry_partitionable", True)

hypothesis.settings.register_profile(
    "azero", deadline=None, derandomize=True, print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("azero")
os.environ.setdefault("MPLBACKEND", "agg")


# Which files begin, so that no process waits for another or has too much left at the end: one
# process compiles the kernels of a search for all, meanwhile another does what needs none of them.
_FIRST = (
    "test_federation.py", "test_direct.py", "test_golden_traces.py", "test_notebook.py")


def pytest_collection_modifyitems(items):
  """Puts the files that everything waits for, and the longest, first."""
  place = {name: k for k, name in enumerate(_FIRST)}
  items.sort(key=lambda item: place.get(item.path.name, len(_FIRST)))  # stable


def pytest_collection_finish():
  """Leaves what is imported by now, a million objects, out of every later garbage collection.

  Those are rarer than usual, too: what JAX and Numba make while they compile is soon gone.
  """
  gc.collect()
  gc.freeze()
  gc.set_threshold(20_000, 20, 20)
  gc.enable()
