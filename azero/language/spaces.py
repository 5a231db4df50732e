"""Search spaces of the AutoML-Zero paper, by name (sections 4 and S5, S9, S10).

Ids are those of table S1. S9, S10 and the "linear backprop" list of figure 4 count ops
from one, and where a list for neural networks names the matrix difference the matrix sum
is meant, as in figure 5's program; the lists here are mended.
"""

from collections.abc import Iterable

from azero.language.program import Component, SearchSpace

_INITIALISERS = tuple(range(56, 65))  # constants, uniform and Gaussian numbers
_LINEAR_LEARN = (2, 3, 18, 23)
_AFFINE_LEARN = (1, *_LINEAR_LEARN)
_NETWORK_LEARN = (2, 3, 16, 18, 23, 25, 28, 39)
_DETERMINISTIC = tuple(range(56))


def _fixed(ops: Iterable[int], length: int, searched: bool = True) -> Component:
  return Component(tuple(ops), length, length, searched)


def demo(num_features: int = 4) -> SearchSpace:
  """The five-minute demo of the published code: linear regression, all fixed lengths."""
  ops = (2, 3, 18, 23, 27, 56)
  return SearchSpace(4, 3, 1, num_features, _fixed(ops, 10), _fixed(ops, 2), _fixed(ops, 8))


def linear(num_features: int = 8, *, learn_only: bool = False) -> SearchSpace:
  """Figure 4, linear regression; with `learn_only` Setup and Predict stay as given."""
  return SearchSpace(
      4, 3, 1, num_features, _fixed((56, 57), 5, not learn_only),
      _fixed((27,), 1, not learn_only), _fixed(_LINEAR_LEARN, 4))


def affine(num_features: int = 8, *, learn_only: bool = False) -> SearchSpace:
  """Figure 4, affine regression; with `learn_only` Setup and Predict stay as given."""
  return SearchSpace(
      5, 3, 1, num_features, _fixed((56, 57), 6, not learn_only),
      _fixed((1, 27), 2, not learn_only), _fixed(_AFFINE_LEARN, 6))


def backprop(num_features: int = 8, *, learn_only: bool = False) -> SearchSpace:
  """Figure 5: the space in which a two-layer network and backpropagation are rediscovered.

  With `learn_only` Setup and Predict stay as given.
  """
  return SearchSpace(
      4, 8, 2, num_features, _fixed((56, 63, 64), 21, not learn_only),
      _fixed((27, 31, 48), 3, not learn_only), _fixed(_NETWORK_LEARN, 9))


def minimal_input(num_features: int = 16) -> SearchSpace:
  """Section 4.2: 9 ops for Setup, 58 for Predict and Learn."""
  ops = (*_DETERMINISTIC, 60, 61)
  return SearchSpace(
      8, 14, 3, num_features, Component(_INITIALISERS, 21), Component(ops, 21), Component(ops, 45))


def adaptation(num_features: int = 16) -> SearchSpace:
  """Section 4.3: as section 4.2, with Gaussian instead of uniform numbers."""
  ops = (*_DETERMINISTIC, 63, 64)
  return SearchSpace(
      10, 16, 4, num_features, Component(_INITIALISERS, 21), Component(ops, 21),
      Component(ops, 45))


def ablation(num_features: int = 16) -> SearchSpace:
  """Supplement S9: the sizes of section 4.2 with the ops of figure 5."""
  return SearchSpace(
      8, 14, 3, num_features, Component((56, 63, 64), 21), Component((27, 31, 48), 21),
      Component(_NETWORK_LEARN, 45))


def baseline(num_features: int = 16) -> SearchSpace:
  """Supplement S10: the restricted space of the baselines at three scales of compute."""
  return SearchSpace(
      5, 9, 2, num_features, Component((56, 59, 60, 61, 62, 63, 64), 7),
      Component((1, 23, 27, 31, 48), 11), Component((1, *_NETWORK_LEARN), 23))

