"""The mutation that gives a program a constant; see `test_paths` for what it leaves alone."""

import dataclasses

import numpy as np
import pytest
from reference import breeding
from support import mutants
from support.search_cases import ONE_LAYER, loose

import azero
from azero.language import spaces
from azero.language.program import Component

_TIMES, _SCALED, _NUMBER = 3, 18, 56
_SPACE = loose(spaces.baseline(4))


def _constants_added(text, space, count):
  return mutants.of(text, space, count, "add_constant")


def test_an_operation_with_a_number_comes_before_a_reader():
  parent, made = _constants_added(ONE_LAYER, _SPACE, 2000)
  assert len(made) > 400
  for child in made:
    [number] = child[0]
    assert number[0] == _NUMBER
    f, reader, [new], after = mutants.detour(parent, child)
    before = parent[f][reader]
    [operand] = [n for n in range(len(before)) if before[n] != after[n]]
    assert operand in (1, 2)
    assert breeding.writes(number) <= breeding.reads(new)
    assert breeding.reads(before) - breeding.reads(after) <= breeding.reads(new)
    assert breeding.writes(new) <= breeding.reads(after)


def test_a_learner_gets_its_rate_in_one_step():
  _, made = _constants_added(ONE_LAYER, _SPACE, 4000)
  rated = [
      child for child in made if any(
          line[0] in (_TIMES, _SCALED) and child[0][0][3] == line[1 if line[0] == _SCALED else 2]
          for line in child[2][1:])]
  assert len(rated) > 120
  sizes = np.abs([child[0][0][4][0] for child in rated])
  # As many in each of three decades.
  assert ((sizes >= 1e-3) & (sizes <= 1)).all()
  shares = np.histogram(np.log10(sizes), [-3, -2, -1, 0])[0] / len(sizes)
  assert (shares > 0.2).all()


def test_setup_ends_with_it_whatever_stood_there():
  text = "def Setup():\n  s3 = 0.25\n  s2 = 0.5" + ONE_LAYER.replace("s2 * v0", "s3 * v0")
  _, made = _constants_added(text, dataclasses.replace(
      _SPACE, setup=dataclasses.replace(_SPACE.setup, max_length=2)), 1000)
  assert len(made) > 100
  for child in made:
    assert child[0][0][3] == 3  # what is dead made way, what is read did not
    assert child[0][1][3] in (2, 4)


@pytest.mark.parametrize("change", [
    {"setup": dataclasses.replace(_SPACE.setup, max_length=0)},
    {"setup": dataclasses.replace(_SPACE.setup, searched=False)},
    {"setup": Component((57, 58, 59, 60, 62), 5)},  # vectors, and noise
    {"predict": dataclasses.replace(_SPACE.predict, max_length=1),
     "learn": dataclasses.replace(_SPACE.learn, max_length=3)}])
def test_without_room_or_a_number_nothing_happens(change):
  assert not _constants_added(ONE_LAYER, dataclasses.replace(_SPACE, **change), 300)[1]


def test_a_constant_does_not_depend_on_what_stood_at_its_address():
  """An op of the user's own without inputs that changes what is there sets no number."""
  more = azero.register_op(
      "constants_more", "", "s", lambda old, c: old + c, constants=("value",),
      updates_output=True)
  space = dataclasses.replace(_SPACE, setup=Component((_NUMBER, more.id), 3))
  text = "def Setup():\n  s3 = 50.0\n  s4 = 50.0\n  s2 = 50.0" + ONE_LAYER
  _, made = _constants_added(text, space, 500)
  assert len(made) > 50 and all(child[0][2][0] == _NUMBER for child in made)
