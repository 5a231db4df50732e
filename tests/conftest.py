"""Settings of the whole suite: two CPU devices, strict types, seeded property tests."""

import os

import hypothesis
import jax

from azero.runtime.devices import set_xla_flags

set_xla_flags()
jax.config.update("jax_num_cpu_devices", 2)  # on a machine with one core, too
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_threefry_partitionable", True)

hypothesis.settings.register_profile(
    "azero", deadline=None, derandomize=True, print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("azero")
os.environ.setdefault("MPLBACKEND", "agg")
