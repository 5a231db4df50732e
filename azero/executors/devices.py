"""Makes JAX ready for azero: one CPU device on each core, loops as native code.

JAX reads these settings when it is first used, so this is for the first lines of a script,
a notebook or a test session; `import azero` changes nothing.
"""

import os

import jax

# XLA compiles a loop into one function, without a dispatch for each step, if it seems small;
# the wave executor wants that of all loops. Unrolled, its inner loops over a row would be
# scalar code; left as they are, they become vector code.
_NATIVE_LOOPS = (
    "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=9000000000000000000,"
    "xla_cpu_disable_loop_unrolling=true")
_ONE_THREAD = "--xla_cpu_multi_thread_eigen=false"


def num_cores() -> int:
  """Cores that this process may use."""
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def configure_jax(num_devices: int = 0) -> None:
  """Makes CPU devices, and lets XLA compile loops into native code.

  Without it everything works and gives the same results up to rounding, but evaluation is
  several times slower.

  Args:
    num_devices: how many; 0 for one on each core.

  Raises:
    ValueError: more devices than cores, or a negative number.
    RuntimeError: JAX was used already.
  """
  cores = num_cores()
  if not 0 <= num_devices <= cores:
    raise ValueError(f"--num_devices must be from 0 (all) to {cores}, the cores of this machine; "
                     f"got {num_devices}.")
  set_xla_flags()
  jax.config.update("jax_num_cpu_devices", num_devices or cores)


def set_xla_flags() -> None:
  """Puts the flags into the environment, in front of those that are there."""
  given = os.environ.get("XLA_FLAGS", "").split()
  wanted = [flag for flag in (_NATIVE_LOOPS, _ONE_THREAD) if flag not in given]
  # What does not start with a dash ends the flags, so that ours go in front.
  os.environ["XLA_FLAGS"] = " ".join([*wanted, *given])
