"""A cluster of machines that are network namespaces of this one, each with an address of its own.

A head and nodes hang on a switch, a bridge in a namespace of its own, so that nothing of this
machine's network is touched. The machines share its disk and its cores. Needs `ip` of iproute2
and the rights of an administrator.
"""

from collections.abc import Iterator, Mapping
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import psutil
import pytest

HEAD = "head"
_PORT = 6379
_SUBNET = "10.77.0"
_STORE_BYTES = 100_000_000  # of Ray's objects, on each machine


class Machines:
  """Started machines, without Ray at first.

  Attributes:
    address: where Ray's head answers, HOST:PORT.
  """

  def __init__(self, nodes: list[str], slow: Mapping[str, tuple[float, float]]):
    """Args: names of the nodes beside the head; delay and loss of slow links."""
    self.names = [HEAD, *nodes]
    self._slow = slow
    self.address = f"{_SUBNET}.1:{_PORT}"
    # Of Ray, which has sockets in it, whose paths must be short.
    self._directory = tempfile.mkdtemp(prefix="ray")
    self._prefix = f"azero{os.getpid()}"
    self._switch = f"{self._prefix}switch"
    self._drivers: list[subprocess.Popen] = []
    self._carriers: list[subprocess.Popen] = []  # of slow links
    self._heads = 0  # started until now

  def build(self) -> None:
    """Makes the namespaces and links."""
    _ip("netns", "add", self._switch)
    _ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
    _ip("-n", self._switch, "link", "set", "bridge", "up")
    for number, name in enumerate(self.names, start=1):
      space = self._space(name)
      _ip("netns", "add", space)
      port = f"{name}-port" if name in self._slow else name
      _ip("-n", self._switch, "link", "add", port, "type", "veth", "peer", "name", "eth0",
          "netns", space)
      if name in self._slow:
        self._make_slow(name, port)
      _ip("-n", self._switch, "link", "set", name, "master", "bridge", "up")
      _ip("-n", space, "addr", "add", f"{_SUBNET}.{number}/24", "dev", "eth0")
      for device in ("lo", "eth0"):
        _ip("-n", space, "link", "set", device, "up")

  def remove(self) -> None:
    """Ends all that runs on the machines, and removes them."""
    spaces = subprocess.run(
        ["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout.split()
    mine = [space for space in spaces if space.startswith(self._prefix)]
    for space in mine:
      _kill(_pids(space))
    for space in mine:
      _ip("netns", "del", space)  # with the links of it
    for process in (*self._drivers, *self._carriers):
      process.communicate()
    shutil.rmtree(self._directory)

  def start_ray(self, name: str, *, cores: int) -> None:
    """`ray start` on a machine, which gives Ray so many cores."""
    number = self.names.index(name) + 1
    options = [f"--node-ip-address={_SUBNET}.{number}", f"--num-cpus={cores}",
               f"--object-store-memory={_STORE_BYTES}"]
    if name == HEAD:
      self._heads += 1
      options += ["--head", f"--port={_PORT}", "--include-dashboard=false",
                  f"--temp-dir={self._directory}/{self._heads}"]
    else:
      options.append(f"--address={self.address}")
    ray = str(pathlib.Path(sys.executable).with_name("ray"))
    done = subprocess.run(
        self._on(name, [ray, "start", *options]), capture_output=True, text=True,
        env=_environment())
    assert done.returncode == 0, done.stdout + done.stderr

  def start_driver(self, command: list[str]) -> subprocess.Popen:
    """A command on the head, whose messages are in pipes."""
    driver = subprocess.Popen(
        self._on(HEAD, command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=_environment())
    self._drivers.append(driver)
    return driver

  def kill(self, name: str) -> int:
    """Kills all of Ray on a machine, raylet and workers, as if it lost its power; how many."""
    mine = {
        child.pid for driver in self._drivers if driver.poll() is None
        for child in [psutil.Process(driver.pid), *psutil.Process(driver.pid).children(True)]}
    return _kill([pid for pid in _pids(self._space(name)) if pid not in mine])

  def round_trip(self, name: str) -> float:
    """Seconds until a machine has told the head that nobody listens at a port."""
    address = f"{_SUBNET}.{self.names.index(name) + 1}"
    code = (
        "import socket, time\nstart = time.perf_counter()\n"
        f"socket.socket().connect_ex(('{address}', 9))\nprint(time.perf_counter() - start)")
    done = subprocess.run(
        self._on(HEAD, [sys.executable, "-c", code]), capture_output=True, text=True, check=True)
    return float(done.stdout)

  def workers(self, name: str) -> int:
    """Processes of a search that a machine has."""
    return self._count(name, "ray::_Host")

  def has_ray(self, name: str) -> bool:
    """Whether a machine belongs to Ray; one that Ray believes dead ends its part of it."""
    return self._count(name, "raylet/raylet") > 0

  def set_link(self, name: str, state: str) -> None:
    """Cuts the link of a machine, "down", or mends it, "up"."""
    _ip("-n", self._switch, "link", "set", name, state)

  def _make_slow(self, name: str, port: str) -> None:
    """Puts a process between the port of a machine and that of the bridge."""
    far = f"{name}-far"
    _ip("-n", self._switch, "link", "add", name, "type", "veth", "peer", "name", far)
    for device in (far, port):
      _ip("-n", self._switch, "link", "set", device, "up")
    carrier = pathlib.Path(__file__).with_name("slow_link.py")
    self._carriers.append(subprocess.Popen(
        ["ip", "netns", "exec", self._switch, sys.executable, str(carrier), far, port,
         *map(str, self._slow[name])]))

  def _space(self, name: str) -> str:
    return f"{self._prefix}{name}"

  def _count(self, name: str, word: str) -> int:
    return sum(any(word in part for part in _command(pid)) for pid in _pids(self._space(name)))

  def _on(self, name: str, command: list[str]) -> list[str]:
    return ["ip", "netns", "exec", self._space(name), *command]


@contextlib.contextmanager
def machines(
    nodes: list[str], slow: Mapping[str, tuple[float, float]] | None = None
) -> Iterator[Machines]:
  """A head and nodes; skips the test where namespaces are not permitted.

  Args:
    nodes: names of those beside the head.
    slow: of machines with a slow link: by how many seconds it delays packets, and which part of
      them it loses, in each direction.
  """
  if shutil.which("ip") is None:
    pytest.skip("no network namespaces: `ip` of iproute2 is not installed")
  made = Machines(nodes, slow or {})
  try:
    try:
      made.build()
    except subprocess.CalledProcessError as error:
      pytest.skip(f"network namespaces are not permitted: {error.stderr.strip()}")
    yield made
  finally:
    made.remove()


def _environment() -> dict[str, str]:
  tests = pathlib.Path(__file__).parents[1]
  own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
  return own | {
      "PYTHONPATH": os.pathsep.join(map(str, (tests, tests.parent))),
      "RAY_USAGE_STATS_ENABLED": "0",
      # Its workers would give way to everything else that this machine does.
      "RAY_worker_niceness": "0"}


def _ip(*arguments: str) -> None:
  subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True)


def _pids(space: str) -> list[int]:
  found = subprocess.run(["ip", "netns", "pids", space], capture_output=True, text=True)
  return [int(pid) for pid in found.stdout.split()]


def _command(pid: int) -> list[str]:
  try:
    return psutil.Process(pid).cmdline()
  except psutil.Error:
    return []


def _kill(pids: list[int]) -> int:
  for pid in pids:
    with contextlib.suppress(ProcessLookupError):
      os.kill(pid, signal.SIGKILL)
  while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
            for pid in pids):
    time.sleep(0.01)
  return len(pids)
