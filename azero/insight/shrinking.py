"""What a step leaves of a weight: weight decay, as a product or as a sum or difference.

The part of the old value in the new one follows from the signs and scales between them, over all
ways that lead back. What is scaled by data, by noise or by a vector is not followed.
"""

from typing import NamedTuple

import numpy as np

from azero.insight.flow import Source
from azero.insight.surgery import Copy, Edit, Read
from azero.insight.terms import ADDITIVE, BY_SCALARS, Terms, Weight


class Shrinking(NamedTuple):
  """A weight that shrinks before the increment is added.

  Attributes:
    kept: the part of the old value in the new one, from the second example on.
    edits: by the numbers of their instructions, what makes that part one.
  """

  kept: np.ndarray
  edits: dict[int, Edit]

  @property
  def is_constant(self) -> bool:
    """Whether the part is the same in every step."""
    return bool(np.all(self.kept == self.kept[0]))


def shrinking(terms: Terms, weight: Weight, num_examples: int) -> Shrinking | None:
  """How a weight shrinks; None if it does not."""
  kept = kept_part(terms, weight, num_examples)
  if not np.isfinite(kept).all() or kept.min() < 0 or not 0 < kept.max() < 1:
    return None
  edits = _WayBack(terms, weight, num_examples).undone()
  return Shrinking(kept, edits) if edits else None


def kept_part(terms: Terms, weight: Weight, num_examples: int) -> np.ndarray:
  """The part of the old value in the new one, [num_examples - 1]; NaN where it is not known."""
  first, second = _WayBack(terms, weight, num_examples).parts(weight.update, 0)
  return first + second


class _WayBack:
  """What stands between the old value of a weight and the new one, with its scales and signs."""

  def __init__(self, terms: Terms, weight: Weight, num_examples: int):
    self._terms, self._update = terms, weight.update
    self._chain = terms.chain(weight)
    self._num_examples = num_examples
    self._scales: dict[int, np.ndarray] = {}
    self._lefts: dict[tuple[Source, int], np.ndarray] = {}

  def parts(self, number: int, crossed: int) -> list[np.ndarray]:
    """What each operand of an instruction brings of the old value; NaN where it is not known.

    Args:
      number: of the instruction.
      crossed: how many examples ago it ran.
    """
    left = [self._left(source, crossed) for source in self._terms.operands(number)]
    if self._terms.op(number) in ADDITIVE:
      return [left[0], -left[1] if self._terms.op(number).endswith("_diff") else left[1]]
    if self._terms.op(number) in BY_SCALARS:
      return [left[0], self._scale(number) * left[1]]
    return [part * np.nan for part in left]

  def undone(self) -> dict[int, Edit]:
    """Edits after which the old value is in the new one as it was; none if there are no such.

    Of values that are added up, the one that brings most stays.
    """
    edits: dict[int, Edit] = {}
    number, crossed, sign = self._update, 0, 1.0
    while True:
      at, operand = self._terms.at(number), 1
      if self._terms.op(number) in ADDITIVE:
        parts = self.parts(number, crossed)
        operand = int(np.argmax([sign * part.mean() for part in parts]))
        if parts[1 - operand].any():
          edits[number] = Read(at, 1 - operand, 0.0)
        if operand == 1 and self._terms.op(number).endswith("_diff"):
          sign = -sign
      else:
        scale = self._scale(number)
        if scale.min() < 0 < scale.max():
          return {}
        if not np.all(np.abs(scale) == 1):
          edits[number] = Read(at, 0, -1.0) if scale.min() < 0 else Copy(at, 1)
        sign *= np.sign(scale.mean())
      source = self._terms.operands(number)[operand]
      crossed += not source.same_pass
      writer = source.writer(training=True)
      if writer is None or writer == self._update:
        return edits
      number = writer

  def _left(self, source: Source, crossed: int) -> np.ndarray:
    """The part of the old value in a source, over the examples that are watched."""
    key = source, crossed
    if key not in self._lefts:
      self._lefts[key] = self._found(source, crossed + (not source.same_pass))
    return self._lefts[key]

  def _found(self, source: Source, crossed: int) -> np.ndarray:
    writer = source.writer(training=True)
    if writer == self._update:  # an older value is not the one that the step starts from
      return self._all(1.0 if crossed == 1 else np.nan)
    if writer is None or writer not in self._chain:
      return self._all(0.0)
    if crossed > 1 or source.prediction:
      return self._all(np.nan)
    first, second = self.parts(writer, crossed)
    return first + second

  def _all(self, value: float) -> np.ndarray:
    return np.full(self._num_examples - 1, value)

  def _scale(self, number: int) -> np.ndarray:
    """What an instruction scales by, from the second example on; NaN if data or noise are in it."""
    if number not in self._scales:
      flow, source = self._terms.flow, self._terms.operands(number)[0]
      if flow.depends_on([source], lambda each: each.is_data) or any(
          map(self._terms.is_noise, flow.closure([source]))):
        self._scales[number] = self._all(np.nan)
      else:
        self._scales[number] = flow.observe(number, 0, self._num_examples)[1:]
    return self._scales[number]
