"""Programs grown backwards from what is needed of them, so that nothing in them is dead.

A random program computes little that its prediction uses. Here a component function is filled from
its last instruction to its first. Each instruction writes an address that is needed below it: at
the end of Predict the prediction, at the end of Learn what Predict reads, in Setup what both read.
What it reads is needed above it. Ops and outputs are drawn uniformly from those that are left. An
input reads each address that holds something as likely as any other, but those that hold nothing as
yet, which are all alike, count as three at most. What holds something is needed below anyway, or
given by the evaluation: the features, and in Learn the label and the prediction. With up to four
addresses of a kind that is a uniform choice; where there are many, most of which nothing writes, a
learner hardly ever comes about without it. Where nothing is needed that an allowed op could write,
an instruction is as random as any.

Whether the whole is a learner is another matter, see `azero.compiler.validity`: many more grown
programs are than random ones, and yet hardly any where there are 58 ops and lengths vary
(docs/methods.md counts them). So a learner is grown by components: a Predict with which there is
none is drawn again at once, one that may do is given several Learns, and Setup, on which no
validity depends, comes last. `grow_learner` says how its programs are distributed. The same steps
are mutations: what regrows is a whole component function or a few instructions.
"""

import numpy as np

from azero.compiler.arrays import (
  LEARN,
  MAX_LENGTH,
  MIN_LENGTH,
  PREDICT,
  SETUP,
  START,
  STOP,
  WRITABLE,
  ProgramArrays,
  Scratch,
  Tables,
)
from azero.compiler.kernels import inlined_kernel, inner_kernel, kernel
from azero.compiler.validity import follows_features, program_is_valid
from azero.search.draws import pick
from azero.search.proposals.addresses import NO_ADDRESS, bit, draw, given, readable, size
from azero.search.proposals.edits import (
  ANY_OP,
  NO_OPCODE,
  draw_address,
  draw_operand,
  draw_writer,
  empty_slot,
  end_of,
  function_length,
  redirect_input,
  redirect_output,
  write_op,
  write_random,
)
from azero.search.proposals.needs import (
  draw_reader,
  is_searched,
  needed_above,
  needed_after,
  needed_before,
  needed_between,
)

_MOST_REGROWN = 3  # instructions, by `regrow_instructions`
_MOST_UNKNOWN = 3  # addresses that hold nothing, as an input counts them
_LEARNS = 16  # that a Predict is given by `grow_learner`


@inner_kernel
def grow(programs: ProgramArrays, i: int, space: Tables, stream: np.ndarray) -> int:
  """Fills every component function that is searched; returns how many instructions these have.

  Predict is grown for the prediction and for what a random Learn reads, so that a part of it may do
  nothing for the prediction; Learn for what Predict reads, and Setup for what both read. From its
  least length, 1 at least, on, each is an instruction longer with probability 1/2.
  """
  count = 0
  for function in (PREDICT, LEARN, SETUP):
    count += _grow_searched(programs, i, function, space, stream)
  return count


@inner_kernel
def grow_learner(
    programs: ProgramArrays, i: int, space: Tables, features: bool, scratch: Scratch,
    stream: np.ndarray) -> tuple[bool, int]:
  """Grows one Predict, and for it up to 16 Learns until the whole is valid.

  It is to be repeated until it succeeds. A Predict of which a part q of the Learns is valid then
  comes up in proportion to 1 - (1 - q)^16, and among valid programs of `grow` in proportion to q.
  That is nearly the same as long as q is small (it loses 7 % at 0.01, 30 % at 0.05), and favours
  one that is hard to learn. Given Predict, Learn and Setup are distributed as in these.

  Args:
    programs: of which one is grown, as by `grow`.
    i: which.
    space: its tables.
    features: whether a parameter has to follow from the features themselves.
    scratch: room for the analysis.
    stream: what is drawn from.

  Returns:
    Whether the program is a learner, otherwise its Setup may be as before; and how many
    instructions of Predict and Learn it has grown.
  """
  drawn = _grow_searched(programs, i, PREDICT, space, stream)
  if not may_learn(programs, i, space):
    return False, drawn
  for _ in range(_LEARNS):
    drawn += _grow_searched(programs, i, LEARN, space, stream)
    if program_is_valid(programs, i, space, scratch) and (
        not features or follows_features(programs, i, space, scratch)):
      # No other function, and no validity, depends on Setup.
      _grow_searched(programs, i, SETUP, space, stream)
      return True, drawn
  return False, drawn


@inner_kernel
def may_learn(programs: ProgramArrays, i: int, space: Tables) -> bool:
  """Whether the prediction of program i follows from the features and from an earlier value.

  Without that no Learn makes it valid; with it there still may be none.
  """
  read = needed_before(programs, i, PREDICT, bit(space.prediction), space)
  features, label = bit(space.features), bit(space.label)
  return read & features != NO_ADDRESS and read & ~(features | label) != NO_ADDRESS


@inner_kernel
def _grow_searched(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> int:
  """Grows a component function, if search may change it; returns its length, or else 0."""
  if not is_searched(function, space):
    return 0
  if function == PREDICT and is_searched(LEARN, space):
    _randomize(programs, i, LEARN, space, stream)
  length = _randomize(programs, i, function, space, stream)
  first = space.functions[function, START]
  _grow_between(programs, i, function, (first, first + length), space, stream)
  return length


@inner_kernel
def _randomize(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> int:
  """Fills a component function with random instructions, as many as it returns."""
  length = max(1, space.functions[function, MIN_LENGTH])
  while length < space.functions[function, MAX_LENGTH] and pick(stream, 2) == 1:
    length += 1
  first = space.functions[function, START]
  for slot in range(first + length, end_of(programs, i, function, space)):
    empty_slot(programs, i, slot)
  for slot in range(first, first + length):
    write_random(programs, i, slot, function, space, stream)
  return length


@kernel
def regrow_function(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> None:
  """Grows all instructions of a component function anew, for what the others need of it."""
  slots = space.functions[function, START], end_of(programs, i, function, space)
  _grow_between(programs, i, function, slots, space, stream)


@kernel
def regrow_instructions(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> None:
  """Grows one to three instructions anew that follow each other, for what is needed of them."""
  length = function_length(programs, i, function, space)
  if length > 0:
    count = 1 + pick(stream, min(_MOST_REGROWN, length))
    first = space.functions[function, START] + pick(stream, length - count + 1)
    _grow_between(programs, i, function, (first, first + count), space, stream)


@kernel
def rewire(
    programs: ProgramArrays, i: int, function: int, space: Tables, stream: np.ndarray) -> None:
  """Redraws one input of one instruction that is needed; nothing if none is."""
  needed = needed_after(programs, i, function, space)
  chosen = draw_reader(programs, i, function, needed, space, stream)
  if chosen < 0:
    return
  opcode = programs.opcode[i, chosen]
  operand = draw_operand(programs, i, chosen, space, stream)
  address = draw_address(opcode, operand, space, stream)
  if operand:
    programs.in2[i, chosen] = address
  else:
    programs.in1[i, chosen] = address


@inner_kernel
def _grow_between(
    programs: ProgramArrays, i: int, function: int, slots: tuple[int, int], space: Tables,
    stream: np.ndarray) -> None:
  """Grows the instructions in slots, from the first to before the second of two."""
  first, end = slots
  last = end_of(programs, i, function, space)
  needed = needed_between(programs, i, end, last, needed_after(programs, i, function, space), space)
  for slot in range(end - 1, first - 1, -1):
    _write_needed(programs, i, slot, needed, space, stream)
    needed = needed_above(programs, i, slot, needed, space)


@inlined_kernel
def _write_needed(
    programs: ProgramArrays, i: int, slot: int, needed: np.uint64, space: Tables,
    stream: np.ndarray) -> None:
  """Writes an instruction whose output is needed; where no op can write that, a random one."""
  function = 0
  while slot >= space.functions[function, STOP]:
    function += 1
  opcode = draw_writer(function, needed, ANY_OP, space, stream)
  if opcode == NO_OPCODE:
    write_random(programs, i, slot, function, space, stream)
    return
  write_op(programs, i, slot, opcode, space, stream)
  known = needed | _held(function, space)
  target = draw(space.units[opcode, WRITABLE] & needed, stream)
  redirect_output(programs, i, slot, target, space)
  for operand in range(2):
    choices = readable(opcode, operand, space)
    if choices & known != NO_ADDRESS:
      redirect_input(
          programs, i, slot, operand, _draw_input(choices, known, stream), space)


@inlined_kernel
def _draw_input(choices: np.uint64, known: np.uint64, stream: np.ndarray) -> int:
  """Draws an address to read: all that are not known count as three of them, if they are more."""
  preferred, others = choices & known, choices & ~known
  count = size(preferred)
  if pick(stream, count + min(size(others), _MOST_UNKNOWN)) < count:
    return draw(preferred, stream)
  return draw(others, stream)


@inlined_kernel
def _held(function: int, space: Tables) -> np.uint64:
  """The set of addresses that a component function finds filled by the evaluation."""
  if function == SETUP:
    return NO_ADDRESS
  return bit(space.features) if function == PREDICT else given(space)
