"""Data flow of one program, found slowly: by walking from definition to use, and by unrolling.

Shares no code with azero/compiler. An instruction is (function, index in it); a listing is
three lists (Setup, Predict, Learn) of instructions [op, in1, in2, out, c0, c1, c2].
"""

import math

import numpy as np
from reference import oracle

from azero.language import ops as op_table
from azero.language.program import EMPTY, Programs

SETUP, PREDICT, LEARN = range(3)
UPDATES_OUTPUT = (57, 58)


def listing_of(programs: Programs, index: int) -> list[list[list]]:
  """One program of a batch as a listing."""
  listing: list[list[list]] = [[], [], []]
  for slot in np.flatnonzero(programs.opcode[index] != EMPTY):
    fields = [int(getattr(programs, name)[index, slot]) for name in ("opcode", "in1", "in2", "out")]
    constants = programs.constants[index, slot].tolist()
    listing[programs.space.function_of_slot[slot]].append([*fields, *constants])
  return listing


def reads(instruction: list) -> list[tuple[str, int]]:
  """Addresses that an instruction reads, as (kind, number)."""
  if instruction[0] == 0:
    return []
  inputs, output = oracle.kinds(instruction[0])
  addresses = [(kind, instruction[1 + k]) for k, kind in enumerate(inputs)]
  return addresses + [(output, instruction[3])] * (instruction[0] in UPDATES_OUTPUT)


def write(instruction: list) -> tuple[str, int] | None:
  """The address that an instruction writes."""
  return None if instruction[0] == 0 else (oracle.kinds(instruction[0])[1], instruction[3])


def pinned(multiclass: bool) -> tuple[tuple[str, int], ...]:
  """Addresses of the prediction, the label and the features."""
  return (("v", 2), ("v", 1), ("v", 0)) if multiclass else (("s", 1), ("s", 0), ("v", 0))


def live_instructions(listing: list[list[list]], multiclass: bool = False) -> set[tuple[int, int]]:
  """Walks from every use to the definitions that it can see, starting at the prediction."""
  prediction, label, features = pinned(multiclass)

  def last_write(function: int, address: tuple[str, int], before: int | None = None):
    body = listing[function][:before]
    for index in range(len(body) - 1, -1, -1):
      if write(body[index]) == address:
        return (function, index)
    return None

  def definitions(function: int, index: int | None, address: tuple[str, int]):
    above = last_write(function, address, index)
    if above is not None:
      return [above]
    if function == SETUP or address == features or address == label:
      return []
    if function == LEARN:
      # Predict ran just before; what it leaves alone is older.
      return definitions(PREDICT, None, address)
    # Before Predict came Setup, or Learn, or (in validation) Predict itself.
    candidates = [last_write(other, address) for other in (SETUP, PREDICT, LEARN)]
    return [candidate for candidate in candidates if candidate is not None]

  live: set[tuple[int, int]] = set()
  pending = list(definitions(PREDICT, None, prediction))
  while pending:
    instruction = pending.pop()
    if instruction not in live:
      live.add(instruction)
      function, index = instruction
      for address in reads(listing[function][index]):
        pending += definitions(function, index, address)
  return live


def canonical_form(
    listing: list[list[list]], num_features: int, multiclass: bool = False
) -> tuple:
  """What a program does, whatever its addresses are called: equal forms, equal behaviour.

  Two epochs of two training and two validation examples are unrolled; every operand of a
  live instruction is the sequence of its writers, each named by its place among the live.
  """
  prediction, label, features = pinned(multiclass)
  live = live_instructions(listing, multiclass)
  place = {instruction: k for k, instruction in enumerate(sorted(live))}
  writer: dict = {}
  seen: dict = {instruction: [] for instruction in live}
  predicted = []

  def run(function: int) -> None:
    for index, instruction in enumerate(listing[function]):
      if (function, index) in live:
        operands = [writer.get(address, "zero") for address in reads(instruction)]
        seen[function, index].append(operands)
        writer[write(instruction)] = place[function, index]

  run(SETUP)
  for _ in range(2):
    for training in (True, True, False, False):
      writer[features], writer[label] = "features", "zero"
      run(PREDICT)
      predicted.append(writer.get(prediction, "zero"))
      if training:
        writer[prediction] = ("normalised", predicted[-1])
        writer[label] = "label"
        run(LEARN)
  rows = []
  for function, index in sorted(live):
    instruction = listing[function][index]
    op = op_table.op_by_id(instruction[0])
    operands = [tuple(column) for column in zip(*seen[function, index])]
    if op.commutative:
      operands.sort(key=repr)
    rows.append((function, op.id, tuple(operands), _constants(op, instruction, num_features)))
  return tuple(rows), tuple(predicted)


def _constants(op: op_table.Op, instruction: list, num_features: int) -> tuple:
  """Constants as they act."""
  values = []
  for meaning, value in zip(op.constants, instruction[4:]):
    if meaning is op_table.Constant.INDEX:
      value = math.floor(value * num_features)
    values.append(abs(value) if meaning is op_table.Constant.STD else value)
  return tuple(values)
