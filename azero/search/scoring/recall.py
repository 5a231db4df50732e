"""What was found out about children that were taken back, for when they are made again.

A wrong guess of a parent takes back all children of the island that came after it, see `rounds`.
What they draw does not change, so that most of them are made again in the next round, the same
programs. They have been evaluated: what that gave waits here for the child of the same number and
canonical key. Since programs of equal key behave alike in every bit, nothing but time depends on
it; it is no cache that a search is told of.
"""

from typing import NamedTuple

import numpy as np

from azero.compiler.kernels import inlined_kernel, kernel

PRINT, START, FULL = range(3)  # stages of an evaluation, see `rounds.evaluating`
_NOBODY = -1
_MOST_ROOM = 512  # requests of an island; of more those are forgotten that came first


class Results(NamedTuple):
  """What the stages found out about N programs.

  Attributes:
    done: [N, 3] bool, whether the stage has evaluated the program.
    fitness: [N, 3] float64.
    train_steps: [N, 3] int64.
    trained: [N, 3] bool, whether it came through the training on a task.
    prints: [N, 2] uint64, fingerprints.
  """

  done: np.ndarray
  fitness: np.ndarray
  train_steps: np.ndarray
  trained: np.ndarray
  prints: np.ndarray


class Recall(NamedTuple):
  """The last requests of each of I islands that were taken back.

  Attributes:
    nth: [I, R] int64, which child of the island asked, by its number and that of its trial modulo
      R; _NOBODY for none.
    key: [I, R, 2] uint64, canonical.
    results: of the I * R programs.
  """

  nth: np.ndarray
  key: np.ndarray
  results: Results


def new_results(number: int) -> Results:
  """Nothing is known of so many programs."""
  done, trained = np.zeros((2, number, 3), bool)
  return Results(
      done, np.zeros((number, 3)), np.zeros((number, 3), np.int64), trained,
      np.zeros((number, 2), np.uint64))


def new_recall(num_islands: int, room: int) -> Recall:
  """Nothing was taken back; `room` is what an island can ask for in a round."""
  shape = num_islands, min(max(room, 1), _MOST_ROOM)
  return Recall(
      np.full(shape, _NOBODY), np.zeros((*shape, 2), np.uint64),
      new_results(shape[0] * shape[1]))


class Asked(NamedTuple):
  """Columns of a `Round` that say who asked for what.

  Attributes:
    child: [Q] int64, of each request who asked.
    owner: [Q] int64, the island.
    request: [C] int64, of each child that asked the first request, unless it was kept.
    nth: [C] int64, of each child its number on the island.
    kept: [C] bool, whether it was kept.
    key: [Q, 2] uint64, canonical.
  """

  child: np.ndarray
  owner: np.ndarray
  request: np.ndarray
  nth: np.ndarray
  kept: np.ndarray
  key: np.ndarray


@kernel
def recall(memory: Recall, asked: Asked, trials: int, number: int, results: Results) -> None:
  """Looks the first `number` requests up; `trials` is how many a child has at most."""
  for q in range(number):
    c, i, place = asked.child[q], asked.owner[q], _place(memory, asked, trials, q)
    if (memory.nth[i, place] == asked.nth[c] and memory.key[i, place, 0] == asked.key[q, 0]
        and memory.key[i, place, 1] == asked.key[q, 1]):
      _copy(memory.results, i * memory.nth.shape[1] + place, results, q)
    else:
      results.done[q, :] = False


@kernel
def remember(memory: Recall, asked: Asked, trials: int, number: int, results: Results) -> None:
  """Notes what is known of the first `number` requests whose child was not kept."""
  for q in range(number):
    c, i = asked.child[q], asked.owner[q]
    if asked.kept[c]:
      continue
    place = _place(memory, asked, trials, q)
    memory.nth[i, place] = asked.nth[c]
    memory.key[i, place, 0], memory.key[i, place, 1] = asked.key[q, 0], asked.key[q, 1]
    _copy(results, q, memory.results, i * memory.nth.shape[1] + place)


@inlined_kernel
def _place(memory: Recall, asked: Asked, trials: int, q: int) -> int:
  """Where a request belongs in the memory of its island: by its child, and which trial it is."""
  c = asked.child[q]
  return (asked.nth[c] * trials + q - asked.request[c]) % memory.nth.shape[1]


@inlined_kernel
def _copy(source: Results, row: int, target: Results, to: int) -> None:
  """Copies what is known of a program."""
  for stage in range(3):
    target.done[to, stage] = source.done[row, stage]
    target.fitness[to, stage] = source.fitness[row, stage]
    target.train_steps[to, stage] = source.train_steps[row, stage]
    target.trained[to, stage] = source.trained[row, stage]
  target.prints[to, 0], target.prints[to, 1] = source.prints[row, 0], source.prints[row, 1]
