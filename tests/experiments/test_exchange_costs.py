import numpy as np
import pytest

from azero.language import spaces
from azero.language.program import Programs
from azero.search.config import SearchConfig
from azero.search.evolution import Evolution
from azero.tasks import linear_regression
from experiments.simulations import exchange_costs
from experiments.simulations.exchange_costs import CostModel

SPACE = spaces.demo(4)
PROGRAM = 20 * (4 * 2 + 3 * 8)  # slots, four int16, three float64


def test_an_exchange_is_measured_in_its_steps():
  costs = exchange_costs.measure_exchange(SPACE, 7, 10, 5)
  assert costs.workers == 7 and costs.pool_bytes == 7 * 10 * PROGRAM
  # A message is the arrays and little else.
  assert 10 * PROGRAM < costs.message_bytes < 10 * PROGRAM + 3000
  steps = [costs.read, costs.upload, costs.download, costs.write]
  assert min(steps) > 0 and costs.service == pytest.approx(sum(steps)) and costs.arrival > 0


def test_bytes_of_a_worker():
  tasks = linear_regression(2, seed=0, num_train=20, num_valid=10)
  config = SearchConfig(population_size=30, cache_size=1600)
  found = exchange_costs.island_bytes(SPACE, tasks, config)
  assert found.program == PROGRAM
  assert found.tasks == sum(
      getattr(tasks, name).nbytes for name in ("train_x", "train_y", "valid_x", "valid_y", "seeds"))
  # 30 programs, their best, and numbers; two caches with a place, a key, a value and a
  # stamp, which in memory need no place, and have a clock.
  assert 31 * PROGRAM < found.young < 31 * PROGRAM + 2000
  assert found.full - found.young == 2 * 1600 * (8 + 16 + 8 + 8)
  assert found.caches == 2 * (1600 * (16 + 8 + 8) + 8)
  half = exchange_costs.island_bytes(
      SPACE, tasks, SearchConfig(population_size=30, cache_size=1600, canonical_cache=False))
  assert half.full - half.young == 1600 * 40


def test_bytes_of_a_state_are_those_of_its_arrays():
  assert exchange_costs.state_bytes({"a": np.zeros(5), "b": {"c": np.zeros(3, np.int16)}}) == 46
  assert exchange_costs.state_bytes({"a": 12345, "b": [1, 2]}) == len("12345") + len("[1, 2]")
  tasks = linear_regression(2, seed=0, num_train=20, num_valid=10)
  search = Evolution(SPACE, [tasks] * 3, SearchConfig(population_size=10, cache_size=100))
  population = exchange_costs.array_bytes(search.population)
  assert population == 3 * 10 * PROGRAM == exchange_costs.array_bytes(Programs.empty(SPACE, 30))
  assert exchange_costs.state_bytes(search.state()) > population


def test_demand_grows_with_workers():
  model = CostModel(
      service=0.001, message_bytes=1000, program_bytes=100, migrants=10, checkpoint_bytes=600,
      worker_memory=50, evaluations=200.0, births=100, steps=1e6, checkpoint_seconds=60.0)
  demand = model.demand(1000)
  assert demand.exchanges == 2000 and demand.servers == pytest.approx(2)
  assert demand.network == 2 * 2000 * 1000 and demand.pool == 1_000_000
  assert demand.checkpoints == 10_000 and demand.memory == 50_000 and demand.steps == 1e9
  assert model.days(86400e6) == pytest.approx(1)
