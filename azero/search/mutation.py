"""Mutation: how a child differs from its parent (section 3.2 and S3 of the paper).

A mutation is a function of one program that changes it in place:

    def mutation(programs, i, function, space, stream): ...

`programs` are arrays of a batch (`ProgramArrays`), `i` is the program, `function` the component
function that was drawn for it, `space` the tables of its search space (`Tables`), and `stream`
what it draws from with `draws.uniform` and `draws.pick`. One of your own is added by
`register_mutation`; it is then chosen by its name like those of this module. It may draw as
much as it likes, and has to leave a valid program: `write_random`, `open_gap` and `close_gap`
do so.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from azero.compiler.arrays import (
  CHOICES_IN1,
  FIRST_OUT,
  INDEX,
  MAX_LENGTH,
  MEANING,
  MIN_LENGTH,
  NO_CONSTANT,
  NUM_ALLOWED,
  NUM_CONSTANTS,
  NUM_INPUTS,
  NUM_OUTPUTS,
  START,
  STD,
  STOP,
  ProgramArrays,
  Tables,
  arrays,
  searched_functions,
  tables,
)
from azero.compiler.kernels import inner_kernel, kernel
from azero.language import ops as op_table
from azero.language.program import EMPTY, Programs, SearchSpace
from azero.search import draws, foreign
from azero.search.config import PAPER_ACTIONS
from azero.search.draws import pick, uniform

SIGN_FLIP_PROBABILITY = 0.1
_INSERTION = 1 / 3  # of insert_or_remove
# Alterations multiply a constant by 1.17 in the geometric mean; nothing else would keep
# one that evolution does not select for inside the range of float32.
_MAX_CONSTANT = 1e38
_SIGNIFICANT_DIGITS = 6
_POWERS = 10.0 ** np.arange(301)
_MAX_CONSTANTS = op_table.MAX_CONSTANTS
_OUTPUT = 2  # the third of an instruction's operands in1, in2, out

Mutation = Callable[[ProgramArrays, int, int, Tables, np.ndarray], None]


@inner_kernel
def alter(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> None:
  """Redraws one address, or alters one constant, of one instruction."""
  length = function_length(programs, i, function, space)
  if length == 0:
    return
  slot = space.functions[function, START] + pick(stream, length)
  opcode = programs.opcode[i, slot]
  inputs, outputs = space.ops[opcode, NUM_INPUTS], space.ops[opcode, NUM_OUTPUTS]
  constants = space.ops[opcode, NUM_CONSTANTS]
  arguments = inputs + outputs + min(constants, 1)
  if arguments == 0:
    return
  argument = pick(stream, arguments)
  if argument == inputs + outputs:
    k = pick(stream, constants)
    programs.constants[i, slot, k] = _altered(
        programs.constants[i, slot, k], space.ops[opcode, MEANING + k], stream)
  elif argument == inputs:
    programs.out[i, slot] = _address(opcode, _OUTPUT, space, stream)
  elif argument == 0:
    programs.in1[i, slot] = _address(opcode, 0, space, stream)
  else:
    programs.in2[i, slot] = _address(opcode, 1, space, stream)


@inner_kernel
def randomize_instruction(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> None:
  """Puts a random instruction in the place of one."""
  length = function_length(programs, i, function, space)
  if length > 0:
    slot = space.functions[function, START] + pick(stream, length)
    write_random(programs, i, slot, function, space, stream)


@inner_kernel
def randomize_function(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> None:
  """Puts random instructions in the places of all of a component function."""
  first = space.functions[function, START]
  for k in range(function_length(programs, i, function, space)):
    write_random(programs, i, first + k, function, space, stream)


@inner_kernel
def insert(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> None:
  """Inserts a random instruction, unless the component function is as long as it may be."""
  length = function_length(programs, i, function, space)
  if length < space.functions[function, MAX_LENGTH]:
    first = space.functions[function, START]
    slot = first + pick(stream, length + 1)
    open_gap(programs, i, slot, first + length)
    write_random(programs, i, slot, function, space, stream)


@inner_kernel
def remove(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> None:
  """Removes an instruction, unless the component function is as short as it may be."""
  length = function_length(programs, i, function, space)
  if length > space.functions[function, MIN_LENGTH]:
    first = space.functions[function, START]
    close_gap(programs, i, first + pick(stream, length), first + length)


@inner_kernel
def insert_or_remove(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> None:
  """Inserts or removes an instruction; removal is twice as likely."""
  if uniform(stream) < _INSERTION:
    insert(programs, i, function, space, stream)
  else:
    remove(programs, i, function, space, stream)


# By their names; a mutation's number is its place, or the address of a user's own.
_BUILT_IN: dict[str, Mutation] = {
    function.__name__: function for function in (
        alter, randomize_instruction, randomize_function, insert, remove, insert_or_remove)}
ACTIONS = tuple(_BUILT_IN)
_ALTER, _RANDOMIZE_INSTRUCTION, _RANDOMIZE_FUNCTION, _INSERT, _REMOVE, _INSERT_OR_REMOVE = range(6)
_OWN: dict[str, int] = {}
_own_functions: dict[str, Mutation] = {}


def register_mutation(name: str, function: Mutation) -> None:
  """Adds a mutation of your own, compiled, to those that a search may use.

  Registering a name of your own again replaces the mutation. Every process of a search over
  several has to register it.

  Args:
    name: what `mutations` of the search's settings call it.
    function: a plain Python function that Numba can compile, see the top of this module.

  Raises:
    ValueError: the name of a mutation of the paper, or Numba cannot compile the function.
  """
  if name in _BUILT_IN:
    raise ValueError(f"Mutation '{name}' is built in; choose another name.")
  _OWN[name] = foreign.address_of(name, function)
  _own_functions[name] = function


def own_mutations() -> dict[str, Mutation]:
  """Those that were registered, for `adopt`."""
  return dict(_own_functions)


def adopt(mutations: Mapping[str, Mutation]) -> None:
  """Registers what another process registered."""
  for name, function in mutations.items():
    register_mutation(name, function)


class Mutator(NamedTuple):
  """How the children of a search are mutated.

  Attributes:
    probability: U, the probability that a child is mutated at all.
    actions: [A] int64, numbers of mutations, one of which is chosen uniformly.
  """

  probability: float
  actions: np.ndarray


def mutator(actions: Sequence[str] = PAPER_ACTIONS, probability: float = 0.9) -> Mutator:
  """A mutator by the names of mutations; one may occur more than once.

  Raises:
    ValueError: no mutations, unknown ones, or a probability outside of [0, 1].
  """
  known = {name: number for number, name in enumerate(_BUILT_IN)} | _OWN
  choices = f"choose from {', '.join(known)}"
  if not actions:
    raise ValueError(f"No mutations are given; {choices}.")
  unknown = [action for action in actions if action not in known]
  if unknown:
    raise ValueError(f"Unknown mutations {unknown}; {choices}.")
  if not 0 <= probability <= 1:
    raise ValueError(f"The mutation probability must be in [0, 1], got {probability}.")
  return Mutator(float(probability), np.array([known[action] for action in actions], np.int64))


def random_programs(
    space: SearchSpace, count: int, *, seed: int, island: int = 0, first: int = 0,
    template: Programs | None = None,
) -> Programs:
  """Programs of random instructions; every component function that is searched is filled.

  Args:
    space: the search space.
    count: N.
    seed: of the search.
    island: whose children they are.
    first: number of the first of them; each draws from the stream of its own number.
    template: programs whose other component functions are kept, in turn; default empty.

  Returns:
    N programs.

  Raises:
    ValueError: nothing is searched in this space.
  """
  require_searched(space)
  start = template or Programs.empty(space)
  programs = start[np.arange(count) % len(start)]
  _randomize_all(
      arrays(programs), tables(space), draws.new_stream(), draws.seed_word(seed), island, first)
  return programs


def mutated(
    parents: Programs, mutator: Mutator, *, seed: int, island: int = 0, first: int = 0
) -> Programs:
  """A child of each of N parents, which stay as they are; for the rest as `random_programs`.

  They draw no tournament: whether they mutate is the first that they draw.
  """
  require_searched(parents.space)
  children = parents[np.arange(len(parents))]
  _mutate_all(
      arrays(children), tables(parents.space), mutator, draws.new_stream(),
      draws.seed_word(seed), island, first)
  return children


def require_searched(space: SearchSpace) -> None:
  """Refuses a space in which nothing is searched.

  Raises:
    ValueError: no component function can be changed.
  """
  if not searched_functions(space):
    raise ValueError(
        "Nothing to search: no component function of the space is marked as searched, allows "
        "an op and has a max_length above 0.")


@kernel
def _randomize_all(
    programs: ProgramArrays, space: Tables, stream: np.ndarray, seed: np.uint64, island: int,
    first: int) -> None:
  for i in range(len(programs.opcode)):
    draws.start(stream, seed, island, first + i)
    randomize(programs, i, space, stream)


@kernel
def _mutate_all(
    programs: ProgramArrays, space: Tables, mutator: Mutator, stream: np.ndarray,
    seed: np.uint64, island: int, first: int) -> None:
  for i in range(len(programs.opcode)):
    draws.start(stream, seed, island, first + i)
    mutate(programs, i, space, mutator, stream)


@inner_kernel
def mutate(
    programs: ProgramArrays, i: int, space: Tables, mutator: Mutator, stream: np.ndarray) -> None:
  """Mutates program i, a copy of its parent, in place; or leaves it an exact copy."""
  if uniform(stream) >= mutator.probability:
    return
  action = mutator.actions[pick(stream, len(mutator.actions))]
  function = space.searched[pick(stream, len(space.searched))]
  if action == _ALTER:
    alter(programs, i, function, space, stream)
  elif action == _RANDOMIZE_INSTRUCTION:
    randomize_instruction(programs, i, function, space, stream)
  elif action == _RANDOMIZE_FUNCTION:
    randomize_function(programs, i, function, space, stream)
  elif action == _INSERT:
    insert(programs, i, function, space, stream)
  elif action == _REMOVE:
    remove(programs, i, function, space, stream)
  elif action == _INSERT_OR_REMOVE:
    insert_or_remove(programs, i, function, space, stream)
  else:
    foreign.call(action, programs, i, function, space, stream)


@inner_kernel
def randomize(programs: ProgramArrays, i: int, space: Tables, stream: np.ndarray) -> None:
  """Fills every component function that is searched with random instructions."""
  for function in space.searched:
    for slot in range(space.functions[function, START], space.functions[function, STOP]):
      write_random(programs, i, slot, function, space, stream)


@inner_kernel
def copy_program(source: ProgramArrays, i: int, target: ProgramArrays, j: int) -> None:
  """Makes program j of `target` equal to program i of `source`."""
  for slot in range(source.opcode.shape[1]):
    target.opcode[j, slot] = source.opcode[i, slot]
    target.in1[j, slot] = source.in1[i, slot]
    target.in2[j, slot] = source.in2[i, slot]
    target.out[j, slot] = source.out[i, slot]
    for k in range(_MAX_CONSTANTS):
      target.constants[j, slot, k] = source.constants[i, slot, k]


@inner_kernel
def function_length(programs: ProgramArrays, i: int, function: int, space: Tables) -> int:
  """Instructions in a component function of program i."""
  first, stop = space.functions[function, START], space.functions[function, STOP]
  slot = first
  while slot < stop and programs.opcode[i, slot] != EMPTY:
    slot += 1
  return slot - first


@inner_kernel
def write_random(
    programs: ProgramArrays, i: int, slot: int, function: int, space: Tables, stream: np.ndarray
) -> None:
  """Writes a random instruction into a slot: draws its op, addresses and constants, in turn."""
  opcode = space.allowed[function, pick(stream, space.functions[function, NUM_ALLOWED])]
  programs.opcode[i, slot] = opcode
  programs.in1[i, slot] = _address(opcode, 0, space, stream)
  programs.in2[i, slot] = _address(opcode, 1, space, stream)
  programs.out[i, slot] = _address(opcode, _OUTPUT, space, stream)
  for k in range(_MAX_CONSTANTS):
    programs.constants[i, slot, k] = _fresh(space.ops[opcode, MEANING + k], stream)


@inner_kernel
def open_gap(programs: ProgramArrays, i: int, slot: int, end: int) -> None:
  """Moves instructions from a slot to the end of a component function one down."""
  for k in range(end, slot, -1):
    _move(programs, i, k - 1, k)


@inner_kernel
def close_gap(programs: ProgramArrays, i: int, slot: int, end: int) -> None:
  """Moves instructions behind a slot one up, and empties the last; `end` is behind it."""
  for k in range(slot + 1, end):
    _move(programs, i, k, k - 1)
  last = end - 1
  programs.opcode[i, last] = EMPTY
  programs.in1[i, last] = programs.in2[i, last] = programs.out[i, last] = 0
  for k in range(_MAX_CONSTANTS):
    programs.constants[i, last, k] = 0.0


@inner_kernel
def _move(programs: ProgramArrays, i: int, source: int, target: int) -> None:
  programs.opcode[i, target] = programs.opcode[i, source]
  programs.in1[i, target] = programs.in1[i, source]
  programs.in2[i, target] = programs.in2[i, source]
  programs.out[i, target] = programs.out[i, source]
  for k in range(_MAX_CONSTANTS):
    programs.constants[i, target, k] = programs.constants[i, source, k]


@inner_kernel
def _address(opcode: int, operand: int, space: Tables, stream: np.ndarray) -> int:
  """Draws the address of in1, in2 or out; 0, and nothing drawn, if the op has no such one."""
  choices = space.ops[opcode, CHOICES_IN1 + operand]
  if choices == 0:
    return 0
  first = space.ops[opcode, FIRST_OUT] if operand == _OUTPUT else 0
  return first + pick(stream, choices)


@inner_kernel
def _fresh(meaning: int, stream: np.ndarray) -> float:
  """Draws a constant; 0, and nothing drawn, if the op has no such one."""
  if meaning == NO_CONSTANT:
    return 0.0
  number = uniform(stream)
  if meaning == INDEX:
    return number
  return round_constant(number if meaning == STD else 2 * number - 1)


@inner_kernel
def _altered(value: float, meaning: int, stream: np.ndarray) -> float:
  """An index drawn anew; any other constant times U[0.5, 2], its sign flipped now and then."""
  number = uniform(stream)
  if meaning == INDEX:
    return number
  value *= 0.5 + 1.5 * number
  if meaning != STD and uniform(stream) < SIGN_FLIP_PROBABILITY:
    value = -value
  return min(max(round_constant(value), -_MAX_CONSTANT), _MAX_CONSTANT)


@inner_kernel
def round_constant(value: float) -> float:
  """Rounds to six significant digits, so that a printed program is the program itself."""
  if value == 0.0:
    return value
  digits = _SIGNIFICANT_DIGITS - 1 - int(np.floor(np.log10(abs(value))))
  # Scaling by an integer power of ten, never by its rounded inverse, gives the decimal's
  # nearest double.
  up, down = _POWERS[min(max(digits, 0), 300)], _POWERS[min(max(-digits, 0), 300)]
  return np.round(value * up / down) / up * down
