"""What a process holds alone, and what it shares."""

import ctypes
import mmap
import sys

import pytest

from azero import memory
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


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"),
    reason="the C library gives nothing back")
def test_what_is_free_between_what_is_not_is_given_back():
  before = own_memory()
  pieces = [bytes(8 * _PAGE) for _ in range(_SIZE // (8 * _PAGE))]
  some = pieces[::256]  # so that no end of the heap is free
  del pieces
  memory.give_back()
  assert own_memory() - before < _REST and len(some) == 8
