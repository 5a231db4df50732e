"""Random draws that the sources of tasks share: one generator a task, stratified orders."""

import numpy as np


def task_generators(seed: int, num_tasks: int, *key: int) -> list[np.random.Generator]:
  """One generator for each task; task k's does not depend on `num_tasks`.

  Args:
    seed: of the whole batch, 0 or more.
    num_tasks: D, at least 1.
    *key: tells apart the batches that share a seed.

  Returns:
    D generators.

  Raises:
    ValueError: a negative seed or no task.
  """
  if seed < 0:
    raise ValueError(f"seed must be 0 or more; got {seed}.")
  if num_tasks < 1:
    raise ValueError(f"num_tasks must be at least 1; got {num_tasks}.")
  # NumPy pads such lists with zeros; with the length in front no two of them are alike.
  return [
      np.random.default_rng([len(key), *key, task, seed]) for task in range(num_tasks)]


def draw_task_seed(rng: np.random.Generator) -> int:
  """A seed for `Tasks.seeds`, uniform over uint32."""
  return int(rng.integers(2**32))


def stratified_order(strata: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """A random order in which every stretch holds the strata in proportion.

  Args:
    strata: [N] int, the stratum of each example, e.g. its class.
    rng: source of the order.

  Returns:
    [N] int, a permutation. It is regular, so shuffle a stretch before training on it.
  """
  position = np.empty(len(strata))
  for stratum in np.unique(strata):
    members = rng.permutation(np.flatnonzero(strata == stratum))
    # Members spread evenly over [0, 1), with one random phase per stratum.
    position[members] = (np.arange(len(members)) + rng.random()) / len(members)
  return np.argsort(position, kind="stable")
