"""How host code is compiled: `kernel`, and what every kernel has to keep to.

Work on programs is written as plain loops over one program of a batch and compiled by Numba.
A kernel takes the arrays of the whole batch in a NamedTuple and the index of its program, so
that nothing is copied. It keeps no state of its own, allocates nothing, lets go of the
interpreter's lock, and is run as Python if NUMBA_DISABLE_JIT=1. What to mind of Numba: an int64
with a uint64 makes a float64, so words of bits meet words of bits only; an index is not
checked (run the tests once with NUMBA_BOUNDSCHECK=1); module constants are frozen when a kernel
is compiled.

A kernel that only kernels call is translated as a part of them, see `parts`. Compiled code is kept
on disk. Numba looks at the file of a kernel to see whether it is still good, but not at the files
of the kernels that this one calls, or of the constants and tuples that it knows. So the folder of
compiled code is named after the contents of all files of the language and of every folder in which
there is a kernel. Processes that start together wait for the one that compiles a
kernel, and take it from there; so one may compile for another, see `beside`.
"""

from collections.abc import Callable, Iterator
import contextlib
import functools
import gc
import hashlib
import pathlib
import sys
from typing import Any, TypeVar

import numba
from numba.core.compiler_lock import global_compiler_lock

from azero import paths
from azero.compiler.parts import KernelCompiler, PartCompiler

if sys.platform != "win32":
  import fcntl

_ROOT = pathlib.Path(__file__).parents[1]
_MARK = b"compiler.kernels"  # every file that imports this one, and this one itself

F = TypeVar("F", bound=Callable[..., Any])

_config: Any = numba.config
_njit: Any = numba.njit
_compiling: Any = global_compiler_lock  # of this process
# Kernels allocate nothing, so that there are no references to count: counting those of the
# arrays that kernels hand on to one another would take as long as the kernels themselves.
_options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
_inner_options = _options | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
DISABLE_JIT = bool(_config.DISABLE_JIT)  # whether kernels are run as Python


def kernel(function: F) -> F:
  """Compiles a function that Python calls, at its first call, for the types it is called with."""
  before = _config.CACHE_DIR
  _config.CACHE_DIR = str(cache_directory())
  try:
    compiled = _njit(cache=True, pipeline_class=KernelCompiler, **_options)(function)
  finally:
    _config.CACHE_DIR = before
  if not DISABLE_JIT:
    compiled.compile = _one_at_a_time(compiled.compile, function)
  return compiled


def inner_kernel(function: F) -> F:
  """Compiles a function that only kernels call, as a part of them.

  A call hands over seven words of each array, some 50 ns where many are at hand: it is for what is
  called rarely, or from many places.
  """
  return _njit(pipeline_class=PartCompiler, **_inner_options)(function)


def inlined_kernel(function: F) -> F:
  """Compiles a function as `inner_kernel`, into each kernel that calls it: it costs no call."""
  return _njit(pipeline_class=PartCompiler, forceinline=True, **_inner_options)(function)


def _one_at_a_time(compile_it: Callable[..., Any], function: Callable[..., Any]) -> Any:
  """`compile_it`, but while one process compiles the function others wait; then they find it."""
  path = cache_directory() / f"{function.__module__}.{function.__qualname__}.lock"

  def compile_alone(signature: Any) -> Any:
    while True:
      # Who has the file does not wait for another thread, and who waits for the file does not
      # keep the other threads from compiling.
      with _compiling, _locked(path, wait=False) as locked, _without_collection():
        if locked:
          return compile_it(signature)
      with _locked(path, wait=True):
        pass

  return compile_alone


@contextlib.contextmanager
def _locked(path: pathlib.Path, *, wait: bool) -> Iterator[bool]:
  """Keeps others out meanwhile; where no file can be locked, they do the same work again.

  Args:
    path: a file of nothing else.
    wait: whether to wait while others have it.

  Yields:
    False if others have it.
  """
  with contextlib.ExitStack() as stack:
    locked = True
    with contextlib.suppress(OSError):
      path.parent.mkdir(parents=True, exist_ok=True)
      handle = stack.enter_context(open(path, "wb"))
      if sys.platform != "win32":
        try:
          fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
          locked = False
    yield locked


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
  """Keeps the garbage collector away from Numba's many small objects: a tenth of the time."""
  enabled = gc.isenabled()
  gc.disable()
  try:
    yield
  finally:
    if enabled:
      gc.enable()


@functools.cache
def cache_directory() -> pathlib.Path:
  """Where compiled kernels are kept: in $NUMBA_CACHE_DIR, or see `azero.paths`."""
  base = _config.CACHE_DIR or paths.cache_directory() / "kernels"
  contents = {path: path.read_bytes() for path in sorted(_ROOT.rglob("*.py"))}
  folders = {path.parent for path, content in contents.items() if _MARK in content}
  digest = hashlib.sha256()
  for path, content in contents.items():
    if path.parent in folders or path.parent == _ROOT / "language":
      digest.update(content)
  checked = "-checked" if _config.BOUNDSCHECK else ""  # Numba does not tell these apart
  return pathlib.Path(base) / (digest.hexdigest()[:16] + checked)
