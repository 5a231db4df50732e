"""Evaluation that never evaluates an algorithm twice (functional equivalence, S3).

A child passes through stages, each cheaper than the next:

1. The canonical key, see `rounds`: programs that differ only in dead code, names or operand
   order behave alike in every bit. Known keys are answered. The paper has no such stage. What
   it cannot answer is a request.
2. The fingerprint: predictions after 10 training examples and on 10 validation examples
   of every task, truncated and hashed. Programs of equal fingerprint are taken to be the
   same algorithm, as in the paper. A program that is stopped during those examples on
   every task has fitness 0: the full evaluation would stop it just the same.
3. The hurdle, if there is one: what is left trains on a first part of the examples. Under
   the hurdle of its island (see `hurdles`), or stopped there on every task, a program is
   not trained on and keeps the fitness that it has by then.
4. The full evaluation of what is left.

What a stage found out about a child that was then taken back it does not find out again, see
`recall`.

Both caches hold the fitness that a program was given, whether in full or at a hurdle: as in
the paper, an algorithm is scored once, and who meets it again gets the same score even if
the hurdle has moved.

With stages 1 and 2 off nothing is answered from a cache: every program is evaluated, copies
too. That is the paper's search without functional equivalence checking (S9).

Before all of them but the first stands the train budget of S3: a program that costs more than so
many plain neural networks has fitness 0 without being run. The cost is static, the sum over
its live instructions with the F of the space, since timing a program would make a search
irreproducible. Program and network go through equally many examples, whose number does
not matter therefore.
"""

from collections.abc import Iterable, Mapping, Sequence
import concurrent.futures
import dataclasses
from typing import Any, NamedTuple

import numpy as np

from azero.compiler.canonical import Analysis
from azero.compiler.kernels import kernel
from azero.executors.evaluator import Evaluation
from azero.language.program import Programs, SearchSpace
from azero.search import checked_state
from azero.search.config import SearchConfig
from azero.search.rounds.round import (
  CANONICAL_HIT,
  EVALUATED,
  FIRST_ANSWER,
  HURDLE_STOPPED,
  OVER_BUDGET,
  PROGRAMS,
  REQUESTS,
  STOPPED_EARLY,
  TRAIN_STEPS,
  TWIN,
  Round,
)
from azero.search.scoring import recall
from azero.search.scoring.evaluators import MakeEvaluator, ProgramEvaluator
from azero.search.scoring.hurdles import Hurdles
from azero.search.scoring.lru_cache import (
  ABSENT,
  FILLED,
  CacheArrays,
  Log,
  LruCache,
  fill,
  look_up,
  prefetch_set,
  reserve,
  take_back,
  ticket_at,
  value_at,
)
from azero.search.scoring.recall import FULL, PRINT, START
from azero.tasks.task import Tasks

FINGERPRINT_EXAMPLES = 10  # training examples, and as many validation examples

_STOPPED, _TRAINED = -2, -1  # in `twin`: fitness 0; to be trained
_AHEAD = 8  # requests: while so many are looked up, memory answers
# Examples of all requests of a device, for which it is worth to wake another thread.
WORTH_SHARING = 4_000


@dataclasses.dataclass
class Counts:
  """How programs were answered.

  Attributes:
    programs: programs asked for.
    over_budget: too costly to be run.
    canonical_hits: answered by the cache of canonical keys.
    fingerprint_hits: answered by the cache of fingerprints.
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


def check_counts(state: Mapping[str, Any]) -> None:
  """Refuses what are no `Counts`.

  Raises:
    StateError: a count is missing, or none.
  """
  names = {field.name for field in dataclasses.fields(Counts)}
  if state.keys() != names:
    raise checked_state.StateError(f"'counts' are not {', '.join(sorted(names))}")
  for name in names:
    checked_state.whole(state, name)


class _Stage(NamedTuple):
  """One way to evaluate programs.

  Attributes:
    number: PRINT, START or FULL.
    evaluator: of so many examples.
    num_train: training examples of a task, those of all epochs.
    num_valid: validation examples.
  """

  number: int
  evaluator: ProgramEvaluator
  num_train: int
  num_valid: int


class _LookedUp(NamedTuple):
  """Columns of a `Round` that the look-up of fingerprints reads and writes."""

  child: np.ndarray
  sample: np.ndarray
  value: np.ndarray
  outcome: np.ndarray

  @classmethod
  def of(cls, rnd: Round) -> "_LookedUp":
    return cls(rnd.child, rnd.sample, rnd.value, rnd.outcome)


class Prints(NamedTuple):
  """Fingerprints of Q requests, and what was found by them.

  Attributes:
    prints: [Q, 2] uint64.
    entry: [Q] int64, the place in the cache that is reserved for one that is trained.
    twin: [Q] int64, see `_look_up_prints`.
  """

  prints: np.ndarray
  entry: np.ndarray
  twin: np.ndarray

  def of(self, request: int) -> tuple[int, int] | None:
    """The fingerprint of a request; None if it was stopped while it was taken."""
    if self.twin[request] == _STOPPED:
      return None
    first, second = self.prints[request].tolist()
    return first, second


class Stages:
  """Scores the requests of rounds, of all islands of a search, on any of its devices.

  Threads may score side by side, each the requests of its own islands on its own devices.

  Attributes:
    num_devices: devices of the search.
    samples: what programs are evaluated on, S tasks or samples of tasks for each island.
    most_train_steps: that one program can cause at most, over all stages.
  """

  def __init__(
      self, space: SearchSpace, task_sets: Sequence[Tasks], config: SearchConfig,
      evaluator: MakeEvaluator, most_taken_back: int,
  ):
    """Prepares the evaluators and empty caches.

    Args:
      space: the search space.
      task_sets: one task batch for each island.
      config: settings of the search.
      evaluator: makes what evaluates programs, see `evaluators`.
      most_taken_back: children of an island in a round, if any can be taken back.
    """
    self._space, self._trials = space, config.constant_trials
    self._num_islands, self._generation = len(task_sets), config.population_size
    self.samples = samples = sampled(task_sets, config.task_sample)
    self._recall = recall.new_recall(len(task_sets), most_taken_back * config.constant_trials)
    full: ProgramEvaluator = evaluator(
        space, samples, lanes=config.lanes, **config.evaluator_settings())
    tasks = samples[0]
    self.num_devices = full.num_devices
    self._full = _Stage(FULL, full, tasks.num_train * config.num_epochs, tasks.num_valid)
    stages = [self._full]
    self._prints: LruCache | None = None
    if config.fingerprint:
      few = [min(FINGERPRINT_EXAMPLES, count) for count in (tasks.num_train, tasks.num_valid)]
      self._short = _Stage(PRINT, full.part(*few, fingerprint=True), *few)
      self._prints = self.new_cache(config.cache_size)
      stages.append(self._short)
    self._hurdles: Hurdles | None = None
    if config.hurdle is not None:
      first = max(1, round(config.hurdle * tasks.num_train))
      self._start = _Stage(START, full.part(first, tasks.num_valid), first, tasks.num_valid)
      self._hurdles = Hurdles(len(task_sets), config.population_size)
      stages.append(self._start)
    self.most_train_steps = sum(stage.num_train for stage in stages) * len(tasks)
    # For devices that share the requests of a round.
    self._helpers = concurrent.futures.ThreadPoolExecutor(self.num_devices, "azero-share")

  def new_cache(self, size: int) -> LruCache:
    """A cache for each sample, those of an island with `size` entries together."""
    return LruCache(len(self.samples), -(-size * self._num_islands // len(self.samples)))

  def prepare(self) -> None:
    """Evaluates an empty program, so that what the first round needs is compiled meanwhile."""
    programs = Programs.empty(self._space)
    evaluator = self._full.evaluator
    plan = evaluator.plan(programs, Analysis.empty(1, self._space.num_slots))
    evaluator.evaluate_plan(plan, np.zeros(1, np.int64))

  def score(self, rnd: Round, devices: Sequence[int], log: Log) -> "Prints | None":
    """Finds value, cost and outcome of every request of a round.

    Args:
      rnd: the round.
      devices: that share the work.
      log: an empty one, for what the requests do to the cache of fingerprints.

    Returns:
      The fingerprints of the requests, if they were taken, for `settle`.
    """
    number = int(rnd.counts[REQUESTS])
    rnd.at_hurdle[:number] = np.nan
    if not number:
      return None
    recall.recall(self._recall, rnd.asked(), self._trials, number, rnd.results)
    programs = Programs(self._space, *(array[:number] for array in rnd.programs))
    plan = self._full.evaluator.plan(programs, rnd.analysis.take(slice(number)))
    if self._prints is None:
      self._train(plan, np.arange(number), rnd, devices)
      return None
    self._run(self._short, plan, np.arange(number), rnd, devices)
    found = Prints(rnd.results.prints[:number], *np.empty((2, number), np.int64))
    asked = _LookedUp.of(rnd)
    _look_up_prints(
        self._prints.arrays, rnd.results.trained[:number, PRINT], asked, found, log)
    self._train(plan, np.flatnonzero(found.twin == _TRAINED), rnd, devices)
    _tell_twins(asked, found)
    return found

  def settle(self, rnd: Round, prints: Prints | None, log: Log) -> None:
    """Learns what children asked for: fingerprints and hurdles of those kept, results of others."""
    recall.remember(
        self._recall, rnd.asked(), self._trials, int(rnd.counts[REQUESTS]), rnd.results)
    if prints is not None:
      assert self._prints is not None
      _fill_prints(self._prints.arrays, _LookedUp.of(rnd), prints, rnd.kept, log)
    if self._hurdles is not None:
      came = np.isfinite(rnd.at_hurdle[: rnd.counts[REQUESTS]])
      came = np.flatnonzero(came & rnd.kept[rnd.child[: len(came)]])
      self._hurdles.record(rnd.owner[came], rnd.at_hurdle[came])
      self._hurdles.move(rnd.at_end_of(self._generation))

  def count(self, rnd: Round, counts: Counts) -> None:
    """Tells how the children of a round that were kept were answered."""
    answers = rnd.counts[FIRST_ANSWER:].tolist()
    counts.programs += int(rnd.counts[PROGRAMS])
    counts.train_steps += int(rnd.counts[TRAIN_STEPS])
    counts.over_budget += answers[OVER_BUDGET]
    counts.canonical_hits += answers[CANONICAL_HIT]
    counts.fingerprint_hits += answers[TWIN]
    counts.stopped_early += answers[STOPPED_EARLY]
    counts.evaluated += answers[EVALUATED]
    counts.hurdle_stopped += answers[HURDLE_STOPPED]
    if self._hurdles is not None:
      counts.hurdle_passed += answers[EVALUATED]

  def state(self) -> dict[str, Any]:
    """All that decides how programs are answered; see `state`."""
    return {name: part.state() for name, part in self._parts().items()}

  def check(self, state: Mapping[str, Any]) -> None:
    """Refuses what `restore` cannot take over.

    Raises:
      StateError: it is of stages of other settings, or damaged.
    """
    for name, own in self._parts().items():
      own.check(checked_state.part(state, name))

  def restore(self, state: Mapping[str, Any]) -> None:
    """Restores the state of other stages of the same settings."""
    for name, part in self._parts().items():
      part.restore(state[name])

  def _parts(self) -> dict[str, Any]:
    parts = {"fingerprints": self._prints, "hurdles": self._hurdles}
    return {name: part for name, part in parts.items() if part is not None}

  def _train(
      self, plan: Any, rows: np.ndarray, rnd: Round, devices: Sequence[int]) -> None:
    """Value and cost of new requests, over the hurdles."""
    results = rnd.results
    if self._hurdles is not None and len(rows):
      self._run(self._start, plan, rows, rnd, devices)
      fitness = results.fitness[rows, START]
      rnd.value[rows] = rnd.at_hurdle[rows] = fitness
      # No round goes on beyond the child after which the hurdle moves.
      passed = (fitness >= self._hurdles.heights[rnd.owner[rows]]) & results.trained[rows, START]
      rnd.outcome[rows[~passed]] = HURDLE_STOPPED
      rows = rows[passed]
    if len(rows):
      self._run(self._full, plan, rows, rnd, devices)
      rnd.value[rows] = results.fitness[rows, FULL]

  def _run(
      self, stage: "_Stage", plan: Any, rows: np.ndarray, rnd: Round, devices: Sequence[int]
  ) -> None:
    """Results of some requests, at their cost, whether or not it has been paid before."""
    results, number = rnd.results, stage.number
    new = rows[~results.done[rows, number]]
    if len(new):
      found = self._evaluate(stage, plan, new, rnd, devices)
      if np.shape(found.fitness) != new.shape:
        raise ValueError(
            f"{len(new)} programs were given fitnesses of shape {np.shape(found.fitness)}. What "
            "evaluates programs has to give each one number.")
      fitness = np.asarray(found.fitness)
      wrong = fitness[~(np.isfinite(fitness) & (fitness >= 0))]
      if len(wrong):
        word = f"{wrong[0]:g}" if np.isfinite(wrong[0]) else (
            "NaN" if np.isnan(wrong[0]) else "infinity")
        raise ValueError(
            f"A program was given {word} as its fitness. What evaluates programs has to give those "
            "that fail 0, and no other one less.")
      results.done[new, number] = True
      results.fitness[new, number] = fitness
      results.train_steps[new, number] = found.train_steps
      results.trained[new, number] = found.trained.any(1)
      if found.fingerprint is not None:
        results.prints[new] = found.fingerprint
    rnd.cost[rows] += results.train_steps[rows, number]

  def _evaluate(
      self, stage: "_Stage", plan: Any, rows: np.ndarray, rnd: Round, devices: Sequence[int]
  ) -> Evaluation:
    """Evaluates some requests; several devices share what is worth it."""

    def run(part: np.ndarray, device: int) -> Evaluation:
      some = plan if len(part) == rnd.counts[REQUESTS] else plan.take(part)
      return stage.evaluator.evaluate_plan(some, rnd.sample[part], device)

    examples = len(rows) * (stage.num_train + stage.num_valid)
    num_parts = min(len(devices), len(rows), 1 + examples // WORTH_SHARING)
    if num_parts == 1:
      return run(rows, devices[0])
    parts = np.array_split(rows, num_parts)
    others = [
        self._helpers.submit(run, *each) for each in zip(parts[1:], devices[1:])]
    first = run(parts[0], devices[0])
    return _join([first, *(other.result() for other in others)])


def sampled(task_sets: Sequence[Tasks], task_sample: int | None) -> list[Tasks]:
  """The samples of the tasks of each island, island by island; see `Round.sample`.

  Raises:
    ValueError: they cannot be divided so.
  """
  if task_sample is None:
    return list(task_sets)
  cut: dict[int, list[Tasks]] = {}  # those that islands share are shared in parts, too
  for tasks in task_sets:
    if len(tasks) % task_sample:
      raise ValueError(
          f"task_sample={task_sample} does not divide the {len(tasks)} tasks of an island: take a "
          "multiple of it as the number of tasks, or another sample.")
    if id(tasks) not in cut:
      cut[id(tasks)] = [
          tasks[first : first + task_sample] for first in range(0, len(tasks), task_sample)]
  return [sample for tasks in task_sets for sample in cut[id(tasks)]]


def _join(parts: Sequence[Evaluation]) -> Evaluation:
  """Evaluations of parts of a batch as one, without a trace."""
  prints = [part.fingerprint for part in parts if part.fingerprint is not None]
  fitness, per_task, steps, trained = (
      np.concatenate(field) for field in zip(*(part[:4] for part in parts)))
  return Evaluation(
      fitness, per_task, steps, trained, fingerprint=np.concatenate(prints) if prints else None)


@kernel
def _look_up_prints(
    cache: CacheArrays, trained: np.ndarray, asked: _LookedUp, found: Prints, log: Log) -> None:
  """Looks the fingerprints of Q requests up, in their order.

  Of a program that stopped on every task nothing is looked up or kept.

  Args:
    cache: of fingerprints.
    trained: [Q] bool, whether each came through the few examples of a fingerprint on a task.
    asked: is given the value where it is known, and the outcome.
    found: has the fingerprints. `entry` is given the place that is reserved, `twin` an earlier
      request of the same fingerprint, itself where the cache knows it, _TRAINED if it is new, or
      _STOPPED.
    log: of what is done to the cache.
  """
  prints, entry, twin = found
  for q in range(len(prints)):
    ahead = min(q + _AHEAD, len(prints) - 1)
    prefetch_set(cache, asked.sample[ahead], prints[ahead])
    child, sample = asked.child[q], asked.sample[q]
    if not trained[q]:
      twin[q], asked.outcome[q] = _STOPPED, STOPPED_EARLY
      continue
    place = look_up(cache, sample, prints[q], child, log)
    if place == ABSENT:
      twin[q] = _TRAINED
      entry[q] = reserve(cache, sample, prints[q], q, child, log)
      continue
    asked.outcome[q] = TWIN
    ticket = ticket_at(cache, sample, place)
    if ticket == FILLED:
      twin[q], asked.value[q] = q, value_at(cache, sample, place)
    else:
      twin[q] = ticket


@kernel
def _tell_twins(asked: _LookedUp, found: Prints) -> None:
  """Gives twins the values of those that they wait for."""
  for q in range(len(found.twin)):
    if asked.outcome[q] == TWIN:
      asked.value[q] = asked.value[found.twin[q]]


@kernel
def _fill_prints(
    cache: CacheArrays, asked: _LookedUp, found: Prints, kept: np.ndarray, log: Log) -> None:
  """Stores what was trained for children that are `kept`, [C] bool; the others never were."""
  take_back(cache, kept, log)
  for q in range(len(found.twin)):
    if found.twin[q] == _TRAINED and kept[asked.child[q]]:
      fill(cache, asked.sample[q], found.entry[q], q, asked.value[q])
