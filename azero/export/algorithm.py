"""The one representation that every export is written from: straight-line code and its data flow.

The component functions of section 3.1 of the AutoML-Zero paper, as the evaluation of a search
runs them: live instructions alone, in order, each with the addresses that it reads and writes.
Beside `straight_line.Straight`, which it is made of, it knows where each operand comes from: an
instruction of the same pass, or what memory holds when Predict begins.
"""

from collections.abc import Iterable
import dataclasses
import functools

import numpy as np

from azero.compiler import canonical
from azero.executors.single import straight_line
from azero.executors.single.straight_line import FEATURES, Address
from azero.language import ops as op_table
from azero.language.ops import Constant, Op
from azero.language.program import (
  Function,
  Programs,
  check_num_classes,
  format_instruction,
  format_program,
)


@dataclasses.dataclass(frozen=True)
class Line:
  """One instruction of an algorithm.

  Attributes:
    number: its index among the lines of the algorithm.
    function: its component function.
    op: its op.
    inputs: addresses of its inputs.
    output: the address that it writes.
    constants: as they act: an index as its position, a deviation without its sign.
    position: its index among the live ones; random ops draw by it.
    text: as the program prints it.
    is_live: whether it can reach a prediction.
  """

  number: int
  function: Function
  op: Op
  inputs: tuple[Address, ...]
  output: Address
  constants: tuple[float | int, ...]
  position: int
  text: str
  is_live: bool

  @property
  def reads(self) -> tuple[Address, ...]:
    """What it reads: its inputs, then its output if a part of that stays as it is."""
    return self.inputs + ((self.output,) if self.op.updates_output else ())


# Where an operand comes from: the line that writes it, in the same pass over an example, or the
# address at which the evaluation or an earlier pass has left it.
Origin = int | Address


@dataclasses.dataclass(frozen=True)
class Algorithm:
  """One program for one kind of task.

  Attributes:
    num_features: F, the length of a vector and the side of a matrix.
    num_classes: 0 for regression, 2 for binary, more for multi-class tasks.
    text: the lines of the program, in the paper's notation.
    lines: in the order of Setup, Predict and Learn.
    label: where the evaluation puts the label, zero while Predict runs.
    prediction: where it finds the prediction, and leaves the normalised one for Learn.
    carried: addresses whose value an example passes on to the next one, sorted.
  """

  num_features: int
  num_classes: int
  text: str
  lines: tuple[Line, ...]
  label: Address
  prediction: Address
  carried: tuple[Address, ...]

  def of(self, function: Function) -> tuple[Line, ...]:
    """The lines of one component function."""
    return tuple(line for line in self.lines if line.function is function)

  @property
  def multiclass(self) -> bool:
    """Whether label and prediction are vectors."""
    return self.num_classes > 2

  @property
  def is_random(self) -> bool:
    """Whether some line draws random numbers."""
    return any(line.op.noise is not None for line in self.lines)

  @property
  def addresses(self) -> tuple[Address, ...]:
    """Every address that a line or the evaluation itself reads or writes, sorted."""
    named = {FEATURES, self.label, self.prediction}
    for line in self.lines:
      named |= {line.output, *line.inputs}
    return tuple(sorted(named))

  @functools.cached_property
  def origins(self) -> tuple[tuple[Origin, ...], ...]:
    """For each line where what it reads comes from, in the order of `Line.reads`."""
    origins = []
    writer: dict[Address, int] = {}
    for function in Function:
      if function is Function.PREDICT:
        writer = {}  # what Setup wrote is found in memory
      elif function is Function.LEARN:
        writer.pop(self.prediction, None)  # which the evaluation normalises,
        writer.pop(self.label, None)  # and this it writes
      for line in self.of(function):
        origins.append(tuple(writer.get(address, address) for address in line.reads))
        writer[line.output] = line.number
    return tuple(origins)

  def last_writer(self, address: Address, function: Function) -> Line | None:
    """The line of a component function whose value an address holds at its end."""
    writers = [line for line in self.of(function) if line.output == address]
    return writers[-1] if writers else None


def analyse(
    program: Programs, num_classes: int = 0, *, with_dead: bool = False) -> Algorithm:
  """Analyses one program for a kind of task.

  Args:
    program: a batch of one.
    num_classes: 0 for regression, 2 for binary, more for multi-class tasks, whose prediction
      is v2 and whose label is v1.
    with_dead: whether to keep instructions that cannot reach a prediction.

  Raises:
    ValueError: not exactly one program, a malformed one, or one that does not fit the task.
  """
  _check(program, num_classes)
  multiclass = num_classes > 2
  straight = straight_line.straighten(program, multiclass=multiclass)
  analysis = canonical.analyse(program, multiclass=multiclass)
  shown = analysis.live[0]
  if with_dead:
    shown = program.opcode[0] > op_table.NO_OP
  lines = tuple(
      _line(program, analysis, slot, number)
      for number, slot in enumerate(np.flatnonzero(shown).tolist()))
  return Algorithm(
      program.space.num_features, num_classes, format_program(program), lines,
      straight.label, straight.prediction, straight.carried)


def exposed(lines: Iterable[Line]) -> list[Address]:
  """The addresses that are read before one of these lines writes them, sorted."""
  found: set[Address] = set()
  written: set[Address] = set()
  for line in lines:
    found |= set(line.reads) - written
    written.add(line.output)
  return sorted(found)


def name(address: Address) -> str:
  """An address as the paper writes it: s1, v2, m0."""
  return f"{address.kind.letter}{address.number}"


def _check(program: Programs, num_classes: int) -> None:
  if not isinstance(program, Programs):
    raise ValueError(
        f"An export needs Programs, got {type(program).__name__}; azero.parse(text) reads the "
        "text of one.")
  if len(program) != 1:
    raise ValueError(
        f"One program at a time is exported, got {len(program)}; choose one: programs[i].")
  check_num_classes(num_classes)
  if num_classes > 2 and num_classes > program.space.num_features:
    raise ValueError(
        f"{num_classes} classes need at least as many features, since label and prediction are "
        f"vectors; the program has F = {program.space.num_features}: "
        f"program.with_features({num_classes}).")


def _line(program: Programs, analysis: canonical.Analysis, slot: int, number: int) -> Line:
  op = op_table.op_by_id(int(program.opcode[0, slot]))
  assert op.output is not None
  inputs = tuple(
      Address(kind, int(address[0, slot]))
      for kind, address in zip(op.inputs, (program.in1, program.in2)))
  return Line(
      number, Function(program.space.function_of_slot[slot]), op, inputs,
      Address(op.output, int(program.out[0, slot])),
      tuple(_acting(float(value), meaning, program.space.num_features)
            for meaning, value in zip(op.constants, program.constants[0, slot])),
      int(analysis.position[0, slot]), format_instruction(program, slot),
      bool(analysis.live[0, slot]))


def _acting(value: float, meaning: Constant, num_features: int) -> float | int:
  """A constant as it acts."""
  if meaning is Constant.INDEX:
    return int(value * num_features)
  return abs(value) if meaning is Constant.STD else value
