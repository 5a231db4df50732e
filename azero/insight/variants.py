"""Variants of a program measured after their constants were tuned (supplement S8).

A program that has lost or got a mechanism may want other constants: without normalisation another
learning rate, for instance. The AutoML-Zero paper tunes all of them again before it takes the
loss. Here every variant has the same number of trials, all of them in one batch.
"""

from collections.abc import Sequence

import numpy as np

from azero.insight import surgery, tuning
from azero.insight.bench import Bench, Measured
from azero.insight.surgery import Code


def check_trials(bench: Bench, num_trials: int) -> None:
  """Refuses a number of trials that the tasks do not allow.

  Raises:
    ValueError: it is negative, or there are no tasks to tune on beside those to measure on.
  """
  if num_trials < 0 or (num_trials and len(bench.tasks) < 2):
    raise ValueError(
        "num_trials must not be negative, and needs two tasks or more: some to tune on and others "
        f"to measure on; got {num_trials} and {len(bench.tasks)} task(s).")


def measure(
    bench: Bench, codes: Sequence[Code], num_trials: int) -> tuple[list[Code], Measured]:
  """The variants, tuned if that is asked for, and what they come to.

  Args:
    bench: where they are measured.
    codes: N variants.
    num_trials: settings of the constants for each, its own included; 0 for no tuning. The best on
      every other task, from the first, is measured on the tasks between.
  """
  if not num_trials:
    return list(codes), bench.measure(codes)
  trials = [tuned for code in codes for tuned in _trials(code, num_trials)]
  every = bench.measure(trials)
  to_tune = every.per_task[:, :, ::2].mean((1, 2)).reshape(len(codes), -1)
  best = to_tune.argmax(1) + np.arange(len(codes)) * to_tune.shape[1]
  measured = Measured(every.per_task[best][:, :, 1::2], every.fingerprint[best])
  return [trials[k] for k in best], measured


def _trials(code: Code, num_trials: int) -> list[Code]:
  """A code with other constants, its own first."""
  spots = surgery.spots(code)
  factors = tuning.draw_factors(num_trials - 1, len(spots), seed=0)
  return [code] + [
      surgery.with_constants(code, {
          spot: spot.value * factor for spot, factor in zip(spots, row)})
      for row in factors.tolist()]
