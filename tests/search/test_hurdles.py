import dataclasses

import numpy as np
import pytest
from support.search_cases import NUM_TASKS, NUM_TRAIN, VARIABLE, config, tasks

from azero.executors.evaluator import Evaluator
from azero.language.text import parse_many
from azero.search import mutation
from azero.search.equivalence import CachedEvaluator, Counts
from azero.search.hurdles import Hurdles, unique_percentile
from azero.search.random_search import RandomSearch

ISLANDS = 3
SETTINGS = {"lanes": 16, "num_devices": 1}
HURDLE = 0.5
FIRST = int(HURDLE * NUM_TRAIN)  # training examples before the hurdle


def one_after_another(hurdles, fitness, island=0):
  """Heights after each of these fitnesses of an island."""
  heights = []
  for value in fitness:
    hurdles.update(np.array([island]), np.array([value]))
    heights.append(float(hurdles.heights[island]))
  return heights


def test_the_hurdle_is_the_75th_percentile_of_unique_fitnesses():
  hurdles = Hurdles(2, 5)
  assert hurdles.heights.tolist() == [-np.inf, -np.inf]
  heights = one_after_another(hurdles, [0.5, 0.25, 0.25, 1.0, 0.75])
  # {.5}; {.25 .5}; the same; {.25 .5 1}; {.25 .5 .75 1}
  assert heights == [0.5, 0.4375, 0.4375, 0.75, 0.8125]
  assert hurdles.heights[1] == -np.inf


def test_the_hurdle_rolls_on_with_the_last_fitnesses():
  hurdles = Hurdles(1, 4)
  heights = one_after_another(hurdles, [1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.25])
  # The fifth pushes out 1, the sixth 0.5; then {0 .25}.
  assert heights == [1.0, 0.875, 0.75, 0.75, 0.375, 0.0, 0.1875]


def test_a_batch_does_what_its_programs_do_one_after_another():
  rng = np.random.default_rng(0)
  whole, single = Hurdles(ISLANDS, 7), Hurdles(ISLANDS, 7)
  for size in (1, 5, 40, 3, 0, 16):  # 40: more than a window at once
    islands, fitness = rng.integers(0, ISLANDS, size), rng.integers(0, 8, size) / 8
    whole.update(islands, fitness)
    for island, value in zip(islands, fitness):
      one_after_another(single, [value], int(island))
    np.testing.assert_array_equal(whole.heights, single.heights)


def test_percentiles_are_those_of_numpy():
  rng = np.random.default_rng(1)
  values = rng.integers(0, 20, (50, 15)) / 20
  values[np.arange(15) > rng.integers(0, 15, 50)[:, None]] = np.inf
  for percentile in (0.0, 30.0, 75.0, 100.0):
    expected = [np.percentile(np.unique(row[np.isfinite(row)]), percentile) for row in values]
    np.testing.assert_allclose(unique_percentile(values, percentile), expected, rtol=1e-14)


def test_the_state_decides_the_hurdles_to_come():
  rng = np.random.default_rng(2)
  hurdles, other = Hurdles(1, 6), Hurdles(1, 6)
  one_after_another(hurdles, rng.random(9))
  other.restore(hurdles.state())
  assert other.heights.tolist() == hurdles.heights.tolist()
  more = rng.random(9)
  assert one_after_another(other, more) == one_after_another(hurdles, more)


def random_programs(seed, count):
  draws = np.random.default_rng(seed).random((count, mutation.num_random_draws(VARIABLE)))
  return mutation.random_programs(VARIABLE, draws)


def test_programs_under_the_hurdle_keep_the_fitness_of_the_first_part():
  window = 20
  evaluator = CachedEvaluator(
      VARIABLE, tasks(ISLANDS), fingerprint=False, hurdle=HURDLE, hurdle_window=window,
      **SETTINGS)
  first_part = [
      dataclasses.replace(each, train_x=each.train_x[:, :FIRST], train_y=each.train_y[:, :FIRST])
      for each in tasks(ISLANDS)]
  start = Evaluator(VARIABLE, first_part, **SETTINGS)
  full = Evaluator(VARIABLE, tasks(ISLANDS), **SETTINGS)
  rng = np.random.default_rng(3)
  seen = [[], [], []]  # of each island, fitnesses after the first part
  known: dict[tuple, float] = {}
  stopped = 0
  for batch in range(8):
    programs, islands = random_programs(batch, 30), rng.integers(0, ISLANDS, 30)
    fitness, steps, analysis = evaluator.evaluate(programs, islands)
    short, long = start.evaluate(programs, islands), full.evaluate(programs, islands)
    hurdles = [
        np.percentile(np.unique(part[-window:]), 75) if part else -np.inf for part in seen]
    for k, island in enumerate(islands):
      key = (island, *analysis.key[k])
      if key in known:  # it is not measured again, whatever the hurdle is by now
        assert (fitness[k], steps[k]) == (known[key], 0)
        continue
      seen[island].append(short.fitness[k])
      if short.fitness[k] >= hurdles[island] and short.trained[k].any():
        assert fitness[k] == long.fitness[k]
        assert steps[k] == short.train_steps[k] + long.train_steps[k]
      else:
        stopped += 1
        assert fitness[k] == short.fitness[k] and steps[k] == short.train_steps[k]
      known[key] = fitness[k]
  counts = evaluator.counts
  assert counts.hurdle_stopped == stopped > counts.evaluated > 0
  assert counts.evaluated == counts.hurdle_passed == len(known) - stopped
  assert counts.programs == 240 == counts.canonical_hits + counts.duplicates + len(known)


# They predict x . x times 1, 2, 3: the fitness falls, and equal training does not change it.
SQUARES = [
    f"def Setup():\n  s2 = {factor}\ndef Predict():\n  s3 = dot(v0, v0)\n  s1 = s3 * s2\n"
    for factor in (1.0, 2.0, 3.0)]
SHORT, PART, FULL = NUM_TASKS * 10, NUM_TASKS * FIRST, NUM_TASKS * NUM_TRAIN


def test_hurdles_after_fingerprints():
  evaluator = CachedEvaluator(
      VARIABLE, tasks(ISLANDS), hurdle=HURDLE, hurdle_window=2, **SETTINGS)
  full = Evaluator(VARIABLE, tasks(ISLANDS), **SETTINGS).evaluate(parse_many(SQUARES, VARIABLE))

  def evaluate(text):
    values, steps, _ = evaluator.evaluate(parse_many([text], VARIABLE), np.zeros(1, int))
    return float(values[0]), int(steps[0])

  best, middle, worst = full.fitness.tolist()
  assert best > middle > worst
  assert evaluate(SQUARES[1]) == (middle, SHORT + PART + FULL)  # there is no hurdle yet
  assert evaluate(SQUARES[2]) == (worst, SHORT + PART)  # validation alone decides on these
  assert evaluate(SQUARES[0]) == (best, SHORT + PART + FULL)
  # Another text of the same predictions gets what the first got at the hurdle.
  same = SQUARES[2].replace("s1 = s3 * s2", "s2 = s3 + s3\n  s1 = s2 + s3").replace("3.0", "7.0")
  assert evaluate(same) == (worst, SHORT)
  assert evaluator.counts == Counts(
      programs=4, fingerprint_hits=1, hurdle_stopped=1, hurdle_passed=2, evaluated=2,
      train_steps=4 * SHORT + 3 * PART + 2 * FULL)


def test_hurdles_save_three_quarters_of_the_training():
  search = RandomSearch(VARIABLE, tasks(ISLANDS), config(
      hurdle=HURDLE, children_per_cycle=20, population_size=100))
  search.step()
  before = search.counts.evaluated  # these pass, for there is no hurdle yet
  while search.cycle < 60:
    search.step()
  passed, stopped = search.counts.evaluated - before, search.counts.hurdle_stopped
  assert passed + stopped > 800
  assert 0.7 < stopped / (passed + stopped) < 0.8


@pytest.mark.parametrize("hurdle", [0.0, 1.0, -0.5, 2.0])
def test_a_hurdle_stands_inside_the_training(hurdle):
  with pytest.raises(ValueError, match="hurdle must be a part of the training between 0 and 1"):
    config(hurdle=hurdle)
