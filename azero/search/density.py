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

from azero.compiler import dependence
from azero.executors.evaluator import Evaluator
from azero.language.program import Programs, SearchSpace
from azero.search import mutation
from azero.search.config import SearchConfig
from azero.search.equivalence import CachedEvaluator, Stages, interleave
from azero.search.evolution import Evolution
from azero.tasks.task import Tasks

_DRAWN_AT_ONCE = 8192
_DRAWN_PER_BATCH = 16 * _DRAWN_AT_ONCE  # of which a few thousand are run


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
  result = Sample()
  evaluator = CachedEvaluator(
      space, task_sets, fingerprint=False, combine="mean", dtype=dtype, lanes=lanes)
  drawer = _Drawer(space, template, exhaustive)
  keys: set[bytes] = set()
  sizes = _sizes(num_programs)
  seeds = iter(np.random.SeedSequence(seed).spawn(len(sizes)))

  def batch(size: int, island: int, sequence: np.random.SeedSequence) -> Stages[None]:
    programs = drawer.draw(np.random.default_rng(sequence), size)
    islands = np.full(len(programs), island)
    fitness, _, analysis = yield from evaluator.stages(programs, islands)
    good = np.flatnonzero(fitness >= acceptance.fitness_bounds[island])
    good = good[acceptance.accepts(programs[good], islands[good])]
    result.programs += size
    result.learning += len(programs)
    result.acceptable += len(good)
    for k in good:
      key = analysis.key[k].tobytes()
      if len(keys) < keep and key not in keys:
        keys.add(key)
        result.found.append(programs[k])
    result.evaluated, result.train_steps = evaluator.counts.evaluated, evaluator.counts.train_steps
    if on_batch is not None:
      on_batch(result)

  # While devices work for one island, the host draws for the other.
  for first in range(0, len(sizes), len(task_sets)):
    interleave([
        batch(size, island, next(seeds))
        for island, size in enumerate(sizes[first : first + len(task_sets)])])
  return result


def _sizes(num_programs: int) -> list[int]:
  full, rest = divmod(num_programs, _DRAWN_PER_BATCH)
  return [_DRAWN_PER_BATCH] * full + [rest] * (rest > 0)


class _Drawer:
  """Random programs that can learn, without making the others in full."""

  def __init__(self, space: SearchSpace, template: Programs | None, exhaustive: bool):
    self._space, self._template, self._exhaustive = space, template, exhaustive
    self._draws = mutation.num_random_draws(space)
    # What Setup does plays no part in whether a program can learn.
    self._partial, self._setup_draws = space, 0
    rest = (space.predict, space.learn)
    if space.setup.searched and any(part.searched for part in rest):
      fixed = dataclasses.replace(space.setup, searched=False)
      self._partial = dataclasses.replace(space, setup=fixed)
      self._setup_draws = self._draws - mutation.num_random_draws(self._partial)

  def draw(self, generator: np.random.Generator, count: int) -> Programs:
    """Those of `count` random programs that can learn, in order."""
    parts = [Programs.empty(self._space, 0)]
    for start in range(0, count, _DRAWN_AT_ONCE):
      numbers = generator.random((min(_DRAWN_AT_ONCE, count - start), self._draws))
      if not self._exhaustive:
        numbers = numbers[self._can_learn(numbers[:, self._setup_draws :])]
      parts.append(mutation.random_programs(self._space, numbers, template=self._template))
    return Programs.concatenate(parts)

  def _can_learn(self, numbers: np.ndarray) -> np.ndarray:
    template = self._template
    if template is not None:
      template = Programs(self._partial, *(getattr(template, name) for name in Programs.ARRAYS))
    return dependence.can_learn(
        mutation.random_programs(self._partial, numbers, template=template))


class RepeatedEvolution(Evolution):
  """Evolution experiments side by side, each of which ends with its first acceptable program.

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
    self._acceptance = acceptance
    self.accepted_at = np.full(self.num_islands, -1)
    self.accepted: dict[int, Programs] = {}

  def _accept(self, islands: np.ndarray, programs: Programs, fitness: np.ndarray) -> None:
    super()._accept(islands, programs, fitness)
    count = fitness.shape[1]
    owners = np.repeat(islands, count)
    good = np.flatnonzero(fitness.ravel() >= self._acceptance.fitness_bounds[owners])
    for k in good[self._acceptance.accepts(programs[good], owners[good])]:
      island = int(owners[k])
      if island not in self.accepted:
        self.accepted[island] = programs[int(k)]
        self.accepted_at[island] = self.num_programs[island] - count + k % count + 1
        self.finish(island)
