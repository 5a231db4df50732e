"""Settings of the whole suite: two CPU devices, strict types, seeded property tests."""

import os
import pathlib

import hypothesis
import jax

from azero.executors.devices import set_xla_flags

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


def pytest_collection_modifyitems(items):
  """Puts the notebook first: last, it would keep one process busy while the other has nothing."""
  items.sort(key=lambda item: item.path.name != "test_notebook.py")  # stable
