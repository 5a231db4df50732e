"""How kernels are compiled and kept, and that they mean the same without compilation.

Their tests also pass as a whole in these two ways:

    NUMBA_DISABLE_JIT=1 python -m pytest -W "ignore:overflow encountered" $KERNEL_TESTS
    NUMBA_BOUNDSCHECK=1 python -m pytest $KERNEL_TESTS

where KERNEL_TESTS are tests/compiler, tests/search/test_draws.py, tests/search/proposals and, in
tests/search/scoring, test_hurdles.py and test_lru_cache.py.
"""

import concurrent.futures
import os
import pathlib
import subprocess
import sys

import pytest

from azero.compiler import kernels

_ROOT = pathlib.Path(__file__).parents[2]
_SEARCH = [
    "tests/search/test_draws.py", "tests/search/proposals/test_breeding.py",
    "tests/search/scoring/test_hurdles.py", "tests/search/scoring/test_lru_cache.py"]
_COMPILE = """
from azero.compiler import cost
from azero.language import zoo
program = zoo.load("plain_nn", 4)
print(*cost.costs(program, program.opcode >= 0), sum(cost._cost_all.stats.cache_hits.values()))
"""


def _run(*command: str, **environment: str) -> str:
  done = subprocess.run(
      [sys.executable, *command], cwd=_ROOT, env=os.environ | environment, text=True,
      capture_output=True)
  assert done.returncode == 0, done.stdout + done.stderr
  return done.stdout


def test_kernels_run_as_python():
  # Without what takes long and only does the same more often.
  fewer = "not s9 and not s10 and not everything and not large and not 1- and not 2- and not 3-"
  output = _run(
      "-m", "pytest", "-p", "no:cacheprovider", "-W", "ignore:overflow encountered",
      "tests/compiler/test_liveness.py", *_SEARCH, "-k", fewer, NUMBA_DISABLE_JIT="1")
  assert "passed" in output and "failed" not in output


@pytest.mark.slow
def test_kernels_stay_inside_their_arrays(tmp_path):
  output = _run(
      "-m", "pytest", "-p", "no:cacheprovider", "tests/compiler/test_liveness.py",
      "tests/compiler/test_canonical.py", *_SEARCH, NUMBA_BOUNDSCHECK="1",
      NUMBA_CACHE_DIR=str(tmp_path))
  assert "passed" in output and "failed" not in output


def test_what_is_compiled_is_kept_by_all_that_kernels_know(tmp_path, monkeypatch):
  files = {name: tmp_path / name for name in ("room/a.py", "room/b.py", "language/c.py", "d.py")}
  for path in files.values():
    path.parent.mkdir(exist_ok=True)
    path.write_text("CODE = 1\n")
  files["room/a.py"].write_text("from azero.compiler.kernels import kernel\n")
  monkeypatch.setattr(kernels, "_ROOT", tmp_path)
  directory = kernels.cache_directory.__wrapped__
  folders = [directory()]
  for path in files.values():
    path.write_text(path.read_text() + "# another\n")
    folders.append(directory())
  assert len(set(folders)) == 4 and folders[3] == folders[4]  # d.py concerns no kernel


def test_one_process_compiles_and_others_take_it_from_there(tmp_path):
  folder = str(tmp_path)
  with concurrent.futures.ThreadPoolExecutor(2) as threads:
    together = threads.map(lambda _: _run("-c", _COMPILE, AZERO_CACHE_DIR=folder), range(2))
  first, second = sorted(map(str.split, together), key=lambda output: output[1])
  assert first == [second[0], "0"] and second[1] == "1"
  # Code that checks its indices is another.
  third = _run("-c", _COMPILE, AZERO_CACHE_DIR=folder, NUMBA_BOUNDSCHECK="1")
  assert third.split() == first
  assert len(list(tmp_path.glob("kernels/*"))) == 2
