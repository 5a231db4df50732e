"""Debian's chromium without a window, spoken to by the DevTools protocol over a pipe.

Over a pipe, so that no port is opened; `chromium()` says where the program is, if it is here.
"""

import base64
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

_SECONDS = 60  # for any answer; a machine may be slow
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
    "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
    "--disable-extensions", "--disable-sync", "--remote-debugging-pipe")

# The browser reads from 3 and writes to 4.
_START = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def chromium():
  """The path of the program, or None."""
  return shutil.which("chromium") or shutil.which("chromium-browser")


class Page:
  """A page, and what happened on it.

  Attributes:
    problems: what came to its console as a warning or an error, and exceptions.
    requests: addresses that it asked for, its own the first.
  """

  def __init__(self, send, receive):
    self._send, self._receive = send, receive
    self._number = 0
    self._session = None
    self.problems, self.requests = [], []
    target = self.call("Target.createTarget", url="about:blank")["targetId"]
    self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Log", "Network"):
      self.call(f"{domain}.enable")

  def call(self, method, **parameters):
    """One command; returns its result."""
    self._number += 1
    message = {"id": self._number, "method": method, "params": parameters}
    if self._session:
      message["sessionId"] = self._session
    self._send(message)
    while True:
      answer = self._receive()
      if answer.get("id") == self._number:
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]
      self._note(answer)

  def _note(self, event):
    name, about = event.get("method"), event.get("params", {})
    if name == "Runtime.exceptionThrown":
      self.problems.append(str(about["exceptionDetails"]))
    elif name == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
      self.problems.append(str(about["args"]))
    elif name == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
      self.problems.append(about["entry"]["text"])
    elif name == "Network.requestWillBeSent":
      self.requests.append(about["request"]["url"])

  def open(self, path, *, width=1200, height=900, dark=False, ready="true"):
    """Opens a file, and waits until an expression holds on its page."""
    self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
              deviceScaleFactor=1, mobile=width < 600)
    self.call("Emulation.setEmulatedMedia", features=[
        {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
    self.call("Page.navigate", url=f"file://{path}")
    end = time.monotonic() + _SECONDS
    while not self.value(f"document.readyState === 'complete' && ({ready})"):
      assert time.monotonic() < end, (ready, self.problems)
      time.sleep(0.05)

  def value(self, expression):
    """The value of an expression on the page."""
    answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
    assert "exceptionDetails" not in answer, answer
    return answer["result"].get("value")

  def screenshot(self, path):
    """The whole page as a PNG file."""
    picture = self.call("Page.captureScreenshot", captureBeyondViewport=True)
    with open(path, "wb") as file:
      file.write(base64.b64decode(picture["data"]))


@contextlib.contextmanager
def page():
  """A page of a browser that ends with the block."""
  (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
  # Not 3 or 4, which they are copied to.
  copies = [fcntl.fcntl(each, fcntl.F_DUPFD, 10) for each in (theirs_in, theirs_out)]
  # A browser that has been ended may still write.
  folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
  with folder as profile, open(ours_in, "rb") as answers, open(ours_out, "wb") as commands:
    process = subprocess.Popen(
        [sys.executable, "-c", _START, *map(str, copies), chromium(), *_FLAGS,
         f"--user-data-dir={profile}"],
        pass_fds=copies, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env=os.environ | {"HOME": profile, "TMPDIR": profile})
    for each in (theirs_in, theirs_out, *copies):
      os.close(each)

    def send(message):
      commands.write(json.dumps(message).encode() + b"\0")
      commands.flush()

    def receive():
      message = bytearray()
      while (byte := answers.read(1)) not in (b"\0", b""):
        message += byte
      assert message, "the browser is gone"
      return json.loads(message)

    try:
      yield Page(send, receive)
    finally:
      process.terminate()
      process.wait(_SECONDS)
