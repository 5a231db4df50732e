"""Mutation: how a child differs from its parent (section 3.2 and S3 of the paper).

All children of a cycle, of all islands, are mutated at once. Every child consumes a fixed
number of uniform random numbers, its *head*; randomising a whole component function
consumes a *tail* as well, seven numbers for each of its instructions. What each number
decides is said by the `_Head` fields, so that a plain sequential program that draws in
the same order makes the same children.
"""

import dataclasses
import enum
import functools
from typing import NamedTuple

import numpy as np

from azero.language import ops as op_table
from azero.language import program as program_lib
from azero.language.ops import Kind
from azero.language.program import EMPTY, Programs, SearchSpace

ACTIONS = (
    "alter", "randomize_instruction", "randomize_function", "insert", "remove",
    "insert_or_remove",
)
# The paper's three actions; removal is twice as likely as insertion (S3).
PAPER_ACTIONS = ("insert_or_remove", "randomize_function", "alter")

_ALTER, _RANDOMIZE_INSTRUCTION, _RANDOMIZE_FUNCTION, _INSERT, _REMOVE = range(5)
_NONE = -1

INSTRUCTION_DRAWS = 7  # op, in1, in2, out and three constants
SIGN_FLIP_PROBABILITY = 0.1
_SIGNIFICANT_DIGITS = 6
# Alterations multiply a constant by 1.17 in the geometric mean; nothing else would keep
# one that evolution does not select for inside the range of float32.
_MAX_CONSTANT = 1e38
_POWERS = 10.0 ** np.arange(301)


class _Head(enum.IntEnum):
  """What each number of a child's head decides."""

  MUTATE = 0  # whether the child differs at all
  ACTION = 1
  FUNCTION = 2  # which component function
  SLOT = 3  # which instruction, or where to insert
  OP = 4  # a new op; when altering data, which constant
  IN1 = 5
  IN2 = 6
  OUT = 7
  CONSTANTS = 8  # and the two after it
  CHOICE = 11  # which argument to alter; insert or remove
  SIGN = 12  # whether a constant changes its sign


HEAD_DRAWS = len(_Head) + op_table.MAX_CONSTANTS - 1


@dataclasses.dataclass(frozen=True)
class Mutator:
  """Mutates batches of programs of one space.

  Attributes:
    space: the search space.
    actions: names out of ACTIONS; one is chosen uniformly for each mutated child. A name
      may occur more than once.
    probability: U, the probability that a child is mutated at all.
  """

  space: SearchSpace
  actions: tuple[str, ...] = PAPER_ACTIONS
  probability: float = 0.9

  def __post_init__(self) -> None:
    choices = f"choose from {', '.join(ACTIONS)}"
    if not self.actions:
      raise ValueError(f"No mutations are given; {choices}.")
    unknown = [action for action in self.actions if action not in ACTIONS]
    if unknown:
      raise ValueError(f"Unknown mutations {unknown}; {choices}.")
    if not 0 <= self.probability <= 1:
      raise ValueError(f"The mutation probability must be in [0, 1], got {self.probability}.")
    searched_functions(self.space)  # raises if there are none

  def plan(self, parents: Programs, head: np.ndarray) -> "Plan":
    """What the [N, HEAD_DRAWS] uniform numbers of the heads decide for N parents."""
    codes = _outcomes(self.actions)
    grow = head[:, _Head.CHOICE] < 1 / 3
    action = codes.take(2 * _pick(head[:, _Head.ACTION], len(self.actions)) + grow)
    action[head[:, _Head.MUTATE] >= self.probability] = _NONE
    tables = _tables(self.space)
    function = tables.searched.take(_pick(head[:, _Head.FUNCTION], len(tables.searched)))
    inside = tables.inside.take(function, axis=0)
    inside &= parents.opcode != EMPTY
    length = inside.sum(1)
    tail_draws = np.where(action == _RANDOMIZE_FUNCTION, length * INSTRUCTION_DRAWS, 0)
    return Plan(action, function, length, tail_draws)

  def tail_draws(self, parents: Programs, head: np.ndarray) -> np.ndarray:
    """How many further numbers each child needs: [N] int."""
    return self.plan(parents, head).tail_draws

  def mutate(self, parents: Programs, head: np.ndarray, tail: np.ndarray) -> Programs:
    """Children of N parents.

    Args:
      parents: N programs.
      head: [N, HEAD_DRAWS] uniform numbers.
      tail: [N, at least the largest of tail_draws] uniform numbers.

    Returns:
      N new programs; the parents stay as they are.
    """
    children = Programs(
        parents.space, *(getattr(parents, name).copy() for name in Programs.ARRAYS))
    plan = self.plan(parents, head)
    self.apply(plan, children, head, tail[plan.tail_draws > 0])
    return children

  def apply(self, plan: "Plan", programs: Programs, head: np.ndarray, tail: np.ndarray) -> None:
    """Mutates N programs in place.

    Args:
      plan: of these programs and heads.
      programs: N programs, in arrays of their own.
      head: [N, HEAD_DRAWS] uniform numbers.
      tail: [those of the N with tail_draws, at least the largest of these] uniform numbers.
    """
    tables = _tables(self.space)
    action, function, length, _ = plan
    insert = action == _INSERT
    insert &= length < tables.max_length.take(function)
    remove = action == _REMOVE
    remove &= length > tables.min_length.take(function)
    first = np.arange(len(programs)) * self.space.num_slots + tables.offsets.take(function)
    # Where instructions are counted over the slots of all programs.
    chosen = first + _pick(head[:, _Head.SLOT], length + insert)
    end = first + length
    rows = np.flatnonzero(insert | remove)
    if len(rows):
      _shift(programs, remove.take(rows), chosen.take(rows), end.take(rows))

    rows = np.flatnonzero(insert | ((action == _RANDOMIZE_INSTRUCTION) & (length > 0)))
    slots, functions = chosen.take(rows), function.take(rows)
    draws = head[rows, _Head.OP : _Head.CHOICE]
    rows = np.flatnonzero(plan.tail_draws)
    if len(rows):
      lengths, longest = length.take(rows), length.take(rows).max()
      row, k = np.divmod(np.flatnonzero(np.arange(longest) < lengths[:, None]), longest)
      tail = tail[:, : longest * INSTRUCTION_DRAWS].reshape(-1, INSTRUCTION_DRAWS)
      slots = np.concatenate([slots, first.take(rows).take(row) + k])
      functions = np.concatenate([functions, function.take(rows).take(row)])
      draws = np.concatenate([draws, tail.take(row * longest + k, axis=0)])
    if len(slots):
      _write_random(programs, slots, functions, draws)
    rows = np.flatnonzero((action == _ALTER) & (length > 0))
    if len(rows):
      _alter(programs, chosen.take(rows), head[rows])


class Plan(NamedTuple):
  """What becomes of N programs.

  Attributes:
    action: [N] int, an index into ACTIONS, or -1 for none.
    function: [N] int, the component function that it changes.
    length: [N] int, instructions in there.
    tail_draws: [N] int, further uniform numbers that it needs.
  """

  action: np.ndarray
  function: np.ndarray
  length: np.ndarray
  tail_draws: np.ndarray


def searched_functions(space: SearchSpace) -> np.ndarray:
  """The component functions that search may change: [1 to 3] int.

  Raises:
    ValueError: there are none.
  """
  functions = [f for f, component in enumerate(space.components)
               if component.searched and component.ops and component.max_length]
  if not functions:
    raise ValueError(
        "Nothing to search: no component function of the space is marked as searched, allows "
        "an op and has a max_length above 0.")
  return np.array(functions)


def random_programs(
    space: SearchSpace, draws: np.ndarray, *, template: Programs | None = None
) -> Programs:
  """Programs of random instructions; every searched component function is filled.

  Args:
    space: the search space.
    draws: [N, num_random_draws(space)] uniform numbers.
    template: programs whose other component functions are kept, in turn; default empty.

  Returns:
    N programs.
  """
  start = template or Programs.empty(space)
  programs = start[np.arange(len(draws)) % len(start)]
  used = 0
  first = np.arange(len(draws))[:, None] * space.num_slots
  for function in searched_functions(space):
    slots = (first + np.arange(space.num_slots)[space.slots(function)]).ravel()
    length = space.components[function].max_length
    part = draws[:, used : used + length * INSTRUCTION_DRAWS]
    used += length * INSTRUCTION_DRAWS
    _write_random(
        programs, slots, np.full(len(slots), function), part.reshape(-1, INSTRUCTION_DRAWS))
  return programs


def num_random_draws(space: SearchSpace) -> int:
  """Uniform numbers that one random program consumes."""
  return INSTRUCTION_DRAWS * sum(
      space.components[function].max_length for function in searched_functions(space))


class _Tables(NamedTuple):
  """What mutations look up of a space.

  Attributes:
    offsets: [3] int, first slot of each component function.
    min_length: [3] int.
    max_length: [3] int.
    inside: [3, L] bool, the slots of each component function.
    allowed: [3, most ops] int16, the ops of each component function.
    num_allowed: [3] int.
    searched: [1 to 3] int, the component functions that search may change.
    num_choices: [ops, 3] int, addresses to choose from for in1, in2 and out; 0 for no operand.
    first_choice: [ops, 3] int16, the first of them.
  """

  offsets: np.ndarray
  min_length: np.ndarray
  max_length: np.ndarray
  inside: np.ndarray
  allowed: np.ndarray
  num_allowed: np.ndarray
  searched: np.ndarray
  num_choices: np.ndarray
  first_choice: np.ndarray


@op_table.cached_for_table
def _tables(space: SearchSpace) -> _Tables:
  ops = [component.ops for component in space.components]
  counts = np.array([len(some) for some in ops])
  allowed = np.zeros((len(ops), counts.max()), np.int16)
  for row, some in zip(allowed, ops):
    row[: len(some)] = some
  table = op_table.columns()
  # A missing operand has kind -1, the last entry: no address to choose from.
  readable, writable, first = (np.array(sizes + (0,)) for sizes in (
      space.num_addresses, tuple(space.writable(kind) for kind in Kind),
      tuple(program_lib.FIRST_WRITABLE[kind] for kind in Kind)))
  num_choices = np.column_stack([readable[table.input_kind], writable[table.output_kind]])
  first_choice = np.zeros(num_choices.shape, np.int16)
  first_choice[:, 2] = first[table.output_kind]
  return _Tables(
      np.array(space.offsets[:-1]),
      np.array([component.min_length for component in space.components]),
      np.array([component.max_length for component in space.components]),
      np.arange(len(ops))[:, None] == space.function_of_slot, allowed, counts,
      searched_functions(space), num_choices, first_choice)


@functools.cache
def _outcomes(actions: tuple[str, ...]) -> np.ndarray:
  """Codes of actions, for each whether it shrinks or grows a program: [2 * actions] int."""
  return np.ravel([
      (_REMOVE, _INSERT) if name == "insert_or_remove" else (ACTIONS.index(name),) * 2
      for name in actions])


def _pick(draw: np.ndarray, count) -> np.ndarray:
  """A uniform choice out of `count` by a number in [0, 1)."""
  return (draw * count).astype(np.intp)


def _alter(programs: Programs, slots: np.ndarray, head: np.ndarray) -> None:
  """Redraws one address, or alters one constant, of the instructions in these slots."""
  opcode = programs.opcode.take(slots)
  table, tables = op_table.columns(), _tables(programs.space)
  num_inputs = table.num_inputs.take(opcode)
  num_constants = table.num_constants.take(opcode)
  has_output = table.output_kind.take(opcode) >= 0
  num_operands = num_inputs + has_output
  argument = _pick(head[:, _Head.CHOICE], num_operands + (num_constants > 0))
  # Which operand of in1, in2 and out an argument is; the output follows the inputs.
  operand = np.where(has_output & (argument == num_inputs), 2, argument)
  which = np.flatnonzero(argument < num_operands)
  operand, place = operand.take(which), slots.take(which)
  row = opcode.take(which) * tables.num_choices.shape[1] + operand
  address = tables.first_choice.take(row) + _pick(
      head.take(which * HEAD_DRAWS + operand + int(_Head.IN1)), tables.num_choices.take(row))
  for k, name in enumerate(("in1", "in2", "out")):
    chosen = np.flatnonzero(operand == k)
    getattr(programs, name).reshape(-1)[place.take(chosen)] = address.take(chosen)
  which = np.flatnonzero((argument == num_operands) & (num_constants > 0))
  if len(which):
    _alter_constants(programs, slots.take(which), opcode.take(which), head[which])


def _alter_constants(
    programs: Programs, slots: np.ndarray, opcode: np.ndarray, head: np.ndarray
) -> None:
  """Alters one constant of each of these instructions."""
  table = op_table.columns()
  which = _pick(head[:, _Head.OP], table.num_constants.take(opcode))
  constants = programs.constants.reshape(-1)
  place = slots * op_table.MAX_CONSTANTS + which
  draw = head.take(np.arange(len(head)) * HEAD_DRAWS + int(_Head.CONSTANTS) + which)
  meaning = opcode.astype(np.intp) * op_table.MAX_CONSTANTS + which
  flips = head[:, _Head.SIGN] < SIGN_FLIP_PROBABILITY
  flips &= ~table.is_std.take(meaning)
  scaled = round_constants(constants.take(place) * (0.5 + 1.5 * draw) * np.where(flips, -1.0, 1.0))
  scaled = np.minimum(np.maximum(scaled, -_MAX_CONSTANT), _MAX_CONSTANT)
  constants[place] = np.where(table.is_index.take(meaning), draw, scaled)


def _shift(programs: Programs, remove: np.ndarray, slots: np.ndarray, ends: np.ndarray) -> None:
  """Makes room for an instruction in each slot, or closes the gap that one leaves.

  Args:
    programs: the batch.
    remove: [R] bool, whether the instructions behind the slot move one up; those from the
      slot on move one down if not.
    slots: [R] int, counted over all programs, of programs that differ.
    ends: [R] int, behind the last instruction of the component function.
  """
  start = slots + remove
  counts = ends - start
  before = counts.cumsum() - counts
  source = np.repeat(start - before, counts)
  source += np.arange(len(source))
  target = source + np.repeat(np.where(remove, -1, 1), counts)
  emptied = ends[remove] - 1
  for name in ("opcode", "in1", "in2", "out"):
    array = getattr(programs, name).reshape(-1)
    array[target] = array.take(source)
    array[emptied] = EMPTY if name == "opcode" else 0
  constants = programs.constants.reshape(-1)
  constants[_constant_places(target)] = constants.take(_constant_places(source))
  constants[_constant_places(emptied)] = 0.0


def _constant_places(slots: np.ndarray) -> np.ndarray:
  """Where the constants of these slots are, counted over all programs: [M, 3] int."""
  return slots[:, None] * op_table.MAX_CONSTANTS + np.arange(op_table.MAX_CONSTANTS)


def _write_random(
    programs: Programs, slots: np.ndarray, function: np.ndarray, draws: np.ndarray
) -> None:
  """Writes random instructions into M slots: op, addresses and constants.

  Args:
    programs: N programs.
    slots: [M] int, counted over all programs.
    function: [M] int.
    draws: [M, INSTRUCTION_DRAWS] uniform numbers.
  """
  tables = _tables(programs.space)
  choice = _pick(draws[:, 0], tables.num_allowed.take(function))
  opcode = tables.allowed.take(function * tables.allowed.shape[1] + choice)
  addresses = (draws[:, 1:4] * tables.num_choices.take(opcode, axis=0)).astype(np.int16)
  addresses += tables.first_choice.take(opcode, axis=0)
  for name, values in zip(("opcode", "in1", "in2", "out"), (opcode, *addresses.T)):
    getattr(programs, name).reshape(-1)[slots] = values
  constants, places = programs.constants.reshape(-1), _constant_places(slots)
  constants[places] = 0.0
  which = np.flatnonzero(op_table.columns().num_constants.take(opcode))
  if len(which):
    constants[places.take(which, axis=0)] = _draw_constants(opcode.take(which), draws[which, 4:7])


def _draw_constants(opcode: np.ndarray, draws: np.ndarray) -> np.ndarray:
  """Fresh constants for each opcode by [M, 3] numbers; 0 where the op has none."""
  table = op_table.columns()
  values = np.where(table.is_signed.take(opcode, axis=0), 2 * draws - 1, 0.0)
  values = round_constants(np.where(table.is_std.take(opcode, axis=0), draws, values))
  return np.where(table.is_index.take(opcode, axis=0), draws, values)


def round_constants(values: np.ndarray) -> np.ndarray:
  """Rounds to six significant digits, so that a printed program is the program itself."""
  magnitude = np.floor(np.log10(np.where(values == 0, 1.0, np.abs(values))))
  digits = (_SIGNIFICANT_DIGITS - 1 - magnitude).astype(np.intp)
  # Scaling by an integer power of ten, never by its rounded inverse, gives the decimal's
  # nearest double.
  up, down = (_POWERS.take(power, mode="clip") for power in (digits, -digits))
  return np.round(values * up / down) / up * down
