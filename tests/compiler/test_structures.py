"""Structures: equal for equal data flow whatever the constants and the order, else different."""

import numpy as np
from reference import dataflow
from support.search_cases import EVERYTHING, VARIABLE

from azero.compiler import canonical
from azero.language import spaces, text
from azero.search.proposals import mutation

LINEAR = ("def Setup():\n s2 = {}\n s4 = {}\ndef Predict():\n s1 = dot(v0, v1)\ndef Learn():\n"
          " s3 = s0 - s1\n s3 = s2 * s3\n v2 = s3 * v0\n v2 = s4 * v2\n v1 = v1 + v2\n")


def structure(source):
  return int(canonical.structures(text.parse(source, num_features=4))[0])


def test_constants_order_names_and_dead_code_do_not_matter():
  plain = structure(LINEAR.format(0.1, 0.2))
  assert structure(LINEAR.format(-0.7, 3)) == plain
  assert structure(LINEAR.format(0.1, 0.2).replace(
      " s2 = 0.1\n s4 = 0.2", " s4 = 0.2\n s2 = 0.1")) == plain
  assert structure(LINEAR.format(0.1, 0.2).replace("s3", "s6").replace("v2", "v3")) == plain
  assert structure(LINEAR.format(0.1, 0.2).replace("s2 * s3", "s3 * s2")) == plain
  assert structure(LINEAR.format(0.1, 0.2) + " s7 = s3 * s3\n") == plain
  for old, new in (("s0 - s1", "s1 - s0"), ("v1 + v2", "v1 - v2"), (" v2 = s4 * v2\n", "")):
    assert structure(LINEAR.format(0.1, 0.2).replace(old, new)) != plain


def test_constants_of_random_programs_do_not_matter_and_all_else_does():
  for space in (VARIABLE, EVERYTHING, spaces.baseline(4)):
    programs = mutation.random_programs(space, 400, seed=1)
    others = mutation.random_programs(space, 400, seed=1)
    others.constants[:] = np.where(others.constants == 0, 0, 0.5 + others.constants / 7)
    structures = canonical.structures(programs)
    assert (structures == canonical.structures(others)).all()
    # One structure for each form without constants, but for the order of instructions.
    forms = [_form(programs, k) for k in range(len(programs))]
    by_form, by_structure = {}, {}
    for form, found in zip(forms, structures.tolist()):
      by_form.setdefault(form, set()).add(found)
      by_structure.setdefault(found, set()).add(_ops(form))
    assert all(len(found) == 1 for found in by_form.values())
    assert all(len(found) == 1 for found in by_structure.values())
    assert len(by_structure) > 60


def _form(programs, index):
  """What a program does, without its constants."""
  rows, predicted = dataflow.canonical_form(
      dataflow.listing_of(programs, index), programs.space.num_features)
  return tuple(row[:3] for row in rows), predicted


def _ops(form):
  """Which ops there are in which component function, in any order."""
  return tuple(sorted((function, op) for function, op, _ in form[0]))
