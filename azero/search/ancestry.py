"""Who descends from whom: the living programs of an island and those of their ancestors that count.

Regularised evolution (section 3.2 of the paper) forgets a program as soon as it is the oldest. Here
a program that has left the population is kept as long as a living one descends from it, and no
longer: each node counts its children, and goes with the last of them. What is kept is the
program itself, so that nothing has to be bred again to be seen, and the programs of other groups
and mutations of the user's own are like any other.

The nodes of an island are P living programs, at most P ancestors at which lines part or begin, and
those between, most of them in the trunk that all living programs share. The trunk grows with every
generation, so there is room for `TRUNK` of these: when it is used up, half of them are left out,
those that raised the best fitness of their line least, and of equal ones the oldest. The next of
the line says how many were.
"""

from typing import NamedTuple

import numpy as np

from azero.compiler.arrays import ProgramArrays
from azero.compiler.copying import copy_program
from azero.compiler.kernels import inlined_kernel, inner_kernel
from azero.compiler.prefetch import prefetch
from azero.search.origins import NONE

TRUNK = 256  # ancestors with a single child for which there is room


class Ancestry(NamedTuple):
  """The nodes of I islands, C for each. Few arrays: a kernel is handed each as seven words.

  Attributes:
    node: [I, P + 1] int64, the node of the program at each place of a population, NONE before the
      first; and the first free node.
    nodes: [I, C, 8] int64, see the names of the columns.
    fitness: [I, C, 2] float64, that of each node; and room for work.
  """

  node: np.ndarray
  nodes: np.ndarray
  fitness: np.ndarray


# Columns of `nodes`. Where a living program is in its population, NONE for others. The node of its
# parent, NONE without one on its island; of a free node the next free one.
PLACE, PARENT = range(2)
# Children that count, and 1 for a living program; 0 for a free node.
USES = 2
# What made it of its parent, see `origins`. Ancestors between
# the two that were left out. Programs of the island up to it.
MADE_BY, LEFT_OUT, NUMBER = range(3, 6)
NTH = 6  # which child of the island it is, from 0; an immigrant has the number of the last
CHILD = 7  # room for work


def room_for(population_size: int) -> int:
  """C, the nodes of an island."""
  return 2 * population_size + TRUNK


def new_ancestry(num_islands: int, population_size: int) -> Ancestry:
  """Nodes of islands that have made no program yet."""
  size = room_for(population_size)
  nodes = np.zeros((num_islands, size, 8), np.int64)
  nodes[:, :, PLACE] = NONE
  nodes[:, :-1, PARENT], nodes[:, -1, PARENT] = np.arange(1, size), NONE
  node = np.full((num_islands, population_size + 1), NONE)
  node[:, -1] = 0
  return Ancestry(node, nodes, np.zeros((num_islands, size, 2)))


@inlined_kernel
def row_of(ancestry: Ancestry, i: int, node: int) -> int:
  """Where the program of a node of island i is among those of `Islands.population`."""
  num_islands, size = ancestry.nodes.shape[0], ancestry.nodes.shape[1]
  population = ancestry.node.shape[1] - 1
  if ancestry.nodes[i, node, PLACE] != NONE:
    return i * population + ancestry.nodes[i, node, PLACE]
  return num_islands * population + i * size + node


@inlined_kernel
def prefetch_node(ancestry: Ancestry, i: int, place: int) -> None:
  """Prefetches the node of the program at a place of island i."""
  node = ancestry.node[i, place]
  if node != NONE:
    prefetch(ancestry.nodes, (i, node, USES))


@inlined_kernel
def prefetch_parent(ancestry: Ancestry, i: int, place: int) -> None:
  """Prefetches the node of the parent of the program at a place, whose own should be there."""
  node = ancestry.node[i, place]
  if node != NONE and ancestry.nodes[i, node, PARENT] != NONE:
    prefetch(ancestry.nodes, (i, ancestry.nodes[i, node, PARENT], USES))


@inlined_kernel
def bury(
    ancestry: Ancestry, i: int, node: int, displaced: ProgramArrays, k: int,
    programs: ProgramArrays) -> None:
  """Takes leave of a program of island i, in whose place there is another one.

  Args:
    ancestry: of all islands.
    i: which.
    node: of the program, or NONE.
    displaced: a batch that has the program.
    k: where.
    programs: `Islands.population`, where it is kept if others descend from it.
  """
  if node == NONE:
    return
  nodes = ancestry.nodes[i]
  nodes[node, PLACE] = NONE
  nodes[node, USES] -= 1
  if nodes[node, USES] > 0:
    copy_program(displaced, k, programs, row_of(ancestry, i, node))
  # Without a child it is needed no more, nor is a parent without another one.
  while node != NONE and nodes[node, USES] == 0:
    parent = nodes[node, PARENT]
    _set_free(ancestry, i, node)
    if parent != NONE:
      nodes[parent, USES] -= 1
    node = parent


@inlined_kernel
def bear(
    ancestry: Ancestry, i: int, place: int, parent: int, made_by: int, nth: int) -> None:
  """Notes a new program at a place of island i, with the node of its parent or NONE."""
  nodes, node = ancestry.nodes[i], ancestry.node[i]
  if node[-1] == NONE:
    _leave_out_half(ancestry, i)
  new = node[-1]
  node[-1], node[place] = nodes[new, PARENT], new
  nodes[new, PLACE], nodes[new, PARENT], nodes[new, USES] = place, parent, 1
  nodes[new, MADE_BY], nodes[new, LEFT_OUT], nodes[new, NTH] = made_by, 0, nth
  if parent != NONE:
    nodes[parent, USES] += 1


@inlined_kernel
def judge(ancestry: Ancestry, i: int, place: int, fitness: float, number: int) -> None:
  """Notes the fitness of the program at a place of island i, and which of the island it was."""
  node = ancestry.node[i, place]
  ancestry.fitness[i, node, 0] = fitness
  ancestry.nodes[i, node, NUMBER] = number


@inlined_kernel
def _set_free(ancestry: Ancestry, i: int, node: int) -> None:
  ancestry.nodes[i, node, USES] = 0
  ancestry.nodes[i, node, PARENT] = ancestry.node[i, -1]
  ancestry.node[i, -1] = node


@inner_kernel
def _leave_out_half(ancestry: Ancestry, i: int) -> None:
  """Leaves out half of the ancestors with one child, those that brought least; all are in use."""
  nodes, gain = ancestry.nodes[i], ancestry.fitness[i, :, 1]
  size = len(nodes)
  for node in range(size):
    if nodes[node, PARENT] != NONE:
      nodes[nodes[node, PARENT], CHILD] = node
  count = 0
  for node in range(size):
    gain[node] = np.inf
    between = nodes[node, USES] == 1 and nodes[node, PLACE] == NONE
    if between and nodes[node, PARENT] != NONE:
      gain[node] = _gain(ancestry, i, node)
      count += 1
  for _ in range((count + 1) // 2):
    least = 0
    for node in range(1, size):
      if gain[node] < gain[least] or (
          gain[node] == gain[least] and nodes[node, NUMBER] < nodes[least, NUMBER]):
        least = node
    gain[least] = np.inf
    after, before = nodes[least, CHILD], nodes[least, PARENT]
    nodes[after, PARENT] = before
    nodes[after, LEFT_OUT] += nodes[least, LEFT_OUT] + 1
    if nodes[before, CHILD] == least:
      nodes[before, CHILD] = after
    _set_free(ancestry, i, least)


@inner_kernel
def _gain(ancestry: Ancestry, i: int, node: int) -> float:
  """By how much a node is fitter than all before it, 0 if it is not."""
  fitness, best = ancestry.fitness[i, :, 0], -np.inf
  before = ancestry.nodes[i, node, PARENT]
  while before != NONE:
    best = max(best, fitness[before])
    before = ancestry.nodes[i, before, PARENT]
  return max(fitness[node] - best, 0.0)
