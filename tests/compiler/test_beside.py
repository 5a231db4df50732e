"""What another process compiles is what every search asks for, and nothing depends on it."""

import os
import pathlib
import subprocess
import sys

import numba
import pytest
from support.search_cases import FIXED, config, tasks

from azero.compiler import parts
from azero.compiler.kernels import DISABLE_JIT
from azero.executors.waves import schedule, ssa
from azero.search import compilation
from azero.search.evolution import Evolution
from azero.search.history import genealogy
from azero.search.methods import METHODS
from azero.search.rounds import committing

_ROOT = pathlib.Path(__file__).parents[2]
_SHARED = (
    ssa._straighten_all, schedule._cut, schedule._fill, committing.commit,
    genealogy._find_roots, genealogy._trace)
_TELL = """
from azero.compiler import beside
started = []
class Process:
  def __init__(self, command, **options):
    started.append(command)
  def kill(self):
    started.append("killed")
  def wait(self):
    print(len(started), started[-1])
beside.subprocess.Popen = Process
beside.compile_beside("azero.search.compilation")
print(len(started))
"""


@pytest.mark.skipif(DISABLE_JIT, reason="nothing is compiled")
def test_a_search_asks_for_no_other_types_of_arguments():
  compilation.compile_kernels()
  for method in METHODS.values():
    Evolution(FIXED, tasks(2), config(**method, dtype="float64", num_devices=1)).step()
  assert [len(kernel.overloads) for kernel in _SHARED] == [1] * len(_SHARED)


@pytest.mark.skipif(DISABLE_JIT, reason="nothing is compiled")
def test_kernels_are_compiled_with_loops_as_they_are(monkeypatch):
  ran = []
  monkeypatch.setattr(
      parts._KernelLibrary, "_optimize_final_module", lambda library: ran.append(library.name))

  @numba.njit(pipeline_class=parts.KernelCompiler, _nrt=False)
  def double(x):
    return 2 * x

  assert double(3) == 6 and ran == [double.py_func.__qualname__]


def test_it_needs_no_jax():
  code = "import sys, azero.search.compilation; print([n for n in sys.modules if n == 'jax'])"
  assert _run(code) == "[]\n"


def test_a_process_is_started_only_where_nothing_is_compiled_yet(tmp_path):
  # Its end is that of this process.
  assert _run(_TELL, AZERO_CACHE_DIR=str(tmp_path)) == "1\n2 killed\n"
  compiled = tmp_path / "kernels"
  _run("from azero.compiler import kernels; kernels.cache_directory().mkdir(parents=True);"
       "(kernels.cache_directory() / 'some.nbi').touch()", AZERO_CACHE_DIR=str(tmp_path))
  assert compiled.exists() and _run(_TELL, AZERO_CACHE_DIR=str(tmp_path)) == "0\n"
  assert _run(_TELL, AZERO_CACHE_DIR=str(tmp_path / "new"), NUMBA_DISABLE_JIT="1") == "0\n"


def _run(code, **environment):
  done = subprocess.run(
      [sys.executable, "-c", code], cwd=_ROOT, env=os.environ | environment, text=True,
      capture_output=True)
  assert done.returncode == 0, done.stderr
  return done.stdout
