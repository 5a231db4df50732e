import io
import os

import pytest

from azero.search import progress as progress_module
from azero.search.progress import Progress


class Terminal(io.StringIO):
  """A stream whose lines can be overwritten."""

  def isatty(self):
    return True


@pytest.fixture(autouse=True)
def wide(monkeypatch):
  monkeypatch.setattr(
      progress_module.shutil, "get_terminal_size", lambda: os.terminal_size((40, 24)))


def test_a_log_gets_whole_lines():
  stream = io.StringIO()
  display = Progress(stream=stream)
  display.show("one")
  display.show("a line that is longer than the forty columns of a terminal")
  display.show("two", final=True)
  assert stream.getvalue() == (
      "one\na line that is longer than the forty columns of a terminal\ntwo\n")


def test_a_terminal_overwrites_its_line():
  stream = Terminal()
  display = Progress(stream=stream)
  display.show("longer line")
  display.show("line")
  display.show("the end", final=True)
  assert stream.getvalue() == "\rlonger line\rline       \rthe end\n"


def test_a_line_never_wraps_in_a_terminal_but_the_last_is_whole():
  stream = Terminal()
  display = Progress(stream=stream)
  line = "x" * 100
  display.show(line)
  assert stream.getvalue() == "\r" + "x" * 39
  display.show(line, final=True)
  assert stream.getvalue().endswith("\r" + line + "\n")


@pytest.mark.parametrize("stream_class, seconds", [(io.StringIO, 10.0), (Terminal, 0.5)])
def test_due_after_a_while(monkeypatch, stream_class, seconds):
  now = [100.0]
  monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
  display = Progress(stream=stream_class())
  assert display.due()
  display.show("line")
  assert not display.due()
  now[0] += seconds - 0.01
  assert not display.due()
  now[0] += 0.02
  assert display.due()


def test_off_is_silent():
  stream = Terminal()
  display = Progress("off", stream)
  assert not display.due()
  display.show("line")
  display.show("line", final=True)
  assert stream.getvalue() == ""


def test_jupyter_updates_one_display(monkeypatch):
  shown = []

  class Display:
    def update(self, data, raw):
      shown.append((data, raw))

  monkeypatch.setattr(progress_module, "_jupyter_display", Display)
  stream = io.StringIO()
  display = Progress(stream=stream)
  display.show("one")
  display.show("two", final=True)
  assert stream.getvalue() == ""
  assert shown == [({"text/plain": "one"}, True), ({"text/plain": "two"}, True)]


def test_the_default_is_standard_error(capsys):
  Progress().show("line")
  captured = capsys.readouterr()
  assert (captured.out, captured.err) == ("", "line\n")


def test_unknown_mode():
  with pytest.raises(ValueError, match="progress must be one of auto, off, got 'loud'"):
    Progress("loud")
