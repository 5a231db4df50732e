"""Measuring: rates of an evaluator, the stages of a search, and the machine it runs on.

Figures are the best of several runs, each of at least so many seconds: what else the machine
does can only make a run slower. Nothing in what is measured knows of it: rates are those of
public calls, and the stages of a search are told apart by Python's profiler.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
import contextlib
import cProfile
import dataclasses
import os
import pathlib
import platform
import pstats
import time
from typing import Any, NamedTuple, TypeVar

import jax
import jaxlib
import numpy as np

from azero.executors import devices
from azero.executors.activity import DEVICES
from azero.executors.evaluator import Evaluator, Pending
from azero.language.program import Programs
from azero.search.search import Search

K = TypeVar("K", bound=Hashable)

_Function = tuple[str, int, str]  # file, line and name, as the profiler has it
_TIME, _CUMULATIVE, _CALLERS = 2, 3, 4  # places in what the profiler says of a function
_MAX_DEPTH = 12  # of calls outside azero

_IN_FLIGHT = 2  # batches; the host prepares one while the device is at the other

# What belongs to which stage of a search, by the beginning of the function's name; the first
# counts. Compiled loops are seen as the functions that Python calls.
_STAGES: Mapping[str, str] = {
    "azero.search.rounds.committing": "commit",
    "azero.search.rounds.evaluating": "caches",
    "azero.search.rounds": "propose",
    "azero.search.threads.in_threads": "wait for threads",
    "azero.search.handover": "wait for threads",
    "azero.search": "commit",
    "azero.compiler": "schedule",
    "azero.executors.waves.schedule": "schedule",
    "azero.executors.waves.ssa": "schedule",
    "azero.executors.waves.executor._run": "devices",
    "azero.executors.activity": "devices",
    "azero.executors": "launch",
}
STAGES = ("propose", "caches", "schedule", "launch", "devices", "commit", "wait for threads",
          "other")


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
    counts: how programs were answered, by the names of `evaluating.Counts`.
    idle: share of the time in which devices had no work.
  """

  seconds: float
  programs: int
  steps: int
  counts: dict[str, int]
  idle: float


def measure_search(search: Search, *, warm_up: float, seconds: float) -> SearchRate:
  """How fast a search is, after it has compiled and run for `warm_up` seconds."""
  search.step()
  _step_for(search, warm_up)
  return measure_start(search, seconds)


def measure_start(search: Search, seconds: float) -> SearchRate:
  """How fast a search is from where it is."""
  before, busy = dataclasses.asdict(search.counts), DEVICES.of_devices()
  elapsed = _step_for(search, seconds)
  counts = {name: value - before[name] for name, value in dataclasses.asdict(search.counts).items()}
  idle = 1.0 - DEVICES.seconds(busy) / elapsed if elapsed else 0.0
  return SearchRate(
      elapsed, counts["programs"], counts["train_steps"], counts, min(max(idle, 0.0), 1.0))


def stage_shares(search: Search, seconds: float) -> dict[str, float]:
  """Shares of the wall time of a search in each of STAGES; they add up to 1.

  Those of the thread that calls, which works for one device as the others do for theirs. By
  Python's own profiler, which slows down what makes many calls: shares are of a search that is
  being watched.
  """
  profile = cProfile.Profile(time.perf_counter)
  profile.enable()
  _step_for(search, seconds)
  profile.disable()
  spent = _seconds_by_stage(pstats.Stats(profile))
  whole = sum(spent.values())
  return {stage: spent[stage] / whole for stage in STAGES}


def _seconds_by_stage(stats: pstats.Stats) -> dict[str, float]:
  """Seconds in each stage: of functions of azero, and of what they called elsewhere."""
  calls: dict[_Function, tuple[Any, ...]] = stats.stats  # type: ignore[attr-defined]
  spent = dict.fromkeys(STAGES, 0.0)

  def charge(function: _Function, seconds: float, path: tuple[_Function, ...]) -> None:
    """Gives the time of a function to its stage, or else to those of its callers.

    By the time that it took for each with all that it called: a wait for a thread that starts
    is short, one for its end is long, and both are spent in a lock far below.
    """
    stage, callers = _stage_of(function), calls[function][_CALLERS]
    own = {other: counts[_CUMULATIVE] for other, counts in callers.items() if other not in path}
    total = sum(own.values())
    if stage is not None or not total or len(path) > _MAX_DEPTH:
      spent[stage or "other"] += seconds
      return
    for other, share in own.items():
      charge(other, seconds * share / total, (*path, function))

  for function, counts in calls.items():
    if counts[_TIME] > 0:
      charge(function, counts[_TIME], ())
  return spent


def _stage_of(function: _Function) -> str | None:
  """The stage of a function by its file and name; None if it is not of azero."""
  _, found, path = function[0].replace(os.sep, "/").rpartition("/azero/")
  name = f"azero.{path.removesuffix('.py').replace('/', '.')}.{function[2]}"
  return next(
      (stage for prefix, stage in _STAGES.items() if found and name.startswith(prefix)), None)


def _step_for(search: Search, seconds: float) -> float:
  start = time.perf_counter()
  while (elapsed := time.perf_counter() - start) < seconds:
    search.step()
  return elapsed


def num_devices() -> int:
  """Devices that JAX has."""
  return len(jax.devices())


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
