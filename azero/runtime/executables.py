"""One compiled executable for all devices.

XLA compiles a function for one device. The devices of this machine are alike, so it is
compiled for the first and the machine code is loaded on the others: with many devices
compiling for each would take as many times the work before the first result.
"""

from collections.abc import Callable, Hashable, Sequence
import io
import pickle
from typing import Any

import jax
from jax.experimental import serialize_executable
from jaxlib import xla_client
import numpy as np

_MAX_KEPT = 64

Executable = Callable[..., Any]
_kept: dict[Hashable, list[Executable]] = {}  # the oldest first


def compile_for(
    jitted: Any, arguments: Sequence[Any], devices: Sequence[jax.Device]) -> list[Executable]:
  """Compiles a jitted function for one device and loads it on all.

  Args:
    jitted: from `jax.jit`.
    arguments: of the shapes and types that it will be called with; those on a device are on
      the first.
    devices: of one platform.

  Returns:
    The compiled function for each device. Like any compiled function it accepts arguments of
    these shapes only, in host memory or on its own device.
  """
  leaves, structure = jax.tree.flatten(tuple(arguments))
  key = (jitted, structure, tuple((np.shape(leaf), np.asarray(leaf).dtype) for leaf in leaves),
         tuple(devices))
  if key not in _kept:
    first = jitted.lower(*arguments).compile()
    executables = [first]
    if len(devices) > 1:
      content, in_tree, out_tree = serialize_executable.serialize(first)
      executables += [_load(content, in_tree, out_tree, device) for device in devices[1:]]
    if len(_kept) == _MAX_KEPT:
      _kept.pop(next(iter(_kept)))
    _kept[key] = executables
  return _kept[key]


def _load(content: bytes, in_tree: Any, out_tree: Any, device: jax.Device) -> jax.stages.Compiled:
  """As `serialize_executable.deserialize_and_load`, which can only load for the same device."""
  unloaded, arguments, no_kwargs = _Unpickler(io.BytesIO(content), device).load()
  return jax.stages.Compiled(
      unloaded.load(), [], in_tree.unflatten(arguments), out_tree, no_kwargs=no_kwargs)


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
    return self._device.client.deserialize_executable(
        pid[1], xla_client.DeviceList((self._device,)), options)
