"""The lineages of a search: what its ancestry says of a program, and what came with it.

A program that migrated, or that a search was started from, brings the lineage that it has from
elsewhere; see `ancestry` for what is kept on an island and for how long.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from azero.compiler.kernels import inner_kernel, kernel
from azero.language.program import Programs, SearchSpace
from azero.search.ancestry import (
  ACTION,
  ARRIVED,
  FITNESS,
  ISLAND,
  NONE,
  NUMBER,
  SKIPPED,
  write_step,
)
from azero.search.islands import Islands
from azero.search.lineage import KnownPrograms, Lineage, lineages_in, lineages_state

MOST_CARRIED = 32  # steps that a migrant takes along

_STORED = ("action", "skipped", "fitness", "number")


class Genealogy:
  """Tells lineages of the living programs of a search.

  Threads may ask it side by side, each for its own islands.
  """

  def __init__(
      self, space: SearchSpace, islands: Islands, first_island: int, template: Programs | None):
    """Looks at the islands of a search.

    Args:
      space: of its programs.
      islands: all of them.
      first_island: number in lineages of island 0.
      template: the programs that it starts from; lineages of `KnownPrograms` go on.
    """
    self._space, self._islands, self._first_island = space, islands, first_island
    self._pasts = template.pasts if isinstance(template, KnownPrograms) else ()
    # Of each island what immigrants brought with them, by their nodes.
    self._brought: list[dict[int, Lineage]] = [{} for _ in range(len(islands.made))]

  def lineage(self, i: int, place: int) -> Lineage:
    """That of the program at a place of island i, whose fitness is known."""
    islands, number = self._islands, self._first_island + i
    room = np.empty(0, np.int64)
    size, root = _trace(islands, i, place, number, room)
    words = np.empty(size, np.int64)
    _trace(islands, i, place, number, words)
    own, past = Lineage(self._space, words), self._past(i, root)
    return own if past is None else past.before(own)

  def leaving(self, i: int, places: np.ndarray) -> list[Lineage]:
    """What programs that leave island i take along."""
    return [self.lineage(i, place).condensed(MOST_CARRIED) for place in places.tolist()]

  def note_arrivals(
      self, i: int, places: np.ndarray, lineages: Sequence[Lineage]) -> None:
    """Learns what the programs that came to these places of island i have brought."""
    ancestry = self._islands.ancestry
    self._brought[i].update(zip(ancestry.node[i, places].tolist(), lineages))
    self._forget_gone(i)

  def _forget_gone(self, i: int) -> None:
    """Drops what immigrants brought of whom no descendant lives."""
    ancestry = self._islands.ancestry
    self._brought[i] = {
        node: lineage for node, lineage in self._brought[i].items()
        if ancestry.uses[i, node] > 0 and ancestry.action[i, node] == ARRIVED}

  def _past(self, i: int, root: int) -> Lineage | None:
    ancestry = self._islands.ancestry
    if ancestry.action[i, root] == ARRIVED:
      return self._brought[i].get(root)
    # The initial population comes first, and takes the programs of the template in turn.
    turn = int(ancestry.number[i, root]) - 1
    return self._pasts[turn % len(self._pasts)] if self._pasts else None

  def state(self) -> dict[str, Any]:
    """All that decides lineages to come; nodes by their order of age."""
    ancestry, rows, places = self._islands.ancestry, [], []
    parents, brought = [], []
    for i in range(len(ancestry.node)):
      self._forget_gone(i)
      nodes = np.flatnonzero(ancestry.uses[i])
      nodes = nodes[np.argsort(ancestry.number[i, nodes])]
      order = np.full(ancestry.uses.shape[1] + 1, NONE)  # NONE itself is last
      order[nodes] = np.arange(len(nodes))
      parents.append(order[ancestry.parent[i, nodes]])
      places.append(ancestry.place[i, nodes])
      rows.append(i * ancestry.uses.shape[1] + nodes)
      brought.append({int(order[node]): lineage for node, lineage in self._brought[i].items()})
    every = np.concatenate(rows)
    place = np.concatenate(places)
    dead = every[place == NONE]
    return {
        "counts": np.array([len(each) for each in rows]),
        "parent": np.concatenate(parents), "place": place,
        **{name: getattr(ancestry, name).reshape(-1)[every] for name in _STORED},
        "programs": {
            name: array[dead] for name, array in ancestry.programs._asdict().items()},
        "brought": {
            "counts": np.array([len(each) for each in brought]),
            "nodes": np.array([node for each in brought for node in sorted(each)], np.int64),
            **lineages_state([each[node] for each in brought for node in sorted(each)])}}

  def restore(self, state: Mapping[str, Any]) -> None:
    """Takes over the state of the lineages of another search of the same settings."""
    ancestry = self._islands.ancestry
    size = ancestry.uses.shape[1]
    for array in (ancestry.node, ancestry.place, ancestry.parent):
      array[:] = NONE
    ancestry.uses[:] = 0
    start = 0
    for i, count in enumerate(state["counts"].tolist()):
      own = slice(start, start + count)
      start += count
      parent, place = state["parent"][own], state["place"][own]
      ancestry.parent[i, :count], ancestry.place[i, :count] = parent, place
      for name in _STORED:
        getattr(ancestry, name)[i, :count] = state[name][own]
      ancestry.node[i, place[place != NONE]] = np.flatnonzero(place != NONE)
      ancestry.uses[i, :count] = place != NONE
      np.add.at(ancestry.uses[i], parent[parent != NONE], 1)
      ancestry.num_free[i] = size - count
      ancestry.free[i, : size - count] = np.arange(count, size)
    every = np.concatenate([
        i * size + np.arange(count) for i, count in enumerate(state["counts"].tolist())])
    dead = every[state["place"] == NONE]
    for array, saved in zip(ancestry.programs, state["programs"].values(), strict=True):
      array[dead] = saved
    brought = iter(zip(
        state["brought"]["nodes"].tolist(), lineages_in(self._space, state["brought"])))
    self._brought = [
        dict(next(brought) for _ in range(count))
        for count in state["brought"]["counts"].tolist()]


@inner_kernel
def _write(islands: Islands, i: int, node: int, start: int, words: np.ndarray) -> int:
  """As `ancestry.write_step`, of the program of a node."""
  ancestry = islands.ancestry
  if ancestry.place[i, node] == NONE:
    return write_step(words, start, ancestry.programs, i * ancestry.uses.shape[1] + node)
  row = i * ancestry.node.shape[1] + ancestry.place[i, node]
  return write_step(words, start, islands.population, row)


@kernel
def _trace(
    islands: Islands, i: int, place: int, island: int, words: np.ndarray) -> tuple[int, int]:
  """Writes the steps to a program, unless there are no words.

  Args:
    islands: all of them.
    i: which.
    place: of the program.
    island: its number in lineages.
    words: as many as it takes, or none.

  Returns:
    How many words it takes, and the node of the first program.
  """
  ancestry, size = islands.ancestry, 0
  node = ancestry.node[i, place]
  before, nothing = node, words[:0]
  root = node
  while before != NONE:
    size = _write(islands, i, before, size, nothing)
    root, before = before, ancestry.parent[i, before]
  if len(words) == 0:
    return size, root
  fitness, end = words.view(np.float64), size
  while node != NONE:
    end -= _write(islands, i, node, 0, nothing)
    words[end + NUMBER], words[end + ISLAND] = ancestry.number[i, node], island
    words[end + ACTION], words[end + SKIPPED] = ancestry.action[i, node], ancestry.skipped[i, node]
    fitness[end + FITNESS] = ancestry.fitness[i, node]
    _write(islands, i, node, end, words)
    node = ancestry.parent[i, node]
  return size, root
