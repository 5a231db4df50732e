"""Rewritings of a program that its data flow allows: instructions out, in order, under new names.

Supplement S6 of the AutoML-Zero paper tells how raw evolved code becomes the algorithm of figure 6:
instructions are removed and reordered, and addresses are renamed. Here each rewriting is a function
of a program's instructions; none of them is measured. `simplification` decides which ones to take.
"""

from collections.abc import Iterator
import dataclasses
import itertools

from azero.compiler import canonical, liveness
from azero.insight import surgery
from azero.insight.flow import Flow
from azero.insight.surgery import At, Code, Line
from azero.language import ops as op_table
from azero.language.ops import Kind
from azero.language.program import (
  FEATURES_VECTOR,
  LABEL_SCALAR,
  LABEL_VECTOR,
  PREDICTION_SCALAR,
  PREDICTION_VECTOR,
  Function,
  Programs,
)


@dataclasses.dataclass(frozen=True)
class Subject:
  """A program being rewritten, without dead instructions.

  Attributes:
    code: its instructions.
    program: the same as a batch of one, in the smallest space.
    multiclass: whether its task is multi-class.
  """

  code: Code
  program: Programs
  multiclass: bool

  @property
  def num_instructions(self) -> int:
    """Instructions of all component functions."""
    return sum(map(len, self.code))

  @property
  def size(self) -> tuple[int, float]:
    """What simplification makes smaller: instructions, then the cost of an example."""
    features = self.program.space.num_features
    return self.num_instructions, sum(
        line.op.cost(features) for lines in self.code[1:] for line in lines)

  @property
  def key(self) -> tuple[int, ...]:
    """The canonical key."""
    analysis = canonical.analyse(self.program, multiclass=self.multiclass)
    return tuple(analysis.key[0].tolist())


def subject(code: Code, num_features: int, *, multiclass: bool) -> Subject:
  """A code without its dead instructions."""
  program = _assembled(code, num_features, multiclass)
  [live] = liveness.live_instructions(program, multiclass=multiclass)
  kept = tuple(
      tuple(line for slot, line in enumerate(lines, start=program.space.offsets[function])
            if live[slot]) for function, lines in zip(Function, code))
  return Subject(kept, _assembled(kept, num_features, multiclass), multiclass)


def redirections(subject: Subject) -> Iterator[tuple[At, str, Code]]:
  """Instructions left out whose readers read something else: where, what, and what is left.

  They read an operand of the instruction, what an instruction like it has written before, or zero.
  """
  flow = Flow(subject.program, multiclass=subject.multiclass)
  fresh = surgery.fresh_addresses(subject.code, multiclass=subject.multiclass)
  lines = [line for part in subject.code for line in part]
  twins = _twins(flow, lines)
  for number, (at, line) in enumerate(zip(_places(subject.code), lines)):
    kind = line.op.output
    assert kind is not None
    addresses = {address for other, address in zip(line.op.inputs, line.inputs) if other is kind}
    addresses |= {lines[twin].output for twin in twins.get(number, ())}
    for address in (*sorted(addresses), fresh[kind]):
      left = _redirected(subject, flow, number, address, is_fixed=address == fresh[kind])
      if left is not None:
        shown = "zero" if address == fresh[kind] else f"{kind.letter}{address}"
        yield at, f"left out; its readers read {shown}", left


def hoists(subject: Subject) -> Iterator[tuple[At, str, Code]]:
  """Constants of the loop written in Setup."""
  flow = Flow(subject.program, multiclass=subject.multiclass)
  fresh = surgery.fresh_addresses(subject.code, multiclass=subject.multiclass)[Kind.SCALAR]
  for number, (at, line) in enumerate(
      zip(_places(subject.code), itertools.chain(*subject.code))):
    if at.function is Function.SETUP or not is_constant(line):
      continue
    left = _redirected(subject, flow, number, fresh, is_fixed=True)
    if left is not None:
      setup = (*left[0], line._replace(output=fresh))
      yield at, "moved to Setup", (setup, *left[1:])


def reordered(code: Code) -> Code:
  """The code with related instructions close to each other.

  The order of two instructions stays if one reads or writes what the other writes. Instructions
  that draw random numbers keep their places, by which they draw, and so do not pass others.
  """
  return tuple(tuple(_reordered(list(lines))) for lines in code)


def renamed(code: Code, *, multiclass: bool) -> Code:
  """The code with addresses numbered in the order in which they are first named."""
  names: dict[tuple[Kind, int], int] = {
      address: address[1] for address in _reserved(multiclass)}
  free = {kind: itertools.count() for kind in Kind}

  def name(kind: Kind, address: int) -> int:
    if (kind, address) not in names:
      taken = {number for (other, _), number in names.items() if other is kind}
      names[kind, address] = next(number for number in free[kind] if number not in taken)
    return names[kind, address]

  def rename(line: Line) -> Line:
    assert line.op.output is not None
    inputs = tuple(name(kind, address) for kind, address in zip(line.op.inputs, line.inputs))
    return line._replace(output=name(line.op.output, line.output), inputs=inputs)

  return tuple(tuple(map(rename, lines)) for lines in code)


def _places(code: Code) -> list[At]:
  return [
      At(function, k) for function, lines in zip(Function, code)
      for k in range(1, len(lines) + 1)]


def _assembled(code: Code, num_features: int, multiclass: bool) -> Programs:
  space = surgery.space_of([code], num_features, multiclass=multiclass)
  return surgery.assemble([code], space)


def _prediction(multiclass: bool) -> tuple[Kind, int]:
  return (Kind.VECTOR, PREDICTION_VECTOR) if multiclass else (Kind.SCALAR, PREDICTION_SCALAR)


def _label(multiclass: bool) -> tuple[Kind, int]:
  return (Kind.VECTOR, LABEL_VECTOR) if multiclass else (Kind.SCALAR, LABEL_SCALAR)


def _reserved(multiclass: bool) -> list[tuple[Kind, int]]:
  """The addresses that have a meaning to the evaluation."""
  fixed = [(Kind.VECTOR, FEATURES_VECTOR), (Kind.SCALAR, LABEL_SCALAR)]
  return [*fixed, _label(multiclass), _prediction(multiclass)]


def _twins(flow: Flow, lines: list[Line]) -> dict[int, list[int]]:
  """For each instruction those before it that compute the same."""
  seen: dict[tuple, list[int]] = {}
  found: dict[int, list[int]] = {}
  for number, line in enumerate(lines):
    if line.op.noise is not None:
      continue
    instruction = flow.instructions[number]
    same = (instruction.function, line.op.id, line.constants, instruction.operands)
    found[number] = list(seen.setdefault(same, []))
    seen[same].append(number)
  return found


def _redirected(
    subject: Subject, flow: Flow, number: int, address: int, *, is_fixed: bool) -> Code | None:
  """The code without an instruction whose readers read an address; None where that is another.

  A fixed address is one that nothing in the loop writes. Another one must hold, until it is read,
  what it held where the instruction stood.
  """
  lines = [line for part in subject.code for line in part]
  kind = lines[number].op.output
  assert kind is not None
  if number in flow.predicted.writers:
    return None
  target = kind, address
  changed = list(lines)
  for reader, instruction in enumerate(flow.instructions):
    for operand, source in enumerate(instruction.operands):
      if number not in source.writers:
        continue
      alone = source.writers == (number,) and not source.is_data
      if not alone or operand >= len(instruction.op.inputs):
        return None
      if not is_fixed and not _holds(subject, flow, number, reader, target):
        return None
      inputs = list(changed[reader].inputs)
      inputs[operand] = address
      changed[reader] = changed[reader]._replace(inputs=tuple(inputs))
  parts = iter([None if k == number else line for k, line in enumerate(changed)])
  return tuple(
      tuple(line for line in itertools.islice(parts, len(part)) if line is not None)
      for part in subject.code)


def _holds(
    subject: Subject, flow: Flow, number: int, reader: int, target: tuple[Kind, int]) -> bool:
  """Whether an address holds at a reader what it held at an instruction of the same pass."""
  lines = [line for part in subject.code for line in part]
  written = [(line.op.output, line.output) for line in lines]
  first, last = flow.instructions[number].function, flow.instructions[reader].function
  if first is Function.SETUP and last is not Function.SETUP:
    return target not in written[number:] and target not in _reserved(subject.multiclass)
  if reader <= number or (first is not last and target in (
      _label(subject.multiclass), _prediction(subject.multiclass))):
    return False
  return target not in written[number:reader]


def _reordered(lines: list[Line]) -> list[Line]:
  """The instructions of a component function in a better order."""
  best = _spread(lines)
  improved = True
  while improved:
    improved = False
    for start in range(len(lines)):
      for moved in _moves(lines, start):
        spread = _spread(moved)
        if spread < best:
          lines, best, improved = moved, spread, True
          break
  return lines


def _moves(lines: list[Line], start: int) -> Iterator[list[Line]]:
  """The orders in which one instruction has passed others that do not depend on it."""
  if lines[start].op.noise is not None:
    return
  for step in (-1, 1):
    moved, at = list(lines), start
    while 0 <= at + step < len(moved) and _independent(moved[at], moved[at + step]):
      moved[at], moved[at + step] = moved[at + step], moved[at]
      at += step
      yield list(moved)


def _independent(one: Line, other: Line) -> bool:
  """Whether two neighbours may change places."""
  if one.op.noise is not None or other.op.noise is not None:
    return False
  touched = [
      {*zip(line.op.inputs, line.inputs), (line.op.output, line.output)} for line in (one, other)]
  return (one.op.output, one.output) not in touched[1] and (
      other.op.output, other.output) not in touched[0]


def _spread(lines: list[Line]) -> int:
  """How far values travel, in instructions."""
  total = 0
  written: dict[tuple[Kind | None, int], int] = {}
  for k, line in enumerate(lines):
    total += sum(
        k - written[address] for address in zip(line.op.inputs, line.inputs) if address in written)
    written[line.op.output, line.output] = k
  return total


def is_constant(line: Line) -> bool:
  """Whether an instruction writes a number that stands in it."""
  return line.op is op_table.op_by_name("scalar_constant")
