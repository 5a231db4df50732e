"""What is said of a process that ended without a word."""

import subprocess
import sys
import types

import pytest

from azero.distributed import ray_runtime
from azero.distributed.runtime import ActorLost


@pytest.mark.parametrize(("end", "spoken"), [
    ("os._exit(1)", True), ("os.kill(os.getpid(), 9)", True), ("pass", False),
    ("from experiments.frame import interruption; interruption.leave(2)", False),
    ("sys.exit('error: mine')", False)])
def test_only_a_process_that_cannot_speak_is_spoken_for(end, spoken):
  program = f"import os, sys; from azero.distributed import last_word; last_word.promise(); {end}"
  ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
  assert ("continue with --resume" in ended.stderr) == spoken
  assert ("error: mine" in ended.stderr) == ("mine" in end)


def test_a_broken_connection_to_the_store_is_told(monkeypatch):
  """Of Ray it is an error of the system with nothing but "Broken pipe"."""
  def broken(*arguments, **settings):
    raise OSError("Broken pipe")

  class OtherError(Exception):
    """One of Ray's own."""

  errors = types.SimpleNamespace(
      RayActorError=OtherError, ObjectLostError=OtherError, RayTaskError=OtherError)
  handle = types.SimpleNamespace(call=types.SimpleNamespace(remote=broken))
  for ray in ({"wait": broken}, {"wait": lambda *_, **__: ([1], []), "get": broken}):
    monkeypatch.setattr(
        ray_runtime, "import_ray", lambda ray=ray: types.SimpleNamespace(exceptions=errors, **ray))
    with pytest.raises(ConnectionError, match=r"part on this machine is gone \(Broken pipe\)"):
      ray_runtime._RayCall(1, lambda: None).result()
  with pytest.raises(ConnectionError, match="continue with --resume"):
    ray_runtime._RayActor(handle).submit("advance")


def test_what_was_lost_with_its_machine_is_an_actor_lost(monkeypatch):
  """The call had ended; its result was not fetched yet."""
  class OtherError(Exception):
    """One of Ray's own."""

  class LostError(OtherError):
    """Of what was returned."""

  def gone(*_):
    raise LostError("Failed to retrieve object 1507.\nMore.")

  errors = types.SimpleNamespace(
      RayActorError=ZeroDivisionError, ObjectLostError=LostError, RayTaskError=OtherError)
  monkeypatch.setattr(
      ray_runtime, "import_ray", lambda: types.SimpleNamespace(exceptions=errors, get=gone))
  with pytest.raises(ActorLost, match=r"^Failed to retrieve object 1507$"):
    ray_runtime._RayCall(1, None).result()
