"""Mutation: how a child differs from its parent (section 3.2 and S3 of the paper).

All children of a cycle, of all islands, are mutated at once. Every child consumes a fixed
number of uniform random numbers, its *head*; randomising a whole component function
consumes a *tail* as well, seven numbers for each of its instructions. What each number
decides is said by the `_Head` fields, so that a plain sequential program that draws in
the same order makes the same children.
"""

import dataclasses
import enum

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

INSTRUCTION_DRAWS = 7  # op, in1, in2, out and three constants
SIGN_FLIP_PROBABILITY = 0.1
_SIGNIFICANT_DIGITS = 6
# Alterations multiply a constant by 1.17 in the geometric mean; nothing else would keep
# one that evolution does not select for inside the range of float32.
_MAX_CONSTANT = 1e38


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

  def tail_draws(self, parents: Programs, head: np.ndarray) -> np.ndarray:
    """How many further numbers each child needs: [N] int."""
    action, function = self._decide(head)
    length = parents.lengths[np.arange(len(parents)), function]
    return np.where(action == _code("randomize_function"), length * INSTRUCTION_DRAWS, 0)

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
    action, function = self._decide(head)
    lengths = parents.lengths[np.arange(len(parents)), function]
    for name, apply in (
        ("alter", _alter), ("randomize_instruction", _randomize_instruction),
        ("insert", _insert), ("remove", _remove)):
      rows = np.flatnonzero(action == _code(name))
      if len(rows):
        apply(children, rows, function[rows], lengths[rows], head[rows])
    rows = np.flatnonzero((action == _code("randomize_function")) & (lengths > 0))
    if len(rows):
      row, k = np.nonzero(np.arange(lengths[rows].max()) < lengths[rows][:, None])
      draws = tail[rows][:, : lengths[rows].max() * INSTRUCTION_DRAWS]
      draws = draws.reshape(len(rows), -1, INSTRUCTION_DRAWS)[row, k]
      slots = np.array(self.space.offsets)[function[rows][row]] + k
      _write_random(children, rows[row], slots, function[rows][row], draws)
    return children

  def _decide(self, head: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Action code, -1 for none, and component function of every child."""
    codes = np.array([_code(name) for name in self.actions])
    action = codes[_pick(head[:, _Head.ACTION], len(codes))]
    either = action == _code("insert_or_remove")
    grow = head[:, _Head.CHOICE] < 1 / 3
    action = np.where(either, np.where(grow, _code("insert"), _code("remove")), action)
    action = np.where(head[:, _Head.MUTATE] < self.probability, action, -1)
    functions = searched_functions(self.space)
    return action, functions[_pick(head[:, _Head.FUNCTION], len(functions))]


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
    template: one program whose other component functions are kept; default empty.

  Returns:
    N programs.
  """
  programs = (template or Programs.empty(space))[np.zeros(len(draws), int)]
  used = 0
  for function in searched_functions(space):
    first, length = space.offsets[function], space.components[function].max_length
    row, k = np.divmod(np.arange(len(draws) * length), length)
    part = draws[:, used : used + length * INSTRUCTION_DRAWS]
    used += length * INSTRUCTION_DRAWS
    _write_random(
        programs, row, first + k, np.full(len(row), function),
        part.reshape(-1, INSTRUCTION_DRAWS))
  return programs


def num_random_draws(space: SearchSpace) -> int:
  """Uniform numbers that one random program consumes."""
  return INSTRUCTION_DRAWS * sum(
      space.components[function].max_length for function in searched_functions(space))


def _code(action: str) -> int:
  return ACTIONS.index(action)


def _pick(draw: np.ndarray, count) -> np.ndarray:
  """A uniform choice out of `count` by a number in [0, 1)."""
  return (draw * count).astype(int)


def _alter(children, rows, function, lengths, head) -> None:
  """Redraws one address, or alters one constant, of one instruction."""
  some = lengths > 0
  rows, function, head = rows[some], function[some], head[some]
  slot = np.array(children.space.offsets)[function] + _pick(head[:, _Head.SLOT], lengths[some])
  opcode = children.opcode[rows, slot]
  table = op_table.columns()
  num_inputs = table.num_inputs[opcode]
  num_outputs = table.output_kind[opcode] >= 0
  num_constants = table.num_constants[opcode]
  num_arguments = num_inputs + num_outputs + (num_constants > 0)
  argument = _pick(head[:, _Head.CHOICE], num_arguments)
  addresses = _draw_addresses(children.space, opcode, head[:, _Head.IN1 : _Head.OUT + 1])
  has_arguments = num_arguments > 0
  for name, chosen, drawn in (
      ("in1", (argument == 0) & (num_inputs > 0), addresses[0]),
      ("in2", (argument == 1) & (num_inputs > 1), addresses[1]),
      ("out", (argument == num_inputs) & num_outputs, addresses[2])):
    chosen = chosen & has_arguments
    getattr(children, name)[rows[chosen], slot[chosen]] = drawn[chosen]
  data = (argument == num_inputs + num_outputs) & (num_constants > 0)
  rows, slot, opcode, head = rows[data], slot[data], opcode[data], head[data]
  which = _pick(head[:, _Head.OP], num_constants[data])
  old = children.constants[rows, slot, which]
  draw = head[np.arange(len(rows)), _Head.CONSTANTS + which]
  flips = head[:, _Head.SIGN] < SIGN_FLIP_PROBABILITY
  flips &= ~table.is_std[opcode, which]
  scaled = round_constants(old * (0.5 + 1.5 * draw) * np.where(flips, -1.0, 1.0))
  scaled = np.clip(scaled, -_MAX_CONSTANT, _MAX_CONSTANT)
  children.constants[rows, slot, which] = np.where(table.is_index[opcode, which], draw, scaled)


def _randomize_instruction(children, rows, function, lengths, head) -> None:
  some = lengths > 0
  slot = np.array(children.space.offsets)[function[some]] + _pick(
      head[some, _Head.SLOT], lengths[some])
  _write_random(children, rows[some], slot, function[some], head[some, _Head.OP : _Head.CHOICE])


def _insert(children, rows, function, lengths, head) -> None:
  limits = np.array([component.max_length for component in children.space.components])
  room = lengths < limits[function]
  rows, function, lengths, head = rows[room], function[room], lengths[room], head[room]
  slot = np.array(children.space.offsets)[function] + _pick(head[:, _Head.SLOT], lengths + 1)
  _shift(children, rows, function, slot, 1)
  _write_random(children, rows, slot, function, head[:, _Head.OP : _Head.CHOICE])


def _remove(children, rows, function, lengths, head) -> None:
  limits = np.array([component.min_length for component in children.space.components])
  room = lengths > limits[function]
  rows, function, lengths, head = rows[room], function[room], lengths[room], head[room]
  slot = np.array(children.space.offsets)[function] + _pick(head[:, _Head.SLOT], lengths)
  _shift(children, rows, function, slot, -1)


def _shift(children, rows, function, slot, by: int) -> None:
  """Moves the instructions from `slot` on one down (by 1), or those after it one up (by -1)."""
  columns = np.arange(children.space.num_slots)
  offsets = np.array(children.space.offsets)
  last = (offsets[function + 1] - 1)[:, None]
  if by > 0:
    moved = (columns > slot[:, None]) & (columns <= last)
  else:
    moved = (columns >= slot[:, None]) & (columns < last)
  source = columns - by * moved
  for name in Programs.ARRAYS:
    array = getattr(children, name)
    array[rows] = array[rows[:, None], source]
  if by < 0:
    for name in Programs.ARRAYS:
      getattr(children, name)[rows, last[:, 0]] = EMPTY if name == "opcode" else 0


def _write_random(children, rows, slots, function, draws) -> None:
  """Writes random instructions: op, addresses and constants by seven numbers each."""
  space = children.space
  allowed = [component.ops for component in space.components]
  counts = np.array([len(ops) for ops in allowed])
  table = np.zeros((len(allowed), counts.max()), np.int16)
  for k, ops in enumerate(allowed):
    table[k, : len(ops)] = ops
  opcode = table[function, _pick(draws[:, 0], counts[function])]
  in1, in2, out = _draw_addresses(space, opcode, draws[:, 1:4])
  children.opcode[rows, slots] = opcode
  children.in1[rows, slots] = in1
  children.in2[rows, slots] = in2
  children.out[rows, slots] = out
  children.constants[rows, slots] = _draw_constants(opcode, draws[:, 4:7])


def _draw_addresses(
    space: SearchSpace, opcode: np.ndarray, draws: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Random in1, in2, out for each opcode by [N, 3] numbers; 0 where the op has none."""
  table = op_table.columns()
  num_addresses, num_writable, first_writable = (np.array(sizes + (0,)) for sizes in (
      space.num_addresses, tuple(space.writable(kind) for kind in Kind),
      tuple(program_lib.FIRST_WRITABLE[kind] for kind in Kind)))
  # A missing operand has kind -1, the last entry: no address to choose from.
  in1, in2 = (
      _pick(draws[:, k], num_addresses[table.input_kind[opcode, k]]) for k in range(2))
  kind = table.output_kind[opcode]
  return in1, in2, first_writable[kind] + _pick(draws[:, 2], num_writable[kind])


def _draw_constants(opcode: np.ndarray, draws: np.ndarray) -> np.ndarray:
  """Fresh constants for each opcode by [N, 3] numbers; 0 where the op has none."""
  table = op_table.columns()
  values = np.where(table.is_signed[opcode], 2 * draws - 1, 0.0)
  values = round_constants(np.where(table.is_std[opcode], draws, values))
  return np.where(table.is_index[opcode], draws, values)


def round_constants(values: np.ndarray) -> np.ndarray:
  """Rounds to six significant digits, so that a printed program is the program itself."""
  magnitude = np.floor(np.log10(np.where(values == 0, 1.0, np.abs(values))))
  digits = np.clip(_SIGNIFICANT_DIGITS - 1 - magnitude, -300, 300)
  # Scaling by an integer power of ten, never by its rounded inverse, gives the decimal's
  # nearest double.
  up, down = 10.0 ** np.maximum(digits, 0), 10.0 ** np.maximum(-digits, 0)
  return np.round(values * up / down) / up * down
