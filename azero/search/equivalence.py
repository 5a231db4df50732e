"""Evaluation that never evaluates an algorithm twice (functional equivalence, S3).

A batch of children passes through stages, each cheaper than the next:

1. The canonical key: programs that differ only in dead code, names or operand order
   behave alike in every bit. Known keys are answered, equal keys are evaluated once. The
   paper has no such stage.
2. The fingerprint: predictions after 10 training examples and on 10 validation examples
   of every task, truncated and hashed. Programs of equal fingerprint are taken to be the
   same algorithm, as in the paper. A program that is stopped during those examples on
   every task has fitness 0.
3. The hurdle, if there is one: what is left trains on a first part of the examples. Under
   the hurdle of its island (see `hurdles`), or stopped there on every task, a program is
   not trained on and keeps the fitness that it has by then.
4. The full evaluation of what is left.

Both caches hold the fitness that a program was given, whether in full or at a hurdle: as in
the paper, an algorithm is scored once, and who meets it again gets the same score even if
the hurdle has moved.

With stages 1 and 2 off nothing is answered from a cache: every program is evaluated, copies
too. That is the paper's search without functional equivalence checking (S9).

Before all of them stands the train budget of S3: a program that costs more than so many
plain neural networks has fitness 0 without being run. The cost is static, the sum over
its live instructions with the F of the space, since timing a program would make a search
irreproducible. Program and network go through equally many examples, whose number does
not matter therefore.
"""

import collections
from collections.abc import Generator, Iterable, Mapping, Sequence
import dataclasses
from typing import Any, TypeVar

import numpy as np

from azero.compiler import canonical, liveness
from azero.executors.evaluator import Evaluation, Evaluator
from azero.language import ops as op_table
from azero.language import zoo
from azero.language.program import Programs, SearchSpace
from azero.search.evaluators import MakeEvaluator, ProgramEvaluator
from azero.search.hurdles import Hurdles
from azero.search.lru_cache import LruCache
from azero.search.state import Stateful
from azero.tasks.task import Tasks

FINGERPRINT_EXAMPLES = 10  # training examples, and as many validation examples
_DONE = object()

T = TypeVar("T")
Stages = Generator[None, None, T]  # work that yields whenever the devices are busy for it

_ISLAND_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, odd


@dataclasses.dataclass
class Counts:
  """How the programs of a search were answered, and what it cost.

  Attributes:
    programs: programs asked for.
    over_budget: too costly to be run.
    canonical_hits: answered by the cache of canonical keys.
    duplicates: equal in key to another of their batch.
    fingerprint_hits: answered by the cache of fingerprints, or equal in fingerprint to
      another of their batch.
    stopped_early: stopped on every task while being fingerprinted.
    hurdle_stopped: under the hurdle, or stopped on every task before it.
    hurdle_passed: over the hurdle, and then evaluated in full; with `hurdle_stopped` all that
      came to one.
    evaluated: trained and validated in full.
    train_steps: examples trained on, those of fingerprints and hurdles included.
  """

  programs: int = 0
  over_budget: int = 0
  canonical_hits: int = 0
  duplicates: int = 0
  fingerprint_hits: int = 0
  stopped_early: int = 0
  hurdle_stopped: int = 0
  hurdle_passed: int = 0
  evaluated: int = 0
  train_steps: int = 0

  @classmethod
  def sum(cls, parts: Iterable["Counts"]) -> "Counts":
    """Those of several parts of a search together."""
    values = [dataclasses.astuple(part) for part in parts]
    return cls(*map(sum, zip(*values)))


class CachedEvaluator:
  """Fitness of batches of programs of several islands, through caches of each island."""

  def __init__(
      self, space: SearchSpace, task_sets: Sequence[Tasks], *, canonical_cache: bool = True,
      fingerprint: bool = True, cache_size: int = 100_000, train_budget: float | None = None,
      hurdle: float | None = None, hurdle_window: int = 100,
      evaluator: MakeEvaluator = Evaluator, **settings,
  ):
    """Prepares the evaluators and empty caches.

    Args:
      space: the search space.
      task_sets: one task batch for each island.
      canonical_cache: whether to use stage 1.
      fingerprint: whether to use stage 2.
      cache_size: entries of each cache of each island.
      train_budget: cost of a program at most, in plain neural networks; None for no limit.
      hurdle: part of the training examples after which hurdles stand; None for none.
      hurdle_window: how many of an island's last fitnesses its hurdle follows from.
      evaluator: makes what evaluates programs, see `evaluators`.
      **settings: of `Evaluator`: combine, num_epochs, max_abs_error, seed, dtype,
        num_devices, lanes, executor.
    """
    self.counts = Counts()
    self._op_costs = np.array([op.cost(space.num_features) for op in op_table.all_ops()] + [0.0])
    self._max_cost = np.inf
    if train_budget is not None:
      network = zoo.load("plain_nn", space.num_features)
      live = liveness.live_instructions(network)
      self._max_cost = train_budget * self._costs(network, live)[0]
    self.evaluator = evaluator(space, task_sets, **settings)
    self._canonical = LruCache(len(task_sets), cache_size) if canonical_cache else None
    self._fingerprinter: ProgramEvaluator | None = None
    if fingerprint:
      few = _first_examples(task_sets, FINGERPRINT_EXAMPLES, FINGERPRINT_EXAMPLES)
      self._fingerprinter = evaluator(
          space, few, **(settings | {"num_epochs": 1, "fingerprint": True}))
      self._fingerprints = LruCache(len(task_sets), cache_size)
    self.hurdles: Hurdles | None = None
    if hurdle is not None:
      first_part = _first_examples(
          task_sets, max(1, round(hurdle * task_sets[0].num_train)), task_sets[0].num_valid)
      self._starter = evaluator(space, first_part, **(settings | {"num_epochs": 1}))
      self.hurdles = Hurdles(len(task_sets), hurdle_window)

  def evaluate(
      self, programs: Programs, islands: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray, canonical.Analysis]:
    """Fitness of N programs; see `stages`."""
    return drain(self.stages(programs, islands))

  def stages(
      self, programs: Programs, islands: np.ndarray
  ) -> Stages[tuple[np.ndarray, np.ndarray, canonical.Analysis]]:
    """Fitness of N programs, in stages: yields whenever the devices have been given work.

    Meanwhile other islands may be evaluated, but not these.

    Args:
      programs: N programs.
      islands: [N] int, whose tasks and caches to use.

    Returns:
      [N] float64 fitness; [N] int64 training steps that each caused; their analysis.
    """
    analysis = self.evaluator.analyse(programs)
    steps = np.zeros(len(programs), np.int64)
    known, fitness = np.zeros(len(programs), bool), np.zeros(len(programs))
    if self._canonical is not None:
      known, fitness = self._canonical.get(islands, analysis.key)
    costly = self._costs(programs, analysis.live) > self._max_cost
    unknown = np.flatnonzero(~known & ~costly)
    first = inverse = np.arange(len(unknown))
    if self._canonical is not None:
      first, inverse = _distinct(islands[unknown], analysis.key[unknown])
    chosen = unknown[first]
    values, steps[chosen] = yield from self._evaluate_new(
        self.evaluator.plan(programs[chosen], analysis.take(chosen)), islands[chosen])
    fitness[unknown] = values[inverse]
    if self._canonical is not None:
      self._canonical.put(islands[chosen], analysis.key[chosen], values)
    self.counts.programs += len(programs)
    self.counts.over_budget += int(costly.sum())
    self.counts.canonical_hits += len(programs) - int(costly.sum()) - len(unknown)
    self.counts.duplicates += len(unknown) - len(chosen)
    self.counts.train_steps += int(steps.sum())
    return fitness, steps, analysis

  def state(self) -> dict[str, Any]:
    """All that decides how programs are answered; see `state`."""
    return {"counts": dataclasses.asdict(self.counts)} | {
        name: part.state() for name, part in self._parts().items()}

  def restore(self, state: Mapping[str, Any]) -> None:
    """Takes over the state of another evaluator of the same settings."""
    self.counts = Counts(**state["counts"])
    for name, part in self._parts().items():
      part.restore(state[name])

  def _parts(self) -> dict[str, Stateful]:
    parts: dict[str, Stateful] = {}
    if self._canonical is not None:
      parts["canonical"] = self._canonical
    if self._fingerprinter is not None:
      parts["fingerprints"] = self._fingerprints
    if self.hurdles is not None:
      parts["hurdles"] = self.hurdles
    return parts

  def _costs(self, programs: Programs, live: np.ndarray) -> np.ndarray:
    """Static cost of each program: [N]."""
    return (self._op_costs[programs.opcode] * live).sum(1)

  def _evaluate_new(
      self, plan: Any, islands: np.ndarray
  ) -> Stages[tuple[np.ndarray, np.ndarray]]:
    """Fitness and training steps of programs that stage 1 cannot answer."""
    if self._fingerprinter is None or not len(islands):
      return (yield from self._train(plan, islands))
    short = yield from _run(self._fingerprinter, plan, islands)
    steps = short.train_steps
    prints = short.fingerprint
    assert prints is not None
    known, fitness = self._fingerprints.get(islands, prints)
    # The first training examples of the full evaluation would stop these just the same.
    stopped = ~short.trained.any(1)
    fitness[stopped] = 0.0
    unknown = np.flatnonzero(~known & ~stopped)
    first, inverse = _distinct(islands[unknown], prints[unknown])
    chosen = unknown[first]
    values, more = yield from self._train(plan.take(chosen), islands[chosen])
    fitness[unknown] = values[inverse]
    steps[chosen] += more
    self._fingerprints.put(islands[chosen], prints[chosen], values)
    self.counts.stopped_early += int(stopped.sum())
    self.counts.fingerprint_hits += len(islands) - int(stopped.sum()) - len(chosen)
    return fitness, steps

  def _train(
      self, plan: Any, islands: np.ndarray
  ) -> Stages[tuple[np.ndarray, np.ndarray]]:
    """Fitness and training steps of programs that are new, over the hurdles."""
    if self.hurdles is None or not len(islands):
      return (yield from self._evaluate_fully(plan, islands))
    start = yield from _run(self._starter, plan, islands)
    fitness, steps = start.fitness, start.train_steps
    # All candidates of a batch meet the hurdles that stood before it.
    passed = np.flatnonzero(
        (fitness >= self.hurdles.heights[islands]) & start.trained.any(1))
    self.hurdles.update(islands, fitness)
    self.counts.hurdle_stopped += len(islands) - len(passed)
    self.counts.hurdle_passed += len(passed)
    fitness[passed], more = yield from self._evaluate_fully(plan.take(passed), islands[passed])
    steps[passed] += more
    return fitness, steps

  def _evaluate_fully(
      self, plan: Any, islands: np.ndarray
  ) -> Stages[tuple[np.ndarray, np.ndarray]]:
    self.counts.evaluated += len(islands)
    full = yield from _run(self.evaluator, plan, islands)
    return full.fitness, full.train_steps


def drain(stages: Stages[T]) -> T:
  """Runs stages to their end, one after the other."""
  while True:
    try:
      next(stages)
    except StopIteration as end:
      return end.value


def interleave(work: Iterable[Stages[Any]], at_once: int = 2) -> None:
  """Runs pieces of work to their ends, so many at once: the host at one, devices at others."""
  waiting, running = collections.deque(work), list[Stages[Any]]()
  while waiting or running:
    while waiting and len(running) < at_once:
      running.append(waiting.popleft())
    running = [piece for piece in running if next(piece, _DONE) is not _DONE]


def _run(evaluator: ProgramEvaluator, plan: Any, islands: np.ndarray) -> Stages[Evaluation]:
  """Gives the devices work; when resumed, waits for it."""
  pending = evaluator.launch(plan, islands)
  yield
  return pending.result()


def _first_examples(
    task_sets: Sequence[Tasks], num_train: int, num_valid: int) -> list[Tasks]:
  """The same tasks with only the first of their examples; what was shared still is."""
  cut = {
      tasks: dataclasses.replace(
          tasks, train_x=tasks.train_x[:, :num_train], train_y=tasks.train_y[:, :num_train],
          valid_x=tasks.valid_x[:, :num_valid], valid_y=tasks.valid_y[:, :num_valid])
      for tasks in dict.fromkeys(task_sets)}
  return [cut[tasks] for tasks in task_sets]


def _distinct(islands: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """First row of every distinct (island, key), in order; and for each row which of them."""
  word = keys[:, 0] + islands.astype(np.uint64) * _ISLAND_MULTIPLIER
  _, first, inverse = np.unique(word, return_index=True, return_inverse=True)
  order = np.argsort(first, kind="stable")
  rank = np.empty(len(order), np.int64)
  rank[order] = np.arange(len(order))
  return first[order], rank[inverse]
