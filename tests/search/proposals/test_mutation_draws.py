"""The distributions of mutations (S3 of the paper), by counts of seeded draws."""

import dataclasses

import numpy as np
import pytest
from support.search_cases import ALL_OPS, EVERYTHING, assert_frequencies, assert_uniform, repeat

from azero.language import ops as op_table
from azero.language.ops import Constant, Kind
from azero.language.program import FIRST_WRITABLE, Component, Programs, SearchSpace
from azero.language.text import parse
from azero.search.proposals import mutation as mutation

COUNT = 20_000
CONSTANT = 56

# Only scalar constants: whatever is drawn anew differs almost surely.
_CONSTANTS = Component((CONSTANT,), 5, 1)
PLAIN = SearchSpace(4, 1, 0, 2, _CONSTANTS, _CONSTANTS, _CONSTANTS)
BODY = "\n  s1 = 0.25\n  s2 = 0.5\n  s3 = 0.75"
THREE = f"def Setup():{BODY}\ndef Predict():{BODY}\ndef Learn():{BODY}"


def mutate(program, actions, probability=1.0, count=COUNT, seed=3):
  return mutation.mutated(
      repeat(program, count), mutation.mutator(actions, probability), seed=seed)


def changed_slots(children, program):
  """[N, L] whether an instruction differs from that of the parent."""
  different = np.zeros(children.opcode.shape, bool)
  for name in Programs.ARRAYS:
    part = getattr(children, name) != getattr(program, name)
    different |= part.any(-1) if part.ndim == 3 else part
  return different


@pytest.mark.parametrize("probability", [0.0, 0.3, 0.9, 1.0])
def test_a_child_is_mutated_with_probability_u(probability):
  program = parse(THREE, PLAIN)
  children = mutate(program, ("randomize_instruction",), probability)
  mutated = int(changed_slots(children, program).any(1).sum())
  assert_frequencies([mutated, COUNT - mutated], [probability, 1 - probability])


def kinds_of_change(children, program):
  """Counts of children that are longer, shorter, new in three instructions, or in at most one."""
  growth = children.lengths.sum(1) - program.lengths.sum()
  many = (growth == 0) & (changed_slots(children, program).sum(1) == 3)
  return [(growth == 1).sum(), (growth == -1).sum(), many.sum(), ((growth == 0) & ~many).sum()]


@pytest.mark.parametrize("actions, probabilities", [
    (("insert", "remove", "randomize_function", "alter"), [1 / 4, 1 / 4, 1 / 4, 1 / 4]),
    (("alter", "randomize_function", "insert"), [1 / 3, 0, 1 / 3, 1 / 3]),
    (("remove", "alter", "remove"), [0, 2 / 3, 0, 1 / 3]),
    (("insert_or_remove",), [1 / 3, 2 / 3, 0, 0]),
    (mutation.PAPER_ACTIONS, [1 / 9, 2 / 9, 1 / 3, 1 / 3]),
    (("alter", "randomize_instruction", "randomize_function"), [0, 0, 1 / 3, 2 / 3]),
])
def test_actions_are_uniform_and_removal_twice_as_likely(actions, probabilities):
  program = parse(THREE, PLAIN)
  assert_frequencies(kinds_of_change(mutate(program, actions), program), probabilities)


@pytest.mark.parametrize("action", ["randomize_instruction", "randomize_function"])
def test_the_component_function_is_uniform(action):
  program = parse(THREE, PLAIN)
  changed = changed_slots(mutate(program, (action,)), program)
  assert_uniform([changed[:, PLAIN.slots(f)].any(1).sum() for f in range(3)])
  learn_only = dataclasses.replace(
      PLAIN, setup=dataclasses.replace(PLAIN.setup, searched=False))
  program = parse(THREE, learn_only)
  changed = changed_slots(mutate(program, (action,)), program)
  counts = [changed[:, PLAIN.slots(f)].any(1).sum() for f in range(3)]
  assert_frequencies(counts, [0, 1 / 2, 1 / 2])


def test_the_instruction_is_uniform():
  program = parse(THREE, PLAIN)
  changed = changed_slots(mutate(program, ("randomize_instruction",)), program)
  assert_uniform(changed.sum(0)[[0, 1, 2, 5, 6, 7, 10, 11, 12]])


def test_the_place_of_insertion_and_removal_is_uniform():
  program = parse(THREE, PLAIN)
  for action, places in (("insert", 4), ("remove", 3)):
    children = mutate(program, (action,))
    constants = children.constants[:, PLAIN.slots(0), 0]
    touched = children.lengths[:, 0] != 3
    old = np.array([0.25, 0.5, 0.75])
    if action == "insert":
      where = (~np.isin(constants[touched][:, :4], old)).argmax(1)
    else:
      where = (constants[touched][:, :3] != old).argmax(1)
    assert_uniform(np.bincount(where, minlength=places))


def fresh(count=3000):
  return mutation.random_programs(EVERYTHING, count, seed=9)


def test_ops_are_uniform():
  programs = fresh()
  for f in range(3):
    opcode = programs.opcode[:, EVERYTHING.slots(f)]
    assert_uniform(np.bincount(opcode.ravel(), minlength=len(ALL_OPS)))


@pytest.mark.parametrize("kind", list(Kind))
def test_addresses_are_uniform_over_the_legal_ones(kind):
  programs, table = fresh(), op_table.columns()
  size, first = EVERYTHING.num_addresses[kind], FIRST_WRITABLE[kind]
  for k, name in enumerate(("in1", "in2")):
    addresses = getattr(programs, name)[table.input_kind[programs.opcode, k] == kind]
    assert_uniform(np.bincount(addresses, minlength=size))
  written = programs.out[table.output_kind[programs.opcode] == kind]
  assert written.min() == first
  assert_uniform(np.bincount(written - first, minlength=size - first))


def test_operands_are_independent():
  programs = fresh()
  sums = programs.opcode == 23  # vector sum: 4 x 4 addresses to read, 3 to write
  code = programs.in1[sums] * 12 + programs.in2[sums] * 3 + programs.out[sums] - 1
  assert_uniform(np.bincount(code, minlength=48))


def constants_of(programs, meaning):
  """All constants of one meaning, in one array."""
  return np.concatenate([
      programs.constants[programs.opcode == op.id, k] for op in op_table.all_ops()[:65]
      for k, other in enumerate(op.constants) if other is meaning])


@pytest.mark.parametrize("meaning", list(Constant))
def test_fresh_constants(meaning):
  low = 0.0 if meaning in (Constant.INDEX, Constant.STD) else -1.0
  values = constants_of(fresh(), meaning)
  counts, _ = np.histogram(values, bins=20, range=(low, 1.0))
  assert counts.sum() == len(values) > 2000
  assert_uniform(counts)


def altered(line):
  """A program of one instruction, its slot and its altered children."""
  only = dataclasses.replace(
      EVERYTHING, setup=dataclasses.replace(EVERYTHING.setup, searched=False),
      learn=dataclasses.replace(EVERYTHING.learn, searched=False))
  program = parse(f"def Predict():\n  {line}", only)
  return program, only.offsets[1], mutate(program, ("alter",))


@pytest.mark.parametrize("line, sizes", [
    ("s1 = s2 + s3", {"in1": 5, "in2": 5, "out": 4}),
    ("v1 = s2 * v3", {"in1": 5, "in2": 4, "out": 3}),
    ("m0 = abs(m1)", {"in1": 3, "out": 3}),
    ("v1 = gaussian(0.5, 0.25)", {"out": 3}),
    ("s1 = 0.5", {"out": 4}),
])
def test_the_altered_argument_is_uniform(line, sizes):
  parent, slot, children = altered(line)
  has_data = int("0." in line)
  probabilities, counts = [], []
  for name, size in sizes.items():
    # A redrawn address is the old one in one of `size` cases.
    counts.append(int((getattr(children, name)[:, slot] != getattr(parent, name)[0, slot]).sum()))
    probabilities.append((1 - 1 / size) / (len(sizes) + has_data))
  data = (children.constants[:, slot] != parent.constants[0, slot]).any(1).sum()
  counts += [int(data), COUNT - sum(counts) - int(data)]
  probabilities.append(has_data / (len(sizes) + has_data))
  probabilities.append(1 - sum(probabilities))
  assert_frequencies(counts, probabilities)


def factors(line, k, old):
  """What constant k was multiplied by, where it was altered."""
  _, slot, children = altered(line)
  values = children.constants[:, slot, k]
  return values[values != old] / old


@pytest.mark.parametrize("line, k, old, flips", [
    ("s1 = 0.5", 0, 0.5, True), ("s1 = -20.0", 0, -20.0, True),
    ("v1 = uniform(-0.5, 0.25)", 1, 0.25, True), ("v1 = gaussian(0.5, 0.25)", 0, 0.5, True),
    ("v1 = gaussian(0.5, 0.25)", 1, 0.25, False), ("m1 = gaussian(0.5, -0.25)", 1, -0.25, False),
    ("v1[2] = 0.125", 1, 0.125, True), ("m1[2, 3] = 0.125", 2, 0.125, True),
])
def test_altered_numbers_are_scaled_and_change_sign(line, k, old, flips):
  scale = factors(line, k, old)
  assert len(scale) > 2000
  negative = int((scale < 0).sum())
  assert_frequencies([negative, len(scale) - negative], [0.1, 0.9] if flips else [0.0, 1.0])
  # Rounding to six digits can leave the interval by half of the last one.
  assert 0.5 - 1e-5 < np.abs(scale).min() and np.abs(scale).max() < 2 + 1e-5
  assert_uniform(np.histogram(np.abs(scale), bins=15, range=(0.5 - 1e-5, 2 + 1e-5))[0])


def test_which_constant_is_altered_is_uniform():
  _, slot, children = altered("m1[2, 3] = 0.125")
  changed = children.constants[:, slot] != np.array([0.625, 0.875, 0.125])
  assert changed.sum(1).max() == 1
  assert_uniform(changed.sum(0))


def test_an_altered_index_is_drawn_anew():
  _, slot, children = altered("m1[2, 3] = 0.125")
  for k, old in enumerate((0.625, 0.875)):
    index = children.constants[:, slot, k]
    assert_uniform(np.histogram(index[index != old], bins=16, range=(0, 1))[0])


def test_what_is_decided_apart_is_independent():
  """Sign, size and choice of an altered constant, and the op that is written anew."""
  _, slot, children = altered("v1 = uniform(0.5, 0.5)")
  values = children.constants[:, slot, :2]
  rows, which = np.nonzero(values != 0.5)
  scale = values[rows, which] / 0.5
  large, negative = np.abs(scale) > 1.25, scale < 0
  code = which * 4 + large * 2 + negative
  expected = [0.25 * (0.9, 0.1)[bit & 1] for bit in range(8)]
  assert_frequencies(np.bincount(code, minlength=8), expected)
