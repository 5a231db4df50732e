"""A search over machines with addresses of their own, and what happens to machines and links.

Everything here takes minutes: python -m pytest -m slow tests/distributed/test_machines.py -s
"""

import json
import pathlib
import subprocess
import sys
import time

import pytest
from support import cluster_driver
from support.machines import HEAD, machines

from azero.distributed import last_word
from azero.runs import recorder
from azero.runs.checkpoints import Checkpoints

pytestmark = pytest.mark.slow

_PROGRAMS = 200_000  # of an island
_NODES = ["one", "two"]
_DRIVER = pathlib.Path(cluster_driver.__file__)
_HISTORY = ("hall_of_fame.json", "front.json")


@pytest.fixture(scope="module")
def local(tmp_path_factory):
  """The run in one process."""
  path = tmp_path_factory.mktemp("local") / "run"
  cluster_driver.run(str(path), _PROGRAMS)
  return path


def start_ray(made):
  """A head without cores and two nodes, each with the core of one process."""
  made.start_ray(HEAD, cores=0)
  for name in _NODES:
    made.start_ray(name, cores=1)


@pytest.fixture
def cluster():
  """See `start_ray`."""
  with machines(_NODES) as made:
    start_ray(made)
    yield made


class Driver:
  """A search on a cluster."""

  def __init__(self, made, path, *, asynchronous=False):
    self.path = path
    self.halls = []  # fitnesses of hall_of_fame.json at times
    settings = {"directory": str(path), "programs": _PROGRAMS, "address": made.address,
                "asynchronous": asynchronous}
    self._process = made.start_driver([sys.executable, str(_DRIVER), json.dumps(settings)])
    self._start = time.monotonic()

  def seconds(self):
    return time.monotonic() - self._start

  def wait_for(self, part):
    """Until it has spent a part of its budget, and saved that in a checkpoint."""
    checkpoints = Checkpoints(self.path / "checkpoints", schema=recorder.SCHEMA)
    while self.goes_on():
      if max(checkpoints.versions(), default=0) > 1 and self._spent() >= part:
        return
      time.sleep(0.2)
    self.end()
    raise AssertionError("it ended before")

  def goes_on(self):
    return self._process.poll() is None

  def pause(self, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
      self._look()
      time.sleep(0.2)

  def end(self, status=0):
    """What it said when it ended, and its warnings."""
    while self.goes_on():
      self._look()
      time.sleep(0.2)
    out, err = self._process.communicate()
    assert self._process.returncode == status, out + err
    self._look()
    for before, after in zip(self.halls, self.halls[1:]):
      assert len(after) >= len(before)
      assert all(late >= early for early, late in zip(before, after))
    said = [line for line in out.splitlines() if line.startswith("{")]  # Ray may say more
    return (json.loads(said[-1]) if status == 0 else None), err

  def _spent(self):
    rows = self.path / "metrics.jsonl"
    lines = rows.read_text().splitlines() if rows.exists() else []
    return json.loads(lines[-1])["budget_spent"] if lines else 0.0

  def _look(self):
    if (self.path / "hall_of_fame.json").exists():
      entries = json.loads((self.path / "hall_of_fame.json").read_text())
      self.halls.append([entry["fitness"] for entry in entries])


def improvements(path):
  return sorted((path / "improvements.jsonl").read_text().splitlines())


def assert_same(path, expected):
  assert improvements(path) == improvements(expected)
  for name in _HISTORY:
    assert (path / name).read_text() == (expected / name).read_text()


def test_a_command_over_machines_finds_what_one_process_finds(cluster, tmp_path):
  command = [
      sys.executable, "-m", "experiments.linear_regression", "--islands=4",
      "--population_size=100", "--stop_at_first=false", "--max_train_steps=1000000",
      "--select_every=1000", "--progress=off", f"--output_dir={tmp_path}", "--num_devices=1"]
  one = subprocess.run([*command, "--run_name=one"], capture_output=True, text=True)
  assert one.returncode == 0, one.stderr
  over = cluster.start_driver([
      *command, "--run_name=over", "--runtime=ray", "--num_workers=2",
      f"--ray_address={cluster.address}"])
  out, err = over.communicate()
  assert over.returncode == 0, out + err
  assert_same(tmp_path / "over", tmp_path / "one")


def test_a_search_with_migration_over_machines_is_the_one_of_one_process(cluster, tmp_path, local):
  driver = Driver(cluster, tmp_path / "run")
  driver.wait_for(0.1)
  # A process each; the migration server is on any of the machines.
  assert all(cluster.workers(name) >= 1 for name in _NODES)
  assert sum(cluster.workers(name) for name in [HEAD, *_NODES]) == 3
  said, err = driver.end()
  print(said, err)
  assert (said["status"], said["losses"]) == ("budget", 0)
  assert_same(tmp_path / "run", local)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_machine_that_dies_and_comes_back(cluster, tmp_path, local, asynchronous):
  driver = Driver(cluster, tmp_path / "run", asynchronous=asynchronous)
  driver.wait_for(0.2)
  assert cluster.kill("two") >= 2
  driver.pause(20)
  cluster.start_ray("two", cores=1)
  said, err = driver.end()
  print(said, err)
  assert said["status"] == "budget" and 1 <= said["losses"] <= 3
  if not asynchronous:
    assert_same(tmp_path / "run", local)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("seconds", [5, 30])
def test_a_link_that_is_cut_and_mended(cluster, tmp_path, local, asynchronous, seconds):
  driver = Driver(cluster, tmp_path / "run", asynchronous=asynchronous)
  driver.wait_for(0.2)
  cluster.set_link("two", "down")
  driver.pause(seconds)
  cluster.set_link("two", "up")
  # Ray takes a machine for dead that it did not reach for a while, and its part there ends
  # when it hears so: whoever looks after the machine starts it again.
  end = time.monotonic() + 60
  while driver.goes_on() and time.monotonic() < end:
    if not cluster.has_ray("two"):
      cluster.start_ray("two", cores=1)
      break
    driver.pause(1)
  said, err = driver.end()
  print(f"cut for {seconds} s, asynchronous: {asynchronous}", said, driver.seconds(), err)
  assert said["status"] == "budget" and said["losses"] <= 3
  if not asynchronous:
    assert_same(tmp_path / "run", local)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_link_that_is_slow_and_loses_packets(tmp_path, local, asynchronous):
  with machines(_NODES, slow={"two": (0.05, 0.01)}) as made:
    assert made.round_trip("two") >= 0.1
    start_ray(made)
    driver = Driver(made, tmp_path / "run", asynchronous=asynchronous)
    driver.wait_for(0.1)
    assert made.workers("two") >= 1
    said, err = driver.end()
  print(f"slow link, asynchronous: {asynchronous}", said, driver.seconds(), err)
  assert (said["status"], said["losses"], said["missed_migrations"]) == ("budget", 0, 0)
  if not asynchronous:
    assert_same(tmp_path / "run", local)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_head_that_is_lost_ends_the_search_within_a_minute(
    cluster, tmp_path, local, asynchronous):
  driver = Driver(cluster, tmp_path / "run", asynchronous=asynchronous)
  driver.wait_for(0.2)
  assert cluster.kill(HEAD) >= 2
  killed = driver.seconds()
  _, err = driver.end(status=1)
  print(f"head lost, asynchronous: {asynchronous}, after {driver.seconds() - killed:.0f} s", err)
  assert driver.seconds() - killed < 60
  # Ray may end the process itself before it has looked for the head: then another one speaks.
  gone = f"ConnectionError: Ray itself is gone: nothing answers at {cluster.address} any more"
  assert gone in err or last_word.MESSAGE in err
  for name in _NODES:
    cluster.kill(name)
  start_ray(cluster)
  again = Driver(cluster, tmp_path / "run", asynchronous=asynchronous)
  again.halls = driver.halls  # nothing of them is lost
  said, err = again.end()
  print("continued", said, again.seconds(), err)
  assert said["status"] == "budget"
  if not asynchronous:
    assert_same(tmp_path / "run", local)
