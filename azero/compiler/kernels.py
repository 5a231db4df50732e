"""How host code is compiled: `kernel`, and what every kernel has to keep to.

Work on programs is written as plain loops over one program of a batch and compiled by Numba.
A kernel takes the arrays of the whole batch in a NamedTuple and the index of its program, so
that nothing is copied. It keeps no state of its own, allocates nothing, lets go of the
interpreter's lock, and is run as Python if NUMBA_DISABLE_JIT=1. What to mind of Numba: an int64
with a uint64 makes a float64, so words of bits meet words of bits only; an index is not
checked (run the tests once with NUMBA_BOUNDSCHECK=1); module constants are frozen when a kernel
is compiled.

Compiled code is kept on disk. Numba looks at the file of a kernel to see whether it is still
good, but not at the files of the kernels that this one calls. So the folder of compiled code
is named after the contents of all files that contain kernels. Processes that start together
wait for the one that compiles a kernel, and take it from there.
"""

from collections.abc import Callable, Iterator
import contextlib
import functools
import hashlib
import os
import pathlib
import sys
from typing import Any, TypeVar

import numba

if sys.platform != "win32":
  import fcntl

_ROOT = pathlib.Path(__file__).parents[1]
_MARK = b"compiler.kernels"  # every file that imports this one, and this one itself

F = TypeVar("F", bound=Callable[..., Any])

_config: Any = numba.config
_njit: Any = numba.njit
# Kernels allocate nothing, so that there are no references to count: counting those of the
# arrays that kernels hand on to one another would take as long as the kernels themselves.
_options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
DISABLE_JIT = bool(_config.DISABLE_JIT)  # whether kernels are run as Python


def kernel(function: F) -> F:
  """Compiles a function that Python calls, at its first call, for the types it is called with."""
  compiled = _kept(function)
  if not DISABLE_JIT:
    compiled.compile = _one_at_a_time(compiled.compile, function)
  return compiled


def inner_kernel(function: F) -> F:
  """Compiles a function that only kernels call, as a part of them.

  It is kept on disk, too, for the next kernel that calls it. A call hands over seven words of each
  array, some 50 ns where many are at hand: it is for what is called rarely, or from many places.
  """
  return _kept(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def inlined_kernel(function: F) -> F:
  """Compiles a function as `inner_kernel`, into each kernel that calls it: it costs no call."""
  return _kept(function, no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True)


def _kept(function: F, **options: bool) -> Any:
  """A function whose compiled code is kept on disk."""
  before = _config.CACHE_DIR
  _config.CACHE_DIR = _cache_directory()
  try:
    return _njit(cache=True, **options, **_options)(function)
  finally:
    _config.CACHE_DIR = before


def _one_at_a_time(compile_it: Callable[..., Any], function: Callable[..., Any]) -> Any:
  """`compile_it`, but while one process compiles the function others wait; then they find it."""
  name = f"{function.__module__}.{function.__qualname__}.lock"

  def compile_alone(signature: Any) -> Any:
    with _locked(pathlib.Path(_cache_directory()) / name):
      return compile_it(signature)

  return compile_alone


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[None]:
  """Keeps others out meanwhile; where no file can be locked, they do the same work again."""
  with contextlib.ExitStack() as stack:
    with contextlib.suppress(OSError):
      path.parent.mkdir(parents=True, exist_ok=True)
      handle = stack.enter_context(open(path, "wb"))
      if sys.platform != "win32":
        fcntl.flock(handle, fcntl.LOCK_EX)
    yield


@functools.cache
def _cache_directory() -> str:
  """Where compiled kernels are kept: in $NUMBA_CACHE_DIR, $AZERO_CACHE_DIR or ~/.cache/azero."""
  cache = os.environ.get("AZERO_CACHE_DIR") or "~/.cache/azero"
  base = _config.CACHE_DIR or pathlib.Path(cache).expanduser() / "kernels"
  digest = hashlib.sha256()
  for path in sorted(_ROOT.rglob("*.py")):
    content = path.read_bytes()
    if _MARK in content:
      digest.update(content)
  checked = "-checked" if _config.BOUNDSCHECK else ""  # Numba does not tell these apart
  return str(pathlib.Path(base) / (digest.hexdigest()[:16] + checked))
