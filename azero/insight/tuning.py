"""Tuning of a program's constants (supplement S7 of the AutoML-Zero paper).

Before a program that evolved on small tasks is judged at full size, all its constants are
tuned together by random search: each is multiplied by a factor between 1/1000 and 1000,
log-uniform, so that it keeps its sign. Baselines are programs too and are tuned alike, with
the same number of trials.

To the paper's search is added successive halving: trials go in brackets, train first on the
first examples only, and the better ones go on to train on more. And where a program's fitness
depends smoothly on its constants, their gradient through the whole training can be followed.
"""

from collections.abc import Callable
import dataclasses
import math
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax

from azero.executors.choices import COMBINE
from azero.executors.outcomes import combine_tasks
from azero.executors.single import straight_line
from azero.executors.single.direct import DirectEvaluation, DirectEvaluator
from azero.insight.bench import Bench, read_program
from azero.language.program import Programs
from azero.language.text import format_program
from azero.tasks.task import Tasks

SPREAD = 1000.0  # S7: factors from 1/1000 to 1000
_OF_A_BENCH = ("num_epochs", "max_abs_error", "dtype", "num_devices")  # what trials take from it


class Tunable(Protocol):
  """What can be tuned: a program on tasks, see `DirectEvaluator`."""

  @property
  def constants(self) -> np.ndarray:
    """Where tuning starts: [K]."""

  @property
  def num_train(self) -> int:
    """T, training examples of a task."""

  def evaluate(
      self, constants: np.ndarray, *, seeds: int | np.ndarray = 0, num_train: int | None = None,
  ) -> DirectEvaluation:
    """Trains with N settings of the constants, [N, K], on the first examples."""


class Differentiable(Tunable, Protocol):
  """What can be tuned by gradients."""

  def loss_and_gradient(
      self, constants: np.ndarray, *, seed: int = 0
  ) -> tuple[float, np.ndarray, DirectEvaluation]:
    """A smooth loss of one setting [K], its gradient [K], and the evaluation."""


class Step(NamedTuple):
  """A new best: after so many trials and training steps, this fitness."""

  trials: int
  train_steps: int
  fitness: float


@dataclasses.dataclass(frozen=True)
class Tuning:
  """What tuning found, so far or in the end.

  Attributes:
    constants: [K], the best.
    fitness: theirs, on all training examples.
    trials: settings tried, the original one included.
    train_steps: examples trained on, over all trials and tasks.
    history: every new best, the original first.
    interrupted: whether Ctrl-C ended it.
  """

  constants: np.ndarray
  fitness: float
  trials: int
  train_steps: int
  history: tuple[Step, ...]
  interrupted: bool = False

  @property
  def original(self) -> float:
    """Fitness with the original constants."""
    return self.history[0].fitness


@dataclasses.dataclass(frozen=True)
class TunedProgram:
  """A program with tuned constants.

  Attributes:
    program: a batch of one.
    tuning: how they were found.
  """

  program: Programs
  tuning: Tuning

  def __str__(self) -> str:
    return (
        f"Fitness {self.tuning.original:.4f} became {self.tuning.fitness:.4f} in "
        f"{self.tuning.trials} trials.\n{format_program(self.program)}")

  def _repr_html_(self) -> str:
    first, *_ = str(self).splitlines()
    return f"<p>{first}</p>{self.program._repr_html_()}"


Progress = Callable[[Tuning], None]


def tune(
    program: Programs | str, tasks: Tasks | Bench, *, num_trials: int = 65, seed: int = 0,
    combine: str = "mean", reduction: int = 4, progress: Progress | None = None, **settings: Any,
) -> TunedProgram:
  """Tunes the constants of a program by random search, and puts the best into it.

  Args:
    program: a batch of one, or its text.
    tasks: to tune on, or those of a `Bench`, with `seed` in place of its seeds; the fitness there
      is the best of many and tells little of other tasks.
    num_trials: settings to try, its own included.
    seed: of the factors, and the evaluation seed.
    combine: "mean" or "median" over tasks.
    reduction: how early trials are given up, as for `random_search`; 1 trains all in full.
    progress: called after every bracket.
    **settings: of `DirectEvaluator`: num_epochs, max_abs_error, dtype, num_devices; default
      those of the `Bench`.

  Raises:
    ValueError: a program that does not fit the tasks, or a bad setting.
  """
  if isinstance(tasks, Bench):
    own = {name: tasks.settings[name] for name in _OF_A_BENCH if name in tasks.settings}
    tasks, settings = tasks.tasks, own | settings
  program = read_program(program, tasks.num_features, multiclass=tasks.multiclass)
  tuning = random_search(
      DirectEvaluator(program, tasks, **settings), num_trials=num_trials, seed=seed,
      combine=combine, reduction=reduction, progress=progress)
  return TunedProgram(
      straight_line.with_constants(program, tuning.constants, multiclass=tasks.multiclass), tuning)


def random_search(
    tunable: Tunable, *, num_trials: int, seed: int, spread: float = SPREAD,
    bracket_size: int = 64, reduction: int = 4, min_train: int | None = None,
    combine: str = "mean", progress: Progress | None = None,
) -> Tuning:
  """Random search over all constants together.

  The original constants are the first trial. The others are drawn in advance, and go in
  brackets: all of a bracket train on the first `min_train` examples, the best one in
  `reduction` of them on `reduction` times as many, until the last ones train on all. After
  each bracket there is a best setting; Ctrl-C returns it.

  Args:
    tunable: what is tuned.
    num_trials: settings to try, at least 1.
    seed: of the factors, and the evaluation seed of all trials.
    spread: factors are from 1 / spread to spread.
    bracket_size: trials of a bracket.
    reduction: see above; 1 trains all trials in full.
    min_train: see above; by default a sixteenth of the training examples.
    combine: "mean" or "median" over tasks.
    progress: called after every bracket.

  Returns:
    The best setting.

  Raises:
    ValueError: a setting out of range.
  """
  if combine not in COMBINE:
    raise ValueError(f"combine must be one of {', '.join(COMBINE)}, got {combine!r}.")
  if min(num_trials, bracket_size, reduction) < 1 or not spread > 1:
    raise ValueError(
        "num_trials, bracket_size and reduction must be at least 1 and spread above 1, got "
        f"{num_trials}, {bracket_size}, {reduction} and {spread}.")
  if min_train is None:
    min_train = max(1, tunable.num_train // 16)
  if not 1 <= min_train <= tunable.num_train:
    raise ValueError(
        f"min_train must be from 1 to {tunable.num_train}, the training examples; got "
        f"{min_train}.")
  lengths = _lengths(tunable.num_train, min_train, reduction)
  factors = draw_factors(num_trials - 1, len(tunable.constants), seed, spread)
  candidates = tunable.constants * factors
  best = _begin(
      tunable.constants, tunable.evaluate(tunable.constants[None], seeds=seed), combine)
  if not np.any(tunable.constants):
    return best  # nothing that a factor would change
  try:
    for start in range(0, len(candidates), bracket_size):
      bracket = candidates[start : start + bracket_size]
      winner, fitness, steps = _bracket(tunable, bracket, lengths, reduction, seed, combine)
      best = _update(best, winner, fitness, len(bracket), steps)
      if progress is not None:
        progress(best)
  except KeyboardInterrupt:
    return dataclasses.replace(best, interrupted=True)
  return best


def draw_factors(count: int, num_constants: int, seed: int, spread: float = SPREAD) -> np.ndarray:
  """Log-uniform factors from 1 / spread to spread: [count, num_constants]."""
  rng = np.random.default_rng(seed)
  return np.exp(math.log(spread) * rng.uniform(-1.0, 1.0, (count, num_constants)))


def gradient_search(
    tunable: Differentiable, *, num_steps: int, seed: int, learning_rate: float = 0.3,
    spread: float = SPREAD, combine: str = "mean", progress: Progress | None = None,
) -> Tuning:
  """Follows the gradient of a smooth validation loss through the training.

  Adam on the logarithms of the factors by which constants are multiplied, within the same
  bounds as in random search. The best setting on the way by fitness is kept. A step counts
  as a trial; it takes some four times as long, for the way back.

  Args:
    tunable: what is tuned.
    num_steps: trials beside the original one.
    seed: the evaluation seed.
    learning_rate: Adam's, in units of the logarithm.
    spread: as for `random_search`.
    combine: as for `random_search`.
    progress: called after every step.

  Returns:
    The best setting on the way.
  """
  bound = math.log(spread)
  adam = optax.adam(learning_rate)
  # Of optax's arithmetic only that on float32 is wanted, whatever the types of the program.
  logs = np.zeros(len(tunable.constants), np.float32)
  constants = tunable.constants
  _, gradient, result = tunable.loss_and_gradient(constants, seed=seed)
  best = _begin(constants, result, combine)
  try:
    with jax.numpy_dtype_promotion("standard"):
      state = adam.init(jnp.asarray(logs))
    for _ in range(num_steps):
      # Through the logarithm; where training diverged there is no direction to go.
      slope = np.nan_to_num(gradient * constants, nan=0.0, posinf=0.0, neginf=0.0)
      with jax.numpy_dtype_promotion("standard"):
        updates, state = adam.update(jnp.asarray(slope, jnp.float32), state)
      logs = np.clip(logs + np.asarray(updates), -bound, bound)
      constants = tunable.constants * np.exp(logs.astype(np.float64))
      _, gradient, result = tunable.loss_and_gradient(constants, seed=seed)
      fitness = float(combine_tasks(result.per_task, combine)[0])
      best = _update(best, constants, fitness, 1, int(result.train_steps.sum()))
      if progress is not None:
        progress(best)
  except KeyboardInterrupt:
    return dataclasses.replace(best, interrupted=True)
  return best


def _lengths(num_train: int, min_train: int, reduction: int) -> list[int]:
  """Training examples of every rung, from few to all."""
  lengths = [num_train]
  while reduction > 1 and lengths[0] // reduction >= min_train:
    lengths.insert(0, lengths[0] // reduction)
  return lengths


def _begin(constants: np.ndarray, result: DirectEvaluation, combine: str) -> Tuning:
  """The original constants as the first trial."""
  fitness = float(combine_tasks(result.per_task, combine)[0])
  steps = int(result.train_steps.sum())
  return Tuning(constants, fitness, 1, steps, (Step(1, steps, fitness),))


def _bracket(
    tunable: Tunable, candidates: np.ndarray, lengths: list[int], reduction: int, seed: int,
    combine: str,
) -> tuple[np.ndarray, float, int]:
  """The best of a bracket, its fitness, and the training steps of all."""
  steps = 0
  for length in lengths:
    result = tunable.evaluate(candidates, seeds=seed, num_train=length)
    steps += int(result.train_steps.sum())
    fitness = combine_tasks(result.per_task, combine)
    order = np.argsort(-fitness, kind="stable")
    if length < lengths[-1]:
      # In the order of their numbers, so that of equal ones the first wins.
      kept = np.sort(order[: math.ceil(len(candidates) / reduction)])
      candidates = candidates[kept]
  return candidates[order[0]], float(fitness[order[0]]), steps


def _update(best: Tuning, constants: np.ndarray, fitness: float, trials: int, steps: int) -> Tuning:
  """The best so far after so many more trials, of which these constants are the best."""
  best = dataclasses.replace(
      best, trials=best.trials + trials, train_steps=best.train_steps + steps)
  if fitness <= best.fitness:
    return best
  step = Step(best.trials, best.train_steps, fitness)
  return dataclasses.replace(
      best, constants=constants, fitness=fitness, history=(*best.history, step))
