"""Tens of thousands of wrong inputs: `python -m pytest -m slow tests/slow/test_fuzzing.py -s`.

It prints how many cases of each kind were accepted and refused.
"""

import pytest
from support import fuzzing
from support.fuzz_kinds import KINDS

pytestmark = pytest.mark.slow


# Of a large case that fails; what it fails by is to be seen, not how it is printed.
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_wrong_input_ends_in_one_clear_error(kind, tmp_path):
  _, many = KINDS[kind]
  ends = fuzzing.fuzz(kind(tmp_path), many)
  print(f"\n{kind.__name__}: {ends['accepted']} accepted, {ends['refused']} refused")
  assert sum(ends.values()) >= 0.9 * many and min(ends["accepted"], ends["refused"]) > 0
