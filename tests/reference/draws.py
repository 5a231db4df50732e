"""The random numbers of a child, in plain integers; see azero/search/draws.py."""

_GOLDEN = 0x9E3779B97F4A7C15


def mix(word: int) -> int:
  """Finaliser of splitmix64."""
  word ^= word >> 30
  word = word * 0xBF58476D1CE4E5B9 % 2**64
  word ^= word >> 27
  word = word * 0x94D049BB133111EB % 2**64
  return word ^ word >> 31


class Stream:
  """What child `child` of an island draws."""

  def __init__(self, seed: int, island: int, child: int):
    self.state = mix((mix((mix((seed + _GOLDEN) % 2**64) + island) % 2**64) + child) % 2**64)

  def uniform(self) -> float:
    """In [0, 1)."""
    self.state = (self.state + _GOLDEN) % 2**64
    return (mix(self.state) >> 11) / 2**53

  def pick(self, count: int) -> int:
    """Out of 0, ..., count - 1."""
    return int(self.uniform() * count)
