"""The random numbers of children, and the tournaments that they decide."""

import numpy as np
from reference import breeding
from reference.draws import Stream
from support import kernel_calls
from support.search_cases import assert_uniform

from azero.search import draws
from azero.search.tournament import NOBODY


def drawn(seed, island, child, count):
  numbers = np.zeros(count)
  kernel_calls.uniforms(draws.new_stream(), draws.seed_word(seed), island, child, numbers)
  return numbers


def test_numbers_are_those_of_the_reference():
  for seed in (0, 7, -1, 2**64 - 1, 2**70 + 3):
    for island, child in ((0, 0), (3, 10**10), (1000, 12345)):
      stream = Stream(seed % 2**64, island, child)
      assert drawn(seed, island, child, 20).tolist() == [stream.uniform() for _ in range(20)]


def test_numbers_are_uniform_and_differ_between_seeds_islands_and_children():
  first = [drawn(seed, island, child, 50) for seed in (0, 1) for island in range(5)
           for child in range(30)]
  numbers = np.concatenate(first)
  assert len(np.unique(numbers)) == len(numbers) == 15_000
  assert numbers.min() >= 0 and numbers.max() < 1
  assert_uniform(np.bincount((numbers * 10).astype(int), minlength=10))
  # What children draw first, one after another, and what each draws next.
  firsts = np.array([row[:2] for row in first])
  assert np.abs(np.corrcoef(firsts[:-1, 0], firsts[1:, 0])[0, 1]) < 0.2
  assert np.abs(np.corrcoef(firsts.T)[0, 1]) < 0.2


def test_choices_are_uniform():
  chosen = np.zeros(6000, np.int64)
  kernel_calls.picks(draws.new_stream(), draws.seed_word(3), 0, 0, 6, chosen)
  stream = Stream(3, 0, 0)
  assert chosen.tolist() == [stream.pick(6) for _ in range(6000)]
  assert_uniform(np.bincount(chosen, minlength=6))


def test_winners_are_those_of_the_reference():
  rng = np.random.default_rng(0)
  stream = draws.new_stream()
  for size, contestants in ((2, 1), (5, 3), (10, 10), (100, 10)):
    fitness = rng.integers(0, 8, size) / 8  # many ties: the first drawn wins
    for child in range(60):
      oldest = child % size
      by_age = np.roll(fitness, -oldest)[1:]
      expected = breeding.tournament(by_age.tolist(), contestants, Stream(5, 0, child))
      winner, decided = kernel_calls.compete(
          fitness, oldest, contestants, stream, draws.seed_word(5), child)
      assert winner == (oldest + 1 + expected) % size and decided


def test_a_tournament_is_decided_by_whom_it_drew_and_by_nobody_else():
  size, contestants, oldest = 20, 4, 13
  stream, undecided = draws.new_stream(), 0
  for child in range(100):
    reference = Stream(9, 0, child)
    places = {(oldest + 1 + reference.pick(size - 1)) % size for _ in range(contestants)}
    fitness = np.linspace(0, 1, size)
    fitness[[2, 5, oldest]] = np.nan
    winner, decided = kernel_calls.compete(
        fitness, oldest, contestants, stream, draws.seed_word(9), child)
    assert decided == (not places & {2, 5})
    # Of those that are not known it is taken that they do not win.
    assert winner == max(places - {2, 5}, key=lambda place: fitness[place])
    undecided += not decided
  assert 10 < undecided < 70


def test_nobody_wins_of_whom_nothing_is_known():
  winner, decided = kernel_calls.compete(
      np.full(20, np.nan), 0, 4, draws.new_stream(), draws.seed_word(9), 0)
  assert winner == NOBODY and not decided
