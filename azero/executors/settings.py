"""Settings of an evaluation that its executors share."""

import dataclasses
from typing import Any

import numpy as np

from azero.language.program import SearchSpace


@dataclasses.dataclass(frozen=True)
class Settings:
  """What an executor needs to know, checked already.

  Attributes:
    space: sizes and allowed ops.
    num_epochs: E.
    max_abs_error: an error above it stops a program.
    seed: evaluation seed, for the random ops.
    dtype: "float32" or "float64".
    devices: JAX devices to spread programs over.
    lanes: programs evaluated at once on a device; None for the executor's choice.
    trace: whether to return errors and predictions of every example.
    fingerprint: whether to return a hash of the predictions.
  """

  space: SearchSpace
  num_epochs: int
  max_abs_error: float
  seed: int
  dtype: str
  devices: tuple[Any, ...]
  lanes: int | None
  trace: bool
  fingerprint: bool

  @property
  def seed32(self) -> np.uint32:
    """The seed as random ops use it."""
    return np.uint32(self.seed & 0xFFFFFFFF)
