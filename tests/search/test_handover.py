"""Threads that are done take islands from those that are not, and nobody waits for ever."""

import copy
import threading
import time

import numpy as np
import pytest
from support.search_cases import FIXED, assert_same_state, config, tasks
from support.toy_evaluator import ToyEvaluator

from azero.search.evolution import Evolution
from azero.search.handover import Handover
from azero.search.threads import in_threads


def test_who_waits_gets_what_another_one_gives():
  handover, got, begun = Handover(), [], threading.Event()

  def giver():
    with handover.working():
      begun.set()
      while not handover.somebody_waits():
        time.sleep(0.001)
      assert handover.give(np.array([3, 5]))
      assert not handover.somebody_waits() and not handover.give(np.array([4]))

  def taker():
    begun.wait()
    with handover.working():
      got.append(handover.take())
      got.append(handover.take())

  in_threads([giver, taker])
  assert got[0].tolist() == [3, 5] and got[1] is None


def test_nobody_waits_for_a_thread_that_has_failed_or_never_began():
  handover = Handover()
  with handover.working():
    assert handover.take() is None
  done, begun = [], threading.Event()

  def taker():
    with handover.working():
      begun.set()
      done.append(handover.take())

  thread = threading.Thread(target=taker)
  try:
    with handover.working():
      thread.start()
      begun.wait()
      raise RuntimeError("an evaluation failed")
  except RuntimeError:
    thread.join(10)
  assert done == [None] and not handover.somebody_waits()


class SlowSecondDevice(ToyEvaluator):
  """Its second device takes its time, so that the first gets most islands of the second."""

  def evaluate_plan(self, plan, task_sets, device=0):
    time.sleep(0.003 * device)
    return super().evaluate_plan(plan, task_sets, device)


def test_islands_that_change_hands_have_the_same_history():
  def search(evaluator, num_devices):
    made = Evolution(
        FIXED, tasks(6), config(num_devices=num_devices, cycles_per_step=200),
        evaluator=evaluator)
    for _ in range(3):
      made.step()
    return made

  shared = search(SlowSecondDevice, 2)
  calls = shared._stages._full.evaluator.calls
  assert calls[0] > 1.5 * calls[1] > 0
  assert_same_state(shared.state(), search(ToyEvaluator, 1).state())


def test_a_step_begins_anew_after_an_error():
  class Failing(SlowSecondDevice):
    """Fails once, on the device that the other one waits for."""

    faults = 0

    def evaluate_plan(self, plan, task_sets, device=0):
      if device == 1 and Failing.faults:
        Failing.faults -= 1
        raise RuntimeError("an evaluation failed")
      return super().evaluate_plan(plan, task_sets, device)

  search = Evolution(
      FIXED, tasks(6), config(num_devices=2, cycles_per_step=200), evaluator=Failing)
  search.step()
  state = copy.deepcopy(search.state())
  Failing.faults = 1
  with pytest.raises(RuntimeError, match="an evaluation failed"):
    search.step()
  search.restore(state)
  search.step()
  expected = Evolution(
      FIXED, tasks(6), config(num_devices=1, cycles_per_step=200), evaluator=ToyEvaluator)
  expected.step()
  expected.step()
  assert_same_state(search.state(), expected.state())


def test_an_interrupt_while_waiting_leaves_nothing_behind(monkeypatch):
  handover = Handover()

  def interrupted(condition):
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt), handover.working(), monkeypatch.context() as patch:
    patch.setattr(handover._changed, "wait_for", interrupted)
    handover.take()
  assert not handover.somebody_waits() and not handover.give(np.array([0]))
  with handover.working():
    assert handover.take() is None
