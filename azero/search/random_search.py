"""Random search: every program is random in all instructions (section 4.1 of the paper)."""

from azero.search.search import Search


class RandomSearch(Search):
  """Islands that draw random programs and keep the best."""

  evolve = False
