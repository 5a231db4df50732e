"""Cuts the workers of a search into parts, one for each process.

What an island does depends on its number, its tasks and whom it receives, and on nothing else; so
a part is a federation of some of the workers under their own numbers, with the steps of the whole.
"""

from collections.abc import Sequence
import dataclasses

import numpy as np

from azero.search.groups.federation import Group


def split(groups: Sequence[Group], num_parts: int) -> list[list[Group]]:
  """The workers of each group, divided evenly.

  Args:
    groups: of the whole search.
    num_parts: how many parts; none may be empty.

  Returns:
    The groups of each part, with their workers' numbers. Parts differ by one worker at most,
    in all and of each group.

  Raises:
    ValueError: more parts than workers, or none.
  """
  workers = sum(len(group.task_sets) for group in groups)
  if not 1 <= num_parts <= workers:
    raise ValueError(
        f"{workers} islands or workers can be divided over 1 to {workers} processes, not over "
        f"{num_parts}.")
  parts: list[list[Group]] = [[] for _ in range(num_parts)]
  first = 0  # number of the group's first worker
  for group in groups:
    count = len(group.task_sets)
    # What is left over goes to the parts whose turn it is, so that none is without a worker.
    sizes = np.full(num_parts, count // num_parts)
    sizes[(first + np.arange(count % num_parts)) % num_parts] += 1
    stops = np.cumsum(sizes).tolist()
    for part, size, stop in zip(parts, sizes.tolist(), stops):
      if size:
        part.append(_some(group, first, stop - size, stop))
    first += count
  return parts


def _some(group: Group, first: int, start: int, stop: int) -> Group:
  experiments = None if group.experiments is None else group.experiments[start:stop]
  return dataclasses.replace(
      group, task_sets=group.task_sets[start:stop], experiments=experiments,
      first_worker=first + start, workers_in_all=len(group.task_sets))
