"""One compiled executable for all devices, kept on disk.

XLA compiles a function for one device. The devices of this machine are alike, so it is
compiled for the first and the machine code is loaded on the others: with many devices
compiling for each would take as many times the work before the first result.

JAX's own cache of executables is left out: it has an entry for each device, and what comes
from it cannot be loaded on another one.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
import contextlib
import hashlib
import io
import os
import pathlib
import pickle
import platform
import threading
from typing import Any

import jax
from jax.experimental import serialize_executable
from jax.experimental.compilation_cache import compilation_cache
import jaxlib
from jaxlib import xla_client
import numpy as np

from azero import files
from azero.executors import quiet

_MAX_KEPT = 64
_SUM_BYTES = hashlib.sha256().digest_size

Executable = Callable[..., Any]
_kept: dict[Hashable, list[Executable]] = {}  # the oldest first
# One thread at a time: others wait for what it compiles, and its settings of JAX are its own.
_lock = threading.Lock()


def compile_for(
    jitted: Any, arguments: Sequence[Any], devices: Sequence[jax.Device]) -> list[Executable]:
  """Compiles a jitted function for one device and loads it on all.

  What was compiled is kept in memory, and in JAX's `jax_compilation_cache_dir` if that is set.

  Args:
    jitted: from `jax.jit`.
    arguments: arrays of the shapes and types that it will be called with; those on a device
      are on the first.
    devices: of one platform.

  Returns:
    The compiled function for each device. Like any compiled function it accepts arguments of
    these shapes only, in host memory or on its own device.
  """
  leaves, structure = jax.tree.flatten(tuple(arguments))
  key = (jitted, structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves), tuple(devices))
  with _lock:
    if key not in _kept:
      executables = _read_or_compile(jitted, arguments, devices)
      if len(_kept) == _MAX_KEPT:
        _kept.pop(next(iter(_kept)))
      _kept[key] = executables
    return _kept[key]


def _read_or_compile(
    jitted: Any, arguments: Sequence[Any], devices: Sequence[jax.Device]) -> list[Executable]:
  lowered = jitted.lower(*arguments)
  path = _path(lowered)
  content = _read(path)
  if content is not None:
    # What another version of JAX pickled may fail in any way; it is then compiled anew.
    with contextlib.suppress(Exception):
      return [_load(content, lowered, device) for device in devices]
  with _without_cache_of_jax():
    first = lowered.compile()
    try:
      content, _, _ = serialize_executable.serialize(first)
      others = [_load(content, lowered, device) for device in devices[1:]]
    except jax.errors.JaxRuntimeError:  # XLA cannot copy all that has run before
      return [first, *(
          jitted.lower(*jax.device_put(arguments, device)).compile() for device in devices[1:])]
  _write(path, content)
  return [first, *others]


def _load(content: bytes, lowered: jax.stages.Lowered, device: jax.Device) -> Executable:
  """As `serialize_executable.deserialize_and_load`, which can only load for the same device."""
  unloaded, arguments, no_kwargs = _Unpickler(io.BytesIO(content), device).load()
  return jax.stages.Compiled(
      unloaded.load(), [], jax.tree.unflatten(lowered.in_tree, arguments), lowered.out_tree,
      no_kwargs=no_kwargs)


class _Unpickler(pickle.Unpickler):
  """Reads what `serialize_executable` pickles, with another device in place of the first."""

  def __init__(self, file: io.BytesIO, device: jax.Device):
    super().__init__(file)
    self._device = device

  def persistent_load(self, pid: tuple[Any, ...]) -> Any:
    """What stands outside of the pickle: machine code, its device, and the client."""
    if pid[0] == "device":
      return self._device
    if pid[0] == "client":
      return self._device.client
    options = xla_client.CompileOptions()
    options.device_assignment = xla_client.DeviceAssignment.create(
        np.array([[self._device.id]], np.int32))
    with quiet.loading() if quiet.may_alarm(pid[1]) else contextlib.nullcontext():
      return self._device.client.deserialize_executable(
          pid[1], xla_client.DeviceList((self._device,)), options)


@contextlib.contextmanager
def _without_cache_of_jax() -> Iterator[None]:
  enabled = jax.config.values["jax_enable_compilation_cache"]
  jax.config.update("jax_enable_compilation_cache", False)
  compilation_cache.reset_cache()  # it looks at the setting once only
  try:
    yield
  finally:
    jax.config.update("jax_enable_compilation_cache", enabled)
    compilation_cache.reset_cache()


def _path(lowered: jax.stages.Lowered) -> pathlib.Path | None:
  """Where an executable is kept: by all that decides its machine code."""
  directory = jax.config.values["jax_compilation_cache_dir"]
  if not directory or not jax.config.values["jax_enable_compilation_cache"]:
    return None
  parts = (
      jaxlib.__version__, os.environ.get("XLA_FLAGS", ""), _processor(),
      str(jax.config.values["jax_disable_most_optimizations"]),
      str(lowered.args_info),  # the text leaves out arguments without effect
      lowered.as_text())
  name = hashlib.sha256("\n".join(parts).encode()).hexdigest()
  return pathlib.Path(directory) / f"azero-{name}"


def _processor() -> str:
  """What instructions the processor has, as far as the system tells."""
  try:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
      return next((line for line in file if line.startswith(("flags", "Features"))), "")
  except OSError:
    return platform.processor()


def _read(path: pathlib.Path | None) -> bytes | None:
  """What was written, if it is whole."""
  if path is None or not path.is_file():
    return None
  content = path.read_bytes()
  content_sum, content = content[:_SUM_BYTES], content[_SUM_BYTES:]
  return content if hashlib.sha256(content).digest() == content_sum else None


def _write(path: pathlib.Path | None, content: bytes) -> None:
  """Writes a file in one step. One that cannot be written only costs time at the next start."""
  if path is None:
    return
  with contextlib.suppress(OSError):
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_whole(path, hashlib.sha256(content).digest() + content)
