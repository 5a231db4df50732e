"""Flags and devices that `configure_jax` asks for, in processes of their own."""

import os
import subprocess
import sys

import pytest
from support import fresh

from azero.executors import devices

_CODE = """
import os, sys
import jax
from azero.executors import devices
for _ in range(int(sys.argv[2])):
  devices.configure_jax(int(sys.argv[1]))
print(os.environ["XLA_FLAGS"])
if sys.argv[3:]:
  print(len(jax.devices()), jax.numpy.arange(3).sum())
"""
_LOOPS = (
    "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=9000000000000000000,"
    "xla_cpu_disable_loop_unrolling=true")
_WIDE = "--xla_cpu_prefer_vector_width=512"
_OURS = f"{_LOOPS} {_WIDE} --xla_cpu_multi_thread_eigen=false"


def _run(given: str | None, num_devices: int = 1, times: int = 1, *use: str) -> list[str]:
  environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
  if given is not None:
    environment["XLA_FLAGS"] = given
  arguments = [str(num_devices), str(times), *use]
  return fresh.run(_CODE, *arguments, env=environment).stdout.splitlines()


@pytest.mark.parametrize(("given", "wanted"), [
    (None, _OURS),
    ("", _OURS),
    ("--xla_force_host_platform_device_count=3",
     f"{_OURS} --xla_force_host_platform_device_count=3"),
    ("--xla_cpu_multi_thread_eigen=false --xla_dump_to=/nowhere",
     f"{_LOOPS} {_WIDE} --xla_cpu_multi_thread_eigen=false --xla_dump_to=/nowhere"),
    # The user's own choice comes last, and so wins.
    ("--xla_cpu_multi_thread_eigen=true", f"{_OURS} --xla_cpu_multi_thread_eigen=true"),
    ("--xla_cpu_prefer_vector_width=256", f"{_OURS} --xla_cpu_prefer_vector_width=256"),
])
def test_flags_are_added_to_those_given(given, wanted):
  assert _run(given) == [wanted]


def test_a_second_call_changes_nothing():
  assert _run("--xla_dump_to=/nowhere", 1, 2) == [f"{_OURS} --xla_dump_to=/nowhere"]


@pytest.mark.parametrize("num_devices", sorted({1, devices.num_cores()}))
def test_jax_accepts_the_flags_and_has_the_devices(num_devices):
  assert _run(None, num_devices, 1, "use")[1] == f"{num_devices} 3"


def test_zero_is_a_device_for_each_core():
  assert _run(None, 0, 1, "use")[1] == f"{devices.num_cores()} 3"


@pytest.mark.parametrize("num_devices", [-1, devices.num_cores() + 1])
def test_more_devices_than_cores_are_refused(num_devices):
  before = os.environ.get("XLA_FLAGS")
  with pytest.raises(ValueError, match=f"from 0 .all. to {devices.num_cores()}"):
    devices.configure_jax(num_devices)
  assert os.environ.get("XLA_FLAGS") == before


@pytest.mark.parametrize(("before", "num_devices", "told"), [
    ("", 1, True),  # without the flags
    ("devices.set_xla_flags()", 1, False),  # as it is wanted already
    ("devices.set_xla_flags(); jax.config.update('jax_num_cpu_devices', 2)", 1, True),
])
def test_after_jax_was_used_it_is_too_late_and_work_goes_on(before, num_devices, told):
  script = f"""
import os
import jax
from azero.executors import devices
{before}
jax.devices()
flags = os.environ.get("XLA_FLAGS")
devices.configure_jax({num_devices})
assert os.environ.get("XLA_FLAGS") == flags
print(jax.numpy.arange(3).sum())
"""
  environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
  result = fresh.run(script, env=environment)
  assert result.stdout == "3\n"
  assert ("configure_jax() comes too late" in result.stderr) == told
  assert result.stderr.count("\n") == int(told)


@pytest.mark.parametrize(("call", "before", "devices_and_mode"), [
    ('azero.evaluate("def Setup():\\ndef Predict():\\ndef Learn():", tasks)', "",
     f"{devices.num_cores()} False"),
    ('azero.evolve(azero.spaces.demo(), tasks, max_programs=1, progress="off")', "",
     f"{devices.num_cores()} False"),
    ('azero.random_search(azero.spaces.demo(), tasks, max_programs=1, progress="off")', "",
     f"{devices.num_cores()} False"),
    ('azero.evaluate("def Setup():\\ndef Predict():\\ndef Learn():", tasks)',
     "jax.config.update('jax_num_cpu_devices', 1)", "1 True"),
])
def test_whoever_has_not_set_up_jax_gets_what_commands_have(call, before, devices_and_mode):
  script = f"""
import jax
import azero
{before}
tasks = azero.linear_regression(1, seed=0, num_train=2, num_valid=2)
{call}
print(len(jax.devices()), jax.config.values["jax_cpu_enable_async_dispatch"])
"""
  environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
  assert fresh.run(script, env=environment).stdout == devices_and_mode + "\n"


def test_a_search_says_that_jax_was_used_before_it_and_works():
  script = """
import jax
import azero
jax.devices()
tasks = azero.linear_regression(1, seed=0, num_train=2, num_valid=2)
azero.evaluate("def Setup():\\ndef Predict():\\ndef Learn():", tasks)
print(len(azero.evaluate("def Setup():\\ndef Predict():\\ndef Learn():", tasks).fitness))
"""
  environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
  result = fresh.run(script, env=environment)
  assert result.stdout == "1\n" and result.stderr.count("comes too late") == 1


def test_devices_that_are_not_there_are_one_sentence():
  script = """
import azero
space = azero.spaces.demo()
tasks = azero.linear_regression(1, seed=0)
try:
  azero.evolve(space, tasks, max_programs=10, directory="run")
except ValueError as error:
  print(error)
"""
  result = subprocess.run(
      [sys.executable, "-c", script], env=os.environ | {"JAX_PLATFORMS": "cuda"}, check=True,
      capture_output=True, text=True)
  assert result.stdout == (
      "JAX finds no device, for JAX_PLATFORMS is 'cuda' and none of that kind is installed here: "
      "unset it, or set JAX_PLATFORMS=cpu.\n")
