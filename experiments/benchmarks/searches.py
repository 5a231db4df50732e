"""The searches whose speed counts: what they are, and how fast each is from its start.

They differ in what decides: the host in the demo and on a small table, the devices where programs
train on many examples; one island has to share its rounds over devices, many need not. All
data are drawn here or come with scikit-learn.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
from typing import Any

import numpy as np

from azero.language import spaces
from azero.language.program import SearchSpace
from azero.search.config import SearchConfig
from azero.search.evolution import Evolution
from azero.tasks.images.digits import projected_digits
from azero.tasks.tables.sources import from_arrays
from azero.tasks.task import Tasks, make_tasks
from experiments.benchmarks import measuring
from experiments.frame import linear_demo

_NUM_TASKS = 10  # D
_TABLE = 569, 30  # rows and features
_S10_EXAMPLES = 8000, 1000
_S10_FEATURES = 16
_NOISE = 0.5  # of labels, in standard deviations of what decides them
_WARM_UP = 1.0  # seconds of another search of the same shapes, which compiles

Made = tuple[SearchSpace, Sequence[Tasks], SearchConfig]


def _demo(islands: int, seed: int) -> Made:
  """The linear demo."""
  config = dataclasses.replace(linear_demo.SEARCH, seed=seed, max_train_steps=None)
  group = linear_demo.make_group(config, islands=islands)
  return group.space, group.task_sets, group.config


def _digits(islands: int, seed: int) -> Made:
  """5-versus-5 groups of digits, as the experiment on digits has them."""
  sets = [
      projected_digits("groups", "search", _NUM_TASKS, seed=each) for each in _seeds(seed, islands)]
  return spaces.baseline(_S10_FEATURES), sets, SearchConfig(seed=seed, train_budget=4.0)


def _s10(islands: int, fec: bool, seed: int) -> Made:
  """S10's workers: as its baseline, or with functional equivalence checking and a hurdle."""
  sets = [_two_classes(each) for each in _seeds(seed, islands)]
  config = SearchConfig(
      seed=seed, train_budget=4.0, fingerprint=fec, canonical_cache=fec,
      hurdle=0.1 if fec else None)
  return spaces.baseline(_S10_FEATURES), sets, config


def _table(islands: int, seed: int) -> Made:
  """A table of one's own, as the experiment on custom data has it."""
  rng = np.random.default_rng(seed)
  x = rng.normal(size=_TABLE)
  y = _labels(x[None], rng)[0]
  tasks = from_arrays(
      x, y, target="classification", num_tasks=_NUM_TASKS * islands, seed=seed).search
  rows = np.arange(len(tasks)).reshape(islands, _NUM_TASKS)
  return (spaces.baseline(tasks.num_features), [tasks[some] for some in rows],
          SearchConfig(seed=seed, train_budget=4.0))


SEARCHES: Mapping[str, Callable[[int], Made]] = {
    "demo": functools.partial(_demo, linear_demo.ISLANDS),
    "demo_1": functools.partial(_demo, 1),
    "digits": functools.partial(_digits, 8),
    "basic_1": functools.partial(_s10, 1, False),
    "basic_24": functools.partial(_s10, 24, False),
    "fec_1": functools.partial(_s10, 1, True),
    "fec_24": functools.partial(_s10, 24, True),
    "table": functools.partial(_table, 8),
}


def rates(seed: int, seconds: float, *, stages: bool = False) -> dict[str, dict[str, Any]]:
  """How fast each of SEARCHES is.

  Args:
    seed: of tasks and searches.
    seconds: from the start of each, when what it needs is compiled.
    stages: whether to go on as long again to see where the time of a thread goes.

  Returns:
    By name programs and training steps a second, the share of the time in which devices were
    idle, and their number; and "stages", see `measuring.stage_shares`.
  """
  return {name: rate(make, seed, seconds, stages=stages) for name, make in SEARCHES.items()}


def rate(
    make: Callable[[int], Made], seed: int, seconds: float, *, stages: bool = False
) -> dict[str, Any]:
  """How fast one search is; see `rates`."""
  space, sets, config = make(seed)
  measuring.measure_search(Evolution(space, sets, config), warm_up=_WARM_UP, seconds=0.0)
  search = Evolution(space, sets, config)
  found = measuring.measure_start(search, seconds)
  row: dict[str, Any] = {
      "programs_per_second": found.programs / found.seconds,
      "train_steps_per_second": found.steps / found.seconds,
      "device_idle_share": found.idle, "num_devices": measuring.num_devices()}
  if stages:
    row["stages"] = measuring.stage_shares(search, seconds)
  return row


def _seeds(seed: int, count: int) -> list[int]:
  return np.random.SeedSequence(seed).generate_state(count).tolist()


def _two_classes(seed: int) -> Tasks:
  """D tasks of two classes that a plane with some noise separates."""
  rng = np.random.default_rng(seed)
  num_train, num_valid = _S10_EXAMPLES
  x = rng.normal(size=(_NUM_TASKS, num_train + num_valid, _S10_FEATURES))
  y = _labels(x, rng)
  return make_tasks(
      x[:, :num_train], y[:, :num_train], x[:, num_train:], y[:, num_train:], "accuracy")


def _labels(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """[D, N] classes of examples [D, N, F]."""
  num_tasks, count, num_features = x.shape
  normal = rng.normal(size=(num_tasks, num_features, 1)) / np.sqrt(num_features)
  return (np.matmul(x, normal)[..., 0] + _NOISE * rng.normal(size=(num_tasks, count)) > 0) * 1.0
