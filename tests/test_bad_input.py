"""Whatever is read from a file or a command line, it ends in a result or in one clear error.

A short selection of what `slow/test_fuzzing.py` tries; the same cases each time.
"""

import pytest
from support import fuzzing
from support.fuzz_kinds import KINDS


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_wrong_input_ends_in_one_clear_error(kind, tmp_path):
  few, _ = KINDS[kind]
  ends = fuzzing.fuzz(kind(tmp_path), few)
  assert sum(ends.values()) >= 0.9 * few and ends["refused"] > 0
