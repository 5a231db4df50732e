"""JAX as estimators want it, where nobody has set it up yet.

Whoever calls `fit` may never have heard of JAX, and processes that joblib starts have not been
told. So the first fit of a process does what commands do at their start: a device on each core,
loops as native code, compiled code kept between runs. What was set before stays.
"""

import functools

import jax

from azero.executors import devices


@functools.cache
def set_up() -> None:
  """Sets up JAX, once in a process."""
  if jax.config.values["jax_num_cpu_devices"] < 0:  # nobody has chosen
    devices.configure_jax(late="accept")
  if jax.config.values["jax_compilation_cache_dir"] is None:
    devices.keep_compiled()
