import itertools
import threading

import numpy as np
import pytest

from azero.executors import activity as activity_module
from azero.executors.activity import Activity
from azero.executors.evaluator import EXECUTORS, Evaluator
from azero.executors.interpreter import executor as interpreter_executor
from azero.executors.waves import executor as wave_executor
from azero.language import zoo
from azero.tasks import linear_regression


class Machine:
  """A clock, and devices that are at work between given times."""

  def __init__(self):
    self.now = 50.0
    self.activity = Activity(lambda: self.now)

  def work(self, device, start, end):
    self.now = start
    with self.activity.busy(device):
      self.now = end


def test_seconds_of_each_device_and_their_mean():
  machine = Machine()
  assert machine.activity.seconds() == 0.0
  machine.work(0, 60, 65)
  assert machine.activity.seconds() == 5
  machine.work(0, 70, 72)
  machine.work(1, 61, 64)
  assert machine.activity.of_devices() == {0: 7, 1: 3}
  assert machine.activity.seconds() == 5


def test_interrupted_work_counts_until_then():
  machine = Machine()
  with pytest.raises(KeyboardInterrupt), machine.activity.busy(0):
    machine.now = 54
    raise KeyboardInterrupt
  machine.now = 99
  assert machine.activity.seconds() == 4


def test_threads_lose_nothing():
  ticking = itertools.count()
  activity = Activity(lambda: next(ticking))  # whenever it is read a second has passed
  threads = [threading.Thread(target=_work, args=(activity, 500)) for _ in range(8)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert activity.seconds() >= 8 * 500


def _work(activity, times):
  for _ in range(times):
    with activity.busy(0):
      pass


@pytest.mark.parametrize("executor", EXECUTORS)
def test_evaluations_are_noted(monkeypatch, executor):
  activity = Activity()
  for module in (activity_module, wave_executor, interpreter_executor):
    monkeypatch.setattr(module, "DEVICES", activity)
  tasks = linear_regression(2, seed=0, num_train=10, num_valid=5)
  programs = zoo.load("linear_regressor", tasks.num_features)
  evaluator = Evaluator(programs.space, tasks, lanes=16, executor=executor)
  assert activity.of_devices() == {}
  plan = evaluator.plan(programs, evaluator.analyse(programs))
  evaluator.evaluate_plan(plan, np.zeros(1, np.int32), device=1)
  assert list(activity.of_devices()) == [1]
  assert activity.seconds() > 0.0
