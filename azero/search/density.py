"""How dense acceptable programs are in a search space (section 4.1 of the AutoML-Zero paper).

A program is acceptable if its mean RMS error over the tasks is no larger than that of a
reference written by hand. Random programs give their density; a search that is repeated many
times from new tasks gives its own rate, for which each repeat counts once at most.

Every program drawn counts, but few need to be run: those that cannot learn (see
`dependence`) are not acceptable, and equal canonical keys are run once.
"""

from collections.abc import Callable, Sequence
import dataclasses

import numpy as np

from azero.executors.evaluator import Evaluator
from azero.language.program import Programs, SearchSpace
from azero.search.config import SearchConfig
from azero.search.evolution import Evolution
from azero.search.random_search import RandomSearch
from azero.search.worker import Watched
from azero.tasks.task import Tasks

_DRAWN_PER_STEP = 1 << 16  # programs of an island between two looks at what was found


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
    # Of half the tasks, at least, the error is not below the median; of errors at most twice
    # the limit no mean fitness is smaller than this one.
    self.fitness_bounds = 1.0 - 2.0 / np.pi * np.arctan(2.0 * self.limits)

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


@dataclasses.dataclass
class Sample:
  """What became of random programs.

  Attributes:
    programs: drawn.
    learning: of these, with paths to the prediction from features and labels.
    evaluated: trained and validated; one of those of equal key.
    acceptable: how many of those drawn are.
    train_steps: examples trained on.
    found: the first acceptable programs of different keys, batches of one.
  """

  programs: int = 0
  learning: int = 0
  evaluated: int = 0
  acceptable: int = 0
  train_steps: int = 0
  found: list[Programs] = dataclasses.field(default_factory=list)


def sample(
    space: SearchSpace, task_sets: Sequence[Tasks], acceptance: Acceptance, num_programs: int, *,
    seed: int, template: Programs | None = None, dtype: str = "float32",
    lanes: int | None = None, keep: int = 3, exhaustive: bool = False,
    on_batch: Callable[[Sample], None] | None = None,
) -> Sample:
  """Draws random programs and counts those that are acceptable.

  Args:
    space: the search space.
    task_sets: regression tasks of two islands or one, which take turns.
    acceptance: on these tasks.
    num_programs: how many to draw.
    seed: decides all draws.
    template: one program whose component functions are kept where the space is not searched.
    dtype: of the programs' memory.
    lanes: programs evaluated at once on a device; None to choose.
    keep: how many acceptable programs to return.
    exhaustive: run the programs that cannot learn, too. It changes no count of acceptable
      programs.
    on_batch: called with what there is after every batch.

  Returns:
    The counts.
  """
  islands = len(task_sets)
  config = SearchConfig(
      fingerprint=False, combine="mean", seed=seed, dtype=dtype, lanes=lanes,
      cycles_per_step=_DRAWN_PER_STEP)
  search = _Sampling(
      space, task_sets, config, acceptance, template=template, keep=keep, exhaustive=exhaustive)
  share, rest = divmod(num_programs, islands)
  while search.cycle < share:
    search.advance(min(share, search.cycle + _DRAWN_PER_STEP))
    if on_batch is not None:
      on_batch(search.sample())
  for island in range(rest, islands):
    search.finish(island)
  if rest:
    search.advance(share + 1)
  result = search.sample()
  if on_batch is not None and rest:
    on_batch(result)
  return result


class _Sampling(RandomSearch):
  """A random search that counts acceptable programs."""

  def __init__(
      self, space: SearchSpace, task_sets: Sequence[Tasks], config: SearchConfig,
      acceptance: Acceptance, *, template: Programs | None, keep: int, exhaustive: bool,
  ):
    self.learners_only = not exhaustive
    super().__init__(space, task_sets, config, template=template)
    self.watch[:] = acceptance.fitness_bounds
    self._acceptance, self._keep = acceptance, keep
    self._verdicts: dict[tuple[int, tuple[int, int]], bool] = {}  # by island and key
    self._acceptable = 0
    self._kept: dict[tuple[int, int], Programs] = {}

  def sample(self) -> Sample:
    """What there is by now."""
    counts, unable = self.counts, sum(worker.unable for worker in self._workers)
    return Sample(
        counts.programs, counts.programs - unable, counts.evaluated, self._acceptable,
        counts.train_steps, list(self._kept.values()))

  def _judge(self, watched: Sequence[Watched]) -> None:
    new = {(item.island, item.key): item for item in reversed(watched)
           if (item.island, item.key) not in self._verdicts}
    self._verdicts |= zip(new, _accepts(self._acceptance, list(new.values())))
    for item in watched:
      if self._verdicts[item.island, item.key]:
        self._acceptable += 1
        if len(self._kept) < self._keep:
          self._kept.setdefault(item.key, item.program)


class RepeatedEvolution(Evolution):
  """Evolution experiments side by side, each of which ends with its first acceptable program.

  It is looked for at the end of every step.

  Attributes:
    accepted_at: [I] int, programs of the island up to then, or -1 for none.
    accepted: the acceptable program of each island that found one.
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
    self.accepted: dict[int, Programs] = {}

  def _judge(self, watched: Sequence[Watched]) -> None:
    for item, accepted in zip(watched, _accepts(self._acceptance, watched)):
      if accepted and item.island not in self.accepted:
        self.accepted[item.island] = item.program
        self.accepted_at[item.island] = item.num_programs
        self.finish(item.island)


def _accepts(acceptance: Acceptance, items: Sequence[Watched]) -> np.ndarray:
  """Which of these children are acceptable: [n] bool."""
  if not items:
    return np.zeros(0, bool)
  return acceptance.accepts(
      Programs.concatenate([item.program for item in items]),
      np.array([item.island for item in items]))
