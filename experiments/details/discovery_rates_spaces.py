"""The search spaces of the bench of discovery, for each kind of learner that is to be found.

| space | ops | instructions in Setup / Predict / Learn | what is known before |
|---|---|---|---|
| minimal | section 4.1's of the paper | exactly those of section 4.1 | ops and sizes |
| range | the same | from 1 up to minimal's, one more, a third or half more | ops |
| demo | one list for all three functions | 10 / 2 / 8, networks 10 / 4 / 12 | some ops |
| full | 58 of section 4.2, 9 in Setup | up to 21 / 21 / 45 | nothing |

Every problem is searched in all four. Which learner is the least that solves a problem decides the
ops and the sizes of the first three: linear ones (digits too, whose goal is a linear model), affine
ones, two-layer networks. The demo's sizes hold an affine learner but no network, whose Predict
alone has three instructions; it gets as much slack. In `range`, lengths change by insertion and
removal; random programs to start from have the longest lengths, as everywhere. The demo and the
spaces of section 4.1 begin with random programs and populations of 1000, that of section 4.2 with
empty ones, populations of 100, hurdles and a train budget, as the paper has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
from typing import Any

from azero.language import spaces
from azero.language.program import Component, SearchSpace
from azero.search.config import SearchConfig

_MINIMAL: Mapping[str, Callable[[int], SearchSpace]] = {
    "linear": spaces.linear, "affine": spaces.affine, "network": spaces.backprop}
_NETWORK_OPS = (2, 3, 16, 18, 23, 25, 27, 28, 31, 39, 48, 56, 63, 64)


def _range(learner: str, num_features: int) -> SearchSpace:
  """The minimal space with room to both sides."""
  space = _MINIMAL[learner](num_features)
  setup, predict, learn = space.components
  longest = {"linear": 6, "affine": 8, "network": 12}[learner]
  return dataclasses.replace(
      space, setup=Component(setup.ops, setup.max_length, 1),
      predict=Component(predict.ops, predict.max_length + 1, 1),
      learn=Component(learn.ops, longest, 1))


def _demo(learner: str, num_features: int) -> SearchSpace:
  """The published demo's space with what the learner needs beyond it."""
  space = spaces.demo(num_features)
  if learner == "linear":
    return space
  if learner == "affine":
    ops = (1, *space.learn.ops)
    return SearchSpace(5, 3, 1, num_features, *(
        Component(ops, part.max_length, part.min_length) for part in space.components))
  return SearchSpace(4, 8, 2, num_features, *(
      Component(_NETWORK_OPS, length, length) for length in (10, 4, 12)))


@dataclasses.dataclass(frozen=True)
class Space:
  """A way to choose ops and sizes.

  Attributes:
    make: the space for a kind of learner and F.
    search: settings of the paper's method in it that are no defaults.
  """

  make: Callable[[str, int], SearchSpace]
  search: Mapping[str, Any]


_RANDOM: Mapping[str, Any] = {"population_size": 1000, "initial": "random", "combine": "mean"}
SPACES: Mapping[str, Space] = {
    "minimal": Space(
        lambda learner, num_features: _MINIMAL[learner](num_features),
        {**_RANDOM, "mutations": ("alter", "randomize_function")}),
    "range": Space(
        _range, {**_RANDOM, "mutations": ("insert_or_remove", "alter", "randomize_function")}),
    "demo": Space(_demo, {
        **_RANDOM, "mutations": ("alter", "randomize_instruction", "randomize_function")}),
    "full": Space(
        lambda learner, num_features: spaces.minimal_input(num_features),
        {"hurdle": 0.1, "train_budget": 4.0}),
}


def base_config(space: str, settings: SearchConfig) -> SearchConfig:
  """The paper's method in a space, with the seed and the devices of these settings."""
  return dataclasses.replace(settings, **SPACES[space].search)
