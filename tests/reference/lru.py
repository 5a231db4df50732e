"""The caches of one island in plain Python; see azero/search/scoring/lru_cache.py."""

import collections

WAYS = 8


class SetAssociativeCache:
  """Sets of at most eight entries, each an ordered dictionary, least recently used first.

  The first half of a key names its set.
  """

  def __init__(self, capacity: int):
    self.num_sets = -(-capacity // WAYS)
    self.sets: dict[int, collections.OrderedDict] = collections.defaultdict(
        collections.OrderedDict)

  def get(self, key: tuple[int, int]) -> float | None:
    """The value of a key, which is marked as used; None if it is not there."""
    entries = self.sets[key[0] % self.num_sets]
    if key in entries:
      entries.move_to_end(key)
    return entries.get(key)

  def put(self, key: tuple[int, int], value: float) -> None:
    """Stores the value of a key that is not there."""
    entries = self.sets[key[0] % self.num_sets]
    entries[key] = value
    if len(entries) > WAYS:
      entries.popitem(last=False)
