"""Memory of this process."""

import psutil


def own_memory() -> int:
  """Bytes in memory that this process alone holds.

  What it shares counts for nothing: libraries, and objects of Ray, which are mapped by every
  process of a machine and would be counted once in each. Where the system does not tell what is
  shared, all of it counts.
  """
  memory = psutil.Process().memory_info()
  return memory.rss - getattr(memory, "shared", 0)
