"""Mutation: how a child differs from its parent (section 3.2 and S3 of the paper).

A mutation is a function of one program that changes it in place:

    def mutation(programs, i, function, space, stream): ...

`programs` are arrays of a batch (`ProgramArrays`), `i` is the program, `function` the component
function that was drawn for it, `space` the tables of its search space (`Tables`), and `stream`
what it draws from with `draws.uniform` and `draws.pick`. One of your own is added by
`register_mutation`; it is then chosen by its name like those of this module. It may draw as
much as it likes, and has to leave a well-formed program, as the functions of
`azero.search.proposals.edits` do. What it raises ends the search, and so does a malformed program.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import traceback
from typing import NamedTuple

import numpy as np

from azero.compiler.arrays import (
  MAX_LENGTH,
  MEANING,
  MIN_LENGTH,
  NUM_CONSTANTS,
  NUM_INPUTS,
  NUM_OUTPUTS,
  START,
  ProgramArrays,
  Tables,
  arrays,
  searched_functions,
  tables,
)
from azero.compiler.kernels import inlined_kernel, kernel
from azero.language.program import Programs, SearchSpace
from azero.search import draws, origins
from azero.search.config import PAPER_ACTIONS
from azero.search.draws import pick, uniform
from azero.search.origins import COPY
from azero.search.proposals import foreign
from azero.search.proposals.constants import add_constant
from azero.search.proposals.edits import (
  OUTPUT,
  altered,
  close_gap,
  draw_address,
  function_length,
  open_gap,
  write_random,
  write_random_function,
)
from azero.search.proposals.growth import regrow_function, regrow_instructions, rewire
from azero.search.proposals.parameters import add_parameter, add_update
from azero.search.proposals.paths import extend_path

_INSERTION = 1 / 3  # of insert_or_remove

Mutation = Callable[[ProgramArrays, int, int, Tables, np.ndarray], None]


@inlined_kernel
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
    programs.constants[i, slot, k] = altered(
        programs.constants[i, slot, k], space.ops[opcode, MEANING + k], stream)
  elif argument == inputs:
    programs.out[i, slot] = draw_address(opcode, OUTPUT, space, stream)
  elif argument == 0:
    programs.in1[i, slot] = draw_address(opcode, 0, space, stream)
  else:
    programs.in2[i, slot] = draw_address(opcode, 1, space, stream)


@inlined_kernel
def randomize_instruction(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> None:
  """Puts a random instruction in the place of one."""
  length = function_length(programs, i, function, space)
  if length > 0:
    slot = space.functions[function, START] + pick(stream, length)
    write_random(programs, i, slot, function, space, stream)


@inlined_kernel
def randomize_function(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> None:
  """Puts random instructions in the places of all of a component function."""
  first = space.functions[function, START]
  for k in range(function_length(programs, i, function, space)):
    write_random(programs, i, first + k, function, space, stream)


@inlined_kernel
def insert(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> None:
  """Inserts a random instruction, unless the component function is as long as it may be."""
  length = function_length(programs, i, function, space)
  if length < space.functions[function, MAX_LENGTH]:
    first = space.functions[function, START]
    slot = first + pick(stream, length + 1)
    open_gap(programs, i, slot, first + length)
    write_random(programs, i, slot, function, space, stream)


@inlined_kernel
def remove(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> None:
  """Removes an instruction, unless the component function is as short as it may be."""
  length = function_length(programs, i, function, space)
  if length > space.functions[function, MIN_LENGTH]:
    first = space.functions[function, START]
    close_gap(programs, i, first + pick(stream, length), first + length)


@inlined_kernel
def insert_or_remove(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> None:
  """Inserts or removes an instruction; removal is twice as likely."""
  if uniform(stream) < _INSERTION:
    insert(programs, i, function, space, stream)
  else:
    remove(programs, i, function, space, stream)


# A mutation's number is its place among those of the paper, or else its address.
_OF_THE_PAPER: tuple[Mutation, ...] = (
    alter, randomize_instruction, randomize_function, insert, remove, insert_or_remove)
_ALTER, _RANDOMIZE_INSTRUCTION, _RANDOMIZE_FUNCTION, _INSERT, _REMOVE, _INSERT_OR_REMOVE = range(6)
_OTHERS: tuple[Mutation, ...] = (
    rewire, regrow_instructions, regrow_function, add_parameter, add_update, extend_path,
    add_constant)
_BUILT_IN: dict[str, Mutation] = {each.__name__: each for each in (*_OF_THE_PAPER, *_OTHERS)}
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
    ValueError: no identifier, the name of a built-in mutation, or a function that Numba cannot
      compile.
  """
  if not isinstance(name, str) or not name.isidentifier():
    raise ValueError(f"The name of a mutation must be a Python identifier, got {name!r}.")
  if name in _BUILT_IN:
    raise ValueError(f"Mutation '{name}' is built in; choose another name.")
  if name in origins.WORDS:
    raise ValueError(f"Lineages call something else '{name}'; choose another name.")
  _OWN[name] = foreign.address_of_own(name, function)
  _own_functions[name] = function
  origins.register(name)


def own_mutations() -> dict[str, Mutation]:
  """Those that were registered, for `adopt`."""
  return dict(_own_functions)


def adopt(mutations: Mapping[str, Mutation]) -> None:
  """Registers what another process registered."""
  for name, function in mutations.items():
    register_mutation(name, function)


@contextlib.contextmanager
def explained(mutator: "Mutator") -> Iterator[None]:
  """Says of an error within the block that a mutation of the user's own raised it.

  Raises:
    RuntimeError: instead of that error; names the mutation, the error and its place.
  """
  try:
    yield
  except Exception as error:
    names = [name for name, number in _OWN.items() if number in mutator.actions]
    if not names:
      raise
    # Of several it is that whose frame it is, or one that called where it is.
    place = traceback.extract_tb(error.__traceback__)[-1]
    there = [name for name in names if _own_functions[name].__name__ == place.name]
    raise RuntimeError(
        f"Mutation {' or '.join(map(repr, there or names))}, of your own, raised "
        f"{type(error).__name__}: {error} ({place.filename}, line {place.lineno}).") from error


class Mutator(NamedTuple):
  """How the children of a search are mutated.

  Attributes:
    probability: U, the probability that a child is mutated at all.
    actions: [A] int64, numbers of mutations, one of which is chosen uniformly.
    codes: [A] int64, what they are called in lineages: the same in every process, see `origins`.
    own: whether mutations of the user's own are among them.
  """

  probability: float
  actions: np.ndarray
  codes: np.ndarray
  own: bool


def mutator(actions: Sequence[str] = PAPER_ACTIONS, probability: float = 0.9) -> Mutator:
  """A mutator by the names of mutations; one may occur more than once.

  Raises:
    ValueError: no mutations, unknown ones, or a probability outside of [0, 1].
  """
  known = (*_BUILT_IN, *_OWN)
  choices = f"choose from {', '.join(known)}"
  if not actions:
    raise ValueError(f"No mutations are given; {choices}.")
  unknown = [action for action in actions if action not in known]
  if unknown:
    raise ValueError(f"Unknown mutations {unknown}; {choices}.")
  if not 0 <= probability <= 1:
    raise ValueError(f"The mutation probability must be in [0, 1], got {probability}.")
  return Mutator(
      float(probability), np.array([_number(action) for action in actions], np.int64),
      np.array([origins.code_of(action) for action in actions], np.int64),
      any(action in _OWN for action in actions))


def _number(action: str) -> int:
  if action in _OWN:
    return _OWN[action]
  mutation = _BUILT_IN[action]
  if mutation in _OF_THE_PAPER:
    return _OF_THE_PAPER.index(mutation)
  return foreign.address_of(mutation)


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
  with explained(mutator):
    _mutate_all(
        arrays(children), tables(parents.space), mutator, draws.new_stream(),
        (draws.seed_word(seed), island, first))
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
    whose: tuple[np.uint64, int, int]) -> None:
  seed, island, first = whose
  for i in range(len(programs.opcode)):
    draws.start(stream, seed, island, first + i)
    mutate(programs, i, space, mutator, stream)


@inlined_kernel
def mutate(
    programs: ProgramArrays, i: int, space: Tables, mutator: Mutator, stream: np.ndarray) -> int:
  """Mutates program i, a copy of its parent, in place; or leaves it an exact copy.

  Returns:
    The code of the mutation, see `Mutator`, or COPY.
  """
  if uniform(stream) >= mutator.probability:
    return COPY
  choice = pick(stream, len(mutator.actions))
  action = mutator.actions[choice]
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
    if mutator.own:
      foreign.require_well_formed(programs, i, space)
  return mutator.codes[choice]


@inlined_kernel
def randomize(programs: ProgramArrays, i: int, space: Tables, stream: np.ndarray) -> None:
  """Fills every component function that is searched with random instructions."""
  for function in space.searched:
    write_random_function(programs, i, function, space, stream)
