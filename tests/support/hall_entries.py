"""Entries of a hall of fame for tests, without a search that found them."""

from azero.search.history.hall_of_fame import Entry
from azero.search.history.lineage import Lineage


def entry(
    program, fitness, *, island=0, train_steps=100, num_programs=10, complexity=1, cost=1.0,
    fingerprint=None):
  """A program that came from nowhere."""
  lineage = Lineage.of(program, [fitness], [[num_programs, island, -1, 0]])
  return Entry(
      program, fitness, island, train_steps, num_programs, complexity, cost, fingerprint, lineage)
