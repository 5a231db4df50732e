"""Tournament and mutation of one child after another, in plain Python.

Written from section 3.2 and S3 of the AutoML-Zero paper. It shares the op table and the order
of random numbers with the search, and nothing else. A program is a list of three component
functions, those are lists of instructions [op, in1, in2, out, [c0, c1, c2]].
"""

from collections.abc import Callable, Sequence

from reference.draws import Stream

from azero.language import ops as op_table
from azero.language.ops import Constant, Kind
from azero.language.program import SearchSpace

FIRST_WRITABLE = {Kind.SCALAR: 1, Kind.VECTOR: 1, Kind.MATRIX: 0}

Program = list[list[list]]
Address = tuple[Kind, int]
Addresses = set[Address]
SETUP, PREDICT, LEARN = range(3)
LABEL, PREDICTION, FEATURES = (Kind.SCALAR, 0), (Kind.SCALAR, 1), (Kind.VECTOR, 0)
GIVEN: tuple[Addresses, ...] = (set(), {FEATURES}, {FEATURES, LABEL, PREDICTION})


def tournament(fitnesses: Sequence[float], contestants: int, stream: Stream) -> int:
  """The index of the winner among programs from oldest to youngest, the oldest removed."""
  drawn = [stream.pick(len(fitnesses)) for _ in range(contestants)]
  return max(drawn, key=lambda index: fitnesses[index])  # the first of the fittest


def copied(program: Program) -> Program:
  """A copy that shares no list with the program."""
  return [[[*line[:4], list(line[4])] for line in body] for body in program]


def reads(line: list) -> Addresses:
  """The addresses that a line reads."""
  op = op_table.op_by_id(line[0])
  addresses = {(kind, line[1 + k]) for k, kind in enumerate(op.inputs)}
  return addresses | (writes(line) if op.updates_output else set())


def writes(line: list) -> Addresses:
  """The address that a line writes, if any."""
  output = op_table.op_by_id(line[0]).output
  return set() if output is None else {(output, line[3])}


def read_before(body: list[list], needed: Addresses) -> Addresses:
  """What has to be known before some lines run, for what is needed after them."""
  for line in reversed(body):
    if writes(line) & needed:
      needed = (needed - writes(line)) | reads(line)
  return needed


def is_constant(op: op_table.Op) -> bool:
  """Whether an op is made of its constants alone."""
  return not (op.inputs or op.noise or op.updates_output)


def live_reader(body: list[list], needed: Addresses, stream: Stream) -> int | None:
  """One of the lines with inputs whose output is read, by what is needed after them all."""
  chosen, seen = None, 0
  for k in reversed(range(len(body))):
    below = read_before(body[k + 1 :], needed)
    if op_table.op_by_id(body[k][0]).inputs and writes(body[k]) & below:
      seen += 1
      if stream.pick(seen) == 0:
        chosen = k
  return chosen


def drawn(addresses: Addresses, stream: Stream) -> Address:
  """One of some addresses."""
  return sorted(addresses)[stream.pick(len(addresses))]


def redirect(body: list[list], old: Address, new: Address) -> None:
  """Lets lines that read an address read another one, up to where the first is written."""
  for line in body:
    for k, kind in enumerate(op_table.op_by_id(line[0]).inputs, start=1):
      if (kind, line[k]) == old:
        line[k] = new[1]
    if writes(line) == {old}:
      return


def retried(line: list, stream: Stream) -> list:
  """A line with constants of any size from 0.001 to 1."""
  op = op_table.op_by_id(line[0])
  constants = list(line[4])
  for k, meaning in enumerate(op.constants):
    number = stream.uniform()
    if meaning is Constant.INDEX:
      constants[k] = number
      continue
    value = 10.0 ** (-3.0 * number)
    negative = meaning is not Constant.STD and stream.uniform() < 0.5
    constants[k] = rounded(-value if negative else value)
  return [*line[:4], constants]


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
    elif action == "rewire":
      self.rewire(child, f, stream)
    elif action == "regrow_function":
      self.regrow(child, f, range(len(body)), stream)
    elif action == "add_parameter":
      self.add_parameter(child, stream)
    elif action == "add_update":
      self.add_update(child, stream)
    elif action == "extend_path":
      self.extend_path(child, f, stream)
    elif action == "add_constant":
      self.add_constant(child, f, stream)
    elif action == "regrow_instructions" and body:
      count = 1 + stream.pick(min(3, len(body)))
      first = stream.pick(len(body) - count + 1)
      self.regrow(child, f, range(first, first + count), stream)
    return child

  def grown_program(self, given: Program, stream: Stream) -> Program:
    """Predict grown beside a random Learn, Learn for what that reads, Setup for what both read."""
    program = copied(given)
    for f in (PREDICT, LEARN, SETUP):
      self.grow_searched(program, f, stream)
    return program

  def grown_learner(
      self, given: Program, stream: Stream, hopeful: Callable[[Program], bool],
      learns: Callable[[Program], bool]) -> tuple[Program | None, int]:
    """Grows a Predict and, if it is hopeful, up to 16 Learns for it until it learns.

    Returns:
      The program, None if it does not learn; and how many instructions of these were drawn.
    """
    program = copied(given)
    drawn = self.grow_searched(program, PREDICT, stream)
    if not hopeful(program):
      return None, drawn
    for _ in range(16):
      drawn += self.grow_searched(program, LEARN, stream)
      if learns(program):
        self.grow_searched(program, SETUP, stream)
        return program, drawn
    return None, drawn

  def grow_searched(self, program: Program, f: int, stream: Stream) -> int:
    """Grows a component function anew if it may be changed; returns its length, or else 0."""
    if f not in self.searched:
      return 0
    if f == PREDICT and LEARN in self.searched:
      program[LEARN] = self.random_body(LEARN, stream)
    program[f] = self.random_body(f, stream)
    self.regrow(program, f, range(len(program[f])), stream)
    return len(program[f])

  def random_body(self, f: int, stream: Stream) -> list[list]:
    """Random instructions, as many as a component function is to have that is grown."""
    length, component = max(1, self.space.components[f].min_length), self.space.components[f]
    while length < component.max_length and stream.pick(2) == 1:
      length += 1
    return [self.random_instruction(f, stream) for _ in range(length)]

  def regrow(self, program: Program, f: int, lines: range, stream: Stream) -> None:
    """Redraws some lines of a component function, each for an address that is read below it.

    Of the addresses that hold nothing yet three count at most when inputs are drawn; what is read
    below, or given, holds something.
    """
    body = program[f]
    needed = read_before(body[lines.stop :], self.needed_after(program, f))
    for k in reversed(lines):
      allowed = self.space.components[f].ops
      useful = [op for op in allowed if self.outputs(op) & needed]
      if useful:
        op = useful[stream.pick(len(useful))]
        body[k] = self.instruction(op, stream)
        choices = sorted(address for _, address in self.outputs(op) & needed)
        body[k][3] = choices[stream.pick(len(choices))]
        known = needed | GIVEN[f]
        for operand, kind in enumerate(op_table.op_by_id(op).inputs, start=1):
          body[k][operand] = self.preferred(
              sorted(address for each, address in known if each == kind), kind, body[k][operand],
              stream)
      else:
        body[k] = self.random_instruction(f, stream)
      needed = read_before([body[k]], needed)

  def preferred(self, known: list[int], kind: Kind, uniform: int, stream: Stream) -> int:
    """One of the known addresses of a kind or, as if they were three at most, one of the others."""
    if not known:
      return uniform
    others = [each for each in range(self.space.num_addresses[kind]) if each not in known]
    if stream.pick(len(known) + min(len(others), 3)) >= len(known):
      known = others
    return known[stream.pick(len(known))]

  def rewire(self, program: Program, f: int, stream: Stream) -> None:
    """Redraws an input of one of the lines whose output is read; the last ones are met first."""
    reader = live_reader(program[f], self.needed_after(program, f), stream)
    if reader is not None:
      chosen = program[f][reader]
      inputs = op_table.op_by_id(chosen[0]).inputs
      second = len(inputs) > 1 and stream.pick(2) == 1
      chosen[2 if second else 1] = self.readable(inputs[second], stream)

  def add_parameter(self, program: Program, stream: Stream) -> None:
    """Joins a new parameter with a value that Predict needs, and lets Learn update it.

    Each instruction takes the place of a dead one, or free room. If there is nothing to choose
    from at any step, the program stays as it is.
    """
    if PREDICT not in self.searched or LEARN not in self.searched:
      return
    idle, body = self.idle(program), program[PREDICT]
    gap = stream.pick(len(body) + 1)
    needed = read_before(body[gap:], self.needed_after(program, PREDICT))
    if not needed or self.room(program, PREDICT) < 1:
      return
    old = drawn(needed, stream)
    joins = self.changing(PREDICT, {old}, idle, {old} | idle)
    if not joins:
      return
    op, second = joins[stream.pick(len(joins))]
    parameter = drawn(idle & self.read_by(op, 1 - second), stream)
    target = old
    if old not in self.outputs(op):
      left = (idle & self.outputs(op)) - {parameter}
      if not left:
        return
      target = drawn(left, stream)
    if not self.update(program, parameter, {target}, 2, stream):
      return
    gap = self.open_gap(program, PREDICT, gap, 1, stream)
    inputs = (parameter, old) if second else (old, parameter)
    body[gap] = self.written(op, inputs, target, stream)
    if target != old:
      redirect(body[gap + 1 :], old, target)
      if stream.pick(2) == 1:
        redirect(program[LEARN], old, target)

  def add_update(self, program: Program, stream: Stream) -> None:
    """Lets Learn update what Predict reads and neither writes."""
    if LEARN not in self.searched:
      return
    constant = read_before(program[PREDICT], {PREDICTION}) - {LABEL, PREDICTION, FEATURES}
    constant = constant.difference(*map(writes, program[PREDICT] + program[LEARN]))
    if constant:
      self.update(program, drawn(constant, stream), set(), 4, stream)

  def update(
      self, program: Program, parameter: Address, joined: Addresses, most: int, stream: Stream
  ) -> bool:
    """Lets Learn update a parameter by what it knows or computes; whether it can."""
    body, count = program[LEARN], 1 + stream.pick(most)
    if self.room(program, LEARN) < count:
      return False
    gap = stream.pick(len(body) + 1)
    known = (self.known_before(program, LEARN, gap) | joined) - {parameter}
    idle = self.computable(LEARN) - joined - {parameter} - read_before(
        body[gap:], self.live_after(program, LEARN))
    sources = known if count == 1 else idle
    updates = self.changing(LEARN, {parameter}, sources, {parameter})
    if not updates:
      return False
    op, second = updates[stream.pick(len(updates))]
    if not self.can_write_elsewhere(program, (joined | {parameter}) & self.idle(program)):
      return False
    value = drawn(self.read_by(op, 1 - second) & sources, stream)
    self.write_elsewhere(program, joined | {parameter}, stream)
    gap = self.open_gap(program, LEARN, gap, count, stream)
    last = gap + count - 1
    self.grow_value(program, LEARN, range(gap, last), value, known, idle, stream)
    inputs = (value, parameter) if second else (parameter, value)
    body[last] = self.written(op, inputs, parameter, stream)
    return True

  def extend_path(self, program: Program, f: int, stream: Stream) -> None:
    """Lets a live line that reads x read y = op(x, z) in its place."""
    if f == SETUP:
      return
    body, count, live = program[f], 1 + stream.pick(2), self.live_after(program, f)
    reader = live_reader(body, live, stream)
    if reader is None or self.room(program, f) < count:
      return
    inputs = op_table.op_by_id(body[reader][0]).inputs
    operand = stream.pick(2) if len(inputs) == 2 else 0
    old = inputs[operand], body[reader][1 + operand]
    known = self.known_before(program, f, reader)
    idle = self.computable(f) - read_before(body[reader:], live)
    sources = known if count == 1 else idle
    joins = self.changing(f, {old}, sources, idle)
    if not joins:
      return
    op, second = joins[stream.pick(len(joins))]
    new = drawn(self.outputs(op) & self.read_by(op, second) & idle, stream)
    other = drawn(self.read_by(op, 1 - second) & sources, stream)
    gap = self.open_gap(program, f, reader, count, stream)
    last = gap + count - 1
    self.grow_value(program, f, range(gap, last), other, known, idle, stream)
    body[last] = self.written(op, (other, old) if second else (old, other), new, stream)
    body[last + 1][1 + operand] = new[1]

  def add_constant(self, program: Program, f: int, stream: Stream) -> None:
    """Lets a live line that reads x read y = op(x, constant), a number from the end of Setup."""
    if f == SETUP or SETUP not in self.searched:
      return
    body, live = program[f], self.live_after(program, f)
    reader = live_reader(body, live, stream)
    if reader is None or self.room(program, f) < 1 or self.room(program, SETUP) < 1:
      return
    inputs = op_table.op_by_id(body[reader][0]).inputs
    operand = stream.pick(2) if len(inputs) == 2 else 0
    old = inputs[operand], body[reader][1 + operand]
    numbers = [
        op for op in self.space.components[SETUP].ops
        if op_table.op_by_id(op).output is Kind.SCALAR and is_constant(op_table.op_by_id(op))]
    free = self.idle(program) & set().union(*map(self.outputs, numbers))
    idle = self.computable(f) - read_before(body[reader:], live)
    joins = self.changing(f, {old}, free, idle)
    if not joins:
      return
    op, second = joins[stream.pick(len(joins))]
    constant = drawn(self.read_by(op, 1 - second) & free, stream)
    left = (self.outputs(op) & self.read_by(op, second) & idle) - {constant}
    if not left or not self.can_write_elsewhere(program, {constant}):
      return
    new = drawn(left, stream)
    self.write_elsewhere(program, {constant}, stream)
    slot = self.open_gap(program, SETUP, len(program[SETUP]), 1, stream)
    number = numbers[stream.pick(len(numbers))]
    program[SETUP][slot] = retried(self.written(number, (), constant, stream), stream)
    gap = self.open_gap(program, f, reader, 1, stream)
    body[gap] = self.written(op, (constant, old) if second else (old, constant), new, stream)
    body[gap + 1][1 + operand] = new[1]

  def known_before(self, program: Program, f: int, gap: int) -> Addresses:
    """Addresses that hold something above a line of Predict or Learn."""
    above = program[f][:gap]
    if f == LEARN:
      above = program[PREDICT] + above
    return (GIVEN[f] | self.live_after(program, LEARN)).union(*map(writes, above))

  def computing(self, f: int) -> list[int]:
    """Ops that read something."""
    return [op for op in self.space.components[f].ops if op_table.op_by_id(op).inputs]

  def computable(self, f: int) -> Addresses:
    """Addresses that ops which read something can write."""
    return set().union(*map(self.outputs, self.computing(f)))

  def grow_value(
      self, program: Program, f: int, lines: range, value: Address, known: Addresses,
      idle: Addresses, stream: Stream) -> None:
    """Writes lines of which each computes what one below it reads, and the last a value."""
    body, wanted = program[f], {value}
    for k in reversed(lines):
      left = k - lines.start
      outputs = wanted or idle
      computing = [op for op in self.computing(f) if self.outputs(op) & outputs]
      op = computing[stream.pick(len(computing))]
      target = drawn(self.outputs(op) & outputs, stream)
      line = body[k] = self.instruction(op, stream)
      line[3] = target[1]
      wanted.discard(target)
      count = len(op_table.op_by_id(op).inputs)
      least = 1 if left and not wanted else 0
      computed = least + stream.pick(min(count, left - len(wanted)) - least + 1)
      other = stream.pick(count)
      for n in range(count):
        choices = self.read_by(op, n) & known
        if computed == count or (computed == 1 and n != other):
          unused = (self.read_by(op, n) & idle) - wanted - {target}
          if unused:
            choices = {drawn(unused, stream)}
            wanted |= choices
        if choices:
          line[1 + n] = drawn(choices, stream)[1]

  def changing(
      self, f: int, changed: Addresses, others: Addresses, outputs: Addresses,
  ) -> list[tuple[int, int]]:
    """Ops that read one of two sets each and write a third, in the kind of the first.

    Returns:
      Each with the number of the input that is of the first set.
    """
    return [
        (op, second) for op in self.space.components[f].ops for second in (0, 1)
        if self.read_by(op, second) & changed and self.read_by(op, 1 - second) & others
        and self.read_by(op, second) & outputs & self.outputs(op)]

  def read_by(self, op: int, k: int) -> Addresses:
    """Addresses that input number k of an op can read; none if it has no such input."""
    kinds = op_table.op_by_id(op).inputs[k : k + 1]
    return {(kind, address) for kind in kinds for address in range(self.space.num_addresses[kind])}

  def every_address(self) -> Addresses:
    return {(kind, n) for kind in Kind for n in range(self.space.num_addresses[kind])}

  def idle(self, program: Program) -> Addresses:
    """Addresses that nothing live in Predict and Learn reads or writes, and that are not given."""
    used = {LABEL, PREDICTION, FEATURES}
    for f in (PREDICT, LEARN):
      live, body = self.live_after(program, f), program[f]
      used = used.union(*(read_before(body[k:], live) for k in range(len(body) + 1)))
    return self.every_address() - used

  def dead(self, program: Program, f: int) -> list[int]:
    """Lines of Predict or Learn whose output nothing reads, in this pass or in a later one."""
    body, live = program[f], self.live_after(program, f)
    return [
        k for k in range(len(body)) if not writes(body[k]) & read_before(body[k + 1 :], live)]

  def room(self, program: Program, f: int) -> int:
    """Lines that a component function can take in."""
    return self.space.components[f].max_length - len(program[f]) + len(self.dead(program, f))

  def open_gap(self, program: Program, f: int, gap: int, count: int, stream: Stream) -> int:
    """Puts lines that are to be written in place of dead ones; returns the first of them."""
    for _ in range(count):
      chosen = None
      for seen, k in enumerate(reversed(self.dead(program, f)), start=1):
        if stream.pick(seen) == 0:
          chosen = k
      if chosen is not None:
        del program[f][chosen]
        gap -= chosen < gap
    program[f][gap:gap] = [[] for _ in range(count)]
    return gap

  def written(
      self, op: int, inputs: Sequence[Address], output: Address, stream: Stream) -> list:
    line = self.instruction(op, stream)
    for k, (_, address) in enumerate(inputs[: len(op_table.op_by_id(op).inputs)], start=1):
      line[k] = address
    line[3] = output[1]
    return line

  def can_write_elsewhere(self, program: Program, addresses: Addresses) -> bool:
    """Whether each dead line that writes one of these addresses could write another."""
    for f in (PREDICT, LEARN):
      live = self.live_after(program, f)
      for k, line in enumerate(program[f]):
        needed = read_before(program[f][k + 1 :], live)
        if writes(line) & addresses - needed and not self.outputs(line[0]) - needed - addresses:
          return False
    return True

  def write_elsewhere(self, program: Program, addresses: Addresses, stream: Stream) -> None:
    """Lets dead lines that write these addresses write others that nothing needs, if any."""
    for f in (PREDICT, LEARN):
      body, live = program[f], self.live_after(program, f)
      for k in reversed(range(len(body))):
        needed = read_before(body[k + 1 :], live)
        others = self.outputs(body[k][0]) - needed - addresses
        if writes(body[k]) & addresses - needed and others:
          body[k][3] = drawn(others, stream)[1]

  def live_after(self, program: Program, f: int) -> Addresses:
    """Addresses that are read after Predict or Learn, in this pass or in any later one."""
    after_learn: Addresses = set()
    for _ in range(1 + len(self.every_address())):
      after_predict = read_before(program[LEARN], after_learn) - {LABEL, FEATURES} | {PREDICTION}
      after_predict |= after_learn  # in validation another Predict follows
      after_learn = read_before(program[PREDICT], after_predict) - {LABEL, FEATURES}
    return after_predict if f == PREDICT else after_learn

  def needed_after(self, program: Program, f: int) -> Addresses:
    """Addresses that are read when a component function has run."""
    prediction, given = {PREDICTION}, {LABEL, FEATURES}
    by_predict = read_before(program[PREDICT], prediction) - given
    by_learn = read_before(program[LEARN], by_predict) - given - prediction
    written = set().union(*map(writes, program[PREDICT]))
    if f == LEARN:
      return by_predict
    return prediction | (by_learn & written) if f == PREDICT else by_predict | (by_learn - written)

  def outputs(self, op: int) -> Addresses:
    """Addresses that an op can write."""
    kind = op_table.op_by_id(op).output
    if kind is None:
      return set()
    return {(kind, address) for address in range(
        FIRST_WRITABLE[kind], self.space.num_addresses[kind])}

  def random_instruction(self, function: int, stream: Stream) -> list:
    allowed = self.space.components[function].ops
    return self.instruction(allowed[stream.pick(len(allowed))], stream)

  def instruction(self, number: int, stream: Stream) -> list:
    op = op_table.op_by_id(number)
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
