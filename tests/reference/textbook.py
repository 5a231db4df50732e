"""Regularised evolution of one island by the textbook: one child after another, all scored.

Written in plain Python from section 3.2 and S3 of the AutoML-Zero paper, to compare the
search with. It knows nothing of rounds or batches. A program is a list of three component
functions, those are lists of instructions [op, in1, in2, out, [c0, c1, c2]].
"""

from collections.abc import Sequence
import math
from typing import NamedTuple, Protocol

import numpy as np
from reference.breeding import Breeder, Program, copied, retried, tournament
from reference.draws import Stream
from reference.validity import (
  learned_parameters,
  learns_by_its_data_flow,
  predicts_from_more_than_features,
)

from azero.compiler import canonical, liveness
from azero.language.ops import Kind
from azero.language.program import Programs, SearchSpace


class Member(NamedTuple):
  """A program with its fitness."""

  program: Program
  fitness: float


class Score(Protocol):
  """Tells the fitness of a program, and training steps that finding it took."""

  def begin(self, child: int) -> None:
    """Says which child of its island it is whose programs come next."""

  def __call__(self, program: Program) -> tuple[float, int]:
    """Fitness and training steps."""


class Method(NamedTuple):
  """How programs are proposed; the defaults are the paper's."""

  start: str = "given"
  filters: tuple[str, ...] = ()
  structure_limit: float = math.inf
  attempts: int = 1
  trials: int = 1
  patience: float = math.inf
  leaps: float = 0.0


PAPER = Method()


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
    numbers: programs up to each child, with other constants that it was tried with.
    restarts: children with which the population began anew.
    population: the last population, oldest first.
    best: the first of the best.
  """

  children: list[Member]
  train_steps: list[int]
  parents: list[int | None]
  mutations: list[str]
  numbers: list[int]
  restarts: list[int]
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
      self, breeder: Breeder, score: Score, *, seed: int, island: int,
  ):
    """Prepares an island.

    Args:
      breeder: makes children.
      score: tells the fitness of a program, and training steps that finding it took.
      seed: of the search.
      island: its number.
    """
    self.breeder = breeder
    self.score = score
    self.seed = seed
    self.island = island

  def run(
      self, population_size: int, tournament_size: int, num_children: int, *,
      given: Sequence[Program], method: Method = PAPER, budget: Budget = UNLIMITED,
  ) -> History:
    """Evolves from copies of the given programs in turn, or from others in their place; the
    initial population counts among the children.
    """
    self.method = method
    self.population: list[Member] = []
    history = History([], [], [], [], [], [], self.population, Member([[], [], []], -math.inf))
    spent = number = epoch = improved_at = 0
    self.drawn = 0  # instructions, for the starts of this epoch
    epoch_best = -math.inf
    for n in range(num_children):
      if number >= budget.programs or spent >= budget.train_steps:
        break
      stale = n - improved_at >= method.patience * luby(len(history.restarts) + 1)
      if stale and self.drawn <= 1000 * (n - epoch):
        epoch, improved_at, epoch_best, self.drawn = n, n, -math.inf, 0
        history.restarts.append(n)
      stream = Stream(self.seed, self.island, n)
      if n >= population_size:
        del self.population[0]
      if n - epoch < population_size:
        program, parent, mutation = self._start(given[n % len(given)], stream), None, "start"
      else:
        winner = tournament(
            [member.fitness for member in self.population], tournament_size, stream)
        parent = n - len(self.population) + winner
        program, mutation = self._child(self.population[winner].program, stream)
      self.score.begin(n)
      child, cost, tried = self._score(program, stream)
      spent, number = spent + cost, number + tried
      if child.fitness > epoch_best:
        epoch_best, improved_at = child.fitness, n
      if child.fitness > history.best.fitness:
        history = history._replace(best=child)
      self.population.append(child)
      for column, value in zip(history, (child, spent, parent, mutation, number)):
        column.append(value)
    return history

  def _start(self, given: Program, stream: Stream) -> Program:
    """A program without parents."""
    if self.method.start == "given":
      return copied(given)
    for _ in range(1000 * self.method.attempts):
      program = self._drawn_start(given, stream)
      if program is not None and self._passes(program, None):
        return program
    return self.breeder.grown_program(given, stream) if self.method.start == "grown" else program

  def _drawn_start(self, given: Program, stream: Stream) -> Program | None:
    """A program without parents; None for one that has turned out not to learn."""
    if self.method.start == "grown" and "valid" in self.method.filters:
      program, drawn = self.breeder.grown_learner(
          given, stream, predicts_from_more_than_features, self._learns)
      self.drawn += drawn
      return program
    if self.method.start == "grown":
      program = self.breeder.grown_program(given, stream)
      self.drawn += sum(len(program[f]) for f in self.breeder.searched)
      return program
    self.drawn += self.breeder.space.num_slots
    return self.breeder.random_program(given, stream)

  def _child(self, parent: Program, stream: Stream) -> tuple[Program, str]:
    """A child of a parent, and what made it."""
    if self.method.leaps and stream.uniform() < self.method.leaps:
      for _ in range(self.method.attempts):
        program, made_by = parent, []
        for _ in range(2 + stream.pick(5)):
          program = self.breeder.mutate(program, stream)
          made_by += [self.breeder.mutation] * (self.breeder.mutation != "copy")
        more = len(learned_parameters(program)) > len(learned_parameters(parent))
        if more and self._passes(program, parent):
          return program, made_by[-1]
    for _ in range(self.method.attempts):
      program = self.breeder.mutate(parent, stream)
      if self._passes(program, parent):
        return program, self.breeder.mutation
    return copied(parent), "copy"

  def _passes(self, program: Program, parent: Program | None) -> bool:
    method = self.method
    if not self._learns(program):
      return False
    if "changed" in method.filters and parent is not None:
      if self._key(program) == self._key(parent):
        return False
    return self._same_structure(program) < method.structure_limit

  def _learns(self, program: Program) -> bool:
    """Whether a program passes the filters of its data flow."""
    filters = self.method.filters
    if "valid" in filters and not learns_by_its_data_flow(program):
      return False
    return "features" not in filters or any(
        (Kind.VECTOR, 0) in follows for follows in learned_parameters(program).values())

  def _key(self, program: Program) -> list[int]:
    """The canonical key of a program."""
    return canonical.analyse(to_programs(self.breeder.space, program)).key[0].tolist()

  def _same_structure(self, program: Program) -> int:
    """How many of the population differ from a program in constants only."""
    if self.method.structure_limit == math.inf and self.method.trials == 1:
      return 0
    space = self.breeder.space
    own, *others = (
        canonical.structures(to_programs(space, each))[0]
        for each in (program, *(member.program for member in self.population)))
    return others.count(own)

  def _score(self, program: Program, stream: Stream) -> tuple[Member, int, int]:
    """A program as it joins the population, the steps it took, and programs that were tried."""
    new = self.method.trials > 1 and self._same_structure(program) == 0
    scored, cost = self.score(program)
    best, tried = Member(program, scored), 1
    if not new or self.score.answers[-1] == "key":
      return best, cost, 1
    live = liveness.live_instructions(to_programs(self.breeder.space, program))[0]
    for _ in range(1, self.method.trials):
      other = with_other_constants(self.breeder.space, program, live, stream)
      # What has no constants stays as it is, and is not tried again.
      if self.score.is_known(other) or self._key(other) == self._key(program):
        continue
      fitness, more = self.score(other)
      cost, tried = cost + more, tried + 1
      if fitness > best.fitness:
        best = Member(other, fitness)
    return best, cost, tried


def luby(k: int) -> int:
  """The k-th number of 1, 1, 2, 1, 1, 2, 4, ...: the sequence is itself twice, and a power of 2."""
  sequence = [1]
  while len(sequence) < k:
    sequence += [*sequence, 2 * sequence[-1]]
  return sequence[k - 1]


def with_other_constants(
    space: SearchSpace, program: Program, live: np.ndarray, stream: Stream) -> Program:
  """A program with constants of its live lines, [L] bool by slot, drawn anew."""
  return [
      [retried(line, stream) if live[space.offsets[f] + k] else line
       for k, line in enumerate(body)] for f, body in enumerate(program)]


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
