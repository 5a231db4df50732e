"""The lineages of a search: what its ancestry says of a program, and what came with it.

A program that migrated, or that a search was started from, brings the lineage that it has from
elsewhere; see `ancestry` for what is kept on an island and for how long.
"""

from collections.abc import Mapping, Sequence
import itertools
import sys
from typing import Any, NamedTuple

import numpy as np

from azero.compiler.arrays import ProgramArrays
from azero.compiler.kernels import inner_kernel, kernel
from azero.language.program import Programs, SearchSpace
from azero.search import checked_state
from azero.search.ancestry import (
  LEFT_OUT,
  MADE_BY,
  NTH,
  NUMBER,
  PARENT,
  PLACE,
  USES,
  Ancestry,
  row_of,
)
from azero.search.history import packed_steps
from azero.search.history.lineage import (
  KnownPrograms,
  Lineage,
  check_lineages,
  lineages_in,
  lineages_state,
)
from azero.search.history.packed_steps import (
  HEADER,
  copy_step,
  gain_of,
  leave_out,
  longest_step,
  scan,
  write_step,
)
from azero.search.islands import Islands
from azero.search.origins import ARRIVED, NONE

MOST_CARRIED = 32  # steps that a migrant takes along

_ALL = sys.maxsize  # steps
_STORED = (MADE_BY, LEFT_OUT, NUMBER, NTH)


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
      template: the programs that it starts from as they are; lineages of `KnownPrograms` go on.
    """
    self._space, self._islands, self._first_island = space, islands, first_island
    self._pasts = template.pasts if isinstance(template, KnownPrograms) else ()
    # Of each island what immigrants brought with them, by their nodes.
    self._brought: list[dict[int, Lineage]] = [{} for _ in range(len(islands.made))]

  def lineage(self, i: int, place: int) -> Lineage:
    """That of the program at a place of island i, whose fitness is known."""
    return self._lineages(i, np.array([place]), _ALL)[0]

  def leaving(self, i: int, places: np.ndarray) -> list[Lineage]:
    """What programs that leave island i take along."""
    return self._lineages(i, places, MOST_CARRIED)

  def _lineages(self, i: int, places: np.ndarray, most: int) -> list[Lineage]:
    """Those of the programs at these places of island i, each of so many steps at most."""
    ancestry, population = self._islands.ancestry, self._islands.population
    lines = _Lines.empty(ancestry.node[i, places])
    assert (lines.node != NONE).all()
    _find_roots(ancestry, i, lines)
    past = self._past_of(i, lines)
    steps = ancestry.nodes.shape[1] + len(past) // HEADER  # of a line at most
    # Memory that is not written to takes none.
    words = np.empty(len(places) * min(most, steps) * longest_step(self._space), np.int64)
    work = np.empty(steps, np.int64), np.empty(steps)
    _trace(
        ancestry, population, (i, self._first_island + i, most), lines, (past, words), work)
    return [
        Lineage(self._space, words[start:end].copy())
        for start, end in itertools.pairwise([0, *lines.end.tolist()])]

  def _past_of(self, i: int, lines: "_Lines") -> np.ndarray:
    """[W] words of what is before the roots of some lines; notes where each line has its own."""
    pasts, places, size = [np.empty(0, np.int64)], {}, 0
    for root in set(lines.root.tolist()):
      past = self._past(i, root)
      own = pasts[0] if past is None else past.words
      pasts.append(own)
      places[root] = size, size + len(own)
      size += len(own)
    if places:
      lines.past[:] = [places[root] for root in lines.root.tolist()]
    return np.concatenate(pasts)

  def note_arrivals(
      self, i: int, places: np.ndarray, lineages: Sequence[Lineage]) -> None:
    """Learns what the programs that came to these places of island i have brought."""
    ancestry = self._islands.ancestry
    self._brought[i].update(zip(ancestry.node[i, places].tolist(), lineages))
    self._forget_gone(i)

  def _forget_gone(self, i: int) -> None:
    """Drops what immigrants brought of whom no descendant lives."""
    nodes = self._islands.ancestry.nodes[i]
    self._brought[i] = {
        node: lineage for node, lineage in self._brought[i].items()
        if nodes[node, USES] > 0 and nodes[node, MADE_BY] == ARRIVED}

  def _past(self, i: int, root: int) -> Lineage | None:
    nodes = self._islands.ancestry.nodes[i]
    if nodes[root, MADE_BY] == ARRIVED:
      return self._brought[i].get(root)
    # Programs without parents take those of the template in turn.
    return self._pasts[int(nodes[root, NTH]) % len(self._pasts)] if self._pasts else None

  def state(self) -> dict[str, Any]:
    """All that decides lineages to come; the nodes of each island by their age."""
    ancestry = self._islands.ancestry
    programs: list[np.ndarray] = []
    facts, fitness, brought = [], [], []
    for i, nodes in enumerate(ancestry.nodes):
      self._forget_gone(i)
      used = np.flatnonzero(nodes[:, USES])
      used = used[np.argsort(nodes[used, NUMBER])]
      order = np.full(len(nodes) + 1, NONE)  # NONE itself is last
      order[used] = np.arange(len(used))
      facts.append(np.column_stack([
          np.full(len(used), i), order[nodes[used, PARENT]], nodes[used, PLACE],
          nodes[used][:, _STORED]]))
      fitness.append(ancestry.fitness[i, used, 0])
      programs.append(self._rows(i, used[nodes[used, PLACE] == NONE]))
      brought += [
          (i, order[node], lineage) for node, lineage in self._brought[i].items()]
    brought.sort(key=lambda item: item[:2])
    rows = np.concatenate(programs)
    return {
        "facts": np.concatenate(facts), "fitness": np.concatenate(fitness),
        "programs": {
            name: array[rows] for name, array in self._islands.population._asdict().items()},
        "brought": np.array([item[:2] for item in brought], np.int64).reshape(-1, 2),
        "lineages": lineages_state([lineage for _, _, lineage in brought])}

  def check(self, state: Mapping[str, Any]) -> None:
    """Refuses what `restore` cannot take over.

    Raises:
      StateError: nodes that are no trees of living programs and their ancestors.
    """
    nodes, population = self._islands.ancestry.nodes, self._islands.fitness.shape[1]
    facts = checked_state.array(state, "facts", np.int64, (None, 3 + len(_STORED)))
    fitness = checked_state.array(state, "fitness", np.float64, (len(facts),))
    checked_state.within("fitness", fitness, -np.inf)
    checked_state.within("facts", facts[:, 0], 0, len(nodes) - 1)
    checked_state.within("facts", facts[:, 1:3], NONE, [nodes.shape[1] - 1, population - 1])
    checked_state.within("facts", facts[:, 3:], [ARRIVED, 0, 0, 0])
    if (np.diff(facts[:, 0]) < 0).any():
      raise checked_state.StateError("'facts' are not in the order of islands")
    for own in _of_islands(facts, len(nodes)):
      parent, place = facts[own, 1:3].T
      living = np.zeros(len(parent), bool)
      living[parent[(parent != NONE) & (parent < len(parent))]] = True
      living |= place != NONE
      places = place[place != NONE]
      # A parent is older than its children, so that no line ends in a ring.
      if len(parent) > nodes.shape[1] or not living.all() or (
          parent >= np.arange(len(parent))).any() or len(np.unique(places)) < len(places):
        raise checked_state.StateError("'facts' are no lines of ancestors")
    checked_state.programs(self._space, state, "programs", int((facts[:, 2] == NONE).sum()))
    brought = checked_state.array(state, "brought", np.int64, (None, 2))
    checked_state.within("brought", brought[:, 0], 0, len(nodes) - 1)
    counts = np.bincount(facts[:, 0], minlength=len(nodes))
    checked_state.within("brought", brought[:, 1], 0, counts[brought[:, 0]] - 1)
    check_lineages(self._space, state, len(brought))

  def restore(self, state: Mapping[str, Any]) -> None:
    """Restores the lineages of another search of the same settings."""
    ancestry, rows = self._islands.ancestry, []
    of_islands = _of_islands(state["facts"], len(ancestry.nodes))
    for i, (nodes, own) in enumerate(zip(ancestry.nodes, of_islands)):
      facts = state["facts"][own]
      count = len(facts)
      parent, place = facts[:, 1], facts[:, 2]
      nodes[:count, PARENT], nodes[:count, PLACE] = parent, place
      nodes[:count, _STORED] = facts[:, 3:]
      ancestry.fitness[i, :count, 0] = state["fitness"][own]
      nodes[:, USES] = 0
      nodes[:count, USES] = place != NONE
      np.add.at(nodes[:, USES], parent[parent != NONE], 1)
      free = np.arange(count, len(nodes))
      nodes[count:, PLACE] = NONE
      nodes[count:, PARENT] = np.append(free[1:], NONE)[: len(free)]
      ancestry.node[i] = NONE
      ancestry.node[i, place[place != NONE]] = np.flatnonzero(place != NONE)
      ancestry.node[i, -1] = count if len(free) else NONE
      rows.append(self._rows(i, np.flatnonzero(place == NONE)))
    for name, array in self._islands.population._asdict().items():
      array[np.concatenate(rows)] = state["programs"][name]
    self._brought = [{} for _ in ancestry.nodes]
    for (i, node), lineage in zip(
        state["brought"].tolist(), lineages_in(self._space, state["lineages"]), strict=True):
      self._brought[i][node] = lineage

  def _rows(self, i: int, nodes: np.ndarray) -> np.ndarray:
    """Where the programs of nodes of island i that do not live are."""
    ancestry = self._islands.ancestry
    population = ancestry.node.shape[1] - 1
    return len(ancestry.node) * population + i * ancestry.nodes.shape[1] + nodes


def _of_islands(facts: np.ndarray, num_islands: int) -> list[slice]:
  """Which rows of `facts` are of each island."""
  bounds = np.searchsorted(facts[:, 0], np.arange(num_islands + 1)).tolist()
  return [slice(*pair) for pair in itertools.pairwise(bounds)]


class _Lines(NamedTuple):
  """Lines of ancestors that are asked for.

  Attributes:
    node: [n] int64, the last node of each.
    root: [n] int64, the first.
    past: [n, 2] int64, from where to where the words of what was before the root are.
    end: [n] int64, where the words of its lineage end.
  """

  node: np.ndarray
  root: np.ndarray
  past: np.ndarray
  end: np.ndarray

  @classmethod
  def empty(cls, node: np.ndarray) -> "_Lines":
    """The lines to some nodes, of which nothing else is known."""
    return cls(node, np.empty_like(node), np.empty((len(node), 2), np.int64), np.empty_like(node))


@kernel
def _find_roots(ancestry: Ancestry, i: int, lines: _Lines) -> None:
  for k in range(len(lines.node)):
    lines.root[k] = node = lines.node[k]
    while node != NONE:
      lines.root[k], node = node, ancestry.nodes[i, node, PARENT]


@kernel
def _trace(
    ancestry: Ancestry, population: ProgramArrays, where: tuple[int, int, int], lines: _Lines,
    words: tuple[np.ndarray, np.ndarray], work: tuple[np.ndarray, np.ndarray],
) -> None:
  """Writes lineages, of which the steps that brought least are left out.

  Args:
    ancestry: of all islands.
    population: see `Islands`.
    where: the island, its number in lineages, and how many steps a lineage has at most.
    lines: which.
    words: of what was before the roots, [W] int64; and room for the lineages, end to end.
    work: room for the steps of a line, [S] int64 and [S] float64.
  """
  i, island, most = where
  old, new = words
  steps, gains = work
  end = 0
  for k in range(len(lines.node)):
    past = old[lines.past[k, 0] : lines.past[k, 1]]
    before = scan(past, steps, gains)
    count = before + _follow(ancestry, i, lines.node[k], steps[before:], gains[before:])
    leave_out(gains[:count], most)
    skipped = 0
    for at in range(count):
      is_own, step, start = at >= before, steps[at], end
      if gains[at] < 0:
        skipped += 1 + (
            ancestry.nodes[i, step, LEFT_OUT] if is_own else past[step + packed_steps.LEFT_OUT])
        continue
      if is_own:
        end = _write(ancestry, population, (i, island), step, new, start)
      else:
        end = copy_step(past, step, new, start)
      new[start + packed_steps.LEFT_OUT] += skipped
      skipped = 0
    lines.end[k] = end


@inner_kernel
def _follow(
    ancestry: Ancestry, i: int, node: int, line: np.ndarray, gains: np.ndarray) -> int:
  """Finds the nodes of a line, the first one first, and what each gains; returns their number."""
  count, last = 0, node
  while node != NONE:
    count, node = count + 1, ancestry.nodes[i, node, PARENT]
  node = last
  for k in range(count - 1, -1, -1):
    line[k], node = node, ancestry.nodes[i, node, PARENT]
  best = ancestry.fitness[i, line[0], 0]
  for k in range(count):
    value = ancestry.fitness[i, line[k], 0]
    gains[k] = gain_of(value, best)
    best = max(best, value)
  return count


@inner_kernel
def _write(
    ancestry: Ancestry, population: ProgramArrays, where: tuple[int, int], node: int,
    words: np.ndarray, start: int,
) -> int:
  """Writes the step of a node; returns where it ends."""
  i, island = where
  words.view(np.float64)[start + packed_steps.FITNESS] = ancestry.fitness[i, node, 0]
  words[start + packed_steps.NUMBER] = ancestry.nodes[i, node, NUMBER]
  words[start + packed_steps.ISLAND] = island
  words[start + packed_steps.MADE_BY] = ancestry.nodes[i, node, MADE_BY]
  words[start + packed_steps.LEFT_OUT] = ancestry.nodes[i, node, LEFT_OUT]
  return write_step(words, start, population, row_of(ancestry, i, node))
