"""What a program needs: the addresses that are read later on, seen from any of its instructions.

Sets of addresses are words of bits. Growth writes for what is needed; an instruction that writes
nothing that is needed is dead, as far as one pass of Predict and Learn shows it (`live_after`: as
far as all do).
"""

import numpy as np

from azero.compiler.arrays import (
  CHOICES_IN1,
  IN1,
  IN2,
  LEARN,
  OLD,
  OUT,
  PREDICT,
  START,
  ProgramArrays,
  Tables,
)
from azero.compiler.kernels import inlined_kernel, inner_kernel
from azero.search.draws import pick
from azero.search.proposals.addresses import NO_ADDRESS, bit
from azero.search.proposals.edits import end_of


@inner_kernel
def needed_after(programs: ProgramArrays, i: int, function: int, space: Tables) -> np.uint64:
  """The set of addresses that are read when a component function has run, but for others' own.

  At the end of Predict it is the prediction, and of what Learn reads that which Predict writes
  now; at the end of Learn what Predict reads; at the end of Setup what both read.
  """
  prediction = bit(space.prediction)
  given = bit(space.label) | bit(space.features)
  by_predict = needed_before(programs, i, PREDICT, prediction, space) & ~given
  if function == LEARN:
    return by_predict
  by_learn = needed_before(programs, i, LEARN, by_predict, space) & ~(given | prediction)
  outputs = outputs_of(programs, i, PREDICT, space)
  if function == PREDICT:
    return prediction | (by_learn & outputs)
  return by_predict | (by_learn & ~outputs)


@inner_kernel
def live_after(programs: ProgramArrays, i: int, function: int, space: Tables) -> np.uint64:
  """As `needed_after` of Predict or Learn, with all that later passes of either read as well.

  Predict may be followed by another Predict, in validation.
  """
  given = bit(space.label) | bit(space.features)
  after_learn = NO_ADDRESS
  while True:
    after_predict = needed_before(programs, i, LEARN, after_learn, space)
    after_predict = after_predict & ~given | bit(space.prediction) | after_learn
    more = needed_before(programs, i, PREDICT, after_predict, space) & ~given
    if more == after_learn:
      return after_predict if function == PREDICT else after_learn
    after_learn = more


@inner_kernel
def needed_before(
    programs: ProgramArrays, i: int, function: int, needed: np.uint64, space: Tables) -> np.uint64:
  """What a component function reads to write what is needed, and what it leaves alone of that."""
  first, end = space.functions[function, START], end_of(programs, i, function, space)
  return needed_between(programs, i, first, end, needed, space)


@inner_kernel
def needed_between(
    programs: ProgramArrays, i: int, first: int, end: int, needed: np.uint64, space: Tables
) -> np.uint64:
  """As `needed_before`, of the instructions from a slot to before another."""
  for slot in range(end - 1, first - 1, -1):
    needed = needed_above(programs, i, slot, needed, space)
  return needed


@inlined_kernel
def needed_above(
    programs: ProgramArrays, i: int, slot: int, needed: np.uint64, space: Tables) -> np.uint64:
  """What is needed above an instruction, by what is needed below it."""
  opcode = programs.opcode[i, slot]
  output = written(programs, i, slot, space)
  if output & needed == NO_ADDRESS:
    return needed
  units = space.units
  return (
      (needed & ~output) | units[opcode, IN1] << np.uint64(programs.in1[i, slot])
      | units[opcode, IN2] << np.uint64(programs.in2[i, slot])
      | units[opcode, OLD] << np.uint64(programs.out[i, slot]))


@inner_kernel
def draw_reader(
    programs: ProgramArrays, i: int, function: int, needed: np.uint64, space: Tables,
    stream: np.ndarray) -> int:
  """Draws the slot of a needed instruction that has inputs, by what is needed after its function.

  Returns:
    The slot; -1 if there is none.
  """
  first, chosen, seen = space.functions[function, START], -1, 0
  for slot in range(end_of(programs, i, function, space) - 1, first - 1, -1):
    reads = space.ops[programs.opcode[i, slot], CHOICES_IN1] > 0
    if reads and written(programs, i, slot, space) & needed != NO_ADDRESS:
      seen += 1
      if pick(stream, seen) == 0:
        chosen = slot
    needed = needed_above(programs, i, slot, needed, space)
  return chosen


@inner_kernel
def outputs_of(programs: ProgramArrays, i: int, function: int, space: Tables) -> np.uint64:
  """The set of addresses that a component function writes."""
  first, outputs = space.functions[function, START], NO_ADDRESS
  for slot in range(first, end_of(programs, i, function, space)):
    outputs |= written(programs, i, slot, space)
  return outputs


@inlined_kernel
def written(programs: ProgramArrays, i: int, slot: int, space: Tables) -> np.uint64:
  """The set of the address that an instruction writes."""
  return space.units[programs.opcode[i, slot], OUT] << np.uint64(programs.out[i, slot])


@inner_kernel
def is_searched(function: int, space: Tables) -> bool:
  """Whether search may change a component function."""
  for searched in space.searched:
    if searched == function:
      return True
  return False
