"""Settings of a search, for all who hold, show or ask for them; needs no JAX."""

import dataclasses
from typing import Any

from azero.executors.choices import COMBINE, DTYPES, EXECUTOR_NAMES
from azero.search import plain

INITIAL = ("empty", "random", "grown")
FILTERS = ("changed", "valid", "features")
# The paper's three actions; removal is twice as likely as insertion (S3).
PAPER_ACTIONS = ("insert_or_remove", "randomize_function", "alter")
MOST_TRIALS = 256  # of constants: a round has room for them all
_MOST = 10**18  # of anything that is counted
_MOST_ATTEMPTS = 10**12  # starts have a thousand times as many
# What a search has in common with those who judge its programs.
_JUDGED_WITH = (
    "combine", "num_epochs", "max_abs_error", "seed", "dtype", "num_devices", "executor")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchConfig:
  """Settings of a search; defaults are the paper's (section 3.2).

  Attributes:
    population_size: P.
    tournament_size: T, drawn with replacement as the published code does.
    mutation_probability: U, the probability that a child is mutated at all.
    mutations: names of mutations to choose from uniformly: alter, randomize_instruction,
      randomize_function, insert, remove, insert_or_remove of the paper; rewire,
      regrow_instructions, regrow_function, add_parameter, add_update, extend_path,
      add_constant; and those of your own.
    cycles_per_step: children of each island in a step (a cycle of the paper is one child), at
      whose end stop conditions and Ctrl-C are looked at; None for some rounds of each, half a
      second or so.
    initial: "empty", "random" or "grown" programs to start from, see `growth`; with the filter
      "valid" grown ones are drawn component by component.
    filters: what a proposal has to be, or it is drawn again: "changed", of another canonical key
      than its parent; "valid", a learner by its data flow; "features", beside it: one of its
      parameters follows from the features, not by way of the prediction alone. The paper has none.
    structure_limit: programs of a population at most that differ in constants only; others are
      drawn again; None for no limit.
    attempts: draws of a child at most; if none passes it is a copy of its parent. A program
      without parents has a thousand times as many, and is what was drawn last if none passes.
    leaps: the probability that a child has to learn more parameters than its parent, for which
      it is mutated two to six times at once; if no draw does, it is made as others are.
    constant_trials: settings of its constants that a program is evaluated with if its structure
      is new to the population; the best is kept. Each counts as a program.
    restart_patience: children of an island without a better one, times 1, 1, 2, 1, 1, 2, 4, ...,
      after which its population begins anew, but not before it has a child for every 1000
      instructions that were drawn for its starts; None for never.
    max_train_steps: budget of each island in training steps; None for no limit.
    max_programs: budget of each island in programs, which the last child may exceed by its
      constant_trials, and immigrants by as many as come at once; None for no limit.
    seed: decides everything that is random; a whole number from 0 on.
    fingerprint: whether to use the functional equivalence cache.
    canonical_cache: whether to use the cache of canonical keys. With `fingerprint` alone off,
      copies of a program and programs that differ in dead code still are evaluated once; with
      both off every program is trained, as in the paper without functional equivalence checks.
    cache_size: entries of each cache of each island.
    train_budget: a program that costs more than so many plain neural networks has fitness
      0 (S3; the paper's is 4); None for no limit.
    hurdle: part of the training examples, in (0, 1), after which a program stops if it is
      under the 75th percentile of its island (S3), which is taken after every population_size
      children; None for no hurdle.
    task_sample: how many of the D tasks of its island a program is evaluated on; D has to be a
      multiple of it. The next ones come with every population_size children of the island, and
      the first again after the last. A program keeps the fitness that it had on its own, and
      equal programs count as known only within one sample. None for all tasks.
    combine: "median" or "mean" of the fitness over tasks.
    num_epochs: E, passes over the training examples.
    max_abs_error: an error above it stops a program with fitness 0.
    dtype: "float32" or "float64".
    num_devices: JAX devices to use; None for all.
    lanes: programs evaluated at once on a device; None to choose by space and tasks.
    executor: "waves", or "interpreter" for the slow reference.
    hall_of_fame_size: how many of the best distinct programs to keep.
  """

  population_size: int = 100
  tournament_size: int = 10
  mutation_probability: float = 0.9
  mutations: tuple[str, ...] = PAPER_ACTIONS
  cycles_per_step: int | None = None
  initial: str = dataclasses.field(default="empty", metadata={"choices": INITIAL})
  filters: tuple[str, ...] = dataclasses.field(default=(), metadata={"choices": FILTERS})
  structure_limit: int | None = None
  attempts: int = 100
  leaps: float = 0.0
  constant_trials: int = 1
  restart_patience: int | None = None
  max_train_steps: int | None = None
  max_programs: int | None = None
  seed: int = 0
  fingerprint: bool = True
  canonical_cache: bool = True
  cache_size: int = 100_000
  train_budget: float | None = None
  hurdle: float | None = None
  task_sample: int | None = None
  combine: str = dataclasses.field(default="median", metadata={"choices": COMBINE})
  num_epochs: int = 1
  max_abs_error: float = 100.0
  dtype: str = dataclasses.field(default="float32", metadata={"choices": DTYPES})
  num_devices: int | None = None
  lanes: int | None = None
  executor: str = dataclasses.field(default="waves", metadata={"choices": EXECUTOR_NAMES})
  hall_of_fame_size: int = 20

  def __post_init__(self) -> None:
    plain.normalise(self)
    if self.initial not in INITIAL:
      raise ValueError(f"initial must be one of {', '.join(INITIAL)}, got {self.initial!r}.")
    unknown = [name for name in self.filters if name not in FILTERS]
    if unknown:
      raise ValueError(f"Unknown filters {unknown}; choose from {', '.join(FILTERS)}.")
    for name in (
        "population_size", "tournament_size", "hall_of_fame_size", "cache_size", "attempts",
        "constant_trials"):
      if getattr(self, name) < 1:
        raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
      if getattr(self, name) > _MOST:
        raise ValueError(f"{name} must be at most {_MOST:,}, got {getattr(self, name)}.")
    if self.attempts > _MOST_ATTEMPTS:
      raise ValueError(f"attempts must be at most {_MOST_ATTEMPTS:,}, got {self.attempts}.")
    if not 0 <= self.leaps <= 1:
      raise ValueError(f"leaps must be a probability, in [0, 1], got {self.leaps}.")
    if "valid" not in self.filters and ("features" in self.filters or self.leaps):
      raise ValueError('Leaps and the filter "features" need the filter "valid" beside them.')
    if self.train_budget is not None and not self.train_budget > 0:
      raise ValueError(f"train_budget must be positive or None, got {self.train_budget}.")
    if self.hurdle is not None and not 0 < self.hurdle < 1:
      raise ValueError(
          f"hurdle must be a part of the training between 0 and 1, or None, got {self.hurdle}.")
    if self.seed < 0:
      raise ValueError(f"seed must not be negative, got {self.seed}.")
    if self.constant_trials > MOST_TRIALS:
      raise ValueError(
          f"constant_trials must be at most {MOST_TRIALS}, got {self.constant_trials}.")
    for name in (
        "max_train_steps", "max_programs", "lanes", "cycles_per_step", "structure_limit",
        "restart_patience", "task_sample"):
      value = getattr(self, name)
      if value is not None and value < 1:
        raise ValueError(f"{name} must be at least 1 or None, got {value}.")
      if value is not None and value > _MOST:
        raise ValueError(f"{name} must be at most {_MOST:,} or None, got {value}.")

  @property
  def bounded(self) -> bool:
    """Whether there is a budget that ends a search."""
    return self.max_train_steps is not None or self.max_programs is not None

  def evaluator_settings(self) -> dict[str, Any]:
    """What an `Evaluator` needs to judge programs as the search evaluated them.

    Without `lanes`, which suit the batches of the search.
    """
    return {name: getattr(self, name) for name in _JUDGED_WITH}
