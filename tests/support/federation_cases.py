"""A small federation that the tests of federations share, and programs that can be told apart.

Two groups: three workers with F=4 and two with F=8, of other tasks, examples and epochs.
"""

import dataclasses

import numpy as np
from support.search_cases import FIXED, config, tasks
from support.toy_evaluator import ToyEvaluator

from azero.search.groups.federation import Federation, Group
from azero.search.groups.migration import Migration
from azero.tasks import linear_regression

WIDE = FIXED.with_features(8)
SMALL_WORKERS, WIDE_WORKERS = 3, 2
WORKERS = SMALL_WORKERS + WIDE_WORKERS
SMALL_SIZE, WIDE_SIZE = 12, 8  # programs of a population


def wide_tasks():
  return [
      linear_regression(
          1, num_features=8, seed=200 + worker, num_train=15, num_valid=10)
      for worker in range(WIDE_WORKERS)]


def groups(*, small=None, wide=None, group=None, evaluator=ToyEvaluator, **settings):
  """The two groups, with settings of each and of both."""
  both = {"cycles_per_step": 2, "fingerprint": False, "max_programs": 90}
  first = Group(
      name="small", space=FIXED, task_sets=tasks(SMALL_WORKERS), evaluator=evaluator,
      config=config(**(both | settings | (small or {}))))
  second = Group(
      name="wide", space=WIDE, task_sets=wide_tasks(), evaluator=evaluator,
      config=config(**(
          both | {"population_size": WIDE_SIZE, "num_epochs": 2, "cycles_per_step": 3}
          | settings | (wide or {}))))
  return [dataclasses.replace(first, **(group or {}).get("small", {})),
          dataclasses.replace(second, **(group or {}).get("wide", {}))]


EVERY_TEN = Migration(every=10)


def make(*, migration=EVERY_TEN, **settings):
  return Federation(groups(**settings), migration)


def mark(federation):
  """Gives every program a number, in a constant that no op of the space uses; returns them."""
  start = 0
  numbers = []
  for search in federation.searches:
    column = search.population.constants[:, 0, 2]
    column[:] = np.arange(start, start + len(column))
    start += len(column)
    numbers.append(column.reshape(search.num_islands, -1).astype(int))
  return numbers


def marks(federation):
  """The numbers of the programs of every worker: [islands, P] of each group."""
  return [
      search.population.constants[:, 0, 2].reshape(search.num_islands, -1).astype(int)
      for search in federation.searches]


def owners(federation):
  """Which worker had each number when it was given."""
  return np.concatenate([
      np.repeat(np.arange(search.num_islands) + search.first_island,
                search.config.population_size) for search in federation.searches])


@dataclasses.dataclass
class Exchange:
  """What one migration found and left: marks and fitness before and after, who left."""

  before: list
  after: list
  fitness_before: list
  fitness_after: list
  places: list
  programs_before: np.ndarray
  programs_after: np.ndarray


def record_exchanges(federation, monkeypatch):
  """Marks all programs before each migration; returns the list that the exchanges go to."""
  exchanges, places = [], {}
  for k, search in enumerate(federation.searches):
    leaving = search.leaving

    def watched(islands, count, turn, k=k, leaving=leaving):
      chosen = leaving(islands, count, turn)
      places[k] = dict(zip(islands.tolist(), chosen))
      return chosen

    monkeypatch.setattr(search, "leaving", watched)
  migrate = federation._migrate

  def recorded():
    before = [column.copy() for column in mark(federation)]
    fitness = [search.fitness.copy() for search in federation.searches]
    programs = federation.num_programs
    migrate()
    exchanges.append(Exchange(
        before, [column.copy() for column in marks(federation)], fitness,
        [search.fitness.copy() for search in federation.searches],
        [dict(places[k]) for k in range(len(federation.searches))], programs,
        federation.num_programs))

  monkeypatch.setattr(federation, "_migrate", recorded)
  return exchanges
