"""A program copied from one batch to another."""

import numpy as np

from azero.compiler.arrays import ProgramArrays
from azero.compiler.kernels import inlined_kernel
from azero.compiler.prefetch import LINE, prefetch
from azero.language.ops import MAX_CONSTANTS

_SLOTS_OF_A_LINE = LINE // (8 * MAX_CONSTANTS)  # whose constants memory gives at once


@inlined_kernel
def copy_program(source: ProgramArrays, i: int, target: ProgramArrays, j: int) -> None:
  """Makes program j of `target` equal to program i of `source`."""
  _copy_row(source.opcode[i], target.opcode[j])
  _copy_row(source.in1[i], target.in1[j])
  _copy_row(source.in2[i], target.in2[j])
  _copy_row(source.out[i], target.out[j])
  for slot in range(source.constants.shape[1]):
    for k in range(MAX_CONSTANTS):
      target.constants[j, slot, k] = source.constants[i, slot, k]


@inlined_kernel
def prefetch_program(programs: ProgramArrays, i: int) -> None:
  """Prefetches program i, which is to be copied."""
  last = programs.opcode.shape[1] - 1
  for slot in (0, last):
    prefetch(programs.opcode, (i, slot))
    prefetch(programs.in1, (i, slot))
    prefetch(programs.in2, (i, slot))
    prefetch(programs.out, (i, slot))
  for slot in range(0, last + 1, _SLOTS_OF_A_LINE):
    prefetch(programs.constants, (i, slot, 0))


@inlined_kernel
def _copy_row(source: np.ndarray, target: np.ndarray) -> None:
  for slot in range(len(source)):
    target[slot] = source[slot]
