"""Programs that do the same under other names, in another order, with operands swapped."""

import numpy as np

from azero.insight import surgery
from azero.insight.surgery import Code, Line
from azero.language.ops import Constant, Kind
from azero.language.program import Function, Programs

Moved = list[list[int]]  # for each component function, which line of the original stands where


def renamed(code: Code, rng: np.random.Generator, *, multiclass: bool) -> Code:
  """The code with its addresses permuted, but those with a fixed meaning."""
  fixed = {(Kind.VECTOR, 0), (Kind.SCALAR, 0), (Kind.SCALAR, 1)}
  fixed |= {(Kind.VECTOR, 1), (Kind.VECTOR, 2)} if multiclass else set()
  names = {}
  for kind in Kind:
    used = {
        address for lines in code for line in lines
        for other, address in [*zip(line.op.inputs, line.inputs), (line.op.output, line.output)]
        if other is kind}
    free = sorted(address for address in used if (kind, address) not in fixed)
    names |= {(kind, address): address for address in used}
    names |= {(kind, old): int(new) for old, new in zip(free, rng.permutation(free))}

  def rename(line: Line) -> Line:
    return line._replace(
        output=names[line.op.output, line.output],
        inputs=tuple(names[each] for each in zip(line.op.inputs, line.inputs)))

  return tuple(tuple(map(rename, lines)) for lines in code)


def swapped(code: Code) -> Code:
  """The code with the operands of every commutative op swapped."""
  return tuple(
      tuple(line._replace(inputs=line.inputs[::-1]) if line.op.commutative else line
            for line in lines) for lines in code)


def rescaled(code: Code, factor: float) -> Code:
  """The code with every constant but indices multiplied."""
  return tuple(
      tuple(line._replace(constants=tuple(
          value if meaning is Constant.INDEX else value * factor
          for value, meaning in zip(line.constants, line.op.constants))) for line in lines)
      for lines in code)


def shuffled(code: Code, rng: np.random.Generator) -> tuple[Code, Moved]:
  """The code with neighbours that do not depend on each other exchanged, at random."""
  lines = [list(part) for part in code]
  moved = [list(range(len(part))) for part in code]
  for function in Function:
    part = lines[function]
    for k in rng.integers(0, max(1, len(part) - 1), 20 * len(part)).tolist():
      if k + 1 < len(part) and not _touch(part[k], part[k + 1]):
        for each in (part, moved[function]):
          each[k], each[k + 1] = each[k + 1], each[k]
  return tuple(map(tuple, lines)), moved


def mutated(code: Code, rng: np.random.Generator) -> Code:
  """The code after some random changes: a line gone, doubled, reading or writing elsewhere."""
  lines = [list(part) for part in code]
  for _ in range(rng.integers(1, 5)):
    part = lines[rng.integers(3)]
    if not part:
      continue
    k, change = int(rng.integers(len(part))), rng.integers(4)
    line = part[k]
    if change == 0 and len(part) > 1:
      part.pop(k)
    elif change == 1:
      part.insert(int(rng.integers(len(part) + 1)), line)
    elif change == 2 and line.inputs:
      operand = int(rng.integers(len(line.inputs)))
      inputs = list(line.inputs)
      inputs[operand] = int(rng.integers(max(inputs) + 2))
      part[k] = line._replace(inputs=tuple(inputs))
    else:
      part[k] = line._replace(output=1 + int(rng.integers(line.output + 2)))
  return tuple(map(tuple, lines))


def program(code: Code, num_features: int, *, multiclass: bool) -> Programs:
  """A batch of one."""
  return surgery.assemble(
      [code], surgery.space_of([code], num_features, multiclass=multiclass))


def _touch(one: Line, other: Line) -> bool:
  writes = [(line.op.output, line.output) for line in (one, other)]
  reads = [set(zip(line.op.inputs, line.inputs)) for line in (one, other)]
  return writes[0] == writes[1] or writes[0] in reads[1] or writes[1] in reads[0]
