"""The canonical key: unchanged by what does not matter, shared by nothing else, and exact.

Fitness is always that of raw variants: dead instructions are executed, addresses are as
they are written.
"""

import dataclasses
import functools

import numpy as np
import pytest
from reference import canonical_key, dataflow
from support import golden, random_programs
from support.random_programs import fast_evaluator, random_tasks, traced_evaluator

from azero.compiler import canonical
from azero.executors.evaluator import Evaluator
from azero.language import ops as op_table
from azero.language import spaces, text
from azero.language.program import EMPTY, Component, Function, Programs, SearchSpace

Listing = list[list[list]]


def _addresses(instruction: list) -> dict[int, str]:
  """Which fields of an instruction are addresses: field -> kind."""
  if instruction[0] == 0:
    return {}
  inputs, output = dataflow.oracle.kinds(instruction[0])
  return {1 + k: kind for k, kind in enumerate(inputs)} | {3: output}


def _copy(listing: Listing) -> Listing:
  return [[list(instruction) for instruction in body] for body in listing]


@functools.cache
def _random_listings(space: SearchSpace) -> list[Listing]:
  programs = random_programs.random_programs(space, 300, seed=11, full=True)
  return [dataflow.listing_of(programs, i) for i in range(len(programs))]


def insert_dead(
    listing: Listing, space: SearchSpace, multiclass: bool, rng: np.random.Generator
) -> Listing:
  """Inserts random instructions that no definition-use walk from the prediction reaches."""
  pool = _random_listings(space)
  for _ in range(8):
    function = int(rng.integers(3))
    component = space.components[function]
    if len(listing[function]) == component.max_length:
      continue
    new = list(rng.choice(pool[rng.integers(len(pool))][function]))
    new[:4] = map(int, new[:4])
    place = int(rng.integers(len(listing[function]) + 1))
    longer = _copy(listing)
    longer[function].insert(place, new)
    moved = {
        (f, k + (f == function and k >= place))
        for f, k in dataflow.live_instructions(listing, multiclass)}
    if dataflow.live_instructions(longer, multiclass) == moved:
      listing = longer
  return listing


def remove_dead(listing: Listing, space, multiclass: bool, rng) -> Listing:
  """Removes every dead instruction with probability 1/2."""
  live = dataflow.live_instructions(listing, multiclass)
  return [
      [instruction for k, instruction in enumerate(body)
       if (function, k) in live or rng.random() < 0.5]
      for function, body in enumerate(listing)]


def rename(listing: Listing, space: SearchSpace, multiclass: bool, rng) -> Listing:
  """Permutes the addresses that the evaluation does not use itself."""
  pinned = {*dataflow.pinned(multiclass), ("s", 0)}
  names = {}
  for kind, size in zip("svm", space.num_addresses):
    free = [number for number in range(size) if (kind, number) not in pinned]
    names |= {(kind, old): new for old, new in zip(free, rng.permutation(free).tolist())}
  renamed = _copy(listing)
  for body in renamed:
    for instruction in body:
      for field, kind in _addresses(instruction).items():
        instruction[field] = names.get((kind, instruction[field]), instruction[field])
  return renamed


def split(listing: Listing, space: SearchSpace, multiclass: bool, rng) -> Listing:
  """Gives a value that its own component function overwrites again an address of its own."""
  taken = {
      (kind, instruction[field]) for body in listing for instruction in body
      for field, kind in _addresses(instruction).items()}
  taken |= {*dataflow.pinned(multiclass), ("s", 0)}
  result = _copy(listing)
  for body in result:
    for first, instruction in enumerate(body):
      address = dataflow.write(instruction)
      later = [k for k in range(first + 1, len(body)) if dataflow.write(body[k]) == address]
      if address is None or not later or address in dataflow.reads(body[later[0]]):
        continue
      if instruction[0] in dataflow.UPDATES_OUTPUT:
        continue
      kind, number = address
      free = [k for k in range(space.num_addresses["svm".index(kind)]) if (kind, k) not in taken]
      if free:
        taken.add((kind, free[0]))
        instruction[3] = free[0]
        for k in range(first + 1, later[0]):
          for field, read in _addresses(body[k]).items():
            if field != 3 and (read, body[k][field]) == (kind, number):
              body[k][field] = free[0]
  return result


def swap_operands(listing: Listing, space, multiclass: bool, rng) -> Listing:
  """Swaps the operands of commutative ops with probability 1/2."""
  swapped = _copy(listing)
  for body in swapped:
    for instruction in body:
      if op_table.op_by_id(instruction[0]).commutative and rng.random() < 0.5:
        instruction[1], instruction[2] = instruction[2], instruction[1]
  return swapped


def restate_constants(listing: Listing, space: SearchSpace, multiclass: bool, rng) -> Listing:
  """Another fraction for the same index, another sign of a deviation."""
  restated = _copy(listing)
  for body in restated:
    for instruction in body:
      for k, meaning in enumerate(op_table.op_by_id(instruction[0]).constants):
        value = instruction[4 + k]
        if meaning is op_table.Constant.INDEX:
          position = int(value * space.num_features)
          value = (position + 0.1 + 0.8 * rng.random()) / space.num_features
        elif meaning is op_table.Constant.STD:
          value *= rng.choice([-1, 1])
        instruction[4 + k] = value
  return restated


VARIATIONS = (insert_dead, remove_dead, rename, split, swap_operands, restate_constants)


def everything(listing: Listing, space: SearchSpace, multiclass: bool, rng) -> Listing:
  """All variations, in random order."""
  for k in rng.permutation(len(VARIATIONS)):
    listing = VARIATIONS[k](listing, space, multiclass, rng)
  return listing


@pytest.mark.parametrize("multiclass", [False, True])
@pytest.mark.parametrize("vary", [*VARIATIONS, everything])
def test_raw_variants(vary, multiclass):
  evaluator = traced_evaluator(5, 3) if multiclass else fast_evaluator()
  space = evaluator.space
  rng = np.random.default_rng(1)
  programs = random_programs.random_programs(space, 80, seed=3, multiclass=multiclass)
  listings = [dataflow.listing_of(programs, i) for i in range(len(programs))]
  # Four variants of each.
  raw = golden.pack(
      space, [vary(listing, space, multiclass, rng) for listing in listings for _ in range(4)])
  originals = programs[np.repeat(np.arange(len(programs)), 4)]
  changed = np.any(raw.opcode != originals.opcode, 1) | np.any(raw.in1 != originals.in1, 1)
  changed |= np.any(raw.in2 != originals.in2, 1) | np.any(raw.out != originals.out, 1)
  changed |= np.any(raw.constants != originals.constants, (1, 2))
  assert changed.mean() > 0.2
  before, after = evaluator.analyse(originals), evaluator.analyse(raw)
  np.testing.assert_array_equal(after.key, before.key)
  wanted, got = evaluator.evaluate(originals, raw=True), evaluator.evaluate(raw, raw=True)
  np.testing.assert_array_equal(got.per_task, wanted.per_task)
  np.testing.assert_array_equal(got.train_steps, wanted.train_steps)


# Small spaces, in which many programs share a key.

_SMALL = {
    False: SearchSpace(
        4, 3, 1, 4, Component((56, 57, 59), 2), Component((1, 3, 18, 27, 44), 2),
        Component((2, 3, 18, 23), 2)),
    True: SearchSpace(
        2, 4, 1, 4, Component((57, 60), 2), Component((23, 25, 48, 16), 2),
        Component((23, 24, 57, 31), 2)),
}


def _small_programs(multiclass: bool, count: int, seed: int) -> Programs:
  """Random programs with few different constants."""
  space = _SMALL[multiclass]
  programs = random_programs.random_programs(space, count, seed=seed, multiclass=multiclass)
  table = op_table.columns()
  index = table.is_index[programs.opcode] & (programs.opcode != EMPTY)[..., None]
  signed = table.is_signed[programs.opcode] & (programs.opcode != EMPTY)[..., None]
  constants = np.where(signed, np.where(programs.constants > 0, 0.5, -0.75), programs.constants)
  constants = np.where(index, np.where(constants > 0.5, 0.7, 0.2), constants)
  return dataclasses.replace(programs, constants=constants)


@pytest.mark.parametrize("multiclass", [False, True])
def test_equal_keys_are_equal_forms(multiclass):
  programs = _small_programs(multiclass, 6000, seed=1)
  keys = canonical.analyse(programs, multiclass=multiclass).key
  forms: dict[tuple, int] = {}
  keys_of: dict[bytes, int] = {}
  pairs = set()
  for i in range(len(programs)):
    form = dataflow.canonical_form(dataflow.listing_of(programs, i), 4, multiclass)
    pairs.add((
        forms.setdefault(form, len(forms)), keys_of.setdefault(keys[i].tobytes(), len(keys_of))))
  assert len(pairs) == len(forms) == len(keys_of)
  assert 1000 < len(forms) < 5000


@pytest.mark.parametrize("multiclass", [False, True])
def test_equal_keys_have_equal_fitness(multiclass):
  count = 30000
  evaluator = Evaluator(
      _SMALL[multiclass], random_tasks(4, 3 if multiclass else 0, num_train=4, num_valid=5),
      num_devices=1, lanes=256, trace=True)
  programs = _small_programs(multiclass, count, seed=2)
  result = evaluator.evaluate(programs, raw=True)
  keys = evaluator.analyse(programs).key
  distinct, group = np.unique(keys, axis=0, return_inverse=True)
  assert len(distinct) < 0.6 * count
  # Fitness, and every error and prediction, NaN where a program was stopped.
  behaviour = np.column_stack([
      result.per_task, result.train_steps, *(part.reshape(count, -1) for part in result.trace)])
  first = np.zeros(len(distinct), int)
  first[group[::-1]] = np.arange(count)[::-1]
  np.testing.assert_array_equal(behaviour, behaviour[first[group]])
  # Many behaviours, so that sharing a key by mistake would have shown.
  behaviours = np.unique(np.nan_to_num(behaviour, nan=-1.0), axis=0)
  assert 900 < len(behaviours) <= len(distinct)


def test_halves_of_the_key_differ_in_every_live_detail():
  programs = random_programs.random_programs(random_programs.full_space(4), 50000, seed=4)
  analysis = canonical.analyse(programs)
  both = np.unique(analysis.key, axis=0)
  for half in range(2):
    assert len(np.unique(analysis.key[:, half])) == len(both)
  # Bits are balanced: each of the 128 is set in about half of the distinct keys.
  bits = np.unpackbits(both.view(np.uint8), axis=1).mean(0)
  assert np.all(np.abs(bits - 0.5) < 5 * 0.5 / np.sqrt(len(both)))


@pytest.mark.parametrize("multiclass", [False, True])
def test_keys_are_those_of_the_reference(multiclass):
  for space in (random_programs.full_space(4), spaces.baseline(), spaces.minimal_input()):
    programs = random_programs.random_programs(space, 150, seed=9, multiclass=multiclass)
    keys = canonical.analyse(programs, multiclass=multiclass).key.tolist()
    expected = [canonical_key.key(programs, i, multiclass) for i in range(len(programs))]
    assert list(map(tuple, keys)) == expected
    assert len(set(expected)) > 40


def _key(code: str, space: SearchSpace, multiclass: bool = False) -> bytes:
  programs = text.parse(code, space)
  return canonical.analyse(programs, multiclass=multiclass).key[0].tobytes()


BASE = ("def Setup():\n  s2 = 0.5\ndef Predict():\n  s3 = s2 - s4\n  v1 = s3 * v0\n"
        "  s1 = dot(v0, v1)\ndef Learn():\n  s4 = s0 - s1\n  s3 = s4 * s2")


@pytest.mark.parametrize(("old", "new"), [
    ("s2 = 0.5", "s2 = 0.5000000000000001"),  # a constant
    ("s3 = s2 - s4", "s3 = s4 - s2"),  # operands of an op that does not commute
    ("s3 = s2 - s4", "s3 = s2 + s4"),  # an op
    ("s4 = s0 - s1", "s4 = s0 - s3"),  # another source
    ("s4 = s0 - s1", "s4 = s0 - s2"),
    ("dot(v0, v1)", "dot(v0, v0)"),
    ("dot(v0, v1)", "dot(v1, v1)"),
    ("  s3 = s4 * s2", "  s2 = s4 * s2"),  # an output that Predict reads
    ("  s4 = s0 - s1\n", ""),
])
def test_what_matters_changes_the_key(old, new):
  space = SearchSpace(
      6, 3, 1, 4, Component((56,), 2), Component((1, 2, 18, 27), 4), Component((2, 3), 3))
  assert old in BASE
  assert _key(BASE.replace(old, new, 1), space) != _key(BASE, space)


def test_the_same_instruction_elsewhere_is_another_program():
  space = SearchSpace(4, 2, 0, 4, *(Component((1, 50, 56, 59), 3) for _ in range(3)))
  predict = "  s2 = uniform(0, 1)\n  s1 = s2 + s0\n"
  in_predict = f"def Setup():\ndef Predict():\n{predict}def Learn():"
  in_setup = "def Setup():\n  s2 = uniform(0, 1)\ndef Predict():\n  s1 = s2 + s0\ndef Learn():"
  in_learn = "def Setup():\ndef Predict():\n  s1 = s2 + s0\ndef Learn():\n  s2 = uniform(0, 1)"
  assert len({_key(code, space) for code in (in_predict, in_setup, in_learn)}) == 3


def test_zero_that_nothing_writes_is_one_source():
  space = SearchSpace(5, 3, 0, 4, *(Component((1, 2, 23, 27), 3) for _ in range(3)))
  code = "def Setup():\ndef Predict():\n  s2 = dot(v0, v0)\n  s1 = s2 + {zero}\ndef Learn():"
  # The hidden label is zero, too, and s3 and s4 never change.
  assert len({_key(code.format(zero=zero), space) for zero in ("s0", "s3", "s4")}) == 1
  assert _key(code.format(zero="s1"), space) != _key(code.format(zero="s0"), space)


def test_position_counts_live_instructions():
  programs = random_programs.random_programs(random_programs.full_space(4), 500, seed=6)
  analysis = canonical.analyse(programs)
  for live, position in zip(analysis.live, analysis.position):
    np.testing.assert_array_equal(position[live], np.arange(live.sum()))
    assert not position[~live].any()


def test_does_not_depend_on_the_batch():
  programs = random_programs.random_programs(random_programs.full_space(4), 300, seed=7)
  analysis = canonical.analyse(programs)
  order = np.random.default_rng(0).permutation(300)
  for got, wanted in zip(canonical.analyse(programs[order]), analysis.take(order)):
    np.testing.assert_array_equal(got, wanted)
  for i in range(0, 300, 10):
    for got, wanted in zip(canonical.analyse(programs[i]), analysis.take([i])):
      np.testing.assert_array_equal(got, wanted)


def test_rows_of_an_analysis():
  programs = random_programs.random_programs(random_programs.full_space(4), 10, seed=8)
  analysis = canonical.analyse(programs)
  part = analysis.take(np.arange(10) % 2 == 0)
  assert isinstance(part, canonical.Analysis)
  np.testing.assert_array_equal(part.key, analysis.key[::2])
  assert len(part.live) == len(part.position) == 5


def test_empty_batch_and_empty_programs():
  space = random_programs.full_space(4)
  none = canonical.analyse(Programs.empty(space, 0))
  assert (none.live.shape, none.key.shape) == ((0, space.num_slots), (0, 2))
  empty = canonical.analyse(Programs.empty(space, 2))
  np.testing.assert_array_equal(empty.key[0], empty.key[1])
  dead = text.parse("def Setup():\ndef Predict():\n  s2 = s0 + s0\ndef Learn():", space)
  np.testing.assert_array_equal(canonical.analyse(dead).key[0], empty.key[0])
  assert len(Function) == 3
