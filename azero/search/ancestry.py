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

from azero.compiler.arrays import ProgramArrays, arrays
from azero.compiler.kernels import inner_kernel
from azero.language.program import EMPTY, Programs, SearchSpace
from azero.search.edits import copy_program

TRUNK = 256  # ancestors with a single child for which there is room
NONE = -1  # no node, no place

# In place of what `mutation.mutate` returns, of a program that has no parent on its island.
START, ARRIVED = -1, -3

# A packed step: a header of these words, then one for each instruction, followed by its constants.
# FITNESS has the bits of a float64; LENGTH is that of the whole step.
FITNESS, NUMBER, ISLAND, ACTION, SKIPPED, LENGTH = range(6)
HEADER = 6
_OPCODES, _ADDRESSES, _MASKS = 1 << 12, 1 << 8, 1 << 3  # in the word of an instruction


class Ancestry(NamedTuple):
  """The nodes of I islands, C for each.

  Attributes:
    node: [I, P] int64, that of the program at each place of a population; NONE before the first.
    place: [I, C] int64, where a living program is in its population; NONE for others.
    parent: [I, C] int64, its node; NONE for a program without one on its island.
    uses: [I, C] int64, children that count, and 1 for a living program; 0 for a free node.
    action: [I, C] int64, by what it differs from its parent: see `mutation.mutate`, or START or
      ARRIVED.
    skipped: [I, C] int64, ancestors between it and its parent that were left out.
    fitness: [I, C] float64.
    number: [I, C] int64, programs of the island up to it.
    free: [I, C] int64, the free nodes.
    num_free: [I] int64, how many those are.
    child: [I, C] int64, room for work.
    gain: [I, C] float64, room for work.
    programs: [I * C], those of nodes that do not live.
  """

  node: np.ndarray
  place: np.ndarray
  parent: np.ndarray
  uses: np.ndarray
  action: np.ndarray
  skipped: np.ndarray
  fitness: np.ndarray
  number: np.ndarray
  free: np.ndarray
  num_free: np.ndarray
  child: np.ndarray
  gain: np.ndarray
  programs: ProgramArrays


def new_ancestry(space: SearchSpace, num_islands: int, population_size: int) -> Ancestry:
  """Nodes of islands that have made no program yet."""
  size = 2 * population_size + TRUNK
  shape = num_islands, size
  uses, action, skipped, number = np.zeros((4, *shape), np.int64)
  place, parent, child = np.full((3, *shape), NONE)
  fitness, gain = np.zeros((2, *shape))
  return Ancestry(
      np.full((num_islands, population_size), NONE), place, parent, uses, action, skipped,
      fitness, number, np.tile(np.arange(size), (num_islands, 1)),
      np.full(num_islands, size), child, gain, arrays(Programs.empty(space, num_islands * size)))


@inner_kernel
def bury(
    ancestry: Ancestry, i: int, place: int, population: ProgramArrays) -> None:
  """Takes leave of the program at a place of island i, before another one takes the place."""
  node = ancestry.node[i, place]
  if node == NONE:
    return
  ancestry.node[i, place] = ancestry.place[i, node] = NONE
  ancestry.uses[i, node] -= 1
  if ancestry.uses[i, node] > 0:
    row = i * ancestry.node.shape[1] + place
    copy_program(population, row, ancestry.programs, i * ancestry.parent.shape[1] + node)
  # Without a child it is needed no more, nor is a parent without another one.
  while node != NONE and ancestry.uses[i, node] == 0:
    parent = ancestry.parent[i, node]
    _set_free(ancestry, i, node)
    if parent != NONE:
      ancestry.uses[i, parent] -= 1
    node = parent


@inner_kernel
def bear(ancestry: Ancestry, i: int, place: int, parent: int, action: int) -> None:
  """Notes a new program at a place of island i, with the node of its parent or NONE."""
  if ancestry.num_free[i] == 0:
    _leave_out_half(ancestry, i)
  ancestry.num_free[i] -= 1
  node = ancestry.free[i, ancestry.num_free[i]]
  ancestry.node[i, place] = node
  ancestry.place[i, node] = place
  ancestry.parent[i, node] = parent
  ancestry.uses[i, node] = 1
  ancestry.action[i, node] = action
  ancestry.skipped[i, node] = 0
  if parent != NONE:
    ancestry.uses[i, parent] += 1


@inner_kernel
def judge(ancestry: Ancestry, i: int, place: int, fitness: float, number: int) -> None:
  """Notes the fitness of the program at a place of island i, and which of the island it was."""
  node = ancestry.node[i, place]
  ancestry.fitness[i, node] = fitness
  ancestry.number[i, node] = number


@inner_kernel
def _set_free(ancestry: Ancestry, i: int, node: int) -> None:
  ancestry.parent[i, node] = NONE
  ancestry.uses[i, node] = 0
  ancestry.free[i, ancestry.num_free[i]] = node
  ancestry.num_free[i] += 1


@inner_kernel
def _leave_out_half(ancestry: Ancestry, i: int) -> None:
  """Leaves out half of the ancestors with one child, those that brought least."""
  parent, child, gain = ancestry.parent[i], ancestry.child[i], ancestry.gain[i]
  number = ancestry.number[i]
  size = len(parent)
  for node in range(size):
    if parent[node] != NONE:
      child[parent[node]] = node
  count = 0
  for node in range(size):
    gain[node] = np.inf
    between = ancestry.uses[i, node] == 1 and ancestry.place[i, node] == NONE
    if between and parent[node] != NONE:
      gain[node] = _gain(ancestry, i, node)
      count += 1
  for _ in range((count + 1) // 2):
    least = 0
    for node in range(1, size):
      if gain[node] < gain[least] or (gain[node] == gain[least] and number[node] < number[least]):
        least = node
    gain[least] = np.inf
    after, before = child[least], parent[least]
    parent[after] = before
    ancestry.skipped[i, after] += ancestry.skipped[i, least] + 1
    if child[before] == least:
      child[before] = after
    _set_free(ancestry, i, least)


@inner_kernel
def _gain(ancestry: Ancestry, i: int, node: int) -> float:
  """By how much a node is fitter than all before it, 0 if it is not."""
  best, before = -np.inf, ancestry.parent[i, node]
  while before != NONE:
    best = max(best, ancestry.fitness[i, before])
    before = ancestry.parent[i, before]
  return max(ancestry.fitness[i, node] - best, 0.0)


@inner_kernel
def write_step(words: np.ndarray, start: int, programs: ProgramArrays, i: int) -> int:
  """Writes the instructions of program i behind a header, and the LENGTH in it.

  Args:
    words: [W] int64; empty to learn the end alone.
    start: of the header.
    programs: the batch.
    i: which.

  Returns:
    Where the step ends.
  """
  bits = programs.constants.view(np.int64)
  writes, end = len(words) > 0, start + HEADER
  for slot in range(programs.opcode.shape[1]):
    if programs.opcode[i, slot] == EMPTY:
      continue
    head, mask = end, 0
    end += 1
    for k in range(bits.shape[2]):
      if bits[i, slot, k] != 0:
        mask |= 1 << k
        if writes:
          words[end] = bits[i, slot, k]
        end += 1
    if writes:
      word = np.int64(slot) * _OPCODES + programs.opcode[i, slot]
      word = word * _ADDRESSES + programs.in1[i, slot]
      word = word * _ADDRESSES + programs.in2[i, slot]
      word = word * _ADDRESSES + programs.out[i, slot]
      words[head] = word * _MASKS + mask
  if writes:
    words[start + LENGTH] = end - start
  return end


@inner_kernel
def read_step(words: np.ndarray, start: int, programs: ProgramArrays, i: int) -> None:
  """Reads the step whose header begins at `start` into the empty program i."""
  bits = programs.constants.view(np.int64)
  at = start + HEADER
  while at < start + words[start + LENGTH]:
    word = words[at]
    at += 1
    mask, word = word % _MASKS, word // _MASKS
    out, word = word % _ADDRESSES, word // _ADDRESSES
    in2, word = word % _ADDRESSES, word // _ADDRESSES
    in1, word = word % _ADDRESSES, word // _ADDRESSES
    slot = word // _OPCODES
    programs.opcode[i, slot] = word % _OPCODES
    programs.in1[i, slot], programs.in2[i, slot], programs.out[i, slot] = in1, in2, out
    for k in range(bits.shape[2]):
      if mask >> k & 1:
        bits[i, slot, k] = words[at]
        at += 1
