"""Programs taken apart, changed and put together again: what knock-outs are made of.

Supplement S8 of the AutoML-Zero paper removes sections of code from an algorithm, or inserts them
into another, and looks at what that does to the accuracy. Here a program is a tuple of
instructions for each component function, and a change is an `Edit` of one of them. Constants that
an edit needs are written by new instructions at the start of Setup, to addresses that the program
does not use.
"""

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
from typing import NamedTuple

from azero.language import ops as op_table
from azero.language.ops import Constant, Kind, Op
from azero.language.program import (
  EMPTY,
  FEATURES_VECTOR,
  LABEL_SCALAR,
  LABEL_VECTOR,
  MAX_ADDRESSES,
  PREDICTION_SCALAR,
  PREDICTION_VECTOR,
  Component,
  Function,
  Programs,
  SearchSpace,
)

# What edits and simplification may put into any program, by the kinds of memory that it needs.
HELPERS = {
    Kind.SCALAR: ("scalar_constant", "scalar_sum"), Kind.VECTOR: ("vector_broadcast", "vector_sum"),
    Kind.MATRIX: ("column_broadcast", "matrix_sum")}


class Line(NamedTuple):
  """One instruction: its op, the addresses that it writes and reads, and its constants."""

  op: Op
  output: int
  inputs: tuple[int, ...]
  constants: tuple[float, ...]


Code = tuple[tuple[Line, ...], ...]  # of Setup, Predict and Learn


class At(NamedTuple):
  """Where an instruction stands: its component function, and its number there from 1."""

  function: Function
  line: int


class Typical(NamedTuple):
  """The mean of what an instruction writes in the first training examples, once observed."""

  at: At


Value = float | Typical


class Spot(NamedTuple):
  """A constant that may be tuned: of which instruction, its number there, and its value."""

  at: At
  number: int
  value: float


@dataclasses.dataclass(frozen=True)
class Drop:
  """The instruction is taken out; its readers find what was at its address before."""

  at: At


@dataclasses.dataclass(frozen=True)
class Copy:
  """The instruction hands on one of its operands, of the kind of its output, as it is."""

  at: At
  operand: int


@dataclasses.dataclass(frozen=True)
class Hold:
  """The instruction writes a constant, in every element."""

  at: At
  value: Value


@dataclasses.dataclass(frozen=True)
class Read:
  """The instruction reads a constant, in every element, in place of one of its operands."""

  at: At
  operand: int
  value: Value


Edit = Drop | Copy | Hold | Read


def take_apart(program: Programs) -> Code:
  """The instructions of one program, dead ones too.

  Raises:
    ValueError: not exactly one program, or a malformed one.
  """
  if len(program) != 1:
    raise ValueError(f"One program is changed at a time; got {len(program)}.")
  program.validate()
  return tuple(
      tuple(_line(program, slot) for slot in range(program.space.num_slots)[
          program.space.slots(function)] if program.opcode[0, slot] != EMPTY)
      for function in Function)


def assemble(codes: Sequence[Code], space: SearchSpace) -> Programs:
  """Programs of a space, one for each code.

  Raises:
    ValueError: a code does not fit the space.
  """
  programs = Programs.empty(space, len(codes))
  for row, code in enumerate(codes):
    for function, lines in zip(Function, code):
      if len(lines) > space.components[function].max_length:
        raise ValueError(
            f"{function.name.title()} has {len(lines)} instructions, the space has room for "
            f"{space.components[function].max_length}.")
      for slot, line in enumerate(lines, start=space.offsets[function]):
        programs.opcode[row, slot] = line.op.id
        programs.out[row, slot] = line.output
        for array, address in zip((programs.in1, programs.in2), line.inputs):
          array[row, slot] = address
        programs.constants[row, slot, : len(line.constants)] = line.constants
  return programs.validate()


def space_of(
    codes: Sequence[Code], num_features: int, *, multiclass: bool = False,
    least: SearchSpace | None = None, helpers: bool = False, spare: int = 0,
) -> SearchSpace:
  """A space that holds some codes.

  Args:
    codes: N codes.
    num_features: F.
    multiclass: whether label and prediction are vectors.
    least: a space whose programs it must hold, too.
    helpers: whether it has the ops of `HELPERS`, and all of its ops in each function.
    spare: further addresses of each kind that is used, and further instructions.

  Raises:
    ValueError: more addresses than a space may have.
  """
  sizes = [2, PREDICTION_VECTOR + 1 if multiclass else 1, 0]
  for code in codes:
    for kind, address in _addresses(code):
      sizes[kind] = max(sizes[kind], address + 1)
  sizes = [size + spare if size else 0 for size in sizes]
  lengths = [max(len(code[f]) for code in codes) + spare for f in Function]
  ops = [{line.op.id for code in codes for line in code[f]} for f in Function]
  if least is not None:
    sizes = [max(pair) for pair in zip(sizes, least.num_addresses)]
    lengths = [max(n, part.max_length) for n, part in zip(lengths, least.components)]
    ops = [own | set(part.ops) for own, part in zip(ops, least.components)]
  if helpers:
    names = [name for kind in Kind if sizes[kind] for name in HELPERS[kind]]
    every = {op_table.op_by_name(name).id for name in names}.union(*ops)
    ops = [every] * 3  # an executor is made for all of them, wherever they stand
  if sum(sizes) > MAX_ADDRESSES:
    raise ValueError(
        f"The program and what is changed in it need {sum(sizes)} addresses, more than the "
        f"{MAX_ADDRESSES} that a space may have; take unused instructions out of it.")
  return SearchSpace(
      sizes[0], sizes[1], sizes[2], num_features,
      *(Component(tuple(own), length) for own, length in zip(ops, lengths)))


def fits(code: Code, space: SearchSpace) -> bool:
  """Whether a space holds a code."""
  return all(
      len(lines) <= part.max_length and {line.op.id for line in lines} <= set(part.ops)
      for lines, part in zip(code, space.components)
  ) and all(address < space.num_addresses[kind] for kind, address in _addresses(code))


def apply(
    code: Code, edits: Sequence[Edit], *, typical: Mapping[At, float] | None = None,
    multiclass: bool = False,
) -> Code:
  """The code with edits, each of another place of the original.

  Args:
    code: of one program.
    edits: what to change.
    typical: the values that `Typical` stands for.
    multiclass: whether label and prediction are vectors.

  Raises:
    ValueError: an edit of an instruction or operand that is not there, or a copy of an operand
      of another kind than the output.
    KeyError: a typical value is not known.
  """
  room = _Room(code, typical or {}, multiclass)
  lines: list[list[Line | None]] = [list(part) for part in code]
  for edit in edits:
    function, number = edit.at
    if not 1 <= number <= len(lines[function]):
      raise ValueError(
          f"There is no instruction {number} in {function.name.title()}, which has "
          f"{len(lines[function])}.")
    line = lines[function][number - 1]
    if line is not None:
      lines[function][number - 1] = _edited(line, edit, room)
  parts = [tuple(line for line in part if line is not None) for part in lines]
  return (tuple(room.prologue) + parts[0], *parts[1:])


def spots(code: Code) -> list[Spot]:
  """The constants of a code but its indices, in order."""
  return [
      Spot(At(function, k), number, value)
      for function, lines in zip(Function, code) for k, line in enumerate(lines, start=1)
      for number, (value, meaning) in enumerate(zip(line.constants, line.op.constants))
      if meaning is not Constant.INDEX]


def with_constants(code: Code, values: Mapping[Spot, float]) -> Code:
  """The code with other constants."""
  lines = [list(part) for part in code]
  for (at, number, _), value in values.items():
    line = lines[at.function][at.line - 1]
    constants = list(line.constants)
    constants[number] = value
    lines[at.function][at.line - 1] = line._replace(constants=tuple(constants))
  return tuple(map(tuple, lines))


def fresh_addresses(code: Code, *, multiclass: bool = False) -> dict[Kind, int]:
  """Of each kind the first address behind all that the code or the evaluation uses."""
  used = set(_addresses(code)) | {
      (Kind.SCALAR, LABEL_SCALAR), (Kind.SCALAR, PREDICTION_SCALAR), (Kind.VECTOR, FEATURES_VECTOR)}
  if multiclass:
    used |= {(Kind.VECTOR, LABEL_VECTOR), (Kind.VECTOR, PREDICTION_VECTOR)}
  return {
      kind: 1 + max((address for other, address in used if other is kind), default=-1)
      for kind in Kind}


class _Room:
  """Addresses that a code does not use, and what is written to them at the start of Setup."""

  def __init__(self, code: Code, typical: Mapping[At, float], multiclass: bool):
    self._next = fresh_addresses(code, multiclass=multiclass)
    self._typical = typical
    self._constants: dict[tuple[Kind, float], int] = {}
    self.prologue: list[Line] = []

  def value(self, value: Value) -> float:
    """A value as a number."""
    return float(self._typical[value.at] if isinstance(value, Typical) else value)

  def constant(self, kind: Kind, value: float) -> int:
    """An address that holds a constant in every element; for 0 one that nothing writes."""
    key = (kind, value)
    if key not in self._constants:
      line = None if value == 0 else self.filled(kind, -1, value)
      address = self._next[kind]
      self._next[kind] += 1
      self._constants[key] = address
      if line is not None:
        self.prologue.append(line._replace(output=address))
    return self._constants[key]

  def filled(self, kind: Kind, output: int, value: float) -> Line:
    """An instruction that writes a constant into every element of its output."""
    if kind is Kind.SCALAR:
      return Line(op_table.op_by_name("scalar_constant"), output, (), (value,))
    name = "vector_broadcast" if kind is Kind.VECTOR else "column_broadcast"
    lower = Kind(kind - 1)
    return Line(op_table.op_by_name(name), output, (self.constant(lower, value),), ())

  def copied(self, kind: Kind, output: int, source: int) -> Line:
    """An instruction that copies: the sum with zero."""
    op = op_table.op_by_name(HELPERS[kind][1])
    return Line(op, output, (source, self.constant(kind, 0.0)), ())


def _edited(line: Line, edit: Edit, room: _Room) -> Line | None:
  op = line.op
  assert op.output is not None
  if isinstance(edit, Drop):
    return None
  if isinstance(edit, Hold):
    return room.filled(op.output, line.output, room.value(edit.value))
  if not 0 <= edit.operand < len(op.inputs):
    raise ValueError(f"{op.name} has {len(op.inputs)} inputs, there is none {edit.operand}.")
  kind = op.inputs[edit.operand]
  if isinstance(edit, Copy):
    if kind is not op.output:
      raise ValueError(
          f"{op.name} cannot hand on a {kind.name.lower()}: it writes a {op.output.name.lower()}.")
    return room.copied(kind, line.output, line.inputs[edit.operand])
  inputs = list(line.inputs)
  inputs[edit.operand] = room.constant(kind, room.value(edit.value))
  return line._replace(inputs=tuple(inputs))


def _line(program: Programs, slot: int) -> Line:
  op = op_table.op_by_id(int(program.opcode[0, slot]))
  inputs = (int(program.in1[0, slot]), int(program.in2[0, slot]))[: len(op.inputs)]
  constants = program.constants[0, slot, : len(op.constants)].tolist()
  return Line(op, int(program.out[0, slot]), inputs, tuple(constants))


def _addresses(code: Code) -> Iterator[tuple[Kind, int]]:
  """Every address that a code names."""
  for lines in code:
    for line in lines:
      if line.op.output is not None:
        yield line.op.output, line.output
      yield from zip(line.op.inputs, line.inputs)
