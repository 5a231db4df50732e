"""The mutation that puts an operation between a value and its reader."""

import dataclasses

import numpy as np
import pytest
from reference import breeding
from support import mutants
from support.random_programs import random_programs
from support.search_cases import EVERYTHING, loose

from azero.compiler import canonical
from azero.language import spaces
from azero.language.ops import op_by_id
from azero.language.program import EMPTY, Component, Programs, SearchSpace
from azero.search.proposals import mutation

NETWORK = """
def Predict():
  v2 = dot(m0, v0)
  v3 = maximum(v2, v4)
  s1 = dot(v1, v3)
def Learn():
  s2 = s0 - s1
  v5 = s2 * v1
  m1 = outer(v5, v0)
  m0 = m0 + m1
"""


def _children(text, space, count):
  return mutants.of(text, space, count, "extend_path")


@pytest.mark.parametrize("space", [spaces.backprop(4), spaces.minimal_input(4)])
def test_one_input_of_one_line_comes_by_a_detour(space):
  parent, made = _children(NETWORK, loose(space), 2000)
  assert len(made) > 400
  breeder = breeding.Breeder(loose(space), (), 1.0)
  for child in made:
    assert child[0] == parent[0]
    f, reader, new, after = mutants.detour(parent, child)
    assert 1 <= len(new) <= 2
    before, last = parent[f][reader], new[-1]
    [operand] = [n for n in range(len(before)) if before[n] != after[n]]
    assert operand in (1, 2)
    # What it reads now was made of what it read, and nobody needed the address.
    assert breeding.writes(last) <= breeding.reads(after)
    assert breeding.reads(before) - breeding.reads(after) <= breeding.reads(last)
    live = breeding.read_before(parent[f][reader:], breeder.live_after(parent, f))
    assert not any(breeding.writes(line) & live for line in new)
    assert breeding.writes(new[0]) <= breeding.reads(last) | breeding.writes(last)


_SPACES = {
    "some ops": SearchSpace(
        4, 3, 2, 4, Component((56, 57, 58), 4), Component((1, 3, 18, 23, 27, 31, 57), 6),
        Component((1, 2, 3, 18, 23, 28, 39, 56), 7)),
    "all ops": EVERYTHING, "network": loose(spaces.backprop(4))}


@pytest.mark.parametrize("action", ["extend_path", "add_constant"])
@pytest.mark.parametrize("name", _SPACES)
def test_without_the_detour_a_child_is_its_parent(name, action):
  """Whatever else an instruction writes, the next Predict of validation included."""
  space = _SPACES[name]
  parents = random_programs(space, 1500, 1)
  children = mutation.mutated(parents, mutation.mutator((action,), 1.0), seed=3)
  keys, old_keys = canonical.analyse(children).key, canonical.analyse(parents).key
  changed = np.flatnonzero((keys != old_keys).any(1))
  assert len(changed) > 100
  for n in changed:
    undone = Programs.concatenate(list(_other_inputs(children[[n]])))
    assert (canonical.analyse(undone).key == old_keys[n]).all(1).any()


def _other_inputs(program):
  """The program with each of its inputs replaced by each address of its kind."""
  for slot in np.flatnonzero(program.opcode[0] != EMPTY):
    for array, kind in zip(("in1", "in2"), op_by_id(int(program.opcode[0, slot])).inputs):
      for address in range(program.space.num_addresses[kind]):
        other = program[[0]]
        getattr(other, array)[0, slot] = address
        yield other


def test_a_gradient_gets_its_gate_in_one_step():
  _, made = _children(NETWORK, loose(spaces.backprop(4)), 20_000)
  gated = sum(
      any(gate[:2] == [16, 3] and line[0] == 25 and {line[1], line[2]} == {5, gate[3]}
          and outer[:4] == [28, line[3], 0, 1]
          for gate, line, outer in zip(child[2], child[2][1:], child[2][2:]))
      for child in made)
  assert gated >= 5


def test_without_room_nothing_happens():
  space = loose(spaces.backprop(4))
  tight = dataclasses.replace(
      space, predict=dataclasses.replace(space.predict, max_length=3),
      learn=dataclasses.replace(space.learn, max_length=4))
  assert not _children(NETWORK, tight, 300)[1]
  assert not _children("def Setup():\n s1 = 0.5", space, 100)[1]


def test_dead_instructions_make_way():
  space = spaces.backprop(4)
  tight = dataclasses.replace(
      space, setup=dataclasses.replace(space.setup, min_length=0),
      learn=dataclasses.replace(space.learn, min_length=0, max_length=6))
  parent, made = _children(NETWORK + "  v6 = v6 + v6\n  v7 = v6 + v6\n", tight, 500)
  lengths = np.array([len(child[2]) for child in made])
  assert len(made) > 50 and (lengths == 6).all()
  assert all(child[1] == parent[1] for child in made)
