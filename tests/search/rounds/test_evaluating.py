import dataclasses

import numpy as np
import pytest
from reference.lru import SetAssociativeCache
from support.scoring import Scoring
from support.search_cases import NUM_TASKS, NUM_TRAIN, VARIABLE, repeat, tasks

from azero.executors.evaluator import Evaluator
from azero.executors.outcomes import hash_predictions
from azero.language.text import parse_many
from azero.search.proposals import mutation
from azero.search.rounds.evaluating import FINGERPRINT_EXAMPLES, Counts

ISLANDS = 3
FULL = NUM_TASKS * NUM_TRAIN  # training steps of an evaluation
SHORT = NUM_TASKS * FINGERPRINT_EXAMPLES  # of a fingerprint
SETTINGS = {"lanes": 16, "num_devices": 1, "seed": 0}

LINEAR = """
def Setup():
  s3 = 0.1
def Predict():
  s1 = dot(v0, v1)
def Learn():
  s2 = s0 - s1
  s2 = s2 * s3
  v1 = s2 * v0
"""
SAME_LINEAR = """
def Setup():
  s2 = 0.1
  s3 = 0.75
def Predict():
  v2 = v0 + v0
  s1 = dot(v1, v0)
def Learn():
  s3 = s0 - s1
  s3 = s2 * s3
  v1 = s3 * v0
"""
OTHER_LINEAR = LINEAR.replace("0.1", "0.2")
# All three predict 1, by other means.
ONES = ["""
def Setup():
  s2 = 0.5
def Predict():
  s1 = s2 + s2
""", """
def Setup():
  s2 = 1.0
def Predict():
  s1 = s2 * s2
""", """
def Predict():
  s1 = 1.0
"""]
# The prediction doubles with every example: 64 passes, 128 is stopped at the eighth.
DOUBLING = """
def Setup():
  s2 = 1.0
def Predict():
  s1 = s2 + s3
def Learn():
  s2 = s2 + s2
"""
SURVIVED = 7  # examples that DOUBLING is trained on in a task
HUGE = """
def Predict():
  s1 = 1000.0
"""
# Grows too, but is stopped after the fingerprint: 1 + the number of examples, times 7.
GROWING = """
def Setup():
  s2 = 7.0
def Predict():
  s1 = s2 + s1
"""


@pytest.fixture(scope="module")
def plain():
  """Evaluates everything, each time."""
  return Evaluator(VARIABLE, tasks(ISLANDS), **SETTINGS)


def cached(**settings):
  return Scoring(VARIABLE, tasks(ISLANDS), **(SETTINGS | settings))


def evaluate(evaluator, texts, islands=0):
  programs = parse_many(texts, VARIABLE)
  islands = np.broadcast_to(islands, len(texts))
  fitness, steps = evaluator.evaluate(programs, islands)
  return fitness, steps.tolist()


def test_equal_keys_in_a_batch_are_evaluated_once(plain):
  evaluator = cached(fingerprint=False)
  texts = [LINEAR, OTHER_LINEAR, SAME_LINEAR, LINEAR, OTHER_LINEAR]
  fitness, steps = evaluate(evaluator, texts)
  np.testing.assert_array_equal(fitness, plain.evaluate(parse_many(texts, VARIABLE)).fitness)
  assert len(set(fitness)) == 2
  assert steps == [FULL, FULL, 0, 0, 0]
  assert evaluator.counts == Counts(
      programs=5, canonical_hits=3, evaluated=2, train_steps=2 * FULL)


def test_known_keys_are_answered_without_work():
  evaluator = cached(fingerprint=False)
  first, _ = evaluate(evaluator, [LINEAR])
  fitness, steps = evaluate(evaluator, [SAME_LINEAR, OTHER_LINEAR, LINEAR])
  assert fitness[0] == fitness[2] == first[0] != fitness[1]
  assert steps == [0, FULL, 0]
  assert evaluator.counts == Counts(
      programs=4, canonical_hits=2, evaluated=2, train_steps=2 * FULL)


def test_without_the_second_stage_equal_behaviour_is_not_noticed():
  evaluator = cached(fingerprint=False)
  fitness, steps = evaluate(evaluator, ONES)
  assert len(set(fitness)) == 1 and steps == [FULL] * 3
  assert evaluator.counts.evaluated == 3


def test_without_caches_every_program_is_trained(plain):
  evaluator = cached(fingerprint=False, canonical_cache=False)
  texts = [LINEAR, LINEAR, SAME_LINEAR, OTHER_LINEAR]
  expected = plain.evaluate(parse_many(texts, VARIABLE)).fitness
  for _ in range(2):
    fitness, steps = evaluate(evaluator, texts)
    np.testing.assert_array_equal(fitness, expected)
    assert steps == [FULL] * 4
  assert evaluator.counts == Counts(programs=8, evaluated=8, train_steps=8 * FULL)
  other = cached(fingerprint=False, canonical_cache=False)
  other.restore(evaluator.state())
  assert other.counts == evaluator.counts
  assert evaluate(other, [LINEAR])[1] == [FULL]


def test_fingerprints_alone_recognise_copies_at_the_cost_of_a_fingerprint(plain):
  evaluator = cached(canonical_cache=False)
  fitness, steps = evaluate(evaluator, [LINEAR, SAME_LINEAR, ONES[0]])
  assert fitness[0] == fitness[1] != fitness[2]
  assert steps == [SHORT + FULL, SHORT, SHORT + FULL]
  again, steps = evaluate(evaluator, [LINEAR])
  assert again[0] == fitness[0] and steps == [SHORT]
  assert evaluator.counts == Counts(
      programs=4, fingerprint_hits=2, evaluated=2, train_steps=4 * SHORT + 2 * FULL)


def test_equal_fingerprints_in_a_batch_and_from_before():
  evaluator = cached()
  fitness, steps = evaluate(evaluator, [ONES[0], LINEAR, ONES[1]])
  assert fitness[0] == fitness[2] != fitness[1]
  assert steps == [SHORT + FULL, SHORT + FULL, SHORT]
  assert evaluator.counts == Counts(
      programs=3, fingerprint_hits=1, evaluated=2, train_steps=3 * SHORT + 2 * FULL)
  # A new key is fingerprinted and recognised; then its key is known as well.
  for extra in (SHORT, 0):
    later, steps = evaluate(evaluator, [ONES[2]])
    assert later[0] == fitness[0] and steps == [extra]
  assert evaluator.counts == Counts(
      programs=5, canonical_hits=1, fingerprint_hits=2, evaluated=2,
      train_steps=4 * SHORT + 2 * FULL)


def test_programs_stopped_while_fingerprinted_have_no_fitness(plain):
  evaluator = cached()
  texts = [HUGE, DOUBLING, ONES[0], HUGE]
  fitness, steps = evaluate(evaluator, texts)
  assert steps == [0, NUM_TASKS * SURVIVED, SHORT + FULL, 0]
  np.testing.assert_array_equal(fitness, plain.evaluate(parse_many(texts, VARIABLE)).fitness)
  assert fitness[[0, 1, 3]].tolist() == [0.0, 0.0, 0.0] and fitness[2] > 0
  assert evaluator.counts == Counts(
      programs=4, canonical_hits=1, stopped_early=2, evaluated=1, train_steps=sum(steps))
  again, steps = evaluate(evaluator, [DOUBLING])
  assert again.tolist() == [0.0] and steps == [0]


def test_programs_stopped_later_are_evaluated(plain):
  evaluator = cached()
  fitness, steps = evaluate(evaluator, [GROWING])
  # The prediction is 7 (t + 1) at example t: it passes 100 between examples 13 and 16.
  expected = plain.evaluate(parse_many([GROWING], VARIABLE))
  assert fitness.tolist() == expected.fitness.tolist() == [0.0]
  assert steps == [SHORT + int(expected.train_steps[0])]
  assert 2 * 12 <= expected.train_steps[0] <= 2 * 16
  assert evaluator.counts.stopped_early == 0 and evaluator.counts.evaluated == 1


def test_islands_have_their_own_tasks_and_caches(plain):
  evaluator = cached()
  fitness, steps = evaluate(evaluator, [LINEAR, LINEAR, LINEAR, LINEAR], [0, 1, 0, 2])
  programs = parse_many([LINEAR] * 4, VARIABLE)
  expected = plain.evaluate(programs, np.array([0, 1, 0, 2])).fitness
  np.testing.assert_array_equal(fitness, expected)
  assert len(set(fitness)) == 3
  assert steps == [SHORT + FULL, SHORT + FULL, 0, SHORT + FULL]
  assert evaluator.counts.canonical_hits == 1 and evaluator.counts.fingerprint_hits == 0
  evaluator = cached()
  evaluate(evaluator, [LINEAR], 0)
  _, steps = evaluate(evaluator, [LINEAR], 1)
  assert steps == [SHORT + FULL]


def test_immigrants_are_recorded_and_move_no_hurdle(plain):
  evaluator = cached(hurdle=0.5, fingerprint=False)
  programs = mutation.random_programs(VARIABLE, 40, seed=0)
  expected = plain.evaluate(programs, np.ones(40, int)).fitness
  fitness, _ = evaluator.evaluate(programs, np.ones(40, int))
  hurdles, came = evaluator.search._stages._hurdles, evaluator.counts.evaluated
  came += evaluator.counts.hurdle_stopped
  assert hurdles.arrays.total.tolist() == [0, came, 0] and 20 < came <= 40
  assert hurdles.heights.tolist() == [-np.inf] * ISLANDS
  # Without a hurdle all that did not stop was trained.
  np.testing.assert_array_equal(fitness, expected)


def test_random_programs_get_the_fitness_of_a_plain_evaluation(plain):
  rng = np.random.default_rng(0)
  programs = mutation.random_programs(VARIABLE, 300, seed=0)
  islands = rng.integers(0, ISLANDS, 300)
  expected = plain.evaluate(programs, islands).fitness
  exact, evaluator = cached(fingerprint=False), cached()
  np.testing.assert_array_equal(exact.evaluate(programs, islands)[0], expected)
  fitness, _ = evaluator.evaluate(programs, islands)
  # Programs of one fingerprint share the fitness of the first: here they are alike but for
  # rounding, or equal in all but the last examples.
  different = np.flatnonzero(fitness != expected)
  assert len(different) <= evaluator.counts.fingerprint_hits < 200
  for k in different:
    assert fitness[k] in expected[islands == islands[k]]
  assert np.abs(fitness - expected).max() < 0.02
  counts = evaluator.counts
  assert counts.programs == 300 == (
      counts.canonical_hits + counts.fingerprint_hits
      + counts.stopped_early + counts.evaluated)


def test_training_steps_are_those_of_the_evaluations(plain):
  programs = mutation.random_programs(VARIABLE, 100, seed=1)
  evaluator = cached(fingerprint=False)
  _, steps = evaluator.evaluate(programs, np.zeros(100, int))
  _, first = np.unique(evaluator.keys, axis=0, return_index=True)
  expected = np.zeros(100, int)
  expected[first] = plain.evaluate(programs[first]).train_steps
  np.testing.assert_array_equal(steps, expected)
  assert evaluator.counts.train_steps == expected.sum()


def test_small_caches_forget_but_do_not_err():
  evaluator = cached(fingerprint=False, cache_size=8)
  programs = mutation.random_programs(VARIABLE, 60, seed=2)
  first, _ = evaluator.evaluate(programs, np.zeros(60, int))
  before = dataclasses.replace(evaluator.counts)
  keys = list(map(tuple, evaluator.keys.tolist()))
  second, steps = evaluator.evaluate(programs[::-1], np.zeros(60, int))
  np.testing.assert_array_equal(first, second[::-1])
  # Of the distinct programs those eight were known that came last.
  cache, evaluated = SetAssociativeCache(8), []
  for key in keys + keys[::-1]:
    evaluated.append(cache.get(key) is None)
    if evaluated[-1]:
      cache.put(key, 0.0)
  assert before.evaluated == sum(evaluated[:60]) > 16
  assert evaluator.counts.evaluated == sum(evaluated)
  assert steps[:8].tolist() == [0] * 8 and sum(evaluated[60:]) > 16
  assert evaluator.counts.train_steps == before.train_steps + steps.sum()


def test_no_programs():
  for evaluator in (cached(), cached(fingerprint=False)):
    none = repeat(parse_many([LINEAR], VARIABLE), 0)
    fitness, steps = evaluator.evaluate(none, np.zeros(0, int))
    assert len(fitness) == len(steps) == 0
    # Nor of a round that asks for nothing.
    evaluator.search._threads[0].take_in(np.zeros(1, int), np.zeros((1, 0), int), none, [])
    assert evaluator.counts == Counts()


def hashes(predictions):
  """Hashes of programs by their predictions: [N, D * examples]."""
  predictions = np.asarray(predictions)
  trace = np.stack([np.full_like(predictions, 9.0), predictions], axis=-1)
  short = trace[:, None, None]
  return [tuple(row) for row in hash_predictions((short, short)).tolist()]


def test_hashes_truncate_predictions():
  bits = np.linspace(0.1, 5.0, 40, dtype=np.float32).view(np.uint32) & np.uint32(0xFFFFFF80)
  # The last 7 of 24 bits do not count; the next one does.
  first, last, beyond = hashes([
      (bits + np.uint32(step)).view(np.float32) for step in (0, 0x7F, 0x80)])
  assert first == last != beyond


def test_hashes_know_zeros_and_stops():
  nan = float("nan")
  negative_nan = np.array([0xFFC00001], np.uint32).view(np.float32)[0]
  rows = np.array([
      [0.0, 1.0], [-0.0, 1.0], [1.0, 0.0], [nan, 1.0], [negative_nan, 1.0], [1.0, nan],
  ], np.float32)
  zero, negative_zero, swapped, stop, same_stop, other_stop = hashes(rows)
  assert zero == negative_zero and stop == same_stop
  assert len({zero, swapped, stop, other_stop}) == 4


def test_hashes_of_many_examples_depend_on_their_order():
  rows = np.zeros((2, 10_000), np.float32)
  rows[0, [0, 4097]] = rows[1, [1, 4096]] = 1.0
  first, second = hashes(rows)
  assert first != second
  rng = np.random.default_rng(0)
  signs = rng.choice([-1.0, 1.0], (3000, 40)).astype(np.float32)
  assert len(set(hashes(signs))) == len(np.unique(signs, axis=0))


def test_hashes_of_predictions_beyond_float32():
  first, second, third = hashes(np.array([[1e300, 1.0], [1e301, 1.0], [-1e300, 1.0]]))
  assert first == second != third
