"""Tournament and mutation of one child after another, in plain Python.

Written from section 3.2 and S3 of the AutoML-Zero paper. It shares the op table and the order
of random numbers with the search, and nothing else. A program is a list of three component
functions, those are lists of instructions [op, in1, in2, out, [c0, c1, c2]].
"""

from collections.abc import Sequence

from reference.draws import Stream

from azero.language import ops as op_table
from azero.language.ops import Constant, Kind
from azero.language.program import SearchSpace

FIRST_WRITABLE = {Kind.SCALAR: 1, Kind.VECTOR: 1, Kind.MATRIX: 0}

Program = list[list[list]]


def tournament(fitnesses: Sequence[float], contestants: int, stream: Stream) -> int:
  """The index of the winner among programs from oldest to youngest, the oldest removed."""
  drawn = [stream.pick(len(fitnesses)) for _ in range(contestants)]
  return max(drawn, key=lambda index: fitnesses[index])  # the first of the fittest


def copied(program: Program) -> Program:
  """A copy that shares no list with the program."""
  return [[[*line[:4], list(line[4])] for line in body] for body in program]


class Breeder:
  """Makes random programs of a space, and mutates programs.

  Attributes:
    mutation: the last action that was drawn; "copy" if there was none.
  """

  def __init__(self, space: SearchSpace, actions: Sequence[str], probability: float):
    self.space = space
    self.actions = actions
    self.probability = probability
    self.mutation = "copy"
    self.searched = [
        f for f, component in enumerate(space.components)
        if component.searched and component.ops and component.max_length]

  def random_program(self, given: Program, stream: Stream) -> Program:
    """Random instructions wherever search may change a program, else what is given."""
    program = copied(given)
    for f in self.searched:
      program[f] = [
          self.random_instruction(f, stream) for _ in range(self.space.components[f].max_length)]
    return program

  def mutate(self, parent: Program, stream: Stream) -> Program:
    """The child, which may be an exact copy."""
    child = copied(parent)
    if stream.uniform() >= self.probability:
      self.mutation = "copy"
      return child
    action = self.mutation = self.actions[stream.pick(len(self.actions))]
    f = self.searched[stream.pick(len(self.searched))]
    body, component = child[f], self.space.components[f]
    if action == "insert_or_remove":
      action = "insert" if stream.uniform() < 1 / 3 else "remove"
    if action == "insert" and len(body) < component.max_length:
      slot = stream.pick(len(body) + 1)
      body.insert(slot, self.random_instruction(f, stream))
    elif action == "remove" and len(body) > component.min_length:
      del body[stream.pick(len(body))]
    elif action == "randomize_instruction" and body:
      slot = stream.pick(len(body))
      body[slot] = self.random_instruction(f, stream)
    elif action == "randomize_function":
      body[:] = [self.random_instruction(f, stream) for _ in body]
    elif action == "alter" and body:
      self.alter(body[stream.pick(len(body))], stream)
    return child

  def random_instruction(self, function: int, stream: Stream) -> list:
    allowed = self.space.components[function].ops
    op = op_table.op_by_id(allowed[stream.pick(len(allowed))])
    addresses = [0, 0, 0]
    for k, kind in enumerate(op.inputs):
      addresses[k] = self.readable(kind, stream)
    if op.output is not None:
      addresses[2] = self.writable(op.output, stream)
    constants = [0.0, 0.0, 0.0]
    for k, meaning in enumerate(op.constants):
      number = stream.uniform()
      if meaning is Constant.INDEX:
        constants[k] = number
      else:
        constants[k] = rounded(number if meaning is Constant.STD else 2 * number - 1)
    return [op.id, *addresses, constants]

  def readable(self, kind: Kind, stream: Stream) -> int:
    return stream.pick(self.space.num_addresses[kind])

  def writable(self, kind: Kind, stream: Stream) -> int:
    first = FIRST_WRITABLE[kind]
    return first + stream.pick(self.space.num_addresses[kind] - first)

  def alter(self, line: list, stream: Stream) -> None:
    """Redraws one address, or alters one constant, of an instruction."""
    op = op_table.op_by_id(line[0])
    arguments = ["in1", "in2"][: len(op.inputs)]
    arguments += ["out"] if op.output is not None else []
    arguments += ["data"] if op.constants else []
    if not arguments:
      return
    argument = arguments[stream.pick(len(arguments))]
    if argument == "in1":
      line[1] = self.readable(op.inputs[0], stream)
    elif argument == "in2":
      line[2] = self.readable(op.inputs[1], stream)
    elif argument == "out":
      line[3] = self.writable(op.output, stream)
    else:
      k = stream.pick(len(op.constants))
      line[4][k] = altered(line[4][k], op.constants[k], stream)


def altered(value: float, meaning: Constant, stream: Stream) -> float:
  """An index is drawn anew; other constants are scaled, and all but a deviation may flip."""
  number = stream.uniform()
  if meaning is Constant.INDEX:
    return number
  value *= 0.5 + 1.5 * number
  if meaning is not Constant.STD and stream.uniform() < 0.1:
    value = -value
  return rounded(value)


def rounded(value: float) -> float:
  """Six significant digits."""
  return float(f"{value:.5e}")
