"""The false alarm about tuning preferences is left out of standard error, and nothing else."""

import os
import platform
import re
import subprocess
import sys
import threading

import jax
from jax.experimental import serialize_executable
import numpy as np
import pytest
from support import fresh

from azero.executors import executables, quiet

# As XLA 0.10.1 writes it, with shorter lists of features.
_LINE = (
    "E1129 00:22:06.024829   26408 cpu_aot_loader.cc:195] Loading XLA:CPU AOT result. Target "
    "machine feature +{feature} is not  supported on the host machine. Machine type used for "
    "XLA:CPU compilation doesn't match the machine type for execution. Compile machine features: "
    "[+64bit,+avx512f,+prefer-no-gather,+prefer-no-scatter,-sm4] vs host machine features: "
    "[64bit,avx512f]. This could lead to execution errors such as SIGILL.\n")
_GATHER, _SCATTER, _REAL = (
    _LINE.format(feature=name) for name in ("prefer-no-gather", "prefer-no-scatter", "avx512f"))


@pytest.mark.parametrize(("written", "wanted"), [
    (_GATHER + _SCATTER, ""),
    (f"before\n{_GATHER}between\n{_SCATTER}after", "before\nbetween\nafter"),
    (_GATHER.rstrip("\n"), ""),
    (_REAL, _REAL),
    (f"{_REAL}{_GATHER}{_REAL}", _REAL + _REAL),
    ("my own +prefer-no-gather is not  supported on the host machine.\n",
     "my own +prefer-no-gather is not  supported on the host machine.\n"),
    (_GATHER.replace("cpu_aot_loader.cc", "other.cc"),
     _GATHER.replace("cpu_aot_loader.cc", "other.cc")),
    ("", ""), ("no end of line", "no end of line"),
])
def test_these_lines_go_and_others_stay(written, wanted):
  assert quiet.without_false_alarms(written.encode()) == wanted.encode()


def test_what_others_write_meanwhile_comes_through(capfd):
  with pytest.raises(ValueError, match="inside"), quiet.loading():
    os.write(2, _GATHER.encode())
    thread = threading.Thread(target=lambda: print("another thread", file=sys.stderr, flush=True))
    thread.start()
    thread.join()
    os.write(2, _REAL.encode())
    raise ValueError("inside")
  os.write(2, b"afterwards\n")
  assert capfd.readouterr().err == f"another thread\n{_REAL}afterwards\n"


def test_loading_leaves_no_descriptor_open():
  before = os.listdir("/dev/fd")
  for _ in range(3):
    with quiet.loading():
      pass
  assert os.listdir("/dev/fd") == before


def test_loading_works_without_standard_error():
  script = (
      "import os\nos.close(2)\nfrom azero.executors import quiet\n"
      "with quiet.loading():\n  print(3)")
  result = subprocess.run(
      [sys.executable, "-c", script], capture_output=True, text=True, check=True)
  assert result.stdout == "3\n"


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="AVX-512 is of x86")
def test_an_executable_compiled_for_more_than_there_is_is_told(capfd):
  """XLA itself adds the preferences to AVX-512, so any processor shows what one with it does."""
  lowered = jax.jit(lambda x: x * 2).lower(np.ones(3, np.float32))
  content, _, _ = serialize_executable.serialize(lowered.compile())
  missing = re.search(rb"-(avx512\w+),", content)
  assert missing is not None  # no processor has every one of them
  false = content.replace(missing[0], missing[0].replace(b"-", b"+"))
  assert quiet.may_alarm(false)
  assert quiet.may_alarm(content) == ("avx512" in executables._processor())
  run = executables._load(false, lowered, jax.devices()[0])
  np.testing.assert_array_equal(run(np.ones(3, np.float32)), [2, 2, 2])
  told = [line for line in capfd.readouterr().err.splitlines() if "Target machine" in line]
  assert [line.split("feature ")[1].split(" ")[0] for line in told] == [f"+{missing[1].decode()}"]


def test_a_search_is_quiet_the_first_time_and_the_next(tmp_path):
  script = """
import sys, azero, jax
azero.configure_jax(1)
jax.config.update("jax_compilation_cache_dir", sys.argv[1])
space = azero.spaces.demo()
tasks = azero.linear_regression(num_tasks=1, num_features=space.num_features, num_train=4,
                                num_valid=4, seed=0)
azero.evolve(space, tasks, population_size=4, tournament_size=2, max_programs=20,
             initial="random", progress="off")
"""
  environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
  for _ in range(2):
    result = fresh.run(script, str(tmp_path / "cache"), env=environment)
    assert result.stderr == "" and result.stdout == ""
    assert len(list((tmp_path / "cache").glob("azero-*"))) >= 1
