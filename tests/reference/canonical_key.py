"""The canonical key of one program, in plain integers; see azero/compiler/canonical.py."""

import struct

import numpy as np
from reference import dataflow
from reference.draws import mix

from azero.language import ops as op_table
from azero.language.ops import Constant
from azero.language.program import Function, Programs

ABOVE, ENTRY, PREDICTION, FEATURES, LABEL = (k << 48 for k in range(1, 6))
_MULTIPLIERS = [
    [int(word) | 1 for word in row]
    for row in np.random.default_rng(0x5EED).integers(0, 2**64, (2, 8), np.uint64)]


def key(programs: Programs, index: int, multiclass: bool = False) -> tuple[int, int]:
  """The key of one program of a batch."""
  listing = dataflow.listing_of(programs, index)
  live = sorted(dataflow.live_instructions(listing, multiclass))
  place = {instruction: 1 + k for k, instruction in enumerate(live)}
  words = []
  for k, (function, line) in enumerate(live):
    instruction = listing[function][line]
    op = op_table.op_by_id(instruction[0])
    inputs = [(kind.letter, instruction[1 + n]) for n, kind in enumerate(op.inputs)]
    old = [(op.output.letter, instruction[3])] if op.updates_output else []
    sources = [
        _source(listing, place, function, line, address, multiclass) for address in inputs]
    if op.commutative:
      sources.sort()
    sources += [0] * (2 - len(inputs))
    sources += [_source(listing, place, function, line, address, multiclass) for address in old]
    sources += [0] * (1 - len(old))
    constants = _constants(op, instruction[4:], programs.space.num_features)
    words.append((op.id << 32 | k << 8 | function, sources, constants))
  end = len(listing[Function.PREDICT])
  predicted = _source(
      listing, place, Function.PREDICT, end, dataflow.pinned(multiclass)[0], multiclass)
  return tuple(_half(words, predicted, row) for row in _MULTIPLIERS)


def _half(words: list, predicted: int, multipliers: list[int]) -> int:
  total = mix(predicted * multipliers[7] % 2**64)
  for head, sources, constants in words:
    word = _hash([head, *sources], multipliers[:4])
    if constants:
      word = (word + mix(_hash(constants, multipliers[4:7]))) % 2**64
    total = (total + mix(word)) % 2**64
  return total


def _hash(fields: list[int], multipliers: list[int]) -> int:
  word = 0
  for field, multiplier in zip(fields, multipliers, strict=True):
    word = ((word << 23 | word >> 41) + field * multiplier) % 2**64
  return word


def _constants(op: op_table.Op, values: list[float], num_features: int) -> list[int]:
  if not op.constants:
    return []
  meant = [*op.constants, None, None][:3]
  acting = [
      float(int(value * num_features)) if meaning is Constant.INDEX
      else abs(value) if meaning is Constant.STD else value
      for meaning, value in zip(meant, values)]
  return [int.from_bytes(struct.pack("<d", value), "little") for value in acting]


def _source(
    listing: list, place: dict, function: int, line: int, address: tuple[str, int],
    multiclass: bool) -> int:
  """Where an operand comes from, of an instruction at `line` of a component function."""
  def last(f: int, before: int | None = None) -> int:
    """1 + position of the last live write, 0 for none."""
    writes = [
        place[f, k] for k, instruction in enumerate(listing[f][:before])
        if (f, k) in place and dataflow.write(instruction) == address]
    return max(writes, default=0)

  prediction, label, features = dataflow.pinned(multiclass)
  above = last(function, line)
  if above:
    return ABOVE | above
  if function == Function.SETUP:
    return 0
  if address == label:
    return LABEL if function == Function.LEARN else 0
  if address == features:
    return FEATURES
  setup, predict, learn = (last(f) for f in Function)
  writes = setup << 32 | learn << 16 | predict
  if function == Function.LEARN and predict:
    return (PREDICTION if address == prediction else ABOVE) | predict
  if address == prediction:
    return PREDICTION | writes
  return ENTRY | writes if writes else 0
