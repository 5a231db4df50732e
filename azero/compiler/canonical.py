"""The canonical key of a program: same key, same behaviour.

Two programs get one key if they differ only in dead instructions, in the names of
addresses or in the order of the operands of a commutative op. The key therefore never
looks at an address. It describes every live instruction by its op, its constants and
*which instructions its operands can come from*:

- inside a component function an operand comes from the last instruction above that
  writes its address;
- otherwise it was there when the component function started, and then only the last
  writes in Setup, Predict and Learn matter, because the order of execution (Setup,
  then Predict and Learn in turn, then Predict alone) decides which of them was latest.

Instructions are named by their position among the live ones, which is also what random
ops draw by, so that programs of one key draw the same numbers.
"""

from typing import NamedTuple

import numpy as np

from azero.compiler.arrays import (
  COMMUTATIVE,
  IN1,
  IN2,
  INDEX,
  MEANING,
  NUM_CONSTANTS,
  OLD,
  STD,
  ProgramArrays,
  Scratch,
  Tables,
  arrays,
  scratch,
  tables,
)
from azero.compiler.kernels import inlined_kernel, inner_kernel, kernel
from azero.compiler.liveness import mark_live
from azero.compiler.sources import trace
from azero.language.program import Programs

# Random odd multipliers, for each half of the key: of the fields of an instruction, of its
# constants, and of the prediction.
_Multipliers = tuple[np.uint64, ...]
_FIRST, _SECOND = (
    tuple(row) for row in
    np.random.default_rng(0x5EED).integers(0, 2**64, (2, 8), np.uint64) | np.uint64(1))
_REFINEMENTS = 4  # of colours: the longest path that tells two instructions apart


class Analysis(NamedTuple):
  """What static analysis says of a batch of N programs.

  Attributes:
    live: [N, L] bool, instructions that can reach a prediction.
    position: [N, L] int32, index among the live instructions; 0 where not live.
    key: [N, 2] uint64, the canonical key.
  """

  live: np.ndarray
  position: np.ndarray
  key: np.ndarray

  @classmethod
  def empty(cls, num_programs: int, num_slots: int) -> "Analysis":
    """Room for the analysis of N programs of L slots."""
    shape = num_programs, num_slots
    return cls(
        np.zeros(shape, np.bool_), np.zeros(shape, np.int32),
        np.zeros((num_programs, 2), np.uint64))

  def take(self, rows: np.ndarray | slice) -> "Analysis":
    """The analysis of these programs of the batch."""
    return Analysis(*(array[rows] for array in self))


def analyse(programs: Programs, *, multiclass: bool = False) -> Analysis:
  """Liveness and canonical keys of a batch.

  Args:
    programs: N programs.
    multiclass: whether the prediction is v2 and the label v1.

  Returns:
    The analysis of all N programs.
  """
  space = programs.space
  analysis = Analysis.empty(len(programs), space.num_slots)
  _analyse_all(arrays(programs), tables(space, multiclass), analysis, scratch(space))
  return analysis


def structures(programs: Programs, *, multiclass: bool = False) -> np.ndarray:
  """What programs are but for their constants and the order of independent instructions.

  Args:
    programs: N programs.
    multiclass: whether the prediction is v2 and the label v1.

  Returns:
    [N] uint64, see `structure_of`.
  """
  space = programs.space
  analysis = Analysis.empty(1, space.num_slots)
  result = np.zeros(len(programs), np.uint64)
  _structures_of_all(
      arrays(programs), tables(space, multiclass), analysis, scratch(space), result)
  return result


@kernel
def _structures_of_all(
    programs: ProgramArrays, tables: Tables, analysis: Analysis, scratch: Scratch,
    result: np.ndarray) -> None:
  for i in range(len(result)):
    predicted = analyse_program(programs, i, tables, analysis, 0, scratch)
    result[i] = structure_of(programs, i, tables, predicted, scratch)


@kernel
def _analyse_all(
    programs: ProgramArrays, tables: Tables, analysis: Analysis, scratch: Scratch) -> None:
  for i in range(len(analysis.key)):
    analyse_program(programs, i, tables, analysis, i, scratch)


@inner_kernel
def analyse_program(
    programs: ProgramArrays, i: int, tables: Tables, analysis: Analysis, row: int, scratch: Scratch
) -> np.uint64:
  """Fills a row of an analysis with that of program i, and returns as `trace` does."""
  live = analysis.live[row]
  mark_live(programs, i, tables, live, scratch)
  predicted = trace(programs, i, tables, live, scratch)
  opcodes, constants, position = programs.opcode, programs.constants, analysis.position
  ops, slots, words = tables.ops, scratch.slot, scratch.words
  position[row] = 0
  first, second = mix(predicted * _FIRST[7]), mix(predicted * _SECOND[7])
  for function in range(3):
    for k in range(scratch.start[function], scratch.start[function + 1]):
      slot = slots[k]
      position[row, slot] = k
      opcode = np.int64(opcodes[i, slot])
      in1, in2, old = words[k, IN1], words[k, IN2], words[k, OLD]
      if ops[opcode, COMMUTATIVE] and in1 > in2:
        in1, in2 = in2, in1
      head = np.uint64(opcode << 32 | k << 8 | function)
      one = _hash(head, in1, in2, old, _FIRST)
      two = _hash(head, in1, in2, old, _SECOND)
      if ops[opcode, NUM_CONSTANTS]:
        c0 = _bits(constants[i, slot, 0], ops[opcode, MEANING], tables.num_features)
        c1 = _bits(constants[i, slot, 1], ops[opcode, MEANING + 1], tables.num_features)
        c2 = _bits(constants[i, slot, 2], ops[opcode, MEANING + 2], tables.num_features)
        one += mix(_hash_constants(c0, c1, c2, _FIRST))
        two += mix(_hash_constants(c0, c1, c2, _SECOND))
      first += mix(one)
      second += mix(two)
  analysis.key[row, 0], analysis.key[row, 1] = first, second
  return predicted


@inner_kernel
def structure_of(
    programs: ProgramArrays, i: int, tables: Tables, predicted: np.uint64, scratch: Scratch
) -> np.uint64:
  """The structure of program i, that was traced last: its data flow without constants or order.

  Every live instruction gets a colour, by its op at first, then again and again by the colours of
  where its operands come from (Weisfeiler and Lehman): programs that differ in the order of
  independent instructions have equal structures, and different ones differ but for rare symmetries.

  Args:
    programs: of the batch.
    i: which.
    tables: of the space.
    predicted: the source of its prediction, as `trace` returned it.
    scratch: as `trace` left it.
  """
  ops, words, old, new = tables.ops, scratch.words, scratch.colors[0], scratch.colors[1]
  count = scratch.start[3]
  for k in range(count):
    opcode = np.int64(programs.opcode[i, scratch.slot[k]])
    function = (k >= scratch.start[1]) + (k >= scratch.start[2])
    old[k] = mix(np.uint64(opcode << 8 | function) * _FIRST[0])
  for _ in range(_REFINEMENTS):
    for k in range(count):
      in1, in2 = _color_of(words[k, IN1], old), _color_of(words[k, IN2], old)
      if ops[programs.opcode[i, scratch.slot[k]], COMMUTATIVE] and in1 > in2:
        in1, in2 = in2, in1
      new[k] = mix(_hash(old[k], in1, in2, _color_of(words[k, OLD], old), _FIRST))
    for k in range(count):
      old[k] = new[k]
  structure = mix(_color_of(predicted, old))
  for k in range(count):
    structure += mix(old[k])
  return structure


@inlined_kernel
def _color_of(source: np.uint64, colors: np.ndarray) -> np.uint64:
  """A word from the kind of a source and the colours of the instructions that it may be."""
  word = (source >> np.uint64(48)) * _SECOND[0]
  for part in range(3):
    position = np.int64(source >> np.uint64(16 * part) & np.uint64(0xFFFF))
    color = colors[position - 1] if position > 0 else np.uint64(0)
    word = _join(word, color * _SECOND[1])
  return mix(word)


@inlined_kernel
def _bits(value: float, meaning: int, num_features: int) -> np.uint64:
  """The bits of a constant as it acts: an index as its position, a deviation without its sign."""
  if meaning == INDEX:
    value = np.floor(value * num_features)
  elif meaning == STD:
    value = abs(value)
  return np.float64(value).view(np.uint64)


@inlined_kernel
def _hash(
    head: np.uint64, in1: np.uint64, in2: np.uint64, old: np.uint64, multipliers: _Multipliers
) -> np.uint64:
  """One word from the fields of an instruction."""
  word = _join(head * multipliers[0], in1 * multipliers[1])
  return _join(_join(word, in2 * multipliers[2]), old * multipliers[3])


@inlined_kernel
def _hash_constants(
    first: np.uint64, second: np.uint64, third: np.uint64, multipliers: _Multipliers
) -> np.uint64:
  """One word from the bits of three constants."""
  word = _join(first * multipliers[4], second * multipliers[5])
  return _join(word, third * multipliers[6])


@inlined_kernel
def _join(word: np.uint64, product: np.uint64) -> np.uint64:
  """Rotated between products, so that no field cancels another."""
  return (word << np.uint64(23) | word >> np.uint64(41)) + product


@inlined_kernel
def mix(word: np.uint64) -> np.uint64:
  """Finaliser of splitmix64: every bit of the input reaches every bit of the result."""
  word ^= word >> np.uint64(30)
  word *= np.uint64(0xBF58476D1CE4E5B9)
  word ^= word >> np.uint64(27)
  word *= np.uint64(0x94D049BB133111EB)
  return word ^ word >> np.uint64(31)
