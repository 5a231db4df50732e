"""Regularised evolution of one island by the textbook: sequential, one child in a cycle.

Written in plain Python from section 3.2 and S3 of the AutoML-Zero paper, to compare the
search with. It shares the op table and the order of random numbers with the search, and
nothing else. A program is a list of three component functions, those are lists of
instructions [op, in1, in2, out, [c0, c1, c2]].
"""

from collections.abc import Callable, Sequence
import copy
from typing import NamedTuple

import numpy as np

from azero.language import ops as op_table
from azero.language.ops import Constant, Kind
from azero.language.program import Programs, SearchSpace

FIRST_WRITABLE = {Kind.SCALAR: 1, Kind.VECTOR: 1, Kind.MATRIX: 0}

Program = list[list[list]]


class Member(NamedTuple):
  """A program with its fitness."""

  program: Program
  fitness: float


class History(NamedTuple):
  """Everything that one island did.

  Attributes:
    children: every child in order, the initial population first.
    population: the last population, oldest first.
    best: the first of the best.
  """

  children: list[Member]
  population: list[Member]
  best: Member


class Textbook:
  """One island of one search."""

  def __init__(
      self, space: SearchSpace, evaluate: Callable[[Program], float],
      rng: np.random.Generator, actions: Sequence[str], probability: float, given: Program,
  ):
    self.space = space
    self.evaluate = evaluate
    self.rng = rng
    self.actions = actions
    self.probability = probability
    self.given = given  # what stays where search may not change a component function
    self.searched = [
        f for f, component in enumerate(space.components)
        if component.searched and component.ops and component.max_length]

  def run(
      self, population_size: int, tournament_size: int, num_cycles: int,
      initial: Program | None,
  ) -> History:
    """Evolves from copies of `initial`, or from random programs."""
    population: list[Member] = []
    children: list[Member] = []
    best: Member | None = None
    for cycle in range(population_size + num_cycles):
      if cycle < population_size:
        program = self.random_program() if initial is None else copy.deepcopy(initial)
      else:
        del population[0]
        winner = population[int(self.rng.random() * len(population))]
        for _ in range(tournament_size - 1):
          contestant = population[int(self.rng.random() * len(population))]
          if contestant.fitness > winner.fitness:
            winner = contestant
        program = self.mutate(winner.program)
      child = Member(program, self.evaluate(program))
      population.append(child)
      children.append(child)
      if best is None or child.fitness > best.fitness:
        best = child
    return History(children, population, best)

  def random_program(self) -> Program:
    program = copy.deepcopy(self.given)
    for f in self.searched:
      program[f] = []
      for _ in range(self.space.components[f].max_length):
        program[f].append(self.random_instruction(f, [self.rng.random() for _ in range(7)]))
    return program

  def mutate(self, parent: Program) -> Program:
    (mutate, action_number, function_number, slot_number, op, in1, in2, out, c0, c1, c2,
     choice, sign) = [self.rng.random() for _ in range(13)]
    child = copy.deepcopy(parent)
    if mutate >= self.probability:
      return child
    action = self.actions[int(action_number * len(self.actions))]
    if action == "insert_or_remove":
      action = "insert" if choice < 1 / 3 else "remove"
    f = self.searched[int(function_number * len(self.searched))]
    body, component = child[f], self.space.components[f]
    numbers = [op, in1, in2, out, c0, c1, c2]
    if action == "insert" and len(body) < component.max_length:
      slot = int(slot_number * (len(body) + 1))
      body.insert(slot, self.random_instruction(f, numbers))
    elif action == "remove" and len(body) > component.min_length:
      del body[int(slot_number * len(body))]
    elif action == "randomize_instruction" and body:
      body[int(slot_number * len(body))] = self.random_instruction(f, numbers)
    elif action == "randomize_function":
      for slot in range(len(body)):
        numbers = [self.rng.random() for _ in range(7)]
        body[slot] = self.random_instruction(f, numbers)
    elif action == "alter" and body:
      self.alter(body[int(slot_number * len(body))], numbers, choice, sign)
    return child

  def random_instruction(self, function: int, numbers: Sequence[float]) -> list:
    allowed = self.space.components[function].ops
    op = op_table.op_by_id(allowed[int(numbers[0] * len(allowed))])
    constants = [0.0, 0.0, 0.0]
    for k, meaning in enumerate(op.constants):
      number = numbers[4 + k]
      if meaning is Constant.INDEX:
        constants[k] = number
      else:
        constants[k] = rounded(number if meaning is Constant.STD else 2 * number - 1)
    return [op.id, *self.addresses(op, numbers), constants]

  def addresses(self, op: op_table.Op, numbers: Sequence[float]) -> list[int]:
    """in1, in2, out; 0 where the op has none."""
    result = [0, 0, 0]
    for k, kind in enumerate(op.inputs):
      result[k] = int(numbers[1 + k] * self.space.num_addresses[kind])
    if op.output is not None:
      first = FIRST_WRITABLE[op.output]
      result[2] = first + int(numbers[3] * (self.space.num_addresses[op.output] - first))
    return result

  def alter(self, line: list, numbers: Sequence[float], choice: float, sign: float) -> None:
    op = op_table.op_by_id(line[0])
    arguments = ["in1", "in2"][: len(op.inputs)]
    arguments += ["out"] if op.output is not None else []
    arguments += ["data"] if op.constants else []
    if not arguments:
      return
    argument = arguments[int(choice * len(arguments))]
    if argument != "data":
      k = ("in1", "in2", "out").index(argument)
      line[1 + k] = self.addresses(op, numbers)[k]
      return
    k = int(numbers[0] * len(op.constants))
    number, constants = numbers[4 + k], line[4]
    if op.constants[k] is Constant.INDEX:
      constants[k] = number
    else:
      flip = sign < 0.1 and op.constants[k] is not Constant.STD
      constants[k] = rounded(constants[k] * (0.5 + 1.5 * number) * (-1 if flip else 1))


def rounded(value: float) -> float:
  """Six significant digits."""
  return float(f"{value:.5e}")


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
  program: Program = []
  for f, length in enumerate(programs.lengths[index]):
    slots = range(programs.space.offsets[f], programs.space.offsets[f] + length)
    program.append([
        [int(array[index, slot])
         for array in (programs.opcode, programs.in1, programs.in2, programs.out)]
        + [programs.constants[index, slot].tolist()]
        for slot in slots])
  return program
