"""What a process holds alone, what it shares, and what it gives back."""

import ctypes
import subprocess
import sys

import pytest

# In a process of its own, since others of this one's threads may take and free memory meanwhile.
_BEGINNING = """
import mmap
from azero import memory
SIZE, PAGE, REST = 64 << 20, 4096, 8 << 20
before = memory.own_memory()
def touch(buffer):
  for place in range(0, SIZE, PAGE):
    buffer[place] = 1
"""
_SHARED = """
with mmap.mmap(-1, SIZE) as shared:  # of all processes that have it
  touch(shared)
  assert memory.own_memory() - before < REST
  alone = bytearray(SIZE)
  touch(alone)
  assert SIZE - REST < memory.own_memory() - before < SIZE + REST
"""
_FREED = """
pieces = [bytes(8 * PAGE) for _ in range(SIZE // (8 * PAGE))]
some = pieces[::256]  # so that no end of the heap is free
del pieces
memory.give_back()
assert memory.own_memory() - before < REST and len(some) == 8
"""


def _run(code: str) -> None:
  subprocess.run([sys.executable, "-c", _BEGINNING + code], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell what is shared")
def test_what_is_shared_counts_for_nothing():
  _run(_SHARED)


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"),
    reason="the C library gives nothing back")
def test_what_is_free_between_what_is_not_is_given_back():
  _run(_FREED)
