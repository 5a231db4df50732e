"""Cuts the workers of a search into parts, one for each process.

What an island does depends on its number, its tasks and whom it receives, and on nothing else; so
a part is a federation of some of the workers under their own numbers, with the steps of the whole.
"""

from collections.abc import Sequence
import dataclasses

from azero.search.groups.federation import Group


def split(groups: Sequence[Group], num_parts: int) -> list[list[Group]]:
  """The workers of each group, divided evenly.

  Args:
    groups: of the whole search.
    num_parts: how many parts; none may be empty.

  Returns:
    The groups of each part, with their workers' numbers. Where workers cannot be divided
    evenly, different groups give their larger shares to different parts.

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
    for k in range(num_parts):
      # Cut by the number among all workers, so that no part is left without any.
      start, stop = (_cut(num_parts, at, first, count, workers) for at in (k, k + 1))
      if start < stop:
        parts[k].append(_some(group, first, start, stop))
    first += count
  return parts


def _cut(num_parts: int, at: int, first: int, count: int, workers: int) -> int:
  if count >= num_parts:
    return at * count // num_parts
  return min(max(at * workers // num_parts - first, 0), count)


def _some(group: Group, first: int, start: int, stop: int) -> Group:
  experiments = None if group.experiments is None else group.experiments[start:stop]
  return dataclasses.replace(
      group, task_sets=group.task_sets[start:stop], experiments=experiments,
      first_worker=first + start, workers_in_all=len(group.task_sets))
