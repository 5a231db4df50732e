"""Settings of the whole suite: two CPU devices, strict types, seeded property tests."""

import os

import hypothesis
import jax

from azero.runtime.devices import configure_jax

configure_jax(2)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_threefry_partitionable", True)

hypothesis.settings.register_profile(
    "azero", deadline=None, derandomize=True, print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("azero")
os.environ.setdefault("MPLBACKEND", "agg")
