"""What a distributed search needs of whatever runs its processes.

An actor is an object in a process of its own, whose methods are called from elsewhere and run
one after the other. `ray_runtime` makes them with Ray; tests make them in one process, and
break them.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from azero.search.protocol import WorkerLost


class ActorLost(WorkerLost):
  """The process of an actor, or the machine that it ran on, is gone."""


class Call(Protocol):
  """A call under way."""

  def result(self) -> Any:
    """Waits for the call; its value.

    Raises:
      ActorLost: the actor is gone.
      Exception: what the method raised.
    """


class Actor(Protocol):
  """An object elsewhere; may be sent to other actors."""

  def submit(self, method: str, *arguments: Any) -> Call:
    """Calls a method without waiting; calls of one caller run in their order."""


class Runtime(Protocol):
  """Makes actors and waits for them."""

  def start_process(self, make: Callable[..., Any], *arguments: Any) -> Actor:
    """An actor that computes: its process has JAX devices of its own."""

  def start_server(self, make: Callable[..., Any], *arguments: Any) -> Actor:
    """An actor that only keeps things; made anew, as it was at first, whenever it is lost."""

  def wait(self, calls: Sequence[Call]) -> Sequence[Call]:
    """Waits until some of these calls are done; those."""

  def stop(self, actor: Actor) -> None:
    """Ends an actor, whatever it does."""
