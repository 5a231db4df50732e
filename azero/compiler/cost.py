"""Static cost of programs: that of their live instructions, in scalar additions.

It is the same on every machine, unlike a time that is measured.
"""

import numpy as np

from azero.compiler.arrays import ProgramArrays, Tables, arrays, tables
from azero.compiler.kernels import inlined_kernel, kernel
from azero.language.program import EMPTY, Programs


def costs(programs: Programs, live: np.ndarray) -> np.ndarray:
  """Cost of one execution of Setup, Predict and Learn each.

  Args:
    programs: N programs.
    live: [N, L] bool, which instructions to count.

  Returns:
    [N] float64.
  """
  result = np.zeros(len(programs))
  _cost_all(arrays(programs), tables(programs.space), np.ascontiguousarray(live), result)
  return result


@kernel
def _cost_all(
    programs: ProgramArrays, tables: Tables, live: np.ndarray, result: np.ndarray) -> None:
  for i in range(len(result)):
    result[i] = program_cost(programs, i, tables, live[i])


@inlined_kernel
def program_cost(programs: ProgramArrays, i: int, tables: Tables, live: np.ndarray) -> float:
  """As `costs`, of program i; `live` is [L]."""
  total = 0.0
  for slot in range(len(live)):
    if live[slot] and programs.opcode[i, slot] != EMPTY:
      total += tables.cost[programs.opcode[i, slot]]
  return total
