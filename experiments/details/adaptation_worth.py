"""What a motif is worth on the tasks of the adaptation experiment, without any search.

That a motif does not appear may mean that it does not pay on these tasks, or that it was not
found. Here the paper's motif is knocked into the program that the searches start from, as in
supplement S8 (d), and both are compared on tasks that nothing was tuned on. Constants decide as
much as code does, so both are tuned with as many trials, on the tasks that programs are chosen
on: the start first by itself, then the start and the start with the motif from there.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from azero.insight import bench as bench_lib
from azero.insight import knocking_in, motifs, statistics, surgery
from azero.insight import tables as insight_tables
from azero.language import zoo
from azero.language.text import format_program
from azero.runs import json_lines
from experiments.frame import workers

if TYPE_CHECKING:
  from azero.insight.bench import Bench
  from azero.insight.statistics import Interval
  from azero.insight.surgery import Code
  from azero.language.program import Programs
  from experiments.frame.workers import Arm, WorkersSettings

DONORS = {motifs.NOISY_RELU: "s2a", motifs.RATE_DECAY: "s2b", motifs.MEAN_RATE: "s2c"}
# Constants are multiplied by factors up to these and down to their inverses, in turn, each time
# around the best so far: first far away, where a motif may need another learning rate.
_SPREADS = (1000.0, 30.0, 5.0, 2.0)
_MAX_CHANGED = 3  # constants that a trial changes: all at once would hardly ever be better
_NUM_SEEDS = 3  # of the random numbers of the programs that are judged


@dataclasses.dataclass(frozen=True)
class Worth:
  """What a motif is worth on the tasks of an arm.

  Attributes:
    arm: its title.
    motif: its name.
    start: mean fitness of the tuned start on the tasks that judge.
    fitness: that of the start with the motif, tuned with as many trials.
    gain: of fitness, paired over tasks, each with its mean over tunings and seeds.
    tunings: the gain of each tuning by itself.
    program: the start with the motif of the last tuning.
    num_tasks: tasks that judge.
  """

  arm: str
  motif: str
  start: float
  fitness: float
  gain: Interval
  tunings: tuple[float, ...]
  program: str
  num_tasks: int

  @property
  def verdict(self) -> str:
    """Whether it pays: both the interval over tasks and that over tunings must say so."""
    low, high = self.gain.low, self.gain.high
    if len(self.tunings) > 1:
      over_tunings = self.over_tunings
      low, high = min(low, over_tunings.low), max(high, over_tunings.high)
    return "pays" if low > 0 else "costs" if high < 0 else "not decided"

  @property
  def over_tunings(self) -> Interval:
    """The mean gain with its interval over tunings, which holds the luck of the trials."""
    return statistics.paired_difference(self.tunings, [0.0] * len(self.tunings))


def check_trials(num_trials: int) -> None:
  """Refuses a number of trials that cannot be shared out.

  Raises:
    ValueError: it is negative or no multiple of 4.
  """
  if num_trials < 0 or num_trials % len(_SPREADS):
    raise ValueError(
        f"--motif_trials must be 0 or a multiple of {len(_SPREADS)}, got {num_trials}.")


def measure(
    config: WorkersSettings, arms: Sequence[Arm], motif: str, *, num_trials: int,
    num_tunings: int,
) -> list[Worth]:
  """Knocks a motif into the start of each arm, and measures what it gains on unseen tasks.

  Args:
    config: the settings.
    arms: experiment and control.
    motif: one of `DONORS`.
    num_trials: settings of the constants, a multiple of 4: so many for the start alone, and as
      many then for each of both.
    num_tunings: how often that is repeated with other trials.
  """
  return [_measure(config, arm, motif, num_trials, num_tunings) for arm in arms]


def _measure(
    config: WorkersSettings, arm: Arm, motif: str, num_trials: int, num_tunings: int) -> Worth:
  to_tune, to_judge = workers.select_tasks(config, arm.select)
  settings: dict[str, Any] = config.search.evaluator_settings() | {
      "combine": "mean", "num_epochs": arm.select.num_epochs}
  tuner = bench_lib.Bench(to_tune, **settings)
  judge = bench_lib.Bench(to_judge, num_seeds=_NUM_SEEDS, **settings)
  assert arm.template is not None
  donor, start = DONORS[motif], surgery.take_apart(arm.template[:1])
  pairs: list[Code] = []
  for number in range(num_tunings):
    rng = np.random.default_rng([config.search.seed, number])
    tuned = _tuned(tuner, start, num_trials, rng)
    # Measures it, too, but only the program counts.
    grafted = knocking_in.knock_in(
        motif, zoo.load(donor, arm.select.num_features), _program(tuned, tuner), tuner,
        donor_multiclass=zoo.is_multiclass(donor)).program
    pairs += [_tuned(tuner, code, num_trials, rng)
              for code in (tuned, surgery.take_apart(grafted))]
  per_task = judge.measure(pairs).per_task.mean(1).reshape(num_tunings, 2, -1)
  starts, grown = per_task.mean(0)
  return Worth(
      arm.title, motif, float(starts.mean()), float(grown.mean()),
      statistics.paired_difference(grown, starts),
      tuple((per_task[:, 1] - per_task[:, 0]).mean(1).tolist()),
      format_program(_program(pairs[-1], judge)), len(starts))


def _program(code: Code, bench: Bench) -> Programs:
  """The program, in the least space that holds it: a smaller one compiles faster."""
  space = surgery.space_of([code], bench.tasks.num_features, multiclass=bench.multiclass)
  return surgery.assemble([code], space)


def _tuned(bench: Bench, code: Code, num_trials: int, rng: np.random.Generator) -> Code:
  """The code with the constants that are best on the tasks of a bench."""
  for spread in _SPREADS:
    codes = [code, *(_varied(code, spread, rng) for _ in range(num_trials // len(_SPREADS)))]
    code = codes[int(bench.measure(codes).per_task.mean((1, 2)).argmax())]
  return code


def _varied(code: Code, spread: float, rng: np.random.Generator) -> Code:
  """The code with some constants multiplied by log-uniform factors."""
  spots = surgery.spots(code)
  count = min(len(spots), int(rng.integers(1, _MAX_CHANGED + 1)))
  chosen = rng.choice(len(spots), count, replace=False).tolist()
  factors = (spread ** rng.uniform(-1.0, 1.0, count)).tolist()
  return surgery.with_constants(
      code, {spots[k]: spots[k].value * factor for k, factor in zip(chosen, factors)})


def table(found: Sequence[Worth]) -> str:
  """Markdown: what the motif is worth in each arm."""
  return insight_tables.markdown(
      (f"with {found[0].motif}, no search", "start, tuned", "with the motif, tuned", "gain",
       "95 % interval over tasks", "over tunings", "verdict"),
      [(each.arm, f"{each.start:.4f}", f"{each.fitness:.4f}",
        *insight_tables.interval_cells(each.gain),
        insight_tables.interval_cells(each.over_tunings)[1], each.verdict) for each in found])


def lines(found: Sequence[Worth]) -> str:
  """A line of JSON for each arm."""
  return json_lines.text({
      "arm": each.arm, "motif": each.motif, "start": each.start, "fitness": each.fitness,
      "gain": insight_tables.interval_dict(each.gain), "tunings": each.tunings,
      "num_tasks": each.num_tasks, "verdict": each.verdict, "program": each.program,
  } for each in found)
