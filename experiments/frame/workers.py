"""Workers on image tasks: the settings and tasks that the paper's larger experiments share.

An experiment of sections 4.2, 4.3, S9 or S10 divides W workers over kinds: combinations of
data set, training examples N, epochs E, tasks D and features F. An arm of an experiment, for
example a row of the ablation table, is a list of kinds with a search method; its repeats are
experiments of W workers that exchange programs among themselves only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import functools
import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from azero.search.config import SearchConfig
from experiments.frame import lazy, settings
from experiments.frame.run_settings import StudySettings
from experiments.frame.settings import nested, setting

with lazy.imports():
  from azero.language import text, zoo
  from azero.runs import warm_start
  from azero.search.groups import federation, migration
  from azero.tasks.images import paper_tasks
  from experiments.frame import memory

if TYPE_CHECKING:
  from azero.language.program import Programs, SearchSpace
  from azero.search.groups.federation import Group
  from azero.search.groups.migration import Migration
  from azero.tasks.task import Tasks

_SEARCH, _SELECT, _MIGRATION = range(3)  # what seeds are for
# Workers that make up a batch; fewer leave the devices idle, more only take memory.
_WORKERS_AT_ONCE = 64
# What presets begin with that only show that everything runs. Searching and judging share their
# shapes, and a hurdle after all examples needs none of its own: compiling for another shape costs
# more than all the rest.
SMOKE: dict[str, Any] = {
    "dataset": "mnist_5k", "task_sets": 2, "max_programs": 120, "migration_every": 40,
    "num_valid": 20, "num_select": 2, "hurdle": 0.99, "population_size": 20,
    "estimate_seconds": None}
# What the arms of an experiment, or their tasks, decide.
DECIDED_BY_ARMS = ("fingerprint", "canonical_cache", "combine", "initial")


def search_settings(
    max_train_steps: int = 100_000_000_000, *, num_epochs: int | None = None,
    helps: Mapping[str, str] | None = None,
) -> Any:
  """The field `search` of an experiment with workers: the paper's settings.

  Args:
    max_train_steps: of each worker.
    num_epochs: E; None where the kinds of workers decide.
    helps: help in place of the usual one, by name.
  """
  fixed = DECIDED_BY_ARMS if num_epochs is not None else (*DECIDED_BY_ARMS, "num_epochs")
  return nested(
      SearchConfig(
          max_train_steps=max_train_steps, train_budget=4.0, hurdle=0.1,
          num_epochs=num_epochs or 1),
      fixed=fixed, **{"hurdle": "Part of the training before the hurdle, where hurdles are on.",
                      **(helps or {})})


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkersSettings(StudySettings):
  """Settings of experiments with workers on image tasks; defaults are the paper's."""

  search: SearchConfig = search_settings()
  dataset: str = setting(
      "cifar10", "Data set of the search and of T_select; see experiments.prepare_data.")
  data_dir: str | None = setting(
      None, "TFDS's data directory; default $TFDS_DATA_DIR or ~/tensorflow_datasets.", path=True)
  repeats: int = setting(30, "Repeats of each setting.")
  repeats_at_once: int | None = setting(
      None, "Repeats that run side by side; none for as many as make up "
      f"{_WORKERS_AT_ONCE} workers.")
  task_sets: int = setting(
      16, "Different sets of D search tasks of each kind of worker; workers take them in turn.")
  migration_every: int = setting(
      1000, "Children of a worker between two migrations, where migration is on.")
  warm_start: str | None = setting(
      None, "Program to start from: a name of the zoo, a file or a run directory; default empty "
      "programs.", path=True)
  num_features: int = setting(16, "F of T_select, and of the search where it is one.")
  num_train: int = setting(8000, "N, training examples.")
  num_valid: int = setting(1000, "Validation examples.")
  num_select: int = setting(
      100, "Tasks of T_select to choose a program on, and as many others to judge it on.")

  def check(self) -> None:
    """Refuses settings that no search accepts.

    Raises:
      ValueError: says which.
    """
    settings.require_positive(
        self, "repeats", "repeats_at_once", "task_sets", "num_select", "num_features",
        "num_train", "num_valid")
    self.run.check()

  def budget(self, style: str = ",") -> str:
    """What a worker may spend, in words, with its numbers in a style of formatting."""
    limits = [
        f"{limit:{style}} {unit}" for limit, unit in (
            (self.search.max_train_steps, "training steps"),
            (self.search.max_programs, "programs")) if limit is not None]
    return " or ".join(limits) or "no limit"

  def at_once(self, workers: int) -> int:
    """Repeats of so many workers each that run side by side."""
    return min(self.repeats, self.repeats_at_once or max(1, _WORKERS_AT_ONCE // workers))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoDatasetsSettings(WorkersSettings):
  """Settings of experiments whose workers search on two data sets; defaults are the paper's."""

  second_dataset: str = setting(
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

  def __str__(self) -> str:
    """The tasks in words."""
    classes = "ten classes" if self.ten_classes else "pairs of classes"
    return f"{classes}, {self.num_train:,} training examples, {self.num_epochs} epoch(s)"


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


def search_config(config: WorkersSettings, arm: Arm, kind: Kind) -> SearchConfig:
  """Settings of the workers of one kind."""
  return dataclasses.replace(
      config.search, canonical_cache=arm.fingerprint, fingerprint=arm.fingerprint,
      hurdle=config.search.hurdle if arm.hurdle else None, num_epochs=kind.num_epochs)


def groups_of(
    config: WorkersSettings, arm: Arm, repeats: Sequence[int]
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
  seed = _seed(config.search.seed, repeats[0])
  groups = []
  for members in by_shape.values():
    kind = members[0][0]
    groups.append(federation.Group(
        name=" and ".join(dict.fromkeys(kind.name for kind, _, _ in members)),
        space=arm.space.with_features(kind.num_features),
        task_sets=[search_tasks(config, kind, place) for kind, place, _ in members],
        config=dataclasses.replace(search_config(config, arm, kind), seed=seed),
        experiments=[n for _, _, n in members], template=arm.template))
  exchange = arm.migration and arm.workers > 1
  return groups, migration.Migration(
      every=config.migration_every,
      seed=_seed(config.search.seed, repeats[0], _MIGRATION)) if exchange else None


def start(
    config: WorkersSettings, space: SearchSpace, *, multiclass: bool = False,
    default: str | None = None,
) -> Programs | None:
  """The programs that a population begins with; None for empty ones.

  Args:
    config: of which `warm_start` counts.
    space: the search space.
    multiclass: whether tasks have ten classes.
    default: text of the program without `warm_start`.

  Raises:
    FileNotFoundError: there is no such program.
    ValueError: a program that does not fit the space, or none for tasks of this type.
  """
  if not config.warm_start:
    return None if default is None else text.parse(default, space)
  if config.warm_start in zoo.names() and not os.path.exists(config.warm_start):
    programs = text.parse(zoo.source(config.warm_start), space)
    fits = zoo.is_multiclass(config.warm_start) == multiclass
  else:
    programs = warm_start.read_programs(config.warm_start, space, multiclass=multiclass)
    fits = bool(warm_start.predicts(programs, multiclass=multiclass).any())
  if not fits:
    raise ValueError(
        f"--warm_start={config.warm_start} predicts nothing in tasks of "
        f"{'ten' if multiclass else 'two'} classes, where {'v2' if multiclass else 's1'} is the "
        "prediction.")
  return programs


def require(config: WorkersSettings, arms: Sequence[Arm]) -> None:
  """Refuses at once what would fail an arm when its turn comes, maybe after days.

  Raises:
    FileNotFoundError: a data set is not prepared.
    ValueError: settings that no search accepts, more examples or tasks than there are, or more
      tasks than fit the memory.
  """
  for arm in arms:
    together = config.at_once(arm.workers)
    config.runtime.check((config.repeats % together or together) * arm.workers)
  for arm in arms:
    select_tasks(config, arm.select)
    sets = min(
        config.task_sets, math.ceil(config.at_once(arm.workers) * arm.workers / len(arm.kinds)))
    memory.require_memory(
        sets * sum(
            memory.task_bytes(
                kind.num_tasks, kind.num_train + kind.num_valid, kind.num_features,
                config.search.dtype) for kind in arm.kinds),
        "use fewer --task_sets, or smaller tasks")
    # One worker of each kind, and one more, so that there is an exchange.
    few = dataclasses.replace(arm, workers=len(arm.kinds) + 1)
    federation.Federation(*groups_of(config, few, [0]))


def search_tasks(config: WorkersSettings, kind: Kind, number: int) -> Tasks:
  """One of the task sets of T_search that workers of a kind have; see `federation`."""
  return _search_tasks(kind, _seed(config.search.seed, _SEARCH, number), config.data_dir)


@functools.lru_cache(maxsize=256)
def _search_tasks(kind: Kind, seed: int, data_dir: str | None) -> Tasks:
  parts = []
  for k, dataset in enumerate(kind.datasets):
    count = len(range(k, kind.num_tasks, len(kind.datasets)))
    if count:
      parts.append(_draw(kind, dataset, "search", count, seed, data_dir))
  return concatenate(parts)


def select_tasks(config: WorkersSettings, kind: Kind) -> tuple[Tasks, Tasks]:
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
  tasks = _select_tasks(kind, _seed(config.search.seed, _SELECT), config.data_dir)
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
