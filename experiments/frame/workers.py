"""Workers on image tasks: the settings and tasks that the paper's larger experiments share.

An experiment of sections 4.2, 4.3, S9 or S10 divides W workers over kinds: combinations of
data set, training examples N, epochs E, tasks D and features F. An arm of an experiment, for
example a row of the ablation table, is a list of kinds with a search method; its repeats are
experiments of W workers that exchange programs among themselves only.
"""

from collections.abc import Sequence
import dataclasses
import functools
import math
from typing import Any

import numpy as np

from azero.language import text, zoo
from azero.language.program import Programs, SearchSpace
from azero.runs.warm_start import predicts, read_programs
from azero.search.config import SearchConfig
from azero.search.federation import Federation, Group
from azero.search.migration import Migration
from azero.tasks.images import paper_tasks
from azero.tasks.task import Tasks
from experiments.frame import common, estimate, runtimes

_SEARCH, _SELECT, _MIGRATION = range(3)  # what seeds are for
# Workers that make up a batch; fewer leave the devices idle, more only take memory.
_WORKERS_AT_ONCE = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkersConfig(runtimes.RuntimeConfig):
  """Settings of experiments with workers on image tasks; defaults are the paper's."""

  dataset: str = common.setting(
      "cifar10", "Data set of the search and of T_select; see experiments.prepare_data.")
  data_dir: str = common.setting(
      "", "TFDS's data directory; default $TFDS_DATA_DIR or ~/tensorflow_datasets.")
  repeats: int = common.setting(30, "Repeats of each setting.")
  repeats_at_once: int = common.setting(
      0, f"Repeats that run side by side; 0 for as many as make up {_WORKERS_AT_ONCE} workers.")
  task_sets: int = common.setting(
      16, "Different sets of D search tasks of each kind of worker; workers take them in turn.")
  children_per_cycle: int = common.setting(
      1, "Children of each worker in a cycle; 1 is exactly the paper's algorithm.")
  max_train_steps: int = common.setting(100_000_000_000, "Training steps of each worker.")
  max_programs: int = common.setting(0, "Programs of each worker; 0 for no limit.")
  population_size: int = common.setting(100, "P.")
  tournament_size: int = common.setting(10, "T.")
  mutation_probability: float = common.setting(0.9, "U.")
  train_budget: float = common.setting(
      4.0, "Cost of a program at most, in plain neural networks; 0 for no limit.")
  hurdle: float = common.setting(
      0.1, "Part of the training before the hurdle, where hurdles are on.")
  migration_every: int = common.setting(
      1000, "Children of a worker between two migrations, where migration is on.")
  warm_start: str = common.setting(
      "", "Program to start from: a name of the zoo, a file or a run directory; default empty "
      "programs.")
  num_features: int = common.setting(16, "F of T_select, and of the search where it is one.")
  num_train: int = common.setting(8000, "N, training examples.")
  num_valid: int = common.setting(1000, "Validation examples.")
  num_select: int = common.setting(
      100, "Tasks of T_select to choose a program on, and as many others to judge it on.")
  estimate_seconds: float = estimate.setting()

  def check(self) -> None:
    """Refuses settings that no search accepts.

    Raises:
      ValueError: says which.
    """
    common.require_positive(
        self, "repeats", "task_sets", "max_train_steps", "num_select", "num_features",
        "num_train", "num_valid")
    if self.repeats_at_once < 0:
      raise ValueError(f"--repeats_at_once must not be negative, got {self.repeats_at_once}.")
    if self.seed < 0:
      raise ValueError(f"--seed must not be negative, got {self.seed}.")
    estimate.check(self.estimate_seconds)

  def budget(self, style: str = ",") -> str:
    """What a worker may spend, in words, with its numbers in a style of formatting."""
    steps = f"{self.max_train_steps:{style}} training steps"
    return f"{steps} or {self.max_programs:,} programs" if self.max_programs else steps

  def at_once(self, workers: int) -> int:
    """Repeats of so many workers each that run side by side."""
    return min(self.repeats, self.repeats_at_once or max(1, _WORKERS_AT_ONCE // workers))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoDatasetsConfig(WorkersConfig):
  """Settings of those experiments whose workers search on two data sets."""

  second_dataset: str = common.setting(
      "mnist", "Data set that part of the workers search on, for diversity (S3).")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
  """What a worker evaluates on.

  Attributes:
    name: of the kind.
    datasets: the D tasks are divided over these data sets.
    num_features: F.
    num_tasks: D.
    num_train: N.
    num_valid: validation examples.
    num_epochs: E.
    ten_classes: whether tasks have all ten classes instead of a pair.
  """

  name: str
  datasets: tuple[str, ...]
  num_features: int
  num_tasks: int
  num_train: int
  num_valid: int
  num_epochs: int = 1
  ten_classes: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arm:
  """One setting of an experiment.

  Attributes:
    name: short, of letters, digits and dashes.
    title: for tables.
    space: the search space, with any F.
    kinds: of workers, who are divided over them evenly.
    workers: W of each repeat.
    select: how programs are chosen and judged; its `num_tasks` is the number of tasks to
      choose on, and as many others are there to judge.
    migration: whether the workers of a repeat exchange programs.
    fingerprint: whether programs that were met before are answered from caches.
    hurdle: whether programs under their population's 75th percentile stop early.
    template: programs to start from; None for empty ones.
  """

  name: str
  title: str
  space: SearchSpace
  kinds: Sequence[Kind]
  workers: int
  select: Kind
  migration: bool = True
  fingerprint: bool = True
  hurdle: bool = True
  template: Programs | None = None


def search_config(config: WorkersConfig, arm: Arm, kind: Kind) -> SearchConfig:
  """Settings of the workers of one kind."""
  return SearchConfig(
      population_size=config.population_size, tournament_size=config.tournament_size,
      mutation_probability=config.mutation_probability,
      children_per_cycle=config.children_per_cycle, max_train_steps=config.max_train_steps,
      max_programs=config.max_programs or None, train_budget=config.train_budget or None,
      canonical_cache=arm.fingerprint, fingerprint=arm.fingerprint,
      hurdle=config.hurdle if arm.hurdle else None, combine="median",
      num_epochs=kind.num_epochs, seed=config.seed, dtype=config.dtype,
      num_devices=config.num_devices or None, lanes=config.lanes or None,
      executor=config.executor,
      cycles_per_step=config.cycles_per_step or None)


def groups_of(
    config: WorkersConfig, arm: Arm, repeats: Sequence[int]
) -> tuple[list[Group], Migration | None]:
  """The workers of some repeats of an arm, to search side by side.

  Args:
    config: the settings.
    arm: what to search with.
    repeats: their numbers. What a repeat does depends on the others in nothing but the
      random numbers of its workers.

  Returns:
    The groups, where a worker's `experiments` number counts from 0 within `repeats`; and how
    workers exchange programs, if they do.

  Raises:
    FileNotFoundError: a data set is not prepared.
    ValueError: settings that do not fit each other.
  """
  by_shape: dict[Kind, list[tuple[Kind, int, int]]] = {}
  for n, repeat in enumerate(repeats):
    for worker in range(arm.workers):
      place, k = divmod(repeat * arm.workers + worker, len(arm.kinds))  # in turns
      kind = arm.kinds[k]
      shape = dataclasses.replace(kind, name="", datasets=())
      by_shape.setdefault(shape, []).append((kind, place % config.task_sets, n))
  seed = _seed(config.seed, repeats[0])
  groups = []
  for members in by_shape.values():
    kind = members[0][0]
    groups.append(Group(
        name=" and ".join(dict.fromkeys(kind.name for kind, _, _ in members)),
        space=arm.space.with_features(kind.num_features),
        task_sets=[search_tasks(config, kind, place) for kind, place, _ in members],
        config=dataclasses.replace(search_config(config, arm, kind), seed=seed),
        experiments=[n for _, _, n in members], template=arm.template))
  exchange = arm.migration and arm.workers > 1
  return groups, Migration(
      every=config.migration_every,
      seed=_seed(config.seed, repeats[0], _MIGRATION)) if exchange else None


def start(
    config: WorkersConfig, space: SearchSpace, *, multiclass: bool = False) -> Programs | None:
  """The programs of `warm_start` that a population begins with; None for empty ones.

  Raises:
    FileNotFoundError: there is no such program.
    ValueError: a program that does not fit the space, or none for tasks of this type.
  """
  if not config.warm_start:
    return None
  if config.warm_start in zoo.names():
    programs = text.parse(zoo.source(config.warm_start), space)
    fits = zoo.is_multiclass(config.warm_start) == multiclass
  else:
    programs = read_programs(config.warm_start, space, multiclass=multiclass)
    fits = bool(predicts(programs, multiclass=multiclass).any())
  if not fits:
    raise ValueError(
        f"--warm_start={config.warm_start} predicts nothing in tasks of "
        f"{'ten' if multiclass else 'two'} classes, where {'v2' if multiclass else 's1'} is the "
        "prediction.")
  return programs


def require(config: WorkersConfig, arms: Sequence[Arm]) -> None:
  """Refuses at once what would fail an arm when its turn comes, maybe after days.

  Raises:
    FileNotFoundError: a data set is not prepared.
    ValueError: settings that no search accepts, more examples or tasks than there are, or more
      tasks than fit the memory.
  """
  for arm in arms:
    together = config.at_once(arm.workers)
    config.check_runtime((config.repeats % together or together) * arm.workers)
  for arm in arms:
    select_tasks(config, arm.select)
    sets = min(
        config.task_sets, math.ceil(config.at_once(arm.workers) * arm.workers / len(arm.kinds)))
    estimate.check_memory(
        sum(sets * _num_bytes(config, kind) for kind in arm.kinds),
        "use fewer --task_sets, or smaller tasks")
    # One worker of each kind, and one more, so that there is an exchange.
    Federation(*groups_of(config, dataclasses.replace(arm, workers=len(arm.kinds) + 1), [0]))


def _num_bytes(config: WorkersConfig, kind: Kind) -> int:
  """Bytes of a set of tasks, once in main memory and once on the device."""
  numbers = kind.num_tasks * (kind.num_train + kind.num_valid) * (kind.num_features + 1)
  return numbers * (8 + np.dtype(config.dtype).itemsize)


def search_tasks(config: WorkersConfig, kind: Kind, number: int) -> Tasks:
  """One of the task sets of T_search that workers of a kind have; see `federation`."""
  return _search_tasks(kind, _seed(config.seed, _SEARCH, number), config.data_dir or None)


@functools.lru_cache(maxsize=256)
def _search_tasks(kind: Kind, seed: int, data_dir: str | None) -> Tasks:
  parts = []
  for k, dataset in enumerate(kind.datasets):
    count = len(range(k, kind.num_tasks, len(kind.datasets)))
    if count:
      parts.append(_draw(kind, dataset, "search", count, seed, data_dir))
  return concatenate(parts)


def select_tasks(config: WorkersConfig, kind: Kind) -> tuple[Tasks, Tasks]:
  """Tasks of T_select to choose a program on, and others to judge it on.

  Raises:
    FileNotFoundError: the data set is not prepared.
    ValueError: more tasks or examples than there are.
  """
  every = (
      len(paper_tasks.TEN_CLASS_PROJECTIONS["select"]) if kind.ten_classes
      else len(paper_tasks.SELECT_PAIRS) * paper_tasks.PROJECTIONS_PER_PAIR)
  if 2 * kind.num_tasks > every:
    raise ValueError(
        f"--num_select must be at most {every // 2}, half of the tasks of T_select; got "
        f"{kind.num_tasks}.")
  tasks = _select_tasks(kind, _seed(config.seed, _SELECT), config.data_dir or None)
  return tasks[: kind.num_tasks], tasks[kind.num_tasks :]


@functools.lru_cache(maxsize=4)
def _select_tasks(kind: Kind, seed: int, data_dir: str | None) -> Tasks:
  return _draw(kind, kind.datasets[0], "select", 2 * kind.num_tasks, seed, data_dir)


def _draw(
    kind: Kind, dataset: str, split: str, count: int, seed: int, data_dir: str | None) -> Tasks:
  sizes: dict[str, Any] = {
      "num_features": kind.num_features, "num_train": kind.num_train,
      "num_valid": kind.num_valid, "data_dir": data_dir}
  if kind.ten_classes:
    return paper_tasks.ten_class_tasks(dataset, split, count, seed, **sizes)
  draw = paper_tasks.search_tasks if split == "search" else paper_tasks.select_tasks
  return draw(dataset, count, seed, **sizes)


def concatenate(parts: Sequence[Tasks]) -> Tasks:
  """Task batches of one shape and metric as one."""
  if len(parts) == 1:
    return parts[0]
  arrays: dict[str, Any] = {
      name: np.concatenate([getattr(part, name) for part in parts])
      for name in ("train_x", "train_y", "valid_x", "valid_y", "seeds")}
  return dataclasses.replace(parts[0], **arrays)


def _seed(*numbers: int) -> int:
  return int(np.random.SeedSequence(numbers).generate_state(1)[0])
