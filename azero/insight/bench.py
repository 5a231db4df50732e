"""Where variants of programs are measured: in one batch, on the same tasks and seeds.

What an ablation or a simplification does to a program is the difference of two fitnesses, paired
over tasks (supplement S8 of the AutoML-Zero paper), so that all of them are means over tasks. A
program with random numbers is measured with several seeds.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any

import numpy as np

from azero.executors.evaluator import Evaluator
from azero.insight import statistics, surgery
from azero.insight.statistics import Interval
from azero.insight.surgery import Code
from azero.language import text
from azero.language.program import Programs
from azero.tasks.task import Tasks

_SPARE = 4  # addresses and instructions beyond those of the first programs
_ROUNDING = 1e-6  # of a fitness in float32


@dataclasses.dataclass(frozen=True)
class Measured:
  """What N variants came to.

  Attributes:
    per_task: [N, S, D] float64 fitness, with each of S seeds on each of D tasks.
    fingerprint: [N, 2 S] uint64, a hash of all their predictions.
  """

  per_task: np.ndarray
  fingerprint: np.ndarray

  @property
  def same(self) -> np.ndarray:
    """[N - 1] bool, whether each variant but the first predicts what the first does.

    A hash holds 16 bits of what a prediction is normalised to, in which all small logits are
    one half: so fitnesses have to be equal, too.
    """
    differences = np.abs(self.per_task[1:] - self.per_task[0]).max((1, 2))
    return (self.fingerprint[1:] == self.fingerprint[0]).all(1) & (differences <= _ROUNDING)

  def fitness(self, row: int) -> float:
    """Fitness of a variant, the mean over tasks and seeds."""
    return float(self.per_task[row].mean(1).mean())

  def loss(self, row: int, reference: int = 0) -> Interval:
    """How much less a variant reaches than a reference: the mean over tasks, with interval.

    Pairs are the tasks, each with the mean over seeds; with a single task they are the seeds. If
    those make no difference either, one pair is all that there is, and there are no bounds.
    """
    pairs = self.per_task[[reference, row]]
    values = pairs.mean(1) if pairs.shape[2] > 1 else pairs[:, :, 0]
    if pairs.shape[2] == 1 and (values == values[:, :1]).all():
      values = values[:, :1]
    return statistics.paired_difference(values[0], values[1])


class Bench:
  """Measures variants of programs on tasks.

  Its evaluator is compiled when it is first used, and again only for programs that its space
  does not hold.
  """

  def __init__(self, tasks: Tasks, *, num_seeds: int = 1, **settings: Any):
    """Prepares the tasks for every seed; compiles nothing yet.

    Args:
      tasks: D tasks.
      num_seeds: S, of the random numbers and of the order of examples in later epochs. The
        first is the tasks' own.
      **settings: of `Evaluator`: num_epochs, seed, dtype, ...

    Raises:
      ValueError: tasks that are none, or a bad setting.
    """
    if not isinstance(tasks, Tasks):
      raise ValueError(
          f"tasks must be Tasks, got {type(tasks).__name__}; of CustomData give its select or "
          "final tasks.")
    if num_seeds < 1:
      raise ValueError(f"num_seeds must be at least 1, got {num_seeds}.")
    if settings.get("combine", "mean") != "mean":
      raise ValueError(
          f"A Bench takes means over tasks, of which losses are; got combine="
          f"{settings['combine']!r}.")
    self.tasks = tasks
    self.settings: dict[str, Any] = settings | {"combine": "mean", "fingerprint": True}
    seeds = [tasks.seeds] + [
        np.array([np.random.SeedSequence([k, int(seed)]).generate_state(1)[0]
                  for seed in tasks.seeds], np.uint32) for k in range(1, num_seeds)]
    self._sets = [dataclasses.replace(tasks, seeds=each) for each in seeds]
    self._evaluator: Evaluator | None = None

  @property
  def multiclass(self) -> bool:
    """Whether labels and predictions are vectors."""
    return self.tasks.multiclass

  @property
  def num_seeds(self) -> int:
    """S."""
    return len(self._sets)

  def read(self, program: Programs | str) -> Programs:
    """A program for the tasks, given itself or by its text.

    Raises:
      ValueError: a malformed program, several, or one for another number of features.
    """
    return read_program(program, self.tasks.num_features, multiclass=self.multiclass)

  def measure(self, codes: Sequence[Code]) -> Measured:
    """Trains and validates N variants, all in one batch."""
    evaluator = self._evaluator_for(codes)
    programs = surgery.assemble(codes, evaluator.space)
    every = np.tile(np.arange(len(codes)), self.num_seeds)
    sets = np.repeat(np.arange(self.num_seeds), len(codes))
    result = evaluator.evaluate(programs[every], sets)
    assert result.fingerprint is not None
    shape = self.num_seeds, len(codes), -1
    return Measured(
        result.per_task.reshape(shape).swapaxes(0, 1),
        result.fingerprint.reshape(shape).swapaxes(0, 1).reshape(len(codes), -1))

  def _evaluator_for(self, codes: Sequence[Code]) -> Evaluator:
    old = None if self._evaluator is None else self._evaluator.space
    if self._evaluator is None or not all(surgery.fits(code, self._evaluator.space)
                                          for code in codes):
      space = surgery.space_of(
          codes, self.tasks.num_features, multiclass=self.multiclass, least=old, helpers=True,
          spare=_SPARE)
      self._evaluator = Evaluator(space, self._sets, **self.settings)
    return self._evaluator


def bench_for(
    tasks: Tasks | Bench, num_seeds: int | None, settings: dict[str, Any], *,
    default_seeds: int = 3,
) -> Bench:
  """A bench for tasks, or the one that is given.

  Raises:
    ValueError: settings for a bench that has its own.
  """
  if isinstance(tasks, Bench):
    given = [*settings, *(["num_seeds"] if num_seeds not in (None, tasks.num_seeds) else [])]
    if given:
      raise ValueError(
          f"A Bench has its own settings; give {', '.join(given)} to it: Bench(tasks, ...).")
    return tasks
  return Bench(tasks, num_seeds=default_seeds if num_seeds is None else num_seeds, **settings)


def read_program(
    program: Programs | str, num_features: int | None = None, *, multiclass: bool = False
) -> Programs:
  """One program, given itself or by its text.

  Raises:
    ValueError: a malformed program, several, or one for another number of features.
  """
  if isinstance(program, str):
    return text.parse(program, num_features=num_features, multiclass=multiclass)
  if not isinstance(program, Programs):
    raise ValueError(f"A program must be Programs or its text, got {type(program).__name__}.")
  if len(program) != 1:
    raise ValueError(
        f"One program at a time is looked at, got {len(program)}; choose one: programs[i].")
  if num_features is not None and program.space.num_features != num_features:
    raise ValueError(
        f"The program is for F = {program.space.num_features}, the tasks have {num_features} "
        f"features: program.with_features({num_features}).")
  return program.validate()
