"""Processes by Ray, on this machine or on those of a Ray cluster."""

import atexit
from collections.abc import Callable, Iterator, Sequence
import contextlib
import dataclasses
import functools
import logging
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import jax

from azero import lazy
from azero.distributed import last_word
from azero.distributed.runtime import Actor, ActorLost, Call
from azero.executors import devices
from azero.language import ops as op_table
from azero.search.proposals import mutation

# What JAX keeps compiled code by; processes share the driver's settings.
_JAX_SETTINGS = (
    "jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_enable_xla_caches")
_LOOK_SECONDS = 10.0  # between two looks whether Ray is there
_REQUIRED_SECONDS = 3.0  # the same, when nothing can be done without it
_MAX_FAILURES = 3
_WARNING_SECONDS = 60.0  # between two warnings that machines are missing


class RayRuntime:
  """Makes the actors of a search with Ray, which it starts here unless there is an address."""

  def __init__(self, *, num_processes: int, num_devices: int = 0, address: str = ""):
    """Connects to Ray.

    Args:
      num_processes: that will be asked for.
      num_devices: CPU devices of each; 0 for all cores here divided among them.
      address: of a Ray cluster, as `ray start --head` tells it; "" starts Ray on this
        machine, where only this machine can reach it.

    Raises:
      MissingPackageError: Ray is not installed.
      ValueError: more processes and devices than there are cores, an address of another
        form, or Ray was imported, but not connected.
      ConnectionError: nothing answers at the address.
    """
    self.num_devices = num_devices or max(1, devices.num_cores() // num_processes)
    cores = num_processes * self.num_devices
    if "ray" in sys.modules and not sys.modules["ray"].is_initialized():
      raise ValueError(
          "Ray was imported before azero could set it up: connect it yourself with ray.init(), "
          "or leave importing it to azero.")
    connected = "ray" in sys.modules
    if not connected:
      address = address or _own_address(max(cores, devices.num_cores()))  # before the import
      _check_address(address)
    hook = sys.excepthook
    self._ray = import_ray()
    if not connected:
      # Ray's own tells its head of an error before it shows it; without a head that is never.
      sys.excepthook = hook
      self._ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
    last_word.promise()
    self._head = _Head(self._ray.get_runtime_context().gcs_address)
    self._cores = cores
    self._warned = -float("inf")
    present = int(self._ray.cluster_resources().get("CPU", 0))
    if cores > present:
      raise ValueError(
          f"{num_processes} process(es) with {self.num_devices} device(s) each need {cores} cores, "
          f"and Ray has {present}: ask for fewer (--num_workers, --num_devices), or add "
          "machines.")

  def start_process(self, make: Callable[..., Any], *arguments: Any) -> Actor:
    """See `Runtime`."""
    return self._start({"num_cpus": self.num_devices}, _Setup.here(self.num_devices), make,
                       arguments)

  def start_server(self, make: Callable[..., Any], *arguments: Any) -> Actor:
    """See `Runtime`."""
    return self._start({"num_cpus": 0, "max_restarts": -1}, None, make, arguments)

  def wait(self, calls: Sequence[Call]) -> Sequence[Call]:
    """See `Runtime`."""
    by_reference = {call.reference: call for call in calls if isinstance(call, _RayCall)}
    done: Sequence[Any] = []
    while not done:
      self.look()
      with _told_if_gone():
        done, _ = self._ray.wait(list(by_reference), num_returns=1, timeout=_LOOK_SECONDS)
    return [by_reference[reference] for reference in done]

  def look(self) -> None:
    """Looks now and then whether Ray is there, and warns when it has too few machines.

    Ray itself says nothing then: a process for which there is no room begins when there is.

    Raises:
      ConnectionError: Ray is gone.
    """
    if not self._head.check():
      return
    with _told_if_gone():
      present = int(self._ray.cluster_resources().get("CPU", 0))
    now = time.monotonic()
    if present < self._cores and now - self._warned >= _WARNING_SECONDS:
      self._warned = now
      print(f"warning: the search needs {self._cores} cores, and Ray has {present} left: what has "
            "no room waits until a machine joins (`ray start --address="
            f"{self._head.address}`).", file=sys.stderr, flush=True)

  def stop(self, actor: Actor) -> None:
    """See `Runtime`."""
    assert isinstance(actor, _RayActor)
    if not self._head.gone:  # without it they end by themselves
      self._head.require()
      with _told_if_gone():
        self._ray.kill(actor.handle)

  def _start(
      self, options: dict[str, Any], setup: "_Setup | None", make: Callable[..., Any],
      arguments: Sequence[Any],
  ) -> "_RayActor":
    self._head.require()
    host = self._ray.remote(**options)(_Host)
    return _RayActor(host.remote(setup, make, arguments), self.look)


class _Head:
  """Where Ray keeps what it knows; without it Ray ends this process after a minute.

  Attributes:
    address: of it.
    gone: whether it was found to be gone for good.
  """

  def __init__(self, address: str):
    self.address = address
    self.gone = False
    self._looked = time.monotonic()
    self._failures = 0

  def check(self) -> bool:
    """Looks now and then whether it is there; whether it did and it was.

    Raises:
      ConnectionError: it is not, and was not the last times.
    """
    if time.monotonic() - self._looked < _LOOK_SECONDS:
      return False
    return self._probe()

  def require(self) -> None:
    """Looks at once, before something of which Ray would wait for it until it ends this process.

    Raises:
      ConnectionError: it is not there, and is not after some seconds.
    """
    while not self._probe():
      time.sleep(_REQUIRED_SECONDS)

  def _probe(self) -> bool:
    self._looked = time.monotonic()
    try:
      _probe(self.address)
      self._failures = 0
      return True
    except OSError as error:
      self._failures += 1
      if self._failures >= _MAX_FAILURES:
        self.gone = True
        raise ConnectionError(
            f"Ray itself is gone: nothing answers at {self.address} any more ({error}). What "
            "was found until now is in the run directory; start Ray again, and continue with "
            "--resume.") from error
      return False


def _check_address(address: str) -> None:
  """Refuses what cannot be connected to, which Ray tries for minutes.

  Raises:
    ValueError: no address.
    ConnectionError: nothing answers there.
  """
  if not re.fullmatch(r"[^\s:/]+:\d{1,5}", address):
    raise ValueError(
        f"--ray_address must be HOST:PORT, as `ray start --head` tells it, got '{address}'.")
  try:
    _probe(address)
  except OSError as error:
    raise ConnectionError(
        f"No Ray answers at --ray_address={address} ({error}): see with `ray status --address "
        f"{address}` whether it runs, or start one with `ray start --head`.") from error


def _probe(address: str) -> None:
  host, _, port = address.rpartition(":")
  with socket.create_connection((host, int(port)), timeout=5):
    pass


@functools.cache
def _own_address(cores: int) -> str:
  """Starts a Ray of this machine's own, that ends with this process; its address.

  Raises:
    ConnectionError: it does not start.
  """
  # Others on this machine cannot use it without the token, which its processes inherit.
  os.environ.setdefault("RAY_AUTH_MODE", "token")
  os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
  head = subprocess.Popen(
      [sys.executable, "-m", "azero.distributed.ray_head", str(cores)], stdin=subprocess.PIPE,
      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True)
  assert head.stdin is not None and head.stdout is not None
  atexit.register(_end, head)
  for line in head.stdout:
    if line.startswith("address "):
      return line.split()[1]
  raise ConnectionError(
      f"Ray did not start on this machine (its process ended with {head.wait()}): try "
      f"`{sys.executable} -m azero.distributed.ray_head {cores}` to see why.")


def _end(head: subprocess.Popen) -> None:
  """Ray ends when nobody holds its standard input."""
  assert head.stdin is not None
  head.stdin.close()
  try:
    head.wait(30)
  except subprocess.TimeoutExpired:
    head.kill()


@dataclasses.dataclass(frozen=True)
class _Setup:
  """What a process needs before it computes.

  Attributes:
    num_devices: CPU devices.
    jax_settings: of the driver, by name.
    own: pickled, rows of the driver's op table that are not the paper's, and its mutations that
      are not. In a pickle of their own, since Ray tells nothing of a process that fails to read
      what it is made with.
  """

  num_devices: int
  jax_settings: dict[str, Any]
  own: bytes

  @classmethod
  def here(cls, num_devices: int) -> "_Setup":
    """That of this process, with other devices.

    Raises:
      ValueError: an op or a mutation of the user's own cannot be sent to another process.
    """
    own = op_table.all_ops()[op_table.NUM_PAPER_OPS :], mutation.own_mutations()
    try:
      pickled = import_ray().cloudpickle.dumps(own)
    except Exception as error:  # whatever it refers to says in its own way that it cannot be
      raise ValueError(
          "An op or a mutation of your own cannot be sent to other processes "
          f"({type(error).__name__}: {error}): let it refer to plain values and functions only, "
          "or search in one process.") from error
    return cls(num_devices, {name: getattr(jax.config, name) for name in _JAX_SETTINGS}, pickled)

  def apply(self) -> None:
    """Makes it so.

    Raises:
      ValueError: an op or a mutation of the user's own is of a module that is not found here.
    """
    devices.configure_jax(self.num_devices)
    logging.getLogger("jax").setLevel(logging.WARNING)
    for name, value in self.jax_settings.items():
      jax.config.update(name, value)
    self.adopt_own()

  def adopt_own(self) -> None:
    """Registers ops and mutations of the user's own, see `apply`."""
    try:
      ops, mutations = import_ray().cloudpickle.loads(self.own)
    except (ImportError, AttributeError) as error:
      raise ValueError(
          f"An op or a mutation of your own cannot be imported in another process ({error}): "
          "define it in the script that you run, or install its module where every process "
          "finds it, or name its folder in PYTHONPATH.") from error
    op_table.adopt(ops)
    mutation.adopt(mutations)


class _Host:
  """Holds the object of an actor in its process."""

  def __init__(self, setup: _Setup | None, make: Callable[..., Any], arguments: Sequence[Any]):
    # Ctrl-C in a terminal reaches all processes; the driver decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    self._object: Any = None
    self._error: Exception | None = None
    try:
      if setup is not None:
        setup.apply()
      self._object = make(*arguments)
    except Exception as error:  # to be told by the first call: Ray would call the actor dead
      self._error = error

  def call(self, method: str, arguments: Sequence[Any]) -> Any:
    """Calls a method of the object."""
    if self._error is not None:
      raise self._error
    return getattr(self._object, method)(*arguments)


class _RayActor:
  """A handle of Ray's; can be sent to other actors."""

  def __init__(self, handle: Any, look: Callable[[], None] | None = None):
    self.handle = handle
    self._look = look

  def __reduce__(self) -> tuple[Any, ...]:
    return _RayActor, (self.handle,)  # elsewhere nobody looks after Ray

  def submit(self, method: str, *arguments: Any) -> Call:
    """See `Actor`."""
    with _told_if_gone():
      return _RayCall(self.handle.call.remote(method, arguments), self._look)


class _RayCall:
  """A reference to what a call will return."""

  def __init__(self, reference: Any, look: Callable[[], None] | None):
    self.reference = reference
    self._look = look

  def result(self) -> Any:
    """See `Call`."""
    ray = import_ray()
    while self._look is not None:
      with _told_if_gone():
        done, _ = ray.wait([self.reference], timeout=_LOOK_SECONDS)
      if done:
        break
      self._look()
    try:
      with _told_if_gone():
        return ray.get(self.reference)
    # What an actor returned may be lost with its machine after the call has ended.
    except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError) as error:
      raise ActorLost(str(error).splitlines()[0].rstrip(".")) from error
    except ray.exceptions.RayTaskError as error:
      raise (error.cause or error) from error


@contextlib.contextmanager
def _told_if_gone() -> Iterator[None]:
  """Says what a broken connection to Ray's object store means; see `last_word`, too.

  Raises:
    ConnectionError: it is broken.
  """
  try:
    yield
  except import_ray().exceptions.RayTaskError:  # an error of an actor, which may be an OSError, too
    raise
  except OSError as error:
    raise ConnectionError(
        f"Ray's part on this machine is gone ({error}). What was found until now is in the run "
        "directory; start Ray again, and continue with --resume.") from error


def import_ray() -> Any:
  """Ray, set up to keep to itself.

  Raises:
    MissingPackageError: it is not installed.
  """
  lazy.require("ray", extra="ray", purpose="Searches over processes")
  # Read when Ray is imported: a Ray of our own listens on this machine's loopback only, and
  # tells nobody of its use.
  os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
  os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
  import ray

  return ray
