"""Memory of this process."""

import ctypes

import psutil


def own_memory() -> int:
  """Bytes in memory that this process alone holds.

  What it shares counts for nothing: libraries, and objects of Ray, which are mapped by every
  process of a machine and would be counted once in each. Where the system does not tell what is
  shared, all of it counts.
  """
  memory = psutil.Process().memory_info()
  return memory.rss - getattr(memory, "shared", 0)


def give_back() -> None:
  """Gives the system back what is free between what is not, where the C library can.

  For after something large: pages that are free again are kept otherwise, and of a long run that
  packs its state every few minutes more of them each time.
  """
  try:
    trim = ctypes.CDLL(None).malloc_trim  # glibc's
  except (AttributeError, OSError, TypeError):
    return
  trim(0)
