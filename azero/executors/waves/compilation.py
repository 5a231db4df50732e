"""The kernels between a program and a call of the executor, compiled by preparing one program.

For `azero.compiler.beside`: kernels are compiled for types of arguments, and those are the same
for all programs, spaces and tasks. Needs no JAX.
"""

import numpy as np

from azero.compiler import canonical
from azero.executors.waves.layout import make_layout
from azero.executors.waves.schedule import Scheduler
from azero.language import zoo

_NUM_TASKS = 2


def compile_kernels() -> None:
  """Compiles them, or loads what is on the disk."""
  program = zoo.load("linear_regressor", 2)
  dtype = np.dtype(np.float32)
  scheduler = Scheduler(make_layout(program.space, _NUM_TASKS, 0, dtype.itemsize), dtype)
  plan = scheduler.plan(program, canonical.analyse(program))
  scheduler.schedule(plan, np.zeros(len(program), np.int64))
