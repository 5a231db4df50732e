"""The demo search of the published code: linear regression from random programs.

What the experiment and all who measure the search with it have in common.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from azero.search.config import SearchConfig
from experiments.frame import lazy

with lazy.imports():
  from azero.language import spaces
  from azero.search import evolution
  from azero.search.groups import federation
  from azero.tasks import synthetic

if TYPE_CHECKING:
  from azero.search.evolution import Evolution
  from azero.search.groups.federation import Group
  from azero.tasks.task import Tasks

ISLANDS = 32
NUM_EXAMPLES = 200  # of a search task, to train and to validate
NUM_UNSEEN, NUM_UNSEEN_EXAMPLES = 100, 1100  # tasks of a part that no search sees, and of each
SEARCH = SearchConfig(
    population_size=1000, max_train_steps=200_000_000, initial="random",
    mutations=("alter", "randomize_instruction", "randomize_function"), combine="mean")
_SEARCH = 0  # what seeds are for; `unseen` takes others


def make_group(
    search: SearchConfig, *, islands: int = ISLANDS, num_tasks: int = 10, num_features: int = 4
) -> Group:
  """Islands that each have tasks of their own.

  Args:
    search: the settings.
    islands: how many.
    num_tasks: D of each.
    num_features: F.
  """
  seeds = np.random.SeedSequence([search.seed, _SEARCH]).generate_state(islands)
  return federation.Group(
      name="islands", space=spaces.demo(num_features), config=search, task_sets=[
          synthetic.linear_regression(
              num_tasks, seed=int(seed), num_features=num_features,
              num_train=NUM_EXAMPLES // 2, num_valid=NUM_EXAMPLES // 2)
          for seed in seeds])


def make_search(search: SearchConfig, islands: int = ISLANDS) -> Evolution:
  """The demo search by itself, without records or signals."""
  group = make_group(search, islands=islands)
  return evolution.Evolution(group.space, group.task_sets, group.config)


def unseen(seed: int, part: int, num_features: int) -> Tasks:
  """100 tasks of 1000 training and 100 validation examples that no search sees.

  Args:
    seed: of the search.
    part: from 1 on; another one has other tasks.
    num_features: F.
  """
  own = int(np.random.SeedSequence([seed, part]).generate_state(1)[0])
  return synthetic.linear_regression(
      NUM_UNSEEN, seed=own, num_features=num_features, num_train=NUM_UNSEEN_EXAMPLES - 100,
      num_valid=100)
