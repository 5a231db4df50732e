"""How dense acceptable programs are in a search space (section 4.1 of the AutoML-Zero paper).

A program is acceptable if its mean RMS error over the tasks is no larger than that of a
reference written by hand. Random programs give their density; a search that is repeated many
times from new tasks gives its own rate, for which each repeat counts once at most.

Every program drawn counts, but few need to be run. Those that cannot learn (see `dependence`)
would have to guess the weights of all tasks: they are run only where the reference is so poor, or
features and tasks are so few, that a guess may do (`guess_chance`). Those that are stopped on a
task within its first examples are not acceptable, and equal canonical keys are run once.
"""

import collections
from collections.abc import Callable, Iterator, Mapping, Sequence
import concurrent.futures
import dataclasses
import functools
import itertools
import queue
from typing import Any

import numpy as np

from azero.compiler.arrays import arrays, scratch, tables
from azero.executors.evaluator import Evaluator
from azero.language.program import Programs, SearchSpace
from azero.search import checked_state, draws
from azero.search import state as state_lib
from azero.search.config import SearchConfig
from azero.search.evolution import Evolution
from azero.search.proposals import learners as learners_lib
from azero.search.proposals import mutation
from azero.search.threads import Watched
from azero.tasks.task import Tasks

_BATCH = 1 << 18  # programs of an island that a thread draws at a time
_ROOM = 8192  # programs that are evaluated at a time
_PASSED = 3  # training examples after which memory has lost of Setup what it will lose
# Half of the programs that can learn are stopped on a task, most of them within some dozen
# examples: all are trained on so many before those that are left are trained in full.
_FIRST_EXAMPLES = 50
_NO_CHANCE = 1e-12  # of a guess: in 10^9 programs a thousandth of one is to be expected


class Acceptance:
  """Which programs are acceptable on the tasks of each island.

  Attributes:
    limits: [I] the largest mean RMS error that is acceptable.
    fitness_bounds: [I] no acceptable program has a median or mean fitness below.
  """

  def __init__(
      self, reference: Programs, space: SearchSpace, task_sets: Sequence[Tasks], *,
      factor: float = 1.0, dtype: str = "float32",
  ):
    """Runs the reference.

    Args:
      reference: one program, of any space.
      space: of the programs to be judged.
      task_sets: regression tasks of each island.
      factor: how many times the error of the reference is acceptable.
      dtype: of the programs' memory.

    Raises:
      ValueError: a factor that is not positive, tasks of another metric, or a reference that
        fails on a task.
    """
    if not factor > 0:
      raise ValueError(f"factor must be positive, got {factor}.")
    if task_sets[0].metric != "rms":
      raise ValueError(
          f"Acceptance is a matter of RMS errors, but the metric is {task_sets[0].metric!r}.")
    self._evaluator = Evaluator(space, task_sets, dtype=dtype)
    islands = np.arange(len(task_sets))
    measured = Evaluator(reference.space, task_sets, dtype=dtype).evaluate(
        reference[np.zeros(len(islands), int)], islands)
    self.limits = factor * rms_error(measured.per_task).mean(1)
    if not np.isfinite(self.limits).all():
      raise ValueError("The reference itself fails on some of the tasks.")
    self._again = functools.partial(
        Acceptance, reference, space, list(task_sets), factor=factor, dtype=dtype)
    # Of half the tasks, at least, the error is not below the median; of errors at most twice
    # the limit no mean fitness is smaller than this one.
    self.fitness_bounds = 1.0 - 2.0 / np.pi * np.arctan(2.0 * self.limits)

  def __reduce__(self) -> tuple[Any, ...]:
    return self._again, ()

  def accepts(self, programs: Programs, islands: np.ndarray) -> np.ndarray:
    """Whether each of N programs is acceptable on the tasks of islands, [N] int: [N] bool."""
    if not len(programs):
      return np.zeros(0, bool)
    error = rms_error(self._evaluator.evaluate(programs, islands).per_task).mean(1)
    return error <= self.limits[islands]


def rms_error(fitness: np.ndarray) -> np.ndarray:
  """RMS errors by fitnesses of regression tasks; infinite for fitness 0."""
  error = np.tan((1.0 - fitness) * np.pi / 2.0)
  return np.where(fitness > 0, np.maximum(error, 0.0), np.inf)


def guess_chance(limit: float, tasks: Tasks) -> float:
  """Bounds the probability that guessed weights have an acceptable error on all D tasks.

  Of F weights that are drawn as those of the labels were, about a part (2 r)^F lies close enough
  to have r times the error that a constant has; a mean over D tasks leaves little more than
  having it on each. Fewer than F validation examples are met by more weights. That some programs
  know the labels of their first few examples is left out.

  Args:
    limit: the largest mean RMS error that is acceptable.
    tasks: regression tasks.
  """
  constant = float(np.std(tasks.valid_y, axis=1).mean())
  if limit >= constant / 2:
    return 1.0
  weights = min(tasks.num_features, tasks.num_valid) * len(tasks.valid_y)
  return (2.0 * limit / constant) ** weights


@dataclasses.dataclass
class Sample:
  """What became of random programs.

  Attributes:
    programs: drawn.
    learning: of these, run at all: with paths to the prediction from features and labels, or all
      where guesses may be acceptable.
    evaluated: trained and validated in full; one of those of equal key that are drawn together.
    acceptable: how many of those drawn are.
    train_steps: examples trained on, those of the first look included.
    found: the first acceptable programs, batches of one, by canonical key.
  """

  programs: int = 0
  learning: int = 0
  evaluated: int = 0
  acceptable: int = 0
  train_steps: int = 0
  found: dict[tuple[int, int], Programs] = dataclasses.field(default_factory=dict)

  def add(self, other: "Sample", keep: int) -> None:
    """Takes in what became of further programs, and keeps as many of those found."""
    for name in ("programs", "learning", "evaluated", "acceptable", "train_steps"):
      setattr(self, name, getattr(self, name) + getattr(other, name))
    for key, program in other.found.items():
      if len(self.found) < keep:
        self.found.setdefault(key, program)


def sample(
    space: SearchSpace, task_sets: Sequence[Tasks], acceptance: Acceptance, num_programs: int, *,
    seed: int, template: Programs | None = None, dtype: str = "float32",
    lanes: int | None = None, keep: int = 3, exhaustive: bool = False,
    on_batch: Callable[[Sample], None] | None = None,
) -> Sample:
  """Draws random programs and counts those that are acceptable.

  A thread for each device draws and evaluates batches of its own.

  Args:
    space: the search space.
    task_sets: regression tasks of one or more islands, which draw equally many programs.
    acceptance: on these tasks.
    num_programs: how many to draw.
    seed: decides all draws.
    template: one program whose component functions are kept where the space is not searched.
    dtype: of the programs' memory.
    lanes: programs evaluated at once on a device; None to choose.
    keep: how many acceptable programs to return.
    exhaustive: run the programs that cannot learn, too, even if none of them could guess the
      weights.
    on_batch: called with what there is after every batch.

  Returns:
    The counts.
  """
  sampler = _Sampler(
      space, task_sets, acceptance, seed=seed, template=template, dtype=dtype, lanes=lanes,
      keep=keep, exhaustive=exhaustive)
  share, rest = divmod(num_programs, len(task_sets))
  shares = [share + (island < rest) for island in range(len(task_sets))]
  batches = [
      (island, first, min(first + _BATCH, shares[island]))
      for first in range(0, max(shares), _BATCH) for island in range(len(task_sets))
      if first < shares[island]]
  result = Sample()
  for found in sampler.run(batches):
    result.add(found, keep)
    if on_batch is not None:
      on_batch(result)
  return result


class _Sampler:
  """Draws random programs, and evaluates those that can learn."""

  def __init__(
      self, space: SearchSpace, task_sets: Sequence[Tasks], acceptance: Acceptance, *, seed: int,
      template: Programs | None, dtype: str, lanes: int | None, keep: int, exhaustive: bool,
  ):
    mutation.require_searched(space)
    self._space, self._limits = space, acceptance.limits
    self._keep, self._exhaustive = keep, exhaustive or any(
        guess_chance(limit, tasks) > _NO_CHANCE for limit, tasks in zip(self._limits, task_sets))
    self._seed, self._template = seed, template or Programs.empty(space)
    # Fewer labels than features do not tell an affine function.
    self._passed = min(_PASSED, space.num_features - 1)
    self._full = Evaluator(space, task_sets, dtype=dtype, lanes=lanes)
    self._first = self._full.part(min(_FIRST_EXAMPLES, self._full.num_train), 1)

  def run(self, batches: Sequence[tuple[int, int, int]]) -> Iterator[Sample]:
    """What became of the batches, each an island and a range of numbers, in their order."""
    devices = queue.SimpleQueue[int]()
    for device in range(self._full.num_devices):
      devices.put(device)

    def run(batch: tuple[int, int, int]) -> Sample:
      device = devices.get()
      try:
        return self._draw(*batch, device)
      finally:
        devices.put(device)

    left, running = iter(batches), collections.deque[concurrent.futures.Future[Sample]]()
    with concurrent.futures.ThreadPoolExecutor(self._full.num_devices) as pool:
      # One batch waits for each device, so that none of them ever does.
      ahead = itertools.islice(left, 2 * self._full.num_devices)
      running.extend(pool.submit(run, batch) for batch in ahead)
      try:
        while running:
          done = running.popleft().result()
          running.extend(pool.submit(run, batch) for batch in itertools.islice(left, 1))
          yield done
      finally:
        for each in running:
          each.cancel()

  def _draw(self, island: int, first: int, last: int, device: int) -> Sample:
    """Draws the programs of an island with these numbers."""
    result = Sample()
    room = self._template[np.zeros(_ROOM, int)]
    urn = learners_lib.Urn(
        tables(self._space), draws.seed_word(self._seed), self._passed, scratch(self._space),
        draws.new_stream())
    while first < last:
      if self._exhaustive:
        number = min(_ROOM, last - first)
        learners, following = mutation.random_programs(
            self._space, number, seed=self._seed, island=island, first=first,
            template=self._template), first + number
      else:
        number, following = learners_lib.draw_learners(
            arrays(room), island, first, last, urn)
        learners = room[:number]
      found = self._evaluate(learners, island, device)
      found.programs, first = following - first, following
      result.add(found, self._keep)
    return result

  def _evaluate(self, programs: Programs, island: int, device: int) -> Sample:
    """Evaluates programs, and counts those that are acceptable."""
    result = Sample(learning=len(programs))
    if not len(programs):
      return result
    analysis = self._full.analyse(programs)
    _, rows, key = np.unique(analysis.key, axis=0, return_index=True, return_inverse=True)
    plan = self._full.plan(programs[rows], analysis.take(rows))
    islands = np.full(len(rows), island)
    looked = self._first.evaluate_plan(plan, islands, device)
    # Who is stopped on a task has no finite error there.
    left = np.flatnonzero(looked.trained.all(1))
    full = self._full.evaluate_plan(plan.take(left), islands[left], device)
    result.evaluated = len(left)
    result.train_steps = int(looked.train_steps.sum() + full.train_steps.sum())
    good = left[rms_error(full.per_task).mean(1) <= self._limits[island]]
    result.acceptable = int(np.isin(key, good).sum())
    for row in np.sort(rows[good])[: self._keep]:
      first, second = analysis.key[row].tolist()
      result.found[first, second] = programs[row : row + 1]
    return result


class RepeatedEvolution(Evolution):
  """Evolution experiments side by side, each of which ends with its first acceptable program.

  It is looked for at the end of every step.

  Attributes:
    accepted_at: [I] int64, programs of the island up to then, or -1 for none.
  """

  def __init__(
      self, space: SearchSpace, task_sets: Sequence[Tasks], config: SearchConfig,
      acceptance: Acceptance, *, template: Programs | None = None,
  ):
    """See `Evolution`; the acceptance is on the same tasks."""
    super().__init__(space, task_sets, config, template=template)
    self.watch[:] = acceptance.fitness_bounds
    self._acceptance = acceptance
    self.accepted_at = np.full(self.num_islands, -1)
    self._found = Programs.empty(space, self.num_islands)

  @property
  def accepted(self) -> dict[int, Programs]:
    """The acceptable program of each island that found one."""
    return {int(i): self._found[i : i + 1] for i in np.flatnonzero(self.accepted_at >= 0)}

  def state(self) -> dict[str, Any]:
    """As of `Evolution`, and what was accepted."""
    return super().state() | {
        "accepted_at": self.accepted_at, "accepted": state_lib.programs_state(self._found)}

  def check(self, state: Mapping[str, Any]) -> None:
    """As of `Evolution`."""
    super().check(state)
    checked_state.within(
        "accepted_at", checked_state.like(state, "accepted_at", self.accepted_at), -1)
    checked_state.programs(self.space, state, "accepted", self.num_islands)

  def take_over(self, state: Mapping[str, Any]) -> None:
    """As of `Evolution`."""
    super().take_over(state)
    self.accepted_at = state["accepted_at"].copy()
    self._found = state_lib.programs_of(self.space, state["accepted"])

  def __reduce__(self) -> tuple[Any, ...]:
    return state_lib.rebuilt, (
        type(self), (self.space, self.task_sets, self.config, self._acceptance),
        {"template": self.template}, self.state())

  def _judge(self, watched: Sequence[Watched]) -> None:
    for item, accepted in zip(watched, _accepts(self._acceptance, watched)):
      if accepted and self.accepted_at[item.island] < 0:
        for name in Programs.ARRAYS:
          getattr(self._found, name)[item.island] = getattr(item.program, name)[0]
        self.accepted_at[item.island] = item.num_programs
        self.finish(item.island)


def _accepts(acceptance: Acceptance, items: Sequence[Watched]) -> np.ndarray:
  """Which of these children are acceptable: [n] bool."""
  if not items:
    return np.zeros(0, bool)
  return acceptance.accepts(
      Programs.concatenate([item.program for item in items]),
      np.array([item.island for item in items]))
