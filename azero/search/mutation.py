"""Mutation: how a child differs from its parent (section 3.2 and S3 of the paper).

A mutation is a function, chosen by its name; `register_mutation` adds one of your own. All
children of a cycle, of all islands, are mutated at once, and each mutation is called with
those that it fell to. Every child consumes a fixed number of uniform random numbers, its
*head*; a mutation may ask for a *tail* as well, as randomising a whole component function does
with seven numbers for each of its instructions. What each number decides is said by the `Head`
fields, so that a plain sequential program that draws in the same order makes the same
children.
"""

from collections.abc import Callable, Iterable
import dataclasses
import enum
from typing import NamedTuple

import numpy as np

from azero.language import ops as op_table
from azero.language import program as program_lib
from azero.language.ops import Kind
from azero.language.program import EMPTY, Programs, SearchSpace

# The paper's three actions; removal is twice as likely as insertion (S3).
PAPER_ACTIONS = ("insert_or_remove", "randomize_function", "alter")

_NONE = -1

INSTRUCTION_DRAWS = 7  # op, in1, in2, out and three constants
SIGN_FLIP_PROBABILITY = 0.1
_SIGNIFICANT_DIGITS = 6
# Alterations multiply a constant by 1.17 in the geometric mean; nothing else would keep
# one that evolution does not select for inside the range of float32.
_MAX_CONSTANT = 1e38
_POWERS = 10.0 ** np.arange(301)


class Head(enum.IntEnum):
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


HEAD_DRAWS = len(Head) + op_table.MAX_CONSTANTS - 1


class Children(NamedTuple):
  """The M of N programs that a mutation is to change, in place.

  Attributes:
    programs: all N, with arrays of their own.
    rows: [M] int, which of them.
    function: [M] int, the component function to change in each; one that is searched.
    length: [M] int, instructions in there.
    head: [M, HEAD_DRAWS] uniform numbers in [0, 1), see `Head`.
    tail: [M, K] further ones, at least as many for each as it asked for; else empty.
  """

  programs: Programs
  rows: np.ndarray
  function: np.ndarray
  length: np.ndarray
  head: np.ndarray
  tail: np.ndarray

  @property
  def space(self) -> SearchSpace:
    """The search space."""
    return self.programs.space

  @property
  def first(self) -> np.ndarray:
    """[M] int, first slot of the component function, counted over the slots of all N."""
    offsets = _tables(self.space).offsets
    return self.rows * self.space.num_slots + offsets.take(self.function)

  def some(self, chosen: np.ndarray) -> "Children":
    """Those at these places, [K] int."""
    return Children(self.programs, *(array.take(chosen, axis=0) for array in self[1:]))


@dataclasses.dataclass(frozen=True)
class Mutation:
  """A mutation by its name.

  Attributes:
    name: unique.
    function: changes children in place; they must be valid programs afterwards, and nothing
      but the component function chosen for each may change. What it does to a child must
      follow from that child and its numbers alone.
    draws_per_instruction: further uniform numbers that it needs for each instruction of the
      component function. If there are any, it is not called with empty ones.
    fills_empty: whether it can put an instruction into an empty component function.
  """

  name: str
  function: Callable[[Children], None]
  draws_per_instruction: int = 0
  fills_empty: bool = True


_MUTATIONS: dict[str, Mutation] = {}
_OF_THE_PAPER: set[str] = set()  # names that stay what they are


def names() -> tuple[str, ...]:
  """The names of all mutations, in the order in which they were registered."""
  return tuple(_MUTATIONS)


def mutation_by_name(name: str) -> Mutation:
  """The mutation of this name.

  Raises:
    ValueError: there is none.
  """
  _check_names([name])
  return _MUTATIONS[name]


def register_mutation(
    name: str, function: Callable[[Children], None], *, draws_per_instruction: int = 0,
    fills_empty: bool = True,
) -> Mutation:
  """Adds a mutation of your own, for `SearchConfig.mutations` to name.

  A name of your own may be registered again, so that a notebook cell can be run twice.

  Args:
    name: unique.
    function: see `Mutation`, as the others.
    draws_per_instruction: how many numbers beside those of the head.
    fills_empty: whether a search may start from empty programs with it.

  Raises:
    ValueError: a name that azero uses itself, or what is no function.
  """
  if name in _OF_THE_PAPER:
    raise ValueError(f"Mutation '{name}' belongs to azero; choose another name.")
  if not callable(function):
    raise ValueError(f"Mutation '{name}' must be a function of `Children`, got {function!r}.")
  if draws_per_instruction < 0:
    raise ValueError(
        f"Mutation '{name}': draws_per_instruction must not be negative, got "
        f"{draws_per_instruction}.")
  _MUTATIONS[name] = Mutation(name, function, draws_per_instruction, fills_empty)
  return _MUTATIONS[name]


def own_mutations() -> list[Mutation]:
  """Those that were registered, for `adopt`."""
  return [mutation for name, mutation in _MUTATIONS.items() if name not in _OF_THE_PAPER]


def adopt(mutations: Iterable[Mutation]) -> None:
  """Takes over what another process registered."""
  _MUTATIONS.update({mutation.name: mutation for mutation in mutations})


@dataclasses.dataclass(frozen=True)
class Mutator:
  """Mutates batches of programs of one space.

  Attributes:
    space: the search space.
    actions: names of mutations; one is chosen uniformly for each mutated child. A name
      may occur more than once.
    probability: U, the probability that a child is mutated at all.
  """

  space: SearchSpace
  actions: tuple[str, ...] = PAPER_ACTIONS
  probability: float = 0.9

  def __post_init__(self) -> None:
    if not self.actions:
      raise ValueError(f"No mutations are given; choose from {', '.join(names())}.")
    _check_names(self.actions)
    if not 0 <= self.probability <= 1:
      raise ValueError(f"The mutation probability must be in [0, 1], got {self.probability}.")
    searched_functions(self.space)  # raises if there are none

  def plan(self, parents: Programs, head: np.ndarray) -> "Plan":
    """What the [N, HEAD_DRAWS] uniform numbers of the heads decide for N parents."""
    action = _pick(head[:, Head.ACTION], len(self.actions))
    action[head[:, Head.MUTATE] >= self.probability] = _NONE
    tables = _tables(self.space)
    function = tables.searched.take(_pick(head[:, Head.FUNCTION], len(tables.searched)))
    inside = tables.inside.take(function, axis=0)
    inside &= parents.opcode != EMPTY
    length = inside.sum(1)
    per_instruction = np.array(
        [_MUTATIONS[name].draws_per_instruction for name in self.actions] + [0])
    return Plan(action, function, length, length * per_instruction.take(action))

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
    place = (plan.tail_draws > 0).cumsum() - 1  # in the tail
    for k, name in enumerate(self.actions):
      mutation = _MUTATIONS[name]
      mine = plan.action == k
      if mutation.draws_per_instruction:
        mine &= plan.length > 0
      rows = np.flatnonzero(mine)
      if len(rows):
        mutation.function(Children(
            programs, rows, plan.function.take(rows), plan.length.take(rows), head[rows],
            tail[place.take(rows)] if mutation.draws_per_instruction
            else np.empty((len(rows), 0))))


class Plan(NamedTuple):
  """What becomes of N programs.

  Attributes:
    action: [N] int, an index into the actions of the mutator, or -1 for none.
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


def _pick(draw: np.ndarray, count) -> np.ndarray:
  """A uniform choice out of `count` by a number in [0, 1)."""
  return (draw * count).astype(np.intp)


def _check_names(wanted: Iterable[str]) -> None:
  unknown = [name for name in wanted if name not in _MUTATIONS]
  if unknown:
    raise ValueError(f"Unknown mutations {unknown}; choose from {', '.join(names())}.")


def alter(children: Children) -> None:
  """Redraws one address, or alters one constant, of one instruction."""
  children = children.some(np.flatnonzero(children.length > 0))
  if not len(children.rows):
    return
  programs, head = children.programs, children.head
  slots = children.first + _pick(head[:, Head.SLOT], children.length)
  opcode = programs.opcode.take(slots)
  table, tables = op_table.columns(), _tables(programs.space)
  num_inputs = table.num_inputs.take(opcode)
  num_constants = table.num_constants.take(opcode)
  has_output = table.output_kind.take(opcode) >= 0
  num_operands = num_inputs + has_output
  argument = _pick(head[:, Head.CHOICE], num_operands + (num_constants > 0))
  # Which operand of in1, in2 and out an argument is; the output follows the inputs.
  operand = np.where(has_output & (argument == num_inputs), 2, argument)
  which = np.flatnonzero(argument < num_operands)
  operand, place = operand.take(which), slots.take(which)
  row = opcode.take(which) * tables.num_choices.shape[1] + operand
  address = tables.first_choice.take(row) + _pick(
      head.take(which * HEAD_DRAWS + operand + int(Head.IN1)), tables.num_choices.take(row))
  for k, name in enumerate(("in1", "in2", "out")):
    chosen = np.flatnonzero(operand == k)
    getattr(programs, name).reshape(-1)[place.take(chosen)] = address.take(chosen)
  which = np.flatnonzero((argument == num_operands) & (num_constants > 0))
  if len(which):
    _alter_constants(programs, slots.take(which), opcode.take(which), head[which])


def randomize_instruction(children: Children) -> None:
  """Replaces one instruction by a random one."""
  children = children.some(np.flatnonzero(children.length > 0))
  if len(children.rows):
    slots = children.first + _pick(children.head[:, Head.SLOT], children.length)
    _write_random(
        children.programs, slots, children.function, children.head[:, Head.OP : Head.CHOICE])


def randomize_function(children: Children) -> None:
  """Replaces every instruction of a component function by a random one."""
  longest = children.length.max()
  row, k = np.divmod(
      np.flatnonzero(np.arange(longest) < children.length[:, None]), longest)
  draws = children.tail[:, : longest * INSTRUCTION_DRAWS].reshape(-1, INSTRUCTION_DRAWS)
  _write_random(
      children.programs, children.first.take(row) + k, children.function.take(row),
      draws.take(row * longest + k, axis=0))


def insert(children: Children) -> None:
  """Inserts a random instruction, if there is room."""
  _insert_or_remove(children, np.ones(len(children.rows), bool))


def remove(children: Children) -> None:
  """Removes an instruction, if more than `min_length` are left."""
  _insert_or_remove(children, np.zeros(len(children.rows), bool))


def insert_or_remove(children: Children) -> None:
  """Inserts an instruction in one of three cases, removes one in the others."""
  _insert_or_remove(children, children.head[:, Head.CHOICE] < 1 / 3)


def _insert_or_remove(children: Children, grow: np.ndarray) -> None:
  """Inserts an instruction where `grow`, [M] bool, says so, and removes one elsewhere."""
  tables = _tables(children.space)
  possible = np.where(
      grow, children.length < tables.max_length.take(children.function),
      children.length > tables.min_length.take(children.function))
  chosen = np.flatnonzero(possible)
  if not len(chosen):
    return
  children, grow = children.some(chosen), grow.take(chosen)
  first = children.first
  slots = first + _pick(children.head[:, Head.SLOT], children.length + grow)
  _shift(children.programs, ~grow, slots, first + children.length)
  new = np.flatnonzero(grow)
  if len(new):
    _write_random(
        children.programs, slots.take(new), children.function.take(new),
        children.head[new, Head.OP : Head.CHOICE])


def _alter_constants(
    programs: Programs, slots: np.ndarray, opcode: np.ndarray, head: np.ndarray
) -> None:
  """Alters one constant of each of these instructions."""
  table = op_table.columns()
  which = _pick(head[:, Head.OP], table.num_constants.take(opcode))
  constants = programs.constants.reshape(-1)
  place = slots * op_table.MAX_CONSTANTS + which
  draw = head.take(np.arange(len(head)) * HEAD_DRAWS + int(Head.CONSTANTS) + which)
  meaning = opcode.astype(np.intp) * op_table.MAX_CONSTANTS + which
  flips = head[:, Head.SIGN] < SIGN_FLIP_PROBABILITY
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


for _mutation in (
    Mutation("alter", alter, fills_empty=False),
    Mutation("randomize_instruction", randomize_instruction, fills_empty=False),
    Mutation("randomize_function", randomize_function, INSTRUCTION_DRAWS, fills_empty=False),
    Mutation("insert", insert),
    Mutation("remove", remove, fills_empty=False),
    Mutation("insert_or_remove", insert_or_remove)):
  _MUTATIONS[_mutation.name] = _mutation
_OF_THE_PAPER.update(_MUTATIONS)
