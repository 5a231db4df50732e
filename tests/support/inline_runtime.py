"""Actors in one process, for tests: calls run in a random order and actors can be killed.

What goes to an actor and comes from it is pickled, as between processes.
"""

import collections
import pickle
import random

from azero.distributed.process import Process
from azero.distributed.runtime import ActorLost


class InlineRuntime:
  """Runs the calls of an actor in their order, but those of different actors in any."""

  def __init__(self, seed=0):
    self.rng = random.Random(seed)
    self.actors = []
    self.waits = 0
    self.before_wait = lambda runtime: None  # where tests break things

  @property
  def processes(self):
    return [actor for actor in self.actors if isinstance(actor.object, Process) and actor.alive]

  @property
  def server(self):
    return next(actor for actor in self.actors if not actor.is_process)

  def start_process(self, make, *arguments):
    return self._start(True, make, arguments)

  def start_server(self, make, *arguments):
    return self._start(False, make, arguments)

  def _start(self, is_process, make, arguments):
    actor = InlineActor(is_process, make, arguments)
    self.actors.append(actor)
    return actor

  def wait(self, calls):
    assert calls
    self.waits += 1
    self.before_wait(self)
    chosen = self.rng.choice(calls)
    chosen.actor.run_until(chosen)
    return [call for call in calls if call.done]

  def stop(self, actor):
    actor.kill()


class InlineActor:
  def __init__(self, is_process, make, arguments):
    self.is_process = is_process
    self.make, self.arguments = make, arguments
    self.alive = True
    self.queue = collections.deque()
    self.start()

  def start(self):
    handles = [a for a in self.arguments if isinstance(a, InlineActor)]
    copied = [
        a if a in handles else pickle.loads(pickle.dumps(a)) for a in self.arguments]
    self.object, self.error = None, None
    try:
      self.object = self.make(*copied)
    except Exception as error:
      self.error = error

  def submit(self, method, *arguments):
    call = InlineCall(self, method, pickle.dumps(arguments))
    self.queue.append(call)
    return call

  def run_until(self, call):
    while not call.done:
      self.queue.popleft().run()

  def kill(self):
    """As kill -9; a server comes back without what it held."""
    self.alive = False

  def restart(self):
    self.alive = True
    self.start()


class InlineCall:
  def __init__(self, actor, method, arguments):
    self.actor, self.method, self.arguments = actor, method, arguments
    self.done = False
    self.value = self.error = None

  def run(self):
    self.done = True
    if not self.actor.alive:
      self.error = ActorLost("killed")
    elif self.actor.error:
      self.error = self.actor.error
    else:
      try:
        value = getattr(self.actor.object, self.method)(*pickle.loads(self.arguments))
        self.value = pickle.dumps(value)
      except Exception as error:
        self.error = error

  def result(self):
    self.actor.run_until(self)
    if self.error is not None:
      raise self.error
    return pickle.loads(self.value)
