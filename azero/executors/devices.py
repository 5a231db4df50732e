"""Makes JAX ready for azero: one CPU device on each core, loops as native code.

JAX reads these settings when it is first used. So `configure_jax` is for the first lines of a
script, a notebook or a test session; whatever searches, evaluates or fits says it itself where
nobody has. `import azero` changes nothing.
"""

import functools
import os
import warnings

import jax

from azero import paths

# XLA compiles a loop into one function, without a dispatch for each step, if it seems small;
# the wave executor wants that of all loops. Unrolled, its inner loops over a row would be
# scalar code; left as they are, they become vector code.
_NATIVE_LOOPS = (
    "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=9000000000000000000,"
    "xla_cpu_disable_loop_unrolling=true")
# Rows are long: where a processor has registers of 512 bits, XLA would use half of each. Of others
# it uses what they have.
_WIDE_REGISTERS = "--xla_cpu_prefer_vector_width=512"
_NEVER = 1e9  # seconds that nothing takes to compile
_ONE_THREAD = "--xla_cpu_multi_thread_eigen=false"


def num_cores() -> int:
  """Cores that this process may use."""
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def configure_jax(num_devices: int = 0, *, late: str = "warn") -> None:
  """Makes CPU devices, and lets XLA compile loops into native code.

  When JAX was used already this warns and changes nothing: results are the same up to rounding,
  but evaluation is several times slower.

  Args:
    num_devices: how many; 0 for one on each core.
    late: "warn", or "accept" to say nothing if JAX was used already.

  Raises:
    ValueError: more devices than cores, or a negative number; or JAX was used already and
      has none, see `find_devices`.
  """
  cores = num_cores()
  if not 0 <= num_devices <= cores:
    raise ValueError(f"num_devices must be from 0 (all) to {cores}, the cores of this machine; "
                     f"got {num_devices}.")
  wanted = num_devices or cores
  try:
    jax.config.update("jax_num_cpu_devices", wanted)
  except RuntimeError:  # its devices are there already
    present = find_devices()
    if late == "warn" and (len(present) != wanted or _missing_flags()):
      warnings.warn(
          "azero's configure_jax() comes too late, after JAX was first used: evaluation keeps to "
          f"the {len(present)} {present[0].platform} device(s) and the code that JAX has, which "
          "gives the same results but may be several times slower; say it first in a new process.",
          RuntimeWarning, stacklevel=2)
    return
  # A thread waits for its device: then the thread itself may do the work, without a hand-over.
  jax.config.update("jax_cpu_enable_async_dispatch", False)
  # After that, since who asks for the flags must be able to rely on them.
  set_xla_flags()


def keep_compiled() -> None:
  """Keeps on disk what `executables` compiles, see `paths.cache_directory`.

  JAX itself keeps nothing there: all that takes long goes by `executables`, and of whatever else
  a busy machine once was slow to compile XLA would say at every start that it may not run here
  (see `quiet`). The folder is one of its own, for what JAX finds beside it is loaded, whoever
  left it there.
  """
  jax.config.update("jax_compilation_cache_dir", str(paths.cache_directory() / "executables"))
  jax.config.update("jax_persistent_cache_min_compile_time_secs", _NEVER)
  jax.config.update("jax_persistent_cache_enable_xla_caches", "none")


@functools.cache
def set_up(*, late: str = "warn") -> None:
  """Does what commands do at their start, once in a process, where nobody has done it yet.

  Whoever calls `fit` or `evolve` may never have heard of JAX, and processes that joblib starts
  have not been told: a device on each core, loops as native code, compiled code kept between
  runs. What was set before stays. These are settings of JAX for the whole process.

  Args:
    late: as for `configure_jax`.
  """
  if jax.config.values["jax_num_cpu_devices"] < 0:  # nobody has chosen
    configure_jax(late=late)
  if jax.config.values["jax_compilation_cache_dir"] is None:
    keep_compiled()


def find_devices(num_devices: int | None = None) -> list[jax.Device]:
  """The first devices that JAX has, None for all.

  Raises:
    ValueError: it has not so many, or JAX is told to use a kind of device that is not there.
  """
  try:
    devices = jax.devices()
  except (AssertionError, RuntimeError) as error:  # of an NVIDIA GPU it only asserts
    chosen = jax.config.values["jax_platforms"]
    raise ValueError(
        f"JAX finds no device, for JAX_PLATFORMS is {chosen!r} and none of that kind is installed "
        "here: unset it, or set JAX_PLATFORMS=cpu.") from error
  if num_devices is not None and not 1 <= num_devices <= len(devices):
    raise ValueError(
        f"num_devices must be from 1 to {len(devices)}, the devices that JAX has; got "
        f"{num_devices}. On CPUs set jax_num_cpu_devices before JAX is first used.")
  return devices[:num_devices]


def set_xla_flags() -> None:
  """Puts the flags into the environment, in front of those that are there."""
  given = os.environ.get("XLA_FLAGS", "").split()
  # What does not start with a dash ends the flags, so that ours go in front.
  os.environ["XLA_FLAGS"] = " ".join([*_missing_flags(), *given])


def _missing_flags() -> list[str]:
  given = os.environ.get("XLA_FLAGS", "").split()
  return [flag for flag in (_NATIVE_LOOPS, _WIDE_REGISTERS, _ONE_THREAD) if flag not in given]
