import jax
import numpy as np
import pytest

from azero.executors import evaluator as evaluator_module
from azero.executors.activity import Activity
from azero.executors.evaluator import EXECUTORS, Evaluator
from azero.language import zoo
from azero.tasks import linear_regression


class Machine:
  """A clock, and batches that end at given times."""

  def __init__(self):
    self.now = 50.0
    self.activity = Activity(lambda: self.now)

  def launch(self, at, until):
    self.now = at
    self.activity.begin(lambda: self.now >= until)

  def wait(self, at, until):
    """The host waits for a batch from one time to another."""
    self.now = at

    def wait():
      self.now = max(at, until)

    self.activity.wait(wait)

  def busy(self, at):
    self.now = at
    return self.activity.seconds()


def test_while_the_host_waits_the_time_is_exact():
  machine = Machine()
  machine.launch(60, until=65)
  machine.wait(61, until=65)
  assert machine.busy(70) == 5
  machine.launch(71, until=74)
  machine.wait(72, until=74)
  assert machine.busy(74) == machine.busy(99) == 8


def test_a_batch_that_ended_meanwhile_counts_for_half():
  machine = Machine()
  machine.launch(60, until=63)
  machine.wait(70, until=63)  # seen at 70
  assert machine.busy(75) == 5


def test_a_look_in_between_tells_more():
  machine = Machine()
  machine.launch(60, until=63)
  assert machine.busy(62) == 2
  assert machine.busy(64) == 3
  assert machine.busy(70) == 3


def test_batches_that_overlap_count_once():
  machine = Machine()
  machine.launch(60, until=70)
  machine.launch(62, until=66)
  machine.wait(63, until=70)
  assert machine.busy(80) == 10
  machine.wait(81, until=66)
  assert machine.busy(90) == 10


def test_an_interrupted_wait_loses_nothing():
  machine = Machine()
  machine.launch(60, until=70)

  def interrupted():
    machine.now = 64
    raise KeyboardInterrupt

  machine.now = 62
  with pytest.raises(KeyboardInterrupt):
    machine.activity.wait(interrupted)
  assert machine.busy(69) == 9
  assert machine.busy(71) == machine.busy(90) == 10


@pytest.mark.parametrize("executor", EXECUTORS)
def test_evaluations_are_noted(monkeypatch, executor):
  activity = Activity()
  monkeypatch.setattr(evaluator_module, "DEVICES", activity)
  tasks = linear_regression(2, seed=0, num_train=10, num_valid=5)
  programs = zoo.load("linear_regressor", tasks.num_features)
  evaluator = Evaluator(programs.space, tasks, lanes=16, executor=executor)
  assert activity.seconds() == 0.0
  plan = evaluator.plan(programs, evaluator.analyse(programs))
  pending = evaluator.launch(plan, np.zeros(1, np.int32))
  jax.block_until_ready(pending._launched.results)
  assert pending._launched.ready()
  pending.result()
  busy = activity.seconds()
  assert busy > 0.0
  assert activity.seconds() == busy  # nothing is under way any more
