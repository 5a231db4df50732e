"""Steps of lineages as words: a program, what made it, and how fit it was.

A step has a header, then a word for each instruction, followed by those of its constants that are
not zero.
"""

import numpy as np

from azero.compiler.arrays import ProgramArrays
from azero.compiler.kernels import inlined_kernel, inner_kernel
from azero.language import ops as op_table
from azero.language.program import EMPTY, SearchSpace
from azero.search.origins import ARRIVED, STARTED

# The words of a header. FITNESS has the bits of a float64; MADE_BY and LEFT_OUT are as in
# `ancestry`; LENGTH is that of the whole step.
FITNESS, NUMBER, ISLAND, MADE_BY, LEFT_OUT, LENGTH = range(6)
HEADER = 6
_OPCODES, _ADDRESSES, _MASKS = 1 << 12, 1 << 8, 1 << 3  # in the word of an instruction


@inner_kernel
def write_step(words: np.ndarray, start: int, programs: ProgramArrays, i: int) -> int:
  """Writes the instructions of program i behind a header, and the LENGTH in it.

  Args:
    words: [W] int64; empty to learn the end alone.
    start: of the header.
    programs: the batch.
    i: which.

  Returns:
    Where the step ends.
  """
  bits = programs.constants.view(np.int64)
  writes, end = len(words) > 0, start + HEADER
  for slot in range(programs.opcode.shape[1]):
    if programs.opcode[i, slot] == EMPTY:
      continue
    head, mask = end, 0
    end += 1
    for k in range(bits.shape[2]):
      if bits[i, slot, k] != 0:
        mask |= 1 << k
        if writes:
          words[end] = bits[i, slot, k]
        end += 1
    if writes:
      word = np.int64(slot) * _OPCODES + programs.opcode[i, slot]
      word = word * _ADDRESSES + programs.in1[i, slot]
      word = word * _ADDRESSES + programs.in2[i, slot]
      word = word * _ADDRESSES + programs.out[i, slot]
      words[head] = word * _MASKS + mask
  if writes:
    words[start + LENGTH] = end - start
  return end


def longest_step(space: SearchSpace) -> int:
  """Words of a step of a space at most."""
  return HEADER + space.num_slots * (1 + op_table.MAX_CONSTANTS)


@inner_kernel
def instruction_of(word: int) -> tuple[int, int]:
  """The slot of an instruction, and how many constants follow its word."""
  count, mask = 0, word % _MASKS
  while mask > 0:
    count, mask = count + mask % 2, mask // 2
  return word // (_MASKS * _ADDRESSES**3 * _OPCODES), count


@inner_kernel
def read_step(words: np.ndarray, start: int, programs: ProgramArrays, i: int) -> None:
  """Reads the step whose header begins at `start` into the empty program i."""
  bits = programs.constants.view(np.int64)
  at = start + HEADER
  while at < start + words[start + LENGTH]:
    word = words[at]
    at += 1
    mask, word = word % _MASKS, word // _MASKS
    out, word = word % _ADDRESSES, word // _ADDRESSES
    in2, word = word % _ADDRESSES, word // _ADDRESSES
    in1, word = word % _ADDRESSES, word // _ADDRESSES
    slot = word // _OPCODES
    programs.opcode[i, slot] = word % _OPCODES
    programs.in1[i, slot], programs.in2[i, slot], programs.out[i, slot] = in1, in2, out
    for k in range(bits.shape[2]):
      if mask >> k & 1:
        bits[i, slot, k] = words[at]
        at += 1


@inlined_kernel
def gain_of(value: float, best: float) -> float:
  """By how much a fitness is above the best before it; 0 for what is no number, too."""
  return value - best if value > best else 0.0


@inner_kernel
def scan(words: np.ndarray, starts: np.ndarray, gains: np.ndarray) -> int:
  """Finds where steps begin and what each gains; returns how many there are."""
  fitness = words.view(np.float64)
  start, count, best, island = 0, 0, 0.0, 0
  while start < len(words):
    value, action = fitness[start + FITNESS], words[start + MADE_BY]
    first = action == STARTED or action == ARRIVED or words[start + ISLAND] != island
    if first or count == 0:
      best, island = value, words[start + ISLAND]
    starts[count], gains[count] = start, gain_of(value, best)
    best = max(best, value)
    start += words[start + LENGTH]
    count += 1
  return count


@inner_kernel
def leave_out(gains: np.ndarray, most: int) -> None:
  """Sets the gains of steps that `Lineage.condensed` leaves out to -1, so that `most` stay."""
  surplus = len(gains) - most
  while surplus > 0:
    least = -1.0
    for k in range(1, len(gains) - 1):
      if gains[k] >= 0 and (least < 0 or gains[k] < least):
        least = gains[k]
    for k in range(1, len(gains) - 1):
      if surplus > 0 and gains[k] == least:
        gains[k] = -1.0
        surplus -= 1


@inner_kernel
def copy_step(words: np.ndarray, start: int, copied: np.ndarray, at: int) -> int:
  """Copies a step; returns where the copy ends."""
  length = words[start + LENGTH]
  for w in range(length):
    copied[at + w] = words[start + w]
  return at + length
