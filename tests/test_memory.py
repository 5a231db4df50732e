"""What a process holds alone, and what it shares."""

import mmap
import sys

import pytest

from azero.memory import own_memory

_SIZE, _PAGE, _REST = 64 << 20, 4096, 8 << 20


def _touch(buffer) -> None:
  for place in range(0, _SIZE, _PAGE):
    buffer[place] = 1


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell what is shared")
def test_what_is_shared_counts_for_nothing():
  before = own_memory()
  with mmap.mmap(-1, _SIZE) as shared:  # of all processes that have it
    _touch(shared)
    assert own_memory() - before < _REST
    alone = bytearray(_SIZE)
    _touch(alone)
    assert _SIZE - _REST < own_memory() - before < _SIZE + _REST
