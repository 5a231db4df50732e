"""Kernels compiled in a process beside this one, at the first start of all.

Numba compiles one function at a time in a process, and most of that is Python. So the first search
on a machine leaves some of its kernels to another process and finds them on the disk.
"""

import atexit
import functools
import os
import subprocess
import sys

from azero import paths
from azero.compiler.kernels import DISABLE_JIT, cache_directory


@functools.cache
def compile_beside(module: str) -> None:
  """Lets another process compile kernels of a module, if no kernel is on the disk so far.

  Nothing depends on it: what it has not compiled by then, or cannot, this process does.

  Args:
    module: its full name; its function `compile_kernels` is called.
  """
  if DISABLE_JIT or (os.cpu_count() or 1) < 2 or any(cache_directory().rglob("*.nbi")):
    return
  command = f"import sys; sys.path[:] = {sys.path!r}; import {module} as m; m.compile_kernels()"
  try:
    process = subprocess.Popen(
        [sys.executable, "-c", command],
        env=os.environ | {"AZERO_CACHE_DIR": str(paths.cache_directory())},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
  except OSError:
    return
  atexit.register(_end, process)


def _end(process: subprocess.Popen[bytes]) -> None:
  """Ends it, should it still be busy."""
  process.kill()
  process.wait()
