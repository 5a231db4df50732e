"""Programs as parts of a state: nested dictionaries of arrays and JSON values.

`Search.state` and its like return such dictionaries and `restore` takes them, so that
whatever stores them needs to know nothing of a search. Their arrays may be views of what
goes on changing: they are to be stored before the next step.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from azero.language.program import Programs, SearchSpace
from azero.search import checked_state


@runtime_checkable
class Stateful(Protocol):
  """What can be stopped and continued."""

  def state(self) -> dict[str, Any]:
    """All that decides what it does next."""

  def restore(self, state: Mapping[str, Any]) -> None:
    """Restores the state of another of its kind."""


def rebuilt(
    make: Callable[..., Stateful], arguments: Sequence[Any], keywords: Mapping[str, Any],
    state: Mapping[str, Any],
) -> Stateful:
  """What was pickled as how it is made and its state."""
  made = make(*arguments, **keywords)
  made.restore(state)
  return made


class Found(Protocol):
  """A program that a search found: an improvement, or an entry of the hall of fame."""

  @property
  def program(self) -> Programs:
    """A batch of one."""

  @property
  def fitness(self) -> float:
    """On the search tasks of its island."""

  @property
  def island(self) -> int:
    """Where it was found."""

  @property
  def train_steps(self) -> int:
    """Of that island when it was found."""

  @property
  def num_programs(self) -> int:
    """Evaluated on that island when it was found."""


def programs_state(programs: Programs) -> dict[str, np.ndarray]:
  """The arrays of programs by name."""
  return {name: getattr(programs, name) for name in Programs.ARRAYS}


def programs_of(space: SearchSpace, state: Mapping[str, np.ndarray]) -> Programs:
  """The programs of a state, which stays as it is whatever becomes of them."""
  return Programs(space, **{name: state[name].copy() for name in Programs.ARRAYS})


def found_state(space: SearchSpace, items: Sequence[Found]) -> dict[str, Any]:
  """N found programs, of this space or with another F, as arrays, [N, ...] each."""
  programs = [
      Programs.empty(space, 0),
      *(item.program.with_features(space.num_features) for item in items)]
  return {
      "programs": programs_state(Programs.concatenate(programs)),
      "fitness": np.array([item.fitness for item in items], np.float64),
      "island": np.array([item.island for item in items], np.int64),
      "train_steps": np.array([item.train_steps for item in items], np.int64),
      "num_programs": np.array([item.num_programs for item in items], np.int64),
  }


def check_found(
    space: SearchSpace, state: Mapping[str, Any], num_islands: int | None = None) -> int:
  """Refuses what `found_in` cannot read; how many found programs there are.

  Args:
    space: of the programs, or of another F.
    state: of `found_state`.
    num_islands: of the search, if their numbers have to be of one of its islands.

  Raises:
    StateError: they are no programs of this space, or have numbers that cannot be.
  """
  fitness = checked_state.array(state, "fitness", np.float64, (None,))
  checked_state.within("fitness", fitness, -np.inf)
  for name in ("island", "train_steps", "num_programs"):
    checked_state.within(name, checked_state.array(state, name, np.int64, fitness.shape), 0)
  if num_islands is not None:
    checked_state.within("island", state["island"], 0, max(num_islands - 1, 0))
  checked_state.programs(space, state, "programs", len(fitness))
  return len(fitness)


def found_in(
    space_of: Callable[[int], SearchSpace], state: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
  """The fields of each found program of a state, in order.

  Args:
    space_of: the search space of an island.
    state: of `found_state`.
  """
  for k, island in enumerate(state["island"].tolist()):
    row = {name: array[k : k + 1] for name, array in state["programs"].items()}
    yield {
        "program": programs_of(space_of(island), row), "fitness": float(state["fitness"][k]),
        "island": island, "train_steps": int(state["train_steps"][k]),
        "num_programs": int(state["num_programs"][k])}
