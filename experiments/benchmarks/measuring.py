"""Measuring: rates of an evaluator, the stages of a search, and the machine it runs on.

Figures are the best of several runs, each of at least so many seconds: what else the machine
does can only make a run slower. Nothing in what is measured knows of it; the stages of a
search are timed by wrapping its methods meanwhile.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
import contextlib
import dataclasses
import functools
import os
import pathlib
import platform
import time
from typing import Any, NamedTuple, TypeVar

import jax
import jaxlib
import numpy as np

from azero.executors import devices
from azero.executors.evaluator import Evaluator, Pending
from azero.executors.waves.schedule import Scheduler
from azero.language.program import Programs
from azero.search import equivalence
from azero.search.evolution import Evolution
from azero.search.hall_of_fame import HallOfFame
from azero.search.lru_cache import LruCache
from azero.search.search import Search

K = TypeVar("K", bound=Hashable)

_IN_FLIGHT = 2  # batches; the host prepares one while the device is at the other

# What belongs to which stage of a search; of nested calls each has its own time only.
_STAGES: tuple[tuple[str, Any, str], ...] = (
    ("propose", Evolution, "_propose"),
    ("analyse", Evaluator, "analyse"),
    ("caches", LruCache, "get"),
    ("caches", LruCache, "put"),
    ("caches", equivalence, "_distinct"),
    ("schedule", Evaluator, "plan"),
    ("schedule", Scheduler, "schedule"),
    ("launch", Evaluator, "launch"),
    ("wait for devices", Pending, "result"),
    ("accept", Evolution, "_accept"),
    ("accept", Search, "_note_best"),
    ("accept", HallOfFame, "offer"),
)
STAGES = (*dict.fromkeys(stage for stage, _, _ in _STAGES), "other")


@dataclasses.dataclass(frozen=True)
class Effort:
  """How long to measure.

  Attributes:
    seconds: of a run at least.
    runs: of which the best counts.
  """

  seconds: float = 0.3
  runs: int = 3


class Rates(NamedTuple):
  """What an evaluator does with a batch of N programs, again and again.

  Attributes:
    device: seconds of a batch whose plan is made once; while the devices are at one batch
      the host lays out the tables of the next.
    end_to_end: seconds of `Evaluator.evaluate`: analysis, plan, tables, devices, results, one
      after the other.
    cores: processor time over wall time of the device's runs; below the number of devices
      if other processes took part of it.
    steps: training steps of a batch, those that were really trained.
    trained: fraction of programs and tasks that trained on every example.
  """

  device: float
  end_to_end: float
  cores: float
  steps: int
  trained: float


def best_seconds(run: Callable[[], object], effort: Effort) -> float:
  """Seconds of one call, the mean of each run and the best of the runs."""
  means = []
  for _ in range(effort.runs):
    start, count, elapsed = time.perf_counter(), 0, 0.0
    while elapsed < effort.seconds or not count:
      run()
      count += 1
      elapsed = time.perf_counter() - start
    means.append(elapsed / count)
  return min(means)


def measure_batch(evaluator: Evaluator, programs: Programs, effort: Effort) -> Rates:
  """How fast an evaluator evaluates N programs on its first tasks, once it has compiled."""
  evaluation = evaluator.evaluate(programs)
  plan = evaluator.plan(programs, evaluator.analyse(programs))
  sets = np.zeros(len(programs), np.int32)
  start = time.perf_counter(), time.process_time()
  device = device_seconds({"": lambda: evaluator.launch(plan, sets)}, effort)[""]
  cores = (time.process_time() - start[1]) / (time.perf_counter() - start[0])
  end_to_end = best_seconds(lambda: evaluator.evaluate(programs), effort)
  return Rates(
      device, end_to_end, cores, int(evaluation.train_steps.sum()),
      float(evaluation.trained.mean()))


def device_seconds(
    launches: Mapping[K, Callable[[], Pending]], effort: Effort) -> dict[K, float]:
  """Seconds of each of several evaluations, if the next is launched before waiting for one.

  They are measured in turn, and that as often as there are runs, so that what slows the
  machine down for a while slows down few of the runs of each.
  """
  best = dict.fromkeys(launches, float("inf"))
  for _ in range(effort.runs):
    for name, launch in launches.items():
      best[name] = min(best[name], _sustained(launch, effort.seconds))
  return best


def _sustained(launch: Callable[[], Pending], seconds: float) -> float:
  """Seconds of one evaluation if the next one is always launched before waiting for it."""
  start = time.perf_counter()
  waiting = [launch() for _ in range(_IN_FLIGHT)]
  count = len(waiting)
  while time.perf_counter() - start < seconds:
    waiting.pop(0).result()
    waiting.append(launch())
    count += 1
  for pending in waiting:
    pending.result()
  return (time.perf_counter() - start) / count


class SearchRate(NamedTuple):
  """What a search did in some time.

  Attributes:
    seconds: of wall time.
    programs: that it asked for.
    steps: training steps that it took.
    counts: how programs were answered, by the names of `equivalence.Counts`.
  """

  seconds: float
  programs: int
  steps: int
  counts: dict[str, int]


def measure_search(search: Search, *, warm_up: float, seconds: float) -> SearchRate:
  """How fast a search is, after it has compiled and run for `warm_up` seconds."""
  search.step()
  _step_for(search, warm_up)
  before = dataclasses.asdict(search.counts)
  elapsed = _step_for(search, seconds)
  counts = {name: value - before[name] for name, value in dataclasses.asdict(search.counts).items()}
  return SearchRate(elapsed, counts["programs"], counts["train_steps"], counts)


def stage_shares(search: Search, seconds: float) -> dict[str, float]:
  """Shares of the wall time of a search in each of STAGES; they add up to 1."""
  with timed_stages() as spent:
    elapsed = _step_for(search, seconds)
  shares = {stage: spent[stage] / elapsed for stage in STAGES[:-1]}
  return shares | {"other": 1.0 - sum(shares.values())}


def _step_for(search: Search, seconds: float) -> float:
  start = time.perf_counter()
  while (elapsed := time.perf_counter() - start) < seconds:
    search.step()
  return elapsed


@contextlib.contextmanager
def timed_stages() -> Iterator[dict[str, float]]:
  """Times the stages of searches that run meanwhile: seconds of each, filled as they go."""
  spent = dict.fromkeys(STAGES, 0.0)
  inner = [0.0]  # time of calls within each call under way

  def timed(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args, **kwargs):
      inner.append(0.0)
      start = time.perf_counter()
      try:
        return function(*args, **kwargs)
      finally:
        elapsed = time.perf_counter() - start
        spent[stage] += elapsed - inner.pop()
        inner[-1] += elapsed

    return run

  originals = [(owner, name, getattr(owner, name)) for _, owner, name in _STAGES]
  try:
    for (stage, owner, name), (_, _, original) in zip(_STAGES, originals):
      setattr(owner, name, timed(stage, original))
    yield spent
  finally:
    for owner, name, original in originals:
      setattr(owner, name, original)


def peak_memory() -> float | None:
  """Most memory that this process has held, in bytes; None where that cannot be read."""
  status = pathlib.Path("/proc/self/status")
  if not status.exists():
    return None
  lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
  return float(lines["VmHWM"].split()[0]) * 1024 if "VmHWM" in lines else None


def machine() -> dict[str, str]:
  """What this runs on, as far as it can be read."""
  return {
      "processor": _processor(),
      "cores": f"{devices.num_cores()} of {os.cpu_count()}",
      "caches of a core": ", ".join(_caches()) or "unknown",
      "system": platform.platform(),
      "Python": platform.python_version(),
      "NumPy": np.__version__,
      "JAX, jaxlib": f"{jax.__version__}, {jaxlib.__version__}",
      "JAX devices": f"{len(jax.devices())} ({jax.devices()[0].platform})",
  }


def _processor() -> str:
  info = pathlib.Path("/proc/cpuinfo")
  names = [line.split(":", 1)[1].strip() for line in (
      info.read_text().splitlines() if info.exists() else []) if line.startswith("model name")]
  return names[0] if names else platform.processor() or "unknown"


def _caches() -> Sequence[str]:
  found = []
  for index in sorted(pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
    with contextlib.suppress(OSError):
      level, kind, size = (
          (index / name).read_text().strip() for name in ("level", "type", "size"))
      found.append(f"L{level} {kind.lower()} {size}")
  return found
