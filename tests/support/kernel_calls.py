"""Kernels by which tests call those that only kernels can call."""

import numpy as np

from azero.compiler.arrays import ProgramArrays, Scratch, Tables
from azero.compiler.copying import copy_program
from azero.compiler.kernels import kernel
from azero.compiler.validity import follows_features, num_parameters
from azero.search import draws
from azero.search.proposals.edits import round_constant
from azero.search.proposals.growth import grow, grow_learner, may_learn
from azero.search.proposals.mutation import Mutator, mutate
from azero.search.scoring.lru_cache import (
  ABSENT,
  FILLED,
  CacheArrays,
  Log,
  LruCache,
  fill,
  look_up,
  new_log,
  reserve,
  take_back,
  ticket_at,
  value_at,
)
from azero.search.tournament import tournament


@kernel
def uniforms(
    stream: np.ndarray, seed: np.uint64, island: int, child: int, numbers: np.ndarray) -> None:
  """Fills `numbers` with what a child draws."""
  draws.start(stream, seed, island, child)
  for k in range(len(numbers)):
    numbers[k] = draws.uniform(stream)


@kernel
def picks(
    stream: np.ndarray, seed: np.uint64, island: int, child: int, count: int, chosen: np.ndarray
) -> None:
  """Fills `chosen` with choices of a child out of `count`."""
  draws.start(stream, seed, island, child)
  for k in range(len(chosen)):
    chosen[k] = draws.pick(stream, count)


@kernel
def parameters(
    programs: ProgramArrays, tables: Tables, scratch: Scratch, counts: np.ndarray,
    seen: np.ndarray) -> None:
  """Fills `counts` with what programs learn, and `seen` with whether any sees the features."""
  for i in range(len(counts)):
    counts[i] = num_parameters(programs, i, tables, scratch)
    seen[i] = follows_features(programs, i, tables, scratch)


@kernel
def hopeful(
    programs: ProgramArrays, tables: Tables, result: np.ndarray) -> None:
  """Fills `result` with whether programs may be valid by their Predict."""
  for i in range(len(result)):
    result[i] = may_learn(programs, i, tables)


@kernel
def grow_all(
    programs: ProgramArrays, tables: Tables, stream: np.ndarray, seed: np.uint64, count: int
) -> None:
  """Grows so many programs, each from a stream of its own."""
  for i in range(count):
    draws.start(stream, seed, 0, i)
    grow(programs, i, tables, stream)


@kernel
def grow_learners(
    programs: ProgramArrays, tables: Tables, features: bool, scratch: Scratch,
    stream: np.ndarray, seed: np.uint64, attempts: int, drawn: np.ndarray, learns: np.ndarray
) -> None:
  """Grows programs, each from a stream of its own, until they learn or have been so many times."""
  for i in range(len(learns)):
    draws.start(stream, seed, 0, i)
    for _ in range(attempts):
      learns[i], count = grow_learner(programs, i, tables, features, scratch, stream)
      drawn[i] += count
      if learns[i]:
        break


@kernel
def compete(
    fitness: np.ndarray, oldest: int, contestants: int, stream: np.ndarray, seed: np.uint64,
    child: int) -> tuple[int, bool]:
  """The winner of the tournament of a child of island 0."""
  draws.start(stream, seed, 0, child)
  return tournament(fitness, oldest, contestants, stream)


@kernel
def evolve(
    population: ProgramArrays, fitness: np.ndarray, space: Tables, mutator: Mutator,
    stream: np.ndarray, seed: np.uint64, island: int, contestants: int, scores: np.ndarray
) -> None:
  """Children P, P + 1, ... of an island, as many as there are scores, in the ring of P."""
  size = len(fitness)
  for n in range(len(scores)):
    child = size + n
    oldest = child % size
    draws.start(stream, seed, island, child)
    parent, _ = tournament(fitness, oldest, contestants, stream)
    copy_program(population, parent, population, oldest)
    mutate(population, oldest, space, mutator, stream)
    fitness[oldest] = scores[n]


@kernel
def round_constants(values: np.ndarray) -> None:
  """Rounds each in place."""
  for k in range(len(values)):
    values[k] = round_constant(values[k])


@kernel
def ask(
    cache: CacheArrays, island: int, keys: np.ndarray, first_child: int,
    found: tuple[np.ndarray, np.ndarray], log: Log) -> None:
  """Asks for the keys of several children in turn, and reserves what is not there.

  Args:
    cache: of several islands.
    island: whose.
    keys: [N, 2] uint64.
    first_child: number of the first child.
    found: two arrays, [N] int64, filled with where each key is, and whom each waits for: itself,
      an earlier child, or FILLED.
    log: has room for N entries.
  """
  places, tickets = found
  for k in range(len(keys)):
    place = look_up(cache, island, keys[k], k, log)
    if place == ABSENT:
      place = reserve(cache, island, keys[k], first_child + k, k, log)
    places[k], tickets[k] = place, ticket_at(cache, island, place)


@kernel
def _get(cache: CacheArrays, island: int, key: np.ndarray, log: Log) -> tuple[bool, float]:
  place = look_up(cache, island, key, 0, log)
  if place == ABSENT or ticket_at(cache, island, place) != FILLED:
    return False, 0.0
  return True, value_at(cache, island, place)


@kernel
def _put(cache: CacheArrays, island: int, key: np.ndarray, value: float, log: Log) -> None:
  fill(cache, island, reserve(cache, island, key, 0, 0, log), 0, value)


def get(cache: LruCache, island: int, key: np.ndarray) -> float | None:
  """The value of a key, [2] uint64, which is marked as used; None where there is none yet."""
  known, value = _get(cache.arrays, island, key, new_log(1))
  return float(value) if known else None


def put(cache: LruCache, island: int, key: np.ndarray, value: float) -> None:
  """Stores the value of a key that is not in the cache."""
  _put(cache.arrays, island, key, value, new_log(1))


@kernel
def values_at(cache: CacheArrays, island: int, places: np.ndarray, values: np.ndarray) -> None:
  """Gives `values`, [N] float64, what is at places; anything where a place still waits."""
  for k in range(len(places)):
    values[k] = value_at(cache, island, places[k])


@kernel
def pending(cache: CacheArrays, island: int) -> int:
  """How many places of an island wait for their value."""
  count = 0
  for place in range(cache.sets.shape[1] * cache.sets.shape[3]):
    count += ticket_at(cache, island, place) != FILLED
  return count


@kernel
def answer(
    cache: CacheArrays, island: int, found: tuple[np.ndarray, np.ndarray], first_child: int,
    values: np.ndarray, kept: np.ndarray, log: Log) -> None:
  """Fills what each child reserved for itself, of those that are `kept`; the others never were."""
  places, tickets = found
  take_back(cache, kept, log)
  for k in range(len(places)):
    if tickets[k] == first_child + k and kept[k]:
      fill(cache, island, places[k], tickets[k], values[k])


__all__ = [
    "FILLED", "answer", "ask", "compete", "evolve", "get", "pending", "picks", "put",
    "round_constants", "uniforms", "values_at"]
