"""Regularised evolution of one island by the textbook: one child after another, all scored.

Written in plain Python from section 3.2 and S3 of the AutoML-Zero paper, to compare the
search with. It knows nothing of rounds or batches. A program is a list of three component
functions, those are lists of instructions [op, in1, in2, out, [c0, c1, c2]].
"""

from collections.abc import Callable, Sequence
import math
from typing import NamedTuple

import numpy as np
from reference.breeding import Breeder, Program, copied, tournament
from reference.draws import Stream

from azero.language.program import Programs, SearchSpace


class Member(NamedTuple):
  """A program with its fitness."""

  program: Program
  fitness: float


class Budget(NamedTuple):
  """What an island may spend: a child is made as long as less than this was spent."""

  programs: float = math.inf
  train_steps: float = math.inf


UNLIMITED = Budget()


class History(NamedTuple):
  """Everything that one island did.

  Attributes:
    children: every child in order, the initial population first.
    train_steps: spent up to each child.
    parents: number of the parent of each child, None in the initial population.
    mutations: what was drawn to make each child of it; "start" without a parent.
    population: the last population, oldest first.
    best: the first of the best.
  """

  children: list[Member]
  train_steps: list[int]
  parents: list[int | None]
  mutations: list[str]
  population: list[Member]
  best: Member

  def lineage(self, child: int) -> list[int]:
    """The numbers of a child and its ancestors, the first of them first."""
    line, parent = [child], self.parents[child]
    while parent is not None:
      line.append(parent)
      parent = self.parents[parent]
    return line[::-1]


class Textbook:
  """One island of one search."""

  def __init__(
      self, breeder: Breeder, score: Callable[[Program], tuple[float, int]], *, seed: int,
      island: int,
  ):
    """Prepares an island.

    Args:
      breeder: makes children.
      score: fitness of a program, and training steps that finding it took.
      seed: of the search.
      island: its number.
    """
    self.breeder = breeder
    self.score = score
    self.seed = seed
    self.island = island

  def run(
      self, population_size: int, tournament_size: int, num_children: int, *,
      given: Sequence[Program], random_start: bool, budget: Budget = UNLIMITED,
  ) -> History:
    """Evolves from copies of the given programs in turn, or from programs that are random
    wherever search may change them; the initial population counts among the children.
    """
    population: list[Member] = []
    children: list[Member] = []
    steps: list[int] = []
    parents: list[int | None] = []
    mutations: list[str] = []
    spent = 0
    best: Member | None = None
    for n in range(num_children):
      if n >= budget.programs or spent >= budget.train_steps:
        break
      stream = Stream(self.seed, self.island, n)
      if n < population_size:
        program = copied(given[n % len(given)])
        if random_start:
          program = self.breeder.random_program(program, stream)
        parents.append(None)
        mutations.append("start")
      else:
        del population[0]
        winner = tournament([member.fitness for member in population], tournament_size, stream)
        program = self.breeder.mutate(population[winner].program, stream)
        parents.append(n - len(population) + winner)
        mutations.append(self.breeder.mutation)
      fitness, cost = self.score(program)
      spent += cost
      child = Member(program, fitness)
      population.append(child)
      children.append(child)
      steps.append(spent)
      if best is None or fitness > best.fitness:
        best = child
    assert best is not None
    return History(children, steps, parents, mutations, population, best)


def to_programs(space: SearchSpace, program: Program) -> Programs:
  """The program as a batch of one."""
  result = Programs.empty(space)
  for f, body in enumerate(program):
    for slot, (op, in1, in2, out, constants) in enumerate(body, start=space.offsets[f]):
      result.opcode[0, slot], result.out[0, slot] = op, out
      result.in1[0, slot], result.in2[0, slot] = in1, in2
      result.constants[0, slot] = constants
  return result


def from_programs(programs: Programs, index: int = 0) -> Program:
  """One program of a batch."""
  one = programs[index]
  lines = np.stack([one.opcode[0], one.in1[0], one.in2[0], one.out[0]], axis=1).tolist()
  constants = one.constants[0].tolist()
  program: Program = []
  for f, length in enumerate(one.lengths[0]):
    slots = range(one.space.offsets[f], one.space.offsets[f] + length)
    program.append([[*lines[slot], constants[slot]] for slot in slots])
  return program
