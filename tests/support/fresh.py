"""Code in a process that has imported JAX and not used it yet, for the price of a fork.

For tests of what happens before JAX is first used; importing it takes a second each time, and
what an experiment needs two more. What JAX reads when it is imported, such as JAX_PLATFORMS,
needs a process from the start.
"""

import atexit
import functools
import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
import types

_MESSAGES = "stdout", "stderr"
_LIBRARIES = "jax", "azero.executors.devices"
_OF_EXPERIMENTS = (
    "azero.export", "azero.runs.runner", "experiments.frame.command_line",
    "experiments.frame.discovery", "matplotlib.pyplot", "scipy.special")
_EXPERIMENT = (
    "import runpy, sys\n"
    "runpy.run_module(f'experiments.{sys.argv.pop(1)}', run_name='__main__', alter_sys=True)")


def run(code: str, *arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess:
  """As `python -c code arguments` in this environment, with what it wrote as text.

  Raises:
    AssertionError: it ended with an error; the message is what it wrote about it.
  """
  done = _run(_server(*_LIBRARIES), code, arguments, env)
  assert done.returncode == 0, done.stderr
  return done


def experiment(module: str, *flags: str) -> subprocess.CompletedProcess:
  """As `python -m experiments.module flags`, whatever its status, with what it wrote as text."""
  return _run(
      _server(*_LIBRARIES, *_OF_EXPERIMENTS), _EXPERIMENT, (module, *flags), dict(os.environ))


def _run(
    server: subprocess.Popen, code: str, arguments: tuple[str, ...], env: dict[str, str]
) -> subprocess.CompletedProcess:
  with tempfile.TemporaryDirectory() as directory:
    paths = {name: os.path.join(directory, name) for name in _MESSAGES}
    request = {"code": code, "arguments": arguments, "environment": env, **paths}
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    status = int(server.stdout.readline())
    written = {}
    for name, path in paths.items():
      with open(path, encoding="utf-8") as file:
        written[name] = file.read()
  return subprocess.CompletedProcess([code, *arguments], status, **written)


@functools.cache
def _server(*imported: str) -> subprocess.Popen:
  environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
  environment["PYTHONPATH"] = os.pathsep.join(sys.path)
  server = subprocess.Popen(
      [sys.executable, __file__, *imported], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
      text=True, env=environment)
  atexit.register(server.communicate)
  return server


def _serve() -> None:
  """Runs each request of standard input in a process of its own; prints how that ended."""
  for name in sys.argv[1:]:
    importlib.import_module(name)
  for line in sys.stdin:
    if not (child := os.fork()):
      _execute(**json.loads(line))
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)


def _execute(
    code: str, arguments: list[str], environment: dict[str, str], stdout: str, stderr: str) -> None:
  for number, path in ((0, os.devnull), (1, stdout), (2, stderr)):
    os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
  os.environ.clear()
  os.environ.update(environment)
  sys.argv[1:] = arguments
  status = 0
  try:
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    exec(compile(code, "<string>", "exec"), vars(main))
  except SystemExit as end:
    status = int(end.code or 0)
  except BaseException:
    traceback.print_exc()
    status = 1
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(status)


if __name__ == "__main__":
  _serve()
