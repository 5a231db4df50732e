"""Sets of addresses as words of bits; all kinds are counted through, see `Tables.units`."""

import numpy as np

from azero.compiler.arrays import CHOICES_IN1, IN1, IN2, Tables
from azero.compiler.kernels import inlined_kernel, inner_kernel
from azero.search.draws import pick

NO_ADDRESS, _ONE = np.uint64(0), np.uint64(1)


@inlined_kernel
def given(space: Tables) -> np.uint64:
  """The addresses that the evaluation fills or reads: label, features, prediction."""
  return bit(space.label) | bit(space.features) | bit(space.prediction)


@inlined_kernel
def scalars(space: Tables) -> np.uint64:
  """All scalar addresses, which come before the features."""
  return bit(space.features) - _ONE


@inlined_kernel
def readable(opcode: int, operand: int, space: Tables) -> np.uint64:
  """The addresses of the kind of in1 or in2; none if the op has no such input."""
  choices = np.uint64(space.ops[opcode, CHOICES_IN1 + operand])
  return space.units[opcode, IN2 if operand else IN1] * ((_ONE << choices) - _ONE)


@inlined_kernel
def bit(address: int) -> np.uint64:
  """The set of one address."""
  return _ONE << np.uint64(address)


@inner_kernel
def only(addresses: np.uint64) -> int:
  """The address of a set of one."""
  address = 0
  while addresses & bit(address) == NO_ADDRESS:
    address += 1
  return address


@inner_kernel
def size(addresses: np.uint64) -> int:
  """How many addresses a set has."""
  count = 0
  while addresses != NO_ADDRESS:
    addresses &= addresses - _ONE
    count += 1
  return count


@inner_kernel
def draw(addresses: np.uint64, stream: np.ndarray) -> int:
  """Draws one of a set of addresses, which is not empty."""
  left, address = pick(stream, size(addresses)), 0
  while True:
    if addresses & bit(address) != NO_ADDRESS:
      if left == 0:
        return address
      left -= 1
    address += 1
